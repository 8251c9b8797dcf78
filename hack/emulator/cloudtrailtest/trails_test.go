package cloudtrailtest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// everything sets every setting of CreateTrail.
func everything(in *cloudtrail.CreateTrailInput) {
	in.S3KeyPrefix = aws.String("p")
	in.SnsTopicName = aws.String("trails")
	in.KmsKeyId = aws.String(key)
	in.CloudWatchLogsLogGroupArn, in.CloudWatchLogsRoleArn = aws.String(group), aws.String(role)
	in.EnableLogFileValidation = aws.Bool(true)
	in.IsMultiRegionTrail = aws.Bool(true)
	in.TagsList = []types.Tag{{Key: aws.String("team"), Value: aws.String("audit")}}
}

func TestLifeOfATrail(t *testing.T) {
	e := start(t)
	c := e.in(region)
	out := create(t, c, "audit", everything)
	const arn = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit"
	equal(t, "arn", *out.TrailARN, arn)
	equal(t, "topic", *out.SnsTopicARN, topic)
	equal(t, "topic's name", *out.SnsTopicName, "trails") //nolint:staticcheck // deprecated, but answered
	equal(t, "key", *out.KmsKeyId, key)
	equal(t, "global events", *out.IncludeGlobalServiceEvents, true)
	equal(t, "validation", *out.LogFileValidationEnabled, true)

	status := func() *cloudtrail.GetTrailStatusOutput {
		t.Helper()
		out, err := c.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: aws.String("audit")})
		wants(t, err, "")
		return out
	}
	equal(t, "a new trail logs", *status().IsLogging, false)
	equal(t, "a new trail has a start time", status().StartLoggingTime != nil, false)
	for range 2 { // There is no "already" error, and the second start changes nothing.
		_, err := c.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: aws.String(arn)})
		wants(t, err, "")
		equal(t, "logging", *status().IsLogging, true)
		equal(t, "start time", status().StartLoggingTime.UTC(), newClock().Now())
		e.clock.add(time.Minute)
	}
	for range 2 {
		_, err := c.StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: aws.String("audit")})
		wants(t, err, "")
		equal(t, "logging", *status().IsLogging, false)
		equal(t, "stop time", status().StopLoggingTime.UTC(), newClock().Now().Add(2*time.Minute))
		equal(t, "start time", status().StartLoggingTime.UTC(), newClock().Now())
		e.clock.add(time.Minute)
	}
	got, err := c.GetTrail(ctx, &cloudtrail.GetTrailInput{Name: aws.String("audit")})
	wants(t, err, "")
	equal(t, "home region", *got.Trail.HomeRegion, region)
	equal(t, "custom selectors", *got.Trail.HasCustomEventSelectors, false)
	equal(t, "insights", *got.Trail.HasInsightSelectors, false)

	_, err = c.DeleteTrail(ctx, &cloudtrail.DeleteTrailInput{Name: aws.String(arn)})
	wants(t, err, "")
	_, err = c.DeleteTrail(ctx, &cloudtrail.DeleteTrailInput{Name: aws.String("audit")})
	wants(t, err, "TrailNotFoundException")
	equal(t, "trails left", len(e.Trails()), 0)
}

func TestSnapshot(t *testing.T) {
	e := start(t)
	create(t, e.in(region), "audit", everything)
	got, ok := e.Trail(account, region, "audit")
	equal(t, "there", ok, true)
	equal(
		t,
		"summary",
		fmt.Sprint(
			got.AccountID,
			got.CreatedBy,
			got.HomeRegion,
			got.S3BucketName,
			got.S3KeyPrefix,
			got.SnsTopicARN,
			got.KmsKeyARN,
			got.CloudWatchLogsLogGroupARN,
			got.CloudWatchLogsRoleARN,
			got.IncludeGlobalServiceEvents,
			got.IsMultiRegionTrail,
			got.EnableLogFileValidation,
			got.IsOrganizationTrail,
			got.IsLogging,
			got.Tags,
			got.CreatedTime.Equal(e.clock.Now()),
		),
		fmt.Sprint(
			account,
			account,
			region,
			bucket,
			"p",
			topic,
			key,
			group,
			role,
			true,
			true,
			true,
			false,
			false,
			map[string]string{"team": "audit"},
			true,
		),
	)
	got.Tags["team"] = "changed"
	again, _ := e.Trail(account, region, "audit")
	equal(t, "a copy", again.Tags["team"], "audit")
	_, ok = e.Trail("999999999999", region, "audit")
	equal(t, "elsewhere", ok, false)
}

