package v1alpha1_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// validation is a LogFileValidation of a Trail with a spec in YAML.
func validation(name, spec string) *unstructured.Unstructured {
	GinkgoHelper()
	object := parse(`
apiVersion: trail-operator.dev/v1alpha1
kind: LogFileValidation
metadata:
  namespace: default
spec: {trailRef: {name: audit}}
`)
	object.SetName(name)
	overlay(object, spec)
	return object
}

const (
	byARN  = `trailRef: null, trailARN: "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit_1.a-b"`
	range1 = `startTime: "2026-01-01T00:00:00Z", endTime: "2026-01-02T00:00:00Z"`
)

var _ = Describe("Admission of a LogFileValidation", func() {
	DescribeTable("accepts, and leaves as written,",
		func(ctx context.Context, spec string) { expectAccepted(ctx, validation("accepted", spec)) },
		Entry("a Trail alone", `{}`),
		Entry("an ARN alone", `{`+byARN+`}`),
		Entry("an ARN of China", `{trailRef: null, trailARN: "arn:aws-cn:cloudtrail:cn-north-1:111122223333:trail/audit"}`),
		Entry("all parts of a continuous one", `{`+byARN+`, identityRef: {name: archive}, s3BucketName: logs.example,
			s3KeyPrefix: a/b c, organization: true, mode: Sample, samplePercent: 100, startTime: "2026-01-01T00:00:00Z",
			interval: 1h30m, suspend: true}`),
		Entry("a range", `{`+range1+`, mode: Full, ttlSecondsAfterFinished: 0}`),
		Entry("the shortest interval", `{interval: 1m}`),
		Entry("the longest interval", `{interval: 24h}`),
	)

	DescribeTable(
		"refuses",
		func(ctx context.Context, spec, field, message string) {
			expectRefused(apiserver.Create(ctx, validation("refused", spec), client.DryRunAll), field, message)
		},
		Entry(
			"no trail",
			`{trailRef: null}`,
			"spec.trailRef",
			"name the trail by trailRef or by trailARN: exactly one of them",
		),
		Entry("two trails", `{trailARN: "arn:aws:cloudtrail:us-east-1:111122223333:trail/audit"}`,
			"spec.trailRef", "exactly one of them"),
		Entry("a Trail without a name", `{trailRef: {name: ""}}`, "spec.trailRef.name", "should be at least 1 chars long"),
		Entry("the ARN of something else", `{trailRef: null, trailARN: "arn:aws:s3:::logs"}`,
			"spec.trailARN", "trailARN must be the ARN of a trail"),
		Entry("a bucket for a Trail", `{s3BucketName: logs}`, "spec.s3BucketName", "a Trail says itself where it delivers"),
		Entry("a bucket that is none", `{`+byARN+`, s3BucketName: Logs}`, "spec.s3BucketName", "a-z 0-9 . - only"),
		Entry("a prefix without a bucket", `{`+byARN+`, s3KeyPrefix: a}`, "spec.s3KeyPrefix", "set both, or neither"),
		Entry("an organization without a bucket", `{`+byARN+`, organization: true}`,
			"spec.organization", "remove organization"),
		Entry("an unknown mode", `{mode: Quick}`, "spec.mode", `supported values: "Digests", "Existence", "Sample", "Full"`),
		Entry("a sample of no size", `{mode: Sample}`, "spec.samplePercent", "samplePercent goes with mode Sample"),
		Entry("a size without a sample", `{samplePercent: 5}`, "spec.samplePercent", "samplePercent goes with mode Sample"),
		Entry("a sample of nothing", `{mode: Sample, samplePercent: 0}`, "spec.samplePercent", "greater than or equal to 1"),
		Entry(
			"a sample of more than all",
			`{mode: Sample, samplePercent: 101}`,
			"spec.samplePercent",
			"less than or equal to 100",
		),
		Entry("an end alone", `{endTime: "2026-01-01T00:00:00Z"}`, "spec.startTime", "a range has a beginning"),
		Entry("an end before the start", `{startTime: "2026-01-02T00:00:00Z", endTime: "2026-01-01T00:00:00Z"}`,
			"spec.startTime", "startTime must be before endTime"),
		Entry("an end at the start, in another time zone",
			`{startTime: "2026-01-01T12:00:00Z", endTime: "2026-01-01T13:00:00+01:00"}`,
			"spec.startTime", "startTime must be before endTime"),
		Entry("no time", `{startTime: yesterday}`, "spec.startTime", notATime),
		Entry("an interval for a range", `{`+range1+`, interval: 1h}`, "spec.interval", "a range is validated once"),
		Entry("a time to live without an end", `{ttlSecondsAfterFinished: 5}`,
			"spec.ttlSecondsAfterFinished", "never finishes"),
		Entry("an interval without a unit", `{interval: "60"}`, "spec.interval", "interval must be a duration with units"),
		Entry("too short an interval", `{interval: 59s}`, "spec.interval", "interval must be between 1m and 24h"),
		Entry("too long an interval", `{interval: 24h1s}`, "spec.interval", "interval must be between 1m and 24h"),
	)

	change := func(ctx context.Context, before, after string) error {
		GinkgoHelper()
		object := validation("changed", before)
		Expect(apiserver.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(apiserver.Delete(ctx, object)).To(Succeed()) })
		overlay(object, after)
		return apiserver.Update(ctx, object, client.DryRunAll)
	}

	DescribeTable("lets change",
		func(ctx context.Context, before, after string) { Expect(change(ctx, before, after)).To(Succeed()) },
		Entry("how a continuous one validates", `{}`,
			`{mode: Sample, samplePercent: 5, interval: 2h, identityRef: {name: other}, suspend: true}`),
		Entry("the start, forward", `{startTime: "2026-01-01T00:00:00Z"}`, `{startTime: "2026-01-01T01:00:00Z"}`),
		Entry("a start that was not there", `{}`, `{startTime: "2026-01-01T01:00:00Z"}`),
		Entry("the place of a trail", `{`+byARN+`}`, `{s3BucketName: logs, organization: true}`),
		Entry("whether a range is suspended, and how long it is kept", `{`+range1+`}`,
			`{suspend: true, ttlSecondsAfterFinished: 5}`),
	)

	DescribeTable("does not let change",
		func(ctx context.Context, before, after, field, message string) {
			expectRefused(change(ctx, before, after), field, message)
		},
		Entry("the Trail", `{}`, `{trailRef: {name: other}}`, "spec.trailRef", "the trail is immutable"),
		Entry("a Trail to its ARN", `{}`, `{`+byARN+`}`, "spec.trailRef", "the trail is immutable"),
		Entry("the end", `{`+range1+`}`, `{endTime: "2026-01-03T00:00:00Z"}`, "spec.endTime", "endTime is immutable"),
		Entry("whether there is an end", `{startTime: "2026-01-01T00:00:00Z"}`, `{endTime: "2026-01-03T00:00:00Z"}`,
			"spec.endTime", "endTime is immutable"),
		Entry("the start, back", `{startTime: "2026-01-01T01:00:00Z"}`, `{startTime: "2026-01-01T01:30:00+01:00"}`,
			"spec.startTime", "startTime can only move forward"),
		Entry("whether there is a start", `{startTime: "2026-01-01T01:00:00Z"}`, `{startTime: null}`,
			"spec.startTime", "startTime can only move forward"),
		Entry("the mode of a range", `{`+range1+`}`, `{mode: Full}`, "spec", "a range is validated once"),
		Entry("the identity of a range", `{`+range1+`}`, `{identityRef: {name: a}}`, "spec", "a range is validated once"),
	)
})
