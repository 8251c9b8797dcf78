package trail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/requeue"
)

// +kubebuilder:rbac:groups=trail-operator.dev,resources=trails,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=trail-operator.dev,resources=trails/status,verbs=update
// +kubebuilder:rbac:groups=trail-operator.dev,resources=awsidentities,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch

// Options are what a Reconciler needs. All but Now, NamespacesUnwatched and Wrote are required.
type Options struct {
	Client client.Client
	// Live reads objects from the API server itself.
	Live     client.Reader
	Recorder events.EventRecorder
	Sessions *cloudtrail.Sessions
	// ClusterID begins the owner tag of every trail of this cluster.
	ClusterID string
	// Interval is how often to look at a trail whose spec does not say.
	Interval time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
	// NamespacesUnwatched says that the operator may not watch Namespaces. When one's labels change, which identities
	// select by, its trails learn of it at their next look.
	NamespacesUnwatched bool
	// Wrote is told whenever the operator has written to a trail that was logging, with the name of the AWSIdentity: an
	// event is to be expected of that. nil: nobody is.
	Wrote func(identity string)
}

// Reconciler keeps trails as their specs say.
type Reconciler struct {
	Options
	memory memory
	routes routes

	// queue is the controller's, and attributions that of the attribution.
	queue, attributions requeue.Queue
}

// New returns a Reconciler. It refuses options that are not complete.
func New(options Options) (*Reconciler, error) {
	if options.Client == nil || options.Live == nil || options.Recorder == nil || options.Sessions == nil ||
		options.ClusterID == "" || options.Interval <= 0 {
		return nil, errors.New("trail: Client, Live, Recorder, Sessions, ClusterID and Interval are required")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Wrote == nil {
		options.Wrote = func(string) {}
	}
	return &Reconciler{Options: options}, nil
}

// identityIndex indexes Trails by the name of their AWSIdentity.
const identityIndex = ".spec.identityRef.name"

// SetupWithManager adds the controller to the manager, with this many workers.
func (r *Reconciler) SetupWithManager(ctx context.Context, manager ctrl.Manager, workers int) error {
	identityNames := func(object client.Object) []string {
		trail, ok := object.(*v1alpha1.Trail)
		if !ok {
			return nil
		}
		return []string{trail.IdentityName()}
	}
	err := manager.GetFieldIndexer().IndexField(ctx, &v1alpha1.Trail{}, identityIndex, identityNames)
	if err != nil {
		return fmt.Errorf("indexing Trails by identity: %w", err)
	}

	pace := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry)
	controllerBuilder := ctrl.NewControllerManagedBy(manager).
		Named("trail").
		For(&v1alpha1.Trail{},
			builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, awsidentity.RequestChanged))).
		Watches(&v1alpha1.Trail{}, handler.Funcs{CreateFunc: r.created, UpdateFunc: r.updated, DeleteFunc: r.deleted}).
		WatchesRawSource(r.queue.Source()).
		Watches(&v1alpha1.AWSIdentity{},
			handler.EnqueueRequestsFromMapFunc(r.trailsOfIdentity), builder.WithPredicates(identityChanged)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: retryPace{pace, r}})
	if !r.NamespacesUnwatched {
		controllerBuilder.WatchesMetadata(&corev1.Namespace{},
			handler.EnqueueRequestsFromMapFunc(r.trailsOfNamespace), builder.WithPredicates(labelsChanged))
	}
	return errors.Join(controllerBuilder.Complete(reconcile.AsReconciler(manager.GetClient(), r)),
		r.setUpAttribution(manager))
}

// recordOf returns what is remembered of a Trail.
func (r *Reconciler) recordOf(trail *v1alpha1.Trail) *record {
	return r.memory.of(trail, r.queue.Wake, r.attributions.Wake)
}

// created gives a Trail that was changed while no operator ran the priority of a change. At the start all others are
// looked at in the background.
func (r *Reconciler) created(
	_ context.Context,
	e event.CreateEvent,
	queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) {
	trail, ok := e.Object.(*v1alpha1.Trail)
	if !ok {
		return
	}
	r.routes.follow(trail)
	prioritized, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request])
	if !ok || !e.IsInInitialList {
		return
	}
	if trail.Generation != trail.Status.ObservedGeneration || !trail.DeletionTimestamp.IsZero() || requested(trail) {
		prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: new(0)},
			reconcile.Request{NamespacedName: client.ObjectKeyFromObject(trail)})
	}
}

