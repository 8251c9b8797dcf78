package report

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/compliance"
	"github.com/trail-operator/trail-operator/controllers/requeue"
)

const (
	// judgeInterval is how often an object is judged that nothing happens to: a delivery grows old by itself.
	judgeInterval = time.Hour
	// workers is how many objects are judged at once. They wait for the API server when there is something to write.
	workers = 8
	// settleTime is how long after a change of an object it is judged. Until the operator has processed a new spec, most
	// controls are skipped, and nobody is to read that in a report.
	settleTime = 5 * time.Second
	// afterRace is the wait after somebody else has created a report of the same name at the same time.
	afterRace = time.Second
	// presenceInterval is how often the API server is asked whether it serves the kinds of reports.
	presenceInterval = time.Minute
)

// Meter counts what is written.
type Meter interface {
	// ReportsServed tells whether reports of a kind can be written.
	ReportsServed(kind string, served bool)
	// ReportWritten counts a request that has written a report: create, update or delete.
	ReportWritten(kind, verb string)
}

// Options are what Reports need. Format, Profile, Recorder and Meter are required.
type Options struct {
	Format  Format
	Profile *compliance.Profile
	// Accounts says to report on the accounts of AWSIdentities, too.
	Accounts bool
	// Namespaces are those to work in; none: all.
	Namespaces []string
	Recorder   events.EventRecorder
	Meter      Meter
	// Interval is how often to ask whether the kinds are served; default a minute.
	Interval time.Duration
	// Settle is how long after a change of an object it is judged; default five seconds.
	Settle time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Reports write the reports of a Format.
type Reports struct{ options Options }

// New returns Reports. It refuses options that are not complete.
func New(options Options) (*Reports, error) {
	if options.Format == None || options.Profile == nil || options.Recorder == nil || options.Meter == nil {
		return nil, errors.New("report: Format, Profile, Recorder and Meter are required")
	}
	if options.Interval <= 0 {
		options.Interval = presenceInterval
	}
	if options.Settle <= 0 {
		options.Settle = settleTime
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Reports{options}, nil
}

// SetupWithManager adds the controllers to the manager: one that reports on Trails, and one that reports on accounts.
func (r *Reports) SetupWithManager(manager ctrl.Manager) error {
	err := setUp(manager, r.options, trails, &v1alpha1.Trail{}, r.judgeTrail, trailKeys(manager.GetCache()))
	if err != nil || !r.options.Accounts {
		return err
	}
	return setUp(
		manager, r.options, identities, &v1alpha1.AWSIdentity{}, r.judgeAccount, identityKeys(manager.GetCache()),
	)
}

func (r *Reports) judgeTrail(trail *v1alpha1.Trail) []Result {
	return results(r.options.Profile, r.options.Profile.Judge(trail, r.options.Now()))
}

// judgeAccount judges the account of an identity. One that is not assessed has nothing to report.
func (r *Reports) judgeAccount(identity *v1alpha1.AWSIdentity) []Result {
	if !identity.Spec.CoverageAssessed() {
		return nil
	}
	return results(r.options.Profile, r.options.Profile.JudgeAccount(identity, r.options.Now()))
}

// keys returns the names of all objects that reports may be about.
type keys func(context.Context) ([]types.NamespacedName, error)

func trailKeys(reader client.Reader) keys {
	return func(ctx context.Context) ([]types.NamespacedName, error) {
		var list v1alpha1.TrailList
		err := reader.List(ctx, &list, client.UnsafeDisableDeepCopy)
		return keysOf(list.Items), err
	}
}

func identityKeys(reader client.Reader) keys {
	return func(ctx context.Context) ([]types.NamespacedName, error) {
		var list v1alpha1.AWSIdentityList
		err := reader.List(ctx, &list, client.UnsafeDisableDeepCopy)
		return keysOf(list.Items), err
	}
}

func keysOf[T any, P interface {
	*T
	client.Object
}](objects []T) []types.NamespacedName {
	names := make([]types.NamespacedName, 0, len(objects))
	for i := range objects {
		names = append(names, client.ObjectKeyFromObject(P(&objects[i])))
	}
	return names
}

// reconciler keeps the reports of one kind of object.
type reconciler[T client.Object] struct {
	// objects is the cache of what is judged. An object that this process has just written will come once more.
	objects  client.Reader
	empty    T
	store    *store
	judge    func(T) []Result
	recorder events.EventRecorder
	queue    requeue.Queue

	mu sync.Mutex
	// taken are the objects of which it was told that the name of their report is somebody else's.
	taken map[types.UID]struct{}
}

// setUp adds a controller that reports on one kind of object, and what follows whether its kind of report is served.
func setUp[T client.Object](
	manager ctrl.Manager, options Options, of subject, object T, judge func(T) []Result, all keys,
) error {
	r := &reconciler[T]{
		objects: manager.GetCache(), empty: object, judge: judge, recorder: options.Recorder,
		taken: map[types.UID]struct{}{},
	}
	follower := &presence{
		interval: options.Interval,
		log:      manager.GetLogger().WithName("report"),
		served:   options.Meter.ReportsServed,
		failed:   make(chan struct{}, 1),
		opened:   func(ctx context.Context) error { return r.wakeAll(ctx, all) },
	}
	r.store = &store{
		kind: kindOf(options.Format, of == trails), subject: of, namespaces: options.Namespaces,
		config: manager.GetConfig(), httpClient: manager.GetHTTPClient(), now: options.Now,
		wrote: options.Meter.ReportWritten, changed: r.queue.Wake, failed: follower.watchFailed,
	}
	follower.store = r.store
	if err := errors.Join(r.store.connect(), follower.connect(manager.GetConfig())); err != nil {
		return err
	}

	err := ctrl.NewControllerManagedBy(manager).
		Named("report-"+of.prefix[:len(of.prefix)-1]).
		Watches(object, r.handler(options.Settle)).
		WatchesRawSource(r.queue.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
	if err != nil {
		return err
	}
	return manager.Add(follower)
}

// wakeAll has all objects judged.
func (r *reconciler[T]) wakeAll(ctx context.Context, all keys) error {
	names, err := all(ctx)
	if err != nil {
		return fmt.Errorf("listing what to report on: %w", err)
	}
	for _, name := range names {
		r.queue.Wake(name)
	}
	return nil
}

// Reconcile judges an object, and writes its report if that says something else.
func (r *reconciler[T]) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	object, ok := r.empty.DeepCopyObject().(T)
	if !ok {
		return reconcile.Result{}, reconcile.TerminalError(fmt.Errorf("a copy of a %T is none", r.empty))
	}
	if err := r.objects.Get(ctx, request.NamespacedName, object); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	return r.reconcile(ctx, object)
}

// reconcile reports on an object. The report of one that is being deleted goes with it.
func (r *reconciler[T]) reconcile(ctx context.Context, object T) (reconcile.Result, error) {
	if r.store.reader() == nil || !object.GetDeletionTimestamp().IsZero() {
		return reconcile.Result{}, nil
	}

	err := r.store.write(ctx, object, r.judge(object))
	taken, isTaken := errors.AsType[*takenError](err)
	if isTaken {
		r.tellTaken(object, taken)
		return reconcile.Result{RequeueAfter: judgeInterval}, nil
	}
	r.forget(object.GetUID())
	switch {
	case err == nil, apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return reconcile.Result{RequeueAfter: judgeInterval}, nil
	case ctx.Err() != nil:
		return reconcile.Result{}, nil //nolint:nilerr // The operator stops.
	case apierrors.IsAlreadyExists(err):
		return reconcile.Result{RequeueAfter: afterRace}, nil
	default:
		return requeue.OnConflict(err)
	}
}

// tellTaken tells once that an object can have no report.
func (r *reconciler[T]) tellTaken(object T, taken *takenError) {
	r.mu.Lock()
	_, told := r.taken[object.GetUID()]
	r.taken[object.GetUID()] = struct{}{}
	r.mu.Unlock()
	if !told {
		r.recorder.Eventf(object, nil, corev1.EventTypeWarning, "ReportNameTaken", "Report", "%s", taken.Error())
	}
}

func (r *reconciler[T]) forget(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.taken, uid)
}

// handler has an object judged some time after it has changed, and forgets it when it is gone.
func (r *reconciler[T]) handler(settle time.Duration) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	later := func(object client.Object, q queue) {
		q.AddAfter(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(object)}, settle)
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { later(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { later(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, _ queue) { r.forget(e.Object.GetUID()) },
	}
}
