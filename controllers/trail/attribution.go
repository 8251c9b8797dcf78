package trail

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// Who changed a trail is told by CloudTrail's event history, which lags by minutes. The repair of a drift does not wait for it: a
// controller of its own, with its own workers, asks the history again and again until it tells. All that it needs to know is in the
// status, so a restart changes nothing.

const (
	// attributionEnds is how long after a drift was found its actor is looked for. Events take 5 minutes as a rule, 15 at times.
	attributionEnds = 30 * time.Minute
	// historyLag is after what time the history may be trusted to be complete.
	historyLag = 15 * time.Minute
	// The wait before the next look grows with the age of the drift within these bounds.
	attributionQuick = 15 * time.Second
	attributionSlow  = 2 * time.Minute
	// clockSkew is by how much AWS's clock may be ahead of ours.
	clockSkew = 5 * time.Second
	// attributionWorkers is how many drifts are looked into at once.
	attributionWorkers = 8
	// maxScanned bounds how many events of one name a look goes through: the rest is too much to read at 100 a second.
	maxScanned = 1000
	// maxShown bounds the texts of the status, in bytes.
	maxShown = 1024

	eventAttributed   = "DriftAttributed"
	eventUnattributed = "DriftNotAttributed"
	actionAttribute   = "Attribute"
)

// setUpAttribution adds the controller that finds out who made drifts.
func (r *Reconciler) setUpAttribution(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("attribution").
		For(&v1alpha1.Trail{}, builder.WithPredicates(driftPending)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: attributionWorkers,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		}).
		Complete(reconcile.AsReconciler(manager.GetClient(), reconcile.ObjectReconciler[*v1alpha1.Trail](attributor{r})))
}

// attributor makes Attribute a reconciler.
type attributor struct{ *Reconciler }

// Reconcile implements reconcile.ObjectReconciler.
func (a attributor) Reconcile(ctx context.Context, trail *v1alpha1.Trail) (reconcile.Result, error) {
	return a.Attribute(ctx, trail)
}

// driftPending lets a Trail through when a drift of it is new, or when it is worked on again.
var driftPending = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return newestPending(e.Object) != nil },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := newestPending(e.ObjectOld), newestPending(e.ObjectNew)
		return after != nil && (before == nil || !before.DetectedTime.Equal(&after.DetectedTime) || e.ObjectNew.GetGeneration() != e.ObjectOld.GetGeneration())
	},
	DeleteFunc: func(event.DeleteEvent) bool { return false },
}

func newestPending(object client.Object) *v1alpha1.Drift {
	if trail, ok := object.(*v1alpha1.Trail); ok {
		for _, drift := range unattributed(trail) {
			return drift
		}
	}
	return nil
}

// unattributed returns the drifts of which it is still to be found out who made them, the last one first. There are none while nothing
// is to be done for the Trail.
func unattributed(trail *v1alpha1.Trail) []*v1alpha1.Drift {
	status := &trail.Status
	if !trail.DeletionTimestamp.IsZero() || trail.Spec.Suspended() {
		return nil
	}
	var drifts []*v1alpha1.Drift
	if status.LastDrift != nil && status.LastDrift.Attribution == v1alpha1.DriftAttributionPending {
		drifts = append(drifts, status.LastDrift)
	}
	for i := range status.EarlierDrifts {
		drifts = append(drifts, &status.EarlierDrifts[i])
	}
	return drifts
}

// Attribute looks in the event history for who made the last drift, and those before it of which that is not known, and writes what
// it finds into the status. It says when to look again, as long as there is hope.
func (r *Reconciler) Attribute(ctx context.Context, trail *v1alpha1.Trail) (reconcile.Result, error) {
	drifts := unattributed(trail)
	if len(drifts) == 0 {
		return reconcile.Result{}, nil
	}
	before := trail.Status.DeepCopy()
	wait := attributionSlow
	var told []func()
	for n, drift := range drifts {
		age := r.Now().Sub(drift.DetectedTime.Time)
		if due := historyLag - age; due > 0 && isVague(drift) {
			wait = min(wait, due)
			continue
		}
		i, err := r.investigate(ctx, trail, drift, n == 0)
		switch {
		case !tellable(err):
			return r.again(err)
		case retryAfter(err) > 0:
			return reconcile.Result{RequeueAfter: retryAfter(err)}, nil
		}
		was := *drift
		i.conclude(trail, drift, err, age >= attributionEnds)
		is := *drift
		told = append(told, func() { r.tellAttribution(ctx, trail, &was, &is, i) })
		wait = min(wait, max(age/2, attributionQuick), attributionEnds-age)
	}
	trail.Status.EarlierDrifts = slices.DeleteFunc(trail.Status.EarlierDrifts, func(d v1alpha1.Drift) bool { return d.Attribution != v1alpha1.DriftAttributionPending })
	if err := r.writeStatus(ctx, before, trail); err != nil {
		return r.again(client.IgnoreNotFound(err))
	}
	for _, tell := range told {
		tell()
	}
	if len(unattributed(trail)) == 0 {
		return reconcile.Result{}, nil
	}
	return poll(wait), nil
}

