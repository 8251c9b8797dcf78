package trail

import (
	"cmp"
	"context"
	"encoding/json"
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
	"github.com/trail-operator/trail-operator/controllers/requeue"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// Who changed a trail is told by CloudTrail's event history, which lags by minutes. The repair of a drift does not wait
// for it: a controller of its own, with its own workers, asks the history again and again until it tells. All that it
// needs to know is in the status, so a restart changes nothing.
//
// A name is certain when no later event can refute it: when the history has settled. Until then it is provisional, also
// where CloudTrail itself reports when logging was stopped: somebody who stops a trail that is stopped may move that
// time.

const (
	// attributionEnds is how long after a drift was found its actor is looked for. Events take 5 minutes as a rule, 15 at
	// times.
	attributionEnds = 30 * time.Minute
	// historyLag is after what time the history is complete.
	historyLag = 15 * time.Minute
	// The wait before the next look grows with the age of the drift within these bounds.
	attributionQuick = 15 * time.Second
	attributionSlow  = 2 * time.Minute
	// clockSkew is by how much AWS's clock may differ from ours.
	clockSkew = 5 * time.Second
	// attributionWorkers is how many drifts are looked into at once.
	attributionWorkers = 8
	// maxScanned bounds how many events a search goes through: the rest is too much to read at 100 a second.
	maxScanned = 1000
	// maxShown bounds the texts of the status, in bytes.
	maxShown = 1024

	eventAttributed   = "DriftAttributed"
	eventUnattributed = "DriftNotAttributed"
	actionAttribute   = "Attribute"
)

// setUpAttribution adds the controller that finds out who made drifts.
func (r *Reconciler) setUpAttribution(manager ctrl.Manager) error {
	pace := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry)
	return ctrl.NewControllerManagedBy(manager).
		Named("attribution").
		For(&v1alpha1.Trail{}, builder.WithPredicates(driftUncertain)).
		WatchesRawSource(r.attributions.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: attributionWorkers, RateLimiter: pace}).
		Complete(reconcile.AsReconciler(manager.GetClient(), reconcile.ObjectReconciler[*v1alpha1.Trail](attributor{r})))
}

// attributor makes Attribute a reconciler.
type attributor struct{ *Reconciler }

// Reconcile implements reconcile.ObjectReconciler.
func (a attributor) Reconcile(ctx context.Context, trail *v1alpha1.Trail) (reconcile.Result, error) {
	return requeue.InTurn(a.Attribute(ctx, trail))
}

// driftUncertain lets a Trail through when a drift of it is new, or when it is worked on again.
var driftUncertain = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return newestUncertain(e.Object) != nil },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := newestUncertain(e.ObjectOld), newestUncertain(e.ObjectNew)
		changed := e.ObjectNew.GetGeneration() != e.ObjectOld.GetGeneration()
		return after != nil && (before == nil || !before.DetectedTime.Equal(&after.DetectedTime) || changed)
	},
	DeleteFunc: func(event.DeleteEvent) bool { return false },
}

func newestUncertain(object client.Object) *v1alpha1.Drift {
	if trail, ok := object.(*v1alpha1.Trail); ok {
		for _, drift := range uncertain(trail) {
			return drift
		}
	}
	return nil
}

// uncertain returns the drifts of which it is still to be found out who made them, the last one first. There are none
// while nothing is to be done for the Trail.
func uncertain(trail *v1alpha1.Trail) []*v1alpha1.Drift {
	status := &trail.Status
	if !trail.DeletionTimestamp.IsZero() || trail.Spec.Suspended() {
		return nil
	}
	var drifts []*v1alpha1.Drift
	if status.LastDrift != nil && isUncertain(status.LastDrift) {
		drifts = append(drifts, status.LastDrift)
	}
	for i := range status.EarlierDrifts {
		drifts = append(drifts, &status.EarlierDrifts[i])
	}
	return drifts
}

