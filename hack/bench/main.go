// Command bench measures the built operator as a process of its own, against a real etcd and kube-apiserver and the
// emulated AWS: how long a fleet takes, how many calls and writes it costs, and how much memory and processor time it
// needs.
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
	sizes      []size
	interval   time.Duration
	looks      int
	stops      int
	awsLatency time.Duration
	members    int
	identities int
	runs       int
	scenarios  []string
	reports    bool
	binary     string
	arguments  []string
	jsonFile   string
	profiles   string
}

// size is how big a fleet is.
type size struct {
	trails int
	// perAccount is how many trails an account has; 0: all.
	perAccount int
	// limits says whether AWS's limits hold.
	limits bool
	shape  shape
	// latency is how long AWS takes for every answer.
	latency time.Duration
}

// shape is what the trails of a fleet are like.
type shape string

const (
	// plain trails have a bucket and nothing else.
	plain shape = "plain"
	// usual trails are as people have them: a prefix, validation, all regions and tags; each tenth has data event
	// selectors.
	usual shape = "usual"
	// full trails have data event selectors, Insights and aggregation besides.
	full shape = "full"
)

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
	return fmt.Sprintf("%d %s trails in %d accounts %s", z.trails, z.shape, z.accounts(), limits)
}

// trailsPerRegion is CloudTrail's limit for an account and region.
const trailsPerRegion = 5

// fullLatency is how long AWS takes at least for a fleet of full trails: what people measure from another continent.
const fullLatency = 60 * time.Millisecond

