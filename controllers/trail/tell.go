package trail

import (
	"context"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
func (r *Reconciler) tell(ctx context.Context, before *v1alpha1.TrailStatus, after *v1alpha1.Trail, v verdict) {
	if v.state == stateDrifted && !sameDrift(before.LastDrift, after.Status.LastDrift) {
		fields := strings.Join(v.drifted(), ", ")
		r.Recorder.Eventf(after, nil, corev1.EventTypeWarning, eventDrift, actionLook, "AWS was changed in: %s", fields)
	}
	if v.takenFrom != "" {
		r.Recorder.Eventf(after, nil, corev1.EventTypeWarning, eventTaken, actionSync, "the trail was taken from %s, as adoptionPolicy is Always", v.takenFrom)
	}
	if len(v.done) > 0 {
		ctrl.LoggerFrom(ctx).Info("changed AWS", "steps", describe(v.done), "trail", after.TrailName(), "region", v.region, "account", v.accountID)
	}
	if steps := r.untold.take(client.ObjectKeyFromObject(after), v); len(steps) > 0 {
		reason, action := eventOf(v, steps)
		r.Recorder.Eventf(after, nil, corev1.EventTypeNormal, reason, action, "%s", describe(steps))
	}
	r.tellReady(ctx, before, after)
}

// sameDrift tells whether a drift is told of already: its repair may take several turns under CloudTrail's rate limit.
func sameDrift(before, after *v1alpha1.Drift) bool {
	return before != nil && after != nil && before.DetectedTime.Equal(&after.DetectedTime) && slices.Equal(before.Fields, after.Fields)
}

func eventOf(v verdict, steps []step) (reason, action string) {
	switch first, last := steps[0].operation, steps[len(steps)-1].operation; {
	case last == deleteTrail:
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

// untold keeps the steps of trails that wait for another turn under CloudTrail's rate limit, so that one event tells of one piece of work.
// It is lost with the process; the event tells less then.
type untold struct {
	mu    sync.Mutex
	steps map[types.NamespacedName][]step
}

// take returns the steps that are to be told now.
func (u *untold) take(key types.NamespacedName, v verdict) []step {
	u.mu.Lock()
	defer u.mu.Unlock()
	steps := slices.Concat(u.steps[key], v.done)
	delete(u.steps, key)
	if retryAfter(v.err) == 0 || len(steps) == 0 {
		return steps
	}
	if u.steps == nil {
		u.steps = map[types.NamespacedName][]step{}
	}
	u.steps[key] = steps
	return nil
}

// tellReady tells when Ready turns, or turns to another reason. That a new trail is ready follows from its creation, which is
// told already.
func (r *Reconciler) tellReady(ctx context.Context, before *v1alpha1.TrailStatus, after *v1alpha1.Trail) {
	was := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionReady)
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
