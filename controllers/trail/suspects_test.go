package trail

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

const mallory = "arn:aws:iam::111122223333:user/mallory"

// call is a call of mallory's, that long before the tests, with these parameters as JSON.
func call(operation string, before time.Duration, parameters string) *cloudtrail.Event {
	e := &cloudtrail.Event{
		ID: operation + before.String(), Name: operation, Time: testNow.Add(-before), IdentityARN: mallory,
		Trail:           testARN,
		SourceIPAddress: "198.51.100.7", UserAgent: "aws-cli/2.15.0",
	}
	if parameters != "" {
		if err := json.Unmarshal([]byte(parameters), &e.Parameters); err != nil {
			panic(err)
		}
	}
	return e
}

// TestSuspects holds which calls can have made a drift, and which field's is told first: the gravest.
func TestSuspects(t *testing.T) {
	t.Parallel()
	off := func(trail *v1alpha1.Trail) { trail.Spec.Logging = aws.Bool(false) }
	for name, c := range map[string]struct {
		trail  func(*v1alpha1.Trail)
		fields []string
		want   []string // Field and operations.
	}{
		"nothing":         {nil, nil, nil},
		"logging stopped": {nil, []string{"logging"}, []string{"logging: StopLogging"}},
		"logging started": {off, []string{"logging"}, []string{"logging: StartLogging"}},
		"a setting":       {nil, []string{"s3KeyPrefix"}, []string{"s3KeyPrefix: UpdateTrail"}},
		"event selectors": {nil, []string{"eventSelectors"}, []string{"eventSelectors: PutEventSelectors"}},
		"by their other name": {
			nil, []string{"advancedEventSelectors"}, []string{"advancedEventSelectors: PutEventSelectors"},
		},
		"insights": {nil, []string{"insightSelectors"}, []string{"insightSelectors: PutInsightSelectors"}},
		"aggregation": {
			nil, []string{"aggregationConfigurations"}, []string{"aggregationConfigurations: PutEventConfiguration"},
		},
		"tags":                   {nil, []string{"tags"}, []string{"tags: RemoveTags AddTags"}},
		"the owner tag":          {nil, []string{"ownerTag"}, []string{"ownerTag: RemoveTags AddTags"}},
		"of another version":     {nil, []string{"somethingNew"}, []string{"somethingNew: UpdateTrail"}},
		"the trail":              {nil, []string{"trail"}, []string{"trail: DeleteTrail"}},
		"the trail and all else": {nil, []string{"logging", "s3KeyPrefix", "trail"}, []string{"trail: DeleteTrail"}},
		"several": {
			nil,
			[]string{
				"aggregationConfigurations", "eventSelectors", "insightSelectors", "logging", "ownerTag",
				"s3KeyPrefix", "tags",
			},
			[]string{
				"logging: StopLogging", "s3KeyPrefix: UpdateTrail", "eventSelectors: PutEventSelectors",
				"insightSelectors: PutInsightSelectors",
				"aggregationConfigurations: PutEventConfiguration", "ownerTag: RemoveTags AddTags",
				"tags: RemoveTags AddTags",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range suspects(testTrail(c.trail), &v1alpha1.Drift{Fields: c.fields}) {
				got = append(got, f.field+": "+strings.Join(f.operations, " "))
			}
			NewWithT(t).Expect(got).To(Equal(c.want))
		})
	}
}

