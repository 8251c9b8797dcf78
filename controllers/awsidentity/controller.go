package awsidentity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/condition"
	"github.com/trail-operator/trail-operator/controllers/eventqueue"
	"github.com/trail-operator/trail-operator/controllers/requeue"
)

// +kubebuilder:rbac:groups=trail-operator.dev,resources=awsidentities,verbs=list;watch;patch
// +kubebuilder:rbac:groups=trail-operator.dev,resources=awsidentities/status,verbs=patch
// +kubebuilder:rbac:groups=trail-operator.dev,resources=trails,verbs=list;watch

const (
	// checkInterval is how often an identity that works is checked: a role can be deleted behind our back.
	checkInterval = 10 * time.Minute
	// firstRetry and lastRetry bound the wait after a passing fault, which doubles from try to try.
	firstRetry = 200 * time.Millisecond
	lastRetry  = time.Minute
	// workers is how many identities are worked on at once. None of them waits for AWS.
	workers = 32
	// namedUsers is how many Trails the message of an identity in use names.
	namedUsers = 5
)

// Options are what a Reconciler needs. All but Events and Now are required.
type Options struct {
	Client client.Client
	// Trails reads the Trails that an identity may be in use by: also those that another operator works on, where several
	// share a cluster.
	Trails   client.Reader
	Recorder events.EventRecorder
	Sessions *cloudtrail.Sessions
	// Events listens to the event queues of identities; nil: nobody does.
	Events *eventqueue.Listener
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Reconciler checks identities.
type Reconciler struct {
	Options
	memory memory
	queue  requeue.Queue
}

// New returns a Reconciler. It refuses options that are not complete.
func New(options Options) (*Reconciler, error) {
	if options.Client == nil || options.Trails == nil || options.Recorder == nil || options.Sessions == nil {
		return nil, errors.New("awsidentity: Client, Trails, Recorder and Sessions are required")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Reconciler{Options: options}, nil
}

// SetupWithManager adds the controller to the manager.
func (r *Reconciler) SetupWithManager(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("awsidentity").
		For(&v1alpha1.AWSIdentity{},
			builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, RequestChanged))).
		Watches(&v1alpha1.AWSIdentity{}, handler.Funcs{DeleteFunc: r.deleted}).
		Watches(&v1alpha1.Trail{},
			handler.EnqueueRequestsFromMapFunc(r.waitingIdentity), builder.WithPredicates(identityLeft)).
		WatchesRawSource(r.queue.Source()).
		WithOptions(controllerOptions()).
		Complete(reconcile.AsReconciler(manager.GetClient(), r))
}

// deleted forgets an identity that is gone. This operator may not have seen it go, where another one lets it go.
func (r *Reconciler) deleted(
	_ context.Context,
	e event.DeleteEvent,
	_ workqueue.TypedRateLimitingInterface[reconcile.Request],
) {
	r.memory.forget(e.Object.GetUID(), r.Sessions)
	r.forget(e.Object.GetUID())
}

// forget ends the session and the listening of an identity that nobody uses any more.
func (r *Reconciler) forget(uid types.UID) {
	r.Sessions.Forget(uid)
	if r.Events != nil {
		r.Events.Forget(uid)
	}
}

func controllerOptions() controller.Options {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry)
	return controller.Options{MaxConcurrentReconciles: workers, RateLimiter: limiter}
}

// RequestChanged lets a changed reconcile annotation through, of any kind.
var RequestChanged = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		return v1alpha1.ReconcileRequest(e.ObjectOld) != v1alpha1.ReconcileRequest(e.ObjectNew)
	},
}

// identityLeft lets a Trail through when it is gone or names another identity, as the one that it named may be waiting
// for that.
var identityLeft = predicate.Funcs{
	CreateFunc: func(event.CreateEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.Trail)
		after, also := e.ObjectNew.(*v1alpha1.Trail)
		return ok && also && before.IdentityName() != after.IdentityName()
	},
	GenericFunc: func(event.GenericEvent) bool { return false },
}

// waitingIdentity returns the identity of a Trail if it waits to be deleted.
func (r *Reconciler) waitingIdentity(ctx context.Context, object client.Object) []reconcile.Request {
	trail, ok := object.(*v1alpha1.Trail)
	if !ok {
		return nil
	}
	identity := &v1alpha1.AWSIdentity{}
	key := client.ObjectKey{Name: trail.IdentityName()}
	// The handler of a watch must not wait for another watch.
	if err := r.Client.Get(ctx, key, identity, client.DisableReadYourWritesConsistency); err != nil {
		if !apierrors.IsNotFound(err) {
			ctrl.LoggerFrom(ctx).Error(err, "reading an AWSIdentity", "identity", key.Name)
		}
		return nil
	}
	if identity.DeletionTimestamp.IsZero() {
		return nil
	}
	return []reconcile.Request{{NamespacedName: key}}
}

