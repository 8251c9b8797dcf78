package compliance

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// assessedWithin is how old an assessment of an account may be. There is one every hour; the operator itself says after
// about two that it does not know any more, if it runs.
const assessedWithin = 3 * time.Hour

// judgeAccountRecorded: the condition Recorded.
func judgeAccountRecorded(identity *v1alpha1.AWSIdentity, now time.Time) finding {
	recorded := meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionRecorded)
	switch {
	case unassessed(identity, now) != "":
		return skip(unassessed(identity, now))
	case recorded == nil, recorded.Status == metav1.ConditionUnknown,
		recorded.ObservedGeneration != identity.Generation:
		return skip("it is not known whether the account is recorded: see the condition Recorded")
	case recorded.Status == metav1.ConditionFalse:
		return fail("not all management events of the account are recorded (" + recorded.Reason + "): " +
			text.Printable(recorded.Message))
	default:
		return pass("all management events of the account are recorded, in all regions")
	}
}

// judgeAccountTrail: any trail in status.coverage that is logging.
func judgeAccountTrail(identity *v1alpha1.AWSIdentity, now time.Time) finding {
	if reason := unassessed(identity, now); reason != "" {
		return skip(reason)
	}

	coverage := identity.Status.Coverage
	is := func(logging bool) func(v1alpha1.AssessedTrail) bool {
		return func(t v1alpha1.AssessedTrail) bool { return t.Logging != nil && *t.Logging == logging }
	}
	switch {
	case slices.ContainsFunc(coverage.Trails, is(true)):
		return pass("at least one trail of the account is logging")
	case coverage.TrailCount == 0:
		return fail("the account has no trail: create a Trail")
	case len(coverage.Trails) == int(coverage.TrailCount) && !slices.ContainsFunc(coverage.Trails, not(is(false))):
		return fail("no trail of the account is logging: see status.coverage.trails")
	default:
		return skip("it is not known whether a trail of the account is logging: see status.coverage.trails")
	}
}

// unassessed returns why an account cannot be judged, "" if it can.
func unassessed(identity *v1alpha1.AWSIdentity, now time.Time) string {
	coverage := identity.Status.Coverage
	switch {
	case identity.DecodeError != "":
		return "the operator does not understand the spec of the AWSIdentity"
	case !identity.Spec.CoverageAssessed():
		return "the account is not assessed: set spec.assessCoverage: true of the AWSIdentity"
	case coverage == nil:
		return "the account has not been assessed yet: see the condition Recorded"
	case now.Sub(coverage.AssessedTime.Time) >= assessedWithin:
		return "the account was last assessed at " + coverage.AssessedTime.UTC().Format(time.RFC3339) +
			": see the condition Recorded"
	default:
		return ""
	}
}

func not[T any](is func(T) bool) func(T) bool { return func(t T) bool { return !is(t) } }
