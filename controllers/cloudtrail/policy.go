package cloudtrail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// Statement is a statement of an IAM policy.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_statement.html
type Statement struct {
	// Sid is the name of the statement in its policy.
	Sid       string            `json:"Sid,omitempty"`
	Effect    string            `json:"Effect"`
	Principal map[string]string `json:"Principal,omitempty"`
	Action    Strings           `json:"Action"`
	// Resource is absent in trust policies.
	Resource  Strings    `json:"Resource,omitempty"`
	Condition Conditions `json:"Condition,omitempty"`
}

// Conditions are the values of condition keys, by operator and key. All of them have to be met, each by one value.
type Conditions map[string]map[string]Strings

// Strings are one string in JSON, or a list of several.
type Strings []string

// MarshalJSON implements json.Marshaler.
func (s Strings) MarshalJSON() ([]byte, error) {
	var value any = []string(s)
	if len(s) == 1 {
		value = s[0]
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return b.Bytes(), err
}

// SourceARN is the condition key of the trail that CloudTrail works for. Without it, anybody's trail could deliver.
const SourceARN = "aws:SourceArn"

// allow is the effect of all statements.
const allow = "Allow"

var cloudTrailPrincipal = map[string]string{"Service": "cloudtrail.amazonaws.com"}

// ofTrail is the condition that CloudTrail works for the trail.
func (s Subject) ofTrail() Conditions { return Conditions{"StringEquals": {SourceARN: {s.arn()}}} }

// BucketPolicy returns what the policy of the trail's bucket has to allow.
func (s Subject) BucketPolicy() []Statement {
	bucket := fmt.Sprintf("arn:%s:s3:::%s", s.partition(), s.Trail.Spec.S3BucketName)
	logs := bucket + "/"
	if s.Trail.Spec.S3KeyPrefix != "" {
		logs += literal.Replace(s.Trail.Spec.S3KeyPrefix) + "/"
	}
	logs += "AWSLogs/"
	objects := Strings{logs + s.owner() + "/*"}
	if s.Trail.Spec.OrganizationDesired() {
		objects = append(objects, logs+s.organization()+"/*")
	}

	written := s.ofTrail()
	written["StringEquals"]["s3:x-amz-acl"] = Strings{"bucket-owner-full-control"}
	return []Statement{
		{Sid: "CloudTrailReadsAcl", Effect: allow, Principal: cloudTrailPrincipal,
			Action: Strings{"s3:GetBucketAcl"}, Resource: Strings{bucket}, Condition: s.ofTrail()},
		{Sid: "CloudTrailWritesLogs", Effect: allow, Principal: cloudTrailPrincipal,
			Action: Strings{"s3:PutObject"}, Resource: objects, Condition: written},
	}
}

// literal writes what policies would take for a wildcard or a variable.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars
var literal = strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}")

// TopicPolicy returns what the policy of the trail's SNS topic has to allow.
func (s Subject) TopicPolicy() []Statement {
	topic := TopicARN(s.Region, s.AccountID, s.Trail.Spec.SNSTopicName)
	return []Statement{{Sid: "CloudTrailNotifies", Effect: allow, Principal: cloudTrailPrincipal,
		Action: Strings{"SNS:Publish"}, Resource: Strings{topic}, Condition: s.ofTrail()}}
}

// KeyPolicy returns a whole policy of the trail's KMS key, as a key's policy is the only one that lets anybody use it:
// CloudTrail encrypts, the account of the key administers it and reads what it encrypts, as far as its own policies
// allow.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
func (s Subject) KeyPolicy() []Statement {
	account := s.AccountID
	if parsed, err := arn.Parse(s.Trail.Spec.KMSKeyID); err == nil {
		account = parsed.AccountID
	}
	root := map[string]string{"AWS": fmt.Sprintf("arn:%s:iam::%s:root", s.partition(), account)}

	policy := []Statement{{Sid: "AccountAdministersKey", Effect: allow, Principal: root,
		Action: Strings{"kms:*"}, Resource: Strings{"*"}}}
	policy = append(policy, s.keyPolicy()...)
	return append(policy, Statement{Sid: "ReadersDecryptLogs", Effect: allow, Principal: root,
		Action: Strings{"kms:Decrypt", "kms:ReEncryptFrom"}, Resource: Strings{"*"},
		Condition: Conditions{
			"StringEquals": {"kms:CallerAccount": {account}},
			"StringLike":   {encryptionContext: {s.trails()}},
		}})
}

// encryptionContext is the condition key of the trail whose log file is encrypted.
const encryptionContext = "kms:EncryptionContext:aws:cloudtrail:arn"

// trails are all trails of the account that owns the trail.
func (s Subject) trails() string { return trailsOf(s.partition(), s.owner()) }

func trailsOf(partition, account string) string {
	return fmt.Sprintf("arn:%s:cloudtrail:*:%s:trail/*", partition, account)
}

