package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Drift is a change that somebody made in AWS, and who made it according to CloudTrail.
type Drift struct {
	// detectedTime is when the operator detected the change.
	// +required
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	DetectedTime metav1.Time `json:"detectedTime"`

	// lastInSyncTime is when AWS was last known to match the spec. The change was made between lastInSyncTime and
	// detectedTime.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	LastInSyncTime *metav1.Time `json:"lastInSyncTime,omitempty"`

	// fields are the fields of the spec in which AWS differed. "trail" means that the trail did not exist, and
	// "ownerTag" that the owner tag was missing or named another owner.
	// +optional
	// +listType=set
	Fields []string `json:"fields,omitempty"`

	// repairedTime is when AWS matched the spec again. It is absent until then.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	RepairedTime *metav1.Time `json:"repairedTime,omitempty"`

	// loggingChangedTime is when logging was stopped or started, as reported by CloudTrail itself: the time of the call
	// that did it. It is absent if logging is not among the fields.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	LoggingChangedTime *metav1.Time `json:"loggingChangedTime,omitempty"`

	// attribution says whether it is known who made the change. The operator takes that from an event of an event queue
	// (see AWSIdentity), or else searches CloudTrail's event history, in which events take minutes to appear. Pending: no
	// actor has been found yet. Provisional: an actor is named, but an event that appears later may refute it. Found: the
	// actor is final. NotFound: no actor was found within 30 minutes, or there were more calls than could be read. In the
	// latter case, any actor that is named may be the wrong one.
	// +optional
	Attribution DriftAttribution `json:"attribution,omitempty"`

	// attributionMessage explains why the actor is not known, or not known for all fields.
	// +optional
	AttributionMessage string `json:"attributionMessage,omitempty"`

	// actor is the ARN of the caller that made the change, or the name of the AWS service that made it. If several
	// callers changed the trail, actor is the one that made the most severe change.
	// +optional
	Actor string `json:"actor,omitempty"`

	// eventName is the operation that the actor called, such as StopLogging.
	// +optional
	EventName string `json:"eventName,omitempty"`

	// eventID is CloudTrail's ID of the call.
	// +optional
	EventID string `json:"eventID,omitempty"`

	// eventTime is when the actor made the call.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	EventTime *metav1.Time `json:"eventTime,omitempty"`

	// sourceIPAddress is the IP address, or the name of the AWS service, that the call came from.
	// +optional
	SourceIPAddress string `json:"sourceIPAddress,omitempty"`

	// userAgent is the user agent of the program that made the call.
	// +optional
	UserAgent string `json:"userAgent,omitempty"`
}

// DriftAttribution says whether it is known who made a change.
//
// +kubebuilder:validation:Enum=Pending;Provisional;Found;NotFound
type DriftAttribution string

const (
	// DriftAttributionPending means that the event history has not named an actor yet and is still being searched.
	DriftAttributionPending DriftAttribution = "Pending"
	// DriftAttributionProvisional means that an actor is named who may turn out to be the wrong one, because the history
	// may not be complete yet.
	DriftAttributionProvisional DriftAttribution = "Provisional"
	// DriftAttributionFound means that the actor is known for certain.
	DriftAttributionFound DriftAttribution = "Found"
	// DriftAttributionNotFound means that the event history did not reveal the actor for certain and is no longer
	// searched.
	DriftAttributionNotFound DriftAttribution = "NotFound"
)
