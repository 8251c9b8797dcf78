package operator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	controllerconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/eventlookup"
	"github.com/trail-operator/trail-operator/controllers/lease"
	"github.com/trail-operator/trail-operator/controllers/metrics"
	"github.com/trail-operator/trail-operator/controllers/trail"
)

// newScheme knows what the operator works with. All of client-go's kinds would take a megabyte.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))
}

// shutdownWait is how long the controllers may take to end. The kubelet kills the process after the pod's
// terminationGracePeriodSeconds, 30 by default, and the recorder needs some of them for the last events.
const shutdownWait = 20 * time.Second

// newManager returns the manager. shared says that there are other managers in this process.
func newManager(config *rest.Config, lock resourcelock.Interface, shared bool, o Options) (ctrl.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	cacheOptions, err := cacheOptions(o)
	if err != nil {
		return nil, err
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Controller:             controllerconfig.Controller{SkipNameValidation: &shared},
		Cache:                  cacheOptions,
		Client:                 clientOptions(cacheOptions, o),
		Metrics:                metricsOptions(o),
		HealthProbeBindAddress: o.probeAddress,
		PprofBindAddress:       o.pprofAddress,
		LeaderElection:         o.leaderElect,
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
func cacheOptions(o Options) (cache.Options, error) {
	options := cache.Options{DefaultTransform: cache.TransformStripManagedFields()}
	for _, namespace := range o.namespaces() {
		if options.DefaultNamespaces == nil {
			options.DefaultNamespaces = map[string]cache.Config{}
		}
		options.DefaultNamespaces[namespace] = cache.Config{}
	}
	selector, err := labels.Parse(o.watchLabelSelector)
	if err != nil {
		return options, fmt.Errorf("--watch-label-selector: %w", err)
	}
	options.ByObject = map[client.Object]cache.ByObject{
		&v1alpha1.Trail{}: {Label: selector, Transform: trail.StripForCache},
		// What lookups have found is not worked on, and may be half a megabyte each.
		&v1alpha1.EventLookup{}:       {Label: selector, Transform: eventlookup.WithoutEvents},
		&v1alpha1.LogFileValidation{}: {Label: selector},
	}
	return options, nil
}

// clientOptions make reads wait for the process's own writes, so that no decision is made on what was just changed.
// With several namespaces the library cannot do that; the optimistic lock of every write is what remains then.
func clientOptions(cacheOptions cache.Options, o Options) client.Options {
	consistent := len(cacheOptions.DefaultNamespaces) < 2
	options := &client.CacheOptions{EnableReadYourWritesConsistency: &consistent}
	if o.scoped() {
		options.DisableFor = []client.Object{&corev1.Namespace{}}
	}
	return client.Options{Cache: options}
}

func metricsOptions(o Options) metricsserver.Options {
	options := metricsserver.Options{
		BindAddress:   o.metricsAddress,
		SecureServing: o.metricsSecure,
		CertDir:       o.metricsCertDir,
		// HTTP/2 brings nothing here, and has had its share of denial-of-service bugs.
		TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }},
	}
	if o.metricsSecure {
		options.FilterProvider = metrics.ForReaders
	}
	return options
}
