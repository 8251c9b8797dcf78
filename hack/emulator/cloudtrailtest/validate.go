package cloudtrailtest

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Limits of CreateTrail, https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html.
const (
	minName, maxName = 3, 128
	maxPrefix        = 200
	maxTopic         = 256
)

var (
	nameChars    = regexp.MustCompile(`^[A-Za-z0-9._-]*$`)
	nameAdjacent = regexp.MustCompile(`[._-]{2}`)
	ipAddress    = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,3}){3}$`)
)

// validTrailName checks a trail's name.
func validTrailName(name string) error {
	invalid := func(format string, args ...any) error { return fail("InvalidTrailNameException", format, args...) }
	n := utf8.RuneCountInString(name)
	switch {
	case n == 0:
		return invalid("Trail name cannot be blank!")
	case n < minName:
		return invalid("Trail name too short. Minimum allowed length: 3 characters. Specified name length: %d characters.", n)
	case n > maxName:
		return invalid(
			"Trail name too long. Maximum allowed length: 128 characters. Specified name length: %d characters.",
			n,
		)
	case !isAlphanumeric(name[0]):
		return invalid("Trail name must starts with a letter or number.")
	case !isAlphanumeric(name[len(name)-1]):
		return invalid("Trail name must ends with a letter or number.")
	case !nameChars.MatchString(name):
		return invalid(
			"Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, " +
				"periods (.), hyphens (-), and underscores (_).",
		)
	case nameAdjacent.MatchString(name):
		return invalid("Trail name cannot have adjacent periods, hyphens, or underscores.")
	case ipAddress.MatchString(name):
		return invalid("Trail name cannot be in IP address format.")
	}

	return nil
}

func isAlphanumeric(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// validBucketName checks a bucket's name, https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html.
func validBucketName(name string) error {
	switch {
	case name == "":
		return fail("InvalidS3BucketNameException", "Bucket name cannot be blank!")
	case !bucketName.MatchString(name), strings.Contains(name, ".."), ipAddress.MatchString(name),
		strings.HasPrefix(name, "xn--"), strings.HasPrefix(name, "sthree-"), strings.HasPrefix(name, "amzn-s3-demo-"),
		strings.HasSuffix(name, "-s3alias"), strings.HasSuffix(name, "--ol-s3"), strings.HasSuffix(name, "--x-s3"),
		strings.HasSuffix(name, ".mrap"), strings.HasSuffix(name, "--table-s3"):
		return fail("InvalidS3BucketNameException", "Bucket name is invalid: %s", name)
	}
	return nil
}

func validPrefix(prefix string) error {
	if n := utf8.RuneCountInString(prefix); n > maxPrefix {
		return fail(
			"InvalidS3PrefixException",
			"S3 prefix is longer than maximum length: 200. Specified prefix length: %d",
			n,
		)
	}
	if strings.ContainsFunc(prefix, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return fail("InvalidS3PrefixException", "S3 prefix contains control characters.")
	}
	return nil
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// resolveTopic turns a topic's name or ARN into its ARN. A name is one of the caller's account and region.
func resolveTopic(c *call, topic string) (string, error) {
	invalid := fail("InvalidSnsTopicNameException", "SNS Topic name is invalid: %s", topic)
	if utf8.RuneCountInString(topic) > maxTopic {
		return "", invalid
	}
	if !strings.HasPrefix(topic, "arn:") {
		if !topicName.MatchString(topic) {
			return "", invalid
		}
		return arn{c.partition, "sns", c.region, c.account, topic}.String(), nil
	}
	a, ok := parseARN(topic)
	if !ok || a.service != "sns" || a.partition != c.partition || a.region == "" || !accountID.MatchString(a.account) ||
		!topicName.MatchString(a.resource) {
		return "", invalid
	}
	return topic, nil
}

var (
	logGroupResource = regexp.MustCompile(`^log-group:[A-Za-z0-9_./#-]{1,512}:\*$`)
	logRoleResource  = regexp.MustCompile(`^role/[\x21-\x7e]{1,576}$`)
)

// validLogs checks the log group and the role that CloudTrail writes to it with: both or none, ARNs of the caller's or
// the owner's account, the log group's with the trailing :* and in the trail's region.
func validLogs(c *call, owner string, cfg settings) error {
	switch {
	case cfg.logGroupARN == "" && cfg.logRoleARN == "":
		return nil
	case cfg.logRoleARN == "":
		return fail("InvalidCloudWatchLogsRoleArnException", "You must specify a role ARN as well as a log group.")
	case cfg.logGroupARN == "":
		return fail("InvalidCloudWatchLogsLogGroupArnException", "You must specify a log group as well as a role ARN.")
	}

	ours := func(account string) bool { return account == owner || account == c.account }
	group, ok := parseARN(cfg.logGroupARN)
	if !ok || group.service != "logs" || group.partition != c.partition || group.region != c.region ||
		!ours(group.account) ||
		!logGroupResource.MatchString(group.resource) {
		return fail("InvalidCloudWatchLogsLogGroupArnException", "Check the log group ARN: CloudTrail can't validate it.")
	}

	role, ok := parseARN(cfg.logRoleARN)
	if !ok || role.service != "iam" || role.partition != c.partition || role.region != "" || !ours(role.account) ||
		!logRoleResource.MatchString(role.resource) {
		return fail("InvalidCloudWatchLogsRoleArnException", "Check the role ARN: CloudTrail can't validate it.")
	}
	return nil
}
