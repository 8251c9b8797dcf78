package cloudtrail

import (
	"encoding/json"
	"go/build"
	"os"
	"path/filepath"
	"strings"
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
			g.Expect(TrailARN(region, testAccount, "audit")).
				To(Equal("arn:" + partition + ":cloudtrail:" + region + ":" + testAccount + ":trail/audit"))
		})
	}
}

// TestPartitionsOfTheSDK compares what we know of partitions with what the SDK knows, which it shows nobody. An update
// of the SDK that adds one fails here until it is in our table.
func TestPartitionsOfTheSDK(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	found, err := build.Import("github.com/aws/aws-sdk-go-v2/internal/endpoints/awsrulesfn", ".", build.FindOnly)
	g.Expect(err).NotTo(HaveOccurred())
	data, err := os.ReadFile(filepath.Join(found.Dir, "partitions.json"))
	g.Expect(err).NotTo(HaveOccurred())
	var sdk struct {
		Partitions []struct {
			ID          string
			RegionRegex string
			Regions     map[string]any
		}
	}
	g.Expect(json.Unmarshal(data, &sdk)).To(Succeed())
	g.Expect(len(sdk.Partitions)).To(BeNumerically(">=", 8), "the SDK's file is understood")

	theirs, ours := map[string]string{}, map[string]string{}
	for _, p := range sdk.Partitions {
		theirs[p.ID] = strings.ReplaceAll(p.RegionRegex, `\-`, "-")
	}
	for _, p := range partitions {
		ours[p.name] = p.regions.String()
		g.Expect(FirstRegion("arn:" + p.name + ":sts::111122223333:assumed-role/r/s")).To(Equal(p.first))
	}
	g.Expect(FirstRegion("arn:aws-new:sts::111122223333:assumed-role/r/s")).To(BeEmpty())
	g.Expect(FirstRegion("no ARN")).To(BeEmpty())
	for _, p := range sdk.Partitions {
		g.Expect(p.Regions).To(HaveKey(FirstRegion("arn:" + p.ID + ":sts::111122223333:assumed-role/r/s")))
	}
	g.Expect(ours).To(Equal(theirs))

	for _, p := range sdk.Partitions {
		for region := range p.Regions {
			if strings.HasSuffix(region, "-global") {
				continue // It stands for a partition, and nothing can be called in it.
			}
			g.Expect(Partition(region)).To(Equal(p.ID), region)
			for _, other := range sdk.Partitions {
				caller := "arn:" + other.ID + ":sts::111122223333:assumed-role/r/s"
				g.Expect(InPartition(caller, region)).To(Equal(other.ID == p.ID), "%s in %s", caller, region)
			}
		}
	}
}

func TestInPartition(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		caller, region string
		may            bool
	}{
		"its own":                            {"arn:aws:iam::111122223333:role/r", "eu-central-1", true},
		"one that is newer than we are":      {"arn:aws:iam::111122223333:role/r", "eu-north-7", true},
		"one of China":                       {"arn:aws:iam::111122223333:role/r", "cn-north-1", false},
		"one of AWS from China":              {"arn:aws-cn:iam::111122223333:role/r", "eu-central-1", false},
		"none at all":                        {"arn:aws:iam::111122223333:role/r", "169.254.169.254/", false},
		"one of a partition that is newer":   {"arn:aws-moon:iam::111122223333:role/r", "moon-crater-1", true},
		"any, while the caller is not known": {"the operator's own credentials", "cn-north-1", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(InPartition(c.caller, c.region)).To(Equal(c.may))
		})
	}
}

func TestTopicARN(t *testing.T) {
	t.Parallel()
	const own, others = "arn:aws:sns:eu-central-1:111122223333:trail-topic", "arn:aws:sns:us-east-1:444455556666:other"
	for name, c := range map[string]struct{ region, topic, arn string }{
		"none":                     {"eu-central-1", "", ""},
		"a name":                   {"eu-central-1", "trail-topic", own},
		"a name in China":          {"cn-north-1", "trail-topic", "arn:aws-cn:sns:cn-north-1:111122223333:trail-topic"},
		"an ARN":                   {"eu-central-1", own, own},
		"an ARN of another region": {"eu-central-1", others, others},
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
