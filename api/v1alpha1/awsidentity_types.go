package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AWSIdentity says as whom the operator calls AWS, and which namespaces may use it. It is
// cluster-scoped and made by administrators: a Trail names an identity and never a role, so that
// the right to create Trails is not the right to borrow any role that the operator can assume.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=aws,singular=awsidentity,path=awsidentities
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Account",type=string,JSONPath=`.status.accountID`
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.roleARN`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AWSIdentity struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the identity that is wanted.
	// +optional
	Spec AWSIdentitySpec `json:"spec,omitzero"`

	// status is what AWS says of the identity.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status AWSIdentityStatus `json:"status,omitzero"`

	// DecodeError says why the spec could not be decoded; "" when it was. It is no part of the object in the API
	// server.
	DecodeError string `json:"-"`
}

// AWSIdentitySpec says as whom to call AWS, where, and for whom.
//
// +kubebuilder:validation:XValidation:rule="!has(self.externalID) || has(self.roleARN)",message="externalID needs roleARN: an external id is part of assuming a role",fieldPath=".externalID"
// +kubebuilder:validation:XValidation:rule="!has(self.sessionTags) || has(self.roleARN)",message="sessionTags need roleARN: session tags are part of assuming a role",fieldPath=".sessionTags"
type AWSIdentitySpec struct {
	// roleARN is the IAM role to assume, such as
	// arn:aws:iam::444455556666:role/trail-operator. Absent: the operator's own credentials.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^arn:[a-z0-9-]+:iam::[0-9]{12}:role/([!-~]+/)?[A-Za-z0-9_+=,.@-]+$')",message="roleARN must be the ARN of an IAM role, such as arn:aws:iam::444455556666:role/trail-operator"
	RoleARN string `json:"roleARN,omitempty"`

	// externalID is passed to AssumeRole; the role's trust policy may require it.
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

	// allowedNamespaces says whose Trails may use this identity. Absent: nobody's.
	// +optional
	AllowedNamespaces *AllowedNamespaces `json:"allowedNamespaces,omitempty"`

	// allowedRegions are the regions in which the identity may be used, such as eu-central-1. Absent: all regions of the
	// account's partition.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=32
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$')",message="allowedRegions must be AWS region codes, such as eu-central-1"
	AllowedRegions []string `json:"allowedRegions,omitempty"`

	// endpointURL is the CloudTrail endpoint to call instead of AWS's public one, such as a VPC or FIPS
	// endpoint. STS is called where the operator's AWS configuration says.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && size(url(self).getHost()) > 0",message="endpointURL must be a URL with a scheme and a host, such as https://cloudtrail-fips.us-east-1.amazonaws.com"
	EndpointURL string `json:"endpointURL,omitempty"`
}

// SessionTag is an STS session tag.
type SessionTag struct {
	// key of the tag: 1 to 128 of letters, digits, spaces and _ . : / = + - @.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[\\\\p{L}\\\\p{Z}\\\\p{N}_.:/=+@-]*$')",message="a tag key may contain letters, digits, spaces and _ . : / = + - @ only"
	// +kubebuilder:validation:XValidation:rule="!self.lowerAscii().startsWith('aws:')",message="tag keys that begin with aws: are reserved by AWS; choose another key"
	Key string `json:"key"`
	// value of the tag: up to 256 of letters, digits, spaces and _ . : / = + - @.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^[\\\\p{L}\\\\p{Z}\\\\p{N}_.:/=+@-]*$')",message="a tag value may contain letters, digits, spaces and _ . : / = + - @ only"
	Value string `json:"value"`
}

// NamespacesFrom says how AllowedNamespaces chooses.
//
// +kubebuilder:validation:Enum=All;Selector
type NamespacesFrom string

const (
	// NamespacesFromAll allows every namespace.
	NamespacesFromAll NamespacesFrom = "All"
	// NamespacesFromSelector allows the namespaces whose labels match the selector.
	NamespacesFromSelector NamespacesFrom = "Selector"
)

// AllowedNamespaces chooses namespaces.
//
// +kubebuilder:validation:XValidation:rule="self.from == 'Selector' ? has(self.selector) : !has(self.selector)",message="selector goes with from: Selector, and only with it",fieldPath=".selector"
type AllowedNamespaces struct {
	// from is All or Selector.
	// +required
	From NamespacesFrom `json:"from"`
	// selector chooses namespaces by their labels. An empty selector matches every namespace; the
	// label kubernetes.io/metadata.name chooses a namespace by its name.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// AWSIdentityStatus is what AWS says of an identity.
type AWSIdentityStatus struct {
	// observedGeneration is the generation of the spec that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, and Reconciling or Stalled while they are true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && c.lastTransitionTime < timestamp('3000-01-01T00:00:00Z'))",message="a time must be as in RFC 3339, such as 2026-01-02T03:04:05Z"
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// accountID is the AWS account that the identity leads to.
	// +optional
	AccountID string `json:"accountID,omitempty"`

	// arn is the caller's ARN as GetCallerIdentity tells it.
	// +optional
	ARN string `json:"arn,omitempty"`

	// lastHandledReconcileAt is the last reconcile annotation's value that was acted on.
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
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

// GetConditions returns the conditions of the status.
func (i *AWSIdentity) GetConditions() []metav1.Condition { return i.Status.Conditions }
