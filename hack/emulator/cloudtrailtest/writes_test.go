package cloudtrailtest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// An AWS that normalizes stores something else than what it is asked for, and answers the one or the other.
func TestOnStore(t *testing.T) {
	normalize := func(_ string, t *cloudtrailtest.Trail) {
		if t.S3KeyPrefix != "" {
			t.S3KeyPrefix = strings.TrimSuffix(t.S3KeyPrefix, "/") + "/"
		}
		t.CloudWatchLogsRoleARN = strings.ToLower(t.CloudWatchLogsRoleARN)
		slices.Reverse(t.EventSelectors)
		if len(t.InsightSelectors) == 1 {
			t.InsightSelectors = append(
				t.InsightSelectors,
				cloudtrailtest.InsightSelector{InsightType: "ApiErrorRateInsight", EventCategories: []string{"Management"}},
			)
		}
		for key, value := range t.Tags {
			t.Tags[key] = strings.ToLower(value)
		}
		t.ARN, t.Name, t.AccountID, t.HomeRegion = "x", "x", "x", "x" // These stay.
	}
	for _, echo := range []bool{false, true} {
		t.Run(fmt.Sprint("echo ", echo), func(t *testing.T) {
			either := func(asked, stored string) string { return map[bool]string{true: asked, false: stored}[echo] }
			e := direct()
			e.OnStore(normalize, echo)
			c := e.in(region)
			out := create(t, c, "audit", func(in *cloudtrail.CreateTrailInput) {
				in.S3KeyPrefix, in.TagsList = aws.String("logs"), tagsOf("Team", "AUDIT", "Empty", "")
				in.CloudWatchLogsLogGroupArn, in.CloudWatchLogsRoleArn = aws.String(
					group,
				), aws.String(
					strings.Replace(role, "logs", "Logs", 1),
				)
			})
			equal(t, "answer", *out.S3KeyPrefix+" "+(*out.CloudWatchLogsRoleArn)[31:], either("logs Logs", "logs/ logs"))
			event := document(t, lookup(t, c, cloudtrail.LookupEventsInput{})[0])
			equal(
				t,
				"the history has the answer",
				member(event["responseElements"], "s3KeyPrefix") == either("logs", "logs/"),
				true,
			)
			got, err := c.GetTrail(ctx, &cloudtrail.GetTrailInput{Name: aws.String("audit")})
			wants(t, err, "")
			equal(
				t,
				"stored",
				*got.Trail.TrailARN+" "+*got.Trail.S3KeyPrefix+" "+(*got.Trail.CloudWatchLogsRoleArn)[31:],
				auditARN+" logs/ logs",
			)
			tags, err := c.ListTags(ctx, &cloudtrail.ListTagsInput{ResourceIdList: []string{auditARN}})
			wants(t, err, "")
			equal(
				t,
				"tags",
				asJSON(t, tags.ResourceTagList[0].TagsList),
				`[{"Key":"Empty","Value":""},{"Key":"Team","Value":"audit"}]`,
			)

			_, err = c.PutEventSelectors(
				ctx,
				&cloudtrail.PutEventSelectorsInput{TrailName: aws.String("audit"), EventSelectors: []types.EventSelector{
					{ReadWriteType: types.ReadWriteTypeReadOnly}, {ReadWriteType: types.ReadWriteTypeWriteOnly},
				}},
			)
			wants(t, err, "")
			selectors, err := c.GetEventSelectors(ctx, &cloudtrail.GetEventSelectorsInput{TrailName: aws.String("audit")})
			wants(t, err, "")
			equal(
				t,
				"selectors",
				fmt.Sprint(selectors.EventSelectors[0].ReadWriteType, len(selectors.EventSelectors)),
				"WriteOnly2",
			)
			put, err := c.PutInsightSelectors(ctx, &cloudtrail.PutInsightSelectorsInput{
				TrailName: aws.String(
					"audit",
				),
				InsightSelectors: []types.InsightSelector{{InsightType: types.InsightTypeApiCallRateInsight}},
			})
			wants(t, err, "")
			equal(t, "answer", fmt.Sprint(len(put.InsightSelectors)), either("1", "2"))
			insights, err := c.GetInsightSelectors(ctx, &cloudtrail.GetInsightSelectorsInput{TrailName: aws.String("audit")})
			wants(t, err, "")
			equal(t, "insights", len(insights.InsightSelectors), 2)
			e.OnStore(nil, false)
			_, err = c.UpdateTrail(
				ctx,
				&cloudtrail.UpdateTrailInput{Name: aws.String("audit"), S3KeyPrefix: aws.String("plain")},
			)
			wants(t, err, "")
			equal(t, "no longer", e.Trails()[0].S3KeyPrefix, "plain")
		})
	}
}

