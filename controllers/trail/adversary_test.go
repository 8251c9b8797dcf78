package trail_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// full is what people have: data selectors, insights, aggregation, tags, a prefix and validation.
var full = v1alpha1.TrailSpec{
	S3BucketName: "trail-logs", S3KeyPrefix: "audit", EnableLogFileValidation: truthy(), IsMultiRegionTrail: truthy(),
	AdvancedEventSelectors: []v1alpha1.AdvancedEventSelector{
		{Name: "management", FieldSelectors: []v1alpha1.AdvancedFieldSelector{managementOnly}}, dataEvents[0],
	},
	InsightSelectors: []v1alpha1.InsightSelector{{InsightType: "ApiCallRateInsight"}},
	AggregationConfigurations: []v1alpha1.AggregationConfiguration{
		{EventCategory: "Data", Templates: []v1alpha1.AggregationTemplate{"API_ACTIVITY"}},
	},
	Tags: []v1alpha1.Tag{{Key: "team", Value: "security"}, {Key: "stage", Value: "live"}},
}

// ours returns a world in which a trail of this spec is in sync.
func ours(ctx context.Context, options cloudtrailtest.Options, spec v1alpha1.TrailSpec) *world {
	GinkgoHelper()
	w := newHistory(ctx, options)
	w.prepareResources()
	w.apply(ctx, "audit", spec)
	w.expectSettled(ctx, "audit", spec)
	for _, event := range w.DrainEvents() {
		Expect(event).NotTo(ContainSubstring("Drift"))
	}
	return w
}

// stop makes the intruder stop the trail.
func (w *world) stop() {
	GinkgoHelper()
	w.do(w.intruder(), "StopLogging", map[string]any{"Name": "audit"})
}

// deny makes AWS deny the operator an operation.
func (w *world) deny(operation, code string) {
	w.AWS.Inject(cloudtrailtest.Fault{
		Operation: operation,
		Code:      code,
		Message:   "no",
		Status:    map[bool]int{true: 500}[code == "InternalFailure"],
	})
}

// lookAnyway makes the controller look although it may fail: the queue would look again.
func (w *world) lookAnyway(ctx context.Context) *v1alpha1.Trail {
	GinkgoHelper()
	w.look(ctx, "audit") //nolint:errcheck // As said.
	return w.get(ctx, "audit")
}

// What guards logging waits for nothing else that AWS refuses.
var _ = Describe("A stopped trail", func() {
	for _, operation := range []string{
		"DescribeTrails", "ListTags", "GetEventSelectors", "GetInsightSelectors", "GetEventConfiguration",
		"UpdateTrail", "PutEventSelectors", "PutInsightSelectors", "PutEventConfiguration", "AddTags", "RemoveTags",
	} {
		for _, code := range []string{"AccessDeniedException", "InternalFailure"} {
			if operation == "ListTags" && code == "InternalFailure" {
				continue // Whose the trail is will be known in a moment.
			}
			It(fmt.Sprintf("logs again although %s is answered with %s", operation, code), func(ctx context.Context) {
				w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
				w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3KeyPrefix": "elsewhere"})
				w.do(w.intruder(), "PutInsightSelectors", map[string]any{"TrailName": "audit", "InsightSelectors": []any{}})
				w.stop()
				w.deny(operation, code)
				found := w.lookAnyway(ctx)

				Expect(w.held("audit").IsLogging).To(BeTrue())
				Expect(*found.Status.IsLogging).To(BeTrue())
				expectCondition(found, v1alpha1.ConditionLogging, metav1.ConditionTrue, v1alpha1.ReasonLogging)
				Expect(found.Status.LastDrift.Fields).To(ContainElement("logging"))
			})
		}
	}

	for _, operation := range []string{"PutEventSelectors", "PutInsightSelectors", "PutEventConfiguration"} {
		for _, code := range []string{"AccessDeniedException", "InternalFailure", "InvalidParameterException"} {
			It(fmt.Sprintf("does not come about when %s of a new trail is answered with %s", operation, code),
				func(ctx context.Context) {
					w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
					w.apply(ctx, "audit", full)
					w.deny(operation, code)
					w.lookAnyway(ctx)
					Expect(w.held("audit").IsLogging).To(BeTrue())
				})
		}
	}

	for _, operation := range []string{"PutEventSelectors", "PutInsightSelectors", "PutEventConfiguration"} {
		It(fmt.Sprintf("does not come about when %s of a new trail is not answered", operation), func(ctx context.Context) {
			w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
			w.maxWait = 50 * time.Millisecond
			w.restart()
			w.apply(ctx, "audit", full)
			var asked atomic.Bool
			answered := make(chan struct{})
			DeferCleanup(func() { close(answered) })
			w.onSending(func(request *http.Request) {
				if operationOf(request) == operation {
					asked.Store(true)
					<-answered
				}
			})
			Eventually(func() bool {
				w.look(ctx, "audit") //nolint:errcheck // The queue would look again.
				return asked.Load()
			}).WithContext(ctx).WithTimeout(soon).Should(BeTrue(), "it is asked for in the end")
			Expect(w.held("audit").IsLogging).To(BeTrue())
		})
	}
})

// A step that AWS refuses is held alone.
var _ = Describe("A refusal", func() {
	It("of tags, which an intruder has used up, disarms nothing else", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		arn := w.held("audit").ARN
		w.do(w.intruder(), "RemoveTags", map[string]any{"ResourceId": arn, "TagsList": []any{map[string]any{"Key": "team"}}})
		var tags []any
		for i := range 48 {
			tags = append(tags, map[string]any{"Key": fmt.Sprintf("intruder-%02d", i), "Value": ""})
		}
		w.do(w.intruder(), "AddTags", map[string]any{"ResourceId": arn, "TagsList": tags})
		found := w.lookAnyway(ctx)
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, "TagsLimitExceededException")
		Expect(found.Status.LastDrift.Fields).To(ConsistOf("tags"))

		w.DrainEvents()
		w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3BucketName": "intruders-bucket"})
		w.do(w.intruder(), "PutEventSelectors", map[string]any{
			"TrailName":      "audit",
			"EventSelectors": []any{map[string]any{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": true}},
		})
		w.stop()
		found = w.lookAnyway(ctx)
		held := w.held("audit")
		Expect(held.IsLogging).To(BeTrue())
		Expect(held.S3BucketName).To(Equal("trail-logs"))
		Expect(held.AdvancedEventSelectors).To(HaveLen(2))
		Expect(found.Status.LastDrift.Fields).To(ConsistOf("logging", "s3BucketName", "advancedEventSelectors"))
		Expect(found.Status.LastDrift.RepairedTime).NotTo(BeNil())
		Expect(w.DrainEvents()).
			To(ContainElement("Warning DriftDetected AWS was changed in: advancedEventSelectors, logging, s3BucketName"))
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, "TagsLimitExceededException")
	})

	It("of one setting keeps no other from being repaired, nor is it tried at every look", func(ctx context.Context) {
		spec := full
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, spec)
		w.AWS.Inject(cloudtrailtest.Fault{
			Operation: "UpdateTrail", Code: "InvalidS3PrefixException", Message: "no", Times: 1,
		})
		spec.S3KeyPrefix = "refused"
		w.apply(ctx, "audit", spec)
		found := w.lookAnyway(ctx)
		expectCondition(found, v1alpha1.ConditionStalled, metav1.ConditionTrue, "InvalidS3PrefixException")

		w.AWS.ResetCalls()
		w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3BucketName": "intruders-bucket"})
		w.AWS.ResetCalls()
		found = w.lookAnyway(ctx)
		Expect(w.held("audit").S3BucketName).To(Equal("trail-logs"))
		Expect(w.held("audit").S3KeyPrefix).To(Equal("audit"), "what was refused was not tried again")
		Expect(writesOf(w.AWS.CallCounts())).To(Equal(map[string]int{"UpdateTrail": 1}))
		Expect(found.Status.LastDrift.Fields).To(ConsistOf("s3BucketName"))
		expectCondition(found, v1alpha1.ConditionStalled, metav1.ConditionTrue, "InvalidS3PrefixException")
	})

	It("of a new setting keeps no change of another one from being undone at the same look", func(ctx context.Context) {
		spec := full
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, spec)
		w.AWS.PutBucket(cloudtrailtest.Bucket{Name: "denied-bucket", DenyCloudTrail: true})
		spec.S3BucketName = "denied-bucket"
		w.apply(ctx, "audit", spec)
		w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3KeyPrefix": "elsewhere"})
		found := w.lookAnyway(ctx)
		Expect(w.held("audit").S3KeyPrefix).To(Equal("audit"))
		Expect(w.held("audit").S3BucketName).To(Equal("trail-logs"))
		Expect(found.Status.LastDrift.Fields).To(ConsistOf("s3KeyPrefix"))
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, "InsufficientS3BucketPolicyException")
	})

	It("tells a delegated administrator what the management account's trail needs", func(ctx context.Context) {
		const management = "999988887777"
		w := newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true})
		w.AWS.SetOrganization(cloudtrailtest.Organization{
			ManagementAccount:       management,
			ID:                      "o-1234567890",
			DelegatedAdministrators: []string{account},
		})
		w.AWS.PutBucket(cloudtrailtest.Bucket{Name: "trail-logs", DenyCloudTrail: true})
		w.apply(ctx, "audit",
			v1alpha1.TrailSpec{S3BucketName: "trail-logs", IsOrganizationTrail: truthy(), IsMultiRegionTrail: truthy()})
		found := w.lookAnyway(ctx)
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, "InsufficientS3BucketPolicyException")
		Expect(condition(found, v1alpha1.ConditionReady).Message).To(And(
			ContainSubstring("MANAGEMENT-ACCOUNT-ID:trail/audit"),
			ContainSubstring("AWSLogs/MANAGEMENT-ACCOUNT-ID/"),
			Not(ContainSubstring(account+":trail/audit")),
		))

		By("another trail of the organization, which tells whose they are")
		admin := w.AWS.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::" + management + ":user/admin"})
		w.do(admin, "CreateTrail", map[string]any{
			"Name":                "other",
			"S3BucketName":        "other-logs",
			"IsOrganizationTrail": true,
			"IsMultiRegionTrail":  true,
		})
		w.Clock.Add(10 * time.Minute)
		Expect(condition(w.lookAnyway(ctx), v1alpha1.ConditionReady).Message).To(And(
			ContainSubstring(management+":trail/audit"),
			ContainSubstring("AWSLogs/"+management+"/"),
			Not(ContainSubstring(account+":trail/audit")),
		))
	})
})

