package cloudtrailtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// Over a network or without one, what is broken looks the same to a client.
var transports = map[string]func(*testing.T, ...func(*cloudtrailtest.Options)) *emulator{
	"network": start,
	"direct":  func(_ *testing.T, change ...func(*cloudtrailtest.Options)) *emulator { return direct(change...) },
}

func TestPrincipalFaults(t *testing.T) {
	const denied = "AccessDeniedException"
	for name, c := range map[string]struct {
		fault      cloudtrailtest.Fault
		user, role string
	}{
		"a user":       {cloudtrailtest.Fault{PrincipalARN: "arn:aws:iam::111122223333:user/operator"}, denied, ""},
		"not a prefix": {cloudtrailtest.Fault{PrincipalARN: "arn:aws:iam::111122223333:user/oper"}, "", ""},
		"a prefix":     {cloudtrailtest.Fault{PrincipalARN: "arn:aws:iam::111122223333:user/oper*"}, denied, ""},
		"sessions of a role": {
			cloudtrailtest.Fault{PrincipalARN: "arn:aws:sts::444455556666:assumed-role/ops/*"},
			"", denied,
		},
		"somebody":            {cloudtrailtest.Fault{PrincipalARN: "*"}, denied, denied},
		"in another account":  {cloudtrailtest.Fault{PrincipalARN: "*", AccountID: "444455556666"}, "", denied},
		"roles select no one": {cloudtrailtest.Fault{RoleARN: "*"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := direct()
			s := mustAssume(t, e, opsRole)
			c.fault.Code = denied
			e.Inject(c.fault)
			_, err := e.in(region).DescribeTrails(ctx, nil)
			wants(t, err, c.user)
			_, err = s.DescribeTrails(ctx, nil)
			wants(t, err, c.role)
		})
	}
}

func TestRoleFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault      cloudtrailtest.Fault
		ops, other string
	}{
		"a role":          {cloudtrailtest.Fault{RoleARN: opsRole}, "AccessDenied", ""},
		"a prefix":        {cloudtrailtest.Fault{RoleARN: "arn:aws:iam::444455556666:role/*"}, "AccessDenied", ""},
		"an account":      {cloudtrailtest.Fault{RoleAccountID: "444455556666"}, "AccessDenied", ""},
		"another account": {cloudtrailtest.Fault{RoleAccountID: "777788889999"}, "", "AccessDenied"},
		"the caller's": {
			cloudtrailtest.Fault{Operation: "AssumeRole", AccountID: account},
			"AccessDenied", "AccessDenied",
		},
		"role and account":  {cloudtrailtest.Fault{RoleARN: opsRole, RoleAccountID: "777788889999"}, "", ""},
		"another operation": {cloudtrailtest.Fault{Operation: "GetCallerIdentity", RoleARN: opsRole}, "", ""},
		"role and principal": {
			cloudtrailtest.Fault{RoleARN: opsRole, PrincipalARN: "arn:aws:iam::111122223333:user/operator"},
			"AccessDenied", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := direct()
			c.fault.Code = "AccessDenied"
			e.Inject(c.fault)
			_, err := e.assume(opsRole)
			wants(t, err, c.ops)
			_, err = e.assume("arn:aws:iam::777788889999:role/other")
			wants(t, err, c.other)
		})
	}
}

// What stands in front of AWS answers with a status, and HTML or nothing.
func TestAnswersThatAreNotAWSs(t *testing.T) {
	for transport, start := range transports {
		for _, status := range []int{500, 502, 503, 504} {
			for _, body := range []string{"", "<html><body><h1>502 Bad Gateway</h1></body></html>"} {
				t.Run(fmt.Sprint(transport, status, len(body)), func(t *testing.T) {
					e := start(t)
					tape := e.record()
					e.Inject(cloudtrailtest.Fault{Status: status, Body: body})
					err := tryCreate(e.in(region), "audit")
					_, err2 := e.sts("test", "test", "").GetCallerIdentity(ctx, nil)
					for _, err := range []error{err, err2} {
						response, ok := errors.AsType[*awshttp.ResponseError](err)
						equal(t, "status", ok && response.HTTPStatusCode() == status, true)
					}
					for _, answer := range tape.answers {
						equal(t, "body", answer.body+answer.wrong, body)
						equal(t, "AWS's header", answer.headers.Get("X-Amzn-Requestid"), "")
						equal(t, "HTML", answer.headers.Get("Content-Type") == "text/html", body != "")
					}
					equal(t, "trails", len(e.Trails()), 0)
					equal(t, "calls", e.Calls()[0].Error, fmt.Sprint("Status", status))
					e.ClearFaults()
					same(t, "history", eventNames(lookup(t, e.in(region), cloudtrail.LookupEventsInput{})))
				})
			}
		}
	}
}

