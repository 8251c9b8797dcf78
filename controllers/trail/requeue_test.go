package trail

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/requeue"
)

// notReadyFor is a trail that has not been ready for that long, and is stalled or not.
func notReadyFor(lasted time.Duration, stalled bool) func(*v1alpha1.Trail) {
	return func(trail *v1alpha1.Trail) {
		trail.Status.Conditions = []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, LastTransitionTime: *ago(lasted)},
		}
		if stalled {
			set(trail, v1alpha1.ConditionStalled, metav1.ConditionTrue, "Stalled", "no")
		}
	}
}

func TestRequeue(t *testing.T) {
	t.Parallel()
	const interval = 10 * time.Minute
	resync := [2]time.Duration{interval / 2, 3 * interval / 2}
	vigilant := [2]time.Duration{5 * time.Second, 15 * time.Second}
	exactly := func(d time.Duration) [2]time.Duration { return [2]time.Duration{d, d} }
	drifted := func(before time.Duration) func(*v1alpha1.Trail) {
		return func(trail *v1alpha1.Trail) { trail.Status.LastDrift = &v1alpha1.Drift{DetectedTime: *ago(before)} }
	}
	often := func(trail *v1alpha1.Trail) { trail.Spec.Interval = &metav1.Duration{Duration: 12 * time.Second} }
	fault := awsError(cloudtrail.Transient, "UpdateTrail", "ServiceUnavailable", "no")
	gone := awsError(cloudtrail.NotFound, "UpdateTrail", "TrailNotFoundException", "no")
	there := awsError(cloudtrail.AlreadyExists, "CreateTrail", "TrailAlreadyExistsException", "no")
	refused := awsError(cloudtrail.FixAWS, "UpdateTrail", "InsufficientS3BucketPolicyException", "no")
	denied := awsError(cloudtrail.Permission, "DescribeTrails", "AccessDeniedException", "no")
	wrong := awsError(cloudtrail.FixSpec, "UpdateTrail", "InvalidS3PrefixException", "no")
	refusal := &awsidentity.AccessError{Reason: v1alpha1.ReasonIdentityNotFound}
	fails := func(errs ...error) outcome {
		var o outcome
		for _, err := range errs {
			o.results = append(o.results, answered(err, step{operation: updateTrail})...)
		}
		return o
	}
	reads := func(edit func(*observation)) outcome {
		return *outcomeOf(testTrail(synced), holding(testTrail(nil), edit), nil)
	}
	some := differ(testTrail(nil), "s3KeyPrefix")
	for name, c := range map[string]struct {
		trail   func(*v1alpha1.Trail)
		outcome outcome
		after   [2]time.Duration // From and to.
		err     error            // With it the queue's own backoff is used.
	}{
		"in sync":                      {nil, outcome{}, resync, nil},
		"in sync, by its own interval": {often, outcome{}, [2]time.Duration{6 * time.Second, 18 * time.Second}, nil},
		"changed by somebody just now": {drifted(0), outcome{}, vigilant, nil},
		"changed ten minutes ago":      {drifted(10 * time.Minute), outcome{}, resync, nil},
		"changed, and refused for a day": {
			both(drifted(0), notReadyFor(24*time.Hour, false)), fails(refused), exactly(5 * time.Minute), nil,
		},
		"suspended":                      {nil, outcome{suspended: true}, exactly(0), nil},
		"a passing fault":                {nil, fails(fault), exactly(0), fault},
		"a passing fault, before all":    {nil, outcome{err: fault}, exactly(0), fault},
		"gone in between":                {nil, fails(gone), exactly(0), gone},
		"there in between":               {nil, fails(there), exactly(0), there},
		"a fault among refusals":         {notReadyFor(24*time.Hour, false), fails(refused, fault), exactly(0), fault},
		"a fault, and the spec is wrong": {notReadyFor(0, true), fails(wrong, fault), exactly(0), fault},
		"a part could not be read": {
			nil, reads(func(o *observation) { o.status.err = fault }), exactly(0), fault,
		},
		"tags that nobody needs, hidden": {nil, reads(tagsFail(cloudtrail.Permission)), resync, nil},
		"refused just now":               {notReadyFor(0, false), fails(refused), exactly(5 * time.Second), nil},
		"refused for the first time":     {nil, fails(refused), exactly(5 * time.Second), nil},
		"refused for less than a minute": {
			notReadyFor(59*time.Second, false), fails(refused), exactly(5 * time.Second), nil,
		},
		"refused for a minute": {notReadyFor(time.Minute, false), fails(refused), exactly(15 * time.Second), nil},
		"refused for ten minutes": {
			notReadyFor(10*time.Minute, false), fails(refused), exactly(150 * time.Second), nil,
		},
		"refused for a day": {notReadyFor(24*time.Hour, false), fails(refused), exactly(5 * time.Minute), nil},
		"refused in the future, by a clock": {
			notReadyFor(-time.Hour, false), fails(refused), exactly(5 * time.Second), nil,
		},
		"refused, with a short interval": {
			both(often, notReadyFor(24*time.Hour, false)), fails(refused), exactly(12 * time.Second), nil,
		},
		"denied for a day": {notReadyFor(24*time.Hour, false), outcome{err: denied}, exactly(5 * time.Minute), nil},
		"a part denied for a day": {
			notReadyFor(24*time.Hour, false), reads(func(o *observation) { o.insights.err = denied }),
			exactly(5 * time.Minute), nil,
		},
		"no identity":       {notReadyFor(0, false), outcome{err: refusal}, exactly(5 * time.Second), nil},
		"the spec is wrong": {notReadyFor(0, true), fails(wrong), resync, nil},
		"not ours":          {notReadyFor(0, true), reads(taggedOver), resync, nil},
		"accepted, not shown yet": {
			notReadyFor(0, false), outcome{results: accepted(step{}), open: some}, exactly(2 * time.Second), nil,
		},
		"accepted, with a shorter interval": {
			func(trail *v1alpha1.Trail) { trail.Spec.Interval = &metav1.Duration{Duration: time.Second} },
			outcome{results: accepted(step{}), open: some}, exactly(time.Second), nil,
		},
		"accepted before, not shown yet": {
			notReadyFor(0, false), outcome{resting: resting{settling: some}, open: some}, exactly(2 * time.Second), nil,
		},
		"not kept":            {notReadyFor(0, false), outcome{resting: resting{notKept: some}, open: some}, resync, nil},
		"observed, different": {notReadyFor(0, false), outcome{open: some}, resync, nil},
		"repaired":            {nil, outcome{results: accepted(step{})}, resync, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			r := &Reconciler{Options: Options{Interval: interval}}
			result, err := r.requeue(testTrail(c.trail), &record{}, &c.outcome, testNow)
			if c.err != nil {
				g.Expect(err).To(MatchError(c.err))
			} else {
				g.Expect(err).NotTo(HaveOccurred())
			}
			g.Expect(result.RequeueAfter).To(And(BeNumerically(">=", c.after[0]), BeNumerically("<=", c.after[1])))
			g.Expect(result.Priority).To(BeNil(), "it is said once, of all that do not wait for AWS")
		})
	}
}

