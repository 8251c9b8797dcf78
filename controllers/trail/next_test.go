package trail

import (
	"errors"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// notReady is a trail that has not been ready for that long, and is stalled or not.
func notReady(lasted time.Duration, stalled bool) func(*v1alpha1.Trail) {
	return func(trail *v1alpha1.Trail) {
		trail.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, LastTransitionTime: metav1.NewTime(testNow.Add(-lasted))}}
		if stalled {
			trail.Status.Conditions = append(trail.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue})
		}
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	const interval = 10 * time.Minute
	look := [2]time.Duration{interval / 2, 3 * interval / 2}
	exactly := func(d time.Duration) [2]time.Duration { return [2]time.Duration{d, d} }
	never := exactly(0)
	refused := awsError(cloudtrail.FixAWS, "UpdateTrail", "InsufficientS3BucketPolicyException", "no")
	denied := awsError(cloudtrail.Permission, "DescribeTrails", "AccessDeniedException", "no")
	wrong := awsError(cloudtrail.FixSpec, "UpdateTrail", "InvalidS3PrefixException", "no")
	refusal := &awsidentity.Refusal{Reason: v1alpha1.ReasonIdentityNotFound}
	often := func(edit func(*v1alpha1.Trail)) func(*v1alpha1.Trail) {
		return func(trail *v1alpha1.Trail) {
			trail.Spec.Interval = &metav1.Duration{Duration: 12 * time.Second}
			edit(trail)
		}
	}
	someStep := []step{{operation: updateTrail}}
	for name, c := range map[string]struct {
		trail    func(*v1alpha1.Trail)
		verdict  verdict
		after    [2]time.Duration // From and to.
		err      bool             // Whether the queue's own backoff is used.
		priority int              // 0: what it had.
	}{
		"in sync":                             {nil, verdict{}, look, false, handler.LowPriority},
		"in sync, by its own interval":        {often(func(*v1alpha1.Trail) {}), verdict{}, [2]time.Duration{6 * time.Second, 18 * time.Second}, false, handler.LowPriority},
		"suspended":                           {nil, verdict{suspended: true}, never, false, 0},
		"a passing fault":                     {nil, verdict{err: awsError(cloudtrail.Transient, "UpdateTrail", "ServiceUnavailable", "no")}, never, true, 0},
		"gone in between":                     {nil, verdict{err: awsError(cloudtrail.NotFound, "UpdateTrail", "TrailNotFoundException", "no")}, never, true, 0},
		"there in between":                    {nil, verdict{err: awsError(cloudtrail.AlreadyExists, "CreateTrail", "TrailAlreadyExistsException", "no")}, never, true, 0},
		"its turn comes later":                {nil, verdict{err: &cloudtrail.Error{Class: cloudtrail.Transient, RetryAfter: 3 * time.Second}}, exactly(3 * time.Second), false, turnPriority},
		"refused just now":                    {notReady(0, false), verdict{err: refused}, exactly(5 * time.Second), false, handler.LowPriority},
		"refused for the first time":          {nil, verdict{err: refused}, exactly(5 * time.Second), false, handler.LowPriority},
		"refused for less than a minute":      {notReady(59*time.Second, false), verdict{err: refused}, exactly(5 * time.Second), false, handler.LowPriority},
		"refused for a minute":                {notReady(time.Minute, false), verdict{err: refused}, exactly(15 * time.Second), false, handler.LowPriority},
		"refused for ten minutes":             {notReady(10*time.Minute, false), verdict{err: refused}, exactly(150 * time.Second), false, handler.LowPriority},
		"refused for a day":                   {notReady(24*time.Hour, false), verdict{err: refused}, exactly(5 * time.Minute), false, handler.LowPriority},
		"refused in the future, by the clock": {notReady(-time.Hour, false), verdict{err: refused}, exactly(5 * time.Second), false, handler.LowPriority},
		"refused, looked at more often":       {often(notReady(24*time.Hour, false)), verdict{err: refused}, exactly(12 * time.Second), false, handler.LowPriority},
		"denied for a day":                    {notReady(24*time.Hour, false), verdict{err: denied}, exactly(5 * time.Minute), false, handler.LowPriority},
		"no identity":                         {notReady(0, false), verdict{err: refusal}, exactly(5 * time.Second), false, handler.LowPriority},
		"the spec is wrong":                   {notReady(0, true), verdict{err: wrong}, look, false, handler.LowPriority},
		"the spec was wrong before":           {notReady(0, true), verdict{held: true, open: someStep}, look, false, handler.LowPriority},
		"not ours":                            {notReady(0, true), verdict{state: stateNotOwned, open: someStep}, look, false, handler.LowPriority},
		"accepted, not shown yet":             {notReady(0, false), verdict{done: someStep, open: someStep}, exactly(2 * time.Second), false, handler.LowPriority},
		"observed, different":                 {notReady(0, false), verdict{open: someStep}, look, false, handler.LowPriority},
		"repaired":                            {nil, verdict{done: someStep}, look, false, handler.LowPriority},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			r := &Reconciler{Options: Options{Interval: interval}}
			result, err := r.next(testTrail(c.trail), c.verdict, testNow)
			if c.err {
				g.Expect(err).To(MatchError(c.verdict.err))
			} else {
				g.Expect(err).NotTo(HaveOccurred())
			}
			g.Expect(result.RequeueAfter).To(And(BeNumerically(">=", c.after[0]), BeNumerically("<=", c.after[1])))
			if c.priority == 0 {
				g.Expect(result.Priority).To(BeNil())
			} else {
				g.Expect(result.Priority).To(HaveValue(Equal(c.priority)))
			}
		})
	}
}

