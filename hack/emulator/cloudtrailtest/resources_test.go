package cloudtrailtest_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

func closed(o *cloudtrailtest.Options) { o.OpenResources = false }

func TestResources(t *testing.T) {
	type server = cloudtrailtest.Server
	const (
		badBucket   = "InsufficientS3BucketPolicyException"
		badTopic    = "InsufficientSnsTopicPolicyException"
		noKey       = "KmsKeyNotFoundException"
		badLogGroup = "InvalidCloudWatchLogsLogGroupArnException"
		badLogRole  = "InvalidCloudWatchLogsRoleArnException"
	)
	goodBucket := func(s *server) { s.PutBucket(cloudtrailtest.Bucket{Name: bucket}) }
	putBucket := func(one cloudtrailtest.Bucket) func(*server) {
		one.Name = bucket
		return func(s *server) { s.PutBucket(one) }
	}
	// These put something besides a good bucket.
	putTopic := func(one cloudtrailtest.Topic) func(*server) {
		return func(s *server) { goodBucket(s); s.PutTopic(one) }
	}
	putKey := func(one cloudtrailtest.Key) func(*server) {
		return func(s *server) { goodBucket(s); s.PutKey(one) }
	}
	putLogs := func(one cloudtrailtest.LogRole) func(*server) {
		return func(s *server) { goodBucket(s); logs(s, one) }
	}
	for name, c := range map[string]struct {
		prepare func(*server)
		change  func(*cloudtrail.CreateTrailInput)
		want    string
	}{
		"no bucket":     {nil, nil, "S3BucketDoesNotExistException"},
		"bucket":        {goodBucket, nil, ""},
		"bucket denies": {putBucket(cloudtrailtest.Bucket{DenyCloudTrail: true}), nil, badBucket},
		"bucket deleted": {
			func(s *server) { goodBucket(s); s.DeleteBucket(bucket) },
			nil, "S3BucketDoesNotExistException",
		},
		"prefix not covered": {putBucket(cloudtrailtest.Bucket{AllowedPrefixes: []string{"x"}}), nil, badBucket},
		"prefix covered": {
			putBucket(cloudtrailtest.Bucket{AllowedPrefixes: []string{"x"}}),
			func(in *cloudtrail.CreateTrailInput) { in.S3KeyPrefix = aws.String("x") },
			"",
		},
		"no prefix covered": {putBucket(cloudtrailtest.Bucket{AllowedPrefixes: []string{""}}), nil, ""},
		"another trail's":   {putBucket(cloudtrailtest.Bucket{AllowedTrailARNs: []string{"arn:x"}}), nil, badBucket},
		"this trail's":      {putBucket(cloudtrailtest.Bucket{AllowedTrailARNs: []string{auditARN}}), nil, ""},
		"no topic":          {goodBucket, withTopic, badTopic},
		"topic":             {putTopic(cloudtrailtest.Topic{ARN: topic}), withTopic, ""},
		"topic denies":      {putTopic(cloudtrailtest.Topic{ARN: topic, DenyCloudTrail: true}), withTopic, badTopic},
		"topic deleted": {func(s *server) {
			goodBucket(s)
			s.PutTopic(cloudtrailtest.Topic{ARN: topic})
			s.DeleteTopic(topic)
		}, withTopic, badTopic},
		"no key":    {goodBucket, withKey(key), noKey},
		"no alias":  {goodBucket, withKey("alias/trails"), noKey},
		"key":       {putKey(cloudtrailtest.Key{ARN: key}), withKey(key), ""},
		"key by id": {putKey(cloudtrailtest.Key{ARN: key}), withKey("12345678-1234-1234-1234-123456789012"), ""},
		"key by alias": {
			putKey(cloudtrailtest.Key{ARN: key, Aliases: []string{"alias/trails"}}),
			withKey("alias/trails"), "",
		},
		"key by alias ARN": {
			putKey(cloudtrailtest.Key{ARN: key, Aliases: []string{"alias/trails"}}),
			withKey("arn:aws:kms:eu-west-1:111122223333:alias/trails"), "",
		},
		"alias moved on": {func(s *server) {
			goodBucket(s)
			s.PutKey(cloudtrailtest.Key{ARN: key, Aliases: []string{"alias/trails"}})
			s.PutKey(cloudtrailtest.Key{ARN: key})
		}, withKey("alias/trails"), noKey},
		"key denies": {
			putKey(cloudtrailtest.Key{ARN: key, DenyCloudTrail: true}),
			withKey(key), "InsufficientEncryptionPolicyException",
		},
		"key disabled": {putKey(cloudtrailtest.Key{ARN: key, Disabled: true}), withKey(key), "KmsKeyDisabledException"},
		"key unusable": {putKey(cloudtrailtest.Key{ARN: key, Unusable: true}), withKey(key), "KmsException"},
		"key deleted": {func(s *server) {
			goodBucket(s)
			s.PutKey(cloudtrailtest.Key{ARN: key})
			s.DeleteKey(key)
		}, withKey(key), noKey},
		"key in another region": {func(s *server) {
			s.PutBucket(cloudtrailtest.Bucket{Name: bucket, Region: "us-east-1"})
			s.PutKey(cloudtrailtest.Key{ARN: key})
		}, withKey(key), noKey},
		"no log group": {
			func(s *server) { goodBucket(s); s.PutLogRole(cloudtrailtest.LogRole{ARN: role}) },
			withLogs, badLogGroup,
		},
		"no log role": {
			func(s *server) { goodBucket(s); s.PutLogGroup(cloudtrailtest.LogGroup{ARN: group}) },
			withLogs, badLogRole,
		},
		"logs":                {putLogs(cloudtrailtest.LogRole{ARN: role}), withLogs, ""},
		"role does not trust": {putLogs(cloudtrailtest.LogRole{ARN: role, DenyCloudTrail: true}), withLogs, badLogRole},
		"role may not write":  {putLogs(cloudtrailtest.LogRole{ARN: role, DenyLogs: true}), withLogs, badLogGroup},
		"log group deleted": {func(s *server) {
			goodBucket(s)
			logs(s, cloudtrailtest.LogRole{ARN: role})
			s.DeleteLogGroup(group)
		}, withLogs, badLogGroup},
		"log role deleted": {func(s *server) {
			goodBucket(s)
			logs(s, cloudtrailtest.LogRole{ARN: role})
			s.DeleteLogRole(role)
		}, withLogs, badLogRole},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t, closed)
			if c.prepare != nil {
				c.prepare(e.Server)
			}
			change := c.change
			if change == nil {
				change = func(*cloudtrail.CreateTrailInput) {}
			}
			wants(t, tryCreate(e.in(region), "audit", change), c.want)
			if c.want != "" {
				equal(t, "trails", len(e.Trails()), 0)
				return
			}
			// UpdateTrail asks the same.
			got, _ := e.Trail(account, region, "audit")
			equal(t, "the key is answered by its ARN", got.KmsKeyARN == "" || got.KmsKeyARN == key, true)
			e.PutBucket(cloudtrailtest.Bucket{Name: bucket, DenyCloudTrail: true})
			_, err := e.in(region).
				UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: aws.String("audit"), EnableLogFileValidation: aws.Bool(true)})
			wants(t, err, "InsufficientS3BucketPolicyException")
			_, err = e.in(region).PutInsightSelectors(ctx, &cloudtrail.PutInsightSelectorsInput{
				TrailName: aws.String("audit"), InsightSelectors: []types.InsightSelector{{InsightType: "ApiCallRateInsight"}},
			})
			wants(t, err, "InsufficientS3BucketPolicyException")
		})
	}
}