// isVague tells whether the time in which a drift was made is so long that a call which the history shows already may have
// nothing to do with it: the later one that has may not be there yet. It is so after a restart, and with a long interval.
func isVague(drift *v1alpha1.Drift) bool {
	start, end := timeOfDrift(drift)
	return end.Sub(start) > historyLag
}

// investigation is what the event history tells of a drift.
type investigation struct {
	callerARN string
	// culprits are the calls that explain the drift, the gravest first.
	culprits []cloudtrail.Event
	// missing are the operations of which there ought to be a call and is none.
	missing []string
}

// investigate asks the event history who made a drift. The first question of a look may be refused until its turn under the rate
// limit has come, so that the worker does something else. The others wait, or they would never all be asked.
func (r *Reconciler) investigate(ctx context.Context, trail *v1alpha1.Trail, drift *v1alpha1.Drift, first bool) (*investigation, error) {
	// The actor differs from the trail's own, as the two do not share their turns under the rate limit.
	ctx = cloudtrail.WithActor(ctx, "attribution of "+client.ObjectKeyFromObject(trail).String())
	var v verdict
	i := &investigation{}
	region, err := r.open(ctx, trail, &v)
	i.callerARN = v.callerARN
	if err != nil {
		return i, err
	}
	impatient := cloudtrail.WithPatience(ctx, patience)
	for n, operations := range suspects(trail, drift) {
		asking := ctx
		if first && n == 0 {
			asking = impatient
		}
		culprit, err := lastCall(asking, region, trail, drift, operations, i.callerARN)
		switch {
		case err != nil:
			return i, err
		case culprit != nil:
			i.culprits = append(i.culprits, *culprit)
		default:
			i.missing = append(i.missing, strings.Join(operations, " or "))
		}
	}
	return i, nil
}

// suspects returns the operations that can have made the drift, the gravest first; of those in one group any can.
func suspects(trail *v1alpha1.Trail, drift *v1alpha1.Drift) [][]string {
	fields := drift.Fields
	if slices.Contains(fields, fieldTrail) {
		return [][]string{{deleteTrail}} // All other fields differ because of that.
	}
	var groups [][]string
	for _, operations := range [][]string{{stopLogging}, {startLogging}, {updateTrail}, {putEventSelectors}, {putInsightSelectors}, {putEventConfiguration}, {removeTags, addTags}} {
		if slices.ContainsFunc(fields, func(field string) bool { return changedBy(field, trail) == operations[0] }) {
			groups = append(groups, operations)
		}
	}
	if len(groups) == 0 {
		return [][]string{{removeTags, addTags}} // The owner tag alone, which is no field.
	}
	return groups
}

// changedBy returns the operation that makes a field of the spec differ.
func changedBy(field string, trail *v1alpha1.Trail) string {
	switch field {
	case "logging":
		if trail.Spec.LoggingDesired() {
			return stopLogging
		}
		return startLogging
	case "eventSelectors", "advancedEventSelectors":
		return putEventSelectors
	case "insightSelectors":
		return putInsightSelectors
	case "aggregationConfigurations":
		return putEventConfiguration
	case "tags":
		return removeTags
	default:
		return updateTrail
	}
}

// lastCall returns the last call of one of the operations that changed the trail before the drift was found and after AWS was last
// in sync, nil when the history has none.
func lastCall(ctx context.Context, region *cloudtrail.Region, trail *v1alpha1.Trail, drift *v1alpha1.Drift, operations []string, callerARN string) (*cloudtrail.Event, error) {
	var last *cloudtrail.Event
	for _, operation := range operations {
		query := cloudtrail.Query{Attribute: cloudtrail.AttributeEventName, Value: operation}
		query.Start, query.End = timeOfDrift(drift)
		scanned := 0
		for e, err := range region.Events(ctx, query) {
			if err != nil {
				return nil, err
			}
			if isCulprit(&e, trail, region, callerARN) {
				if last == nil || e.Time.After(last.Time) {
					last = &e
				}
				break
			}
			if scanned++; scanned == maxScanned {
				break
			}
		}
	}
	return last, nil
}

