package cloudtrailtest_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

const auditARN = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit"

// anyone is somebody of an account.
func anyone(account string) cloudtrailtest.Actor {
	return cloudtrailtest.Actor{ARN: "arn:aws:iam::" + account + ":user/somebody"}
}

// must performs an operation as an actor, in the tests' region.
func (e *emulator) must(t *testing.T, operation string, params map[string]any) {
	t.Helper()
	_, err := e.As(anyone(account)).Do(region, operation, params)
	wants(t, err, "")
}

// reads are what each of the reads of a trail answers, as text.
func (e *emulator) reads(t *testing.T, account, region, arn string) map[string]string {
	t.Helper()
	name := arn[strings.LastIndexByte(arn, '/')+1:]
	out := map[string]string{}
	for operation, params := range map[string]map[string]any{
		"DescribeTrails": nil, "ListTrails": nil, "GetTrail": {"Name": arn}, "GetTrailStatus": {"Name": name},
		"ListTags": {"ResourceIdList": []string{arn}}, "GetEventSelectors": {"TrailName": name},
		"GetInsightSelectors": {"TrailName": arn}, "GetEventConfiguration": {"TrailName": name},
	} {
		answer, err := e.As(anyone(account)).Do(region, operation, params)
		out[operation] = code(err) + asJSON(t, answer)
	}
	return out
}

// differing are the names under which two answers differ.
func differing(a, b map[string]string) []string {
	out := []string{}
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if a[name] != b[name] {
			out = append(out, name)
		}
	}
	return out
}

// Every read shows the state from before any write until the lag has passed, and writes see the truth at once.
func TestReadLag(t *testing.T) {
	const lag = 10 * time.Second
	everywhere := []string{
		"DescribeTrails",
		"GetEventConfiguration",
		"GetEventSelectors",
		"GetInsightSelectors",
		"GetTrail",
		"GetTrailStatus",
		"ListTags",
		"ListTrails",
	}
	e := direct(func(o *cloudtrailtest.Options) { o.ReadLag = lag })
	for _, step := range []struct {
		operation string
		params    map[string]any
		changes   []string
	}{
		{"CreateTrail", map[string]any{"Name": "audit", "S3BucketName": bucket}, everywhere},
		{"UpdateTrail", map[string]any{"Name": "audit", "S3KeyPrefix": "x"}, []string{"DescribeTrails", "GetTrail"}},
		{"StartLogging", map[string]any{"Name": "audit"}, []string{"GetTrailStatus"}},
		{"StopLogging", map[string]any{"Name": "audit"}, []string{"GetTrailStatus"}},
		{
			"AddTags", map[string]any{"ResourceId": auditARN, "TagsList": []any{
				map[string]any{"Key": "k", "Value": "v"},
			}},
			[]string{"ListTags"},
		},
		{
			"RemoveTags", map[string]any{"ResourceId": auditARN, "TagsList": []any{
				map[string]any{"Key": "k"},
			}},
			[]string{"ListTags"},
		},
		{
			"PutEventSelectors", map[string]any{"TrailName": "audit", "EventSelectors": []any{
				map[string]any{"ReadWriteType": "WriteOnly"},
			}},
			[]string{"DescribeTrails", "GetEventSelectors", "GetTrail"},
		},
		{
			"PutInsightSelectors", map[string]any{"TrailName": "audit", "InsightSelectors": []any{
				map[string]any{"InsightType": "ApiCallRateInsight"},
			}},
			[]string{"DescribeTrails", "GetInsightSelectors", "GetTrail"},
		},
		{
			"PutEventConfiguration", map[string]any{"TrailName": "audit", "AggregationConfigurations": []any{
				map[string]any{"EventCategory": "Data", "Templates": []any{"API_ACTIVITY"}},
			}},
			[]string{"GetEventConfiguration"},
		},
		{"DeleteTrail", map[string]any{"Name": "audit"}, everywhere},
		{"CreateTrail", map[string]any{"Name": "audit", "S3BucketName": "another-bucket"}, everywhere},
	} {
		before := e.reads(t, account, region, auditARN)
		e.must(t, step.operation, step.params)
		switch step.operation {
		case "CreateTrail":
			_, err := e.As(anyone(account)).Do(region, step.operation, step.params)
			wants(t, err, "TrailAlreadyExistsException")
		case "DeleteTrail":
			_, err := e.As(anyone(account)).Do(region, "StartLogging", map[string]any{"Name": "audit"})
			wants(t, err, "TrailNotFoundException")
		}
		same(t, step.operation+" at once", differing(before, e.reads(t, account, region, auditARN)))
		e.clock.add(lag - time.Nanosecond)
		same(t, step.operation+" a moment too early", differing(before, e.reads(t, account, region, auditARN)))
		e.clock.add(time.Nanosecond)
		same(t, step.operation+" in the end", differing(before, e.reads(t, account, region, auditARN)), step.changes...)
	}
}

