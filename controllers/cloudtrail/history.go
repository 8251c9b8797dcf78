package cloudtrail

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
)

// Attributes of events.
const (
	// AttributeEventName is the operation that was called.
	AttributeEventName = "EventName"
	// AttributeResourceName is a resource that the event is about.
	AttributeResourceName = "ResourceName"
)

// Query is a question to the event history.
type Query struct {
	// Attribute is one that LookupEvents knows, such as EventName, and Value what it must be; "" for all events.
	Attribute, Value string
	// Start and End bound the time of the events, both included. Zero: unbounded, which is the last 90 days.
	Start, End time.Time
}

// Event is an event of the event history. What CloudTrail did not tell is zero. Its texts are of one line and bounded,
// as whoever is recorded may choose some of them.
type Event struct {
	ID, Name, Source string
	Time             time.Time
	// Username is the name of a user or of a role session, and IdentityARN the ARN of who called. A call that an AWS
	// service made by itself has neither; InvokedBy is the service then.
	Username, IdentityARN, InvokedBy string
	AccessKeyID                      string
	SourceIPAddress, UserAgent       string
	// ReadOnly is nil when CloudTrail does not say.
	ReadOnly *bool
	// ErrorCode and ErrorMessage tell why AWS refused the call; "" when it did not.
	ErrorCode, ErrorMessage string
	Resources               []Resource
	// Trail is the trail that a call to CloudTrail names, by name or ARN; "" for other calls.
	Trail string
	// Parameters are those of such a call, as JSON; nil where CloudTrail does not tell them. Search alone tells them.
	Parameters map[string]json.RawMessage
}

// cloudTrailSource begins the source of calls to CloudTrail, in every partition.
const cloudTrailSource = "cloudtrail.amazonaws.com"

// Resource is a resource that an event is about.
type Resource struct{ Type, Name string }

// Caller says who called, as exactly as CloudTrail tells; "" when it does not.
func (e *Event) Caller() string { return cmp.Or(e.IdentityARN, e.InvokedBy, e.Username) }

// String tells the event in one line, such as "StopLogging by arn:aws:iam::111122223333:user/mallory from 198.51.100.7
// at 2026-01-02T03:04:05Z".
func (e *Event) String() string {
	text := fmt.Sprintf("%s by %s", e.Name, cmp.Or(e.Caller(), "an unknown caller"))
	if e.SourceIPAddress != "" {
		text += " from " + e.SourceIPAddress
	}
	if !e.Time.IsZero() {
		text += " at " + e.Time.UTC().Format(time.RFC3339)
	}
	return text
}

// maxPages bounds the pages of one lookup. AWS may answer with pages that have few events, or none.
const maxPages = 1000

// eventPage is a page of the history.
type eventPage struct {
	events []Event
	// read is how many events AWS answered with.
	read int
	next *string
}

// Events looks events up, the latest first, page by page: a caller that has seen enough stops the calls. It ends after
// the first error, which is an *Error or a *Pending. An event takes minutes to appear in the history.
func (r *Region) Events(ctx context.Context, query Query) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for page, err := range r.pages(ctx, query, nil) {
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, event := range page.events {
				if !yield(event, nil) {
					return
				}
			}
		}
	}
}

// Search goes through at most limit events, the latest first, and returns those that match. It is not complete when
// there are more events than that. match must give the same answer whenever it is asked.
func (r *Region) Search(
	ctx context.Context,
	query Query,
	limit int,
	match func(*Event) bool,
) (found []Event, complete bool, err error) {
	read := 0
	for page, err := range r.pages(ctx, query, match) {
		if err != nil {
			return nil, false, err
		}
		found = append(found, page.events...)
		if read += page.read; read >= limit && page.next != nil {
			return found, false, nil
		}
	}
	return found, true, nil
}

// IsPageLost tells whether the place of the next page is not known any more, so that a lookup has to begin with the
// first one.
func IsPageLost(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == "InvalidNextTokenException"
}

// pages looks events up and keeps those that match; nil: all.
func (r *Region) pages(ctx context.Context, query Query, match func(*Event) bool) iter.Seq2[*eventPage, error] {
	return func(yield func(*eventPage, error) bool) {
		in := toLookup(query)
		for number := range maxPages {
			page, err := r.page(ctx, query, number, in, match)
			if !yield(page, err) || err != nil || page.next == nil {
				return
			}
			in.NextToken = page.next
		}
	}
}

