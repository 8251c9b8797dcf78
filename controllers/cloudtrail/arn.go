package cloudtrail

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// Partition returns the partition of a region: aws, aws-cn, aws-us-gov, aws-iso and so on.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
func Partition(region string) string {
	for _, p := range [...]struct{ prefix, partition string }{
		{"cn-", "aws-cn"},
		{"us-gov-", "aws-us-gov"},
		{"us-isob-", "aws-iso-b"},
		{"us-isof-", "aws-iso-f"},
		{"eu-isoe-", "aws-iso-e"},
		{"us-iso-", "aws-iso"},
		{"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(region, p.prefix) {
			return p.partition
		}
	}
	return "aws"
}

// TrailARN returns the ARN that a trail of this name has.
func TrailARN(region, accountID, name string) string {
	return arn.ARN{Partition: Partition(region), Service: "cloudtrail", Region: region, AccountID: accountID, Resource: "trail/" + name}.String()
}

// TopicARN returns the ARN of the SNS topic that a spec names by name or by ARN; "" stays "".
func TopicARN(region, accountID, nameOrARN string) string {
	if nameOrARN == "" || arn.IsARN(nameOrARN) {
		return nameOrARN
	}
	return arn.ARN{Partition: Partition(region), Service: "sns", Region: region, AccountID: accountID, Resource: nameOrARN}.String()
}

// ownerAccount returns the account in an ARN, "" when it is none.
func ownerAccount(trailARN string) string {
	parsed, err := arn.Parse(trailARN)
	if err != nil {
		return ""
	}
	return parsed.AccountID
}
