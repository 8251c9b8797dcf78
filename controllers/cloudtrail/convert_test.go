package cloudtrail

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// testRegionAt returns a region of the SDK's real client in front of the server. Whoever calls waits for the answer.
func testRegionAt(server *fakeAWS) *Region {
	return memorySession(memorySessions(server, func(o *Options) { o.MaxWait = time.Minute })).Region(testRegion)
}

// begun returns the context of a reconcile of an object.
func begun(t *testing.T, namespace, name string, reason Reason) context.Context {
	t.Helper()
	ctx, err := NewCalls(namespace, name, func() {}).Begin(t.Context(), 1, reason, time.Minute, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

var everySelector = []v1alpha1.AdvancedEventSelector{{
	Name: "writes",
	FieldSelectors: []v1alpha1.AdvancedFieldSelector{
		{Field: "eventCategory", Equals: []string{"Data"}},
		{Field: "resources.type", Equals: []string{"AWS::S3::Object"}},
		{
			Field:         "resources.ARN",
			StartsWith:    []string{"arn:aws:s3:::a/"},
			NotStartsWith: []string{"arn:aws:s3:::a/tmp/"},
			EndsWith:      []string{".log"},
			NotEndsWith:   []string{".tmp"},
		},
		{Field: "eventName", NotEquals: []string{"GetObject"}},
	},
}}

const everySelectorOnTheWire = `[{"Name": "writes", "FieldSelectors": [
	{"Field": "eventCategory", "Equals": ["Data"]},
	{"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
	{"Field": "resources.ARN", "StartsWith": ["arn:aws:s3:::a/"], "NotStartsWith": ["arn:aws:s3:::a/tmp/"],
		"EndsWith": [".log"], "NotEndsWith": [".tmp"]},
	{"Field": "eventName", "NotEquals": ["GetObject"]}]}]`

// TestCallsOnTheWire holds what AWS is sent, down to what is left out and what is sent empty.
func TestCallsOnTheWire(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit"
	create := func(settings Change) func(context.Context, *Region) error {
		return func(ctx context.Context, r *Region) error {
			_, err := r.Create(ctx, "audit", settings, map[string]string{"team": "security", "owner": "me"}, nil)
			return err
		}
	}
	none, on, off := aws.String(""), aws.Bool(true), aws.Bool(false)
	write := func(f func(context.Context, *Region, *Trail) error) func(context.Context, *Region) error {
		return func(ctx context.Context, r *Region) error {
			return f(ctx, r, &Trail{ARN: arn, Tags: map[string]string{"old": "1"}})
		}
	}
	for name, c := range map[string]struct {
		call      func(context.Context, *Region) error
		operation string
		body      string
	}{
		"CreateTrail leaves out what is empty": {create(Change{
			S3BucketName: aws.String("logs"), S3KeyPrefix: none, SNSTopicName: none, KMSKeyID: none,
			CloudWatchLogsLogGroupARN: none, CloudWatchLogsRoleARN: none, IncludeGlobalServiceEvents: on,
			IsMultiRegionTrail: off, EnableLogFileValidation: off, IsOrganizationTrail: off,
		}), "CreateTrail", `{
			"Name": "audit", "S3BucketName": "logs", "IncludeGlobalServiceEvents": true, "IsMultiRegionTrail": false,
			"EnableLogFileValidation": false, "IsOrganizationTrail": false,
			"TagsList": [{"Key": "owner", "Value": "me"}, {"Key": "team", "Value": "security"}]}`},
		"CreateTrail with everything": {create(Change{
			S3BucketName: aws.String("logs"), S3KeyPrefix: aws.String("prefix"), SNSTopicName: aws.String("topic"),
			KMSKeyID: aws.String("alias/key"), CloudWatchLogsLogGroupARN: aws.String("group"),
			CloudWatchLogsRoleARN: aws.String("role"), IncludeGlobalServiceEvents: off,
			IsMultiRegionTrail: on, EnableLogFileValidation: on, IsOrganizationTrail: on,
		}), "CreateTrail", `{
			"Name": "audit", "S3BucketName": "logs", "S3KeyPrefix": "prefix", "SnsTopicName": "topic", "KmsKeyId": "alias/key",
			"CloudWatchLogsLogGroupArn": "group", "CloudWatchLogsRoleArn": "role", "IncludeGlobalServiceEvents": false,
			"IsMultiRegionTrail": true, "EnableLogFileValidation": true, "IsOrganizationTrail": true,
			"TagsList": [{"Key": "owner", "Value": "me"}, {"Key": "team", "Value": "security"}]}`},
		"UpdateTrail names what changes": {write(func(ctx context.Context, r *Region, t *Trail) error {
			return r.Update(ctx, t, Change{S3BucketName: aws.String("other")}, nil)
		}), "UpdateTrail", `{"Name": "` + arn + `", "S3BucketName": "other"}`},
		"UpdateTrail clears with nothing": {write(func(ctx context.Context, r *Region, t *Trail) error {
			return r.Update(ctx, t, Change{
				S3KeyPrefix: none, SNSTopicName: none, KMSKeyID: none,
				CloudWatchLogsLogGroupARN: none, CloudWatchLogsRoleARN: none,
			}, nil)
		}), "UpdateTrail", `{"Name": "` + arn + `", "S3KeyPrefix": "", "SnsTopicName": "", "KmsKeyId": "",
			"CloudWatchLogsLogGroupArn": "", "CloudWatchLogsRoleArn": ""}`},
		"UpdateTrail turns off": {write(func(ctx context.Context, r *Region, t *Trail) error {
			return r.Update(ctx, t, Change{
				IncludeGlobalServiceEvents: off, IsMultiRegionTrail: off,
				EnableLogFileValidation: off, IsOrganizationTrail: off,
			}, nil)
		}), "UpdateTrail", `{"Name": "` + arn + `", "IncludeGlobalServiceEvents": false, "IsMultiRegionTrail": false,
			"EnableLogFileValidation": false, "IsOrganizationTrail": false}`},
		"DeleteTrail": {func(ctx context.Context, r *Region) error {
			return r.Delete(ctx, arn, nil)
		}, "DeleteTrail", `{"Name": "` + arn + `"}`},
		"StartLogging": {write(func(ctx context.Context, r *Region, t *Trail) error {
			return r.StartLogging(ctx, t, nil)
		}), "StartLogging", `{"Name": "` + arn + `"}`},
		"StopLogging": {write(func(ctx context.Context, r *Region, t *Trail) error {
			return r.StopLogging(ctx, t, nil)
		}), "StopLogging", `{"Name": "` + arn + `"}`},
		"no selectors are the default one": {write(func(ctx context.Context, r *Region, t *Trail) error {
			_, err := r.PutSelectors(ctx, t, Selectors{}, nil)
			return err
		}), "PutEventSelectors", `{"TrailName": "` + arn + `", "EventSelectors": [
			{"ReadWriteType": "All", "IncludeManagementEvents": true}]}`},
		"basic selectors": {write(func(ctx context.Context, r *Region, t *Trail) error {
			_, err := r.PutSelectors(ctx, t, Selectors{Basic: []v1alpha1.EventSelector{
				{},
				{
					ReadWriteType:                 v1alpha1.WriteOnly,
					IncludeManagementEvents:       aws.Bool(false),
					ExcludeManagementEventSources: []string{"kms.amazonaws.com"},
					DataResources: []v1alpha1.DataResource{
						{Type: "AWS::S3::Object", Values: []string{"arn:aws:s3:::a/"}},
					},
				},
			}}, nil)
			return err
		}), "PutEventSelectors", `{"TrailName": "` + arn + `", "EventSelectors": [
			{"ReadWriteType": "All", "IncludeManagementEvents": true},
			{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": false,
				"ExcludeManagementEventSources": ["kms.amazonaws.com"],
				"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::a/"]}]}]}`},
		"advanced selectors": {write(func(ctx context.Context, r *Region, t *Trail) error {
			_, err := r.PutSelectors(ctx, t, Selectors{Advanced: everySelector}, nil)
			return err
		}), "PutEventSelectors", `{"TrailName": "` + arn + `", "AdvancedEventSelectors": ` + everySelectorOnTheWire + `}`},
		"insights": {write(func(ctx context.Context, r *Region, t *Trail) error {
			_, err := r.PutInsights(ctx, t, []v1alpha1.InsightSelector{
				{InsightType: "ApiCallRateInsight"},
				{
					InsightType:     "ApiErrorRateInsight",
					EventCategories: []v1alpha1.InsightEventCategory{"Management", "Data"},
				},
			}, nil)
			return err
		}), "PutInsightSelectors", `{"TrailName": "` + arn + `", "InsightSelectors": [
			{"InsightType": "ApiCallRateInsight"},
			{"InsightType": "ApiErrorRateInsight", "EventCategories": ["Management", "Data"]}]}`},
		"no insights are an empty list": {write(func(ctx context.Context, r *Region, t *Trail) error {
			_, err := r.PutInsights(ctx, t, nil, nil)
			return err
		}), "PutInsightSelectors", `{"TrailName": "` + arn + `", "InsightSelectors": []}`},
		"aggregation": {write(func(ctx context.Context, r *Region, t *Trail) error {
			_, err := r.PutAggregations(ctx, t, []v1alpha1.AggregationConfiguration{{
				EventCategory: "Data",
				Templates:     []v1alpha1.AggregationTemplate{"API_ACTIVITY", "USER_ACTIONS"},
			}}, nil)
			return err
		}), "PutEventConfiguration", `{"TrailName": "` + arn + `", "AggregationConfigurations": [
			{"EventCategory": "Data", "Templates": ["API_ACTIVITY", "USER_ACTIONS"]}]}`},
		"no aggregation is an empty list": {write(func(ctx context.Context, r *Region, t *Trail) error {
			_, err := r.PutAggregations(ctx, t, nil, nil)
			return err
		}), "PutEventConfiguration", `{"TrailName": "` + arn + `", "AggregationConfigurations": []}`},
		"AddTags": {write(func(ctx context.Context, r *Region, t *Trail) error {
			return r.AddTags(ctx, t, map[string]string{"b": "", "a": "1"}, nil)
		}), "AddTags", `{"ResourceId": "` + arn + `", "TagsList": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]}`},
		"RemoveTags": {write(func(ctx context.Context, r *Region, t *Trail) error {
			return r.RemoveTags(ctx, t, []string{"b", "a"}, nil)
		}), "RemoveTags", `{"ResourceId": "` + arn + `", "TagsList": [{"Key": "b"}, {"Key": "a"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			server := &fakeAWS{}
			g.Expect(c.call(t.Context(), testRegionAt(server))).To(Succeed())
			made := server.made()
			g.Expect(made).To(HaveLen(1))
			g.Expect(made[0].operation).To(Equal(c.operation))
			g.Expect(made[0].body).To(Equal(parse(g, c.body)))
		})
	}
}

// TestAnswersFromTheWire holds what becomes of AWS's answers.
func TestAnswersFromTheWire(t *testing.T) {
	t.Parallel()
	const settings = `"Name": "audit", "S3BucketName": "logs", "S3KeyPrefix": "prefix", "SnsTopicName": "topic",
		"SnsTopicARN": "arn:topic", "KmsKeyId": "arn:key", "CloudWatchLogsLogGroupArn": "arn:group:*",
		"CloudWatchLogsRoleArn": "arn:role", "IncludeGlobalServiceEvents": true, "IsMultiRegionTrail": true,
		"LogFileValidationEnabled": true, "IsOrganizationTrail": true, "TrailARN": "arn:trail"`
	all := Settings{
		S3BucketName: "logs", S3KeyPrefix: "prefix", SNSTopicARN: "arn:topic", KMSKeyARN: "arn:key",
		CloudWatchLogsLogGroupARN: "arn:group:*", CloudWatchLogsRoleARN: "arn:role",
		IncludeGlobalServiceEvents: true, IsMultiRegionTrail: true, EnableLogFileValidation: true, IsOrganizationTrail: true,
	}
	read := func(result any, err error) (any, error) { return result, err }
	for name, c := range map[string]struct {
		status int
		answer string
		call   func(context.Context, *Region) (any, error)
		want   any
	}{
		"a trail": {
			200, `{"trailList": [{` + settings + `, "HomeRegion": "us-east-1",
				"HasCustomEventSelectors": true, "HasInsightSelectors": false}]}`,
			func(ctx context.Context, r *Region) (any, error) { return read(r.describe(ctx)) },
			[]*Trail{{
				ARN: "arn:trail", Name: "audit", HomeRegion: "us-east-1", Settings: all,
				HasEventSelectors: aws.Bool(true), HasInsightSelectors: aws.Bool(false),
			}},
		},
		"a trail that AWS says little of": {
			200, `{"trailList": [{"TrailARN": "arn:trail"}]}`,
			func(ctx context.Context, r *Region) (any, error) { return read(r.describe(ctx)) },
			[]*Trail{{ARN: "arn:trail"}},
		},
		"a new trail": {
			200, `{` + settings + `}`,
			func(ctx context.Context, r *Region) (any, error) {
				return read(r.Create(ctx, "audit", Change{S3BucketName: aws.String("logs")}, map[string]string{"a": "1"}, nil))
			},
			&Trail{
				ARN: "arn:trail", Name: "audit", HomeRegion: testRegion, Settings: all, Tags: map[string]string{"a": "1"},
				HasEventSelectors: aws.Bool(false), HasInsightSelectors: aws.Bool(false),
			},
		},
		"a changed trail": {
			200, `{` + settings + `}`,
			func(ctx context.Context, r *Region) (any, error) {
				trail := &Trail{ARN: "arn:trail", Tags: map[string]string{"a": "1"}}
				err := r.Update(ctx, trail, Change{}, nil)
				return trail, err
			},
			&Trail{ARN: "arn:trail", Settings: all, Tags: map[string]string{"a": "1"}},
		},
		"basic selectors": {
			200, `{"EventSelectors": [{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": false,
				"ExcludeManagementEventSources": ["kms.amazonaws.com"],
				"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::a/"]}]}]}`,
			func(ctx context.Context, r *Region) (any, error) { return read(r.Selectors(ctx, "arn")) },
			Selectors{Basic: []v1alpha1.EventSelector{{
				ReadWriteType:                 v1alpha1.ReadOnly,
				IncludeManagementEvents:       aws.Bool(false),
				ExcludeManagementEventSources: []string{"kms.amazonaws.com"},
				DataResources: []v1alpha1.DataResource{
					{Type: "AWS::S3::Object", Values: []string{"arn:aws:s3:::a/"}},
				},
			}}},
		},
		"advanced selectors": {
			200, `{"AdvancedEventSelectors": ` + everySelectorOnTheWire + `}`,
			func(ctx context.Context, r *Region) (any, error) { return read(r.Selectors(ctx, "arn")) },
			Selectors{Advanced: everySelector},
		},
		"insights": {
			200, `{"InsightSelectors": [
				{"InsightType": "ApiCallRateInsight", "EventCategories": ["Data"]}, {"InsightType": "ApiErrorRateInsight"}]}`,
			func(ctx context.Context, r *Region) (any, error) { return read(r.Insights(ctx, "arn")) },
			[]v1alpha1.InsightSelector{
				{InsightType: "ApiCallRateInsight", EventCategories: []v1alpha1.InsightEventCategory{"Data"}},
				{InsightType: "ApiErrorRateInsight"},
			},
		},
		"no insights": {
			400, refusal("InsightNotEnabledException", "no"),
			func(ctx context.Context, r *Region) (any, error) { return read(r.Insights(ctx, "arn")) },
			[]v1alpha1.InsightSelector(nil),
		},
		"aggregation": {
			200, `{"AggregationConfigurations": [{"EventCategory": "Data", "Templates": ["RESOURCE_ACCESS"]}]}`,
			func(ctx context.Context, r *Region) (any, error) { return read(r.Aggregations(ctx, "arn")) },
			[]v1alpha1.AggregationConfiguration{
				{EventCategory: "Data", Templates: []v1alpha1.AggregationTemplate{"RESOURCE_ACCESS"}},
			},
		},
		"tags": {
			200, `{"ResourceTagList": [
				{"ResourceId": "arn", "TagsList": [{"Key": "a", "Value": "1"}, {"Key": "b"}]},
				{"ResourceId": "other", "TagsList": [{"Key": "c"}]}]}`,
			func(ctx context.Context, r *Region) (any, error) { return read(r.Tags(ctx, "arn")) },
			map[string]string{"a": "1", "b": ""},
		},
		"no tags": {
			200, `{}`,
			func(ctx context.Context, r *Region) (any, error) { return read(r.Tags(ctx, "arn")) },
			map[string]string{},
		},
		"status": {
			200, `{"IsLogging": true, "StartLoggingTime": 1000, "StopLoggingTime": 1001,
				"LatestDeliveryTime": 1002, "LatestDeliveryError": "a",
				"LatestNotificationTime": 1003, "LatestNotificationError": "b",
				"LatestDigestDeliveryTime": 1004, "LatestDigestDeliveryError": "c",
				"LatestCloudWatchLogsDeliveryTime": 1005.5, "LatestCloudWatchLogsDeliveryError": "d"}`,
			func(ctx context.Context, r *Region) (any, error) { return read(r.Status(ctx, "arn")) },
			Status{
				IsLogging: true, StartLoggingTime: time.Unix(1000, 0).UTC(), StopLoggingTime: time.Unix(1001, 0).UTC(),
				LatestDeliveryTime: time.Unix(1002, 0).UTC(), LatestDeliveryError: "a",
				LatestNotificationTime: time.Unix(1003, 0).UTC(), LatestNotificationError: "b",
				LatestDigestDeliveryTime: time.Unix(1004, 0).UTC(), LatestDigestDeliveryError: "c",
				LatestCloudWatchLogsDeliveryTime: time.UnixMilli(1005500).UTC(), LatestCloudWatchLogsDeliveryError: "d",
			},
		},
		"status of a new trail": {
			200, `{"IsLogging": false}`,
			func(ctx context.Context, r *Region) (any, error) { return read(r.Status(ctx, "arn")) },
			Status{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			server := &fakeAWS{answer: func(fakeCall) (int, string) { return c.status, c.answer }}
			got, err := c.call(t.Context(), testRegionAt(server))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got).To(Equal(c.want))
		})
	}
}

// TestTagsOnATrail holds what a write leaves in the caller's trail and in the snapshot, and that maps are not shared.
func TestTagsOnATrail(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	region := testRegionAt(&fakeAWS{})
	before := map[string]string{"kept": "1", "dropped": "2"}
	trail := testTrail("audit", "")
	trail.Tags = before
	region.snapshot.put(trail.ARN, trail)
	g.Expect(region.AddTags(t.Context(), trail, map[string]string{"added": "3", "kept": "4"}, nil)).To(Succeed())
	g.Expect(region.RemoveTags(t.Context(), trail, []string{"dropped", "never there"}, nil)).To(Succeed())
	want := map[string]string{"kept": "4", "added": "3"}
	g.Expect(trail.Tags).To(Equal(want))
	g.Expect(region.snapshot.find(trail.ARN, "").Tags).To(Equal(want))
	g.Expect(before).To(Equal(map[string]string{"kept": "1", "dropped": "2"}))
}

// TestTrailThatExistsAlready holds that what was known of a region's trails is not believed any more when AWS knows of
// one more.
func TestTrailThatExistsAlready(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	server := &fakeAWS{answer: func(call fakeCall) (int, string) {
		switch call.operation {
		case "DescribeTrails":
			return http.StatusOK, `{"trailList": []}`
		case "CreateTrail":
			return http.StatusBadRequest, refusal("TrailAlreadyExistsException", "it exists")
		default:
			return http.StatusOK, "{}"
		}
	}}
	region := testRegionAt(server)
	g.Expect(region.Find(begun(t, "team", "audit", ForResync), "", "audit")).To(BeNil())
	_, err := region.Create(t.Context(), "audit", Change{S3BucketName: aws.String("logs")}, nil, nil)
	g.Expect(Is(err, AlreadyExists)).To(BeTrue(), "%v", err)
	g.Expect(region.Find(begun(t, "team", "audit", ForResync), "", "audit")).To(BeNil())
	g.Expect(server.count("DescribeTrails")).To(Equal(2))
}

// TestTagsOfABatch holds of which trails the tags are read together, and that one that cannot be read hides no other's.
func TestTagsOfABatch(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	mine, gone := TrailARN(testRegion, testAccount, "mine"), TrailARN(testRegion, testAccount, "gone")
	shadow, foreign := TrailARN("us-east-1", testAccount, "shadow"), TrailARN(testRegion, "999988887777", "organization")
	describe := func(arn, home string) string {
		return fmt.Sprintf(`{"Name": %q, "TrailARN": %q, "HomeRegion": %q}`, arn[strings.LastIndex(arn, "/")+1:], arn, home)
	}
	server := &fakeAWS{answer: func(call fakeCall) (int, string) {
		switch list := fmt.Sprint(call.body["ResourceIdList"]); {
		case call.operation == "DescribeTrails":
			return http.StatusOK, `{"trailList": [` + strings.Join([]string{
				describe(mine, testRegion),
				describe(gone, testRegion),
				describe(shadow, "us-east-1"),
				describe(foreign, testRegion),
			}, ",") + `]}`
		case strings.Contains(list, gone), strings.Contains(list, foreign):
			return http.StatusBadRequest, refusal("CloudTrailARNInvalidException", "no such trail")
		default:
			return http.StatusOK, fmt.Sprintf(
				`{"ResourceTagList": [{"ResourceId": %q, "TagsList": [{"Key": "team", "Value": "security"}]}]}`, mine)
		}
	}}
	trails, err := testRegionAt(server).Trails(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(trails).To(HaveLen(4))
	for _, trail := range trails {
		switch trail.ARN {
		case mine:
			g.Expect(trail.TagsErr).NotTo(HaveOccurred())
			g.Expect(trail.Tags).To(Equal(map[string]string{"team": "security"}))
		case gone:
			g.Expect(trail.TagsErr).To(HaveOccurred())
		default:
			g.Expect(trail.Tags).To(BeNil())
			g.Expect(trail.TagsErr).NotTo(HaveOccurred())
		}
	}
	for _, call := range server.made() {
		if call.operation == "ListTags" {
			g.Expect(fmt.Sprint(call.body["ResourceIdList"])).
				NotTo(Or(ContainSubstring("shadow"), ContainSubstring("organization")))
		}
	}
}

func TestWritesToATrailThatIsGone(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	reads := 0
	region := testRegionAt(&fakeAWS{answer: func(call fakeCall) (int, string) {
		if call.operation == "DescribeTrails" {
			reads++
			return http.StatusOK, `{"trailList": []}`
		}
		return http.StatusBadRequest, refusal("TrailNotFoundException", "no")
	}})
	trail := testTrail("audit", "")
	region.snapshot.put(trail.ARN, trail)
	ctx := begun(t, "team", "audit", ForResync)
	g.Expect(region.Find(ctx, trail.ARN, "audit")).NotTo(BeNil())
	g.Expect(Is(region.Delete(t.Context(), TrailARN(testRegion, testAccount, "other"), nil), NotFound)).To(BeTrue())
	g.Expect(region.Find(ctx, trail.ARN, "audit")).NotTo(BeNil())
	g.Expect(reads).To(Equal(2))
	g.Expect(Is(region.StartLogging(t.Context(), trail, nil), NotFound)).To(BeTrue())
	g.Expect(region.Find(ctx, trail.ARN, "audit")).To(BeNil(), "AWS has shown that it is not so")
	g.Expect(reads).To(Equal(3))
}
