package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Trail is an AWS CloudTrail trail. The operator keeps the trail in AWS in line with the spec. The spec is complete:
// a field that is removed from it is cleared in AWS. The status shows what CloudTrail itself reports.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={aws,audit},shortName=ctrail,singular=trail,path=trails
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Logging",type=string,JSONPath=`.status.conditions[?(@.type=="Logging")].status`
// +kubebuilder:printcolumn:name="Region",type=string,JSONPath=`.status.homeRegion`
// +kubebuilder:printcolumn:name="Last Delivery",type=date,JSONPath=`.status.latestDeliveryTime`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="ARN",type=string,JSONPath=`.status.trailARN`,priority=1
// +kubebuilder:printcolumn:name="Account",type=string,JSONPath=`.status.accountID`,priority=1
// +kubebuilder:validation:XValidation:rule="has(self.spec.name) || (self.metadata.name.size() >= 3 && self.metadata.name.size() <= 128 && !self.metadata.name.matches('[.-][.-]') && !self.metadata.name.matches('^([0-9]+[.]){3}[0-9]+$'))",message="metadata.name is not a valid trail name (3 to 128 characters, no two of . and - side by side, not an IP address); set spec.name to the name of the trail",fieldPath=".spec.name"
// +kubebuilder:validation:XValidation:rule="(has(self.spec.name) ? self.spec.name : self.metadata.name) == (has(oldSelf.spec.name) ? oldSelf.spec.name : oldSelf.metadata.name)",message="the trail's name is immutable: AWS cannot rename a trail; create a new Trail and delete this one",fieldPath=".spec.name"
type Trail struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state of the trail.
	// +required
	Spec TrailSpec `json:"spec"`

	// status is what CloudTrail reports about the trail.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status TrailStatus `json:"status,omitzero"`

	// DecodeError explains why the spec could not be decoded. It is empty if the spec was decoded, and is not part of
	// the object in the API server.
	DecodeError string `json:"-"`
}