// A trail that was ours stays ours.
var _ = Describe("A trail whose owner tag is removed", func() {
	for _, policy := range []v1alpha1.AdoptionPolicy{"", v1alpha1.AdoptionPolicyNever, v1alpha1.AdoptionPolicyIfUnowned} {
		It(fmt.Sprintf("is repaired, tagged again and told, under adoptionPolicy %q", policy), func(ctx context.Context) {
			spec := full
			spec.AdoptionPolicy = policy
			w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, spec)
			w.do(w.intruder(), "RemoveTags", map[string]any{
				"ResourceId": w.held("audit").ARN, "TagsList": []any{map[string]any{"Key": v1alpha1.OwnerTagKey}},
			})
			w.stop()
			found := w.expectSettled(ctx, "audit", spec)
			Expect(w.held("audit").Tags).To(HaveKeyWithValue(v1alpha1.OwnerTagKey, w.owner("audit")))
			Expect(w.held("audit").IsLogging).To(BeTrue())
			Expect(found.Status.LastDrift.Fields).To(ConsistOf("logging", "ownerTag"))
			Expect(w.conclude(ctx, "audit").Actor).To(HaveSuffix("user/intruder"))
		})
	}

	It("is logging again even when it cannot be tagged again", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.do(w.intruder(), "RemoveTags", map[string]any{
			"ResourceId": w.held("audit").ARN, "TagsList": []any{map[string]any{"Key": v1alpha1.OwnerTagKey}},
		})
		w.stop()
		w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3BucketName": "intruders-bucket"})
		w.deny("AddTags", "TagsLimitExceededException")
		w.lookAnyway(ctx)
		Expect(w.held("audit").IsLogging).To(BeTrue())
		Expect(w.held("audit").S3BucketName).To(Equal("trail-logs"))
	})

	It("is told of, and goes on being reported, when another's tag is put on it; it is not fought over",
		func(ctx context.Context) {
			w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
			w.do(w.intruder(), "AddTags", map[string]any{"ResourceId": w.held("audit").ARN, "TagsList": []any{
				map[string]any{"Key": v1alpha1.OwnerTagKey, "Value": "another-cluster/a/b"},
			}})
			w.stop()
			w.AWS.ResetCalls()
			found := w.lookAnyway(ctx)
			Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty())
			expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonOwnedByAnother)
			Expect(condition(found, v1alpha1.ConditionReady).Message).
				To(And(ContainSubstring("this object managed or observed"), ContainSubstring("another-cluster/a/b")))
			Expect(found.Status.LastDrift.Fields).To(ContainElements("ownerTag", "logging"))
			Expect(found.Status.TrailARN).To(Equal(w.held("audit").ARN))
			expectCondition(found, v1alpha1.ConditionLogging, metav1.ConditionFalse, v1alpha1.ReasonStopped)
			Expect(w.conclude(ctx, "audit").Actor).To(HaveSuffix("user/intruder"))

			By("reporting on")
			w.do(w.intruder(), "StartLogging", map[string]any{"Name": "audit"})
			found = w.lookAnyway(ctx)
			expectCondition(found, v1alpha1.ConditionLogging, metav1.ConditionTrue, v1alpha1.ReasonLogging)
			Expect(*found.Status.IsLogging).To(BeTrue())

			By("not taking it back when the other lets go of it")
			w.do(w.intruder(), "RemoveTags", map[string]any{
				"ResourceId": w.held("audit").ARN, "TagsList": []any{map[string]any{"Key": v1alpha1.OwnerTagKey}},
			})
			w.AWS.ResetCalls()
			expectCondition(w.lookAnyway(ctx), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNotOwned)
			Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty())
		})
})

