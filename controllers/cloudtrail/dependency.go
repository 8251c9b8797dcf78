package cloudtrail

import (
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// What a trail depends on is known by a name in which nothing differs that AWS accepts in several forms: a bucket by
// its name, which is unique in a partition; a key by its ID; a topic by its ARN; a role by account and name; a log
// group by account, region and name.

func bucketDependency(name string) string          { return "bucket/" + name }
func keyDependency(id string) string               { return "key/" + id }
func topicDependency(topicARN string) string       { return "topic/" + topicARN }
func roleDependency(accountID, name string) string { return "role/" + accountID + "/" + name }
func logGroupDependency(accountID, region, name string) string {
	return "log-group/" + accountID + "/" + region + "/" + name
}

// Dependencies returns the names of what a trail of an account and region depends on: bucket, key, topic, role and log
// group. keyARN is the key as CloudTrail reports it, as the spec may name it by an alias; "" when that is not known.
func Dependencies(spec *v1alpha1.TrailSpec, accountID, region, keyARN string) []string {
	names := []string{bucketDependency(spec.S3BucketName)}
	for _, key := range []string{spec.KMSKeyID, keyARN} {
		if key != "" && !strings.Contains(key, "alias/") {
			names = append(names, keyDependency(afterLast(key, "/")))
		}
	}
	if spec.SNSTopicName != "" {
		names = append(names, topicDependency(TopicARN(region, accountID, spec.SNSTopicName)))
	}
	if role, err := arn.Parse(spec.CloudWatchLogsRoleARN); err == nil {
		names = append(names, roleDependency(role.AccountID, afterLast(role.Resource, "/")))
	}
	if group, err := arn.Parse(spec.CloudWatchLogsLogGroupARN); err == nil {
		name := strings.TrimSuffix(strings.TrimPrefix(group.Resource, "log-group:"), ":*")
		names = append(names, logGroupDependency(group.AccountID, group.Region, name))
	}
	return names
}

// dependencyCalls are the calls that make a dependency of a trail fit or unfit, by the source of their events, with the
// parameter that names it.
var dependencyCalls = map[string]map[string]string{
	"s3.amazonaws.com": {
		"CreateBucket":       bucketName,
		"DeleteBucket":       bucketName,
		"PutBucketPolicy":    bucketName,
		"DeleteBucketPolicy": bucketName,
	},
	"kms.amazonaws.com": {
		"PutKeyPolicy":        keyID,
		"EnableKey":           keyID,
		"DisableKey":          keyID,
		"ScheduleKeyDeletion": keyID,
		"CancelKeyDeletion":   keyID,
	},
	"sns.amazonaws.com": {
		"CreateTopic": "name", "DeleteTopic": topicARN, "SetTopicAttributes": topicARN, "AddPermission": topicARN,
		"RemovePermission": topicARN,
	},
	"iam.amazonaws.com": {
		"CreateRole": roleName, "DeleteRole": roleName, "UpdateAssumeRolePolicy": roleName, "PutRolePolicy": roleName,
		"DeleteRolePolicy": roleName, "AttachRolePolicy": roleName, "DetachRolePolicy": roleName,
	},
	"logs.amazonaws.com": {"CreateLogGroup": logGroupName, "DeleteLogGroup": logGroupName},
}

// Parameters that name a dependency.
const (
	bucketName   = "bucketName"
	keyID        = "keyId"
	topicARN     = "topicArn"
	roleName     = "roleName"
	logGroupName = "logGroupName"
)

// dependencyOf returns what a successful call was about if trails may depend on it, "" else.
func dependencyOf(n *Notice, parameters map[string]json.RawMessage) string {
	parameter, ok := dependencyCalls[strings.TrimSuffix(n.Source, ".cn")][n.Name]
	name := textOf(parameters[parameter])
	if !ok || name == "" || n.ErrorCode != "" {
		return ""
	}
	switch parameter {
	case bucketName:
		return bucketDependency(name)
	case keyID:
		return keyDependency(afterLast(name, "/"))
	case roleName:
		return roleDependency(n.AccountID, name)
	case logGroupName:
		return logGroupDependency(n.AccountID, n.Region, name)
	default:
		return topicDependency(TopicARN(n.Region, n.AccountID, name))
	}
}

// afterLast returns what comes after the last separator, all of it when there is none.
func afterLast(s, separator string) string { return s[strings.LastIndex(s, separator)+1:] }
