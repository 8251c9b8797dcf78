package cloudtrail

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// Subject is the trail that a remedy speaks of.
type Subject struct {
	// Trail is the object.
	Trail *v1alpha1.Trail
	// Caller tells where the trail lives or is to live, and as whom AWS was called.
	Caller
	// ManagementAccountID is the management account of the organization that AccountID belongs to, "" if it is not
	// known. It owns the organization's trails, also those that a delegated administrator creates; the ARN of any of
	// them tells it.
	ManagementAccountID string
	// OrganizationID is that organization, such as o-exampleorgid, "" if it is not known.
	OrganizationID string
}

// What stands for what is not known in a policy.
const (
	someOrganization      = "ORGANIZATION-ID"
	someManagementAccount = "MANAGEMENT-ACCOUNT-ID"
	someKey               = "KEY-ARN"
)

// owner is the account that the trail is or will be in.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-delegated-administrator.html
func (s Subject) owner() string {
	if !s.Trail.Spec.OrganizationDesired() {
		return s.AccountID
	}
	return cmp.Or(ownerAccount(s.Trail.Status.TrailARN), s.ManagementAccountID, someManagementAccount)
}

// arn is the trail's ARN, also before there is a trail.
func (s Subject) arn() string {
	if s.Trail.Status.TrailARN != "" {
		return s.Trail.Status.TrailARN
	}
	return TrailARN(s.Region, s.owner(), s.Trail.TrailName())
}

func (s Subject) partition() string { return Partition(s.Region) }

// organization is the organization that the trail is of.
func (s Subject) organization() string { return cmp.Or(s.OrganizationID, someOrganization) }

// Explain returns the message of a condition for an error: what AWS said, and what to do about it.
func Explain(e *Error, subject Subject) string {
	said := fmt.Sprintf("%s: %s", e.Operation, strings.TrimSpace(e.Message))
	remedy, ok := remedies[e.Code]
	switch {
	case ok:
		return said + " — " + remedy(subject)
	case e.Class == Permission:
		return said + " — " + PermissionRemedy(e, subject.Trail.IdentityName(), subject.ARN)
	case e.Class == FixSpec:
		return said + " — change the spec; the call is not retried until then"
	default:
		return said
	}
}

// PermissionRemedy says what an identity, known to AWS as callerARN, needs to be allowed to, or what else is wrong with
// it.
func PermissionRemedy(e *Error, identity, callerARN string) string {
	who := fmt.Sprintf("AWSIdentity %q (%s)", identity, callerARN)
	switch e.Code {
	case noCredentials:
		return who + " cannot be used without them"
	case "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IDPRejectedClaim", "IncompleteSignature",
		"InvalidClientTokenId", "InvalidIdentityToken", "InvalidSignatureException", "MissingAuthenticationToken",
		"MissingAuthenticationTokenException", "SignatureDoesNotMatch", "UnrecognizedClientException":
		return "AWS does not accept the credentials of " + who + ": renew them, and check the clock of the operator's machine"
	case "RegionDisabledException", "OptInRequired":
		return "enable the region for the account of " + who
	}
	action := "cloudtrail:" + e.Operation
	if e.Operation == "AssumeRole" || e.Operation == "GetCallerIdentity" {
		action = "sts:" + e.Operation
	}
	return who + " needs permission for " + action
}