// Whether a difference is drift does not depend on what is shown.
var _ = Describe("A change", func() {
	for _, c := range []struct{ operation, code string }{
		{"DescribeTrails", "AccessDeniedException"}, {"DescribeTrails", "InternalFailure"},
		{"ListTags", "AccessDeniedException"}, {"GetInsightSelectors", "AccessDeniedException"},
		{"GetTrailStatus", "InternalFailure"}, {"GetTrailStatus", "AccessDeniedException"},
	} {
		It(fmt.Sprintf("that was made while %s was answered with %s is drift, and has a name", c.operation, c.code),
			func(ctx context.Context) {
				w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
				w.deny(c.operation, c.code)
				w.lookAnyway(ctx)
				w.Clock.Add(2 * time.Minute)
				w.lookAnyway(ctx)
				w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3BucketName": "intruders-bucket"})
				w.AWS.ClearFaults()
				w.DrainEvents()
				found := w.expectSettled(ctx, "audit", full)
				Expect(found.Status.LastDrift).NotTo(BeNil())
				Expect(found.Status.LastDrift.Fields).To(ConsistOf("s3BucketName"))
				Expect(w.DrainEvents()).To(ContainElements(
					"Warning DriftDetected AWS was changed in: s3BucketName", "Normal DriftRepaired UpdateTrail{s3BucketName}"))
				Expect(w.conclude(ctx, "audit").Actor).To(HaveSuffix("user/intruder"))
			})
	}

	It("under Observe is told, each for itself and once, also after the first", func(ctx context.Context) {
		spec := full
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, spec)
		spec.ManagementPolicy = v1alpha1.ManagementPolicyObserve
		w.apply(ctx, "audit", spec)
		w.lookAnyway(ctx)
		detected := func() (events []string) {
			for _, event := range w.DrainEvents() {
				if strings.HasPrefix(event, "Warning DriftDetected") {
					events = append(events, event)
				}
			}
			return events
		}
		for _, c := range []struct {
			change map[string]any
			told   string
			found  string
		}{
			{map[string]any{"Name": "audit", "S3BucketName": "one-bucket"}, "s3BucketName", "one-bucket"},
			{map[string]any{"Name": "audit", "S3KeyPrefix": "elsewhere"}, "s3KeyPrefix", "elsewhere"},
			{map[string]any{"Name": "audit", "S3BucketName": "other-bucket"}, "s3BucketName", "other-bucket"},
		} {
			w.do(w.intruder(), "UpdateTrail", c.change)
			found := w.lookAnyway(ctx)
			Expect(detected()).To(ConsistOf("Warning DriftDetected AWS was changed in: " + c.told))
			Expect(found.Status.LastDrift.Fields).To(ConsistOf(c.told))
			Expect(found.Status.Differences).To(ContainElement(v1alpha1.Difference{Field: c.told, Found: c.found}))
			w.lookAnyway(ctx)
			w.restart()
			w.lookAnyway(ctx)
			Expect(detected()).To(BeEmpty())
		}
		w.do(w.intruder(), "UpdateTrail",
			map[string]any{"Name": "audit", "S3BucketName": "trail-logs", "S3KeyPrefix": "audit"})
		found := w.lookAnyway(ctx)
		Expect(found.Status.Differences).To(BeEmpty())
		Expect(found.Status.LastDrift.RepairedTime).NotTo(BeNil())
	})

	It("right after a look is seen when a person asks for another one", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3BucketName": "intruders-bucket"})
		object := w.get(ctx, "audit")
		before := object.DeepCopy()
		object.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"}
		Expect(w.Client.Patch(ctx, object, client.MergeFrom(before))).To(Succeed())
		_, err := w.lookAfter(ctx, "audit", 100*time.Millisecond)
		Expect(err).NotTo(HaveOccurred())
		Expect(w.held("audit").S3BucketName).To(Equal("trail-logs"))
		Expect(w.get(ctx, "audit").Status.LastHandledReconcileAt).To(Equal("now"))
	})

	It("of the user and one of an intruder at once are told apart", func(ctx context.Context) {
		spec := full
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, spec)
		w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3BucketName": "intruders-bucket"})
		spec.InsightSelectors = nil
		w.apply(ctx, "audit", spec)
		w.restart()
		found := w.expectSettled(ctx, "audit", spec)
		Expect(found.Status.LastDrift.Fields).To(ConsistOf("s3BucketName"))
		Expect(w.DrainEvents()).
			To(ContainElements("Normal DriftRepaired UpdateTrail{s3BucketName}", "Normal Updated PutInsightSelectors"))
	})

	It("is told although the process dies right after its repair", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.stop()
		dying, cancel := context.WithCancel(ctx)
		w.onSending(func(request *http.Request) {
			if operationOf(request) == "StartLogging" {
				cancel() // The call is made; nothing else is.
			}
		})
		w.look(dying, "audit") //nolint:errcheck // It dies.
		w.onSending(nil)
		Eventually(func() bool { return w.held("audit").IsLogging }).Should(BeTrue(), "the call that was under way")
		w.restart()
		found := w.expectSettled(ctx, "audit", full)
		Expect(found.Status.LastDrift.Fields).To(ConsistOf("logging"))
		Expect(found.Status.LastDrift.RepairedTime).NotTo(BeNil())
		told := 0
		for _, event := range w.DrainEvents() {
			if strings.HasPrefix(event, "Warning DriftDetected") {
				told++
			}
		}
		Expect(told).To(Equal(1))
	})

	It("is not invented by a read that fails after a repair", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3BucketName": "intruders-bucket"})
		var started atomic.Int32
		w.onSending(func(request *http.Request) {
			switch operationOf(request) {
			case "UpdateTrail":
				w.deny("GetTrailStatus", "InternalFailure")
			case "StartLogging":
				started.Add(1)
			}
		})
		Expect(*w.lookAnyway(ctx).Status.IsLogging).To(BeTrue(), "what could not be read stays as it was")
		w.AWS.ClearFaults()
		found := w.expectSettled(ctx, "audit", full)
		w.onSending(nil)
		Expect(found.Status.LastDrift.Fields).To(ConsistOf("s3BucketName"))
		Expect(started.Load()).To(BeZero(), "it was never stopped")
		Expect(w.conclude(ctx, "audit").Actor).To(HaveSuffix("user/intruder"))
	})
})

// Who made a drift is named when it is certain.
var _ = Describe("A repair", func() {
	It("does not wait for an API server that takes no writes", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.stop()
		w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3KeyPrefix": "elsewhere"})
		w.writing = func(int, func() error) error { return apierrors.NewInternalError(errors.New("no space left")) }
		w.lookAnyway(ctx)
		w.expectHeld("audit", full)

		By("telling the drift as soon as it can be written down")
		w.writing = nil
		Expect(w.lookAnyway(ctx).Status.LastDrift.Fields).To(ConsistOf("logging", "s3KeyPrefix"))
	})

	It("is not made by a spec that is changed while the drift is written down", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3KeyPrefix": "elsewhere"})
		changed := full
		changed.S3KeyPrefix = "changed"
		w.writing = func(_ int, write func() error) error {
			w.writing = nil
			w.apply(ctx, "audit", changed)
			return write()
		}
		w.AWS.ResetCalls()
		w.lookAnyway(ctx)
		Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty())
		w.expectSettled(ctx, "audit", changed)
	})
})

