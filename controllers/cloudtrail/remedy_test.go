package cloudtrail

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

const testCaller = "arn:aws:sts::111122223333:assumed-role/operator/trail-operator-c1"

// testSubject is a trail in the region, after its spec was edited.
func testSubject(region string, edit func(*v1alpha1.Trail)) Subject {
	partition := Partition(region)
	trail := &v1alpha1.Trail{
		ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "audit"},
		Spec: v1alpha1.TrailSpec{
			S3BucketName:              "trail-logs",
			SNSTopicName:              "trail-topic",
			KMSKeyID:                  "alias/trail",
			CloudWatchLogsLogGroupARN: "arn:" + partition + ":logs:" + region + ":111122223333:log-group:trail:*",
			CloudWatchLogsRoleARN:     "arn:" + partition + ":iam::111122223333:role/trail-logs",
		},
	}
	if edit != nil {
		edit(trail)
	}
	return Subject{Trail: trail, Caller: Caller{AccountID: testAccount, Region: region, ARN: testCaller}}
}

// policyIn returns the policy statements that a message contains.
func policyIn(g Gomega, message string) any {
	begin, end := strings.Index(message, "["), strings.LastIndex(message, "]")
	g.Expect(begin).To(BeNumerically(">=", 0), "no policy in %q", message)
	var statements any
	g.Expect(json.Unmarshal([]byte(message[begin:end+1]), &statements)).To(Succeed())
	return statements
}

func parse(g Gomega, text string) any {
	var value any
	g.Expect(json.Unmarshal([]byte(text), &value)).To(Succeed())
	return value
}

