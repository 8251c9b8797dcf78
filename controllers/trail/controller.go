package trail

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/retry"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// +kubebuilder:rbac:groups=trail-operator.dev,resources=trails,verbs=list;watch;patch
// +kubebuilder:rbac:groups=trail-operator.dev,resources=trails/status,verbs=update
// +kubebuilder:rbac:groups=trail-operator.dev,resources=awsidentities,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch

// Options are what a Reconciler needs. All but Now and NamespacesUnwatched are required.
type Options struct {
	Client   client.Client
	Recorder events.EventRecorder
	Fleet    *cloudtrail.Fleet
	// ClusterID begins the owner tag of every trail of this cluster.
	ClusterID string
	// Interval is how often to look at a trail whose spec does not say.
	Interval time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
	// NamespacesUnwatched says that the operator may not watch Namespaces. When one's labels change, which identities select by,
	// its trails learn of it at their next look.
	NamespacesUnwatched bool
}

// Reconciler keeps trails as their specs say.
type Reconciler struct {
	Options
	faults faults
	inSync inSync
	untold untold
}

// New returns a Reconciler. It refuses options that are not complete.
func New(options Options) (*Reconciler, error) {
	if options.Client == nil || options.Recorder == nil || options.Fleet == nil || options.ClusterID == "" || options.Interval <= 0 {
		return nil, errors.New("trail: Client, Recorder, Fleet, ClusterID and Interval are required")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Reconciler{Options: options, faults: faults{began: map[types.NamespacedName]time.Time{}}}, nil
}

// identityIndex indexes Trails by the name of their AWSIdentity.
const identityIndex = ".spec.identityRef.name"

// SetupWithManager adds the controller to the manager, with this many workers.
func (r *Reconciler) SetupWithManager(ctx context.Context, manager ctrl.Manager, workers int) error {
	err := manager.GetFieldIndexer().IndexField(ctx, &v1alpha1.Trail{}, identityIndex, func(object client.Object) []string {
		trail, ok := object.(*v1alpha1.Trail)
		if !ok {
			return nil
		}
		return []string{trail.IdentityName()}
	})
	if err != nil {
		return fmt.Errorf("indexing Trails by identity: %w", err)
	}
	controllerBuilder := ctrl.NewControllerManagedBy(manager).
		Named("trail").
		For(&v1alpha1.Trail{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, awsidentity.RequestChanged))).
		Watches(&v1alpha1.Trail{}, changedFirst).
		Watches(&v1alpha1.AWSIdentity{}, handler.EnqueueRequestsFromMapFunc(r.trailsOfIdentity), builder.WithPredicates(identityChanged)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		})
	if !r.NamespacesUnwatched {
		controllerBuilder.WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.trailsOfNamespace), builder.WithPredicates(labelsChanged))
	}
	return errors.Join(controllerBuilder.Complete(reconcile.AsReconciler(manager.GetClient(), r)), r.setUpAttribution(manager))
}

// changedFirst gives Trails that were changed while no operator ran the priority of a change. At the start all others are looked at in the
// background.
var changedFirst = handler.Funcs{
	CreateFunc: func(_ context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		trail, ok := e.Object.(*v1alpha1.Trail)
		prioritized, also := queue.(priorityqueue.PriorityQueue[reconcile.Request])
		if !ok || !also || !e.IsInInitialList {
			return
		}
		if trail.Generation != trail.Status.ObservedGeneration || !trail.DeletionTimestamp.IsZero() || requested(trail) {
			prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: new(0)}, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(trail)})
		}
	},
}

// identityChanged lets an identity through when its spec changes, when it works again, or when it leads to another account. That it works
// for the first time is no change: Trails do not wait for that.
var identityChanged = predicate.Funcs{
	// At the start every Trail is looked at anyway.
	CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.AWSIdentity)
		after, also := e.ObjectNew.(*v1alpha1.AWSIdentity)
		return ok && also && (before.Generation != after.Generation ||
			before.Status.AccountID != "" && before.Status.AccountID != after.Status.AccountID ||
			meta.IsStatusConditionFalse(before.Status.Conditions, v1alpha1.ConditionReady) && meta.IsStatusConditionTrue(after.Status.Conditions, v1alpha1.ConditionReady))
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

