package cloudtrailtest_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

func by(key types.LookupAttributeKey, value string) []types.LookupAttribute {
	return []types.LookupAttribute{{AttributeKey: key, AttributeValue: &value}}
}

func lookup(t *testing.T, c *cloudtrail.Client, in cloudtrail.LookupEventsInput) []types.Event {
	t.Helper()
	out, err := c.LookupEvents(ctx, &in)
	wants(t, err, "")
	return out.Events
}

func eventNames(events []types.Event) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, *e.EventName)
	}
	return out
}

func document(t *testing.T, e types.Event) map[string]any {
	t.Helper()
	doc := map[string]any{}
	wants(t, json.Unmarshal([]byte(*e.CloudTrailEvent), &doc), "")
	return doc
}

// member returns a member of a JSON object, nil if there is none.
func member(v any, name string) any {
	if m, ok := v.(map[string]any); ok {
		return m[name]
	}
	return nil
}

func TestHistoryOfAWrite(t *testing.T) {
	e := start(t)
	c := e.in(region)
	create(t, c, "audit", everything)
	events := lookup(t, c, cloudtrail.LookupEventsInput{})
	equal(t, "events", len(events), 1)
	got := events[0]
	equal(
		t,
		"event",
		fmt.Sprint(
			*got.EventName,
			*got.EventSource,
			*got.ReadOnly,
			*got.Username,
			*got.AccessKeyId,
			got.EventTime.Equal(e.clock.Now()),
		),
		fmt.Sprint("CreateTrail", "cloudtrail.amazonaws.com", "false", "operator", "test", true),
	)
	var resources []string
	for _, r := range got.Resources {
		resources = append(resources, *r.ResourceType+"="+*r.ResourceName)
	}
	same(
		t,
		"resources",
		resources,
		"AWS::CloudTrail::Trail=arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit",
		"AWS::CloudTrail::Trail=audit",
		"AWS::IAM::Role="+role,
		"AWS::KMS::Key="+key,
		"AWS::Logs::LogGroup="+group,
		"AWS::S3::Bucket="+bucket,
		"AWS::SNS::Topic=trails",
	)
	doc := document(t, got)
	for path, want := range map[string]string{
		"eventVersion": "1.11", "eventID": *got.EventId, "eventTime": "2026-03-01T12:00:00Z",
		"eventSource": "cloudtrail.amazonaws.com", "eventName": "CreateTrail", "eventType": "AwsApiCall",
		"eventCategory": "Management", "managementEvent": "true", "readOnly": "false", "errorCode": "<nil>",
		"awsRegion": region, "recipientAccountId": account, "sourceIPAddress": "127.0.0.1",
		"userIdentity.type": "IAMUser", "userIdentity.arn": "arn:aws:iam::111122223333:user/operator",
		"userIdentity.accountId": account, "userIdentity.accessKeyId": "test", "userIdentity.userName": "operator",
		"requestParameters.name": "audit", "requestParameters.s3BucketName": bucket,
		"requestParameters.isMultiRegionTrail": "true", "requestParameters.enableLogFileValidation": "true",
		"requestParameters.kmsKeyId": key, "responseElements.snsTopicARN": topic,
		"responseElements.trailARN": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit",
	} {
		var v any = doc
		for part := range strings.SplitSeq(path, ".") {
			v = member(v, part)
		}
		equal(t, path, fmt.Sprint(v), want)
	}
	if !strings.Contains(fmt.Sprint(doc["userAgent"]), "aws-sdk-go-v2") {
		t.Fatal(doc["userAgent"])
	}
	equal(t, "nested names", asJSON(t, member(doc["requestParameters"], "tagsList")), `[{"key":"team","value":"audit"}]`)
}

