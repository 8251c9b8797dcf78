package cloudtrailtest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
)

// admin sends a request to the admin API and returns status and answer without white space.
func (e *emulator) admin(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, e.url+"/_emulator/"+path, strings.NewReader(body))
	wants(t, err, "")
	resp, err := http.DefaultClient.Do(req)
	wants(t, err, "")
	defer resp.Body.Close() //nolint:errcheck // read only
	raw, err := io.ReadAll(resp.Body)
	wants(t, err, "")
	return resp.StatusCode, strings.Join(strings.Fields(string(raw)), "")
}

func TestAdminAPI(t *testing.T) {
	e := start(t, closed)
	const ok = `{"status":"ok"}`
	const trail = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit"
	const noFault = `{"message":"badrequest:afaultneedscode,status,latency,hang,` +
		`dropConnection,dropAfter,cutBodyornotApplied"}`
	const operator = `{"accessKeyID":"test","secretAccessKey":"","accountID":"111122223333",` +
		`"arn":"arn:aws:iam::111122223333:user/operator"}`
	for _, step := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "healthz", "", 200, ok},
		{"GET", "nothing", "", 404, "404pagenotfound"},
		{"PUT", "buckets", `{"name":"trail-logs","allowedPrefixes":["","x"]}`, 200, ok},
		{"PUT", "buckets", `{"name":"other-logs","denyCloudTrail":true}`, 200, ok},
		{
			"GET", "buckets", "", 200,
			`[{"name":"other-logs","denyCloudTrail":true},{"name":"trail-logs","allowedPrefixes":["","x"]}]`,
		},
		{"DELETE", "buckets?name=other-logs", "", 200, ok},
		{"DELETE", "buckets", "", 400, `{"message":"badrequest:?name=isrequired"}`},
		{"PUT", "buckets", `{}`, 400, `{"message":"badrequest:nameisrequired"}`},
		{"PUT", "buckets", `{"name":"x","depth":"red"}`, 400, `{"message":"badrequest:json:unknownfield\"depth\""}`},
		{"PUT", "buckets", `[`, 400, `{"message":"badrequest:unexpectedEOF"}`},
		{
			"PUT", "buckets", `[]`, 400,
			`{"message":"badrequest:json:cannotunmarshalarrayintoGovalueoftypemap[string]interface{}"}`,
		},
		{"GET", "buckets", "", 200, `[{"name":"trail-logs","allowedPrefixes":["","x"]}]`},
		{"PUT", "topics", `{"arn":"` + topic + `"}`, 200, ok},
		{"GET", "topics", "", 200, `[{"arn":"` + topic + `"}]`},
		{"PUT", "keys", `{"arn":"` + key + `","aliases":["alias/trails"]}`, 200, ok},
		{"GET", "keys", "", 200, `[{"arn":"` + key + `","aliases":["alias/trails"]}]`},
		{"PUT", "log-groups", `{"arn":"` + group + `"}`, 200, ok},
		{"GET", "log-groups", "", 200, `[{"arn":"` + group + `"}]`},
		{"PUT", "log-roles", `{"arn":"` + role + `"}`, 200, ok},
		{"GET", "log-roles", "", 200, `[{"arn":"` + role + `"}]`},
		{"PUT", "roles", `{"arn":"arn:aws:iam::444455556666:role/r","externalID":"abc"}`, 200, ok},
		{"GET", "roles", "", 200, `[{"arn":"arn:aws:iam::444455556666:role/r","externalID":"abc"}]`},
		{"DELETE", "roles?arn=arn:aws:iam::444455556666:role/r", "", 200, ok},
		{"GET", "roles", "", 200, `[]`},
		{"PUT", "credentials", `{"accessKeyID":"K","secretAccessKey":"s","accountID":"222233334444"}`, 200, ok},
		{
			"GET", "credentials", "", 200,
			`[{"accessKeyID":"K","secretAccessKey":"","accountID":"222233334444",` +
				`"arn":"arn:aws:iam::222233334444:user/K"},` + operator + `]`,
		},
		{"DELETE", "credentials?accessKeyID=K", "", 200, ok},
		{
			"PUT", "organization",
			`{"id":"o-exampleorgid","managementAccount":"111122223333","members":["222233334444"]}`,
			200, ok,
		},
		{
			"GET", "organization", "", 200,
			`{"id":"o-exampleorgid","managementAccount":"111122223333","members":["222233334444"]}`,
		},
		{"DELETE", "organization", "", 200, ok},
		{"GET", "organization", "", 200, `{"id":"","managementAccount":""}`},
		{
			"POST", "act",
			`{"arn":"arn:aws:iam::111122223333:user/alice","region":"eu-west-1","operation":"StopLogging",` +
				`"parameters":{"Name":"audit"}}`,
			400,
			`{"code":"TrailNotFoundException","message":"Unknowntrail:` + trail + `fortheuser:111122223333"}`,
		},
		{
			"POST", "act", `{"arn":"alice","region":"eu-west-1","operation":"StopLogging"}`, 400,
			`{"message":"badrequest:arnhastobewhoacts"}`,
		},
		{
			"POST", "act",
			`{"arn":"arn:aws:iam::111122223333:user/alice","region":"eu-west-1","operation":"CreateTrail",` +
				`"parameters":{"Name":"audit","S3BucketName":"trail-logs"}}`,
			200,
			`{"IncludeGlobalServiceEvents":true,"IsMultiRegionTrail":false,"IsOrganizationTrail":false,` +
				`"LogFileValidationEnabled":false,"Name":"audit","S3BucketName":"trail-logs",` +
				`"TrailARN":"` + trail + `"}`,
		},
		{
			"PUT", "delivery",
			`{"arn":"` + trail + `","latestDeliveryError":"NoSuchBucket","latestDeliveryTime":"2026-03-01T11:00:00Z"}`,
			200, ok,
		},
		{"PUT", "delivery", `{"arn":"` + trail + `x"}`, 400, `{"message":"badrequest:thereisnotrail\"` + trail + `x\""}`},
		{"POST", "faults", `{}`, 400, noFault},
		{"POST", "faults", `{"latency":"soon"}`, 400, `{"message":"badrequest:time:invalidduration\"soon\""}`},
		{
			"POST", "faults", `{"operation":"CreateTrail","code":"ConflictException","times":3,"latency":"1ms"}`, 200,
			`{"id":"fault-1"}`,
		},
		{"PUT", "faults", `{"dropAfter":true}`, 200, `{"id":"fault-2"}`},
		{
			"GET", "faults", "", 200,
			`[{"id":"fault-1","operation":"CreateTrail","code":"ConflictException","times":3,"left":3,"latency":"1ms"},` +
				`{"id":"fault-2","dropAfter":true}]`,
		},
		{"DELETE", "faults?id=fault-9", "", 400, `{"message":"badrequest:thereisnofault\"fault-9\""}`},
		{"DELETE", "faults?id=fault-1", "", 200, ok},
		{"DELETE", "faults", "", 200, ok},
		{"GET", "faults", "", 200, `[]`},
		{
			"POST", "faults", `{"principalARN":"arn:aws:iam::111122223333:user/*","status":502,"body":"<html>"}`, 200,
			`{"id":"fault-3"}`,
		},
		{
			"POST", "faults",
			`{"roleARN":"arn:aws:iam::444455556666:role/r","roleAccountID":"444455556666","hang":true,"after":true}`,
			200, `{"id":"fault-4"}`,
		},
		{"POST", "faults", `{"operation":"StopLogging","cutBody":true,"notApplied":true}`, 200, `{"id":"fault-5"}`},
		{"POST", "faults", `{"after":true}`, 400, noFault},
		{
			"GET", "faults", "", 200,
			`[{"id":"fault-3","principalARN":"arn:aws:iam::111122223333:user/*","status":502,` +
				`"body":"\u003chtml\u003e"},` +
				`{"id":"fault-4","roleARN":"arn:aws:iam::444455556666:role/r","roleAccountID":"444455556666",` +
				`"hang":true,"after":true},` +
				`{"id":"fault-5","operation":"StopLogging","cutBody":true,"notApplied":true}]`,
		},
		{"DELETE", "faults", "", 200, ok},
		{"PUT", "lags", `{"read":"1s","readMax":"2s","history":"5m"}`, 200, ok},
		{"GET", "lags", "", 200, `{"read":"1s","readMax":"2s","history":"5m0s","historyMax":"0s"}`},
		{"PUT", "lags", `{"read":"soon"}`, 400, `{"message":"badrequest:time:invalidduration\"soon\""}`},
		{"PUT", "lags", `{}`, 200, ok},
		{"GET", "lags", "", 200, `{"read":"0s","readMax":"0s","history":"0s","historyMax":"0s"}`},
		{"POST", "sessions/revoke", `{}`, 400, `{"message":"badrequest:roleARNisrequired"}`},
		{"POST", "sessions/revoke", `{"roleARN":"` + opsRole + `"}`, 200, ok},
		{"POST", "sessions/expire", `{"roleARN":"` + opsRole + `"}`, 200, ok},
		{"PUT", "credentials", `{"accessKeyID":"OFF","accountID":"222233334444","inactive":true}`, 200, ok},
		{
			"GET", "credentials", "", 200,
			`[{"accessKeyID":"OFF","secretAccessKey":"","accountID":"222233334444",` +
				`"arn":"arn:aws:iam::222233334444:user/OFF","inactive":true},` + operator + `]`,
		},
		{"DELETE", "credentials?accessKeyID=OFF", "", 200, ok},
		{"GET", "counts", "", 200, `{"calls":{},"throttled":0,"total":0,"trails":1}`},
	} {
		status, got := e.admin(t, step.method, step.path, step.body)
		if status != step.status || got != step.want {
			t.Fatalf("%s %s %s: got %d %s, want %d %s", step.method, step.path, step.body, status, got, step.status, step.want)
		}
	}
	status, err := e.in(region).GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: aws.String("audit")})
	wants(t, err, "")
	equal(t, "delivery error", *status.LatestDeliveryError, "NoSuchBucket")
	equal(t, "delivery time", *status.LatestDeliveryTime, newClock().Now().Add(-time.Hour))

	for path, want := range map[string]string{
		"calls?operation=GetTrailStatus":               `"operation":"GetTrailStatus"`,
		"calls?operation=CreateTrail":                  `[]`,
		"calls?account=999999999999":                   `[]`,
		"calls?region=us-east-1":                       `[]`,
		"trails":                                       `"ARN":"` + trail + `"`,
		"trails?account=111122223333&region=eu-west-1": `"Name":"audit"`,
		"trails?region=us-east-1":                      `[]`,
		"counts":                                       `"GetTrailStatus":1`,
	} {
		if _, got := e.admin(t, "GET", path, ""); !strings.Contains(got, want) {
			t.Errorf("%s: %s does not contain %s", path, got, want)
		}
	}
	e.admin(t, "DELETE", "calls", "")
	_, got := e.admin(t, "GET", "calls", "")
	equal(t, "calls", got, "[]")
	for _, gone := range []string{
		"topics?arn=" + topic,
		"keys?arn=" + key,
		"log-groups?arn=" + group,
		"log-roles?arn=" + role,
	} {
		status, _ := e.admin(t, "DELETE", gone, "")
		equal(t, gone, status, 200)
	}
	e.admin(t, "POST", "reset", "")
	equal(t, "trails", len(e.Trails()), 0)
}
