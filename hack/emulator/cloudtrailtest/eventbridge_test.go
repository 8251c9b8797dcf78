package cloudtrailtest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

const elsewhere = "us-east-1"

// audit names the trail of the tests.
var audit = map[string]any{"Name": "audit"}

// scene makes a trail that logs in all regions, the queue of most tests, and a rule that forwards everything to it.
// What led there is not in the queue.
func scene(t *testing.T, e *emulator) {
	t.Helper()
	create(t, e.in(region), "audit", multiRegion)
	e.must(t, "StartLogging", audit)
	wants(t, e.CreateQueue(events), "")
	e.Forward(cloudtrailtest.Rule{QueueARN: events.ARN()})
}

// envelope is what a queue gets from EventBridge.
type envelope struct {
	Version    string
	ID         string
	DetailType string `json:"detail-type"`
	Source     string
	Account    string
	Time       string
	Region     string
	Resources  []string
	Detail     map[string]any
}

func (e envelope) detail(name string) string { return fmt.Sprint(e.Detail[name]) }

// forwarded are the events in the queue of most tests, those that are under way too. They are taken out.
func (e *emulator) forwarded(t *testing.T) []envelope {
	t.Helper()
	s, _ := e.QueueState(events.ARN())
	e.PurgeQueue(events.ARN())
	var out []envelope
	for _, body := range cloudtrailtest.Bodies(slices.Concat(s.Visible, s.Arriving)) {
		var one envelope
		wants(t, json.Unmarshal([]byte(body), &one), "")
		out = append(out, one)
	}
	return out
}

// forwardedNames are the names of the events in the queue of most tests.
func (e *emulator) forwardedNames(t *testing.T) []string {
	t.Helper()
	out := []string{}
	for _, one := range e.forwarded(t) {
		out = append(out, one.detail("eventName"))
	}
	return out
}

func TestForward(t *testing.T) {
	e := start(t)
	scene(t, e)
	e.clock.add(time.Hour)
	_, err := e.in(region).AddTags(ctx, &cloudtrail.AddTagsInput{
		ResourceId: aws.String("arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit"), TagsList: tagsOf("a", "b"),
	})
	wants(t, err, "")
	names(t, e.in(region), nil)

	got := e.forwarded(t)
	equal(t, "reads are not forwarded", len(got), 1)
	one := got[0]
	equal(t, "envelope", fmt.Sprintf("%s|%s|%s|%s|%s|%s|%v", one.Version, one.DetailType, one.Source, one.Account,
		one.Time, one.Region, one.Resources != nil && len(one.Resources) == 0),
		"0|AWS API Call via CloudTrail|aws.cloudtrail|111122223333|2026-03-01T13:00:00Z|eu-west-1|true")
	equal(t, "id", regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(one.ID), true)
	recorded := lookup(t, e.in(region), cloudtrail.LookupEventsInput{})[0]
	equal(t, "event id", one.detail("eventID"), *recorded.EventId)
	equal(t, "another id", one.ID == *recorded.EventId, false)
	equal(t, "the record", fmt.Sprint(one.Detail), fmt.Sprint(document(t, recorded)))
}

// Failed calls are forwarded, too.
func TestForwardFailures(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.NoRateLimit = false })
	scene(t, e)
	e.clock.add(time.Second)
	for _, c := range []struct{ operation, code string }{
		{"CreateTrail", "TrailAlreadyExistsException"}, {"DeleteTrail", "ThrottlingException"},
	} {
		_, err := e.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::111122223333:user/u", Bound: true}).
			Do(region, c.operation, map[string]any{"Name": "audit", "S3BucketName": bucket})
		wants(t, err, c.code)
		got := e.forwarded(t)
		equal(t, "forwarded", len(got), 1)
		equal(t, "code", got[0].detail("errorCode"), c.code)
		equal(t, "no response", got[0].Detail["responseElements"], nil)
	}
}

