package coverage

import (
	"slices"
	"strings"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// Account is what was read of an account.
type Account struct {
	// ID is the account's.
	ID string
	// Trails are those that record events of the account: its own, and those of its organization.
	Trails []Trail
	// Unread is why trails may be missing; nil: none is.
	Unread *Unknown
}

// Trail is what was read of a trail. What is nil is not known.
type Trail struct {
	// ARN and HomeRegion identify the trail.
	ARN, HomeRegion string
	// Settings are what DescribeTrails shows. Trails of all regions are shown in each region, so one that is not shown
	// where the identity may look is of one region.
	Settings *Settings
	// Status is what GetTrailStatus says, and StatusUnknown why that is not known.
	Status        *Status
	StatusUnknown *Unknown
	// Events are the management events that it records, and EventsUnknown is why they are not known.
	Events        *Events
	EventsUnknown *Unknown
}

// Settings are the settings of a trail that decide what it records.
type Settings struct {
	MultiRegion, Organization, GlobalServiceEvents bool
}

// Status says whether a trail logs and delivers.
type Status struct {
	Logging bool
	// Fault is why log files do not reach the bucket, such as NoSuchBucket; "": they do. Remedy says what to do then.
	Fault, Remedy string
}

// Unknown is why something is not known.
type Unknown struct {
	// Reason is that of a condition, and Message says what could not be read, why, and what helps.
	Reason, Message string
}

// isMultiRegion tells whether a trail records events of all regions.
func (t *Trail) isMultiRegion() bool { return t.Settings != nil && t.Settings.MultiRegion }

// logs tells whether a trail is known to log.
func (t *Trail) logs() bool { return t.Status != nil && t.Status.Logging }

// records returns what is recorded of management events in the regions of a trail, as far as that is known.
func (t *Trail) records() Events {
	if !t.logs() || t.Status.Fault != "" || t.Events == nil || !t.hasGlobalServices() {
		return Events{}
	}
	return *t.Events
}

// mayRecord returns what may be recorded, if all that is not known is for the best.
func (t *Trail) mayRecord() Events {
	fails := t.Status != nil && (!t.Status.Logging || t.Status.Fault != "")
	switch {
	case fails, !t.hasGlobalServices():
		return Events{}
	case t.Events == nil:
		return Events{Read: All, Write: All}
	default:
		return *t.Events
	}
}

func (t *Trail) hasGlobalServices() bool { return t.Settings == nil || t.Settings.GlobalServiceEvents }

// Gaps returns what keeps a trail from recording the whole account, in the order of what is to be done about it.
func (t *Trail) Gaps() []v1alpha1.CoverageGap {
	var gaps []v1alpha1.CoverageGap
	add := func(is bool, gap v1alpha1.CoverageGap) {
		if is {
			gaps = append(gaps, gap)
		}
	}

	add(!t.isMultiRegion(), v1alpha1.GapNotMultiRegion)
	add(t.Status != nil && !t.Status.Logging, v1alpha1.GapNotLogging)
	add(t.Events != nil && t.Events.Read != All, v1alpha1.GapReadEventsExcluded)
	add(t.Events != nil && t.Events.Write != All, v1alpha1.GapWriteEventsExcluded)
	add(!t.hasGlobalServices(), v1alpha1.GapGlobalServiceEventsExcluded)
	add(t.Status != nil && t.Status.Fault != "", v1alpha1.GapNotDelivering)
	add(t.Status == nil, v1alpha1.GapStatusUnknown)
	add(t.Events == nil, v1alpha1.GapEventsUnknown)
	return gaps
}

// unknown returns what of a trail could not be read; nil: nothing.
func (t *Trail) unknown() *Unknown {
	why := t.EventsUnknown
	switch {
	case t.Status != nil && t.Events != nil:
		return nil
	case t.Status == nil:
		why = t.StatusUnknown
	}
	if why == nil {
		why = &Unknown{Reason: v1alpha1.ReasonNotLookedAt, Message: "the trail " + t.ARN + " was not read"}
	}
	return why
}

// recorders returns the ARNs of the trails that record all management events together, in order: one, or two of which
// one records the read events and the other the write events. It returns nil if no trails do.
//
// Benchmarks ask for one trail with both. What they are after is that all is recorded, and two trails that log and
// deliver do that.
func recorders(trails []Trail, records func(*Trail) Events) []string {
	var reads, writes string
	for i := range trails {
		events := records(&trails[i])
		if events.Complete() {
			return []string{trails[i].ARN}
		}
		if events.Read == All && reads == "" {
			reads = trails[i].ARN
		}
		if events.Write == All && writes == "" {
			writes = trails[i].ARN
		}
	}

	if reads == "" || writes == "" {
		return nil
	}
	both := []string{reads, writes}
	slices.Sort(both)
	return both
}

// byARN returns the trails in the order of their ARNs.
func byARN(trails []Trail) []Trail {
	return slices.SortedFunc(slices.Values(trails), func(a, b Trail) int { return strings.Compare(a.ARN, b.ARN) })
}

// in returns the trails that record events of a region.
func in(trails []Trail, region string) []Trail {
	var found []Trail
	for i := range trails {
		if t := &trails[i]; t.isMultiRegion() || t.HomeRegion == region {
			found = append(found, *t)
		}
	}
	return found
}

// singleRegions returns the home regions of the trails that are of one region, in order.
func singleRegions(trails []Trail) []string {
	var regions []string
	for i := range trails {
		if t := &trails[i]; !t.isMultiRegion() && t.HomeRegion != "" {
			regions = append(regions, t.HomeRegion)
		}
	}
	slices.Sort(regions)
	return slices.Compact(regions)
}