var _ = Describe("The name of who made a drift", func() {
	It("is that of who stopped the trail last, although the history shows another's call first",
		func(ctx context.Context) {
			w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true, HistoryLag: time.Minute}, full)
			w.do(w.user("clumsy", "203.0.113.1"), "StopLogging", map[string]any{"Name": "audit"})
			w.Clock.Add(2 * time.Second)
			w.do(w.user("clumsy", "203.0.113.1"), "StartLogging", map[string]any{"Name": "audit"})
			w.Clock.Add(50 * time.Second)
			w.stop()
			w.Clock.Add(-45 * time.Second) // The next look is a minute later.
			w.lookAnyway(ctx)
			w.attribute(ctx, "audit")
			drift := w.get(ctx, "audit").Status.LastDrift
			Expect(drift.Attribution).NotTo(Equal(v1alpha1.DriftAttributionFound), "the history shows the innocent's call alone")
			Expect(w.conclude(ctx, "audit").Actor).To(HaveSuffix("user/intruder"))
		})

	It("is that of the last call that changed the field, and not of a later one that changed another or nothing",
		func(ctx context.Context) {
			w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
			w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3BucketName": "intruders-bucket"})
			w.Clock.Add(time.Second)
			w.do(w.user("innocent", "203.0.113.1"), "UpdateTrail",
				map[string]any{"Name": "audit", "EnableLogFileValidation": true})
			w.Clock.Add(time.Second)
			w.do(w.user("innocent", "203.0.113.1"), "UpdateTrail", map[string]any{"Name": "audit", "S3KeyPrefix": "audit"})
			w.lookAnyway(ctx)
			Expect(w.get(ctx, "audit").Status.LastDrift.Fields).To(ConsistOf("s3BucketName"))
			Expect(w.conclude(ctx, "audit").Actor).To(HaveSuffix("user/intruder"))
		})

	It("is found for a change that was made between the read and the repair of another one", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.do(w.user("first", "203.0.113.1"), "StopLogging", map[string]any{"Name": "audit"})
		changed := false
		w.onSending(func(request *http.Request) {
			if operationOf(request) == "StartLogging" && !changed {
				changed = true
				w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3BucketName": "intruders-bucket"})
			}
		})
		w.lookAnyway(ctx)
		w.onSending(nil)
		Expect(w.held("audit").S3BucketName).To(Equal("intruders-bucket"), "it was not known yet")
		w.lookAnyway(ctx)
		Expect(w.get(ctx, "audit").Status.LastDrift.Fields).To(ConsistOf("s3BucketName"))
		Expect(w.conclude(ctx, "audit").Actor).To(HaveSuffix("user/intruder"))
	})

	It("is not that of the operator's former role", func(ctx context.Context) {
		w := newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true})
		roles := []string{"arn:aws:iam::" + account + ":role/blue", "arn:aws:iam::" + account + ":role/green"}
		as := func(role string) {
			identity := &v1alpha1.AWSIdentity{}
			Expect(w.Client.Get(ctx, client.ObjectKey{Name: w.identity}, identity)).To(Succeed())
			identity.Spec.RoleARN = role
			Expect(w.Client.Update(ctx, identity)).To(Succeed())
			w.restart()
		}
		as(roles[0])
		spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs"}
		w.apply(ctx, "audit", spec)
		w.expectSettled(ctx, "audit", spec)
		// By its parameters alone, the repair of selectors cannot be told from a change.
		w.do(w.intruder(), "PutEventSelectors", map[string]any{
			"TrailName":      "audit",
			"EventSelectors": []any{map[string]any{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": true}},
		})
		w.Clock.Add(-50 * time.Second)
		w.lookAnyway(ctx) // Repaired by the first role.
		as(roles[1])
		drift := w.conclude(ctx, "audit")
		Expect(drift.Actor).To(HaveSuffix("user/intruder"))
		Expect(drift.EventTime.Time).To(BeTemporally("<=", drift.DetectedTime.Time))
	})

	It("is found among the noise of failing calls on other trails", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3KeyPrefix": "elsewhere"})
		w.failMany(w.intruder(), "UpdateTrail", map[string]any{"Name": "noise", "S3KeyPrefix": "elsewhere"})
		w.lookAnyway(ctx)
		Expect(w.conclude(ctx, "audit").Actor).To(HaveSuffix("user/intruder"))
	})

	// noise makes so many calls of an operation on another trail, all of which fail, that not all of them are read.
	noise := func(w *world, operation string) {
		GinkgoHelper()
		w.failMany(w.intruder(), operation, map[string]any{"Name": "noise"})
	}

	It("is that of who stopped the trail first, although noise hides all calls but another's later one",
		func(ctx context.Context) {
			w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
			w.stop()
			w.Clock.Add(time.Second)
			noise(w, "StopLogging")
			w.Clock.Add(time.Second)
			w.do(w.user("innocent", "203.0.113.1"), "StopLogging", map[string]any{"Name": "audit"})
			w.lookAnyway(ctx)
			Expect(w.conclude(ctx, "audit").Actor).To(HaveSuffix("user/intruder"))
		})

	It(
		"is that of who stopped the trail last, although noise hides that it was started before",
		func(ctx context.Context) {
			w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
			w.do(w.user("clumsy", "203.0.113.1"), "StopLogging", map[string]any{"Name": "audit"})
			w.Clock.Add(time.Second)
			w.do(w.user("clumsy", "203.0.113.1"), "StartLogging", map[string]any{"Name": "audit"})
			w.Clock.Add(time.Second)
			noise(w, "StartLogging")
			w.Clock.Add(time.Second)
			w.stop()
			w.lookAnyway(ctx)
			Expect(w.conclude(ctx, "audit").Actor).To(HaveSuffix("user/intruder"))
		},
	)

	It("is not certain when not all calls could be read that part one stop from another", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.do(w.user("clumsy", "203.0.113.1"), "StopLogging", map[string]any{"Name": "audit"})
		w.Clock.Add(time.Second)
		w.do(w.user("clumsy", "203.0.113.1"), "StartLogging", map[string]any{"Name": "audit"})
		w.Clock.Add(time.Second)
		w.refuseMany("StartLogging", "audit")
		w.stop()
		w.lookAnyway(ctx)
		drift := w.conclude(ctx, "audit")
		Expect(drift.Attribution).To(Equal(v1alpha1.DriftAttributionNotFound), "whoever is named may be the wrong one")
		Expect(drift.AttributionMessage).To(
			HavePrefix("there are more than 1000 calls of StartLogging in that period, and not all of them could be read"))
	})

	It("is not said to be absent when not all calls could be read", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3KeyPrefix": "elsewhere"})
		w.failMany(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3BucketName": "Not A Bucket"})
		w.lookAnyway(ctx)
		drift := w.conclude(ctx, "audit")
		Expect(drift.Attribution).To(Equal(v1alpha1.DriftAttributionNotFound))
		Expect(drift.AttributionMessage).
			To(ContainSubstring("there are more than 1000 calls of UpdateTrail in that period, and not all of them "))
	})

	It("is kept from being asked for by a fault that lasts, and the object says so", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.stop()
		w.lookAnyway(ctx)
		w.deny("LookupEvents", "InternalFailure")
		w.Clock.Add(2 * time.Minute)
		w.attribute(ctx, "audit")
		Expect(w.get(ctx, "audit").Status.LastDrift.AttributionMessage).To(ContainSubstring("LookupEvents: InternalFailure"))
	})
})

// stale returns a controller whose cache shows the Trail as it is now, for ever.
func (w *world) stale(ctx context.Context) reconcile.Reconciler {
	GinkgoHelper()
	frozen := w.get(ctx, "audit")
	cache := interceptor.NewClient(w.Client, interceptor.Funcs{
		Get: func(
			ctx context.Context, c client.WithWatch, key client.ObjectKey,
			object client.Object, options ...client.GetOption,
		) error {
			if t, ok := object.(*v1alpha1.Trail); ok {
				frozen.DeepCopyInto(t)
				return nil
			}
			return c.Get(ctx, key, object, options...)
		},
	})
	_, late := w.processWith(cache, clusterID, http.DefaultClient)
	return late
}

// A drift is told once, whatever becomes of the answers to its status, and however late the cache is.
var _ = Describe("A status whose answer is lost while the cache lags", func() {
	It("tells a drift once", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		late := w.stale(ctx)
		w.stop()
		lost := 0
		w.writing = func(_ int, write func() error) error {
			err := write()
			if err == nil && lost < 2 { // That of the drift, and that of its repair.
				lost++
				return io.ErrUnexpectedEOF
			}
			return err
		}
		request := reconcile.Request{NamespacedName: client.ObjectKey{Namespace: w.Namespace, Name: "audit"}}
		for range 4 {
			late.Reconcile(ctx, request) //nolint:errcheck // It fails, and is tried again.
			w.Clock.Add(2 * time.Second)
		}

		Expect(lost).To(Equal(2))
		Expect(w.held("audit").IsLogging).To(BeTrue())
		found := w.get(ctx, "audit").Status
		Expect(found.Differences).To(BeEmpty())
		Expect(found.LastDrift.RepairedTime).NotTo(BeNil(), "it is not told again")
		Expect(found.EarlierDrifts).To(BeEmpty())
	})
})

// That a status was written whose answer was lost is known before the cache shows it.
var _ = Describe("A status that conflicts with one whose answer was lost", func() {
	It("is not tried again and again", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		late := w.stale(ctx)
		w.AWS.SetDelivery(trailARN("audit"), cloudtrailtest.Delivery{LatestDeliveryError: aws.String("AccessDenied")})
		w.writing = func(_ int, write func() error) error {
			w.writing = nil
			Expect(write()).To(Succeed())
			return io.ErrUnexpectedEOF
		}
		request := reconcile.Request{NamespacedName: client.ObjectKey{Namespace: w.Namespace, Name: "audit"}}
		_, err := late.Reconcile(ctx, request)
		Expect(err).To(MatchError(io.ErrUnexpectedEOF))
		result, err := late.Reconcile(ctx, request)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(BeNumerically(">", 5*time.Second), "it is settled")
	})
})

// What the operator has done itself is no drift, also when it has no time to say so.
var _ = Describe("A spec that is changed back", func() {
	It("is no drift: the process died when it had changed AWS", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		changed := full
		changed.S3KeyPrefix, changed.InsightSelectors = "changed", nil
		w.apply(ctx, "audit", changed)
		w.AWS.ResetCalls()
		w.writing = func(_ int, write func() error) error {
			if w.AWS.CallCounts()["UpdateTrail"] > 0 {
				return io.ErrUnexpectedEOF
			}
			return write()
		}
		w.lookAnyway(ctx)
		Expect(w.held("audit").S3KeyPrefix).To(Equal("changed"))
		w.restart()
		w.writing = nil
		w.apply(ctx, "audit", full)
		w.expectSettled(ctx, "audit", full)
		Expect(w.get(ctx, "audit").Status.LastDrift).To(BeNil())
	})

	It("is no drift: somebody else changed AWS meanwhile, as the spec allowed", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		observer := full
		observer.ManagementPolicy = v1alpha1.ManagementPolicyObserve
		w.apply(ctx, "audit", observer)
		w.lookAnyway(ctx)
		observer.S3KeyPrefix = "changed"
		w.apply(ctx, "audit", observer)
		w.lookAnyway(ctx)
		w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3KeyPrefix": "third"})
		w.lookAnyway(ctx)
		observer.S3KeyPrefix = full.S3KeyPrefix
		w.apply(ctx, "audit", observer)
		w.lookAnyway(ctx)
		found := w.get(ctx, "audit").Status
		Expect(found.Differences).To(HaveLen(1))
		Expect(found.LastDrift).To(BeNil(), "the spec said something else when AWS was changed")
	})
})