func TestHistoryOfAFailure(t *testing.T) {
	e := start(t)
	c := e.in(region)
	_, err := c.StopLogging(
		ctx,
		&cloudtrail.StopLoggingInput{Name: aws.String("arn:aws:cloudtrail:eu-west-1:111122223333:trail/gone")},
	)
	wants(t, err, "TrailNotFoundException")
	e.Inject(cloudtrailtest.Fault{Operation: "DeleteTrail", Code: "AccessDeniedException", Times: 1})
	_, err = c.DeleteTrail(ctx, &cloudtrail.DeleteTrailInput{Name: aws.String("gone")})
	wants(t, err, "AccessDeniedException")
	equal(
		t,
		"message",
		message(err),
		"User: arn:aws:iam::111122223333:user/operator is not authorized to perform: "+
			"cloudtrail:DeleteTrail on resource: arn:aws:cloudtrail:eu-west-1:111122223333:trail/gone "+
			"because no identity-based policy allows the cloudtrail:DeleteTrail action",
	)
	events := lookup(t, c, cloudtrail.LookupEventsInput{})
	same(t, "events", eventNames(events), "DeleteTrail", "StopLogging")
	denied, missing := document(t, events[0]), document(t, events[1])
	equal(t, "code in the history", fmt.Sprint(denied["errorCode"]), "AccessDenied")
	equal(t, "code", fmt.Sprint(missing["errorCode"]), "TrailNotFoundException")
	equal(
		t,
		"message",
		fmt.Sprint(missing["errorMessage"]),
		"Unknown trail: arn:aws:cloudtrail:eu-west-1:111122223333:trail/gone for the user: 111122223333",
	)
	equal(t, "no answer", missing["responseElements"] == nil, true)
	equal(t, "by name", len(lookup(t, c, cloudtrail.LookupEventsInput{LookupAttributes: by("ResourceName", "gone")})), 2)
}

func TestHistoryOfARole(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.RecordReads = true })
	out, err := e.sts("test", "test", "").AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn:         aws.String("arn:aws:iam::444455556666:role/path/ops"),
		RoleSessionName: aws.String("alice"),
	})
	wants(t, err, "")
	c := e.as(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken, region)
	create(t, c, "audit")
	events := lookup(t, c, cloudtrail.LookupEventsInput{LookupAttributes: by("EventName", "CreateTrail")})
	equal(t, "who", *events[0].Username+" "+*events[0].AccessKeyId, "alice "+*out.Credentials.AccessKeyId)
	identity := member(document(t, events[0]), "userIdentity")
	equal(t, "type", fmt.Sprint(member(identity, "type")), "AssumedRole")
	equal(t, "principal", fmt.Sprint(member(identity, "principalId")), *out.AssumedRoleUser.AssumedRoleId)
	session := member(identity, "sessionContext")
	equal(
		t,
		"issuer",
		fmt.Sprint(member(member(session, "sessionIssuer"), "arn")),
		"arn:aws:iam::444455556666:role/path/ops",
	)
	equal(t, "created", fmt.Sprint(member(member(session, "attributes"), "creationDate")), "2026-03-01T12:00:00Z")
	// With RecordReads, the reads are there too, and the caller's AssumeRole in its own account.
	same(t, "role's account", eventNames(lookup(t, c, cloudtrail.LookupEventsInput{})), "LookupEvents", "CreateTrail")
	same(
		t,
		"caller's account",
		eventNames(
			lookup(t, e.in(region), cloudtrail.LookupEventsInput{LookupAttributes: by("EventSource", "sts.amazonaws.com")}),
		),
		"AssumeRole",
	)
	equal(t, "reads", len(lookup(t, c, cloudtrail.LookupEventsInput{LookupAttributes: by("ReadOnly", "true")})), 2)
}

