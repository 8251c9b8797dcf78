package cloudtrailtest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	sqsTarget      = "AmazonSQS."
	sqsContentType = "application/x-amz-json-1.0"
	// maxBatch is the greatest number of entries of a batch.
	maxBatch = 10
)

// sqsHandler does what a request asks for. gone is closed when the client gives up. Unlike CloudTrail's handlers, it
// takes the lock itself, because it may wait.
type sqsHandler func(s *Server, c *call, gone <-chan struct{}) (map[string]any, error)

// sqsOperations are the operations of SQS that are emulated.
var sqsOperations map[string]sqsHandler

func init() {
	sqsOperations = map[string]sqsHandler{
		"ReceiveMessage":     (*Server).receiveMessage,
		"DeleteMessage":      atOnce((*Server).deleteMessage),
		"DeleteMessageBatch": atOnce((*Server).deleteMessageBatch),
		"GetQueueAttributes": atOnce((*Server).getQueueAttributes),
		"GetQueueUrl":        atOnce((*Server).getQueueURL),
	}
}

// sqsNotEmulated are the other operations of SQS.
var sqsNotEmulated = []string{
	"AddPermission", "CancelMessageMoveTask", "ChangeMessageVisibility", "ChangeMessageVisibilityBatch", "CreateQueue",
	"DeleteQueue", "ListDeadLetterSourceQueues", "ListMessageMoveTasks", "ListQueueTags", "ListQueues", "PurgeQueue",
	"RemovePermission", "SendMessage", "SendMessageBatch", "SetQueueAttributes", "StartMessageMoveTask", "TagQueue",
	"UntagQueue",
}

// atOnce makes a handler of one that does not wait and wants the lock held.
func atOnce(handle func(*Server, *call) (map[string]any, error)) sqsHandler {
	return func(s *Server, c *call, _ <-chan struct{}) (map[string]any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.now = s.now()
		return handle(s, c)
	}
}

// serveSQS answers SQS's JSON protocol.
func (x *exchange) serveSQS() {
	out, err := x.sqs()
	if x.failed(err, x.writeSQSError) {
		return
	}
	if out == nil {
		out = map[string]any{}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		x.writeSQSError(asAPIError(err))
		return
	}
	x.write(http.StatusOK, sqsContentType, raw)
}

func (x *exchange) sqs() (map[string]any, error) {
	s, c := x.server, x.call
	op, err := x.sqsOperation()
	c.operation = op
	if err == nil {
		err = x.authenticate("sqs")
	}
	if err == nil {
		c.params, err = parseMembers(x.body)
	}
	if err != nil {
		s.record(c, err)
		return nil, err
	}
	gone := x.r.Context().Done()
	return s.attempt(gone, c, func() (map[string]any, error) { return sqsOperations[op](s, c, gone) })
}

// sqsOperation reads the operation's name. Requests go to the root or to the queue's own path.
func (x *exchange) sqsOperation() (string, error) {
	op := strings.TrimPrefix(x.r.Header.Get("X-Amz-Target"), sqsTarget)
	switch {
	case x.r.Method != http.MethodPost, !strings.HasPrefix(x.r.Header.Get("Content-Type"), sqsContentType):
		return op, fail("UnknownOperationException", "The operation %s is not known.", op)
	case slices.Contains(sqsNotEmulated, op):
		return op, fail("UnsupportedOperation", "The operation %s is not emulated.", op)
	case sqsOperations[op] == nil:
		return op, fail("UnknownOperationException", "The operation %s is not known.", op)
	}
	return op, nil
}

// sqsError is how SQS answers an error: by the name of the shape and, for clients of the former query protocol, by the
// code that it had there.
type sqsError struct {
	shape, query string
	status       int
}

