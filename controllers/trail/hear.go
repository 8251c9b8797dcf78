package trail

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/eventqueue"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// What is heard of AWS is a hint: it is a reason to look, and tells who made what the look finds. What AWS holds is
// always read.

const (
	// maxHeard is how many calls are remembered of a trail, and heardFor how long: until who made a drift is found in the
	// history in any case.
	maxHeard = 16
	heardFor = attributionEnds
	// maxParameters bounds the parameters of a call that is remembered, in bytes; without them it is taken to have changed
	// whatever its operation changes.
	maxParameters = 1024
	// hintSpacing is the least time between two looks at a trail for what was heard, for each change that was heard of
	// lately: whoever makes many, or forges them, must not use up what CloudTrail allows.
	hintSpacing    = time.Second
	maxHintSpacing = 10 * time.Second
	// hintInterval is how often a trail is looked at, and hintFor how long, after a change of it was heard of: reads may
	// lag behind it.
	hintInterval = 5 * time.Second
	hintFor      = 20 * time.Second
	// dependencySpacing is the least time between two looks at a Trail that is ready for changes of what it depends on, of
	// which somebody may make many.
	dependencySpacing = time.Minute
	// dependencyFor is how long after such a change a Trail that is not ready is tried again often: policies take seconds
	// to be seen everywhere in AWS.
	dependencyFor = time.Minute
	// refusedSpacing is the least time between two events that tell of the same attempt.
	refusedSpacing = 10 * time.Minute
	// maxRefused is how many different attempts are told in that time.
	maxRefused = 8

	eventRefused  = "ChangeRefused"
	actionAttempt = "Attempt"
)

// trailCalls are the calls that change a trail.
var trailCalls = []string{
	createTrail, updateTrail, deleteTrail, startLogging, stopLogging,
	putEventSelectors, putInsightSelectors, putEventConfiguration, addTags, removeTags,
}

// hints are what was heard of a Trail from outside since it was last looked at, and of its trail lately. The memory's
// lock guards them.
type hints struct {
	// changed is when a change of the trail was last heard of, and dependency when one of what it depends on.
	changed, dependency time.Time
	// looked is when the last look began that is complete.
	looked time.Time
	// heard are the calls that changed the trail, by others than the operator, the latest last.
	heard []heardCall
	// refused is when each attempt was told of.
	refused map[string]time.Time
}

// heardCall is a call that was heard of, and when.
type heardCall struct {
	cloudtrail.Event
	at time.Time
	// blamed is when the drift was detected that the call is known to have made; zero: none.
	blamed time.Time
}

// Hear takes note of a call of which EventBridge tells. It looks at the Trails that the call concerns, at once and
// ahead of others, and tells what the call was to the operator. It does not block.
func (r *Reconciler) Hear(notice *cloudtrail.Notice) eventqueue.Kind {
	switch {
	case notice.Dependency != "":
		return r.hearDependency(notice)
	case notice.TrailARN != "" && slices.Contains(trailCalls, notice.Name):
		return r.hearTrail(notice)
	default:
		return eventqueue.KindForeign
	}
}

// hearDependency takes note of a change of what trails depend on.
func (r *Reconciler) hearDependency(notice *cloudtrail.Notice) eventqueue.Kind {
	keys := r.routes.of(notice.Dependency, r.allTrails)
	for _, key := range keys {
		trail, record := r.listening(key)
		if trail != nil && r.memory.hintDependency(record, isReady(trail), r.Now()) {
			r.queue.Wake(key)
		}
	}
	if len(keys) == 0 {
		return eventqueue.KindForeign
	}
	return eventqueue.KindDependency
}

// hearTrail takes note of a call that changed a trail, or was to.
func (r *Reconciler) hearTrail(notice *cloudtrail.Notice) eventqueue.Kind {
	kind := eventqueue.KindForeign
	for _, key := range r.routes.of(notice.TrailARN, r.allTrails) {
		trail, record := r.listening(key)
		switch {
		case trail == nil:
		case notice.By(key.String(), r.ownARNs(trail)):
			if kind == eventqueue.KindForeign {
				kind = eventqueue.KindOwn
			}
		case notice.ErrorCode != "":
			kind = eventqueue.KindRefused
			r.tellRefused(trail, record, notice)
		default:
			kind = eventqueue.KindTrail
			r.hint(key, trail, record, notice)
		}
	}
	return kind
}