// What is left to do after a creation is nobody's change, also when no status could be written.
var _ = Describe("A trail that is created anew while the API server takes no status", func() {
	It("has not drifted in what further calls have to set", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.do(w.intruder(), "DeleteTrail", map[string]any{"Name": "audit"})
		w.Clock.Add(time.Minute)
		for _, operation := range []string{"StartLogging", "PutEventSelectors", "PutInsightSelectors"} {
			w.deny(operation, "InternalFailure")
		}
		w.writing = func(int, func() error) error { return io.ErrUnexpectedEOF }
		w.lookAnyway(ctx)
		Expect(w.AWS.Trails()).To(HaveLen(1), "it is created all the same")

		w.writing = nil
		w.AWS.ClearFaults()
		changed := full
		changed.S3KeyPrefix = "changed"
		w.apply(ctx, "audit", changed)
		w.expectSettled(ctx, "audit", changed)
		if last := w.get(ctx, "audit").Status.LastDrift; last != nil {
			Expect(last.Fields).To(ConsistOf("trail"))
		}
	})
})

// A change of the spec that cannot be recorded holds no repair back.
var _ = Describe("A stopped trail whose spec is changed while the API server takes no status", func() {
	It("is started", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.deny("StartLogging", "AccessDeniedException")
		w.stop()
		Expect(w.lookAnyway(ctx).Status.LastDrift).NotTo(BeNil(), "it is told")
		w.AWS.ClearFaults()
		changed := full
		changed.S3KeyPrefix = "changed"
		w.apply(ctx, "audit", changed)
		w.writing = func(int, func() error) error { return io.ErrUnexpectedEOF }
		w.lookAnyway(ctx)
		Expect(w.held("audit").IsLogging).To(BeTrue())
	})
})

// Before what cannot be undone it is made sure that the object is as it is believed to be.
var _ = Describe("A leader that wakes up late", func() {
	lookLate := func(ctx context.Context, w *world, late reconcile.Reconciler) {
		request := reconcile.Request{NamespacedName: client.ObjectKey{Namespace: w.Namespace, Name: "audit"}}
		for range 3 {
			w.Clock.Add(time.Minute)
			late.Reconcile(ctx, request) //nolint:errcheck // It may fail.
		}
	}

	// expectSettledStays has the full spec settle, which the late leader then leaves as it is.
	expectSettledStays := func(ctx context.Context, w *world, late reconcile.Reconciler) {
		GinkgoHelper()
		w.expectSettled(ctx, "audit", full)
		before := w.held("audit")
		lookLate(ctx, w, late)
		Expect(w.held("audit")).To(Equal(before))
	}
	// expectNoWrite has the late leader leave a trail alone that AWS holds by the full spec.
	expectNoWrite := func(ctx context.Context, w *world, late reconcile.Reconciler) {
		GinkgoHelper()
		w.AWS.ResetCalls()
		lookLate(ctx, w, late)
		Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty())
		w.expectHeld("audit", full)
	}

	It("does not create the trail of an object that is gone", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		late := w.stale(ctx)
		Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
		w.work(ctx)
		w.expectGone(ctx, "audit")
		Expect(w.AWS.Trails()).To(BeEmpty())
		lookLate(ctx, w, late)
		Expect(w.AWS.Trails()).To(BeEmpty())
	})

	It("does not create the trail of an object that it has never worked on", func(ctx context.Context) {
		w := newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true})
		w.apply(ctx, "audit", full)
		late := w.stale(ctx)
		Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
		lookLate(ctx, w, late)
		Expect(w.AWS.Trails()).To(BeEmpty())
	})

	It("does not stop a trail because of an obsolete spec, nor change it", func(ctx context.Context) {
		spec := full
		spec.Logging, spec.S3KeyPrefix, spec.InsightSelectors = falsy(), "obsolete", nil
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, spec)
		late := w.stale(ctx)
		w.apply(ctx, "audit", full)
		expectSettledStays(ctx, w, late)
	})

	It("does not change a trail because of a spec that was taken back before anybody saw it", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		spec := full
		spec.Logging, spec.S3KeyPrefix, spec.InsightSelectors, spec.Tags = falsy(), "taken-back", nil, nil
		w.apply(ctx, "audit", spec)
		late := w.stale(ctx)
		w.apply(ctx, "audit", full)
		expectNoWrite(ctx, w, late)
	})

	It("does not change a trail for an object that is being deleted", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		spec := full
		spec.S3KeyPrefix = "changed"
		w.apply(ctx, "audit", spec)
		late := w.stale(ctx)
		Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
		expectNoWrite(ctx, w, late)
	})

	obsolete := full
	obsolete.Logging, obsolete.S3KeyPrefix, obsolete.InsightSelectors = falsy(), "obsolete", nil

	It("does not follow a spec that AWS never held and that was changed since", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.apply(ctx, "audit", obsolete)
		late := w.stale(ctx)
		w.apply(ctx, "audit", full)
		expectSettledStays(ctx, w, late)
	})

	It("does not follow the first spec of an object that it has never worked on and that was changed since",
		func(ctx context.Context) {
			w := newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true})
			w.prepareResources()
			w.apply(ctx, "audit", obsolete)
			late := w.stale(ctx)
			w.apply(ctx, "audit", full)
			expectSettledStays(ctx, w, late)
		})

	It("does not follow the spec of an object that was made anew", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.apply(ctx, "audit", obsolete)
		late := w.stale(ctx)
		Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
		w.work(ctx)
		w.expectGone(ctx, "audit")
		w.apply(ctx, "audit", poor)
		w.apply(ctx, "audit", full) // Of the same generation as the one before.
		expectSettledStays(ctx, w, late)
	})

	It("does not delete the trail of a namesake", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		object := w.get(ctx, "audit")
		object.Finalizers = append(object.Finalizers, "test/hold")
		Expect(w.Client.Update(ctx, object)).To(Succeed())
		Expect(w.Client.Delete(ctx, object)).To(Succeed())
		late := w.stale(ctx)
		w.work(ctx)
		object = w.get(ctx, "audit")
		object.Finalizers = nil
		Expect(w.Client.Update(ctx, object)).To(Succeed())
		w.expectGone(ctx, "audit")
		w.apply(ctx, "audit", full)
		w.expectSettled(ctx, "audit", full)
		lookLate(ctx, w, late)
		Expect(w.held("audit").IsLogging).To(BeTrue(), "the trail of the new object")
		w.expectSettled(ctx, "audit", full)
	})
})

// Which tags are ours to remove is known before they are set.
var _ = Describe("A tag that is taken out of the spec again", func() {
	// dieAt makes the controller look, and die when a call is on its way, which is made.
	dieAt := func(ctx context.Context, w *world, operation string, made func() bool) {
		GinkgoHelper()
		dying, cancel := context.WithCancel(ctx)
		w.onSending(func(request *http.Request) {
			if operationOf(request) == operation {
				cancel()
			}
		})
		w.look(dying, "audit") //nolint:errcheck // It dies.
		w.onSending(nil)
		Eventually(made).Should(BeTrue(), "%s, which was under way", operation)
		w.restart()
	}
	spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs", Tags: []v1alpha1.Tag{{Key: "old", Value: "1"}}}
	changed := v1alpha1.TrailSpec{S3BucketName: "trail-logs", Tags: []v1alpha1.Tag{{Key: "new", Value: "2"}}}
	tagged := func(w *world, key string) func() bool {
		return func() bool {
			held, ok := w.AWS.Trail(account, region, "audit")
			return ok && held.Tags[key] != ""
		}
	}

	It("is removed, though the process died right after it was added", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, spec)
		w.apply(ctx, "audit", changed)
		dieAt(ctx, w, "AddTags", tagged(w, "new"))
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.work(ctx)
		Expect(w.held("audit").Tags).To(Equal(map[string]string{v1alpha1.OwnerTagKey: w.owner("audit")}))
	})

	It("is removed, though the process died right after the trail was created with it", func(ctx context.Context) {
		w := newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true})
		w.prepareResources()
		w.apply(ctx, "audit", spec)
		dieAt(ctx, w, "CreateTrail", tagged(w, "old"))
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.work(ctx)
		Expect(w.held("audit").Tags).To(Equal(map[string]string{v1alpha1.OwnerTagKey: w.owner("audit")}))
	})

	It("is removed as soon as AWS lets it be, though another one was added meanwhile", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, spec)
		w.deny("RemoveTags", "AccessDeniedException")
		w.apply(ctx, "audit", changed)
		w.lookAnyway(ctx)
		Expect(w.held("audit").Tags).To(And(HaveKey("old"), HaveKey("new")))
		w.restart()
		w.AWS.ClearFaults()
		w.expectSettled(ctx, "audit", changed)
		Expect(w.held("audit").Tags).To(Equal(map[string]string{v1alpha1.OwnerTagKey: w.owner("audit"), "new": "2"}))
	})
})

