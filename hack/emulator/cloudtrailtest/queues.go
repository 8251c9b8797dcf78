package cloudtrailtest

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"
)

// Quotas of standard queues,
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-quotas.html.
const (
	defaultVisibility   = 30 * time.Second
	maxVisibility       = 12 * time.Hour
	defaultRetention    = 4 * 24 * time.Hour
	minRetention        = time.Minute
	maxRetention        = 14 * 24 * time.Hour
	maxMessageBytes     = 1 << 20
	maxInFlight         = 120_000
	maxWait             = 20 * time.Second
	maxReceives         = 1000
	maxMessagesReceived = 10
)

// Queue is a standard queue of Amazon SQS. Its durations are whole seconds.
type Queue struct {
	AccountID string `json:"accountID"`
	Region    string `json:"region"`
	Name      string `json:"name"`
	// VisibilityTimeout is how long a received message is hidden. Default 30 seconds.
	VisibilityTimeout time.Duration `json:"-"`
	// Retention is how long a message is kept after it was sent. Default 4 days.
	Retention time.Duration `json:"-"`
	// WaitTime is how long ReceiveMessage waits for a message if the request does not say. Default 0: it does not wait.
	WaitTime time.Duration `json:"-"`
	// MaxMessageBytes is the greatest message. Default 1 MiB.
	MaxMessageBytes int `json:"maxMessageBytes,omitempty"`
	// MaxInFlight is how many messages can be received and not deleted at a time. Default 120,000.
	MaxInFlight int `json:"maxInFlight,omitempty"`
	// DeadLetterQueue is the name of a queue of the same account and region. A message that was received MaxReceiveCount
	// times goes there instead of being received once more.
	DeadLetterQueue string `json:"deadLetterQueue,omitempty"`
	MaxReceiveCount int    `json:"maxReceiveCount,omitempty"`
	// AllowedPrincipals are who else the queue's policy lets in, besides its own account: account ids, and ARNs of users,
	// roles and role sessions, which may end in *.
	AllowedPrincipals []string `json:"allowedPrincipals,omitempty"`
	// Repeats is the chance that a received message is not hidden, so that it is received twice: a standard queue delivers
	// at least once. A DeleteMessage with the handle of the earlier receive then deletes nothing.
	Repeats float64 `json:"repeats,omitempty"`
}

// ARN returns the queue's ARN.
func (q Queue) ARN() string {
	return arn{partitionOf(q.Region), "sqs", q.Region, q.AccountID, q.Name}.String()
}

// URL returns the queue's URL at AWS. The emulator takes a URL of any host with the same path.
func (q Queue) URL() string {
	domain := "amazonaws.com"
	if partitionOf(q.Region) == "aws-cn" {
		domain = "amazonaws.com.cn"
	}
	return fmt.Sprintf("https://sqs.%s.%s/%s/%s", q.Region, domain, q.AccountID, q.Name)
}

// Message is a message as it lies in a queue.
type Message struct {
	ID   string `json:"id"`
	Body string `json:"body"`
	// Sent is when the message came to its first queue, Visible is from when on it can be received.
	Sent    time.Time `json:"sent"`
	Visible time.Time `json:"visible"`
	// Receives is how often it was received, across all queues.
	Receives int `json:"receives"`
}

// QueueState is a queue with the messages that it holds now, each list in the order in which they can be received.
type QueueState struct {
	Queue Queue
	// Visible messages can be received now. InFlight ones were received and are hidden. Arriving ones are under way from
	// EventBridge: they are not in the queue yet.
	Visible, InFlight, Arriving []Message
}

// Bodies returns the bodies of messages.
func Bodies(messages []Message) []string {
	out := make([]string, 0, len(messages))
	for _, m := range messages {
		out = append(out, m.Body)
	}
	return out
}

// message is a message with its life in a queue.
type message struct {
	id, body string
	seq      uint64
	// sent stays what it was in a dead-letter queue, so that retention counts from there.
	sent time.Time
	// due is from when on the message can be received.
	due time.Time
	// received counts receives across all queues, receivedHere those in the queue where it lies.
	received, receivedHere int
	first                  time.Time
	// deadFrom is the ARN of the queue that the message was moved from.
	deadFrom string
}