// fleets are the fleets of so many trails of a shape, by name.
var fleets = map[string]func(trails int, shape shape, latency time.Duration) size{
	"one": func(trails int, shape shape, latency time.Duration) size {
		return size{trails, 0, false, shape, latency}
	},
	"many": func(trails int, shape shape, latency time.Duration) size {
		return size{trails, trailsPerRegion, false, shape, latency}
	},
	"limits": func(trails int, shape shape, latency time.Duration) size {
		return size{trails, trailsPerRegion, true, shape, latency}
	},
	"full": func(trails int, _ shape, latency time.Duration) size {
		return size{trails, trailsPerRegion, true, full, max(latency, fullLatency)}
	},
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
	var trails, names, scenarios, shapes string

	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.StringVar(&trails, "trails", "500", "The numbers of trails, such as 500,2000,10000.")
	set.StringVar(
		&names,
		"fleets",
		"one,many,limits,full",
		"The fleets: all trails in one account (one); 5 in each of many accounts (many); "+
			"the same with AWS's limits of 5 trails, 1 write and 10 reads a second (limits); "+
			"and the same with full trails and 60 ms latency (full).",
	)
	set.StringVar(&shapes, "shape", string(usual), "The shape of the trails: plain, usual or full.")
	set.DurationVar(&s.awsLatency, "latency", 20*time.Millisecond, "How long AWS takes to answer each call.")
	set.DurationVar(&s.interval, "interval", 10*time.Second, "The operator's --resync-interval.")
	set.IntVar(&s.looks, "looks", 3, "The number of intervals for which to watch a fleet at rest.")
	set.IntVar(&s.stops, "stops", 500, "The number of single changes while the operator receives events.")
	set.IntVar(&s.runs, "runs", 1, "The number of runs; the table shows medians.")
	set.StringVar(
		&scenarios,
		"scenarios",
		"idle,converge,rest,drift,neighbors,restart,deletion",
		"The scenarios to measure, in this order. A fleet must converge before it can be at rest or deleted. There is also "+
			"events (events-foreign, events-burst and events-changes), before drift: its figures are those of events only "+
			"with an -interval in which nothing is found without them, such as 1h. validate-logs, validation and coverage "+
			"have no fleet: they measure the command, a LogFileValidation, and the assessment of accounts.",
	)
	set.IntVar(
		&s.members,
		"members",
		117,
		"The number of member accounts of the organization of validation. Each has, as the management account, 17 chains.",
	)
	set.IntVar(&s.identities, "identities", 1000, "The number of AWSIdentities of coverage, each of another account.")
	set.StringVar(
		&s.binary,
		"operator",
		"bin/trail-operator",
		"The operator's binary. Arguments after the flags are passed to it.",
	)
	set.BoolVar(&s.reports, "reports", false, "Have the operator write reports of openreports.io.")
	set.StringVar(&s.jsonFile, "json", "", "Also write the figures to this file.")
	set.StringVar(
		&s.profiles,
		"profiles",
		"",
		"Also write the operator's profiles to this folder: CPU at the start of each scenario, heap at its end.",
	)

	if err := set.Parse(arguments); err != nil {
		return s, err
	}
	s.arguments = set.Args()

	for scenario := range strings.SplitSeq(scenarios, ",") {
		found := slices.DeleteFunc(scenarioNames(), func(name string) bool {
			return name != scenario && !strings.HasPrefix(name, scenario+"-")
		})
		if len(found) == 0 {
			known := strings.Join(scenarioNames(), ", ")
			return s, fmt.Errorf("-scenarios: %q is not one of %s, and not events", scenario, known)
		}
		s.scenarios = append(s.scenarios, found...)
	}
	if s.stops < 1 {
		return s, fmt.Errorf("-stops: %d is not a number of changes", s.stops)
	}
	if !slices.Contains([]shape{plain, usual, full}, shape(shapes)) {
		return s, fmt.Errorf("-shape: %q is not one of plain, usual, full", shapes)
	}

	for n := range strings.SplitSeq(trails, ",") {
		count, err := strconv.Atoi(n)
		if err != nil || count < 1 {
			return s, fmt.Errorf("-trails: %q is not a number of trails", n)
		}
		for name := range strings.SplitSeq(names, ",") {
			fleet, ok := fleets[name]
			if !ok {
				return s, fmt.Errorf("-fleets: %q is not one of one, many, limits, full", name)
			}
			s.sizes = append(s.sizes, fleet(count, shape(shapes), s.awsLatency))
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

	all := &results{}
	if slices.ContainsFunc(lifeNames(), s.measures) {
		for _, z := range s.sizes {
			figures, err := runs(s, func() ([]figure, error) { return measure(ctx, s, z) })
			if err != nil {
				return fmt.Errorf("%s: %w", z, err)
			}
			all.fleets = append(all.fleets, medians(figures)...)
		}
	}
	if s.measures(validateLogsScenario) {
		if all.commands, err = validateLogs(ctx, s); err != nil {
			return err
		}
	}
	if s.measures(validationScenario) {
		figures, err := runs(s, func() ([]validated, error) { return validationFigures(ctx, s) })
		if err != nil {
			return fmt.Errorf("validation: %w", err)
		}
		all.validations = medianCosts(figures, func(v *validated) *cost { return &v.cost })
	}

	if s.measures(coverageScenario) {
		figures, err := runs(s, func() ([]assessed, error) { return coverageFigures(ctx, s) })
		if err != nil {
			return fmt.Errorf("coverage: %w", err)
		}
		all.assessments = medianCosts(figures, func(a *assessed) *cost { return &a.cost })
	}

	if s.jsonFile != "" {
		if err := all.write(s.jsonFile); err != nil {
			return err
		}
	}
	return all.show(os.Stdout)
}

// measures tells whether a scenario is to be measured.
func (s settings) measures(scenario string) bool { return slices.Contains(s.scenarios, scenario) }

// runs measures something so many times as the settings say.
func runs[F any](s settings, measure func() ([]F, error)) ([][]F, error) {
	var all [][]F
	for range s.runs {
		figures, err := measure()
		if err != nil {
			return nil, err
		}
		all = append(all, figures)
	}
	return all, nil
}

// results are the figures of a bench.
type results struct {
	fleets      []figure
	commands    []commandFigure
	validations []validated
	assessments []assessed
}

// write writes all figures to a file, as one list.
func (r *results) write(file string) error {
	var all []any
	for i := range r.fleets {
		all = append(all, r.fleets[i])
	}
	for i := range r.commands {
		all = append(all, r.commands[i])
	}
	for i := range r.validations {
		all = append(all, r.validations[i])
	}
	for i := range r.assessments {
		all = append(all, r.assessments[i])
	}
	content, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(content, '\n'), 0o600)
}

// show prints the figures that there are.
func (r *results) show(out io.Writer) error {
	var err error
	if len(r.fleets) > 0 {
		err = show(out, r.fleets)
	}
	if len(r.commands) > 0 {
		err = errors.Join(err, showCommands(out, r.commands))
	}
	if len(r.validations) > 0 {
		err = errors.Join(err, showValidations(out, r.validations))
	}
	if len(r.assessments) > 0 {
		err = errors.Join(err, showAssessments(out, r.assessments))
	}
	return err
}
