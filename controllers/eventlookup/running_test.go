package eventlookup

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

func lookupOf(namespace, identity string, number int) *v1alpha1.EventLookup {
	name := fmt.Sprintf("lookup-%d", number)
	lookup := &v1alpha1.EventLookup{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + identity + name)},
	}
	lookup.Spec.IdentityRef = &v1alpha1.IdentityReference{Name: identity}
	return lookup
}

func newRunning() running {
	return running{calls: map[types.UID]*lookupCalls{}, count: map[string]int{}}
}

// TestRunning holds how many lookups are run at once.
func TestRunning(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	r, sessions := newRunning(), cloudtrail.NewSessions(cloudtrail.Options{})
	begin := func(lookup *v1alpha1.EventLookup) *cloudtrail.Calls {
		calls, isNew := r.begin(lookup, func(types.NamespacedName) {})
		g.Expect(isNew).To(Equal(calls != nil))
		return calls
	}
	for number := range runningAtOnce {
		lookup := lookupOf("team", "default", number)
		calls := begin(lookup)
		g.Expect(calls).NotTo(BeNil())
		same, isNew := r.begin(lookup, func(types.NamespacedName) {})
		g.Expect(same).To(BeIdenticalTo(calls), "what was answered is kept")
		g.Expect(isNew).To(BeFalse())
	}
	next := lookupOf("team", "default", runningAtOnce)
	g.Expect(begin(next)).To(BeNil(), "the others wait")
	g.Expect(begin(lookupOf("other", "default", 0))).NotTo(BeNil(), "other namespaces do not")
	g.Expect(begin(lookupOf("team", "audit", 0))).NotTo(BeNil(), "nor do other identities")

	for range 2 {
		r.end(lookupOf("team", "default", 2).UID, sessions)
	}
	g.Expect(begin(next)).NotTo(BeNil(), "the end of one lets the next one run")
	g.Expect(begin(lookupOf("team", "default", runningAtOnce+1))).To(BeNil(), "one, as it has ended once")

	for number := range runningAtOnce + 2 {
		r.end(lookupOf("team", "default", number).UID, sessions)
	}
	r.end(lookupOf("other", "default", 0).UID, sessions)
	r.end(lookupOf("team", "audit", 0).UID, sessions)
	g.Expect(r.calls).To(BeEmpty())
	g.Expect(r.count).To(BeEmpty())
}

// lookupClient returns a client that holds these lookups.
func lookupClient(t *testing.T, lookups ...client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().
		WithScheme(scheme).
		WithObjects(lookups...).
		WithStatusSubresource(&v1alpha1.EventLookup{}).
		Build()
}

