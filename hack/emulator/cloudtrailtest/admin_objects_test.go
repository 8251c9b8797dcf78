package cloudtrailtest_test

import (
	"strings"
	"testing"
	"time"
)

func TestAdminObjects(t *testing.T) {
	e := start(t)
	const (
		ok    = `{"status":"ok"}`
		arn   = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit"
		actor = `{"arn":"arn:aws:iam::111122223333:user/alice","region":"eu-west-1",`
	)
	for _, step := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "log-delivery", "", 200, `{}`},
		{"POST", "log-delivery/hours", `{"arn":"` + arn + `","hours":2}`, 400, `{"message":"nologdelivery:itisswitchedoff"}`},
		{"PUT", "log-delivery", `{"hour":"soon"}`, 400, `{"message":"badrequest:time:invalidduration\"soon\""}`},
		{"PUT", "log-delivery", `{"hour":"1h","logsPerHour":2,"regions":["us-east-1"],"seed":3}`, 200, ok},
		{
			"GET", "log-delivery", "", 200, `{"hour":"1h0m0s","regions":["us-east-1"],"logsPerHour":2,` +
				`"keyLifetime":"720h0m0s","keep":"168h0m0s","seed":3,"time":"2026-03-01T12:00:00Z"}`,
		},
		{
			"POST", "act", actor + `"operation":"CreateTrail","parameters":{"Name":"audit","S3BucketName":"trail-logs",` +
				`"EnableLogFileValidation":true}}`, 200,
			`{"IncludeGlobalServiceEvents":true,"IsMultiRegionTrail":false,"IsOrganizationTrail":false,` +
				`"LogFileValidationEnabled":true,"Name":"audit","S3BucketName":"trail-logs","TrailARN":"` + arn + `"}`,
		},
		{"POST", "act", actor + `"operation":"StartLogging","parameters":{"Name":"audit"}}`, 200, `{}`},
		{"POST", "log-delivery/hours", `{"arn":"` + arn + `","hours":2}`, 200, ok},
		{
			"POST", "tamper", `{"kind":"Delete","arn":"` + arn + `","position":5}`, 400,
			`{"message":"cannottamper:thechainhas2digestsandnoneat5"}`,
		},
		{
			"PUT", "objects", `{"bucket":"trail-logs","key":"k","content":"aGVsbG8=","metadata":{"a":"b"}}`, 200, ok,
		},
		{
			"PUT", "objects", `{"bucket":"trail-logs"}`, 400,
			`{"message":"notanobject:akeyhas1to1024bytes"}`,
		},
		{
			"GET", "objects?bucket=trail-logs&key=k", "", 200, `{"bucket":"trail-logs","key":"k","content":"aGVsbG8=",` +
				`"metadata":{"a":"b"},"contentType":"binary/octet-stream","storageClass":"STANDARD",` +
				`"lastModified":"2026-03-01T12:00:00Z"}`,
		},
		{"POST", "tamper", `{"kind":"Archive","bucket":"trail-logs","key":"k"}`, 200, `{"keys":["k"]}`},
		{
			"GET", "objects?bucket=trail-logs&prefix=k", "", 200, `[{"key":"k","size":5,` +
				`"lastModified":"2026-03-01T12:00:00Z","storageClass":"GLACIER","metadata":{"a":"b"}}]`,
		},
		{"DELETE", "objects?bucket=trail-logs&key=k", "", 200, ok},
		{
			"DELETE", "objects?bucket=trail-logs&key=k", "", 400,
			`{"message":"badrequest:thereisnoobject\"k\"inbucket\"trail-logs\""}`,
		},
		{"PUT", "disabled-regions", `{"regions":["me-south-1"]}`, 200, ok},
		{"GET", "disabled-regions", "", 200, `{"":["me-south-1"]}`},
		{"DELETE", "log-delivery", "", 200, ok},
		{"GET", "log-delivery", "", 200, `{}`},
	} {
		status, body := e.admin(t, step.method, step.path, step.body)
		body = strings.Join(strings.Fields(body), "")
		if status != step.status || body != step.want {
			t.Errorf("%s %s %s: %d %s, want %d %s", step.method, step.path, step.body, status, body, step.status, step.want)
		}
	}
	e.clock.add(time.Hour)
	equal(t, "objects", len(e.Objects(bucket, "")), 2+4)
}