// A trail that was created anew by a call whose answer was lost is looked at again when what is read can be believed.
func TestRequeueUncreated(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	r := &Reconciler{Options: Options{Interval: 10 * time.Minute}}
	starts := &outcome{results: accepted(step{operation: startLogging})}
	record := &record{uncreated: true, created: secondsAgo(4)}

	result, err := r.requeue(testTrail(nil), record, starts, testNow)

	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(result.RequeueAfter).To(Equal(11 * time.Second))
	g.Expect(record.mayBeFormer(starts, testNow.Add(result.RequeueAfter))).To(BeFalse(), "it is believed then")
}

// TestWaitsGrow holds that the wait after a refusal never shrinks while the refusal lasts, and stays within its bounds.
func TestWaitsGrow(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var last time.Duration
	for lasted := time.Duration(0); lasted < time.Hour; lasted += time.Second {
		wait := sinceNotReady(testTrail(notReadyFor(lasted, false)), testNow)
		g.Expect(wait).To(
			And(BeNumerically(">=", last), BeNumerically(">=", requeue.QuickRetry), BeNumerically("<=", requeue.SlowRetry)),
		)
		last = wait
	}
	g.Expect(last).To(Equal(requeue.SlowRetry))
}

// TestResyncs holds when trails are looked at without a reason: those of an account and region together, others at
// other times.
func TestResyncs(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{10 * time.Second, 5 * time.Minute, 24 * time.Hour} {
		t.Run(interval.String(), func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			tenths := map[int64]bool{}
			for n := range 200 {
				place := fmt.Sprintf("%012d/%s", n, testRegion)
				var first time.Time
				for _, later := range []time.Duration{
					0, time.Nanosecond, interval / 3, interval / 2, interval - time.Nanosecond, interval,
					1000*interval + interval/7,
				} {
					now := testNow.Add(later)
					until := untilResync(now, interval, place)
					g.Expect(until).To(And(BeNumerically(">=", interval/2), BeNumerically("<", 3*interval/2)))
					resync := now.Add(until)
					if first.IsZero() {
						first = resync
						tenths[10*(first.UnixNano()%interval.Nanoseconds())/interval.Nanoseconds()] = true
					}
					g.Expect(resync.Sub(first)%interval).To(BeZero(), "all who look at a place look at one time")
				}
			}
			g.Expect(tenths).To(HaveLen(10), "places are spread over the interval")
		})
	}
}