// keyPolicy returns what the policy of the trail's KMS key has to allow CloudTrail.
func (s Subject) keyPolicy() []Statement {
	encrypted := s.ofTrail()
	encrypted["StringLike"] = map[string]Strings{encryptionContext: {s.trails()}}
	return []Statement{
		{Sid: "CloudTrailEncryptsLogs", Effect: allow, Principal: cloudTrailPrincipal,
			Action: Strings{"kms:GenerateDataKey*"}, Resource: Strings{"*"}, Condition: encrypted},
		{Sid: "CloudTrailDescribesKey", Effect: allow, Principal: cloudTrailPrincipal,
			Action: Strings{"kms:DescribeKey"}, Resource: Strings{"*"}, Condition: s.ofTrail()},
	}
}

// LogRoleTrustPolicy returns what the trust policy of the trail's role for CloudWatch Logs has to allow.
func (s Subject) LogRoleTrustPolicy() []Statement {
	return []Statement{{Sid: "TrustCloudTrail", Effect: allow, Principal: cloudTrailPrincipal,
		Action: Strings{"sts:AssumeRole"}, Condition: s.ofTrail()}}
}

// LogRolePolicy returns what the trail's role for CloudWatch Logs has to be allowed to.
func (s Subject) LogRolePolicy() []Statement {
	streams := strings.TrimSuffix(s.Trail.Spec.CloudWatchLogsLogGroupARN, ":*") + ":log-stream:"
	resources := Strings{fmt.Sprintf("%s%s_CloudTrail_%s*", streams, s.owner(), s.Region)}
	if s.Trail.Spec.OrganizationDesired() {
		resources = append(resources, streams+s.organization()+"_*")
	}
	return []Statement{{Sid: "WriteEvents", Effect: allow,
		Action: Strings{"logs:CreateLogStream", "logs:PutLogEvents"}, Resource: resources}}
}

// OperatorPolicy returns what the operator has to be allowed to for the trail.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudtrail.html
func (s Subject) OperatorPolicy() []Statement {
	trails := Strings{trailsOf(s.partition(), s.AccountID)}
	if s.owner() != s.AccountID {
		trails = append(trails, s.trails())
	}

	policy := []Statement{{Sid: "ReadTrails", Effect: allow, Action: readActions, Resource: trails}}
	if !s.Trail.Spec.ObserveOnly() {
		policy = append(policy, Statement{Sid: "WriteTrails", Effect: allow, Action: writeActions, Resource: trails})
	}
	policy = append(policy,
		Statement{Sid: "ListTrailsAndEvents", Effect: allow, Action: listActions, Resource: Strings{"*"}})
	if s.Trail.Spec.ObserveOnly() {
		return policy
	}

	if role := s.Trail.Spec.CloudWatchLogsRoleARN; role != "" {
		policy = append(policy, Statement{Sid: "PassLogRoleToCloudTrail", Effect: allow,
			Action: Strings{"iam:PassRole"}, Resource: Strings{role},
			Condition: Conditions{"StringEquals": {"iam:PassedToService": {"cloudtrail.amazonaws.com"}}}})
	}
	if s.Trail.Spec.OrganizationDesired() {
		policy = append(policy, s.organizationPolicy()...)
	}
	return policy
}

// Actions of the operator. Those that list cannot be restricted to trails.
var (
	readActions = Strings{
		"cloudtrail:GetEventConfiguration",
		"cloudtrail:GetEventSelectors",
		"cloudtrail:GetInsightSelectors",
		"cloudtrail:GetTrailStatus",
		"cloudtrail:ListTags",
	}
	writeActions = Strings{
		"cloudtrail:AddTags",
		"cloudtrail:CreateTrail",
		"cloudtrail:DeleteTrail",
		"cloudtrail:PutEventConfiguration",
		"cloudtrail:PutEventSelectors",
		"cloudtrail:PutInsightSelectors",
		"cloudtrail:RemoveTags",
		"cloudtrail:StartLogging",
		"cloudtrail:StopLogging",
		"cloudtrail:UpdateTrail",
	}
	listActions = Strings{"cloudtrail:DescribeTrails", "cloudtrail:ListTrails", "cloudtrail:LookupEvents"}
)

// organizationPolicy returns what the operator has to be allowed to for an organization trail besides.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/creating-an-organizational-trail-prepare.html
func (s Subject) organizationPolicy() []Statement {
	const path = "role/aws-service-role/cloudtrail.amazonaws.com/AWSServiceRoleForCloudTrail"
	role := Strings{fmt.Sprintf("arn:%s:iam::%s:%s", s.partition(), s.AccountID, path)}
	return []Statement{
		{Sid: "ReadOrganization", Effect: allow,
			Action:   Strings{"organizations:DescribeOrganization", "organizations:ListAWSServiceAccessForOrganization"},
			Resource: Strings{"*"}},
		{Sid: "ReadServiceLinkedRole", Effect: allow, Action: Strings{"iam:GetRole"}, Resource: role},
		{Sid: "CreateServiceLinkedRole", Effect: allow, Action: Strings{"iam:CreateServiceLinkedRole"}, Resource: role,
			Condition: Conditions{"StringEquals": {"iam:AWSServiceName": {"cloudtrail.amazonaws.com"}}}},
	}
}
