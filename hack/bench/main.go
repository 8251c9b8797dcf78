// Command bench measures the built operator as a process of its own, against a real etcd and kube-apiserver and the emulated
// AWS: how long a fleet takes, how many calls and writes it costs, and how much memory and processor time it needs.
//
// KUBEBUILDER_ASSETS names the folder with etcd and kube-apiserver.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// settings are what a bench measures.
type settings struct {
	trails      []int
	perAccount  int
	limits      bool
	latency     time.Duration
	interval    time.Duration
	looks       int
	runs        int
	operator    string
	operatorArg []string
	jsonFile    string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called.
	}
}

func parse(arguments []string) (settings, error) {
	s := settings{}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.Func("trails", "How many trails, such as 500,2000 (default 500).", func(list string) error {
		for n := range strings.SplitSeq(list, ",") {
			count, err := strconv.Atoi(n)
			if err != nil {
				return err
			}
			s.trails = append(s.trails, count)
		}
		return nil
	})
	set.IntVar(&s.perAccount, "per-account", 0, "Trails in each account; 0: all in one.")
	set.BoolVar(&s.limits, "limits", false, "Keep AWS's limits: 5 trails a region, 1 write and 10 reads a second.")
	set.DurationVar(&s.latency, "latency", 20*time.Millisecond, "How long AWS takes for every answer.")
	set.DurationVar(&s.interval, "interval", 10*time.Second, "The operator's --resync-interval.")
	set.IntVar(&s.looks, "looks", 3, "How many looks at rest to measure.")
	set.IntVar(&s.runs, "runs", 1, "How often to measure; the table shows medians.")
	set.StringVar(&s.operator, "operator", "bin/trail-operator", "The operator's binary.")
	set.StringVar(&s.jsonFile, "json", "", "Also write the figures to this file.")
	if err := set.Parse(arguments); err != nil {
		return s, err
	}
	s.operatorArg = set.Args()
	if len(s.trails) == 0 {
		s.trails = []int{500}
	}
	return s, nil
}

func run(ctx context.Context, arguments []string) error {
	log.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	s, err := parse(arguments)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	var figures []figure
	for _, trails := range s.trails {
		var runs [][]figure
		for range s.runs {
			measured, err := measure(ctx, s, trails)
			if err != nil {
				return fmt.Errorf("%d trails: %w", trails, err)
			}
			runs = append(runs, measured)
		}
		figures = append(figures, medians(runs)...)
	}
	if s.jsonFile != "" {
		content, err := json.MarshalIndent(figures, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.jsonFile, append(content, '\n'), 0o600); err != nil {
			return err
		}
	}
	return show(figures)
}

// figure is what one scenario cost.
type figure struct {
	Trails   int    `json:"trails"`
	Accounts int    `json:"accounts"`
	Limits   bool   `json:"limits"`
	Scenario string `json:"scenario"`
	// Seconds is how long it took; Floor how long the work itself takes at least.
	Seconds float64 `json:"seconds"`
	Floor   float64 `json:"floorSeconds,omitempty"`
	// CallsPerTrail are AWS calls, by operation too; at rest for each look.
	CallsPerTrail float64            `json:"awsCallsPerTrail"`
	Calls         map[string]float64 `json:"awsCallsPerTrailByOperation"`
	Throttles     int                `json:"throttles"`
	// WritesPerTrail are the writes of Trails to the API server, EventsPerTrail those of events; at rest for each look.
	WritesPerTrail float64 `json:"apiServerWritesPerTrail"`
	EventsPerTrail float64 `json:"eventsPerTrail"`
	// PeakMiB and RestMiB are the process's resident memory: its peak, and at the end of the scenario.
	PeakMiB    float64 `json:"peakMiB"`
	RestMiB    float64 `json:"restMiB"`
	CPUSeconds float64 `json:"cpuSeconds"`
	// CPUShare is of one core, over the scenario.
	CPUShare float64 `json:"cpuShare"`
}

// medians returns each scenario's figures of the run with the median time.
func medians(runs [][]figure) []figure {
	var result []figure
	for i := range runs[0] {
		var same []figure
		for _, run := range runs {
			same = append(same, run[i])
		}
		slices.SortFunc(same, func(a, b figure) int {
			switch {
			case a.Seconds < b.Seconds:
				return -1
			case a.Seconds > b.Seconds:
				return 1
			default:
				return 0
			}
		})
		result = append(result, same[len(same)/2])
	}
	return result
}

// show prints the table.
func show(figures []figure) error {
	writer := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(writer, "trails\taccounts\tlimits\tscenario\tseconds\tfloor\tAWS calls\tthrottles\twrites\tevents\tpeak MiB\trest MiB\tCPU s\tCPU %\t")
	for _, f := range figures {
		fmt.Fprintf(writer, "%d\t%d\t%t\t%s\t%.2f\t%s\t%.2f\t%d\t%.2f\t%.2f\t%.0f\t%.0f\t%.2f\t%.1f\t\n",
			f.Trails, f.Accounts, f.Limits, f.Scenario, f.Seconds, floorText(f), f.CallsPerTrail, f.Throttles, f.WritesPerTrail, f.EventsPerTrail, f.PeakMiB, f.RestMiB, f.CPUSeconds, 100*f.CPUShare)
	}
	if err := writer.Flush(); err != nil {
		return err
	}
	for _, f := range figures {
		fmt.Printf("%d trails, %s: AWS calls per trail:", f.Trails, f.Scenario)
		operations := make([]string, 0, len(f.Calls))
		for operation := range f.Calls {
			operations = append(operations, operation)
		}
		slices.Sort(operations)
		for _, operation := range operations {
			fmt.Printf(" %s %.2f", operation, f.Calls[operation])
		}
		fmt.Println()
	}
	return nil
}

// floorText shows the floor and how much more was needed.
func floorText(f figure) string {
	if f.Floor == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (×%.1f)", f.Floor, f.Seconds/f.Floor)
}