// A call is forwarded where a trail logs that selects it, as things were before the call.
func TestForwardOnlyWhatATrailSelects(t *testing.T) {
	const member = "222233334444"
	advanced := func(fields ...any) map[string]any {
		return map[string]any{"TrailName": "audit", "AdvancedEventSelectors": []any{map[string]any{"FieldSelectors": fields}}}
	}
	basic := func(fields map[string]any) map[string]any {
		return map[string]any{"TrailName": "audit", "EventSelectors": []any{fields}}
	}
	management := map[string]any{"Field": "eventCategory", "Equals": []any{"Management"}}
	objects := []any{map[string]any{"Type": "AWS::S3::Object", "Values": []any{"arn:aws:s3"}}}
	for name, c := range map[string]struct {
		// settings are those of the trail besides its name and bucket; nil is no trail.
		settings   map[string]any
		notLogging bool
		selectors  map[string]any
		// home, away, kms, iam and members say whether calls are forwarded: of CloudTrail in the trail's region and in
		// us-east-1, of KMS in the trail's region, of IAM, and of CloudTrail in a member's account.
		home, away, kms, iam, members bool
	}{
		"no trail":      {},
		"not logging":   {settings: map[string]any{"IsMultiRegionTrail": true}, notLogging: true},
		"single region": {settings: map[string]any{}, home: true, kms: true},
		"all regions":   {settings: map[string]any{"IsMultiRegionTrail": true}, home: true, away: true, kms: true, iam: true},
		"organization": {
			settings: map[string]any{"IsMultiRegionTrail": true, "IsOrganizationTrail": true},
			home:     true, away: true, kms: true, iam: true, members: true,
		},
		"organization, single region": {
			settings: map[string]any{"IsOrganizationTrail": true}, home: true, kms: true, members: true,
		},
		"writes only": {
			settings: map[string]any{}, selectors: basic(map[string]any{"ReadWriteType": "WriteOnly"}), home: true, kms: true,
		},
		"reads only": {settings: map[string]any{}, selectors: basic(map[string]any{"ReadWriteType": "ReadOnly"})},
		"without KMS": {
			settings:  map[string]any{},
			selectors: basic(map[string]any{"ExcludeManagementEventSources": []any{"kms.amazonaws.com"}}), home: true,
		},
		"data events": {
			settings:  map[string]any{},
			selectors: basic(map[string]any{"IncludeManagementEvents": false, "DataResources": objects}),
		},
		"advanced": {settings: map[string]any{}, selectors: advanced(management), home: true, kms: true},
		"advanced, writes only": {
			settings:  map[string]any{},
			selectors: advanced(management, map[string]any{"Field": "readOnly", "Equals": []any{"false"}}),
			home:      true, kms: true,
		},
		"advanced, reads only": {
			settings:  map[string]any{},
			selectors: advanced(management, map[string]any{"Field": "readOnly", "Equals": []any{"true"}}),
		},
		"advanced, without KMS": {
			settings: map[string]any{},
			selectors: advanced(management,
				map[string]any{"Field": "eventSource", "NotEquals": []any{"kms.amazonaws.com"}}), home: true,
		},
		"advanced, data events": {
			settings: map[string]any{},
			selectors: advanced(map[string]any{"Field": "eventCategory", "Equals": []any{"Data"}},
				map[string]any{"Field": "resources.type", "Equals": []any{"AWS::S3::Object"}}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := direct()
			e.SetOrganization(cloudtrailtest.Organization{ID: "o-x", ManagementAccount: account, Members: []string{member}})
			if c.settings != nil {
				params := map[string]any{"Name": "audit", "S3BucketName": bucket}
				maps.Copy(params, c.settings)
				e.must(t, "CreateTrail", params)
			}
			if c.settings != nil && !c.notLogging {
				e.must(t, "StartLogging", audit)
			}
			if c.selectors != nil {
				e.must(t, "PutEventSelectors", c.selectors)
			}
			wants(t, e.CreateQueue(events), "")
			e.Forward(cloudtrailtest.Rule{QueueARN: events.ARN()})

			tries := func(account, region string) func() {
				return func() {
					_, err := e.As(anyone(account)).Do(region, "DeleteTrail", map[string]any{"Name": "none"})
					wants(t, err, "TrailNotFoundException")
				}
			}
			calls := func(service, operation string) func() {
				return func() {
					_, err := e.As(anyone(account)).Call(cloudtrailtest.OtherCall{
						Service: service, Region: region, Operation: operation,
					})
					wants(t, err, "")
				}
			}
			for _, one := range []struct {
				what string
				call func()
				want bool
			}{
				{"at home", tries(account, region), c.home},
				{"away", tries(account, elsewhere), c.away},
				{"KMS", calls("kms", "DisableKey"), c.kms},
				{"IAM", calls("iam", "DeleteRole"), c.iam},
				{"a member", tries(member, region), c.members},
			} {
				one.call()
				equal(t, one.what, len(e.forwarded(t)), map[bool]int{true: 1}[one.want])
			}
		})
	}
}

