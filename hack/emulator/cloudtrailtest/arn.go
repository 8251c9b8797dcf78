package cloudtrailtest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// commercialRegions are the regions of the aws partition in which CloudTrail runs.
var commercialRegions = []string{
	"af-south-1",
	"ap-east-1",
	"ap-east-2",
	"ap-northeast-1",
	"ap-northeast-2",
	"ap-northeast-3",
	"ap-south-1",
	"ap-south-2",
	"ap-southeast-1",
	"ap-southeast-2",
	"ap-southeast-3",
	"ap-southeast-4",
	"ap-southeast-5",
	"ap-southeast-6",
	"ap-southeast-7",
	"ca-central-1",
	"ca-west-1",
	"eu-central-1",
	"eu-central-2",
	"eu-north-1",
	"eu-south-1",
	"eu-south-2",
	"eu-west-1",
	"eu-west-2",
	"eu-west-3",
	"il-central-1",
	"me-central-1",
	"me-south-1",
	"mx-central-1",
	"sa-east-1",
	"us-east-1",
	"us-east-2",
	"us-west-1",
	"us-west-2",
}

var (
	chinaRegions = []string{"cn-north-1", "cn-northwest-1"}
	govRegions   = []string{"us-gov-east-1", "us-gov-west-1"}
)

// DefaultRegions returns the regions a server knows unless Options.Regions names others: all commercial, China and
// GovCloud regions.
func DefaultRegions() []string {
	return slices.Concat(commercialRegions, chinaRegions, govRegions)
}

// partitionOf returns the partition of a region.
func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// arn is a parsed ARN.
type arn struct {
	partition, service, region, account, resource string
}

func (a arn) String() string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", a.partition, a.service, a.region, a.account, a.resource)
}

func parseARN(s string) (arn, bool) {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[1] == "" || parts[2] == "" || parts[5] == "" {
		return arn{}, false
	}
	return arn{parts[1], parts[2], parts[3], parts[4], parts[5]}, true
}

func trailARN(region, account, name string) string {
	return arn{partitionOf(region), "cloudtrail", region, account, "trail/" + name}.String()
}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// validTrailARN checks a trail's ARN.
func validTrailARN(s, partition string) error {
	a, ok := parseARN(s)
	name, isTrail := strings.CutPrefix(a.resource, "trail/")
	if !ok || a.service != "cloudtrail" || a.partition != partition || a.region == "" ||
		!accountID.MatchString(a.account) ||
		!isTrail ||
		validTrailName(name) != nil {
		return fail(
			"CloudTrailARNInvalidException",
			"The provided ARN is not valid: %s. "+
				"The following is the format of a trail ARN: arn:%s:cloudtrail:us-east-2:123456789012:trail/MyTrail",
			s,
			partition,
		)
	}
	return nil
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
