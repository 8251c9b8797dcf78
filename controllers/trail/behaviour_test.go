package trail_test

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

// condition returns a condition that must be there.
func condition(trail *v1alpha1.Trail, conditionType string) metav1.Condition {
	GinkgoHelper()
	found := meta.FindStatusCondition(trail.Status.Conditions, conditionType)
	Expect(found).NotTo(BeNil(), "no condition %s in %v", conditionType, trail.Status.Conditions)
	return *found
}

func expectCondition(trail *v1alpha1.Trail, conditionType string, want metav1.ConditionStatus, reason string) {
	GinkgoHelper()
	found := condition(trail, conditionType)
	Expect(found.Status).To(Equal(want), "%s: %s", found.Reason, found.Message)
	Expect(found.Reason).To(Equal(reason), found.Message)
	Expect(found.ObservedGeneration).To(Equal(trail.Generation))
}

var _ = Describe("What AWS refuses", func() {
	It("is Stalled and not tried again when the spec is wrong", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.AWS.Inject(cloudtrailtest.Fault{
			Operation: "CreateTrail",
			Code:      "InvalidTrailNameException",
			Message:   "Trail name is not valid.",
			Times:     1,
		})
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		found := w.settle(ctx, "audit")
		testbed.ExpectKstatus(found, status.FailedStatus)
		expectCondition(found, v1alpha1.ConditionStalled, metav1.ConditionTrue, "InvalidTrailNameException")
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, "InvalidTrailNameException")
		Expect(condition(found, v1alpha1.ConditionReady).Message).To(ContainSubstring("Trail name is not valid."))

		By("looking again: nothing is tried")
		w.AWS.ResetCalls()
		again := w.settle(ctx, "audit")
		Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty())
		Expect(again.ResourceVersion).To(Equal(found.ResourceVersion))

		By("restarting: it is tried once")
		w.AWS.Inject(cloudtrailtest.Fault{
			Operation: "CreateTrail",
			Code:      "InvalidTrailNameException",
			Message:   "Trail name is not valid.",
			Times:     1,
		})
		w.restart()
		w.settle(ctx, "audit")
		Expect(w.settle(ctx, "audit").ResourceVersion).To(Equal(found.ResourceVersion))
		Expect(writesOf(w.AWS.CallCounts())).To(Equal(map[string]int{"CreateTrail": 1}))

		By("changing the object: it is tried")
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs", S3KeyPrefix: "audit"})
		w.expectSettled(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs", S3KeyPrefix: "audit"})
	})

	It("is tried again on request even when the spec is wrong", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.AWS.Inject(cloudtrailtest.Fault{
			Operation: "CreateTrail", Code: "InvalidParameterException", Message: "No.", Times: 1,
		})
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		testbed.ExpectKstatus(w.settle(ctx, "audit"), status.FailedStatus)
		for _, annotation := range []string{v1alpha1.AnnotationReconcileAt, v1alpha1.AnnotationFluxReconcileAt} {
			object := w.get(ctx, "audit")
			before := object.DeepCopy()
			object.Annotations = map[string]string{annotation: "2026-01-01T00:00:00Z " + annotation}
			Expect(w.Client.Patch(ctx, object, client.MergeFrom(before))).To(Succeed())
			Expect(w.settle(ctx, "audit").Status.LastHandledReconcileAt).To(Equal("2026-01-01T00:00:00Z " + annotation))
		}
		testbed.ExpectKstatus(w.get(ctx, "audit"), status.CurrentStatus)
	})

	It("heals by itself when a missing bucket appears", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{NoRateLimit: true})
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs", S3KeyPrefix: "p"})
		result, err := w.look(ctx, "audit")
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(Equal(5*time.Second), "in the first minute it is tried quickly")
		found := w.get(ctx, "audit")
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, "S3BucketDoesNotExistException")
		Expect(condition(found, v1alpha1.ConditionReady).Message).To(ContainSubstring("create the bucket trail-logs"))
		testbed.ExpectKstatus(found, status.InProgressStatus)
		Expect(w.AWS.Trails()).To(BeEmpty())

		By("failing the same way: nothing is written anew")
		Expect(w.settle(ctx, "audit").ResourceVersion).To(Equal(found.ResourceVersion))

		By("creating the bucket without a policy")
		w.AWS.PutBucket(cloudtrailtest.Bucket{Name: "trail-logs", DenyCloudTrail: true})
		found = w.settle(ctx, "audit")
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, "InsufficientS3BucketPolicyException")
		Expect(condition(found, v1alpha1.ConditionReady).Message).To(And(
			ContainSubstring(`"arn:aws:s3:::trail-logs/p/AWSLogs/111122223333/*"`),
			ContainSubstring(`"aws:SourceArn":"arn:aws:cloudtrail:us-east-1:111122223333:trail/audit"`)))

		By("adding the policy")
		w.AWS.PutBucket(cloudtrailtest.Bucket{Name: "trail-logs"})
		w.expectSettled(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs", S3KeyPrefix: "p"})
	})

	It("names the identity and the action when a permission is missing", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.AWS.Inject(cloudtrailtest.Fault{
			Operation: "StartLogging",
			Code:      "AccessDeniedException",
			Message:   "User: arn:aws:iam::111122223333:user/operator is not authorized to perform: cloudtrail:StartLogging",
			Times:     1,
		})
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		found := w.settle(ctx, "audit")
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, "AccessDeniedException")
		Expect(condition(found, v1alpha1.ConditionReady).Message).
			To(And(ContainSubstring("cloudtrail:StartLogging"), ContainSubstring(w.identity)))
		expectCondition(found, v1alpha1.ConditionLogging, metav1.ConditionFalse, v1alpha1.ReasonStopped)
		Expect(found.Status.TrailARN).To(Equal("arn:aws:cloudtrail:us-east-1:111122223333:trail/audit"))
		w.expectSettled(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
	})

	It("keeps no stopped trail from logging again while the spec is wrong", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs"}
		w.apply(ctx, "audit", spec)
		w.expectSettled(ctx, "audit", spec)
		w.AWS.Inject(cloudtrailtest.Fault{
			Operation: "UpdateTrail", Code: "InvalidS3PrefixException", Message: "No.", Times: 1,
		})
		spec.S3KeyPrefix = "refused"
		w.apply(ctx, "audit", spec)
		testbed.ExpectKstatus(w.settle(ctx, "audit"), status.FailedStatus)
		_, err := w.intruder().Do(region, "StopLogging", map[string]any{"Name": "audit"})
		Expect(err).NotTo(HaveOccurred())
		w.AWS.ResetCalls()
		found := w.settle(ctx, "audit")
		expectCondition(found, v1alpha1.ConditionStalled, metav1.ConditionTrue, "InvalidS3PrefixException")
		expectCondition(found, v1alpha1.ConditionLogging, metav1.ConditionTrue, v1alpha1.ReasonLogging)
		Expect(writesOf(w.AWS.CallCounts())).
			To(Equal(map[string]int{"StartLogging": 1}), "what was refused is not tried again")
	})

	It("starts no trail that could not be made ours", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		handMade(ctx, w)
		w.AWS.Inject(cloudtrailtest.Fault{Operation: "AddTags", Code: "InvalidTagParameterException", Message: "No."})
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "hand-made", AdoptionPolicy: v1alpha1.AdoptionPolicyIfUnowned})
		testbed.ExpectKstatus(w.settle(ctx, "audit"), status.FailedStatus)
		w.AWS.ResetCalls()
		testbed.ExpectKstatus(w.settle(ctx, "audit"), status.FailedStatus)
		Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty())
		Expect(w.held("audit").IsLogging).To(BeFalse())
	})

	It("is no obstacle when it is a read of what the spec has nothing of", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.AWS.Inject(cloudtrailtest.Fault{Operation: "GetEventConfiguration", Code: "AccessDeniedException", Message: "No."})
		spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs", AdvancedEventSelectors: dataEvents}
		w.apply(ctx, "audit", spec)
		w.expectSettled(ctx, "audit", spec)
		spec.AggregationConfigurations = []v1alpha1.AggregationConfiguration{
			{EventCategory: "Data", Templates: []v1alpha1.AggregationTemplate{"API_ACTIVITY"}},
		}
		w.apply(ctx, "audit", spec)
		expectCondition(w.settle(ctx, "audit"), v1alpha1.ConditionReady, metav1.ConditionFalse, "AccessDeniedException")
	})

	It("is no drift when it is what its own creation left whose answer was lost", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs", AdvancedEventSelectors: dataEvents}
		w.apply(ctx, "audit", spec)
		w.expectSettled(ctx, "audit", spec)
		_, err := w.intruder().Do(region, "DeleteTrail", map[string]any{"Name": "audit"})
		Expect(err).NotTo(HaveOccurred())
		w.AWS.Inject(cloudtrailtest.Fault{Operation: "CreateTrail", DropAfter: true, Times: 1})
		_, err = w.look(ctx, "audit")
		Expect(err).To(MatchError(ContainSubstring("already exists")), "the retry finds it there")
		w.expectSettled(ctx, "audit", spec)
		found := w.get(ctx, "audit")
		Expect(found.Status.LastDrift.Fields).To(Equal([]string{"trail"}))
		Expect(found.Status.EarlierDrifts).To(BeEmpty())
	})

	It("does not keep a stopped trail from logging again when something else is refused", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.expectSettled(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		_, err := w.intruder().Do(region, "StopLogging", map[string]any{"Name": "audit"})
		Expect(err).NotTo(HaveOccurred())
		_, err = w.intruder().Do(region, "UpdateTrail", map[string]any{"Name": "audit", "S3BucketName": "intruders-bucket"})
		Expect(err).NotTo(HaveOccurred())
		w.AWS.PutBucket(cloudtrailtest.Bucket{Name: "trail-logs", DenyCloudTrail: true})
		found := w.settle(ctx, "audit")
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, "InsufficientS3BucketPolicyException")
		expectCondition(found, v1alpha1.ConditionLogging, metav1.ConditionTrue, v1alpha1.ReasonLogging)
		Expect(found.Status.LastDrift.Fields).To(ConsistOf("logging", "s3BucketName"))
		Expect(found.Status.LastDrift.RepairedTime).To(BeNil())
		w.AWS.PutBucket(cloudtrailtest.Bucket{Name: "trail-logs"})
		w.expectSettled(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		Expect(w.get(ctx, "audit").Status.LastDrift.RepairedTime).NotTo(BeNil())
	})

	It("is not shown at once when it passes by itself, and is shown when it lasts", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.expectSettled(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		before := w.get(ctx, "audit")
		w.AWS.Inject(cloudtrailtest.Fault{
			Operation: "GetTrailStatus", Code: "InternalFailure", Message: "Try again.", Status: 500,
		})
		_, err := w.look(ctx, "audit")
		Expect(err).To(MatchError(ContainSubstring("InternalFailure")))
		Expect(w.get(ctx, "audit").ResourceVersion).To(Equal(before.ResourceVersion), "one fault is not worth showing")
		_, err = w.look(ctx, "audit") // A minute later.
		Expect(err).To(MatchError(ContainSubstring("InternalFailure")))
		found := w.get(ctx, "audit")
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, "InternalFailure")
		expectCondition(found, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonRetrying)
		testbed.ExpectKstatus(found, status.InProgressStatus)
		w.AWS.ClearFaults()
		w.expectSettled(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
	})
})