func (r *Reconciler) requests(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var trails v1alpha1.TrailList
	if err := r.Client.List(ctx, &trails, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing Trails")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(trails.Items))
	for i := range trails.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&trails.Items[i])})
	}
	return requests
}

// Reconcile looks at a trail, makes AWS hold what the spec says, and writes what was found into the status.
func (r *Reconciler) Reconcile(ctx context.Context, trail *v1alpha1.Trail) (reconcile.Result, error) {
	ctx = cloudtrail.WithPatience(cloudtrail.WithActor(ctx, client.ObjectKeyFromObject(trail).String()), patience)
	before := trail.Status.DeepCopy()
	var v verdict
	switch {
	case !trail.DeletionTimestamp.IsZero():
		v = r.finalize(ctx, trail)
	case trail.Spec.Suspended():
		v = verdict{suspended: true}
	default:
		v = r.manage(ctx, trail)
	}
	return r.report(ctx, before, trail, v)
}

// verdict is what a reconcile found, did and could not do.
type verdict struct {
	// region, accountID and callerARN are where AWS was called and as whom; "" when it was not.
	region, accountID, callerARN string
	// observed is what AWS holds in the end; nil when it was not read.
	observed *observation
	state    state
	// done are the steps that AWS accepted; open are those that are still to be done.
	done, open []step
	// err is why open steps are open, or why nothing was read.
	err error
	// held says that the open steps are those that AWS refused before.
	held      bool
	suspended bool
	// takenFrom is the owner that the trail was taken from, "" for nobody.
	takenFrom string
	// lastInSync is when AWS was last known to hold what the spec says, before this look.
	lastInSync time.Time
	// gone says that the object has no finalizer any more.
	gone bool
}

// manage is the story: observe, tell the state, plan, apply.
func (r *Reconciler) manage(ctx context.Context, trail *v1alpha1.Trail) verdict {
	var v verdict
	region, err := r.open(ctx, trail, &v)
	if err != nil {
		v.err = err
		return v
	}
	owner := r.ownerOf(trail)
	if v.observed, err = observe(ctx, region, trail, owner, r.maxAge(ctx, region, trail)); err != nil {
		v.observed, v.err = nil, err
		return v
	}
	v.open = plan(trail, v.observed, v.accountID, v.region, owner)
	v.state = stateOf(trail, v.observed, owner, v.region, v.open)
	if trail.Spec.Observed() {
		return v
	}
	switch v.state {
	case stateElsewhere, stateNotOwned, stateOwnedByAnother:
		return v
	case stateOwnerUnknown:
		v.err = v.observed.trail.TagsErr
		return v
	case stateInSync:
		v.err = r.addFinalizer(ctx, trail)
		return v
	case stateAbsent, stateOutOfSync, stateDrifted:
	}
	steps := v.open
	if specRefused(trail) && !requested(trail) {
		// Only a change of the object helps it, but nobody may stop an audit trail for that.
		v.held = true
		if steps = restarts(trail, v.observed, owner); len(steps) == 0 {
			return v
		}
	}
	if v.err = r.prepare(ctx, trail); v.err != nil {
		return v
	}
	var before string
	if v.observed.trail != nil {
		before = v.observed.trail.Tags[v1alpha1.OwnerTagKey]
	}
	v.done, v.err = apply(ctx, region, trail, v.observed, steps)
	if before != owner && slices.ContainsFunc(v.done, step.claims) {
		v.takenFrom = before
	}
	if cloudtrail.Is(v.err, cloudtrail.AlreadyExists) {
		v.state = stateAbsent // The reads did not show the trail: nobody has deleted it.
	}
	rememberKey(trail, v.observed, v.done)
	v.open = plan(trail, v.observed, v.accountID, v.region, owner)
	return v
}