// sqsErrors are the errors that the service's model has, and those of the front end whose codes differ.
var sqsErrors = []sqsError{
	{"BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", http.StatusBadRequest},
	{"BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", http.StatusBadRequest},
	{"EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", http.StatusBadRequest},
	{"InvalidAddress", "InvalidAddress", http.StatusNotFound},
	{"InvalidAttributeName", "InvalidAttributeName", http.StatusBadRequest},
	{"InvalidAttributeValue", "InvalidAttributeValue", http.StatusBadRequest},
	{"InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", http.StatusBadRequest},
	{"InvalidIdFormat", "InvalidIdFormat", http.StatusBadRequest},
	{"InvalidSecurity", "InvalidSecurity", http.StatusForbidden},
	{"KmsAccessDenied", "KMS.AccessDeniedException", http.StatusBadRequest},
	{"KmsDisabled", "KMS.DisabledException", http.StatusBadRequest},
	{"KmsInvalidState", "KMS.InvalidStateException", http.StatusBadRequest},
	{"KmsNotFound", "KMS.NotFoundException", http.StatusBadRequest},
	{"KmsThrottled", "KMS.ThrottlingException", http.StatusBadRequest},
	{"OverLimit", "OverLimit", http.StatusForbidden},
	{"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", http.StatusBadRequest},
	{"ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", http.StatusNotFound},
	{"RequestThrottled", "RequestThrottled", http.StatusForbidden},
	{"TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", http.StatusBadRequest},
	{"UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", http.StatusBadRequest},

	{"AccessDeniedException", "AccessDenied", http.StatusForbidden},
	{"UnrecognizedClientException", "InvalidClientTokenId", http.StatusForbidden},
	{"ExpiredTokenException", "ExpiredToken", http.StatusForbidden},
	{"InvalidSignatureException", "SignatureDoesNotMatch", http.StatusForbidden},
	{"MissingAuthenticationTokenException", "MissingAuthenticationToken", http.StatusForbidden},
	{"IncompleteSignatureException", "IncompleteSignature", http.StatusBadRequest},
}

// writeSQSError answers an error. The code may be either of the two that SQS has for it.
func (x *exchange) writeSQSError(e *APIError) {
	as := sqsError{e.Code, e.Code, e.Status}
	for _, known := range sqsErrors {
		if e.Code != known.shape && e.Code != known.query {
			continue
		}
		as.shape, as.query = known.shape, known.query
		if e.Status == http.StatusBadRequest {
			as.status = known.status
		}
	}

	namespace := "com.amazonaws.sqs#"
	if fromFramework(as.shape) {
		namespace = "com.amazon.coral.service#"
	}
	if x.r.Header.Get("X-Amzn-Query-Mode") == "true" {
		fault := "Sender"
		if as.status >= http.StatusInternalServerError {
			fault = "Receiver"
		}
		x.w.Header().Set("X-Amzn-Query-Error", as.query+";"+fault)
	}

	answer := map[string]string{"__type": namespace + as.shape, "message": e.Message}
	raw, _ := json.Marshal(answer) //nolint:errcheck // Strings always encode.
	x.write(as.status, sqsContentType, raw)
}

func noQueue() error { return fail("QueueDoesNotExist", "The specified queue does not exist.") }

func invalidParameter(format string, args ...any) error {
	return fail("InvalidParameterValue", format, args...)
}

func missingParameter(name string) error {
	return fail("MissingParameter", "The request must contain the parameter %s.", name)
}

var queuePath = regexp.MustCompile(`^/([0-9]{12})/([^/]+)$`)

