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
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// settings are what and how a bench measures.
type settings struct {
	sizes     []size
	latency   time.Duration
	interval  time.Duration
	looks     int
	runs      int
	scenarios []string
	binary    string
	arguments []string
	jsonFile  string
	profiles  string
}

// size is how big a fleet is.
type size struct {
	trails int
	// perAccount is how many trails an account has; 0: all.
	perAccount int
	// limits says whether AWS's limits hold.
	limits bool
}

// accounts is how many accounts the trails are spread over.
func (z size) accounts() int {
	if z.perAccount == 0 {
		return 1
	}
	return (z.trails + z.perAccount - 1) / z.perAccount
}

// String tells the size.
func (z size) String() string {
	limits := "without limits"
	if z.limits {
		limits = "with AWS's limits"
	}
	return fmt.Sprintf("%d trails in %d accounts %s", z.trails, z.accounts(), limits)
}

// trailsPerRegion is CloudTrail's limit for an account and region.
const trailsPerRegion = 5

// sizes returns the fleets of so many trails: all in one account, and as many to an account as AWS allows, without limits and with.
func sizes(trails int) []size {
	return []size{{trails, 0, false}, {trails, trailsPerRegion, false}, {trails, trailsPerRegion, true}}
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
	var s settings
	var trails, fleets, scenarios string
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.StringVar(&trails, "trails", "500", "How many trails, such as 500,2000,10000.")
	set.StringVar(&fleets, "fleets", "one,many,limits", "Which fleets: all trails in one account, 5 in each of many accounts, and these with AWS's limits of 5 trails, 1 write and 10 reads a second.")
	set.DurationVar(&s.latency, "latency", 20*time.Millisecond, "How long AWS takes for every answer.")
	set.DurationVar(&s.interval, "interval", 10*time.Second, "The operator's --resync-interval.")
	set.IntVar(&s.looks, "looks", 3, "For how many intervals to watch a fleet at rest.")
	set.IntVar(&s.runs, "runs", 1, "How often to measure; the table shows medians.")
	set.StringVar(&scenarios, "scenarios", "idle,converge,rest,drift,restart,deletion", "What to measure, in this order; nothing is at rest or deleted that has not converged.")
	set.StringVar(&s.binary, "operator", "bin/trail-operator", "The operator's binary. What follows the flags are more arguments for it.")
	set.StringVar(&s.jsonFile, "json", "", "Also write the figures to this file.")
	set.StringVar(&s.profiles, "profiles", "", "Also write the operator's profiles into this folder: processor time at the begin of each scenario, heap at its end.")
	if err := set.Parse(arguments); err != nil {
		return s, err
	}
	s.arguments = set.Args()
	s.scenarios = strings.Split(scenarios, ",")
	for _, scenario := range s.scenarios {
		if !slices.ContainsFunc(life, func(part scenarioOf) bool { return part.name == scenario }) {
			return s, fmt.Errorf("-scenarios: %q is none of idle, converge, rest, drift, restart, deletion", scenario)
		}
	}
	for n := range strings.SplitSeq(trails, ",") {
		count, err := strconv.Atoi(n)
		if err != nil || count < 1 {
			return s, fmt.Errorf("-trails: %q is not a number of trails", n)
		}
		for fleet := range strings.SplitSeq(fleets, ",") {
			i, ok := map[string]int{"one": 0, "many": 1, "limits": 2}[fleet]
			if !ok {
				return s, fmt.Errorf("-fleets: %q is none of one, many, limits", fleet)
			}
			s.sizes = append(s.sizes, sizes(count)[i])
		}
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
	if s.profiles != "" {
		if err := os.MkdirAll(s.profiles, 0o750); err != nil {
			return err
		}
	}
	var figures []figure
	for _, z := range s.sizes {
		var runs [][]figure
		for range s.runs {
			measured, err := measure(ctx, s, z)
			if err != nil {
				return fmt.Errorf("%s: %w", z, err)
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
	return show(os.Stdout, figures)
}
