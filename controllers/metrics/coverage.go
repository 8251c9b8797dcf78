package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// collectIdentity tells of an AWSIdentity.
func (m *Metrics) collectIdentity(series chan<- prometheus.Metric, identity *v1alpha1.AWSIdentity) {
	types := []string{v1alpha1.ConditionReady}
	if identity.Spec.EventQueueURL != "" {
		types = append(types, v1alpha1.ConditionListening)
	}
	if identity.Spec.CoverageAssessed() {
		types = append(types, v1alpha1.ConditionRecorded)
		m.collectCoverage(series, identity)
	}
	for _, conditionType := range types {
		m.condition(series, identityCondition, identity.Status.Conditions, conditionType,
			metav1.ConditionUnknown, identity.Name, identity.Status.AccountID)
	}
}

// collectCoverage tells what records the account of an AWSIdentity that asks for it.
func (m *Metrics) collectCoverage(series chan<- prometheus.Metric, identity *v1alpha1.AWSIdentity) {
	name, account := identity.Name, identity.Status.AccountID
	recorded := meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionRecorded)
	if recorded != nil && recorded.Status != metav1.ConditionUnknown {
		m.gauge(series, accountRecorded, truth(recorded.Status == metav1.ConditionTrue), name, account)
	}
	coverage := identity.Status.Coverage
	if coverage == nil {
		return
	}

	m.gauge(series, accountAssessed, float64(coverage.AssessedTime.Unix()), name, account)
	m.gauge(series, accountTrails, float64(coverage.TrailCount), name, account)
	for _, covered := range coverage.CoveredRegions {
		m.gauge(series, accountCoveredRegion, 1, name, account, covered.Region)
	}
	for _, paid := range coverage.PaidCopies {
		m.gauge(series, accountPaidCopies, float64(paid.Copies), name, account, paid.Region)
	}
}
