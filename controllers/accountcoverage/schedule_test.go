package accountcoverage

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// assessedAt returns an identity whose account was assessed at a time.
func assessedAt(at time.Time, status metav1.ConditionStatus) *v1alpha1.AWSIdentity {
	identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "one", UID: "uid", Generation: 1}}
	identity.Status.Coverage = &v1alpha1.Coverage{AssessedTime: metav1.NewTime(at)}
	identity.Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.ConditionRecorded, Status: status, Reason: "Some", ObservedGeneration: 1},
	}
	return identity
}

// TestDueAt holds when an account is assessed.
func TestDueAt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct {
		identity *v1alpha1.AWSIdentity
		edit     func(*v1alpha1.AWSIdentity)
		started  time.Time
		changed  time.Time
		// earliest and latest are when it is due; both zero: at once.
		earliest, latest time.Time
	}{
		"a quiet one": {
			identity: assessedAt(now, metav1.ConditionTrue), earliest: now.Add(interval - drift), latest: now.Add(interval),
		},
		"an unknown one": {
			identity: assessedAt(now, metav1.ConditionUnknown),
			earliest: now.Add(unknownInterval), latest: now.Add(unknownInterval),
		},
		"one that is overdue when the process starts": {
			identity: assessedAt(ago(24*time.Hour), metav1.ConditionTrue), started: now,
			earliest: now, latest: now.Add(startSpread),
		},
		"one that changes": {
			identity: assessedAt(ago(30*time.Minute), metav1.ConditionTrue), changed: now,
			earliest: now.Add(settle), latest: now.Add(settle),
		},
		"one that changes again": {
			identity: assessedAt(now, metav1.ConditionTrue), changed: now.Add(time.Second),
			earliest: now.Add(pause), latest: now.Add(pause),
		},
		"one with another spec": {
			identity: assessedAt(now, metav1.ConditionTrue), edit: func(i *v1alpha1.AWSIdentity) { i.Generation = 2 },
		},
		"a new one": {
			identity: assessedAt(now, metav1.ConditionTrue),
			edit:     func(i *v1alpha1.AWSIdentity) { i.Status = v1alpha1.AWSIdentityStatus{} }, started: now,
		},
		"one that somebody asks for": {
			identity: assessedAt(now, metav1.ConditionTrue), edit: func(i *v1alpha1.AWSIdentity) {
				i.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			r := &Reconciler{Options: Options{Now: func() time.Time { return now }}, started: c.started}
			if c.edit != nil {
				c.edit(c.identity)
			}
			if !c.changed.IsZero() {
				r.memory.change("one", c.changed)
			}
			due := r.dueAt(c.identity, &record{})
			g.Expect(due).To(BeTemporally(">=", c.earliest))
			g.Expect(due).To(BeTemporally("<=", c.latest))
		})
	}
}

// TestShare holds that the shares of many identities are spread over the whole.
func TestShare(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	minutes := map[int]int{}
	for i := range 1000 {
		identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{UID: types.UID(fmt.Sprintf("uid-%d", i))}}
		part := share(5*time.Minute, identity)
		g.Expect(part).To(And(BeNumerically(">=", 0), BeNumerically("<", 5*time.Minute)))
		minutes[int(part.Minutes())]++
	}
	g.Expect(minutes).To(HaveLen(5))
	for _, count := range minutes {
		g.Expect(count).To(BeNumerically(">", 100))
	}
}

// TestOfTrails holds which changes of a Trail have which identities assessed: those that exist and ask for it. Tenants
// choose the names of identities, so no other name is remembered.
func TestOfTrails(t *testing.T) {
	t.Parallel()
	trail := func(identity string, edit func(*v1alpha1.Trail)) *v1alpha1.Trail {
		trail := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
		trail.Spec.IdentityRef = &v1alpha1.IdentityReference{Name: identity}
		trail.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionLogging, Status: metav1.ConditionTrue}}
		edit(trail)
		return trail
	}
	same := func(*v1alpha1.Trail) {}
	turned := func(t *v1alpha1.Trail) { t.Status.Conditions[0].Status = metav1.ConditionFalse }
	for name, c := range map[string]struct {
		before, after *v1alpha1.Trail
		want          []string
	}{
		"nothing":  {trail("one", same), trail("one", same), nil},
		"it turns": {trail("one", same), trail("one", turned), []string{"one"}},
		"its spec": {trail("one", same), trail("one", func(t *v1alpha1.Trail) { t.Generation = 2 }), []string{"one"}},
		"a time": {trail("one", same), trail("one", func(t *v1alpha1.Trail) {
			t.Status.LatestDeliveryTime = new(metav1.Now())
		}), nil},
		"its identity": {
			trail("one", same), trail("two", func(t *v1alpha1.Trail) { t.Generation = 2 }), []string{"one", "two"},
		},
		"not assessed": {trail("silent", same), trail("silent", turned), nil},
		"no such":      {trail("none", same), trail("none", turned), nil},
		"it is not known": {
			trail("one", same), trail("one", func(t *v1alpha1.Trail) { t.Status.Conditions = nil }), []string{"one"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			scheme := runtime.NewScheme()
			g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
			builder := fake.NewClientBuilder().WithScheme(scheme)
			for name, assessed := range map[string]bool{"one": true, "two": true, "silent": false} {
				identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: name}}
				identity.Spec.AssessCoverage = &assessed
				builder.WithObjects(identity)
			}
			r := &Reconciler{Options: Options{
				Client: builder.Build(), Sessions: cloudtrail.NewSessions(cloudtrail.Options{}), Now: time.Now,
			}}
			q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
			defer q.ShutDown()
			r.ofTrails().Update(t.Context(), event.UpdateEvent{ObjectOld: c.before, ObjectNew: c.after}, q)
			g.Expect(r.memory.changed).To(HaveLen(len(c.want)))
			for _, name := range c.want {
				g.Expect(r.memory.changed).To(HaveKey(name))
			}
		})
	}
}