var _ = Describe("Delivery", func() {
	It("shows errors with what to do, and times", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		spec := v1alpha1.TrailSpec{
			S3BucketName:              "trail-logs",
			SNSTopicName:              "trail-topic",
			CloudWatchLogsLogGroupARN: logGroup,
			CloudWatchLogsRoleARN:     logRole,
		}
		w.apply(ctx, "audit", spec)
		found := w.expectSettled(ctx, "audit", spec)
		expectCondition(found, v1alpha1.ConditionDelivering, metav1.ConditionTrue, v1alpha1.ReasonDelivered)
		delivered := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		for reason, delivery := range map[string]cloudtrailtest.Delivery{
			v1alpha1.ReasonS3DeliveryFailed: {
				LatestDeliveryError: aws.String("AccessDenied"),
				LatestDeliveryTime:  &delivered,
			},
			v1alpha1.ReasonDigestDeliveryFailed: {
				LatestDigestDeliveryError: aws.String("AccessDenied"),
				LatestDigestDeliveryTime:  &delivered,
			},
			v1alpha1.ReasonNotificationFailed: {
				LatestNotificationError: aws.String("AuthorizationError"),
				LatestNotificationTime:  &delivered,
			},
			v1alpha1.ReasonCloudWatchLogsDeliveryFailed: {
				LatestCloudWatchLogsDeliveryError: aws.String("Access denied"),
				LatestCloudWatchLogsDeliveryTime:  &delivered,
			},
		} {
			w.AWS.SetDelivery(found.Status.TrailARN, delivery)
			found = w.settle(ctx, "audit")
			expectCondition(found, v1alpha1.ConditionDelivering, metav1.ConditionFalse, reason)
			expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, reason)
			expectCondition(found, v1alpha1.ConditionSynced, metav1.ConditionTrue, v1alpha1.ReasonSynced)
			testbed.ExpectKstatus(found, status.InProgressStatus)
			Expect(condition(found, v1alpha1.ConditionReady).Message).
				To(Or(ContainSubstring("policy"), ContainSubstring("role")))
			Expect(w.settle(ctx, "audit").ResourceVersion).To(Equal(found.ResourceVersion))
			w.AWS.SetDelivery(found.Status.TrailARN, cloudtrailtest.Delivery{
				LatestDeliveryError: aws.String(""), LatestDigestDeliveryError: aws.String(""),
				LatestNotificationError: aws.String(""), LatestCloudWatchLogsDeliveryError: aws.String(""),
			})
		}
		w.AWS.SetDelivery(found.Status.TrailARN, cloudtrailtest.Delivery{LatestDeliveryTime: &delivered})
		found = w.settle(ctx, "audit")
		Expect(found.Status.LatestDeliveryTime.Time).To(BeTemporally("==", delivered))
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	})
})

