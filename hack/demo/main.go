// Command demo shows the operator at work, without a cluster and without an AWS account: it brings up etcd, a
// kube-apiserver and an emulated AWS, runs the built operator against them, and plays a user, an intruder and an
// administrator.
//
// KUBEBUILDER_ASSETS names the folder with etcd and kube-apiserver. With KEEP=1 all stays up at the end, to play with.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/sandbox"
)

const (
	// eventDelay is how long EventBridge takes from a call to the queue.
	eventDelay = time.Second
	// historyLag is how long a call is not in CloudTrail's event history.
	historyLag = 5 * time.Minute
)

// events is the queue to which EventBridge sends the calls that CloudTrail records, in every account and region.
var events = cloudtrailtest.Queue{
	AccountID: account, Region: region, Name: "trail-operator",
	DeadLetterQueue: "trail-operator-dead-letter", MaxReceiveCount: 5,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted && (err == nil || errors.Is(err, context.Canceled)):
		say("Interrupted; everything that was started has been stopped.")
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// stage is where the demo plays.
type stage struct {
	aws        *cloudtrailtest.Server
	client     client.WithWatch
	tables     rest.Interface
	kubeconfig string
	endpoint   string
	log        string
}

func run(ctx context.Context) (err error) {
	log.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	dir, err := os.MkdirTemp("", "trail-operator-demo-")
	if err != nil {
		return err
	}
	keep := os.Getenv("KEEP") != ""
	s := &stage{kubeconfig: filepath.Join(dir, "kubeconfig"), log: filepath.Join(dir, "operator.log")}

	chapter("Starting a Kubernetes API server (etcd and kube-apiserver) and an emulated AWS")
	environment := sandbox.ControlPlane(".")
	defer func() { err = errors.Join(err, environment.Stop(), os.RemoveAll(dir)) }()
	if err := s.startCluster(environment); err != nil {
		return err
	}
	stopAWS, err := s.startAWS(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopAWS()) }()

	chapter("Starting bin/trail-operator, which checks every trail every 5 minutes, and at once when an event names it")
	stopOperator, err := s.startOperator(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopOperator()) }()

	if err := s.play(ctx); err != nil && ctx.Err() != nil {
		return ctx.Err()
	} else if err != nil {
		return errors.Join(err, s.showLog())
	}
	if keep {
		return s.wait(ctx)
	}
	return s.removeAll(ctx)
}

func (s *stage) startCluster(environment *envtest.Environment) error {
	config, err := environment.Start()
	if err != nil {
		return fmt.Errorf("starting the control plane: %w", err)
	}

	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	s.tables = clients.RESTClient()

	if err := os.WriteFile(s.kubeconfig, environment.KubeConfig, 0o600); err != nil {
		return err
	}
	scheme, err := sandbox.Scheme()
	if err != nil {
		return err
	}
	s.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	return err
}

// startAWS serves the emulated AWS on a loopback address, with what config/aws/events sets up.
func (s *stage) startAWS(ctx context.Context) (func() error, error) {
	s.aws = cloudtrailtest.New(cloudtrailtest.Options{
		OpenResources: true, HistoryLag: historyLag, LogDelivery: &logDelivery,
	})
	s.aws.SetOrganization(cloudtrailtest.Organization{ManagementAccount: account, ID: "o-demo123456"})

	dead := cloudtrailtest.Queue{AccountID: events.AccountID, Region: events.Region, Name: events.DeadLetterQueue}
	if err := errors.Join(s.aws.CreateQueue(dead), s.aws.CreateQueue(events)); err != nil {
		return nil, err
	}
	s.aws.Forward(cloudtrailtest.Rule{QueueARN: events.ARN()})
	s.aws.SetForwarding(cloudtrailtest.Forwarding{MinDelay: eventDelay, MaxDelay: eventDelay})

	endpoint, stop, err := sandbox.Serve(ctx, s.aws)
	s.endpoint = endpoint
	return stop, err
}

// startOperator runs the built operator as a process of its own, as it would run outside of a cluster.
func (s *stage) startOperator(ctx context.Context) (func() error, error) {
	output, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}

	operator := exec.CommandContext(
		ctx,
		filepath.Join("bin", "trail-operator"),
		"--leader-elect=false",
		"--metrics-bind-address=0",
		"--health-probe-bind-address=0",
	)
	operator.Env = append(
		os.Environ(),
		"KUBECONFIG="+s.kubeconfig,
		"AWS_ENDPOINT_URL="+s.endpoint,
		"AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=test",
		"AWS_SECRET_ACCESS_KEY=test",
	)
	operator.Stdout, operator.Stderr = output, output
	operator.Cancel = func() error { return operator.Process.Signal(syscall.SIGTERM) }
	operator.WaitDelay = 10 * time.Second

	if err := operator.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the operator (make build): %w", err), output.Close())
	}

	return func() error {
		if err := operator.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		err := operator.Wait()
		if ctx.Err() != nil {
			err = nil // Interrupted: it was told to stop.
		}
		return errors.Join(err, output.Close())
	}, nil
}

// wait leaves everything up until the user has enough.
func (s *stage) wait(ctx context.Context) error {
	chapter("Everything keeps running until you press Ctrl-C. In another terminal:")
	say("  export KUBECONFIG=%s", s.kubeconfig)
	say("  kubectl get trails -A")
	say("  kubectl explain trail.spec --recursive")
	say("")
	say("AWS is emulated at %s, and the operator's log is %s.", s.endpoint, s.log)
	say(
		"  aws --endpoint-url %s cloudtrail describe-trails   (access key test, secret test, region us-east-1)",
		s.endpoint,
	)
	<-ctx.Done()
	return nil
}

// showLog prints the operator's log, which tells what went wrong.
func (s *stage) showLog() error {
	content, err := os.ReadFile(s.log)
	fmt.Fprintf(os.Stderr, "\nThe operator's log:\n%s", content)
	return err
}
