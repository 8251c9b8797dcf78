package simulation

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// longestInterval is the longest interval between two looks that a spec has.
const longestInterval = 30 * time.Minute

const (
	// settling is how long after the last disturbance all must be well: two looks of the laziest Trail, and the longest
	// wait after a refusal.
	settling = 2*longestInterval + 15*time.Minute
	// resting is how long nothing is written then.
	resting = longestInterval + 10*time.Minute
)

// calmDown ends all disturbances.
func (w *World) calmDown() {
	w.note("all is quiet from now on")
	w.emulator.ClearFaults()
	w.deny()
	w.setAWSNetwork(calm(awsLatency))
	w.setAPINetwork(calm(apiLatency))
	w.watchDelay, w.skew, w.traps = apiLatency, 0, nil
	w.emulator.SetForwarding(promptly)
	w.restoreQueue()
	w.setQueue(eventQueue.URL())
	for _, p := range w.alive {
		p.thaw()
	}
	if len(w.alive) == 0 {
		w.start()
	}
}

// checkQuiet holds what must be so when nobody has disturbed anything for a while.
func (w *World) checkQuiet() {
	objects, err := w.api.Objects(trailResource)
	if err != nil {
		w.violated("the API server answers", "%v", err)
		return
	}
	held := map[string]string{} // Trails in AWS and the objects that say that they hold them.
	for _, object := range objects {
		name := object.GetNamespace() + "/" + object.GetName()
		trail := w.trail(name)
		if trail == nil {
			w.violated("every object can be decoded", "%s", name)
			continue
		}
		w.checkTrail(name, trail, held)
	}
	w.checkLeft()
	w.checkEvents()
}

// checkLeft holds that objects that are gone have left no trail behind that they ought to have deleted.
func (w *World) checkLeft() {
	for number := range slotCount {
		s := slotOf(number)
		found, exists := w.emulator.Trail(s.accountID, regions[s.region], s.trail)
		last := w.truth.gone[s.String()]
		if !exists || found.Tags[v1alpha1.OwnerTagKey] != w.owner(s.String()) || last == nil || w.trail(s.String()) != nil {
			continue
		}
		if home, known := w.homeOf(last); known && home != s.accountID {
			continue // It was an earlier object's.
		}
		if w.truth.deletionSwallowed(s.arn()) {
			continue
		}
		if last.DeletionTimestamp != nil && !last.Spec.Retained() && !last.Spec.ObserveOnly() {
			w.violated("no trail is left behind", "%s of %s", s.arn(), s)
		}
	}
}

