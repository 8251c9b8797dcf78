package simulation_test

import (
	"flag"
	"math/rand"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trail-operator/trail-operator/hack/simulation"
)

var (
	seeds = flag.Int("seeds", 2, "how many worlds to simulate")
	first = flag.Uint64("seed", 1, "the first seed")
	show  = flag.Bool("history", false, "show all that happens")
)

func TestSimulation(t *testing.T) {
	var log func(string)
	if *show {
		log = func(line string) { t.Log(line) }
	}
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		began := time.Now()
		var result *simulation.Result
		synctest.Test(t, func(t *testing.T) {
			rand.Seed(int64(seed))
			var err error
			result, err = simulation.Run(t.Context(), seed, nil, log)
			if err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("seed %d: %s simulated in %s, %d events, history %x", seed, result.Simulated, time.Since(began), result.Events, result.History)
		if result.Violation != nil {
			for _, line := range result.Lines {
				t.Log(line)
			}
			t.Fatalf("seed %d: %s", seed, result.Violation)
		}
	}
}