// TestMakesDifference holds which calls are blamed for a field: those that set it to something else than the spec says,
// as far as
// their parameters tell.
func TestMakesDifference(t *testing.T) {
	t.Parallel()
	const ownerTag = `{"tagsList":[{"key":"trail-operator.dev/owner"}]}`
	const multiRegion = "isMultiRegionTrail"
	group := func(value string) string { return `{"cloudWatchLogsLogGroupArn":"` + value + `"}` }
	for name, c := range map[string]struct {
		event *cloudtrail.Event
		field string
		makes bool
	}{
		"no parameters are told":         {call(updateTrail, 0, ""), "s3KeyPrefix", true},
		"another value":                  {call(updateTrail, 0, `{"s3KeyPrefix":"intruder"}`), "s3KeyPrefix", true},
		"cleared":                        {call(updateTrail, 0, `{"s3KeyPrefix":""}`), "s3KeyPrefix", true},
		"the value of the spec":          {call(updateTrail, 0, `{"s3KeyPrefix":"prefix"}`), "s3KeyPrefix", false},
		"the value of the spec, escaped": {call(updateTrail, 0, `{"s3BucketName":"a\u0026b"}`), "s3BucketName", false},
		"a value of another form":        {call(updateTrail, 0, `{"s3BucketName":["a&b"]}`), "s3BucketName", true},
		"another field":                  {call(updateTrail, 0, `{"s3BucketName":"theirs"}`), "s3KeyPrefix", false},
		"a flag":                         {call(updateTrail, 0, `{"isMultiRegionTrail":false}`), multiRegion, true},
		"a flag, as the spec":            {call(updateTrail, 0, `{"isMultiRegionTrail":true}`), multiRegion, false},
		"a key":                          {call(updateTrail, 0, `{"kmsKeyId":"`+otherKeyARN+`"}`), "kmsKeyID", true},
		"a key, as the spec":             {call(updateTrail, 0, `{"kmsKeyId":"`+testKeyID+`"}`), "kmsKeyID", false},
		"a log group":                    {call(updateTrail, 0, group("other")), "cloudWatchLogsLogGroupARN", true},
		"a log group, as the spec":       {call(updateTrail, 0, group(testGroup)), "cloudWatchLogsLogGroupARN", false},
		"a field of another version":     {call(updateTrail, 0, `{"somethingNew":"x"}`), "somethingNew", true},
		"not that field":                 {call(updateTrail, 0, `{"s3KeyPrefix":"x"}`), "somethingNew", false},
		"no update":                      {call(stopLogging, 0, `{"name":"audit"}`), "logging", true},
		"selectors":                      {call(putEventSelectors, 0, `{"trailName":"audit"}`), "eventSelectors", true},
		"a tag of the spec":              {call(addTags, 0, `{"tagsList":[{"key":"team","value":"x"}]}`), "tags", true},
		"a tag that the spec had":        {call(removeTags, 0, `{"tagsList":[{"key":"x"},{"key":"old"}]}`), "tags", true},
		"others' tags":                   {call(addTags, 0, `{"tagsList":[{"key":"theirs"}]}`), "tags", false},
		"the owner tag is none": {
			call(removeTags, 0, ownerTag), "tags", false,
		},
		"the owner tag":          {call(removeTags, 0, ownerTag), "ownerTag", true},
		"no owner tag":           {call(removeTags, 0, `{"tagsList":[{"key":"team"}]}`), "ownerTag", false},
		"tags that are not told": {call(removeTags, 0, `{"resourceId":"x"}`), "ownerTag", true},
		"tags of another form":   {call(removeTags, 0, `{"tagsList":"x"}`), "ownerTag", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail := fullTrail(func(trail *v1alpha1.Trail) {
				trail.Spec.S3BucketName, trail.Status.ManagedTagKeys = "a&b", []string{"old"}
			})
			NewWithT(t).Expect(makesDifference(c.event, targetOf(trail), c.field)).To(Equal(c.makes))
		})
	}
}

// TestLastOf holds that of several calls the last is blamed that makes the difference.
func TestLastOf(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	calls := []cloudtrail.Event{
		*call(updateTrail, 2*time.Minute, `{"s3KeyPrefix":"first"}`),
		*call(updateTrail, time.Minute, `{"s3KeyPrefix":"second"}`),
		*call(updateTrail, time.Second, `{"s3KeyPrefix":""}`),
		*call(updateTrail, 3*time.Minute, `{"s3KeyPrefix":"zeroth"}`),
	}
	makes := func(e *cloudtrail.Event) bool { return makesDifference(e, targetOf(testTrail(nil)), "s3KeyPrefix") }
	g.Expect(lastOf(calls, makes)).To(BeIdenticalTo(&calls[1]))
	g.Expect(lastOf(calls[2:3], makes)).To(BeNil())
	g.Expect(lastOf(nil, makes)).To(BeNil())

	found := calls[0].Time
	g.Expect(lastBy(calls, found, makes)).To(BeIdenticalTo(&calls[0]), "whoever did the same later did nothing")
	g.Expect(lastBy(calls, found.Add(-2*time.Minute), makes)).To(BeIdenticalTo(&calls[1]), "a clock may be fast")
	g.Expect(lastBy(nil, found, makes)).To(BeNil())
}

