package cloudtrailtest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// events is the queue of most tests, dead the queue behind it.
var (
	events = cloudtrailtest.Queue{AccountID: account, Region: region, Name: "events"}
	dead   = cloudtrailtest.Queue{AccountID: account, Region: region, Name: "dead"}
)

// sqs returns a client of SQS, which does not retry.
func (e *emulator) sqs(id, secret, token, region string) *sqs.Client {
	return sqs.New(sqs.Options{
		Region: region, BaseEndpoint: aws.String(e.url), RetryMaxAttempts: 1, HTTPClient: e.http,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
	})
}

// reader is a client with the default credentials that reads one queue.
type reader struct {
	*sqs.Client
	url *string
}

// reader makes a queue and returns a reader of it.
func (e *emulator) reader(t *testing.T, q cloudtrailtest.Queue) reader {
	t.Helper()
	wants(t, e.CreateQueue(q), "")
	return reader{e.sqs("test", "test", "", q.Region), aws.String(q.URL())}
}

// send puts messages into the queue of most tests.
func (e *emulator) send(t *testing.T, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		wants(t, e.SendMessage(events.ARN(), body), "")
	}
}

// receive receives up to ten messages, with all their attributes.
func (r reader) receive(t *testing.T, change ...func(*sqs.ReceiveMessageInput)) []sqstypes.Message {
	t.Helper()
	out, err := r.tryReceive(ctx, change...)
	wants(t, err, "")
	return out
}

func (r reader) tryReceive(
	ctx context.Context,
	change ...func(*sqs.ReceiveMessageInput),
) ([]sqstypes.Message, error) {
	in := &sqs.ReceiveMessageInput{
		QueueUrl: r.url, MaxNumberOfMessages: 10,
		MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameAll},
	}
	for _, f := range change {
		f(in)
	}
	out, err := r.ReceiveMessage(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

func waitSeconds(n int32) func(*sqs.ReceiveMessageInput) {
	return func(in *sqs.ReceiveMessageInput) { in.WaitTimeSeconds = n }
}

func (r reader) delete(handle *string) error {
	_, err := r.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: r.url, ReceiptHandle: handle})
	return err
}

func (r reader) attributes(t *testing.T) map[string]string {
	t.Helper()
	out, err := r.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: r.url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll},
	})
	wants(t, err, "")
	return out.Attributes
}

// counts is a queue's state as visible/in flight/arriving.
func (e *emulator) counts(t *testing.T, q cloudtrailtest.Queue) string {
	t.Helper()
	s, ok := e.QueueState(q.ARN())
	equal(t, "exists", ok, true)
	return fmt.Sprintf("%d/%d/%d", len(s.Visible), len(s.InFlight), len(s.Arriving))
}

func bodies(messages []sqstypes.Message) []string {
	out := make([]string, 0, len(messages))
	for _, m := range messages {
		out = append(out, *m.Body)
	}
	return out
}

