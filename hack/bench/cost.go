package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// cost is what a part of a scenario that is no part of a fleet's life took of the operator.
type cost struct {
	// Scenario and the part of it.
	Scenario string  `json:"scenario"`
	Seconds  float64 `json:"seconds"`
	// CPUSeconds, and memory as of a figure.
	CPUSeconds   float64 `json:"cpuSeconds"`
	PeakMiB      float64 `json:"peakMiB"`
	RestMiB      float64 `json:"restMiB"`
	AnonymousMiB float64 `json:"anonymousMiB"`
	// Calls are all AWS calls, by operation.
	Calls map[string]float64 `json:"awsCalls"`
}

// spend measures what a part of a scenario takes. Where it starts the operator anew, that is a part of it.
func (m *measurement) spend(
	ctx context.Context, scenario, part string, run func(context.Context) error,
) (cost, error) {
	if err := m.operator.resetPeak(); err != nil {
		return cost{}, err
	}
	before, err := m.operator.usage()
	if err != nil {
		return cost{}, err
	}

	process := m.operator
	profiled := m.profileCPU(ctx, part)
	m.aws.ResetCalls()
	start := time.Now()
	if err := run(ctx); err != nil {
		return cost{}, err
	}
	seconds := time.Since(start).Seconds()
	if err := profiled(); err != nil {
		return cost{}, err
	}
	calls := map[string]float64{}
	for operation, n := range m.aws.CallCounts() {
		calls[operation] = float64(n)
	}

	if err := wait(ctx, settleTime); err != nil { // What ends is written, and its memory can be collected.
		return cost{}, err
	}
	used, err := m.operator.usage()
	if err != nil {
		return cost{}, err
	}
	if m.operator == process {
		used.cpuSeconds -= before.cpuSeconds
	}
	return cost{
		Scenario: scenario + ", " + part, Seconds: seconds, CPUSeconds: used.cpuSeconds,
		PeakMiB: used.peakMiB, RestMiB: used.restMiB, AnonymousMiB: used.anonymousMiB, Calls: calls,
	}, m.profileHeap(ctx, part)
}

// medianCosts returns the figures of each part, each of which is the median of the runs'. of returns the cost in them.
func medianCosts[F any](runs [][]F, of func(*F) *cost) []F {
	result := slices.Clone(runs[0])
	for i := range result {
		parts := make([]cost, 0, len(runs))
		for _, run := range runs {
			parts = append(parts, *of(&run[i]))
		}
		middle := of(&result[i])
		for _, figure := range []func(*cost) *float64{
			func(c *cost) *float64 { return &c.Seconds },
			func(c *cost) *float64 { return &c.CPUSeconds },
			func(c *cost) *float64 { return &c.PeakMiB },
			func(c *cost) *float64 { return &c.RestMiB },
			func(c *cost) *float64 { return &c.AnonymousMiB },
		} {
			*figure(middle) = medianOf(parts, func(c *cost) float64 { return *figure(c) })
		}

		middle.Calls = map[string]float64{}
		for _, run := range parts {
			for operation := range run.Calls {
				middle.Calls[operation] = medianOf(parts, func(c *cost) float64 { return c.Calls[operation] })
			}
		}
	}
	return result
}

// showCalls prints the AWS calls by operation.
func (c *cost) showCalls(out io.Writer) {
	var calls []string
	for _, operation := range slices.Sorted(maps.Keys(c.Calls)) {
		calls = append(calls, fmt.Sprintf("%s %.0f", operation, c.Calls[operation]))
	}
	fmt.Fprintf(out, "%s: AWS calls: %s\n", c.Scenario, strings.Join(calls, ", "))
}