// A body that ends too early is an error to the client, after the deed was done.
func TestCutBody(t *testing.T) {
	for transport, start := range transports {
		t.Run(transport, func(t *testing.T) {
			e := start(t)
			tape := e.record()
			e.Inject(cloudtrailtest.Fault{CutBody: true, Times: 2})
			err := tryCreate(e.in(region), "audit")
			equal(t, "error", errors.Is(err, io.ErrUnexpectedEOF), true)
			equal(t, "trails", len(e.Trails()), 1)
			_, err = e.sts("test", "test", "").GetCallerIdentity(ctx, nil)
			equal(t, "error", err != nil, true)
			wants(t, tryCreate(e.in(region), "audit"), "TrailAlreadyExistsException")
			for _, answer := range tape.answers[:2] {
				equal(t, "begun well", answer.status+" "+answer.wrong, "200 OK unexpected EOF")
				promised, err := strconv.Atoi(answer.headers.Get("Content-Length"))
				wants(t, err, "")
				equal(t, "half of what was promised", len(answer.body), promised/2)
			}
			same(t, "calls", []string{e.Calls()[0].Error, e.Calls()[1].Error}, "", "")
		})
	}
}

// Each fault may come before the deed or after it.
func TestAfter(t *testing.T) {
	for name, c := range map[string]struct {
		fault cloudtrailtest.Fault
		log   string
	}{
		"error":  {cloudtrailtest.Fault{Code: "InternalFailure"}, "InternalFailure"},
		"status": {cloudtrailtest.Fault{Status: 502}, "Status502"},
		"reset":  {cloudtrailtest.Fault{DropConnection: true}, "ConnectionReset"},
	} {
		t.Run(name, func(t *testing.T) {
			e := direct()
			c.fault.Times, c.fault.Operation = 1, "CreateTrail"
			e.Inject(c.fault)
			equal(t, "before: an error", tryCreate(e.in(region), "audit") != nil, true)
			equal(t, "before: trails", len(e.Trails()), 0)
			equal(t, "before: log", e.Calls()[0].Error, c.log)
			c.fault.After = true
			e.Inject(c.fault)
			equal(t, "after: an error", tryCreate(e.in(region), "audit") != nil, true)
			equal(t, "after: trails", len(e.Trails()), 1)
			want := c.log
			if name == "reset" { // Nothing was answered.
				want = ""
			}
			equal(t, "after: log", e.Calls()[1].Error, want)
			event := document(t, lookup(t, e.in(region), cloudtrail.LookupEventsInput{})[0])
			equal(t, "after: the history knows", event["errorCode"] == nil, true)
			wants(t, tryCreate(e.in(region), "audit"), "TrailAlreadyExistsException")
		})
	}
}

// A hanging call lasts until the client gives up, of CloudTrail and of STS, before the deed or after it.
func TestHang(t *testing.T) {
	for transport, start := range transports {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(transport, after), func(t *testing.T) {
				e := start(t)
				e.Inject(cloudtrailtest.Fault{Region: region, Operation: "CreateTrail", Hang: true, After: after})
				e.Inject(cloudtrailtest.Fault{RoleAccountID: "444455556666", Hang: true})
				// The client gives up when the emulator has its call.
				givesUp := func(do func(context.Context) error) {
					t.Helper()
					waiting, cancel := context.WithCancel(ctx)
					defer cancel()
					e.OnLog(func(cloudtrailtest.Call) { cancel() })
					equal(t, "given up", errors.Is(do(waiting), context.Canceled), true)
				}
				givesUp(func(ctx context.Context) error {
					_, err := e.in(region).
						CreateTrail(ctx, &cloudtrail.CreateTrailInput{Name: aws.String("audit"), S3BucketName: aws.String(bucket)})
					return err
				})
				equal(t, "trails", len(e.Trails()), map[bool]int{false: 0, true: 1}[after])
				wants(t, tryCreate(e.in("us-east-1"), "audit"), "")

				givesUp(func(ctx context.Context) error {
					_, err := e.sts("test", "test", "").
						AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String(opsRole), RoleSessionName: aws.String("ss")})
					return err
				})
				equal(t, "log", e.Calls()[len(e.Calls())-1].Error, "NoAnswer")
				mustAssume(t, e, "arn:aws:iam::777788889999:role/other")
			})
		}
	}
}

