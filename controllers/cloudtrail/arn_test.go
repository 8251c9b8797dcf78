package cloudtrail

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestPartition(t *testing.T) {
	t.Parallel()
	for region, partition := range map[string]string{
		"us-east-1":      "aws",
		"eu-central-1":   "aws",
		"ap-southeast-7": "aws",
		"cn-north-1":     "aws-cn",
		"us-gov-west-1":  "aws-us-gov",
		"us-iso-east-1":  "aws-iso",
		"us-isob-east-1": "aws-iso-b",
		"eu-isoe-west-1": "aws-iso-e",
		"us-isof-east-1": "aws-iso-f",
		"eusc-de-east-1": "aws-eusc",
	} {
		t.Run(region, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			g.Expect(Partition(region)).To(Equal(partition))
			g.Expect(TrailARN(region, testAccount, "audit")).To(Equal("arn:" + partition + ":cloudtrail:" + region + ":" + testAccount + ":trail/audit"))
		})
	}
}

func TestTopicARN(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ region, topic, arn string }{
		"none":                     {"eu-central-1", "", ""},
		"a name":                   {"eu-central-1", "trail-topic", "arn:aws:sns:eu-central-1:111122223333:trail-topic"},
		"a name in China":          {"cn-north-1", "trail-topic", "arn:aws-cn:sns:cn-north-1:111122223333:trail-topic"},
		"an ARN":                   {"eu-central-1", "arn:aws:sns:eu-central-1:111122223333:trail-topic", "arn:aws:sns:eu-central-1:111122223333:trail-topic"},
		"an ARN of another region": {"eu-central-1", "arn:aws:sns:us-east-1:444455556666:other", "arn:aws:sns:us-east-1:444455556666:other"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(TopicARN(c.region, testAccount, c.topic)).To(Equal(c.arn))
		})
	}
}

func TestTrailAccount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ arn, account string }{
		"a trail":     {"arn:aws:cloudtrail:us-east-1:444455556666:trail/audit", "444455556666"},
		"not an ARN":  {"audit", ""},
		"nothing yet": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect((&Trail{ARN: c.arn}).AccountID()).To(Equal(c.account))
		})
	}
}
