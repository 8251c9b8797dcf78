package eventlookup

import (
	"context"
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/text"
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
		EventID:         text.Cut(e.ID, maxName),
		EventName:       text.Cut(e.Name, maxName),
		EventTime:       timeOrNil(e.Time),
		EventSource:     text.Cut(e.Source, maxName),
		Username:        text.Cut(e.Username, maxName),
		IdentityARN:     text.Cut(e.Caller(), maxName),
		AccessKeyID:     text.Cut(e.AccessKeyID, maxName),
		SourceIPAddress: text.Cut(e.SourceIPAddress, maxName),
		UserAgent:       text.Cut(e.UserAgent, maxText),
		ReadOnly:        e.ReadOnly,
		ErrorCode:       text.Cut(e.ErrorCode, maxName),
		ErrorMessage:    text.Cut(e.ErrorMessage, maxText),
	}

	for _, resource := range e.Resources[:min(len(e.Resources), maxResources)] {
		event.Resources = append(event.Resources, v1alpha1.EventResource{
			ResourceType: text.Cut(resource.Type, maxName),
			ResourceName: text.Cut(resource.Name, maxName),
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

func sizeOf(event v1alpha1.Event) int {
	data, err := json.Marshal(event)
	if err != nil {
		return maxBytes // Texts and times always marshal; an event that did not would not fit.
	}
	return len(data)
}