// remedies say what to do, by AWS's error code. The policies are those of
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html,
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-create-and-update-an-organizational-trail-by-using-the-aws-cli.html,
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-permissions-for-sns-notifications.html,
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html and
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-required-policy-for-cloudwatch-logs.html.
var remedies = map[string]func(Subject) string{
	"S3BucketDoesNotExistException": func(s Subject) string {
		return fmt.Sprintf("create the bucket %s with a policy that lets CloudTrail write to it, "+
			"or correct spec.s3BucketName: %s", s.Trail.Spec.S3BucketName, s.policy(s.BucketPolicy()...))
	},
	"InsufficientS3BucketPolicyException": func(s Subject) string {
		return fmt.Sprintf("add to the policy of bucket %s: %s",
			s.Trail.Spec.S3BucketName, s.policy(s.BucketPolicy()...))
	},
	"InsufficientSnsTopicPolicyException": func(s Subject) string {
		return fmt.Sprintf("add to the policy of topic %s: %s", s.Trail.Spec.SNSTopicName, s.policy(s.TopicPolicy()...))
	},
	"InsufficientEncryptionPolicyException": func(s Subject) string {
		return fmt.Sprintf("add to the policy of key %s (and check that bucket and key are in the same region): %s",
			s.Trail.Spec.KMSKeyID, s.policy(s.keyPolicy()...))
	},
	"KmsKeyNotFoundException": func(s Subject) string {
		return fmt.Sprintf("correct spec.kmsKeyID: there is no key %s in region %s that the account can see",
			s.Trail.Spec.KMSKeyID, s.Region)
	},
	"KmsKeyDisabledException": func(s Subject) string {
		return fmt.Sprintf("enable the key %s", s.Trail.Spec.KMSKeyID)
	},
	"KmsException": func(s Subject) string {
		return fmt.Sprintf("check the state and the policy of key %s", s.Trail.Spec.KMSKeyID)
	},
	"InvalidCloudWatchLogsLogGroupArnException": func(s Subject) string {
		return fmt.Sprintf("check that the log group %s exists in the account and region of the trail",
			s.Trail.Spec.CloudWatchLogsLogGroupARN)
	},
	"InvalidCloudWatchLogsRoleArnException": func(s Subject) string {
		return fmt.Sprintf("allow cloudtrail.amazonaws.com to assume the role %s, and allow the role: %s",
			s.Trail.Spec.CloudWatchLogsRoleARN, s.policy(s.LogRolePolicy()...))
	},
	"MaximumNumberOfTrailsExceededException": func(s Subject) string {
		return fmt.Sprintf(
			"region %s of account %s already has the 5 trails that AWS allows, including multi-region trails of "+
				"other regions; delete one, or combine several into one multi-region trail",
			s.Region,
			s.AccountID,
		)
	},
	"TagsLimitExceededException": func(Subject) string {
		return fmt.Sprintf("a trail can have at most %d tags, including the operator's own and those of others: "+
			"remove some in AWS, or from spec.tags", maxTags)
	},
	"InvalidHomeRegionException": func(s Subject) string {
		return fmt.Sprintf("the home region of the trail %s is no longer %s: "+
			"delete the trail in the other region, or create a Trail with that region in spec.region",
			s.Trail.TrailName(), s.Region)
	},
	"CloudTrailARNInvalidException": func(s Subject) string {
		return fmt.Sprintf("check whether the trail %s still exists in account %s, with its home in region %s",
			s.Trail.TrailName(), s.owner(), s.Region)
	},
	"PackedPolicyTooLarge": func(s Subject) string {
		return fmt.Sprintf("shorten spec.sessionTags of AWSIdentity %q, or remove some: "+
			"together they are longer than STS allows", s.Trail.IdentityName())
	},
	"CloudTrailAccessNotEnabledException": func(Subject) string {
		return "give CloudTrail access to the organization: " +
			"aws organizations enable-aws-service-access --service-principal cloudtrail.amazonaws.com"
	},
	"OrganizationsNotInUseException": func(s Subject) string {
		return fmt.Sprintf("account %s is not in an organization: remove spec.isOrganizationTrail, "+
			"or use an identity of the management account", s.AccountID)
	},
	"OrganizationNotInAllFeaturesModeException": func(Subject) string {
		return "enable all features of the organization: aws organizations enable-all-features"
	},
	"NotOrganizationMasterAccountException":     notManagementAccount,
	"NotOrganizationManagementAccountException": notManagementAccount,
	"NoManagementAccountSLRExistsException": func(Subject) string {
		return "in the management account: aws iam create-service-linked-role --aws-service-name cloudtrail.amazonaws.com"
	},
	"CloudTrailInvalidClientTokenIdException": func(s Subject) string {
		return fmt.Sprintf("CloudTrail does not accept account %s for an organization trail; "+
			"use an identity of the management account or of a delegated administrator", s.AccountID)
	},
	"InsufficientDependencyServiceAccessPermissionException": func(s Subject) string {
		return fmt.Sprintf("an organization trail also needs organizations:DescribeOrganization, "+
			"organizations:ListAWSServiceAccessForOrganization, iam:GetRole and iam:CreateServiceLinkedRole for %s",
			s.ARN)
	},
}

func notManagementAccount(s Subject) string {
	return fmt.Sprintf("account %s is neither the management account nor a delegated administrator of the organization: "+
		"use an AWSIdentity that is, or remove spec.isOrganizationTrail", s.AccountID)
}

// maxTags is how many tags a trail may have.
const maxTags = 50

// policy returns the statements as one line of JSON, and says what stands for what is not known.
func (s Subject) policy(statements ...Statement) string {
	policy := asPolicy(statements)
	if s.owner() == someManagementAccount {
		policy += fmt.Sprintf(" (%s is the organization's management account, which owns its trails; "+
			"if %s is that account, use %s)", someManagementAccount, s.AccountID, s.AccountID)
	}
	return policy
}