// callsBefore are mallory's calls of an operation, that many seconds before the tests.
func callsBefore(operation string, seconds ...int) (calls []cloudtrail.Event) {
	calls = []cloudtrail.Event{}
	for _, before := range seconds {
		calls = append(calls, *call(operation, time.Duration(before)*time.Second, ""))
	}
	return calls
}

// TestFirstOf holds that of several calls that stop a trail the first is blamed after it was last started.
func TestFirstOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stops, starts []int // Seconds before now, the latest first, as the history has them.
		want          int
	}{
		"one":                             {[]int{5}, nil, 5},
		"a second one":                    {[]int{3, 5}, nil, 5},
		"started in between":              {[]int{3, 5}, []int{4}, 3},
		"started twice":                   {[]int{1, 3, 5, 7}, []int{4, 6}, 3},
		"started before":                  {[]int{3, 5}, []int{6}, 5},
		"started after":                   {[]int{3, 5}, []int{2}, 5},
		"all in one second":               {[]int{3, 3}, []int{3}, 3},
		"in the second of the start only": {[]int{3, 4}, []int{3}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			found := firstOf(callsBefore(stopLogging, c.stops...), callsBefore(startLogging, c.starts...))
			g.Expect(found.Time).To(Equal(callsBefore(stopLogging, c.want)[0].Time))
		})
	}
	NewWithT(t).Expect(firstOf(nil, callsBefore(startLogging, 1))).To(BeNil())
}

// TestCallsOfADrift holds which calls belong to a drift: those between two of the operator's own repairs, and not
// later.
func TestCallsOfADrift(t *testing.T) {
	t.Parallel()
	type ago []int // In seconds.
	for name, c := range map[string]struct {
		made          int // 0: it is not reported.
		repairs, want ago
	}{
		"not repaired yet":                          {9, nil, ago{9}},
		"stopped once more":                         {7, nil, ago{5, 9}},
		"repaired":                                  {9, ago{8}, ago{9}},
		"repaired in the same second":               {9, ago{9}, ago{9}},
		"repaired twice":                            {9, ago{4, 8}, ago{9}},
		"between two repairs":                       {5, ago{4, 8}, ago{5}},
		"between two, with late events":             {7, ago{4, 7}, ago{5}},
		"after two repairs":                         {3, ago{4, 8}, ago{3}},
		"before all of them":                        {6, ago{1}, ago{5, 9}},
		"the repair of a drift before":              {9, ago{10}, ago{9}},
		"stopped again in the second of the repair": {9, ago{3}, ago{9}},
		"it is not reported when it was":            {0, ago{8}, ago{3, 5, 9}},
		"none since":                                {2, ago{8}, ago{3, 5, 9}},
		"none until then, but later":                {12, ago{13}, ago{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var made time.Time
			if c.made > 0 {
				made = callsBefore(stopLogging, c.made)[0].Time
			}
			found := ofDrift(callsBefore(stopLogging, 3, 5, 9), callsBefore(startLogging, c.repairs...), made)
			NewWithT(t).Expect(found).To(Equal(callsBefore(stopLogging, c.want...)))
		})
	}
}

// TestIsRepairOf holds which of the operator's calls have repaired a drift.
func TestIsRepairOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		made, found, repaired int // Seconds before now.
		want                  bool
	}{
		"after it was found":                             {9, 5, 4, true},
		"in the second in which it was found":            {9, 5, 5, true},
		"before it was found":                            {9, 5, 6, false},
		"it was made in the second in which it is found": {5, 5, 5, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drift := &v1alpha1.Drift{DetectedTime: metav1.NewTime(secondsAgo(c.found))}
			g := NewWithT(t)
			g.Expect(isRepairOf(drift, secondsAgo(c.made), secondsAgo(c.repaired))).To(Equal(c.want))
			g.Expect(isRepairOf(drift, time.Time{}, secondsAgo(c.repaired))).To(BeFalse(), "it is not reported when it was made")
		})
	}
}

