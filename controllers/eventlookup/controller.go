package eventlookup

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/condition"
	"github.com/trail-operator/trail-operator/controllers/requeue"
)

// +kubebuilder:rbac:groups=trail-operator.dev,resources=eventlookups,verbs=list;watch;delete
// +kubebuilder:rbac:groups=trail-operator.dev,resources=eventlookups/status,verbs=patch
// +kubebuilder:rbac:groups=trail-operator.dev,resources=awsidentities,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch

const (
	// workers is how many lookups are worked on at once. None of them waits for AWS.
	workers = 16
	// runningAtOnce is how many lookups of a namespace with an identity are run at once. The others wait: each keeps what
	// it has found so far in memory.
	runningAtOnce = 4
	// waitToRun is when a lookup that must wait for others comes back. After a minute the wait grows with its age, up to
	// longestWait: there may be thousands of them.
	waitToRun   = 2 * time.Second
	longestWait = time.Minute
	// firstRetry and lastRetry bound the wait after a passing fault, which doubles from try to try.
	firstRetry = time.Second
	lastRetry  = time.Minute
	// hideFaults is how long passing faults are retried before the status shows them.
	hideFaults = time.Minute
)

// Options are what a Reconciler needs. All but Now are required.
type Options struct {
	Client   client.Client
	Recorder events.EventRecorder
	Sessions *cloudtrail.Sessions
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Reconciler runs lookups.
type Reconciler struct {
	Options
	running running
	queue   requeue.Queue
}

// New returns a Reconciler. It refuses options that are not complete.
func New(options Options) (*Reconciler, error) {
	if options.Client == nil || options.Recorder == nil || options.Sessions == nil {
		return nil, errors.New("eventlookup: Client, Recorder and Sessions are required")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Reconciler{
		Options: options,
		running: running{calls: map[types.UID]*lookupCalls{}, count: map[string]int{}},
	}, nil
}

// SetupWithManager adds the controller to the manager.
func (r *Reconciler) SetupWithManager(manager ctrl.Manager) error {
	pace := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry)
	return ctrl.NewControllerManagedBy(manager).
		Named("eventlookup").
		For(&v1alpha1.EventLookup{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.AWSIdentity{},
			handler.EnqueueRequestsFromMapFunc(r.lookupsOfIdentity),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.EventLookup{}, handler.Funcs{DeleteFunc: r.deleted}).
		WatchesRawSource(r.queue.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: pace}).
		Complete(reconcile.AsReconciler(manager.GetClient(), r))
}

// deleted forgets a lookup that is gone.
func (r *Reconciler) deleted(
	_ context.Context,
	e event.DeleteEvent,
	_ workqueue.TypedRateLimitingInterface[reconcile.Request],
) {
	r.running.end(e.Object.GetUID(), r.Sessions)
}

// WithoutEvents is a cache's transform: it leaves out of a lookup what nobody reads from the cache, the events that it
// found and managedFields. A lookup that has events is finished, so its status is never written again.
func WithoutEvents(object any) (any, error) {
	if lookup, ok := object.(*v1alpha1.EventLookup); ok {
		lookup.Status.Events, lookup.ManagedFields = nil, nil
	}
	return object, nil
}

// lookupsOfIdentity returns the lookups that wait for an identity to come or to change.
func (r *Reconciler) lookupsOfIdentity(ctx context.Context, identity client.Object) []reconcile.Request {
	var lookups v1alpha1.EventLookupList
	// The handler of a watch must not wait for another watch.
	err := r.Client.List(ctx, &lookups, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing EventLookups")
		return nil
	}
	var requests []reconcile.Request
	for i := range lookups.Items {
		if lookup := &lookups.Items[i]; !lookup.Finished() && lookup.IdentityName() == identity.GetName() {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(lookup)})
		}
	}
	return requests
}

// Reconcile runs a lookup that is not finished, and deletes one whose time is over.
func (r *Reconciler) Reconcile(ctx context.Context, lookup *v1alpha1.EventLookup) (reconcile.Result, error) {
	return requeue.InTurn(r.reconcile(ctx, lookup))
}

func (r *Reconciler) reconcile(ctx context.Context, lookup *v1alpha1.EventLookup) (reconcile.Result, error) {
	switch {
	case !lookup.DeletionTimestamp.IsZero():
		r.running.end(lookup.UID, r.Sessions) // A finalizer of somebody else may keep the object.
		return reconcile.Result{}, nil
	case lookup.Finished():
		return requeue.Expire(ctx, r.Client, lookup, r.Now())
	default:
		return r.run(ctx, lookup)
	}
}