// A server that is closed does not wait for those that hang, nor for those that are slow, and answers the rest.
func TestClose(t *testing.T) {
	for transport, start := range transports {
		for name, fault := range map[string]cloudtrailtest.Fault{"hang": {Hang: true}, "slow": {Latency: time.Hour}} {
			t.Run(transport+" "+name, func(t *testing.T) {
				e := start(t)
				fault.Operation = "DescribeTrails"
				e.Inject(fault)
				ended := make(chan error)
				go func() { _, err := e.in(region).DescribeTrails(ctx, nil); ended <- err }()
				e.Close()
				e.Close()
				err := <-ended
				equal(t, "an error without a code", err != nil && message(err) == "", true)
				wants(t, tryCreate(e.in(region), "audit"), "")
			})
		}
	}
}

// Latency and hanging take virtual time in a bubble, and end with the request's context.
func TestWaitsInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := direct(func(o *cloudtrailtest.Options) { o.Now, o.Latency = nil, time.Second })
		c := e.in(region)
		began := time.Now()
		create(t, c, "audit")
		equal(t, "latency", time.Since(began), time.Second)
		e.Inject(cloudtrailtest.Fault{Latency: time.Hour, Times: 1})
		names(t, c, nil)
		equal(t, "a slow answer", time.Since(began), time.Hour+2*time.Second)
		e.Inject(cloudtrailtest.Fault{Hang: true, Times: 1})
		giveUp, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := c.DescribeTrails(giveUp, nil)
		equal(t, "given up", errors.Is(err, context.DeadlineExceeded), true)
		equal(t, "a call that hangs", time.Since(began), time.Hour+time.Minute+2*time.Second)
		client := e.http
		client.Timeout = 30 * time.Second
		e.Inject(cloudtrailtest.Fault{Latency: time.Hour, Times: 1})
		_, err = c.DescribeTrails(t.Context(), nil)
		var timeout interface{ Timeout() bool }
		equal(t, "the client's own timeout", errors.As(err, &timeout) && timeout.Timeout(), true)
	})
}

