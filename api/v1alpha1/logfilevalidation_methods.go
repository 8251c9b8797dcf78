package v1alpha1

import (
	"cmp"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// defaultValidationInterval is how often a LogFileValidation validates that does not say.
	defaultValidationInterval = time.Hour
	// defaultLookBack is how long before its creation a LogFileValidation begins that does not say.
	defaultLookBack = 24 * time.Hour
)

// IdentityName returns the name of the AWSIdentity to use.
func (v *LogFileValidation) IdentityName() string { return identityName(v.Spec.IdentityRef) }

// TrailName returns the name of the Trail that the validation is of, "" when it names the trail itself.
func (v *LogFileValidation) TrailName() string {
	if v.Spec.TrailRef == nil {
		return ""
	}
	return v.Spec.TrailRef.Name
}

// Suspended tells whether all work on the object is to rest; default false.
func (s *LogFileValidationSpec) Suspended() bool { return IsTrue(s.Suspend) }

// IsRange tells whether the validation has an end.
func (s *LogFileValidationSpec) IsRange() bool { return s.EndTime != "" }

// ValidationMode returns how thoroughly to validate; default Digests.
func (s *LogFileValidationSpec) ValidationMode() ValidationMode {
	return cmp.Or(s.Mode, ValidationModeDigests)
}

// ValidationInterval returns how often to validate; default an hour.
func (s *LogFileValidationSpec) ValidationInterval() time.Duration {
	if s.Interval == nil {
		return defaultValidationInterval
	}
	return s.Interval.Duration
}

// Range returns the time to validate; without an end, it is the zero time. It fails for what is no time, which only an
// object can hold that was stored before the API server refused it.
func (v *LogFileValidation) Range() (start, end time.Time, err error) {
	start = v.CreationTimestamp.Add(-defaultLookBack)
	if v.Spec.StartTime != "" {
		if start, err = v.Spec.StartTime.Time(); err != nil {
			return start, end, fmt.Errorf("spec.startTime: %w", err)
		}
	}
	if v.Spec.EndTime != "" {
		if end, err = v.Spec.EndTime.Time(); err != nil {
			return start, end, fmt.Errorf("spec.endTime: %w", err)
		}
	}
	return start.UTC(), end.UTC(), nil
}

// Finished tells whether a range is complete, and so is never validated again.
func (v *LogFileValidation) Finished() bool { return v.Status.CompletionTime != nil }

// ExpiresAt returns when the object is to be deleted; never when it is not ok.
func (v *LogFileValidation) ExpiresAt() (at time.Time, ok bool) {
	return expiresAt(v.Status.CompletionTime, v.Spec.TTLSecondsAfterFinished)
}

// GetConditions returns the conditions of the status.
func (v *LogFileValidation) GetConditions() []metav1.Condition { return v.Status.Conditions }