// checkTrail holds that AWS holds what a Trail says, and that its status says so.
func (w *World) checkTrail(name string, trail *v1alpha1.Trail, held map[string]string) {
	s := w.slotOfObject(name)
	home, known := w.homeOf(trail)
	if trail.DeletionTimestamp != nil && (!known || home == s.accountID) {
		w.violated("what is deleted goes", "%s is still there: %s", name, summary(trail))
		return
	}
	if trail.DeletionTimestamp != nil || trail.Spec.Suspended() {
		return
	}
	if trail.Status.ObservedGeneration != trail.Generation {
		w.violated("every change is looked at", "%s: generation %d, observed %d: %s", name, trail.Generation,
			trail.Status.ObservedGeneration, summary(trail))
		return
	}

	if known && home != s.accountID {
		if meta.IsStatusConditionTrue(trail.Status.Conditions, v1alpha1.ConditionReady) {
			w.violated("a trail stays in its account", "%s was created in %s: %s", name, home, summary(trail))
		}
		return
	}

	found, exists := w.emulator.Trail(s.accountID, regions[s.region], s.trail)
	actual := &found
	if !exists {
		actual = nil
	}
	mine := exists && found.Tags[v1alpha1.OwnerTagKey] == w.owner(name)
	wanted := wantedBy(trail)
	differences := differing(wanted, fieldsOf(actual, w.owner(name), tagKeys(trail)))
	maps.DeleteFunc(wanted, func(field, _ string) bool { return slices.Contains(deniedFields[w.shape.Denied], field) })
	avoidable := differing(wanted, fieldsOf(actual, w.owner(name), tagKeys(trail)))
	synced := meta.IsStatusConditionTrue(trail.Status.Conditions, v1alpha1.ConditionSynced)
	ready := meta.IsStatusConditionTrue(trail.Status.Conditions, v1alpha1.ConditionReady)

	switch {
	case trail.Spec.ObserveOnly():
		if synced != (len(differences) == 0) && (synced || w.shape.Denied == "") {
			w.violated("status never lies", "%s observes %v: %s", name, differences, summary(trail))
		}
	case mine || !exists:
		if len(avoidable) > 0 && !w.mayDiffer(trail) {
			w.violated("AWS holds what the specs say", "%s differs in %v: %s", name, avoidable, summary(trail))
		}
		if len(differences) > 0 == synced && (synced || w.shape.Denied == "") {
			w.violated("status never lies", "%s differs in %v: %s", name, differences, summary(trail))
		}
		held[s.arn()] = name
	default:
		if synced {
			w.violated("status never lies", "%s has %s, whose owner is %q: %s", name, s.arn(),
				found.Tags[v1alpha1.OwnerTagKey], summary(trail))
		}
		return
	}
	if exists && synced && trail.Status.IsLogging != nil && *trail.Status.IsLogging != found.IsLogging {
		w.violated("status never lies", "%s logs: %t: %s", name, found.IsLogging, summary(trail))
	}
	if ready && !synced {
		w.violated("status never lies", "%s is Ready and not Synced: %s", name, summary(trail))
	}
	if len(trail.Status.Differences) > 0 && synced {
		w.violated("status never lies", "%s is Synced with differences: %s", name, summary(trail))
	}
	for _, drift := range driftsOf(trail) {
		settled := time.Since(drift.DetectedTime.Time) > 40*time.Minute
		if settled && drift.Attribution != v1alpha1.DriftAttributionFound &&
			drift.Attribution != v1alpha1.DriftAttributionNotFound {
			w.violated("each drift is attributed in the end", "%s: %s since %s", name, drift.Attribution,
				time.Since(drift.DetectedTime.Time))
		}
	}
}

// mayDiffer tells whether AWS refuses what a spec wants: more trails than a region has, or more tags than a trail.
func (w *World) mayDiffer(trail *v1alpha1.Trail) bool {
	synced := meta.FindStatusCondition(trail.Status.Conditions, v1alpha1.ConditionSynced)
	return synced != nil && slices.Contains([]string{
		"MaximumNumberOfTrailsExceeded",
		"TagsLimitExceeded",
		"MaximumNumberOfTrailsExceededException",
		"TagsLimitExceededException",
	}, synced.Reason)
}

// homeOf returns the account in which an object's trail was created, as AWS or else the object tells, or in which its
// creation was once prepared, as it may have succeeded: the object stays with that.
func (w *World) homeOf(trail *v1alpha1.Trail) (account string, known bool) {
	if account, known = w.truth.homes[trail.UID]; known {
		return account, true
	}
	if trail.Status.AccountID != "" {
		return trail.Status.AccountID, true
	}
	var creation struct{ Account string }
	err := json.Unmarshal([]byte(trail.Annotations[v1alpha1.AnnotationCreation]), &creation)
	return creation.Account, err == nil && creation.Account != ""
}

// slotOfObject returns the slot of an object.
func (w *World) slotOfObject(name string) slot {
	for number := range slotCount {
		if s := slotOf(number); s.String() == name {
			return s
		}
	}
	return slot{}
}

// summary shows the conditions of a Trail.
func summary(trail *v1alpha1.Trail) string {
	var parts []string
	for _, c := range trail.Status.Conditions {
		message := c.Message
		if len(message) > 150 {
			message = message[:150] + "…"
		}
		parts = append(parts, fmt.Sprintf("%s=%s %s (%s)", c.Type, c.Status, c.Reason, message))
	}
	return strings.Join(parts, "; ")
}
