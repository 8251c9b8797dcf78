package trail

import (
	"errors"
	"hash/fnv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// When to look again.
const (
	// patience is how long a worker waits for CloudTrail's rate limit before it turns to another trail.
	patience = 100 * time.Millisecond
	// firstRetry and lastRetry bound the wait after a passing fault, which doubles from try to try.
	firstRetry = 200 * time.Millisecond
	lastRetry  = time.Minute
	// hideFaults is how long passing faults are retried before the status shows them.
	hideFaults = time.Minute
	// quickRetry is the wait after a refusal that something else in AWS may end, in its first minute: policies and roles take
	// seconds to be seen everywhere.
	quickRetry = 5 * time.Second
	// quickRetries is how long quickRetry holds. After it the wait grows with the time since, up to slowRetry.
	quickRetries = time.Minute
	slowRetry    = 5 * time.Minute
	// turnPriority is for a trail whose turn under CloudTrail's rate limit has come. Nothing else of its account and region can use the turn,
	// so it comes before trails whose work has not begun.
	turnPriority = 100
	// settleRetry is the wait when AWS accepted a change and does not show it yet.
	settleRetry = 2 * time.Second
)

// next says when to look again.
func (r *Reconciler) next(trail *v1alpha1.Trail, v verdict, now time.Time) (reconcile.Result, error) {
	interval := trail.Spec.LookInterval(r.Interval)
	switch {
	case v.suspended:
		return reconcile.Result{}, nil
	case retryAfter(v.err) > 0:
		return reconcile.Result{RequeueAfter: retryAfter(v.err), Priority: new(turnPriority)}, nil
	case isTransient(v.err):
		return reconcile.Result{}, v.err
	case v.err != nil && !isStalled(trail):
		return poll(min(sinceNotReady(trail, now), interval)), nil
	case len(v.done) > 0 && len(v.open) > 0 && !isStalled(trail):
		return poll(settleRetry), nil
	default:
		return poll(untilLook(now, interval, v.accountID+"/"+v.region)), nil
	}
}

// poll looks again without a person waiting for it, so at low priority.
func poll(after time.Duration) reconcile.Result {
	return reconcile.Result{RequeueAfter: after, Priority: new(handler.LowPriority)}
}

// untilLook returns the time until the next regular look, half an interval to one and a half from now. All trails of an account and
// region have their looks at one time, as they share what is read; accounts and regions are spread over the interval.
func untilLook(now time.Time, interval time.Duration, place string) time.Duration {
	phase := fnv.New32a()
	phase.Write([]byte(place))
	offset := time.Duration(float64(interval) * float64(phase.Sum32()) / (1 << 32))
	since := time.Duration((now.UnixNano() - offset.Nanoseconds()) % interval.Nanoseconds())
	until := interval - since
	if until < interval/2 {
		until += interval
	}
	return until
}

// sinceNotReady returns the wait before the next try of something that AWS refuses: short at first, longer the longer it lasts.
func sinceNotReady(trail *v1alpha1.Trail, now time.Time) time.Duration {
	ready := meta.FindStatusCondition(trail.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil {
		return quickRetry
	}
	lasted := now.Sub(ready.LastTransitionTime.Time)
	if lasted < quickRetries {
		return quickRetry
	}
	return min(lasted/4, slowRetry)
}

// isTransient tells whether an error passes by itself. A trail that is suddenly there or not is a matter of looking again.
func isTransient(err error) bool {
	return cloudtrail.Is(err, cloudtrail.Transient) || cloudtrail.Is(err, cloudtrail.NotFound) || cloudtrail.Is(err, cloudtrail.AlreadyExists)
}

// retryAfter returns when the turn is of a call that waits for CloudTrail's rate limit, 0 for other errors.
func retryAfter(err error) time.Duration {
	if e := awsErrorOf(err); e != nil {
		return e.RetryAfter
	}
	return 0
}

func isStalled(trail *v1alpha1.Trail) bool {
	return meta.IsStatusConditionTrue(trail.Status.Conditions, v1alpha1.ConditionStalled)
}

func refusalOf(err error) *awsidentity.Refusal {
	if refusal, ok := errors.AsType[*awsidentity.Refusal](err); ok {
		return refusal
	}
	return nil
}

func awsErrorOf(err error) *cloudtrail.Error {
	if awsError, ok := errors.AsType[*cloudtrail.Error](err); ok {
		return awsError
	}
	return nil
}