func newTestReconciler(t *testing.T, c client.Client) *Reconciler {
	t.Helper()
	r, err := New(Options{
		Client: c, Recorder: events.NewFakeRecorder(100), Sessions: cloudtrail.NewSessions(cloudtrail.Options{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestNothingIsLeftOfALookup holds that a lookup that is gone, or about to go, keeps no other from being run, whenever
// it goes.
func TestNothingIsLeftOfALookup(t *testing.T) {
	t.Parallel()
	lookup := lookupOf("team", "default", 1)
	begun := func(r *Reconciler) { r.running.begin(lookup, func(types.NamespacedName) {}) }
	for name, c := range map[string]func(ctx context.Context, g Gomega) *Reconciler{
		"it goes while it is run": func(ctx context.Context, _ Gomega) *Reconciler {
			r := newTestReconciler(t, lookupClient(t))
			begun(r)
			r.deleted(ctx, event.DeleteEvent{Object: lookup}, nil)
			return r
		},
		"it goes right before it is run": func(ctx context.Context, g Gomega) *Reconciler {
			r := newTestReconciler(t, lookupClient(t))
			r.deleted(ctx, event.DeleteEvent{Object: lookup}, nil)
			result, err := r.Reconcile(ctx, lookup.DeepCopy())
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(result.RequeueAfter).To(BeZero())
			return r
		},
		"it goes right before it is run, and another one of its name comes": func(ctx context.Context, g Gomega) *Reconciler {
			another := lookup.DeepCopy()
			another.UID = "another"
			r := newTestReconciler(t, lookupClient(t, another))
			r.deleted(ctx, event.DeleteEvent{Object: lookup}, nil)
			_, err := r.Reconcile(ctx, lookup.DeepCopy())
			g.Expect(err).NotTo(HaveOccurred())
			return r
		},
		"it is being deleted, and a finalizer keeps it": func(ctx context.Context, g Gomega) *Reconciler {
			r := newTestReconciler(t, lookupClient(t))
			begun(r)
			deleted := lookup.DeepCopy()
			deleted.DeletionTimestamp, deleted.Finalizers = &metav1.Time{Time: time.Now()}, []string{"example.org/keep"}
			result, err := r.Reconcile(ctx, deleted)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(result.RequeueAfter).To(BeZero(), "nothing is asked for it any more")
			return r
		},
		"nobody knows whether it is gone": func(ctx context.Context, g Gomega) *Reconciler {
			unreadable := errors.New("etcdserver: request timed out")
			r := newTestReconciler(t, interceptor.NewClient(lookupClient(t), interceptor.Funcs{
				Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
					return unreadable
				},
			}))
			_, err := r.Reconcile(ctx, lookup.DeepCopy())
			g.Expect(err).To(MatchError(unreadable))
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			r := c(t.Context(), g)
			g.Expect(r.running.calls).To(BeEmpty())
			g.Expect(r.running.count).To(BeEmpty())
		})
	}
}

// TestPriorities holds that only what waits for AWS comes before others, and does so no longer than it waits.
func TestPriorities(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	lookup := lookupOf("team", "default", 1)
	r := newTestReconciler(t, lookupClient(t, lookup))
	result, err := r.Reconcile(t.Context(), lookup.DeepCopy())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(result.RequeueAfter).To(BeNumerically(">", 0), "its identity does not exist")
	g.Expect(result.Priority).To(HaveValue(BeZero()))
}

// TestUntilNextTurn holds that lookups that wait for long, of which there may be thousands, ask ever less often.
func TestUntilNextTurn(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	for age, wait := range map[time.Duration]time.Duration{
		-time.Second: waitToRun, 0: waitToRun, time.Minute: waitToRun,
		10 * time.Minute: 20 * time.Second, 24 * time.Hour: longestWait,
	} {
		g.Expect(untilNextTurn(age)).To(Equal(wait), "%s", age)
	}
}

// TestExpiresAsItIs holds that a lookup is deleted only as it was seen: neither one of its name that was made anew, nor
// one that was given another time to live.
func TestExpiresAsItIs(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	lookup := lookupOf("team", "default", 1)
	lookup.ResourceVersion = "7"
	lookup.Spec.TTLSecondsAfterFinished = new(int32)
	lookup.Status.CompletionTime = &metav1.Time{Time: time.Unix(0, 0)}
	asked := client.DeleteOptions{}
	watching := interceptor.NewClient(lookupClient(t), interceptor.Funcs{
		Delete: func(_ context.Context, _ client.WithWatch, _ client.Object, options ...client.DeleteOption) error {
			asked.ApplyOptions(options)
			return nil
		},
	})
	_, err := newTestReconciler(t, watching).Reconcile(t.Context(), lookup)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(asked.Preconditions).NotTo(BeNil(), "it is deleted")
	g.Expect(asked.Preconditions.UID).To(HaveValue(Equal(lookup.UID)))
	g.Expect(asked.Preconditions.ResourceVersion).To(HaveValue(Equal("7")))
}

// TestLookupsOfIdentity holds which lookups are looked at when an identity comes or changes: those that wait for it.
func TestLookupsOfIdentity(t *testing.T) {
	t.Parallel()
	finished := lookupOf("team", "default", 2)
	finished.Status.CompletionTime = &metav1.Time{Time: time.Now()}
	r := newTestReconciler(t, lookupClient(t, lookupOf("team", "default", 1), finished,
		lookupOf("team", "audit", 3), lookupOf("other", "default", 4)))
	var names []string
	identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	for _, request := range r.lookupsOfIdentity(t.Context(), identity) {
		names = append(names, request.String())
	}
	NewWithT(t).Expect(names).To(ConsistOf("team/lookup-1", "other/lookup-4"))
}

// TestRejected holds that a lookup fails for good only when its question is at fault: what AWS says of its identity may
// be mended.
func TestRejected(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	g.Expect(rejected(&invalid{})).To(BeTrue())
	for class, operations := range map[cloudtrail.Class]map[string]bool{
		cloudtrail.FixSpec:    {"LookupEvents": true, "AssumeRole": false, "GetCallerIdentity": false},
		cloudtrail.FixAWS:     {"LookupEvents": false},
		cloudtrail.Permission: {"LookupEvents": false},
		cloudtrail.Transient:  {"LookupEvents": false},
	} {
		for operation, want := range operations {
			g.Expect(rejected(&cloudtrail.Error{Operation: operation, Class: class})).To(Equal(want), "%s %s", operation, class)
		}
	}
}
