package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AllRegions stands for all regions of an account, those that AWS adds later included.
const AllRegions = "*"

// Coverage is what records the management events of an account, as it was last assessed.
type Coverage struct {
	// assessedTime is when AWS was last asked.
	// +required
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('3000-01-01T00:00:00Z')",message="a time must be in RFC 3339 format, such as 2026-01-02T03:04:05Z"
	AssessedTime metav1.Time `json:"assessedTime"`

	// recordedBy are the ARNs of the trails that record all management events in all regions: one, or two of which one
	// records the read events and the other the write events. It is absent if no trails do.
	// +optional
	// +listType=atomic
	RecordedBy []string `json:"recordedBy,omitempty"`

	// coveredRegions are the regions in which all management events are recorded. If recordedBy is present, the only one
	// is *, which stands for all regions. At most 20 are listed.
	// +optional
	// +listType=atomic
	CoveredRegions []CoveredRegion `json:"coveredRegions,omitempty"`

	// trails are the trails that record events of the account, managed or not, ordered by ARN. At most 20 are listed.
	// +optional
	// +listType=atomic
	Trails []AssessedTrail `json:"trails,omitempty"`

	// trailCount is the number of trails, listed or not.
	// +optional
	TrailCount int32 `json:"trailCount,omitempty"`

	// paidCopies are the regions in which more than one trail records the same management events. AWS delivers the first
	// copy in each region free of charge. At most 20 regions are listed.
	// +optional
	// +listType=atomic
	PaidCopies []PaidCopies `json:"paidCopies,omitempty"`
}

// CoveredRegion is a region in which all management events are recorded.
type CoveredRegion struct {
	// region is the region's code, such as eu-central-1, or * for all regions.
	// +required
	Region string `json:"region"`

	// recordedBy are the ARNs of the trails that record them: one, or two of which one records the read events and the
	// other the write events.
	// +required
	// +listType=atomic
	RecordedBy []string `json:"recordedBy"`
}

// AssessedTrail is what was found out of a trail. What could not be found out is absent.
type AssessedTrail struct {
	// arn is the ARN of the trail.
	// +required
	ARN string `json:"arn"`

	// multiRegion says whether the trail records events of all regions.
	// +optional
	MultiRegion *bool `json:"multiRegion,omitempty"`

	// organization says whether the trail records events of all accounts of an organization.
	// +optional
	Organization *bool `json:"organization,omitempty"`

	// logging says whether the trail is logging.
	// +optional
	Logging *bool `json:"logging,omitempty"`

	// delivering says whether log files reach the bucket.
	// +optional
	Delivering *bool `json:"delivering,omitempty"`

	// managementEvents are the management events that the trail's event selectors let through without exception: All,
	// ReadOnly, WriteOnly or None.
	// +optional
	ManagementEvents ManagementEvents `json:"managementEvents,omitempty"`

	// gaps are what keeps the trail from recording the whole account. It is absent if nothing does.
	// +optional
	// +listType=atomic
	Gaps []CoverageGap `json:"gaps,omitempty"`
}

// ManagementEvents are the management events that a trail records.
type ManagementEvents string

const (
	// ManagementEventsAll are all of them.
	ManagementEventsAll ManagementEvents = "All"
	// ManagementEventsReadOnly are those that only read.
	ManagementEventsReadOnly ManagementEvents = "ReadOnly"
	// ManagementEventsWriteOnly are those that change something.
	ManagementEventsWriteOnly ManagementEvents = "WriteOnly"
	// ManagementEventsNone are none, or some of the read events and some of the write events.
	ManagementEventsNone ManagementEvents = "None"
)

// CoverageGap is something that keeps a trail from recording a whole account.
type CoverageGap string

const (
	// GapNotMultiRegion means that the trail records events of its home region only.
	GapNotMultiRegion CoverageGap = "NotMultiRegion"
	// GapNotLogging means that the trail is not logging.
	GapNotLogging CoverageGap = "NotLogging"
	// GapNotDelivering means that log files do not reach the bucket.
	GapNotDelivering CoverageGap = "NotDelivering"
	// GapReadEventsExcluded means that the event selectors leave out some or all of the management events that only read.
	GapReadEventsExcluded CoverageGap = "ReadEventsExcluded"
	// GapWriteEventsExcluded means that the event selectors leave out some or all of the management events that change
	// something.
	GapWriteEventsExcluded CoverageGap = "WriteEventsExcluded" //nolint:gosec // No credentials.
	// GapGlobalServiceEventsExcluded means that the trail leaves out the events of global services, such as IAM.
	GapGlobalServiceEventsExcluded CoverageGap = "GlobalServiceEventsExcluded"
	// GapStatusUnknown means that it could not be read whether the trail logs and delivers.
	GapStatusUnknown CoverageGap = "StatusUnknown"
	// GapEventsUnknown means that the trail's event selectors could not be read.
	GapEventsUnknown CoverageGap = "EventsUnknown"
)

// PaidCopies are the copies of management events that are paid for.
type PaidCopies struct {
	// region is the region's code, such as eu-central-1, or * for every region.
	// +required
	Region string `json:"region"`

	// copies is how many copies are delivered beyond the first one.
	// +required
	Copies int32 `json:"copies"`

	// trailARNs are the ARNs of the trails that deliver all of the copies, the first one included.
	// +required
	// +listType=atomic
	TrailARNs []string `json:"trailARNs"`
}