func TestCreateValidation(t *testing.T) {
	type input = cloudtrail.CreateTrailInput
	const (
		badName     = "InvalidTrailNameException"
		badBucket   = "InvalidS3BucketNameException"
		badPrefix   = "InvalidS3PrefixException"
		badTopic    = "InvalidSnsTopicNameException"
		badKey      = "InvalidKmsKeyIdException"
		badLogGroup = "InvalidCloudWatchLogsLogGroupArnException"
		badLogRole  = "InvalidCloudWatchLogsRoleArnException"
	)
	str := aws.String
	for name, c := range map[string]struct {
		change func(*input)
		want   string
	}{
		"two characters":     {func(in *input) { in.Name = str("ab") }, badName},
		"blank":              {func(in *input) { in.Name = str("") }, badName},
		"three characters":   {func(in *input) { in.Name = str("abc") }, ""},
		"128 characters":     {func(in *input) { in.Name = str(strings.Repeat("a", 128)) }, ""},
		"129 characters":     {func(in *input) { in.Name = str(strings.Repeat("a", 129)) }, badName},
		"begins with a dash": {func(in *input) { in.Name = str("-abc") }, badName},
		"ends with a period": {func(in *input) { in.Name = str("abc.") }, badName},
		"a space":            {func(in *input) { in.Name = str("a bc") }, badName},
		"not ASCII":          {func(in *input) { in.Name = str("aübc") }, badName},
		"adjacent":           {func(in *input) { in.Name = str("my-_trail") }, badName},
		"an IP address":      {func(in *input) { in.Name = str("192.168.5.4") }, badName},
		"an ARN": {func(in *input) {
			in.Name = str("arn:aws:cloudtrail:eu-west-1:111122223333:trail/abc")
		}, badName},
		"all characters":          {func(in *input) { in.Name = str("A1.b_c-d") }, ""},
		"bucket blank":            {func(in *input) { in.S3BucketName = str("") }, badBucket},
		"bucket too short":        {func(in *input) { in.S3BucketName = str("ab") }, badBucket},
		"bucket in capitals":      {func(in *input) { in.S3BucketName = str("Bucket") }, badBucket},
		"bucket with two periods": {func(in *input) { in.S3BucketName = str("a..b") }, badBucket},
		"bucket like an IP":       {func(in *input) { in.S3BucketName = str("1.2.3.4") }, badBucket},
		"bucket ends badly":       {func(in *input) { in.S3BucketName = str("abc-") }, badBucket},
		"bucket too long":         {func(in *input) { in.S3BucketName = str(strings.Repeat("a", 64)) }, badBucket},
		"prefix of 200":           {func(in *input) { in.S3KeyPrefix = str(strings.Repeat("p", 200)) }, ""},
		"prefix of 201":           {func(in *input) { in.S3KeyPrefix = str(strings.Repeat("p", 201)) }, badPrefix},
		"prefix with a newline":   {func(in *input) { in.S3KeyPrefix = str("a\nb") }, badPrefix},
		"topic of 257":            {func(in *input) { in.SnsTopicName = str(strings.Repeat("t", 257)) }, badTopic},
		"topic with a space":      {func(in *input) { in.SnsTopicName = str("my topic") }, badTopic},
		"topic of SQS": {
			func(in *input) { in.SnsTopicName = str("arn:aws:sqs:eu-west-1:111122223333:q") },
			badTopic,
		},
		"topic FIFO":          {func(in *input) { in.SnsTopicName = str("trails.fifo") }, badTopic},
		"topic by ARN":        {func(in *input) { in.SnsTopicName = str(topic) }, ""},
		"key by id":           {func(in *input) { in.KmsKeyId = str("12345678-1234-1234-1234-123456789012") }, ""},
		"multi-region key":    {func(in *input) { in.KmsKeyId = str("mrk-" + strings.Repeat("0", 32)) }, ""},
		"key by alias ARN":    {func(in *input) { in.KmsKeyId = str("arn:aws:kms:eu-west-1:111122223333:alias/t") }, ""},
		"key of no form":      {func(in *input) { in.KmsKeyId = str("my-key") }, badKey},
		"key of S3":           {func(in *input) { in.KmsKeyId = str("arn:aws:s3:::bucket") }, badKey},
		"key alias malformed": {func(in *input) { in.KmsKeyId = str("alias/a b") }, badKey},
		"key of another service": {func(in *input) {
			in.KmsKeyId = str("arn:aws-cn:kms:cn-north-1:111122223333:alias/t")
		}, badKey},
		"role without group": {func(in *input) { in.CloudWatchLogsRoleArn = str(role) }, badLogGroup},
		"group without role": {func(in *input) { in.CloudWatchLogsLogGroupArn = str(group) }, badLogRole},
		"group without :*": {func(in *input) {
			in.CloudWatchLogsLogGroupArn = str(strings.TrimSuffix(group, ":*"))
			in.CloudWatchLogsRoleArn = str(role)
		}, badLogGroup},
		"group of another region": {func(in *input) {
			in.CloudWatchLogsLogGroupArn = str(strings.Replace(group, region, "us-east-1", 1))
			in.CloudWatchLogsRoleArn = str(role)
		}, badLogGroup},
		"group of another account": {func(in *input) {
			in.CloudWatchLogsLogGroupArn = str(strings.Replace(group, account, "222233334444", 1))
			in.CloudWatchLogsRoleArn = str(role)
		}, badLogGroup},
		"role is a user": {func(in *input) {
			in.CloudWatchLogsLogGroupArn, in.CloudWatchLogsRoleArn = str(group), str("arn:aws:iam::111122223333:user/u")
		}, badLogRole},
		"multi-region without global events": {func(in *input) {
			in.IsMultiRegionTrail, in.IncludeGlobalServiceEvents = aws.Bool(true), aws.Bool(false)
		}, "InvalidParameterCombinationException"},
		"one region without global events": {func(in *input) { in.IncludeGlobalServiceEvents = aws.Bool(false) }, ""},
		"organization without one": {
			func(in *input) { in.IsOrganizationTrail = aws.Bool(true) },
			"OrganizationsNotInUseException",
		},
		"reserved tag": {
			func(in *input) { in.TagsList = tagsOf("aws:x", "y") },
			"InvalidTagParameterException",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			in := &cloudtrail.CreateTrailInput{Name: str("audit"), S3BucketName: str(bucket)}
			c.change(in)
			_, err := e.in(region).CreateTrail(ctx, in)
			wants(t, err, c.want)
			equal(t, "trails", len(e.Trails()) == 1, c.want == "")
		})
	}
}

