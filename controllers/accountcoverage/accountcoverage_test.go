package accountcoverage_test

import (
	"context"
	"maps"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/accountcoverage"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

// selectors are parameters of PutEventSelectors.
type selectors = map[string]any

var (
	allEvents   = selectors{"EventSelectors": []any{map[string]any{"ReadWriteType": "All"}}}
	readEvents  = selectors{"EventSelectors": []any{map[string]any{"ReadWriteType": "ReadOnly"}}}
	writeEvents = selectors{"EventSelectors": []any{map[string]any{"ReadWriteType": "WriteOnly"}}}
	withoutKMS  = selectors{"EventSelectors": []any{
		map[string]any{"ReadWriteType": "All", "ExcludeManagementEventSources": []string{"kms.amazonaws.com"}},
	}}
	advancedReads = selectors{"AdvancedEventSelectors": []any{map[string]any{"FieldSelectors": []any{
		map[string]any{"Field": "eventCategory", "Equals": []string{"Management"}},
		map[string]any{"Field": "readOnly", "Equals": []string{"true"}},
	}}}}
	advancedAll = selectors{"AdvancedEventSelectors": []any{map[string]any{"FieldSelectors": []any{
		map[string]any{"Field": "eventCategory", "Equals": []string{"Management"}},
	}}}}
)

// selects sets the selectors of a trail.
func (w *world) selects(account, region, arn string, s selectors) {
	GinkgoHelper()
	params := map[string]any{"TrailName": arn}
	maps.Copy(params, s)
	w.do(account, region, "PutEventSelectors", params)
}

var _ = Describe("An account", func() {
	It("is recorded by a trail of somebody else, and not without one", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		identity := w.identity(ctx, v1alpha1.AWSIdentitySpec{})
		found := w.assess(ctx, identity)
		Expect(expectRecorded(found, metav1.ConditionFalse, v1alpha1.ReasonNoTrail)).
			To(ContainSubstring("create a Trail with isMultiRegionTrail: true"))
		Expect(w.DrainEvents()).To(ConsistOf(HavePrefix("Warning NoTrail account 111122223333 has no trail")))

		arn := w.trail(account, "eu-west-1", "audit", nil)
		before := w.Clock.Now()
		found = w.assess(ctx, identity)
		Expect(expectRecorded(found, metav1.ConditionTrue, v1alpha1.ReasonRecorded)).To(ContainSubstring(arn))
		coverage := found.Status.Coverage
		Expect(coverage.AssessedTime.Time).To(And(BeTemporally(">", before), BeTemporally("<=", w.Clock.Now())))
		coverage.AssessedTime = metav1.Time{}
		Expect(coverage).To(Equal(&v1alpha1.Coverage{
			RecordedBy:     []string{arn},
			CoveredRegions: []v1alpha1.CoveredRegion{{Region: "*", RecordedBy: []string{arn}}},
			TrailCount:     1,
			Trails: []v1alpha1.AssessedTrail{{
				ARN: arn, MultiRegion: new(true), Organization: new(false), Logging: new(true), Delivering: new(true),
				ManagementEvents: v1alpha1.ManagementEventsAll,
			}},
		}))
		Expect(w.DrainEvents()).To(ConsistOf(HavePrefix("Normal Recorded all management events")))
		testbed.ExpectKstatus(found, status.InProgressStatus) // Nobody has checked the identity: Recorded is no part of that.
	})

	It(
		"is not recorded any more at the next look, whatever becomes of its only complete trail",
		func(ctx context.Context) {
			w := newWorld(ctx, cloudtrailtest.Options{})
			identity := w.identity(ctx, v1alpha1.AWSIdentitySpec{})
			arn := w.trail(account, region, "audit", nil)
			name := map[string]any{"Name": arn}
			update := func(setting string, value any) {
				w.do(account, region, "UpdateTrail", map[string]any{"Name": arn, setting: value})
			}
			deliver := func(code string) {
				Expect(w.AWS.SetDelivery(arn, cloudtrailtest.Delivery{LatestDeliveryError: &code})).To(BeTrue())
			}

			for _, c := range []struct {
				name           string
				breaks, mends  func()
				reason, remedy string
				gaps           []v1alpha1.CoverageGap
			}{
				{
					"stopped", func() { w.do(account, region, "StopLogging", name) },
					func() { w.do(account, region, "StartLogging", name) },
					v1alpha1.ReasonNotLogging, "is not logging — start it", []v1alpha1.CoverageGap{"NotLogging"},
				},
				{
					"read events only", func() { w.selects(account, region, arn, readEvents) },
					func() { w.selects(account, region, arn, allEvents) },
					v1alpha1.ReasonEventsExcluded, "leaves out all write events", []v1alpha1.CoverageGap{"WriteEventsExcluded"},
				},
				{
					"an excluded source", func() { w.selects(account, region, arn, withoutKMS) },
					func() { w.selects(account, region, arn, advancedAll) },
					v1alpha1.ReasonEventsExcluded, "(excludeManagementEventSources: kms.amazonaws.com)",
					[]v1alpha1.CoverageGap{"ReadEventsExcluded", "WriteEventsExcluded"},
				},
				{
					"advanced selectors", func() { w.selects(account, region, arn, advancedReads) },
					func() { w.selects(account, region, arn, advancedAll) },
					v1alpha1.ReasonEventsExcluded, "leaves out all write events", []v1alpha1.CoverageGap{"WriteEventsExcluded"},
				},
				{
					"no delivery", func() { deliver("AccessDenied") }, func() { deliver("") },
					v1alpha1.ReasonNotDelivering, "add to the policy of bucket trail-logs",
					[]v1alpha1.CoverageGap{"NotDelivering"},
				},
				{
					"one region", func() { update("IsMultiRegionTrail", false) }, func() { update("IsMultiRegionTrail", true) },
					v1alpha1.ReasonNotMultiRegion, "set isMultiRegionTrail to true", []v1alpha1.CoverageGap{"NotMultiRegion"},
				},
				{
					"deleted", func() { w.do(account, region, "DeleteTrail", name) },
					func() { w.trail(account, region, "audit", nil) },
					v1alpha1.ReasonNoTrail, "has no trail", nil,
				},
			} {
				By(c.name)
				expectRecorded(w.assess(ctx, identity), metav1.ConditionTrue, v1alpha1.ReasonRecorded)
				c.breaks()
				found := w.assess(ctx, identity)
				Expect(expectRecorded(found, metav1.ConditionFalse, c.reason)).To(ContainSubstring(c.remedy))
				Expect(found.Status.Coverage.RecordedBy).To(BeEmpty())
				if c.gaps != nil {
					Expect(found.Status.Coverage.Trails).To(HaveExactElements(HaveField("Gaps", c.gaps)))
				}
				c.mends()
			}
			expectRecorded(w.assess(ctx, identity), metav1.ConditionTrue, v1alpha1.ReasonRecorded)
		},
	)

	It("is recorded by two trails of which each records a half", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		identity := w.identity(ctx, v1alpha1.AWSIdentitySpec{})
		reads, writes := w.trail(account, region, "reads", nil), w.trail(account, "eu-west-1", "writes", nil)
		w.selects(account, region, reads, readEvents)
		w.selects(account, "eu-west-1", writes, writeEvents)
		found := w.assess(ctx, identity)
		expectRecorded(found, metav1.ConditionTrue, v1alpha1.ReasonRecorded)
		Expect(found.Status.Coverage.RecordedBy).To(ConsistOf(reads, writes))
		Expect(found.Status.Coverage.PaidCopies).To(BeEmpty(), "they are copies of different events")
	})

	It("has five trails, which cover regions and cost copies", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		identity := w.identity(ctx, v1alpha1.AWSIdentitySpec{})
		single := map[string]any{"IsMultiRegionTrail": false}
		var arns []string
		for _, name := range []string{"one", "two", "three"} {
			arns = append(arns, w.trail(account, "eu-west-1", name, single))
		}
		arns = append(arns, w.trail(account, "eu-north-1", "four", single))
		found := w.assess(ctx, identity)
		expectRecorded(found, metav1.ConditionFalse, v1alpha1.ReasonNotMultiRegion)
		coverage := found.Status.Coverage
		Expect(coverage.CoveredRegions).To(HaveExactElements(
			HaveField("Region", "eu-north-1"), HaveField("Region", "eu-west-1")))
		Expect(coverage.PaidCopies).To(HaveExactElements(
			And(HaveField("Region", "eu-west-1"), HaveField("Copies", int32(2)), HaveField("TrailARNs", HaveLen(3)))))

		arns = append(arns, w.trail(account, region, "five", nil))
		found = w.assess(ctx, identity)
		expectRecorded(found, metav1.ConditionTrue, v1alpha1.ReasonRecorded)
		coverage = found.Status.Coverage
		Expect(coverage.TrailCount).To(BeEquivalentTo(5))
		Expect(coverage.RecordedBy).To(Equal(arns[4:]))
		Expect(coverage.CoveredRegions).To(HaveExactElements(HaveField("Region", "*")))
		Expect(coverage.PaidCopies).To(HaveExactElements(
			And(HaveField("Region", "eu-north-1"), HaveField("Copies", int32(1))),
			And(HaveField("Region", "eu-west-1"), HaveField("Copies", int32(3)))))
	})

	It("is read in allowed regions only, where the trails of all regions show", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		identity := w.identity(ctx, v1alpha1.AWSIdentitySpec{AllowedRegions: []string{"eu-north-1", "eu-west-3"}})
		w.trail(account, "ap-south-1", "single", map[string]any{"IsMultiRegionTrail": false})
		found := w.assess(ctx, identity)
		expectRecorded(found, metav1.ConditionFalse, v1alpha1.ReasonNotMultiRegion)
		Expect(found.Status.Coverage.Trails).To(HaveExactElements(
			HaveField("Gaps", ConsistOf(v1alpha1.GapNotMultiRegion, v1alpha1.GapStatusUnknown, v1alpha1.GapEventsUnknown))))

		arn := w.trail(account, "eu-west-1", "audit", nil)
		w.selects(account, "eu-west-1", arn, advancedAll)
		found = w.assess(ctx, identity)
		expectRecorded(found, metav1.ConditionTrue, v1alpha1.ReasonRecorded)
		Expect(found.Status.Coverage.RecordedBy).To(Equal([]string{arn}))
		for _, call := range w.AWS.Calls() {
			if call.Operation != "GetCallerIdentity" {
				Expect(call.Region).To(Equal("eu-north-1"), call.Operation)
			}
		}
	})

	DescribeTable("is unknown while AWS denies a read, and says which permission is missing",
		func(ctx context.Context, operation string) {
			w := newWorld(ctx, cloudtrailtest.Options{})
			identity := w.identity(ctx, v1alpha1.AWSIdentitySpec{})
			arn := w.trail(account, region, "audit", nil)
			w.selects(account, region, arn, withoutKMS)
			w.selects(account, region, arn, advancedAll)
			w.AWS.Inject(cloudtrailtest.Fault{Operation: operation, Code: "AccessDeniedException"})
			if operation == "ListTrails" {
				w.do(account, region, "StopLogging", map[string]any{"Name": arn})
			}
			found := w.assess(ctx, identity)
			Expect(expectRecorded(found, metav1.ConditionUnknown, v1alpha1.ReasonAccessDenied)).
				To(ContainSubstring("needs permission for cloudtrail:" + operation))
			Expect(w.DrainEvents()).To(BeEmpty())

			w.AWS.ClearFaults()
			w.do(account, region, "StartLogging", map[string]any{"Name": arn})
			w.Clock.Add(11 * time.Minute)
			_, err := w.reconcile(ctx, identity)
			Expect(err).NotTo(HaveOccurred())
			expectRecorded(w.get(ctx, identity), metav1.ConditionTrue, v1alpha1.ReasonRecorded)
		},
		Entry("of the list", "ListTrails"),
		Entry("of the settings", "DescribeTrails"),
		Entry("of the status", "GetTrailStatus"),
		Entry("of the selectors", "GetEventSelectors"),
	)

	It("is recorded, whatever else cannot be read", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		identity := w.identity(ctx, v1alpha1.AWSIdentitySpec{})
		w.trail(account, region, "audit", nil)
		for _, operation := range []string{"ListTrails", "GetEventSelectors", "ListTags"} {
			w.AWS.Inject(cloudtrailtest.Fault{Operation: operation, Code: "AccessDeniedException"})
		}
		expectRecorded(w.assess(ctx, identity), metav1.ConditionTrue, v1alpha1.ReasonRecorded)
	})

	It("is unknown while its identity cannot be used", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{RegisteredRolesOnly: true})
		identity := w.identity(ctx, v1alpha1.AWSIdentitySpec{RoleARN: roleIn("444455556666")})
		found := w.assess(ctx, identity)
		Expect(expectRecorded(found, metav1.ConditionUnknown, v1alpha1.ReasonIdentityUnusable)).
			To(ContainSubstring("AssumeRole"))
		Expect(found.Status.Coverage).To(BeNil())
	})

	It("is believed through a passing fault, for two hours", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		identity := w.identity(ctx, v1alpha1.AWSIdentitySpec{})
		w.trail(account, region, "audit", nil)
		found := w.assess(ctx, identity)
		expectRecorded(found, metav1.ConditionTrue, v1alpha1.ReasonRecorded)

		w.AWS.Inject(cloudtrailtest.Fault{Operation: "DescribeTrails", Code: "InternalFailure"})
		w.Clock.Add(61 * time.Minute)
		_, err := w.reconcile(ctx, identity)
		Expect(err).To(MatchError(ContainSubstring("InternalFailure")))
		Expect(w.get(ctx, identity).ResourceVersion).To(Equal(found.ResourceVersion))
		w.Clock.Add(time.Hour + 5*time.Minute)
		_, err = w.reconcile(ctx, identity)
		Expect(err).To(MatchError(ContainSubstring("InternalFailure")))
		late := w.get(ctx, identity)
		expectRecorded(late, metav1.ConditionUnknown, v1alpha1.ReasonRetrying)
		Expect(late.Status.Coverage).To(Equal(found.Status.Coverage), "with the time that it is of")

		w.AWS.ClearFaults()
		expectRecorded(w.assess(ctx, identity), metav1.ConditionTrue, v1alpha1.ReasonRecorded)
	})

	It("is asked for once an hour, and written then", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		identity := w.identity(ctx, v1alpha1.AWSIdentitySpec{})
		w.trail(account, region, "audit", nil)
		found := w.assess(ctx, identity)
		w.AWS.ResetCalls()
		for range 3 {
			w.Clock.Add(15 * time.Minute)
			result, err := w.reconcile(ctx, identity)
			Expect(err).NotTo(HaveOccurred())
			Expect(result.RequeueAfter).To(BeNumerically(">", 0))
		}
		w.restart() // The status is as good as any memory.
		_, err := w.reconcile(ctx, identity)
		Expect(err).NotTo(HaveOccurred())
		Expect(w.AWS.Calls()).To(BeEmpty())
		Expect(w.get(ctx, identity).ResourceVersion).To(Equal(found.ResourceVersion))

		w.Clock.Add(30 * time.Minute)
		_, err = w.reconcile(ctx, identity)
		Expect(err).NotTo(HaveOccurred())
		Expect(w.AWS.CallCounts()).To(Equal(map[string]int{
			"GetCallerIdentity": 1, "ListTrails": 1, "DescribeTrails": 1, "ListTags": 1, "GetTrailStatus": 1,
		}))
		later := w.get(ctx, identity)
		Expect(later.Status.Coverage.AssessedTime.Time).To(BeTemporally(">", found.Status.Coverage.AssessedTime.Time))
		later.Status.Coverage.AssessedTime = found.Status.Coverage.AssessedTime
		Expect(later.Status).To(Equal(found.Status))
	})

	It("is assessed at once when somebody asks", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		identity := w.identity(ctx, v1alpha1.AWSIdentitySpec{})
		expectRecorded(w.assess(ctx, identity), metav1.ConditionFalse, v1alpha1.ReasonNoTrail)
		w.trail(account, region, "audit", nil)
		asking := w.get(ctx, identity)
		asking.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"}
		Expect(w.Client.Update(ctx, asking)).To(Succeed())
		_, err := w.reconcile(ctx, identity)
		Expect(err).NotTo(HaveOccurred())
		found := w.get(ctx, identity)
		expectRecorded(found, metav1.ConditionTrue, v1alpha1.ReasonRecorded)
		_, err = w.reconcile(ctx, identity)
		Expect(err).NotTo(HaveOccurred())
		Expect(w.get(ctx, identity).ResourceVersion).To(Equal(found.ResourceVersion), "once")
	})

	It("is not spoken of any more when nobody wants it assessed", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		identity := w.identity(ctx, v1alpha1.AWSIdentitySpec{})
		found := w.assess(ctx, identity)
		expectRecorded(found, metav1.ConditionFalse, v1alpha1.ReasonNoTrail)
		found.Spec.AssessCoverage = nil
		Expect(w.Client.Update(ctx, found)).To(Succeed())
		w.AWS.ResetCalls()
		found = w.assess(ctx, identity)
		Expect(recordedOf(found)).To(BeNil())
		Expect(found.Status.Coverage).To(BeNil())
		Expect(w.AWS.Calls()).To(BeEmpty())
	})
})

