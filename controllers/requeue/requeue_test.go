package requeue

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "team", Name: name}
}

func request(name string) reconcile.Request { return reconcile.Request{NamespacedName: key(name)} }

// inBubble tests the queue of a controller in virtual time. take returns what a worker is given, "" when there is
// nothing to do.
func inBubble(
	t *testing.T,
	test func(g Gomega, q *Queue, queue priorityqueue.PriorityQueue[reconcile.Request], take func() string),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g, q := NewWithT(t), &Queue{}
		queue := priorityqueue.New[reconcile.Request](t.Name())
		g.Expect(q.Source().Start(t.Context(), queue)).To(Succeed())
		test(g, q, queue, func() string {
			synctest.Wait() // What was added is in the queue.
			if queue.Len() == 0 {
				return ""
			}
			taken, priority, _ := queue.GetWithPriority()
			g.Expect(priority == Priority || priority == 0).To(BeTrue())
			return taken.Name
		})
		queue.ShutDown()
	})
}

// TestWait holds that an object that waits comes back by itself, before those whose work has not begun.
func TestWait(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	result, err := Wait(3 * time.Second)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(result).To(Equal(reconcile.Result{RequeueAfter: 3 * time.Second, Priority: new(Priority)}))
}

func TestWakeGoesFirst(t *testing.T) {
	t.Parallel()
	inBubble(t, func(g Gomega, q *Queue, queue priorityqueue.PriorityQueue[reconcile.Request], take func() string) {
		queue.Add(request("new"))
		queue.Add(request("waits"))
		q.Wake(key("second"))
		q.Wake(key("waits"))
		g.Expect([]string{take(), take(), take(), take()}).To(Equal([]string{"second", "waits", "new", ""}))
	})
}

// TestWakeOfWhatWaits holds that an object that was to come back later comes now, and once.
func TestWakeOfWhatWaits(t *testing.T) {
	t.Parallel()
	inBubble(t, func(g Gomega, q *Queue, queue priorityqueue.PriorityQueue[reconcile.Request], take func() string) {
		queue.AddWithOpts(priorityqueue.AddOpts{After: 5 * time.Second, Priority: new(Priority)}, request("waits"))
		g.Expect(take()).To(BeEmpty())
		q.Wake(key("waits"))
		q.Wake(key("waits"))
		g.Expect(take()).To(Equal("waits"))
		queue.Done(request("waits"))
		<-time.After(time.Minute)
		g.Expect(take()).To(BeEmpty())
	})
}

// TestWakeDuringAReconcile holds that a wake is not lost when the object is just being reconciled, nor when that says
// to come back later.
func TestWakeDuringAReconcile(t *testing.T) {
	t.Parallel()
	inBubble(t, func(g Gomega, q *Queue, queue priorityqueue.PriorityQueue[reconcile.Request], take func() string) {
		queue.Add(request("busy"))
		g.Expect(take()).To(Equal("busy"))
		q.Wake(key("busy"))
		queue.AddWithOpts(priorityqueue.AddOpts{After: time.Minute, Priority: new(Priority)}, request("busy"))
		queue.Done(request("busy"))
		start := time.Now()
		g.Expect(take()).To(Equal("busy"))
		g.Expect(time.Since(start)).To(BeZero())
		queue.Done(request("busy"))
		<-time.After(time.Hour)
		g.Expect(take()).To(BeEmpty())
	})
}

// TestWakeOfNobody holds that a wake before the controller has started, or of a queue without priorities, harms nobody:
// what waits comes back by itself.
func TestWakeOfNobody(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	q := &Queue{}
	q.Wake(key("early"))
	plain := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer plain.ShutDown()
	g.Expect(q.Source().Start(t.Context(), plain)).To(Succeed())
	q.Wake(key("plain"))
	g.Expect(plain.Len()).To(BeZero())
}

// TestInTurn holds that a reconcile that waited for AWS does not come before others for ever: the queue keeps a
// priority.
func TestInTurn(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	failed := errors.New("no")
	result, err := InTurn(reconcile.Result{}, failed)
	g.Expect(err).To(MatchError(failed))
	g.Expect(result.Priority).To(HaveValue(BeZero()))
	result, err = InTurn(reconcile.Result{RequeueAfter: time.Second}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(result).To(Equal(reconcile.Result{RequeueAfter: time.Second, Priority: new(0)}))
	waits, err := InTurn(Wait(time.Second))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(waits.Priority).To(HaveValue(Equal(Priority)))
}
