package trail

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// emitted returns the events of outcomes of one trail, one after the other.
func emitted(t *testing.T, trail *v1alpha1.Trail, outcomes ...*outcome) []string {
	t.Helper()
	recorder := events.NewFakeRecorder(100)
	r, record := &Reconciler{Options: Options{Recorder: recorder}}, newRecord()
	for _, o := range outcomes {
		before := trail.Status.DeepCopy()
		if o.observed != nil && noteDrift(trail, record, o, testNow) {
			r.emitDrift(trail)
			trail.Status.Differences = shownOf(&trail.Status, o.observed, o.open)
		}
		r.emit(t.Context(), before, trail, o)
	}
	close(recorder.Events)
	var texts []string
	for text := range recorder.Events {
		texts = append(texts, text)
	}
	return texts
}

// TestOneEventForOnePieceOfWork holds that the steps of one reconcile are told in one event, and repairs of drift apart
// from changes.
func TestOneEventForOnePieceOfWork(t *testing.T) {
	t.Parallel()
	trail := testTrail(synced)
	create, remove := step{operation: createTrail, sets: differ(trail, fieldTrail)}, step{operation: deleteTrail}
	start, prefix := step{operation: startLogging, sets: differ(trail, fieldLogging)}, stepsOn(trail, "s3KeyPrefix")[0]
	untag := step{operation: removeTags, keys: []string{v1alpha1.OwnerTagKey}}
	mixed := step{operation: updateTrail, sets: differ(trail, "s3KeyPrefix", "kmsKeyID")}
	done := func(steps ...step) *outcome {
		return outcomeOf(trail, holding(trail, nil), func(o *outcome) { o.results = accepted(steps...) })
	}
	drifted := func(has func(*observation), steps ...step) *outcome {
		return outcomeOf(trail, holding(trail, has), func(o *outcome) { o.results = accepted(steps...) })
	}
	lost := func(steps ...step) *outcome {
		o := done(steps...)
		o.notKept = differ(trail, "s3KeyPrefix")
		return o
	}
	gone := func(steps ...step) *outcome { return &outcome{gone: true, results: accepted(steps...)} }
	const noted = "Warning DriftDetected AWS was changed in: "
	for name, c := range map[string]struct {
		outcomes []*outcome
		events   []string
	}{
		"nothing":    {[]*outcome{done(), {suspended: true}}, nil},
		"a creation": {[]*outcome{done(create, start)}, []string{"Normal Created CreateTrail, StartLogging"}},
		"two pieces of work": {
			[]*outcome{done(create), done(prefix)},
			[]string{"Normal Created CreateTrail", "Normal Updated UpdateTrail{s3KeyPrefix}"},
		},
		"a fault in between": {
			[]*outcome{done(create), done(start)},
			[]string{"Normal Created CreateTrail", "Normal Updated StartLogging"},
		},
		"deleted": {[]*outcome{gone(remove)}, []string{"Normal Deleted DeleteTrail"}},
		"let go of": {
			[]*outcome{gone(untag)}, []string{"Normal Released RemoveTags{trail-operator.dev/owner}"},
		},
		"let go of, no trail": {[]*outcome{gone()}, nil},
		"a drift": {
			[]*outcome{drifted(stopped, start)}, []string{noted + "logging", "Normal DriftRepaired StartLogging"},
		},
		"a drift of which nothing could be repaired": {[]*outcome{drifted(stopped)}, []string{noted + "logging"}},
		"a deletion, all of which is repaired": {
			[]*outcome{drifted(noTrail, create, start)},
			[]string{noted + "trail", "Normal DriftRepaired CreateTrail, StartLogging"},
		},
		"a drift and a change": {
			[]*outcome{drifted(stopped, start, prefix)},
			[]string{
				noted + "logging", "Normal DriftRepaired StartLogging", "Normal Updated UpdateTrail{s3KeyPrefix}",
			},
		},
		"a drift and a change in one step": {
			[]*outcome{drifted(prefixed, mixed)},
			[]string{noted + "s3KeyPrefix", "Normal DriftRepaired UpdateTrail{kmsKeyID, s3KeyPrefix}"},
		},
		"a drift that stays": {
			[]*outcome{drifted(stopped), drifted(stopped)}, []string{noted + "logging"},
		},
		"a drift that gets more": {
			[]*outcome{drifted(stopped), drifted(both(stopped, prefixed))},
			[]string{noted + "logging", noted + "s3KeyPrefix"},
		},
		"what AWS does not keep is no event": {[]*outcome{lost(prefix)}, nil},
		"but the rest is":                    {[]*outcome{lost(prefix, start)}, []string{"Normal Updated StartLogging"}},
		"and what does it along with the rest": {
			[]*outcome{lost(mixed)}, []string{"Normal Updated UpdateTrail{kmsKeyID, s3KeyPrefix}"},
		},
		"taken over": {
			[]*outcome{outcomeOf(trail, holding(trail, nil), func(o *outcome) { o.takenFrom = anotherOwner })},
			[]string{"Warning TakenOver the trail was taken over from " + anotherOwner + ", because adoptionPolicy is Always"},
		},
		"taken over from an odd owner": {
			[]*outcome{outcomeOf(trail, holding(trail, nil), func(o *outcome) { o.takenFrom = "a\nb" })},
			[]string{`Warning TakenOver the trail was taken over from a\nb, because adoptionPolicy is Always`},
		},
		"let go of without an answer": {
			[]*outcome{{gone: true, retained: true}},
			[]string{"Warning Released the owner tag may still be on the trail audit, because it could not be removed"},
		},
		"let go of, another's by now": {
			[]*outcome{{gone: true, left: true}},
			[]string{
				"Warning Released the trail audit was left in AWS, because it no longer carries this object's owner tag",
			},
		},
		"another's by now, not let go of yet": {[]*outcome{{left: true}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(emitted(t, testTrail(synced), c.outcomes...)).To(Equal(c.events))
		})
	}
}

