package logfilevalidation

import (
	"context"
	"errors"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/condition"
	"github.com/trail-operator/trail-operator/controllers/digest"
	"github.com/trail-operator/trail-operator/controllers/requeue"
)

// +kubebuilder:rbac:groups=trail-operator.dev,resources=logfilevalidations,verbs=list;watch;delete
// +kubebuilder:rbac:groups=trail-operator.dev,resources=logfilevalidations/status,verbs=patch
// +kubebuilder:rbac:groups=trail-operator.dev,resources=awsidentities,verbs=list;watch
// +kubebuilder:rbac:groups=trail-operator.dev,resources=trails,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch

const (
	// workers is how many objects are reconciled at once. None of them waits for AWS.
	workers = 4
	// validationsAtOnce is how many validations are under way at once.
	validationsAtOnce = 4
	// digestsDelay is how long after the end of a range its last digests are waited for. They are delivered once an hour,
	// some time after the hour.
	digestsDelay = 2 * time.Hour
	// firstRetry and lastRetry bound the wait after a fault of the API server, which doubles from try to try.
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// Meter is told of what is validated. It is safe for concurrent use.
type Meter interface {
	// Validated tells of a digest, a log file or a gap.
	Validated(digest.Result)
}

// Options are what a Reconciler needs. All but Now are required.
type Options struct {
	Client   client.Client
	Recorder events.EventRecorder
	Open     Opener
	Meter    Meter
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Reconciler validates log files.
type Reconciler struct {
	Options
	pool  *pool
	queue requeue.Queue

	mu          sync.Mutex
	validations map[types.UID]*validation
}

var (
	_ reconcile.ObjectReconciler[*v1alpha1.LogFileValidation] = (*Reconciler)(nil)
	_ manager.Runnable                                        = (*Reconciler)(nil)
	_ manager.LeaderElectionRunnable                          = (*Reconciler)(nil)
)

// New returns a Reconciler. It refuses options that are not complete.
func New(options Options) (*Reconciler, error) {
	if options.Client == nil || options.Recorder == nil || options.Open == nil || options.Meter == nil {
		return nil, errors.New("logfilevalidation: Client, Recorder, Open and Meter are required")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Reconciler{
		Options: options, pool: newPool(validationsAtOnce), validations: map[types.UID]*validation{},
	}, nil
}

// SetupWithManager adds the controller to the manager, and what validates in the background.
func (r *Reconciler) SetupWithManager(manager ctrl.Manager) error {
	pace := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry)
	err := ctrl.NewControllerManagedBy(manager).
		Named("logfilevalidation").
		For(&v1alpha1.LogFileValidation{}, builder.WithPredicates(
			predicate.Or(predicate.GenerationChangedPredicate{}, awsidentity.RequestChanged))).
		Watches(&v1alpha1.AWSIdentity{},
			handler.EnqueueRequestsFromMapFunc(r.ofIdentity),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Trail{},
			handler.EnqueueRequestsFromMapFunc(r.ofTrailObject),
			builder.WithPredicates(predicate.Funcs{UpdateFunc: trailMoved})).
		Watches(&v1alpha1.LogFileValidation{}, handler.Funcs{DeleteFunc: r.deleted}).
		WatchesRawSource(r.queue.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: pace}).
		Complete(reconcile.AsReconciler(manager.GetClient(), r))
	return errors.Join(err, manager.Add(r))
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (r *Reconciler) NeedLeaderElection() bool { return true }

// Start validates in the background until the context ends.
func (r *Reconciler) Start(ctx context.Context) error {
	r.pool.run(ctx)
	return nil
}

// trailMoved tells whether a change of a Trail can matter to its validations.
func trailMoved(e event.UpdateEvent) bool {
	was, ok := e.ObjectOld.(*v1alpha1.Trail)
	is, also := e.ObjectNew.(*v1alpha1.Trail)
	return !ok || !also || was.Generation != is.Generation || was.Status.TrailARN != is.Status.TrailARN
}

// deleted forgets an object that is gone.
func (r *Reconciler) deleted(
	_ context.Context,
	e event.DeleteEvent,
	_ workqueue.TypedRateLimitingInterface[reconcile.Request],
) {
	r.forget(e.Object.GetUID())
}

// ofIdentity returns the objects that use an identity.
func (r *Reconciler) ofIdentity(ctx context.Context, identity client.Object) []reconcile.Request {
	return r.affected(ctx, func(v *v1alpha1.LogFileValidation) bool { return v.IdentityName() == identity.GetName() })
}

// ofTrailObject returns the objects that validate a Trail.
func (r *Reconciler) ofTrailObject(ctx context.Context, trail client.Object) []reconcile.Request {
	return r.affected(ctx, func(v *v1alpha1.LogFileValidation) bool {
		return v.Namespace == trail.GetNamespace() && v.TrailName() == trail.GetName()
	}, client.InNamespace(trail.GetNamespace()))
}

// affected returns the objects that something matters to which has changed. Those that could not validate try at once.
func (r *Reconciler) affected(
	ctx context.Context, concerns func(*v1alpha1.LogFileValidation) bool, options ...client.ListOption,
) []reconcile.Request {
	var validations v1alpha1.LogFileValidationList
	// The handler of a watch must not wait for another watch.
	options = append(options, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err := r.Client.List(ctx, &validations, options...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing LogFileValidations")
		return nil
	}
	var requests []reconcile.Request
	for i := range validations.Items {
		v := &validations.Items[i]
		if v.Finished() || !concerns(v) {
			continue
		}
		if known := r.known(v.UID); known != nil {
			known.hurry()
		}
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(v)})
	}
	return requests
}

// Reconcile begins a validation when it is due, writes down what it has found so far, and deletes a range whose time is
// over.
func (r *Reconciler) Reconcile(ctx context.Context, v *v1alpha1.LogFileValidation) (reconcile.Result, error) {
	return requeue.InTurn(r.reconcile(ctx, v))
}

func (r *Reconciler) reconcile(ctx context.Context, v *v1alpha1.LogFileValidation) (reconcile.Result, error) {
	start, end, err := v.Range()
	switch {
	case !v.DeletionTimestamp.IsZero():
		r.forget(v.UID) // A finalizer of somebody else may keep the object.
		return reconcile.Result{}, nil
	case v.Finished():
		r.forget(v.UID)
		return requeue.Expire(ctx, r.Client, v, r.Now())
	case v.DecodeError != "" || err != nil:
		r.forget(v.UID)
		return r.reject(ctx, v, err)
	}

	known := r.of(v)
	if err := r.write(ctx, v, known, start); err != nil {
		return requeue.OnConflict(err)
	}
	switch {
	case v.Finished():
		r.forget(v.UID)
		return requeue.Expire(ctx, r.Client, v, r.Now())
	case v.Spec.Suspended():
		r.forget(v.UID)
		return reconcile.Result{}, nil
	default:
		return r.validate(ctx, v, known, start, end)
	}
}

// validate begins a validation if it is due.
func (r *Reconciler) validate(
	ctx context.Context, v *v1alpha1.LogFileValidation, known *validation, start, end time.Time,
) (reconcile.Result, error) {
	asked := v1alpha1.ReconcileRequest(v)
	if asked != v.Status.LastHandledReconcileAt {
		known.ask(asked)
	}
	if wait := known.wait(r.Now()); wait != 0 {
		return reconcile.Result{RequeueAfter: max(0, wait)}, nil
	}
	request, err := r.request(ctx, v)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		known.refuse(refusal, v.Spec.ValidationInterval())
		if err := r.write(ctx, v, known, start); err != nil {
			return requeue.OnConflict(err)
		}
		return reconcile.Result{RequeueAfter: known.wait(r.Now())}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}

	j := job{request: request, start: start, end: end, asked: asked}
	if v.Spec.IsRange() {
		j.goOn = known.lasted(r.Now()) >= giveUp
	} else {
		j.interval = v.Spec.ValidationInterval()
	}
	t := &task{namespace: v.Namespace}
	t.work = func(ctx context.Context, yield func() bool) bool { return known.work(ctx, j, yield) }
	known.begun(t)
	r.pool.add(t)
	return reconcile.Result{}, nil
}

