package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AWSIdentity defines the credentials that the operator uses to call AWS, and the namespaces that may use them. It is
// cluster-scoped and created by administrators. A Trail references an AWSIdentity and never a role, so permission to
// create Trails does not grant the use of every role that the operator can assume.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories={aws,audit},singular=awsidentity,path=awsidentities
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Account",type=string,JSONPath=`.status.accountID`
// +kubebuilder:printcolumn:name="Recorded",type=string,JSONPath=`.status.conditions[?(@.type=="Recorded")].status`
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.roleARN`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AWSIdentity struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec defines the identity.
	// +optional
	Spec AWSIdentitySpec `json:"spec,omitzero"`

	// status is what AWS reports about the identity.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status AWSIdentityStatus `json:"status,omitzero"`

	// DecodeError explains why the spec could not be decoded. It is empty if the spec was decoded, and is not part of
	// the object in the API server.
	DecodeError string `json:"-"`
}

// AWSIdentitySpec defines how the operator authenticates to AWS, where it calls AWS, and who may use the identity.
//
// +kubebuilder:validation:XValidation:rule="!has(self.externalID) || has(self.roleARN)",message="externalID requires roleARN: it is used only to assume a role",fieldPath=".externalID"
// +kubebuilder:validation:XValidation:rule="!has(self.sessionTags) || has(self.roleARN)",message="sessionTags require roleARN: they are used only to assume a role",fieldPath=".sessionTags"
type AWSIdentitySpec struct {
	// roleARN is the ARN of the IAM role to assume, such as arn:aws:iam::444455556666:role/trail-operator. If absent,
	// the operator's own credentials are used.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^arn:[a-z0-9-]+:iam::[0-9]{12}:role/([!-~]+/)?[A-Za-z0-9_+=,.@-]+$')",message="roleARN must be the ARN of an IAM role, such as arn:aws:iam::444455556666:role/trail-operator"
	RoleARN string `json:"roleARN,omitempty"`

	// externalID is passed to AssumeRole. The role's trust policy may require it.
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=1224
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_+=,.@:/-]+$')",message="externalID may contain letters, digits and _ + = , . @ : / - only"
	ExternalID string `json:"externalID,omitempty"`

	// sessionTags are passed to AssumeRole. The role's trust policy must allow sts:TagSession.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=50
	SessionTags []SessionTag `json:"sessionTags,omitempty"`

	// allowedNamespaces selects the namespaces whose Trails, EventLookups and LogFileValidations may use this
	// identity. If absent, no namespace may use it.
	// +optional
	AllowedNamespaces *AllowedNamespaces `json:"allowedNamespaces,omitempty"`

	// allowedRegions are the regions in which the identity may be used, such as eu-central-1. If absent, all regions of
	// the account's partition are allowed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=32
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$')",message="allowedRegions must be AWS region codes, such as eu-central-1"
	AllowedRegions []string `json:"allowedRegions,omitempty"`

	// endpointURL is the CloudTrail endpoint to call instead of the public one, such as a VPC or FIPS endpoint. It does
	// not apply to STS, whose endpoint comes from the operator's AWS configuration.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && size(url(self).getHost()) > 0",message="endpointURL must be a URL with a scheme and a host, such as https://cloudtrail-fips.us-east-1.amazonaws.com"
	EndpointURL string `json:"endpointURL,omitempty"`

	// eventQueueURL is the URL of a standard SQS queue to which EventBridge sends the CloudTrail calls of this account, or
	// of several accounts and regions, such as https://sqs.eu-central-1.amazonaws.com/111122223333/trail-operator. The
	// operator then looks at a trail seconds after somebody has changed it, and knows who did. Only one operator may
	// receive from a queue, and one that works on some Trails only (--watch-namespaces, --watch-label-selector) receives
	// from none. config/aws/events has templates for the queue, its rules and the permissions.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="isURL(self) && self.matches('^https?://[A-Za-z0-9:.\\\\[\\\\]-]+/[0-9]{12}/[A-Za-z0-9_-]{1,80}$')",message="eventQueueURL must be the URL of a standard SQS queue, such as https://sqs.eu-central-1.amazonaws.com/111122223333/trail-operator; FIFO queues are not supported"
	EventQueueURL string `json:"eventQueueURL,omitempty"`

	// assessCoverage says whether the operator looks, every hour and when a Trail of the identity changes, for a trail
	// that records the whole account: a multi-region trail, managed or not, that logs, delivers, and records all
	// management events. The condition Recorded and status.coverage have the result. It needs no further permission in
	// AWS. Defaults to false.
	// +optional
	AssessCoverage *bool `json:"assessCoverage,omitempty"`
}

// SessionTag is an STS session tag.
type SessionTag struct {
	// key is the key of the tag: 1 to 128 letters, digits, spaces or any of _ . : / = + - @.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[\\\\p{L}\\\\p{Z}\\\\p{N}_.:/=+@-]*$')",message="a tag key may contain letters, digits, spaces and _ . : / = + - @ only"
	// +kubebuilder:validation:XValidation:rule="!self.lowerAscii().startsWith('aws:')",message="tag keys that begin with aws: are reserved by AWS; choose another key"
	Key string `json:"key"`
	// value is the value of the tag: up to 256 letters, digits, spaces or any of _ . : / = + - @.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^[\\\\p{L}\\\\p{Z}\\\\p{N}_.:/=+@-]*$')",message="a tag value may contain letters, digits, spaces and _ . : / = + - @ only"
	Value string `json:"value"`
}

// NamespacesFrom specifies how AllowedNamespaces selects namespaces.
//
// +kubebuilder:validation:Enum=All;Selector
type NamespacesFrom string

const (
	// NamespacesFromAll allows every namespace.
	NamespacesFromAll NamespacesFrom = "All"
	// NamespacesFromSelector allows the namespaces whose labels match the selector.
	NamespacesFromSelector NamespacesFrom = "Selector"
)

// AllowedNamespaces selects namespaces.
//
// +kubebuilder:validation:XValidation:rule="self.from == 'Selector' ? has(self.selector) : !has(self.selector)",message="selector is required with from: Selector, and not allowed otherwise",fieldPath=".selector"
type AllowedNamespaces struct {
	// from is All, for every namespace, or Selector, for the namespaces that match selector.
	// +required
	From NamespacesFrom `json:"from"`
	// selector selects namespaces by their labels. An empty selector matches every namespace. To select a namespace by
	// name, use the label kubernetes.io/metadata.name.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// AWSIdentityStatus is what AWS reports about an identity.
type AWSIdentityStatus struct {
	// observedGeneration is the generation of the spec that the conditions describe.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, Listening if there is an event queue, Recorded if spec.assessCoverage is true, and, only while
	// they are true, Reconciling or Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && c.lastTransitionTime < timestamp('3000-01-01T00:00:00Z'))",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// accountID is the AWS account that the credentials belong to.
	// +optional
	AccountID string `json:"accountID,omitempty"`

	// arn is the caller's ARN, as GetCallerIdentity reports it.
	// +optional
	ARN string `json:"arn,omitempty"`

	// lastHandledReconcileAt is the value of the reconcile annotation that was last acted on.
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// coverage is what records the account. It is absent unless spec.assessCoverage is true.
	// +optional
	Coverage *Coverage `json:"coverage,omitempty"`
}

// AWSIdentityList is a list of AWSIdentity.
//
// +kubebuilder:object:root=true
type AWSIdentityList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []AWSIdentity `json:"items"`
}

// CoverageAssessed tells whether the account's coverage is to be assessed; default false.
func (s *AWSIdentitySpec) CoverageAssessed() bool { return IsTrue(s.AssessCoverage) }

// AllowsRegion tells whether the identity may be used in a region, as far as the spec says.
func (s *AWSIdentitySpec) AllowsRegion(region string) bool {
	return len(s.AllowedRegions) == 0 || slices.Contains(s.AllowedRegions, region)
}

// GetConditions returns the conditions of the status.
func (i *AWSIdentity) GetConditions() []metav1.Condition { return i.Status.Conditions }