func TestOtherActors(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.NoRateLimit = false })
	c := e.in(region)
	arn := *create(t, c, "audit").TrailARN
	e.ResetCalls()
	for arn, want := range map[string]string{
		"arn:aws:iam::111122223333:user/ops/mallory":              "IAMUser mallory",
		"arn:aws:sts::111122223333:assumed-role/Admin/mallory":    "AssumedRole mallory",
		"arn:aws:iam::111122223333:root":                          "Root root",
		"arn:aws:sts::111122223333:assumed-role/AWSReserved/m@ex": "AssumedRole m@ex",
	} {
		a := cloudtrailtest.Actor{
			ARN:             arn,
			SourceIPAddress: "198.51.100.9",
			UserAgent:       "console.amazonaws.com",
			AccessKeyID:     "ASIAX",
		}
		out, err := e.As(a).Do(region, "UpdateTrail", map[string]any{"Name": "audit", "EnableLogFileValidation": true})
		wants(t, err, "")
		equal(t, "result", fmt.Sprint(out["LogFileValidationEnabled"]), "true")
		e.clock.add(time.Second)
		got := lookup(t, c, cloudtrail.LookupEventsInput{
			LookupAttributes: by("AccessKeyId", "ASIAX"),
			MaxResults:       aws.Int32(1),
		})[0]
		doc := document(t, got)
		equal(t, "who", fmt.Sprint(member(doc["userIdentity"], "type"), " ", *got.Username), want)
		equal(t, "from", fmt.Sprint(doc["sourceIPAddress"], doc["userAgent"]), "198.51.100.9console.amazonaws.com")
	}
	_, err := e.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::999999999999:user/u"}).
		Do(region, "StopLogging", map[string]any{"Name": arn})
	wants(t, err, "TrailNotFoundException")
	got, err := e.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::111122223333:user/u"}).
		Do(region, "LookupEvents", map[string]any{"MaxResults": 1})
	wants(t, err, "")
	events, ok := got["Events"].([]any)
	equal(t, "an answer in plain JSON", ok && len(events) == 1, true)
	equal(t, "only the lookups are calls", fmt.Sprint(e.CallCounts()), "map[LookupEvents:4]")
}

func TestLookupAttributes(t *testing.T) {
	e := start(t)
	c := e.in(region)
	arn := *create(t, c, "audit").TrailARN
	create(t, c, "other", func(in *cloudtrail.CreateTrailInput) { in.S3BucketName = aws.String("other-bucket") })
	_, err := c.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: aws.String("audit")})
	wants(t, err, "")
	_, err = e.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::111122223333:user/mallory"}).
		Do(region, "StopLogging", map[string]any{"Name": arn})
	wants(t, err, "")
	all := lookup(t, c, cloudtrail.LookupEventsInput{})
	same(t, "newest first", eventNames(all), "StopLogging", "StartLogging", "CreateTrail", "CreateTrail")
	same(t, "elsewhere", eventNames(lookup(t, e.in("us-east-1"), cloudtrail.LookupEventsInput{})))
	for name, one := range map[string]struct {
		attribute []types.LookupAttribute
		want      []string
	}{
		"id":              {by("EventId", *all[1].EventId), []string{"StartLogging"}},
		"name":            {by("EventName", "CreateTrail"), []string{"CreateTrail", "CreateTrail"}},
		"name, in part":   {by("EventName", "Create"), []string{}},
		"writes":          {by("ReadOnly", "false"), []string{"StopLogging", "StartLogging", "CreateTrail", "CreateTrail"}},
		"reads":           {by("ReadOnly", "true"), []string{}},
		"user":            {by("Username", "mallory"), []string{"StopLogging"}},
		"resource type":   {by("ResourceType", "AWS::S3::Bucket"), []string{"CreateTrail", "CreateTrail"}},
		"resource by ARN": {by("ResourceName", arn), []string{"StopLogging", "StartLogging", "CreateTrail"}},
		"resource":        {by("ResourceName", "audit"), []string{"StopLogging", "StartLogging", "CreateTrail"}},
		"bucket":          {by("ResourceName", "other-bucket"), []string{"CreateTrail"}},
		"source": {
			by("EventSource", "cloudtrail.amazonaws.com"),
			[]string{"StopLogging", "StartLogging", "CreateTrail", "CreateTrail"},
		},
		"another source": {by("EventSource", "s3.amazonaws.com"), []string{}},
		"key":            {by("AccessKeyId", "test"), []string{"StartLogging", "CreateTrail", "CreateTrail"}},
	} {
		got := eventNames(lookup(t, c, cloudtrail.LookupEventsInput{LookupAttributes: one.attribute}))
		if !slices.Equal(got, one.want) {
			t.Errorf("%s: got %v, want %v", name, got, one.want)
		}
	}
}

