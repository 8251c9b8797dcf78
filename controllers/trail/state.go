package trail

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// state is what the spec and the observation make of each other.
type state int

const (
	// stateAbsent: there is no trail, and there has been none for this spec.
	stateAbsent state = iota
	// stateElsewhere: a trail of the name has its home in another region.
	stateElsewhere
	// stateNotOwned: the trail has no owner, and adoptionPolicy does not let us take it.
	stateNotOwned
	// stateOwnedByAnother: the trail belongs to somebody else, and adoptionPolicy does not let us take it.
	stateOwnedByAnother
	// stateOwnerUnknown: the trail needs a write, but whose it is could not be read.
	stateOwnerUnknown
	// stateInSync: AWS holds what the spec says.
	stateInSync
	// stateOutOfSync: AWS does not yet hold what the spec says.
	stateOutOfSync
	// stateDrifted: AWS held what this very spec says and holds something else now.
	stateDrifted
)

// String returns the name of the state.
func (s state) String() string {
	return [...]string{"Absent", "Elsewhere", "NotOwned", "OwnedByAnother", "OwnerUnknown", "InSync", "OutOfSync", "Drifted"}[s]
}

// ownership is whose a trail is by its tags.
type ownership int

const (
	ours ownership = iota
	unowned
	others
)

func ownershipOf(tags map[string]string, owner string) ownership {
	switch tags[v1alpha1.OwnerTagKey] {
	case owner:
		return ours
	case "":
		return unowned
	default:
		return others
	}
}

// mayManage is the table of adoption: whose trail may be managed under which policy.
func mayManage(policy v1alpha1.AdoptionPolicy, whose ownership) bool {
	switch whose {
	case ours:
		return true
	case unowned:
		return policy == v1alpha1.AdoptionPolicyIfUnowned || policy == v1alpha1.AdoptionPolicyAlways
	default:
		return policy == v1alpha1.AdoptionPolicyAlways
	}
}

// stateOf tells what the spec and the observation make of each other; steps are the plan for them.
func stateOf(trail *v1alpha1.Trail, o *observation, owner, region string, steps []step) state {
	differs := stateOutOfSync
	if wasSynced(trail) {
		differs = stateDrifted
	}
	switch {
	case o.trail == nil && differs == stateDrifted:
		return stateDrifted
	case o.trail == nil:
		return stateAbsent
	case o.trail.HomeRegion != region:
		return stateElsewhere
	case trail.Spec.Observed():
		return inSyncOr(steps, differs)
	case cloudtrail.Is(o.trail.TagsErr, cloudtrail.Transient) && differs == stateOutOfSync:
		// What a person changed may be the tags: only that would make it drift at the next look.
		return stateOwnerUnknown
	case o.trail.TagsErr != nil:
		return inSyncOr(steps, stateOwnerUnknown)
	case !mayManage(trail.Spec.Adoption(), ownershipOf(o.trail.Tags, owner)):
		return foreign(o.trail)
	default:
		return inSyncOr(steps, differs)
	}
}

func foreign(trail *cloudtrail.Trail) state {
	if trail.Tags[v1alpha1.OwnerTagKey] == "" {
		return stateNotOwned
	}
	return stateOwnedByAnother
}

func inSyncOr(steps []step, otherwise state) state {
	if len(steps) == 0 {
		return stateInSync
	}
	return otherwise
}

// wasSynced tells whether AWS held what this generation of the spec says when it was last looked at. A difference
// is somebody's doing in AWS then, and not the user's own change.
func wasSynced(trail *v1alpha1.Trail) bool {
	synced := meta.FindStatusCondition(trail.Status.Conditions, v1alpha1.ConditionSynced)
	return synced != nil && synced.Status == metav1.ConditionTrue && synced.ObservedGeneration == trail.Generation
}

// specRefused tells whether AWS refused this very spec before: it is not tried again until the object changes.
func specRefused(trail *v1alpha1.Trail) bool {
	stalled := meta.FindStatusCondition(trail.Status.Conditions, v1alpha1.ConditionStalled)
	if stalled == nil || stalled.ObservedGeneration != trail.Generation {
		return false
	}
	switch stalled.Reason {
	case v1alpha1.ReasonNotOwned, v1alpha1.ReasonOwnedByAnother, v1alpha1.ReasonWrongHomeRegion:
		return false // A state of AWS, seen anew at every look.
	default:
		return true
	}
}
