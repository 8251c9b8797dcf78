package trail

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// told returns the events of looks at one trail, one after the other.
func told(t *testing.T, looks ...verdict) []string {
	t.Helper()
	recorder := events.NewFakeRecorder(100)
	r := &Reconciler{Options: Options{Recorder: recorder}}
	trail := testTrail(nil)
	for _, v := range looks {
		before := trail.Status.DeepCopy()
		detectDrift(trail, v, testNow)
		r.tell(t.Context(), before, trail, v)
	}
	close(recorder.Events)
	var texts []string
	for text := range recorder.Events {
		texts = append(texts, text)
	}
	return texts
}

// TestOneEventForOnePieceOfWork holds that work that has to wait for turns under the rate limit is told once.
func TestOneEventForOnePieceOfWork(t *testing.T) {
	t.Parallel()
	turn := &cloudtrail.Error{Class: cloudtrail.Transient, RetryAfter: 1}
	fault := awsError(cloudtrail.Transient, "StartLogging", "ServiceUnavailable", "no")
	create, start := []step{{operation: createTrail}}, []step{{operation: startLogging, fields: []string{"logging"}}}
	prefix := stepsOn("s3KeyPrefix")
	for name, c := range map[string]struct {
		looks []verdict
		told  []string
	}{
		"at once":                {[]verdict{{done: append(create, start...)}}, []string{"Normal Created CreateTrail, StartLogging"}},
		"in two turns":           {[]verdict{{done: create, err: turn}, {done: start}}, []string{"Normal Created CreateTrail, StartLogging"}},
		"nothing before a turn":  {[]verdict{{err: turn}, {done: create, err: turn}, {err: turn}, {done: start}}, []string{"Normal Created CreateTrail, StartLogging"}},
		"a fault in between":     {[]verdict{{done: create, err: fault}, {done: start}}, []string{"Normal Created CreateTrail", "Normal Updated StartLogging"}},
		"a fault after a turn":   {[]verdict{{done: create, err: turn}, {err: fault}, {done: start}}, []string{"Normal Created CreateTrail", "Normal Updated StartLogging"}},
		"deleted in between":     {[]verdict{{done: create, err: turn}, {done: []step{{operation: deleteTrail}}, gone: true}}, []string{"Normal Deleted CreateTrail, DeleteTrail"}},
		"suspended in between":   {[]verdict{{done: create, err: turn}, {suspended: true}, {done: start}}, []string{"Normal Created CreateTrail", "Normal Updated StartLogging"}},
		"two pieces of work":     {[]verdict{{done: create}, {done: prefix}}, []string{"Normal Created CreateTrail", "Normal Updated " + describe(prefix)}},
		"a drift":                {[]verdict{{state: stateDrifted, done: start}}, []string{"Warning DriftDetected AWS was changed in: logging", "Normal DriftRepaired StartLogging"}},
		"a drift, in two turns":  {[]verdict{{state: stateDrifted, open: start, err: turn}, {state: stateDrifted, done: start}}, []string{"Warning DriftDetected AWS was changed in: logging", "Normal DriftRepaired StartLogging"}},
		"a drift that gets more": {[]verdict{{state: stateDrifted, open: start, err: turn}, {state: stateDrifted, open: append(start, prefix...), err: turn}}, []string{"Warning DriftDetected AWS was changed in: logging", "Warning DriftDetected AWS was changed in: logging, s3KeyPrefix"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(told(t, c.looks...)).To(Equal(c.told))
		})
	}
}

// TestUntoldIsForgotten holds that what was told takes no memory.
func TestUntoldIsForgotten(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var u untold
	key := types.NamespacedName{Name: "audit"}
	g.Expect(u.take(key, verdict{done: stepsOn("logging"), err: &cloudtrail.Error{RetryAfter: 1}})).To(BeEmpty())
	g.Expect(u.take(types.NamespacedName{Name: "other"}, verdict{})).To(BeEmpty())
	g.Expect(u.take(key, verdict{})).To(HaveLen(1))
	g.Expect(u.steps).To(BeEmpty())
}

// TestIdentityChanged holds which changes of an identity its Trails are looked at for.
func TestIdentityChanged(t *testing.T) {
	t.Parallel()
	identity := func(generation int64, account string, ready metav1.ConditionStatus) *v1alpha1.AWSIdentity {
		i := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Generation: generation}}
		i.Status.AccountID = account
		if ready != "" {
			i.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: ready}}
		}
		return i
	}
	known := identity(1, "111122223333", metav1.ConditionTrue)
	for name, c := range map[string]struct {
		before, after *v1alpha1.AWSIdentity
		passes        bool
	}{
		"nothing":                      {known, known, false},
		"the spec":                     {known, identity(2, "111122223333", metav1.ConditionTrue), true},
		"it works for the first time":  {identity(1, "", ""), known, false},
		"it works at last":             {identity(1, "", metav1.ConditionFalse), known, true},
		"it works again":               {identity(1, "111122223333", metav1.ConditionFalse), known, true},
		"it does not work any more":    {known, identity(1, "111122223333", metav1.ConditionFalse), false},
		"it leads to another account":  {known, identity(1, "444455556666", metav1.ConditionTrue), true},
		"it does not know its account": {known, identity(1, "", metav1.ConditionTrue), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(identityChanged.Update(event.UpdateEvent{ObjectOld: c.before, ObjectNew: c.after})).To(Equal(c.passes))
		})
	}
}
