package cloudtrailtest_test

import (
	"strings"
	"testing"
)

func TestAdminQueues(t *testing.T) {
	e := start(t)
	const (
		ok       = `{"status":"ok"}`
		arn      = "arn:aws:sqs:eu-west-1:111122223333:events"
		url      = "https://sqs.eu-west-1.amazonaws.com/111122223333/events"
		actor    = `{"arn":"arn:aws:iam::111122223333:user/alice","region":"eu-west-1",`
		settings = `{"accountID":"111122223333","region":"eu-west-1","name":"events","maxMessageBytes":1048576,` +
			`"maxInFlight":120000,"allowedPrincipals":["222233334444"],"visibilityTimeout":"1m0s","retention":"96h0m0s",` +
			`"waitTime":"0s","arn":"` + arn + `","url":"` + url + `",`
	)
	for _, step := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "queues", "", 200, `[]`},
		{
			"PUT", "queues", `{"accountID":"111122223333","region":"eu-west-1","name":"events",` +
				`"visibilityTimeout":"1m","allowedPrincipals":["222233334444"]}`, 200,
			`{"arn":"` + arn + `","url":"` + url + `"}`,
		},
		{
			"PUT", "queues", `{"accountID":"1","region":"eu-west-1","name":"events"}`, 400,
			`{"code":"InvalidAttributeValue","message":"\"1\"isnotanaccount"}`,
		},
		{"PUT", "queues", `{"retention":"long"}`, 400, `{"message":"badrequest:time:invalidduration\"long\""}`},
		{"POST", "messages", `{"queueARN":"` + arn + `","body":"poison"}`, 200, ok},
		{
			"POST", "messages", `{"queueARN":"` + arn + `2","body":"poison"}`, 400,
			`{"code":"QueueDoesNotExist","message":"Thespecifiedqueuedoesnotexist."}`,
		},
		{"GET", "queues", "", 200, `[` + settings + `"visible":1,"inFlight":0,"arriving":0}]`},
		{"GET", "messages", "", 400, `{"message":"badrequest:thereisnoqueue\"\""}`},
		{"DELETE", "messages?arn=" + arn, "", 200, ok},
		{"GET", "messages?arn=" + arn, "", 200, `{"arriving":[],"inFlight":[],"visible":[]}`},
		{"PUT", "rules", `{"name":"all","queueARN":"` + arn + `","eventNames":["StartLogging","PutBucketPolicy"]}`, 200, ok},
		{"PUT", "rules", `{"name":"other","queueARN":"` + arn + `"}`, 200, ok},
		{"DELETE", "rules?name=other", "", 200, ok},
		{
			"GET", "rules", "", 200,
			`[{"name":"all","queueARN":"` + arn + `","eventNames":["StartLogging","PutBucketPolicy"]}]`,
		},
		{"PUT", "forwarding", `{"minDelay":"1s","maxDelay":"2s","duplicates":0.1,"loss":0.2,"loseLast":true}`, 200, ok},
		{
			"GET", "forwarding", "", 200,
			`{"minDelay":"1s","maxDelay":"2s","duplicates":0.1,"loss":0.2,"loseLast":true}`,
		},
		{"PUT", "forwarding", `{"minDelay":"soon"}`, 400, `{"message":"badrequest:time:invalidduration\"soon\""}`},
		{"PUT", "forwarding", `{}`, 200, ok},
		{
			"POST", "act", actor + `"operation":"CreateTrail","parameters":{"Name":"audit","S3BucketName":"trail-logs"}}`, 200,
			`{"IncludeGlobalServiceEvents":true,"IsMultiRegionTrail":false,"IsOrganizationTrail":false,` +
				`"LogFileValidationEnabled":false,"Name":"audit","S3BucketName":"trail-logs",` +
				`"TrailARN":"arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit"}`,
		},
		{"POST", "act", actor + `"operation":"StartLogging","parameters":{"Name":"audit"}}`, 200, `{}`},
		{"POST", "record", `{"arn":"alice"}`, 400, `{"message":"badrequest:arnhastobewhoacts"}`},
		{
			"POST", "record", actor + `"service":"s3"}`, 400,
			`{"message":"badrequest:notacallofanotherservice:serviceandoperationarerequired"}`,
		},
		{"POST", "record", actor + `"service":"s3","operation":"DeleteBucket"}`, 200, "eventID"},
		{
			"POST", "record", actor + `"service":"s3","operation":"PutBucketPolicy","parameters":{"bucketName":"b"},` +
				`"resources":[{"type":"AWS::S3::Bucket","name":"b"}]}`, 200, "eventID",
		},
		{"GET", "queues", "", 200, `[` + settings + `"visible":1,"inFlight":0,"arriving":0}]`},
		{"GET", "messages?arn=" + arn, "", 200, `PutBucketPolicy`},
		{"POST", "reset", "", 200, ok},
		{"GET", "queues", "", 200, `[` + settings + `"visible":0,"inFlight":0,"arriving":0}]`},
		{"DELETE", "queues", "", 400, `{"message":"badrequest:?arn=isrequired"}`},
		{"DELETE", "queues?arn=" + arn, "", 200, ok},
		{"GET", "queues", "", 200, `[]`},
	} {
		status, got := e.admin(t, step.method, step.path, step.body)
		isPart := !strings.ContainsAny(step.want, "{[") && strings.Contains(got, step.want)
		if status != step.status || got != step.want && !isPart {
			t.Fatalf("%s %s %s: got %d %s, want %d %s", step.method, step.path, step.body, status, got, step.status, step.want)
		}
	}
}
