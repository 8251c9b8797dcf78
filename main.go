// Command trail-operator keeps AWS CloudTrail trails in line with Kubernetes Trail objects.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/go-logr/logr"
	uberzap "go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/command"
	"github.com/trail-operator/trail-operator/controllers/eventlookup"
	"github.com/trail-operator/trail-operator/controllers/export"
	"github.com/trail-operator/trail-operator/controllers/lease"
	"github.com/trail-operator/trail-operator/controllers/metrics"
	"github.com/trail-operator/trail-operator/controllers/recorder"
	"github.com/trail-operator/trail-operator/controllers/trail"
)

// version is set by the build.
var version = "dev"

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get

// flags are the operator's settings.
type flags struct {
	metricsAddress, probeAddress string
	pprofAddress                 string
	metricsSecure                bool
	metricsCertDir               string
	leaderElect                  bool
	leaderElectionNamespace      string
	leaderElectionID             string
	resyncInterval               time.Duration
	workers                      int
	clusterID                    string
	awsRegion                    string
	rateLimits                   cloudtrail.RateLimitMode
	watchNamespaces              string
	watchLabelSelector           string
	showVersion                  bool
	log                          zap.Options
}

// bindFlags declares the operator's flags.
func bindFlags(set *flag.FlagSet) *flags {
	// A stack trace of the library's queue under every error of AWS tells nobody anything.
	f := &flags{rateLimits: cloudtrail.RateLimitAuto, log: zap.Options{StacktraceLevel: zapcore.PanicLevel}}
	ctrl.RegisterFlags(set)

	set.StringVar(&f.metricsAddress, "metrics-bind-address", ":8443", "The address to serve metrics on. 0 turns them off.")
	set.BoolVar(&f.metricsSecure, "metrics-secure", true,
		"Serve metrics over HTTPS, to callers that Kubernetes authenticates and authorizes.")
	set.StringVar(&f.metricsCertDir, "metrics-cert-dir", "",
		"The directory with tls.crt and tls.key for the metrics. Defaults to a self-signed certificate.")
	set.StringVar(&f.probeAddress, "health-probe-bind-address", ":8081",
		"The address to serve /healthz and /readyz on. 0 turns them off.")
	set.StringVar(
		&f.pprofAddress,
		"pprof-bind-address",
		"0",
		"The address to serve Go's profiles on, under /debug/pprof/. Anybody who can reach the port can read them, "+
			"so use localhost:6060 or similar. 0 turns them off.",
	)

	set.BoolVar(
		&f.leaderElect,
		"leader-elect",
		true,
		"Elect a leader, so that only one of several replicas works at a time.",
	)
	set.StringVar(&f.leaderElectionNamespace, "leader-election-namespace", "",
		"The namespace of the leader election's lease. Defaults to the pod's namespace.")
	set.StringVar(&f.leaderElectionID, "leader-election-id", "trail-operator",
		"The name of the leader election's lease. Operators in the same namespace that work on different Trails need "+
			"different names.")

	set.DurationVar(&f.resyncInterval, "resync-interval", 5*time.Minute,
		"How often to resync a Trail without spec.interval: to check for drift and refresh the status.")
	set.IntVar(
		&f.workers,
		"max-concurrent-reconciles",
		64,
		"How many Trails to reconcile at once. They mostly wait for AWS.",
	)
	set.StringVar(&f.clusterID, "cluster-id", "",
		"The ID of this cluster in the owner tags of its trails. Defaults to the UID of the namespace kube-system.")

	set.StringVar(&f.awsRegion, "aws-region", "",
		"The region of Trails without spec.region. Defaults to the AWS SDK's region, such as AWS_REGION.")
	set.Var(&f.rateLimits, "aws-rate-limits",
		"When to stay within CloudTrail's rate limits: on, off, or auto (at AWS's own endpoints from the start, "+
			"at others once they throttle).")

	set.StringVar(
		&f.watchNamespaces,
		"watch-namespaces",
		"",
		"The namespaces to watch, separated by commas. If empty, all namespaces.",
	)
	set.StringVar(&f.watchLabelSelector, "watch-label-selector", "",
		"Reconcile only Trails and EventLookups with matching labels, such as shard=a, so that several operators can "+
			"share a cluster.")

	set.BoolVar(&f.showVersion, "version", false, "Print the version and exit.")
	f.log.BindFlags(set)
	return f
}

// gcPercent is GOGC where the environment does not set it: the operator mostly waits, so it has more time to collect
// garbage than a fleet of it may have memory.
const gcPercent = 40

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(program.Run(ctrl.SetupSignalHandler(), os.Args[1:], os.Stdout, os.Stderr))
}

