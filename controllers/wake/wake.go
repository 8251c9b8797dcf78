// Package wake runs reconciles again that wait for something outside of Kubernetes.
package wake

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Priority is that of an object that can go on. What CloudTrail's rate limit allows now is lost if nobody uses it, so it comes
// before objects whose work has not begun.
const Priority = 100

// Wait is what a reconcile returns that can go on only after an answer from outside: it is to be woken then. Should nobody wake it, it
// looks by itself after the given time.
func Wait(after time.Duration) (reconcile.Result, error) {
	return reconcile.Result{RequeueAfter: after, Priority: new(Priority)}, nil
}

// Queue is the queue of a controller, for those who wake its objects. The zero value wakes nobody until it is a source of the
// controller.
type Queue struct {
	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Source returns a source for the controller, by which its queue becomes known.
func (q *Queue) Source() source.Source {
	return source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.queue = queue
		return nil
	})
}

// Wake reconciles an object now, before all others. It does not block.
func (q *Queue) Wake(key types.NamespacedName) {
	q.mu.Lock()
	queue := q.queue
	q.mu.Unlock()
	if prioritized, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: new(Priority)}, reconcile.Request{NamespacedName: key})
	}
}
