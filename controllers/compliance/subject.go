package compliance

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// subject is a Trail that is judged.
type subject struct {
	trail *v1alpha1.Trail
	// live says that the Trail is in a cluster, so that its status counts, at the time now.
	live bool
	now  time.Time
}

// basis is what a pass rests on.
type basis int

const (
	// onAWS: AWS holds what the spec says.
	onAWS basis = iota
	// onReport: what CloudTrail last reported of the trail.
	onReport
	// onSpec: the spec alone.
	onSpec
	// onOperator: what the operator does about the object, even if it does not understand the spec.
	onOperator
)

// finding judges a control. A pass that the status does not bear out is none: a Trail that is suspended, say, was fine
// when it was last seen. A fail stays one, so nobody gets rid of it by suspending the Trail.
func (s *subject) finding(control *Control) finding {
	if s.trail.DecodeError != "" && control.restsOn != onOperator {
		return skip("the operator does not understand the spec: " + text.Printable(s.trail.DecodeError))
	}

	f := control.judge(s)
	if f.outcome != Pass {
		return f
	}
	if reason := s.unproven(control.restsOn); reason != "" {
		return skip(reason)
	}
	return f
}

// unproven returns why the status does not show what a basis asks for, "" if it does.
func (s *subject) unproven(on basis) string {
	if !s.live || on == onSpec || on == onOperator {
		return ""
	}
	spec, status := &s.trail.Spec, &s.trail.Status
	switch {
	case !s.trail.DeletionTimestamp.IsZero():
		return "the Trail is being deleted, so AWS is not compared with the spec any more"
	case spec.Suspended():
		return "spec.suspend is true, so AWS is not compared with the spec: the status is as it was last seen"
	case status.ObservedGeneration != s.trail.Generation:
		return "the operator has not processed this spec yet"
	case status.TrailARN == "":
		return "no trail in AWS belongs to this Trail"
	case on == onReport:
		return ""
	default:
		return s.notCompared()
	}
}

// notCompared returns why it is not known what AWS holds, "" if it is. While Synced is False for a difference, the
// differences are known; for any other reason, some fields may not have been read.
func (s *subject) notCompared() string {
	synced := s.condition(v1alpha1.ConditionSynced)
	switch {
	case synced == nil || synced.Status == metav1.ConditionUnknown:
		return "AWS has not been compared with the spec yet"
	case synced.Status == metav1.ConditionTrue,
		synced.Reason == v1alpha1.ReasonDifferent,
		synced.Reason == v1alpha1.ReasonNotKept:
		return ""
	default:
		return fmt.Sprintf("it is not known whether AWS holds what the spec says: Synced is False, %s", synced.Reason)
	}
}

func (s *subject) condition(conditionType string) *metav1.Condition {
	return meta.FindStatusCondition(s.trail.Status.Conditions, conditionType)
}

// setting is a field of the spec that a control asks for.
type setting struct {
	// names are the field's names, as in status.differences.
	names []string
	// asked tells whether the spec asks for the right value.
	asked bool
	// isRight tells whether a value of AWS, as in status.differences, is right. Without it, none can be told to be.
	isRight func(found string) bool
	// right and wrong say what the spec has; wrong also says what to change.
	right, wrong string
}

// judgeSetting judges a setting: by the spec, unless AWS is known to differ. If the operator manages the trail, both
// must be right, as AWS will hold what the spec says; if it only observes, AWS alone counts.
func (s *subject) judgeSetting(of setting) finding {
	difference := s.difference(of.names...)
	switch {
	case difference == nil && of.asked:
		return pass(of.right)
	case difference == nil:
		return fail(of.wrong)
	case !s.trail.Spec.ObserveOnly() && !of.asked:
		return fail(of.wrong)
	case s.trail.Spec.ObserveOnly() && of.isRight != nil && of.isRight(difference.Found):
		return pass("AWS has " + shown(difference) + ", other than the spec")
	case s.trail.Spec.ObserveOnly():
		return fail("AWS has " + shown(difference) + ", other than the spec, and managementPolicy Observe leaves it so: " +
			"change it in AWS, or set spec.managementPolicy: Manage and " + of.names[0])
	default:
		return fail("AWS has " + shown(difference) + ", other than the spec: see the condition Synced")
	}
}

// difference returns the first of the fields in which AWS differs from the spec, nil if there is none.
func (s *subject) difference(names ...string) *v1alpha1.Difference {
	if !s.live {
		return nil
	}
	differences := s.trail.Status.Differences
	i := slices.IndexFunc(differences, func(d v1alpha1.Difference) bool { return slices.Contains(names, d.Field) })
	if i < 0 {
		return nil
	}
	return &differences[i]
}

// shown is a difference in words.
func shown(difference *v1alpha1.Difference) string {
	return difference.Field + " " + text.Printable(cmp.Or(difference.Found, "without a value"))
}

func isTrue(found string) bool { return found == "true" }

func isSet(found string) bool { return found != "" }
