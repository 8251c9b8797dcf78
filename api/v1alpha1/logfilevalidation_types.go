package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LogFileValidation proves with the signed digest files of a trail that its log files are as CloudTrail has delivered
// them. Without endTime it goes on for ever, and checks what is new once in every interval. With endTime it validates a
// range of time once, like a Job.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={aws,audit},shortName=lfv,singular=logfilevalidation,path=logfilevalidations
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Intact",type=string,JSONPath=`.status.conditions[?(@.type=="Intact")].status`
// +kubebuilder:printcolumn:name="Validated Until",type=string,JSONPath=`.status.validatedUntil`
// +kubebuilder:printcolumn:name="Chains",type=integer,JSONPath=`.status.chains`
// +kubebuilder:printcolumn:name="Findings",type=integer,JSONPath=`.status.findingCount`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`,priority=1
// +kubebuilder:printcolumn:name="Complete",type=string,JSONPath=`.status.conditions[?(@.type=="Complete")].status`,priority=1
// +kubebuilder:printcolumn:name="Lagging",type=integer,JSONPath=`.status.laggingCount`,priority=1
// +kubebuilder:printcolumn:name="Bucket",type=string,JSONPath=`.status.s3BucketName`,priority=1
// +kubebuilder:printcolumn:name="ARN",type=string,JSONPath=`.status.trailARN`,priority=1
type LogFileValidation struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says what is validated, and how.
	// +required
	Spec LogFileValidationSpec `json:"spec"`

	// status is what was found.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status LogFileValidationStatus `json:"status,omitzero"`

	// DecodeError explains why the spec could not be decoded. It is empty if the spec was decoded, and is not part of
	// the object in the API server.
	DecodeError string `json:"-"`
}