func (r *Region) page(
	ctx context.Context,
	query Query,
	number int,
	in *cloudtrail.LookupEventsInput,
	match func(*Event) bool,
) (*eventPage, error) {
	asked := *in
	q := question{operation: "LookupEvents", subject: fmt.Sprintf("%v %d", query, number)}
	return ask(ctx, r, q, func(ctx context.Context) (*eventPage, error) {
		out, err := r.api.LookupEvents(ctx, &asked, r.as)
		if err != nil {
			return nil, classify(q.operation, err)
		}

		page := &eventPage{read: len(out.Events)}
		if aws.ToString(out.NextToken) != "" {
			page.next = out.NextToken
		}
		for _, e := range out.Events {
			event := fromEvent(e)
			if match == nil {
				event.Parameters = nil // They may be long, and a lookup keeps many events.
			}
			if match == nil || match(&event) {
				page.events = append(page.events, event)
			}
		}
		return page, nil
	})
}

func toLookup(query Query) *cloudtrail.LookupEventsInput {
	in := &cloudtrail.LookupEventsInput{StartTime: timeOrNil(query.Start), EndTime: timeOrNil(query.End)}
	if query.Attribute != "" {
		in.LookupAttributes = []types.LookupAttribute{{
			AttributeKey:   types.LookupAttributeKey(query.Attribute),
			AttributeValue: aws.String(query.Value),
		}}
	}
	return in
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func fromEvent(e types.Event) Event {
	record := parseRecord(aws.ToString(e.CloudTrailEvent))
	event := Event{
		ID:          shown(aws.ToString(e.EventId)),
		Name:        shown(aws.ToString(e.EventName)),
		Source:      shown(aws.ToString(e.EventSource)),
		Time:        fromTime(e.EventTime),
		Username:    shown(cmp.Or(aws.ToString(e.Username), record.UserIdentity.UserName)),
		AccessKeyID: shown(cmp.Or(aws.ToString(e.AccessKeyId), record.UserIdentity.AccessKeyID)),
	}
	record.tell(&event)
	if readOnly, err := strconv.ParseBool(aws.ToString(e.ReadOnly)); err == nil {
		event.ReadOnly = &readOnly
	}
	for _, resource := range e.Resources {
		event.Resources = append(event.Resources, Resource{
			Type: shown(aws.ToString(resource.ResourceType)), Name: shown(aws.ToString(resource.ResourceName)),
		})
	}
	return event
}

// record is the part that is used of the document that CloudTrail writes of an event.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
type record struct {
	UserIdentity struct {
		ARN         string `json:"arn"`
		UserName    string `json:"userName"`
		AccessKeyID string `json:"accessKeyId"`
		InvokedBy   string `json:"invokedBy"`
	} `json:"userIdentity"`
	SourceIPAddress   string                     `json:"sourceIPAddress"`
	UserAgent         string                     `json:"userAgent"`
	ErrorCode         string                     `json:"errorCode"`
	ErrorMessage      string                     `json:"errorMessage"`
	RequestParameters map[string]json.RawMessage `json:"requestParameters"`
}

// tell writes into an event, whose source is known, what only the document tells.
func (r *record) tell(event *Event) {
	event.IdentityARN, event.InvokedBy = shown(r.UserIdentity.ARN), shown(r.UserIdentity.InvokedBy)
	event.SourceIPAddress, event.UserAgent = shown(r.SourceIPAddress), shown(r.UserAgent)
	event.ErrorCode, event.ErrorMessage = shown(r.ErrorCode), shown(r.ErrorMessage)
	if strings.HasPrefix(event.Source, cloudTrailSource) {
		event.Trail, event.Parameters = r.trail(), r.RequestParameters
	}
}

// parseRecord reads what it can of a document: a part that is missing or of another form hides no other.
func parseRecord(document string) record {
	var r record
	_ = json.Unmarshal([]byte(document), &r) //nolint:errcheck // What cannot be read is not known.
	return r
}

// trail returns the trail that the request names, "" when it names none.
func (r *record) trail() string {
	for _, parameter := range []string{"name", "trailName", "resourceId"} {
		var trail string
		if json.Unmarshal(r.RequestParameters[parameter], &trail) == nil && trail != "" {
			return trail
		}
	}
	return ""
}

// By tells whether the operator made the call on behalf of an object, as one of the users and roles that it acts as.
// Both must fit: anybody can send any user agent, and a person may share the operator's role.
func (e *Event) By(namespacedName string, operatorARNs []string) bool {
	return strings.Contains(e.UserAgent, userAgentProduct+"/") && strings.Contains(e.UserAgent, "("+namespacedName+")") &&
		slices.Contains(operatorARNs, Principal(e.IdentityARN))
}

// Principal returns the ARN of a caller without the name of the role session, which differs from process to process.
func Principal(callerARN string) string {
	if i := strings.LastIndex(callerARN, "/"); i >= 0 && strings.Contains(callerARN, ":assumed-role/") {
		return callerARN[:i]
	}
	return callerARN
}