var _ = Describe("Suspend", func() {
	It("leaves AWS alone until it ends", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs", Suspend: aws.Bool(true)}
		w.apply(ctx, "audit", spec)
		found := w.settle(ctx, "audit")
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonSuspended)
		testbed.ExpectKstatus(found, status.InProgressStatus)
		Expect(w.AWS.CallCounts()).To(BeEmpty())
		spec.Suspend = nil
		w.apply(ctx, "audit", spec)
		w.expectSettled(ctx, "audit", spec)
	})

	It("does not keep a trail from being deleted with its object", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs"}
		w.apply(ctx, "audit", spec)
		w.expectSettled(ctx, "audit", spec)
		spec.Suspend = aws.Bool(true)
		w.apply(ctx, "audit", spec)
		w.settle(ctx, "audit")
		Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
		_, err := w.look(ctx, "audit")
		Expect(err).NotTo(HaveOccurred())
		w.expectGone(ctx, "audit")
		Expect(w.AWS.Trails()).To(BeEmpty())
	})
})

var _ = Describe("A trail deleted behind our back", func() {
	It("is created again, and told as drift", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs", Tags: []v1alpha1.Tag{{Key: "team", Value: "security"}}}
		w.apply(ctx, "audit", spec)
		w.expectSettled(ctx, "audit", spec)
		_, err := w.intruder().Do(region, "DeleteTrail", map[string]any{"Name": "audit"})
		Expect(err).NotTo(HaveOccurred())
		found := w.expectSettled(ctx, "audit", spec)
		Expect(found.Status.LastDrift.Fields).To(ContainElement("trail"))
		Expect(found.Status.LastDrift.RepairedTime).NotTo(BeNil())
	})
})