// TestForeignCalls holds whose calls count: those on this trail that succeeded and were not the operator's own for this
// object.
func TestForeignCalls(t *testing.T) {
	t.Parallel()
	const own, role = "trail-operator/1.2 (security/audit)", "arn:aws:sts::111122223333:assumed-role/"
	by := func(identity, userAgent string) func(*cloudtrail.Event) {
		return func(e *cloudtrail.Event) { e.IdentityARN, e.UserAgent = identity, userAgent }
	}
	on := func(trail string) func(*cloudtrail.Event) { return func(e *cloudtrail.Event) { e.Trail = trail } }
	for name, c := range map[string]struct {
		edit    func(*cloudtrail.Event)
		foreign bool
	}{
		"somebody":                         {nil, true},
		"by the trail's name":              {on("audit"), true},
		"on another trail":                 {on(testARN + "-2"), false},
		"on a trail whose name begins so":  {on("audit2"), false},
		"on none":                          {on(""), false},
		"refused":                          {func(e *cloudtrail.Event) { e.ErrorCode = "AccessDenied" }, false},
		"our own":                          {by(testCaller, own), false},
		"our own, in another session":      {by(role+"op/other", own), false},
		"our own, as who we were":          {by(role+"before/s", own), false},
		"with our user agent":              {by(mallory, own), true},
		"as us":                            {by(testCaller, "aws-cli/2.15.0"), true},
		"ours, for another object":         {by(testCaller, "trail-operator/1.2 (team/audit)"), true},
		"ours, for one whose name ends so": {by(testCaller, "trail-operator/1.2 (my-security/audit)"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trail := testTrail(func(trail *v1alpha1.Trail) { trail.Status.OperatorARNs = []string{role + "before"} })
			e := call(stopLogging, 0, "")
			if c.edit != nil {
				c.edit(e)
			}
			NewWithT(t).Expect(isForeign(e, &work{target: targetOf(trail)})).To(Equal(c.foreign))
		})
	}
}

// TestTimeOfDrift holds where the history is searched: from when all was well to when it was not, by clocks that may
// differ.
func TestTimeOfDrift(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	start, end := timeOfDrift(&v1alpha1.Drift{DetectedTime: *ago(time.Minute), LastInSyncTime: ago(time.Hour)})
	g.Expect(start).To(Equal(testNow.Add(-time.Hour - clockSkew)))
	g.Expect(end).To(Equal(testNow.Add(-time.Minute + clockSkew)))
	start, _ = timeOfDrift(&v1alpha1.Drift{DetectedTime: *ago(time.Minute)})
	g.Expect(start).To(BeZero(), "nobody knows since when")
}

