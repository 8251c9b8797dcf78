package testbed

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// stopTimeout is how long a manager may need to stop.
const stopTimeout = 30 * time.Second

// ManagerOptions are those of a manager as the operator has one. Its cache holds the World's namespace and these, as
// other specs have theirs; it reads its own writes.
func (w *World) ManagerOptions(namespaces ...string) ctrl.Options {
	watched := map[string]cache.Config{w.Namespace: {}}
	for _, namespace := range namespaces {
		watched[namespace] = cache.Config{}
	}

	skip, consistent := true, true
	return ctrl.Options{
		Scheme:     w.Client.Scheme(),
		Cache:      cache.Options{DefaultNamespaces: watched},
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: ctrlconfig.Controller{SkipNameValidation: &skip}, // Other specs have controllers of the same names.
		Client:     client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: &consistent}},
	}
}

// StartManager starts a manager with the controllers that are set up with it. It ends with the spec.
func (w *World) StartManager(ctx context.Context, options ctrl.Options, setUp func(ctrl.Manager)) {
	GinkgoHelper()
	manager, err := ctrl.NewManager(w.config, options)
	Expect(err).NotTo(HaveOccurred())
	setUp(manager)

	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(running) }()
	DeferCleanup(func() {
		stop()
		Eventually(ended).WithTimeout(stopTimeout).Should(Receive(BeNil()), "the manager stops when it is told to")
	})
}