// Attribute looks in the event history for who made the last drift, and those before it of which that is not certain,
// and writes what it finds into the status. It says when to look again, as long as there is hope.
func (r *Reconciler) Attribute(ctx context.Context, trail *v1alpha1.Trail) (reconcile.Result, error) {
	drifts := uncertain(trail)
	if len(drifts) == 0 {
		return reconcile.Result{}, nil
	}
	now := r.Now()
	lookups := r.recordOf(trail).lookups
	ctx, err := lookups.Begin(ctx, drifts[0].DetectedTime.Unix(), cloudtrail.ForResync, attributionEnds, now)
	if err != nil {
		return requeue.Wait(cloudtrail.PendingOf(err).After)
	}

	before := trail.Status.DeepCopy()
	wait := attributionSlow
	var emits []func()
	for _, drift := range drifts {
		found, err := r.investigate(ctx, trail, drift)
		switch {
		case cloudtrail.PendingOf(err) != nil:
			return requeue.Wait(cloudtrail.PendingOf(err).After)
		case !isAboutTrail(err):
			return requeue.OnConflict(err)
		}
		was, age := *drift, now.Sub(drift.DetectedTime.Time)
		found.conclude(trail, drift, err, age)
		is := *drift
		emits = append(emits, func() { r.emitAttribution(ctx, trail, &was, &is, found) })
		wait = min(wait, untilNext(age))
	}
	trail.Status.EarlierDrifts = slices.DeleteFunc(trail.Status.EarlierDrifts,
		func(d v1alpha1.Drift) bool { return !isUncertain(&d) })

	if err := r.writeStatus(ctx, before, trail); err != nil {
		return requeue.OnConflict(client.IgnoreNotFound(err))
	}
	lookups.End(r.Sessions)
	for _, emit := range emits {
		emit()
	}
	if len(uncertain(trail)) == 0 {
		return reconcile.Result{}, nil
	}
	return poll(wait), nil
}

// untilNext returns the wait before the history is asked again about a drift of some age.
func untilNext(age time.Duration) time.Duration {
	wait := max(age/2, attributionQuick)
	for _, due := range []time.Duration{historyLag - age, attributionEnds - age} {
		if due > 0 {
			wait = min(wait, due)
		}
	}
	return wait
}

// finding is what the event history tells of one field of a drift.
type finding struct {
	field string
	// operations are those that can have made the difference.
	operations []string
	// culprit is the last call that did; nil when there is none.
	culprit *cloudtrail.Event
	// unread are the operations of which there are more calls than could be read.
	unread []string
	// certain says that no other event can refute it.
	certain bool
}

// investigation is what the event history tells of a drift.
type investigation struct {
	caller cloudtrail.Caller
	// findings are those of the drift's fields, the gravest first.
	findings []finding
}

// investigate asks the event history who made a drift.
func (r *Reconciler) investigate(
	ctx context.Context,
	trail *v1alpha1.Trail,
	drift *v1alpha1.Drift,
) (*investigation, error) {
	i := &investigation{}
	w, err := r.open(ctx, trail, nil)
	i.caller = w.caller
	if err != nil {
		return i, err
	}

	if i.findings = r.recall(w, drift); i.findings != nil {
		return i, nil
	}
	settled := r.Now().Sub(drift.DetectedTime.Time) >= historyLag
	for _, f := range suspects(trail, drift) {
		if err := f.findCulprit(ctx, w, drift); err != nil {
			return i, err
		}
		f.certain = f.culprit != nil && settled && len(f.unread) == 0
		i.findings = append(i.findings, f)
	}
	return i, nil
}

// findCulprit finds the call, of those that can have made a field differ, that did.
func (f *finding) findCulprit(ctx context.Context, w *work, drift *v1alpha1.Drift) error {
	isForeign := func(e cloudtrail.Event) bool { return isForeign(&e, w) }
	isOwn := func(e cloudtrail.Event) bool { return !isForeign(e) }
	var calls []cloudtrail.Event
	for _, operation := range f.operations {
		found, err := f.callsOf(ctx, w, drift, operation)
		if err != nil {
			return err
		}
		calls = append(calls, slices.DeleteFunc(found, isOwn)...)
	}
	if f.field != fieldLogging {
		makes := func(e *cloudtrail.Event) bool { return makesDifference(e, w.target, f.field) }
		f.culprit = lastBy(calls, drift.DetectedTime.Time, makes)
		return nil
	}
	if len(calls) < 2 {
		f.culprit = firstOf(calls, nil)
		return nil
	}

	undoes := map[string]string{stopLogging: startLogging, startLogging: stopLogging}[f.operations[0]]
	undoing, err := f.callsOf(ctx, w, drift, undoes)
	if err != nil {
		return err
	}
	made := v1alpha1.TimeOf(drift.LoggingChangedTime)
	undoing = slices.DeleteFunc(
		undoing,
		func(e cloudtrail.Event) bool { return isOwn(e) && isRepairOf(drift, made, e.Time) },
	)
	repairs := slices.DeleteFunc(slices.Clone(undoing), isForeign)
	f.culprit = firstOf(ofDrift(calls, repairs, made), undoing)
	return nil
}

