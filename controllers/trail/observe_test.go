package trail

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// TestReadable holds that of a trail that is not ours nothing more is read than whose it is.
func TestReadable(t *testing.T) {
	t.Parallel()
	owned := func(owner string) *cloudtrail.Trail {
		return &cloudtrail.Trail{ARN: testARN, Tags: map[string]string{v1alpha1.OwnerTagKey: owner}}
	}
	for name, c := range map[string]struct {
		trail    func(*v1alpha1.Trail)
		found    *cloudtrail.Trail
		readable bool
		known    bool // Its logging is read all the same.
	}{
		"ours":                {nil, owned(testOwner), true, false},
		"another's":           {nil, owned("another"), false, false},
		"nobody's":            {nil, owned(""), false, false},
		"hidden":              {nil, &cloudtrail.Trail{ARN: testARN, TagsErr: errors.New("no")}, true, false},
		"another's, observed": {observes, owned("another"), true, false},
		"ours before":         {synced, owned(""), true, true},
		"another's by now":    {synced, owned("another"), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			target := targetOf(testTrail(c.trail))
			g.Expect(readable(target, c.found)).To(Equal(c.readable))
			g.Expect(isKnown(target, c.found)).To(Equal(c.known))
		})
	}
}

// TestObserve holds what is read of a trail, by whose it is. What was not read is not known, and differs in nothing.
func TestObserve(t *testing.T) {
	t.Parallel()
	full := []string{"logging", "advancedEventSelectors", "insightSelectors", "aggregationConfigurations"}
	for name, c := range map[string]struct {
		trail   func(*v1alpha1.Trail)
		owner   string
		differs []string // Of a trail that AWS has without anything.
		read    map[string]int
	}{
		"ours": {
			nil, testOwner, full, map[string]int{
				"GetTrailStatus": 1, "GetEventSelectors": 1, "GetInsightSelectors": 1, "GetEventConfiguration": 1,
			},
		},
		"another's": {nil, anotherOwner, []string{"ownerTag"}, nil},
		"another's, ours before": {
			synced, anotherOwner, []string{"ownerTag", "logging"}, map[string]int{"GetTrailStatus": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			emulator, session := newAWS(t)
			region := session.Region(testRegion)
			trail := testTrail(func(trail *v1alpha1.Trail) {
				trail.Spec.AdvancedEventSelectors, trail.Spec.InsightSelectors = someAdvanced, someInsights
				trail.Spec.AggregationConfigurations = someAggregations
				if c.trail != nil {
					c.trail(trail)
				}
			})
			_, err := region.Create(
				t.Context(), "audit", settingsOf(&testTrail(nil).Spec), map[string]string{v1alpha1.OwnerTagKey: c.owner}, nil,
			)
			g.Expect(err).NotTo(HaveOccurred())

			emulator.ResetCalls()
			o, err := observe(begin(t, newRecord()), region, targetOf(trail))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(o.err()).NotTo(HaveOccurred(), "all that is ours to know")
			g.Expect(namesOf(differencesOf(targetOf(trail), o))).To(Equal(c.differs))
			read := emulator.CallCounts()
			delete(read, "DescribeTrails")
			delete(read, "ListTags")
			if c.read == nil {
				g.Expect(read).To(BeEmpty())
			} else {
				g.Expect(read).To(Equal(c.read))
			}
		})
	}

	for name, c := range map[string]struct {
		denied string
		failed bool
	}{
		"selectors that cannot be read":                     {"GetEventSelectors", true},
		"aggregations that nobody wants and cannot be read": {"GetEventConfiguration", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			emulator, session := newAWS(t)
			region := session.Region(testRegion)
			trail := testTrail(nil)
			created, err := region.Create(t.Context(), "audit", settingsOf(&trail.Spec), wantedTags(targetOf(trail)), nil)
			g.Expect(err).NotTo(HaveOccurred())
			_, err = region.PutSelectors(t.Context(), created, cloudtrail.Selectors{Advanced: someAdvanced}, nil)
			g.Expect(err).NotTo(HaveOccurred())
			_, err = region.PutAggregations(t.Context(), created, someAggregations, nil)
			g.Expect(err).NotTo(HaveOccurred())

			emulator.Inject(cloudtrailtest.Fault{Operation: c.denied, Code: "AccessDeniedException", Message: "No."})
			o, err := observe(begin(t, newRecord()), region, targetOf(trail))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(o.err() != nil).To(Equal(c.failed))
			g.Expect(fields[numberOf("aggregationConfigurations")].unknown(o) != nil ||
				isAmong(differencesOf(targetOf(trail), o), numberOf("aggregationConfigurations"))).To(BeTrue(),
				"they are not taken for none")
		})
	}

	t.Run("a home elsewhere", func(t *testing.T) {
		t.Parallel()
		g := NewWithT(t)
		_, session := newAWS(t)
		trail := testTrail(func(trail *v1alpha1.Trail) { trail.Spec.IsMultiRegionTrail = aws.Bool(true) })
		_, err := session.Region("us-east-1").
			Create(t.Context(), "audit", settingsOf(&trail.Spec), wantedTags(targetOf(trail)), nil)
		g.Expect(err).NotTo(HaveOccurred())

		trail.Spec.InsightSelectors = someInsights
		o, err := observe(begin(t, newRecord()), session.Region(testRegion), targetOf(trail))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(o.trail.HomeRegion).To(Equal("us-east-1"))
		g.Expect(namesOf(differencesOf(targetOf(trail), o))).NotTo(ContainElements("logging", "insightSelectors"))
	})
}

