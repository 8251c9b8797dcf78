package main

import (
	"bytes"
	"testing"

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
		{Trails: 500, Accounts: 1, Scenario: "converge", Seconds: 2.25, Floor: 0.5, Calls: map[string]float64{"StartLogging": 1, "CreateTrail": 1}},
		{Trails: 500, Accounts: 1, Scenario: "restart", Seconds: 1, Change: 0.625},
	})).To(Succeed())
	g.Expect(out.String()).To(And(
		MatchRegexp(`500 +1 +false +converge +2\.25 +0\.50 \(×4\.5\)`),
		MatchRegexp(`restart +1\.00 +- `),
		ContainSubstring("500 trails in 1 accounts: a change made at the restart was done after 0.62 s\n"),
		ContainSubstring("500 trails in 1 accounts, converge: AWS calls per trail, CreateTrail 1.00, StartLogging 1.00\n"),
	))
}

func TestFloor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size          size
		calls, writes float64
		floor         float64
	}{
		"latency, by 64 workers":            {size{trails: 640}, 3, 2, 0.6},
		"latency of one, by a worker each":  {size{trails: 5}, 3, 2, 0.06},
		"the quota, whose first is at once": {size{trails: 640, perAccount: 5, limits: true}, 3, 2, 9},
		"latency, where it is longer":       {size{trails: 64000, perAccount: 5, limits: true}, 3, 2, 60},
		"reads have no quota of a second":   {size{trails: 640, perAccount: 5, limits: true}, 2, 0, 0.4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fleet{settings: settings{latency: 20_000_000}, size: c.size}
			NewWithT(t).Expect(f.floor(c.calls, c.writes)).To(BeNumerically("~", c.floor, 1e-9))
		})
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	s, err := parse([]string{"-trails=500,2000", "-fleets=one,limits", "-scenarios=idle,converge", "--", "--zap-log-level=debug"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(s.sizes).To(Equal([]size{{500, 0, false}, {500, 5, true}, {2000, 0, false}, {2000, 5, true}}))
	g.Expect(s.scenarios).To(Equal([]string{"idle", "converge"}))
	g.Expect(s.arguments).To(Equal([]string{"--zap-log-level=debug"}))
	for _, wrong := range []string{"-trails=many", "-trails=0", "-fleets=none", "-scenarios=lunch"} {
		_, err := parse([]string{wrong})
		g.Expect(err).To(HaveOccurred(), wrong)
	}
}