// What a trail is about to become is never seen: a trail that is deleted and made anew is first the old one, then none,
// then the new.
func TestReadLagOfATrailMadeAnew(t *testing.T) {
	e := direct(func(o *cloudtrailtest.Options) { o.ReadLag = 10 * time.Second })
	seen := func() string {
		out, err := e.As(anyone(account)).Do(region, "GetTrail", map[string]any{"Name": "audit"})
		if err != nil {
			return code(err)
		}
		return fmt.Sprint(member(out["Trail"], "S3BucketName"))
	}
	e.must(t, "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": "first-bucket"})
	e.clock.add(time.Minute)
	e.must(t, "DeleteTrail", map[string]any{"Name": "audit"})
	e.clock.add(4 * time.Second)
	e.must(t, "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": "second-bucket"})
	equal(t, "after 4 seconds", seen(), "first-bucket")
	e.clock.add(6 * time.Second)
	equal(t, "after 10 seconds", seen(), "TrailNotFoundException")
	e.clock.add(4 * time.Second)
	equal(t, "after 14 seconds", seen(), "second-bucket")
}

// Shadows and the organization's trails lag like all others.
func TestReadLagElsewhere(t *testing.T) {
	const member, away = "222233334444", "us-east-1"
	e := direct(func(o *cloudtrailtest.Options) { o.ReadLag = 10 * time.Second })
	e.SetOrganization(
		cloudtrailtest.Organization{ID: "o-exampleorgid", ManagementAccount: account, Members: []string{member}},
	)
	seen := func() string {
		var out []string
		for _, who := range []string{account, member} {
			for _, where := range []string{region, away} {
				for operation, list := range map[string]string{"DescribeTrails": "trailList", "ListTrails": "Trails"} {
					answer, err := e.As(anyone(who)).Do(where, operation, nil)
					wants(t, err, "")
					trails, ok := answer[list].([]any)
					equal(t, operation, ok, true)
					out = append(out, fmt.Sprint(who, " ", where, " ", operation, " ", len(trails)))
				}
			}
		}
		slices.Sort(out)
		return strings.Join(out, "\n")
	}
	nothing := seen()
	e.must(
		t,
		"CreateTrail",
		map[string]any{"Name": "audit", "S3BucketName": bucket, "IsMultiRegionTrail": true, "IsOrganizationTrail": true},
	)
	equal(t, "created, at once", seen(), nothing)
	e.clock.add(10 * time.Second)
	everywhere := seen()
	equal(t, "created", everywhere, strings.ReplaceAll(nothing, "Trails 0", "Trails 1"))
	e.must(t, "UpdateTrail", map[string]any{"Name": "audit", "IsMultiRegionTrail": false})
	equal(t, "in one region, at once", seen(), everywhere)
	e.clock.add(10 * time.Second)
	equal(t, "in one region", strings.Count(seen(), "us-east-1 DescribeTrails 0"), 2)
	e.must(t, "UpdateTrail", map[string]any{"Name": "audit", "IsMultiRegionTrail": true})
	e.clock.add(10 * time.Second)
	e.must(t, "DeleteTrail", map[string]any{"Name": "audit"})
	equal(t, "deleted, at once", seen(), everywhere)
	e.clock.add(10 * time.Second)
	equal(t, "deleted", seen(), nothing)
}

// With a greatest lag, each read is as old as it likes: a later one may be older than an earlier one.
func TestRandomReadLag(t *testing.T) {
	buckets := func(seed int64) []string {
		e := direct(func(o *cloudtrailtest.Options) { o.Seed, o.ReadLag, o.ReadLagMax = seed, 2*time.Second, 20*time.Second })
		var ages []time.Duration
		e.OnRead(func(r cloudtrailtest.Read) { ages = append(ages, r.Age) })
		e.must(t, "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": bucket})
		e.clock.add(time.Minute)
		for i := range 30 {
			e.must(t, "UpdateTrail", map[string]any{"Name": "audit", "S3BucketName": fmt.Sprintf("bucket-%02d", i)})
			e.clock.add(time.Second)
		}
		var out []string
		for range 50 {
			answer, err := e.As(anyone(account)).Do(region, "GetTrail", map[string]any{"Name": "audit"})
			wants(t, err, "")
			out = append(out, fmt.Sprint(member(answer["Trail"], "S3BucketName")))
		}
		equal(t, "reads reported", len(ages), len(out))
		for i, age := range ages {
			equal(t, "age", 2*time.Second <= age && age <= 20*time.Second, true)
			// Bucket n was put n seconds after the first and 30 seconds before the reads.
			equal(t, "bucket", out[i], fmt.Sprintf("bucket-%02d", int((30*time.Second-age)/time.Second)))
		}
		return out
	}
	first := buckets(1)
	equal(t, "older than before", slices.IsSorted(first), false)
	same(t, "the same seed", buckets(1), first...)
	equal(t, "another seed", slices.Equal(buckets(2), first), false)
}

