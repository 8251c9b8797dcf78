package cloudtrail

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	. "github.com/onsi/gomega"
)

const fullDocument = `{
	"eventVersion": "1.11", "eventTime": "2026-03-15T12:00:00Z", "awsRegion": "eu-central-1",
	"userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/admin/mallory",
		"accountId": "111122223333", "accessKeyId": "ASIAMALLORY",
		"sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/admin"}}},
	"sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli/2.15.0",
	"requestParameters": {"name": "audit", "s3BucketName": "elsewhere"}, "responseElements": null,
	"errorCode": "AccessDenied", "errorMessage": "not allowed", "readOnly": false}`

func TestFromEvent(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC)
	answer := types.Event{
		EventId:     aws.String("e-1"),
		EventName:   aws.String("UpdateTrail"),
		EventSource: aws.String("cloudtrail.amazonaws.com"),
		EventTime:   &at,
		ReadOnly:    aws.String("false"),
		Username:    aws.String("mallory"),
		AccessKeyId: aws.String("ASIAMALLORY"),
		Resources: []types.Resource{
			{ResourceType: aws.String("AWS::CloudTrail::Trail"), ResourceName: aws.String("audit")},
			{ResourceName: aws.String("untyped")},
		},
	}
	bare := Event{
		ID:          "e-1",
		Name:        "UpdateTrail",
		Source:      "cloudtrail.amazonaws.com",
		Time:        at,
		ReadOnly:    aws.Bool(false),
		Username:    "mallory",
		AccessKeyID: "ASIAMALLORY",
		Resources:   []Resource{{"AWS::CloudTrail::Trail", "audit"}, {"", "untyped"}},
	}
	with := func(edit func(*Event)) Event {
		event := bare
		edit(&event)
		return event
	}
	parameters := func(text string) map[string]json.RawMessage {
		var all map[string]json.RawMessage
		NewWithT(t).Expect(json.Unmarshal([]byte(text), &all)).To(Succeed())
		return all
	}
	const (
		byResourceID = `{"resourceId": "arn:x", "tagsList": [{"key": "name", "value": "audit"}]}`
		otherForm    = `{"name": {"a": 1}, "trailName": "audit"}`
	)
	for name, c := range map[string]struct {
		document *string
		want     Event
	}{
		"a full document": {aws.String(fullDocument), with(func(e *Event) {
			e.IdentityARN = "arn:aws:sts::111122223333:assumed-role/admin/mallory"
			e.SourceIPAddress, e.UserAgent = "198.51.100.7", "aws-cli/2.15.0"
			e.ErrorCode, e.ErrorMessage, e.Trail = "AccessDenied", "not allowed", "audit"
			e.Parameters = parameters(`{"name": "audit", "s3BucketName": "elsewhere"}`)
		})},
		"a service": {
			aws.String(`{"userIdentity": {"type": "AWSService", "invokedBy": "config.amazonaws.com"}}`),
			with(func(e *Event) { e.InvokedBy = "config.amazonaws.com" }),
		},
		"a trail by trailName": {
			aws.String(`{"requestParameters": {"trailName": "audit"}}`),
			with(func(e *Event) { e.Trail, e.Parameters = "audit", parameters(`{"trailName": "audit"}`) }),
		},
		"a trail by resourceId": {
			aws.String(`{"requestParameters": ` + byResourceID + `}`),
			with(func(e *Event) { e.Trail, e.Parameters = "arn:x", parameters(byResourceID) }),
		},
		"no document":       {nil, bare},
		"an empty document": {aws.String(""), bare},
		"no JSON":           {aws.String("<xml/>"), bare},
		"a JSON list":       {aws.String("[1]"), bare},
		"nulls":             {aws.String(`{"userIdentity": null, "requestParameters": null, "userAgent": null}`), bare},
		"a part of another form": {
			aws.String(`{"userIdentity": "root", "requestParameters": [1], "sourceIPAddress": 7, "userAgent": "curl"}`),
			with(func(e *Event) { e.UserAgent = "curl" }),
		},
		"a parameter of another form": {
			aws.String(`{"requestParameters": ` + otherForm + `}`),
			with(func(e *Event) { e.Trail, e.Parameters = "audit", parameters(otherForm) }),
		},
		"half a document": {aws.String(fullDocument[:len(fullDocument)/2]), bare},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			answer := answer
			answer.CloudTrailEvent = c.document
			g.Expect(fromEvent(answer)).To(Equal(c.want))
		})
	}
	t.Run("nothing at all", func(t *testing.T) {
		t.Parallel()
		event := fromEvent(types.Event{})
		g := NewWithT(t)
		g.Expect(event).To(Equal(Event{}))
		g.Expect(event.String()).To(Equal(" by an unknown caller"))
	})
	t.Run("another service's name parameter names no trail", func(t *testing.T) {
		t.Parallel()
		answer := answer
		answer.EventSource, answer.CloudTrailEvent = aws.String("s3.amazonaws.com"), aws.String(fullDocument)
		g := NewWithT(t)
		g.Expect(fromEvent(answer).Trail).To(BeEmpty())
		g.Expect(fromEvent(answer).Parameters).To(BeEmpty())
	})
}

