package v1alpha1_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// lookup is an EventLookup with a spec in YAML.
func lookup(name, spec string) *unstructured.Unstructured {
	GinkgoHelper()
	object := parse(`
apiVersion: trail-operator.dev/v1alpha1
kind: EventLookup
metadata:
  namespace: default
spec: {}
`)
	object.SetName(name)
	overlay(object, spec)
	return object
}

var _ = Describe("Admission of an EventLookup", func() {
	DescribeTable("accepts, and leaves as written,",
		func(ctx context.Context, spec string) {
			expectAccepted(ctx, lookup("accepted", spec))
		},
		Entry("nothing at all", ``),
		Entry("an identity and a region", `{identityRef: {name: production}, region: us-gov-west-1}`),
		Entry("an attribute", `attribute: {key: EventName, value: StopLogging}`),
		Entry("the longest value of an attribute", `attribute: {key: ResourceName, value: `+strings.Repeat("v", 2000)+`}`),
		Entry("reads only", `attribute: {key: ReadOnly, value: "true"}`),
		Entry("a time", `{startTime: "2026-01-01T00:00:00Z", endTime: "2026-01-02T00:00:00Z"}`),
		Entry("a time without an end", `startTime: "2026-01-01T00:00:00Z"`),
		Entry("a time before an end", `{endTime: "2026-01-02T00:00:00Z", since: 1h}`),
		Entry("since some days", `since: 7d`),
		Entry("since some hours", `since: 36h`),
		Entry("since days, hours, minutes and seconds", `since: 1d12h30m10s`),
		Entry("since the longest time", `since: 90d`),
		Entry("since the longest time in several units", `since: 89d24h`),
		Entry("since the longest time in seconds", `since: 7776000s`),
		Entry("1 result, kept for no time", `{maxResults: 1, ttlSecondsAfterFinished: 0}`),
		Entry("1000 results", `maxResults: 1000`),
	)

	const (
		sinceForm = "since must be a number of days, hours, minutes or seconds, such as 7d, 36h or 1d12h"
		sinceMax  = "since must be at most 90d: CloudTrail's event history goes no further back"
	)

	DescribeTable("refuses",
		func(ctx context.Context, spec, field, message string) {
			expectRefused(apiserver.Create(ctx, lookup("refused", spec), client.DryRunAll), field, message)
		},
		Entry("an identityRef without a name", `identityRef: {}`, "spec.identityRef.name", "Required value"),
		Entry("a region that is none", `region: Frankfurt`, "spec.region", "region must be an AWS region code, such as eu-central-1"),
		Entry("an attribute without a key", `attribute: {value: v}`, "spec.attribute.key", "Required value"),
		Entry("an attribute without a value", `attribute: {key: EventName}`, "spec.attribute.value", "Required value"),
		Entry("an attribute with an empty value", `attribute: {key: EventName, value: ""}`, "spec.attribute.value", "should be at least 1 chars long"),
		Entry("an attribute with a value of 2001 characters", `attribute: {key: EventName, value: `+strings.Repeat("v", 2001)+`}`,
			"spec.attribute.value", "may not be more than 2000"),
		Entry("an attribute that cannot be looked for", `attribute: {key: SourceIPAddress, value: "192.0.2.1"}`,
			"spec.attribute.key", `supported values: "EventId", "EventName", "ReadOnly", "Username"`),
		Entry("ReadOnly that is neither true nor false", `attribute: {key: ReadOnly, value: "yes"}`,
			"spec.attribute.value", `the value of ReadOnly is "true" or "false"`),
		Entry("a time that is none", `startTime: yesterday`, "spec.startTime", "must be of type date-time"),
		Entry("a start after the end", `{startTime: "2026-01-02T00:00:00Z", endTime: "2026-01-01T00:00:00Z"}`,
			"spec.startTime", "startTime must be before endTime"),
		Entry("a start at the end", `{startTime: "2026-01-01T00:00:00Z", endTime: "2026-01-01T00:00:00Z"}`,
			"spec.startTime", "startTime must be before endTime"),
		Entry("both ways to say the start", `{startTime: "2026-01-01T00:00:00Z", since: 1h}`,
			"spec.since", "since and startTime exclude each other: keep one of them"),
		Entry("since without a unit", `since: "7"`, "spec.since", sinceForm),
		Entry("since in weeks", `since: 1w`, "spec.since", sinceForm),
		Entry("since with a fraction", `since: 1.5h`, "spec.since", sinceForm),
		Entry("since in the wrong order", `since: 1h1d`, "spec.since", sinceForm),
		Entry("since nothing", `since: 0d`, "spec.since", sinceForm),
		Entry("since an empty string", `since: ""`, "spec.since", sinceForm),
		Entry("since 91 days", `since: 91d`, "spec.since", sinceMax),
		Entry("since a second more than 90 days", `since: 90d1s`, "spec.since", sinceMax),
		Entry("since more than 90 days in hours", `since: 2161h`, "spec.since", sinceMax),
		Entry("since more than 90 days with zeros", `since: 90d0h1m`, "spec.since", sinceMax),
		Entry("no result", `maxResults: 0`, "spec.maxResults", "should be greater than or equal to 1"),
		Entry("1001 results", `maxResults: 1001`, "spec.maxResults", "should be less than or equal to 1000"),
		Entry("a time in the past to be deleted at", `ttlSecondsAfterFinished: -1`,
			"spec.ttlSecondsAfterFinished", "should be greater than or equal to 0"),
	)

	DescribeTable("refuses a change of",
		func(ctx context.Context, before, after string) {
			object := lookup("changed", before)
			Expect(apiserver.Create(ctx, object)).To(Succeed())
			DeferCleanup(func(ctx context.Context) {
				Expect(apiserver.Delete(ctx, object)).To(Succeed())
			})
			update := object.DeepCopy()
			overlay(update, after)
			expectRefused(apiserver.Update(ctx, update), "spec", "an EventLookup is run once and is immutable: create a new one")
		},
		Entry("the time", `since: 1h`, `since: 2h`),
		Entry("the attribute", ``, `attribute: {key: EventName, value: StopLogging}`),
		Entry("the region", `region: us-east-1`, `region: null`),
	)
})