func TestMessages(t *testing.T) {
	e := start(t)
	c := e.in(region)
	e.DeleteBucket("no-such-bucket")
	create(t, c, "audit")
	for name, one := range map[string]struct {
		do   func() error
		want string
	}{
		"too short": {
			func() error { return tryCreate(c, "ab") },
			"Trail name too short. Minimum allowed length: 3 characters. Specified name length: 2 characters.",
		},
		"again": {func() error { return tryCreate(c, "audit") }, "Trail audit already exists for customer: 111122223333"},
		"bucket": {func() error {
			return tryCreate(c, "other", func(in *cloudtrail.CreateTrailInput) {
				in.S3BucketName = aws.String("no-such-bucket")
			})
		}, "S3 bucket no-such-bucket does not exist!"},
		"multi-region": {func() error {
			return tryCreate(c, "other", multiRegion, func(in *cloudtrail.CreateTrailInput) {
				in.IncludeGlobalServiceEvents = aws.Bool(false)
			})
		}, "Multi-Region trail must include global service events."},
		"unknown": {func() error {
			_, err := c.DeleteTrail(ctx, &cloudtrail.DeleteTrailInput{Name: aws.String("gone")})
			return err
		}, "Unknown trail: arn:aws:cloudtrail:eu-west-1:111122223333:trail/gone for the user: 111122223333"},
		"insights": {func() error {
			_, err := c.GetInsightSelectors(ctx, &cloudtrail.GetInsightSelectorsInput{TrailName: aws.String("audit")})
			return err
		}, "Trail audit does not have Insights enabled. " +
			"Edit the trail settings to enable Insights, and then try the operation again."},
	} {
		equal(t, name, message(one.do()), one.want)
	}
}

func tryCreate(c *cloudtrail.Client, name string, change ...func(*cloudtrail.CreateTrailInput)) error {
	in := &cloudtrail.CreateTrailInput{Name: &name, S3BucketName: aws.String(bucket)}
	for _, f := range change {
		f(in)
	}
	_, err := c.CreateTrail(ctx, in)
	return err
}