func TestEventText(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	event := Event{
		Name:            "StopLogging",
		IdentityARN:     "arn:aws:iam::111122223333:user/mallory",
		SourceIPAddress: "198.51.100.7",
		Time:            time.Date(2026, 3, 15, 13, 0, 0, 0, time.FixedZone("", 3600)),
	}
	g.Expect(event.String()).
		To(Equal("StopLogging by arn:aws:iam::111122223333:user/mallory from 198.51.100.7 at 2026-03-15T12:00:00Z"))
	g.Expect((&Event{InvokedBy: "config.amazonaws.com", Username: "x"}).Caller()).To(Equal("config.amazonaws.com"))
	g.Expect((&Event{Username: "x"}).Caller()).To(Equal("x"))
}

func TestEventByOperator(t *testing.T) {
	t.Parallel()
	const (
		agent = "aws-sdk-go-v2/1.47.6 os/linux trail-operator/v1 (team/audit)"
		role  = "arn:aws:sts::111122223333:assumed-role/operator"
		user  = "arn:aws:iam::111122223333:user/operator"

		before  = "arn:aws:sts::111122223333:assumed-role/before"
		admin   = "arn:aws:sts::111122223333:assumed-role/admin"
		foreign = "arn:aws:sts::444455556666:assumed-role/operator"
	)
	otherAgent := strings.ReplaceAll(agent, "team/audit", "team/other")
	operators := []string{role, before, user}
	for name, c := range map[string]struct {
		agent, identity string
		operators       []string
		want            bool
	}{
		"our own call":                          {agent, role + "/pod-1", operators, true},
		"our own, of another process":           {agent, role + "/pod-2", operators, true},
		"our own, by the role of before":        {agent, before + "/pod-1", operators, true},
		"our own, as a user":                    {agent, user, operators, true},
		"our own, as CloudTrail may bracket it": {"[" + agent + "]", role + "/pod-1", operators, true},
		"somebody who feigns our user agent":    {agent, "arn:aws:iam::111122223333:user/mallory", operators, false},
		"another role":                          {agent, admin + "/pod-1", operators, false},
		"a role whose name begins like ours":    {agent, role + "s/pod-1", operators, false},
		"our role of another account":           {agent, foreign + "/pod-1", operators, false},
		"a person with our role":                {"aws-cli/2.15.0", role + "/pod-1", operators, false},
		"our call for another object":           {otherAgent, role + "/pod-1", operators, false},
		"nobody known":                          {agent, "", operators, false},
		"an operator that knows no own role":    {agent, role + "/pod-1", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := Event{UserAgent: c.agent, IdentityARN: c.identity}
			NewWithT(t).Expect(event.By("team/audit", c.operators)).To(Equal(c.want))
		})
	}
}

// eventPages answers LookupEvents with so many pages of two events each.
func eventPages(pages int) func(fakeCall) (int, string) {
	return func(call fakeCall) (int, string) {
		page := 0
		if token, ok := call.body["NextToken"].(string); ok {
			if _, err := fmt.Sscanf(token, "page-%d", &page); err != nil {
				return http.StatusBadRequest, refusal("InvalidNextTokenException", err.Error())
			}
		}
		next := ""
		if page+1 < pages {
			next = fmt.Sprintf(`, "NextToken": "page-%d"`, page+1)
		}
		return http.StatusOK, fmt.Sprintf(`{"Events": [{"EventId": "%d-a"}, {"EventId": "%d-b"}]%s}`, page, page, next)
	}
}

func TestEventsPageByPage(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	server := newFakeAWS(t, eventPages(3))
	region := testRegionAt(server)
	start, end := time.Unix(1_700_000_000, 0), time.Unix(1_700_000_600, 0)

	var ids []string
	query := Query{Attribute: AttributeEventName, Value: "StopLogging", Start: start, End: end}
	for event, err := range region.Events(t.Context(), query) {
		g.Expect(err).NotTo(HaveOccurred())
		ids = append(ids, event.ID)
	}
	g.Expect(ids).To(Equal([]string{"0-a", "0-b", "1-a", "1-b", "2-a", "2-b"}))
	calls := server.made()
	g.Expect(calls).To(HaveLen(3))
	for i, call := range calls {
		want := map[string]any{
			"LookupAttributes": []any{map[string]any{"AttributeKey": "EventName", "AttributeValue": "StopLogging"}},
			"StartTime":        float64(1_700_000_000), "EndTime": float64(1_700_000_600),
		}
		if i > 0 {
			want["NextToken"] = fmt.Sprintf("page-%d", i)
		}
		g.Expect(call.body).To(Equal(want), "the query goes with every page")
	}
}

