// The emulator command serves an emulated AWS CloudTrail and STS for people: demos, the AWS CLI, a cluster without an
// AWS account. Tests use package cloudtrailtest directly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "emulator:", err)
		os.Exit(1) //nolint:gocritic // the signal handler needs no undoing
	}
}

// shutdownGrace is how long answers under way may take after the signal to stop.
const shutdownGrace = 5 * time.Second

// run serves until ctx is done.
func run(ctx context.Context, args []string, out io.Writer) error {
	var opts cloudtrailtest.Options
	flags := flag.NewFlagSet("emulator", flag.ContinueOnError)
	flags.SetOutput(out)
	listen := flags.String("listen", "127.0.0.1:4566", "address to listen on; port 0 picks a free one")
	logCalls := flags.Bool("log", false, "print one line a call")
	flags.BoolVar(
		&opts.OpenResources,
		"open-resources",
		true,
		"every well-formed bucket, topic, key, log group and role exists with the right policy",
	)
	flags.BoolVar(&opts.NoTrailLimit, "no-trail-limit", false, "lift the quota of 5 trails a region")
	flags.BoolVar(&opts.NoRateLimit, "no-rate-limit", false, "lift the request rates")
	flags.BoolVar(&opts.PerOperationRate, "per-operation-rate", false, "give every operation a request rate of its own")
	flags.DurationVar(&opts.Latency, "latency", 0, "time added to every answer")
	flags.DurationVar(&opts.HistoryLag, "history-lag", 0, "how long a recorded event cannot be looked up yet")
	flags.DurationVar(
		&opts.HistoryLagMax,
		"history-lag-max",
		0,
		"the longest history lag, if each event has one of its own",
	)
	flags.DurationVar(&opts.ReadLag, "read-lag", 0, "how long reads do not show a write")
	flags.DurationVar(&opts.ReadLagMax, "read-lag-max", 0, "the longest read lag, if each read has one of its own")
	flags.DurationVar(&opts.ConsistencyLag, "consistency-lag", 0, "how long reads do not show a new trail")
	flags.DurationVar(&opts.EventDelay, "event-delay", 0, "how much later than its effect the event of a call is")
	flags.BoolVar(
		&opts.RepeatedCallsMoveTimes,
		"repeated-calls-move-times",
		false,
		"let StopLogging of a stopped trail move the time it stopped",
	)
	flags.DurationVar(
		&opts.DeliveryInterval,
		"delivery-interval",
		0,
		"how often the delivery times of logging trails move on; 0: never",
	)
	flags.BoolVar(&opts.RecordReads, "record-reads", false, "record reads in the event history as well")
	flags.BoolVar(
		&opts.RegisteredRolesOnly,
		"registered-roles-only",
		false,
		"let only roles be assumed that were put by the admin API",
	)
	flags.Int64Var(
		&opts.Seed,
		"seed",
		0,
		"seed of everything random: ids, keys, lags, faults; 0: ids and keys that nobody can know",
	)
	var keys []cloudtrailtest.Credentials
	flags.Func("credentials", "a further access key, as KEY:SECRET:ARN (repeatable)", func(text string) error {
		parts := strings.SplitN(text, ":", 3)
		if len(parts) != 3 || !strings.HasPrefix(parts[2], "arn:") {
			return errors.New("want KEY:SECRET:ARN")
		}
		keys = append(keys, cloudtrailtest.Credentials{AccessKeyID: parts[0], SecretAccessKey: parts[1], ARN: parts[2]})
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected arguments: %v", flags.Args())
	}

	srv := cloudtrailtest.New(opts)
	for _, k := range keys {
		srv.AddCredentials(k)
	}
	if *logCalls {
		srv.OnLog(func(c cloudtrailtest.Call) { fmt.Fprintln(out, line(c)) })
	}
	return serve(ctx, *listen, srv, out)
}

func serve(ctx context.Context, address string, emulator *cloudtrailtest.Server, out io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: emulator, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Fprintf(out, "listening on http://%s\n", listener.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	emulator.Close()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	return server.Shutdown(grace)
}

// line is a call as a log line.
func line(c cloudtrailtest.Call) string {
	result := "ok"
	if c.Error != "" {
		result = c.Error
	}
	return fmt.Sprintf("%s account=%s region=%s operation=%s target=%q result=%s key=%s agent=%q",
		c.Time.Format("15:04:05.000"), c.AccountID, c.Region, c.Operation, c.Target, result, c.AccessKeyID, c.UserAgent)
}
