package trail

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// recordDrift notes a difference that somebody made in AWS, and when AWS held again what the spec says.
func recordDrift(trail *v1alpha1.Trail, v verdict, now time.Time) {
	detectDrift(trail, v, now)
	drift := trail.Status.LastDrift
	if drift != nil && drift.RepairedTime == nil && v.err == nil && v.visible() && len(v.open) == 0 {
		repaired := metav1.NewTime(now.Truncate(time.Second))
		drift.RepairedTime = &repaired
	}
}

// detectDrift notes a difference. One whose repair was interrupted by a passing fault is still the same drift.
func detectDrift(trail *v1alpha1.Trail, v verdict, now time.Time) {
	if v.state != stateDrifted {
		return
	}
	drift := &v1alpha1.Drift{
		DetectedTime:   metav1.NewTime(now.Truncate(time.Second)),
		LastInSyncTime: timeOrNil(v.lastInSync),
		Fields:         v.drifted(),
		Attribution:    v1alpha1.DriftAttributionPending,
	}
	switch last := trail.Status.LastDrift; {
	case last == nil:
	case last.RepairedTime == nil:
		drift = last.DeepCopy()
		drift.Fields = append(drift.Fields, v.drifted()...)
		slices.Sort(drift.Fields)
		drift.Fields = slices.Compact(drift.Fields)
		if len(drift.Fields) > len(last.Fields) {
			drift.Attribution = v1alpha1.DriftAttributionPending
		}
	case last.Attribution == v1alpha1.DriftAttributionPending:
		earlier := append([]v1alpha1.Drift{*last}, trail.Status.EarlierDrifts...)
		trail.Status.EarlierDrifts = earlier[:min(len(earlier), maxEarlierDrifts)]
	}
	trail.Status.LastDrift = drift
}

// drifted returns the fields of the spec that were found to differ: those that were repaired and those that still differ.
func (v verdict) drifted() []string {
	return fieldsOf(append(append([]step{}, v.done...), v.open...))
}

// maxEarlierDrifts is how many drifts before the last one are remembered until it is known who made them: with somebody who changes
// a trail again and again, before the history tells.
const maxEarlierDrifts = 5

// readLag is how far what was read of AWS may lie back: shared reads are up to a minute old, and AWS's answers are eventually
// consistent.
const readLag = 2 * time.Minute

// inSync remembers when AWS was last known to hold what each spec says, as the status does not tell the time of a look that found
// nothing. It is lost with the process; the status tells an earlier time then.
type inSync struct {
	mu sync.Mutex
	at map[types.NamespacedName]time.Time
}

// note takes a look that left nothing open. After a write of ours the time is exact.
func (s *inSync) note(key types.NamespacedName, v verdict, now time.Time) {
	if v.err != nil || !v.visible() || len(v.open) > 0 {
		return
	}
	if len(v.done) == 0 {
		now = now.Add(-readLag)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		s.at = map[types.NamespacedName]time.Time{}
	}
	if now.After(s.at[key]) {
		s.at[key] = now
	}
}

// last returns when AWS was last known to hold what the spec says, before now; zero when it never was.
func (s *inSync) last(trail *v1alpha1.Trail, now time.Time) time.Time {
	s.mu.Lock()
	at := s.at[client.ObjectKeyFromObject(trail)]
	s.mu.Unlock()
	if at = latest(at, lastInStatus(&trail.Status)); at.After(now) {
		return now
	}
	return at
}

// lastInStatus returns the latest time of a look that the status gives evidence of, when AWS held what the spec says at that look.
func lastInStatus(status *v1alpha1.TrailStatus) time.Time {
	var at time.Time
	if status.LastDrift != nil {
		at = timeOf(status.LastDrift.RepairedTime)
	}
	if !meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionSynced) {
		return at
	}
	at = latest(at, meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionSynced).LastTransitionTime.Time)
	// A delivery was before the look that it was reported at.
	for _, delivery := range []*metav1.Time{status.LatestDeliveryTime, status.LatestDigestDeliveryTime, status.LatestCloudWatchLogsDeliveryTime, status.LatestNotificationTime} {
		at = latest(at, timeOf(delivery).Add(-readLag))
	}
	return at
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func timeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

// forget forgets an object that is gone.
func (s *inSync) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.at, key)
}