// recall finds who made a drift among the calls that were heard of from outside; nil when they do not tell all of it.
// The drift was found in AWS, and a call of the right kind at the right time is taken for the one that made it.
func (r *Reconciler) recall(w *work, drift *v1alpha1.Drift) []finding {
	record := r.recordOf(w.Trail)
	findings := suspects(w.Trail, drift)
	for n := range findings {
		f := &findings[n]
		f.culprit = f.among(r.memory.heardCalls(record, drift.DetectedTime.Time, f.operations...), w, drift)
		if f.culprit == nil {
			return nil
		}
		f.certain = true
	}
	r.memory.blame(record, drift.DetectedTime.Time, findings)
	return findings
}

// heardLate is by how much the event of a call that was heard of may be later than the time that CloudTrail reports of
// the same call. Both are in whole seconds.
const heardLate = time.Second

// among returns, of calls that were heard of, the one that made a field differ; nil when there is none, or when it is
// not certain which. Not all calls are heard of, nor in order: that of logging has to be of the time that CloudTrail
// reports, and others have to be of one caller. Of two people who stop a trail within two seconds either may be named.
func (f *finding) among(heard []cloudtrail.Event, w *work, drift *v1alpha1.Drift) *cloudtrail.Event {
	start, end := timeOfDrift(drift)
	made := v1alpha1.TimeOf(drift.LoggingChangedTime)
	calls := slices.DeleteFunc(heard, func(e cloudtrail.Event) bool {
		return !isForeign(&e, w) || e.Time.Before(start) || e.Time.After(end)
	})
	if f.field != fieldLogging {
		calls = slices.DeleteFunc(calls, func(e cloudtrail.Event) bool { return !makesDifference(&e, w.target, f.field) })
		if slices.ContainsFunc(calls, func(e cloudtrail.Event) bool { return e.Caller() != calls[0].Caller() }) {
			return nil
		}
		return lastOf(calls, func(*cloudtrail.Event) bool { return true })
	}

	calls = slices.DeleteFunc(calls, func(e cloudtrail.Event) bool {
		return made.IsZero() || e.Time.Before(made) || e.Time.After(made.Add(heardLate))
	})
	if len(calls) != 1 {
		return nil
	}
	return &calls[0]
}

// gravity is the order in which the changes of a drift are told.
var gravity = []string{
	deleteTrail,
	stopLogging,
	startLogging,
	updateTrail,
	putEventSelectors,
	putInsightSelectors,
	putEventConfiguration,
	removeTags,
}

// suspects returns the fields of a drift with the operations that can have changed them, the gravest first.
func suspects(trail *v1alpha1.Trail, drift *v1alpha1.Drift) []finding {
	if slices.Contains(drift.Fields, fieldTrail) {
		return []finding{{field: fieldTrail, operations: []string{deleteTrail}}} // All other fields differ because of that.
	}
	findings := make([]finding, 0, len(drift.Fields))
	for _, name := range drift.Fields {
		findings = append(findings, finding{field: name, operations: changedBy(name, trail)})
	}
	slices.SortStableFunc(findings, func(a, b finding) int {
		return slices.Index(gravity, a.operations[0]) - slices.Index(gravity, b.operations[0])
	})
	return findings
}

// changedBy returns the operations that make a field differ from the spec.
func changedBy(name string, trail *v1alpha1.Trail) []string {
	switch name {
	case fieldLogging:
		if trail.Spec.LoggingDesired() {
			return []string{stopLogging}
		}
		return []string{startLogging}
	case fieldTags, fieldOwnerTag:
		return []string{removeTags, addTags}
	}
	for i := range fields {
		if fields[i].isNamed(name) {
			return []string{fields[i].operation}
		}
	}
	return []string{updateTrail} // A field of another version of the operator.
}

