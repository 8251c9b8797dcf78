package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/sandbox"
)

const (
	// chainHours is how many hours the log archive of the command has, each with a digest and so many log files.
	chainHours, chainLogs = 172, 2
	// largeHours is how many hours the archive of large log files has, each with so many of them, and largeLog is how many
	// bytes one has, compressed: as many as CloudTrail writes at most.
	largeHours, largeLogs, largeLog = 2, 4, 50_000_000
	// archiveKept is how long the archive is kept: longer than it is.
	archiveKept = 30 * 24 * time.Hour
)

// archive is a trail whose bucket has log files and digests of them.
type archive struct {
	aws      *cloudtrailtest.Server
	endpoint string
	arn      string
	hours    int
	stop     func() error
}

// newArchive delivers so many hours of one trail in one account and region.
func newArchive(
	ctx context.Context,
	hours int,
	logs cloudtrailtest.LogDelivery,
	latency time.Duration,
) (*archive, error) {
	logs.Keep = archiveKept
	a := &archive{hours: hours, aws: cloudtrailtest.New(cloudtrailtest.Options{
		OpenResources: true, NoRateLimit: true, NoCallLog: true, Latency: latency, LogDelivery: &logs,
	})}
	var err error
	if a.arn, err = createLoggingTrail(a.aws, map[string]any{}); err != nil {
		return nil, err
	}
	if err := a.aws.DeliverHours(a.arn, hours); err != nil {
		return nil, err
	}
	a.endpoint, a.stop, err = sandbox.Serve(ctx, a.aws)
	return a, err
}

// since is the time from which on the archive has log files, as an argument.
func (a *archive) since() string {
	return time.Now().Add(-time.Duration(a.hours+1) * time.Hour).UTC().Format(time.RFC3339)
}

// commandFigure is what a run of a command cost.
type commandFigure struct {
	Scenario string `json:"scenario"`
	Command  string `json:"command"`
	Work     string `json:"work"`
	Latency  string `json:"latency"`
	// Seconds is the time on the clock.
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpuSeconds"`
	PeakMiB    float64 `json:"peakMiB"`
	// verdict is what the command says of the files.
	verdict string
}

// validateLogs measures the command validate-logs, and that of the AWS CLI where there is one.
func validateLogs(ctx context.Context, s settings) ([]commandFigure, error) {
	idle, err := s.repeated(commandFigure{Command: "trail-operator", Work: "--version"}, func() (commandFigure, error) {
		return runCommand(ctx, nil, s.binary, "--version")
	})
	if err != nil {
		return nil, err
	}
	figures := []commandFigure{idle}

	for _, latency := range slices.Compact([]time.Duration{s.awsLatency, 0}) {
		measured, err := s.compareCommands(ctx, latency)
		if err != nil {
			return nil, err
		}
		figures = append(figures, measured...)
	}
	large, err := s.largeLogFiles(ctx)
	return append(figures, large...), err
}

// compareCommands lets both commands validate the same archive. They must agree.
func (s settings) compareCommands(ctx context.Context, latency time.Duration) (figures []commandFigure, err error) {
	a, err := newArchive(ctx, chainHours, cloudtrailtest.LogDelivery{LogsPerHour: chainLogs}, latency)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.stop()) }()

	work := commandFigure{
		Command: "trail-operator", Work: objects(chainHours, chainHours*chainLogs), Latency: latency.String(),
	}
	ours, err := s.repeated(work, func() (commandFigure, error) { return s.validate(ctx, a, "Full") })
	if err != nil {
		return nil, err
	}
	figures = append(figures, ours)

	cli, err := exec.LookPath("aws")
	if err != nil {
		return figures, nil // There is nothing to compare with, which the figures say.
	}
	work.Command = "aws"
	theirs, err := s.repeated(work, func() (commandFigure, error) {
		return runCommand(ctx, awsEnvironment(a.endpoint), cli, "cloudtrail", "validate-logs", "--endpoint-url", a.endpoint,
			"--region", region, "--trail-arn", a.arn, "--start-time", a.since())
	})
	if err == nil && theirs.verdict != ours.verdict {
		err = fmt.Errorf("trail-operator says %q, and the AWS CLI says %q", ours.verdict, theirs.verdict)
	}
	return append(figures, theirs), err
}