// The call after which nothing is forwarded any more is forwarded, unless it is to be lost.
func TestForwardTheLastCall(t *testing.T) {
	for name, c := range map[string]struct {
		operation string
		params    map[string]any
	}{
		"StopLogging": {"StopLogging", audit},
		"DeleteTrail": {"DeleteTrail", audit},
		"PutEventSelectors": {"PutEventSelectors", map[string]any{
			"TrailName": "audit", "EventSelectors": []any{map[string]any{"ReadWriteType": "ReadOnly"}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			e := direct()
			scene(t, e)
			e.must(t, c.operation, c.params)
			same(t, "the last one", e.forwardedNames(t), c.operation)
			bucketCall := cloudtrailtest.OtherCall{Service: "s3", Region: region, Operation: "DeleteBucket"}
			_, err := e.As(anyone(account)).Call(bucketCall)
			wants(t, err, "")
			if c.operation == "StopLogging" {
				e.must(t, "StartLogging", audit)
			}
			same(t, "nothing after it", e.forwardedNames(t))

			e = direct()
			e.SetForwarding(cloudtrailtest.Forwarding{LoseLast: true})
			scene(t, e)
			create(t, e.in(region), "second", multiRegion)
			e.must(t, "StartLogging", map[string]any{"Name": "second"})
			same(t, "not the last trail", e.forwardedNames(t), "CreateTrail", "StartLogging")
			e.must(t, c.operation, c.params)
			same(t, "another trail logs", e.forwardedNames(t), c.operation)
			e.must(t, "StopLogging", map[string]any{"Name": "second"})
			same(t, "lost", e.forwardedNames(t))
		})
	}
}

func TestRules(t *testing.T) {
	e := direct()
	scene(t, e)
	create(t, e.in("cn-north-1"), "china")
	_, err := e.As(anyone(account)).Do("cn-north-1", "StartLogging", map[string]any{"Name": "china"})
	wants(t, err, "")
	bucketCall := cloudtrailtest.OtherCall{Service: "s3", Region: elsewhere, Operation: "PutBucketPolicy"}
	for name, c := range map[string]struct {
		rule cloudtrailtest.Rule
		want []string
	}{
		"everything":      {cloudtrailtest.Rule{}, []string{"AddTags", "PutBucketPolicy"}},
		"an account":      {cloudtrailtest.Rule{AccountID: account}, []string{"AddTags", "PutBucketPolicy"}},
		"another account": {cloudtrailtest.Rule{AccountID: "222233334444"}, []string{}},
		"a region":        {cloudtrailtest.Rule{Region: region}, []string{"AddTags"}},
		"a source":        {cloudtrailtest.Rule{EventSources: []string{"s3.amazonaws.com"}}, []string{"PutBucketPolicy"}},
		"names":           {cloudtrailtest.Rule{EventNames: []string{"AddTags", "RemoveTags"}}, []string{"AddTags"}},
		"another queue":   {cloudtrailtest.Rule{QueueARN: dead.ARN()}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			e.DeleteRule(events.ARN())
			c.rule.Name = "rule"
			if c.rule.QueueARN == "" {
				c.rule.QueueARN = events.ARN()
			}
			e.Forward(c.rule)
			equal(t, "rules", len(e.Rules()), 1)
			e.must(t, "AddTags", map[string]any{
				"ResourceId": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit",
				"TagsList":   []any{map[string]any{"Key": "a", "Value": "b"}},
			})
			_, err := e.As(anyone(account)).Call(bucketCall)
			wants(t, err, "")
			_, err = e.As(anyone(account)).Do("cn-north-1", "StartLogging", map[string]any{"Name": "china"})
			wants(t, err, "")
			same(t, "forwarded", e.forwardedNames(t), c.want...)
		})
	}
}

