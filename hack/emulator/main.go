// The emulator command serves an emulated AWS CloudTrail, STS, SQS and S3 for people: demos, the AWS CLI, a cluster
// without an AWS account. Tests use package cloudtrailtest directly.
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
	listen := flags.String("listen", "127.0.0.1:4566", "the address to listen on; port 0 picks a free port")
	logCalls := flags.Bool("log", false, "log one line for each call")
	flags.BoolVar(
		&opts.OpenResources,
		"open-resources",
		true,
		"every well-formed bucket, topic, key, log group and role exists and has the right policy",
	)
	flags.BoolVar(&opts.NoTrailLimit, "no-trail-limit", false, "turn off the quota of 5 trails in a region")
	flags.BoolVar(&opts.NoRateLimit, "no-rate-limit", false, "turn off the request rate limits")
	flags.BoolVar(
		&opts.PerOperationRate,
		"per-operation-rate",
		false,
		"use a request rate limit for each operation instead of one for each class",
	)
	flags.DurationVar(&opts.Latency, "latency", 0, "the latency of every answer")
	flags.DurationVar(&opts.HistoryLag, "history-lag", 0, "how long it takes until a recorded event can be looked up")
	flags.DurationVar(
		&opts.HistoryLagMax,
		"history-lag-max",
		0,
		"the maximum history lag; each event then has its own lag",
	)
	flags.DurationVar(&opts.ReadLag, "read-lag", 0, "how long reads do not show a write")
	flags.DurationVar(&opts.ReadLagMax, "read-lag-max", 0, "the maximum read lag; each read then has its own lag")
	flags.DurationVar(&opts.ConsistencyLag, "consistency-lag", 0, "how long reads do not show a new trail")
	flags.DurationVar(&opts.EventDelay, "event-delay", 0, "how much later than its effect the event of a call is")
	flags.BoolVar(
		&opts.RepeatedCallsMoveTimes,
		"repeated-calls-move-times",
		false,
		"let StopLogging of a stopped trail change the time when it stopped",
	)
	flags.DurationVar(
		&opts.DeliveryInterval,
		"delivery-interval",
		0,
		"how often the delivery times of logging trails advance; 0 means never",
	)
	flags.BoolVar(&opts.RecordReads, "record-reads", false, "also record reads in the event history")
	flags.BoolVar(
		&opts.RegisteredRolesOnly,
		"registered-roles-only",
		false,
		"allow only roles that were added through the admin API to be assumed",
	)
	flags.Int64Var(
		&opts.Seed,
		"seed",
		0,
		"the seed of everything random: IDs, keys, lags, faults; 0 means that IDs and keys are unpredictable",
	)
	var logs cloudtrailtest.LogDelivery
	logDeliveryFlags(flags, &logs)
	var keys []cloudtrailtest.Credentials
	flags.Func("credentials", "another access key, as KEY:SECRET:ARN (can be repeated)", func(text string) error {
		parts := strings.SplitN(text, ":", 3)
		if len(parts) != 3 || !strings.HasPrefix(parts[2], "arn:") {
			return errors.New("want KEY:SECRET:ARN")
		}
		keys = append(keys, cloudtrailtest.Credentials{AccessKeyID: parts[0], SecretAccessKey: parts[1], ARN: parts[2]})
		return nil
	})
	var queues []cloudtrailtest.Queue
	flags.Func(
		"queue",
		"a queue, as ACCOUNT/REGION/NAME, to which the calls of its account are forwarded (can be repeated)",
		func(text string) error {
			parts := strings.Split(text, "/")
			if len(parts) != 3 {
				return errors.New("want ACCOUNT/REGION/NAME")
			}
			queues = append(queues, cloudtrailtest.Queue{AccountID: parts[0], Region: parts[1], Name: parts[2]})
			return nil
		},
	)
	flags.DurationVar(&opts.Forwarding.MinDelay, "forwarding-delay", 0, "how long a forwarded call takes to its queue")
	flags.DurationVar(
		&opts.Forwarding.MaxDelay,
		"forwarding-delay-max",
		0,
		"the maximum of this delay; each call then has its own delay",
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected arguments: %v", flags.Args())
	}

	if logs.Hour > 0 {
		opts.LogDelivery = &logs
	}
	srv := cloudtrailtest.New(opts)
	for _, k := range keys {
		srv.AddCredentials(k)
	}
	for _, q := range queues {
		if err := srv.CreateQueue(q); err != nil {
			return err
		}
		srv.Forward(cloudtrailtest.Rule{AccountID: q.AccountID, QueueARN: q.ARN()})
	}
	if *logCalls {
		srv.OnLog(func(c cloudtrailtest.Call) { fmt.Fprintln(out, line(c)) })
	}
	return serve(ctx, *listen, srv, out)
}

// logDeliveryFlags adds the flags for what trails deliver to their buckets.
func logDeliveryFlags(flags *flag.FlagSet, logs *cloudtrailtest.LogDelivery) {
	flags.DurationVar(&logs.Hour, "log-delivery", 0,
		"let trails that log deliver log files and digests to their buckets, so that an hour of it lasts so long, "+
			"such as 1s; 0 means never")
	flags.Func("log-delivery-regions", "the regions in which a multi-region trail delivers, with commas; default: all",
		func(text string) error {
			logs.Regions = strings.Split(text, ",")
			return nil
		})
	flags.IntVar(&logs.LogsPerHour, "logs-per-hour", 1,
		"how many log files with made-up events each account and region has an hour")
	flags.IntVar(&logs.LogSize, "log-size", 0, "about how many bytes such a log file has, compressed")
	flags.DurationVar(&logs.Keep, "log-delivery-keep", 0,
		"how long, in hours of delivery, objects stay in the bucket; default 168h")
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
