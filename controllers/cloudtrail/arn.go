package cloudtrail

import (
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// partitions are AWS's partitions with the form of their regions, as the SDK knows them.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
var partitions = []struct {
	name    string
	regions *regexp.Regexp
}{
	{"aws", regexp.MustCompile(`^(us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+$`)},
	{"aws-cn", regexp.MustCompile(`^cn-\w+-\d+$`)},
	{"aws-eusc", regexp.MustCompile(`^eusc-(de)-\w+-\d+$`)},
	{"aws-iso", regexp.MustCompile(`^us-iso-\w+-\d+$`)},
	{"aws-iso-b", regexp.MustCompile(`^us-isob-\w+-\d+$`)},
	{"aws-iso-e", regexp.MustCompile(`^eu-isoe-\w+-\d+$`)},
	{"aws-iso-f", regexp.MustCompile(`^us-isof-\w+-\d+$`)},
	{"aws-us-gov", regexp.MustCompile(`^us-gov-\w+-\d+$`)},
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
