package cloudtrail

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/middleware"
)

// Queue is a queue of SQS that is read with the credentials of an identity. It may be in any account and region that
// these may read from.
type Queue struct {
	client  *sqs.Client
	url     string
	session *Session
}

// Message is a message of a queue, until it is deleted or its visibility timeout ends.
type Message struct {
	Body string
	// receipt is what the message is deleted by.
	receipt string
}

// LongestReceive is how long SQS waits for a message at most before it answers without any.
const LongestReceive = 20 * time.Second

// MaxBatch is how many messages are received, and deleted, at once: SQS's maximum.
const MaxBatch = 10

// regionInHost is the region in the name of a host of SQS, also of a VPC or FIPS endpoint:
// sqs.eu-west-1.amazonaws.com, vpce-1-2.sqs.eu-west-1.vpce.amazonaws.com, sqs-fips.us-east-1.amazonaws.com,
// eu-west-1.queue.amazonaws.com.
var regionInHost = regexp.MustCompile(
	`(?:^|\.)sqs(?:-fips)?\.([a-z]{2,5}(?:-[a-z]+)+-\d+)\.|^([a-z]{2,5}(?:-[a-z]+)+-\d+)\.queue\.`)

// SQS's operations that are called.
const (
	receiveMessage = "ReceiveMessage"
	deleteMessages = "DeleteMessageBatch"
)

// OfQueue tells whether the error is of a call to a queue, and not of one to get the credentials for it.
func (e *Error) OfQueue() bool { return e.Operation == receiveMessage || e.Operation == deleteMessages }

// Queue returns the queue with a URL, which is called at the URL's host.
func (s *Session) Queue(queueURL string) (*Queue, error) {
	parsed, err := url.Parse(queueURL)
	if err != nil {
		return nil, err
	}
	region := s.stsRegion
	if found := regionInHost.FindStringSubmatch(parsed.Hostname()); found != nil {
		region = found[1] + found[2]
	}
	s.sessions.usesQueues(region)
	client := sqs.NewFromConfig(s.sessions.config(region), func(o *sqs.Options) {
		o.Credentials = s.credentials
		o.BaseEndpoint = aws.String(parsed.Scheme + "://" + parsed.Host)
		o.APIOptions = append(
			append([]func(*middleware.Stack) error{}, o.APIOptions...),
			metered(region, s.sessions.options.Meter),
		)
	})
	return &Queue{client: client, url: queueURL, session: s}, nil
}

// usesQueues notes that there are queues in a region, so that the series of their calls stay.
func (s *Sessions) usesQueues(region string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues[region] = true
}

// Receive waits for messages for some seconds, at most LongestReceive, and returns at most MaxBatch of them. What is
// not deleted appears again after the queue's visibility timeout. The error is an *Error.
func (q *Queue) Receive(ctx context.Context, wait time.Duration) ([]Message, error) {
	out, err := invokeAs(ctx, q.session, func(ctx context.Context) (*sqs.ReceiveMessageOutput, error) {
		return q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl:            &q.url,
			MaxNumberOfMessages: MaxBatch,
			WaitTimeSeconds:     int32(min(wait, LongestReceive) / time.Second), //nolint:gosec // At most 20.
		})
	})
	if err != nil {
		return nil, classify(receiveMessage, err)
	}
	messages := make([]Message, 0, len(out.Messages))
	for _, m := range out.Messages {
		messages = append(messages, Message{Body: aws.ToString(m.Body), receipt: aws.ToString(m.ReceiptHandle)})
	}
	return messages, nil
}

// Delete deletes at most MaxBatch messages. The error is an *Error; what could not be deleted appears again.
func (q *Queue) Delete(ctx context.Context, messages []Message) error {
	if len(messages) == 0 {
		return nil
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, 0, len(messages))
	for i := range messages {
		entries = append(entries, types.DeleteMessageBatchRequestEntry{
			Id: aws.String(string(rune('a' + i))), ReceiptHandle: &messages[i].receipt,
		})
	}

	out, err := invokeAs(ctx, q.session, func(ctx context.Context) (*sqs.DeleteMessageBatchOutput, error) {
		return q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
	})
	if err != nil {
		return classify(deleteMessages, err)
	}
	for _, failure := range out.Failed {
		// A receipt that is too old is no failure: the message has appeared again, and is deleted then.
		if code := aws.ToString(failure.Code); code != "ReceiptHandleIsInvalid" {
			return &Error{
				Operation: deleteMessages, Class: classOf(code, nil), Code: shown(code),
				Message: shown(aws.ToString(failure.Message)), err: errors.New(code),
			}
		}
	}
	return nil
}
