package cloudtrailtest

import (
	"crypto/md5" //nolint:gosec // SQS sums bodies up so
	"encoding/hex"
	"slices"
	"sort"
	"strconv"
	"time"
)

// Where time does not pass by itself, those who wait look at the clock now and then.
const (
	// standingClock is how often they look at a clock that tests move.
	standingClock = 5 * time.Millisecond
	// runningClock is how often they look at an injected clock that goes with the time, which may be set.
	runningClock = time.Second
)

// reception is a ReceiveMessage request.
type reception struct {
	max        int
	visibility time.Duration
	wait       time.Duration
	attributes []string
}

// messageAttributes are the system attributes that a message can have.
var messageAttributes = []string{
	"All", "ApproximateFirstReceiveTimestamp", "ApproximateReceiveCount", "AWSTraceHeader", "DeadLetterQueueSourceArn",
	"MessageDeduplicationId", "MessageGroupId", "SenderId", "SentTimestamp", "SequenceNumber",
}

// receiveMessage receives messages, or waits for the first one: as long as the request or the queue says, by the wall
// clock or the emulator's, whichever is sooner over.
func (s *Server) receiveMessage(c *call, gone <-chan struct{}) (map[string]any, error) {
	var clock *injected
	began := time.Now()
	for {
		out, w, err := s.tryReceive(c, clock)
		if err != nil || w.wait <= 0 {
			return out, err
		}
		if clock == nil {
			clock = &injected{began: c.now, wall: began}
		}
		remaining := w.wait - time.Since(began)
		if remaining <= 0 {
			return nil, nil
		}
		if !s.waitFor(gone, w.woken, min(remaining, w.recheck)) {
			return nil, errNoAnswer
		}
	}
}

// injected is a clock as a call that waits saw it when it began.
type injected struct{ began, wall time.Time }

// isRunning says whether the clock has gone with the time since.
func (i *injected) isRunning(now time.Time) bool {
	passed := time.Since(i.wall)
	return passed > 0 && (now.Sub(i.began)-passed).Abs() < time.Millisecond
}

// waiting is how a call that found no message waits.
type waiting struct {
	// wait is how long in all, 0 if the call has its answer.
	wait time.Duration
	// recheck is when to look at the queue again at the latest.
	recheck time.Duration
	// woken is closed when messages come.
	woken <-chan struct{}
}

// tryReceive receives messages, or tells how to wait for them. since is nil the first time.
func (s *Server) tryReceive(c *call, since *injected) (map[string]any, waiting, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if since == nil {
		c.now = now
	}
	q, err := s.queue(c)
	if err != nil {
		return nil, waiting{}, err
	}
	in, err := readReception(c, q)
	if err != nil {
		return nil, waiting{}, err
	}

	messages, full := s.receive(q, in, now)
	passed := now.Sub(c.now)
	switch {
	case full && in.wait == 0:
		return nil, waiting{}, fail("OverLimit", "Too many messages in flight.")
	case len(messages) > 0:
		return map[string]any{"Messages": messages}, waiting{}, nil
	case passed >= in.wait, s.opts.ShortPolls:
		return nil, waiting{}, nil
	}

	if q.woken == nil {
		q.woken = make(chan struct{})
	}
	w := waiting{wait: in.wait, recheck: in.wait - max(0, passed), woken: q.woken}
	if due, ok := q.nextDue(now); ok {
		w.recheck = min(w.recheck, due)
	}
	switch {
	case s.realClock:
	case since != nil && since.isRunning(now):
		w.recheck = min(w.recheck, runningClock)
	default:
		w.recheck = min(w.recheck, standingClock)
	}
	return nil, w, nil
}

// waitFor waits until something may have come, at most for d, and says whether somebody still wants an answer.
func (s *Server) waitFor(gone, woken <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-woken:
		return true
	case <-timer.C:
		return true
	case <-gone:
	case <-s.closed:
	}
	return false
}

// nextDue is how long it takes until another message can be received.
func (q *queue) nextDue(now time.Time) (time.Duration, bool) {
	at := sort.Search(len(q.messages), func(i int) bool { return q.messages[i].due.After(now) })
	if at == len(q.messages) {
		return 0, false
	}
	return q.messages[at].due.Sub(now), true
}