// TrailSpec is the desired state of a trail. Most fields are parameters of CloudTrail's CreateTrail,
// PutEventSelectors, PutInsightSelectors, PutEventConfiguration and AddTags operations. The last ones control how the
// operator manages the trail.
//
// +kubebuilder:validation:XValidation:rule="has(self.region) == has(oldSelf.region) && (!has(self.region) || self.region == oldSelf.region)",message="region is immutable: a trail cannot move; create a new Trail in the other region and delete this one",fieldPath=".region"
// +kubebuilder:validation:XValidation:rule="(has(self.cloudWatchLogsLogGroupARN) && size(self.cloudWatchLogsLogGroupARN) > 0) == (has(self.cloudWatchLogsRoleARN) && size(self.cloudWatchLogsRoleARN) > 0)",message="cloudWatchLogsLogGroupARN and cloudWatchLogsRoleARN go together: set both, or neither",fieldPath=".cloudWatchLogsLogGroupARN"
// +kubebuilder:validation:XValidation:rule="!(has(self.isMultiRegionTrail) && self.isMultiRegionTrail && has(self.includeGlobalServiceEvents) && !self.includeGlobalServiceEvents)",message="a multi-region trail includes global service events: remove includeGlobalServiceEvents: false or isMultiRegionTrail: true",fieldPath=".includeGlobalServiceEvents"
// +kubebuilder:validation:XValidation:rule="!(has(self.eventSelectors) && has(self.advancedEventSelectors))",message="eventSelectors and advancedEventSelectors are mutually exclusive: keep one of them",fieldPath=".advancedEventSelectors"
type TrailSpec struct {
	// name is the name of the trail in AWS: 3 to 128 characters out of A-Z a-z 0-9 . _ -. It must begin and end with a
	// letter or digit, must not have two of . _ - side by side, and must not look like an IP address. Defaults to
	// metadata.name. Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9._-]*$')",message="a trail name may contain A-Z a-z 0-9 . _ - only"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[._-]|[._-]$')",message="a trail name begins and ends with a letter or digit"
	// +kubebuilder:validation:XValidation:rule="!self.matches('[._-][._-]')",message="a trail name has no two of . _ - side by side"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]+[.]){3}[0-9]+$')",message="a trail name must not look like an IP address"
	Name string `json:"name,omitempty"`

	// region is the home region of the trail. Defaults to the operator's region. Immutable.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$')",message="region must be an AWS region code, such as eu-central-1"
	Region string `json:"region,omitempty"`

	// identityRef is the AWSIdentity to call AWS with. Defaults to the AWSIdentity "default".
	// +optional
	IdentityRef *IdentityReference `json:"identityRef,omitempty"`

	// s3BucketName is the bucket that CloudTrail delivers log files to. The bucket must exist, and its policy must allow
	// CloudTrail to write to it.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9.-]*$')",message="a bucket name may contain a-z 0-9 . - only"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[.-]|[.-]$')",message="a bucket name begins and ends with a letter or digit"
	// +kubebuilder:validation:XValidation:rule="!self.matches('[.][.-]|-[.]')",message="a bucket name for CloudTrail has no two periods side by side and no dash next to a period"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]+[.]){3}[0-9]+$')",message="a bucket name must not look like an IP address"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('xn--') && !self.startsWith('sthree-') && !self.endsWith('-s3alias') && !self.endsWith('--ol-s3') && !self.endsWith('.mrap') && !self.endsWith('--x-s3') && !self.endsWith('--table-s3')",message="a bucket name must not begin with xn-- or sthree-, nor end with -s3alias, --ol-s3, .mrap, --x-s3 or --table-s3: give the name of a general purpose bucket"
	S3BucketName string `json:"s3BucketName"`

	// s3KeyPrefix is the prefix that precedes AWSLogs/ in the keys of the log files. Up to 200 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^\\\\x00-\\\\x1f\\\\x7f]*$')",message="s3KeyPrefix must not contain control characters or line breaks"
	S3KeyPrefix string `json:"s3KeyPrefix,omitempty"`

	// snsTopicName is the name or ARN of the SNS topic that CloudTrail notifies of each delivered log file. A name
	// refers to a topic in the trail's own account and region.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^$|^[A-Za-z0-9_-]+$|^arn:[a-z0-9-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$')",message="snsTopicName must be the name of a standard SNS topic (A-Z a-z 0-9 _ -) or its ARN, such as arn:aws:sns:us-east-1:111122223333:trail-topic"
	SNSTopicName string `json:"snsTopicName,omitempty"`

	// kmsKeyID is the KMS key that encrypts the log files: a key ID, a key ARN, an alias such as alias/trail, or an
	// alias ARN.
	// +optional
	// +kubebuilder:validation:MaxLength=350
	// +kubebuilder:validation:XValidation:rule="self.matches('^$|^alias/[A-Za-z0-9/_-]+$|^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$|^mrk-[0-9a-f]{32}$|^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:(alias/[A-Za-z0-9/_-]+|key/[A-Za-z0-9-]+)$')",message="kmsKeyID must be a key ID, a key ARN, alias/NAME, or an alias ARN"
	KMSKeyID string `json:"kmsKeyID,omitempty"`

	// cloudWatchLogsLogGroupARN is the ARN of a log group that CloudTrail also sends events to, with or without a
	// trailing :*. Requires cloudWatchLogsRoleARN.
	// +optional
	// +kubebuilder:validation:MaxLength=700
	// +kubebuilder:validation:XValidation:rule="self.matches('^$|^arn:[a-z0-9-]+:logs:[a-z0-9-]+:[0-9]{12}:log-group:[A-Za-z0-9_/.#-]{1,512}(:[*])?$')",message="cloudWatchLogsLogGroupARN must be the ARN of a log group, such as arn:aws:logs:us-east-1:111122223333:log-group:trail:*"
	CloudWatchLogsLogGroupARN string `json:"cloudWatchLogsLogGroupARN,omitempty"`

	// cloudWatchLogsRoleARN is the ARN of the IAM role that CloudTrail assumes to write to the log group. Requires
	// cloudWatchLogsLogGroupARN.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^$|^arn:[a-z0-9-]+:iam::[0-9]{12}:role/([!-~]+/)?[A-Za-z0-9_+=,.@-]+$')",message="cloudWatchLogsRoleARN must be the ARN of an IAM role, such as arn:aws:iam::111122223333:role/trail-logs"
	CloudWatchLogsRoleARN string `json:"cloudWatchLogsRoleARN,omitempty"`

	// includeGlobalServiceEvents says whether the trail logs events of global services such as IAM. It must not be false
	// for a multi-region trail. Defaults to true, as in AWS.
	// +optional
	IncludeGlobalServiceEvents *bool `json:"includeGlobalServiceEvents,omitempty"`

	// isMultiRegionTrail says whether the trail logs events of all regions. Defaults to false.
	// +optional
	IsMultiRegionTrail *bool `json:"isMultiRegionTrail,omitempty"`

	// enableLogFileValidation says whether CloudTrail delivers signed digest files, which prove that log files have not
	// been changed. Defaults to false.
	// +optional
	EnableLogFileValidation *bool `json:"enableLogFileValidation,omitempty"`

	// isOrganizationTrail says whether the trail logs events of all accounts in the organization. The identity's account
	// must be the organization's management account or a delegated administrator. Defaults to false.
	// +optional
	IsOrganizationTrail *bool `json:"isOrganizationTrail,omitempty"`

	// logging says whether the trail records events. The operator calls StartLogging if it is true and StopLogging if it
	// is false. Defaults to true.
	// +optional
	Logging *bool `json:"logging,omitempty"`

	// eventSelectors are basic event selectors. They select which management events are logged, and which data events of
	// S3 objects, Lambda functions and DynamoDB tables. Mutually exclusive with advancedEventSelectors. If both are
	// absent, CloudTrail's default applies: all management events and no data events.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	// +kubebuilder:validation:XValidation:rule="self.map(s, has(s.dataResources) ? s.dataResources.map(d, size(d.values)).sum() : 0).sum() <= 250",message="at most 250 data resource values in all event selectors together; use advancedEventSelectors for more"
	EventSelectors []EventSelector `json:"eventSelectors,omitempty"`

	// advancedEventSelectors select management, data and network activity events by their fields. Mutually exclusive
	// with eventSelectors.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:XValidation:rule="self.map(s, s.fieldSelectors.map(f, (has(f.equals) ? size(f.equals) : 0) + (has(f.notEquals) ? size(f.notEquals) : 0) + (has(f.startsWith) ? size(f.startsWith) : 0) + (has(f.notStartsWith) ? size(f.notStartsWith) : 0) + (has(f.endsWith) ? size(f.endsWith) : 0) + (has(f.notEndsWith) ? size(f.notEndsWith) : 0)).sum()).sum() <= 500",message="at most 500 values in the conditions of all advanced event selectors together"
	AdvancedEventSelectors []AdvancedEventSelector `json:"advancedEventSelectors,omitempty"`

	// insightSelectors select the types of Insights events that CloudTrail logs. If absent, Insights are turned off.
	// +optional
	// +listType=map
	// +listMapKey=insightType
	// +kubebuilder:validation:MaxItems=10
	InsightSelectors []InsightSelector `json:"insightSelectors,omitempty"`

	// aggregationConfigurations select the aggregated events that CloudTrail logs (PutEventConfiguration). If absent,
	// events are not aggregated.
	// +optional
	// +listType=map
	// +listMapKey=eventCategory
	// +kubebuilder:validation:MaxItems=1
	AggregationConfigurations []AggregationConfiguration `json:"aggregationConfigurations,omitempty"`

	// tags are the tags of the trail in AWS. The operator does not change tags that others put on the trail. At most 49,
	// because AWS allows 50 and one of them is the operator's owner tag.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=49
	Tags []Tag `json:"tags,omitempty"`

	// managementPolicy is Manage or Observe. With Observe, the operator reports the status and any differences, and
	// never writes to AWS. Defaults to Manage.
	// +optional
	ManagementPolicy ManagementPolicy `json:"managementPolicy,omitempty"`

	// adoptionPolicy says whether to take over a trail of this name that already exists in AWS. Never does not take it
	// over, IfUnowned does so if the trail has no owner tag, and Always does so even if it has another owner. It is not
	// taken over from a Trail of this cluster that manages it with Always itself. Defaults to Never.
	// +optional
	AdoptionPolicy AdoptionPolicy `json:"adoptionPolicy,omitempty"`

	// deletionPolicy says what happens to the trail in AWS when this object is deleted. Delete deletes the trail, and
	// Retain keeps it without the owner tag. Defaults to Delete.
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// suspend stops all work on this object, except for its deletion, until it is set to false again. Defaults to false.
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// interval is how often to resync, that is, to check for drift and refresh the status, such as 10m. From 10s to 24h.
	// Defaults to the operator's --resync-interval. For ten minutes after somebody changed the trail in AWS, it is 10s.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,5}([.][0-9]+)?(ms|s|m|h))+$')",message="interval must be a duration with units, such as 30s, 10m or 1h30m"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}([.][0-9]+)?(ms|s|m|h))+$') || (duration(self) >= duration('10s') && duration(self) <= duration('24h'))",message="interval must be between 10s and 24h"
	Interval *metav1.Duration `json:"interval,omitempty"`
}