// largeLogFiles validates log files as large as CloudTrail's largest: once only their digests, and once their content.
func (s settings) largeLogFiles(ctx context.Context) (figures []commandFigure, err error) {
	a, err := newArchive(ctx, largeHours, cloudtrailtest.LogDelivery{LogsPerHour: largeLogs, LogSize: largeLog}, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.stop()) }()

	for _, mode := range []string{"Digests", "Full"} {
		work := commandFigure{
			Command: "trail-operator", Latency: "0s",
			Work: fmt.Sprintf("%s of %d MB, mode %s", objects(largeHours, largeHours*largeLogs), largeLog/1_000_000, mode),
		}
		measured, err := s.repeated(work, func() (commandFigure, error) { return s.validate(ctx, a, mode) })
		if err != nil {
			return nil, err
		}
		figures = append(figures, measured)
	}
	return figures, nil
}

func objects(digests, logs int) string { return fmt.Sprintf("%d digests, %d log files", digests, logs) }

// validate runs validate-logs.
func (s settings) validate(ctx context.Context, a *archive, mode string) (commandFigure, error) {
	return runCommand(ctx, awsEnvironment(a.endpoint), s.binary, "validate-logs", "--trail-arn", a.arn,
		"--start-time", a.since(), "--mode", mode)
}

// repeated measures something so many times as the settings say, and returns the medians.
func (s settings) repeated(work commandFigure, run func() (commandFigure, error)) (commandFigure, error) {
	var runs []commandFigure
	for range s.runs {
		measured, err := run()
		if err != nil {
			return work, fmt.Errorf("%s, %s: %w", work.Command, work.Work, err)
		}
		runs = append(runs, measured)
	}
	work.Scenario, work.verdict = validateLogsScenario, runs[0].verdict
	for _, of := range []func(*commandFigure) *float64{
		func(f *commandFigure) *float64 { return &f.Seconds },
		func(f *commandFigure) *float64 { return &f.CPUSeconds },
		func(f *commandFigure) *float64 { return &f.PeakMiB },
	} {
		*of(&work) = medianOf(runs, func(f *commandFigure) float64 { return *of(f) })
	}
	return work, nil
}

// watchEvery is how often the memory of a command is looked at. What the kernel tells when it has ended does not do: it
// counts the memory of the process that has started it, too.
const watchEvery = 10 * time.Millisecond

// runCommand runs a command to its end, which must be a good one.
func runCommand(ctx context.Context, environment []string, name string, arguments ...string) (commandFigure, error) {
	var measured commandFigure
	var output bytes.Buffer
	command := exec.CommandContext(ctx, name, arguments...)
	command.Env, command.Stdout, command.Stderr = environment, &output, &output

	start := time.Now()
	if err := command.Start(); err != nil {
		return measured, err
	}
	ended, watched := make(chan struct{}), make(chan float64)
	go func() { watched <- watchPeak(&operator{command: command}, ended) }()
	err := command.Wait()
	measured.Seconds = time.Since(start).Seconds()
	close(ended)
	measured.PeakMiB = <-watched
	if err != nil {
		return measured, fmt.Errorf("%w: %s", err, output.Bytes()[max(0, output.Len()-4000):])
	}
	measured.CPUSeconds = (command.ProcessState.UserTime() + command.ProcessState.SystemTime()).Seconds()
	measured.verdict = verdictOf(output.String())
	return measured, nil
}

// watchPeak returns the peak of a process's memory.
func watchPeak(process *operator, ended <-chan struct{}) float64 {
	peak := 0.0
	for {
		if now, err := process.usage(); err == nil {
			peak = max(peak, now.peakMiB)
		}
		select {
		case <-ended:
			return peak
		case <-time.After(watchEvery):
		}
	}
}

// counted is how both commands say how many files are valid.
var counted = regexp.MustCompile(`(?m)^\d+/\d+ (?:digest|log) files valid`)

// verdictOf returns what a command says of the files.
func verdictOf(output string) string { return fmt.Sprint(counted.FindAllString(output, -1)) }

// showCommands prints the figures of commands, and how they compare.
func showCommands(out io.Writer, figures []commandFigure) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "command\twork\tlatency\tseconds\tCPU s\tpeak MiB\tfiles valid\t")
	for i := range figures {
		f := &figures[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%.2f\t%.2f\t%.1f\t%s\t\n",
			f.Command, f.Work, f.Latency, f.Seconds, f.CPUSeconds, f.PeakMiB, f.verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}

	compared := false
	for i := 1; i < len(figures); i++ {
		ours, theirs := &figures[i-1], &figures[i]
		if theirs.Command != "aws" {
			continue
		}
		compared = true
		fmt.Fprintf(out, "%s at a latency of %s: the AWS CLI takes %s times as long\n", theirs.Work, theirs.Latency,
			strconv.FormatFloat(theirs.Seconds/ours.Seconds, 'f', 1, 64))
	}
	if !compared {
		fmt.Fprintln(out, "There is no AWS CLI on the PATH, so nothing is compared with it.")
	}
	return nil
}