func TestErrorKinds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err        error
		transient  bool
		aboutTrail bool
		refused    bool
	}{
		"none":          {nil, false, true, false},
		"a fault":       {awsError(cloudtrail.Transient, "a", "b", "c"), true, true, false},
		"not there":     {awsError(cloudtrail.NotFound, "a", "b", "c"), true, true, false},
		"already there": {awsError(cloudtrail.AlreadyExists, "a", "b", "c"), true, true, false},
		"wrong":         {awsError(cloudtrail.FixSpec, "a", "b", "c"), false, true, true},
		"refused":       {awsError(cloudtrail.FixAWS, "a", "b", "c"), false, true, true},
		"denied":        {awsError(cloudtrail.Permission, "a", "b", "c"), false, true, false},
		"wrapped": {
			fmt.Errorf("looking: %w", awsError(cloudtrail.Transient, "a", "b", "c")), true, true, false,
		},
		"an identity refused": {&awsidentity.AccessError{}, false, true, false},
		"not answered yet":    {&cloudtrail.Pending{}, false, false, false},
		"of Kubernetes":       {errors.New("etcdserver: request timed out"), false, false, false},
		"the object changed":  {errChanged, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			g.Expect(isTransient(c.err)).To(Equal(c.transient))
			g.Expect(isAboutTrail(c.err)).To(Equal(c.aboutTrail))
			g.Expect(isRefused(c.err)).To(Equal(c.refused))
		})
	}
}

// TestFault holds what is hidden for a while: an outcome of which all that is wrong passes by itself.
func TestFault(t *testing.T) {
	t.Parallel()
	passing := awsError(cloudtrail.Transient, "a", "b", "c")
	refused := awsError(cloudtrail.FixAWS, "a", "b", "c")
	some := differ(testTrail(nil), "s3KeyPrefix")
	results := func(errs ...error) []result {
		var all []result
		for _, err := range errs {
			all = append(all, result{step{}, err})
		}
		return all
	}
	for name, c := range map[string]struct {
		outcome outcome
		fault   error
	}{
		"nothing":                         {outcome{results: results(nil)}, nil},
		"a fault":                         {outcome{results: results(nil, passing)}, passing},
		"a fault of the beginning":        {outcome{err: passing}, passing},
		"a refusal":                       {outcome{results: results(refused)}, nil},
		"a fault and a refusal":           {outcome{results: results(passing, refused)}, nil},
		"an identity refused":             {outcome{err: &awsidentity.AccessError{}, results: results(passing)}, nil},
		"settling":                        {outcome{resting: resting{settling: some}}, errSettling},
		"settling, and a fault":           {outcome{resting: resting{settling: some}, results: results(passing)}, passing},
		"settling, and a refusal":         {outcome{resting: resting{settling: some}, results: results(refused)}, nil},
		"settling, and another not kept":  {outcome{resting: resting{settling: some, notKept: some}}, nil},
		"not kept":                        {outcome{resting: resting{notKept: some}}, nil},
		"not kept, and a fault elsewhere": {outcome{resting: resting{notKept: some}, results: results(passing)}, passing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.fault == nil {
				NewWithT(t).Expect(c.outcome.fault()).NotTo(HaveOccurred())
			} else {
				NewWithT(t).Expect(c.outcome.fault()).To(MatchError(c.fault))
			}
		})
	}
}

