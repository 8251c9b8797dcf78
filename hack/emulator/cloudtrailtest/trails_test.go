package cloudtrailtest_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
)

func TestLifeOfATrail(t *testing.T) {
	e := start(t)
	c := e.in(region)
	out := create(t, c, "audit", func(in *cloudtrail.CreateTrailInput) {
		in.S3KeyPrefix = aws.String("p")
		in.SnsTopicName = aws.String("trails")
		in.KmsKeyId = aws.String("alias/trails")
		in.CloudWatchLogsLogGroupArn, in.CloudWatchLogsRoleArn = aws.String(group), aws.String(role)
		in.EnableLogFileValidation = aws.Bool(true)
	})
	equal(t, "arn", *out.TrailARN, "arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit")
	equal(t, "topic", *out.SnsTopicARN, topic)

	status, err := c.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: aws.String("audit")})
	wants(t, err, "")
	equal(t, "logging after create", *status.IsLogging, false)
	_, err = c.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: out.TrailARN})
	wants(t, err, "")
	status, err = c.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: aws.String("audit")})
	wants(t, err, "")
	equal(t, "logging after start", *status.IsLogging, true)
	equal(t, "start time", status.StartLoggingTime.UTC(), e.clock.Now())

	described, err := c.DescribeTrails(ctx, nil)
	wants(t, err, "")
	equal(t, "trails", len(described.TrailList), 1)
	_, err = c.DeleteTrail(ctx, &cloudtrail.DeleteTrailInput{Name: aws.String("audit")})
	wants(t, err, "")
	_, err = c.GetTrail(ctx, &cloudtrail.GetTrailInput{Name: aws.String("audit")})
	wants(t, err, "TrailNotFoundException")
}