// queueARN returns the ARN of the queue that the request names, which is one in the region of the signature; "" for
// none.
func (c *call) queueARN() string {
	if name, ok := c.params.fields["QueueName"].(string); ok {
		owner := c.account
		if id, ok := c.params.fields["QueueOwnerAWSAccountId"].(string); ok {
			owner = id
		}
		return Queue{AccountID: owner, Region: c.region, Name: name}.ARN()
	}
	text, ok := c.params.fields["QueueUrl"].(string)
	if !ok {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	match := queuePath.FindStringSubmatch(u.Path)
	if match == nil {
		return ""
	}
	return Queue{AccountID: match[1], Region: c.region, Name: match[2]}.ARN()
}

// queue returns the queue that the request's URL names, if the caller may use it. The caller holds the lock.
func (s *Server) queue(c *call) (*queue, error) {
	address := c.params.optText("QueueUrl")
	id := c.queueARN()
	switch {
	case c.params.problem() != nil:
		return nil, c.params.problem()
	case address == nil:
		return nil, missingParameter("QueueUrl")
	case id == "":
		return nil, fail("InvalidAddress", "The address %s is not valid for this endpoint.", *address)
	}
	return s.admitted(c, id)
}

// admitted returns a queue that exists and that the caller may use.
func (s *Server) admitted(c *call, id string) (*queue, error) {
	q := s.queues[id]
	switch {
	case q == nil:
		return nil, noQueue()
	case !q.admits(c.caller):
		return nil, fail("AccessDenied", "%s", c.denial("because no resource-based policy allows the "+c.action()+" action"))
	}
	return q, nil
}

// getQueueURL returns the URL of the queue of a name. What the caller may not use does not exist for it.
func (s *Server) getQueueURL(c *call) (map[string]any, error) {
	name := c.params.optText("QueueName")
	c.params.optText("QueueOwnerAWSAccountId")
	switch {
	case c.params.problem() != nil:
		return nil, c.params.problem()
	case name == nil:
		return nil, missingParameter("QueueName")
	}
	q := s.queues[c.queueARN()]
	if q == nil || !q.admits(c.caller) {
		return nil, fail("QueueDoesNotExist", "The specified queue does not exist or you do not have access to it.")
	}
	return map[string]any{"QueueUrl": q.URL()}, nil
}

// absentAttributes are attributes that queues can have and these do not.
var absentAttributes = []string{
	"ContentBasedDeduplication", "DeduplicationScope", "FifoQueue", "FifoThroughputLimit", "KmsDataKeyReusePeriodSeconds",
	"KmsMasterKeyId", "Policy", "RedriveAllowPolicy", "RedrivePolicy",
}

// getQueueAttributes returns those attributes of a queue that the request asks for.
func (s *Server) getQueueAttributes(c *call) (map[string]any, error) {
	q, err := s.queue(c)
	if err != nil {
		return nil, err
	}
	names, _ := c.params.texts("AttributeNames")
	if err := c.params.problem(); err != nil {
		return nil, err
	}

	all := q.attributes(c.now)
	asked := map[string]string{}
	for _, name := range names {
		value, ok := all[name]
		switch {
		case name == "All":
			asked = all
		case ok:
			asked[name] = value
		case !slices.Contains(absentAttributes, name):
			return nil, fail("InvalidAttributeName", "Unknown Attribute %s.", name)
		}
	}
	if len(asked) == 0 {
		return nil, nil
	}
	return map[string]any{"Attributes": asked}, nil
}

// attributes are the queue's attributes, all of which are texts.
func (q *queue) attributes(now time.Time) map[string]string {
	visible, inFlight := q.count(now)
	inSeconds := func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
	out := map[string]string{
		"QueueArn":                              q.arn,
		"ApproximateNumberOfMessages":           strconv.Itoa(visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(inFlight),
		"ApproximateNumberOfMessagesDelayed":    "0",
		"CreatedTimestamp":                      strconv.FormatInt(q.created.Unix(), 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(q.modified.Unix(), 10),
		"DelaySeconds":                          "0",
		"MaximumMessageSize":                    strconv.Itoa(q.MaxMessageBytes),
		"MessageRetentionPeriod":                inSeconds(q.Retention),
		"ReceiveMessageWaitTimeSeconds":         inSeconds(q.WaitTime),
		"SqsManagedSseEnabled":                  "true",
		"VisibilityTimeout":                     inSeconds(q.VisibilityTimeout),
	}

	if q.DeadLetterQueue != "" {
		policy := struct {
			Target string `json:"deadLetterTargetArn"`
			Count  int    `json:"maxReceiveCount"`
		}{q.deadLetters().ARN(), q.MaxReceiveCount}
		raw, _ := json.Marshal(policy) //nolint:errcheck // plain data
		out["RedrivePolicy"] = string(raw)
	}
	return out
}

// deadLetters names the dead-letter queue.
func (q *queue) deadLetters() Queue {
	return Queue{AccountID: q.AccountID, Region: q.Region, Name: q.DeadLetterQueue}
}

// deleteMessage deletes the message of a receipt handle.
func (s *Server) deleteMessage(c *call) (map[string]any, error) {
	q, err := s.queue(c)
	if err != nil {
		return nil, err
	}
	handle := c.params.optText("ReceiptHandle")
	switch {
	case c.params.problem() != nil:
		return nil, c.params.problem()
	case handle == nil:
		return nil, missingParameter("ReceiptHandle")
	}
	return nil, s.discard(c, q, *handle)
}

var entryID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// deleteMessageBatch deletes the messages of up to ten receipt handles, each of which may fail for itself.
func (s *Server) deleteMessageBatch(c *call) (map[string]any, error) {
	q, err := s.queue(c)
	if err != nil {
		return nil, err
	}
	entries, _ := c.params.structures("Entries")
	seen := map[string]bool{}
	for _, e := range entries {
		seen[e.text("Id")] = true
		e.text("ReceiptHandle")
	}

	switch {
	case c.params.problem() != nil:
		return nil, c.params.problem()
	case len(entries) == 0:
		return nil, fail("EmptyBatchRequest",
			"There should be at least one DeleteMessageBatchRequestEntry in the request.")
	case len(entries) > maxBatch:
		return nil, fail("TooManyEntriesInBatchRequest",
			"Maximum number of entries per request are 10. You have sent %d.", len(entries))
	case len(seen) < len(entries):
		return nil, fail("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
	}
	for id := range seen {
		if !entryID.MatchString(id) {
			return nil, fail("InvalidBatchEntryId",
				"A batch entry id can only contain alphanumeric characters, hyphens and underscores. "+
					"It can be at most 80 letters long.")
		}
	}

	var successful, failed []map[string]any
	for i, e := range entries {
		var problem *APIError
		if c.entryFailure != nil && i%2 == 0 {
			problem = asAPIError(c.entryFailure)
		} else {
			problem = asAPIError(s.discard(c, q, e.text("ReceiptHandle")))
		}
		if problem == nil {
			successful = append(successful, map[string]any{"Id": e.text("Id")})
			continue
		}
		failed = append(failed, map[string]any{
			"Id": e.text("Id"), "SenderFault": problem.Status < http.StatusInternalServerError,
			"Code": problem.Code, "Message": problem.Message,
		})
	}

	out := map[string]any{}
	if len(successful) > 0 {
		out["Successful"] = successful
	}
	if len(failed) > 0 {
		out["Failed"] = failed
	}
	return out, nil
}

// receipt is what a receipt handle says: the receive of a message that it stands for.
type receipt struct {
	Message string `json:"m"`
	Receive int    `json:"r"`
}

func (q *queue) receiptFor() []string { return []string{"receipt", q.arn} }

// discard deletes the message of a receipt handle. A handle other than that of the last receive succeeds and deletes
// nothing, as does that of a message that is gone:
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html
func (s *Server) discard(c *call, q *queue, handle string) error {
	var r receipt
	if s.openToken(handle, q.receiptFor(), &r) != nil {
		return fail("ReceiptHandleIsInvalid", "The input receipt handle \"%s\" is not a valid receipt handle.", handle)
	}
	if m := q.byID[r.Message]; m != nil && m.received == r.Receive && !c.notApplied {
		q.remove(m)
	}
	return nil
}
