package cloudtrail

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// eventOf returns an event of EventBridge in the form of EventBridge's user guide, with a record in the form of
// CloudTrail's.
func eventOf(source, name, parameters string, replacements ...string) string {
	event := `{
		"version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "detail-type": "AWS API Call via CloudTrail",
		"source": "aws.SOURCE", "account": "111122223333", "time": "2026-01-02T03:04:05Z", "region": "eu-west-1",
		"resources": [],
		"detail": {
			"eventVersion": "1.11",
			"userIdentity": {
				"type": "AssumedRole", "principalId": "AROAEXAMPLE:mallory",
				"arn": "arn:aws:sts::111122223333:assumed-role/Admin/mallory", "accountId": "111122223333",
				"accessKeyId": "ASIAEXAMPLE",
				"sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/Admin"}}
			},
			"eventTime": "2026-01-02T03:04:05Z", "eventSource": "SOURCE.amazonaws.com", "eventName": "NAME",
			"awsRegion": "eu-west-1", "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli/2.31.0",
			"requestParameters": PARAMETERS, "responseElements": null,
			"requestID": "11111111-2222-3333-4444-555555555555", "eventID": "99999999-8888-7777-6666-555555555555",
			"readOnly": false, "eventType": "AwsApiCall", "managementEvent": true,
			"recipientAccountId": "111122223333", "eventCategory": "Management"
		}
	}`
	all := append([]string{"SOURCE", source, "NAME", name, "PARAMETERS", parameters}, replacements...)
	return strings.NewReplacer(all...).Replace(event)
}

func TestParseNotice(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)

	notice, err := ParseNotice(eventOf("cloudtrail", "StopLogging", `{"name": "audit"}`))

	g.Expect(err).NotTo(HaveOccurred())
	no := false
	g.Expect(notice.ReadOnly).To(Equal(&no))
	notice.ReadOnly, notice.Parameters = nil, nil
	g.Expect(*notice).To(Equal(Notice{
		Event: Event{
			ID: "99999999-8888-7777-6666-555555555555", Name: "StopLogging", Source: "cloudtrail.amazonaws.com",
			Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Username: "AROAEXAMPLE:mallory",
			IdentityARN: "arn:aws:sts::111122223333:assumed-role/Admin/mallory", AccessKeyID: "ASIAEXAMPLE",
			SourceIPAddress: "198.51.100.7", UserAgent: "aws-cli/2.31.0", Trail: "audit",
		},
		AccountID: "111122223333", Region: "eu-west-1",
		TrailARN: "arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit",
	}))
}

func TestParseNoticeOfTrail(t *testing.T) {
	t.Parallel()
	const audit = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit"
	for name, c := range map[string]struct {
		event, trail string
	}{
		"by name":            {eventOf("cloudtrail", "StopLogging", `{"name": "audit"}`), audit},
		"by ARN":             {eventOf("cloudtrail", "DeleteTrail", `{"name": "`+audit+`"}`), audit},
		"by its other name":  {eventOf("cloudtrail", "PutEventSelectors", `{"trailName": "audit"}`), audit},
		"as a resource":      {eventOf("cloudtrail", "AddTags", `{"resourceId": "`+audit+`", "tagsList": []}`), audit},
		"of an event store":  {eventOf("cloudtrail", "PutInsightSelectors", `{"eventDataStore": "x"}`), ""},
		"without parameters": {eventOf("cloudtrail", "StopLogging", "null"), ""},
		"with a number":      {eventOf("cloudtrail", "StopLogging", `{"name": 7}`), ""},
		"of another service": {eventOf("elasticloadbalancing", "AddTags", `{"name": "audit"}`), ""},
		"of an organization's": {eventOf("cloudtrail", "UpdateTrail", `{"name": "audit"}`, `"responseElements": null`,
			`"responseElements": {"trailARN": "arn:aws:cloudtrail:eu-west-1:444455556666:trail/audit"}`),
			"arn:aws:cloudtrail:eu-west-1:444455556666:trail/audit"},
		"copied to another account's bus": {eventOf("cloudtrail", "StopLogging", `{"name": "audit"}`,
			`"account": "111122223333"`, `"account": "999999999999"`), audit},
		"in China": {eventOf("cloudtrail", "StopLogging", `{"name": "audit"}`, `"awsRegion": "eu-west-1"`,
			`"awsRegion": "cn-north-1"`), "arn:aws-cn:cloudtrail:cn-north-1:111122223333:trail/audit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			notice, err := ParseNotice(c.event)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(notice.TrailARN).To(Equal(c.trail))
		})
	}
}