// What another controller writes to the object is not lost.
var _ = Describe("Another controller's finalizer", func() {
	It("stays when it is added while ours is, and when ours is removed", func(ctx context.Context) {
		const other = "test/hold"
		w := newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true})
		w.prepareResources()
		w.apply(ctx, "audit", full)
		hold := func(_ int, write func() error) error {
			w.writing = nil
			object := w.get(ctx, "audit")
			object.Finalizers = append(object.Finalizers, other)
			Expect(w.Client.Update(ctx, object)).To(Succeed())
			return write()
		}
		w.writing = hold
		w.work(ctx)
		Expect(w.get(ctx, "audit").Finalizers).To(ContainElement(other))
		w.expectSettled(ctx, "audit", full)
		Expect(w.get(ctx, "audit").Finalizers).To(ConsistOf(other, v1alpha1.Finalizer))

		By("deleting the object")
		Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
		w.work(ctx)
		Expect(w.get(ctx, "audit").Finalizers).To(ConsistOf(other))
		Expect(w.AWS.Trails()).To(BeEmpty())
	})
})

// work makes the controller look at an object that may be gone then.
func (w *world) work(ctx context.Context) {
	w.look(ctx, "audit") //nolint:errcheck // The queue would look again.
}

// Where a trail was created is known after a crash.
var _ = Describe("The account of a trail", func() {
	const elsewhere = "444455556666"
	leadElsewhere := func(ctx context.Context, w *world) {
		GinkgoHelper()
		identity := &v1alpha1.AWSIdentity{}
		Expect(w.Client.Get(ctx, client.ObjectKey{Name: w.identity}, identity)).To(Succeed())
		identity.Spec.RoleARN = "arn:aws:iam::" + elsewhere + ":role/trail-operator"
		Expect(w.Client.Update(ctx, identity)).To(Succeed())
	}

	for _, after := range []bool{false, true} {
		It(fmt.Sprintf("is known when the process dies at CreateTrail, after it: %t", after), func(ctx context.Context) {
			w := newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true})
			w.apply(ctx, "audit", full)
			dying, cancel := context.WithCancel(ctx)
			w.death.Store(&death{cancel: cancel, at: 3, after: after})
			_, err := w.look(dying, "audit")
			Expect(err).To(HaveOccurred())
			cancel()
			w.restart()
			leadElsewhere(ctx, w)
			found := w.lookAnyway(ctx)
			expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccountChanged)
			for _, held := range w.AWS.Trails() {
				Expect(held.AccountID).To(Equal(account))
			}

			By("deleting the object: it does not go before its trail")
			Expect(w.Client.Delete(ctx, found)).To(Succeed())
			w.work(ctx)
			expectCondition(w.get(ctx, "audit"), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccountChanged)
		})
	}

	It("is asked for before a first trail is created", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.AWS.AddCredentials(cloudtrailtest.Credentials{
			AccessKeyID: "test", SecretAccessKey: "test", ARN: "arn:aws:iam::" + elsewhere + ":user/operator",
		})
		w.apply(ctx, "second", full)
		_, err := w.look(ctx, "second")
		Expect(err).To(MatchError(ContainSubstring("AccountChanged")))
		w.settle(ctx, "second")
		_, known := w.AWS.Trail(elsewhere, region, "second")
		Expect(known).To(BeTrue(), "that is whose the identity is by now")
		Expect(w.get(ctx, "second").Status.AccountID).To(Equal(elsewhere))
	})

	for name, c := range map[string]struct {
		deleted bool
		why     string
	}{
		"before a trail is created again": {false, "none is created in another account"},
		"before its object goes":          {true, "there may be a trail in its own account"},
	} {
		It("is asked for "+name, func(ctx context.Context) {
			w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
			w.do(w.intruder(), "DeleteTrail", map[string]any{"Name": "audit"})
			w.AWS.AddCredentials(cloudtrailtest.Credentials{
				AccessKeyID:     "test",
				SecretAccessKey: "test",
				ARN:             "arn:aws:iam::" + elsewhere + ":user/operator",
			})
			if c.deleted {
				Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
			}
			for range 3 {
				w.work(ctx)
			}
			Expect(w.AWS.Trails()).To(BeEmpty(), c.why)
			Expect(w.get(ctx, "audit").Finalizers).NotTo(BeEmpty(), c.why)
		})
	}

	for name, namesake := range map[string]bool{
		"before a trail is told to be gone":             false,
		"before another trail of its name is looked at": true,
	} {
		It("is asked for "+name, func(ctx context.Context) {
			spec := full
			spec.AdoptionPolicy = v1alpha1.AdoptionPolicyAlways
			w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, spec)
			if namesake {
				w.do(w.AWS.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::" + elsewhere + ":user/neighbor"}), "CreateTrail",
					map[string]any{"Name": "audit", "S3BucketName": "neighbors-logs"})
			}
			before := w.AWS.Trails()
			w.AWS.AddCredentials(cloudtrailtest.Credentials{
				AccessKeyID:     "test",
				SecretAccessKey: "test",
				ARN:             "arn:aws:iam::" + elsewhere + ":user/operator",
			})
			for range 3 {
				w.lookAnyway(ctx)
			}
			found := w.get(ctx, "audit")
			Expect(found.Status.LastDrift).To(BeNil(), "nobody has touched it")
			Expect(found.Status.Differences).To(BeEmpty())
			expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccountChanged)
			Expect(w.AWS.Trails()).To(Equal(before))
		})
	}

	It("is asked for when the trail is told to be gone as it is deleted", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.AWS.ResetCalls()
		w.AWS.OnCall(nil, func(operation string, _ int) {
			if operation == "ListTags" && w.AWS.CallCounts()["ListTags"] == 2 { // That of the guard.
				w.AWS.AddCredentials(cloudtrailtest.Credentials{
					AccessKeyID:     "test",
					SecretAccessKey: "test",
					ARN:             "arn:aws:iam::" + elsewhere + ":user/operator",
				})
			}
		})
		Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
		for range 3 {
			w.work(ctx)
		}
		Expect(w.AWS.CallCounts()).To(HaveKey("DeleteTrail"))
		Expect(w.AWS.Trails()).To(HaveLen(1))
		Expect(w.get(ctx, "audit").Finalizers).NotTo(BeEmpty(), "the object does not go before its trail")
	})

	It("is not that of credentials that begin to lead elsewhere", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.AWS.AddCredentials(cloudtrailtest.Credentials{
			AccessKeyID:     "mixed-up",
			SecretAccessKey: "test",
			ARN:             "arn:aws:iam::" + elsewhere + ":user/operator",
		})
		w.accessKey.Store(new("mixed-up"))
		w.AWS.ResetCalls()
		for range 3 {
			w.lookAnyway(ctx)
		}
		for _, call := range w.AWS.Calls() {
			Expect(call.AccountID == elsewhere && call.Operation != "GetCallerIdentity").
				To(BeFalse(), "%s is not even asked there", call.Operation)
		}
		Expect(w.AWS.Trails()).To(HaveLen(1))
		Expect(w.held("audit").IsLogging).To(BeTrue())
		Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
		for range 3 {
			w.work(ctx)
		}
		Expect(w.get(ctx, "audit").Finalizers).NotTo(BeEmpty(), "the object does not go before its trail")
		Expect(w.AWS.Trails()).To(HaveLen(1))

		By("giving it back its own")
		w.accessKey.Store(nil)
		identity := &v1alpha1.AWSIdentity{}
		Expect(w.Client.Get(ctx, client.ObjectKey{Name: w.identity}, identity)).To(Succeed())
		_, err := w.sessions.Check(ctx, identity, true) // As the identity's controller does.
		Expect(err).NotTo(HaveOccurred())
		w.work(ctx)
		w.expectGone(ctx, "audit")
		Expect(w.AWS.Trails()).To(BeEmpty())
	})
})