func TestUpdateMerges(t *testing.T) {
	e := start(t)
	c := e.in(region)
	create(t, c, "audit", everything)
	update := func(change func(*cloudtrail.UpdateTrailInput)) (*cloudtrail.UpdateTrailOutput, error) {
		in := &cloudtrail.UpdateTrailInput{Name: aws.String("audit")}
		change(in)
		return c.UpdateTrail(ctx, in)
	}
	before, _ := e.Trail(account, region, "audit")
	_, err := update(func(*cloudtrail.UpdateTrailInput) {})
	wants(t, err, "")
	after, _ := e.Trail(account, region, "audit")
	equal(t, "nothing named, nothing changed", fmt.Sprint(after), fmt.Sprint(before))

	for name, one := range map[string]struct {
		change func(*cloudtrail.UpdateTrailInput)
		left   func(cloudtrailtest.Trail) string
	}{
		"prefix": {
			func(in *cloudtrail.UpdateTrailInput) { in.S3KeyPrefix = aws.String("") },
			func(t cloudtrailtest.Trail) string { return t.S3KeyPrefix },
		},
		"topic": {
			func(in *cloudtrail.UpdateTrailInput) { in.SnsTopicName = aws.String("") },
			func(t cloudtrailtest.Trail) string { return t.SnsTopicName + t.SnsTopicARN },
		},
		"key": {
			func(in *cloudtrail.UpdateTrailInput) { in.KmsKeyId = aws.String("") },
			func(t cloudtrailtest.Trail) string { return t.KmsKeyARN },
		},
		"logs": {func(in *cloudtrail.UpdateTrailInput) {
			in.CloudWatchLogsLogGroupArn, in.CloudWatchLogsRoleArn = aws.String(""), aws.String("")
		}, func(t cloudtrailtest.Trail) string { return t.CloudWatchLogsLogGroupARN + t.CloudWatchLogsRoleARN }},
	} {
		_, err := update(one.change)
		wants(t, err, "")
		got, _ := e.Trail(account, region, "audit")
		equal(t, name+" cleared", one.left(got), "")
	}
	out, err := update(func(in *cloudtrail.UpdateTrailInput) { in.S3BucketName = aws.String("other-bucket") })
	wants(t, err, "")
	equal(
		t,
		"cleared settings are left out",
		out.S3KeyPrefix == nil && out.SnsTopicARN == nil && out.KmsKeyId == nil && out.CloudWatchLogsRoleArn == nil,
		true,
	)
	equal(t, "bucket", *out.S3BucketName, "other-bucket")

	for name, one := range map[string]struct {
		change func(*cloudtrail.UpdateTrailInput)
		want   string
	}{
		"half of the pair": {
			func(in *cloudtrail.UpdateTrailInput) { in.CloudWatchLogsLogGroupArn = aws.String(group) },
			"InvalidCloudWatchLogsRoleArnException",
		},
		"bucket cleared": {
			func(in *cloudtrail.UpdateTrailInput) { in.S3BucketName = aws.String("") },
			"InvalidS3BucketNameException",
		},
		"global events off": {
			func(in *cloudtrail.UpdateTrailInput) { in.IncludeGlobalServiceEvents = aws.Bool(false) },
			"InvalidParameterCombinationException",
		},
		"another trail": {
			func(in *cloudtrail.UpdateTrailInput) { in.Name = aws.String("gone") },
			"TrailNotFoundException",
		},
		"a bad name": {
			func(in *cloudtrail.UpdateTrailInput) { in.Name = aws.String("a") },
			"InvalidTrailNameException",
		},
		"a bad ARN": {
			func(in *cloudtrail.UpdateTrailInput) { in.Name = aws.String("arn:aws:s3:::x") },
			"CloudTrailARNInvalidException",
		},
		"to an organization, without": {
			func(in *cloudtrail.UpdateTrailInput) { in.IsOrganizationTrail = aws.Bool(true) },
			"OrganizationsNotInUseException",
		},
		"one region, no global events": {func(in *cloudtrail.UpdateTrailInput) {
			in.IsMultiRegionTrail, in.IncludeGlobalServiceEvents = aws.Bool(false), aws.Bool(false)
		}, ""},
	} {
		_, err := update(one.change)
		if code(err) != one.want {
			t.Errorf("%s: %v, want %q", name, err, one.want)
		}
		// Start again from a multi-region trail.
		_, err = update(func(in *cloudtrail.UpdateTrailInput) {
			in.IsMultiRegionTrail, in.IncludeGlobalServiceEvents = aws.Bool(true), aws.Bool(true)
		})
		wants(t, err, "")
	}
}

func TestHalfOfThePairCleared(t *testing.T) {
	e := start(t)
	create(t, e.in(region), "audit", everything)
	_, err := e.in(region).
		UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: aws.String("audit"), CloudWatchLogsRoleArn: aws.String("")})
	wants(t, err, "InvalidCloudWatchLogsRoleArnException")
	_, err = e.in(region).
		UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: aws.String("audit"), CloudWatchLogsLogGroupArn: aws.String("")})
	wants(t, err, "InvalidCloudWatchLogsLogGroupArnException")
}