func TestParseNoticeOfNoCall(t *testing.T) {
	t.Parallel()
	stop := eventOf("cloudtrail", "StopLogging", `{"name": "audit"}`)
	for name, c := range map[string]struct {
		message string
		noCall  bool
	}{
		"another kind of event": {strings.Replace(stop, "AWS API Call via CloudTrail", "Object Created", 1), true},
		"somebody else's event": {strings.Replace(stop, `"aws.cloudtrail"`, `"mallory"`, 1), true},
		"no JSON":               {"StopLogging", false},
		"nothing":               {"", false},
		"another document":      {`{"Message": "audit"}`, false},
		"a list":                {`[]`, false},
		"no detail":             {`{"source": "aws.cloudtrail", "detail-type": "AWS API Call via CloudTrail"}`, false},
		"another detail": {
			`{"source": "aws.cloudtrail", "detail-type": "AWS API Call via CloudTrail", "detail": "StopLogging"}`, false,
		},
		"no time": {strings.Replace(stop, `"eventTime"`, `"time"`, 1), false},
		"no name": {strings.Replace(stop, `"eventName"`, `"name"`, 1), false},
		"deep":    {strings.Repeat("[", 1<<20), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			_, err := ParseNotice(c.message)
			g.Expect(err).To(HaveOccurred())
			if c.noCall {
				g.Expect(err).To(MatchError(ErrNoCall))
			} else {
				g.Expect(err).NotTo(MatchError(ErrNoCall))
			}
		})
	}
}

// What a trail depends on is found by each event that may make it fit or unfit.
func TestDependencies(t *testing.T) {
	t.Parallel()
	spec := v1alpha1.TrailSpec{
		S3BucketName: "logs", KMSKeyID: "alias/trail", SNSTopicName: "topic",
		CloudWatchLogsLogGroupARN: "arn:aws:logs:eu-west-1:111122223333:log-group:trails:*",
		CloudWatchLogsRoleARN:     "arn:aws:iam::111122223333:role/path/logs-role",
	}
	const key = "12345678-1234-1234-1234-123456789012"
	names := Dependencies(&spec, "111122223333", "eu-west-1", "arn:aws:kms:eu-west-1:111122223333:key/"+key)
	for name, c := range map[string]struct {
		event string
		found bool
	}{
		"a bucket's policy":    {eventOf("s3", "PutBucketPolicy", `{"bucketName": "logs", "policy": [""]}`), true},
		"a bucket that is new": {eventOf("s3", "CreateBucket", `{"bucketName": "logs"}`), true},
		"another bucket":       {eventOf("s3", "PutBucketPolicy", `{"bucketName": "others"}`), false},
		"an object":            {eventOf("s3", "PutObject", `{"bucketName": "logs", "key": "x"}`), false},
		"a key's policy":       {eventOf("kms", "PutKeyPolicy", `{"keyId": "`+key+`", "policy": "{}"}`), true},
		"a key by its ARN": {
			eventOf("kms", "DisableKey", `{"keyId": "arn:aws:kms:eu-west-1:111122223333:key/`+key+`"}`), true,
		},
		"a topic": {
			eventOf("sns", "SetTopicAttributes", `{"topicArn": "arn:aws:sns:eu-west-1:111122223333:topic"}`), true,
		},
		"a topic that is new": {eventOf("sns", "CreateTopic", `{"name": "topic"}`), true},
		"a topic elsewhere": {
			eventOf("sns", "DeleteTopic", `{"topicArn": "arn:aws:sns:us-east-1:111122223333:topic"}`), false,
		},
		"a role's trust": {eventOf("iam", "UpdateAssumeRolePolicy", `{"roleName": "logs-role"}`,
			`"eu-west-1"`, `"us-east-1"`), true},
		"a role of another account": {eventOf("iam", "PutRolePolicy", `{"roleName": "logs-role"}`,
			`"recipientAccountId": "111122223333"`, `"recipientAccountId": "444455556666"`), false},
		"a log group": {eventOf("logs", "CreateLogGroup", `{"logGroupName": "trails"}`), true},
		"a log group elsewhere": {
			eventOf("logs", "CreateLogGroup", `{"logGroupName": "trails"}`, "eu-west-1", "us-east-1"), false,
		},
		"a refused call": {eventOf("s3", "PutBucketPolicy", `{"bucketName": "logs"}`, `"readOnly"`,
			`"errorCode": "AccessDenied", "readOnly"`), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			notice, err := ParseNotice(c.event)
			g.Expect(err).NotTo(HaveOccurred())
			if c.found {
				g.Expect(names).To(ContainElement(notice.Dependency))
			} else {
				g.Expect(names).NotTo(ContainElement(notice.Dependency))
			}
		})
	}
}

func FuzzParseNotice(f *testing.F) {
	f.Add(eventOf("cloudtrail", "StopLogging", `{"name": "audit"}`))
	f.Add(eventOf("s3", "PutBucketPolicy", `{"bucketName": "logs"}`))
	f.Fuzz(func(t *testing.T, message string) {
		notice, err := ParseNotice(message)
		if (notice == nil) == (err == nil) {
			t.Errorf("%v and %v", notice, err)
		}
	})
}