// deletionPolicy Retain is the way out of a deletion that is stuck.
var _ = Describe("deletionPolicy Retain, set when a deletion is stuck", func() {
	for name, stuck := range map[string]func(*world){
		"as connections are reset": func(w *world) {
			w.AWS.Inject(cloudtrailtest.Fault{DropConnection: true})
		},
		"as AWS fails":     func(w *world) { w.deny("", "InternalFailure") },
		"as AWS says no":   func(w *world) { w.deny("ListTags", "AccessDeniedException") },
		"as AWS is silent": func(w *world) { w.AWS.Inject(cloudtrailtest.Fault{Latency: time.Hour}) },
	} {
		It("lets go within a minute, and says that the tag may remain: "+name, func(ctx context.Context) {
			w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
			w.maxWait = 50 * time.Millisecond
			w.restart()
			stuck(w)
			Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
			w.work(ctx)
			object := w.get(ctx, "audit")
			before := object.DeepCopy()
			object.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain
			Expect(w.Client.Patch(ctx, object, client.MergeFrom(before))).To(Succeed())
			w.DrainEvents()
			w.work(ctx)
			if name != "as AWS says no" {
				Expect(w.get(ctx, "audit").Finalizers).NotTo(BeEmpty(), "what may pass is given half a minute")
			}
			w.work(ctx)
			w.expectGone(ctx, "audit")
			Expect(w.DrainEvents()).
				To(ContainElement(And(HavePrefix("Warning Released"), ContainSubstring("the owner tag may still be on the trail"))))
			w.AWS.ClearFaults()
			Expect(w.held("audit").IsLogging).To(BeTrue())
		})
	}
})

// lookAfter makes the controller look at a Trail some time after its last look.
func (w *world) lookAfter(ctx context.Context, name string, wait time.Duration) (reconcile.Result, error) {
	w.Clock.Add(wait - time.Minute) // A look is a minute later.
	return w.look(ctx, name)
}

// A trail that was created in the dark is not left behind.
var _ = Describe("A deletion", func() {
	It("waits for a trail whose creation was not answered and that reads do not show", func(ctx context.Context) {
		w := newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true})
		w.apply(ctx, "audit", full)
		w.look(ctx, "audit") //nolint:errcheck // The process has worked for a while.
		Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
		w.work(ctx)
		w.expectGone(ctx, "audit")

		By("a refusal, then a creation whose answer is lost and that the retry finds there")
		w.AWS.SetLags(cloudtrailtest.Lags{Read: 8 * time.Second})
		w.apply(ctx, "audit", full)
		w.AWS.Inject(cloudtrailtest.Fault{
			Operation: "CreateTrail", Code: "S3BucketDoesNotExistException", Message: "no", Times: 1,
		})
		w.work(ctx)
		w.AWS.Inject(cloudtrailtest.Fault{Operation: "CreateTrail", DropAfter: true, Times: 1})
		w.work(ctx)
		Expect(w.AWS.Trails()).To(HaveLen(1))

		By("deleting the object while reads do not show the trail")
		Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
		left := func() bool {
			err := w.Client.Get(ctx, client.ObjectKey{Namespace: w.Namespace, Name: "audit"}, &v1alpha1.Trail{})
			return client.IgnoreNotFound(err) == nil && err != nil
		}
		w.lookAfter(ctx, "audit", 600*time.Millisecond) //nolint:errcheck // The queue would look again.
		for range 20 {
			if left() {
				break
			}
			w.lookAfter(ctx, "audit", 2*time.Second) //nolint:errcheck // As said.
		}
		Expect(left()).To(BeTrue(), "it goes in the end")
		Expect(w.AWS.Trails()).To(BeEmpty(), "nothing is orphaned")
	})
})

// ask asks for a look.
func (w *world) ask(ctx context.Context, name, request string) {
	GinkgoHelper()
	object := w.get(ctx, name)
	metav1.SetMetaDataAnnotation(&object.ObjectMeta, v1alpha1.AnnotationReconcileAt, request)
	Expect(w.Client.Update(ctx, object)).To(Succeed())
}

// What was done is known, also of a reconcile that another one has replaced.
var _ = Describe("A repair in whose middle somebody asks for a look", func() {
	It("is made once, although reads show for a while what was there before", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.maxWait = 50 * time.Millisecond
		w.restart()
		w.work(ctx)
		w.do(w.intruder(), "PutEventSelectors", map[string]any{
			"TrailName": "audit", "EventSelectors": []any{map[string]any{"ReadWriteType": "ReadOnly"}},
		})
		w.do(w.intruder(), "PutInsightSelectors", map[string]any{
			"TrailName": "audit", "InsightSelectors": []any{map[string]any{"InsightType": "ApiErrorRateInsight"}},
		})
		w.Clock.Add(time.Minute)

		By("asking when the selectors are repaired, and Insights are not")
		behind := cloudtrailtest.Lags{Read: 10 * time.Second}
		asked, answered := make(chan struct{}), make(chan struct{})
		w.onSending(func(request *http.Request) {
			switch operationOf(request) {
			case "PutEventSelectors":
				w.AWS.SetLags(behind)
			case "PutInsightSelectors":
				w.onSending(nil)
				close(asked)
				<-answered
			}
		})
		Eventually(func() <-chan struct{} {
			w.lookAfter(ctx, "audit", 10*time.Millisecond) //nolint:errcheck // The queue would look again.
			return asked
		}).WithContext(ctx).WithTimeout(soon).Should(BeClosed(), "it comes after the selectors")
		w.ask(ctx, "audit", "now")
		close(answered)
		Eventually(w.AWS.CallCounts).WithContext(ctx).WithTimeout(soon).Should(
			HaveKeyWithValue("PutInsightSelectors", 1), "it is sent, although nobody waits for it any more")
		w.AWS.ResetCalls()
		Eventually(func() map[string]int {
			w.lookAfter(ctx, "audit", 10*time.Millisecond) //nolint:errcheck // As said.
			return w.AWS.CallCounts()
		}).WithContext(ctx).WithTimeout(soon).Should(HaveKeyWithValue("DescribeTrails", BeNumerically(">", 1)),
			"the look that was asked for is complete")
		Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty(), "reads show what was there before, and it is known why")
		w.AWS.SetLags(cloudtrailtest.Lags{})
		w.work(ctx)
		found := w.get(ctx, "audit")
		Expect(found.Status.LastDrift.Fields).To(ConsistOf("advancedEventSelectors", "insightSelectors"))
		Expect(found.Status.EarlierDrifts).To(BeEmpty())
	})
})

// What is done to a trail after it was created anew is somebody's doing, also where nobody knew for a while whether it
// was created.
var _ = Describe("A trail that was created anew by a call whose answer was lost", func() {
	It("drifts when it is stopped before its next regular look", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.takeOver("audit", "another/cluster/trail")
		w.lookAnyway(ctx)
		w.Clock.Add(20 * time.Minute) // Nobody is vigilant any more.
		w.do(w.intruder(), "DeleteTrail", map[string]any{"Name": "audit"})
		w.AWS.Inject(cloudtrailtest.Fault{Operation: "CreateTrail", DropAfter: true, Times: 1})
		w.work(ctx)

		wait := 3 * time.Second
		for range 10 {
			result, err := w.lookAfter(ctx, "audit", wait)
			if wait = result.RequeueAfter; err != nil {
				wait = 3 * time.Second
			} else if wait >= time.Minute {
				break
			}
		}
		Expect(w.held("audit").IsLogging).To(BeTrue())

		w.stop()
		drift := w.lookAnyway(ctx).Status.LastDrift
		Expect(drift.Fields).To(ConsistOf("logging"))
	})
})