// TestSelectorsAreRead holds where selectors are read.
func TestSelectorsAreRead(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, c := range map[string]struct {
		reported *bool
		wanted   bool
		unread   bool // DescribeTrails failed.
		read     bool
	}{
		"none":                         {reported: &no},
		"none, AWS says nothing":       {},
		"some":                         {reported: &yes, read: true},
		"some that nobody wants":       {reported: &yes, read: true},
		"wanted, AWS says nothing":     {wanted: true, read: true},
		"wanted, AWS says it has none": {reported: &no, wanted: true, read: true},
		"just put":                     {reported: &yes, wanted: true, read: true},
		"nothing is known":             {unread: true, read: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &observation{trail: &cloudtrail.Trail{}}
			if c.unread {
				o.settingsErr = errors.New("no")
			}
			NewWithT(t).Expect(has(o, c.reported, c.wanted)).To(Equal(c.read))
		})
	}
}

// TestSelectsData holds where there is something to aggregate.
func TestSelectsData(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		selectors cloudtrail.Selectors
		data      bool
	}{
		"none":              {basic(), false},
		"management events": {basic(someSelectors...), false},
		"objects": {
			basic(v1alpha1.EventSelector{DataResources: []v1alpha1.DataResource{objects("arn:aws:s3")}}), true,
		},
		"advanced":            {advanced(someAdvanced...), true},
		"advanced management": {advanced(selecting("", equals("eventCategory", "Management"))), false},
		"one of two":          {advanced(selecting("", equals("eventCategory", "Management")), someAdvanced[0]), true},
		"a name":              {advanced(selecting("", equals("eventName", "Data"))), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(selectsData(c.selectors)).To(Equal(c.data))
		})
	}
}

// TestRead holds that a part of an observation fails for itself, and that only waiting for it ends the reconcile.
func TestRead(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	got, err := read("value", nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got).To(Equal(part[string]{value: "value"}))
	no := awsError(cloudtrail.Permission, "a", "b", "c")
	got, err = read("", no)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got).To(Equal(part[string]{err: no}))
	pending := &cloudtrail.Pending{}
	_, err = read("", error(pending))
	g.Expect(err).To(MatchError(pending))
}

// TestPut holds that what AWS holds after a write is known then, though it could not be read before.
func TestPut(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	no := errors.New("no")
	p := part[string]{value: "before", err: no}
	g.Expect(p.put("after", no)).To(MatchError(no))
	g.Expect(p).To(Equal(part[string]{value: "before", err: no}))
	g.Expect(p.put("after", nil)).To(Succeed())
	g.Expect(p).To(Equal(part[string]{value: "after"}))
}
