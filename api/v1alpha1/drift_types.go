package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Drift is a difference that somebody made in AWS, and who it was as CloudTrail's event history tells it.
type Drift struct {
	// detectedTime is when the difference was found.
	// +required
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be as in RFC 3339, such as 2026-01-02T03:04:05Z"
	DetectedTime metav1.Time `json:"detectedTime"`

	// lastInSyncTime is when AWS was last known to hold what the spec says: the difference was made between then and
	// detectedTime.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be as in RFC 3339, such as 2026-01-02T03:04:05Z"
	LastInSyncTime *metav1.Time `json:"lastInSyncTime,omitempty"`

	// fields are the fields of the spec that AWS differed from; "trail" when the trail was gone, and "ownerTag" when the
	// operator's tag was gone or another's.
	// +optional
	// +listType=set
	Fields []string `json:"fields,omitempty"`

	// repairedTime is when AWS held again what the spec says; absent while it does not.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be as in RFC 3339, such as 2026-01-02T03:04:05Z"
	RepairedTime *metav1.Time `json:"repairedTime,omitempty"`

	// loggingChangedTime is when logging was stopped, or started, as CloudTrail itself reports it: the time of the call
	// that did it. It is absent when logging is not among the fields.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be as in RFC 3339, such as 2026-01-02T03:04:05Z"
	LoggingChangedTime *metav1.Time `json:"loggingChangedTime,omitempty"`

	// attribution tells whether it is known who made the difference. CloudTrail's event history is asked, in which events
	// take minutes to appear: Pending until it names somebody, Provisional while a later call may still appear in it,
	// then Found; or NotFound when it has named nobody after 30 minutes, or when there are more calls than could be read:
	// whoever is named then may be the wrong one.
	// +optional
	Attribution DriftAttribution `json:"attribution,omitempty"`

	// attributionMessage tells why it is not known who made the difference, or not of all fields.
	// +optional
	AttributionMessage string `json:"attributionMessage,omitempty"`

	// actor is the ARN of who made the difference; of an AWS service its name. Of several it is who made the gravest.
	// +optional
	Actor string `json:"actor,omitempty"`

	// eventName is the operation that the actor called, such as StopLogging.
	// +optional
	EventName string `json:"eventName,omitempty"`

	// eventID is CloudTrail's id of the call.
	// +optional
	EventID string `json:"eventID,omitempty"`

	// eventTime is when the actor called.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be as in RFC 3339, such as 2026-01-02T03:04:05Z"
	EventTime *metav1.Time `json:"eventTime,omitempty"`

	// sourceIPAddress is where the call came from: an address, or the name of an AWS service.
	// +optional
	SourceIPAddress string `json:"sourceIPAddress,omitempty"`

	// userAgent is the program that called.
	// +optional
	UserAgent string `json:"userAgent,omitempty"`
}

// DriftAttribution tells whether it is known who made a difference.
//
// +kubebuilder:validation:Enum=Pending;Provisional;Found;NotFound
type DriftAttribution string

const (
	// DriftAttributionPending says that the event history is being asked.
	DriftAttributionPending DriftAttribution = "Pending"
	// DriftAttributionProvisional says that an actor is named who may turn out to be the wrong one, as the history may
	// not be complete yet.
	DriftAttributionProvisional DriftAttribution = "Provisional"
	// DriftAttributionFound says that the actor is known for certain.
	DriftAttributionFound DriftAttribution = "Found"
	// DriftAttributionNotFound says that the event history did not tell, and is asked no more.
	DriftAttributionNotFound DriftAttribution = "NotFound"
)
