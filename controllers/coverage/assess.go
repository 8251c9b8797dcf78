package coverage

import (
	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// maxListed is how many trails, and how many regions, a status lists.
const maxListed = 20

// Assess returns what the trails of an account record together, without the time.
func Assess(account Account) v1alpha1.Coverage {
	trails := byARN(account.Trails)
	everywhere := in(trails, v1alpha1.AllRegions)
	covered := v1alpha1.Coverage{
		RecordedBy: recorders(everywhere, (*Trail).records),
		TrailCount: int32(min(len(trails), 1<<30)),
		PaidCopies: paidCopies(trails),
	}
	covered.CoveredRegions = coveredRegions(trails, covered.RecordedBy)
	for i := range trails[:min(len(trails), maxListed)] {
		covered.Trails = append(covered.Trails, describe(&trails[i]))
	}
	return covered
}

// coveredRegions returns where all management events are recorded.
func coveredRegions(trails []Trail, everywhere []string) []v1alpha1.CoveredRegion {
	if everywhere != nil {
		return []v1alpha1.CoveredRegion{{Region: v1alpha1.AllRegions, RecordedBy: everywhere}}
	}
	var regions []v1alpha1.CoveredRegion
	for _, region := range singleRegions(trails) {
		by := recorders(in(trails, region), (*Trail).records)
		if by != nil && len(regions) < maxListed {
			regions = append(regions, v1alpha1.CoveredRegion{Region: region, RecordedBy: by})
		}
	}
	return regions
}

// paidCopies returns where several trails record the same management events. AWS delivers the first copy of them in
// each region free of charge: a second multi-region trail is paid for in every region, and a trail of one region beside
// a multi-region trail in that one.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-trail-manage-costs.html
// https://aws.amazon.com/cloudtrail/pricing/
func paidCopies(trails []Trail) []v1alpha1.PaidCopies {
	var paid []v1alpha1.PaidCopies
	everywhere := copiesIn(trails, v1alpha1.AllRegions)
	if everywhere.Copies > 0 {
		paid = append(paid, everywhere)
	}
	for _, region := range singleRegions(trails) {
		copies := copiesIn(trails, region)
		if copies.Copies > everywhere.Copies && len(paid) < maxListed {
			paid = append(paid, copies)
		}
	}
	return paid
}

// copiesIn returns the copies that are paid for in a region. A trail that logs is paid for what it records, whether or
// not that reaches the bucket.
func copiesIn(trails []Trail, region string) v1alpha1.PaidCopies {
	var reads, writes []string
	for _, t := range in(trails, region) {
		if !t.logs() || t.Events == nil {
			continue
		}
		if t.Events.Read != None {
			reads = append(reads, t.ARN)
		}
		if t.Events.Write != None {
			writes = append(writes, t.ARN)
		}
	}

	copies := v1alpha1.PaidCopies{Region: region, TrailARNs: reads}
	if len(writes) > len(reads) {
		copies.TrailARNs = writes
	}
	copies.Copies = int32(max(len(copies.TrailARNs)-1, 0)) //nolint:gosec // There are five trails in a region.
	copies.TrailARNs = copies.TrailARNs[:min(len(copies.TrailARNs), maxListed)]
	return copies
}

// describe returns what a status says of a trail.
func describe(t *Trail) v1alpha1.AssessedTrail {
	assessed := v1alpha1.AssessedTrail{ARN: t.ARN, MultiRegion: new(t.isMultiRegion()), Gaps: t.Gaps()}
	if t.Settings != nil {
		assessed.Organization = &t.Settings.Organization
	}
	if t.Status != nil {
		assessed.Logging, assessed.Delivering = &t.Status.Logging, new(t.Status.Fault == "")
	}
	if t.Events != nil {
		assessed.ManagementEvents = t.Events.asStatus()
	}
	return assessed
}

// asStatus returns the events as a status names them.
func (e Events) asStatus() v1alpha1.ManagementEvents {
	switch {
	case e.Complete():
		return v1alpha1.ManagementEventsAll
	case e.Read == All:
		return v1alpha1.ManagementEventsReadOnly
	case e.Write == All:
		return v1alpha1.ManagementEventsWriteOnly
	default:
		return v1alpha1.ManagementEventsNone
	}
}

// Complete fills in what of a trail could not be read from what the account that owns it says in its status.
func (t *Trail) Complete(owners *v1alpha1.AssessedTrail) {
	if t.Status == nil && owners.Logging != nil && owners.Delivering != nil {
		t.Status = &Status{Logging: *owners.Logging}
		if !*owners.Delivering {
			t.Status.Fault = "NotDelivering"
			t.Status.Remedy = "the AWSIdentity of the account that owns the trail says why"
		}
	}
	if t.Events == nil && owners.ManagementEvents != "" {
		events := fromStatus(owners.ManagementEvents)
		t.Events = &events
	}
}

// fromStatus returns the events that a status names. What is not recorded as a whole counts as nothing.
func fromStatus(named v1alpha1.ManagementEvents) Events {
	var events Events
	if named == v1alpha1.ManagementEventsAll || named == v1alpha1.ManagementEventsReadOnly {
		events.Read = All
	}
	if named == v1alpha1.ManagementEventsAll || named == v1alpha1.ManagementEventsWriteOnly {
		events.Write = All
	}
	return events
}
