package trail

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

func stepsOn(fields ...string) []step {
	return []step{{operation: updateTrail, fields: fields}}
}

// TestDrift holds what is remembered of a difference that somebody made, over several looks a minute apart.
func TestDrift(t *testing.T) {
	t.Parallel()
	passing := awsError(cloudtrail.Transient, "UpdateTrail", "ServiceUnavailable", "no")
	refused := awsError(cloudtrail.FixAWS, "UpdateTrail", "KmsException", "no")
	minute := func(n int) *metav1.Time { return &metav1.Time{Time: testNow.Add(time.Duration(n) * time.Minute)} }
	type look = func(*verdict)
	inSync := func(v *verdict) { v.state = stateInSync }
	outOfSync := func(v *verdict) { v.state, v.done = stateOutOfSync, stepsOn("s3KeyPrefix") }
	repaired := func(v *verdict) { v.state, v.done = stateDrifted, stepsOn("s3KeyPrefix", "logging") }
	interrupted := func(v *verdict) {
		v.state, v.done, v.open, v.err = stateDrifted, stepsOn("logging"), stepsOn("s3KeyPrefix"), passing
	}
	andMore := func(v *verdict) {
		v.state, v.done, v.open, v.err = stateDrifted, nil, stepsOn("kmsKeyID", "s3KeyPrefix"), passing
	}
	notRepaired := func(v *verdict) { v.state, v.open, v.err = stateDrifted, stepsOn("kmsKeyID"), refused }
	stillNot := func(v *verdict) { v.state, v.open, v.err = stateOutOfSync, stepsOn("kmsKeyID"), refused }
	observed := func(v *verdict) { v.state, v.open = stateDrifted, stepsOn("s3KeyPrefix") }
	stillDifferent := func(v *verdict) { v.state, v.open = stateOutOfSync, stepsOn("s3KeyPrefix") }
	gone := func(v *verdict) {
		v.state, v.observed, v.open, v.err = stateDrifted, &observation{}, []step{{operation: createTrail, fields: []string{fieldTrail}}}, refused
	}
	unread := func(v *verdict) { v.observed, v.err = nil, refused }
	for name, c := range map[string]struct {
		looks    []look
		fields   []string // nil: there was no drift
		detected *metav1.Time
		repaired *metav1.Time
	}{
		"none":                                 {[]look{inSync, inSync}, nil, nil, nil},
		"the user's own change is none":        {[]look{outOfSync}, nil, nil, nil},
		"repaired at once":                     {[]look{inSync, repaired}, []string{"logging", "s3KeyPrefix"}, minute(1), minute(1)},
		"repaired, and in sync ever since":     {[]look{repaired, inSync, inSync}, []string{"logging", "s3KeyPrefix"}, minute(0), minute(0)},
		"interrupted by a passing fault":       {[]look{interrupted}, []string{"logging", "s3KeyPrefix"}, minute(0), nil},
		"interrupted, then repaired":           {[]look{interrupted, repaired}, []string{"logging", "s3KeyPrefix"}, minute(0), minute(1)},
		"interrupted, and more has changed":    {[]look{interrupted, andMore}, []string{"kmsKeyID", "logging", "s3KeyPrefix"}, minute(0), nil},
		"refused":                              {[]look{notRepaired, stillNot}, []string{"kmsKeyID"}, minute(0), nil},
		"refused, then accepted":               {[]look{notRepaired, stillNot, outOfSync}, []string{"kmsKeyID"}, minute(0), minute(2)},
		"refused, then undone by themselves":   {[]look{notRepaired, inSync}, []string{"kmsKeyID"}, minute(0), minute(1)},
		"observed":                             {[]look{observed, stillDifferent}, []string{"s3KeyPrefix"}, minute(0), nil},
		"observed, undone by themselves":       {[]look{observed, stillDifferent, inSync}, []string{"s3KeyPrefix"}, minute(0), minute(2)},
		"deleted, and refused":                 {[]look{gone}, []string{"trail"}, minute(0), nil},
		"not repaired by not looking":          {[]look{notRepaired, unread}, []string{"kmsKeyID"}, minute(0), nil},
		"once more: the last one":              {[]look{repaired, inSync, observed}, []string{"s3KeyPrefix"}, minute(2), nil},
		"once more, repaired: the last one":    {[]look{observed, inSync, repaired}, []string{"logging", "s3KeyPrefix"}, minute(2), minute(2)},
		"a change of the user's in between":    {[]look{repaired, outOfSync}, []string{"logging", "s3KeyPrefix"}, minute(0), minute(0)},
		"nobody's trail: not repaired by that": {[]look{notRepaired, func(v *verdict) { v.state = stateNotOwned }}, []string{"kmsKeyID"}, minute(0), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			trail := testTrail(nil)
			for n, look := range c.looks {
				recordDrift(trail, at(holding(trail, nil), look), minute(n).Add(300*time.Millisecond))
			}
			drift := trail.Status.LastDrift
			if c.fields == nil {
				g.Expect(drift).To(BeNil())
				return
			}
			g.Expect(drift.Fields).To(Equal(c.fields))
			g.Expect(drift.DetectedTime).To(Equal(*c.detected), "in whole seconds, as the API keeps them")
			g.Expect(drift.RepairedTime).To(Equal(c.repaired))
		})
	}
}

