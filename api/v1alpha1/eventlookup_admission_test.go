package v1alpha1_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
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

// notATime is what the API server says of a text that is no time.
const notATime = "a time must be a date of the years 2000 to 2099, T, a time of day, and Z or an offset from UTC, " +
	"such as 2026-01-02T03:04:05Z or 2026-01-02T04:04:05+01:00"

var _ = Describe("Admission of an EventLookup", func() {
	DescribeTable("accepts, and leaves as written,",
		func(ctx context.Context, spec string) {
			expectAccepted(ctx, lookup("accepted", spec))
		},
		Entry("an empty question", `{}`),
		Entry("a question of all parts", `{
			identityRef: {name: production}, region: us-east-1, attribute: {key: EventName, value: StopLogging},
			startTime: "2026-01-01T00:00:00Z", endTime: "2026-01-02T00:00:00Z",
			maxResults: 500, ttlSecondsAfterFinished: 3600}`),
		Entry("an event id", `attribute: {key: EventId, value: 00000000-0000-0000-0000-000000000000}`),
		Entry("an event name", `attribute: {key: EventName, value: StopLogging}`),
		Entry("reads", `attribute: {key: ReadOnly, value: "true"}`),
		Entry("writes", `attribute: {key: ReadOnly, value: "false"}`),
		Entry("a user", `attribute: {key: Username, value: mallory}`),
		Entry("a type of resources", `attribute: {key: ResourceType, value: "AWS::CloudTrail::Trail"}`),
		Entry("a resource", `attribute: {key: ResourceName, value: "arn:aws:cloudtrail:us-east-1:111122223333:trail/audit"}`),
		Entry("an event source", `attribute: {key: EventSource, value: cloudtrail.amazonaws.com}`),
		Entry("an access key", `attribute: {key: AccessKeyId, value: AKIAIOSFODNN7EXAMPLE}`),
		Entry("a value of 1 character", `attribute: {key: Username, value: m}`),
		Entry("a value of 2000 characters", `attribute: {key: Username, value: `+strings.Repeat("m", 2000)+`}`),
		Entry("a start alone", `startTime: "2026-01-01T00:00:00Z"`),
		Entry("an end alone", `endTime: "2026-01-01T00:00:00Z"`),
		Entry("an end that is a second after the start",
			`{startTime: "2026-01-01T00:00:00Z", endTime: "2026-01-01T00:00:01Z"}`),
		Entry("a time with an offset", `startTime: "2026-01-02T04:04:05+01:00"`),
		Entry("a time west of Greenwich", `endTime: "2026-01-01T18:34:05-08:30"`),
		Entry("a time with milliseconds, as programs write it", `startTime: "2026-01-02T03:04:05.000Z"`),
		Entry("a time with nanoseconds", `endTime: "2026-01-02T03:04:05.123456789Z"`),
		Entry("a leap day", `startTime: "2028-02-29T00:00:00Z"`),
		Entry("the last day of each month", `{startTime: "2026-04-30T23:59:59Z", endTime: "2026-12-31T23:59:59Z"}`),
		Entry("since with an end", `{since: 7d, endTime: "2026-01-01T00:00:00Z"}`),
		Entry("since in seconds", `since: 90s`),
		Entry("since in all units", `since: 1d2h3m4s`),
		Entry("since as far back as the history goes, in days", `since: 90d`),
		Entry("since as far back as the history goes, in hours", `since: 2160h`),
		Entry("1 result", `maxResults: 1`),
		Entry("1000 results", `maxResults: 1000`),
		Entry("deletion at once", `ttlSecondsAfterFinished: 0`),
	)

	DescribeTable("refuses",
		func(ctx context.Context, spec, field, message string) {
			expectRefused(apiserver.Create(ctx, lookup("refused", spec), client.DryRunAll), field, message)
		},
		Entry("a region that is none", `region: Frankfurt`,
			"spec.region", "region must be an AWS region code, such as eu-central-1"),
		Entry("an identity without a name", `identityRef: {name: ""}`,
			"spec.identityRef.name", "should be at least 1 chars long"),
		Entry("an unknown attribute", `attribute: {key: Region, value: us-east-1}`,
			"spec.attribute.key", `supported values: "EventId", "EventName", "ReadOnly", "Username", `+
				`"ResourceType", "ResourceName", "EventSource", "AccessKeyId"`),
		Entry("an attribute without a key", `attribute: {value: StopLogging}`, "spec.attribute.key", "Required value"),
		Entry("an attribute without a value", `attribute: {key: EventName}`, "spec.attribute.value", "Required value"),
		Entry("an empty value", `attribute: {key: EventName, value: ""}`,
			"spec.attribute.value", "should be at least 1 chars long"),
		Entry("a value of 2001 characters", `attribute: {key: EventName, value: `+strings.Repeat("m", 2001)+`}`,
			"spec.attribute.value", "may not be more than 2000"),
		Entry("ReadOnly that is neither true nor false", `attribute: {key: ReadOnly, value: "yes"}`,
			"spec.attribute.value", `the value of ReadOnly must be "true" or "false"`),
		Entry("an end before the start", `{startTime: "2026-01-02T00:00:00Z", endTime: "2026-01-01T00:00:00Z"}`,
			"spec.startTime", "startTime must be before endTime"),
		Entry("an end at the start", `{startTime: "2026-01-01T00:00:00Z", endTime: "2026-01-01T00:00:00Z"}`,
			"spec.startTime", "startTime must be before endTime"),
		Entry("an end before the start, in another time zone",
			`{startTime: "2026-01-01T12:00:00Z", endTime: "2026-01-01T12:30:00+01:00"}`,
			"spec.startTime", "startTime must be before endTime"),
		Entry("no time", `startTime: yesterday`, "spec.startTime", notATime),
		Entry("the empty string for a time", `endTime: ""`, "spec.endTime", notATime),
		Entry("a date without a time of day", `startTime: "2026-01-02"`, "spec.startTime", notATime),
		Entry("a time without an offset", `startTime: "2026-01-02T03:04:05"`, "spec.startTime", notATime),
		Entry("a time in lower case", `startTime: "2026-01-02t03:04:05z"`, "spec.startTime", notATime),
		Entry("a time with a blank", `endTime: "2026-01-02 03:04:05Z"`, "spec.endTime", notATime),
		Entry("a time with something in it", `startTime: "2026-01-02T03:04:05x1Z"`, "spec.startTime", notATime),
		Entry("a time with something after it", `endTime: "2026-01-02T03:04:05Z\n"`, "spec.endTime", notATime),
		Entry("a time with an offset that there is not", `startTime: "2026-01-02T03:04:05+99:99"`,
			"spec.startTime", notATime),
		Entry("a time with an hour of one digit", `startTime: "2026-01-02T3:04:05Z"`, "spec.startTime", notATime),
		Entry("a time with a comma", `startTime: "2026-01-02T03:04:05,5Z"`, "spec.startTime", notATime),
		Entry("a leap second", `startTime: "2016-12-31T23:59:60Z"`, "spec.startTime", notATime),
		Entry("a day that the month has not", `startTime: "2026-04-31T00:00:00Z"`, "spec.startTime", notATime),
		Entry("a leap day of another year", `startTime: "2026-02-29T00:00:00Z"`, "spec.startTime", notATime),
		Entry("a month that there is not", `startTime: "2026-13-01T00:00:00Z"`, "spec.startTime", notATime),
		Entry("a year before CloudTrail", `startTime: "1999-12-31T23:59:59Z"`, "spec.startTime", notATime),
		Entry("a year far away", `endTime: "2100-01-01T00:00:00Z"`, "spec.endTime", notATime),
		Entry("a list for a time", `startTime: ["2026-01-02T03:04:05Z"]`, "spec.startTime", "must be of type string"),
		Entry("a number for a time", `startTime: 1767323045`, "spec.startTime", "must be of type string"),
		Entry("since and a start", `{since: 7d, startTime: "2026-01-01T00:00:00Z"}`,
			"spec.since", "since and startTime are mutually exclusive: keep one of them"),
		Entry("since without a unit", `since: "7"`,
			"spec.since", "since must be a number of days, hours, minutes or seconds, such as 7d, 36h or 1d12h"),
		Entry("since in weeks", `since: 1w`, "spec.since", "such as 7d, 36h or 1d12h"),
		Entry("since with a sign", `since: -7d`, "spec.since", "such as 7d, 36h or 1d12h"),
		Entry("since in the wrong order", `since: 12h1d`, "spec.since", "such as 7d, 36h or 1d12h"),
		Entry("since nothing", `since: 0s`, "spec.since", "such as 7d, 36h or 1d12h"),
		Entry("since the empty string", `since: ""`, "spec.since", "such as 7d, 36h or 1d12h"),
		Entry("since longer than the history", `since: 91d`,
			"spec.since", "since must be at most 90d: CloudTrail's event history goes no further back"),
		Entry("since a second longer than the history", `since: 90d1s`, "spec.since", "since must be at most 90d"),
		Entry("since longer than the history, in hours", `since: 2161h`, "spec.since", "since must be at most 90d"),
		Entry("no results", `maxResults: 0`, "spec.maxResults", "should be greater than or equal to 1"),
		Entry("1001 results", `maxResults: 1001`, "spec.maxResults", "should be less than or equal to 1000"),
		Entry("a time to live that no one will see the end of", `ttlSecondsAfterFinished: 3000000000`,
			"spec.ttlSecondsAfterFinished", "should be less than or equal to 2147483647"),
		Entry("a negative time to live", `ttlSecondsAfterFinished: -1`,
			"spec.ttlSecondsAfterFinished", "should be greater than or equal to 0"),
	)

	It("refuses a manifest without a spec", func(ctx context.Context) {
		object := lookup("refused", `{}`)
		unstructured.RemoveNestedField(object.Object, "spec")
		expectRefused(apiserver.Create(ctx, object, client.DryRunAll), "spec", "Required value")
	})

	DescribeTable("is immutable, and refuses",
		func(ctx context.Context, before, after string) {
			object := lookup("immutable", before)
			Expect(apiserver.Create(ctx, object)).To(Succeed())
			DeferCleanup(func(ctx context.Context) { Expect(apiserver.Delete(ctx, lookup("immutable", `{}`))).To(Succeed()) })
			overlay(object, after)
			expectRefused(
				apiserver.Update(ctx, object),
				"spec",
				"an EventLookup runs once, so its spec is immutable: create a new one",
			)
		},
		Entry("another value", `attribute: {key: EventName, value: StopLogging}`,
			`attribute: {key: EventName, value: DeleteTrail}`),
		Entry("a part that was not there", `{}`, `maxResults: 5`),
		Entry("to lose a part", `{since: 7d}`, `since: null`),
		Entry("another time to live", `ttlSecondsAfterFinished: 5`, `ttlSecondsAfterFinished: 6`),
	)

	It("lets metadata change", func(ctx context.Context) {
		object := lookup("with-labels", `{startTime: "2026-01-01T01:00:00.5+01:00", endTime: "2026-01-02T00:00:00.000Z"}`)
		Expect(apiserver.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(apiserver.Delete(ctx, object)).To(Succeed()) })
		object.SetLabels(map[string]string{"case": "4711"})
		Expect(apiserver.Update(ctx, object)).To(Succeed())
		typed := &v1alpha1.EventLookup{}
		Expect(apiserver.Get(ctx, client.ObjectKeyFromObject(object), typed)).To(Succeed())
		typed.Labels["case"] = "4712"
		Expect(apiserver.Update(ctx, typed)).To(Succeed(), "the controller's own types write what is the same")
	})
})