func withTopic(in *cloudtrail.CreateTrailInput) { in.SnsTopicName = aws.String("trails") }

func withKey(id string) func(*cloudtrail.CreateTrailInput) {
	return func(in *cloudtrail.CreateTrailInput) { in.KmsKeyId = &id }
}

func withLogs(in *cloudtrail.CreateTrailInput) {
	in.CloudWatchLogsLogGroupArn, in.CloudWatchLogsRoleArn = aws.String(group), aws.String(role)
}

func logs(s *cloudtrailtest.Server, r cloudtrailtest.LogRole) {
	s.PutLogGroup(cloudtrailtest.LogGroup{ARN: group})
	s.PutLogRole(r)
}

func TestOpenResources(t *testing.T) {
	e := start(t)
	c := e.in(region)
	out := create(t, c, "audit", everything, withKey("alias/trails"))
	again, err := c.UpdateTrail(
		ctx,
		&cloudtrail.UpdateTrailInput{
			Name:     aws.String("audit"),
			KmsKeyId: aws.String("arn:aws:kms:eu-west-1:111122223333:alias/trails"),
		},
	)
	wants(t, err, "")
	equal(t, "an alias leads to one key", *again.KmsKeyId, *out.KmsKeyId)
	// What is registered counts.
	e.PutBucket(cloudtrailtest.Bucket{Name: bucket, DenyCloudTrail: true})
	wants(t, tryCreate(c, "other"), "InsufficientS3BucketPolicyException")
	e.DeleteBucket(bucket)
	wants(t, tryCreate(c, "other"), "S3BucketDoesNotExistException")
	e.PutBucket(cloudtrailtest.Bucket{Name: bucket})
	wants(t, tryCreate(c, "other"), "")
}

func TestPolicyMessages(t *testing.T) {
	e := start(t)
	e.PutBucket(cloudtrailtest.Bucket{Name: "closed-bucket", DenyCloudTrail: true})
	e.PutTopic(cloudtrailtest.Topic{ARN: topic, DenyCloudTrail: true})
	e.PutKey(cloudtrailtest.Key{ARN: key, DenyCloudTrail: true})
	e.PutLogRole(cloudtrailtest.LogRole{ARN: role, DenyCloudTrail: true})
	c := e.in(region)
	for want, change := range map[string]func(*cloudtrail.CreateTrailInput){
		"Incorrect S3 bucket policy is detected for bucket: closed-bucket": func(in *cloudtrail.CreateTrailInput) {
			in.S3BucketName = aws.String("closed-bucket")
		},
		"SNS Topic does not exist or the topic policy is incorrect!": withTopic,
		"Insufficient permissions to access S3 bucket trail-logs or " +
			"KMS key arn:aws:kms:eu-west-1:111122223333:key/12345678-1234-1234-1234-123456789012.": withKey(key),
		"Access denied. Check the trust relationships for your role.": withLogs,
	} {
		equal(t, "message", message(tryCreate(c, "audit", change)), want)
	}
}