// IdentityReference is a reference to an AWSIdentity.
type IdentityReference struct {
	// name is the name of the AWSIdentity.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// ReadWriteType selects events by whether they change something.
//
// +kubebuilder:validation:Enum=ReadOnly;WriteOnly;All
type ReadWriteType string

const (
	// ReadOnly selects events that only read, such as DescribeInstances.
	ReadOnly ReadWriteType = "ReadOnly"
	// WriteOnly selects events that change something, such as RunInstances.
	WriteOnly ReadWriteType = "WriteOnly"
	// ReadWriteAll selects both.
	ReadWriteAll ReadWriteType = "All"
)

// EventSelector is a basic event selector.
type EventSelector struct {
	// readWriteType is ReadOnly, WriteOnly or All. Defaults to All.
	// +optional
	ReadWriteType ReadWriteType `json:"readWriteType,omitempty"`

	// includeManagementEvents says whether management events are logged. Defaults to true.
	// +optional
	IncludeManagementEvents *bool `json:"includeManagementEvents,omitempty"`

	// dataResources select data events. All selectors together can have at most 250 values.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=250
	DataResources []DataResource `json:"dataResources,omitempty"`

	// excludeManagementEventSources are the services whose management events are not logged: kms.amazonaws.com or
	// rdsdata.amazonaws.com.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.all(s, s.endsWith('.amazonaws.com'))",message="excludeManagementEventSources must be event sources, such as kms.amazonaws.com"
	ExcludeManagementEventSources []string `json:"excludeManagementEventSources,omitempty"`
}

// DataResource selects data events of one type of resource.
type DataResource struct {
	// type is the type of the resources: AWS::S3::Object, AWS::Lambda::Function or AWS::DynamoDB::Table.
	// +required
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^AWS::[A-Za-z0-9]+::[A-Za-z0-9]+$')",message="a data resource type must look like AWS::S3::Object, AWS::Lambda::Function or AWS::DynamoDB::Table"
	Type string `json:"type"`

	// values are ARNs or prefixes of ARNs, such as arn:aws:s3:::bucket/prefix. arn:aws:s3 means all objects in all
	// buckets.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=250
	// +kubebuilder:validation:items:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.all(v, v.startsWith('arn:'))",message="values must be ARNs or prefixes of ARNs, such as arn:aws:s3:::bucket/prefix"
	Values []string `json:"values"`
}

// AdvancedEventSelector selects events by their fields. An event must match all of its field selectors.
//
// +kubebuilder:validation:XValidation:rule="size(self.fieldSelectors) == 0 || self.fieldSelectors.exists(f, f.field == 'eventCategory')",message="every advanced event selector needs a field selector for eventCategory",fieldPath=".fieldSelectors"
// +kubebuilder:validation:XValidation:rule="!self.fieldSelectors.exists(f, f.field == 'eventCategory' && has(f.equals) && 'Data' in f.equals) || self.fieldSelectors.exists(f, f.field == 'resources.type')",message="an advanced event selector for eventCategory Data needs a field selector for resources.type",fieldPath=".fieldSelectors"
// +kubebuilder:validation:XValidation:rule="!self.fieldSelectors.exists(f, f.field == 'eventCategory' && has(f.equals) && 'NetworkActivity' in f.equals) || self.fieldSelectors.exists(f, f.field == 'eventSource')",message="an advanced event selector for eventCategory NetworkActivity needs a field selector for eventSource",fieldPath=".fieldSelectors"
type AdvancedEventSelector struct {
	// name describes the selector. Up to 1000 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=1000
	Name string `json:"name,omitempty"`

	// fieldSelectors are conditions on fields of the event, all of which must match. Each field can occur only once.
	// +required
	// +listType=map
	// +listMapKey=field
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	FieldSelectors []AdvancedFieldSelector `json:"fieldSelectors"`
}

// AdvancedFieldSelector is a condition on one field of an event. A list such as equals matches if any of its values
// does, and a list such as notEquals matches if none of its values does.
//
// +kubebuilder:validation:XValidation:rule="has(self.equals) || has(self.notEquals) || has(self.startsWith) || has(self.notStartsWith) || has(self.endsWith) || has(self.notEndsWith)",message="a field selector needs at least one of equals, notEquals, startsWith, notStartsWith, endsWith, notEndsWith"
// +kubebuilder:validation:XValidation:rule="!(self.field in ['readOnly', 'eventCategory', 'resources.type']) || (has(self.equals) && !has(self.notEquals) && !has(self.startsWith) && !has(self.notStartsWith) && !has(self.endsWith) && !has(self.notEndsWith))",message="readOnly, eventCategory and resources.type can be compared with equals only"
// +kubebuilder:validation:XValidation:rule="!(self.field in ['readOnly', 'eventCategory', 'resources.type']) || !has(self.equals) || size(self.equals) == 1",message="readOnly, eventCategory and resources.type take one value; write another advanced event selector for another value",fieldPath=".equals"
// +kubebuilder:validation:XValidation:rule="self.field != 'readOnly' || !has(self.equals) || size(self.equals) != 1 || self.equals[0] in ['true', 'false']",message="readOnly must equal \"true\" or \"false\"",fieldPath=".equals"
type AdvancedFieldSelector struct {
	// field is a field of the event record, such as eventCategory, readOnly, eventName, eventSource, eventType,
	// resources.type, resources.ARN, userIdentity.arn or sessionCredentialFromConsole.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1000
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9._]+$')",message="field must be the name of a field, such as eventCategory or resources.ARN"
	Field string `json:"field"`

	// equals are values of which the field must equal one.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	Equals []string `json:"equals,omitempty"`

	// notEquals are values that the field must not equal.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	NotEquals []string `json:"notEquals,omitempty"`

	// startsWith are prefixes, one of which the field must start with.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	StartsWith []string `json:"startsWith,omitempty"`

	// notStartsWith are prefixes that the field must not start with.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	NotStartsWith []string `json:"notStartsWith,omitempty"`

	// endsWith are suffixes, one of which the field must end with.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	EndsWith []string `json:"endsWith,omitempty"`

	// notEndsWith are suffixes that the field must not end with.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	NotEndsWith []string `json:"notEndsWith,omitempty"`
}