func TestReceiveAndDelete(t *testing.T) {
	e := start(t)
	r := e.reader(t, events)
	equal(t, "nothing yet", len(r.receive(t)), 0)
	e.send(t, "one", "two", "three")
	e.clock.add(2 * time.Second)
	first := r.receive(t, func(in *sqs.ReceiveMessageInput) { in.MaxNumberOfMessages = 2 })
	same(t, "two of them", bodies(first), "one", "two")
	equal(t, "sent", first[0].Attributes["SentTimestamp"], "1772366400000")
	equal(t, "received", first[0].Attributes["ApproximateFirstReceiveTimestamp"], "1772366402000")
	equal(t, "count", first[0].Attributes["ApproximateReceiveCount"], "1")
	equal(t, "one visible, two in flight", e.counts(t, events), "1/2/0")
	attributes := r.attributes(t)
	equal(t, "messages", attributes["ApproximateNumberOfMessages"], "1")
	equal(t, "in flight", attributes["ApproximateNumberOfMessagesNotVisible"], "2")
	equal(t, "arn", attributes["QueueArn"], "arn:aws:sqs:eu-west-1:111122223333:events")

	same(t, "the default is one message", bodies(r.receive(t, func(in *sqs.ReceiveMessageInput) {
		in.MaxNumberOfMessages, in.MessageSystemAttributeNames = 0, nil
	})), "three")
	wants(t, r.delete(first[0].ReceiptHandle), "")
	wants(t, r.delete(first[0].ReceiptHandle), "")
	e.clock.add(30 * time.Second)
	again := r.receive(t)
	same(t, "visible once more", bodies(again), "two", "three")
	equal(t, "counted", again[0].Attributes["ApproximateReceiveCount"], "2")
	equal(t, "another handle", *again[0].ReceiptHandle == *first[1].ReceiptHandle, false)

	wants(t, r.delete(first[1].ReceiptHandle), "")
	equal(t, "an earlier handle deletes nothing", e.counts(t, events), "0/2/0")
	e.clock.add(time.Minute)
	wants(t, r.delete(again[0].ReceiptHandle), "")
	equal(t, "the last one does, also late", e.counts(t, events), "1/0/0")
	counts := e.CallCounts()
	equal(t, "deletes counted", counts["DeleteMessage"], 4)
	equal(t, "nothing in the history", len(lookup(t, e.in(region), cloudtrail.LookupEventsInput{})), 0)
}

func TestDeleteBatch(t *testing.T) {
	e := start(t)
	r := e.reader(t, events)
	e.send(t, "one", "two")
	got := r.receive(t)
	entry := func(id string, handle *string) sqstypes.DeleteMessageBatchRequestEntry {
		return sqstypes.DeleteMessageBatchRequestEntry{Id: &id, ReceiptHandle: handle}
	}
	out, err := r.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{
		QueueUrl: r.url,
		Entries: []sqstypes.DeleteMessageBatchRequestEntry{
			entry("a", got[0].ReceiptHandle), entry("b", aws.String("nonsense")),
		},
	})
	wants(t, err, "")
	equal(t, "successful", len(out.Successful) == 1 && *out.Successful[0].Id == "a", true)
	equal(t, "failed", *out.Failed[0].Id+" "+*out.Failed[0].Code, "b ReceiptHandleIsInvalid")
	equal(t, "the sender's fault", out.Failed[0].SenderFault, true)
	equal(t, "left", e.counts(t, events), "0/1/0")

	handle := got[1].ReceiptHandle
	var eleven []sqstypes.DeleteMessageBatchRequestEntry
	for i := range 11 {
		eleven = append(eleven, entry(fmt.Sprint(i), handle))
	}
	for name, c := range map[string]struct {
		entries []sqstypes.DeleteMessageBatchRequestEntry
		want    string
	}{
		"none":   {[]sqstypes.DeleteMessageBatchRequestEntry{}, "AWS.SimpleQueueService.EmptyBatchRequest"},
		"eleven": {eleven, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"},
		"same ids": {
			[]sqstypes.DeleteMessageBatchRequestEntry{entry("a", handle), entry("a", handle)},
			"AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
		},
		"bad id": {
			[]sqstypes.DeleteMessageBatchRequestEntry{entry("a b", handle)},
			"AWS.SimpleQueueService.InvalidBatchEntryId",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: r.url, Entries: c.entries})
			wants(t, err, c.want)
		})
	}
	equal(t, "nothing deleted", e.counts(t, events), "0/1/0")
}

