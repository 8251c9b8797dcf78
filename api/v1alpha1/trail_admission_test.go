package v1alpha1_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	logGroup = "arn:aws:logs:us-east-1:111122223333:log-group:trail"
	logRole  = "arn:aws:iam::111122223333:role/trail-logs"
)

// fieldSelectors is an advanced event selector with the field selectors in YAML flow style.
func fieldSelectors(selectors ...string) string {
	return "advancedEventSelectors: [{fieldSelectors: [" + strings.Join(selectors, ", ") + "]}]"
}

// basicSelectors is so many basic event selectors with so many data resource values each.
func basicSelectors(values ...int) string {
	selectors := make([]string, len(values))
	for i, count := range values {
		arns := numbered(count, "arn:aws:s3:::bucket-%d/")
		selectors[i] = "{dataResources: [{type: AWS::S3::Object, values: " + arns + "}]}"
	}
	return "eventSelectors: [" + strings.Join(selectors, ", ") + "]"
}

var _ = Describe("Admission of a Trail", func() {
	DescribeTable("accepts, and leaves as written,",
		func(ctx context.Context, spec string) {
			expectAccepted(ctx, trail("accepted", spec))
		},
		Entry("nothing but a bucket", ``),
		Entry("a name of 3 characters", `name: a-1`),
		Entry("a name of 128 characters", `name: `+strings.Repeat("a", 128)),
		Entry("a name with every kind of character", `name: Trail.of_the-Organization9`),
		Entry("a name that only begins like an IP address", `name: 10.0.0.1a`),
		Entry("a region", `region: us-east-1`),
		Entry("a region of GovCloud", `region: us-gov-west-1`),
		Entry("a region of China", `region: cn-northwest-1`),
		Entry("a region of the European Sovereign Cloud", `region: eusc-de-east-1`),
		Entry("an isolated region", `region: us-isob-east-1`),
		Entry("another identity", `identityRef: {name: production}`),
		Entry("a bucket name of 3 characters", `s3BucketName: abc`),
		Entry("a bucket name of 63 characters", `s3BucketName: `+strings.Repeat("a", 63)),
		Entry("a bucket name with periods and dashes", `s3BucketName: 1.trail-logs.example.com`),
		Entry("a prefix of 200 characters", `s3KeyPrefix: `+strings.Repeat("p", 200)),
		Entry("a prefix with slashes, spaces and letters of any script", `s3KeyPrefix: audit/Büro 東京`),
		Entry("a topic by name", `snsTopicName: Trail_topic-1`),
		Entry("a topic by ARN", `snsTopicName: "arn:aws:sns:us-east-1:111122223333:trail-topic"`),
		Entry("a topic of China", `snsTopicName: "arn:aws-cn:sns:cn-north-1:111122223333:trail-topic"`),
		Entry("a key by id", `kmsKeyID: 12345678-1234-1234-1234-123456789012`),
		Entry("a multi-region key by id", `kmsKeyID: mrk-1234abcd12ab34cd56ef1234567890ab`),
		Entry("a key by alias", `kmsKeyID: alias/audit/trail_1`),
		Entry("a key by ARN", `kmsKeyID: "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012"`),
		Entry("a multi-region key by ARN",
			`kmsKeyID: "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"`),
		Entry("a key by its alias's ARN", `kmsKeyID: "arn:aws:kms:us-east-1:111122223333:alias/trail"`),
		Entry("a key of GovCloud", `kmsKeyID: "arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/trail"`),
		Entry("a log group with the ending :*",
			`{cloudWatchLogsLogGroupARN: "`+logGroup+`:*", cloudWatchLogsRoleARN: "`+logRole+`"}`),
		Entry("a log group without the ending :*",
			`{cloudWatchLogsLogGroupARN: "`+logGroup+`", cloudWatchLogsRoleARN: "`+logRole+`"}`),
		Entry("a log group with every kind of character",
			`{cloudWatchLogsLogGroupARN: "`+logGroup+`/a_b.c#d-e:*", cloudWatchLogsRoleARN: "`+logRole+`"}`),
		Entry("a log group of China",
			`{cloudWatchLogsLogGroupARN: "arn:aws-cn:logs:cn-north-1:111122223333:log-group:t", `+
				`cloudWatchLogsRoleARN: "arn:aws-cn:iam::111122223333:role/r"}`),
		Entry("a log group of GovCloud",
			`{cloudWatchLogsLogGroupARN: "arn:aws-us-gov:logs:us-gov-west-1:111122223333:log-group:t:*", `+
				`cloudWatchLogsRoleARN: "arn:aws-us-gov:iam::111122223333:role/r"}`),
		Entry("a log group role with a path",
			`{cloudWatchLogsLogGroupARN: "`+logGroup+`", `+
				`cloudWatchLogsRoleARN: "arn:aws:iam::111122223333:role/service-role/a:b/Trail_Logs+=,.@-"}`),
		Entry("empty strings that say the same as no field at all",
			`{s3KeyPrefix: "", snsTopicName: "", kmsKeyID: "", cloudWatchLogsLogGroupARN: "", cloudWatchLogsRoleARN: ""}`),
		Entry("a multi-region trail", `isMultiRegionTrail: true`),
		Entry("a multi-region trail that says that it has global events",
			`{isMultiRegionTrail: true, includeGlobalServiceEvents: true}`),
		Entry("a trail of one region without global events",
			`{isMultiRegionTrail: false, includeGlobalServiceEvents: false}`),
		Entry("an organization trail with digests", `{isOrganizationTrail: true, enableLogFileValidation: true}`),
		Entry("a trail that does not log", `logging: false`),
		Entry("a basic selector that says nothing", `eventSelectors: [{}]`),
		Entry("5 basic selectors", `eventSelectors: [{}, {}, {}, {}, {readWriteType: ReadOnly}]`),
		Entry("basic selectors with every field", `
eventSelectors:
- readWriteType: WriteOnly
  includeManagementEvents: true
  excludeManagementEventSources: [kms.amazonaws.com, rdsdata.amazonaws.com]
  dataResources:
  - {type: "AWS::S3::Object", values: ["arn:aws:s3", "arn:aws:s3:::bucket/prefix"]}
  - {type: "AWS::Lambda::Function", values: ["arn:aws:lambda"]}
  - {type: "AWS::DynamoDB::Table", values: ["arn:aws:dynamodb:us-east-1:111122223333:table/orders"]}
- {readWriteType: All, includeManagementEvents: false}`),
		Entry("250 data resource values in one selector", basicSelectors(250)),
		Entry("250 data resource values in several selectors", basicSelectors(100, 100, 50)),
		Entry("an advanced selector of management events", fieldSelectors(
			`{field: eventCategory, equals: [Management]}`,
			`{field: readOnly, equals: ["false"]}`,
			`{field: eventSource, notEquals: [kms.amazonaws.com, rdsdata.amazonaws.com]}`)),
		Entry("an advanced selector of data events with every operator", fieldSelectors(
			`{field: eventCategory, equals: [Data]}`,
			`{field: resources.type, equals: ["AWS::S3::Object"]}`,
			`{field: readOnly, equals: ["true"]}`,
			`{field: eventName, equals: [GetObject], notEquals: [PutObject], startsWith: [Get], notStartsWith: [Put], `+
				`endsWith: [Object], notEndsWith: [Tags]}`)),
		Entry("an advanced selector of network activity events", fieldSelectors(
			`{field: eventCategory, equals: [NetworkActivity]}`,
			`{field: eventSource, equals: [ec2.amazonaws.com]}`,
			`{field: errorCode, equals: [VpceAccessDenied]}`)),
		Entry("fields, categories and resource types that AWS adds one day", fieldSelectors(
			`{field: eventCategory, equals: [SomethingNew]}`,
			`{field: userIdentity.arn, startsWith: ["arn:aws:sts::111122223333:assumed-role/"]}`,
			`{field: sessionCredentialFromConsole, equals: ["true"]}`,
			`{field: somethingNew, equals: ["AWS::Some::Thing"]}`)),
		Entry("more than 5 advanced selectors", `advancedEventSelectors: [`+
			strings.Repeat(`{fieldSelectors: [{field: eventCategory, equals: [Management]}]}, `, 6)+`]`),
		Entry("an advanced selector with a name of 1000 characters",
			`advancedEventSelectors: [{name: "`+strings.Repeat("n", 1000)+`", `+
				`fieldSelectors: [{field: eventCategory, equals: [Management]}]}]`),
		Entry("500 values in advanced selectors", fieldSelectors(
			`{field: eventCategory, equals: [Management]}`,
			`{field: eventSource, equals: `+numbered(250, "s%d.amazonaws.com")+`}`,
			`{field: eventName, startsWith: `+numbered(249, "Name%d")+`}`)),
		Entry("insights of the default category", `insightSelectors: [{insightType: ApiCallRateInsight}]`),
		Entry("insights of every kind and category", `
insightSelectors:
- {insightType: ApiCallRateInsight, eventCategories: [Management, Data]}
- {insightType: ApiErrorRateInsight, eventCategories: [Data]}`),
		Entry("an empty list of insights", `insightSelectors: []`),
		Entry("aggregation by every template",
			`aggregationConfigurations: [{eventCategory: Data, templates: [API_ACTIVITY, RESOURCE_ACCESS, USER_ACTIONS]}]`),
		Entry("49 tags", `tags: `+numbered(49, "{key: key-%d, value: v}")),
		Entry("a tag without a value", `tags: [{key: audited}]`),
		Entry("a tag with an empty value", `tags: [{key: audited, value: ""}]`),
		Entry("tags with every kind of character and letters of any script",
			`tags: [{key: "cost center_.:/=+-@", value: "Größe 東京 _.:/=+-@"}, {key: Équipe, value: "9"}]`),
		Entry("a tag with the longest key and value",
			`tags: [{key: `+strings.Repeat("é", 128)+`, value: `+strings.Repeat("é", 256)+`}]`),
		Entry("tag keys that differ in case only", `tags: [{key: team}, {key: Team}]`),
		Entry("a tag key that contains aws: later", `tags: [{key: "team:aws:x"}]`),
		Entry("the other policies", `{managementPolicy: Observe, adoptionPolicy: IfUnowned, deletionPolicy: Retain}`),
		Entry("the policies that are the default",
			`{managementPolicy: Manage, adoptionPolicy: Never, deletionPolicy: Delete}`),
		Entry("adoption of every trail", `adoptionPolicy: Always`),
		Entry("a suspended trail", `suspend: true`),
		Entry("the shortest interval", `interval: 10s`),
		Entry("the longest interval", `interval: 24h`),
		Entry("the longest interval in seconds", `interval: 86400s`),
		Entry("an interval in several units", `interval: 1h30m15s`),
		Entry("an interval with a fraction", `interval: 0.5h`),
	)

	DescribeTable("refuses",
		func(ctx context.Context, spec, field, message string) {
			expectRefused(apiserver.Create(ctx, trail("refused", spec), client.DryRunAll), field, message)
		},
		Entry("a name of 2 characters", `name: ab`,
			"spec.name", "should be at least 3 chars long"),
		Entry("an empty name", `name: ""`,
			"spec.name", "should be at least 3 chars long"),
		Entry("a name of 129 characters", `name: `+strings.Repeat("a", 129),
			"spec.name", "may not be more than 128"),
		Entry("a name with a space", `name: my trail`,
			"spec.name", "a trail name may contain A-Z a-z 0-9 . _ - only"),
		Entry("a name with letters beyond ASCII", `name: prüfung`,
			"spec.name", "a trail name may contain A-Z a-z 0-9 . _ - only"),
		Entry("an ARN as name", `name: "arn:aws:cloudtrail:us-east-1:111122223333:trail/main"`,
			"spec.name", "a trail name may contain A-Z a-z 0-9 . _ - only"),
		Entry("a name that begins with a dash", `name: -trail`,
			"spec.name", "a trail name begins and ends with a letter or digit"),
		Entry("a name that ends with a period", `name: trail.`,
			"spec.name", "a trail name begins and ends with a letter or digit"),
		Entry("a name with two dashes side by side", `name: my--trail`,
			"spec.name", "a trail name has no two of . _ - side by side"),
		Entry("a name with a dash beside an underscore", `name: my-_trail`,
			"spec.name", "a trail name has no two of . _ - side by side"),
		Entry("a name like an IP address", `name: 192.168.5.4`,
			"spec.name", "a trail name must not look like an IP address"),
		Entry("a region without its number", `region: us-east`,
			"spec.region", "region must be an AWS region code, such as eu-central-1"),
		Entry("an availability zone as region", `region: us-east-1a`,
			"spec.region", "region must be an AWS region code, such as eu-central-1"),
		Entry("a region by its title", `region: Frankfurt`,
			"spec.region", "region must be an AWS region code, such as eu-central-1"),
		Entry("an empty region", `region: ""`,
			"spec.region", "region must be an AWS region code, such as eu-central-1"),
		Entry("a region that is too long", `region: us-`+strings.Repeat("e", 40)+`-1`,
			"spec.region", "may not be more than 32"),
		Entry("an identityRef without a name", `identityRef: {}`,
			"spec.identityRef.name", "Required value"),
		Entry("an identityRef with an empty name", `identityRef: {name: ""}`,
			"spec.identityRef.name", "should be at least 1 chars long"),
		Entry("an identityRef that is only a name", `identityRef: production`,
			"spec.identityRef", "must be of type object"),
		Entry("no bucket", `s3BucketName: null`,
			"spec.s3BucketName", "Required value"),
		Entry("an empty bucket name", `s3BucketName: ""`,
			"spec.s3BucketName", "should be at least 3 chars long"),
		Entry("a bucket name of 2 characters", `s3BucketName: ab`,
			"spec.s3BucketName", "should be at least 3 chars long"),
		Entry("a bucket name of 64 characters", `s3BucketName: `+strings.Repeat("a", 64),
			"spec.s3BucketName", "may not be more than 63"),
		Entry("a bucket name with capitals", `s3BucketName: Trail-Logs`,
			"spec.s3BucketName", "a bucket name may contain a-z 0-9 . - only"),
		Entry("a bucket name with an underscore", `s3BucketName: trail_logs`,
			"spec.s3BucketName", "a bucket name may contain a-z 0-9 . - only"),
		Entry("a bucket's ARN", `s3BucketName: "arn:aws:s3:::trail-logs"`,
			"spec.s3BucketName", "a bucket name may contain a-z 0-9 . - only"),
		Entry("a bucket with a prefix", `s3BucketName: trail-logs/audit`,
			"spec.s3BucketName", "a bucket name may contain a-z 0-9 . - only"),
		Entry("a bucket name that ends with a dash", `s3BucketName: trail-logs-`,
			"spec.s3BucketName", "a bucket name begins and ends with a letter or digit"),
		Entry("a bucket name that begins with a period", `s3BucketName: .trail-logs`,
			"spec.s3BucketName", "a bucket name begins and ends with a letter or digit"),
		Entry("a bucket name with two periods side by side", `s3BucketName: trail..logs`,
			"spec.s3BucketName", "a bucket name for CloudTrail has no two periods side by side and no dash next to a period"),
		Entry("a bucket name with a dash next to a period", `s3BucketName: trail-.logs`,
			"spec.s3BucketName", "a bucket name for CloudTrail has no two periods side by side and no dash next to a period"),
		Entry("a bucket name like an IP address", `s3BucketName: 192.168.5.4`,
			"spec.s3BucketName", "a bucket name must not look like an IP address"),
		Entry("an access point's alias", `s3BucketName: my-access-point-s3alias`,
			"spec.s3BucketName",
			"nor end with -s3alias, --ol-s3, .mrap, --x-s3 or --table-s3: give the name of a general purpose bucket"),
		Entry("a directory bucket", `s3BucketName: logs--use1-az4--x-s3`,
			"spec.s3BucketName", "give the name of a general purpose bucket"),
		Entry("a bucket name with a reserved beginning", `s3BucketName: xn--logs`,
			"spec.s3BucketName", "a bucket name must not begin with xn-- or sthree-"),
		Entry("a prefix of 201 characters", `s3KeyPrefix: `+strings.Repeat("p", 201),
			"spec.s3KeyPrefix", "may not be more than 200"),
		Entry("a prefix with a line break at its end", `s3KeyPrefix: "audit\n"`,
			"spec.s3KeyPrefix", "s3KeyPrefix must not contain control characters or line breaks"),
		Entry("a prefix with a tab", `s3KeyPrefix: "audit\tlogs"`,
			"spec.s3KeyPrefix", "s3KeyPrefix must not contain control characters or line breaks"),
		Entry("a topic name with a space", `snsTopicName: trail topic`,
			"spec.snsTopicName", "snsTopicName must be the name of a standard SNS topic (A-Z a-z 0-9 _ -) or its ARN, "+
				"such as arn:aws:sns:us-east-1:111122223333:trail-topic"),
		Entry("a FIFO topic", `snsTopicName: trail-topic.fifo`,
			"spec.snsTopicName", "snsTopicName must be the name of a standard SNS topic"),
		Entry("the ARN of something else than a topic", `snsTopicName: "arn:aws:sqs:us-east-1:111122223333:trail-topic"`,
			"spec.snsTopicName", "or its ARN, such as arn:aws:sns:us-east-1:111122223333:trail-topic"),
		Entry("a topic ARN without an account", `snsTopicName: "arn:aws:sns:us-east-1::trail-topic"`,
			"spec.snsTopicName", "or its ARN, such as arn:aws:sns:us-east-1:111122223333:trail-topic"),
		Entry("a topic name of 257 characters", `snsTopicName: `+strings.Repeat("t", 257),
			"spec.snsTopicName", "may not be more than 256"),
		Entry("an alias without alias/", `kmsKeyID: trail`,
			"spec.kmsKeyID", "kmsKeyID must be a key ID, a key ARN, alias/NAME, or an alias ARN"),
		Entry("an alias without a name", `kmsKeyID: alias/`,
			"spec.kmsKeyID", "kmsKeyID must be a key ID, a key ARN, alias/NAME, or an alias ARN"),
		Entry("a key id that is too short", `kmsKeyID: 12345678-1234-1234-1234`,
			"spec.kmsKeyID", "kmsKeyID must be a key ID, a key ARN, alias/NAME, or an alias ARN"),
		Entry("the ARN of something else than a key", `kmsKeyID: "`+logRole+`"`,
			"spec.kmsKeyID", "kmsKeyID must be a key ID, a key ARN, alias/NAME, or an alias ARN"),
		Entry("a key that is too long", `kmsKeyID: alias/`+strings.Repeat("k", 350),
			"spec.kmsKeyID", "may not be more than 350"),
		Entry("a log group by name", `{cloudWatchLogsLogGroupARN: trail, cloudWatchLogsRoleARN: "`+logRole+`"}`,
			"spec.cloudWatchLogsLogGroupARN", "cloudWatchLogsLogGroupARN must be the ARN of a log group, "+
				"such as arn:aws:logs:us-east-1:111122223333:log-group:trail:*"),
		Entry("a log stream",
			`{cloudWatchLogsLogGroupARN: "`+logGroup+`:log-stream:s", cloudWatchLogsRoleARN: "`+logRole+`"}`,
			"spec.cloudWatchLogsLogGroupARN", "cloudWatchLogsLogGroupARN must be the ARN of a log group"),
		Entry("a log group ARN that is too long",
			`{cloudWatchLogsLogGroupARN: "`+logGroup+strings.Repeat("g", 700)+`", cloudWatchLogsRoleARN: "`+logRole+`"}`,
			"spec.cloudWatchLogsLogGroupARN", "may not be more than 700"),
		Entry("a log group role by name", `{cloudWatchLogsLogGroupARN: "`+logGroup+`", cloudWatchLogsRoleARN: trail-logs}`,
			"spec.cloudWatchLogsRoleARN",
			"cloudWatchLogsRoleARN must be the ARN of an IAM role, such as arn:aws:iam::111122223333:role/trail-logs"),
		Entry("a user as log group role",
			`{cloudWatchLogsLogGroupARN: "`+logGroup+`", cloudWatchLogsRoleARN: "arn:aws:iam::111122223333:user/me"}`,
			"spec.cloudWatchLogsRoleARN", "cloudWatchLogsRoleARN must be the ARN of an IAM role"),
		Entry("a log group role ARN that ends with a path",
			`{cloudWatchLogsLogGroupARN: "`+logGroup+`", cloudWatchLogsRoleARN: "arn:aws:iam::111122223333:role/path/"}`,
			"spec.cloudWatchLogsRoleARN", "cloudWatchLogsRoleARN must be the ARN of an IAM role"),
		Entry("a log group without a role", `cloudWatchLogsLogGroupARN: "`+logGroup+`"`,
			"spec.cloudWatchLogsLogGroupARN",
			"cloudWatchLogsLogGroupARN and cloudWatchLogsRoleARN go together: set both, or neither"),
		Entry("a log group with an empty role", `{cloudWatchLogsLogGroupARN: "`+logGroup+`", cloudWatchLogsRoleARN: ""}`,
			"spec.cloudWatchLogsLogGroupARN",
			"cloudWatchLogsLogGroupARN and cloudWatchLogsRoleARN go together: set both, or neither"),
		Entry("a role without a log group", `cloudWatchLogsRoleARN: "`+logRole+`"`,
			"spec.cloudWatchLogsLogGroupARN",
			"cloudWatchLogsLogGroupARN and cloudWatchLogsRoleARN go together: set both, or neither"),
		Entry("a multi-region trail without global events",
			`{isMultiRegionTrail: true, includeGlobalServiceEvents: false}`,
			"spec.includeGlobalServiceEvents", "a multi-region trail includes global service events: "+
				"remove includeGlobalServiceEvents: false or isMultiRegionTrail: true"),
		Entry("a boolean in quotes", `logging: "false"`,
			"spec.logging", "must be of type boolean"),
		Entry("both kinds of event selectors",
			`{eventSelectors: [{}], advancedEventSelectors: [{fieldSelectors: [{field: eventCategory, equals: [Management]}]}]}`,
			"spec.advancedEventSelectors", "eventSelectors and advancedEventSelectors are mutually exclusive: keep one of them"),
		Entry("an empty list of basic selectors", `eventSelectors: []`,
			"spec.eventSelectors", "should have at least 1 items"),
		Entry("6 basic selectors", `eventSelectors: [{}, {}, {}, {}, {}, {}]`,
			"spec.eventSelectors", "must have at most 5 items"),
		Entry("a readWriteType in another case", `eventSelectors: [{readWriteType: all}]`,
			"spec.eventSelectors[0].readWriteType", `supported values: "ReadOnly", "WriteOnly", "All"`),
		Entry("an excluded service by its short name", `eventSelectors: [{excludeManagementEventSources: [kms]}]`,
			"spec.eventSelectors[0].excludeManagementEventSources",
			"excludeManagementEventSources must be event sources, such as kms.amazonaws.com"),
		Entry("an excluded service twice",
			`eventSelectors: [{excludeManagementEventSources: [kms.amazonaws.com, kms.amazonaws.com]}]`,
			"spec.eventSelectors[0].excludeManagementEventSources[1]", "Duplicate value"),
		Entry("a data resource without a type", `eventSelectors: [{dataResources: [{values: ["arn:aws:s3"]}]}]`,
			"spec.eventSelectors[0].dataResources[0].type", "Required value"),
		Entry("a data resource of a type that is none",
			`eventSelectors: [{dataResources: [{type: S3, values: ["arn:aws:s3"]}]}]`,
			"spec.eventSelectors[0].dataResources[0].type",
			"a data resource type must look like AWS::S3::Object, AWS::Lambda::Function or AWS::DynamoDB::Table"),
		Entry("a data resource without values", `eventSelectors: [{dataResources: [{type: "AWS::S3::Object"}]}]`,
			"spec.eventSelectors[0].dataResources[0].values", "Required value"),
		Entry("a data resource with an empty list of values",
			`eventSelectors: [{dataResources: [{type: "AWS::S3::Object", values: []}]}]`,
			"spec.eventSelectors[0].dataResources[0].values", "should have at least 1 items"),
		Entry("a bucket's name as data resource",
			`eventSelectors: [{dataResources: [{type: "AWS::S3::Object", values: [bucket/]}]}]`,
			"spec.eventSelectors[0].dataResources[0].values",
			"values must be ARNs or prefixes of ARNs, such as arn:aws:s3:::bucket/prefix"),
		Entry("a data resource value twice",
			`eventSelectors: [{dataResources: [{type: "AWS::S3::Object", values: ["arn:aws:s3", "arn:aws:s3"]}]}]`,
			"spec.eventSelectors[0].dataResources[0].values[1]", "Duplicate value"),
		Entry("251 data resource values in one selector", basicSelectors(251),
			"spec.eventSelectors[0].dataResources[0].values", "must have at most 250 items"),
		Entry("251 data resource values in several selectors", basicSelectors(100, 100, 51),
			"spec.eventSelectors",
			"at most 250 data resource values in all event selectors together; use advancedEventSelectors for more"),
		Entry("an empty list of advanced selectors", `advancedEventSelectors: []`,
			"spec.advancedEventSelectors", "should have at least 1 items"),
		Entry("an advanced selector without field selectors", `advancedEventSelectors: [{name: nothing}]`,
			"spec.advancedEventSelectors[0].fieldSelectors", "Required value"),
		Entry("an advanced selector with a name of 1001 characters",
			`advancedEventSelectors: [{name: "`+strings.Repeat("n", 1001)+`", `+
				`fieldSelectors: [{field: eventCategory, equals: [Management]}]}]`,
			"spec.advancedEventSelectors[0].name", "may not be more than 1000"),
		Entry("an advanced selector with no field selector", `advancedEventSelectors: [{fieldSelectors: []}]`,
			"spec.advancedEventSelectors[0].fieldSelectors", "should have at least 1 items"),
		Entry("an advanced selector without an eventCategory", fieldSelectors(`{field: readOnly, equals: ["true"]}`),
			"spec.advancedEventSelectors[0].fieldSelectors",
			"every advanced event selector needs a field selector for eventCategory"),
		Entry("a selector of data events without a resource type", fieldSelectors(`{field: eventCategory, equals: [Data]}`),
			"spec.advancedEventSelectors[0].fieldSelectors",
			"an advanced event selector for eventCategory Data needs a field selector for resources.type"),
		Entry("a selector of network activity events without an event source",
			fieldSelectors(`{field: eventCategory, equals: [NetworkActivity]}`),
			"spec.advancedEventSelectors[0].fieldSelectors",
			"an advanced event selector for eventCategory NetworkActivity needs a field selector for eventSource"),
		Entry("a field twice", fieldSelectors(
			`{field: eventCategory, equals: [Management]}`,
			`{field: eventName, startsWith: [Get]}`,
			`{field: eventName, endsWith: [s]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[2]", `Duplicate value: {"field":"eventName"}`),
		Entry("a field selector without a field",
			fieldSelectors(`{field: eventCategory, equals: [Management]}`, `{equals: [x]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[1].field", "Required value"),
		Entry("a field that is no name",
			fieldSelectors(`{field: eventCategory, equals: [Management]}`, `{field: event name, equals: [x]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[1].field",
			"field must be the name of a field, such as eventCategory or resources.ARN"),
		Entry("a field selector without an operator",
			fieldSelectors(`{field: eventCategory, equals: [Management]}`, `{field: eventName}`),
			"spec.advancedEventSelectors[0].fieldSelectors[1]",
			"a field selector needs at least one of equals, notEquals, startsWith, notStartsWith, endsWith, notEndsWith"),
		Entry("an operator without values",
			fieldSelectors(`{field: eventCategory, equals: [Management]}`, `{field: eventName, equals: []}`),
			"spec.advancedEventSelectors[0].fieldSelectors[1].equals", "should have at least 1 items"),
		Entry("an operator with an empty value",
			fieldSelectors(`{field: eventCategory, equals: [Management]}`, `{field: eventName, endsWith: [""]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[1].endsWith[0]", "should be at least 1 chars long"),
		Entry("an operator with a value of 2049 characters",
			fieldSelectors(
				`{field: eventCategory, equals: [Management]}`,
				`{field: eventName, notEndsWith: [`+strings.Repeat("v", 2049)+`]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[1].notEndsWith[0]",
			"may not be more than 2048"),
		Entry("an operator with a value twice",
			fieldSelectors(`{field: eventCategory, equals: [Management]}`, `{field: eventName, notEquals: [a, a]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[1].notEquals[1]", "Duplicate value"),
		Entry("an operator's values as one string", fieldSelectors(`{field: eventCategory, equals: Management}`),
			"spec.advancedEventSelectors[0].fieldSelectors[0].equals", "must be of type array"),
		Entry("eventCategory with another operator", fieldSelectors(`{field: eventCategory, startsWith: [Man]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[0]",
			"readOnly, eventCategory and resources.type can be compared with equals only"),
		Entry("eventCategory with a second operator",
			fieldSelectors(`{field: eventCategory, equals: [Management], notEquals: [Data]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[0]",
			"readOnly, eventCategory and resources.type can be compared with equals only"),
		Entry("readOnly with another operator",
			fieldSelectors(`{field: eventCategory, equals: [Management]}`, `{field: readOnly, notEquals: ["true"]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[1]",
			"readOnly, eventCategory and resources.type can be compared with equals only"),
		Entry("resources.type with another operator",
			fieldSelectors(`{field: eventCategory, equals: [Data]}`, `{field: resources.type, startsWith: ["AWS::S3"]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[1]",
			"readOnly, eventCategory and resources.type can be compared with equals only"),
		Entry("two event categories",
			fieldSelectors(`{field: eventCategory, equals: [Management, Insight]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[0].equals",
			"readOnly, eventCategory and resources.type take one value; "+
				"write another advanced event selector for another value"),
		Entry("two resource types",
			fieldSelectors(
				`{field: eventCategory, equals: [Data]}`,
				`{field: resources.type, equals: ["AWS::S3::Object", "AWS::Lambda::Function"]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[1].equals",
			"write another advanced event selector for another value"),
		Entry("both values of readOnly",
			fieldSelectors(`{field: eventCategory, equals: [Management]}`, `{field: readOnly, equals: ["true", "false"]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[1].equals",
			"readOnly, eventCategory and resources.type take one value"),
		Entry("readOnly that is neither true nor false",
			fieldSelectors(`{field: eventCategory, equals: [Management]}`, `{field: readOnly, equals: ["yes"]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[1].equals", `readOnly must equal "true" or "false"`),
		Entry("readOnly without quotes",
			fieldSelectors(`{field: eventCategory, equals: [Management]}`, `{field: readOnly, equals: [true]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[1].equals[0]", "must be of type string"),
		Entry("501 values in advanced selectors", fieldSelectors(
			`{field: eventCategory, equals: [Management]}`,
			`{field: eventSource, notEquals: `+numbered(250, "s%d.amazonaws.com")+`}`,
			`{field: eventName, notStartsWith: `+numbered(250, "Name%d")+`}`),
			"spec.advancedEventSelectors", "at most 500 values in the conditions of all advanced event selectors together"),
		Entry("501 values of one operator", fieldSelectors(
			`{field: eventCategory, equals: [Management]}`,
			`{field: eventName, equals: `+numbered(501, "Name%d")+`}`),
			"spec.advancedEventSelectors[0].fieldSelectors[1].equals", "must have at most 500 items"),
		Entry("an insight twice", `insightSelectors: [{insightType: ApiCallRateInsight}, {insightType: ApiCallRateInsight}]`,
			"spec.insightSelectors[1]", `Duplicate value: {"insightType":"ApiCallRateInsight"}`),
		Entry("an insight without a type", `insightSelectors: [{eventCategories: [Data]}]`,
			"spec.insightSelectors[0].insightType", "Required value"),
		Entry("an unknown insight", `insightSelectors: [{insightType: CallRate}]`,
			"spec.insightSelectors[0].insightType", `supported values: "ApiCallRateInsight", "ApiErrorRateInsight"`),
		Entry("an insight of an unknown category",
			`insightSelectors: [{insightType: ApiCallRateInsight, eventCategories: [NetworkActivity]}]`,
			"spec.insightSelectors[0].eventCategories[0]", `supported values: "Management", "Data"`),
		Entry("an insight of no category", `insightSelectors: [{insightType: ApiCallRateInsight, eventCategories: []}]`,
			"spec.insightSelectors[0].eventCategories", "should have at least 1 items"),
		Entry("aggregation of management events",
			`aggregationConfigurations: [{eventCategory: Management, templates: [API_ACTIVITY]}]`,
			"spec.aggregationConfigurations[0].eventCategory", `supported values: "Data"`),
		Entry("aggregation by an unknown template", `aggregationConfigurations: [{eventCategory: Data, templates: [API]}]`,
			"spec.aggregationConfigurations[0].templates[0]",
			`supported values: "API_ACTIVITY", "RESOURCE_ACCESS", "USER_ACTIONS"`),
		Entry("aggregation without templates", `aggregationConfigurations: [{eventCategory: Data, templates: []}]`,
			"spec.aggregationConfigurations[0].templates", "should have at least 1 items"),
		Entry("50 tags, of which AWS would have to hold 51 with the owner tag",
			`tags: `+numbered(50, "{key: key-%d, value: v}"),
			"spec.tags", "must have at most 49 items"),
		Entry("a tag without a key", `tags: [{value: v}]`,
			"spec.tags[0].key", "Required value"),
		Entry("a tag with an empty key", `tags: [{key: "", value: v}]`,
			"spec.tags[0].key", "should be at least 1 chars long"),
		Entry("a tag key of 129 characters", `tags: [{key: `+strings.Repeat("k", 129)+`}]`,
			"spec.tags[0].key", "may not be more than 128"),
		Entry("a tag value of 257 characters", `tags: [{key: k, value: `+strings.Repeat("v", 257)+`}]`,
			"spec.tags[0].value", "may not be more than 256"),
		Entry("a tag key with a character that AWS refuses", `tags: [{key: team*}]`,
			"spec.tags[0].key", "a tag key may contain letters, digits, spaces and _ . : / = + - @ only"),
		Entry("a tag value with a character that AWS refuses", `tags: [{key: team, value: "a,b"}]`,
			"spec.tags[0].value", "a tag value may contain letters, digits, spaces and _ . : / = + - @ only"),
		Entry("a tag key of AWS", `tags: [{key: "aws:cloudformation:stack-name", value: s}]`,
			"spec.tags[0].key", "tag keys that begin with aws: are reserved by AWS; choose another key"),
		Entry("a tag key of AWS in capitals", `tags: [{key: "AWS:stack", value: s}]`,
			"spec.tags[0].key", "tag keys that begin with aws: are reserved by AWS; choose another key"),
		Entry("the operator's owner tag", `tags: [{key: trail-operator.dev/owner, value: me}]`,
			"spec.tags[0].key", "tag keys that begin with trail-operator.dev/ are the operator's own; choose another key"),
		Entry("a tag key twice", `tags: [{key: team, value: a}, {key: team, value: b}]`,
			"spec.tags[1]", `Duplicate value: {"key":"team"}`),
		Entry("tags as one string", `tags: "team=a"`,
			"spec.tags", "must be of type array"),
		Entry("an unknown managementPolicy", `managementPolicy: ReadOnly`,
			"spec.managementPolicy", `supported values: "Manage", "Observe"`),
		Entry("an unknown adoptionPolicy", `adoptionPolicy: Sometimes`,
			"spec.adoptionPolicy", `supported values: "Never", "IfUnowned", "Always"`),
		Entry("an unknown deletionPolicy", `deletionPolicy: Orphan`,
			"spec.deletionPolicy", `supported values: "Delete", "Retain"`),
		Entry("an interval without a unit", `interval: "60"`,
			"spec.interval", "interval must be a duration with units, such as 30s, 10m or 1h30m"),
		Entry("an interval as a number", `interval: 60`,
			"spec.interval", "must be of type string"),
		Entry("an interval in days", `interval: 1d`,
			"spec.interval", "interval must be a duration with units, such as 30s, 10m or 1h30m"),
		Entry("a negative interval", `interval: -10m`,
			"spec.interval", "interval must be a duration with units, such as 30s, 10m or 1h30m"),
		Entry("an empty interval", `interval: ""`,
			"spec.interval", "interval must be a duration with units, such as 30s, 10m or 1h30m"),
		Entry("an interval that no duration can hold", `interval: 9999999999h`,
			"spec.interval", "interval must be a duration with units, such as 30s, 10m or 1h30m"),
		Entry("a long interval of many parts", `interval: `+strings.Repeat("99999h", 5),
			"spec.interval", "interval must be between 10s and 24h"),
		Entry("an interval that is too short", `interval: 9.9s`,
			"spec.interval", "interval must be between 10s and 24h"),
		Entry("an interval that is too long", `interval: 24h1s`,
			"spec.interval", "interval must be between 10s and 24h"),
	)

	It("refuses two aggregations: there is one category only", func(ctx context.Context) {
		object := trail("refused", `aggregationConfigurations: [{eventCategory: Data, templates: [API_ACTIVITY]}, `+
			`{eventCategory: Data, templates: [USER_ACTIONS]}]`)
		Expect(complaints(apiserver.Create(ctx, object, client.DryRunAll))).To(ConsistOf(
			refusal{"spec.aggregationConfigurations", "Too many: 2: must have at most 1 item"},
			refusal{"spec.aggregationConfigurations[1]", `Duplicate value: {"eventCategory":"Data"}`},
		))
	})

	It("refuses a manifest without a spec", func(ctx context.Context) {
		object := trail("refused", "")
		unstructured.RemoveNestedField(object.Object, "spec")
		expectRefused(apiserver.Create(ctx, object, client.DryRunAll), "spec", "Required value")
	})

	DescribeTable("refuses under strict validation, and names,",
		func(ctx context.Context, spec, field string) {
			err := apiserver.Create(ctx, trail("refused", spec), client.DryRunAll)
			Expect(err).To(MatchError(ContainSubstring(`unknown field "` + field + `"`)))
		},
		Entry("an unknown field of the spec", `s3Bucketname: logs`, "spec.s3Bucketname"),
		Entry("an unknown field of a selector", `eventSelectors: [{readWriteTypes: All}]`,
			"spec.eventSelectors[0].readWriteTypes"),
		Entry("tags as a map", `tags: {team: a}`, "spec.tags.team"),
		Entry("an unknown operator", fieldSelectors(`{field: eventCategory, equals: [Management], matches: [x]}`),
			"spec.advancedEventSelectors[0].fieldSelectors[0].matches"),
		Entry("a role in the place of an identity",
			`identityRef: {name: default, roleARN: "`+logRole+`"}`, "spec.identityRef.roleARN"),
	)

	const unusableName = "metadata.name is not a valid trail name (3 to 128 characters, no two of . and - side by side, " +
		"not an IP address); set spec.name to the name of the trail"

	DescribeTable("looks at metadata.name when spec.name is absent, and refuses",
		func(ctx context.Context, name string) {
			expectRefused(apiserver.Create(ctx, trail(name, ""), client.DryRunAll), "spec.name", unusableName)
		},
		Entry("2 characters", "ab"),
		Entry("129 characters", strings.Repeat("a", 129)),
		Entry("two dashes side by side", "my--trail"),
		Entry("an IP address", "192.168.5.4"),
	)

	DescribeTable("looks at metadata.name when spec.name is absent, and accepts",
		func(ctx context.Context, name string) {
			Expect(apiserver.Create(ctx, trail(name, ""), client.DryRunAll)).To(Succeed())
		},
		Entry("3 characters", "abc"),
		Entry("128 characters", strings.Repeat("a", 128)),
		Entry("single periods and dashes", "main.trail-of.all"),
	)

	DescribeTable("does not mind metadata.name when spec.name is set:",
		func(ctx context.Context, name string) {
			Expect(apiserver.Create(ctx, trail(name, `name: main`), client.DryRunAll)).To(Succeed())
		},
		Entry("2 characters", "ab"),
		Entry("253 characters", strings.Repeat("a", 253)),
		Entry("two dashes side by side", "my--trail"),
		Entry("an IP address", "192.168.5.4"),
	)

	Describe("of a changed Trail", func() {
		// change creates a Trail with one spec and updates it to another.
		change := func(ctx context.Context, before, after string) error {
			GinkgoHelper()
			object := trail("changed", before)
			Expect(apiserver.Create(ctx, object)).To(Succeed())
			DeferCleanup(func(ctx context.Context) {
				Expect(apiserver.Delete(ctx, object)).To(Succeed())
			})
			update := object.DeepCopy()
			overlay(update, after)
			return apiserver.Update(ctx, update)
		}

		DescribeTable("accepts",
			func(ctx context.Context, before, after string) {
				Expect(change(ctx, before, after)).To(Succeed())
			},
			Entry("a name that is written out and stays the same", ``, `name: changed`),
			Entry("a name that is left out and stays the same", `name: changed`, `name: null`),
			Entry("the same region", `region: us-east-1`, `{region: us-east-1, s3BucketName: other-logs}`),
			Entry("another bucket", ``, `s3BucketName: other-logs`),
			Entry("another identity", ``, `identityRef: {name: other}`),
			Entry("advanced selectors in the place of basic ones", `eventSelectors: [{}]`,
				`{eventSelectors: null, `+fieldSelectors(`{field: eventCategory, equals: [Management]}`)+`}`),
		)

		const (
			immutableName = "the trail's name is immutable: AWS cannot rename a trail; " +
				"create a new Trail and delete this one"
			immutableRegion = "region is immutable: a trail cannot move; " +
				"create a new Trail in the other region and delete this one"
		)

		DescribeTable("refuses",
			func(ctx context.Context, before, after, field, message string) {
				expectRefused(change(ctx, before, after), field, message)
			},
			Entry("another name", `name: main`, `name: other`, "spec.name", immutableName),
			Entry("a name other than metadata.name", ``, `name: other`, "spec.name", immutableName),
			Entry("no name after another than metadata.name", `name: main`, `name: null`, "spec.name", immutableName),
			Entry("a name in another case", `name: main`, `name: Main`, "spec.name", immutableName),
			Entry("another region", `region: us-east-1`, `region: eu-west-1`, "spec.region", immutableRegion),
			Entry("a region after none", ``, `region: eu-west-1`, "spec.region", immutableRegion),
			Entry("no region after one", `region: us-east-1`, `region: null`, "spec.region", immutableRegion),
		)
	})
})