// InsightType is a type of unusual activity that CloudTrail Insights detects.
//
// +kubebuilder:validation:Enum=ApiCallRateInsight;ApiErrorRateInsight
type InsightType string

// InsightEventCategory is a category of events that Insights analyzes.
//
// +kubebuilder:validation:Enum=Management;Data
type InsightEventCategory string

// InsightEventCategoryManagement is the default category of an insight selector.
const InsightEventCategoryManagement InsightEventCategory = "Management"

// InsightSelector selects one type of Insights events.
type InsightSelector struct {
	// insightType is ApiCallRateInsight or ApiErrorRateInsight.
	// +required
	InsightType InsightType `json:"insightType"`

	// eventCategories are the categories of events to analyze: Management, Data or both. Defaults to Management.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	EventCategories []InsightEventCategory `json:"eventCategories,omitempty"`
}

// AggregationEventCategory is a category of events that can be aggregated.
//
// +kubebuilder:validation:Enum=Data
type AggregationEventCategory string

// AggregationTemplate is a way to aggregate events.
//
// +kubebuilder:validation:Enum=API_ACTIVITY;RESOURCE_ACCESS;USER_ACTIONS
type AggregationTemplate string

// AggregationConfiguration selects aggregated events.
type AggregationConfiguration struct {
	// eventCategory is the category of events to aggregate: Data.
	// +required
	EventCategory AggregationEventCategory `json:"eventCategory"`

	// templates are the ways to aggregate events: API_ACTIVITY, RESOURCE_ACCESS or USER_ACTIONS.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	Templates []AggregationTemplate `json:"templates"`
}

