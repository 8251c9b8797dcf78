package coverage_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/coverage"
)

var (
	all    = coverage.Events{Read: coverage.All, Write: coverage.All}
	reads  = coverage.Events{Read: coverage.All}
	writes = coverage.Events{Write: coverage.All}
	most   = coverage.Events{Read: coverage.Some, Write: coverage.Some, Excluded: []string{"eventSource notEquals x"}}
	denied = &coverage.Unknown{Reason: v1alpha1.ReasonAccessDenied, Message: "denied"}
)

// trail returns a trail of all regions that records everything, after changes.
func trail(arn string, changes ...func(*coverage.Trail)) coverage.Trail {
	t := coverage.Trail{
		ARN: arn, HomeRegion: "eu-west-1",
		Settings: &coverage.Settings{MultiRegion: true, GlobalServiceEvents: true},
		Status:   &coverage.Status{Logging: true},
		Events:   new(all),
	}
	for _, change := range changes {
		change(&t)
	}
	return t
}

func of(events coverage.Events) func(*coverage.Trail) {
	return func(t *coverage.Trail) { t.Events = &events }
}

func in(region string) func(*coverage.Trail) {
	return func(t *coverage.Trail) { t.HomeRegion, t.Settings.MultiRegion = region, false }
}

func stopped(t *coverage.Trail)                   { t.Status.Logging = false }
func failing(t *coverage.Trail)                   { t.Status.Fault, t.Status.Remedy = "NoSuchBucket", "recreate it" }
func withoutGlobal(t *coverage.Trail)             { t.Settings.GlobalServiceEvents = false }
func statusUnknown(t *coverage.Trail)             { t.Status, t.StatusUnknown = nil, denied }
func eventsUnknown(t *coverage.Trail)             { t.Events, t.EventsUnknown = nil, denied }
func nothingRead(t *coverage.Trail)               { t.Settings, t.Status, t.Events = nil, nil, nil }
func organizations(t *coverage.Trail)             { t.Settings.Organization = true }
func trails(t ...coverage.Trail) []coverage.Trail { return t }

