package trail

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// TestChangedFirst holds that at the start a change does not wait until thousands of Trails were looked at.
func TestChangedFirst(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trail   func(*v1alpha1.Trail)
		initial bool
		first   bool
	}{
		"as it was left": {nil, true, false},
		"changed":        {func(trail *v1alpha1.Trail) { trail.Generation++ }, true, true},
		"new":            {func(trail *v1alpha1.Trail) { trail.Status = v1alpha1.TrailStatus{} }, true, true},
		"to be deleted": {
			func(trail *v1alpha1.Trail) { trail.DeletionTimestamp = &metav1.Time{Time: testNow} }, true, true,
		},
		"a look is asked for": {func(trail *v1alpha1.Trail) {
			trail.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"}
		}, true, true},
		"created while the operator runs": {func(trail *v1alpha1.Trail) { trail.Generation++ }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			queue := priorityqueue.New[reconcile.Request]("test-" + t.Name())
			defer queue.ShutDown()
			trail := testTrail(func(trail *v1alpha1.Trail) {
				trail.Generation, trail.Status.ObservedGeneration = 1, 1
				if c.trail != nil {
					c.trail(trail)
				}
			})
			created := event.CreateEvent{Object: trail, IsInInitialList: c.initial}
			(&handler.EnqueueRequestForObject{}).Create(t.Context(), created, queue)
			(&Reconciler{}).created(t.Context(), created, queue)
			g.Expect(queue.Len()).To(Equal(1))
			_, priority, _ := queue.GetWithPriority()
			if c.first || !c.initial {
				g.Expect(priority).To(BeZero())
			} else {
				g.Expect(priority).To(Equal(handler.LowPriority))
			}
		})
	}
}

// TestIdentityChanged holds which changes of an identity its Trails are looked at for.
func TestIdentityChanged(t *testing.T) {
	t.Parallel()
	identity := func(generation int64, account string, ready metav1.ConditionStatus) *v1alpha1.AWSIdentity {
		i := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Generation: generation}}
		i.Status.AccountID = account
		if ready != "" {
			i.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: ready}}
		}
		return i
	}
	known := identity(1, "111122223333", metav1.ConditionTrue)
	for name, c := range map[string]struct {
		before, after *v1alpha1.AWSIdentity
		passes        bool
	}{
		"nothing":                      {known, known, false},
		"the spec":                     {known, identity(2, "111122223333", metav1.ConditionTrue), true},
		"it works for the first time":  {identity(1, "", ""), known, false},
		"it works at last":             {identity(1, "", metav1.ConditionFalse), known, true},
		"it works again":               {identity(1, "111122223333", metav1.ConditionFalse), known, true},
		"it does not work any more":    {known, identity(1, "111122223333", metav1.ConditionFalse), false},
		"it leads to another account":  {known, identity(1, "444455556666", metav1.ConditionTrue), true},
		"it does not know its account": {known, identity(1, "", metav1.ConditionTrue), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(identityChanged.Update(event.UpdateEvent{ObjectOld: c.before, ObjectNew: c.after})).To(
				Equal(c.passes),
			)
		})
	}
}

// TestLabelsChanged holds that of a namespace only its labels matter.
func TestLabelsChanged(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	namespace := func(labels, annotations map[string]string) *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{
			ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: labels, Annotations: annotations},
		}
	}
	some, other := map[string]string{"a": "1"}, map[string]string{"a": "2"}
	update := func(before, after *metav1.PartialObjectMetadata) bool {
		return labelsChanged.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after})
	}
	g.Expect(update(namespace(some, nil), namespace(other, nil))).To(BeTrue())
	g.Expect(update(namespace(some, nil), namespace(some, other))).To(BeFalse())
	g.Expect(labelsChanged.Create(event.CreateEvent{Object: namespace(some, nil)})).To(BeFalse())
	g.Expect(labelsChanged.Delete(event.DeleteEvent{Object: namespace(some, nil)})).To(BeFalse())
}