// Delays, duplicates, order and loss are those of the seed.
func TestForwarding(t *testing.T) {
	const n = 200
	bucketCall := cloudtrailtest.OtherCall{Service: "s3", Region: region, Operation: "PutBucketPolicy"}
	play := func(seed int64, f cloudtrailtest.Forwarding, others bool) ([]string, []cloudtrailtest.Forwarded) {
		var numbers []string
		var reported []cloudtrailtest.Forwarded
		e := direct(func(o *cloudtrailtest.Options) { o.Seed, o.Forwarding = seed, f })
		scene(t, e)
		ids := map[string]int{}
		e.OnForward(func(f cloudtrailtest.Forwarded) { reported = append(reported, f) })
		for i := range n {
			if others {
				_, err := e.As(anyone("222233334444")).
					Do(region, "CreateTrail", map[string]any{"Name": "other", "S3BucketName": bucket})
				wants(t, err, map[bool]string{true: "", false: "TrailAlreadyExistsException"}[i == 0])
			}
			id, err := e.As(anyone(account)).Call(bucketCall)
			wants(t, err, "")
			ids[id] = i
			e.clock.add(time.Second)
		}
		seen := map[string]bool{}
		for _, one := range e.forwarded(t) {
			equal(t, "an id of its own", seen[one.ID], false)
			seen[one.ID] = true
			numbers = append(numbers, fmt.Sprint(ids[one.detail("eventID")]))
		}
		return numbers, reported
	}
	inOrder, _ := play(1, cloudtrailtest.Forwarding{MinDelay: time.Minute}, false)
	equal(t, "all", len(inOrder), n)
	equal(t, "in order", slices.IsSortedFunc(inOrder, func(a, b string) int { return len(a) - len(b) }), true)

	wild := cloudtrailtest.Forwarding{MinDelay: time.Second, MaxDelay: time.Minute, Duplicates: 0.2, Loss: 0.2}
	first, reported := play(1, wild, false)
	second, _ := play(1, wild, true)
	same(t, "the same seed, also with others around", second, first...)
	other, _ := play(2, wild, false)
	equal(t, "another seed", slices.Equal(other, first), false)

	different := slices.Compact(slices.Sorted(slices.Values(first)))
	lost, twice := n-len(different), len(first)-len(different)
	equal(t, "about a fifth is lost", lost > n/10 && lost < n*3/10, true)
	equal(t, "about a fifth of the rest comes twice", twice > n/15 && twice < n*3/10, true)
	overtaken := 0
	for i, f := range reported {
		for _, when := range f.Arrivals {
			delay := when.Sub(f.Time)
			equal(t, "delay", delay >= time.Second && delay <= time.Minute, true)
			if i > 0 && len(reported[i-1].Arrivals) > 0 && when.Before(reported[i-1].Arrivals[0]) {
				overtaken++
			}
		}
	}
	equal(t, "some overtake others", overtaken > n/10, true)
	equal(t, "all are reported", len(reported), n)
}

// An event that is under way is in the queue when its time has come.
func TestForwardingDelay(t *testing.T) {
	e := direct()
	scene(t, e)
	e.SetForwarding(cloudtrailtest.Forwarding{MinDelay: time.Minute})
	r := e.reader(t, events)
	e.must(t, "StopLogging", audit)
	equal(t, "under way", e.counts(t, events), "0/0/1")
	equal(t, "nothing", len(r.receive(t)), 0)
	equal(t, "not delayed by the queue", r.attributes(t)["ApproximateNumberOfMessagesDelayed"], "0")
	equal(t, "nor in flight", r.attributes(t)["ApproximateNumberOfMessagesNotVisible"], "0")
	e.SetForwarding(cloudtrailtest.Forwarding{})
	equal(t, "still under way", len(r.receive(t)), 0)
	e.clock.add(time.Minute)
	got := r.receive(t)
	equal(t, "there", len(got), 1)
	equal(t, "sent", got[0].Attributes["SentTimestamp"], "1772366460000")
}

