package cloudtrail

import (
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/trail-operator/trail-operator/controllers/digest"
)

// partitions are AWS's partitions with the form of their regions, as the SDK knows them, and a region of each that
// every account has.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
var partitions = []struct {
	name    string
	regions *regexp.Regexp
	first   string
}{
	{"aws", regexp.MustCompile(`^(us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+$`), "us-east-1"},
	{"aws-cn", regexp.MustCompile(`^cn-\w+-\d+$`), "cn-north-1"},
	{"aws-eusc", regexp.MustCompile(`^eusc-(de)-\w+-\d+$`), "eusc-de-east-1"},
	{"aws-iso", regexp.MustCompile(`^us-iso-\w+-\d+$`), "us-iso-east-1"},
	{"aws-iso-b", regexp.MustCompile(`^us-isob-\w+-\d+$`), "us-isob-east-1"},
	{"aws-iso-e", regexp.MustCompile(`^eu-isoe-\w+-\d+$`), "eu-isoe-west-1"},
	{"aws-iso-f", regexp.MustCompile(`^us-isof-\w+-\d+$`), "us-isof-south-1"},
	{"aws-us-gov", regexp.MustCompile(`^us-gov-\w+-\d+$`), "us-gov-west-1"},
}

// Partition returns the partition of a region: aws, aws-cn, aws-us-gov and so on; aws for one that no partition has.
func Partition(region string) string {
	for _, p := range partitions {
		if p.regions.MatchString(region) {
			return p.name
		}
	}
	return "aws"
}

// FirstRegion returns a region of the partition of an ARN that every account has, "" for a partition that is newer than
// we are.
func FirstRegion(callerARN string) string {
	parsed, err := arn.Parse(callerARN)
	if err != nil {
		return ""
	}
	for _, p := range partitions {
		if p.name == parsed.Partition {
			return p.first
		}
	}
	return ""
}

// InPartition tells whether the partition of an ARN may have a region. No region of another partition can be called
// with the credentials of an account.
func InPartition(callerARN, region string) bool {
	parsed, err := arn.Parse(callerARN)
	if err != nil {
		return true
	}
	for _, p := range partitions {
		if p.name == parsed.Partition {
			return p.regions.MatchString(region)
		}
	}
	return true // A partition that is newer than we are.
}

// TrailARN returns the ARN that a trail of this name has.
func TrailARN(region, accountID, name string) string {
	return arn.ARN{
		Partition: Partition(region),
		Service:   "cloudtrail",
		Region:    region,
		AccountID: accountID,
		Resource:  "trail/" + name,
	}.String()
}

// ParseTrailARN returns what the ARN of a trail tells of it; not where it delivers. It is not ok for anything else.
func ParseTrailARN(trailARN string) (trail digest.Trail, ok bool) {
	parsed, err := arn.Parse(trailARN)
	name, ok := strings.CutPrefix(parsed.Resource, "trail/")
	if err != nil || !ok {
		return trail, false
	}
	return digest.Trail{Name: name, HomeRegion: parsed.Region, AccountID: parsed.AccountID}, true
}

// TopicARN returns the ARN of the SNS topic that a spec names by name or by ARN; "" stays "".
func TopicARN(region, accountID, nameOrARN string) string {
	if nameOrARN == "" || arn.IsARN(nameOrARN) {
		return nameOrARN
	}
	return arn.ARN{
		Partition: Partition(region),
		Service:   "sns",
		Region:    region,
		AccountID: accountID,
		Resource:  nameOrARN,
	}.String()
}

// ownerAccount returns the account in an ARN, "" when it is none.
func ownerAccount(trailARN string) string {
	parsed, err := arn.Parse(trailARN)
	if err != nil {
		return ""
	}
	return parsed.AccountID
}