// TestPolicyRemedies compares the statements that messages contain with those of AWS's documentation.
func TestPolicyRemedies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code    string
		subject Subject
		names   string
		policy  string
	}{
		"bucket": {"InsufficientS3BucketPolicyException", testSubject("eu-central-1", nil), "policy of bucket trail-logs", `[
			{"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:GetBucketAcl",
				"Resource": "arn:aws:s3:::trail-logs",
				"Condition": {"StringEquals": {"aws:SourceArn": "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit"}}},
			{"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:PutObject",
				"Resource": "arn:aws:s3:::trail-logs/AWSLogs/111122223333/*",
				"Condition": {"StringEquals": {
					"aws:SourceArn": "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit",
					"s3:x-amz-acl": "bucket-owner-full-control"}}}]`},
		"bucket with a prefix, in China, by another name": {
			"InsufficientS3BucketPolicyException", testSubject("cn-north-1", func(trail *v1alpha1.Trail) {
				trail.Spec.Name, trail.Spec.S3KeyPrefix = "company-audit", "audit/<&>"
			}), "policy of bucket trail-logs", `[
			{"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:GetBucketAcl",
				"Resource": "arn:aws-cn:s3:::trail-logs",
				"Condition": {"StringEquals": {
					"aws:SourceArn": "arn:aws-cn:cloudtrail:cn-north-1:111122223333:trail/company-audit"}}},
			{"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:PutObject",
				"Resource": "arn:aws-cn:s3:::trail-logs/audit/<&>/AWSLogs/111122223333/*",
				"Condition": {"StringEquals": {
					"aws:SourceArn": "arn:aws-cn:cloudtrail:cn-north-1:111122223333:trail/company-audit",
					"s3:x-amz-acl": "bucket-owner-full-control"}}}]`,
		},
		"bucket of an organization": {
			"InsufficientS3BucketPolicyException", testSubject("eu-central-1", func(trail *v1alpha1.Trail) {
				trail.Spec.IsOrganizationTrail = aws.Bool(true)
				trail.Status.TrailARN = "arn:aws:cloudtrail:eu-central-1:444455556666:trail/audit"
			}), "policy of bucket trail-logs", `[
			{"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:GetBucketAcl",
				"Resource": "arn:aws:s3:::trail-logs",
				"Condition": {"StringEquals": {"aws:SourceArn": "arn:aws:cloudtrail:eu-central-1:444455556666:trail/audit"}}},
			{"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:PutObject",
				"Resource": [
					"arn:aws:s3:::trail-logs/AWSLogs/444455556666/*",
					"arn:aws:s3:::trail-logs/AWSLogs/ORGANIZATION-ID/*"
				],
				"Condition": {"StringEquals": {
					"aws:SourceArn": "arn:aws:cloudtrail:eu-central-1:444455556666:trail/audit",
					"s3:x-amz-acl": "bucket-owner-full-control"}}}]`,
		},
		"no bucket": {"S3BucketDoesNotExistException", testSubject("us-gov-west-1", nil), "create the bucket trail-logs", `[
			{"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:GetBucketAcl",
				"Resource": "arn:aws-us-gov:s3:::trail-logs",
				"Condition": {"StringEquals": {
					"aws:SourceArn": "arn:aws-us-gov:cloudtrail:us-gov-west-1:111122223333:trail/audit"}}},
			{"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:PutObject",
				"Resource": "arn:aws-us-gov:s3:::trail-logs/AWSLogs/111122223333/*",
				"Condition": {"StringEquals": {
					"aws:SourceArn": "arn:aws-us-gov:cloudtrail:us-gov-west-1:111122223333:trail/audit",
					"s3:x-amz-acl": "bucket-owner-full-control"}}}]`},
		"topic": {"InsufficientSnsTopicPolicyException", testSubject("us-gov-west-1", nil), "policy of topic trail-topic", `[
			{"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "SNS:Publish",
				"Resource": "arn:aws-us-gov:sns:us-gov-west-1:111122223333:trail-topic",
				"Condition": {"StringEquals": {
					"aws:SourceArn": "arn:aws-us-gov:cloudtrail:us-gov-west-1:111122223333:trail/audit"}}}]`},
		"topic by ARN": {"InsufficientSnsTopicPolicyException", testSubject("eu-central-1", func(trail *v1alpha1.Trail) {
			trail.Spec.SNSTopicName = "arn:aws:sns:eu-central-1:444455556666:shared"
		}), "policy of topic arn:aws:sns:eu-central-1:444455556666:shared", `[
			{"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "SNS:Publish",
				"Resource": "arn:aws:sns:eu-central-1:444455556666:shared",
				"Condition": {"StringEquals": {"aws:SourceArn": "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit"}}}]`},
		"key": {"InsufficientEncryptionPolicyException", testSubject("cn-north-1", nil), "policy of key alias/trail", `[
			{"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "kms:GenerateDataKey*",
				"Resource": "*",
				"Condition": {"StringEquals": {"aws:SourceArn": "arn:aws-cn:cloudtrail:cn-north-1:111122223333:trail/audit"},
					"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": "arn:aws-cn:cloudtrail:*:111122223333:trail/*"}}},
			{"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "kms:DescribeKey",
				"Resource": "*",
				"Condition": {"StringEquals": {"aws:SourceArn": "arn:aws-cn:cloudtrail:cn-north-1:111122223333:trail/audit"}}}]`},
		"log group role": {
			"InvalidCloudWatchLogsRoleArnException", testSubject("cn-north-1", nil),
			"role arn:aws-cn:iam::111122223333:role/trail-logs", `[
			{"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
				"Resource": "arn:aws-cn:logs:cn-north-1:111122223333:log-group:trail:log-stream:` +
				`111122223333_CloudTrail_cn-north-1*"}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			message := Explain(&Error{Operation: "CreateTrail", Class: FixAWS, Code: c.code, Message: "no."}, c.subject)
			g.Expect(message).To(HavePrefix("CreateTrail: no. — "))
			g.Expect(message).To(ContainSubstring(c.names))
			g.Expect(policyIn(g, message)).To(Equal(parse(g, c.policy)))
			g.Expect(message).NotTo(ContainSubstring(`\u00`), "it is to be read and copied")
		})
	}
}

// TestOrganizationPolicies holds whose account the statements for an organization's trail name: the management
// account's, also when a delegated administrator creates it.
func TestOrganizationPolicies(t *testing.T) {
	t.Parallel()
	const management = "444455556666"
	const explained = " (MANAGEMENT-ACCOUNT-ID is the organization's management account, which owns its trails; " +
		"if 111122223333 is that account, use 111122223333)"
	const principal = `"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}`
	organization := func(trail *v1alpha1.Trail) { trail.Spec.IsOrganizationTrail = aws.Bool(true) }
	existing := func(trail *v1alpha1.Trail) {
		organization(trail)
		trail.Status.TrailARN = TrailARN(testRegion, management, "audit")
	}
	for name, c := range map[string]struct {
		edit func(*v1alpha1.Trail)
		// known is the management account as the caller knows it.
		known string
		// account is the one that the statements name.
		account, explained string
	}{
		"no organization's":                          {nil, "", testAccount, ""},
		"no organization's, in an organization":      {nil, management, testAccount, ""},
		"before there is a trail":                    {organization, "", "MANAGEMENT-ACCOUNT-ID", explained},
		"before there is a trail, of a known owner":  {organization, management, management, ""},
		"in the management account":                  {organization, testAccount, testAccount, ""},
		"of a trail that exists":                     {existing, "", management, ""},
		"of a trail that exists, and not as thought": {existing, "777788889999", management, ""},
	} {
		subject := testSubject(testRegion, c.edit)
		subject.ManagementAccountID = c.known
		source := `"aws:SourceArn": "arn:aws:cloudtrail:eu-central-1:` + c.account + `:trail/audit"`
		const group = `"arn:aws:logs:eu-central-1:111122223333:log-group:trail:log-stream:`
		objects := `"arn:aws:s3:::trail-logs/AWSLogs/` + c.account + `/*"`
		streams := group + c.account + `_CloudTrail_eu-central-1*"`
		if subject.Trail.Spec.OrganizationDesired() {
			objects = `[` + objects + `, "arn:aws:s3:::trail-logs/AWSLogs/ORGANIZATION-ID/*"]`
			streams = `[` + streams + `, ` + group + `ORGANIZATION-ID_*"]`
		}
		for code, policy := range map[string]string{
			"InsufficientS3BucketPolicyException": `[
				{` + principal + `, "Action": "s3:GetBucketAcl", "Resource": "arn:aws:s3:::trail-logs",
					"Condition": {"StringEquals": {` + source + `}}},
				{` + principal + `, "Action": "s3:PutObject", "Resource": ` + objects + `,
					"Condition": {"StringEquals": {` + source + `, "s3:x-amz-acl": "bucket-owner-full-control"}}}]`,
			"InsufficientSnsTopicPolicyException": `[
				{` + principal + `, "Action": "SNS:Publish",
					"Resource": "arn:aws:sns:eu-central-1:111122223333:trail-topic",
					"Condition": {"StringEquals": {` + source + `}}}]`,
			"InsufficientEncryptionPolicyException": `[
				{` + principal + `, "Action": "kms:GenerateDataKey*", "Resource": "*",
					"Condition": {"StringEquals": {` + source + `}, "StringLike":
						{"kms:EncryptionContext:aws:cloudtrail:arn": "arn:aws:cloudtrail:*:` + c.account + `:trail/*"}}},
				{` + principal + `, "Action": "kms:DescribeKey", "Resource": "*",
					"Condition": {"StringEquals": {` + source + `}}}]`,
			"InvalidCloudWatchLogsRoleArnException": `[
				{"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": ` + streams + `}]`,
		} {
			t.Run(name+": "+code, func(t *testing.T) {
				t.Parallel()
				g := NewWithT(t)
				message := Explain(&Error{Operation: "CreateTrail", Class: FixAWS, Code: code, Message: "no."}, subject)
				g.Expect(policyIn(g, message)).To(Equal(parse(g, policy)))
				g.Expect(message[strings.LastIndex(message, "]")+1:]).To(Equal(c.explained))
				g.Expect(DeliveryRemedy(DeliveryS3, "NoSuchBucket", subject)).To(HaveSuffix("]"+c.explained),
					"a delivery error's remedy has the same policies")
			})
		}
	}
}

// TestRemedies holds every code of the error table that something in AWS can end to a remedy that names what to look
// at.
func TestRemedies(t *testing.T) {
	t.Parallel()
	remedies := map[string]string{
		"S3BucketDoesNotExistException":                          "trail-logs",
		"InsufficientS3BucketPolicyException":                    "trail-logs",
		"InsufficientSnsTopicPolicyException":                    "trail-topic",
		"InsufficientEncryptionPolicyException":                  "alias/trail",
		"KmsException":                                           "alias/trail",
		"KmsKeyNotFoundException":                                "alias/trail in region eu-central-1",
		"KmsKeyDisabledException":                                "enable the key alias/trail",
		"InvalidCloudWatchLogsRoleArnException":                  "role/trail-logs",
		"InvalidCloudWatchLogsLogGroupArnException":              "log-group:trail",
		"CloudTrailInvalidClientTokenIdException":                "account 111122223333",
		"CloudTrailAccessNotEnabledException":                    "enable-aws-service-access",
		"OrganizationNotInAllFeaturesModeException":              "enable-all-features",
		"OrganizationsNotInUseException":                         "spec.isOrganizationTrail",
		"NoManagementAccountSLRExistsException":                  "create-service-linked-role",
		"NotOrganizationMasterAccountException":                  "delegated administrator",
		"NotOrganizationManagementAccountException":              "delegated administrator",
		"MaximumNumberOfTrailsExceededException":                 "region eu-central-1 of account 111122223333",
		"TagsLimitExceededException":                             "at most 50 tags.*remove some in AWS, or from spec.tags",
		"InvalidHomeRegionException":                             "audit is no longer eu-central-1",
		"CloudTrailARNInvalidException":                          "audit still exists in account 111122223333",
		"PackedPolicyTooLarge":                                   `spec.sessionTags of AWSIdentity "default"`,
		"InsufficientDependencyServiceAccessPermissionException": "organizations:DescribeOrganization",
	}
	for code, mention := range remedies {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			message := Explain(&Error{Operation: "CreateTrail", Class: classes[code], Code: code, Message: "no"},
				testSubject(testRegion, nil))
			NewWithT(t).Expect(message).To(MatchRegexp("^CreateTrail: no — .*" + mention))
		})
	}
	for _, code := range errorTable[FixAWS] {
		if _, known := classes[code]; known {
			NewWithT(t).Expect(remedies).To(HaveKey(code), "a code without a remedy")
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	identity := func(name string) func(*v1alpha1.Trail) {
		return func(trail *v1alpha1.Trail) { trail.Spec.IdentityRef = &v1alpha1.IdentityReference{Name: name} }
	}
	for name, c := range map[string]struct {
		err     Error
		subject Subject
		message string
	}{
		"permission": {
			Error{Operation: "StopLogging", Class: Permission, Code: "AccessDeniedException", Message: "no"},
			testSubject(testRegion, identity("prod")),
			`StopLogging: no — AWSIdentity "prod" (` + testCaller + `) needs permission for cloudtrail:StopLogging`,
		},
		"permission to assume a role": {
			Error{Operation: "AssumeRole", Class: Permission, Code: "AccessDenied", Message: "no"},
			testSubject(testRegion, nil),
			`AssumeRole: no — AWSIdentity "default" (` + testCaller + `) needs permission for sts:AssumeRole`,
		},
		"credentials that have ended": {
			Error{Operation: "DescribeTrails", Class: Permission, Code: "ExpiredTokenException", Message: "no"},
			testSubject(testRegion, nil),
			`DescribeTrails: no — AWS does not accept the credentials of AWSIdentity "default" (` + testCaller + `): ` +
				`renew them, and check the clock of the operator's machine`,
		},
		"a region that is off": {
			Error{Operation: "AssumeRole", Class: Permission, Code: "RegionDisabledException", Message: "no"},
			testSubject(testRegion, nil),
			`AssumeRole: no — enable the region for the account of AWSIdentity "default" (` + testCaller + `)`,
		},
		"no credentials": {
			Error{Operation: "GetCallerIdentity", Class: Permission, Code: noCredentials, Message: "no"},
			testSubject(testRegion, nil),
			`GetCallerIdentity: no — AWSIdentity "default" (` + testCaller + `) cannot be used without them`,
		},
		"the spec": {
			Error{Operation: "CreateTrail", Class: FixSpec, Code: "InvalidS3PrefixException", Message: " too long\n"},
			testSubject(testRegion, nil),
			"CreateTrail: too long — change the spec; the call is not retried until then",
		},
		"something new": {
			Error{Operation: "CreateTrail", Class: FixAWS, Code: "SomethingNewException", Message: "no"},
			testSubject(testRegion, nil),
			"CreateTrail: no",
		},
		"something that passes": {
			Error{Operation: "CreateTrail", Class: Transient, Code: "ThrottlingException", Message: "slow down"},
			testSubject(testRegion, nil),
			"CreateTrail: slow down",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(Explain(&c.err, c.subject)).To(Equal(c.message))
		})
	}
}