func TestQueueErrors(t *testing.T) {
	e := start(t)
	r := e.reader(t, events)
	wants(t, e.CreateQueue(dead), "")
	e.AddCredentials(cloudtrailtest.Credentials{
		AccessKeyID: "other", SecretAccessKey: "s", ARN: "arn:aws:iam::222233334444:user/u",
	})
	e.AddCredentials(cloudtrailtest.Credentials{
		AccessKeyID: "off", SecretAccessKey: "s", ARN: "arn:aws:iam::222233334444:user/u", Inactive: true,
	})
	e.send(t, "one")
	handle := r.receive(t)[0].ReceiptHandle
	receive := func(url string, client *sqs.Client, change func(*sqs.ReceiveMessageInput)) func() error {
		return func() error {
			_, err := reader{client, &url}.tryReceive(ctx, change)
			return err
		}
	}
	nothing := func(*sqs.ReceiveMessageInput) {}
	const missing = "AWS.SimpleQueueService.NonExistentQueue"
	for name, c := range map[string]struct {
		call func() error
		want string
	}{
		"another queue":  {receive(events.URL()+"2", r.Client, nothing), missing},
		"another region": {receive(events.URL(), e.sqs("test", "test", "", "us-east-1"), nothing), missing},
		"any host":       {receive("http://localhost:1/111122223333/events", r.Client, nothing), ""},
		"no queue's URL": {receive("http://localhost/events", r.Client, nothing), "InvalidAddress"},
		"no URL at all":  {receive("://", r.Client, nothing), "InvalidAddress"},
		"foreign account": {
			receive(events.URL(), e.sqs("other", "s", "", region), nothing), "AccessDenied",
		},
		"unknown key":  {receive(events.URL(), e.sqs("nobody", "s", "", region), nothing), "InvalidClientTokenId"},
		"inactive key": {receive(events.URL(), e.sqs("off", "s", "", region), nothing), "InvalidClientTokenId"},
		"wrong secret": {receive(events.URL(), e.sqs("test", "s", "", region), nothing), "SignatureDoesNotMatch"},
		"eleven messages": {
			receive(events.URL(), r.Client, func(in *sqs.ReceiveMessageInput) { in.MaxNumberOfMessages = 11 }),
			"InvalidParameterValue",
		},
		"a long wait":    {receive(events.URL(), r.Client, waitSeconds(21)), "InvalidParameterValue"},
		"a negative one": {receive(events.URL(), r.Client, waitSeconds(-1)), "InvalidParameterValue"},
		"long visibility": {
			receive(events.URL(), r.Client, func(in *sqs.ReceiveMessageInput) { in.VisibilityTimeout = 43201 }),
			"InvalidParameterValue",
		},
		"unknown attribute": {
			receive(events.URL(), r.Client, func(in *sqs.ReceiveMessageInput) {
				in.MessageSystemAttributeNames = []sqstypes.MessageSystemAttributeName{"Color"}
			}), "InvalidAttributeName",
		},
		"an attempt id": {
			receive(events.URL(), r.Client, func(in *sqs.ReceiveMessageInput) { in.ReceiveRequestAttemptId = aws.String("a") }),
			"InvalidParameterValue",
		},
		"no handle": {func() error { return r.delete(aws.String("x.y")) }, "ReceiptHandleIsInvalid"},
		"another queue's handle": {
			func() error { return reader{r.Client, aws.String(dead.URL())}.delete(handle) }, "ReceiptHandleIsInvalid",
		},
		"an operation that is not emulated": {func() error {
			_, err := r.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: r.url})
			return err
		}, "AWS.SimpleQueueService.UnsupportedOperation"},
		"an unknown queue attribute": {func() error {
			_, err := r.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
				QueueUrl: r.url, AttributeNames: []sqstypes.QueueAttributeName{"Color"},
			})
			return err
		}, "InvalidAttributeName"},
	} {
		t.Run(name, func(t *testing.T) { wants(t, c.call(), c.want) })
	}

	_, err := reader{r.Client, aws.String(events.URL() + "2")}.tryReceive(ctx)
	_, typed := errors.AsType[*sqstypes.QueueDoesNotExist](err)
	equal(t, "a typed error", typed, true)
	_, err = reader{e.sqs("other", "s", "", region), r.url}.tryReceive(ctx)
	equal(t, "message", message(err), "User: arn:aws:iam::222233334444:user/u is not authorized to perform: "+
		"sqs:receivemessage on resource: arn:aws:sqs:eu-west-1:111122223333:events "+
		"because no resource-based policy allows the sqs:receivemessage action")
}

