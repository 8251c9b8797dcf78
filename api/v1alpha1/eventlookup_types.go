package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EventLookup asks CloudTrail's event history a question, once, like a Job: it looks the events up, keeps them in its
// status, and can be deleted by itself some time later. The history holds the management events of the last 90 days of
// one account and region, whether or not a trail records them.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=aws,shortName=lookup,singular=eventlookup,path=eventlookups
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

	// spec is the question.
	// +required
	Spec EventLookupSpec `json:"spec"`

	// status is the answer.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status EventLookupStatus `json:"status,omitzero"`

	// DecodeError says why the spec could not be decoded; "" when it was. It is no part of the object in the API
	// server.
	DecodeError string `json:"-"`
}

// EventLookupSpec is the question: which events, of where, and of when. An empty one asks for the latest events of the
// operator's region.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an EventLookup is run once and is immutable: create a new one"
// +kubebuilder:validation:XValidation:rule="!(has(self.since) && has(self.startTime))",message="since and startTime exclude each other: keep one of them",fieldPath=".since"
// +kubebuilder:validation:XValidation:rule="!has(self.startTime) || !has(self.endTime) || ![self.startTime, self.endTime].all(t, t.matches('^20([0-9]{2}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|[0-9]{2}-(0[469]|11)-(0[1-9]|[12][0-9]|30)|[0-9]{2}-02-(0[1-9]|1[0-9]|2[0-8])|([02468][048]|[13579][26])-02-29)T([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$')) || timestamp(self.startTime) < timestamp(self.endTime)",message="startTime must be before endTime",fieldPath=".startTime"
type EventLookupSpec struct {
	// identityRef names the AWSIdentity to call AWS with. Default: the AWSIdentity "default".
	// +optional
	IdentityRef *IdentityReference `json:"identityRef,omitempty"`

	// region whose event history is asked. Events of IAM, STS and other global services are in
	// us-east-1. Default: the operator's region.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$')",message="region must be an AWS region code, such as eu-central-1"
	Region string `json:"region,omitempty"`

	// attribute that the events must have. LookupEvents takes one. Absent: all events.
	// +optional
	Attribute *LookupAttribute `json:"attribute,omitempty"`

	// startTime is when the earliest event happened, such as 2026-01-02T03:04:05Z. Default: as far back as
	// the history goes, 90 days. Excludes since.
	// +optional
	StartTime Timestamp `json:"startTime,omitempty"`

	// endTime is when the latest event happened, such as 2026-01-02T03:04:05Z. Default: when the lookup is
	// run. New events take minutes to appear in the history.
	// +optional
	EndTime Timestamp `json:"endTime,omitempty"`

	// since is how long before endTime the earliest event happened: days, hours, minutes and seconds,
	// such as 7d, 36h or 1d12h. At most 90d. Excludes startTime.
	// +optional
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,4}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$') && self.matches('[1-9]')",message="since must be a number of days, hours, minutes or seconds, such as 7d, 36h or 1d12h"
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || !self.matches('^([0-9]{1,4}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$') || (self.contains('d') ? int(self.find('^[0-9]+')) * 86400 : 0) + (self.endsWith('d') ? 0 : duration(self.find('[0-9hms]+$')).getSeconds()) <= 7776000",message="since must be at most 90d: CloudTrail's event history goes no further back"
	Since string `json:"since,omitempty"`

	// maxResults is how many events to keep at most, the latest ones. 1 to 1000. Default: 100.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxResults *int32 `json:"maxResults,omitempty"`

	// ttlSecondsAfterFinished is how long after it is complete or has failed the object is deleted; 0:
	// at once; at most 2147483647. Default: it is kept.
	// +optional
	// +kubebuilder:validation:Format=int64
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`
}

// LookupAttributeKey is an attribute that LookupEvents can look for.
//
// +kubebuilder:validation:Enum=EventId;EventName;ReadOnly;Username;ResourceType;ResourceName;EventSource;AccessKeyId
type LookupAttributeKey string

// LookupAttribute is an attribute of events and its value.
//
// +kubebuilder:validation:XValidation:rule="self.key != 'ReadOnly' || self.value in ['true', 'false']",message="the value of ReadOnly is \"true\" or \"false\"",fieldPath=".value"
type LookupAttribute struct {
	// key is EventId, EventName, ReadOnly, Username, ResourceType, ResourceName, EventSource or AccessKeyId.
	// +required
	Key LookupAttributeKey `json:"key"`

	// value of the attribute, 1 to 2000 characters, such as StopLogging for EventName.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2000
	Value string `json:"value"`
}

// Condition types of an EventLookup. Neither ever turns back once it is True.
const (
	// ConditionComplete is True when the events are in the status.
	ConditionComplete = "Complete"
	// ConditionFailed is True when the question was rejected, by AWS as a rule, so that only another EventLookup can
	// help.
	ConditionFailed = "Failed"
)

// Reasons of an EventLookup. When AWS refuses, the reason is AWS's own error code instead.
const (
	// ReasonLookedUp says that the events are in the status.
	ReasonLookedUp = "LookedUp"
	// ReasonTruncated says that the latest events are in the status, and that there are more.
	ReasonTruncated = "Truncated"
	// ReasonRunning says that the lookup is being run.
	ReasonRunning = "Running"
	// ReasonInvalidTime says that startTime, endTime or since is no time. The API server refuses that, but may have
	// stored it before it did.
	ReasonInvalidTime = "InvalidTime"
)

// EventLookupStatus is the answer.
type EventLookupStatus struct {
	// observedGeneration is the generation of the spec that was answered; -1 until then.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Complete, Failed, and Reconciling or Stalled while they are true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && c.lastTransitionTime < timestamp('3000-01-01T00:00:00Z'))",message="a time must be as in RFC 3339, such as 2026-01-02T03:04:05Z"
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// accountID is the AWS account that was asked.
	// +optional
	AccountID string `json:"accountID,omitempty"`

	// region whose history was asked.
	// +optional
	Region string `json:"region,omitempty"`

	// startTime is the beginning of the time that was asked for; absent: as far back as the history goes.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be as in RFC 3339, such as 2026-01-02T03:04:05Z"
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// endTime is the end of the time that was asked for.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be as in RFC 3339, such as 2026-01-02T03:04:05Z"
	EndTime *metav1.Time `json:"endTime,omitempty"`

	// completionTime is when the lookup was complete or had failed.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be as in RFC 3339, such as 2026-01-02T03:04:05Z"
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`

	// eventCount is how many events there are in events.
	// +optional
	EventCount *int32 `json:"eventCount,omitempty"`

	// errorCount is how many of them are calls that AWS refused.
	// +optional
	ErrorCount *int32 `json:"errorCount,omitempty"`

	// truncated tells that there are earlier events which are not in events, because of maxResults or
	// because the object would become too large.
	// +optional
	Truncated *bool `json:"truncated,omitempty"`

	// events that were found, the latest first.
	// +optional
	// +listType=atomic
	Events []Event `json:"events,omitempty"`
}