func TestDeliveryRemedies(t *testing.T) {
	t.Parallel()
	const put, publish, generate, logs = "s3:PutObject", "SNS:Publish", "kms:GenerateDataKey*", "logs:PutLogEvents"
	withoutKey := func(trail *v1alpha1.Trail) { trail.Spec.KMSKeyID = "" }
	for name, c := range map[string]struct {
		channel DeliveryChannel
		code    string
		edit    func(*v1alpha1.Trail)
		mention string
		action  string // of the policy; "": there is none
	}{
		"denied":        {DeliveryS3, "AccessDenied", nil, "policy of bucket trail-logs", put},
		"digest denied": {DeliveryDigest, "AccessDenied", nil, "policy of bucket trail-logs", put},
		"bucket gone":   {DeliveryS3, "NoSuchBucket", nil, "bucket trail-logs no longer exists", put},
		"key disabled":  {DeliveryS3, "KMS.DisabledException", nil, "key alias/trail is enabled", generate},
		"key of the bucket": {
			DeliveryS3, "KMS.DisabledException", withoutKey, "default encryption of bucket trail-logs", generate,
		},
		"digest key":          {DeliveryDigest, "KmsKeyDisabledException", nil, "key alias/trail is enabled", generate},
		"another error of S3": {DeliveryS3, "SlowDown", nil, "ErrorResponses.html", ""},
		"topic":               {DeliveryNotification, "AuthorizationError", nil, "topic trail-topic", publish},
		"log group":           {DeliveryCloudWatchLogs, "AccessDenied", nil, "role/trail-logs can be assumed", logs},
		"log group without a meaning": {
			DeliveryCloudWatchLogs, "ResourceNotFoundException", nil, "log-group:trail:* exists", logs,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			message := DeliveryRemedy(c.channel, c.code, testSubject(testRegion, c.edit))
			g.Expect(message).To(ContainSubstring(c.mention))
			if c.action == "" {
				g.Expect(message).NotTo(ContainSubstring("Effect"))
				return
			}
			g.Expect(json.Marshal(policyIn(g, message))).To(ContainSubstring(c.action))
		})
	}
}
