package v1alpha1

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// defaultMaxResults is how many events an EventLookup keeps that does not say.
const defaultMaxResults = 100

// IdentityName returns the name of the AWSIdentity to use.
func (l *EventLookup) IdentityName() string { return identityName(l.Spec.IdentityRef) }

// MaxEvents returns how many events to keep; default 100.
func (s *EventLookupSpec) MaxEvents() int {
	if s.MaxResults == nil {
		return defaultMaxResults
	}
	return int(*s.MaxResults)
}

// Range returns the time that the lookup asks for when it is run now. A zero start is as far back as the history goes.
// It fails for what is no time, which only an object can hold that was stored before the API server refused it.
func (s *EventLookupSpec) Range(now time.Time) (start, end time.Time, err error) {
	end = now
	if s.EndTime != "" {
		if end, err = s.EndTime.Time(); err != nil {
			return start, end, fmt.Errorf("spec.endTime: %w", err)
		}
	}

	switch {
	case s.StartTime != "":
		if start, err = s.StartTime.Time(); err != nil {
			return start, end, fmt.Errorf("spec.startTime: %w", err)
		}
	case s.Since != "":
		since, err := parseSince(s.Since)
		if err != nil {
			return start, end, err
		}
		start = end.Add(-since)
	}
	return start, end, nil
}

// parseSince parses days followed by what Go takes for a duration, such as 1d12h.
func parseSince(text string) (time.Duration, error) {
	var since time.Duration
	rest := text
	if days, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil {
			return 0, fmt.Errorf("spec.since: %q: the days are not a number", text)
		}
		since, rest = time.Duration(n)*24*time.Hour, after
	}
	if rest == "" {
		return since, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil {
		return 0, fmt.Errorf("spec.since: %w", err)
	}
	return since + d, nil
}

// Finished tells whether the lookup is complete or has failed, and so is never run again.
func (l *EventLookup) Finished() bool { return l.Status.CompletionTime != nil }

// ExpiresAt returns when the object is to be deleted; never when it is not ok.
func (l *EventLookup) ExpiresAt() (at time.Time, ok bool) {
	return expiresAt(l.Status.CompletionTime, l.Spec.TTLSecondsAfterFinished)
}

// GetConditions returns the conditions of the status.
func (l *EventLookup) GetConditions() []metav1.Condition { return l.Status.Conditions }
