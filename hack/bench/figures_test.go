package main

import (
	"bytes"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestMedians(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	run := func(seconds, peak float64, calls map[string]float64) []figure {
		return []figure{{Scenario: "idle"}, {Scenario: "converge", Floor: 2, Seconds: seconds, PeakMiB: peak, Calls: calls}}
	}
	found := medians([][]figure{
		run(3, 50, map[string]float64{"CreateTrail": 1, "ListTags": 0.2}),
		run(1, 70, map[string]float64{"CreateTrail": 1}),
		run(2, 60, map[string]float64{"CreateTrail": 1, "ListTags": 0.1}),
	})
	g.Expect(found).To(HaveLen(2))
	g.Expect(found[1]).To(Equal(figure{
		Scenario: "converge", Floor: 2, Seconds: 2, PeakMiB: 60, Calls: map[string]float64{"CreateTrail": 1, "ListTags": 0.1},
	}), "each figure by itself")
}

func TestShow(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var out bytes.Buffer
	g.Expect(show(&out, []figure{
		{
			Trails:   500,
			Accounts: 1,
			Scenario: "converge",
			Seconds:  2.25,
			Floor:    0.5,
			Calls:    map[string]float64{"StartLogging": 1, "CreateTrail": 1},
		},
		{Trails: 500, Accounts: 1, Scenario: "restart", Seconds: 1, Aside: 0.625},
		{Trails: 500, Accounts: 1, Scenario: "neighbors", Seconds: 1, Aside: 0.5},
		{Trails: 500, Accounts: 1, Scenario: "events-foreign", Seconds: 1, Left: 3},
		{
			Trails: 500, Accounts: 1, Scenario: "events-burst", Seconds: 1,
			Repaired: spread{P50: 0.5, P99: 1, Max: 2}, Named: spread{P50: 0.25, P99: 1.5, Max: 3},
		},
	})).To(Succeed())
	g.Expect(out.String()).To(And(
		MatchRegexp(`500 +1 +false +converge +2\.25 +0\.50 \(×4\.5\)`),
		MatchRegexp(`restart +1\.00 +- `),
		ContainSubstring("500 trails in 1 accounts, restart: a change that was made right after it was done after 0.62 s\n"),
		ContainSubstring("500 trails in 1 accounts, neighbors: a lookup of their neighbor was answered after 0.50 s\n"),
		ContainSubstring("500 trails in 1 accounts, events-foreign: 3 messages left in the queue\n"),
		ContainSubstring("500 trails in 1 accounts, events-burst: from the event until logging: p50 0.50 s, p99 1.00 s, "+
			"max 2.00 s; until named: p50 0.25 s, p99 1.50 s, max 3.00 s\n"),
		ContainSubstring("500 trails in 1 accounts, converge: AWS calls per trail, CreateTrail 1.00, StartLogging 1.00\n"),
	))
}

func two(*fleet, int) int { return 2 }

func TestFloor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size   size
		calls  float64
		reads  func(*fleet, int) int
		writes func(*fleet, int) int
		floor  float64
	}{
		"latency, by 64 workers":            {size{trails: 640}, 3, nil, two, 0.6},
		"latency of one, by a worker each":  {size{trails: 5}, 3, nil, two, 0.06},
		"the quota, whose first is at once": {size{trails: 640, perAccount: 5, limits: true}, 3, nil, two, 9},
		"the quota of the worst account": {
			size{trails: 640, perAccount: 5, limits: true, shape: usual},
			3, nil, (*fleet).creations, 10,
		},
		"full trails": {
			size{trails: 640, perAccount: 5, limits: true, shape: full},
			3, nil, (*fleet).creations, 24,
		},
		"latency, where it is longer": {size{trails: 64000, perAccount: 5, limits: true}, 3, nil, two, 60},
		"reads, of which ten are at once": {
			size{trails: 640, perAccount: 5, limits: true, shape: full},
			2, (*fleet).readsOf, nil, 1,
		},
		"few reads": {size{trails: 640, perAccount: 5, limits: true}, 2, (*fleet).readsOf, nil, 0.4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.size.latency = 20 * time.Millisecond
			f := &fleet{size: c.size}
			NewWithT(t).Expect(f.floor(c.calls, c.reads, c.writes)).To(BeNumerically("~", c.floor, 1e-9))
		})
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	s, err := parse(
		[]string{"-trails=500,2000", "-fleets=one,full", "-scenarios=idle,converge,events", "--", "--zap-log-level=debug"},
	)
	g.Expect(err).NotTo(HaveOccurred())
	const fast, slow = 20 * time.Millisecond, 60 * time.Millisecond
	g.Expect(s.sizes).To(Equal([]size{
		{500, 0, false, usual, fast}, {500, 5, true, full, slow}, {2000, 0, false, usual, fast}, {2000, 5, true, full, slow},
	}))
	g.Expect(s.scenarios).To(Equal(
		[]string{"idle", "converge", "events-foreign", "events-burst", "events-changes"},
	))
	g.Expect(s.arguments).To(Equal([]string{"--zap-log-level=debug"}))
	for _, wrong := range []string{
		"-trails=many", "-trails=0", "-fleets=none", "-scenarios=lunch", "-shape=round", "-stops=0",
	} {
		_, err := parse([]string{wrong})
		g.Expect(err).To(HaveOccurred(), wrong)
	}
}