// What a hook stores is found where it belongs: a trail that it keeps to one region does not show in another.
func TestOnStoreMovesShadows(t *testing.T) {
	e := direct()
	e.OnStore(func(operation string, t *cloudtrailtest.Trail) {
		if operation == "UpdateTrail" {
			t.IsMultiRegionTrail = !t.IsMultiRegionTrail
		}
	}, true)
	create(t, e.in(region), "audit", multiRegion)
	same(t, "away", names(t, e.in("us-east-1"), nil), "audit")
	_, err := e.in(region).UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: aws.String("audit")})
	wants(t, err, "")
	same(t, "away", names(t, e.in("us-east-1"), nil))
	// A tag without a value stays one.
	e.must(t, "AddTags", map[string]any{"ResourceId": auditARN, "TagsList": []any{map[string]any{"Key": "k"}}})
	out, err := e.in(region).ListTags(ctx, &cloudtrail.ListTagsInput{ResourceIdList: []string{auditARN}})
	wants(t, err, "")
	equal(t, "tag", asJSON(t, out.ResourceTagList[0].TagsList), `[{"Key":"k","Value":null}]`)
}

// Every accepted write is reported, in order, with the trail before and after it; nothing else is.
func TestOnWrite(t *testing.T) {
	e := direct()
	var reported []cloudtrailtest.Write
	e.OnWrite(func(w cloudtrailtest.Write) { reported = append(reported, w) })
	c := e.in(region)
	create(t, c, "audit", everything)
	for name, err := range writes(c, "gone") {
		if err == nil {
			t.Errorf("%s of no trail succeeds", name)
		}
	}
	names(t, c, nil)
	_, err := c.UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: aws.String("audit"), S3BucketName: aws.String("!")})
	wants(t, err, "InvalidS3BucketNameException")
	e.Inject(cloudtrailtest.Fault{Operation: "StopLogging", Code: "ConflictException", Times: 1})
	_, err = c.StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: aws.String("audit")})
	wants(t, err, "ConflictException")
	equal(t, "one", len(reported), 1)

	e.clock.add(time.Second)
	e.must(t, "StartLogging", map[string]any{"Name": "audit"})
	e.must(t, "StartLogging", map[string]any{"Name": auditARN}) // Changes nothing, and is a write all the same.
	e.must(
		t,
		"AddTags",
		map[string]any{"ResourceId": auditARN, "TagsList": []any{map[string]any{"Key": "owner", "Value": "me"}}},
	)
	e.must(t, "DeleteTrail", map[string]any{"Name": "audit"})
	var got []string
	var last *cloudtrailtest.Trail
	for _, w := range reported {
		equal(t, "where", w.AccountID+w.Region+w.TrailARN, account+region+auditARN)
		equal(t, "before", asJSON(t, w.Before), asJSON(t, last))
		last = w.After
		got = append(
			got,
			fmt.Sprint(
				w.Operation,
				" ",
				w.PrincipalARN[31:],
				" ",
				w.AccessKeyID[:4],
				" ",
				w.Time.Format(time.TimeOnly),
				" ",
				w.SourceIPAddress,
			),
		)
	}
	same(t, "reported", got,
		"CreateTrail operator test 12:00:00 127.0.0.1", "StartLogging somebody ASIA 12:00:01 203.0.113.7",
		"StartLogging somebody ASIA 12:00:01 203.0.113.7", "AddTags somebody ASIA 12:00:01 203.0.113.7",
		"DeleteTrail somebody ASIA 12:00:01 203.0.113.7")
	equal(
		t,
		"agents",
		strings.Contains(reported[0].UserAgent, "aws-sdk-go-v2") && reported[1].UserAgent == "AWS Internal",
		true,
	)
	equal(t, "the first has no before, the last no after", reported[0].Before == nil && reported[4].After == nil, true)
	equal(
		t,
		"a change",
		fmt.Sprintf("%t/%t/%s", reported[1].Before.IsLogging, reported[1].After.IsLogging, reported[3].After.Tags["owner"]),
		"false/true/me",
	)
	// A report is a copy.
	reported[0].After.Tags["team"] = "changed"
	equal(t, "not shared", reported[3].After.Tags["team"], "audit")
	e.OnWrite(nil)
	create(t, c, "audit")
	equal(t, "no longer", len(reported), 5)
}