// TestWaitsGrow holds that the wait after a refusal never shrinks while the refusal lasts, and stays within its bounds.
func TestWaitsGrow(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var last time.Duration
	for lasted := time.Duration(0); lasted < time.Hour; lasted += time.Second {
		wait := sinceNotReady(testTrail(notReady(lasted, false)), testNow)
		g.Expect(wait).To(And(BeNumerically(">=", last), BeNumerically(">=", quickRetry), BeNumerically("<=", slowRetry)))
		last = wait
	}
	g.Expect(last).To(Equal(slowRetry))
}

// TestLooks holds when trails are looked at without a reason: those of an account and region together, others at other times.
func TestLooks(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{10 * time.Second, 5 * time.Minute, 24 * time.Hour} {
		t.Run(interval.String(), func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			tenths := map[int64]bool{}
			for n := range 200 {
				place := fmt.Sprintf("%012d/%s", n, testRegion)
				var first time.Time
				for _, later := range []time.Duration{0, time.Nanosecond, interval / 3, interval / 2, interval - time.Nanosecond, interval, 1000*interval + interval/7} {
					now := testNow.Add(later)
					until := untilLook(now, interval, place)
					g.Expect(until).To(And(BeNumerically(">=", interval/2), BeNumerically("<", 3*interval/2)))
					look := now.Add(until)
					if first.IsZero() {
						first = look
						tenths[10*(first.UnixNano()%interval.Nanoseconds())/interval.Nanoseconds()] = true
					}
					g.Expect(look.Sub(first)%interval).To(BeZero(), "all who look at a place look at one time")
				}
			}
			g.Expect(tenths).To(HaveLen(10), "places are spread over the interval")
		})
	}
}

func TestErrorKinds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err       error
		transient bool
		tellable  bool
	}{
		"none":                {nil, false, true},
		"a fault":             {awsError(cloudtrail.Transient, "a", "b", "c"), true, true},
		"not there":           {awsError(cloudtrail.NotFound, "a", "b", "c"), true, true},
		"already there":       {awsError(cloudtrail.AlreadyExists, "a", "b", "c"), true, true},
		"wrong":               {awsError(cloudtrail.FixSpec, "a", "b", "c"), false, true},
		"refused":             {awsError(cloudtrail.FixAWS, "a", "b", "c"), false, true},
		"denied":              {awsError(cloudtrail.Permission, "a", "b", "c"), false, true},
		"wrapped":             {fmt.Errorf("looking: %w", awsError(cloudtrail.Transient, "a", "b", "c")), true, true},
		"an identity refused": {&awsidentity.Refusal{}, false, true},
		"of Kubernetes":       {errors.New("etcdserver: request timed out"), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			g.Expect(isTransient(c.err)).To(Equal(c.transient))
			g.Expect(tellable(c.err)).To(Equal(c.tellable))
		})
	}
}