// Other accounts may use a queue whose policy names them.
func TestQueuePolicy(t *testing.T) {
	e := start(t)
	other := cloudtrailtest.Credentials{
		AccessKeyID: "other", SecretAccessKey: "s", ARN: "arn:aws:iam::222233334444:user/ops/u",
	}
	e.AddCredentials(other)
	e.AddCredentials(cloudtrailtest.Credentials{
		AccessKeyID: "home", SecretAccessKey: "s", ARN: "arn:aws:iam::111122223333:user/u",
	})
	creds, err := e.assume("arn:aws:iam::444455556666:role/reader")
	wants(t, err, "")
	for name, c := range map[string]struct {
		allowed      []string
		key, session bool
	}{
		"nobody":          {nil, false, false},
		"an account":      {[]string{"222233334444"}, true, false},
		"a user":          {[]string{other.ARN}, true, false},
		"users":           {[]string{"arn:aws:iam::222233334444:user/ops/*"}, true, false},
		"another user":    {[]string{"arn:aws:iam::222233334444:user/u"}, false, false},
		"a role":          {[]string{"arn:aws:iam::444455556666:role/reader"}, false, true},
		"a role session":  {[]string{"arn:aws:sts::444455556666:assumed-role/reader/*"}, false, true},
		"another role":    {[]string{"arn:aws:iam::444455556666:role/reader2"}, false, false},
		"account of role": {[]string{"444455556666", "222233334444"}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			q := events
			q.AllowedPrincipals = c.allowed
			wants(t, e.CreateQueue(q), "")
			check := func(client *sqs.Client, want bool) {
				t.Helper()
				_, err := reader{client, aws.String(q.URL())}.tryReceive(ctx)
				wants(t, err, map[bool]string{true: "", false: "AccessDenied"}[want])
				_, err = client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{
					QueueName: aws.String("events"), QueueOwnerAWSAccountId: aws.String(account),
				})
				wants(t, err, map[bool]string{true: "", false: "AWS.SimpleQueueService.NonExistentQueue"}[want])
			}
			check(e.sqs("home", "s", "", region), true)
			check(e.sqs("other", "s", "", region), c.key)
			check(creds.sqs, c.session)
		})
	}
}

func TestGetQueueURL(t *testing.T) {
	e := start(t)
	r := e.reader(t, events)
	out, err := r.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("events")})
	wants(t, err, "")
	equal(t, "url", *out.QueueUrl, "https://sqs.eu-west-1.amazonaws.com/111122223333/events")
	_, err = r.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("others")})
	wants(t, err, "AWS.SimpleQueueService.NonExistentQueue")
	equal(t, "in China", cloudtrailtest.Queue{AccountID: account, Region: "cn-north-1", Name: "q"}.URL(),
		"https://sqs.cn-north-1.amazonaws.com.cn/111122223333/q")
}

// A message that is received too often goes to the dead-letter queue, with its past.
func TestRedrive(t *testing.T) {
	e := start(t)
	behind := e.reader(t, dead)
	q := events
	q.DeadLetterQueue, q.MaxReceiveCount, q.VisibilityTimeout = "dead", 2, time.Minute
	r := e.reader(t, q)
	equal(t, "policy", r.attributes(t)["RedrivePolicy"],
		`{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:111122223333:dead","maxReceiveCount":2}`)
	e.send(t, "poison")
	for range 2 {
		same(t, "received", bodies(r.receive(t)), "poison")
		e.clock.add(time.Minute)
	}
	equal(t, "not yet", e.counts(t, dead), "0/0/0")
	e.send(t, "good")
	same(t, "no longer", bodies(r.receive(t)), "good")
	got := behind.receive(t)
	same(t, "dead", bodies(got), "poison")
	equal(t, "receives", got[0].Attributes["ApproximateReceiveCount"], "3")
	equal(t, "sent", got[0].Attributes["SentTimestamp"], "1772366400000")
	equal(t, "source", got[0].Attributes["DeadLetterQueueSourceArn"], q.ARN())
	wants(t, behind.delete(got[0].ReceiptHandle), "")
	equal(t, "deleted", e.counts(t, dead), "0/0/0")
}

