package cloudtrailtest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxEventBytes is the greatest event that CloudTrail sends to EventBridge.
const maxEventBytes = 256 << 10

// Rule forwards the calls that CloudTrail records to a queue, as a rule of EventBridge at the default bus does. Only
// writes are forwarded, failed ones too, and only where a trail that logs selects them.
type Rule struct {
	// Name identifies the rule. Default: the ARN of its queue.
	Name string `json:"name"`
	// AccountID and Region are the bus: the calls of that account in that region. "" is each of them, as with rules that
	// forward to a common bus.
	AccountID string `json:"accountID,omitempty"`
	Region    string `json:"region,omitempty"`
	// QueueARN is the target. What goes to a queue that does not exist is lost.
	QueueARN string `json:"queueARN"`
	// EventSources (such as cloudtrail.amazonaws.com) and EventNames are what the pattern matches. Empty: all.
	EventSources []string `json:"eventSources,omitempty"`
	EventNames   []string `json:"eventNames,omitempty"`
}

// matches says whether the rule forwards an event. None leaves its partition.
func (r Rule) matches(at place, e *event) bool {
	target, _ := parseARN(r.QueueARN)
	return target.partition == partitionOf(at.region) &&
		!differs(r.AccountID, at.account) && !differs(r.Region, at.region) &&
		(len(r.EventSources) == 0 || slices.Contains(r.EventSources, e.source)) &&
		(len(r.EventNames) == 0 || slices.Contains(r.EventNames, e.name))
}

// Forward adds a rule, replacing one of the same name.
func (s *Server) Forward(r Rule) {
	orDefault(&r.Name, r.QueueARN)
	r.EventSources, r.EventNames = slices.Clone(r.EventSources), slices.Clone(r.EventNames)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules[r.Name] = r
}

// DeleteRule removes a rule. What it has forwarded still arrives.
func (s *Server) DeleteRule(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rules, name)
}

// Rules returns the rules, sorted by name.
func (s *Server) Rules() []Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listRules()
}

func (s *Server) listRules() []Rule {
	out := make([]Rule, 0, len(s.rules))
	for _, name := range slices.Sorted(maps.Keys(s.rules)) {
		out = append(out, s.rules[name])
	}
	return out
}

// Forwarding is how rules deliver events: at best effort, at least once and in no order. All chances are from the seed.
type Forwarding struct {
	// MinDelay and MaxDelay are how long an event takes from its call to the queue. With MaxDelay above MinDelay, each
	// event has a delay of its own between the two, so that events overtake each other.
	MinDelay, MaxDelay time.Duration
	// Duplicates is the chance that an event arrives twice, each time with a delay and an id of its own.
	Duplicates float64
	// Loss is the chance that an event does not arrive.
	Loss float64
	// LoseLast loses the events of calls after which no trail selects such events any more: StopLogging of the only trail.
	// AWS does not promise that they arrive. Default: they do.
	LoseLast bool
}

// SetForwarding changes how events are delivered from now on. What is under way stays so.
func (s *Server) SetForwarding(f Forwarding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forwarding = f
}

// Forwarding returns how events are delivered.
func (s *Server) Forwarding() Forwarding {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forwarding
}

// Forwarded is one event that matched a rule.
type Forwarded struct {
	Time time.Time
	// Rule is the rule's name, QueueARN its target.
	Rule, QueueARN string
	// EventID, EventSource and EventName are those of the record, AccountID and Region where the call went.
	EventID, EventSource, EventName string
	AccountID, Region               string
	// Arrivals are when the event comes to the queue: none if it is lost, two if it is duplicated.
	Arrivals []time.Time
}

// OnForward sets a function that is called for each event that matches a rule, lost ones too, on the same terms as that
// of OnWrite. nil: none.
func (s *Server) OnForward(hook func(Forwarded)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onForward = hook
}

