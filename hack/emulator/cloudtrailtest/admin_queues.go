package cloudtrailtest

import (
	"fmt"
	"net/http"
	"time"
)

// serveQueues adds what the admin API has for queues, rules and the calls of other services.
func (s *Server) serveQueues(handle func(string, func(*http.Request) (any, error))) {
	handle("GET /_emulator/queues", func(*http.Request) (any, error) { return s.adminQueues(), nil })
	handle("PUT /_emulator/queues", s.adminCreateQueue)
	handle("DELETE /_emulator/queues", func(r *http.Request) (any, error) { return ofQueue(r, s.DeleteQueue) })
	handle("GET /_emulator/messages", s.adminMessages)
	handle("POST /_emulator/messages", s.adminSend)
	handle("DELETE /_emulator/messages", func(r *http.Request) (any, error) { return ofQueue(r, s.PurgeQueue) })
	handle("GET /_emulator/forwarding", func(*http.Request) (any, error) { return showForwarding(s.Forwarding()), nil })
	handle("PUT /_emulator/forwarding", s.putForwarding)
	handle("POST /_emulator/record", s.adminRecord)
	collection(handle, "rules", "name", func() any { return s.Rules() }, s.Forward, s.DeleteRule)
}

// adminQueue is a Queue in JSON, with its durations as texts such as 30s. What it holds is only told.
type adminQueue struct {
	Queue
	VisibilityTimeout string `json:"visibilityTimeout,omitempty"`
	Retention         string `json:"retention,omitempty"`
	WaitTime          string `json:"waitTime,omitempty"`
	ARN               string `json:"arn,omitempty"`
	URL               string `json:"url,omitempty"`
	Visible           int    `json:"visible"`
	InFlight          int    `json:"inFlight"`
	Arriving          int    `json:"arriving"`
}

func (s *Server) adminQueues() []adminQueue {
	out := []adminQueue{}
	for _, state := range s.Queues() {
		q := state.Queue
		out = append(out, adminQueue{
			Queue: q, VisibilityTimeout: q.VisibilityTimeout.String(), Retention: q.Retention.String(),
			WaitTime: q.WaitTime.String(), ARN: q.ARN(), URL: q.URL(),
			Visible: len(state.Visible), InFlight: len(state.InFlight), Arriving: len(state.Arriving),
		})
	}
	return out
}

// duration is a text of a request and where its duration goes. A text that is left out changes nothing.
type duration struct {
	text string
	to   *time.Duration
}

func parseDurations(all ...duration) error {
	for _, one := range all {
		if one.text == "" {
			continue
		}
		var err error
		if *one.to, err = time.ParseDuration(one.text); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
	}
	return nil
}

func (s *Server) adminCreateQueue(r *http.Request) (any, error) {
	in, err := decode[adminQueue](r, nil)
	if err != nil {
		return nil, err
	}
	q := in.Queue
	err = parseDurations(
		duration{in.VisibilityTimeout, &q.VisibilityTimeout},
		duration{in.Retention, &q.Retention},
		duration{in.WaitTime, &q.WaitTime},
	)
	if err != nil {
		return nil, err
	}
	if err := s.CreateQueue(q); err != nil {
		return nil, err
	}
	return map[string]string{"arn": q.ARN(), "url": q.URL()}, nil
}

// ofQueue does something with the queue that ?arn= names.
func ofQueue(r *http.Request, do func(arn string)) (any, error) {
	id := r.URL.Query().Get("arn")
	if id == "" {
		return nil, fmt.Errorf("%w: ?arn= is required", errUsage)
	}
	do(id)
	return done()
}

func (s *Server) adminMessages(r *http.Request) (any, error) {
	id := r.URL.Query().Get("arn")
	state, ok := s.QueueState(id)
	if !ok {
		return nil, fmt.Errorf("%w: there is no queue %q", errUsage, id)
	}
	return map[string]any{
		"visible":  append([]Message{}, state.Visible...),
		"inFlight": append([]Message{}, state.InFlight...),
		"arriving": append([]Message{}, state.Arriving...),
	}, nil
}

func (s *Server) adminSend(r *http.Request) (any, error) {
	in, err := decode[struct {
		QueueARN string `json:"queueARN"`
		Body     string `json:"body"`
	}](r, nil)
	if err != nil {
		return nil, err
	}
	if err := s.SendMessage(in.QueueARN, in.Body); err != nil {
		return nil, err
	}
	return done()
}

// adminForwarding is Forwarding in JSON, with its durations as texts such as 250ms.
type adminForwarding struct {
	MinDelay   string  `json:"minDelay"`
	MaxDelay   string  `json:"maxDelay"`
	Duplicates float64 `json:"duplicates"`
	Loss       float64 `json:"loss"`
	LoseLast   bool    `json:"loseLast"`
}

func showForwarding(f Forwarding) adminForwarding {
	return adminForwarding{f.MinDelay.String(), f.MaxDelay.String(), f.Duplicates, f.Loss, f.LoseLast}
}

// putForwarding sets how rules deliver events; what is left out becomes none.
func (s *Server) putForwarding(r *http.Request) (any, error) {
	in, err := decode[adminForwarding](r, nil)
	if err != nil {
		return nil, err
	}
	f := Forwarding{Duplicates: in.Duplicates, Loss: in.Loss, LoseLast: in.LoseLast}
	if err := parseDurations(duration{in.MinDelay, &f.MinDelay}, duration{in.MaxDelay, &f.MaxDelay}); err != nil {
		return nil, err
	}
	s.SetForwarding(f)
	return done()
}

// adminRecord records a call of another actor to a service that is not emulated.
func (s *Server) adminRecord(r *http.Request) (any, error) {
	in, err := decode[struct {
		Actor
		OtherCall
	}](r, nil)
	if err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	id, err := s.As(in.Actor).Call(in.OtherCall)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	return map[string]string{"eventID": id}, nil
}

// check says whether the actor can act.
func (a Actor) check() error {
	if parsed, ok := parseARN(a.ARN); !ok || !accountID.MatchString(parsed.account) {
		return fmt.Errorf("%w: arn has to be who acts", errUsage)
	}
	return nil
}