func TestLookupValidation(t *testing.T) {
	type input = cloudtrail.LookupEventsInput
	const badAttributes, badRange = "InvalidLookupAttributesException", "InvalidTimeRangeException"
	now := newClock().Now()
	at := func(d time.Duration) *time.Time { return aws.Time(now.Add(d)) }
	for name, c := range map[string]struct {
		in   input
		want string
	}{
		"nothing":    {input{}, ""},
		"0 results":  {input{MaxResults: aws.Int32(0)}, "InvalidMaxResultsException"},
		"51 results": {input{MaxResults: aws.Int32(51)}, "InvalidMaxResultsException"},
		"50 results": {input{MaxResults: aws.Int32(50)}, ""},
		"two attributes": {
			input{LookupAttributes: append(by("EventName", "a"), by("EventName", "b")...)},
			badAttributes,
		},
		"another attribute":     {input{LookupAttributes: by("Mood", "a")}, badAttributes},
		"empty value":           {input{LookupAttributes: by("EventName", "")}, badAttributes},
		"2000 characters":       {input{LookupAttributes: by("EventName", strings.Repeat("x", 2000))}, ""},
		"2001 characters":       {input{LookupAttributes: by("EventName", strings.Repeat("x", 2001))}, badAttributes},
		"1000 underscores":      {input{LookupAttributes: by("EventName", strings.Repeat("_", 1000))}, ""},
		"1001 underscores":      {input{LookupAttributes: by("EventName", strings.Repeat("_", 1001))}, badAttributes},
		"start after end":       {input{StartTime: at(-time.Hour), EndTime: at(-2 * time.Hour)}, badRange},
		"start is end":          {input{StartTime: at(-time.Hour), EndTime: at(-time.Hour)}, ""},
		"start in the future":   {input{StartTime: at(time.Hour)}, badRange},
		"both in the future":    {input{StartTime: at(time.Hour), EndTime: at(2 * time.Hour)}, badRange},
		"end in the future":     {input{EndTime: at(time.Hour)}, ""},
		"start long ago":        {input{StartTime: at(-100 * 24 * time.Hour)}, ""},
		"all long ago":          {input{StartTime: at(-100 * 24 * time.Hour), EndTime: at(-91 * 24 * time.Hour)}, badRange},
		"insights":              {input{EventCategory: "insight"}, ""},
		"insights by source":    {input{EventCategory: "insight", LookupAttributes: by("EventSource", "a")}, ""},
		"insights by user":      {input{EventCategory: "insight", LookupAttributes: by("Username", "a")}, badAttributes},
		"another category":      {input{EventCategory: "mood"}, "InvalidEventCategoryException"},
		"made-up token":         {input{NextToken: aws.String("made-up")}, "InvalidNextTokenException"},
		"another made-up token": {input{NextToken: aws.String("bWFkZQ.dXA")}, "InvalidNextTokenException"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := start(t).in(region).LookupEvents(ctx, &c.in)
			wants(t, err, c.want)
		})
	}
}

func TestLookupRange(t *testing.T) {
	e := start(t)
	c := e.in(region)
	for i := range 4 {
		create(t, c, fmt.Sprintf("trail-%d", i))
		e.clock.add(time.Hour)
	}
	t0 := newClock().Now()
	at := func(hours int) *time.Time { return aws.Time(t0.Add(time.Duration(hours) * time.Hour)) }
	count := func(from, to *time.Time) int {
		return len(lookup(t, c, cloudtrail.LookupEventsInput{StartTime: from, EndTime: to}))
	}
	equal(t, "all", count(nil, nil), 4)
	equal(t, "from 1", count(at(1), nil), 3)
	equal(t, "to 1", count(nil, at(1)), 2)
	equal(t, "from 1 to 2, both included", count(at(1), at(2)), 2)
	e.clock.add(90*24*time.Hour - 3*time.Hour)
	equal(t, "after 90 days", count(nil, nil), 3)
	e.clock.add(4 * time.Hour)
	equal(t, "later", count(nil, nil), 0)
}

