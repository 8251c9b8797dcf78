package trail

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
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
		"to be deleted":  {func(trail *v1alpha1.Trail) { trail.DeletionTimestamp = &metav1.Time{Time: testNow} }, true, true},
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
			changedFirst.Create(t.Context(), created, queue)
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