// TestReasons holds what a Trail is reconciled for.
func TestReasons(t *testing.T) {
	t.Parallel()
	asked := func(trail *v1alpha1.Trail) {
		trail.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"}
	}
	answered := func(trail *v1alpha1.Trail) { trail.Status.LastHandledReconcileAt = "now" }
	changed := func(trail *v1alpha1.Trail) { trail.Generation++ }
	deleted := func(trail *v1alpha1.Trail) { trail.DeletionTimestamp = ago(0) }
	refused := func(trail *v1alpha1.Trail) {
		set(trail, v1alpha1.ConditionSynced, metav1.ConditionFalse, "KmsException", "no")
	}
	for name, c := range map[string]struct {
		trail   func(*v1alpha1.Trail)
		failing bool
		reason  cloudtrail.Reason
	}{
		"nothing":                   {nil, false, cloudtrail.ForResync},
		"a change":                  {changed, false, cloudtrail.ForChange},
		"a deletion":                {deleted, false, cloudtrail.ForChange},
		"a refusal":                 {refused, false, cloudtrail.ForRetry},
		"a fault that is not shown": {nil, true, cloudtrail.ForRetry},
		"a change, after a refusal": {both(changed, refused), true, cloudtrail.ForChange},
		"a person":                  {asked, false, cloudtrail.ForRequest},
		"a person, whatever else":   {both(asked, changed, deleted, refused), true, cloudtrail.ForRequest},
		"a person who was answered": {both(asked, answered), false, cloudtrail.ForResync},
		"nobody has looked at it yet": {
			func(trail *v1alpha1.Trail) { trail.Status = v1alpha1.TrailStatus{} }, false, cloudtrail.ForChange,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail, record := testTrail(nil), newRecord()
			setStatus(trail, record, ends(nil, nil)(trail), true, testNow)
			if c.trail != nil {
				c.trail(trail)
			}
			if c.failing {
				record.failing = testNow
			}
			NewWithT(t).Expect((&Reconciler{}).reasonFor(trail, record)).To(Equal(c.reason))
		})
	}
}

// TestAttempt holds what makes the answers that AWS has given to a reconcile worthless: that it is another's.
func TestAttempt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*v1alpha1.Trail)
		same   bool
	}{
		"nothing": {func(*v1alpha1.Trail) {}, true},
		"the status": {
			func(trail *v1alpha1.Trail) { trail.ResourceVersion, trail.Status.TrailARN = "2", testARN }, true,
		},
		"a label":    {func(trail *v1alpha1.Trail) { trail.Labels = map[string]string{"a": "b"} }, true},
		"the spec":   {func(trail *v1alpha1.Trail) { trail.Generation++ }, false},
		"a deletion": {func(trail *v1alpha1.Trail) { trail.DeletionTimestamp = ago(0) }, false},
		"a request": {func(trail *v1alpha1.Trail) {
			trail.Annotations = map[string]string{v1alpha1.AnnotationFluxReconcileAt: "now"}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := testTrail(nil), testTrail(c.change)
			if c.same {
				NewWithT(t).Expect(attemptOf(after)).To(Equal(attemptOf(before)))
			} else {
				NewWithT(t).Expect(attemptOf(after)).NotTo(Equal(attemptOf(before)))
			}
		})
	}
}

// TestSameStatus holds that it is worth no write that all was well later, too, and that this is written along with
// something else.
func TestSameStatus(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	status := func(lastSynced *metav1.Time, message string) *v1alpha1.TrailStatus {
		return &v1alpha1.TrailStatus{
			LastSyncedTime: lastSynced, Conditions: []metav1.Condition{{Type: "Ready", Message: message}},
		}
	}
	before, later, other := status(ago(time.Hour), "a"), status(ago(0), "a"), status(ago(0), "b")
	g.Expect(sameStatus(before, later)).To(BeTrue())
	g.Expect(later.LastSyncedTime).To(Equal(ago(time.Hour)), "as it is at the API server")
	g.Expect(sameStatus(before, other)).To(BeFalse())
	g.Expect(other.LastSyncedTime).To(Equal(ago(0)))
	g.Expect(before.LastSyncedTime).To(Equal(ago(time.Hour)))
}

// TestOptions holds that a Reconciler that lacks something is not made.
func TestOptions(t *testing.T) {
	t.Parallel()
	whole := Options{
		Client: fake.NewClientBuilder().Build(), Live: fake.NewClientBuilder().Build(),
		Recorder: events.NewFakeRecorder(1),
		Sessions: noSessions(), ClusterID: "cluster", Interval: time.Minute,
	}
	t.Run("all is there", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		r, err := New(whole)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(r.Now()).To(BeTemporally("~", time.Now(), time.Minute))
	})
	for name, remove := range map[string]func(*Options){
		"Client":    func(o *Options) { o.Client = nil },
		"Live":      func(o *Options) { o.Live = nil },
		"Recorder":  func(o *Options) { o.Recorder = nil },
		"Sessions":  func(o *Options) { o.Sessions = nil },
		"ClusterID": func(o *Options) { o.ClusterID = "" },
		"Interval":  func(o *Options) { o.Interval = 0 },
	} {
		t.Run("without "+name, func(t *testing.T) {
			t.Parallel()
			options := whole
			remove(&options)
			_, err := New(options)
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring(name)))
		})
	}
}