func TestLookupPages(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.NoTrailLimit = true })
	c := e.in(region)
	for i := range 120 {
		create(t, c, fmt.Sprintf("trail-%03d", i))
		if i%7 == 0 { // Many events within one second, as they come.
			e.clock.add(time.Second)
		}
	}
	var got []string
	for p := cloudtrail.NewLookupEventsPaginator(c, &cloudtrail.LookupEventsInput{}); p.HasMorePages(); {
		out, err := p.NextPage(ctx)
		wants(t, err, "")
		for _, one := range out.Events {
			got = append(got, *one.Resources[1].ResourceName)
		}
		// What happens meanwhile does not shift the pages.
		create(t, c, fmt.Sprintf("meanwhile-%d", len(got)))
	}
	equal(t, "events", len(got), 120)
	for i, name := range got {
		equal(t, "order", name, fmt.Sprintf("trail-%03d", 119-i))
	}

	first, err := c.LookupEvents(
		ctx,
		&cloudtrail.LookupEventsInput{LookupAttributes: by("EventName", "CreateTrail"), MaxResults: aws.Int32(2)},
	)
	wants(t, err, "")
	for name, in := range map[string]cloudtrail.LookupEventsInput{
		"another attribute": {LookupAttributes: by("EventName", "DeleteTrail"), MaxResults: aws.Int32(2)},
		"no attribute":      {MaxResults: aws.Int32(2)},
		"another size":      {LookupAttributes: by("EventName", "CreateTrail"), MaxResults: aws.Int32(3)},
		"another time": {
			LookupAttributes: by("EventName", "CreateTrail"),
			MaxResults:       aws.Int32(2),
			StartTime:        aws.Time(newClock().Now()),
		},
	} {
		in.NextToken = first.NextToken
		if _, err := c.LookupEvents(ctx, &in); code(err) != "InvalidNextTokenException" {
			t.Errorf("%s: %v", name, err)
		}
	}
	again := &cloudtrail.LookupEventsInput{
		LookupAttributes: by("EventName", "CreateTrail"),
		MaxResults:       aws.Int32(2),
		NextToken:        first.NextToken,
	}
	_, err = e.in("us-east-1").LookupEvents(ctx, again)
	wants(t, err, "InvalidNextTokenException")
	_, err = e.account("999999999999", region).LookupEvents(ctx, again)
	wants(t, err, "InvalidNextTokenException")
	_, err = c.LookupEvents(ctx, again)
	wants(t, err, "")
}

func TestHistoryLag(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.HistoryLag = 5 * time.Minute })
	c := e.in(region)
	create(t, c, "audit")
	e.clock.add(5*time.Minute - time.Second)
	equal(t, "too early", len(lookup(t, c, cloudtrail.LookupEventsInput{})), 0)
	e.clock.add(time.Second)
	equal(t, "in time", len(lookup(t, c, cloudtrail.LookupEventsInput{})), 1)
}

func TestHistoryBoundAndBackwardsClock(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.MaxHistory, o.NoTrailLimit = 3, true })
	c := e.in(region)
	for i := range 5 {
		create(t, c, fmt.Sprintf("trail-%d", i))
		e.clock.add(time.Second)
	}
	equal(t, "kept", len(lookup(t, c, cloudtrail.LookupEventsInput{})), 3)
	e.clock.add(-time.Second - time.Second/2)
	create(t, c, "early")
	e.clock.add(time.Hour)
	events := lookup(t, c, cloudtrail.LookupEventsInput{})
	if !slices.IsSortedFunc(events, func(a, b types.Event) int { return b.EventTime.Compare(*a.EventTime) }) {
		t.Fatal("not newest first")
	}
}