var _ = Describe("A drift", func() {
	It("is told although somebody else writes the object in between", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs"}
		w.apply(ctx, "audit", spec)
		w.expectSettled(ctx, "audit", spec)
		_, err := w.intruder().Do(region, "StopLogging", map[string]any{"Name": "audit"})
		Expect(err).NotTo(HaveOccurred())
		w.writing = func(_ int, write func() error) error {
			w.writing = nil
			object := w.get(ctx, "audit")
			before := object.DeepCopy()
			object.Labels = map[string]string{"written": "in-between"}
			Expect(w.Client.Patch(ctx, object, client.MergeFrom(before))).To(Succeed())
			return write()
		}
		found := w.settle(ctx, "audit")
		Expect(found.Labels).To(HaveKeyWithValue("written", "in-between"))
		Expect(found.Status.LastDrift).NotTo(BeNil())
		Expect(found.Status.LastDrift.Fields).To(ConsistOf("logging"))
		Expect(found.Status.LastDrift.RepairedTime).NotTo(BeNil())
		w.expectSettled(ctx, "audit", spec)
	})
})

var _ = Describe("An identity that must not be used", func() {
	for name, c := range map[string]struct {
		change func(*v1alpha1.AWSIdentity)
		reason string
	}{
		"names no namespaces": {func(i *v1alpha1.AWSIdentity) {
			i.Spec.AllowedNamespaces = nil
		}, v1alpha1.ReasonNamespaceNotAllowed},
		"selects other namespaces": {func(i *v1alpha1.AWSIdentity) {
			i.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{
				From:     v1alpha1.NamespacesFromSelector,
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "other"}},
			}
		}, v1alpha1.ReasonNamespaceNotAllowed},
		"allows other regions": {func(i *v1alpha1.AWSIdentity) {
			i.Spec.AllowedRegions = []string{"eu-central-1", "eu-west-1"}
		}, v1alpha1.ReasonRegionNotAllowed},
		"has a role of a partition without the region": {func(i *v1alpha1.AWSIdentity) {
			i.Spec.RoleARN = "arn:aws-cn:iam::" + account + ":role/trail-operator"
		}, v1alpha1.ReasonRegionNotAllowed},
	} {
		It("makes no call to AWS: "+name, func(ctx context.Context) {
			w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
			identity := &v1alpha1.AWSIdentity{}
			Expect(w.Client.Get(ctx, client.ObjectKey{Name: w.identity}, identity)).To(Succeed())
			c.change(identity)
			Expect(w.Client.Update(ctx, identity)).To(Succeed())
			w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
			found := w.settle(ctx, "audit")
			expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, c.reason)
			testbed.ExpectKstatus(found, status.InProgressStatus)
			Expect(w.AWS.CallCounts()).To(BeEmpty(), "not even a read")
		})
	}

	It("makes no call to CloudTrail: the operator's own credentials are of a partition without the region",
		func(ctx context.Context) {
			w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
			w.AWS.AddCredentials(cloudtrailtest.Credentials{
				AccessKeyID:     "china",
				SecretAccessKey: "test",
				ARN:             "arn:aws-cn:iam::" + account + ":user/operator",
			})
			w.accessKey.Store(new("china"))
			w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
			expectCondition(w.settle(ctx, "audit"), v1alpha1.ConditionReady,
				metav1.ConditionFalse, v1alpha1.ReasonRegionNotAllowed)
			Expect(w.cloudTrailCalls()).To(BeZero())
		})

	It("makes no call to AWS: it does not exist", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.identity = "no-such-identity"
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		found := w.settle(ctx, "audit")
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonIdentityNotFound)
		Expect(w.AWS.CallCounts()).To(BeEmpty())
	})

	It("is refused when it leads to another account than before", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.settle(ctx, "audit")
		identity := &v1alpha1.AWSIdentity{}
		Expect(w.Client.Get(ctx, client.ObjectKey{Name: w.identity}, identity)).To(Succeed())
		identity.Spec.RoleARN = "arn:aws:iam::444455556666:role/trail-operator"
		Expect(w.Client.Update(ctx, identity)).To(Succeed())
		w.AWS.ResetCalls()
		found := w.settle(ctx, "audit")
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccountChanged)
		Expect(found.Status.AccountID).To(Equal(account))
		for _, call := range w.AWS.Calls() {
			Expect(call.Operation).
				To(BeElementOf("AssumeRole", "GetCallerIdentity"), "CloudTrail is not called in the other account")
		}
	})
})
