package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/digest"
)

// ofValidation are the labels of a LogFileValidation's series, with others.
func ofValidation(others ...string) []string { return append([]string{"namespace", "name"}, others...) }

// validationMetrics are the metrics of what this process validates.
type validationMetrics struct {
	objects *prometheus.CounterVec
	bytes   prometheus.Counter
}

func newValidationMetrics() *validationMetrics {
	objects := prometheus.CounterOpts{Name: validatedObjects.FullName(), Help: validatedObjects.Help}
	bytes := prometheus.CounterOpts{Name: validatedBytes.FullName(), Help: validatedBytes.Help}
	return &validationMetrics{
		objects: prometheus.NewCounterVec(objects, validatedObjects.Labels),
		bytes:   prometheus.NewCounter(bytes),
	}
}

func (v *validationMetrics) collect(series chan<- prometheus.Metric) {
	v.objects.Collect(series)
	v.bytes.Collect(series)
}

// Validated tells of a digest or a log file that was looked at. A gap is neither.
func (m *Metrics) Validated(r digest.Result) {
	if r.Kind == digest.KindGap {
		return
	}
	outcome := "Valid"
	if r.Finding != nil {
		outcome = string(r.Finding.Class)
	}
	m.validated.objects.WithLabelValues(string(r.Kind), outcome).Inc()
	if r.Read {
		m.validated.bytes.Add(float64(r.Bytes))
	}
}

func (m *Metrics) collectValidation(series chan<- prometheus.Metric, v *v1alpha1.LogFileValidation) {
	spec, status := &v.Spec, &v.Status
	labels := []string{v.Namespace, v.Name}
	tell := func(definition Definition, value float64, others ...string) {
		m.gauge(series, definition, value, append(slices.Clip(labels), others...)...)
	}

	tell(validationSuspended, truth(spec.Suspended()))
	condition := func(conditionType string, absent metav1.ConditionStatus) {
		m.condition(series, validationCondition, status.Conditions, conditionType, absent, labels...)
	}
	condition(v1alpha1.ConditionReady, metav1.ConditionUnknown)
	condition(v1alpha1.ConditionIntact, metav1.ConditionUnknown)
	condition(v1alpha1.ConditionStalled, metav1.ConditionFalse)
	if spec.IsRange() {
		condition(v1alpha1.ConditionComplete, metav1.ConditionFalse)
	} else {
		tell(validationInterval, spec.ValidationInterval().Seconds())
	}
	reason := "Unseen"
	if intact := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionIntact); intact != nil {
		reason = intact.Reason
	}
	tell(validationReason, 1, reason)

	for _, until := range []*metav1.Time{status.ValidatedUntil, status.StartTime} {
		if until != nil {
			tell(validatedUntil, float64(until.Unix()))
			break
		}
	}
	if status.Chains != nil {
		tell(validationChains, float64(*status.Chains))
	}
	if status.LaggingCount != nil {
		tell(validationLagging, float64(*status.LaggingCount))
	}
	for _, class := range status.FindingClasses {
		tell(validationFindings, float64(class.Count), class.Class)
	}
}
