package operator

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/trail-operator/trail-operator/controllers/accountcoverage"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/eventlookup"
	"github.com/trail-operator/trail-operator/controllers/eventqueue"
	"github.com/trail-operator/trail-operator/controllers/lease"
	"github.com/trail-operator/trail-operator/controllers/logfilevalidation"
	"github.com/trail-operator/trail-operator/controllers/metrics"
	"github.com/trail-operator/trail-operator/controllers/recorder"
	"github.com/trail-operator/trail-operator/controllers/trail"
)

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get

// Environment is what the operator works in.
type Environment struct {
	// Cluster leads to the API server, and AWS to AWS.
	Cluster *rest.Config
	AWS     aws.Config
	// Metrics is where the operator's own metrics are registered.
	Metrics prometheus.Registerer
	// Shared says that this process runs other operators, too, at once or one after another.
	Shared bool
}

// Run runs the operator until the context ends, in the cluster and with the credentials of AWS that its process finds.
func Run(ctx context.Context, o Options) error {
	cluster, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("loading the Kubernetes client configuration: %w", err)
	}
	config, err := cloudtrail.LoadConfig(ctx, o.awsRegion)
	if err != nil {
		return err
	}
	return RunIn(ctx, Environment{Cluster: cluster, AWS: config, Metrics: ctrlmetrics.Registry}, o)
}

// RunIn runs the operator until the context ends.
func RunIn(ctx context.Context, environment Environment, o Options) error {
	if err := o.checkReports(); err != nil {
		return err
	}
	config := rest.CopyConfig(environment.Cluster)
	// The API server's priority and fairness does this better than a limit of our own.
	config.QPS = -1
	config.UserAgent = "trail-operator/" + o.Version

	if err := awaitAPIServer(ctx, config); err != nil {
		return err
	}

	lock, mayWrite, err := newLock(config, o)
	if err != nil {
		return err
	}
	manager, err := newManager(config, lock, environment.Shared, o)
	if err != nil {
		return err
	}
	clusterID, err := clusterID(ctx, manager.GetAPIReader(), o.clusterID)
	if err != nil {
		return err
	}

	meter, err := metrics.New(ctx, metrics.Options{
		Registerer:    environment.Metrics,
		Cache:         manager.GetCache(),
		Elected:       manager.Elected(),
		Interval:      o.resyncInterval,
		DefaultRegion: environment.AWS.Region,
		Profile:       o.profile.Profile,
		Version:       o.Version,
	})
	if err != nil {
		return err
	}
	sessions := newSessions(environment.AWS, clusterID, meter, mayWrite, o)
	events, err := recorder.New(manager.GetConfig(), manager.GetHTTPClient(), manager.GetScheme(), "trail-operator")
	if err != nil {
		return err
	}
	if err := addControllers(ctx, manager, events, sessions, meter, clusterID, o); err != nil {
		return err
	}
	ctrl.Log.WithName("setup").
		Info("starting", "version", o.Version, "cluster", clusterID, "region", sessions.DefaultRegion())
	return events.Run(ctx, manager.Start)
}

// newLock returns the leader election's lease, and what tells whether this process may write to AWS; nil without leader
// election.
func newLock(config *rest.Config, o Options) (resourcelock.Interface, func() error, error) {
	if !o.leaderElect {
		return nil, nil, nil
	}
	lock, err := lease.New(config, o.leaderElectionNamespace, o.leaderElectionID)
	if err != nil {
		return nil, nil, err
	}
	return lock, lock.Held, nil
}

// newSessions returns what speaks AWS. It asks mayWrite before each write; nil: it may.
func newSessions(
	config aws.Config,
	clusterID string,
	meter cloudtrail.Meter,
	mayWrite func() error,
	o Options,
) *cloudtrail.Sessions {
	return cloudtrail.NewSessions(cloudtrail.Options{
		Config: config, ClusterID: clusterID, Version: o.Version, RateLimits: o.rateLimits, Meter: meter, MayWrite: mayWrite,
	})
}

// clusterID returns the name of this cluster in owner tags.
func clusterID(ctx context.Context, reader client.Reader, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	namespace := &corev1.Namespace{}
	if err := reader.Get(ctx, client.ObjectKey{Name: "kube-system"}, namespace); err != nil {
		return "", fmt.Errorf(
			"reading the cluster ID, which is the UID of namespace kube-system (set --cluster-id to avoid this): %w",
			err,
		)
	}
	return string(namespace.UID), nil
}

// trailOptions are what the flags say of the controller of Trails.
func trailOptions(o Options) trail.Options {
	return trail.Options{Interval: o.resyncInterval, NamespacesUnwatched: o.scoped()}
}

func addControllers(
	ctx context.Context, manager ctrl.Manager, events events.EventRecorder, sessions *cloudtrail.Sessions,
	meter *metrics.Metrics, clusterID string, o Options,
) error {
	options := trailOptions(o)
	options.Client, options.Live = manager.GetClient(), manager.GetAPIReader()
	options.Recorder, options.Sessions, options.ClusterID = events, sessions, clusterID
	var listener *eventqueue.Listener
	options.Wrote = func(identity string) { listener.Wrote(identity) }
	trails, err := trail.New(options)
	if err != nil {
		return err
	}
	listener, err = eventqueue.New(eventqueue.Options{Sessions: sessions, Hear: trails.Hear, Meter: meter})
	if err != nil {
		return err
	}
	meter.FollowResyncs(trails.Resynced)

	// Not from the cache, which may hold a part of the Trails only. What this operator has no right to read is left to the
	// others.
	allTrails := manager.GetAPIReader()
	if o.scoped() {
		allTrails = manager.GetClient()
	}

	identityOptions := awsidentity.Options{
		Client: manager.GetClient(), Trails: allTrails, Recorder: events, Sessions: sessions, Events: listener,
	}
	if o.shares() {
		identityOptions.Events = nil // It would take from a queue what is for the others.
	}
	identities, err := awsidentity.New(identityOptions)
	if err != nil {
		return err
	}

	accounts, err := accountcoverage.New(accountcoverage.Options{
		Client:   manager.GetClient(),
		Recorder: events,
		Sessions: sessions,
	})
	if err != nil {
		return err
	}

	lookups, err := eventlookup.New(eventlookup.Options{
		Client:   manager.GetClient(),
		Recorder: events,
		Sessions: sessions,
	})
	if err != nil {
		return err
	}

	access := logfilevalidation.Access{Client: manager.GetClient(), Sessions: sessions}
	validations, err := logfilevalidation.New(logfilevalidation.Options{
		Client:   manager.GetClient(),
		Recorder: events,
		Open:     access.Opener(),
		Meter:    meter,
	})
	if err != nil {
		return err
	}

	return errors.Join(
		trails.SetupWithManager(ctx, manager, o.workers),
		identities.SetupWithManager(manager),
		accounts.SetupWithManager(manager),
		lookups.SetupWithManager(manager),
		validations.SetupWithManager(manager),
		addReports(manager, events, meter, o),
		manager.Add(listener),
	)
}
