package cloudtrail

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Notice is a call that CloudTrail has recorded and EventBridge has delivered, seconds after it was made: of
// CloudTrail, or of a service that trails depend on. Notices may be late, come in any order, more than once or never,
// and anybody who may write to their queue can forge them. What they say of AWS is to be read there.
type Notice struct {
	Event
	// AccountID and Region are where the call was recorded.
	AccountID, Region string
	// TrailARN is the trail that a call of CloudTrail was about; "" for other calls.
	TrailARN string
	// Dependency is what a call of another service was about, if trails may depend on it: see Dependencies. "" else.
	Dependency string
}

// ErrNoCall says that a message is an event, but not one of a call that CloudTrail has recorded.
var ErrNoCall = errors.New("the event does not tell of a call that CloudTrail has recorded")

// recordedCall is the detail-type of events of calls that CloudTrail has recorded.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
const recordedCall = "AWS API Call via CloudTrail"

// delivered is an event as EventBridge delivers it, as far as it is used.
type delivered struct {
	Source     string          `json:"source"`
	DetailType string          `json:"detail-type"`
	Account    string          `json:"account"`
	Region     string          `json:"region"`
	Detail     json.RawMessage `json:"detail"`
}

// detail is what a delivered record tells beyond what the history's does.
type detail struct {
	EventID            string                     `json:"eventID"`
	EventName          string                     `json:"eventName"`
	EventSource        string                     `json:"eventSource"`
	EventTime          time.Time                  `json:"eventTime"`
	AWSRegion          string                     `json:"awsRegion"`
	RecipientAccountID string                     `json:"recipientAccountId"`
	ReadOnly           *bool                      `json:"readOnly"`
	ResponseElements   map[string]json.RawMessage `json:"responseElements"`
	UserIdentity       struct {
		UserName    string `json:"userName"`
		PrincipalID string `json:"principalId"`
	} `json:"userIdentity"`
}

// ParseNotice reads a message of EventBridge. The error is ErrNoCall for an event of another kind, and another one for
// what cannot be read.
func ParseNotice(message string) (*Notice, error) {
	var event delivered
	if err := json.Unmarshal([]byte(message), &event); err != nil {
		return nil, fmt.Errorf("reading an event of EventBridge: %w", err)
	}
	switch {
	case event.DetailType == "" || event.Source == "":
		return nil, errors.New("reading an event of EventBridge: it has no source or no detail-type")
	case event.DetailType != recordedCall || !strings.HasPrefix(event.Source, "aws."):
		return nil, ErrNoCall // Whoever may put events can choose any source but AWS's.
	}

	var d detail
	if err := json.Unmarshal(event.Detail, &d); err != nil {
		return nil, fmt.Errorf("reading the record of a call: %w", err)
	}
	if d.EventName == "" || d.EventSource == "" || d.EventTime.IsZero() {
		return nil, errors.New("reading the record of a call: it does not tell what was called, or when")
	}
	return noticeOf(event, d), nil
}

func noticeOf(event delivered, d detail) *Notice {
	record := parseRecord(string(event.Detail))
	n := &Notice{
		Event: Event{
			ID: shown(d.EventID), Name: shown(d.EventName), Source: shown(d.EventSource), Time: fromTime(&d.EventTime),
			Username:    shown(cmp.Or(d.UserIdentity.UserName, d.UserIdentity.PrincipalID)),
			AccessKeyID: shown(record.UserIdentity.AccessKeyID), ReadOnly: d.ReadOnly,
		},
		AccountID: shown(cmp.Or(d.RecipientAccountID, event.Account)),
		Region:    shown(cmp.Or(d.AWSRegion, event.Region)),
	}
	record.tell(&n.Event)

	if n.Trail != "" {
		n.TrailARN = TrailARN(n.Region, n.AccountID, n.Trail)
		if strings.HasPrefix(n.Trail, "arn:") {
			n.TrailARN = n.Trail
		}
		// An organization's trail may be in another account than the one that called.
		if answered := textOf(d.ResponseElements["trailARN"]); answered != "" {
			n.TrailARN = answered
		}
	}
	n.Dependency = dependencyOf(n, record.RequestParameters)
	return n
}

// textOf returns the text in a JSON value, "" when it is none.
func textOf(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s
}