// updated takes note of where events concern a Trail now.
func (r *Reconciler) updated(
	_ context.Context,
	e event.UpdateEvent,
	_ workqueue.TypedRateLimitingInterface[reconcile.Request],
) {
	if trail, ok := e.ObjectNew.(*v1alpha1.Trail); ok {
		r.routes.follow(trail)
	}
}

// deleted forgets a Trail that is gone.
func (r *Reconciler) deleted(
	_ context.Context,
	e event.DeleteEvent,
	_ workqueue.TypedRateLimitingInterface[reconcile.Request],
) {
	r.memory.forget(e.Object.GetUID(), r.Sessions)
	r.routes.forget(client.ObjectKeyFromObject(e.Object))
}

// intervalOf returns how often a Trail is looked at. The queue is locked meanwhile: it must not wait until a watch that
// lags behind shows what was just written.
func (r *Reconciler) intervalOf(request reconcile.Request) time.Duration {
	trail := &v1alpha1.Trail{}
	err := r.Client.Get(context.Background(), request.NamespacedName, trail, client.DisableReadYourWritesConsistency)
	if err != nil {
		return r.Interval
	}
	return trail.Spec.ResyncInterval(r.Interval)
}

// identityChanged lets an identity through when its spec changes, when it works again, or when it leads to another
// account. That it works for the first time is no change: Trails do not wait for that.
var identityChanged = predicate.Funcs{
	// At the start every Trail is looked at anyway.
	CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.AWSIdentity)
		after, also := e.ObjectNew.(*v1alpha1.AWSIdentity)
		if !ok || !also {
			return false
		}
		moved := before.Status.AccountID != "" && before.Status.AccountID != after.Status.AccountID
		recovered := meta.IsStatusConditionFalse(before.Status.Conditions, v1alpha1.ConditionReady) &&
			meta.IsStatusConditionTrue(after.Status.Conditions, v1alpha1.ConditionReady)
		return before.Generation != after.Generation || moved || recovered
	},
}

// labelsChanged lets a namespace through when its labels change, which identities select by.
var labelsChanged = predicate.And(predicate.LabelChangedPredicate{}, predicate.Funcs{
	CreateFunc: func(event.CreateEvent) bool { return false },
	DeleteFunc: func(event.DeleteEvent) bool { return false },
})

func (r *Reconciler) trailsOfIdentity(ctx context.Context, identity client.Object) []reconcile.Request {
	return r.requests(ctx, client.MatchingFields{identityIndex: identity.GetName()})
}

func (r *Reconciler) trailsOfNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	return r.requests(ctx, client.InNamespace(namespace.GetName()))
}

// requests returns the requests for the Trails that the options select. Which Trails there are is not for the operator
// to write: handlers of a watch need not wait for what it has written.
func (r *Reconciler) requests(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var trails v1alpha1.TrailList
	options = append(options, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err := r.Client.List(ctx, &trails, options...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing Trails")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(trails.Items))
	for i := range trails.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&trails.Items[i])})
	}
	return requests
}

// Reconcile looks at a trail, makes AWS hold what the spec says, and writes what was found into the status. When a call
// to AWS is not answered yet it ends, and is run again from its beginning when it is: see cloudtrail.Calls.
func (r *Reconciler) Reconcile(ctx context.Context, trail *v1alpha1.Trail) (reconcile.Result, error) {
	record := r.recordOf(trail)
	now := r.Now()
	r.memory.begin(now)
	record.begin(trail, now)
	interval := r.intervalAt(trail, record, now)
	began, sent := record.calls.Began(), record.sent()
	ctx, err := record.calls.Begin(ctx, attemptOf(trail), r.reasonFor(trail, record), interval, now)
	if err != nil {
		return requeue.Wait(cloudtrail.PendingOf(err).After)
	}
	if !record.calls.Began().Equal(began) {
		record.abandon(sent)
	}

	before := trail.Status.DeepCopy()
	var o outcome
	switch {
	case !trail.DeletionTimestamp.IsZero():
		o = r.finalize(ctx, trail, record)
	case trail.Spec.Suspended():
		o = outcome{suspended: true}
	default:
		o = r.manage(ctx, trail, record)
	}
	return requeue.InTurn(r.report(ctx, before, trail, record, o))
}

// attempt is what a reconcile works on: what AWS has answered counts for nothing else.
type attempt struct {
	generation int64
	deleting   bool
	request    string
}

