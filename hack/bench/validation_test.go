package main

import (
	"bytes"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestMedianCosts(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	run := func(seconds, cpu, peak, reads float64) []validated {
		return []validated{{cost: cost{Scenario: "without"}}, {Chains: 4, Hours: 1, cost: cost{
			Scenario: "hour", Seconds: seconds, CPUSeconds: cpu, PeakMiB: peak,
			Calls: map[string]float64{"GetObject": reads},
		}}}
	}
	found := medianCosts(
		[][]validated{run(3, 10, 50, 8), run(1, 30, 70, 4), run(2, 20, 60, 4)},
		func(v *validated) *cost { return &v.cost },
	)
	g.Expect(found).To(HaveLen(2))
	g.Expect(found[1]).To(Equal(validated{Chains: 4, Hours: 1, cost: cost{
		Scenario: "hour", Seconds: 2, CPUSeconds: 20, PeakMiB: 60,
		Calls: map[string]float64{"GetObject": 4},
	}}), "each figure by itself")
}

func TestValidated(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	hour := validated{
		Chains: 2000, Hours: 1, cost: cost{CPUSeconds: 18, Calls: map[string]float64{"GetObject": 3000}},
	}
	g.Expect(hour.share()).To(BeNumerically("~", 0.005, 1e-9), "18 s of an hour")
	hour.Hours = 2
	g.Expect(hour.share()).To(BeNumerically("~", 0.0025, 1e-9), "18 s of two hours")
	hour.Hours = 0
	g.Expect(hour.share()).To(BeZero(), "no hour has passed")
	g.Expect(hour.perChain("GetObject")).To(BeNumerically("~", 1.5, 1e-9))
	g.Expect(hour.perChain("HeadObject")).To(BeZero())
	g.Expect((&validated{}).perChain("GetObject")).To(BeZero(), "no chains")
}

func TestShowValidations(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var out bytes.Buffer
	g.Expect(showValidations(&out, []validated{{Chains: 2006, Hours: 1, cost: cost{
		Scenario: "validation, hour", Seconds: 5.25, CPUSeconds: 9, PeakMiB: 61, RestMiB: 60,
		Calls: map[string]float64{"ListObjectsV2": 4012, "GetObject": 2006},
	}}})).To(Succeed())
	g.Expect(out.String()).To(And(
		MatchRegexp(`validation, hour +2006 +1 +5\.25 +9\.00 +0\.25 +1\.000 +2\.000 +61 +60 +0 *\n`),
		ContainSubstring("validation, hour: AWS calls: GetObject 2006, ListObjectsV2 4012\n"),
	))
}

func TestLateClock(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var c lateClock
	c.behind.Store(int64(2 * time.Hour))
	g.Expect(c.now()).To(BeTemporally("~", time.Now().Add(-2*time.Hour), time.Minute))
	c.advance(time.Hour)
	g.Expect(c.now()).To(BeTemporally("~", time.Now().Add(-time.Hour), time.Minute))
}

func TestRepeated(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	measured := []commandFigure{
		{Seconds: 3, CPUSeconds: 1, PeakMiB: 40, verdict: "[all]"}, {Seconds: 1, CPUSeconds: 3, PeakMiB: 41},
		{Seconds: 2, CPUSeconds: 2, PeakMiB: 45},
	}
	n := -1
	found, err := settings{runs: 3}.repeated(commandFigure{Command: "aws"}, func() (commandFigure, error) {
		n++
		return measured[n], nil
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found).To(Equal(commandFigure{
		Scenario: "validate-logs", Command: "aws", Seconds: 2, CPUSeconds: 2, PeakMiB: 41, verdict: "[all]",
	}), "each figure by itself")
}

func TestVerdictOf(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	// As the AWS CLI says it, and as trail-operator does.
	theirs := "Results found for 2026-11-15 to 2026-11-22:\n\n172/172 digest files valid\n344/344 log files valid\n"
	ours := "1 chains of digest files (one for each account and region)\n172/172 digest files valid\n" +
		"344/344 log files valid (344 read, 165 kB)\n"
	const both = "[172/172 digest files valid 344/344 log files valid]"
	g.Expect(verdictOf(theirs)).To(Equal(both))
	g.Expect(verdictOf(ours)).To(Equal(both))
	invalid := "172/172 digest files valid\n343/344 log files valid, 1/344 log files INVALID\n"
	g.Expect(verdictOf(invalid)).NotTo(Equal(both))
}

func TestShowCommands(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var out bytes.Buffer
	ours := commandFigure{Command: "trail-operator", Work: "2 digests", Latency: "20ms", Seconds: 0.5, PeakMiB: 40.5}
	theirs := ours
	theirs.Command, theirs.Seconds = "aws", 8
	idle := commandFigure{Command: "trail-operator", Work: "--version"}
	g.Expect(showCommands(&out, []commandFigure{idle, ours, theirs})).To(Succeed())
	g.Expect(out.String()).To(And(
		MatchRegexp(`trail-operator +2 digests +20ms +0\.50 +0\.00 +40\.5 `),
		ContainSubstring("2 digests at a latency of 20ms: the AWS CLI takes 16.0 times as long\n"),
	))

	out.Reset()
	g.Expect(showCommands(&out, []commandFigure{ours})).To(Succeed())
	g.Expect(out.String()).To(ContainSubstring("There is no AWS CLI on the PATH"))
}

func TestMeasures(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	s, err := parse([]string{"-scenarios=validate-logs,validation", "-members=3", "-latency=5ms"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(s.scenarios).To(Equal([]string{"validate-logs", "validation"}))
	g.Expect(s.members).To(Equal(3))
	g.Expect(s.awsLatency).To(Equal(5 * time.Millisecond))
	g.Expect(s.measures("validation")).To(BeTrue())
	g.Expect(s.measures("idle")).To(BeFalse())
}
