package v1alpha1_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

var _ = Describe("The defaults of a Trail, which the CRD does not have", func() {
	DescribeTable("trail name",
		func(inSpec, want string) {
			trail := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Name: "object"}, Spec: v1alpha1.TrailSpec{Name: inSpec}}
			Expect(trail.TrailName()).To(Equal(want))
		},
		Entry("absent: metadata.name", "", "object"),
		Entry("given", "main", "main"),
	)

	DescribeTable("identity",
		func(reference *v1alpha1.IdentityReference, want string) {
			Expect((&v1alpha1.Trail{Spec: v1alpha1.TrailSpec{IdentityRef: reference}}).IdentityName()).To(Equal(want))
			Expect((&v1alpha1.EventLookup{Spec: v1alpha1.EventLookupSpec{IdentityRef: reference}}).IdentityName()).
				To(Equal(want))
		},
		Entry("absent: default", nil, "default"),
		Entry("given", &v1alpha1.IdentityReference{Name: "production"}, "production"),
	)

	DescribeTable("booleans",
		func(set func(*v1alpha1.TrailSpec, *bool), get func(*v1alpha1.TrailSpec) bool, byDefault bool) {
			var spec v1alpha1.TrailSpec
			Expect(get(&spec)).To(Equal(byDefault), "absent")
			set(&spec, new(true))
			Expect(get(&spec)).To(BeTrue(), "true")
			set(&spec, new(false))
			Expect(get(&spec)).To(BeFalse(), "false")
		},
		Entry("logging", func(s *v1alpha1.TrailSpec, b *bool) { s.Logging = b }, (*v1alpha1.TrailSpec).LoggingDesired, true),
		Entry("includeGlobalServiceEvents", func(s *v1alpha1.TrailSpec, b *bool) { s.IncludeGlobalServiceEvents = b },
			(*v1alpha1.TrailSpec).GlobalServiceEventsDesired, true),
		Entry("isMultiRegionTrail", func(s *v1alpha1.TrailSpec, b *bool) { s.IsMultiRegionTrail = b },
			(*v1alpha1.TrailSpec).MultiRegionDesired, false),
		Entry("enableLogFileValidation", func(s *v1alpha1.TrailSpec, b *bool) { s.EnableLogFileValidation = b },
			(*v1alpha1.TrailSpec).LogFileValidationDesired, false),
		Entry("isOrganizationTrail", func(s *v1alpha1.TrailSpec, b *bool) { s.IsOrganizationTrail = b },
			(*v1alpha1.TrailSpec).OrganizationDesired, false),
		Entry("suspend", func(s *v1alpha1.TrailSpec, b *bool) { s.Suspend = b }, (*v1alpha1.TrailSpec).Suspended, false),
	)

	DescribeTable("policies",
		func(spec v1alpha1.TrailSpec, observed bool, adoption v1alpha1.AdoptionPolicy, retained bool) {
			Expect(spec.ObserveOnly()).To(Equal(observed), "observed")
			Expect(spec.Adoption()).To(Equal(adoption), "adoption")
			Expect(spec.Retained()).To(Equal(retained), "retained")
		},
		Entry("absent: Manage, Never, Delete", v1alpha1.TrailSpec{}, false, v1alpha1.AdoptionPolicyNever, false),
		Entry("written out", v1alpha1.TrailSpec{
			ManagementPolicy: v1alpha1.ManagementPolicyManage,
			AdoptionPolicy:   v1alpha1.AdoptionPolicyNever,
			DeletionPolicy:   v1alpha1.DeletionPolicyDelete,
		}, false, v1alpha1.AdoptionPolicyNever, false),
		Entry("the others", v1alpha1.TrailSpec{
			ManagementPolicy: v1alpha1.ManagementPolicyObserve,
			AdoptionPolicy:   v1alpha1.AdoptionPolicyIfUnowned,
			DeletionPolicy:   v1alpha1.DeletionPolicyRetain,
		}, true, v1alpha1.AdoptionPolicyIfUnowned, true),
		Entry("adoption of every trail", v1alpha1.TrailSpec{AdoptionPolicy: v1alpha1.AdoptionPolicyAlways},
			false, v1alpha1.AdoptionPolicyAlways, false),
	)

	DescribeTable("interval",
		func(interval *metav1.Duration, want time.Duration) {
			Expect((&v1alpha1.TrailSpec{Interval: interval}).ResyncInterval(5 * time.Minute)).To(Equal(want))
		},
		Entry("absent: the operator's", nil, 5*time.Minute),
		Entry("given", &metav1.Duration{Duration: time.Hour}, time.Hour),
	)
})

var _ = DescribeTable("ReconcileRequest",
	func(annotations map[string]string, want string) {
		Expect(v1alpha1.ReconcileRequest(&v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}})).
			To(Equal(want))
	},
	Entry("no annotations", nil, ""),
	Entry("other annotations", map[string]string{"a": "b"}, ""),
	Entry("ours", map[string]string{"trail-operator.dev/reconcile-at": "1"}, "1"),
	Entry("Flux's", map[string]string{"reconcile.fluxcd.io/requestedAt": "1"}, "1"),
	Entry("the later of both, ours", map[string]string{
		"trail-operator.dev/reconcile-at": "2026-01-02T00:00:00Z",
		"reconcile.fluxcd.io/requestedAt": "2026-01-01T00:00:00Z",
	}, "2026-01-02T00:00:00Z"),
	Entry("the later of both, Flux's", map[string]string{
		"trail-operator.dev/reconcile-at": "2026-01-01T00:00:00Z",
		"reconcile.fluxcd.io/requestedAt": "2026-01-02T00:00:00Z",
	}, "2026-01-02T00:00:00Z"),
)

var _ = Describe("An EventLookup", func() {
	at := func(day int) *metav1.Time { return &metav1.Time{Time: time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC)} }

	It("keeps 100 events unless it says otherwise", func() {
		Expect((&v1alpha1.EventLookupSpec{}).MaxEvents()).To(Equal(100))
		Expect((&v1alpha1.EventLookupSpec{MaxResults: new(int32(7))}).MaxEvents()).To(Equal(7))
	})

	DescribeTable("expires",
		func(ttl *int32, completed, want *metav1.Time) {
			lookup := &v1alpha1.EventLookup{
				Spec:   v1alpha1.EventLookupSpec{TTLSecondsAfterFinished: ttl},
				Status: v1alpha1.EventLookupStatus{CompletionTime: completed},
			}
			expiry, expires := lookup.ExpiresAt()
			Expect(expires).To(Equal(want != nil))
			Expect(lookup.Finished()).To(Equal(completed != nil))
			if want != nil {
				Expect(expiry).To(BeTemporally("==", want.Time))
			}
		},
		Entry("never without a time to live", nil, at(1), nil),
		Entry("never while it is not finished", new(int32(0)), nil, nil),
		Entry("at once", new(int32(0)), at(1), at(1)),
		Entry("after a day", new(int32(86400)), at(1), at(2)),
	)
})