// names returns the trails that DescribeTrails answers.
func names(t *testing.T, c *cloudtrail.Client, includeShadows *bool, idents ...string) []string {
	t.Helper()
	out, err := c.DescribeTrails(
		ctx,
		&cloudtrail.DescribeTrailsInput{IncludeShadowTrails: includeShadows, TrailNameList: idents},
	)
	wants(t, err, "")
	got := []string{}
	for _, one := range out.TrailList {
		got = append(got, *one.Name)
	}
	return got
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func TestShadowTrails(t *testing.T) {
	e := start(t)
	home, away := e.in(region), e.in("us-east-1")
	arn := *create(t, home, "everywhere", multiRegion).TrailARN
	local := *create(t, home, "here").TrailARN

	same(t, "at home", names(t, home, nil), "everywhere", "here")
	same(t, "away", names(t, away, nil), "everywhere")
	same(t, "away with shadows", names(t, away, aws.Bool(true)), "everywhere")
	same(t, "away without shadows", names(t, away, aws.Bool(false)))
	same(t, "at home without shadows", names(t, home, aws.Bool(false)), "everywhere", "here")
	same(t, "away by ARN", names(t, away, nil, arn), "everywhere")
	same(t, "away by ARN without shadows", names(t, away, aws.Bool(false), arn))
	same(t, "away by name", names(t, away, nil, "everywhere"))
	same(t, "by name and ARN, and one that is not", names(t, home, nil, "here", "gone", arn, local), "here", "everywhere")
	_, err := home.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{TrailNameList: []string{"x!"}})
	wants(t, err, "InvalidTrailNameException")
	_, err = home.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{TrailNameList: []string{"arn:aws:x"}})
	wants(t, err, "CloudTrailARNInvalidException")

	out, err := away.DescribeTrails(ctx, nil)
	wants(t, err, "")
	equal(t, "home region of a shadow", *out.TrailList[0].HomeRegion, region)
	equal(t, "ARN of a shadow", *out.TrailList[0].TrailARN, arn)

	// Reading: by ARN where the trail shows, by name only at home.
	for name, one := range map[string]struct {
		client *cloudtrail.Client
		ident  string
		want   string
	}{
		"home by name":       {home, "everywhere", ""},
		"home by ARN":        {home, arn, ""},
		"shadow by ARN":      {away, arn, ""},
		"shadow by name":     {away, "everywhere", "TrailNotFoundException"},
		"one region, away":   {away, local, "TrailNotFoundException"},
		"of another account": {home, strings.Replace(arn, account, "999999999999", 1), "TrailNotFoundException"},
		"malformed ARN":      {home, "arn:aws:cloudtrail:eu-west-1:1:trail/x", "CloudTrailARNInvalidException"},
		"ARN of something else": {
			home,
			"arn:aws:cloudtrail:eu-west-1:111122223333:channel/abc",
			"CloudTrailARNInvalidException",
		},
	} {
		_, err := one.client.GetTrail(ctx, &cloudtrail.GetTrailInput{Name: &one.ident})
		wants(t, err, one.want)
		_, err = one.client.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: &one.ident})
		wants(t, err, one.want)
		_, err = one.client.GetEventSelectors(ctx, &cloudtrail.GetEventSelectorsInput{TrailName: &one.ident})
		wants(t, err, one.want)
		_, err = one.client.GetEventConfiguration(ctx, &cloudtrail.GetEventConfigurationInput{TrailName: &one.ident})
		wants(t, err, one.want)
		if one.want == "" {
			one.want = "InsightNotEnabledException"
		}
		_, err = one.client.GetInsightSelectors(ctx, &cloudtrail.GetInsightSelectorsInput{TrailName: &one.ident})
		wants(t, err, one.want)
		_ = name
	}

	// Writing: at home only.
	for ident, want := range map[string]string{
		"everywhere": "InvalidHomeRegionException", arn: "InvalidHomeRegionException", local: "InvalidHomeRegionException",
		"here": "TrailNotFoundException",
	} {
		for name, err := range writes(away, ident) {
			if code(err) != want {
				t.Errorf("%s %s away from home: %v, want %s", name, ident, err, want)
			}
		}
	}

	// No longer in all regions.
	_, err = home.UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: &arn, IsMultiRegionTrail: aws.Bool(false)})
	wants(t, err, "")
	same(t, "away", names(t, away, nil))
	_, err = home.UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: &arn, IsMultiRegionTrail: aws.Bool(true)})
	wants(t, err, "")
	same(t, "away", names(t, away, nil), "everywhere")
	_, err = home.DeleteTrail(ctx, &cloudtrail.DeleteTrailInput{Name: &arn})
	wants(t, err, "")
	same(t, "away", names(t, away, nil))
}

// writes tries every operation that changes a trail.
func writes(c *cloudtrail.Client, ident string) map[string]error {
	out := map[string]error{}
	_, out["UpdateTrail"] = c.UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: &ident})
	_, out["StartLogging"] = c.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: &ident})
	_, out["StopLogging"] = c.StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: &ident})
	_, out["PutEventSelectors"] = c.PutEventSelectors(ctx, &cloudtrail.PutEventSelectorsInput{
		TrailName: &ident, EventSelectors: []types.EventSelector{{ReadWriteType: "All"}},
	})
	_, out["PutInsightSelectors"] = c.PutInsightSelectors(
		ctx,
		&cloudtrail.PutInsightSelectorsInput{TrailName: &ident, InsightSelectors: []types.InsightSelector{}},
	)
	_, out["PutEventConfiguration"] = c.PutEventConfiguration(ctx, &cloudtrail.PutEventConfigurationInput{
		TrailName: &ident, AggregationConfigurations: []types.AggregationConfiguration{},
	})
	_, out["DeleteTrail"] = c.DeleteTrail(ctx, &cloudtrail.DeleteTrailInput{Name: &ident})
	return out
}

