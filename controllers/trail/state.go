package trail

import (
	"slices"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// state is what the spec and the observation make of each other.
type state int

const (
	// stateUnknown: it could not be read whether there is a trail, and what its settings are.
	stateUnknown state = iota
	// stateAbsent: there is no trail, and there has been none for this object.
	stateAbsent
	// stateElsewhere: a trail of the name has its home in another region.
	stateElsewhere
	// stateNotOwned: the trail has no owner, and adoptionPolicy does not let us take it.
	stateNotOwned
	// stateOwnedByAnother: the trail belongs to somebody else, and adoptionPolicy does not let us take it.
	stateOwnedByAnother
	// stateOwnerUnknown: the trail needs a write, or may need one of tags, but whose it is could not be read.
	stateOwnerUnknown
	// stateInSync: AWS holds what the spec says, as far as it could be read.
	stateInSync
	// stateOutOfSync: AWS does not yet hold what the spec says.
	stateOutOfSync
	// stateDrifted: AWS held what the spec says and holds something else now.
	stateDrifted
)

// String returns the name of the state.
func (s state) String() string {
	return [...]string{
		"Unknown", "Absent", "Elsewhere", "NotOwned", "OwnedByAnother", "OwnerUnknown", "InSync", "OutOfSync", "Drifted",
	}[s]
}

// isForeign tells whether the trail is not ours to compare.
func (s state) isForeign() bool {
	return s == stateElsewhere || s == stateNotOwned || s == stateOwnedByAnother
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

// mayManage is the table of adoption: whose trail may be managed. One that was ours stays ours when its tag is removed,
// and nothing is taken from who takes it back: two would fight over it for ever, and nobody could rely on what it is.
func mayManage(t target, found *cloudtrail.Trail) bool {
	policy := t.Spec.Adoption()
	switch ownershipOf(found.Tags, t.owner) {
	case ours:
		return true
	case unowned:
		return policy == v1alpha1.AdoptionPolicyIfUnowned || policy == v1alpha1.AdoptionPolicyAlways || wasOurs(t, found)
	default:
		return policy == v1alpha1.AdoptionPolicyAlways && !t.takesBack(found)
	}
}

// wasOurs tells whether this very trail was this object's before, and nobody else has claimed it since.
func wasOurs(t target, found *cloudtrail.Trail) bool {
	return found.ARN == t.Status.TrailARN && ownershipOf(found.Tags, t.owner) != others &&
		digestsOf(&t.Status).synced(numberOf(fieldOwnerTag), t.owner)
}

// isKnown tells whether this very trail was this object's at some time.
func isKnown(t target, found *cloudtrail.Trail) bool { return found.ARN == t.Status.TrailARN }

// stateOf tells what the spec and the observation make of each other.
func stateOf(t target, o *observation, differences []difference) state {
	differs := stateOutOfSync
	if len(driftOf(t, differences)) > 0 {
		differs = stateDrifted
	}

	switch {
	case o.settingsErr != nil && (o.trail == nil || t.Spec.ObserveOnly()):
		return stateUnknown
	case o.trail == nil && differs == stateDrifted:
		return stateDrifted
	case o.trail == nil:
		return stateAbsent
	case o.trail.HomeRegion != t.caller.Region:
		return stateElsewhere
	case t.Spec.ObserveOnly():
		return inSyncOr(differences, differs)
	case o.trail.TagsErr != nil && !needsNoTags(t, o.trail):
		return stateOwnerUnknown
	case o.trail.TagsErr != nil:
		return inSyncOr(differences, stateOwnerUnknown)
	case !mayManage(t, o.trail):
		return foreign(o.trail)
	case o.settingsErr != nil && len(differences) == 0:
		return stateUnknown
	default:
		return inSyncOr(differences, differs)
	}
}

// needsNoTags tells whether a trail can be compared without its tags. One that was never the object's may be anybody's.
// Where tags cannot be read for a moment, they may be just what differs.
func needsNoTags(t target, found *cloudtrail.Trail) bool {
	return isKnown(t, found) && (!isTransient(found.TagsErr) || tagsWereSynced(t))
}

// tagsWereSynced tells whether AWS once held the owner tag and the tags of the spec.
func tagsWereSynced(t target) bool {
	synced := digestsOf(&t.Status)
	return !slices.ContainsFunc([]string{fieldOwnerTag, fieldTags}, func(name string) bool {
		number := numberOf(name)
		return !synced.synced(number, fields[number].wanted(t))
	})
}

func foreign(trail *cloudtrail.Trail) state {
	if trail.Tags[v1alpha1.OwnerTagKey] == "" {
		return stateNotOwned
	}
	return stateOwnedByAnother
}

func inSyncOr(differences []difference, otherwise state) state {
	if len(differences) == 0 {
		return stateInSync
	}
	return otherwise
}

// driftOf returns the differences that somebody made in AWS: AWS held before what the spec says.
func driftOf(t target, differences []difference) []difference {
	synced := digestsOf(&t.Status)
	var drift []difference
	for _, d := range differences {
		if synced.synced(d.number, d.wanted) {
			drift = append(drift, d)
		}
	}
	return drift
}
