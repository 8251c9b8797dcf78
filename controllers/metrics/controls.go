package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/compliance"
)

// collectControls tells how a Trail meets the controls of the compliance profile, if there is one.
func (m *Metrics) collectControls(series chan<- prometheus.Metric, trail *v1alpha1.Trail, labels []string) {
	profile := m.options.Profile
	if profile == nil {
		return
	}

	count := map[compliance.Outcome]int{}
	for _, result := range profile.Judge(trail, m.options.Now()) {
		count[result.Outcome]++
		if result.Outcome == compliance.Fail {
			m.gauge(series, trailControlFailed, 1, append(slices.Clip(labels),
				profile.Name, result.Control.ID, string(result.Control.Severity))...)
		}
	}
	for _, outcome := range compliance.Outcomes() {
		m.gauge(series, trailControls, float64(count[outcome]), append(slices.Clip(labels), profile.Name, string(outcome))...)
	}
}
