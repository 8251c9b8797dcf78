package cloudtrailtest

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxResults        = 50
	maxAttributeValue = 2000
)

// attributes are the keys that LookupEvents filters by, with how an event matches.
var attributes = map[string]func(*event, string) bool{
	"EventId":     func(e *event, v string) bool { return e.id == v },
	"EventName":   func(e *event, v string) bool { return e.name == v },
	"ReadOnly":    func(e *event, v string) bool { return strconv.FormatBool(e.readOnly) == v },
	"Username":    func(e *event, v string) bool { return e.username() == v },
	"EventSource": func(e *event, v string) bool { return e.source == v },
	"AccessKeyId": func(e *event, v string) bool { return e.caller.accessKeyID == v },
	"ResourceType": func(e *event, v string) bool {
		return slices.ContainsFunc(e.resources, func(r eventResource) bool { return r.kind == v })
	},
	"ResourceName": func(e *event, v string) bool {
		return slices.ContainsFunc(e.resources, func(r eventResource) bool { return r.name == v })
	},
}

// insightAttributes are those of them that Insights events have.
var insightAttributes = []string{"EventId", "EventName", "EventSource"}

// query is a LookupEvents request. It is what a page token is bound to.
type query struct {
	Category   string
	Key, Value string
	Start, End *time.Time
	Max        int
	Account    string
	Region     string
}

// position is the last event of a page.
type position struct {
	Time time.Time `json:"t"`
	Seq  uint64    `json:"q"`
}

// lookupEvents returns recorded events of the account and region, newest first, a page at a time.
func (s *Server) lookupEvents(c *call) (map[string]any, error) {
	q, err := s.readQuery(c)
	if err != nil {
		return nil, err
	}

	var after *position
	if token := c.params.optText("NextToken"); token != nil {
		after = &position{}
		if err := s.openToken(*token, q, after); err != nil {
			return nil, err
		}
	}

	matches := func(e *event) bool {
		switch {
		case q.Category == "insight": // There are no Insights events here.
			return false
		case q.Start != nil && e.time.Before(*q.Start), q.End != nil && e.time.After(*q.End):
			return false
		case e.time.Before(c.now.AddDate(0, 0, -historyDays)), c.now.Before(e.shown):
			return false
		case after != nil && (e.time.After(after.Time) || e.time.Equal(after.Time) && e.seq >= after.Seq):
			return false
		}
		return q.Key == "" || attributes[q.Key](e, q.Value)
	}

	found := []map[string]any{}
	var last *event
	if l := s.history[place{c.account, c.region}]; l != nil {
		for _, e := range slices.Backward(l.events) {
			if !matches(e) {
				continue
			}
			if len(found) == q.Max {
				token := s.sealToken(q, position{last.time, last.seq})
				return map[string]any{"Events": found, "NextToken": token}, nil
			}
			found = append(found, e.fields())
			last = e
		}
	}

	return map[string]any{"Events": found}, nil
}

func (s *Server) readQuery(c *call) (query, error) {
	q := query{
		Account: c.account, Region: c.region, Category: c.params.text("EventCategory"), Max: maxResults,
		Start: c.params.timestamp("StartTime"), End: c.params.timestamp("EndTime"),
	}
	set(&q.Max, c.params.integer("MaxResults"))
	filters, _ := c.params.structures("LookupAttributes")
	for _, f := range filters {
		q.Key, q.Value = f.text("AttributeKey"), f.text("AttributeValue")
	}
	c.params.optText("NextToken")

	switch {
	case c.params.problem() != nil:
		return q, c.params.problem()
	case q.Max < 1 || q.Max > maxResults:
		return q, fail("InvalidMaxResultsException", "Max results must be between 1 and 50.")
	case c.params.has("EventCategory") && q.Category != "insight":
		return q, fail("InvalidEventCategoryException", "Event category %s is not valid.", q.Category)
	}

	if err := validAttribute(q, len(filters)); err != nil {
		return q, err
	}
	return q, validRange(q, c.now)
}

func validAttribute(q query, n int) error {
	invalid := func(format string, args ...any) error {
		return fail("InvalidLookupAttributesException", format, args...)
	}

	switch {
	case n == 0:
		return nil
	case n > 1:
		return invalid("You can only specify one lookup attribute.")
	case attributes[q.Key] == nil:
		return invalid("Lookup attribute key %s is not valid.", q.Key)
	case q.Category == "insight" && !slices.Contains(insightAttributes, q.Key):
		return invalid("Lookup attribute key %s is not valid for Insights events.", q.Key)
	case q.Value == "":
		return invalid("Lookup attribute value must not be empty.")
	}

	// "The following characters (_, space, comma, \n) count as two characters towards the 2000 character limit."
	length := 0
	for _, r := range q.Value {
		length++
		if strings.ContainsRune("_ ,\n", r) {
			length++
		}
	}
	if length > maxAttributeValue {
		return invalid("Lookup attribute value must not be longer than 2000 characters.")
	}
	return nil
}

// validRange checks the time range. A start before the 90 days is as good as none; a range wholly before them, or
// beginning in the future, is an error.
func validRange(q query, now time.Time) error {
	end := now
	set(&end, q.End)
	switch {
	case q.Start != nil && q.Start.After(end):
		return fail("InvalidTimeRangeException", "The start time must be before the end time.")
	case q.Start != nil && q.Start.After(now), end.Before(now.AddDate(0, 0, -historyDays)):
		return fail("InvalidTimeRangeException", "The time range is outside the range of possible values.")
	}
	return nil
}

// fields is an event as LookupEvents answers it.
func (e *event) fields() map[string]any {
	resources := make([]map[string]any, 0, len(e.resources))
	for _, r := range e.resources {
		resources = append(resources, map[string]any{"ResourceType": r.kind, "ResourceName": r.name})
	}
	return map[string]any{
		"EventId": e.id, "EventName": e.name, "EventTime": seconds(e.time), "EventSource": e.source,
		"ReadOnly": strconv.FormatBool(e.readOnly), "Username": e.username(), "AccessKeyId": e.caller.accessKeyID,
		"Resources": resources, "CloudTrailEvent": e.document(),
	}
}