func TestRetention(t *testing.T) {
	e := start(t)
	q := events
	q.Retention = time.Hour
	r := e.reader(t, q)
	e.send(t, "one", "two")
	r.receive(t, func(in *sqs.ReceiveMessageInput) { in.MaxNumberOfMessages, in.VisibilityTimeout = 1, 7200 })
	e.clock.add(time.Hour - time.Second)
	equal(t, "kept", e.counts(t, events), "1/1/0")
	e.clock.add(time.Second)
	equal(t, "gone", e.counts(t, events), "0/0/0")
	equal(t, "nothing", len(r.receive(t)), 0)
	e.clock.add(24 * time.Hour)
	e.send(t, "three")
	same(t, "the next", bodies(r.receive(t)), "three")
}

func TestQueueLimits(t *testing.T) {
	e := direct()
	q := events
	q.MaxInFlight = 3
	r := e.reader(t, q)
	e.send(t, "1", "2", "3", "4", "5")
	equal(t, "as many as may be in flight", len(r.receive(t)), 3)
	_, err := r.tryReceive(ctx)
	wants(t, err, "OverLimit")
	e.clock.add(30 * time.Second)
	equal(t, "visible again", len(r.receive(t)), 3)

	greatest := strings.Repeat("x", 1<<20)
	wants(t, e.SendMessage(events.ARN(), greatest+"x"), "InvalidParameterValue")
	wants(t, e.SendMessage(events.ARN(), ""), "MissingParameter")
	wants(t, e.SendMessage(dead.ARN(), "x"), "QueueDoesNotExist")
	e.PurgeQueue(events.ARN())
	e.send(t, greatest)
	same(t, "1 MiB", bodies(r.receive(t)), greatest)

	for name, change := range map[string]func(*cloudtrailtest.Queue){
		"account":        func(q *cloudtrailtest.Queue) { q.AccountID = "1" },
		"region":         func(q *cloudtrailtest.Queue) { q.Region = "eu-west-9" },
		"name":           func(q *cloudtrailtest.Queue) { q.Name = "events.fifo" },
		"visibility":     func(q *cloudtrailtest.Queue) { q.VisibilityTimeout = 13 * time.Hour },
		"retention":      func(q *cloudtrailtest.Queue) { q.Retention = time.Second },
		"wait":           func(q *cloudtrailtest.Queue) { q.WaitTime = time.Minute },
		"size":           func(q *cloudtrailtest.Queue) { q.MaxMessageBytes = 1 },
		"no dead queue":  func(q *cloudtrailtest.Queue) { q.DeadLetterQueue, q.MaxReceiveCount = "nowhere", 1 },
		"no count":       func(q *cloudtrailtest.Queue) { q.DeadLetterQueue = "events" },
		"only a count":   func(q *cloudtrailtest.Queue) { q.MaxReceiveCount = 1 },
		"its own letter": func(q *cloudtrailtest.Queue) { q.DeadLetterQueue, q.MaxReceiveCount = "events", 1 },
	} {
		bad := events
		change(&bad)
		if err := e.CreateQueue(bad); code(err) != "InvalidAttributeValue" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A standard queue delivers at least once.
func TestRepeats(t *testing.T) {
	e := direct(func(o *cloudtrailtest.Options) { o.Seed = 4 })
	q := events
	q.Repeats = 0.5
	r := e.reader(t, q)
	e.send(t, "1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
	first, second := r.receive(t), r.receive(t)
	equal(t, "all", len(first), 10)
	equal(t, "some twice", len(second) > 0 && len(second) < 10, true)
	for _, m := range first {
		wants(t, r.delete(m.ReceiptHandle), "")
	}
	s, _ := e.QueueState(events.ARN())
	equal(t, "those received twice stay", len(s.Visible)+len(s.InFlight), len(second))
}

// Faults, counters and hooks are those of all calls.
func TestQueueFaults(t *testing.T) {
	e := start(t)
	r := e.reader(t, events)
	e.send(t, "one", "two")
	const missing = "AWS.SimpleQueueService.NonExistentQueue"
	const operator = "arn:aws:iam::111122223333:user/operator"
	for name, c := range map[string]struct {
		fault cloudtrailtest.Fault
		want  string
	}{
		"throttled":          {cloudtrailtest.Fault{Code: "RequestThrottled"}, "RequestThrottled"},
		"denied":             {cloudtrailtest.Fault{Code: "AccessDenied"}, "AccessDenied"},
		"no queue":           {cloudtrailtest.Fault{Code: "QueueDoesNotExist"}, missing},
		"by its other name":  {cloudtrailtest.Fault{Code: missing}, missing},
		"internal":           {cloudtrailtest.Fault{Code: "InternalFailure"}, "InternalFailure"},
		"another operation":  {cloudtrailtest.Fault{Operation: "DeleteMessage", Code: "InternalFailure"}, ""},
		"the principal's":    {cloudtrailtest.Fault{PrincipalARN: operator, Code: "AccessDenied"}, "AccessDenied"},
		"latency by itself":  {cloudtrailtest.Fault{Latency: time.Millisecond}, ""},
		"a balancer's error": {cloudtrailtest.Fault{Status: http.StatusBadGateway, Body: "<html>"}, "UnknownError"},
	} {
		t.Run(name, func(t *testing.T) {
			id := e.Inject(c.fault)
			defer e.ClearFault(id)
			_, err := r.tryReceive(ctx, func(in *sqs.ReceiveMessageInput) { in.VisibilityTimeout = 1 })
			if c.want == "UnknownError" {
				equal(t, "an error", err != nil, true)
			} else {
				wants(t, err, c.want)
			}
			e.clock.add(time.Second)
		})
	}

	e.Inject(cloudtrailtest.Fault{Operation: "ReceiveMessage", DropAfter: true, Times: 1})
	_, err := r.tryReceive(ctx)
	equal(t, "the answer is lost", err != nil, true)
	equal(t, "its messages are in flight", e.counts(t, events), "0/2/0")
	e.clock.add(30 * time.Second)
	e.Inject(cloudtrailtest.Fault{Operation: "DeleteMessage", NotApplied: true, Times: 1})
	got := r.receive(t)
	wants(t, r.delete(got[0].ReceiptHandle), "")
	equal(t, "a delete that did nothing", e.counts(t, events), "0/2/0")

	e.Inject(cloudtrailtest.Fault{Operation: "DeleteMessageBatch", Code: "InternalFailure", Partial: true, Times: 1})
	out, err := r.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{
		QueueUrl: r.url,
		Entries: []sqstypes.DeleteMessageBatchRequestEntry{
			{Id: aws.String("a"), ReceiptHandle: got[0].ReceiptHandle},
			{Id: aws.String("b"), ReceiptHandle: got[1].ReceiptHandle},
		},
	})
	wants(t, err, "")
	equal(t, "failed", *out.Failed[0].Id+" "+*out.Failed[0].Code, "a InternalFailure")
	equal(t, "not the sender's fault", out.Failed[0].SenderFault, false)
	equal(t, "the other one is deleted", e.counts(t, events), "0/1/0")

	e.ResetCalls()
	var hooked []string
	e.OnCall(func(op string, n int) { hooked = append(hooked, fmt.Sprint("before ", op, n)) },
		func(op string, n int) { hooked = append(hooked, fmt.Sprint("after ", op, n)) })
	r.receive(t)
	same(t, "hooks", hooked, "before ReceiveMessage1", "after ReceiveMessage1")
	calls := e.Calls()
	equal(t, "target", calls[0].Target, *r.url)
	equal(t, "count", e.CallCounts()["ReceiveMessage"], 1)
}

// Receiving messages uses up none of CloudTrail's request rate, and has none of its own.
func TestQueueRate(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.NoRateLimit = false })
	r := e.reader(t, events)
	for range 30 {
		r.receive(t)
	}
	names(t, e.in(region), nil)
	equal(t, "throttled", e.Throttled(), 0)
}