// of returns what is known of an object, for the generation that it has.
func (r *Reconciler) of(v *v1alpha1.LogFileValidation) *validation {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.validations[v.UID]
	switch {
	case !ok:
		known = &validation{
			options: &r.Options, wake: r.queue.Wake,
			key:        client.ObjectKeyFromObject(v),
			generation: v.Generation,
			due:        dueAfterStart(v),
			chains:     map[digest.Chain]*chain{},
			resume:     resumeOf(v),
		}
	case known.generation != v.Generation:
		r.endTask(known)
		known = known.changed(v.Generation)
	}
	r.validations[v.UID] = known
	return known
}

// dueAfterStart returns when an object is due of which this process knows nothing yet. One that was proved is not due
// before its interval is over.
func dueAfterStart(v *v1alpha1.LogFileValidation) time.Time {
	if _, end, err := v.Range(); err == nil && v.Spec.IsRange() {
		return end.Add(digestsDelay)
	}
	if v.Status.ObservedGeneration != v.Generation || v.Status.LastValidationTime == nil || isUnknown(v) {
		return time.Time{}
	}
	return v.Status.LastValidationTime.Add(v.Spec.ValidationInterval())
}

func (r *Reconciler) known(uid types.UID) *validation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.validations[uid]
}

// forget ends the validation of an object and forgets it.
func (r *Reconciler) forget(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.validations[uid]; ok {
		r.endTask(known)
		delete(r.validations, uid)
	}
}