func TestNamesAreUnique(t *testing.T) {
	e := start(t)
	home, away := e.in(region), e.in("us-east-1")
	create(t, home, "everywhere", multiRegion)
	create(t, home, "here")
	alike := func(*cloudtrail.CreateTrailInput) {}
	for name, one := range map[string]struct {
		client *cloudtrail.Client
		name   string
		change func(*cloudtrail.CreateTrailInput)
		want   string
	}{
		"same region":                  {home, "here", alike, "TrailAlreadyExistsException"},
		"name of a shadow":             {away, "everywhere", alike, "TrailAlreadyExistsException"},
		"shadow would meet a trail":    {away, "here", multiRegion, "TrailAlreadyExistsException"},
		"another region, not shadowed": {away, "here", alike, ""},
		"another account":              {e.account("222233334444", region), "everywhere", alike, ""},
	} {
		if err := tryCreate(one.client, one.name, one.change); code(err) != one.want {
			t.Errorf("%s: %v, want %q", name, err, one.want)
		}
	}
	// "here" is now in both regions: neither can go everywhere.
	create(t, away, "there")
	_, err := away.UpdateTrail(
		ctx,
		&cloudtrail.UpdateTrailInput{Name: aws.String("there"), IsMultiRegionTrail: aws.Bool(true)},
	)
	wants(t, err, "")
	if err := tryCreate(away, "here"); err == nil {
		t.Fatal("created twice")
	}
	_, err = away.UpdateTrail(
		ctx,
		&cloudtrail.UpdateTrailInput{Name: aws.String("here"), IsMultiRegionTrail: aws.Bool(true)},
	)
	wants(t, err, "TrailAlreadyExistsException")
}

func TestFiveTrailsARegion(t *testing.T) {
	e := start(t)
	home, away := e.in(region), e.in("us-east-1")
	for i := range 4 {
		create(t, home, fmt.Sprintf("here-%d", i))
	}
	create(t, away, "everywhere", multiRegion)
	err := tryCreate(home, "sixth")
	wants(t, err, "MaximumNumberOfTrailsExceededException")
	equal(t, "message", message(err), "User: 111122223333 already has 5 trails in eu-west-1.")
	// A shadow needs room as well.
	wants(t, tryCreate(away, "everywhere2", multiRegion), "MaximumNumberOfTrailsExceededException")
	create(t, away, "away-only")
	_, err = away.UpdateTrail(
		ctx,
		&cloudtrail.UpdateTrailInput{Name: aws.String("away-only"), IsMultiRegionTrail: aws.Bool(true)},
	)
	wants(t, err, "MaximumNumberOfTrailsExceededException")
	_, err = home.DeleteTrail(ctx, &cloudtrail.DeleteTrailInput{Name: aws.String("here-0")})
	wants(t, err, "")
	create(t, home, "sixth")

	unlimited := start(t, func(o *cloudtrailtest.Options) { o.NoTrailLimit = true })
	for i := range 7 {
		create(t, unlimited.in(region), fmt.Sprintf("here-%d", i))
	}
}

func TestListTrails(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.ListTrailsPageSize = 2 })
	for i := range 4 {
		create(t, e.in(region), fmt.Sprintf("here-%d", i))
	}
	create(t, e.in("us-east-1"), "everywhere", multiRegion)
	create(t, e.in("us-east-1"), "away")
	var got []string
	pages := 0
	for p := cloudtrail.NewListTrailsPaginator(e.in(region), nil); p.HasMorePages(); pages++ {
		out, err := p.NextPage(ctx)
		wants(t, err, "")
		for _, one := range out.Trails {
			got = append(got, *one.Name+"@"+*one.HomeRegion)
		}
	}
	same(
		t,
		"trails",
		got,
		"away@us-east-1",
		"everywhere@us-east-1",
		"here-0@eu-west-1",
		"here-1@eu-west-1",
		"here-2@eu-west-1",
		"here-3@eu-west-1",
	)
	equal(t, "pages", pages, 3)
	out, err := e.in(region).ListTrails(ctx, nil)
	wants(t, err, "")
	_, err = e.in("us-east-1").ListTrails(ctx, &cloudtrail.ListTrailsInput{NextToken: out.NextToken})
	wants(t, err, "InvalidNextTokenException")
	_, err = e.in(region).ListTrails(ctx, &cloudtrail.ListTrailsInput{NextToken: aws.String("made-up")})
	wants(t, err, "InvalidNextTokenException")
}

func TestConsistencyLag(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.ConsistencyLag = 10 * time.Second })
	c := e.in(region)
	arn := *create(t, c, "audit").TrailARN
	reads := func() []string {
		var codes []string
		_, err := c.GetTrail(ctx, &cloudtrail.GetTrailInput{Name: &arn})
		codes = append(codes, code(err))
		_, err = c.ListTags(ctx, &cloudtrail.ListTagsInput{ResourceIdList: []string{arn}})
		codes = append(codes, code(err))
		listed, err := c.ListTrails(ctx, nil)
		wants(t, err, "")
		return append(codes, fmt.Sprint(len(names(t, c, nil)), len(names(t, c, nil, arn)), len(listed.Trails)))
	}
	same(t, "at once", reads(), "TrailNotFoundException", "ResourceNotFoundException", "0 0 0")
	// What writes sees it at once.
	_, err := c.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: &arn})
	wants(t, err, "")
	wants(t, tryCreate(c, "audit"), "TrailAlreadyExistsException")
	e.clock.add(10 * time.Second)
	same(t, "later", reads(), "", "", "1 1 1")
}

