package compliance

import "slices"

// securityTrail is the rule of AWS Config that asks for one trail with all of several settings:
// https://docs.aws.amazon.com/config/latest/developerguide/cloudtrail-security-trail-enabled.html
const securityTrail = "cloudtrail-security-trail-enabled"

// Controls returns all controls about a Trail, in the order of results.
func Controls() []*Control { return slices.Clone(controls) }

// AccountControls returns all controls about the account of an AWSIdentity, in the order of results.
func AccountControls() []*Control { return slices.Clone(accountControls) }

// nistRecording are the controls of NIST SP 800-53 that Security Hub relates to CloudTrail.1.
var nistRecording = nist("AU-12", "AU-2", "AU-3", "AU-6(3)", "AU-6(4)", "AU-10", "AU-14(1)", "AC-2(4)", "AC-4(26)",
	"AC-6(9)", "CA-7", "SA-8(22)", "SC-7(9)", "SI-3(8)", "SI-4(20)", "SI-7(8)")

// controls are all controls about a Trail.
var controls = []*Control{
	{
		ID: "multi-region", Severity: High, Field: "spec.isMultiRegionTrail", judge: judgeMultiRegion,
		Title:  "The trail records the events of all regions",
		Remedy: "Set spec.isMultiRegionTrail: true",
		References: slices.Concat(securityHub("CloudTrail.1"), config("multi-region-cloudtrail-enabled", securityTrail),
			cis("3.1"), pci("10.2.1"), nistRecording),
	},
	{
		ID: "logging", Severity: High, Field: "spec.logging", judge: judgeLogging, restsOn: onReport,
		Title:  "The trail is logging",
		Remedy: "Remove spec.logging: false, and see the condition Logging",
		References: slices.Concat(securityHub("CloudTrail.1", "CloudTrail.3"),
			config("multi-region-cloudtrail-enabled", "cloudtrail-enabled"), cis("3.1"), pci("10.2.1"), nistRecording),
	},
	{
		ID: "management-events", Severity: High, Field: "spec.eventSelectors", judge: judgeManagementEvents,
		Title:  "The trail records all management events, with nothing excluded",
		Remedy: "Let a selector of spec.eventSelectors or spec.advancedEventSelectors take all management events",
		References: slices.Concat(securityHub("CloudTrail.1"), config("multi-region-cloudtrail-enabled", securityTrail),
			cis("3.1"), pci("10.2.1"), nistRecording),
	},
	{
		ID: "global-service-events", Severity: Medium, Field: "spec.includeGlobalServiceEvents",
		judge:      judgeGlobalServiceEvents,
		Title:      "The trail records the events of global services, such as IAM",
		Remedy:     "Remove spec.includeGlobalServiceEvents: false",
		References: config(securityTrail),
	},
	{
		ID: "log-file-validation", Severity: Low, Field: "spec.enableLogFileValidation", judge: judgeValidation,
		Title:  "Log file validation is turned on, and digest files are delivered",
		Remedy: "Set spec.enableLogFileValidation: true, and see the condition Delivering",
		References: slices.Concat(securityHub("CloudTrail.4"),
			config("cloud-trail-log-file-validation-enabled", securityTrail), cis("3.2"),
			pci("10.3.4", "10.3.2"), nist("AU-9", "SI-4", "SI-7(1)", "SI-7(3)", "SI-7(7)")),
	},
	{
		ID: "kms-encryption", Severity: Medium, Field: "spec.kmsKeyID", judge: judgeKMS,
		Title:  "Log files are encrypted with a KMS key",
		Remedy: "Set spec.kmsKeyID",
		References: slices.Concat(securityHub("CloudTrail.2"), config("cloud-trail-encryption-enabled", securityTrail),
			cis("3.5"), pci("10.3.2"), nist("AU-9", "CA-9(1)", "CM-3(6)", "SC-7(10)", "SC-13", "SC-28(1)", "SI-7(6)")),
	},
	{
		ID: "kms-key-rotation", Severity: Medium, Field: "spec.kmsKeyID", judge: judgeKeyRotation, restsOn: onSpec,
		Title:      "The KMS key is rotated",
		Remedy:     "Turn on the rotation of the key of spec.kmsKeyID",
		References: cis("3.6"),
	},
	{
		ID: "cloudwatch-logs", Severity: Low, Field: "spec.cloudWatchLogsLogGroupARN", judge: judgeCloudWatchLogs,
		Title:  "Events are also delivered to CloudWatch Logs",
		Remedy: "Set spec.cloudWatchLogsLogGroupARN and spec.cloudWatchLogsRoleARN, and see the condition Delivering",
		References: slices.Concat(securityHub("CloudTrail.5"), config("cloud-trail-cloud-watch-logs-enabled"),
			pci("10.2.1"), nist("AU-6(1)", "AU-6(5)", "AU-7(1)", "SI-4(5)", "SI-20"), nistRecording),
	},
	{
		ID: "delivery", Severity: High, Field: "status.latestDeliveryError", judge: judgeDelivery, restsOn: onReport,
		Title:      "Log files reach the bucket",
		Remedy:     "See the condition Delivering, which says what the bucket's policy lacks",
		References: slices.Concat(pci("10.7"), nist("AU-5")),
	},
	{
		ID: "bucket-access-logging", Severity: Low, Field: "spec.s3BucketName", judge: judgeBucketAccessLogging,
		restsOn:    onSpec,
		Title:      "The bucket logs access to it",
		Remedy:     "Turn on server access logging of the bucket of spec.s3BucketName",
		References: slices.Concat(securityHub("CloudTrail.7"), config("cloudtrail-s3-bucket-access-logging"), cis("3.4")),
	},
	{
		ID: "s3-object-writes", Severity: Medium, Field: "spec.eventSelectors", judge: judgeS3Writes,
		Title:  "The trail records the events that change S3 objects, of all buckets",
		Remedy: "Let a selector of spec.eventSelectors or spec.advancedEventSelectors take the data events of S3 objects",
		References: slices.Concat(securityHub("S3.22"), config("cloudtrail-all-write-s3-data-event-check"), cis("3.8"),
			pci("10.2.1")),
	},
	{
		ID: "s3-object-reads", Severity: Medium, Field: "spec.eventSelectors", judge: judgeS3Reads,
		Title:  "The trail records the events that read S3 objects, of all buckets",
		Remedy: "Let a selector of spec.eventSelectors or spec.advancedEventSelectors take the data events of S3 objects",
		References: slices.Concat(securityHub("S3.23"), config("cloudtrail-all-read-s3-data-event-check"), cis("3.9"),
			pci("10.2.1")),
	},
	{
		ID: "change-detection", Severity: Low, Field: "spec.suspend", judge: judgeWatched, restsOn: onOperator,
		Title:      "Changes of the trail in AWS are detected",
		Remedy:     "Remove spec.suspend: true",
		References: cis("4.5"),
	},
	{
		ID: "drift-free", Severity: Medium, Field: "status.lastDrift", judge: judgeDrift, restsOn: onReport,
		Title:      "AWS holds what the spec says, and drift is repaired",
		Remedy:     "See the condition Synced and status.lastDrift",
		References: nist("CM-3", "CM-6"),
	},
	{
		ID: "managed", Severity: Medium, Field: "spec.managementPolicy", judge: judgeManaged, restsOn: onOperator,
		Title:  "The operator repairs changes of the trail in AWS",
		Remedy: "Set spec.managementPolicy: Manage, and remove spec.suspend: true",
	},
	{
		ID: "retained", Severity: Medium, Field: "spec.deletionPolicy", judge: judgeRetained, restsOn: onSpec,
		Title:  "The trail outlives its object",
		Remedy: "Set spec.deletionPolicy: Retain",
	},
	{
		ID: "tags", Severity: Low, Field: "spec.tags", judge: judgeTags,
		Title:      "The trail has tags of its own",
		Remedy:     "Set spec.tags",
		References: securityHub("CloudTrail.9"),
	},
}

// accountControls are all controls about the account of an AWSIdentity.
var accountControls = []*Control{
	{
		ID: "account-recorded", Severity: High, Field: "status.coverage", judgeAccount: judgeAccountRecorded,
		Title:  "All management events of the account are recorded, in all regions",
		Remedy: "See the condition Recorded of the AWSIdentity",
		References: slices.Concat(securityHub("CloudTrail.1"), config("multi-region-cloudtrail-enabled"), cis("3.1"),
			pci("10.2.1"), nistRecording),
	},
	{
		ID: "account-trail-logging", Severity: High, Field: "status.coverage", judgeAccount: judgeAccountTrail,
		Title:      "At least one trail of the account is logging",
		Remedy:     "Create a Trail in the account",
		References: slices.Concat(securityHub("CloudTrail.3"), config("cloudtrail-enabled"), pci("10.2.1")),
	},
}