// Reads may lag behind what the process before this one has written.
var _ = Describe("A process that takes over right after a write", func() {
	It("takes what AWS does not show yet for no drift", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		steal := func(prefix string) {
			GinkgoHelper()
			w.do(w.intruder(), "UpdateTrail", map[string]any{
				"Name": "audit", "S3BucketName": full.S3BucketName, "S3KeyPrefix": prefix,
			})
		}
		steal("stolen")
		w.AWS.SetLags(cloudtrailtest.Lags{Read: 8 * time.Second})
		drift := w.lookAnyway(ctx).Status.LastDrift
		Expect(drift.RepairedTime).NotTo(BeNil())
		Expect(w.held("audit").S3KeyPrefix).To(Equal(full.S3KeyPrefix))

		w.restart()
		for range 8 {
			w.lookAfter(ctx, "audit", 2*time.Second) //nolint:errcheck // The queue would look again.
		}
		Expect(w.get(ctx, "audit").Status.LastDrift.DetectedTime).To(Equal(drift.DetectedTime))

		By("changing it again")
		steal("stolen-again")
		w.lookAnyway(ctx)
		Expect(w.lookAnyway(ctx).Status.LastDrift.DetectedTime).NotTo(Equal(drift.DetectedTime))
	})
})

// What a process has read of AWS before it was frozen is older than what the next leader has done.
var _ = Describe("A process that may not lead any more", func() {
	It("neither repairs a drift nor tells of it", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.stop()
		w.mayWrite = cloudtrail.ErrNotLeading
		before := w.get(ctx, "audit")
		_, err := w.look(ctx, "audit")
		Expect(err).To(MatchError(cloudtrail.ErrNotLeading))
		Expect(w.get(ctx, "audit").ResourceVersion).To(Equal(before.ResourceVersion))
		Expect(w.held("audit").IsLogging).To(BeFalse())

		By("leading again")
		w.mayWrite = nil
		Expect(w.lookAnyway(ctx).Status.LastDrift.Fields).To(ConsistOf("logging"))
		Expect(w.held("audit").IsLogging).To(BeTrue())
	})
})

// What AWS rejects before it has expired is got anew.
var _ = Describe("The session of a role", func() {
	const role = "arn:aws:iam::" + account + ":role/trail-operator"
	for how, end := range map[string]func(*world){
		"that was revoked":       func(w *world) { w.AWS.RevokeSessions(role) },
		"that has expired early": func(w *world) { w.AWS.ExpireSessions(role) },
		"that was made anew": func(w *world) {
			w.AWS.DeleteRole(role)
			w.AWS.AddRole(cloudtrailtest.Role{ARN: role})
		},
	} {
		It("is renewed for a stopped trail: a role "+how, func(ctx context.Context) {
			w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
			w.prepareResources()
			w.setIdentity(ctx, func(spec *v1alpha1.AWSIdentitySpec) { spec.RoleARN = role })
			w.apply(ctx, "audit", full)
			w.expectSettled(ctx, "audit", full)
			w.stop()
			end(w)
			w.AWS.ResetCalls()
			w.lookAnyway(ctx)
			w.lookAnyway(ctx)
			Expect(w.held("audit").IsLogging).To(BeTrue())
			Expect(w.AWS.CallCounts()["AssumeRole"]).To(Equal(1))
		})
	}

	It("is renewed at a lasting pace where that does not help", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.prepareResources()
		w.setIdentity(ctx, func(spec *v1alpha1.AWSIdentitySpec) { spec.RoleARN = role })
		w.apply(ctx, "audit", full)
		w.expectSettled(ctx, "audit", full)
		w.AWS.ResetCalls()
		w.AWS.Inject(cloudtrailtest.Fault{
			PrincipalARN: "arn:aws:sts::" + account + ":assumed-role/trail-operator/*",
			Code:         "AccessDeniedException",
			Message:      "no",
		})
		for range 60 { // An hour.
			w.lookAnyway(ctx)
		}
		Expect(w.AWS.CallCounts()["AssumeRole"]).To(BeNumerically("~", 9, 3), "once in ten minutes in the end")
	})
})

// What AWS accepts and does not keep is told once, and not written again and again.
var _ = Describe("A value that AWS does not keep", func() {
	for _, echo := range []bool{false, true} {
		It(fmt.Sprintf("is told, and written no more than now and then; its answer shows what is stored: %t", !echo),
			func(ctx context.Context) {
				w := newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true})
				w.prepareResources()
				w.AWS.OnStore(func(operation string, t *cloudtrailtest.Trail) {
					if operation == "PutInsightSelectors" {
						t.InsightSelectors = append(t.InsightSelectors,
							cloudtrailtest.InsightSelector{InsightType: "ApiErrorRateInsight"})
					}
				}, echo)
				w.apply(ctx, "audit", full)
				for range 6 {
					w.lookAnyway(ctx)
				}
				found := w.get(ctx, "audit")
				expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNotKept)
				Expect(condition(found, v1alpha1.ConditionReady).Message).To(ContainSubstring("insightSelectors"))
				Expect(strings.Count(strings.Join(w.DrainEvents(), "\n"), "DriftDetected")).
					To(BeNumerically("<=", 1), "as somebody may have changed it")

				w.AWS.ResetCalls()
				for range 60 {
					w.lookAnyway(ctx)
				}
				Expect(w.AWS.CallCounts()["PutInsightSelectors"]).
					To(And(BeNumerically(">=", 4), BeNumerically("<=", 12)), "in an hour")
				Expect(w.DrainEvents()).To(BeEmpty(), "it was told")

				By("an AWS that keeps it")
				w.AWS.OnStore(nil, false)
				for range 11 {
					w.lookAnyway(ctx)
				}
				Expect(ready(w.expectSettled(ctx, "audit", full))).To(BeTrue())
			})
	}

	It("is told when it never shows", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		w.AWS.Inject(cloudtrailtest.Fault{Operation: "UpdateTrail", NotApplied: true})
		spec := full
		spec.S3KeyPrefix = "changed"
		w.apply(ctx, "audit", spec)
		w.AWS.ResetCalls()
		for range 60 {
			w.lookAnyway(ctx)
		}
		found := w.get(ctx, "audit")
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNotKept)
		Expect(w.AWS.CallCounts()["UpdateTrail"]).To(BeNumerically("<=", 12), "in an hour")
		Expect(strings.Count(strings.Join(w.DrainEvents(), "\n"), "DriftDetected")).
			To(BeNumerically("<=", 1), "as somebody may have changed it")

		By("stopping it: that is repaired all the same")
		w.stop()
		w.lookAnyway(ctx)
		Expect(w.held("audit").IsLogging).To(BeTrue())

		w.AWS.ClearFaults()
		for range 11 {
			w.lookAnyway(ctx)
		}
		w.expectSettled(ctx, "audit", spec)
	})
})

// Whoever changes a trail again and again, faster than it is looked at, does not tire the operator out.
var _ = Describe("An intruder who undoes each repair at once", func() {
	It("is undone at each look, and told", func(ctx context.Context) {
		w := ours(ctx, cloudtrailtest.Options{NoRateLimit: true}, full)
		undo := func() {
			w.stop()
			w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": "audit", "S3BucketName": "intruders-bucket"})
			w.do(w.intruder(), "PutEventSelectors", map[string]any{
				"TrailName":      "audit",
				"EventSelectors": []any{map[string]any{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": true}},
			})
		}
		for round := range 20 {
			undo()
			if round%3 == 0 {
				// Between the operator's repair and its next look at it.
				w.Clock.Add(-59 * time.Second)
				w.lookAnyway(ctx)
				undo()
			}
			w.lookAnyway(ctx)
			Expect(w.held("audit").IsLogging).To(BeTrue(), "round %d", round)
			Expect(w.held("audit").S3BucketName).To(Equal("trail-logs"), "round %d", round)
			Expect(w.held("audit").AdvancedEventSelectors).To(HaveLen(2), "round %d", round)
			Expect(w.DrainEvents()).To(ContainElement(HavePrefix("Warning DriftDetected")), "round %d", round)
		}
		w.expectSettled(ctx, "audit", full)
	})
})