// run asks AWS and writes the answer into the status. When a page is not answered yet it ends, and is run again when it
// is: see cloudtrail.Calls. A lookup that is interrupted by the end of the process is run again from its beginning: it
// asks for the same time, and so is answered the same.
func (r *Reconciler) run(ctx context.Context, lookup *v1alpha1.EventLookup) (reconcile.Result, error) {
	if err := validate(lookup); err != nil {
		return r.refused(ctx, lookup, cloudtrail.Caller{}, err)
	}
	calls, isNew := r.running.begin(lookup, r.queue.Wake)
	if calls == nil {
		return reconcile.Result{RequeueAfter: untilNextTurn(r.Now().Sub(lookup.CreationTimestamp.Time))}, nil
	}
	if isNew {
		if gone, err := r.isGone(ctx, lookup); gone || err != nil {
			r.running.end(lookup.UID, r.Sessions)
			return reconcile.Result{}, err
		}
	}
	ctx, err := calls.Begin(ctx, lookup.Generation, cloudtrail.ForChange, longestRun, r.Now())
	if err != nil {
		return requeue.Wait(cloudtrail.PendingOf(err).After)
	}

	caller, region, err := awsidentity.Enter(ctx, r.Client, r.Sessions, awsidentity.User{
		Namespace: lookup.Namespace, Identity: lookup.IdentityName(), Region: lookup.Spec.Region,
	})
	if err != nil {
		return r.refused(ctx, lookup, caller, err)
	}
	if err := r.begin(ctx, region, lookup); err != nil {
		return requeue.OnConflict(err)
	}
	found, err := collect(ctx, region, lookup)
	if err != nil {
		return r.refused(ctx, lookup, caller, err)
	}
	before := lookup.DeepCopy()
	setComplete(lookup, found, r.Now())
	return r.finish(ctx, before, lookup)
}

// isGone tells whether a lookup is gone. Of one that goes after it was begun we are told.
func (r *Reconciler) isGone(ctx context.Context, lookup *v1alpha1.EventLookup) (bool, error) {
	found := &v1alpha1.EventLookup{}
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(lookup), found)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return err == nil && found.UID != lookup.UID, err
}

// begin writes down what is asked, where and of when before it is asked: "now" is the same moment for every try.
func (r *Reconciler) begin(ctx context.Context, region *cloudtrail.Region, lookup *v1alpha1.EventLookup) error {
	before := lookup.DeepCopy()
	if err := setRunning(lookup, region, r.Now()); err != nil {
		return err
	}
	return r.writeStatus(ctx, before, lookup)
}

// refused says what to do after an error: a passing fault is tried again soon and shown when it lasts, what something
// else can end is shown and tried again slowly, and a question that AWS rejects has failed.
func (r *Reconciler) refused(
	ctx context.Context,
	lookup *v1alpha1.EventLookup,
	caller cloudtrail.Caller,
	err error,
) (reconcile.Result, error) {
	if pending := cloudtrail.PendingOf(err); pending != nil {
		return requeue.Wait(pending.After)
	}
	if cloudtrail.Is(err, cloudtrail.Transient) {
		r.running.retry(lookup.UID, err)
	} else {
		r.running.end(lookup.UID, r.Sessions)
	}

	before := lookup.DeepCopy()
	age := r.Now().Sub(lookup.CreationTimestamp.Time)
	reason, message := explain(lookup, caller.ARN, err)
	switch {
	case reason == "":
		return requeue.OnConflict(err)
	case rejected(err):
		setFailed(lookup, reason, message, r.Now())
		return r.finish(ctx, before, lookup)
	case cloudtrail.Is(err, cloudtrail.Transient) && age < hideFaults:
		return reconcile.Result{}, err
	}

	setWaiting(lookup, reason, message)
	if err := r.writeStatus(ctx, before, lookup); err != nil {
		return requeue.OnConflict(err)
	}
	if cloudtrail.Is(err, cloudtrail.Transient) {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: requeue.AfterRefusal(age)}, nil
}

// untilNextTurn is the wait of a lookup of that age until it sees again whether others have ended.
func untilNextTurn(age time.Duration) time.Duration {
	return min(max(age/30, waitToRun), longestWait)
}

// finish writes the last status of a lookup, and tells it.
func (r *Reconciler) finish(ctx context.Context, before, lookup *v1alpha1.EventLookup) (reconcile.Result, error) {
	err := r.writeStatus(ctx, before, lookup)
	if lookup.DecodeError != "" && apierrors.IsInvalid(err) {
		// What the schema does not let in any more can keep the API server from taking a status. Another try would be
		// refused, too, so there is the event alone.
		ctrl.LoggerFrom(ctx).Error(err, "the API server rejects the status")
		err = nil
	}
	if err != nil {
		return requeue.OnConflict(err)
	}
	r.running.end(lookup.UID, r.Sessions)

	complete := meta.FindStatusCondition(lookup.Status.Conditions, v1alpha1.ConditionComplete)
	ctrl.LoggerFrom(ctx).Info("lookup is finished",
		"complete", complete.Status, "reason", complete.Reason, "events", len(lookup.Status.Events))
	r.Recorder.Eventf(lookup, nil, condition.EventType(complete), complete.Reason, "LookUp", "%s", complete.Message)
	return requeue.Expire(ctx, r.Client, lookup, r.Now())
}

// writeStatus writes the status if it has changed.
func (r *Reconciler) writeStatus(ctx context.Context, before, lookup *v1alpha1.EventLookup) error {
	if equality.Semantic.DeepEqual(before.Status, lookup.Status) {
		return nil
	}
	return condition.Patch(ctx, r.Client, before, lookup)
}

var _ reconcile.ObjectReconciler[*v1alpha1.EventLookup] = (*Reconciler)(nil)