// Tag is an AWS tag.
type Tag struct {
	// key is the key of the tag: 1 to 128 letters, digits, spaces or any of _ . : / = + - @.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[\\\\p{L}\\\\p{Z}\\\\p{N}_.:/=+@-]*$')",message="a tag key may contain letters, digits, spaces and _ . : / = + - @ only"
	// +kubebuilder:validation:XValidation:rule="!self.lowerAscii().startsWith('aws:')",message="tag keys that begin with aws: are reserved by AWS; choose another key"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('trail-operator.dev/')",message="tag keys that begin with trail-operator.dev/ are the operator's own; choose another key"
	Key string `json:"key"`

	// value is the value of the tag: up to 256 letters, digits, spaces or any of _ . : / = + - @.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^[\\\\p{L}\\\\p{Z}\\\\p{N}_.:/=+@-]*$')",message="a tag value may contain letters, digits, spaces and _ . : / = + - @ only"
	Value string `json:"value,omitempty"`
}

// ManagementPolicy says whether the operator writes to AWS.
//
// +kubebuilder:validation:Enum=Manage;Observe
type ManagementPolicy string

const (
	// ManagementPolicyManage keeps the trail in line with the spec.
	ManagementPolicyManage ManagementPolicy = "Manage"
	// ManagementPolicyObserve reports and never writes to AWS.
	ManagementPolicyObserve ManagementPolicy = "Observe"
)

