package v1alpha1_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const role = `roleARN: "arn:aws:iam::444455556666:role/trail-operator"`

// queueOf is the URL of a queue without its name.
const queueOf = "https://sqs.eu-central-1.amazonaws.com/111122223333/"

var _ = Describe("Admission of an AWSIdentity", func() {
	DescribeTable("accepts, and leaves as written,",
		func(ctx context.Context, spec string) {
			expectAccepted(ctx, identity("accepted", spec))
		},
		Entry("the operator's own credentials, for nobody", ``),
		Entry("the operator's own credentials, for all namespaces", `allowedNamespaces: {from: All}`),
		Entry("a role", role),
		Entry("a role with a path", `roleARN: "arn:aws:iam::444455556666:role/ops/a:b/Trail_Operator+=,.@-"`),
		Entry("a role of China", `roleARN: "arn:aws-cn:iam::444455556666:role/r"`),
		Entry("a role of GovCloud", `roleARN: "arn:aws-us-gov:iam::444455556666:role/r"`),
		Entry("an external id with every kind of character", `{`+role+`, externalID: "Az09_+=,.@:/-"}`),
		Entry("the longest external id", `{`+role+`, externalID: "`+strings.Repeat("e", 1224)+`"}`),
		Entry("session tags", `{`+role+`, sessionTags: [{key: cluster, value: blue}, {key: team, value: ""}]}`),
		Entry("50 session tags", `{`+role+`, sessionTags: `+numbered(50, "{key: key-%d, value: v}")+`}`),
		Entry("namespaces by labels",
			`allowedNamespaces: {from: Selector, selector: {matchLabels: {example.com/audit: "true"}}}`),
		Entry("namespaces by expressions",
			`allowedNamespaces: {from: Selector, selector: {matchExpressions: [`+
				`{key: kubernetes.io/metadata.name, operator: In, values: [a, b]}]}}`),
		Entry("namespaces by an empty selector", `allowedNamespaces: {from: Selector, selector: {}}`),
		Entry("regions", `allowedRegions: [eu-central-1, us-gov-west-1, cn-north-1]`),
		Entry("100 regions", `allowedRegions: `+numbered(100, "us-east-%d")),
		Entry("a FIPS endpoint", `endpointURL: https://cloudtrail-fips.us-east-1.amazonaws.com`),
		Entry("a VPC endpoint with a port and a path",
			`endpointURL: "https://vpce-0a1b.cloudtrail.us-east-1.vpce.amazonaws.com:8443/aws"`),
		Entry("an endpoint without TLS", `endpointURL: "http://localhost:5000"`),
		Entry("an endpoint by IPv6 address", `endpointURL: "https://[2001:db8::1]:8443"`),
		Entry("a queue", `eventQueueURL: https://sqs.eu-central-1.amazonaws.com/111122223333/trail-operator`),
		Entry("a queue of China", `eventQueueURL: https://sqs.cn-north-1.amazonaws.com.cn/111122223333/trail-operator`),
		Entry("a queue of GovCloud", `eventQueueURL: https://sqs.us-gov-west-1.amazonaws.com/111122223333/trail-operator`),
		Entry("a queue at a FIPS endpoint", `eventQueueURL: https://sqs-fips.us-east-1.amazonaws.com/111122223333/q`),
		Entry("a queue at a legacy endpoint", `eventQueueURL: https://eu-west-1.queue.amazonaws.com/111122223333/q`),
		Entry("a queue at a VPC endpoint",
			`eventQueueURL: https://vpce-0a1b2c-3d4e.sqs.eu-west-1.vpce.amazonaws.com/111122223333/trail-operator`),
		Entry("a queue of an emulator, without TLS", `eventQueueURL: "http://localhost:4566/111122223333/trail-operator"`),
		Entry("a queue by IPv6 address", `eventQueueURL: "https://[2001:db8::1]:8443/111122223333/trail-operator"`),
		Entry("a queue name with every kind of character",
			`eventQueueURL: https://sqs.eu-central-1.amazonaws.com/111122223333/Az-09_`),
		Entry("a queue with the longest name", `eventQueueURL: `+queueOf+strings.Repeat("q", 80)),
		Entry("a queue beside a role", `{`+role+`, eventQueueURL: `+queueOf+`q}`),
	)

	const (
		roleForm     = "roleARN must be the ARN of an IAM role, such as arn:aws:iam::444455556666:role/trail-operator"
		regionForm   = "allowedRegions must be AWS region codes, such as eu-central-1"
		endpointForm = "endpointURL must be a URL with a scheme and a host, " +
			"such as https://cloudtrail-fips.us-east-1.amazonaws.com"
		queueForm = "eventQueueURL must be the URL of a standard SQS queue, such as " +
			"https://sqs.eu-central-1.amazonaws.com/111122223333/trail-operator; FIFO queues are not supported"
	)

	DescribeTable("refuses",
		func(ctx context.Context, spec, field, message string) {
			expectRefused(apiserver.Create(ctx, identity("refused", spec), client.DryRunAll), field, message)
		},
		Entry("a role by name", `roleARN: trail-operator`, "spec.roleARN", roleForm),
		Entry("an empty role", `roleARN: ""`, "spec.roleARN", roleForm),
		Entry("a user", `roleARN: "arn:aws:iam::444455556666:user/me"`, "spec.roleARN", roleForm),
		Entry("an assumed role", `roleARN: "arn:aws:sts::444455556666:assumed-role/trail-operator/session"`,
			"spec.roleARN", roleForm),
		Entry("a role of an account with 11 digits", `roleARN: "arn:aws:iam::44445555666:role/r"`, "spec.roleARN", roleForm),
		Entry("a role with a region", `roleARN: "arn:aws:iam:us-east-1:444455556666:role/r"`, "spec.roleARN", roleForm),
		Entry("a role without a name", `roleARN: "arn:aws:iam::444455556666:role/"`, "spec.roleARN", roleForm),
		Entry("a role that is too long", `roleARN: "arn:aws:iam::444455556666:role/`+strings.Repeat("r", 2048)+`"`,
			"spec.roleARN", "may not be more than 2048"),
		Entry("an external id without a role", `externalID: secret`,
			"spec.externalID", "externalID requires roleARN: it is used only to assume a role"),
		Entry("an external id of 1 character", `{`+role+`, externalID: e}`,
			"spec.externalID", "should be at least 2 chars long"),
		Entry("an external id of 1225 characters", `{`+role+`, externalID: "`+strings.Repeat("e", 1225)+`"}`,
			"spec.externalID", "may not be more than 1224"),
		Entry("an external id with a space", `{`+role+`, externalID: my id}`,
			"spec.externalID", "externalID may contain letters, digits and _ + = , . @ : / - only"),
		Entry("session tags without a role", `sessionTags: [{key: k, value: v}]`,
			"spec.sessionTags", "sessionTags require roleARN: they are used only to assume a role"),
		Entry("51 session tags", `{`+role+`, sessionTags: `+numbered(51, "{key: key-%d, value: v}")+`}`,
			"spec.sessionTags", "must have at most 50 items"),
		Entry("a session tag twice", `{`+role+`, sessionTags: [{key: k, value: a}, {key: k, value: b}]}`,
			"spec.sessionTags[1]", `Duplicate value: {"key":"k"}`),
		Entry("a session tag without a key", `{`+role+`, sessionTags: [{value: v}]}`,
			"spec.sessionTags[0].key", "Required value"),
		Entry("a session tag with an empty key", `{`+role+`, sessionTags: [{key: "", value: v}]}`,
			"spec.sessionTags[0].key", "should be at least 1 chars long"),
		Entry("a session tag key of 129 characters",
			`{`+role+`, sessionTags: [{key: `+strings.Repeat("k", 129)+`, value: v}]}`,
			"spec.sessionTags[0].key", "may not be more than 128"),
		Entry("a session tag value of 257 characters",
			`{`+role+`, sessionTags: [{key: k, value: `+strings.Repeat("v", 257)+`}]}`,
			"spec.sessionTags[0].value", "may not be more than 256"),
		Entry("a session tag of AWS", `{`+role+`, sessionTags: [{key: "Aws:k", value: v}]}`,
			"spec.sessionTags[0].key", "tag keys that begin with aws: are reserved by AWS; choose another key"),
		Entry("a session tag key with a character that AWS refuses", `{`+role+`, sessionTags: [{key: "team*", value: v}]}`,
			"spec.sessionTags[0].key", "a tag key may contain letters, digits, spaces and _ . : / = + - @ only"),
		Entry("a session tag value with a character that AWS refuses", `{`+role+`, sessionTags: [{key: team, value: "a,b"}]}`,
			"spec.sessionTags[0].value", "a tag value may contain letters, digits, spaces and _ . : / = + - @ only"),
		Entry("allowed namespaces without from", `allowedNamespaces: {}`,
			"spec.allowedNamespaces.from", "Required value"),
		Entry("an unknown from", `allowedNamespaces: {from: Same}`,
			"spec.allowedNamespaces.from", `supported values: "All", "Selector"`),
		Entry("from Selector without a selector", `allowedNamespaces: {from: Selector}`,
			"spec.allowedNamespaces.selector", "selector is required with from: Selector, and not allowed otherwise"),
		Entry("a selector with from All", `allowedNamespaces: {from: All, selector: {matchLabels: {a: b}}}`,
			"spec.allowedNamespaces.selector", "selector is required with from: Selector, and not allowed otherwise"),
		Entry("a region by its title", `allowedRegions: [Frankfurt]`, "spec.allowedRegions[0]", regionForm),
		Entry("an availability zone as region", `allowedRegions: [eu-central-1, us-east-1a]`,
			"spec.allowedRegions[1]", regionForm),
		Entry("a pattern of regions", `allowedRegions: ["eu-*"]`, "spec.allowedRegions[0]", regionForm),
		Entry("an empty region", `allowedRegions: [""]`, "spec.allowedRegions[0]", regionForm),
		Entry("a region twice", `allowedRegions: [eu-west-1, eu-west-1]`,
			"spec.allowedRegions[1]", `Duplicate value: "eu-west-1"`),
		Entry("no region at all", `allowedRegions: []`, "spec.allowedRegions", "should have at least 1 items"),
		Entry("101 regions", `allowedRegions: `+numbered(101, "us-east-%d"),
			"spec.allowedRegions", "must have at most 100 items"),
		Entry("an endpoint without a scheme", `endpointURL: cloudtrail-fips.us-east-1.amazonaws.com`,
			"spec.endpointURL", endpointForm),
		Entry("an endpoint of another scheme", `endpointURL: "ftp://cloudtrail.us-east-1.amazonaws.com"`,
			"spec.endpointURL", endpointForm),
		Entry("an endpoint without a host", `endpointURL: "https://"`, "spec.endpointURL", endpointForm),
		Entry("a path as endpoint", `endpointURL: /cloudtrail`, "spec.endpointURL", endpointForm),
		Entry("an empty endpoint", `endpointURL: ""`, "spec.endpointURL", endpointForm),
		Entry("an endpoint that is too long", `endpointURL: "https://`+strings.Repeat("e", 2048)+`"`,
			"spec.endpointURL", "may not be more than 2048"),
		Entry("a FIFO queue", `eventQueueURL: `+queueOf+`events.fifo`, "spec.eventQueueURL", queueForm),
		Entry("a queue without an account", `eventQueueURL: https://sqs.eu-central-1.amazonaws.com/events`,
			"spec.eventQueueURL", queueForm),
		Entry("a queue of an account with 11 digits",
			`eventQueueURL: https://sqs.eu-central-1.amazonaws.com/11112222333/events`, "spec.eventQueueURL", queueForm),
		Entry("a queue without a name", `eventQueueURL: `+queueOf, "spec.eventQueueURL", queueForm),
		Entry("a queue with a name of 81 characters", `eventQueueURL: `+queueOf+strings.Repeat("q", 81),
			"spec.eventQueueURL", queueForm),
		Entry("a queue with a query", `eventQueueURL: `+queueOf+`events?Action=SendMessage`,
			"spec.eventQueueURL", queueForm),
		Entry("a queue with a fragment", `eventQueueURL: `+queueOf+`events#1`, "spec.eventQueueURL", queueForm),
		Entry("a queue with a slash at the end", `eventQueueURL: `+queueOf+`events/`, "spec.eventQueueURL", queueForm),
		Entry("a queue with user information",
			`eventQueueURL: https://me:secret@sqs.eu-central-1.amazonaws.com/111122223333/events`,
			"spec.eventQueueURL", queueForm),
		Entry("a queue by ARN", `eventQueueURL: "arn:aws:sqs:eu-central-1:111122223333:events"`,
			"spec.eventQueueURL", queueForm),
		Entry("a queue by name", `eventQueueURL: events`, "spec.eventQueueURL", queueForm),
		Entry("a queue without a scheme", `eventQueueURL: sqs.eu-central-1.amazonaws.com/111122223333/events`,
			"spec.eventQueueURL", queueForm),
		Entry("a queue of another scheme", `eventQueueURL: ftp://sqs.eu-central-1.amazonaws.com/111122223333/events`,
			"spec.eventQueueURL", queueForm),
		Entry("a queue without a host", `eventQueueURL: https:///111122223333/events`, "spec.eventQueueURL", queueForm),
		Entry("a queue with a port that is none", `eventQueueURL: "https://localhost:queue/111122223333/events"`,
			"spec.eventQueueURL", queueForm),
		Entry("a queue with spaces around it", `eventQueueURL: " `+queueOf+`events "`, "spec.eventQueueURL", queueForm),
		Entry("a queue with a line break", `eventQueueURL: "`+queueOf+`events\n"`, "spec.eventQueueURL", queueForm),
		Entry("an empty queue", `eventQueueURL: ""`, "spec.eventQueueURL", queueForm),
		Entry("a queue that is too long", `eventQueueURL: https://`+strings.Repeat("h", 512)+`/111122223333/events`,
			"spec.eventQueueURL", "may not be more than 512"),
	)

	It("refuses unknown fields under strict validation", func(ctx context.Context) {
		err := apiserver.Create(ctx, identity("refused", `roleArn: "arn:aws:iam::444455556666:role/r"`), client.DryRunAll)
		Expect(err).To(MatchError(ContainSubstring(`unknown field "spec.roleArn"`)))
	})
})
