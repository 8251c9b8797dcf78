package cloudtrailtest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

func TestFaultsSelect(t *testing.T) {
	e := start(t)
	for name, c := range map[string]struct {
		fault  cloudtrailtest.Fault
		want   string
		status int
	}{
		"any": {cloudtrailtest.Fault{Code: "ConflictException"}, "ConflictException", 400},
		"operation": {
			cloudtrailtest.Fault{Operation: "DescribeTrails", Code: "ConflictException"},
			"ConflictException", 400,
		},
		"another operation":  {cloudtrailtest.Fault{Operation: "CreateTrail", Code: "ConflictException"}, "", 0},
		"account":            {cloudtrailtest.Fault{AccountID: account, Code: "ConflictException"}, "ConflictException", 400},
		"another account":    {cloudtrailtest.Fault{AccountID: "999999999999", Code: "ConflictException"}, "", 0},
		"region":             {cloudtrailtest.Fault{Region: region, Code: "ConflictException"}, "ConflictException", 400},
		"another region":     {cloudtrailtest.Fault{Region: "us-east-1", Code: "ConflictException"}, "", 0},
		"status of the code": {cloudtrailtest.Fault{Code: "InternalFailure"}, "InternalFailure", 500},
		"unavailable":        {cloudtrailtest.Fault{Code: "ServiceUnavailable"}, "ServiceUnavailable", 503},
		"given status":       {cloudtrailtest.Fault{Code: "Odd", Status: 418}, "Odd", 418},
		"latency alone":      {cloudtrailtest.Fault{Latency: time.Millisecond}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			e.ClearFaults()
			e.Inject(c.fault)
			_, err := e.in(region).DescribeTrails(ctx, nil)
			wants(t, err, c.want)
			if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
				equal(t, "status", response.HTTPStatusCode(), c.status)
			}
		})
	}
}

func TestFaultTimesAndProbability(t *testing.T) {
	count := func(seed int64, f cloudtrailtest.Fault) string {
		e := start(t, func(o *cloudtrailtest.Options) { o.Seed = seed })
		e.Inject(f)
		out := ""
		for range 40 {
			_, err := e.in(region).DescribeTrails(ctx, nil)
			out += map[bool]string{true: "x", false: "."}[err != nil]
		}
		return out
	}
	equal(t, "twice", count(0, cloudtrailtest.Fault{Code: "ConflictException", Times: 2}), "xx"+strings.Repeat(".", 38))
	equal(t, "always", count(0, cloudtrailtest.Fault{Code: "ConflictException"}), strings.Repeat("x", 40))
	half := cloudtrailtest.Fault{Code: "ConflictException", Probability: 0.5}
	equal(t, "same seed", count(1, half), count(1, half))
	equal(t, "another seed", count(1, half) != count(2, half), true)
	n := strings.Count(count(1, half), "x")
	equal(t, "about half", n > 10 && n < 30, true)
}

func TestClearFault(t *testing.T) {
	e := start(t)
	id := e.Inject(cloudtrailtest.Fault{Code: "ConflictException"})
	equal(t, "there", e.ClearFault(id), true)
	equal(t, "gone", e.ClearFault(id), false)
	_, err := e.in(region).DescribeTrails(ctx, nil)
	wants(t, err, "")
}

func TestDroppedConnections(t *testing.T) {
	e := start(t)
	e.Inject(cloudtrailtest.Fault{Operation: "CreateTrail", DropConnection: true, Times: 1})
	err := tryCreate(e.in(region), "audit")
	equal(t, "before: an error without a code", err != nil && message(err) == "", true)
	equal(t, "before: nothing done", len(e.Trails()), 0)
	e.Inject(cloudtrailtest.Fault{Operation: "CreateTrail", DropAfter: true, Times: 1})
	err = tryCreate(e.in(region), "audit")
	equal(t, "after: an error without a code", err != nil && message(err) == "", true)
	equal(t, "after: done", len(e.Trails()), 1)
	wants(t, tryCreate(e.in(region), "audit"), "TrailAlreadyExistsException")
	calls := e.Calls()
	equal(t, "calls", fmt.Sprint(calls[0].Error, len(calls), calls[1].Error == ""), "ConnectionReset3 true")

	// Without a connection to cut, the handler is aborted.
	defer func() { equal(t, "panic", fmt.Sprint(recover()) == http.ErrAbortHandler.Error(), true) }()
	e.Inject(cloudtrailtest.Fault{DropConnection: true})
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://x/", strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "CloudTrail_20131101.DescribeTrails")
	signed(t, "{}", "cloudtrail", time.Now())(r)
	e.ServeHTTP(httptest.NewRecorder(), r)
}