func attemptOf(trail *v1alpha1.Trail) attempt {
	return attempt{trail.Generation, !trail.DeletionTimestamp.IsZero(), v1alpha1.ReconcileRequest(trail)}
}

// reasonFor tells why a Trail is reconciled.
func (r *Reconciler) reasonFor(trail *v1alpha1.Trail, record *record) cloudtrail.Reason {
	switch {
	case requested(trail), r.memory.hinted(record):
		return cloudtrail.ForRequest
	case trail.Status.ObservedGeneration != trail.Generation, !trail.DeletionTimestamp.IsZero():
		return cloudtrail.ForChange
	case !record.failing.IsZero(), !meta.IsStatusConditionTrue(trail.Status.Conditions, v1alpha1.ConditionSynced):
		return cloudtrail.ForRetry
	default:
		return cloudtrail.ForResync
	}
}

// requested tells whether a reconcile annotation asks for a look that was not taken yet.
func requested(trail *v1alpha1.Trail) bool {
	return v1alpha1.IsRequested(trail, trail.Status.LastHandledReconcileAt)
}

// outcome is what a reconcile found, did and could not do.
type outcome struct {
	// target tells where AWS was called and as whom, as far as it is known.
	target
	// observed is what AWS holds in the end; nil when it was not read.
	observed *observation
	state    state
	// found are the differences at the beginning, drift those of them that somebody made in AWS, and open those that are
	// there in the end.
	found, drift, open []difference
	// loggingChanged is when logging was last stopped against the spec, or started, as CloudTrail reported it at the
	// beginning.
	loggingChanged time.Time
	// inSync is when each field was last known to be as the spec says; nil: nothing new is known. It is learned when the
	// status is written, as a drift that is still to be told was made after what was known before.
	inSync []int64
	// resting are the differences that no write is made for, or no other one now.
	resting
	// results are what became of the steps; those that AWS refused before and that were not tried are among them.
	results []result
	// err is why nothing was read, or what is wrong with the Kubernetes API.
	err       error
	suspended bool
	// takenFrom is the owner that the trail was taken from, "" for nobody.
	takenFrom string
	// retained says that the object was let go although AWS did not answer, and left that a trail which was its own is not
	// deleted, as it does not carry the owner tag any more.
	retained, left bool
	// gone says that the object has no finalizer any more.
	gone bool
}

// done returns the steps that AWS has accepted.
func (o *outcome) done() []step {
	var done []step
	for _, result := range o.results {
		if result.err == nil {
			done = append(done, result.step)
		}
	}
	return done
}

// work is the reconcile of a Trail whose trail is read.
type work struct {
	target
	region   *cloudtrail.Region
	record   *record
	observed *observation
}

// manage is the story: observe, decide, act.
func (r *Reconciler) manage(ctx context.Context, trail *v1alpha1.Trail, record *record) outcome {
	w, err := r.open(ctx, trail, record)
	if err != nil {
		return outcome{target: w.target, err: err}
	}
	if record.uncreated {
		forgetUncreated(trail)
	}
	if w.observed, err = observe(ctx, w.region, w.target); err != nil {
		return outcome{target: w.target, err: err}
	}

	o := decide(w)
	switch {
	case trail.Spec.ObserveOnly(), o.state == stateUnknown, o.state.isForeign():
	case o.state == stateInSync:
		o.err = r.addFinalizer(ctx, trail)
	default:
		r.act(ctx, w, &o)
	}
	return o
}

// decide tells what the spec and the observation make of each other.
func decide(w *work) outcome {
	differences := differencesOf(w.target, w.observed)
	resting := w.rest(differences)
	return outcome{
		target:         w.target,
		observed:       w.observed,
		state:          stateOf(w.target, w.observed, differences),
		found:          differences,
		drift:          driftOf(w.target, resting.without(differences)),
		open:           differences,
		loggingChanged: loggingChanged(w.Trail, w.observed),
		resting:        resting,
	}
}

