package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EventLookup is a query of CloudTrail's event history. Like a Job, it runs once: it looks up the events, keeps them
// in its status, and can be deleted automatically some time later. The history holds the management events of the
// last 90 days for one account and region, whether or not a trail records them.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={aws,audit},shortName=lookup,singular=eventlookup,path=eventlookups
// +kubebuilder:printcolumn:name="Complete",type=string,JSONPath=`.status.conditions[?(@.type=="Complete")].status`
// +kubebuilder:printcolumn:name="Attribute",type=string,JSONPath=`.spec.attribute.key`
// +kubebuilder:printcolumn:name="Value",type=string,JSONPath=`.spec.attribute.value`
// +kubebuilder:printcolumn:name="Events",type=integer,JSONPath=`.status.eventCount`
// +kubebuilder:printcolumn:name="Truncated",type=boolean,JSONPath=`.status.truncated`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Complete")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Region",type=string,JSONPath=`.status.region`,priority=1
// +kubebuilder:printcolumn:name="Account",type=string,JSONPath=`.status.accountID`,priority=1
// +kubebuilder:printcolumn:name="From",type=string,JSONPath=`.status.startTime`,priority=1
// +kubebuilder:printcolumn:name="To",type=string,JSONPath=`.status.endTime`,priority=1
type EventLookup struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the query.
	// +required
	Spec EventLookupSpec `json:"spec"`

	// status is the result.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status EventLookupStatus `json:"status,omitzero"`

	// DecodeError explains why the spec could not be decoded. It is empty if the spec was decoded, and is not part of
	// the object in the API server.
	DecodeError string `json:"-"`
}

// EventLookupSpec is the query: which events to look up, in which region, and over which period. An empty spec looks
// up the latest events in the operator's region.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an EventLookup runs once, so its spec is immutable: create a new one"
// +kubebuilder:validation:XValidation:rule="!(has(self.since) && has(self.startTime))",message="since and startTime are mutually exclusive: keep one of them",fieldPath=".since"
// +kubebuilder:validation:XValidation:rule="!has(self.startTime) || !has(self.endTime) || ![self.startTime, self.endTime].all(t, t.matches('^20([0-9]{2}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|[0-9]{2}-(0[469]|11)-(0[1-9]|[12][0-9]|30)|[0-9]{2}-02-(0[1-9]|1[0-9]|2[0-8])|([02468][048]|[13579][26])-02-29)T([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$')) || timestamp(self.startTime) < timestamp(self.endTime)",message="startTime must be before endTime",fieldPath=".startTime"
type EventLookupSpec struct {
	// identityRef is the AWSIdentity to call AWS with. Defaults to the AWSIdentity "default".
	// +optional
	IdentityRef *IdentityReference `json:"identityRef,omitempty"`

	// region is the region whose event history is searched. Events of IAM, STS and other global services are in
	// us-east-1. Defaults to the operator's region.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$')",message="region must be an AWS region code, such as eu-central-1"
	Region string `json:"region,omitempty"`

	// attribute is the attribute that events must have. LookupEvents accepts only one. If absent, all events match.
	// +optional
	Attribute *LookupAttribute `json:"attribute,omitempty"`

	// startTime is the start of the period to search, such as 2026-01-02T03:04:05Z. Defaults to the beginning of the
	// history, 90 days ago. Mutually exclusive with since.
	// +optional
	StartTime Timestamp `json:"startTime,omitempty"`

	// endTime is the end of the period to search, such as 2026-01-02T03:04:05Z. Defaults to the time when the lookup
	// runs. New events take minutes to appear in the history.
	// +optional
	EndTime Timestamp `json:"endTime,omitempty"`

	// since is the length of the period to search, counted back from endTime in days, hours, minutes and seconds, such
	// as 7d, 36h or 1d12h. At most 90d. Mutually exclusive with startTime.
	// +optional
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,4}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$') && self.matches('[1-9]')",message="since must be a number of days, hours, minutes or seconds, such as 7d, 36h or 1d12h"
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || !self.matches('^([0-9]{1,4}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$') || (self.contains('d') ? int(self.find('^[0-9]+')) * 86400 : 0) + (self.endsWith('d') ? 0 : duration(self.find('[0-9hms]+$')).getSeconds()) <= 7776000",message="since must be at most 90d: CloudTrail's event history goes no further back"
	Since string `json:"since,omitempty"`

	// maxResults is the maximum number of events to keep, from 1 to 1000. The latest events are kept. Defaults to 100.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxResults *int32 `json:"maxResults,omitempty"`

	// ttlSecondsAfterFinished is the number of seconds after which the object is deleted once it has completed or
	// failed. 0 deletes it immediately. At most 2147483647. If absent, the object is kept.
	// +optional
	// +kubebuilder:validation:Format=int64
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`
}

// LookupAttributeKey is an attribute that LookupEvents can search by.
//
// +kubebuilder:validation:Enum=EventId;EventName;ReadOnly;Username;ResourceType;ResourceName;EventSource;AccessKeyId
type LookupAttributeKey string

// LookupAttribute is an attribute of an event, and the value to search for.
//
// +kubebuilder:validation:XValidation:rule="self.key != 'ReadOnly' || self.value in ['true', 'false']",message="the value of ReadOnly must be \"true\" or \"false\"",fieldPath=".value"
type LookupAttribute struct {
	// key is EventId, EventName, ReadOnly, Username, ResourceType, ResourceName, EventSource or AccessKeyId.
	// +required
	Key LookupAttributeKey `json:"key"`

	// value is the value of the attribute, 1 to 2000 characters, such as StopLogging for EventName.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2000
	Value string `json:"value"`
}

// Condition types of an EventLookup. Once one of them is True, it stays True.
const (
	// ConditionComplete is True when the events are in the status.
	ConditionComplete = "Complete"
	// ConditionFailed is True when the query was rejected, usually by AWS, and only a new EventLookup can succeed.
	ConditionFailed = "Failed"
)

// Reasons of an EventLookup. When AWS refuses a call, the reason is AWS's own error code instead.
const (
	// ReasonLookedUp means that the events are in the status.
	ReasonLookedUp = "LookedUp"
	// ReasonTruncated means that the latest events are in the status, and that there are earlier ones that are not.
	ReasonTruncated = "Truncated"
	// ReasonRunning means that the lookup is running.
	ReasonRunning = "Running"
	// ReasonInvalidTime means that startTime, endTime or since is not valid. The API server rejects such objects, but
	// one may have been stored under an earlier schema.
	ReasonInvalidTime = "InvalidTime"
)

// EventLookupStatus is the result of an EventLookup.
type EventLookupStatus struct {
	// observedGeneration is the generation of the spec that the result is for. It is -1 until the lookup has completed
	// or failed.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Complete and, only while they are true, Failed, Reconciling or Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && c.lastTransitionTime < timestamp('3000-01-01T00:00:00Z'))",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// accountID is the AWS account whose event history was searched.
	// +optional
	AccountID string `json:"accountID,omitempty"`

	// region is the region whose event history was searched.
	// +optional
	Region string `json:"region,omitempty"`

	// startTime is the start of the period that was searched. It is absent if the search went back to the beginning of
	// the history.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// endTime is the end of the period that was searched.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	EndTime *metav1.Time `json:"endTime,omitempty"`

	// completionTime is when the lookup completed or failed.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`

	// eventCount is the number of items in events.
	// +optional
	EventCount *int32 `json:"eventCount,omitempty"`

	// errorCount is how many of the events are calls that AWS refused.
	// +optional
	ErrorCount *int32 `json:"errorCount,omitempty"`

	// truncated says whether earlier events were left out of events, either because of maxResults or because the object
	// would have become too large.
	// +optional
	Truncated *bool `json:"truncated,omitempty"`

	// events are the events that were found, latest first.
	// +optional
	// +listType=atomic
	Events []Event `json:"events,omitempty"`
}