// TestConclude holds what Recorded says, and of which trail.
func TestConclude(t *testing.T) {
	t.Parallel()
	const yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	for name, c := range map[string]struct {
		trails  []coverage.Trail
		unread  *coverage.Unknown
		status  metav1.ConditionStatus
		reason  string
		message string
		by      []string
	}{
		"no trail":         {nil, nil, no, "NoTrail", "create a Trail", nil},
		"nothing readable": {nil, denied, unknown, "AccessDenied", "denied", nil},
		"one":              {trails(trail("a")), nil, yes, "Recorded", "recorded by a", []string{"a"}},
		"an organization's": {
			trails(trail("a", organizations)), nil, yes, "Recorded", "recorded by a", []string{"a"},
		},
		"one, and something not readable": {
			trails(trail("a"), trail("b", statusUnknown)), denied, yes, "Recorded", "recorded by a", []string{"a"},
		},
		"the first of several": {trails(trail("b"), trail("a")), nil, yes, "Recorded", "by a", []string{"a"}},
		"the complete one of several": {
			trails(trail("a", of(reads)), trail("b", of(writes)), trail("c")), nil, yes, "Recorded", "by c", []string{"c"},
		},
		"two halves": {
			trails(trail("b", of(reads)), trail("a", of(writes))), nil, yes, "Recorded", "by a and b", []string{"a", "b"},
		},
		"a half and most": {
			trails(trail("a", of(reads)), trail("b", of(most))), nil, no, "EventsExcluded", "a, which is the closest of 2", nil,
		},
		"two halves, one of one region": {
			trails(trail("a", of(reads)), trail("b", of(writes), in("eu-west-1"))), nil, no, "EventsExcluded",
			"a, which is the closest of 2 trails to that, leaves out all write events", nil,
		},
		"two halves, one stopped": {
			trails(trail("a", of(reads), stopped), trail("b", of(writes))), nil, no, "EventsExcluded", "b, which", nil,
		},
		"two halves, one unknown": {
			trails(trail("a", of(reads)), trail("b", eventsUnknown)), nil, unknown, "AccessDenied", "denied", nil,
		},
		"one region":       {trails(trail("a", in("eu-west-1"))), nil, no, "NotMultiRegion", "region eu-west-1 only", nil},
		"stopped":          {trails(trail("a", stopped)), nil, no, "NotLogging", "StartLogging in region eu-west-1", nil},
		"not delivering":   {trails(trail("a", failing)), nil, no, "NotDelivering", "NoSuchBucket — recreate it", nil},
		"some events":      {trails(trail("a", of(most))), nil, no, "EventsExcluded", "(eventSource notEquals x)", nil},
		"read events only": {trails(trail("a", of(reads))), nil, no, "EventsExcluded", "leaves out all write events —", nil},
		"data events only": {
			trails(trail("a", of(coverage.Events{}))), nil, no, "EventsExcluded", "all read events and all write events", nil,
		},
		"no global services": {trails(trail("a", withoutGlobal)), nil, no, "EventsExcluded", "such as IAM", nil},
		"all of it at once": {
			trails(trail("a", in("eu-west-1"), stopped, failing, of(most))), nil, no, "NotMultiRegion",
			"; and it is not logging", nil,
		},
		"status unknown": {trails(trail("a", statusUnknown)), nil, unknown, "AccessDenied", "denied", nil},
		"events unknown": {trails(trail("a", eventsUnknown)), nil, unknown, "AccessDenied", "denied", nil},
		"unknown, nobody says why": {
			trails(trail("a", func(t *coverage.Trail) { t.Events = nil })), nil, unknown, "NotLookedAt", "was not read", nil,
		},
		"events unknown, stopped": {
			trails(trail("a", eventsUnknown, stopped)), nil, no, "NotLogging", "is not logging", nil,
		},
		"status unknown, some events": {
			trails(trail("a", statusUnknown, of(most))), nil, no, "EventsExcluded", "leaves out", nil,
		},
		"hidden in its region": {trails(trail("a", nothingRead)), nil, no, "NotMultiRegion", "eu-west-1 only", nil},
		"stopped, and something not readable": {
			trails(trail("a", stopped)), denied, unknown, "AccessDenied", "denied", nil,
		},
		"the closest is the one with the fewest gaps": {
			trails(trail("a", stopped, in("eu-west-1")), trail("b", failing), trail("c", of(most))), nil, no,
			"NotDelivering", "b, which is the closest of 3", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			read := coverage.Account{ID: "111122223333", Trails: c.trails, Unread: c.unread}
			concluded := coverage.Conclude(read)
			g.Expect(concluded.Status).To(Equal(c.status), concluded.Message)
			g.Expect(concluded.Reason).To(Equal(c.reason), concluded.Message)
			g.Expect(concluded.Message).To(ContainSubstring(c.message))
			g.Expect(coverage.Assess(read).RecordedBy).To(Equal(c.by))
		})
	}
}

// TestRegions holds which regions are covered, and where copies are paid for.
func TestRegions(t *testing.T) {
	t.Parallel()
	const north, west = "eu-north-1", "eu-west-1"
	type covered map[string][]string
	type paid map[string]int32
	for name, c := range map[string]struct {
		trails  []coverage.Trail
		covered covered
		paid    paid
	}{
		"none":        {nil, covered{}, paid{}},
		"all regions": {trails(trail("a")), covered{"*": {"a"}}, paid{}},
		"one region each": {
			trails(trail("a", in(north)), trail("b", in(west))), covered{north: {"a"}, west: {"b"}}, paid{},
		},
		"twice in all regions": {trails(trail("a"), trail("b")), covered{"*": {"a"}}, paid{"*": 1}},
		"twice in one region":  {trails(trail("a", in(west)), trail("b", in(west))), covered{west: {"a"}}, paid{west: 1}},
		"all and one region":   {trails(trail("a"), trail("b", in(west))), covered{"*": {"a"}}, paid{west: 1}},
		"all, all and a region": {
			trails(trail("a"), trail("b"), trail("c", in(west))), covered{"*": {"a"}}, paid{"*": 1, west: 2},
		},
		"halves of a region": {
			trails(trail("a", of(reads)), trail("b", of(writes), in(west))), covered{west: {"a", "b"}}, paid{},
		},
		"a half twice":        {trails(trail("a", of(reads)), trail("b")), covered{"*": {"b"}}, paid{"*": 1}},
		"most is a copy, too": {trails(trail("a", of(most)), trail("b")), covered{"*": {"b"}}, paid{"*": 1}},
		"some reads are a copy, too": {
			trails(trail("a", of(coverage.Events{Read: coverage.Some})), trail("b")), covered{"*": {"b"}}, paid{"*": 1},
		},
		"stopped costs nothing":  {trails(trail("a", stopped), trail("b")), covered{"*": {"b"}}, paid{}},
		"unknown costs nothing":  {trails(trail("a", eventsUnknown), trail("b")), covered{"*": {"b"}}, paid{}},
		"undelivered is paid":    {trails(trail("a", failing), trail("b")), covered{"*": {"b"}}, paid{"*": 1}},
		"data events are others": {trails(trail("a", of(coverage.Events{})), trail("b")), covered{"*": {"b"}}, paid{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			assessed := coverage.Assess(coverage.Account{ID: "111122223333", Trails: c.trails})
			regions, copies := covered{}, paid{}
			for _, r := range assessed.CoveredRegions {
				regions[r.Region] = r.RecordedBy
			}
			for _, p := range assessed.PaidCopies {
				copies[p.Region] = p.Copies
				g.Expect(p.TrailARNs).To(HaveLen(int(p.Copies) + 1))
			}
			g.Expect(regions).To(Equal(c.covered))
			g.Expect(copies).To(Equal(c.paid))
		})
	}
}