// timeOfDrift returns the time in which the drift was made. Event times are whole seconds.
func timeOfDrift(drift *v1alpha1.Drift) (start, end time.Time) {
	end = drift.DetectedTime.Add(clockSkew)
	if drift.LastInSyncTime != nil {
		start = drift.LastInSyncTime.Time
	}
	return start, end
}

// isCulprit tells whether a call changed this trail and was not the operator's own for this object. Calls of another object are
// not its own: two that fight over a trail are told of each other.
func isCulprit(e *cloudtrail.Event, trail *v1alpha1.Trail, region *cloudtrail.Region, callerARN string) bool {
	arn := cmp.Or(trail.Status.TrailARN, cloudtrail.TrailARN(region.Name(), region.AccountID(), trail.TrailName()))
	return (e.Trail == arn || e.Trail == trail.TrailName()) && e.ErrorCode == "" &&
		!e.By(client.ObjectKeyFromObject(trail).String(), callerARN)
}

// conclude writes into the drift what is known so far, and when it is over that it is.
func (i *investigation) conclude(trail *v1alpha1.Trail, drift *v1alpha1.Drift, err error, over bool) {
	if len(i.culprits) > 0 {
		gravest := i.culprits[0]
		drift.Actor = truncateTo(cmp.Or(gravest.Caller(), "unknown"), maxShown)
		drift.EventName, drift.EventID, drift.EventTime = gravest.Name, gravest.ID, timeOrNil(gravest.Time)
		drift.SourceIPAddress, drift.UserAgent = truncateTo(gravest.SourceIPAddress, maxShown), truncateTo(gravest.UserAgent, maxShown)
	}
	drift.AttributionMessage = i.obstacle(trail, err, over)
	complete := err == nil && len(i.missing) == 0
	switch {
	case complete, over && drift.Actor != "":
		drift.Attribution = v1alpha1.DriftAttributionFound
	case over:
		drift.Attribution = v1alpha1.DriftAttributionNotFound
	}
	if over && err == nil && !complete {
		drift.AttributionMessage = i.absence(drift)
	}
}

// obstacle says what keeps the history from being asked, "" when nothing does or it may pass before it is over.
func (i *investigation) obstacle(trail *v1alpha1.Trail, err error, over bool) string {
	if refusal := refusalOf(err); refusal != nil {
		return refusal.Message
	}
	switch e := awsErrorOf(err); {
	case e == nil, e.Class == cloudtrail.Transient && !over:
		return ""
	case e.Class == cloudtrail.Permission:
		return e.Error() + " — " + cloudtrail.PermissionRemedy(e, trail.IdentityName(), i.callerARN)
	default:
		return e.Error()
	}
}

// absence says what was looked for in vain.
func (i *investigation) absence(drift *v1alpha1.Drift) string {
	start, end := timeOfDrift(drift)
	between := "until " + end.UTC().Format(time.RFC3339)
	if !start.IsZero() {
		between = "from " + start.UTC().Format(time.RFC3339) + " " + between
	}
	return fmt.Sprintf("CloudTrail's event history shows no call of %s on this trail %s by anybody else that succeeded", strings.Join(i.missing, ", "), between)
}

// tellAttribution tells an event for each culprit that is new: the gravest at once, the others when it is over.
func (r *Reconciler) tellAttribution(ctx context.Context, trail *v1alpha1.Trail, before, drift *v1alpha1.Drift, i *investigation) {
	over := drift.Attribution != v1alpha1.DriftAttributionPending
	for n, culprit := range i.culprits {
		if culprit.ID == before.EventID || n > 0 && !over {
			continue
		}
		note := culprit.String() + "; " + repair(drift, culprit.Time)
		ctrl.LoggerFrom(ctx).Info("drift is attributed", "event", note, "eventID", culprit.ID, "userAgent", culprit.UserAgent)
		r.Recorder.Eventf(trail, nil, corev1.EventTypeWarning, eventAttributed, actionAttribute, "%s", truncate(note))
	}
	if over && drift.AttributionMessage != "" {
		note := "who changed the trail is not known: " + drift.AttributionMessage
		ctrl.LoggerFrom(ctx).Info("drift is not attributed", "fields", drift.Fields, "message", drift.AttributionMessage)
		r.Recorder.Eventf(trail, nil, corev1.EventTypeWarning, eventUnattributed, actionAttribute, "%s", truncate(note))
	}
}

// repair says how long the change held.
func repair(drift *v1alpha1.Drift, made time.Time) string {
	if drift.RepairedTime == nil {
		return "not repaired yet"
	}
	return "repaired after " + max(drift.RepairedTime.Sub(made), 0).String()
}