// open returns CloudTrail in the trail's region as the trail's identity. The work tells where that is also with an
// error.
func (r *Reconciler) open(ctx context.Context, trail *v1alpha1.Trail, record *record) (*work, error) {
	account, region := home(trail)
	caller, entered, err := awsidentity.Enter(ctx, r.Client, r.Sessions, awsidentity.User{
		Namespace: trail.Namespace, Identity: trail.IdentityName(), Region: cmp.Or(trail.Spec.Region, region),
	})
	if err == nil && account != "" && account != caller.AccountID {
		err = &awsidentity.AccessError{
			Reason: v1alpha1.ReasonAccountChanged,
			Message: fmt.Sprintf("the credentials of AWSIdentity %q belong to account %s, but the trail is in account %s: "+
				"correct the identity, or create a new Trail for the other account",
				trail.IdentityName(), caller.AccountID, account),
		}
	}
	if known, ok := creationOf(trail); ok && trail.Status.AccountID == "" {
		trail.Status.ManagedTagKeys = union(trail.Status.ManagedTagKeys, known.TagKeys)
	}
	takesBack := func(found *cloudtrail.Trail) bool { return r.takesBack(ctx, found) }
	return &work{target: target{trail, caller, r.ownerOf(trail), takesBack}, region: entered, record: record}, err
}

// act makes AWS hold what the spec says, as far as AWS lets it.
func (r *Reconciler) act(ctx context.Context, w *work, o *outcome) {
	steps := plan(w.target, w.observed, o.found, w.record.alone(w.target, o.resting))
	tried, held := w.record.sort(steps, w.target, o)
	o.results = held
	if len(tried) == 0 {
		return
	}
	if !r.memory.take(w.record, cloudtrail.TrailARN(w.caller.Region, w.caller.AccountID, w.TrailName())) {
		// Another object writes to the trail. What was read may not be so any more when it has ended.
		w.record.calls.End(r.Sessions)
		o.err = &cloudtrail.Pending{Operation: "the write of another object", After: time.Second}
		return
	}
	if o.err = r.recordBefore(ctx, w, o, tried); o.err != nil {
		return
	}

	var owner string
	if w.observed.trail != nil {
		owner = w.observed.trail.Tags[v1alpha1.OwnerTagKey]
	}
	wasLogging := w.observed.status.value.IsLogging
	results, err := r.apply(ctx, w, tried)
	o.results, o.err = slices.Concat(results, held), err
	if wasLogging && len(o.done()) > 0 {
		r.Wrote(w.IdentityName())
	}
	if err != nil {
		return
	}
	if owner != w.owner && slices.ContainsFunc(o.done(), step.claims) {
		o.takenFrom = owner
	}
	rememberKey(w.Trail, w.observed, o.done())
	if o.err = w.verify(ctx, o.done()); o.err != nil {
		return
	}
	o.open = differencesOf(w.target, w.observed)
	o.judge(w.record)
	o.noticeOthers(w)
}

// noticeOthers takes note of the differences that were made by others while the steps were taken, or that reads did not
// show before. The next reconcile ends them.
func (o *outcome) noticeOthers(w *work) {
	others := slices.DeleteFunc(slices.Clone(o.open), func(d difference) bool {
		return isAmong(o.found, d.number) || slices.ContainsFunc(o.done(), func(s step) bool { return s.writes(d.number) })
	})
	resting := w.rest(others)
	made := driftOf(w.target, resting.without(others))
	if len(of(made, fieldLogging)) > 0 {
		o.loggingChanged = loggingChanged(w.Trail, w.observed)
	}
	o.drift = slices.Concat(o.drift, made)
	o.settling = slices.Concat(o.settling, resting.settling)
	o.notKept = slices.Concat(o.notKept, resting.notKept)
}

// ownerOf returns the value of the owner tag of the object's trail.
func (r *Reconciler) ownerOf(trail *v1alpha1.Trail) string {
	return r.ClusterID + "/" + trail.Namespace + "/" + trail.Name
}

// takesBack tells whether the owner of a trail is a Trail here that holds it, and takes it back from whoever takes it.
// One that the operator does not watch is not known.
func (r *Reconciler) takesBack(ctx context.Context, found *cloudtrail.Trail) bool {
	owner, here := strings.CutPrefix(found.Tags[v1alpha1.OwnerTagKey], r.ClusterID+"/")
	namespace, name, _ := strings.Cut(owner, "/")
	holder := &v1alpha1.Trail{}
	if !here || r.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, holder) != nil {
		return false
	}
	if holder.Spec.Adoption() != v1alpha1.AdoptionPolicyAlways || holder.Status.TrailARN != found.ARN ||
		holder.Spec.ObserveOnly() || holder.Spec.Suspended() || !holder.DeletionTimestamp.IsZero() {
		return false
	}
	_, err := awsidentity.Access(ctx, r.Client, holder.IdentityName(), holder.Namespace)
	return err == nil
}