// TestListsAreBounded holds that an account of any size fits into a status.
func TestListsAreBounded(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	var many []coverage.Trail
	for i := range 100 {
		region := fmt.Sprintf("eu-west-%d", i/2)
		many = append(many, trail(fmt.Sprintf("arn-%03d", i), in(region)))
	}
	assessed := coverage.Assess(coverage.Account{ID: "111122223333", Trails: many})
	g.Expect(assessed.TrailCount).To(BeEquivalentTo(100))
	g.Expect(assessed.Trails).To(HaveLen(20))
	g.Expect(assessed.CoveredRegions).To(HaveLen(20))
	g.Expect(assessed.PaidCopies).To(HaveLen(20))
}

// TestComplete holds what members take from an owner.
func TestComplete(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		owners v1alpha1.AssessedTrail
		want   metav1.ConditionStatus
	}{
		"nothing": {v1alpha1.AssessedTrail{}, metav1.ConditionUnknown},
		"all": {v1alpha1.AssessedTrail{
			Logging: new(true), Delivering: new(true), ManagementEvents: v1alpha1.ManagementEventsAll,
		}, metav1.ConditionTrue},
		"stopped": {v1alpha1.AssessedTrail{
			Logging: new(false), Delivering: new(true), ManagementEvents: v1alpha1.ManagementEventsAll,
		}, metav1.ConditionFalse},
		"not delivering": {v1alpha1.AssessedTrail{
			Logging: new(true), Delivering: new(false), ManagementEvents: v1alpha1.ManagementEventsAll,
		}, metav1.ConditionFalse},
		"read events": {v1alpha1.AssessedTrail{
			Logging: new(true), Delivering: new(true), ManagementEvents: v1alpha1.ManagementEventsReadOnly,
		}, metav1.ConditionFalse},
		"write events": {v1alpha1.AssessedTrail{
			Logging: new(true), Delivering: new(true), ManagementEvents: v1alpha1.ManagementEventsWriteOnly,
		}, metav1.ConditionFalse},
		"events unknown": {v1alpha1.AssessedTrail{Logging: new(true), Delivering: new(true)}, metav1.ConditionUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := trail("a", statusUnknown, eventsUnknown)
			one.Complete(&c.owners)
			concluded := coverage.Conclude(coverage.Account{ID: "111122223333", Trails: trails(one)})
			NewWithT(t).Expect(concluded.Status).To(Equal(c.want), concluded.Message)
		})
	}
}

// TestCompleteAddsOnly holds that what a member reads itself counts, whatever an owner says.
func TestCompleteAddsOnly(t *testing.T) {
	t.Parallel()
	one := trail("a", stopped, of(reads))
	one.Complete(&v1alpha1.AssessedTrail{
		Logging: new(true), Delivering: new(true), ManagementEvents: v1alpha1.ManagementEventsAll,
	})
	NewWithT(t).Expect(one).To(Equal(trail("a", stopped, of(reads))))
}