// Every answered read is reported with the age of what it saw.
func TestOnRead(t *testing.T) {
	e := direct(func(o *cloudtrailtest.Options) { o.ReadLag = 5 * time.Second })
	var reported []string
	e.OnRead(func(r cloudtrailtest.Read) {
		reported = append(
			reported,
			fmt.Sprint(
				r.Time.Format(time.TimeOnly),
				" ",
				r.Operation,
				" ",
				r.Target,
				" ",
				r.Error,
				" ",
				r.Age,
				" ",
				r.PrincipalARN[31:],
				" ",
				r.AccountID,
				" ",
				r.Region,
			),
		)
	})
	c := e.in(region)
	create(t, c, "audit")
	_, err := c.GetTrail(ctx, &cloudtrail.GetTrailInput{Name: aws.String("audit")})
	wants(t, err, "TrailNotFoundException")
	e.Inject(cloudtrailtest.Fault{Code: "ConflictException", Times: 1})
	_, err = c.GetTrail(ctx, &cloudtrail.GetTrailInput{Name: aws.String("audit")})
	wants(t, err, "ConflictException")
	e.SetLags(cloudtrailtest.Lags{})
	names(t, c, nil)
	lookup(t, c, cloudtrail.LookupEventsInput{})
	same(t, "reported", reported,
		"12:00:00 GetTrail audit TrailNotFoundException 5s operator 111122223333 eu-west-1",
		"12:00:00 DescribeTrails   0s operator 111122223333 eu-west-1",
		"12:00:00 LookupEvents   0s operator 111122223333 eu-west-1")
	e.OnRead(nil)
	names(t, c, nil)
	equal(t, "no longer", len(reported), 3)
}

// With a seed, the answers to the same requests at the same times are the same, to the byte.
func TestDeterminism(t *testing.T) {
	play := func(seed int64, others int) []string {
		var out []string
		synctest.Test(t, func(t *testing.T) {
			e := direct(func(o *cloudtrailtest.Options) {
				o.Seed, o.NoRateLimit, o.RecordReads = seed, false, true
				o.ReadLagMax, o.HistoryLagMax, o.ListTrailsPageSize = 20*time.Second, time.Minute, 2
			})
			tape := e.record()
			e.Inject(cloudtrailtest.Fault{Probability: 0.1, Code: "ConflictException"})
			e.Inject(cloudtrailtest.Fault{Probability: 0.1, DropAfter: true})
			e.Inject(cloudtrailtest.Fault{Probability: 0.05, Status: 502, Body: "<html>"})
			c := e.in(region)
			for i := range 6 {
				// What goes on in other accounts makes no difference.
				for other := range others {
					_, err := e.As(anyone(fmt.Sprintf("%012d", other))).
						Do(region, "CreateTrail", map[string]any{"Name": fmt.Sprintf("trail-%d", i), "S3BucketName": bucket})
					wants(t, err, map[bool]string{true: "", false: "MaximumNumberOfTrailsExceededException"}[i < 5])
				}
				name := fmt.Sprintf("trail-%d", i)
				_ = tryCreate(c, name, everything) //nolint:errcheck // faults are part of it
				for range writes(c, name) {
					e.clock.add(time.Second)
				}
				_ = tryCreate(c, name, everything) //nolint:errcheck // likewise
				for p := cloudtrail.NewListTrailsPaginator(c, nil); p.HasMorePages(); {
					if _, err := p.NextPage(ctx); err != nil {
						break
					}
				}
				_, _ = c.LookupEvents(ctx, &cloudtrail.LookupEventsInput{MaxResults: aws.Int32(20)}) //nolint:errcheck // likewise
				if s, err := e.assume(opsRole); err == nil {
					_ = s.codes()
				}
			}
			for _, a := range tape.answers {
				out = append(out, fmt.Sprint(a))
			}
		})
		return out
	}
	first := play(7, 0)
	equal(t, "answers", len(first) > 80, true)
	same(t, "the same seed", play(7, 0), first...)
	same(t, "with others around", play(7, 3), first...)
	equal(t, "another seed", slices.Equal(play(8, 0), first), false)
	// Without a seed nobody can know the ids.
	equal(t, "no seed", slices.Equal(play(0, 0), play(0, 0)), false)
}

// Of two errors in one selector, it is always the same that is answered.
func TestTheSameErrorAlways(t *testing.T) {
	e := direct()
	e.must(t, "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": bucket})
	first := ""
	for i := range 20 {
		_, err := e.As(anyone(account)).
			Do(region, "PutEventSelectors", map[string]any{"TrailName": "audit", "AdvancedEventSelectors": []any{
				map[string]any{
					"FieldSelectors": []any{
						map[string]any{
							"Field":      "eventName",
							"Equals":     []any{},
							"StartsWith": []any{""},
							"EndsWith":   []any{},
							"NotEquals":  []any{""},
						},
					},
				},
			}})
		wants(t, err, "InvalidEventSelectorsException")
		if i == 0 {
			first = err.Error()
		}
		equal(t, "error", err.Error(), first)
	}
}
