// Package requeue runs reconciles again that wait for something outside of Kubernetes.
package requeue

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Priority is that of an object that can go on. What CloudTrail's rate limit allows now is lost if nobody uses it, so
// it comes before objects whose work has not begun.
const Priority = 100

// Wait is what a reconcile returns that can go on only after an answer from outside: it is to be woken then. Should
// nobody wake it, it looks by itself after the given time.
func Wait(after time.Duration) (reconcile.Result, error) {
	return reconcile.Result{RequeueAfter: after, Priority: new(Priority)}, nil
}

// InTurn returns the result of a reconcile without the priority of one that waits for AWS, which the queue would keep.
// Looks, retries and what people change then come in the order of time: neither a flood of changes nor one of failures
// puts off anybody else's looks.
func InTurn(result reconcile.Result, err error) (reconcile.Result, error) {
	if result.Priority == nil {
		result.Priority = new(0)
	}
	return result, err
}

// The pace of retries after a refusal that somebody else may end: policies and roles take seconds to be seen everywhere
// in AWS, and people take longer.
const (
	// QuickRetry is the wait in the first minute.
	QuickRetry   = 5 * time.Second
	quickRetries = time.Minute
	// SlowRetry is the longest wait.
	SlowRetry = 5 * time.Minute
)

// AfterRefusal returns the wait before the next try of something that has been refused for so long: short in the first
// minute, then a quarter of the time that the refusal lasts, up to SlowRetry.
func AfterRefusal(lasted time.Duration) time.Duration {
	if lasted < quickRetries {
		return QuickRetry
	}
	return min(lasted/4, SlowRetry)
}

// afterConflict is the wait until the cache has the object as somebody else has written it.
const afterConflict = 200 * time.Millisecond

// OnConflict is what a reconcile returns for an error of the Kubernetes API. A conflict is no error: the object has
// changed, and is reconciled as it is then. One that is gone needs nothing more.
func OnConflict(err error) (reconcile.Result, error) {
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: afterConflict}, nil
	}
	return reconcile.Result{}, client.IgnoreNotFound(err)
}

// Queue is the queue of a controller, for those who wake its objects. The zero value wakes nobody until it is a source
// of the controller.
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