// TestDeliveryFault holds what is a fault, and what is a quiet account.
func TestDeliveryFault(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	long, just := now.Add(-24*time.Hour), now.Add(-time.Hour)
	for name, c := range map[string]struct {
		status     cloudtrail.Status
		validation bool
		want       string
	}{
		"new": {cloudtrail.Status{IsLogging: true, StartLoggingTime: just}, true, ""},
		"an error": {
			cloudtrail.Status{IsLogging: true, LatestDeliveryError: "NoSuchBucket"}, false, "NoSuchBucket",
		},
		"an error of others": {cloudtrail.Status{
			IsLogging: true, LatestNotificationError: "X", LatestDigestDeliveryError: "Y",
			LatestCloudWatchLogsDeliveryError: "Z",
		}, false, ""},
		"quiet, without validation": {
			cloudtrail.Status{IsLogging: true, StartLoggingTime: long, LatestDeliveryTime: long, LatestDigestDeliveryTime: long},
			false, "",
		},
		"quiet, with digests": {
			cloudtrail.Status{IsLogging: true, StartLoggingTime: long, LatestDeliveryTime: long, LatestDigestDeliveryTime: just},
			true, "",
		},
		"digests fail, log files do not": {
			cloudtrail.Status{IsLogging: true, StartLoggingTime: long, LatestDeliveryTime: just, LatestDigestDeliveryTime: long},
			true, "",
		},
		"no pulse": {
			cloudtrail.Status{IsLogging: true, StartLoggingTime: long, LatestDeliveryTime: long, LatestDigestDeliveryTime: long},
			true, coverage.FaultNothingDelivered,
		},
		"started a moment ago": {
			cloudtrail.Status{IsLogging: true, StartLoggingTime: just, LatestDeliveryTime: long, LatestDigestDeliveryTime: long},
			true, "",
		},
		"stopped": {
			cloudtrail.Status{StartLoggingTime: long, LatestDeliveryTime: long, LatestDigestDeliveryTime: long}, true, "",
		},
		"never a digest": {cloudtrail.Status{IsLogging: true, StartLoggingTime: long, LatestDeliveryTime: long}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(coverage.DeliveryFault(c.status, c.validation, now)).To(Equal(c.want))
		})
	}
}

// TestAnyAccount holds what is true of every account: Recorded is what an event at a time would say, whatever the order
// of the trails, and what is not known can only make it Unknown.
func TestAnyAccount(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		read := coverage.Account{ID: "111122223333"}
		for i := range random.IntN(5) {
			read.Trails = append(read.Trails, anyTrail(random, fmt.Sprintf("arn-%d", i)))
		}
		if random.IntN(8) == 0 {
			read.Unread = denied
		}
		concluded := coverage.Conclude(read)
		assessed := coverage.Assess(read)

		certain := takes(read.Trails, true, false) && takes(read.Trails, false, false)
		possible := takes(read.Trails, true, true) && takes(read.Trails, false, true) || read.Unread != nil
		want := metav1.ConditionFalse
		if certain {
			want = metav1.ConditionTrue
		} else if possible {
			want = metav1.ConditionUnknown
		}
		if concluded.Status != want || concluded.Reason == "" || concluded.Message == "" {
			t.Fatalf("want %s: %+v\n%+v", want, concluded, read)
		}
		if (len(assessed.RecordedBy) > 0) != certain || certain != (len(assessed.CoveredRegions) > 0 &&
			assessed.CoveredRegions[0].Region == v1alpha1.AllRegions) {
			t.Fatalf("%+v\n%+v", assessed, read)
		}

		slices.Reverse(read.Trails)
		if again := coverage.Conclude(read); again != concluded {
			t.Fatalf("the order matters: %+v\n%+v", concluded, again)
		}
	}
}

// anyTrail returns a trail of which anything may be wrong or unknown.
func anyTrail(random *rand.Rand, arn string) coverage.Trail {
	t := trail(arn)
	t.Settings.MultiRegion, t.Settings.GlobalServiceEvents = random.IntN(4) > 0, random.IntN(8) > 0
	t.Status = &coverage.Status{Logging: random.IntN(4) > 0}
	if random.IntN(4) == 0 {
		failing(&t)
	}
	extents := []coverage.Extent{coverage.None, coverage.Some, coverage.All, coverage.All}
	t.Events = &coverage.Events{Read: extents[random.IntN(4)], Write: extents[random.IntN(4)]}
	if random.IntN(6) == 0 {
		statusUnknown(&t)
	}
	if random.IntN(6) == 0 {
		eventsUnknown(&t)
	}
	return t
}

// takes tells, for one event, whether some trail records it in every region; hopeful: what is not known is for the
// best.
func takes(trails []coverage.Trail, isRead, hopeful bool) bool {
	return slices.ContainsFunc(trails, func(t coverage.Trail) bool {
		logs := t.Status == nil && hopeful || t.Status != nil && t.Status.Logging && t.Status.Fault == ""
		lets := hopeful
		if t.Events != nil {
			lets = isRead && t.Events.Read == coverage.All || !isRead && t.Events.Write == coverage.All
		}
		return t.Settings.MultiRegion && t.Settings.GlobalServiceEvents && logs && lets
	})
}
