package trail

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
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

// tell records events, and logs one line, for what changed; a look that found nothing tells nothing.
func (r *Reconciler) tell(ctx context.Context, before, after *v1alpha1.Trail, v verdict) {
	if v.state == stateDrifted {
		fields := strings.Join(v.drifted(), ", ")
		r.Recorder.Eventf(after, nil, corev1.EventTypeWarning, eventDrift, actionLook, "AWS was changed in: %s", fields)
	}
	if v.takenFrom != "" {
		r.Recorder.Eventf(after, nil, corev1.EventTypeWarning, eventTaken, actionSync, "the trail was taken from %s, as adoptionPolicy is Always", v.takenFrom)
	}
	if len(v.done) > 0 {
		ctrl.LoggerFrom(ctx).Info("changed AWS", "steps", describe(v.done), "trail", after.TrailName(), "region", v.region, "account", v.accountID)
		reason, action := eventOf(v)
		r.Recorder.Eventf(after, nil, corev1.EventTypeNormal, reason, action, "%s", describe(v.done))
	}
	r.tellReady(ctx, before, after)
}

func eventOf(v verdict) (reason, action string) {
	switch first := v.done[0].operation; {
	case first == deleteTrail:
		return eventDeleted, actionDelete
	case v.gone:
		return eventReleased, actionDelete
	case v.state == stateDrifted:
		return eventRepaired, actionSync
	case first == createTrail:
		return eventCreated, actionSync
	default:
		return eventUpdated, actionSync
	}
}

// tellReady tells when Ready turns, or turns to another reason. That a new trail is ready follows from its creation, which is
// told already.
func (r *Reconciler) tellReady(ctx context.Context, before, after *v1alpha1.Trail) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	is := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionReady)
	if is == nil || was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	if was == nil && is.Status == metav1.ConditionTrue {
		return
	}
	kind := corev1.EventTypeNormal
	if is.Status == metav1.ConditionFalse {
		kind = corev1.EventTypeWarning
	}
	ctrl.LoggerFrom(ctx).Info("trail is "+is.Reason, "ready", is.Status, "message", is.Message)
	r.Recorder.Eventf(after, nil, kind, is.Reason, actionLook, "%s", truncate(is.Message))
}

// truncate shortens a text to what an event's note may hold.
func truncate(text string) string {
	return truncateTo(text, 1000) // bytes, of the API's 1024
}

// truncateTo shortens a text to that many bytes.
func truncateTo(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