// A write may be answered, and be in the history, and yet change nothing.
func TestNotApplied(t *testing.T) {
	e := direct()
	var reported []cloudtrailtest.Write
	e.OnWrite(func(w cloudtrailtest.Write) { reported = append(reported, w) })
	id := e.Inject(cloudtrailtest.Fault{NotApplied: true, Times: 1})
	out := create(t, e.in(region), "audit", everything)
	equal(t, "answer", *out.TrailARN, auditARN)
	equal(t, "spent", e.ClearFault(id), false)
	equal(t, "trails", len(e.Trails()), 0)
	same(t, "history", eventNames(lookup(t, e.in(region), cloudtrail.LookupEventsInput{})), "CreateTrail")
	equal(
		t,
		"reported",
		fmt.Sprintf(
			"%d/%t/%t/%t",
			len(reported),
			reported[0].NotApplied,
			reported[0].Before == nil,
			reported[0].After == nil,
		),
		"1/true/true/true",
	)

	create(t, e.in(region), "audit", everything)
	was := asJSON(t, e.Trails())
	e.Inject(cloudtrailtest.Fault{NotApplied: true})
	for name, err := range writes(e.in(region), "audit") {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	equal(t, "trails", asJSON(t, e.Trails()), was)
	equal(t, "reported", reported[len(reported)-1].Before != nil && reported[len(reported)-1].After != nil, true)
}

// An actor gets through whatever there is, unless it is bound as everybody is.
func TestBoundActors(t *testing.T) {
	e := direct(withRates)
	free, bound := e.As(anyone(account)), anyone(account)
	bound.ARN, bound.Bound = bound.ARN+"-bound", true
	intruder := e.As(bound)
	do := func(a cloudtrailtest.ActingAs, operation string) string {
		_, err := a.Do(region, operation, map[string]any{"Name": "audit", "S3BucketName": bucket})
		return code(err)
	}
	e.Inject(cloudtrailtest.Fault{Operation: "StopLogging", Code: "ConflictException", Latency: time.Hour})
	equal(t, "free", do(free, "CreateTrail")+do(free, "StartLogging")+do(free, "StopLogging"), "")
	equal(t, "bound: a fault", do(intruder, "StopLogging"), "ConflictException")
	equal(t, "bound: throttled", do(intruder, "StartLogging"), "ThrottlingException")
	_, err := e.in(region).StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: aws.String("audit")})
	wants(t, err, "ThrottlingException")
	e.clock.add(time.Second)
	_, err = e.in(region).StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: aws.String("audit")})
	wants(t, err, "")
	equal(t, "bound: the rate is used up", do(intruder, "StartLogging"), "ThrottlingException")
	equal(t, "free: it does not care", do(free, "StartLogging"), "")
	equal(t, "throttled", e.Throttled(), 3)
	same(
		t,
		"history",
		eventNames(lookup(t, e.in(region), cloudtrail.LookupEventsInput{LookupAttributes: by("Username", "somebody-bound")})),
		"StartLogging",
		"StartLogging",
		"StopLogging",
	)
	equal(t, "calls", fmt.Sprint(e.CallCounts()), "map[LookupEvents:1 StartLogging:2]")

	// The operator is denied while the intruder is not, and the other way about.
	e.ClearFaults()
	e.Inject(cloudtrailtest.Fault{PrincipalARN: "arn:aws:iam::111122223333:user/operator", Code: "AccessDeniedException"})
	e.clock.add(time.Second)
	equal(t, "the intruder is not denied", do(intruder, "StopLogging"), "")
	e.clock.add(time.Second)
	_, err = e.in(region).StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: aws.String("audit")})
	wants(t, err, "AccessDeniedException")
	e.Inject(cloudtrailtest.Fault{PrincipalARN: bound.ARN, Code: "AccessDeniedException"})
	e.clock.add(time.Second)
	equal(t, "the intruder is denied", do(intruder, "StopLogging"), "AccessDeniedException")

	// What hangs, is cut or is slow is over at once.
	for name, fault := range map[string]cloudtrailtest.Fault{
		"NoAnswer":        {Hang: true},
		"ConnectionReset": {DropConnection: true},
		"Status503":       {Status: http.StatusServiceUnavailable},
		"unexpected EOF":  {CutBody: true},
		"":                {Latency: time.Hour},
	} {
		e.ClearFaults()
		e.Inject(fault)
		e.clock.add(time.Second)
		equal(t, name, do(intruder, "StopLogging"), name)
	}
}

// The emulator's client reads no network, whatever the host, and gives all the rest too.
func TestDirect(t *testing.T) {
	e := direct()
	answer, err := e.http.Get("https://sts.eu-west-1.amazonaws.com/_emulator/healthz")
	wants(t, err, "")
	raw, err := io.ReadAll(answer.Body)
	wants(t, err, "")
	wants(t, answer.Body.Close(), "")
	equal(
		t,
		"answer",
		fmt.Sprintf("%s/%t/%t", answer.Status, answer.Header.Get("Date") != "", strings.Contains(string(raw), "ok")),
		"200 OK/true/true",
	)

	over, cancel := context.WithCancelCause(ctx)
	cancel(errors.New("given up before"))
	request, err := http.NewRequestWithContext(over, http.MethodGet, e.url+"/_emulator/healthz", http.NoBody)
	wants(t, err, "")
	_, err = e.http.Do(request) //nolint:bodyclose // there is no answer
	equal(t, "not even begun", err != nil && strings.Contains(err.Error(), "given up before"), true)

	e.OnCall(func(string, int) { panic("a hook's own") }, nil)
	defer func() { equal(t, "panic", fmt.Sprint(recover()), "a hook's own") }()
	names(t, e.in(region), nil)
}