// TestDriftKeepsItsBeginning holds since when a difference may have been there, over interrupted repairs.
func TestDriftKeepsItsBeginning(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	trail := testTrail(nil)
	interrupted := func(lastInSync time.Time) verdict {
		return at(holding(trail, nil), func(v *verdict) {
			v.state, v.open, v.err, v.lastInSync = stateDrifted, stepsOn("logging"), awsError(cloudtrail.Transient, "StartLogging", "ServiceUnavailable", "no"), lastInSync
		})
	}
	detectDrift(trail, interrupted(testNow.Add(-time.Hour)), testNow)
	detectDrift(trail, interrupted(testNow.Add(-time.Minute)), testNow.Add(time.Minute))
	g.Expect(trail.Status.LastDrift.LastInSyncTime.Time).To(BeTemporally("==", testNow.Add(-time.Hour)))
	g.Expect(trail.Status.LastDrift.Attribution).To(Equal(v1alpha1.DriftAttributionPending))
}

func TestLastInSync(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: testNow.Add(-d)} }
	syncedSince := func(status metav1.ConditionStatus, since time.Duration) []metav1.Condition {
		return []metav1.Condition{{Type: v1alpha1.ConditionSynced, Status: status, LastTransitionTime: *ago(since)}}
	}
	for name, c := range map[string]struct {
		status v1alpha1.TrailStatus
		want   *metav1.Time // nil: never
	}{
		"never":                              {v1alpha1.TrailStatus{}, nil},
		"since it was synced":                {v1alpha1.TrailStatus{Conditions: syncedSince(metav1.ConditionTrue, time.Hour)}, ago(time.Hour)},
		"not synced":                         {v1alpha1.TrailStatus{Conditions: syncedSince(metav1.ConditionFalse, time.Hour), LatestDeliveryTime: ago(time.Minute)}, nil},
		"at the last repair":                 {v1alpha1.TrailStatus{Conditions: syncedSince(metav1.ConditionTrue, 2*time.Hour), LastDrift: &v1alpha1.Drift{RepairedTime: ago(time.Hour)}}, ago(time.Hour)},
		"at the last repair, not synced now": {v1alpha1.TrailStatus{Conditions: syncedSince(metav1.ConditionFalse, time.Minute), LastDrift: &v1alpha1.Drift{RepairedTime: ago(time.Hour)}}, ago(time.Hour)},
		"when a delivery was seen":           {v1alpha1.TrailStatus{Conditions: syncedSince(metav1.ConditionTrue, time.Hour), LatestDeliveryTime: ago(10 * time.Minute)}, ago(10*time.Minute + readLag)},
		"when the last delivery was seen": {v1alpha1.TrailStatus{
			Conditions:         syncedSince(metav1.ConditionTrue, time.Hour),
			LatestDeliveryTime: ago(30 * time.Minute), LatestDigestDeliveryTime: ago(20 * time.Minute),
			LatestCloudWatchLogsDeliveryTime: ago(15 * time.Minute), LatestNotificationTime: ago(25 * time.Minute),
		}, ago(15*time.Minute + readLag)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			var want time.Time
			if c.want != nil {
				want = c.want.Time
			}
			g.Expect(lastInStatus(&c.status)).To(BeTemporally("==", want))
			var memory inSync
			g.Expect(memory.last(&v1alpha1.Trail{Status: c.status}, testNow)).To(BeTemporally("==", want))
		})
	}
}

func TestInSyncMemory(t *testing.T) {
	t.Parallel()
	key := types.NamespacedName{Namespace: "security", Name: "audit"}
	trail := testTrail(nil)
	for name, c := range map[string]struct {
		verdict verdict
		want    time.Time
	}{
		"a look that found nothing may be of old reads": {at(holding(trail, nil), nil), testNow.Add(-readLag)},
		"a write is of now":                             {at(holding(trail, nil), func(v *verdict) { v.done = stepsOn("logging") }), testNow},
		"something is open":                             {at(holding(trail, nil), func(v *verdict) { v.open = stepsOn("logging") }), time.Time{}},
		"something failed":                              {at(holding(trail, nil), func(v *verdict) { v.err = awsError(cloudtrail.FixAWS, "a", "b", "c") }), time.Time{}},
		"nothing was read":                              {at(nil, nil), time.Time{}},
		"it is not ours":                                {at(holding(trail, nil), func(v *verdict) { v.state = stateNotOwned }), time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			var memory inSync
			memory.note(key, c.verdict, testNow)
			g.Expect(memory.last(trail, testNow.Add(time.Hour))).To(BeTemporally("==", c.want))
			memory.note(key, at(holding(trail, nil), nil), testNow.Add(-time.Hour))
			if !c.want.IsZero() {
				g.Expect(memory.last(trail, testNow.Add(time.Hour))).To(BeTemporally("==", c.want), "time goes forward")
			}
			g.Expect(memory.last(trail, testNow.Add(-2*time.Hour))).To(BeTemporally("<=", testNow.Add(-2*time.Hour)), "never after now")
			memory.forget(key)
			g.Expect(memory.last(trail, testNow)).To(BeZero())
		})
	}
}