// Event is an event of CloudTrail's event history. Texts that are very long are cut and end in "…".
type Event struct {
	// eventID is CloudTrail's id of the event.
	// +optional
	EventID string `json:"eventID,omitempty"`

	// eventName is the operation that was called, such as StopLogging.
	// +optional
	EventName string `json:"eventName,omitempty"`

	// eventTime is when it was called.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be as in RFC 3339, such as 2026-01-02T03:04:05Z"
	EventTime *metav1.Time `json:"eventTime,omitempty"`

	// eventSource is the service that was called, such as cloudtrail.amazonaws.com.
	// +optional
	EventSource string `json:"eventSource,omitempty"`

	// username is the name of the user or of the role session that called.
	// +optional
	Username string `json:"username,omitempty"`

	// identityARN is the ARN of who called; of a service on somebody's behalf the service's name.
	// +optional
	IdentityARN string `json:"identityARN,omitempty"`

	// accessKeyID is the access key that signed the call.
	// +optional
	AccessKeyID string `json:"accessKeyID,omitempty"`

	// sourceIPAddress is where the call came from: an address, or the name of an AWS service.
	// +optional
	SourceIPAddress string `json:"sourceIPAddress,omitempty"`

	// userAgent is the program that called.
	// +optional
	UserAgent string `json:"userAgent,omitempty"`

	// readOnly tells whether the call only read; absent when CloudTrail does not say.
	// +optional
	ReadOnly *bool `json:"readOnly,omitempty"`

	// errorCode is why AWS refused the call; absent when it did not.
	// +optional
	ErrorCode string `json:"errorCode,omitempty"`

	// errorMessage explains errorCode.
	// +optional
	ErrorMessage string `json:"errorMessage,omitempty"`

	// resources that the call was about, the first 10.
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
