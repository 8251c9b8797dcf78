package cloudtrail

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
)

// AttributeEventName is the attribute of events that is the operation that was called.
const AttributeEventName = "EventName"

// Query is a question to the event history.
type Query struct {
	// Attribute is one that LookupEvents knows, such as EventName, and Value what it must be; "" for all events.
	Attribute, Value string
	// Start and End bound the time of the events, both included. Zero: unbounded, which is the last 90 days.
	Start, End time.Time
}

// Event is an event of the event history. What CloudTrail did not tell is zero.
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
}

// cloudTrailSource begins the source of calls to CloudTrail, in every partition.
const cloudTrailSource = "cloudtrail.amazonaws.com"

// Resource is a resource that an event is about.
type Resource struct{ Type, Name string }

// Caller says who called, as exactly as CloudTrail tells; "" when it does not.
func (e *Event) Caller() string { return cmp.Or(e.IdentityARN, e.InvokedBy, e.Username) }

// String tells the event in one line, such as "StopLogging by arn:aws:iam::111122223333:user/mallory from 198.51.100.7 at
// 2026-01-02T03:04:05Z".
func (e *Event) String() string {
	text := fmt.Sprintf("%s by %s", e.Name, cmp.Or(e.Caller(), "somebody unknown"))
	if e.SourceIPAddress != "" {
		text += " from " + e.SourceIPAddress
	}
	if !e.Time.IsZero() {
		text += " at " + e.Time.UTC().Format(time.RFC3339)
	}
	return text
}

// Events looks events up, the latest first, page by page: a caller that has seen enough stops the calls. It ends after
// the first error, which is an *Error. An event takes minutes to appear in the history.
func (r *Region) Events(ctx context.Context, query Query) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		pages := cloudtrail.NewLookupEventsPaginator(r.api, toLookup(query))
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx, r.as)
			if err != nil {
				yield(Event{}, meaning("LookupEvents", err))
				return
			}
			for _, event := range page.Events {
				if !yield(fromEvent(event), nil) {
					return
				}
			}
		}
	}
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
		ID:              aws.ToString(e.EventId),
		Name:            aws.ToString(e.EventName),
		Source:          aws.ToString(e.EventSource),
		Time:            aws.ToTime(e.EventTime),
		Username:        cmp.Or(aws.ToString(e.Username), record.UserIdentity.UserName),
		IdentityARN:     record.UserIdentity.ARN,
		InvokedBy:       record.UserIdentity.InvokedBy,
		AccessKeyID:     cmp.Or(aws.ToString(e.AccessKeyId), record.UserIdentity.AccessKeyID),
		SourceIPAddress: record.SourceIPAddress,
		UserAgent:       record.UserAgent,
		ErrorCode:       record.ErrorCode,
		ErrorMessage:    record.ErrorMessage,
	}
	if readOnly, err := strconv.ParseBool(aws.ToString(e.ReadOnly)); err == nil {
		event.ReadOnly = &readOnly
	}
	for _, resource := range e.Resources {
		event.Resources = append(event.Resources, Resource{Type: aws.ToString(resource.ResourceType), Name: aws.ToString(resource.ResourceName)})
	}
	if strings.HasPrefix(event.Source, cloudTrailSource) {
		event.Trail = record.trail()
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
	SourceIPAddress string `json:"sourceIPAddress"`
	UserAgent       string `json:"userAgent"`
	ErrorCode       string `json:"errorCode"`
	ErrorMessage    string `json:"errorMessage"`
	// RequestParameters are those by which CloudTrail's operations name a trail.
	RequestParameters struct {
		Name       string `json:"name"`
		TrailName  string `json:"trailName"`
		ResourceID string `json:"resourceId"`
	} `json:"requestParameters"`
}

// parseRecord reads what it can of a document: a part that is missing or of another form hides no other.
func parseRecord(document string) record {
	var r record
	_ = json.Unmarshal([]byte(document), &r) //nolint:errcheck // What cannot be read is not known.
	return r
}

// trail returns the trail that the request names, "" when it names none.
func (r *record) trail() string {
	return cmp.Or(r.RequestParameters.Name, r.RequestParameters.TrailName, r.RequestParameters.ResourceID)
}

// By tells whether the operator made the call on behalf of an object, as the identity that AWS knows as callerARN. Both must
// fit: anybody can send any user agent, and a person may share the operator's role.
func (e *Event) By(namespacedName, callerARN string) bool {
	return strings.Contains(e.UserAgent, userAgentProduct+"/") && strings.Contains(e.UserAgent, "("+namespacedName+")") &&
		principal(e.IdentityARN) == principal(callerARN)
}

// principal returns the ARN of a caller without the name of the role session, which differs from process to process.
func principal(callerARN string) string {
	if i := strings.LastIndex(callerARN, "/"); i >= 0 && strings.Contains(callerARN, ":assumed-role/") {
		return callerARN[:i]
	}
	return callerARN
}
