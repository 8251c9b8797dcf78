package trail

import (
	"errors"
	"hash/fnv"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/requeue"
)

// When to look again.
const (
	// firstRetry and lastRetry bound the wait after a passing fault, which doubles from try to try.
	firstRetry = 200 * time.Millisecond
	lastRetry  = time.Minute
	// hideFaults is how long passing faults are retried before the status shows them.
	hideFaults = time.Minute
	// settleRetry is the wait when AWS accepted a change and does not show it yet.
	settleRetry = 2 * time.Second
	// vigilantInterval is how often a trail is looked at, and vigilantFor how long, after somebody has changed it: whoever
	// did may not be done.
	vigilantInterval = 10 * time.Second
	vigilantFor      = 10 * time.Minute
)

// requeue says when to reconcile again.
func (r *Reconciler) requeue(
	trail *v1alpha1.Trail,
	record *record,
	o *outcome,
	now time.Time,
) (reconcile.Result, error) {
	interval := trail.Spec.ResyncInterval(r.Interval)
	heard, isHinted := r.memory.hintWait(record, now)
	switch {
	case o.suspended:
		return reconcile.Result{}, nil
	case o.passing() != nil:
		return reconcile.Result{}, o.passing()
	case o.err != nil && !isStalled(trail), len(o.errs()) > 0 && !isStalled(trail):
		wait := min(sinceNotReady(trail, now), interval)
		if _, dependency := r.memory.heardWithin(record, now); dependency {
			wait = min(wait, requeue.QuickRetry)
		}
		return poll(wait), nil
	case isHinted && o.observed != nil:
		return poll(heard), nil // It was heard of while AWS was read.
	case len(o.settling) > 0, len(o.done()) > 0 && len(o.open) > 0 && !isStalled(trail):
		return poll(min(settleRetry, interval)), nil
	case record.uncreated: // Until then what was read is not believed (see mayBeFormer).
		return poll(min(record.created.Add(settles).Sub(now), interval)), nil
	default:
		return poll(untilResync(now, r.intervalAt(trail, record, now), o.caller.AccountID+"/"+o.caller.Region)), nil
	}
}

// intervalAt returns how often a trail is looked at by now.
func (r *Reconciler) intervalAt(trail *v1alpha1.Trail, record *record, now time.Time) time.Duration {
	interval := trail.Spec.ResyncInterval(r.Interval)
	if changed, _ := r.memory.heardWithin(record, now); changed {
		interval = min(interval, hintInterval)
	}
	if drift := trail.Status.LastDrift; drift != nil && now.Sub(drift.DetectedTime.Time) < vigilantFor {
		return min(interval, vigilantInterval)
	}
	return interval
}

// poll looks again after a time.
func poll(after time.Duration) reconcile.Result { return reconcile.Result{RequeueAfter: after} }

// untilResync returns the time until the next regular look, half an interval to one and a half from now. All trails of
// an account and region have their looks at one time, as they share what is read; accounts and regions are spread over
// the interval.
func untilResync(now time.Time, interval time.Duration, place string) time.Duration {
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

// sinceNotReady returns the wait before the next try of something that AWS refuses: short at first, longer the longer
// it lasts.
func sinceNotReady(trail *v1alpha1.Trail, now time.Time) time.Duration {
	ready := meta.FindStatusCondition(trail.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil {
		return requeue.QuickRetry
	}
	return requeue.AfterRefusal(now.Sub(ready.LastTransitionTime.Time))
}

// passing returns an error that passes by itself, nil when there is none.
func (o *outcome) passing() error {
	for _, e := range o.errs() {
		if isTransient(e) {
			return e
		}
	}
	return nil
}

// errSettling says that AWS does not show yet what it has accepted.
var errSettling = errors.New("AWS does not show yet what it has accepted")

// fault returns what is wrong when all of it passes by itself, nil when there is something that does not or nothing at
// all.
func (o *outcome) fault() error {
	if o.lasts() {
		return nil
	}
	if err := o.passing(); err != nil || len(o.settling) == 0 || len(o.notKept) > 0 {
		return err
	}
	return errSettling
}

// lasts tells whether something is wrong that does not pass by itself.
func (o *outcome) lasts() bool {
	return accessErrorOf(o.err) != nil ||
		slices.ContainsFunc(o.errs(), func(e *cloudtrail.Error) bool { return !isTransient(e) })
}

// shows tells whether what is wrong is to be shown: a fault that may pass only when it has lasted for a while.
func (r *record) shows(fault error, now time.Time) bool {
	switch {
	case fault == nil:
		r.failing = time.Time{}
		return true
	case r.failing.IsZero():
		r.failing = now
		return false
	default:
		return now.Sub(r.failing) >= hideFaults
	}
}

// retryPace is the wait before a Trail that meets a passing fault is reconciled again. It doubles, but is never longer
// than the Trail's interval: what could be read is looked at as often as ever.
type retryPace struct {
	workqueue.TypedRateLimiter[reconcile.Request]
	r *Reconciler
}

// When implements workqueue.TypedRateLimiter.
func (p retryPace) When(request reconcile.Request) time.Duration {
	wait := p.TypedRateLimiter.When(request)
	return min(wait, p.r.intervalOf(request))
}

// isTransient tells whether an error passes by itself. A trail that is suddenly there or not is a matter of looking
// again.
func isTransient(err error) bool {
	return cloudtrail.Is(err, cloudtrail.Transient) ||
		cloudtrail.Is(err, cloudtrail.NotFound) || cloudtrail.Is(err, cloudtrail.AlreadyExists)
}

// isAboutTrail tells whether an error is about the trail in AWS, and not about the Kubernetes API or a call that is not
// answered yet.
func isAboutTrail(err error) bool {
	return err == nil || accessErrorOf(err) != nil || awsErrorOf(err) != nil
}

func isStalled(trail *v1alpha1.Trail) bool {
	return meta.IsStatusConditionTrue(trail.Status.Conditions, v1alpha1.ConditionStalled)
}

func accessErrorOf(err error) *awsidentity.AccessError {
	if refusal, ok := errors.AsType[*awsidentity.AccessError](err); ok {
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