// TestConclude holds what is written into a drift, by what was found and how old the drift is.
func TestConclude(t *testing.T) {
	t.Parallel()
	const pending, provisional = v1alpha1.DriftAttributionPending, v1alpha1.DriftAttributionProvisional
	const foundOut, notFound = v1alpha1.DriftAttributionFound, v1alpha1.DriftAttributionNotFound
	const young, over = 30 * time.Second, attributionEnds
	stop := finding{field: "logging", operations: []string{stopLogging}, culprit: call(stopLogging, 0, "")}
	update := finding{field: "s3KeyPrefix", operations: []string{updateTrail}, culprit: call(updateTrail, 0, "")}
	certainly := func(f finding) finding {
		f.certain = true
		return f
	}
	cutShort := func(f finding) finding {
		f.unread = f.operations
		return f
	}
	missing := finding{field: "kmsKeyID", operations: []string{updateTrail}}
	untagged := finding{field: "tags", operations: []string{removeTags, addTags}}
	const tooMany = "there are more than 1000 calls of "
	const notRead = " in that period, and not all of them could be read: look them up with an EventLookup"
	denied := awsError(cloudtrail.Permission, "LookupEvents", "AccessDeniedException", "no")
	fault := awsError(cloudtrail.Transient, "LookupEvents", "ServiceUnavailable", "later")
	refusal := &awsidentity.AccessError{Message: "no such identity"}
	named := v1alpha1.Drift{Attribution: provisional, Actor: mallory, EventName: stopLogging}
	const none = "CloudTrail's event history shows no successful call of "
	const absence = none + "UpdateTrail on this trail by anybody else until 2026-11-21T05:00:05Z"
	for name, c := range map[string]struct {
		findings  []finding
		before    v1alpha1.Drift // What was known.
		err       error
		age       time.Duration
		want      v1alpha1.DriftAttribution
		eventName string // Of the actor that is named.
		message   string // What it begins with; "": there is none.
	}{
		"nothing yet": {findings: []finding{missing}, age: young, want: pending},
		"somebody":    {findings: []finding{stop}, age: young, want: provisional, eventName: stopLogging},
		"somebody, for certain": {
			findings: []finding{certainly(stop)}, age: young, want: foundOut, eventName: stopLogging,
		},
		"the gravest": {
			findings: []finding{certainly(stop), update}, age: young, want: provisional, eventName: stopLogging,
		},
		"all, for certain": {
			findings: []finding{certainly(stop), certainly(update)}, age: young, want: foundOut,
			eventName: stopLogging,
		},
		"not of all fields": {
			findings: []finding{certainly(stop), missing}, age: young, want: provisional, eventName: stopLogging,
		},
		"not of the gravest": {
			findings: []finding{{field: "logging", operations: []string{stopLogging}}, certainly(update)},
			age:      young, want: provisional, eventName: updateTrail,
		},
		"nobody, and it is over": {findings: []finding{missing}, age: over, want: notFound, message: absence},
		"nobody yet, almost":     {findings: []finding{missing}, age: over - 1, want: pending},
		"not of all fields, and it is over": {
			findings: []finding{certainly(stop), missing}, age: over, want: foundOut, eventName: stopLogging,
			message: absence,
		},
		"not certain, and it is over": {findings: []finding{stop}, age: over, want: foundOut, eventName: stopLogging},
		"too many calls, and it is over": {
			findings: []finding{cutShort(missing)}, age: over, want: notFound,
			message: absence + "; but " + tooMany + "UpdateTrail" + notRead,
		},
		"too many calls, and it is not over": {findings: []finding{cutShort(missing)}, age: young, want: pending},
		"somebody of too many calls": {
			findings: []finding{cutShort(stop)}, age: young, want: provisional, eventName: stopLogging,
		},
		"somebody of too many calls, and it is over": {
			findings: []finding{cutShort(stop), update}, age: over, want: notFound, eventName: stopLogging,
			message: tooMany + "StopLogging" + notRead,
		},
		"nobody for two fields": {
			findings: []finding{missing, missing, untagged}, age: over, want: notFound,
			message: none + "UpdateTrail, RemoveTags or AddTags on this trail",
		},
		"named before, and nothing now": {
			findings: []finding{missing}, before: named, age: young, want: provisional, eventName: stopLogging,
		},
		"named before, and another now": {
			findings: []finding{update}, before: named, age: young, want: provisional, eventName: updateTrail,
		},
		"named before, nothing now, and it is over": {
			findings: []finding{missing}, before: named, age: over, want: foundOut, eventName: stopLogging,
			message: absence,
		},
		"a fault": {err: fault, age: hideFaults - 1, want: pending},
		"a fault that lasts": {
			err: fault, age: hideFaults, want: pending, message: "LookupEvents: ServiceUnavailable: later",
		},
		"a fault, and it is over": {
			err: fault, age: over, want: notFound, message: "LookupEvents: ServiceUnavailable: later",
		},
		"a fault, named before": {err: fault, before: named, age: young, want: provisional, eventName: stopLogging},
		"denied": {
			err: denied, age: young, want: pending,
			message: `LookupEvents: AccessDeniedException: no — AWSIdentity "default" (` + testCaller +
				`) needs permission for cloudtrail:LookupEvents`,
		},
		"denied, and it is over": {
			err: denied, age: over, want: notFound, message: "LookupEvents: AccessDeniedException",
		},
		"denied, named before, and it is over": {
			err: denied, before: named, age: over, want: foundOut, eventName: stopLogging,
			message: "LookupEvents: AccessDeniedException",
		},
		"half of it, then denied": {
			findings: []finding{certainly(stop)}, err: denied, age: young, want: provisional, eventName: stopLogging,
			message: "LookupEvents: AccessDeniedException",
		},
		"no identity": {err: refusal, age: young, want: pending, message: "no such identity"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			drift := c.before
			drift.DetectedTime, drift.AttributionMessage = *ago(0), "of before"
			if drift.Attribution == "" {
				drift.Attribution = pending
			}
			i := &investigation{caller: cloudtrail.Caller{ARN: testCaller}, findings: c.findings}
			i.conclude(testTrail(nil), &drift, c.err, c.age)
			g.Expect(drift.Attribution).To(Equal(c.want))
			g.Expect(drift.EventName).To(Equal(c.eventName))
			if c.eventName == "" {
				g.Expect(drift.Actor).To(BeEmpty())
			} else {
				g.Expect(drift.Actor).To(Equal(mallory))
			}
			if c.message == "" {
				g.Expect(drift.AttributionMessage).To(BeEmpty())
			} else {
				g.Expect(drift.AttributionMessage).To(HavePrefix(c.message))
			}
		})
	}
}