// writeStatus writes the status if it has changed, as a whole: that costs the API server less than to apply a patch. A
// process that was frozen would write what it read of AWS before another one worked on the trail.
func (r *Reconciler) writeStatus(ctx context.Context, before *v1alpha1.TrailStatus, trail *v1alpha1.Trail) error {
	if sameStatus(before, &trail.Status) {
		return nil
	}
	if err := r.Sessions.MayWrite(); err != nil {
		return err
	}
	written := identified(trail)
	written.Status = trail.Status
	if err := r.Client.Status().Update(ctx, written); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	trail.ObjectMeta = written.ObjectMeta
	return nil
}

// sameStatus tells whether two statuses mean the same. That all was well later, too, is not worth a write.
func sameStatus(before, after *v1alpha1.TrailStatus) bool {
	kept := after.LastSyncedTime
	after.LastSyncedTime = before.LastSyncedTime
	same := equality.Semantic.DeepEqual(before, after)
	if !same {
		after.LastSyncedTime = kept
	}
	return same
}

// identified returns an object that says which and of which version the Trail is, and nothing else.
func identified(trail *v1alpha1.Trail) *v1alpha1.Trail {
	return &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{
		Namespace:       trail.Namespace,
		Name:            trail.Name,
		UID:             trail.UID,
		ResourceVersion: trail.ResourceVersion,
	}}
}

// report is the one exit: it writes the status, emits events, and says when to reconcile again.
func (r *Reconciler) report(
	ctx context.Context,
	before *v1alpha1.TrailStatus,
	trail *v1alpha1.Trail,
	record *record,
	o outcome,
) (reconcile.Result, error) {
	record.underWay = &o
	switch {
	case cloudtrail.PendingOf(o.err) != nil:
		return requeue.Wait(cloudtrail.PendingOf(o.err).After)
	case o.gone:
		r.end(record)
		r.memory.forget(trail.UID, r.Sessions)
		r.emit(ctx, before, trail, &o)
		return reconcile.Result{}, nil
	case errors.Is(o.err, errChanged):
		record.learn(&o, r.Now()) // What was done in AWS until then is done.
		r.end(record)
		return reconcile.Result{RequeueAfter: firstRetry}, nil
	case !isAboutTrail(o.err):
		return requeue.OnConflict(o.err)
	}

	now := r.Now()
	shown := record.shows(o.fault(), now)
	drifted := setStatus(trail, record, &o, shown, now)
	complete := func() {
		record.uncreated = record.mayBeFormer(&o, now)
		r.learn(record, &o, now)
		r.end(record)
		if drifted {
			r.emitDrift(trail)
		}
		r.emit(ctx, before, trail, &o)
	}
	if err := r.writeStatus(ctx, before, trail); err != nil {
		// With what AWS has answered kept, so that nothing is lost.
		record.unwritten(trail, &o, err, complete)
		if !apierrors.IsConflict(err) || !r.isCompleted(ctx, trail, record) {
			return requeue.OnConflict(client.IgnoreNotFound(err))
		}
		return r.requeue(trail, record, &o, now)
	}
	record.unconfirmed = nil
	complete()
	return r.requeue(trail, record, &o, now)
}

// isCompleted tells whether the API server has taken an earlier status of this reconcile, whose answer was lost: the
// cache may show that only much later.
func (r *Reconciler) isCompleted(ctx context.Context, trail *v1alpha1.Trail, record *record) bool {
	if len(record.unconfirmed.statuses) == 0 {
		return false
	}
	live := &v1alpha1.Trail{}
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(trail), live)
	return err == nil && live.UID == trail.UID && attemptOf(live) == attemptOf(trail) && record.completed(live)
}

// learn remembers what is to be known at the next reconcile, and when all of the trail was read.
func (r *Reconciler) learn(record *record, o *outcome, now time.Time) {
	if o.observed != nil {
		r.memory.lookedSince(record, record.calls.Began())
	}
	record.learn(o, now)
	if o.observed == nil || o.err != nil || o.observed.err() != nil {
		return
	}
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	record.resynced = now
}

// end ends a reconcile: what AWS has answered is forgotten, and other objects may write to the trail.
func (r *Reconciler) end(record *record) {
	record.underWay = nil
	record.calls.End(r.Sessions)
	r.memory.release(record)
}

var _ reconcile.ObjectReconciler[*v1alpha1.Trail] = (*Reconciler)(nil)