// program is what the arguments choose from.
var program = command.Program{
	Name:    "trail-operator",
	Summary: "Keep AWS CloudTrail trails in line with Kubernetes Trail objects.",
	Default: command.Command{Summary: "Run the operator.", Bind: bindOperator},
	Commands: []command.Command{
		{Name: "export", Summary: "Print manifests for existing trails.", Bind: bindExport},
	},
}

func bindOperator(set *flag.FlagSet) command.Run {
	f := bindFlags(set)
	return func(ctx context.Context, output io.Writer) error {
		if f.showVersion {
			_, err := fmt.Fprintln(output, version)
			return err
		}
		return run(ctx, *f)
	}
}

func bindExport(set *flag.FlagSet) command.Run {
	options := export.Options{Version: version}
	options.BindFlags(set)
	return func(ctx context.Context, output io.Writer) error {
		if err := options.Validate(); err != nil {
			return &command.UsageError{Err: err}
		}
		return export.Run(ctx, options, output)
	}
}

// run runs the operator until the context ends.
func run(ctx context.Context, f flags) error {
	ctrl.SetLogger(newLogger(f.log))

	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("loading the Kubernetes client configuration: %w", err)
	}
	// The API server's priority and fairness does this better than a limit of our own.
	config.QPS = -1
	config.UserAgent = "trail-operator/" + version

	lock, mayWrite, err := newLock(config, f)
	if err != nil {
		return err
	}
	manager, err := newManager(config, lock, f)
	if err != nil {
		return err
	}
	clusterID, err := clusterID(ctx, manager.GetAPIReader(), f.clusterID)
	if err != nil {
		return err
	}
	awsConfig, err := cloudtrail.LoadConfig(ctx, f.awsRegion)
	if err != nil {
		return err
	}
	meter, err := metrics.New(ctx, metrics.Options{
		Registerer:    ctrlmetrics.Registry,
		Cache:         manager.GetCache(),
		Elected:       manager.Elected(),
		Interval:      f.resyncInterval,
		DefaultRegion: awsConfig.Region,
		Version:       version,
	})
	if err != nil {
		return err
	}
	sessions := newSessions(awsConfig, clusterID, meter, mayWrite, f)
	events, err := recorder.New(manager.GetConfig(), manager.GetHTTPClient(), manager.GetScheme(), "trail-operator")
	if err != nil {
		return err
	}
	if err := addControllers(ctx, manager, events, sessions, meter, clusterID, f); err != nil {
		return err
	}
	ctrl.Log.WithName("setup").
		Info("starting", "version", version, "cluster", clusterID, "region", sessions.DefaultRegion())
	return events.Run(ctx, manager.Start)
}

// newLogger returns the logger of the options. Every line is written: the library would drop most of many changes of
// one second, and only from a level below debug on it does not; so that is its level, and the level that is asked for
// is set on top.
func newLogger(options zap.Options) logr.Logger {
	if options.Development {
		return zap.New(zap.UseFlagOptions(&options))
	}
	level := options.Level
	if level == nil {
		level = zapcore.InfoLevel
	}
	options.Level = zapcore.Level(math.MinInt8)
	options.ZapOpts = append(
		options.ZapOpts,
		uberzap.IncreaseLevel(level),
		uberzap.WrapCore(func(core zapcore.Core) zapcore.Core { return lazyCore{core} }),
	)
	return zap.New(zap.UseFlagOptions(&options))
}

// lazyCore encodes the fields of a logger when it writes its first line: most reconciles write none.
type lazyCore struct{ zapcore.Core }

// With implements zapcore.Core.
func (c lazyCore) With(fields []zapcore.Field) zapcore.Core {
	return lazyCore{zapcore.NewLazyWith(c.Core, fields)}
}

// newScheme knows what the operator works with. All of client-go's kinds would take a megabyte.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))
}

// newLock returns the leader election's lease, and what tells whether this process may write to AWS; nil without leader
// election.
func newLock(config *rest.Config, f flags) (resourcelock.Interface, func() error, error) {
	if !f.leaderElect {
		return nil, nil, nil
	}
	lock, err := lease.New(config, f.leaderElectionNamespace, f.leaderElectionID)
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
	f flags,
) *cloudtrail.Sessions {
	return cloudtrail.NewSessions(cloudtrail.Options{
		Config: config, ClusterID: clusterID, Version: version, RateLimits: f.rateLimits, Meter: meter, MayWrite: mayWrite,
	})
}

// shutdownWait is how long the controllers may take to end. The kubelet kills the process after the pod's
// terminationGracePeriodSeconds, 30 by default, and the recorder needs some of them for the last events.
const shutdownWait = 20 * time.Second