// callsOf returns the calls of an operation that changed the trail, whoever made them, before the drift was found and
// after AWS was last in sync. Noise hides none: when there are more in that time than can be read, they are looked up
// about the time that CloudTrail reports, too, in which few calls have room, and by the trail. What cannot be read
// nevertheless is noted.
func (f *finding) callsOf(
	ctx context.Context,
	w *work,
	drift *v1alpha1.Drift,
	operation string,
) ([]cloudtrail.Event, error) {
	match := func(e *cloudtrail.Event) bool { return e.Name == operation && changes(e, w) }
	byName := cloudtrail.Query{Attribute: cloudtrail.AttributeEventName, Value: operation}
	byName.Start, byName.End = timeOfDrift(drift)
	calls, complete, err := w.region.Search(ctx, byName, maxScanned, match)
	if err != nil || complete {
		return calls, err
	}

	if f.field == fieldLogging && drift.LoggingChangedTime != nil {
		about := byName
		about.Start, about.End = drift.LoggingChangedTime.Add(-clockSkew), drift.LoggingChangedTime.Add(clockSkew)
		found, _, err := w.region.Search(ctx, about, maxScanned, match)
		if err != nil {
			return nil, err
		}
		calls = append(calls, found...)
	}

	complete = true
	for _, resource := range []string{arnOf(w), w.TrailName()} {
		byTrail := byName
		byTrail.Attribute, byTrail.Value = cloudtrail.AttributeResourceName, resource
		found, all, err := w.region.Search(ctx, byTrail, maxScanned, match)
		if err != nil {
			return nil, err
		}
		calls, complete = append(calls, found...), complete && all
	}
	if !complete {
		f.unread = append(f.unread, operation)
	}
	return calls, nil
}

// timeOfDrift returns the time in which the drift was made. Event times are whole seconds.
func timeOfDrift(drift *v1alpha1.Drift) (start, end time.Time) {
	end = drift.DetectedTime.Add(clockSkew)
	if drift.LastInSyncTime != nil {
		start = drift.LastInSyncTime.Add(-clockSkew)
	}
	return start, end
}

func arnOf(w *work) string {
	return cmp.Or(w.Status.TrailARN, cloudtrail.TrailARN(w.caller.Region, w.caller.AccountID, w.TrailName()))
}

// isForeign tells whether a call changed this trail and was not the operator's own for this object. Calls of another
// object are not its own: two that fight over a trail are told of each other.
func isForeign(e *cloudtrail.Event, w *work) bool {
	own := append([]string{cloudtrail.Principal(w.caller.ARN)}, w.Status.OperatorARNs...)
	return changes(e, w) && !e.By(client.ObjectKeyFromObject(w.Trail).String(), own)
}

// changes tells whether a call changed this trail, whoever made it.
func changes(e *cloudtrail.Event, w *work) bool {
	return (e.Trail == arnOf(w) || e.Trail == w.TrailName()) && e.ErrorCode == ""
}

// lastOf returns the last of the calls that made the difference; of calls that are not known to, the last.
func lastOf(calls []cloudtrail.Event, made func(*cloudtrail.Event) bool) *cloudtrail.Event {
	var last *cloudtrail.Event
	for i := range calls {
		if e := &calls[i]; made(e) && (last == nil || e.Time.After(last.Time)) {
			last = e
		}
	}
	return last
}

// lastBy returns the last of the calls until a time that made the difference. AWS's clock may be fast: if there is
// none, it is the last of those that are later.
func lastBy(calls []cloudtrail.Event, by time.Time, made func(*cloudtrail.Event) bool) *cloudtrail.Event {
	last := lastOf(calls, func(e *cloudtrail.Event) bool { return !e.Time.After(by) && made(e) })
	if last == nil {
		last = lastOf(calls, made)
	}
	return last
}

// firstOf returns, of the calls that stopped a trail, the one that did: the first after it was last started. Whoever
// stops it again changes nothing. Calls that start one are parted by those that stop it.
func firstOf(calls, undoing []cloudtrail.Event) *cloudtrail.Event {
	first := lastOf(calls, func(*cloudtrail.Event) bool { return true })
	if first == nil {
		return nil
	}
	var undone time.Time
	for i := range undoing {
		if at := undoing[i].Time; !at.After(first.Time) {
			undone = latest(undone, at)
		}
	}
	for i := range calls {
		if e := &calls[i]; e.Time.After(undone) && e.Time.Before(first.Time) {
			first = e
		}
	}
	return first
}

