package trail

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/condition"
	"github.com/trail-operator/trail-operator/controllers/text"
)

// Reasons and actions of events.
const (
	eventDrift    = "DriftDetected"
	eventRepaired = "DriftRepaired"
	eventCreated  = "Created"
	eventUpdated  = "Updated"
	eventDeleted  = "Deleted"
	eventReleased = "Released"
	eventTaken    = "TakenOver"
	actionLook    = "Look"
	actionSync    = "Sync"
	actionDelete  = "Delete"
)

// emitDrift emits the event of a drift that is new.
func (r *Reconciler) emitDrift(trail *v1alpha1.Trail) {
	names := strings.Join(trail.Status.LastDrift.Fields, ", ")
	r.Recorder.Eventf(trail, nil, corev1.EventTypeWarning, eventDrift, actionLook, "AWS was changed in: %s", names)
}

// emit emits events, and logs one line, for what was done; a look that found nothing emits nothing.
func (r *Reconciler) emit(ctx context.Context, before *v1alpha1.TrailStatus, trail *v1alpha1.Trail, o *outcome) {
	if o.takenFrom != "" {
		r.Recorder.Eventf(trail, nil, corev1.EventTypeWarning, eventTaken, actionSync,
			"the trail was taken over from %s, because adoptionPolicy is Always", text.Escape(o.takenFrom))
	}
	if o.retained {
		r.Recorder.Eventf(trail, nil, corev1.EventTypeWarning, eventReleased, actionDelete,
			"the owner tag may still be on the trail %s, because it could not be removed", trail.TrailName())
	}
	if o.left && o.gone {
		r.Recorder.Eventf(trail, nil, corev1.EventTypeWarning, eventReleased, actionDelete,
			"the trail %s was left in AWS, because it no longer carries this object's owner tag", trail.TrailName())
	}
	if done := o.done(); len(done) > 0 {
		ctrl.LoggerFrom(ctx).Info("changed AWS", "steps", describe(done),
			"trail", trail.TrailName(), "region", o.caller.Region, "account", o.caller.AccountID)
	}
	for _, e := range eventsOf(o) {
		r.Recorder.Eventf(trail, nil, corev1.EventTypeNormal, e.reason, e.action, "%s", describe(e.steps))
	}
	r.emitReady(ctx, before, trail)
}

// stepsEvent is an event that tells of steps.
type stepsEvent struct {
	reason, action string
	steps          []step
}

// eventsOf returns the events that tell of what was done: repairs of drift apart from changes.
func eventsOf(o *outcome) []stepsEvent {
	done := o.done()
	switch {
	case len(done) == 0:
		return nil
	case done[len(done)-1].operation == deleteTrail:
		return []stepsEvent{{eventDeleted, actionDelete, done}}
	case o.gone:
		return []stepsEvent{{eventReleased, actionDelete, done}}
	}

	reason := eventUpdated
	if done[0].operation == createTrail {
		reason = eventCreated
	}
	if o.state == stateDrifted && done[0].operation == createTrail {
		return []stepsEvent{{eventRepaired, actionSync, done}} // All of it repairs one deletion.
	}

	isKept := func(d difference) bool { return !isAmong(o.notKept, d.number) }
	isDrift := func(d difference) bool { return isAmong(o.drift, d.number) }
	var repairs, changes []step
	for _, s := range done {
		if len(o.notKept) > 0 && !slices.ContainsFunc(s.sets, isKept) {
			continue // It was told that this is of no use.
		}
		if slices.ContainsFunc(s.sets, isDrift) {
			repairs = append(repairs, s)
		} else {
			changes = append(changes, s)
		}
	}

	var events []stepsEvent
	if len(repairs) > 0 {
		events = append(events, stepsEvent{eventRepaired, actionSync, repairs})
	}
	if len(changes) > 0 {
		events = append(events, stepsEvent{reason, actionSync, changes})
	}
	return events
}

// emitReady emits an event when Ready turns, or turns to another reason. That a new trail is ready follows from its
// creation, which has its own event.
func (r *Reconciler) emitReady(ctx context.Context, before *v1alpha1.TrailStatus, after *v1alpha1.Trail) {
	is := condition.Turned(before.Conditions, after.Status.Conditions, v1alpha1.ConditionReady)
	isNew := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionReady) == nil
	if is == nil || isNew && is.Status == metav1.ConditionTrue {
		return
	}
	ctrl.LoggerFrom(ctx).Info("trail is "+is.Reason, "ready", is.Status, "message", is.Message)
	r.Recorder.Eventf(after, nil, condition.EventType(is), is.Reason, actionLook, "%s", is.Message)
}
