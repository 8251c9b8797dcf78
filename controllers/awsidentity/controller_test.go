package awsidentity

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// TestFaultsAreRetried holds how long the queue waits after a passing fault. Its default would be up to 1000 seconds.
func TestFaultsAreRetried(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	limiter, request := controllerOptions().RateLimiter, reconcile.Request{}
	for wait := firstRetry; wait < lastRetry; wait *= 2 {
		g.Expect(limiter.When(request)).To(Equal(wait))
	}
	for range 100 {
		g.Expect(limiter.When(request)).To(Equal(time.Minute))
	}
	limiter.Forget(request)
	g.Expect(limiter.When(request)).To(Equal(200 * time.Millisecond))
}

// TestRetryAfter holds that what others must change is tried quickly at first, then ever more slowly, and never given
// up.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	now := time.Now()
	r := &Reconciler{Options: Options{Now: func() time.Time { return now }}}
	for lasted, wait := range map[time.Duration]time.Duration{
		-time.Hour:       5 * time.Second, // By another clock.
		0:                5 * time.Second,
		59 * time.Second: 5 * time.Second,
		time.Minute:      15 * time.Second,
		10 * time.Minute: 150 * time.Second,
		20 * time.Minute: 5 * time.Minute,
		8760 * time.Hour: 5 * time.Minute,
	} {
		g.Expect(r.retryAfter(metav1.NewTime(now.Add(-lasted)))).To(Equal(wait), lasted.String())
	}
}

// TestRequests holds that each request is acted on once by each operator that shares a cluster.
func TestRequests(t *testing.T) {
	t.Parallel()
	const now, later = "now", "later"
	type seen struct{ request, echoed string }
	for name, c := range map[string]struct {
		seen  []seen
		taken []bool
	}{
		"none":                                 {[]seen{{"", ""}, {"", ""}}, []bool{false, false}},
		"one":                                  {[]seen{{"", ""}, {now, ""}, {now, now}}, []bool{false, true, false}},
		"one that another operator has echoed": {[]seen{{"", ""}, {now, now}, {now, now}}, []bool{false, true, false}},
		"one during a fault":                   {[]seen{{"", ""}, {now, ""}, {now, ""}}, []bool{false, true, false}},
		"two": {
			[]seen{{now, ""}, {now, now}, {later, now}, {later, later}}, []bool{true, false, true, false},
		},
		"one that is taken back and made anew": {[]seen{{now, ""}, {"", now}, {now, now}}, []bool{true, false, true}},
		"one from before this process":         {[]seen{{now, now}, {now, now}}, []bool{false, false}},
		"one from between two processes":       {[]seen{{later, now}, {later, later}}, []bool{true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			var m memory
			for i, seen := range c.seen {
				identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{UID: "uid"}}
				if seen.request != "" {
					identity.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: seen.request}
				}
				identity.Status.LastHandledReconcileAt = seen.echoed
				known := m.of(identity, func(types.NamespacedName) {})
				g.Expect(known.requested(identity)).To(Equal(c.taken[i]), "at %d", i)
				known.handled = v1alpha1.ReconcileRequest(identity) // As at the end of a reconcile.
			}
			m.forget("uid", cloudtrail.NewSessions(cloudtrail.Options{}))
			g.Expect(m.identities).To(BeEmpty())
		})
	}
}

// TestDeleted holds that nothing is kept of an identity that is gone, whoever has let it go.
func TestDeleted(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	r := &Reconciler{Options: Options{Sessions: cloudtrail.NewSessions(cloudtrail.Options{})}}
	identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "default", UID: "uid"}}
	r.memory.of(identity, func(types.NamespacedName) {})
	r.deleted(t.Context(), event.DeleteEvent{Object: identity}, nil)
	g.Expect(r.memory.identities).To(BeEmpty())
}

// TestPriority holds that only an identity that waits for AWS comes before others, and does so no longer than it waits.
func TestPriority(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	now := metav1.Now()
	identity := &v1alpha1.AWSIdentity{
		ObjectMeta: metav1.ObjectMeta{Name: "default", DeletionTimestamp: &now, Finalizers: []string{v1alpha1.Finalizer}},
	}
	user := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "audit"}}
	scheme := runtime.NewScheme()
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(identity, user).WithStatusSubresource(identity).Build()
	r, err := New(Options{
		Client:   c,
		Trails:   c,
		Recorder: events.NewFakeRecorder(10),
		Sessions: cloudtrail.NewSessions(cloudtrail.Options{}),
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(identity), identity)).To(Succeed())
	result, err := r.Reconcile(t.Context(), identity)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(result.RequeueAfter).To(BeNumerically(">", 0), "it waits for its users")
	g.Expect(result.Priority).To(HaveValue(BeZero()))
}

// TestIdentityLeft holds when the identity of a Trail is looked at, which may wait for it to go.
func TestIdentityLeft(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	naming := func(name string) *v1alpha1.Trail {
		return &v1alpha1.Trail{Spec: v1alpha1.TrailSpec{IdentityRef: &v1alpha1.IdentityReference{Name: name}}}
	}
	g.Expect(identityLeft.Create(event.CreateEvent{Object: naming("one")})).To(BeFalse())
	g.Expect(identityLeft.Update(event.UpdateEvent{ObjectOld: naming("one"), ObjectNew: naming("one")})).To(BeFalse())
	g.Expect(identityLeft.Update(event.UpdateEvent{ObjectOld: naming("one"), ObjectNew: naming("other")})).To(BeTrue())
	g.Expect(identityLeft.Update(event.UpdateEvent{ObjectOld: naming("one"), ObjectNew: &v1alpha1.Trail{}})).
		To(BeTrue(), "it is the default's now")
	g.Expect(identityLeft.Delete(event.DeleteEvent{Object: naming("one")})).To(BeTrue())
}

// TestSameStatusIsNotWritten holds that a check which finds what was found before writes nothing: this one has nothing
// to write with.
func TestSameStatusIsNotWritten(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	identity := &v1alpha1.AWSIdentity{}
	setStatus(identity, nil)
	g.Expect((&Reconciler{}).writeStatus(t.Context(), identity.DeepCopy(), identity)).To(Succeed())
}
