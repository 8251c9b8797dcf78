package compliance

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// judgeRetained: spec.deletionPolicy, which defaults to Delete. What is only observed is never deleted.
func judgeRetained(s *subject) finding {
	if s.trail.Spec.Retained() || s.trail.Spec.ObserveOnly() {
		return pass("the trail outlives its object")
	}
	return fail("whoever deletes the Trail deletes the trail in AWS: set spec.deletionPolicy: Retain")
}

// judgeManaged: the operator repairs what others change in AWS.
func judgeManaged(s *subject) finding {
	if f := judgeWatched(s); f.outcome != Pass {
		return f
	}
	if s.trail.Spec.ObserveOnly() {
		return fail("the operator repairs nothing: set spec.managementPolicy: Manage")
	}
	return pass("the operator keeps the trail as the spec says")
}

// judgeWatched: the operator finds out what others change in AWS.
func judgeWatched(s *subject) finding {
	switch {
	case s.trail.DecodeError != "":
		return fail("the operator does not understand the spec, and leaves the trail alone (see the condition Ready): " +
			text.Printable(s.trail.DecodeError))
	case !s.trail.DeletionTimestamp.IsZero():
		return skip("the Trail is being deleted")
	case s.trail.Spec.Suspended():
		return fail("nobody looks after the trail: remove spec.suspend: true")
	default:
		return pass("the operator compares the trail with the spec, and reports who changed it")
	}
}

// judgeDrift: the condition Synced, and status.lastDrift.
func judgeDrift(s *subject) finding {
	synced, drift := s.condition(v1alpha1.ConditionSynced), s.trail.Status.LastDrift
	switch {
	case !s.live:
		return skip("whether AWS holds what the spec says shows in the status, once the Trail is applied")
	case drift != nil && drift.RepairedTime == nil:
		return fail(fmt.Sprintf("somebody changed the trail in AWS (%s), and it is not repaired: see status.lastDrift",
			text.Printable(strings.Join(drift.Fields, ", "))))
	case synced == nil || synced.Status == metav1.ConditionUnknown:
		return skip("AWS has not been compared with the spec yet")
	case synced.Status == metav1.ConditionFalse:
		return fail("AWS does not hold what the spec says (" + synced.Reason + "): see the condition Synced")
	default:
		return pass("AWS holds what the spec says")
	}
}

// judgeBucketAccessLogging and judgeKeyRotation stand for requirements that spec and status cannot show, so that a
// report on a benchmark is complete.
func judgeBucketAccessLogging(*subject) finding {
	return skip("the operator does not read the settings of buckets: show that spec.s3BucketName logs access to it")
}

func judgeKeyRotation(s *subject) finding {
	if s.trail.Spec.KMSKeyID == "" {
		return skip("spec.kmsKeyID names no key")
	}
	return skip("the operator does not read the settings of keys: show that the key of spec.kmsKeyID is rotated")
}