// What no rule concerns changes nothing that comes of a seed.
func TestForwardingAndSeeds(t *testing.T) {
	play := func(rules bool) (ids []string) {
		e := direct(func(o *cloudtrailtest.Options) { o.Seed, o.HistoryLagMax = 3, time.Minute })
		if rules {
			e.SetForwarding(cloudtrailtest.Forwarding{MaxDelay: time.Minute, Duplicates: 0.5, Loss: 0.5})
			wants(t, e.CreateQueue(events), "")
			e.Forward(cloudtrailtest.Rule{QueueARN: events.ARN()})
		}
		create(t, e.in(region), "audit", multiRegion)
		for range 5 {
			e.must(t, "StartLogging", audit)
			e.must(t, "StopLogging", audit)
		}
		e.clock.add(30 * time.Second)
		for _, one := range lookup(t, e.in(region), cloudtrail.LookupEventsInput{}) {
			ids = append(ids, *one.EventId)
		}
		return ids
	}
	same(t, "events", play(true), play(false)...)
}

// Calls of other services are recorded and forwarded as those of CloudTrail are.
func TestOtherCalls(t *testing.T) {
	e := start(t)
	scene(t, e)
	mallory := e.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::111122223333:user/mallory"})
	policy := map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Deny"}}}
	id, err := mallory.Call(cloudtrailtest.OtherCall{
		Service: "s3", Region: region, Operation: "PutBucketPolicy",
		Parameters: map[string]any{"bucketName": bucket, "bucketPolicy": policy},
		Resources:  []cloudtrailtest.EventResource{{Type: "AWS::S3::Bucket", Name: bucket}},
	})
	wants(t, err, "")
	got := e.forwarded(t)
	equal(t, "one", len(got), 1)
	equal(t, "envelope", got[0].Source+" "+got[0].Region, "aws.s3 eu-west-1")
	equal(t, "source", got[0].detail("eventSource"), "s3.amazonaws.com")
	equal(t, "id", got[0].detail("eventID"), id)
	equal(t, "parameters", fmt.Sprint(got[0].Detail["requestParameters"]),
		"map[bucketName:trail-logs bucketPolicy:map[Statement:[map[Effect:Deny]] Version:2012-10-17]]")
	recorded := lookup(t, e.in(region), cloudtrail.LookupEventsInput{})[0]
	equal(t, "in the history", *recorded.EventId+" "+*recorded.Username, id+" mallory")
	equal(t, "resource", *recorded.Resources[0].ResourceName, bucket)

	_, err = mallory.Call(cloudtrailtest.OtherCall{
		Service: "iam", Region: region, Operation: "DeleteRole", ErrorCode: "AccessDenied", ErrorMessage: "no",
		Parameters: map[string]any{"roleName": "logs"},
	})
	wants(t, err, "")
	got = e.forwarded(t)
	equal(t, "IAM", got[0].Source+" "+got[0].Region, "aws.iam us-east-1")
	equal(t, "IAM's region", got[0].detail("awsRegion"), elsewhere)
	equal(t, "failed", got[0].detail("errorCode")+" "+got[0].detail("errorMessage"), "AccessDenied no")
	equal(t, "in us-east-1", len(lookup(t, e.in(elsewhere), cloudtrail.LookupEventsInput{})), 1)

	for _, bad := range []cloudtrailtest.OtherCall{
		{Service: "s3", Region: region},
		{Service: "s3", Operation: "DeleteBucket"},
		{Region: region, Operation: "DeleteBucket"},
		{Service: "cloudtrail", Region: region, Operation: "DeleteTrail"},
	} {
		_, err := mallory.Call(bad)
		equal(t, fmt.Sprint(bad), err != nil, true)
	}
}