func TestFaultsOfSTS(t *testing.T) {
	e := start(t)
	e.Inject(cloudtrailtest.Fault{Operation: "AssumeRole", Code: "AccessDenied", Times: 1})
	in := &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::444455556666:role/r"), RoleSessionName: aws.String("ss")}
	_, err := e.sts("test", "test", "").AssumeRole(ctx, in)
	wants(t, err, "AccessDenied")
	e.Inject(cloudtrailtest.Fault{Operation: "AssumeRole", DropConnection: true, Times: 1})
	_, err = e.sts("test", "test", "").AssumeRole(ctx, in)
	equal(t, "reset", err != nil && message(err) == "", true)
	e.Inject(cloudtrailtest.Fault{Operation: "GetCallerIdentity", Code: "ServiceUnavailable", Times: 1})
	_, err = e.sts("test", "test", "").GetCallerIdentity(ctx, nil)
	wants(t, err, "ServiceUnavailable")
}

func TestHooks(t *testing.T) {
	e := start(t)
	var mu sync.Mutex
	var seen []string
	e.OnCall(
		func(op string, n int) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprintf("before %s %d: %d", op, n, len(e.Trails())))
		},
		func(op string, n int) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprintf("after %s %d: %d", op, n, len(e.Trails())))
		})
	c := e.in(region)
	create(t, c, "audit")
	e.Inject(cloudtrailtest.Fault{Code: "ConflictException", Times: 1})
	_, err := c.DescribeTrails(ctx, nil) // Does not get as far.
	wants(t, err, "ConflictException")
	_, err = c.DeleteTrail(ctx, &cloudtrail.DeleteTrailInput{Name: aws.String("audit")})
	wants(t, err, "")
	same(
		t,
		"hooks",
		seen,
		"before CreateTrail 1: 0",
		"after CreateTrail 1: 1",
		"before DeleteTrail 2: 1",
		"after DeleteTrail 2: 0",
	)
	e.OnCall(nil, nil)
	e.ResetCalls()
	_, err = c.DescribeTrails(ctx, nil)
	wants(t, err, "")
	equal(t, "hooks", len(seen), 4)
}

func TestCalls(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.MaxCalls = 10 })
	c := e.in(region)
	create(t, c, "audit")
	_, err := c.GetTrail(ctx, &cloudtrail.GetTrailInput{Name: aws.String("gone")})
	wants(t, err, "TrailNotFoundException")
	names(t, c, nil, "audit")
	_, err = e.as("nobody", "x", "", region).ListTrails(ctx, nil)
	wants(t, err, "UnrecognizedClientException")
	_, err = e.sts("test", "test", "").AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn:         aws.String("arn:aws:iam::444455556666:role/r"),
		RoleSessionName: aws.String("ss"),
	})
	wants(t, err, "")
	var got []string
	for _, one := range e.Calls() {
		got = append(
			got,
			strings.Join([]string{one.AccountID, one.Region, one.Operation, one.Target, one.Error, one.AccessKeyID}, " "),
		)
	}
	same(t, "calls", got,
		"111122223333 eu-west-1 CreateTrail audit  test",
		"111122223333 eu-west-1 GetTrail gone TrailNotFoundException test",
		"111122223333 eu-west-1 DescribeTrails audit  test",
		"  ListTrails  UnrecognizedClientException nobody",
		"111122223333 eu-west-1 AssumeRole arn:aws:iam::444455556666:role/r  test")
	first := e.Calls()[0]
	equal(
		t,
		"params",
		fmt.Sprint(
			first.Params["S3BucketName"],
			strings.Contains(first.UserAgent, "aws-sdk-go-v2"),
			first.Time.Equal(e.clock.Now()),
		),
		fmt.Sprint(bucket, true, true),
	)
	equal(
		t,
		"counts",
		fmt.Sprint(e.CallCounts()),
		"map[AssumeRole:1 CreateTrail:1 DescribeTrails:1 GetTrail:1 ListTrails:1]",
	)
	for range 30 {
		names(t, c, nil)
	}
	equal(t, "bounded", len(e.Calls()) <= 10, true)
	equal(t, "counted all the same", e.CallCounts()["DescribeTrails"], 31)
	e.ResetCalls()
	equal(t, "reset", len(e.Calls())+len(e.CallCounts()), 0)

	quiet := start(t, func(o *cloudtrailtest.Options) { o.NoCallLog = true })
	names(t, quiet.in(region), nil)
	equal(t, "no log", fmt.Sprint(len(quiet.Calls()), quiet.CallCounts()), "0 map[DescribeTrails:1]")
}

func TestLatency(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.Latency = 30 * time.Millisecond })
	began := time.Now()
	names(t, e.in(region), nil)
	equal(t, "slow", time.Since(began) >= 30*time.Millisecond, true)
}

func TestReset(t *testing.T) {
	e := start(t)
	create(t, e.in(region), "audit")
	e.Inject(cloudtrailtest.Fault{Code: "ConflictException"})
	e.Reset()
	same(t, "trails", names(t, e.in(region), nil))
	equal(t, "history", len(lookup(t, e.in(region), cloudtrail.LookupEventsInput{})), 0)
}

func TestBodyTooLarge(t *testing.T) {
	e := start(t)
	status, _, _ := e.post(t, strings.Repeat("x", 2<<20), nil, nil)
	equal(t, "status", status, http.StatusRequestEntityTooLarge)
}
