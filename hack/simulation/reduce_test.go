package simulation_test

import (
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/hack/simulation"
)

// TestReduce holds that what is left of a script is what makes it fail, and in how many tries.
func TestReduce(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var script []simulation.Action
	for slot := range 200 {
		script = append(script, simulation.Action{At: time.Duration(slot) * time.Second, Slot: slot})
	}
	has := func(script []simulation.Action, slot int) bool {
		return slices.ContainsFunc(script, func(a simulation.Action) bool { return a.Slot == slot })
	}
	tries := 0
	fails := func(script []simulation.Action) bool {
		tries++
		return has(script, 17) && has(script, 99) && has(script, 180)
	}

	reduced := simulation.Reduce(script, 1000, fails)
	g.Expect(reduced).To(HaveExactElements(
		HaveField("Slot", 17), HaveField("Slot", 99), HaveField("Slot", 180)))
	g.Expect(tries).To(BeNumerically("<", 100))

	tries = 0
	g.Expect(fails(simulation.Reduce(script, 10, fails))).To(BeTrue(), "what it has by then fails")
	g.Expect(tries).To(Equal(11))
}