// Sessions that end early are told so by SQS's own codes.
func TestQueueSessions(t *testing.T) {
	e := start(t)
	wants(t, e.CreateQueue(events), "")
	const role = "arn:aws:iam::111122223333:role/reader"
	for name, c := range map[string]struct {
		end  func(string)
		want string
	}{
		"revoked": {e.RevokeSessions, "AccessDenied"},
		"expired": {e.ExpireSessions, "ExpiredToken"},
		"deleted": {func(arn string) { e.DeleteRole(arn); e.AddRole(cloudtrailtest.Role{ARN: arn}) }, "InvalidClientTokenId"},
	} {
		t.Run(name, func(t *testing.T) {
			creds, err := e.assume(role)
			wants(t, err, "")
			r := reader{creds.sqs, aws.String(events.URL())}
			r.receive(t)
			c.end(role)
			_, err = r.tryReceive(ctx)
			wants(t, err, c.want)
		})
	}
}

// poll receives with a wait of 20 seconds in a goroutine.
func (r reader) poll(ctx context.Context) <-chan []string {
	out := make(chan []string, 1)
	go func() {
		got, err := r.tryReceive(ctx, waitSeconds(20))
		if err != nil {
			out <- []string{"error " + code(err)}
			return
		}
		out <- bodies(got)
	}()
	return out
}