// ownARNs returns the users and roles that the operator acts as for a Trail, also where AWS has refused all that it
// tried.
func (r *Reconciler) ownARNs(trail *v1alpha1.Trail) []string {
	identity := &v1alpha1.AWSIdentity{}
	key := client.ObjectKey{Name: trail.IdentityName()}
	if r.Client.Get(context.Background(), key, identity, client.DisableReadYourWritesConsistency) != nil {
		return trail.Status.OperatorARNs
	}
	return append([]string{cloudtrail.Principal(identity.Status.ARN)}, trail.Status.OperatorARNs...)
}

// hint has a Trail looked at for a change that was heard of, and lets the search for who made its last drift know.
func (r *Reconciler) hint(
	key types.NamespacedName,
	trail *v1alpha1.Trail,
	record *record,
	notice *cloudtrail.Notice,
) {
	isNew, wait := r.memory.hintChange(record, notice.Event, r.Now())
	if !isNew {
		return
	}
	if wait == 0 {
		r.queue.Wake(key)
	} else {
		time.AfterFunc(wait, func() { r.queue.Wake(key) })
	}
	if len(uncertain(trail)) > 0 {
		r.attributions.Wake(key)
	}
}

// tellRefused tells that somebody has tried to change a trail, each attempt from time to time.
func (r *Reconciler) tellRefused(trail *v1alpha1.Trail, record *record, notice *cloudtrail.Notice) {
	if !r.memory.noteRefused(record, notice, r.Now()) {
		return
	}
	ctrl.Log.WithName("trail").Info("AWS has refused a change of the trail", "trail", client.ObjectKeyFromObject(trail),
		"event", notice.String(), "eventID", notice.ID, "code", notice.ErrorCode)
	r.Recorder.Eventf(trail, nil, corev1.EventTypeWarning, eventRefused, actionAttempt, "%s",
		text.Cut(notice.String()+" was refused by AWS: "+notice.ErrorCode, maxShown))
}

// listening returns a Trail that there is, with what is remembered of it; nil when it has gone.
func (r *Reconciler) listening(key types.NamespacedName) (*v1alpha1.Trail, *record) {
	trail := r.cached(key)
	if trail == nil {
		return nil, nil
	}
	record := r.recordOf(trail)
	if r.cached(key) == nil { // It has gone meanwhile, and was forgotten.
		r.memory.forget(trail.UID, r.Sessions)
		return nil, nil
	}
	return trail, record
}

// cached returns a Trail as the cache has it, nil when there is none. What is heard concerns what AWS holds, so there
// is no own write to wait for.
func (r *Reconciler) cached(key types.NamespacedName) *v1alpha1.Trail {
	trail := &v1alpha1.Trail{}
	if r.Client.Get(context.Background(), key, trail, client.DisableReadYourWritesConsistency) != nil {
		return nil // It has gone.
	}
	return trail
}

// allTrails returns the Trails in the cache.
func (r *Reconciler) allTrails() []v1alpha1.Trail {
	var trails v1alpha1.TrailList
	err := r.Client.List(context.Background(), &trails, client.UnsafeDisableDeepCopy,
		client.DisableReadYourWritesConsistency)
	if err != nil {
		ctrl.Log.WithName("trail").Error(err, "listing Trails")
	}
	return trails.Items
}

func isReady(trail *v1alpha1.Trail) bool {
	return meta.IsStatusConditionTrue(trail.Status.Conditions, v1alpha1.ConditionReady)
}

// hintDependency notes a change of what a Trail depends on, and tells whether it is to be looked at.
func (m *memory) hintDependency(r *record, ready bool, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	spacing := hintSpacing
	if ready {
		spacing = dependencySpacing
	}
	if now.Sub(r.hints.dependency) < spacing {
		return false
	}
	r.hints.dependency = now
	return true
}