// TestConcludedCall holds what is told of a call.
func TestConcludedCall(t *testing.T) {
	t.Parallel()
	conclude := func(edit func(*cloudtrail.Event)) v1alpha1.Drift {
		e := call(stopLogging, 1500*time.Millisecond, "")
		edit(e)
		drift := v1alpha1.Drift{DetectedTime: *ago(0)}
		i := &investigation{findings: []finding{{field: "logging", culprit: e, certain: true}}}
		i.conclude(testTrail(nil), &drift, nil, time.Minute)
		return drift
	}

	t.Run("all", func(t *testing.T) {
		t.Parallel()
		NewWithT(t).Expect(conclude(func(*cloudtrail.Event) {})).To(Equal(v1alpha1.Drift{
			DetectedTime: *ago(0), Attribution: v1alpha1.DriftAttributionFound, Actor: mallory,
			EventName: stopLogging,
			EventID:   "StopLogging1.5s", EventTime: ago(2 * time.Second), SourceIPAddress: "198.51.100.7",
			UserAgent: "aws-cli/2.15.0",
		}))
	})
	t.Run("nothing is known of the caller", func(t *testing.T) {
		t.Parallel()
		NewWithT(t).Expect(conclude(func(e *cloudtrail.Event) { e.IdentityARN = "" }).Actor).To(Equal("unknown"))
	})
	t.Run("texts of others are bounded", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		long := strings.Repeat("x", 10_000)
		drift := conclude(
			func(e *cloudtrail.Event) { e.IdentityARN, e.SourceIPAddress, e.UserAgent = long, long, long },
		)
		for _, text := range []string{drift.Actor, drift.SourceIPAddress, drift.UserAgent} {
			g.Expect(text).To(And(HaveLen(maxShown), HaveSuffix("x…")))
		}
	})
}

// TestUntilNext holds when the history is asked again: ever more seldom, but as soon as it has settled and when it is
// over.
func TestUntilNext(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]time.Duration{
		-time.Minute:                  attributionQuick,
		0:                             attributionQuick,
		29 * time.Second:              attributionQuick,
		time.Minute:                   30 * time.Second,
		4 * time.Minute:               2 * time.Minute,
		12 * time.Minute:              3 * time.Minute, // Then it has settled.
		historyLag - time.Second:      time.Second,
		historyLag:                    historyLag / 2,
		attributionEnds - time.Second: time.Second,
		attributionEnds:               attributionEnds / 2, // It is over; nobody asks.
	} {
		t.Run(age.String(), func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(untilNext(age)).To(Equal(want))
		})
	}
}