// LogFileValidationSpec says which trail is validated, with which identity, how thoroughly, and from when to when.
//
// +kubebuilder:validation:XValidation:rule="has(self.trailRef) != has(self.trailARN)",message="name the trail by trailRef or by trailARN: exactly one of them",fieldPath=".trailRef"
// +kubebuilder:validation:XValidation:rule="!has(self.s3BucketName) || has(self.trailARN)",message="s3BucketName goes with trailARN: a Trail says itself where it delivers; remove s3BucketName",fieldPath=".s3BucketName"
// +kubebuilder:validation:XValidation:rule="!has(self.s3KeyPrefix) || has(self.s3BucketName)",message="s3KeyPrefix goes with s3BucketName: set both, or neither",fieldPath=".s3KeyPrefix"
// +kubebuilder:validation:XValidation:rule="!has(self.organization) || has(self.s3BucketName)",message="organization goes with trailARN and s3BucketName: otherwise the trail says itself whether it is an organization's; remove organization",fieldPath=".organization"
// +kubebuilder:validation:XValidation:rule="has(self.samplePercent) == (has(self.mode) && self.mode == 'Sample')",message="samplePercent goes with mode Sample: set both, or neither",fieldPath=".samplePercent"
// +kubebuilder:validation:XValidation:rule="!has(self.endTime) || has(self.startTime)",message="endTime requires startTime: a range has a beginning",fieldPath=".startTime"
// +kubebuilder:validation:XValidation:rule="!has(self.startTime) || !has(self.endTime) || ![self.startTime, self.endTime].all(t, t.matches('^20([0-9]{2}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|[0-9]{2}-(0[469]|11)-(0[1-9]|[12][0-9]|30)|[0-9]{2}-02-(0[1-9]|1[0-9]|2[0-8])|([02468][048]|[13579][26])-02-29)T([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$')) || timestamp(self.startTime) < timestamp(self.endTime)",message="startTime must be before endTime",fieldPath=".startTime"
// +kubebuilder:validation:XValidation:rule="!has(self.interval) || !has(self.endTime)",message="interval is for a validation without endTime: a range is validated once; remove interval or endTime",fieldPath=".interval"
// +kubebuilder:validation:XValidation:rule="!has(self.ttlSecondsAfterFinished) || has(self.endTime)",message="ttlSecondsAfterFinished requires endTime: a validation without endTime never finishes",fieldPath=".ttlSecondsAfterFinished"
// +kubebuilder:validation:XValidation:rule="has(self.trailRef) == has(oldSelf.trailRef) && (!has(self.trailRef) || self.trailRef == oldSelf.trailRef) && has(self.trailARN) == has(oldSelf.trailARN) && (!has(self.trailARN) || self.trailARN == oldSelf.trailARN)",message="the trail is immutable: create another LogFileValidation",fieldPath=".trailRef"
// +kubebuilder:validation:XValidation:rule="has(self.endTime) == has(oldSelf.endTime) && (!has(self.endTime) || self.endTime == oldSelf.endTime)",message="endTime is immutable: create another LogFileValidation",fieldPath=".endTime"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.endTime) || (has(self.identityRef) == has(oldSelf.identityRef) && (!has(self.identityRef) || self.identityRef == oldSelf.identityRef) && has(self.s3BucketName) == has(oldSelf.s3BucketName) && (!has(self.s3BucketName) || self.s3BucketName == oldSelf.s3BucketName) && has(self.s3KeyPrefix) == has(oldSelf.s3KeyPrefix) && (!has(self.s3KeyPrefix) || self.s3KeyPrefix == oldSelf.s3KeyPrefix) && has(self.organization) == has(oldSelf.organization) && (!has(self.organization) || self.organization == oldSelf.organization) && has(self.mode) == has(oldSelf.mode) && (!has(self.mode) || self.mode == oldSelf.mode) && has(self.samplePercent) == has(oldSelf.samplePercent) && (!has(self.samplePercent) || self.samplePercent == oldSelf.samplePercent) && has(self.startTime) == has(oldSelf.startTime) && (!has(self.startTime) || self.startTime == oldSelf.startTime))",message="a range is validated once, so only suspend and ttlSecondsAfterFinished can be changed: create another LogFileValidation"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.startTime) || has(self.startTime) && (self.startTime == oldSelf.startTime || ![self.startTime, oldSelf.startTime].all(t, t.matches('^20([0-9]{2}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|[0-9]{2}-(0[469]|11)-(0[1-9]|[12][0-9]|30)|[0-9]{2}-02-(0[1-9]|1[0-9]|2[0-8])|([02468][048]|[13579][26])-02-29)T([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$')) || timestamp(self.startTime) >= timestamp(oldSelf.startTime))",message="startTime can only move forward, which acknowledges the findings before it: create another LogFileValidation to go further back",fieldPath=".startTime"
type LogFileValidationSpec struct {
	// trailRef is a Trail in the same namespace. Its spec and status say where it delivers. Mutually exclusive with
	// trailARN. Immutable.
	// +optional
	TrailRef *TrailReference `json:"trailRef,omitempty"`

	// trailARN is the ARN of a trail, such as arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit. Mutually
	// exclusive with trailRef. Immutable.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^arn:[a-z0-9-]+:cloudtrail:[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}:[0-9]{12}:trail/[A-Za-z0-9._-]{3,128}$')",message="trailARN must be the ARN of a trail, such as arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit"
	TrailARN string `json:"trailARN,omitempty"`

	// identityRef is the AWSIdentity to read the bucket and CloudTrail's public keys with. It is often one of the log
	// archive's account, and not the one that manages the trail. Defaults to the AWSIdentity "default".
	// +optional
	IdentityRef *IdentityReference `json:"identityRef,omitempty"`

	// s3BucketName is the bucket that the trail of trailARN delivers to. If absent, DescribeTrails says where, which the
	// identity must be allowed to call then.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9.-]*$')",message="a bucket name may contain a-z 0-9 . - only"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[.-]|[.-]$')",message="a bucket name begins and ends with a letter or digit"
	S3BucketName string `json:"s3BucketName,omitempty"`

	// s3KeyPrefix is the prefix that precedes AWSLogs/ in the keys of the digest files. Up to 200 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^\\\\x00-\\\\x1f\\\\x7f]*$')",message="s3KeyPrefix must not contain control characters or line breaks"
	S3KeyPrefix string `json:"s3KeyPrefix,omitempty"`

	// organization says whether the trail of trailARN is an organization trail, so that the digests of all accounts of
	// the organization are validated. Only with s3BucketName; otherwise the trail says it. Defaults to false.
	// +optional
	Organization *bool `json:"organization,omitempty"`

	// mode is how thoroughly log files are validated. Digests validates the digest files only. Existence also finds log
	// files that are missing, were written later, or are not in any digest. Sample also reads samplePercent of the log
	// files, and Full all of them. Defaults to Digests.
	// +optional
	Mode ValidationMode `json:"mode,omitempty"`

	// samplePercent is how many of 100 log files mode Sample reads, from 1 to 100. Which ones cannot be foreseen.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	SamplePercent *int32 `json:"samplePercent,omitempty"`

	// startTime is from when on log files are validated, such as 2026-01-02T03:04:05Z. Defaults to a day before the
	// object was created. It can only move forward, which acknowledges the findings of the time before it.
	// +optional
	StartTime Timestamp `json:"startTime,omitempty"`

	// endTime is until when log files are validated. The last digests come two hours later at most, which are waited
	// for. If absent, the validation goes on for ever. Immutable.
	// +optional
	EndTime Timestamp `json:"endTime,omitempty"`

	// interval is how often to validate what is new, such as 30m. From 1m to 24h. CloudTrail delivers digests once an
	// hour. Only without endTime. Defaults to 1h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,5}([.][0-9]+)?(ms|s|m|h))+$')",message="interval must be a duration with units, such as 30m or 1h30m"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}([.][0-9]+)?(ms|s|m|h))+$') || (duration(self) >= duration('1m') && duration(self) <= duration('24h'))",message="interval must be between 1m and 24h"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// suspend stops all work on this object until it is set to false again. Defaults to false.
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// ttlSecondsAfterFinished is the number of seconds after which a range that is complete is deleted. 0 deletes it
	// immediately. At most 2147483647. If absent, the object is kept. Only with endTime.
	// +optional
	// +kubebuilder:validation:Format=int64
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`
}

// TrailReference is a reference to a Trail in the same namespace.
type TrailReference struct {
	// name is the name of the Trail.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// ValidationMode is how thoroughly log files are validated.
//
// +kubebuilder:validation:Enum=Digests;Existence;Sample;Full
type ValidationMode string

const (
	// ValidationModeDigests validates digest files only.
	ValidationModeDigests ValidationMode = "Digests"
	// ValidationModeExistence also compares the list of log files with the digests.
	ValidationModeExistence ValidationMode = "Existence"
	// ValidationModeSample is Existence, and reads some of the log files.
	ValidationModeSample ValidationMode = "Sample"
	// ValidationModeFull is Existence, and reads all log files.
	ValidationModeFull ValidationMode = "Full"
)

// Condition types of a LogFileValidation, beside Ready, Reconciling and Stalled. A range is also Complete at its end.
const (
	// ConditionIntact is True when everything until validatedUntil is proved, and False when something was tampered with.
	ConditionIntact = "Intact"
)

// Reasons of a LogFileValidation. What could not be read has AWS's own error code instead.
const (
	// ReasonIntact means that everything is proved.
	ReasonIntact = "Intact"
	// ReasonTampered means that there are findings.
	ReasonTampered = "Tampered"
	// ReasonNotValidatedYet means that the first validation is not over.
	ReasonNotValidatedYet = "NotValidatedYet"
	// ReasonNoDigests means that there is no digest of the trail in the bucket.
	ReasonNoDigests = "NoDigests"
	// ReasonChainsMissing means that chains were in the bucket before the operator was restarted, and are not there now.
	ReasonChainsMissing = "ChainsMissing"
	// ReasonUnverifiable means that something could not be read, and never will be.
	ReasonUnverifiable = "Unverifiable"
	// ReasonValidationOff means that the trail delivers no digests.
	ReasonValidationOff = "ValidationOff"
	// ReasonValidated means that a range is validated.
	ReasonValidated = "Validated"
	// ReasonWaitingForDigests means that the last digests of a range are still to be delivered.
	ReasonWaitingForDigests = "WaitingForDigests"
	// ReasonValidating means that a validation is under way.
	ReasonValidating = "Validating"
)

// LogFileValidationStatus is what was found.
type LogFileValidationStatus struct {
	// observedGeneration is the generation of the spec that the conditions describe. It is -1 until there is a result.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready and Intact, Complete for a range, and, only while they are true, Reconciling or Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && c.lastTransitionTime < timestamp('3000-01-01T00:00:00Z'))",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// trailARN is the ARN of the trail.
	// +optional
	TrailARN string `json:"trailARN,omitempty"`

	// s3BucketName is the bucket that the trail delivers to.
	// +optional
	S3BucketName string `json:"s3BucketName,omitempty"`

	// s3KeyPrefix is the prefix that precedes AWSLogs/ in the keys of the digest files.
	// +optional
	S3KeyPrefix string `json:"s3KeyPrefix,omitempty"`

	// startTime is from when on log files are validated. What was found before it is acknowledged.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// validatedUntil is until when all chains were validated, except those in laggingChains. The operator goes on from
	// there after a restart.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	ValidatedUntil *metav1.Time `json:"validatedUntil,omitempty"`

	// lastValidationTime is when the last validation ended.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	LastValidationTime *metav1.Time `json:"lastValidationTime,omitempty"`

	// completionTime is when the range was complete.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`

	// chains is how many chains of digests there are: one for each account and region.
	// +optional
	Chains *int32 `json:"chains,omitempty"`

	// laggingCount is how many chains could not be validated as far as they go.
	// +optional
	LaggingCount *int32 `json:"laggingCount,omitempty"`

	// laggingChains are chains that could not be validated as far as they go, those that are furthest behind first. At
	// most 20 are listed.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	LaggingChains []LaggingChain `json:"laggingChains,omitempty"`

	// digestCount is how many digest files were validated. After a restart, those of the last hour count again.
	// +optional
	DigestCount int64 `json:"digestCount,omitempty"`

	// logFileCount is how many log files were looked at. Mode Digests looks at none.
	// +optional
	LogFileCount int64 `json:"logFileCount,omitempty"`

	// gapCount is how many times CloudTrail has delivered no digests for a while, because the trail did not log or log
	// file validation was disabled. Log files of that time cannot be proved.
	// +optional
	GapCount int64 `json:"gapCount,omitempty"`

	// findingCount is the number of findings since startTime, in all classes.
	// +optional
	FindingCount *int64 `json:"findingCount,omitempty"`

	// findingClasses count the findings since startTime by class.
	// +optional
	// +listType=map
	// +listMapKey=class
	FindingClasses []FindingClass `json:"findingClasses,omitempty"`

	// findings are the most severe findings since startTime, of these the latest. At most 20 are listed.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Findings []Finding `json:"findings,omitempty"`

	// findingsTruncated says whether there are more findings than those that are listed.
	// +optional
	FindingsTruncated bool `json:"findingsTruncated,omitempty"`

	// lastHandledReconcileAt is the value of the reconcile annotation that was last acted on.
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// LaggingChain is a chain that could not be validated as far as it goes.
type LaggingChain struct {
	// organizationID is in the keys of an organization trail, such as o-abcdefghij.
	// +optional
	OrganizationID string `json:"organizationID,omitempty"`

	// accountID is the account whose events are in the log files.
	// +optional
	AccountID string `json:"accountID,omitempty"`

	// region is the region that the events are from.
	// +optional
	Region string `json:"region,omitempty"`

	// validatedUntil is until when the chain was validated. It is absent if nothing of it was.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	ValidatedUntil *metav1.Time `json:"validatedUntil,omitempty"`

	// reason is a word for the cause, such as AccessDenied.
	// +optional
	Reason string `json:"reason,omitempty"`

	// message says what could not be read, and why.
	// +optional
	Message string `json:"message,omitempty"`
}

// FindingClass counts the findings of a class.
type FindingClass struct {
	// class is DigestAltered, LogAltered, DigestMissing, LogDeleted, ChainBroken, LogNotVouchedFor or Unverifiable.
	// +required
	Class string `json:"class"`

	// count is the number of findings.
	// +optional
	Count int64 `json:"count,omitempty"`

	// latestTime is the end of the last hour that a finding is about.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	LatestTime *metav1.Time `json:"latestTime,omitempty"`
}

// Finding is something in the bucket that is not as CloudTrail has delivered it.
type Finding struct {
	// class is DigestAltered, LogAltered, DigestMissing, LogDeleted, ChainBroken, LogNotVouchedFor or Unverifiable. All
	// but the last mean that somebody has tampered with the bucket, or that a rule of the bucket has removed something.
	// +required
	Class string `json:"class"`

	// reason is a word for why something is Unverifiable, such as Archived. It is absent for other classes.
	// +optional
	Reason string `json:"reason,omitempty"`

	// accountID is the account whose events are in the log file.
	// +optional
	AccountID string `json:"accountID,omitempty"`

	// region is the region that the events are from.
	// +optional
	Region string `json:"region,omitempty"`

	// bucket is the bucket of the object.
	// +optional
	Bucket string `json:"bucket,omitempty"`

	// object is the key of the digest file or log file, or where it was or would have been.
	// +optional
	Object string `json:"object,omitempty"`

	// time is the end of the hour that is not proved.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	Time *metav1.Time `json:"time,omitempty"`

	// message says what was expected and what was found.
	// +optional
	Message string `json:"message,omitempty"`
}

// LogFileValidationList is a list of LogFileValidation.
//
// +kubebuilder:object:root=true
type LogFileValidationList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []LogFileValidation `json:"items"`
}