func TestEventsStopAndFail(t *testing.T) {
	t.Parallel()
	t.Run("who has seen enough stops the calls", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		server := newFakeAWS(t, eventPages(3))
		for event, err := range testRegionAt(server).Events(t.Context(), Query{}) {
			g.Expect(err).NotTo(HaveOccurred())
			if event.ID == "1-a" {
				break
			}
		}
		g.Expect(server.made()).To(HaveLen(2))
		g.Expect(server.made()[0].body).To(BeEmpty(), "an empty query asks for everything")
	})
	t.Run("an error ends them", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		server := newFakeAWS(t, func(fakeCall) (int, string) {
			return http.StatusBadRequest, refusal("InvalidLookupAttributesException", "no such attribute")
		})
		var errs []error
		for _, err := range testRegionAt(server).Events(t.Context(), Query{}) {
			errs = append(errs, err)
		}
		g.Expect(errs).To(HaveLen(1))
		g.Expect(Is(errs[0], FixSpec)).To(BeTrue())
		g.Expect(errs[0]).To(MatchError("LookupEvents: InvalidLookupAttributesException: no such attribute"))
	})
}

// idsOf goes through all events of a query.
func idsOf(ctx context.Context, region *Region, query Query) (ids []string, err error) {
	for event, err := range region.Events(ctx, query) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, event.ID)
	}
	return ids, nil
}

// TestPagesAreAskedForOnce holds that a lookup goes on with the page that was not answered, and begins anew when AWS
// does not know the place of the next page any more.
func TestPagesAreAskedForOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code  string
		pages []string // The tokens of the calls, "" for the first page.
	}{
		"after a passing error": {"ServiceUnavailable", []string{"", "page-1", "page-2", "page-2", "page-3"}},
		"when the place is lost": {
			"InvalidNextTokenException",
			[]string{"", "page-1", "page-2", "", "page-1", "page-2", "page-3"},
		},
		"without any error": {"", []string{"", "page-1", "page-2", "page-3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &fakeAWS{}
			failed := false
			server.answer = slowly(time.Second, func(call fakeCall) (int, string) {
				if call.body["NextToken"] == "page-2" && !failed && c.code != "" {
					failed = true
					return http.StatusBadRequest, refusal(c.code, "no")
				}
				return eventPages(4)(call)
			})
			once := func(o *Options) {
				o.RateLimits = RateLimitOn
				o.Config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
			}
			inBubble(t, server, once, func(g Gomega, d *driver, region *Region) {
				d.resync = time.Hour
				var ids []string
				for {
					err := d.run(func(ctx context.Context) (err error) {
						ids, err = idsOf(ctx, region, Query{Attribute: AttributeEventName, Value: "StopLogging"})
						return err
					})
					if err == nil {
						break
					}
					if pending := PendingOf(err); pending != nil {
						d.wait(pending)
						continue
					}
					g.Expect(Is(err, Transient)).To(BeTrue())
					g.Expect(IsPageLost(err)).To(Equal(c.code == "InvalidNextTokenException"))
					d.calls.Retry(IsPageLost(err))
				}
				g.Expect(ids).To(Equal([]string{"0-a", "0-b", "1-a", "1-b", "2-a", "2-b", "3-a", "3-b"}))
				var asked []string
				for _, call := range server.made() {
					token, _ := call.body["NextToken"].(string) //nolint:errcheck // None is "".
					asked = append(asked, token)
				}
				g.Expect(asked).To(Equal(c.pages))
				g.Expect(d.longest).To(BeNumerically("<=", maxWait), "no worker waits for pages")
			})
		})
	}
}

// TestSearch holds what is found among how many events.
func TestSearch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit    int
		found    []string
		complete bool
		calls    int
	}{
		"all of them":              {100, []string{"0-b", "1-b", "2-b"}, true, 3},
		"as many as there are":     {6, []string{"0-b", "1-b", "2-b"}, true, 3},
		"those of the first pages": {3, []string{"0-b", "1-b"}, false, 2},
		"those of the first page":  {1, []string{"0-b"}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			server := newFakeAWS(t, eventPages(3))
			match := func(e *Event) bool { return strings.HasSuffix(e.ID, "-b") }
			found, complete, err := testRegionAt(server).Search(t.Context(), Query{}, c.limit, match)
			g.Expect(err).NotTo(HaveOccurred())
			ids := []string{}
			for _, event := range found {
				ids = append(ids, event.ID)
			}
			g.Expect(ids).To(Equal(c.found))
			g.Expect(complete).To(Equal(c.complete))
			g.Expect(server.made()).To(HaveLen(c.calls))
		})
	}
}
