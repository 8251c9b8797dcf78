package cloudtrailtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// What the SDK's client never sends, and what it does not show.
func TestSQSProtocol(t *testing.T) {
	e := start(t)
	wants(t, e.CreateQueue(events), "")
	e.send(t, "one")
	const (
		modeled   = "com.amazonaws.sqs#"
		framework = "com.amazon.coral.service#"
		missing   = modeled + "MissingParameter"
		wrongType = framework + "SerializationException"
		unknown   = framework + "UnknownOperationException"
	)
	url := fmt.Sprintf(`"QueueUrl":%q`, events.URL())
	to := func(target string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("X-Amz-Target", "AmazonSQS."+target)
			r.Header.Set("Content-Type", "application/x-amz-json-1.0")
			r.Header.Set("X-Amzn-Query-Mode", "true")
		}
	}
	with := func(target string, change func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) { to(target)(r); change(r) }
	}
	atItsPath := func(r *http.Request) { r.URL.Path = "/111122223333/events" }
	asJSON11 := func(r *http.Request) { r.Header.Set("Content-Type", "application/x-amz-json-1.1") }
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		// kind is the error's type, "" for success.
		kind string
	}{
		"visible at once":  {`{` + url + `,"VisibilityTimeout":0}`, to("ReceiveMessage"), ""},
		"at its own path":  {`{` + url + `,"VisibilityTimeout":0}`, with("ReceiveMessage", atItsPath), ""},
		"no queue":         {`{}`, to("ReceiveMessage"), missing},
		"no queue name":    {`{}`, to("GetQueueUrl"), missing},
		"no handle":        {`{` + url + `}`, to("DeleteMessage"), missing},
		"a URL's type":     {`{"QueueUrl":1}`, to("DeleteMessage"), wrongType},
		"a number's type":  {`{` + url + `,"WaitTimeSeconds":"1"}`, to("ReceiveMessage"), wrongType},
		"a name's type":    {`{"QueueName":1}`, to("GetQueueUrl"), wrongType},
		"a handle's type":  {`{` + url + `,"ReceiptHandle":1}`, to("DeleteMessage"), wrongType},
		"entries' type":    {`{` + url + `,"Entries":1}`, to("DeleteMessageBatch"), wrongType},
		"attributes' type": {`{` + url + `,"AttributeNames":1}`, to("GetQueueAttributes"), wrongType},
		"no JSON":          {`{`, to("ReceiveMessage"), wrongType},
		"no attributes":    {`{` + url + `}`, to("GetQueueAttributes"), ""},
		"some attributes":  {`{` + url + `,"AttributeNames":["QueueArn","Policy"]}`, to("GetQueueAttributes"), ""},
		"unknown":          {`{}`, to("Receive"), unknown},
		"another protocol": {`{}`, with("ReceiveMessage", asJSON11), unknown},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer, headers := e.post(t, c.body, c.change, signed(t, c.body, "sqs", time.Now()))
			wantStatus, wantQuery := http.StatusOK, ""
			if _, shape, failed := strings.Cut(c.kind, "#"); failed {
				wantStatus, wantQuery = http.StatusBadRequest, shape+";Sender"
			}
			equal(t, "status", status, wantStatus)
			equal(t, "type", answer["__type"], c.kind)
			equal(t, "query error", headers.Get("X-Amzn-Query-Error"), wantQuery)
			equal(t, "content type", headers.Get("Content-Type"), "application/x-amz-json-1.0")
		})
	}

	const none = `{"QueueUrl":"http://x/111122223333/none"}`
	for _, mode := range []string{"true", ""} {
		setMode := func(r *http.Request) { r.Header.Set("X-Amzn-Query-Mode", mode) }
		_, answer, headers := e.post(t, none, with("DeleteMessage", setMode), signed(t, none, "sqs", time.Now()))
		equal(t, "type", answer["__type"], modeled+"QueueDoesNotExist")
		equal(t, "query error", headers.Get("X-Amzn-Query-Error"),
			map[string]string{"true": "AWS.SimpleQueueService.NonExistentQueue;Sender"}[mode])
	}

	e.Inject(cloudtrailtest.Fault{Code: "InternalFailure", Times: 1})
	status, answer, headers := e.post(t, `{}`, to("ReceiveMessage"), signed(t, `{}`, "sqs", time.Now()))
	equal(t, "status", status, 500)
	equal(t, "type", answer["__type"], framework+"InternalFailure")
	equal(t, "query error", headers.Get("X-Amzn-Query-Error"), "InternalFailure;Receiver")
	status, answer, _ = e.post(t, `{}`, to("ReceiveMessage"), signed(t, `{}`, "cloudtrail", time.Now()))
	equal(t, "status", status, 403)
	equal(t, "signed for another service", answer["__type"], framework+"InvalidSignatureException")
	status, answer, _ = e.post(t, `{}`, to("ReceiveMessage"), nil)
	equal(t, "status", status, 403)
	equal(t, "not signed", answer["__type"], framework+"MissingAuthenticationTokenException")
}