// queue is a queue with its messages.
type queue struct {
	Queue
	place
	arn               string
	created, modified time.Time
	// messages are sorted by due, so that those which can be received come first.
	messages []*message
	byID     map[string]*message
	seq      uint64
	// woken is closed when messages come. It is nil while nobody waits for any.
	woken chan struct{}
}

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// CreateQueue makes a queue, or gives other settings to one that exists, whose messages stay. It returns an error if
// AWS would not take the settings.
func (s *Server) CreateQueue(q Queue) error {
	q = q.withDefaults()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.validQueue(q); err != nil {
		return err
	}

	id, now := q.ARN(), s.now()
	n := s.queues[id]
	if n == nil {
		n = &queue{place: place{q.AccountID, q.Region}, arn: id, created: now, byID: map[string]*message{}}
		s.queues[id] = n
	}
	n.Queue, n.modified = q, now
	n.wake()
	return nil
}

func (q Queue) withDefaults() Queue {
	orDefault(&q.VisibilityTimeout, defaultVisibility)
	orDefault(&q.Retention, defaultRetention)
	orDefault(&q.MaxMessageBytes, maxMessageBytes)
	orDefault(&q.MaxInFlight, maxInFlight)
	q.AllowedPrincipals = slices.Clone(q.AllowedPrincipals)
	return q
}

func orDefault[T comparable](field *T, to T) {
	var zero T
	if *field == zero {
		*field = to
	}
}

// validQueue checks a queue's settings. The caller holds the lock.
func (s *Server) validQueue(q Queue) error {
	invalid := func(format string, args ...any) error { return fail("InvalidAttributeValue", format, args...) }
	dead := Queue{AccountID: q.AccountID, Region: q.Region, Name: q.DeadLetterQueue}

	switch {
	case !accountID.MatchString(q.AccountID):
		return invalid("%q is not an account", q.AccountID)
	case !s.regions[q.Region]:
		return invalid("%q is not a region", q.Region)
	case !queueName.MatchString(q.Name):
		return invalid("%q is not a name of a standard queue", q.Name)
	case q.VisibilityTimeout < 0 || q.VisibilityTimeout > maxVisibility:
		return invalid("Invalid value for the parameter VisibilityTimeout.")
	case q.Retention < minRetention || q.Retention > maxRetention:
		return invalid("Invalid value for the parameter MessageRetentionPeriod.")
	case q.WaitTime < 0 || q.WaitTime > maxWait:
		return invalid("Invalid value for the parameter ReceiveMessageWaitTimeSeconds.")
	case q.MaxMessageBytes < 1024 || q.MaxMessageBytes > maxMessageBytes:
		return invalid("Invalid value for the parameter MaximumMessageSize.")
	case q.DeadLetterQueue == "" && q.MaxReceiveCount != 0,
		q.DeadLetterQueue != "" && (q.MaxReceiveCount < 1 || q.MaxReceiveCount > maxReceives),
		q.DeadLetterQueue != "" && s.queues[dead.ARN()] == nil,
		q.DeadLetterQueue == q.Name:
		return invalid("Invalid value for the parameter RedrivePolicy.")
	}
	return nil
}

// DeleteQueue deletes a queue with its messages. Calls that wait at it answer that it does not exist.
func (s *Server) DeleteQueue(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[arn]; q != nil {
		delete(s.queues, arn)
		q.wake()
	}
}

// PurgeQueue deletes a queue's messages, those that are in flight or arriving too.
func (s *Server) PurgeQueue(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[arn]; q != nil {
		q.purge()
	}
}

// SendMessage puts a message into a queue, whatever it says, as somebody who may send to it. It returns an error for a
// queue that does not exist and for a body that is empty or greater than the queue takes.
func (s *Server) SendMessage(queueARN, body string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[queueARN]
	switch {
	case q == nil:
		return noQueue()
	case body == "":
		return fail("MissingParameter", "The request must contain the parameter MessageBody.")
	case len(body) > q.MaxMessageBytes:
		return invalidParameter("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.",
			q.MaxMessageBytes)
	}
	s.send(q, body, s.now())
	return nil
}

// QueueState returns a queue with its messages, and whether it exists.
func (s *Server) QueueState(arn string) (QueueState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[arn]
	if q == nil {
		return QueueState{}, false
	}
	return q.state(s.now()), true
}