// TestUncertainDrifts holds which drifts are looked into.
func TestUncertainDrifts(t *testing.T) {
	t.Parallel()
	const pending, provisional = v1alpha1.DriftAttributionPending, v1alpha1.DriftAttributionProvisional
	const foundOut, notFound = v1alpha1.DriftAttributionFound, v1alpha1.DriftAttributionNotFound
	drift := func(attribution v1alpha1.DriftAttribution) v1alpha1.Drift {
		return v1alpha1.Drift{Attribution: attribution, AttributionMessage: string(attribution)}
	}
	last := func(attribution v1alpha1.DriftAttribution) func(*v1alpha1.Trail) {
		return func(trail *v1alpha1.Trail) { trail.Status.LastDrift = new(drift(attribution)) }
	}
	earlier := func(trail *v1alpha1.Trail) {
		trail.Status.EarlierDrifts = []v1alpha1.Drift{drift(provisional), drift(pending)}
	}
	for name, c := range map[string]struct {
		trail func(*v1alpha1.Trail)
		want  []v1alpha1.DriftAttribution
	}{
		"none":        {nil, nil},
		"pending":     {last(pending), []v1alpha1.DriftAttribution{pending}},
		"provisional": {last(provisional), []v1alpha1.DriftAttribution{provisional}},
		"found":       {last(foundOut), nil},
		"not found":   {last(notFound), nil},
		"and earlier ones": {
			both(last(pending), earlier), []v1alpha1.DriftAttribution{pending, provisional, pending},
		},
		"earlier ones only": {both(last(foundOut), earlier), []v1alpha1.DriftAttribution{provisional, pending}},
		"being deleted":     {both(last(pending), func(t *v1alpha1.Trail) { t.DeletionTimestamp = ago(0) }), nil},
		"suspended":         {both(last(pending), func(t *v1alpha1.Trail) { t.Spec.Suspend = aws.Bool(true) }), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []v1alpha1.DriftAttribution
			for _, drift := range uncertain(testTrail(c.trail)) {
				got = append(got, drift.Attribution)
			}
			NewWithT(t).Expect(got).To(Equal(c.want))
		})
	}

	t.Run("they are the object's own", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		trail := testTrail(both(last(pending), earlier))
		for _, drift := range uncertain(trail) {
			drift.Actor = mallory
		}
		g.Expect(trail.Status.LastDrift.Actor).To(Equal(mallory))
		g.Expect(trail.Status.EarlierDrifts).To(HaveEach(HaveField("Actor", mallory)))
	})
}

// TestDriftUncertain holds which changes of an object begin a search.
func TestDriftUncertain(t *testing.T) {
	t.Parallel()
	drifted := func(since time.Duration, attribution v1alpha1.DriftAttribution) func(*v1alpha1.Trail) {
		return func(trail *v1alpha1.Trail) {
			trail.Status.LastDrift = &v1alpha1.Drift{DetectedTime: *ago(since), Attribution: attribution}
		}
	}
	pending := drifted(time.Minute, v1alpha1.DriftAttributionPending)
	suspended := func(trail *v1alpha1.Trail) { trail.Spec.Suspend = aws.Bool(true) }
	later := func(trail *v1alpha1.Trail) { trail.Generation++ }
	for name, c := range map[string]struct {
		before, after func(*v1alpha1.Trail)
		passes        bool
	}{
		"nothing":              {nil, nil, false},
		"a drift":              {nil, pending, true},
		"the same drift":       {pending, pending, false},
		"it is named":          {pending, drifted(time.Minute, v1alpha1.DriftAttributionProvisional), false},
		"it is found":          {pending, drifted(time.Minute, v1alpha1.DriftAttributionFound), false},
		"another drift":        {pending, drifted(time.Second, v1alpha1.DriftAttributionPending), true},
		"the spec has changed": {pending, both(pending, later), true},
		"suspended":            {pending, both(pending, later, suspended), false},
		"suspended no more":    {both(pending, suspended), both(pending, later), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			before, after := testTrail(c.before), testTrail(c.after)
			g.Expect(driftUncertain.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after})).To(
				Equal(c.passes),
			)
			g.Expect(driftUncertain.Create(event.CreateEvent{Object: after})).To(Equal(len(uncertain(after)) > 0))
			g.Expect(driftUncertain.Delete(event.DeleteEvent{Object: after})).To(BeFalse())
		})
	}
}