// isRepairOf tells whether the operator's own call at a time repaired the drift, or was later: it was found before, and
// made before the second in which it was found. Such a call undoes nothing that led to it.
func isRepairOf(drift *v1alpha1.Drift, made, at time.Time) bool {
	return !made.IsZero() && made.Before(drift.DetectedTime.Time) && !at.Before(drift.DetectedTime.Time)
}

// eventLate is by how much an event may be later than the time that CloudTrail reports of the same call.
const eventLate = 2 * time.Second

// ofDrift returns those of the calls that belong to the drift that was made at a time: between two of the operator's
// own repairs, and not later.
func ofDrift(calls, repairs []cloudtrail.Event, made time.Time) []cloudtrail.Event {
	repairsBefore := func(e *cloudtrail.Event) (number int) {
		for i := range repairs {
			if repairs[i].Time.Before(e.Time) {
				number++
			}
		}
		return number
	}
	wanted := -1
	for i := range calls {
		if number := repairsBefore(&calls[i]); !calls[i].Time.Before(made) && (wanted < 0 || number < wanted) {
			wanted = number
		}
	}
	if made.IsZero() || wanted < 0 {
		return calls
	}
	return slices.DeleteFunc(slices.Clone(calls), func(e cloudtrail.Event) bool {
		return repairsBefore(&e) != wanted || e.Time.After(made.Add(eventLate))
	})
}

// makesDifference tells whether a call set a field to something else than the spec says, as far as its parameters tell.
func makesDifference(e *cloudtrail.Event, t target, name string) bool {
	switch {
	case len(e.Parameters) == 0:
		return true
	case e.Name == addTags, e.Name == removeTags:
		return touchesTags(e, t, name)
	case e.Name != updateTrail:
		return true
	}
	value, ok := e.Parameters[strings.NewReplacer("ARN", "Arn", "ID", "Id").Replace(name)]
	if !ok {
		return false
	}
	var set string
	if json.Unmarshal(value, &set) != nil {
		set = string(value) // A flag.
	}
	number := numberOf(name)
	return number < 0 || set != fields[number].wanted(t)
}

// touchesTags tells whether a call added or removed the owner tag, or tags that the spec sets or has set.
func touchesTags(e *cloudtrail.Event, t target, name string) bool {
	var tags []struct {
		Key string `json:"key"`
	}
	if json.Unmarshal(e.Parameters["tagsList"], &tags) != nil {
		return true
	}
	keys := union(tagKeys(t.Spec.Tags), t.Status.ManagedTagKeys)
	if name == fieldOwnerTag {
		keys = []string{v1alpha1.OwnerTagKey}
	}
	for _, tag := range tags {
		if slices.Contains(keys, tag.Key) {
			return true
		}
	}
	return false
}

// gravest returns the gravest call that was found, nil when there is none.
func (i *investigation) gravest() *finding {
	for n := range i.findings {
		if i.findings[n].culprit != nil {
			return &i.findings[n]
		}
	}
	return nil
}

// missing returns the operations of which there ought to be a call and is none.
func (i *investigation) missing() []string {
	var missing []string
	for _, f := range i.findings {
		if operations := strings.Join(f.operations, " or "); f.culprit == nil && !slices.Contains(missing, operations) {
			missing = append(missing, operations)
		}
	}
	return missing
}

// unread returns the operations of which there are more calls than could be read.
func (i *investigation) unread() []string {
	var unread []string
	for _, f := range i.findings {
		for _, operation := range f.unread {
			if !slices.Contains(unread, operation) {
				unread = append(unread, operation)
			}
		}
	}
	return unread
}