// open returns CloudTrail in the trail's region as the trail's identity, and notes in the verdict where that is. It returns a
// *awsidentity.Refusal when the trail may not be looked at; AWS is not called for it then.
func (r *Reconciler) open(ctx context.Context, trail *v1alpha1.Trail, v *verdict) (*cloudtrail.Region, error) {
	identity, err := awsidentity.Access(ctx, r.Client, trail.IdentityName(), trail.Namespace)
	if err != nil {
		return nil, err
	}
	v.region = cmp.Or(trail.Spec.Region, trail.Status.HomeRegion, r.Fleet.DefaultRegion())
	if v.region == "" {
		return nil, &awsidentity.Refusal{
			Reason:  v1alpha1.ReasonRegionUnknown,
			Message: "no region: create the Trail anew with spec.region, or start the operator with --aws-region or AWS_REGION",
		}
	}
	v.callerARN = cmp.Or(identity.Spec.RoleARN, "the operator's own credentials")
	session, err := r.Fleet.Session(ctx, identity, v.region)
	if err != nil {
		return nil, err
	}
	v.accountID, v.callerARN = session.AccountID, session.ARN
	if pinned := trail.Status.AccountID; pinned != "" && pinned != session.AccountID {
		return nil, &awsidentity.Refusal{
			Reason: v1alpha1.ReasonAccountChanged,
			Message: fmt.Sprintf("AWSIdentity %q leads to account %s, but the trail is in account %s: correct the identity, or create a new Trail for the other account",
				trail.IdentityName(), session.AccountID, pinned),
		}
	}
	return session.Region(v.region), nil
}

// ownerOf returns the value of the owner tag of the object's trail.
func (r *Reconciler) ownerOf(trail *v1alpha1.Trail) string {
	return r.ClusterID + "/" + trail.Namespace + "/" + trail.Name
}

// maxAge is how old a shared read may be: less for what a person asked for than for a regular look.
func (r *Reconciler) maxAge(ctx context.Context, region *cloudtrail.Region, trail *v1alpha1.Trail) time.Duration {
	switch {
	case region.Waiting(ctx):
		return cloudtrail.FreshForTurn
	case requested(trail):
		return cloudtrail.FreshNow
	case wasSynced(trail):
		return cloudtrail.FreshForLook(trail.Spec.LookInterval(r.Interval))
	default:
		return cloudtrail.FreshForChange
	}
}

// requested tells whether a reconcile annotation asks for a look that was not taken yet.
func requested(trail *v1alpha1.Trail) bool {
	request := v1alpha1.ReconcileRequest(trail)
	return request != "" && request != trail.Status.LastHandledReconcileAt
}

// prepare persists what must survive a crash before AWS is written to: the finalizer, and which tags and configurations will be
// ours to remove.
func (r *Reconciler) prepare(ctx context.Context, trail *v1alpha1.Trail) error {
	if err := r.addFinalizer(ctx, trail); err != nil {
		return err
	}
	before := trail.Status.DeepCopy()
	for _, tag := range trail.Spec.Tags {
		if !slices.Contains(trail.Status.ManagedTagKeys, tag.Key) {
			trail.Status.ManagedTagKeys = append(trail.Status.ManagedTagKeys, tag.Key)
		}
	}
	trail.Status.AggregationApplied = trail.Status.AggregationApplied || len(trail.Spec.AggregationConfigurations) > 0
	return r.writeStatus(ctx, before, trail)
}

func (r *Reconciler) addFinalizer(ctx context.Context, trail *v1alpha1.Trail) error {
	return r.patchFinalizers(ctx, trail, controllerutil.AddFinalizer)
}

func (r *Reconciler) removeFinalizer(ctx context.Context, trail *v1alpha1.Trail) error {
	return client.IgnoreNotFound(r.patchFinalizers(ctx, trail, controllerutil.RemoveFinalizer))
}

// patchFinalizers writes the finalizers if the change changes them. The API server's answer replaces the object's metadata and nothing
// else, so that a status that is being worked on is kept.
func (r *Reconciler) patchFinalizers(ctx context.Context, trail *v1alpha1.Trail, change func(client.Object, string) bool) error {
	written := identified(trail)
	written.Finalizers = slices.Clone(trail.Finalizers)
	if !change(written, v1alpha1.Finalizer) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": trail.ResourceVersion, "finalizers": written.Finalizers}})
	if err != nil {
		return err
	}
	if err := r.Client.Patch(ctx, written, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("writing the finalizer: %w", err)
	}
	trail.ObjectMeta = written.ObjectMeta
	return nil
}