// waits starts a poll and returns when it waits.
func (e *emulator) waits(ctx context.Context, r reader) <-chan []string {
	var got <-chan []string
	e.AwaitPoll(events.ARN(), func() { got = r.poll(ctx) })
	return got
}

// A long poll over a network, with a clock that the test moves.
func TestLongPoll(t *testing.T) {
	e := start(t)
	r := e.reader(t, events)

	got := e.waits(ctx, r)
	e.send(t, "one")
	same(t, "what arrives", <-got, "one")

	got = e.waits(ctx, r)
	e.clock.add(30 * time.Second)
	same(t, "visible again", <-got, "one")

	got = e.waits(ctx, r)
	e.clock.add(20 * time.Second)
	equal(t, "over", len(<-got), 0)

	gaveUp, cancel := context.WithCancel(ctx)
	got = e.waits(gaveUp, r)
	cancel()
	equal(t, "given up", len(<-got), 1)

	got = e.waits(ctx, r)
	e.DeleteQueue(events.ARN())
	same(t, "deleted", <-got, "error AWS.SimpleQueueService.NonExistentQueue")

	wants(t, e.CreateQueue(events), "")
	got = e.waits(ctx, r)
	e.Close()
	equal(t, "closed", strings.HasPrefix((<-got)[0], "error "), true)
	e.send(t, "two")
	same(t, "still answered", bodies(r.receive(t, waitSeconds(20))), "two")
}

// A long poll over a network, with the wall clock.
func TestLongPollByTheWallClock(t *testing.T) {
	e := start(t, func(o *cloudtrailtest.Options) { o.Now = nil })
	e.SetForwarding(cloudtrailtest.Forwarding{MinDelay: 20 * time.Millisecond, MaxDelay: 20 * time.Millisecond})
	r := e.reader(t, events)
	scene(t, e)
	got := e.waits(ctx, r)
	e.must(t, "StopLogging", audit)
	equal(t, "an event that is under way", len(<-got), 1)
	began := time.Now()
	equal(t, "nothing", len(r.receive(t, waitSeconds(1))), 0)
	equal(t, "for as long as asked", time.Since(began) >= time.Second, true)
}