// conclude writes into a drift of some age what is known so far, and when it is over that it is.
func (i *investigation) conclude(trail *v1alpha1.Trail, drift *v1alpha1.Drift, err error, age time.Duration) {
	over := age >= attributionEnds
	if f := i.gravest(); f != nil {
		e := f.culprit
		drift.Actor = text.Cut(cmp.Or(e.Caller(), "unknown"), maxShown)
		drift.EventName, drift.EventID, drift.EventTime = e.Name, e.ID, v1alpha1.TimeOrNil(e.Time)
		drift.SourceIPAddress, drift.UserAgent = text.Cut(e.SourceIPAddress, maxShown), text.Cut(e.UserAgent, maxShown)
	}

	complete := err == nil && len(i.missing()) == 0
	certain := complete && !slices.ContainsFunc(i.findings, func(f finding) bool { return !f.certain })
	switch {
	case certain, over && drift.Actor != "" && len(i.unread()) == 0:
		drift.Attribution = v1alpha1.DriftAttributionFound
	case over:
		drift.Attribution = v1alpha1.DriftAttributionNotFound
	case drift.Actor != "":
		drift.Attribution = v1alpha1.DriftAttributionProvisional
	}

	drift.AttributionMessage = i.obstacle(trail, err, age)
	if over && err == nil && (!complete || len(i.unread()) > 0) {
		drift.AttributionMessage = i.absence(drift)
	}
}

// obstacle says what keeps the history from being asked, "" when nothing does or it may pass soon.
func (i *investigation) obstacle(trail *v1alpha1.Trail, err error, age time.Duration) string {
	if refusal := accessErrorOf(err); refusal != nil {
		return refusal.Message
	}
	switch e := awsErrorOf(err); {
	case e == nil, e.Class == cloudtrail.Transient && age < hideFaults:
		return ""
	case e.Class == cloudtrail.Permission:
		return e.Error() + " — " + cloudtrail.PermissionRemedy(e, trail.IdentityName(), i.caller.ARN)
	default:
		return e.Error()
	}
}

// absence says what was looked for in vain, and what could not be read.
func (i *investigation) absence(drift *v1alpha1.Drift) string {
	var parts []string
	if missing := i.missing(); len(missing) > 0 {
		start, end := timeOfDrift(drift)
		between := "until " + end.UTC().Format(time.RFC3339)
		if !start.IsZero() {
			between = "from " + start.UTC().Format(time.RFC3339) + " " + between
		}
		parts = append(parts, fmt.Sprintf(
			"CloudTrail's event history shows no successful call of %s on this trail by anybody else %s",
			strings.Join(missing, ", "), between))
	}
	if unread := i.unread(); len(unread) > 0 {
		parts = append(
			parts,
			fmt.Sprintf("there are more than %d calls of %s in that period, and not all of them could be read: "+
				"look them up with an EventLookup", maxScanned, strings.Join(unread, ", ")),
		)
	}
	return strings.Join(parts, "; but ")
}

// emitAttribution emits an event for each culprit that is new: the gravest at once, the others when it is over.
func (r *Reconciler) emitAttribution(
	ctx context.Context,
	trail *v1alpha1.Trail,
	before, drift *v1alpha1.Drift,
	i *investigation,
) {
	over := !isUncertain(drift)
	gravest := i.gravest()
	emitted := []string{before.EventID}
	for n := range i.findings {
		f := &i.findings[n]
		if f.culprit == nil || slices.Contains(emitted, f.culprit.ID) || f != gravest && !over {
			continue
		}
		emitted = append(emitted, f.culprit.ID)

		note := f.culprit.String() + "; " + repair(drift, f.culprit.Time)
		switch {
		case len(f.unread) > 0:
			note += "; not certain, because there are more calls than could be read"
		case !f.certain && !over:
			note += "; provisional, because CloudTrail's history may not be complete yet"
		}
		ctrl.LoggerFrom(ctx).Info("drift is attributed",
			"event", note, "eventID", f.culprit.ID, "userAgent", f.culprit.UserAgent)
		r.Recorder.Eventf(trail, nil, corev1.EventTypeWarning, eventAttributed, actionAttribute, "%s", note)
	}

	if over && drift.AttributionMessage != "" {
		note := "it is not known who changed the trail: " + drift.AttributionMessage
		ctrl.LoggerFrom(ctx).Info("drift is not attributed", "fields", drift.Fields, "message", drift.AttributionMessage)
		r.Recorder.Eventf(trail, nil, corev1.EventTypeWarning, eventUnattributed, actionAttribute, "%s", note)
	}
}

// repair says how long the change held.
func repair(drift *v1alpha1.Drift, made time.Time) string {
	if drift.RepairedTime == nil {
		return "not repaired yet"
	}
	return "repaired after " + max(drift.RepairedTime.Sub(made), 0).String()
}