// MessageDue returns from when on the next message of a queue can be received; false where there is none.
func (s *Server) MessageDue(arn string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[arn]
	if q == nil || len(q.messages) == 0 {
		return time.Time{}, false
	}
	return q.messages[0].due, true
}

// Queues returns all queues with their messages, sorted by ARN.
func (s *Server) Queues() []QueueState {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	out := make([]QueueState, 0, len(s.queues))
	for _, id := range slices.Sorted(maps.Keys(s.queues)) {
		out = append(out, s.queues[id].state(now))
	}
	return out
}

// send puts a message into a queue in which it arrives at a time. The caller holds the lock.
func (s *Server) send(q *queue, body string, arrives time.Time) {
	q.dropExpired(s.now())
	m := &message{id: s.chance.id(forMessages, q.place), body: body, sent: arrives, due: arrives}
	q.add(m)
}

// add puts a message in its place and tells those who wait.
func (q *queue) add(m *message) {
	q.seq++
	m.seq = q.seq
	q.byID[m.id] = m
	q.insert(m)
	q.wake()
}

// position is where a message is, or would be, among the others.
func (q *queue) position(m *message) int {
	return sort.Search(len(q.messages), func(i int) bool { return q.messages[i].compare(m) >= 0 })
}

func (m *message) compare(other *message) int {
	if c := m.due.Compare(other.due); c != 0 {
		return c
	}
	return cmp.Compare(m.seq, other.seq)
}

func (q *queue) insert(m *message) { q.messages = slices.Insert(q.messages, q.position(m), m) }

// remove takes a message out for good.
func (q *queue) remove(m *message) {
	delete(q.byID, m.id)
	at := q.position(m)
	q.messages = slices.Delete(q.messages, at, at+1)
}

func (q *queue) purge() {
	q.messages = nil
	clear(q.byID)
}

// wake lets those look again who wait for a message.
func (q *queue) wake() {
	if q.woken != nil {
		close(q.woken)
		q.woken = nil
	}
}

func (q *queue) expired(m *message, now time.Time) bool { return !now.Before(m.sent.Add(q.Retention)) }

// dropExpired drops the messages that nobody fetched in time, so that a queue without a reader does not grow forever.
// Those in flight are dropped when they are visible.
func (q *queue) dropExpired(now time.Time) {
	n := 0
	for n < len(q.messages) && !q.messages[n].due.After(now) && q.expired(q.messages[n], now) {
		delete(q.byID, q.messages[n].id)
		n++
	}
	q.messages = slices.Delete(q.messages, 0, n)
}

// count returns how many messages can be received and how many are in flight.
func (q *queue) count(now time.Time) (visible, inFlight int) {
	for _, m := range q.messages {
		switch {
		case q.expired(m, now):
		case !m.due.After(now):
			visible++
		case m.receivedHere > 0:
			inFlight++
		}
	}
	return visible, inFlight
}

func (q *queue) state(now time.Time) QueueState {
	out := QueueState{Queue: q.Queue}
	out.Queue.AllowedPrincipals = slices.Clone(q.AllowedPrincipals)
	for _, m := range q.messages {
		one := Message{ID: m.id, Body: m.body, Sent: m.sent, Visible: m.due, Receives: m.received}
		switch {
		case q.expired(m, now):
		case !m.due.After(now):
			out.Visible = append(out.Visible, one)
		case m.receivedHere > 0:
			out.InFlight = append(out.InFlight, one)
		default:
			out.Arriving = append(out.Arriving, one)
		}
	}
	return out
}

// admits says whether the queue's policy, or being of its account, lets a caller use it.
func (q *queue) admits(who caller) bool {
	return who.account == q.AccountID || who.isOneOf(q.AllowedPrincipals)
}

// isOneOf says whether the caller is among principals: account ids, and ARNs, which may end in *.
func (w caller) isOneOf(principals []string) bool {
	return slices.ContainsFunc(principals, func(p string) bool {
		return p == w.account || strings.HasPrefix(p, "arn:") &&
			(matchesARN(p, w.arn) || w.session != nil && matchesARN(p, w.session.roleARN))
	})
}