// AdoptionPolicy says whether to take over a trail that already exists.
//
// +kubebuilder:validation:Enum=Never;IfUnowned;Always
type AdoptionPolicy string

const (
	// AdoptionPolicyNever never takes over a trail.
	AdoptionPolicyNever AdoptionPolicy = "Never"
	// AdoptionPolicyIfUnowned takes over a trail that has no owner tag.
	AdoptionPolicyIfUnowned AdoptionPolicy = "IfUnowned"
	// AdoptionPolicyAlways takes over a trail whoever owns it, unless that is a Trail of this cluster which would take it
	// back.
	AdoptionPolicyAlways AdoptionPolicy = "Always"
)

// DeletionPolicy says what happens to the trail in AWS when its object is deleted.
//
// +kubebuilder:validation:Enum=Delete;Retain
type DeletionPolicy string

const (
	// DeletionPolicyDelete deletes the trail.
	DeletionPolicyDelete DeletionPolicy = "Delete"
	// DeletionPolicyRetain removes the owner tag and otherwise leaves the trail as it is.
	DeletionPolicyRetain DeletionPolicy = "Retain"
)

// TrailStatus is what CloudTrail reports about a trail, and what the operator concludes from it.
type TrailStatus struct {
	// observedGeneration is the generation of the spec that the conditions describe. It is -1 until the object is first
	// reconciled.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, Synced, Logging and Delivering and, only while they are true, Reconciling or Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && c.lastTransitionTime < timestamp('3000-01-01T00:00:00Z'))",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// trailARN is the ARN of the trail.
	// +optional
	TrailARN string `json:"trailARN,omitempty"`

	// homeRegion is the region in which the trail was created.
	// +optional
	HomeRegion string `json:"homeRegion,omitempty"`

	// accountID is the AWS account of the trail; for an organization trail, the account from which it is managed. If the
	// identity's credentials later belong to another account, the operator refuses to use them for this trail.
	// +optional
	AccountID string `json:"accountID,omitempty"`

	// isLogging says whether the trail is recording events.
	// +optional
	IsLogging *bool `json:"isLogging,omitempty"`

	// startLoggingTime is when logging was last started.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	StartLoggingTime *metav1.Time `json:"startLoggingTime,omitempty"`

	// stopLoggingTime is when logging was last stopped.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	StopLoggingTime *metav1.Time `json:"stopLoggingTime,omitempty"`

	// latestDeliveryTime is when CloudTrail last delivered log files to the bucket.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	LatestDeliveryTime *metav1.Time `json:"latestDeliveryTime,omitempty"`

	// latestDeliveryError is the S3 error of the latest delivery, such as AccessDenied. It is absent if the delivery
	// succeeded.
	// +optional
	LatestDeliveryError string `json:"latestDeliveryError,omitempty"`

	// latestNotificationTime is when CloudTrail last notified the SNS topic.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	LatestNotificationTime *metav1.Time `json:"latestNotificationTime,omitempty"`

	// latestNotificationError is the SNS error of the latest notification.
	// +optional
	LatestNotificationError string `json:"latestNotificationError,omitempty"`

	// latestDigestDeliveryTime is when CloudTrail last delivered a digest file to the bucket.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	LatestDigestDeliveryTime *metav1.Time `json:"latestDigestDeliveryTime,omitempty"`

	// latestDigestDeliveryError is the S3 error of the latest digest delivery.
	// +optional
	LatestDigestDeliveryError string `json:"latestDigestDeliveryError,omitempty"`

	// latestCloudWatchLogsDeliveryTime is when CloudTrail last delivered events to the log group.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	LatestCloudWatchLogsDeliveryTime *metav1.Time `json:"latestCloudWatchLogsDeliveryTime,omitempty"`

	// latestCloudWatchLogsDeliveryError is the CloudWatch Logs error of the latest delivery.
	// +optional
	LatestCloudWatchLogsDeliveryError string `json:"latestCloudWatchLogsDeliveryError,omitempty"`

	// snsTopicARN is the ARN of the SNS topic that CloudTrail notifies.
	// +optional
	SNSTopicARN string `json:"snsTopicARN,omitempty"`

	// kmsKeyARN is the ARN of the key that kmsKeyID referred to when it was last applied.
	// +optional
	KMSKeyARN string `json:"kmsKeyARN,omitempty"`

	// kmsKeyID is the value of spec.kmsKeyID that AWS resolved to kmsKeyARN. AWS reports the key rather than the alias,
	// so the operator needs both to compare AWS with the spec.
	// +optional
	KMSKeyID string `json:"kmsKeyID,omitempty"`

	// managedTagKeys are the keys of the tags that the operator has set. If one of them is removed from the spec, the
	// operator removes the tag in AWS.
	// +optional
	// +listType=set
	ManagedTagKeys []string `json:"managedTagKeys,omitempty"`

	// differences are the fields in which AWS differed from the spec at the last resync and that have not been repaired.
	// +optional
	// +listType=map
	// +listMapKey=field
	Differences []Difference `json:"differences,omitempty"`

	// syncedDigest holds a digest of each field, taken when the field in AWS last matched the spec. If a field differs
	// although its digest still matches the spec, the field was changed in AWS, which is drift. Otherwise the spec was
	// changed.
	// +optional
	SyncedDigest string `json:"syncedDigest,omitempty"`

	// lastSyncedTime is when AWS was last seen to match the spec in everything but the differences. It is written only
	// together with other changes, so the actual time may be later.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	LastSyncedTime *metav1.Time `json:"lastSyncedTime,omitempty"`

	// operatorARNs are the ARNs of the users and roles that the operator has used to write to the trail, latest first.
	// At most three are kept. The operator recognizes a call as its own if one of them made it and the user agent
	// contains the object's name.
	// +optional
	// +listType=atomic
	OperatorARNs []string `json:"operatorARNs,omitempty"`

	// aggregationApplied says whether the operator has put an aggregation configuration on the trail. DescribeTrails
	// does not report these, so the operator records here that there is one to read.
	// +optional
	AggregationApplied bool `json:"aggregationApplied,omitempty"`

	// lastDrift is the last change that somebody made to the trail in AWS.
	// +optional
	LastDrift *Drift `json:"lastDrift,omitempty"`

	// earlierDrifts are the latest drifts before lastDrift whose actor is not certain yet. When the search for an actor
	// ends, an event reports the result and the drift is removed from this list. At most five are kept.
	// +optional
	// +listType=atomic
	EarlierDrifts []Drift `json:"earlierDrifts,omitempty"`

	// lastHandledReconcileAt is the value of the reconcile annotation that was last acted on.
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// Difference is a field in which AWS differs from the spec.
type Difference struct {
	// field is the name of the field in the spec, "trail" if there is no trail, or "ownerTag" if the trail does not
	// carry the operator's tag.
	// +required
	Field string `json:"field"`

	// found is the value in AWS, shortened if it is long. It is absent if there is no value in AWS.
	// +optional
	Found string `json:"found,omitempty"`
}

// TrailList is a list of Trail.
//
// +kubebuilder:object:root=true
type TrailList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Trail `json:"items"`
}
