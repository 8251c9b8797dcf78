package apiserver_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/recorder"
	"github.com/trail-operator/trail-operator/hack/simulation/apiserver"
)

// replica is an operator that labels each Trail with its own name.
type replica struct {
	name    string
	manager ctrl.Manager
	client  client.Client
	stop    context.CancelFunc
	ended   chan error
}

// Reconcile labels the Trail, once, and tells an event.
func (r *replica) Reconcile(ctx context.Context, trail *v1alpha1.Trail) (reconcile.Result, error) {
	if trail.Labels["by"] != "" {
		return reconcile.Result{}, nil
	}
	before := trail.DeepCopy()
	trail.Labels = map[string]string{"by": r.name}
	return reconcile.Result{}, r.client.Patch(ctx, trail, client.MergeFrom(before))
}

// start starts a replica.
func start(t *testing.T, api *apiserver.Server, name string) *replica {
	t.Helper()
	g := NewWithT(t)
	base := rest.AddUserAgent(api.Config(), name)
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, "kube-system", "operator",
		resourcelock.ResourceLockConfig{Identity: name}, base, 10*time.Second)
	g.Expect(err).NotTo(HaveOccurred())
	manager, err := ctrl.NewManager(base, ctrl.Options{
		Scheme:                              newScheme(t),
		Metrics:                             server.Options{BindAddress: "0"},
		Controller:                          config.Controller{SkipNameValidation: new(true)},
		LeaderElection:                      true,
		LeaderElectionReleaseOnCancel:       true,
		LeaderElectionResourceLockInterface: lock,
	})
	g.Expect(err).NotTo(HaveOccurred())

	r := &replica{name: name, manager: manager, client: manager.GetClient(), ended: make(chan error, 1)}
	g.Expect(ctrl.NewControllerManagedBy(manager).For(&v1alpha1.Trail{}).
		Complete(reconcile.AsReconciler(manager.GetClient(), r))).To(Succeed())
	events, err := recorder.New(manager.GetConfig(), manager.GetHTTPClient(), manager.GetScheme(), name)
	g.Expect(err).NotTo(HaveOccurred())
	go func() {
		<-manager.Elected()
		events.Eventf(&corev1.Namespace{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: "default"},
		}, nil, corev1.EventTypeNormal, "Elected", "Elect", "%s leads", name)
	}()

	var ctx context.Context
	ctx, r.stop = context.WithCancel(t.Context())
	go func() { r.ended <- events.Run(ctx, manager.Start) }()
	return r
}

// TestManager runs two replicas of a manager with informers, leader election and events for hours, and hands the lease
// from one to the other.
func TestManager(t *testing.T) {
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		virtual := time.Now()
		api := newServer(t, apiserver.Options{})
		user, err := client.New(api.Config(), client.Options{Scheme: newScheme(t)})
		g.Expect(err).NotTo(HaveOccurred())
		by := func(name string) string {
			trail := &v1alpha1.Trail{}
			g.Expect(user.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: name}, trail)).To(Succeed())
			return trail.Labels["by"]
		}
		create := func(name string) {
			g.Expect(user.Create(t.Context(), newTrail(name))).To(Succeed())
		}

		create("before")
		first := start(t, api, "first")
		pass(time.Minute)
		second := start(t, api, "second")
		pass(time.Hour)
		create("between")
		pass(time.Hour)
		g.Expect([]string{by("before"), by("between")}).To(HaveEach("first"))

		first.stop()
		g.Expect(<-first.ended).To(Succeed())
		pass(time.Minute)
		create("after")
		pass(time.Hour)
		g.Expect(by("after")).To(Equal("second"))

		g.Expect(api.Objects(schema.GroupResource{Group: "events.k8s.io", Resource: "events"})).To(HaveLen(2))

		second.stop()
		g.Expect(<-second.ended).To(Succeed())
		g.Expect(time.Since(virtual)).To(BeNumerically(">", 3*time.Hour))
		synctest.Wait()
		g.Expect(api.Watches()).To(BeEmpty())
	})
	t.Logf("three virtual hours took %v", time.Since(began))
}

// pass lets virtual time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func newTrail(name string) *v1alpha1.Trail {
	return &v1alpha1.Trail{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       v1alpha1.TrailSpec{S3BucketName: "audit-logs"},
	}
}