// writeStatus writes the status if it has changed, as a whole: that costs the API server less than to apply a patch.
func (r *Reconciler) writeStatus(ctx context.Context, before *v1alpha1.TrailStatus, trail *v1alpha1.Trail) error {
	if equality.Semantic.DeepEqual(before, &trail.Status) {
		return nil
	}
	written := identified(trail)
	written.Status = trail.Status
	if err := r.Client.Status().Update(ctx, written); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	trail.ObjectMeta = written.ObjectMeta
	return nil
}

// identified returns an object that says which and of which version the Trail is, and nothing else.
func identified(trail *v1alpha1.Trail) *v1alpha1.Trail {
	return &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: trail.Namespace, Name: trail.Name, UID: trail.UID, ResourceVersion: trail.ResourceVersion}}
}

// report is the one exit: it writes the status, tells events, and says when to look again.
func (r *Reconciler) report(ctx context.Context, before *v1alpha1.TrailStatus, trail *v1alpha1.Trail, v verdict) (reconcile.Result, error) {
	key := client.ObjectKeyFromObject(trail)
	if v.gone {
		r.faults.end(key)
		r.inSync.forget(key)
		r.tell(ctx, before, trail, v)
		return reconcile.Result{}, nil
	}
	if !tellable(v.err) {
		return r.again(v.err)
	}
	now := r.Now()
	v.lastInSync = r.inSync.last(trail, now)
	r.inSync.note(key, v, now)
	shown := !isTransient(v.err)
	if shown {
		r.faults.end(key)
	} else if retryAfter(v.err) == 0 {
		shown = r.faults.since(key, now) >= hideFaults
	}
	note(trail, v, now, shown)
	// What prepare wrote in between is a part of the difference, too.
	err := r.writeStatus(ctx, before, trail)
	if apierrors.IsConflict(err) {
		err = r.noteAnew(ctx, trail, v, now, shown)
	}
	if err != nil {
		return r.again(client.IgnoreNotFound(err))
	}
	r.tell(ctx, before, trail, v)
	return r.next(trail, v, now)
}

// note makes the status tell the verdict; of a fault that is not to be shown just the drift that was found before it.
func note(trail *v1alpha1.Trail, v verdict, now time.Time, shown bool) {
	if shown {
		setStatus(trail, v, now)
	} else {
		detectDrift(trail, v, now)
	}
}

// noteAnew writes the verdict into an object that somebody else has written in between: what was found and done would be lost, as the
// next look does not find it any more. Of another generation the verdict says nothing but what drift there was.
func (r *Reconciler) noteAnew(ctx context.Context, trail *v1alpha1.Trail, v verdict, now time.Time, shown bool) error {
	generation := trail.Generation
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := r.Client.Get(ctx, client.ObjectKeyFromObject(trail), trail); err != nil {
			return err
		}
		before := trail.Status.DeepCopy()
		rememberKey(trail, v.observed, v.done)
		note(trail, v, now, shown && trail.Generation == generation)
		return r.writeStatus(ctx, before, trail)
	})
}

// tellable tells whether an error is about the trail, and not about the Kubernetes API.
func tellable(err error) bool {
	var refusal *awsidentity.Refusal
	var awsError *cloudtrail.Error
	return err == nil || errors.As(err, &refusal) || errors.As(err, &awsError)
}

// again returns an error of the Kubernetes API. A conflict is no error: the object has changed and is looked at again.
func (r *Reconciler) again(err error) (reconcile.Result, error) {
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: firstRetry}, nil
	}
	return reconcile.Result{}, err
}

var _ reconcile.ObjectReconciler[*v1alpha1.Trail] = (*Reconciler)(nil)

// timeOrNil returns a time as the API shows it, nil for the zero time.
func timeOrNil(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	shown := metav1.NewTime(t.Truncate(time.Second))
	return &shown
}