// forward sends an event, which a trail selects, along the rules that match. The caller holds the lock.
func (s *Server) forward(at place, e *event) {
	for _, rule := range s.listRules() {
		if !rule.matches(at, e) {
			continue
		}
		arrivals := s.arrivals(at, e)
		q := s.queues[rule.QueueARN]
		if q == nil {
			arrivals = nil
		}
		for _, when := range arrivals {
			s.send(q, s.envelope(at, e), when)
		}
		s.reportForward(at, e, rule, arrivals)
	}
}

// arrivals draws when an event comes to a queue.
func (s *Server) arrivals(at place, e *event) []time.Time {
	f := s.forwarding
	copies := 1
	switch {
	case f.LoseLast && !s.selects(at, e.source), len(e.document()) > maxEventBytes:
		return nil
	case f.Loss > 0 && s.chance.float(forDeliveries, at) < f.Loss:
		return nil
	case f.Duplicates > 0 && s.chance.float(forDeliveries, at) < f.Duplicates:
		copies = 2
	}
	now := s.now()
	out := make([]time.Time, 0, copies)
	for range copies {
		out = append(out, now.Add(s.chance.between(forDeliveries, at, f.MinDelay, f.MaxDelay)))
	}
	return out
}

// envelope is the event as EventBridge delivers it, each time with another id.
// https://docs.aws.amazon.com/eventbridge/latest/ref/overview-event-structure.html
func (s *Server) envelope(at place, e *event) string {
	raw, _ := json.Marshal(struct { //nolint:errcheck // plain data
		Version    string          `json:"version"`
		ID         string          `json:"id"`
		DetailType string          `json:"detail-type"`
		Source     string          `json:"source"`
		Account    string          `json:"account"`
		Time       string          `json:"time"`
		Region     string          `json:"region"`
		Resources  []string        `json:"resources"`
		Detail     json.RawMessage `json:"detail"`
	}{
		"0", s.chance.id(forEnvelopes, at), "AWS API Call via CloudTrail",
		"aws." + strings.TrimSuffix(e.source, ".amazonaws.com"), at.account, e.time.UTC().Format(time.RFC3339), at.region,
		[]string{}, json.RawMessage(e.document()),
	})
	return string(raw)
}

func (s *Server) reportForward(at place, e *event, rule Rule, arrivals []time.Time) {
	if s.onForward == nil {
		return
	}
	s.onForward(Forwarded{
		Time: s.now(), Rule: rule.Name, QueueARN: rule.QueueARN, EventID: e.id, EventSource: e.source, EventName: e.name,
		AccountID: at.account, Region: at.region, Arrivals: arrivals,
	})
}

// selects says whether there are rules, and a trail that logs and selects the write events of a source in an account
// and region: without one, EventBridge gets none of them.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
func (s *Server) selects(at place, source string) bool {
	if len(s.rules) == 0 || at.account == "" {
		return false
	}
	return slices.ContainsFunc(s.visible(at.account, at.region), func(t *trail) bool {
		return t.logging && t.selects(source) && (t.globalEvents || !isGlobal(source))
	})
}

// selects says whether the trail's selectors log the write management events of a source.
func (t *trail) selects(source string) bool {
	if len(t.advanced) > 0 {
		return slices.ContainsFunc(t.advanced, func(e AdvancedEventSelector) bool { return e.selects(source) })
	}
	basic := t.basic
	if len(basic) == 0 {
		basic = []EventSelector{defaultSelector()}
	}
	return slices.ContainsFunc(basic, func(e EventSelector) bool {
		return e.IncludeManagementEvents && e.ReadWriteType != "ReadOnly" &&
			!slices.Contains(e.ExcludeManagementEventSources, source)
	})
}

func (e AdvancedEventSelector) selects(source string) bool {
	management := false
	for _, f := range e.FieldSelectors {
		switch f.Field {
		case "eventCategory":
			management = slices.Equal(f.Equals, []string{"Management"})
		case "readOnly":
			if slices.Equal(f.Equals, []string{"true"}) {
				return false
			}
		case "eventSource":
			if slices.Contains(f.NotEquals, source) {
				return false
			}
		}
	}
	return management
}