// In a bubble, waiting takes as long as it should and no time at all.
func TestLongPollInABubble(t *testing.T) {
	skewed := func() time.Time { return time.Now().Add(3 * time.Hour) }
	for name, now := range map[string]func() time.Time{"the bubble's clock": nil, "another that runs": skewed} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := direct(func(o *cloudtrailtest.Options) { o.Now = now })
				r := e.reader(t, events)
				began := time.Now()
				equal(t, "nothing", len(r.receive(t, waitSeconds(20))), 0)
				equal(t, "20 s", time.Since(began), 20*time.Second)

				time.AfterFunc(7*time.Second, func() { e.send(t, "one") })
				same(t, "what arrives", bodies(r.receive(t, waitSeconds(20))), "one")
				equal(t, "at once", time.Since(began), 27*time.Second)

				r.receive(t, waitSeconds(20))
				same(t, "visible again", bodies(r.receive(t, waitSeconds(20))), "one")
				equal(t, "after its timeout", time.Since(began), 57*time.Second)
				e.PurgeQueue(events.ARN())

				scene(t, e)
				e.SetForwarding(cloudtrailtest.Forwarding{MinDelay: 5 * time.Second, MaxDelay: 5 * time.Second})
				e.must(t, "StopLogging", audit)
				equal(t, "an event", len(r.receive(t, waitSeconds(20))), 1)
				equal(t, "after its delay", time.Since(began), 62*time.Second)

				giveUp, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				_, err := r.tryReceive(giveUp, waitSeconds(20))
				equal(t, "given up", errors.Is(err, context.DeadlineExceeded), true)
				equal(t, "when the client did", time.Since(began), 65*time.Second)

				got := []<-chan []string{r.poll(t.Context()), r.poll(t.Context())}
				synctest.Wait()
				e.Close()
				for _, one := range got {
					equal(t, "closed", strings.HasPrefix((<-one)[0], "error "), true)
				}
				equal(t, "at once", time.Since(began), 65*time.Second)
			})
		})
	}
}

// With too many messages in flight, a long poll is no error: it waits until one is visible again.
func TestLongPollOverLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := direct(func(o *cloudtrailtest.Options) { o.Now = nil })
		q := events
		q.MaxInFlight, q.VisibilityTimeout = 1, 30*time.Second
		r := e.reader(t, q)
		e.send(t, "one", "two")
		began := time.Now()
		equal(t, "one", len(r.receive(t)), 1)
		_, err := r.tryReceive(ctx)
		wants(t, err, "OverLimit")
		equal(t, "none", len(r.receive(t, waitSeconds(20))), 0)
		equal(t, "one of the two", len(r.receive(t, waitSeconds(20))), 1)
		equal(t, "when it could", time.Since(began), 30*time.Second)
	})
}

// With a seed, messages and receipt handles are the same each time.
func TestQueueDeterminism(t *testing.T) {
	play := func(seed int64) (out []string) {
		e := direct(func(o *cloudtrailtest.Options) { o.Seed = seed })
		scene(t, e)
		q := events
		q.Repeats = 0.3
		r := e.reader(t, q)
		e.SetForwarding(cloudtrailtest.Forwarding{MaxDelay: time.Minute, Duplicates: 0.3, Loss: 0.1})
		tape := e.record()
		for range 10 {
			e.must(t, "StopLogging", audit)
			e.must(t, "StartLogging", audit)
			e.must(t, "DeleteTrail", audit)
			create(t, e.in(region), "audit", multiRegion)
			e.must(t, "StartLogging", audit)
			e.clock.add(10 * time.Second)
			for _, m := range r.receive(t) {
				wants(t, r.delete(m.ReceiptHandle), "")
			}
		}
		for _, a := range tape.answers {
			out = append(out, fmt.Sprint(a.status, a.headers.Get("X-Amzn-Requestid"), a.body))
		}
		return out
	}
	first := play(5)
	equal(t, "answers", len(first) > 30, true)
	same(t, "the same seed", play(5), first...)
	equal(t, "another seed", slices.Equal(play(6), first), false)
}

// Whoever waits gets a message, and nobody gets one twice.
func TestManyPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := direct(func(o *cloudtrailtest.Options) { o.Now = nil })
		r := e.reader(t, events)
		out := make(chan []string, 5)
		for range 5 {
			go func() { out <- <-r.poll(t.Context()) }()
		}
		synctest.Wait()
		var want, got []string
		for i := range 5 {
			want = append(want, fmt.Sprint(i))
			e.send(t, fmt.Sprint(i))
			synctest.Wait()
		}
		for range 5 {
			got = append(got, <-out...)
		}
		slices.Sort(got)
		same(t, "each once", got, want...)
	})
}
