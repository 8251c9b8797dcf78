package coverage

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// Conclusion is what the condition Recorded says.
type Conclusion struct {
	Status          metav1.ConditionStatus
	Reason, Message string
}

// Conclude returns what the condition Recorded says of an account: True when it is certain that all is recorded, False
// when it is certain that something is not, and Unknown otherwise.
func Conclude(account Account) Conclusion {
	trails := byARN(account.Trails)
	everywhere := in(trails, v1alpha1.AllRegions)

	if by := recorders(everywhere, (*Trail).records); by != nil {
		return recorded(account.ID, by)
	}
	if why := uncertain(account.Unread, everywhere); why != nil {
		return Conclusion{metav1.ConditionUnknown, why.Reason, why.Message}
	}
	if len(trails) == 0 {
		return Conclusion{metav1.ConditionFalse, v1alpha1.ReasonNoTrail, fmt.Sprintf("account %s has no trail — "+
			"create a Trail with isMultiRegionTrail: true, or make the account a member of an organization that has one",
			account.ID)}
	}
	return notRecorded(account.ID, trails)
}

func recorded(account string, by []string) Conclusion {
	message := fmt.Sprintf("all management events of account %s are recorded by %s", account, by[0])
	if len(by) > 1 {
		message += " and " + by[1] + ", of which one records the read events and the other the write events"
	}
	return Conclusion{metav1.ConditionTrue, v1alpha1.ReasonRecorded, message}
}

// uncertain returns why it is not known whether the account is recorded; nil: it certainly is not.
func uncertain(unread *Unknown, everywhere []Trail) *Unknown {
	if recorders(everywhere, (*Trail).mayRecord) != nil {
		for i := range everywhere {
			t := &everywhere[i]
			if why := t.unknown(); why != nil && t.mayRecord().Any() {
				return why
			}
		}
	}
	return unread
}

// reasons are the reasons for Recorded by what a trail lacks first.
var reasons = map[v1alpha1.CoverageGap]string{
	v1alpha1.GapNotMultiRegion:              v1alpha1.ReasonNotMultiRegion,
	v1alpha1.GapNotLogging:                  v1alpha1.ReasonNotLogging,
	v1alpha1.GapReadEventsExcluded:          v1alpha1.ReasonEventsExcluded,
	v1alpha1.GapWriteEventsExcluded:         v1alpha1.ReasonEventsExcluded,
	v1alpha1.GapGlobalServiceEventsExcluded: v1alpha1.ReasonEventsExcluded,
	v1alpha1.GapNotDelivering:               v1alpha1.ReasonNotDelivering,
}

// notRecorded says what the trail lacks that lacks the least: one with fewer gaps, or else the first.
func notRecorded(account string, trails []Trail) Conclusion {
	closest := &trails[0]
	for i := range trails {
		if len(trails[i].Gaps()) < len(closest.Gaps()) {
			closest = &trails[i]
		}
	}

	var lacks []string
	reason := ""
	for _, gap := range closest.Gaps() {
		if reason == "" {
			reason = reasons[gap]
		}
		if said := closest.explain(gap); said != "" && !slices.Contains(lacks, said) {
			lacks = append(lacks, said)
		}
	}
	others := ""
	if len(trails) > 1 {
		others = fmt.Sprintf(", which is the closest of %d trails to that", len(trails))
	}
	return Conclusion{metav1.ConditionFalse, reason, fmt.Sprintf("no trail records all management events of account %s: "+
		"%s%s, %s", account, closest.ARN, others, strings.Join(lacks, "; and it "))}
}

// explain says what a gap is, and what closes it.
func (t *Trail) explain(gap v1alpha1.CoverageGap) string {
	switch gap {
	case v1alpha1.GapNotMultiRegion:
		return "records region " + t.HomeRegion + " only — set isMultiRegionTrail to true"
	case v1alpha1.GapNotLogging:
		return "is not logging — start it: set spec.logging to true if a Trail manages it, or call StartLogging in region " +
			t.HomeRegion
	case v1alpha1.GapReadEventsExcluded, v1alpha1.GapWriteEventsExcluded:
		return t.explainEvents()
	case v1alpha1.GapGlobalServiceEventsExcluded:
		return "leaves out the events of global services such as IAM — set includeGlobalServiceEvents to true"
	case v1alpha1.GapNotDelivering:
		return strings.TrimSuffix("does not deliver: "+t.Status.Fault+" — "+t.Status.Remedy, " — ")
	default:
		return "" // What is not known does not make the difference.
	}
}

// explainEvents says which events the selectors leave out.
func (t *Trail) explainEvents() string {
	var missing []string
	if t.Events.Read != All {
		missing = append(missing, extentName[t.Events.Read]+"read events")
	}
	if t.Events.Write != All {
		missing = append(missing, extentName[t.Events.Write]+"write events")
	}
	why := ""
	if len(t.Events.Excluded) > 0 {
		why = " (" + strings.Join(t.Events.Excluded, "; ") + ")"
	}
	return fmt.Sprintf("leaves out %s%s — change its eventSelectors or advancedEventSelectors so that all management "+
		"events are recorded, or remove them", strings.Join(missing, " and "), why)
}

// extentName says how many events are left out where so many are recorded.
var extentName = map[Extent]string{None: "all ", Some: "some "}
