package eventlookup

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// What bounds the size of an object. etcd takes 1.5 MiB in one request.
const (
	// maxBytes bounds all events of a lookup, as JSON.
	maxBytes = 512 << 10
	// maxName bounds names, ids and ARNs, in bytes; ARNs are up to 2048 but rarely beyond 200.
	maxName = 512
	// maxText bounds what programs and AWS write for people: user agents and error messages.
	maxText = 1024
	// maxResources bounds the resources of one event.
	maxResources = 10
	// maxNote bounds the note of a Kubernetes event, of which the API takes 1024 bytes.
	maxNote = 1000
)

// answer is what a lookup found.
type answer struct {
	events []v1alpha1.Event
	// latest tells the first of them in one line.
	latest string
	// refused counts the events that are calls which AWS refused.
	refused int
	// truncated says that there are more events.
	truncated bool
}

// collect looks the events up until there are no more, or no more are wanted, or no more fit.
func collect(ctx context.Context, region *cloudtrail.Region, lookup *v1alpha1.EventLookup) (answer, error) {
	var found answer
	size := 0
	for e, err := range region.Events(ctx, queryOf(lookup)) {
		if err != nil {
			return answer{}, err
		}
		if len(found.events) == 0 {
			found.latest = latestText(e)
		}
		event := fromEvent(e)
		size += sizeOf(event)
		if len(found.events) == lookup.Spec.MaxEvents() || size > maxBytes {
			found.truncated = true
			break
		}
		found.events = append(found.events, event)
		if event.ErrorCode != "" {
			found.refused++
		}
	}
	return found, nil
}

func latestText(e cloudtrail.Event) string {
	if e.ErrorCode == "" {
		return e.String()
	}
	return e.String() + ", refused with " + e.ErrorCode
}

// queryOf returns the question as it was written into the status before it was asked first.
func queryOf(lookup *v1alpha1.EventLookup) cloudtrail.Query {
	var query cloudtrail.Query
	if attribute := lookup.Spec.Attribute; attribute != nil {
		query.Attribute, query.Value = string(attribute.Key), attribute.Value
	}
	if start := lookup.Status.StartTime; start != nil {
		query.Start = start.Time
	}
	if end := lookup.Status.EndTime; end != nil {
		query.End = end.Time
	}
	return query
}

func fromEvent(e cloudtrail.Event) v1alpha1.Event {
	event := v1alpha1.Event{
		EventID:         short(e.ID, maxName),
		EventName:       short(e.Name, maxName),
		EventTime:       timeOrNil(e.Time),
		EventSource:     short(e.Source, maxName),
		Username:        short(e.Username, maxName),
		IdentityARN:     short(e.Caller(), maxName),
		AccessKeyID:     short(e.AccessKeyID, maxName),
		SourceIPAddress: short(e.SourceIPAddress, maxName),
		UserAgent:       short(e.UserAgent, maxText),
		ReadOnly:        e.ReadOnly,
		ErrorCode:       short(e.ErrorCode, maxName),
		ErrorMessage:    short(e.ErrorMessage, maxText),
	}
	for _, resource := range e.Resources[:min(len(e.Resources), maxResources)] {
		event.Resources = append(event.Resources, v1alpha1.EventResource{
			ResourceType: short(resource.Type, maxName),
			ResourceName: short(resource.Name, maxName),
		})
	}
	return event
}

func timeOrNil(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	shown := metav1.NewTime(t)
	return &shown
}

// short cuts a text that is longer than limit bytes.
func short(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

func sizeOf(event v1alpha1.Event) int {
	data, err := json.Marshal(event)
	if err != nil {
		return maxBytes // Texts and times always marshal; an event that did not would not fit.
	}
	return len(data)
}