// TestFaultsAreShownWhenTheyLast holds for how long passing faults are hidden.
func TestFaultsAreShownWhenTheyLast(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	record, fault := newRecord(), awsError(cloudtrail.Transient, "a", "b", "c")
	g.Expect(record.shows(nil, testNow)).To(BeTrue(), "what is no fault is always shown")
	g.Expect(record.shows(fault, testNow)).To(BeFalse(), "the first one")
	g.Expect(record.shows(fault, testNow.Add(time.Second))).To(BeFalse())
	g.Expect(record.shows(fault, testNow.Add(hideFaults-1))).To(BeFalse())
	g.Expect(record.shows(fault, testNow.Add(hideFaults))).To(BeTrue(), "counted from the first one")
	g.Expect(newRecord().shows(fault, testNow.Add(hideFaults))).To(BeFalse(), "each trail has its own")
	g.Expect(record.shows(nil, testNow.Add(hideFaults))).To(BeTrue())
	g.Expect(record.shows(fault, testNow.Add(time.Hour))).To(BeFalse(), "a new one after all was well")
}

// TestRetryPace holds that a Trail that meets faults is looked at as often as ever.
func TestRetryPace(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	often := testTrail(
		func(trail *v1alpha1.Trail) { trail.Spec.Interval = &metav1.Duration{Duration: 10 * time.Second} },
	)
	seldom := testTrail(func(trail *v1alpha1.Trail) { trail.Name = "seldom" })
	waits := interceptor.Funcs{Get: func(
		ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption,
	) error {
		g.Expect(options).To(ContainElement(client.DisableReadYourWritesConsistency), "the queue is locked meanwhile")
		return c.Get(ctx, key, object, options...)
	}}
	r := &Reconciler{Options: Options{
		Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(often, seldom).WithInterceptorFuncs(waits).
			Build(),
		Interval: 30 * time.Second,
	}}
	last := func(name string) time.Duration {
		pace := retryPace{
			workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry), r,
		}
		request := reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "security", Name: name}}
		g.Expect(pace.When(request)).To(Equal(firstRetry))
		g.Expect(pace.When(request)).To(Equal(2 * firstRetry))
		var wait time.Duration
		for range 20 {
			wait = pace.When(request)
		}
		return wait
	}
	g.Expect(last("audit")).To(Equal(10*time.Second), "its own interval")
	g.Expect(last("seldom")).To(Equal(30*time.Second), "the operator's")
	g.Expect(last("gone")).To(Equal(30 * time.Second))
	r.Interval = time.Hour
	g.Expect(last("seldom")).To(Equal(lastRetry))
}

// TestRetryOnConflict holds which errors of the Kubernetes API are none.
func TestRetryOnConflict(t *testing.T) {
	t.Parallel()
	trails := schema.GroupResource{Group: "trail-operator.dev", Resource: "trails"}
	other := errors.New("etcdserver: request timed out")
	for name, c := range map[string]struct {
		err, want error
		after     time.Duration
	}{
		"none": {nil, nil, 0},
		"a conflict": {
			fmt.Errorf("writing: %w", apierrors.NewConflict(trails, "audit", errors.New("no"))), nil, firstRetry,
		},
		"gone":    {apierrors.NewNotFound(trails, "audit"), nil, 0},
		"another": {other, other, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			result, err := requeue.OnConflict(c.err)
			g.Expect(result).To(Equal(reconcile.Result{RequeueAfter: c.after}))
			if c.want == nil {
				g.Expect(err).NotTo(HaveOccurred())
			} else {
				g.Expect(err).To(MatchError(c.want))
			}
		})
	}
}

// TestPriorities holds that neither a look nor the search for who made a drift keeps the priority of one that waits for
// AWS.
func TestPriorities(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	g := NewWithT(t)
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	trail := testTrail(func(trail *v1alpha1.Trail) { trail.Spec.Suspend = aws.Bool(true) })
	cluster := fake.NewClientBuilder().WithScheme(scheme).WithObjects(trail).WithStatusSubresource(trail).Build()
	r := &Reconciler{
		Options: Options{Client: cluster, Recorder: events.NewFakeRecorder(10), Now: time.Now, Interval: time.Minute},
	}
	r.Sessions = cloudtrail.NewSessions(cloudtrail.Options{})
	for name, reconciler := range map[string]reconcile.ObjectReconciler[*v1alpha1.Trail]{
		"look": r, "attribution": attributor{r},
	} {
		current := &v1alpha1.Trail{}
		g.Expect(cluster.Get(t.Context(), client.ObjectKeyFromObject(trail), current)).To(Succeed())
		result, err := reconciler.Reconcile(t.Context(), current)
		g.Expect(err).NotTo(HaveOccurred(), name)
		g.Expect(result.Priority).To(HaveValue(BeZero()), name)
	}
}
