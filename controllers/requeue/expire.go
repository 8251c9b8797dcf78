package requeue

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Expiring is an object that is deleted some time after it has finished.
type Expiring interface {
	client.Object
	// ExpiresAt returns when the object is to be deleted; never when it is not ok.
	ExpiresAt() (at time.Time, ok bool)
}

// Expire deletes an object when its time is over, unless somebody has changed it since it was read, and else says when
// that will be.
func Expire(ctx context.Context, c client.Client, object Expiring, now time.Time) (reconcile.Result, error) {
	at, ok := object.ExpiresAt()
	if !ok {
		return reconcile.Result{}, nil
	}
	if wait := at.Sub(now); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	read := client.Preconditions{UID: new(object.GetUID()), ResourceVersion: new(object.GetResourceVersion())}
	return OnConflict(client.IgnoreNotFound(c.Delete(ctx, object, read)))
}