// readReception reads a ReceiveMessage request.
func readReception(c *call, q *queue) (reception, error) {
	in := reception{max: 1, visibility: q.VisibilityTimeout, wait: q.WaitTime}
	p := c.params
	number := p.integer("MaxNumberOfMessages")
	visibility, wait := p.integer("VisibilityTimeout"), p.integer("WaitTimeSeconds")
	names, _ := p.texts("MessageSystemAttributeNames")
	old, _ := p.texts("AttributeNames")
	attempt := p.optText("ReceiveRequestAttemptId")
	if err := p.problem(); err != nil {
		return in, err
	}

	outOf := func(name string, value *int, least, most int) error {
		if value == nil || *value >= least && *value <= most {
			return nil
		}
		return invalidParameter("Value %d for parameter %s is invalid. Reason: Must be between %d and %d, if provided.",
			*value, name, least, most)
	}
	for _, err := range []error{
		outOf("MaxNumberOfMessages", number, 1, maxMessagesReceived),
		outOf("VisibilityTimeout", visibility, 0, int(maxVisibility/time.Second)),
		outOf("WaitTimeSeconds", wait, 0, int(maxWait/time.Second)),
	} {
		if err != nil {
			return in, err
		}
	}
	if attempt != nil {
		return in, invalidParameter("Value %s for parameter ReceiveRequestAttemptId is invalid. "+
			"Reason: The request includes a parameter that is not valid for this queue type.", *attempt)
	}

	set(&in.max, number)
	if visibility != nil {
		in.visibility = time.Duration(*visibility) * time.Second
	}
	if wait != nil {
		in.wait = time.Duration(*wait) * time.Second
	}
	in.attributes = slices.Concat(names, old)
	for _, name := range in.attributes {
		if !slices.Contains(messageAttributes, name) {
			return in, fail("InvalidAttributeName", "Unknown Attribute %s.", name)
		}
	}
	return in, nil
}

// receive takes messages out of a queue, which are then in flight. full says that there would be some, but that too
// many are in flight. The caller holds the lock.
func (s *Server) receive(q *queue, in reception, now time.Time) (out []map[string]any, full bool) {
	limit := in.max
	if len(q.messages) >= q.MaxInFlight {
		_, inFlight := q.count(now)
		limit = min(limit, q.MaxInFlight-inFlight)
	}
	if limit <= 0 {
		return nil, true
	}

	var received []*message
	gone := 0
	for gone < len(q.messages) && len(received) < limit && !q.messages[gone].due.After(now) {
		m := q.messages[gone]
		gone++
		switch dead := s.queues[q.deadLetters().ARN()]; {
		case q.expired(m, now):
			delete(q.byID, m.id)
		case dead != nil && m.receivedHere >= q.MaxReceiveCount:
			delete(q.byID, m.id)
			m.receivedHere, m.due, m.deadFrom = 0, now, q.arn
			dead.dropExpired(now)
			dead.add(m)
		default:
			received = append(received, m)
		}
	}
	q.messages = slices.Delete(q.messages, 0, gone)

	for _, m := range received {
		if m.received++; m.received == 1 {
			m.first = now
		}
		m.receivedHere++
		if q.Repeats == 0 || s.chance.float(forReceives, q.place) >= q.Repeats {
			m.due = now.Add(in.visibility)
		}
		q.insert(m)
		out = append(out, s.shown(q, m, in.attributes))
	}
	return out, false
}

// shown is a message as ReceiveMessage answers it.
func (s *Server) shown(q *queue, m *message, wanted []string) map[string]any {
	sum := md5.Sum([]byte(m.body)) //nolint:gosec // that is what SQS answers
	out := map[string]any{
		"MessageId": m.id, "Body": m.body, "MD5OfBody": hex.EncodeToString(sum[:]),
		"ReceiptHandle": s.sealToken(q.receiptFor(), receipt{m.id, m.received}),
	}

	attributes := map[string]string{
		"SenderId":                         "AIDA" + uniqueID(q.arn),
		"SentTimestamp":                    strconv.FormatInt(m.sent.UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(m.received),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.first.UnixMilli(), 10),
	}
	if m.deadFrom != "" {
		attributes["DeadLetterQueueSourceArn"] = m.deadFrom
	}
	for name := range attributes {
		if !slices.Contains(wanted, name) && !slices.Contains(wanted, "All") {
			delete(attributes, name)
		}
	}
	if len(attributes) > 0 {
		out["Attributes"] = attributes
	}
	return out
}
