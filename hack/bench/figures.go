package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// figure is what one scenario cost.
type figure struct {
	Trails   int    `json:"trails"`
	Accounts int    `json:"accounts"`
	Limits   bool   `json:"limits"`
	Shape    shape  `json:"shape"`
	Scenario string `json:"scenario"`
	// Seconds is how long it took, and Floor how long the work itself takes at least; 0: not told.
	Seconds float64 `json:"seconds"`
	Floor   float64 `json:"floorSeconds,omitempty"`
	// Aside is how many seconds something beside it took: at the restart a change that was made right after it, counted
	// from the start; among the neighbors a lookup.
	Aside float64 `json:"asideSeconds,omitempty"`
	// Repaired and Named are how long after their events had arrived single changes were repaired, and named in statuses.
	Repaired spread `json:"repairedSeconds,omitzero"`
	Named    spread `json:"namedSeconds,omitzero"`
	// Left is how many messages were in the event queue at the end.
	Left float64 `json:"messagesLeft,omitempty"`
	// CallsPerTrail are AWS calls, and Calls the same by operation; at rest for each look.
	CallsPerTrail float64            `json:"awsCallsPerTrail"`
	Calls         map[string]float64 `json:"awsCallsPerTrailByOperation"`
	Throttles     float64            `json:"throttles"`
	// WritesPerTrail are the writes of Trails to the API server, EventsPerTrail those of events, ReportsPerTrail those of
	// reports; at rest for each look.
	WritesPerTrail  float64 `json:"apiServerWritesPerTrail"`
	EventsPerTrail  float64 `json:"eventsPerTrail"`
	ReportsPerTrail float64 `json:"reportsPerTrail,omitempty"`
	// PeakMiB is the process's peak of resident memory, RestMiB what is resident at the end of the scenario, and
	// AnonymousMiB the part of that which is not pages of its binary.
	PeakMiB      float64 `json:"peakMiB"`
	RestMiB      float64 `json:"restMiB"`
	AnonymousMiB float64 `json:"anonymousMiB"`
	CPUSeconds   float64 `json:"cpuSeconds"`
	// CPUShare is of one core, over the scenario.
	CPUShare float64 `json:"cpuShare"`
}

// medians returns each scenario's figures, each of which is the median of the runs'.
func medians(runs [][]figure) []figure {
	var result []figure
	for i := range runs[0] {
		middle := runs[0][i]
		parts := make([]figure, 0, len(runs))
		for _, run := range runs {
			parts = append(parts, run[i])
		}
		median := func(of func(*figure) float64) float64 { return medianOf(parts, of) }
		for _, of := range []func(*figure) *float64{
			func(f *figure) *float64 { return &f.Seconds },
			func(f *figure) *float64 { return &f.Aside },
			func(f *figure) *float64 { return &f.Repaired.P50 },
			func(f *figure) *float64 { return &f.Repaired.P99 },
			func(f *figure) *float64 { return &f.Repaired.Max },
			func(f *figure) *float64 { return &f.Named.P50 },
			func(f *figure) *float64 { return &f.Named.P99 },
			func(f *figure) *float64 { return &f.Named.Max },
			func(f *figure) *float64 { return &f.Left },
			func(f *figure) *float64 { return &f.CallsPerTrail },
			func(f *figure) *float64 { return &f.Throttles },
			func(f *figure) *float64 { return &f.WritesPerTrail },
			func(f *figure) *float64 { return &f.EventsPerTrail },
			func(f *figure) *float64 { return &f.ReportsPerTrail },
			func(f *figure) *float64 { return &f.PeakMiB },
			func(f *figure) *float64 { return &f.RestMiB },
			func(f *figure) *float64 { return &f.AnonymousMiB },
			func(f *figure) *float64 { return &f.CPUSeconds },
			func(f *figure) *float64 { return &f.CPUShare },
		} {
			*of(&middle) = median(func(f *figure) float64 { return *of(f) })
		}
		calls := map[string]float64{}
		for _, run := range runs {
			for operation := range run[i].Calls {
				calls[operation] = median(func(f *figure) float64 { return f.Calls[operation] })
			}
		}
		middle.Calls = calls
		result = append(result, middle)
	}
	return result
}

// medianOf returns the median of a value of all runs.
func medianOf[F any](runs []F, of func(*F) float64) float64 {
	values := make([]float64, 0, len(runs))
	for i := range runs {
		values = append(values, of(&runs[i]))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// show prints a table, and under it the AWS calls by operation.
func show(out io.Writer, figures []figure) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(
		table,
		"trails\tshape\taccounts\tlimits\tscenario\tseconds\tfloor\tAWS calls\tthrottles\twrites\tevents\treports\t"+
			"peak MiB\trest MiB\tanonymous\tCPU s\tCPU %\t",
	)

	for i := range figures {
		f := &figures[i]
		fmt.Fprintf(
			table,
			"%d\t%s\t%d\t%t\t%s\t%.2f\t%s\t%.2f\t%.0f\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%.0f\t%.2f\t%.1f\t\n",
			f.Trails,
			f.Shape,
			f.Accounts,
			f.Limits,
			f.Scenario,
			f.Seconds,
			f.floorText(),
			f.CallsPerTrail,
			f.Throttles,
			f.WritesPerTrail,
			f.EventsPerTrail,
			f.ReportsPerTrail,
			f.PeakMiB,
			f.RestMiB,
			f.AnonymousMiB,
			f.CPUSeconds,
			100*f.CPUShare,
		)
	}
	if err := table.Flush(); err != nil {
		return err
	}

	for i := range figures {
		f := &figures[i]
		if f.Aside > 0 {
			fmt.Fprintf(
				out,
				"%d trails in %d accounts, %s: %s after %.2f s\n",
				f.Trails,
				f.Accounts,
				f.Scenario,
				asides[f.Scenario],
				f.Aside,
			)
		}
	}

	for i := range figures {
		f := &figures[i]
		if f.Repaired != (spread{}) {
			fmt.Fprintf(
				out,
				"%d trails in %d accounts, %s: from the event until logging: %s; until named: %s\n",
				f.Trails,
				f.Accounts,
				f.Scenario,
				f.Repaired,
				f.Named,
			)
		}
		if strings.HasSuffix(f.Scenario, "-foreign") {
			fmt.Fprintf(
				out,
				"%d trails in %d accounts, %s: %.0f messages left in the queue\n",
				f.Trails,
				f.Accounts,
				f.Scenario,
				f.Left,
			)
		}
	}

	for i := range figures {
		f := &figures[i]
		fmt.Fprintf(out, "%d trails in %d accounts, %s: %s\n", f.Trails, f.Accounts, f.Scenario, f.callsText())
	}
	return nil
}

// asides say what something beside a scenario was.
var asides = map[string]string{
	"restart":   "a change that was made right after it was done",
	"neighbors": "a lookup of their neighbor was answered",
}

// floorText shows the floor and how much more was needed.
func (f *figure) floorText() string {
	if f.Floor == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (×%.1f)", f.Floor, f.Seconds/f.Floor)
}

// callsText shows the AWS calls by operation.
func (f *figure) callsText() string {
	text := []string{"AWS calls per trail"}
	for _, operation := range slices.Sorted(maps.Keys(f.Calls)) {
		text = append(text, fmt.Sprintf("%s %.2f", operation, f.Calls[operation]))
	}
	return strings.Join(text, ", ")
}