// Reconcile checks an identity with GetCallerIdentity and writes what AWS says into its status.
func (r *Reconciler) Reconcile(ctx context.Context, identity *v1alpha1.AWSIdentity) (reconcile.Result, error) {
	return requeue.InTurn(r.reconcile(ctx, identity))
}

func (r *Reconciler) reconcile(ctx context.Context, identity *v1alpha1.AWSIdentity) (reconcile.Result, error) {
	before := identity.DeepCopy()
	listening := r.follow(identity)
	if !identity.DeletionTimestamp.IsZero() {
		return r.finalize(ctx, before, identity)
	}
	if controllerutil.AddFinalizer(identity, v1alpha1.Finalizer) {
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		if err := r.Client.Patch(ctx, identity, patch); err != nil {
			return requeue.OnConflict(fmt.Errorf("writing the finalizer: %w", err))
		}
		before = identity.DeepCopy()
	}

	record := r.memory.of(identity, r.queue.Wake)
	refused := r.check(ctx, identity, record)
	if pending := cloudtrail.PendingOf(refused); pending != nil {
		return requeue.Wait(pending.After)
	}
	record.calls.End(r.Sessions)
	record.handled = v1alpha1.ReconcileRequest(identity)
	if cloudtrail.Is(refused, cloudtrail.Transient) && identity.Status.ObservedGeneration == identity.Generation {
		return reconcile.Result{}, refused // A passing fault of an identity that was checked before is not worth showing.
	}

	setStatus(identity, refused)
	setListening(identity, listening)
	if err := r.writeStatus(ctx, before, identity); err != nil {
		return requeue.OnConflict(err)
	}

	switch {
	case cloudtrail.Is(refused, cloudtrail.Transient):
		return reconcile.Result{}, refused
	case refused != nil:
		ready := meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionReady)
		after := r.retryAfter(ready.LastTransitionTime)
		return reconcile.Result{RequeueAfter: after}, nil //nolint:nilerr // The status tells it.
	default:
		return reconcile.Result{RequeueAfter: checkInterval}, nil
	}
}

// retryAfter returns the wait before the next try of what others have kept from succeeding since then.
func (r *Reconciler) retryAfter(since metav1.Time) time.Duration {
	return requeue.AfterRefusal(r.Now().Sub(since.Time))
}

// check asks AWS who the identity is, with new credentials.
func (r *Reconciler) check(ctx context.Context, identity *v1alpha1.AWSIdentity, record *record) error {
	of := v1alpha1.ReconcileRequest(identity) + "/" + strconv.FormatInt(identity.Generation, 10)
	ctx, err := record.calls.Begin(ctx, of, cloudtrail.ForRetry, checkInterval, r.Now())
	if err != nil {
		return err
	}
	session, err := r.Sessions.Check(ctx, identity, record.requested(identity))
	if err != nil {
		return err
	}
	identity.Status.AccountID, identity.Status.ARN = session.AccountID, session.ARN()
	return nil
}

func setStatus(identity *v1alpha1.AWSIdentity, err error) {
	status := &identity.Status
	status.ObservedGeneration = identity.Generation
	status.LastHandledReconcileAt = v1alpha1.ReconcileRequest(identity)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionReconciling)
	var awsError *cloudtrail.Error
	switch {
	case identity.DecodeError != "":
		set(identity, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec,
			"the operator does not understand the spec, so no namespace may use the identity: "+identity.DecodeError)
	case err == nil:
		set(identity, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable,
			"AWS accepts the identity as "+status.ARN+usersNote(identity))
	case errors.As(err, &awsError):
		set(identity, v1alpha1.ConditionReady, metav1.ConditionFalse, awsError.Reason(), explain(identity, awsError))
		if awsError.Class == cloudtrail.Transient {
			set(identity, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonRetrying, awsError.Error())
		}
	default:
		set(identity, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonIdentityUnusable, err.Error())
	}
}

// usersNote warns of an identity that nobody may use.
func usersNote(identity *v1alpha1.AWSIdentity) string {
	if identity.Spec.AllowedNamespaces == nil {
		return "; no namespace may use it until spec.allowedNamespaces allows some"
	}
	return ""
}

