package trail

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	drift := &v1alpha1.Drift{DetectedTime: metav1.NewTime(now.Truncate(time.Second)), Fields: v.drifted()}
	if last := trail.Status.LastDrift; last != nil && last.RepairedTime == nil {
		drift.DetectedTime = last.DetectedTime
		drift.Fields = append(drift.Fields, last.Fields...)
		slices.Sort(drift.Fields)
		drift.Fields = slices.Compact(drift.Fields)
	}
	trail.Status.LastDrift = drift
}

// drifted returns the fields of the spec that were found to differ: those that were repaired and those that still differ.
func (v verdict) drifted() []string {
	return fieldsOf(append(append([]step{}, v.done...), v.open...))
}
