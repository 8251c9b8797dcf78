package v1alpha1

import (
	"cmp"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The defaults of the spec live here and not in the CRD, so that a GitOps engine never sees a
// difference that it did not make.

// TrailName returns the name of the trail in AWS.
func (t *Trail) TrailName() string { return cmp.Or(t.Spec.Name, t.Name) }

// IdentityName returns the name of the AWSIdentity to use.
func (t *Trail) IdentityName() string { return identityName(t.Spec.IdentityRef) }

// LoggingDesired tells whether the trail is to record events; default true.
func (s *TrailSpec) LoggingDesired() bool { return s.Logging == nil || *s.Logging }

// GlobalServiceEventsDesired tells whether events of global services are to be logged; default true.
func (s *TrailSpec) GlobalServiceEventsDesired() bool {
	return s.IncludeGlobalServiceEvents == nil || *s.IncludeGlobalServiceEvents
}

// MultiRegionDesired tells whether the trail is to log events of all regions; default false.
func (s *TrailSpec) MultiRegionDesired() bool { return IsTrue(s.IsMultiRegionTrail) }

// LogFileValidationDesired tells whether digest files are to be delivered; default false.
func (s *TrailSpec) LogFileValidationDesired() bool { return IsTrue(s.EnableLogFileValidation) }

// OrganizationDesired tells whether the trail is to log events of the whole organization; default false.
func (s *TrailSpec) OrganizationDesired() bool { return IsTrue(s.IsOrganizationTrail) }

// Suspended tells whether all work on the object is to rest; default false.
func (s *TrailSpec) Suspended() bool { return IsTrue(s.Suspend) }

// ObserveOnly tells whether AWS is only to be read; default false.
func (s *TrailSpec) ObserveOnly() bool { return s.ManagementPolicy == ManagementPolicyObserve }

// Retained tells whether the trail in AWS outlives its object; default false.
func (s *TrailSpec) Retained() bool { return s.DeletionPolicy == DeletionPolicyRetain }

// Adoption returns the adoption policy; default Never.
func (s *TrailSpec) Adoption() AdoptionPolicy { return cmp.Or(s.AdoptionPolicy, AdoptionPolicyNever) }

// ResyncInterval returns how often to look at the trail; fallback when the spec does not say.
func (s *TrailSpec) ResyncInterval(fallback time.Duration) time.Duration {
	if s.Interval == nil {
		return fallback
	}
	return s.Interval.Duration
}

// GetConditions returns the conditions of the status.
func (t *Trail) GetConditions() []metav1.Condition { return t.Status.Conditions }

// ReconcileRequest returns the value of the object's reconcile annotation, "" when it has none. Of
// two, the greater counts: values are timestamps by convention, so it is the later request.
func ReconcileRequest(object metav1.Object) string {
	annotations := object.GetAnnotations()
	return max(annotations[AnnotationReconcileAt], annotations[AnnotationFluxReconcileAt])
}
