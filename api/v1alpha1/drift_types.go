package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Drift is a difference that somebody made in AWS, and who it was as CloudTrail's event history tells it.
type Drift struct {
	// detectedTime is when the difference was found.
	// +required
	DetectedTime metav1.Time `json:"detectedTime"`

	// lastInSyncTime is when AWS was last known to hold what the spec says: the difference was made between then and
	// detectedTime.
	// +optional
	LastInSyncTime *metav1.Time `json:"lastInSyncTime,omitempty"`

	// fields are the fields of the spec that AWS differed from, or "trail" when the trail was gone.
	// +optional
	// +listType=set
	Fields []string `json:"fields,omitempty"`

	// repairedTime is when AWS held again what the spec says; absent while it does not.
	// +optional
	RepairedTime *metav1.Time `json:"repairedTime,omitempty"`

	// attribution tells whether it is known who made the difference: Pending while CloudTrail's event history is being
	// asked, as events take minutes to appear in it; then Found or, after 30 minutes, NotFound.
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
// +kubebuilder:validation:Enum=Pending;Found;NotFound
type DriftAttribution string

const (
	// DriftAttributionPending says that the event history is being asked.
	DriftAttributionPending DriftAttribution = "Pending"
	// DriftAttributionFound says that the actor is known.
	DriftAttributionFound DriftAttribution = "Found"
	// DriftAttributionNotFound says that the event history did not tell, and is asked no more.
	DriftAttributionNotFound DriftAttribution = "NotFound"
)