var _ = Describe("An organization's trail", func() {
	const management, delegated = "999988887777", "777766665555"
	members := []string{"444455556666", "333322221111"}

	// organization returns a world with an organization, and identities of members by their accounts.
	organization := func(ctx context.Context) (*world, map[string]*v1alpha1.AWSIdentity) {
		GinkgoHelper()
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.AWS.SetOrganization(cloudtrailtest.Organization{
			ID: "o-exampleorgid", ManagementAccount: management, Members: members, DelegatedAdministrators: []string{delegated},
		})
		identities := map[string]*v1alpha1.AWSIdentity{}
		for _, member := range append(members, delegated) {
			identities[member] = w.identity(ctx, v1alpha1.AWSIdentitySpec{RoleARN: roleIn(member)})
		}
		return w, identities
	}
	// setAccount sets what the controller of identities would have found out.
	setAccount := func(ctx context.Context, w *world, identity *v1alpha1.AWSIdentity, account string) {
		GinkgoHelper()
		before := w.get(ctx, identity)
		after := before.DeepCopy()
		after.Status.AccountID = account
		Expect(w.Client.Status().Patch(ctx, after, client.MergeFrom(before))).To(Succeed())
	}

	It("records all members", func(ctx context.Context) {
		w, identities := organization(ctx)
		arn := w.trail(management, region, "org", map[string]any{"IsOrganizationTrail": true})
		for member, identity := range identities {
			found := w.assess(ctx, identity)
			Expect(expectRecorded(found, metav1.ConditionTrue, v1alpha1.ReasonRecorded)).To(ContainSubstring(member))
			Expect(found.Status.Coverage.RecordedBy).To(Equal([]string{arn}))
		}
		w.do(management, region, "StopLogging", map[string]any{"Name": arn})
		for _, identity := range identities {
			expectRecorded(w.assess(ctx, identity), metav1.ConditionFalse, v1alpha1.ReasonNotLogging)
		}
	})

	It("is known to members by the owner's identity, where they may not read it", func(ctx context.Context) {
		w, identities := organization(ctx)
		arn := w.trail(management, region, "org", map[string]any{"IsOrganizationTrail": true})
		w.selects(management, region, arn, advancedAll)
		for _, member := range members {
			found := w.assess(ctx, identities[member])
			Expect(expectRecorded(found, metav1.ConditionUnknown, v1alpha1.ReasonOwnerNotAssessed)).
				To(ContainSubstring("an AWSIdentity of account " + management))
		}
		expectRecorded(w.assess(ctx, identities[delegated]), metav1.ConditionTrue, v1alpha1.ReasonRecorded)

		owner := w.identity(ctx, v1alpha1.AWSIdentitySpec{RoleARN: roleIn(management)})
		expectRecorded(w.assess(ctx, owner), metav1.ConditionTrue, v1alpha1.ReasonRecorded)
		setAccount(ctx, w, owner, management)
		member := identities[members[0]]
		setAccount(ctx, w, member, members[0])
		found := w.assess(ctx, member)
		expectRecorded(found, metav1.ConditionTrue, v1alpha1.ReasonRecorded)

		By("the owner narrows it")
		w.selects(management, region, arn, advancedReads)
		expectRecorded(w.assess(ctx, owner), metav1.ConditionFalse, v1alpha1.ReasonEventsExcluded)
		Expect(expectRecorded(w.assess(ctx, member), metav1.ConditionFalse, v1alpha1.ReasonEventsExcluded)).
			To(ContainSubstring("leaves out all write events"))

		By("nobody looks at it for the owner any more")
		w.selects(management, region, arn, advancedAll)
		expectRecorded(w.assess(ctx, owner), metav1.ConditionTrue, v1alpha1.ReasonRecorded)
		w.Clock.Add(3 * time.Hour)
		expectRecorded(w.assess(ctx, member), metav1.ConditionUnknown, v1alpha1.ReasonOwnerNotAssessed)
	})
})

var _ = Describe("Options", func() {
	It("are refused when they are not complete", func() {
		_, err := accountcoverage.New(accountcoverage.Options{})
		Expect(err).To(MatchError(ContainSubstring("are required")))
	})
})