// explain says what AWS said, and what to do about it.
func explain(identity *v1alpha1.AWSIdentity, e *cloudtrail.Error) string {
	switch {
	case e.Operation == "AssumeRole" && e.Class == cloudtrail.Permission:
		return fmt.Sprintf("%s — check that role %s exists, that its trust policy allows the operator's own identity%s, "+
			"and that the operator's own policy allows sts:AssumeRole on it", e, identity.Spec.RoleARN, trustNeeds(identity))
	default:
		return e.Error()
	}
}

// trustNeeds says what a role's trust policy must also allow for this identity.
func trustNeeds(identity *v1alpha1.AWSIdentity) string {
	var needs []string
	if identity.Spec.ExternalID != "" {
		needs = append(needs, "with the external ID in the spec")
	}
	if len(identity.Spec.SessionTags) > 0 {
		needs = append(needs, "with sts:TagSession")
	}
	if len(needs) == 0 {
		return ""
	}
	return " (" + strings.Join(needs, " and ") + ")"
}

// finalize lets an identity go when no Trail uses it any more. Without it nobody could delete their trails. A Trail
// that this operator does not watch, as it is in another namespace or another operator's, wakes nobody when it goes: it
// is looked for from time to time.
func (r *Reconciler) finalize(ctx context.Context, before, identity *v1alpha1.AWSIdentity) (reconcile.Result, error) {
	// Here, as another operator may be the one that lets it go.
	r.memory.forget(identity.UID, r.Sessions)

	users, err := r.users(ctx, identity)
	if err != nil {
		return reconcile.Result{}, err
	}
	if len(users) > 0 {
		identity.Status.ObservedGeneration = identity.Generation
		set(identity, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInUse,
			"the identity is being deleted and waits for the Trails that use it: "+naming(users))
		if err := r.writeStatus(ctx, before, identity); err != nil {
			return requeue.OnConflict(err)
		}
		return reconcile.Result{RequeueAfter: r.retryAfter(*identity.DeletionTimestamp)}, nil
	}

	r.forget(identity.UID)
	if !controllerutil.RemoveFinalizer(identity, v1alpha1.Finalizer) {
		return reconcile.Result{}, nil
	}
	err = r.Client.Patch(ctx, identity, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	return requeue.OnConflict(client.IgnoreNotFound(err))
}

// users returns the Trails that use the identity, in order.
func (r *Reconciler) users(ctx context.Context, identity *v1alpha1.AWSIdentity) ([]string, error) {
	var trails v1alpha1.TrailList
	if err := r.Trails.List(ctx, &trails, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Trails: %w", err)
	}
	var users []string
	for i := range trails.Items {
		if trail := &trails.Items[i]; trail.IdentityName() == identity.Name {
			users = append(users, client.ObjectKeyFromObject(trail).String())
		}
	}
	slices.Sort(users)
	return users, nil
}

// naming names the first few.
func naming(users []string) string {
	if len(users) <= namedUsers {
		return strings.Join(users, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(users[:namedUsers], ", "), len(users)-namedUsers)
}

// writeStatus writes the status if it has changed, and tells an event when Ready or Listening turns.
func (r *Reconciler) writeStatus(ctx context.Context, before, identity *v1alpha1.AWSIdentity) error {
	if equality.Semantic.DeepEqual(before.Status, identity.Status) {
		return nil
	}
	after := slices.Clone(identity.Status.Conditions) // The API server's answer takes the place of the object's.
	if err := condition.Patch(ctx, r.Client, before, identity); err != nil {
		return err
	}
	for _, turns := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionListening} {
		is := condition.Turned(before.Status.Conditions, after, turns)
		if is == nil || is.Status == metav1.ConditionUnknown {
			continue
		}
		ctrl.LoggerFrom(ctx).Info("identity is "+is.Reason, strings.ToLower(turns), is.Status, "message", is.Message)
		r.Recorder.Eventf(identity, nil, condition.EventType(is), is.Reason, "Check", "%s", is.Message)
	}
	return nil
}

func set(identity *v1alpha1.AWSIdentity, conditionType string, status metav1.ConditionStatus, reason, message string) {
	condition.Set(&identity.Status.Conditions, identity.Generation, conditionType, status, reason, message)
}

var _ reconcile.ObjectReconciler[*v1alpha1.AWSIdentity] = (*Reconciler)(nil)