// GetTrailStatus has times to the millisecond, and in its older strings to the second, rounded down. The time of an
// event is the second in which its call took effect.
func TestLoggingTimes(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*cloudtrailtest.Options)
		// first and second are the times after StopLogging, and after StopLogging again 10 seconds later.
		first, second string
		event         string
	}{
		"as documented": {
			func(*cloudtrailtest.Options) {},
			"12:00:11.999 12:00:11", "12:00:11.999 12:00:11", "12:00:11",
		},
		"repeated calls count": {
			func(o *cloudtrailtest.Options) { o.RepeatedCallsMoveTimes = true },
			"12:00:11.999 12:00:11", "12:00:21.999 12:00:21", "12:00:11",
		},
		"calls take a while": {
			func(o *cloudtrailtest.Options) { o.EventDelay = 300 * time.Millisecond },
			"12:00:11.999 12:00:11", "12:00:11.999 12:00:11", "12:00:12",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t, c.change)
			cl := e.in(region)
			audit := aws.String("audit")
			create(t, cl, "audit")
			times := func(of func(*cloudtrail.GetTrailStatusOutput) (*time.Time, *string)) string {
				out, err := cl.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: audit})
				wants(t, err, "")
				at, text := of(out)
				if at == nil {
					return "never " + *text
				}
				parsed, err := time.Parse(time.RFC3339, *text)
				wants(t, err, "")
				return at.UTC().Format("15:04:05.000 ") + parsed.Format(time.TimeOnly)
			}
			started := func(o *cloudtrail.GetTrailStatusOutput) (*time.Time, *string) {
				return o.StartLoggingTime, o.TimeLoggingStarted
			}
			stopped := func(o *cloudtrail.GetTrailStatusOutput) (*time.Time, *string) {
				return o.StopLoggingTime, o.TimeLoggingStopped
			}
			equal(t, "never started", times(started), "never ")
			equal(t, "never stopped", times(stopped), "never ")

			e.clock.add(time.Second + 999_600*time.Microsecond)
			_, err := cl.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: audit})
			wants(t, err, "")
			equal(t, "started", times(started), "12:00:01.999 12:00:01")
			e.clock.add(10 * time.Second)
			_, err = cl.StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: audit})
			wants(t, err, "")
			equal(t, "stopped", times(stopped), c.first)
			equal(t, "the start stays", times(started), "12:00:01.999 12:00:01")
			e.clock.add(time.Second)
			event := lookup(t, cl, cloudtrail.LookupEventsInput{LookupAttributes: by("EventName", "StopLogging")})[0]
			equal(t, "event", event.EventTime.UTC().Format("15:04:05.999"), c.event)
			equal(t, "its document", fmt.Sprint(document(t, event)["eventTime"]), "2026-03-01T"+c.event+"Z")

			e.clock.add(9 * time.Second)
			_, err = cl.StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: audit})
			wants(t, err, "")
			equal(t, "stopped again", times(stopped), c.second)
			_, err = cl.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: audit})
			wants(t, err, "")
			equal(t, "the stop stays", times(stopped), c.second)
		})
	}
}

func TestDeliveries(t *testing.T) {
	e := start(t)
	c := e.in(region)
	arn := *create(t, c, "audit", everything).TrailARN
	at := e.clock.Now().Add(-time.Minute)
	d := cloudtrailtest.Delivery{
		LatestDeliveryError: aws.String("AccessDenied"), LatestDeliveryTime: &at,
		LatestNotificationError: aws.String("AuthorizationError"), LatestNotificationTime: &at,
		LatestDigestDeliveryError: aws.String("NoSuchBucket"), LatestDigestDeliveryTime: &at,
		LatestCloudWatchLogsDeliveryError: aws.String("Access denied."), LatestCloudWatchLogsDeliveryTime: &at,
	}
	equal(t, "set", e.SetDelivery(arn, d), true)
	equal(t, "of no trail", e.SetDelivery(arn+"x", d), false)
	status := func() string {
		out, err := c.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: &arn})
		wants(t, err, "")
		when := func(at *time.Time) string {
			if at == nil {
				return "-"
			}
			return at.UTC().Format("15:04")
		}
		return fmt.Sprintf("%s@%s %s@%s %s@%s %s@%s", aws.ToString(out.LatestDeliveryError), when(out.LatestDeliveryTime),
			aws.ToString(out.LatestNotificationError), when(out.LatestNotificationTime),
			aws.ToString(out.LatestDigestDeliveryError), when(out.LatestDigestDeliveryTime),
			aws.ToString(out.LatestCloudWatchLogsDeliveryError), when(out.LatestCloudWatchLogsDeliveryTime))
	}
	equal(t, "all", status(), "AccessDenied@11:59 AuthorizationError@11:59 NoSuchBucket@11:59 Access denied.@11:59")
	out, err := c.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: &arn})
	wants(t, err, "")
	for _, legacy := range []*string{
		out.LatestDeliveryAttemptTime,
		out.LatestDeliveryAttemptSucceeded,
		out.LatestNotificationAttemptTime,
		out.LatestNotificationAttemptSucceeded,
	} {
		equal(t, "in the older strings", aws.ToString(legacy), "2026-03-01T11:59:00Z")
	}
	e.SetDelivery(arn, cloudtrailtest.Delivery{LatestDeliveryError: aws.String(""), LatestNotificationTime: &time.Time{}})
	equal(t, "some cleared", status(), "@11:59 AuthorizationError@- NoSuchBucket@11:59 Access denied.@11:59")
	_, err = c.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: &arn})
	wants(t, err, "")
	e.clock.add(time.Hour)
	equal(t, "static", status(), "@11:59 AuthorizationError@- NoSuchBucket@11:59 Access denied.@11:59")
}