func (r *Reconciler) endTask(known *validation) {
	if t := known.endTask(); t != nil {
		r.pool.end(t)
	}
}

// write writes what was found since the last time into the status, and tells it.
func (r *Reconciler) write(
	ctx context.Context, v *v1alpha1.LogFileValidation, known *validation, start time.Time,
) error {
	before := v.DeepCopy()
	news := known.take()
	told, more := setStatus(v, news, start, r.Now())
	err := r.writeStatus(ctx, before, v)
	if err != nil && news != nil {
		known.putBack(news)
	}
	if err == nil {
		r.tell(before, v, told, more)
	}
	return err
}

// tell emits an event for each new finding, and one for those that the status does not list.
func (r *Reconciler) tell(before, v *v1alpha1.LogFileValidation, told []v1alpha1.Finding, more int64) {
	for _, finding := range told {
		r.Recorder.Eventf(v, nil, corev1.EventTypeWarning, finding.Class, "Validate", "%s", tell(finding))
	}
	if more > 0 {
		r.Recorder.Eventf(v, nil, corev1.EventTypeWarning, v1alpha1.ReasonTampered, "Validate",
			"%d more findings; in all there are %s", more, tellClasses(v.Status.FindingClasses))
	}
	turned := condition.Turned(before.Status.Conditions, v.Status.Conditions, v1alpha1.ConditionIntact)
	if turned != nil && turned.Reason != v1alpha1.ReasonNotValidatedYet && turned.Reason != v1alpha1.ReasonTampered {
		eventType := corev1.EventTypeNormal
		if turned.Reason != v1alpha1.ReasonIntact {
			eventType = corev1.EventTypeWarning
		}
		r.Recorder.Eventf(v, nil, eventType, turned.Reason, "Validate", "%s", turned.Message)
	}
}

// reject says that a spec cannot be validated that the API server refuses by now, but has stored before it did.
func (r *Reconciler) reject(
	ctx context.Context, v *v1alpha1.LogFileValidation, invalid error,
) (reconcile.Result, error) {
	before := v.DeepCopy()
	setRejected(v, invalid)
	err := r.writeStatus(ctx, before, v)
	if v.DecodeError != "" && apierrors.IsInvalid(err) {
		// What the schema does not let in any more can keep the API server from taking a status.
		ctrl.LoggerFrom(ctx).Error(err, "the API server rejects the status")
		err = nil
	}
	if err != nil {
		return requeue.OnConflict(err)
	}
	if turned := condition.Turned(before.Status.Conditions, v.Status.Conditions, v1alpha1.ConditionReady); turned != nil {
		r.Recorder.Eventf(v, nil, corev1.EventTypeWarning, turned.Reason, "Validate", "%s", turned.Message)
	}
	return reconcile.Result{}, nil
}

// writeStatus writes the status if it has changed.
func (r *Reconciler) writeStatus(ctx context.Context, before, v *v1alpha1.LogFileValidation) error {
	if equality.Semantic.DeepEqual(before.Status, v.Status) {
		return nil
	}
	return condition.Patch(ctx, r.Client, before, v)
}