func newManager(config *rest.Config, lock resourcelock.Interface, f flags) (ctrl.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	cacheOptions, err := cacheOptions(f)
	if err != nil {
		return nil, err
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Cache:                  cacheOptions,
		Client:                 clientOptions(cacheOptions, f),
		Metrics:                metricsOptions(f),
		HealthProbeBindAddress: f.probeAddress,
		PprofBindAddress:       f.pprofAddress,
		LeaderElection:         f.leaderElect,
		LeaseDuration:          new(lease.Duration),
		RenewDeadline:          new(lease.RenewDeadline),
		RetryPeriod:            new(lease.RetryPeriod),

		LeaderElectionResourceLockInterface: lock,
		// When the manager has stopped, the process writes its last events and ends, so another replica may begin at
		// once.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(shutdownWait),
	})
	if err != nil {
		return nil, fmt.Errorf("creating the manager: %w", err)
	}
	// Alive is a process that answers, ready is one whose caches are filled. Neither asks AWS: a restart would not bring
	// it back.
	return manager, errors.Join(
		manager.AddHealthzCheck("ping", healthz.Ping),
		manager.AddReadyzCheck("caches", cachesSynced(manager.GetCache())),
	)
}

// cachesWait is how long a probe waits for the caches: less than the second that the kubelet waits for the probe.
const cachesWait = 500 * time.Millisecond

func cachesSynced(caches cache.Cache) healthz.Checker {
	return func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), cachesWait)
		defer cancel()
		if !caches.WaitForCacheSync(ctx) {
			return errors.New("the caches are not synced")
		}
		return nil
	}
}

// cacheOptions keep only what is worked on, without managedFields, which nobody reads.
func cacheOptions(f flags) (cache.Options, error) {
	options := cache.Options{DefaultTransform: cache.TransformStripManagedFields()}
	for namespace := range strings.SplitSeq(f.watchNamespaces, ",") {
		if namespace = strings.TrimSpace(namespace); namespace != "" {
			if options.DefaultNamespaces == nil {
				options.DefaultNamespaces = map[string]cache.Config{}
			}
			options.DefaultNamespaces[namespace] = cache.Config{}
		}
	}
	selector, err := labels.Parse(f.watchLabelSelector)
	if err != nil {
		return options, fmt.Errorf("--watch-label-selector: %w", err)
	}
	options.ByObject = map[client.Object]cache.ByObject{
		&v1alpha1.Trail{}: {Label: selector, Transform: trail.StripForCache},
		// What lookups have found is not worked on, and may be half a megabyte each.
		&v1alpha1.EventLookup{}: {Label: selector, Transform: eventlookup.WithoutEvents},
	}
	return options, nil
}

// clientOptions make reads wait for the process's own writes, so that no decision is made on what was just changed.
// With several namespaces the library cannot do that; the optimistic lock of every write is what remains then.
func clientOptions(cacheOptions cache.Options, f flags) client.Options {
	consistent := len(cacheOptions.DefaultNamespaces) < 2
	options := &client.CacheOptions{EnableReadYourWritesConsistency: &consistent}
	if scoped(f) {
		options.DisableFor = []client.Object{&corev1.Namespace{}}
	}
	return client.Options{Cache: options}
}

// scoped tells whether the operator works in some namespaces only. It may have no rights but in these then, so it does
// not watch Namespaces and reads them one by one.
func scoped(f flags) bool { return strings.Trim(f.watchNamespaces, ", ") != "" }

func metricsOptions(f flags) metricsserver.Options {
	options := metricsserver.Options{
		BindAddress:   f.metricsAddress,
		SecureServing: f.metricsSecure,
		CertDir:       f.metricsCertDir,
		// HTTP/2 brings nothing here, and has had its share of denial-of-service bugs.
		TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }},
	}
	if f.metricsSecure {
		options.FilterProvider = metrics.ForReaders
	}
	return options
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
func trailOptions(f flags) trail.Options {
	return trail.Options{Interval: f.resyncInterval, NamespacesUnwatched: scoped(f)}
}

func addControllers(
	ctx context.Context, manager ctrl.Manager, events events.EventRecorder, sessions *cloudtrail.Sessions,
	meter *metrics.Metrics, clusterID string, f flags,
) error {
	options := trailOptions(f)
	options.Client, options.Live = manager.GetClient(), manager.GetAPIReader()
	options.Recorder, options.Sessions, options.ClusterID = events, sessions, clusterID
	trails, err := trail.New(options)
	if err != nil {
		return err
	}
	meter.FollowResyncs(trails.Resynced)

	// Not from the cache, which may hold a part of the Trails only. What this operator has no right to read is left to the
	// others.
	allTrails := manager.GetAPIReader()
	if scoped(f) {
		allTrails = manager.GetClient()
	}

	identities, err := awsidentity.New(awsidentity.Options{
		Client:   manager.GetClient(),
		Trails:   allTrails,
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

	return errors.Join(
		trails.SetupWithManager(ctx, manager, f.workers),
		identities.SetupWithManager(manager),
		lookups.SetupWithManager(manager),
	)
}
