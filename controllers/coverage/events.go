package coverage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// Extent is how much is recorded of events of a kind.
type Extent int

const (
	// None of the events are recorded.
	None Extent = iota
	// Some of the events are recorded: a selector takes them, and leaves others out by their source or another field.
	Some
	// All of the events are recorded.
	All
)

// String returns the name of the extent.
func (e Extent) String() string { return [...]string{"None", "Some", "All"}[e] }

// Events is what event selectors let through of the management events.
type Events struct {
	// Read and Write are how much is recorded of the events that only read, and of those that change something.
	Read, Write Extent
	// Excluded are what the selectors that take management events leave out of them, in the words of the selectors, such
	// as "excludeManagementEventSources: kms.amazonaws.com". Sorted.
	Excluded []string
}

// Complete tells whether all management events are recorded.
func (e Events) Complete() bool { return e.Read == All && e.Write == All }

// Any tells whether management events are recorded at all.
func (e Events) Any() bool { return e.Read != None || e.Write != None }

// ManagementEvents returns what the event selectors of a trail let through of the management events. They are of one
// kind or the other; without any, CloudTrail's default applies, which is all management events.
//
// A trail records an event that at least one of its selectors takes, so a selector for read events and one for write
// events are complete together. Two exceptions are never added up to a whole: a selector without kms.amazonaws.com and
// another for kms.amazonaws.com alone record only some of the events here. Of basic selectors, an excluded source
// counts for the whole trail: AWS documents excludeManagementEventSources as sources whose events are not logged "on
// your trail".
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_PutEventSelectors.html
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_EventSelector.html
func ManagementEvents(basic []v1alpha1.EventSelector, advanced []v1alpha1.AdvancedEventSelector) Events {
	switch {
	case len(advanced) > 0:
		return ofAdvanced(advanced)
	case len(basic) > 0:
		return ofBasic(basic)
	default:
		return Events{Read: All, Write: All}
	}
}

func ofBasic(selectors []v1alpha1.EventSelector) Events {
	var events Events
	for _, s := range selectors {
		if s.IncludeManagementEvents != nil && !*s.IncludeManagementEvents {
			continue
		}
		if s.ReadWriteType != v1alpha1.WriteOnly {
			events.Read = All
		}
		if s.ReadWriteType != v1alpha1.ReadOnly {
			events.Write = All
		}
		for _, source := range s.ExcludeManagementEventSources {
			events.Excluded = append(events.Excluded, "excludeManagementEventSources: "+source)
		}
	}

	if len(events.Excluded) > 0 {
		events.Read, events.Write = min(events.Read, Some), min(events.Write, Some)
	}
	return events.sorted()
}

func ofAdvanced(selectors []v1alpha1.AdvancedEventSelector) Events {
	var events Events
	for _, s := range selectors {
		of := ofSelector(s.FieldSelectors)
		events.Read, events.Write = max(events.Read, of.Read), max(events.Write, of.Write)
		events.Excluded = append(events.Excluded, of.Excluded...)
	}
	if events.Read != Some && events.Write != Some {
		events.Excluded = nil // Another selector takes what one leaves out.
	}
	return events.sorted()
}

// ofSelector returns what one advanced selector takes: the events that satisfy all of its fields.
func ofSelector(fields []v1alpha1.AdvancedFieldSelector) Events {
	events, management := Events{Read: All, Write: All}, false
	for _, f := range fields {
		switch {
		case f.Field == "eventCategory":
			management = true
			if !takesManagement(f) {
				return Events{}
			}
		case f.Field == "readOnly" && onlyEquals(f):
			events.Read = min(events.Read, extentOf(f.Equals, "true"))
			events.Write = min(events.Write, extentOf(f.Equals, "false"))
		default:
			events.Read, events.Write = min(events.Read, Some), min(events.Write, Some)
			events.Excluded = append(events.Excluded, inWords(f))
		}
	}
	if !management || !events.Any() {
		return Events{}
	}
	return events
}

// takesManagement tells whether a selector of the field eventCategory lets management events through. AWS takes Equals
// only for this field.
func takesManagement(f v1alpha1.AdvancedFieldSelector) bool {
	return onlyEquals(f) && slices.Contains(f.Equals, "Management")
}

// onlyEquals tells whether a field is compared by Equals and nothing else.
func onlyEquals(f v1alpha1.AdvancedFieldSelector) bool {
	others := len(f.NotEquals) + len(f.StartsWith) + len(f.NotStartsWith) + len(f.EndsWith) + len(f.NotEndsWith)
	return len(f.Equals) > 0 && others == 0
}

func extentOf(values []string, value string) Extent {
	if slices.Contains(values, value) {
		return All
	}
	return None
}

// inWords returns a field selector as its author may have written it.
func inWords(f v1alpha1.AdvancedFieldSelector) string {
	var comparisons []string
	for _, c := range []struct {
		operator string
		values   []string
	}{
		{"equals", f.Equals},
		{"notEquals", f.NotEquals},
		{"startsWith", f.StartsWith},
		{"notStartsWith", f.NotStartsWith},
		{"endsWith", f.EndsWith},
		{"notEndsWith", f.NotEndsWith},
	} {
		if len(c.values) > 0 {
			comparisons = append(comparisons, fmt.Sprintf("%s %s", c.operator, strings.Join(c.values, ", ")))
		}
	}
	return fmt.Sprintf("%s %s", f.Field, cmp.Or(strings.Join(comparisons, " and "), "without a comparison"))
}

// sorted returns the events with each exclusion once, in order.
func (e Events) sorted() Events {
	slices.Sort(e.Excluded)
	e.Excluded = slices.Compact(e.Excluded)
	return e
}