// asPolicy returns statements as one line of JSON, without the names that are not to be twice in a policy, which has
// statements already. Marshaling these types cannot fail.
func asPolicy(statements []Statement) string {
	for i := range statements {
		statements[i].Sid = ""
	}

	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(statements); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

// DeliveryRemedy says what to do about a delivery error that CloudTrail reports for S3, SNS or CloudWatch Logs.
func DeliveryRemedy(channel DeliveryChannel, code string, s Subject) string {
	isOfKey := strings.Contains(code, "KMS") || strings.Contains(code, "Kms")

	switch channel {
	case DeliveryS3, DeliveryDigest:
		switch {
		case code == "NoSuchBucket":
			return fmt.Sprintf("the bucket %s no longer exists: recreate it with this policy: %s",
				s.Trail.Spec.S3BucketName, s.policy(s.BucketPolicy()...))
		case isOfKey && s.Trail.Spec.KMSKeyID == "":
			return fmt.Sprintf("check the key of the default encryption of bucket %s, and that its policy contains: %s",
				s.Trail.Spec.S3BucketName, s.policy(s.keyPolicy()...))
		case isOfKey:
			return fmt.Sprintf(
				"check that key %s is enabled and that its policy contains: %s",
				s.Trail.Spec.KMSKeyID,
				s.policy(s.keyPolicy()...),
			)
		case strings.HasPrefix(code, "AccessDenied"):
			return fmt.Sprintf("add to the policy of bucket %s, and check that nothing in it denies CloudTrail: %s",
				s.Trail.Spec.S3BucketName, s.policy(s.BucketPolicy()...))
		default:
			return fmt.Sprintf("this is an error of Amazon S3 for bucket %s: "+
				"https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html", s.Trail.Spec.S3BucketName)
		}
	case DeliveryNotification:
		return fmt.Sprintf("check that topic %s exists and that its policy contains: %s",
			s.Trail.Spec.SNSTopicName, s.policy(s.TopicPolicy()...))
	default:
		return fmt.Sprintf("check that log group %s exists, that role %s can be assumed by cloudtrail.amazonaws.com, "+
			"and that it allows: %s",
			s.Trail.Spec.CloudWatchLogsLogGroupARN, s.Trail.Spec.CloudWatchLogsRoleARN, s.policy(s.LogRolePolicy()...))
	}
}

// DeliveryChannel is one of the ways in which CloudTrail delivers.
type DeliveryChannel int

const (
	// DeliveryS3 is the delivery of log files to the bucket.
	DeliveryS3 DeliveryChannel = iota
	// DeliveryDigest is the delivery of digest files to the bucket.
	DeliveryDigest
	// DeliveryNotification is the notification of the SNS topic.
	DeliveryNotification
	// DeliveryCloudWatchLogs is the delivery of events to the log group.
	DeliveryCloudWatchLogs
)

// Reader reads the log files of a trail: the bucket, and what CloudTrail says of them.
type Reader struct {
	// ARN is the caller as AWS knows it.
	ARN string
	// Bucket has the log files, and Region is where it is.
	Bucket, Region string
	// Folder is what the keys of all log files begin with, such as prefix/AWSLogs/.
	Folder string
}

// ListRemedy says what a reader needs to list the bucket.
func (r Reader) ListRemedy() string { return r.needs(r.listStatement()) }

// GetRemedy says what a reader needs to read an object. Whoever may not list the bucket is told the same of objects
// that are missing.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func (r Reader) GetRemedy() string {
	return "S3 says the same of an object that is missing to whom it does not allow s3:ListBucket; " +
		r.needs(Statement{Effect: allow, Action: Strings{"s3:GetObject"},
			Resource: Strings{r.bucket() + "/" + r.Folder + "*"}}, r.listStatement())
}

// DecryptRemedy says what a reader needs to decrypt an object.
func (r Reader) DecryptRemedy() string {
	service := fmt.Sprintf("s3.%s.amazonaws.com", r.Region)
	if Partition(r.Region) == "aws-cn" {
		service += ".cn"
	}
	return r.needs(Statement{Effect: allow, Action: Strings{"kms:Decrypt"}, Resource: Strings{someKey},
		Condition: Conditions{"StringEquals": {"kms:ViaService": {service}}}}) +
		fmt.Sprintf(" (%s is the key of the trail or of the bucket; if it is in another account, "+
			"its policy must allow the same)", someKey)
}

// KeysRemedy says what a reader needs to read CloudTrail's public keys.
func (r Reader) KeysRemedy() string {
	return r.needs(Statement{Effect: allow, Action: Strings{"cloudtrail:ListPublicKeys"}, Resource: Strings{"*"}})
}

func (r Reader) listStatement() Statement {
	return Statement{Effect: allow, Action: Strings{"s3:ListBucket"}, Resource: Strings{r.bucket()},
		Condition: Conditions{"StringLike": {"s3:prefix": {r.Folder + "*"}}}}
}

func (r Reader) bucket() string { return fmt.Sprintf("arn:%s:s3:::%s", Partition(r.Region), r.Bucket) }

func (r Reader) needs(statements ...Statement) string {
	return fmt.Sprintf("add to the policies of %s, and if bucket or key are in another account, to theirs: %s",
		cmp.Or(r.ARN, "the caller"), asPolicy(statements))
}