// hintChange notes a call that changed a trail. It tells whether the call is new, and how long to wait before the trail
// is looked at.
func (m *memory) hintChange(r *record, e cloudtrail.Event, now time.Time) (isNew bool, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := &r.hints
	h.forgetOld(now)
	if e.ID != "" && slices.ContainsFunc(h.heard, func(c heardCall) bool { return c.ID == e.ID }) {
		return false, 0
	}

	size := 0
	for name, value := range e.Parameters {
		size += len(name) + len(value)
	}
	if size > maxParameters {
		e.Parameters = nil
	}
	h.heard = append(h.heard, heardCall{Event: e, at: now})
	if len(h.heard) > maxHeard {
		h.heard = slices.Delete(h.heard, 0, len(h.heard)-maxHeard)
	}
	h.changed = now
	return true, max(0, h.spacing(now)-now.Sub(h.looked))
}

// spacing returns the least time between two looks for what was heard. The caller holds the memory's lock.
func (h *hints) spacing(now time.Time) time.Duration {
	spacing := time.Duration(0)
	for _, c := range h.heard {
		if now.Sub(c.at) < hintFor {
			spacing += hintSpacing
		}
	}
	return min(max(spacing, hintSpacing), maxHintSpacing)
}

// hintWait returns how long to wait before a trail is looked at for a change that was heard of while AWS was read;
// false when none was.
func (m *memory) hintWait(r *record, now time.Time) (time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return r.hints.spacing(now), r.hints.pending()
}

// forgetOld drops what was heard too long ago to be of use. The caller holds the lock.
func (h *hints) forgetOld(now time.Time) {
	h.heard = slices.DeleteFunc(h.heard, func(c heardCall) bool { return now.Sub(c.at) >= heardFor })
	if len(h.heard) == 0 {
		h.heard = nil
	}
}

// noteRefused tells whether an attempt is to be told of.
func (m *memory) noteRefused(r *record, notice *cloudtrail.Notice, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	attempt := notice.Name + " " + notice.Caller() + " " + notice.ErrorCode
	for told, at := range r.hints.refused {
		if now.Sub(at) >= refusedSpacing {
			delete(r.hints.refused, told)
		}
	}
	if _, told := r.hints.refused[attempt]; told || len(r.hints.refused) >= maxRefused {
		return false
	}
	if r.hints.refused == nil {
		r.hints.refused = map[string]time.Time{}
	}
	r.hints.refused[attempt] = now
	return true
}

// hinted tells whether a change of the trail was heard of that no look has followed.
func (m *memory) hinted(r *record) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return r.hints.pending()
}

// pending tells whether a change was heard of that no look has followed. The caller holds the lock.
func (h *hints) pending() bool { return h.changed.After(h.looked) }

// lookedSince notes that a look is complete which began at a time.
func (m *memory) lookedSince(r *record, began time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.hints.looked = latest(r.hints.looked, began)
	r.hints.forgetOld(began)
}

// heardWithin tells whether a change of the trail, or of what it depends on, was heard of lately.
func (m *memory) heardWithin(r *record, now time.Time) (changed, dependency bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Sub(r.hints.changed) < hintFor, now.Sub(r.hints.dependency) < dependencyFor
}

// heardCalls returns the calls of some operations that were heard of, and that made no other drift than the one that
// was detected at a time.
func (m *memory) heardCalls(r *record, detected time.Time, operations ...string) []cloudtrail.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	var calls []cloudtrail.Event
	for _, c := range r.hints.heard {
		if slices.Contains(operations, c.Name) && (c.blamed.IsZero() || c.blamed.Equal(detected)) {
			calls = append(calls, c.Event)
		}
	}
	return calls
}

// blame notes that calls made the drift that was detected at a time, and so no later one.
func (m *memory) blame(r *record, detected time.Time, findings []finding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range r.hints.heard {
		c := &r.hints.heard[i]
		if slices.ContainsFunc(findings, func(f finding) bool { return f.culprit.ID == c.ID }) {
			c.blamed = detected
		}
	}
}
