package accountcoverage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/requeue"
)

// +kubebuilder:rbac:groups=trail-operator.dev,resources=awsidentities,verbs=list;watch
// +kubebuilder:rbac:groups=trail-operator.dev,resources=awsidentities/status,verbs=patch
// +kubebuilder:rbac:groups=trail-operator.dev,resources=trails,verbs=list;watch

const (
	// workers is how many accounts are assessed at once. None of them waits for AWS.
	workers = 8
	// firstRetry and lastRetry bound the wait after a passing fault, which doubles from try to try.
	firstRetry = 5 * time.Second
	lastRetry  = 10 * time.Minute
)

// Options are what a Reconciler needs. All but Now are required.
type Options struct {
	Client   client.Client
	Recorder events.EventRecorder
	Sessions *cloudtrail.Sessions
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Reconciler assesses the accounts of identities.
type Reconciler struct {
	Options
	memory  memory
	queue   requeue.Queue
	started time.Time
}

// New returns a Reconciler. It refuses options that are not complete.
func New(options Options) (*Reconciler, error) {
	if options.Client == nil || options.Recorder == nil || options.Sessions == nil {
		return nil, errors.New("accountcoverage: Client, Recorder and Sessions are required")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Reconciler{Options: options, started: options.Now()}, nil
}

// SetupWithManager adds the controller to the manager.
func (r *Reconciler) SetupWithManager(manager ctrl.Manager) error {
	pace := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry)
	return ctrl.NewControllerManagedBy(manager).
		Named("accountcoverage").
		For(&v1alpha1.AWSIdentity{},
			builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, awsidentity.RequestChanged))).
		Watches(&v1alpha1.AWSIdentity{}, r.ofOwners()).
		Watches(&v1alpha1.Trail{}, r.ofTrails()).
		WatchesRawSource(r.queue.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: pace}).
		Complete(reconcile.AsReconciler(manager.GetClient(), r))
}

// Reconcile assesses the account of an identity when its time has come.
func (r *Reconciler) Reconcile(ctx context.Context, identity *v1alpha1.AWSIdentity) (reconcile.Result, error) {
	return requeue.InTurn(r.reconcile(ctx, identity))
}

func (r *Reconciler) reconcile(ctx context.Context, identity *v1alpha1.AWSIdentity) (reconcile.Result, error) {
	before := identity.DeepCopy()
	switch {
	case !identity.DeletionTimestamp.IsZero():
		r.memory.forget(identity.UID, identity.Name, r.Sessions)
		return reconcile.Result{}, nil
	case identity.DecodeError != "":
		setUnknown(identity, v1alpha1.ReasonInvalidSpec,
			"the operator does not understand the spec, so nothing is assessed: "+identity.DecodeError)
		return requeue.OnConflict(r.writeStatus(ctx, before, identity))
	case !identity.Spec.CoverageAssessed():
		r.memory.forget(identity.UID, identity.Name, r.Sessions)
		remove(identity)
		return requeue.OnConflict(r.writeStatus(ctx, before, identity))
	}

	known := r.memory.of(identity, r.queue.Wake)
	if known.running == nil || known.running.generation != identity.Generation {
		if wait := r.dueAt(identity, known).Sub(r.Now()); wait > 0 {
			return reconcile.Result{RequeueAfter: wait}, nil
		}
		known.running = &assessment{
			began: r.Now(), generation: identity.Generation, request: v1alpha1.ReconcileRequest(identity),
		}
	}
	return r.assess(ctx, before, identity, known)
}

// assess assesses the account and writes what it finds into the status. When a call is not answered yet it ends, and is
// run again when it is: see cloudtrail.Calls.
func (r *Reconciler) assess(
	ctx context.Context,
	before, identity *v1alpha1.AWSIdentity,
	known *record,
) (reconcile.Result, error) {
	refused := r.read(ctx, identity, known)
	if pending := cloudtrail.PendingOf(refused); pending != nil {
		return requeue.Wait(pending.After)
	}
	passing := passes(refused)
	if passing && !isBelieved(identity, r.Now()) {
		setUnknown(identity, v1alpha1.ReasonRetrying, "the account could not be assessed: "+refused.Error())
	}
	if err := r.writeStatus(ctx, before, identity); err != nil {
		return requeue.OnConflict(err) // What AWS has answered is kept for the next run.
	}

	assessed := known.running
	known.calls.End(r.Sessions)
	known.running = nil
	switch {
	case passing:
		return reconcile.Result{}, refused
	case refused != nil:
		recorded := meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionRecorded)
		after := requeue.AfterRefusal(r.Now().Sub(recorded.LastTransitionTime.Time))
		return reconcile.Result{RequeueAfter: after}, nil //nolint:nilerr // The status tells it.
	default:
		known.handled, known.assessed = assessed.request, assessed.began
		r.memory.unchange(identity.Name, assessed.began.Add(-settle))
		return reconcile.Result{RequeueAfter: max(r.dueAt(identity, known).Sub(r.Now()), time.Second)}, nil
	}
}

// read reads the account and sets the status by it. The error is a *Pending, one that passes, or one that the status
// tells.
func (r *Reconciler) read(ctx context.Context, identity *v1alpha1.AWSIdentity, known *record) error {
	reason := cloudtrail.ForAssessment
	if known.requested(identity) {
		reason = cloudtrail.ForRequest
	}
	ctx, err := known.calls.Begin(ctx, *known.running, reason, interval, r.Now())
	if err != nil {
		return err
	}
	session, err := r.Sessions.Open(ctx, identity)
	if err != nil {
		if !passes(err) {
			setUnknown(identity, v1alpha1.ReasonIdentityUnusable, fmt.Sprintf("the account cannot be read: %v — "+
				"the condition Ready says what helps", err))
		}
		return err
	}
	start := startRegion(identity, session.ARN(), r.Sessions.DefaultRegion())
	if start == "" {
		setUnknown(identity, v1alpha1.ReasonRegionNotAllowed, errNoRegion.Error())
		return errNoRegion
	}

	reading := &reader{identity: identity, session: session, start: session.Region(start), now: r.Now()}
	reading.owners = sync.OnceValues(func() (owners, error) { return r.owners(ctx) })
	account, err := reading.account(ctx)
	if err != nil {
		return err
	}
	setAssessed(identity, account, known.running.began)
	return nil
}

// errNoRegion is the error of an identity that must not be used anywhere.
var errNoRegion = &cloudtrail.Error{
	Operation: "ListTrails", Class: cloudtrail.FixAWS, Code: v1alpha1.ReasonRegionNotAllowed,
	Message: "spec.allowedRegions has no region of the account's partition: add one",
}

var _ reconcile.ObjectReconciler[*v1alpha1.AWSIdentity] = (*Reconciler)(nil)