// TestReadyEvents holds that an event tells when Ready turns, or turns to another reason.
func TestReadyEvents(t *testing.T) {
	t.Parallel()
	ready := func(status metav1.ConditionStatus, reason, message string) []metav1.Condition {
		return []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: message}}
	}
	available := ready(metav1.ConditionTrue, "Available", "logging to s3://logs")
	refused := ready(metav1.ConditionFalse, "KmsException", "no")
	for name, c := range map[string]struct {
		before, after []metav1.Condition
		events        []string
	}{
		"as before":          {available, available, nil},
		"another message":    {refused, ready(metav1.ConditionFalse, "KmsException", "no!"), nil},
		"not ready":          {available, refused, []string{"Warning KmsException no"}},
		"not ready at first": {nil, refused, []string{"Warning KmsException no"}},
		"another reason": {
			ready(metav1.ConditionFalse, "Stopped", "x"), refused, []string{"Warning KmsException no"},
		},
		"ready again":    {refused, available, []string{"Normal Available logging to s3://logs"}},
		"ready at first": {nil, available, nil},
		"not known any more": {
			available, ready(metav1.ConditionUnknown, "Suspended", "x"), []string{"Normal Suspended x"},
		},
		"nothing is known": {nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail := testTrail(func(trail *v1alpha1.Trail) { trail.Status.Conditions = c.before })
			o := &outcome{target: target{Trail: trail}}
			recorder := events.NewFakeRecorder(10)
			before := trail.Status.DeepCopy()
			trail.Status.Conditions = c.after
			(&Reconciler{Options: Options{Recorder: recorder}}).emit(t.Context(), before, trail, o)
			close(recorder.Events)
			var texts []string
			for text := range recorder.Events {
				texts = append(texts, text)
			}
			NewWithT(t).Expect(texts).To(Equal(c.events))
		})
	}
}