// Event is an event in CloudTrail's event history. Very long values are truncated and end in "…".
type Event struct {
	// eventID is CloudTrail's ID of the event.
	// +optional
	EventID string `json:"eventID,omitempty"`

	// eventName is the operation that was called, such as StopLogging.
	// +optional
	EventName string `json:"eventName,omitempty"`

	// eventTime is when the operation was called.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	EventTime *metav1.Time `json:"eventTime,omitempty"`

	// eventSource is the service that was called, such as cloudtrail.amazonaws.com.
	// +optional
	EventSource string `json:"eventSource,omitempty"`

	// username is the name of the user or role session that made the call.
	// +optional
	Username string `json:"username,omitempty"`

	// identityARN is the ARN of the caller. For a caller without one, it is the name of the AWS service that made the
	// call, or else the user name.
	// +optional
	IdentityARN string `json:"identityARN,omitempty"`

	// accessKeyID is the access key that signed the call.
	// +optional
	AccessKeyID string `json:"accessKeyID,omitempty"`

	// sourceIPAddress is the IP address, or the name of the AWS service, that the call came from.
	// +optional
	SourceIPAddress string `json:"sourceIPAddress,omitempty"`

	// userAgent is the user agent of the program that made the call.
	// +optional
	UserAgent string `json:"userAgent,omitempty"`

	// readOnly says whether the call was read-only. It is absent if CloudTrail does not say.
	// +optional
	ReadOnly *bool `json:"readOnly,omitempty"`

	// errorCode is the code of the error with which AWS refused the call. It is absent if the call succeeded.
	// +optional
	ErrorCode string `json:"errorCode,omitempty"`

	// errorMessage explains errorCode.
	// +optional
	ErrorMessage string `json:"errorMessage,omitempty"`

	// resources are the resources that the call was about, at most the first 10.
	// +optional
	// +listType=atomic
	Resources []EventResource `json:"resources,omitempty"`
}

// EventResource is a resource that an event is about.
type EventResource struct {
	// resourceType is the type of the resource, such as AWS::CloudTrail::Trail.
	// +optional
	ResourceType string `json:"resourceType,omitempty"`

	// resourceName is the name or ARN of the resource.
	// +optional
	ResourceName string `json:"resourceName,omitempty"`
}

// EventLookupList is a list of EventLookup.
//
// +kubebuilder:object:root=true
type EventLookupList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []EventLookup `json:"items"`
}