// TestAttributionEvents holds which events tell who made a drift: of the gravest call at once, of the others when it is
// over, and of each once.
func TestAttributionEvents(t *testing.T) {
	t.Parallel()
	const found, provisional = v1alpha1.DriftAttributionFound, v1alpha1.DriftAttributionProvisional
	stop, update := call(stopLogging, time.Minute, ""), call(updateTrail, time.Minute, "")
	byMallory := " by " + mallory + " from 198.51.100.7 at 2026-11-21T04:59:00Z; "
	for name, c := range map[string]struct {
		before   string // The id of the event that was told.
		drift    v1alpha1.Drift
		findings []finding
		events   []string
	}{
		"nobody": {
			"", v1alpha1.Drift{Attribution: v1alpha1.DriftAttributionPending}, []finding{{field: "logging"}}, nil,
		},
		"somebody": {
			"", v1alpha1.Drift{Attribution: provisional}, []finding{{culprit: stop}},
			[]string{
				"Warning DriftAttributed StopLogging" + byMallory + "not repaired yet; provisional, because CloudTrail's " +
					"history may not be complete yet",
			},
		},
		"somebody, for certain": {
			"", v1alpha1.Drift{Attribution: found, RepairedTime: ago(10 * time.Second)},
			[]finding{{culprit: stop, certain: true}},
			[]string{"Warning DriftAttributed StopLogging" + byMallory + "repaired after 50s"},
		},
		"repaired before, by another clock": {
			"", v1alpha1.Drift{Attribution: found, RepairedTime: ago(time.Hour)},
			[]finding{{culprit: stop, certain: true}},
			[]string{"Warning DriftAttributed StopLogging" + byMallory + "repaired after 0s"},
		},
		"told before": {stop.ID, v1alpha1.Drift{Attribution: found}, []finding{{culprit: stop}}, nil},
		"two, not over yet": {
			stop.ID, v1alpha1.Drift{Attribution: provisional}, []finding{{culprit: stop}, {culprit: update}}, nil,
		},
		"two, and it is over": {
			stop.ID, v1alpha1.Drift{Attribution: found}, []finding{{culprit: stop}, {culprit: update}},
			[]string{"Warning DriftAttributed UpdateTrail" + byMallory + "not repaired yet"},
		},
		"one call for two fields": {
			"", v1alpha1.Drift{Attribution: found}, []finding{{culprit: update}, {culprit: update}},
			[]string{"Warning DriftAttributed UpdateTrail" + byMallory + "not repaired yet"},
		},
		"nobody, and it is over": {
			"", v1alpha1.Drift{Attribution: v1alpha1.DriftAttributionNotFound, AttributionMessage: "no call"},
			[]finding{{field: "logging"}},
			[]string{"Warning DriftNotAttributed it is not known who changed the trail: no call"},
		},
		"somebody of too many calls, and it is over": {
			"", v1alpha1.Drift{Attribution: v1alpha1.DriftAttributionNotFound, AttributionMessage: "too many"},
			[]finding{{culprit: stop, unread: []string{stopLogging}}},
			[]string{
				"Warning DriftAttributed StopLogging" + byMallory +
					"not repaired yet; not certain, because there are more calls than could be read",
				"Warning DriftNotAttributed it is not known who changed the trail: too many",
			},
		},
		"not asked yet": {
			"", v1alpha1.Drift{Attribution: v1alpha1.DriftAttributionPending, AttributionMessage: "denied"}, nil, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder := events.NewFakeRecorder(10)
			r := &Reconciler{Options: Options{Recorder: recorder}}
			before := v1alpha1.Drift{EventID: c.before}
			r.emitAttribution(t.Context(), testTrail(nil), &before, &c.drift, &investigation{findings: c.findings})
			close(recorder.Events)
			var texts []string
			for text := range recorder.Events {
				texts = append(texts, text)
			}
			NewWithT(t).Expect(texts).To(Equal(c.events))
		})
	}
}