func TestDeliveryInterval(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.DeliveryInterval = 5 * time.Minute })
	c := e.in(region)
	arn := *create(t, c, "audit", withTopic).TrailARN
	latest := func() string {
		out, err := c.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: &arn})
		wants(t, err, "")
		if out.LatestDeliveryTime == nil {
			return "never"
		}
		return fmt.Sprint(
			out.LatestDeliveryTime.Sub(newClock().Now()),
			out.LatestNotificationTime != nil,
			out.LatestDigestDeliveryTime != nil,
		)
	}
	e.clock.add(time.Hour)
	equal(t, "not logging", latest(), "never")
	_, err := c.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: &arn})
	wants(t, err, "")
	equal(t, "just started", latest(), "never")
	e.clock.add(12 * time.Minute)
	equal(t, "two rounds", latest(), "1h10m0s true false")
	_, err = c.StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: &arn})
	wants(t, err, "")
	e.clock.add(time.Hour)
	equal(t, "stopped", latest(), "1h10m0s true false")
	_, err = c.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: &arn})
	wants(t, err, "")
	e.SetDelivery(arn, cloudtrailtest.Delivery{LatestDeliveryError: aws.String("NoSuchBucket")})
	e.clock.add(time.Hour)
	equal(t, "failing", latest(), "1h10m0s true false")
}

func TestMissingMembers(t *testing.T) {
	e := start(t)
	actor := e.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::111122223333:user/u"})
	for operation, want := range map[string]string{
		"CreateTrail":           "InvalidTrailNameException",
		"UpdateTrail":           "InvalidTrailNameException",
		"DeleteTrail":           "InvalidTrailNameException",
		"GetTrail":              "InvalidTrailNameException",
		"GetTrailStatus":        "InvalidTrailNameException",
		"StartLogging":          "InvalidTrailNameException",
		"StopLogging":           "InvalidTrailNameException",
		"GetEventSelectors":     "InvalidTrailNameException",
		"PutEventSelectors":     "InvalidTrailNameException",
		"GetInsightSelectors":   "InvalidParameterException",
		"PutInsightSelectors":   "InvalidParameterException",
		"GetEventConfiguration": "InvalidParameterException",
		"PutEventConfiguration": "InvalidParameterException",
		"AddTags":               "ValidationException",
		"RemoveTags":            "ValidationException",
		"ListTags":              "ValidationException",
		"Explode":               "UnknownOperationException",
	} {
		_, err := actor.Do(region, operation, nil)
		wants(t, err, want)
	}
	_, err := actor.Do("xx-moon-1", "ListTrails", nil)
	equal(t, "unknown region fails", err != nil, true)
	for member, value := range map[string]any{
		"Name": 1, "IsMultiRegionTrail": "true", "TagsList": map[string]any{}, "S3BucketName": true,
	} {
		_, err := actor.Do(region, "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": bucket, member: value})
		wants(t, err, "SerializationException")
	}
	equal(t, "trails", len(e.Trails()), 0)
	for member, value := range map[string]any{
		"MaxResults":       1.5,
		"StartTime":        "2026-03-01T12:00:00Z",
		"EndTime":          true,
		"LookupAttributes": []any{"EventName"},
		"NextToken":        1,
	} {
		_, err := actor.Do(region, "LookupEvents", map[string]any{member: value})
		wants(t, err, "SerializationException")
	}
	_, err = actor.Do(region, "LookupEvents", map[string]any{"MaxResults": "1"})
	equal(
		t,
		"message",
		err.Error(),
		"SerializationException: STRING_VALUE of member MaxResults can not be converted to Integer",
	)
}
