package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// identityName returns the name of the AWSIdentity that an object refers to.
func identityName(ref *IdentityReference) string {
	if ref == nil {
		return DefaultIdentityName
	}
	return ref.Name
}

// expiresAt returns when an object is to be deleted that has finished at a time, nil if it has not; never when it is
// not ok.
func expiresAt(finished *metav1.Time, ttlSeconds *int32) (at time.Time, ok bool) {
	if finished == nil || ttlSeconds == nil {
		return at, false
	}
	return finished.Add(time.Duration(*ttlSeconds) * time.Second), true
}

// IsRequested tells whether the reconcile annotation of an object asks for what was not done yet. handled is the value
// that was last acted on.
func IsRequested(object metav1.Object, handled string) bool {
	request := ReconcileRequest(object)
	return request != "" && request != handled
}

// IsTrue returns a flag that may be absent, false if it is.
func IsTrue(flag *bool) bool { return flag != nil && *flag }

// TimeOf returns a time of a status, the zero time for nil.
func TimeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

// TimeOrNil returns a time as a status has it, in whole seconds; nil for the zero time.
func TimeOrNil(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return new(metav1.NewTime(t.Truncate(time.Second)))
}