// Lags can be changed while the server runs, and what no read can see any more is forgotten.
func TestLagsChange(t *testing.T) {
	e := direct()
	states := func() int { n, _, _ := e.Remembered(); return n }
	e.must(t, "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": bucket})
	equal(t, "without lag", states(), 0)
	e.SetLags(cloudtrailtest.Lags{ReadMax: 10 * time.Second})
	equal(t, "lags", e.Lags(), cloudtrailtest.Lags{ReadMax: 10 * time.Second})
	for i := range 1000 {
		e.must(t, "UpdateTrail", map[string]any{"Name": "audit", "S3KeyPrefix": fmt.Sprint(i)})
		e.clock.add(time.Second)
		equal(t, "no more than the lag", states() <= 10, true)
	}
	e.clock.add(time.Minute)
	_, err := e.As(anyone(account)).Do(region, "GetTrail", map[string]any{"Name": "audit"})
	wants(t, err, "")
	equal(t, "after a read", states(), 0)
	e.must(t, "UpdateTrail", map[string]any{"Name": "audit", "S3KeyPrefix": ""})
	equal(t, "one", states(), 1)
	e.SetLags(cloudtrailtest.Lags{})
	equal(t, "without lag again", states(), 0)
	e.SetLags(cloudtrailtest.Lags{Read: time.Hour})
	e.must(t, "DeleteTrail", map[string]any{"Name": "audit"})
	e.Reset()
	equal(t, "after a reset", states(), 0)
	_, err = e.As(anyone(account)).Do(region, "GetTrail", map[string]any{"Name": "audit"})
	wants(t, err, "TrailNotFoundException")
}

// Deliveries lag as the rest of the status does.
func TestReadLagOfDeliveries(t *testing.T) {
	e := direct(func(o *cloudtrailtest.Options) { o.DeliveryInterval = time.Minute })
	e.must(t, "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": bucket})
	e.must(t, "StartLogging", map[string]any{"Name": "audit"})
	delivered := func() string {
		answer, err := e.As(anyone(account)).Do(region, "GetTrailStatus", map[string]any{"Name": "audit"})
		wants(t, err, "")
		return fmt.Sprint(answer["LatestDeliveryAttemptTime"], answer["LatestDeliveryError"])
	}
	e.SetLags(cloudtrailtest.Lags{Read: 10 * time.Second})
	e.clock.add(time.Minute)
	equal(t, "delivered, at once", delivered(), "<nil>")
	e.clock.add(10 * time.Second)
	equal(t, "delivered", delivered(), "2026-03-01T12:01:00Z<nil>")
	equal(
		t,
		"set",
		e.SetDelivery(auditARN, cloudtrailtest.Delivery{LatestDeliveryError: aws.String("NoSuchBucket")}),
		true,
	)
	equal(t, "failed, at once", delivered(), "2026-03-01T12:01:00Z<nil>")
	e.clock.add(10 * time.Second)
	equal(t, "failed", strings.HasSuffix(delivered(), "NoSuchBucket"), true)
}

// With a greatest history lag, events appear out of order, each once and within its time.
func TestRandomHistoryLag(t *testing.T) {
	const least, most, step = time.Minute, 15 * time.Minute, 5 * time.Second
	appearances := func(seed int64) []string {
		e := direct(func(o *cloudtrailtest.Options) { o.Seed, o.HistoryLag, o.HistoryLagMax = seed, least, most })
		e.must(t, "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": bucket})
		for range 20 {
			e.clock.add(time.Second)
			e.must(t, "StartLogging", map[string]any{"Name": "audit"})
		}
		var out []string
		for range int((most + step) / step) {
			e.clock.add(step)
			var oldest time.Time
			for _, event := range slices.Backward(lookup(t, e.in(region), cloudtrail.LookupEventsInput{})) {
				equal(t, "newest first", event.EventTime.Before(oldest), false)
				oldest = *event.EventTime
				if one := event.EventTime.Format(time.TimeOnly) + " " + *event.EventId; !slices.Contains(out, one) {
					out = append(out, one)
					age := e.clock.Now().Sub(*event.EventTime)
					equal(t, "age when it appears", least <= age && age <= most+step, true)
				}
			}
		}
		equal(t, "all", len(out), 21)
		return out
	}
	first := appearances(1)
	equal(t, "in the order in which they happened", slices.IsSorted(first), false)
	same(t, "the same seed", appearances(1), first...)
}

// What cannot be looked up any more is forgotten.
func TestHistoryIsBounded(t *testing.T) {
	events := func(e *emulator) int { _, _, n := e.Remembered(); return n }
	e := direct()
	e.must(t, "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": bucket})
	for range 400 {
		e.must(t, "StartLogging", map[string]any{"Name": "audit"})
		e.clock.add(24 * time.Hour)
	}
	equal(t, "90 days", events(e) <= 91, true)
	e = direct(func(o *cloudtrailtest.Options) { o.MaxHistory = 10 })
	e.must(t, "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": bucket})
	for range 40 {
		e.must(t, "StartLogging", map[string]any{"Name": "audit"})
	}
	equal(t, "as many as wanted", events(e), 10)
	equal(t, "the newest", eventNames(lookup(t, e.in(region), cloudtrail.LookupEventsInput{}))[9], "StartLogging")
}
