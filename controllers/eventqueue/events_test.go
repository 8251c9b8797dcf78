package eventqueue_test

import (
	"context"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/eventqueue"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// full is the spec of a trail as people have it.
func full() v1alpha1.TrailSpec {
	return v1alpha1.TrailSpec{
		S3BucketName: "trail-logs", SNSTopicName: "trail-topic", IsMultiRegionTrail: new(true),
		EnableLogFileValidation: new(true),
		AdvancedEventSelectors: []v1alpha1.AdvancedEventSelector{
			{Name: "management", FieldSelectors: []v1alpha1.AdvancedFieldSelector{
				{Field: "eventCategory", Equals: []string{"Management"}},
			}},
			{Name: "data", FieldSelectors: []v1alpha1.AdvancedFieldSelector{
				{Field: "eventCategory", Equals: []string{"Data"}},
				{Field: "resources.type", Equals: []string{"AWS::S3::Object"}},
			}},
		},
		InsightSelectors: []v1alpha1.InsightSelector{{InsightType: "ApiCallRateInsight"}},
		Tags:             []v1alpha1.Tag{{Key: "team", Value: "security"}, {Key: "env", Value: "prod"}},
	}
}

// found tells whether a drift of these fields was told after a time, repaired, and attributed to the intruder.
func found(operation string, fields ...string) func(*v1alpha1.Trail) bool {
	return func(t *v1alpha1.Trail) bool {
		drift := t.Status.LastDrift
		return drift != nil && slices.Equal(drift.Fields, fields) && drift.RepairedTime != nil &&
			drift.Attribution == v1alpha1.DriftAttributionFound && drift.Actor == intruder && drift.EventName == operation &&
			drift.EventID != ""
	}
}

var _ = Describe("A trail that somebody changes", func() {
	var w *world
	var arn string
	BeforeEach(func(ctx context.Context) {
		w = newWorld(ctx, cloudtrailtest.Options{OpenResources: true})
		w.create(ctx, "audit", full())
		arn = w.eventually(ctx, "audit", "it is created", ready).Status.TrailARN
		w.listening(ctx, v1alpha1.ReasonListening)
		w.AWS.ResetCalls()
	})
	AfterEach(func() {
		Expect(w.AWS.CallCounts()).NotTo(HaveKey("LookupEvents"), "the event tells who it was")
	})

	for operation, c := range map[string]struct {
		parameters func() map[string]any
		fields     []string
	}{
		"StopLogging": {func() map[string]any { return map[string]any{"Name": arn} }, []string{"logging"}},
		"UpdateTrail": {
			func() map[string]any { return map[string]any{"Name": "audit", "EnableLogFileValidation": false} },
			[]string{"enableLogFileValidation"},
		},
		"PutEventSelectors": {func() map[string]any {
			return map[string]any{"TrailName": "audit", "AdvancedEventSelectors": []any{map[string]any{
				"Name":           "less",
				"FieldSelectors": []any{map[string]any{"Field": "eventCategory", "Equals": []any{"Management"}}},
			}}}
		}, []string{"advancedEventSelectors"}},
		"PutInsightSelectors": {func() map[string]any {
			return map[string]any{"TrailName": arn, "InsightSelectors": []any{}}
		}, []string{"insightSelectors"}},
		"RemoveTags": {func() map[string]any {
			return map[string]any{"ResourceId": arn, "TagsList": []any{map[string]any{"Key": "team"}}}
		}, []string{"tags"}},
		"AddTags": {func() map[string]any {
			return map[string]any{"ResourceId": arn, "TagsList": []any{map[string]any{"Key": "team", "Value": "nobody"}}}
		}, []string{"tags"}},
		"DeleteTrail": {func() map[string]any { return map[string]any{"Name": "audit"} }, []string{"trail"}},
	} {
		It("by "+operation+" is repaired, and the event tells who it was", func(ctx context.Context) {
			w.acts(operation, c.parameters())
			w.eventually(ctx, "audit", "an event wakes the operator", found(operation, c.fields...))
		})
	}

	It("again and again is repaired each time, whatever EventBridge does", func(ctx context.Context) {
		w.AWS.SetForwarding(cloudtrailtest.Forwarding{MinDelay: time.Millisecond, MaxDelay: time.Second, Duplicates: 0.7})
		for range 3 {
			w.acts("StopLogging", map[string]any{"Name": arn})
			stopped := time.Now().Truncate(time.Second)
			w.eventually(ctx, "audit", "it is repaired and told", func(t *v1alpha1.Trail) bool {
				return found("StopLogging", "logging")(t) && !t.Status.LastDrift.EventTime.Time.Before(stopped)
			})
			// Two stops within a second have events of one time.
			Eventually(time.Now).WithTimeout(soon).Should(BeTemporally(">=", stopped.Add(2*time.Second)))
		}
	})

	It("is told of attempts, too, each once", func(ctx context.Context) {
		for range 3 {
			_, err := w.intruder().
				Do(region, "UpdateTrail", map[string]any{"Name": "audit", "S3KeyPrefix": strings.Repeat("x", 300)})
			Expect(err).To(HaveOccurred())
		}
		Eventually(func() int { return w.meter.received(eventqueue.KindRefused) }).WithTimeout(soon).
			Should(Equal(3), "failed calls are delivered")
		told := slices.DeleteFunc(w.DrainEvents(), func(e string) bool { return !strings.Contains(e, "ChangeRefused") })
		Expect(told).To(HaveLen(1))
		Expect(
			told[0],
		).To(And(HavePrefix("Warning ChangeRefused UpdateTrail by "+intruder), ContainSubstring("was refused by AWS")))
		Expect(w.get(ctx, "audit").Status.LastDrift).To(BeNil())
	})
})

var _ = Describe("Other events", func() {
	var w *world
	BeforeEach(func(ctx context.Context) {
		w = newWorld(ctx, cloudtrailtest.Options{OpenResources: true})
		w.create(ctx, "audit", full())
		w.eventually(ctx, "audit", "it is created", ready)
		w.listening(ctx, v1alpha1.ReasonListening)
	})

	// stops lets the intruder stop the trail and waits until that is repaired: what was sent before is heard then.
	stops := func(ctx context.Context) {
		GinkgoHelper()
		w.acts("StopLogging", map[string]any{"Name": "audit"})
		w.eventually(ctx, "audit", "the queue goes on", found("StopLogging", "logging"))
	}

	It("that concern nobody wake nobody, and are deleted", func() {
		foreign := w.AWS.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::444455556666:user/somebody"})
		_, err := foreign.Do(region, "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": "theirs"})
		Expect(err).NotTo(HaveOccurred())
		_, err = foreign.Do(region, "StartLogging", map[string]any{"Name": "audit"})
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() int { return w.meter.received(eventqueue.KindOwn) }).WithTimeout(soon).
			Should(BeNumerically(">", 0), "the operator's own calls come back")
		w.AWS.ResetCalls()
		for range 30 {
			_, err = foreign.Do(region, "AddTags", map[string]any{
				"ResourceId": "arn:aws:cloudtrail:" + region + ":444455556666:trail/audit",
				"TagsList":   []any{map[string]any{"Key": "a", "Value": "b"}},
			})
			Expect(err).NotTo(HaveOccurred())
		}
		Eventually(func() int { return w.meter.received(eventqueue.KindForeign) }).WithTimeout(soon).
			Should(BeNumerically(">=", 30))
		Eventually(func() int {
			state, _ := w.AWS.QueueState(w.queue.ARN())
			return len(state.Visible) + len(state.InFlight)
		}).WithTimeout(soon).Should(BeZero(), "they are deleted")
		counts := w.AWS.CallCounts()
		for _, operation := range []string{"DescribeTrails", "ListTags", "GetTrailStatus"} {
			Expect(counts[operation]).To(BeZero(), "nobody looks")
		}
	})

	It("that cannot be read are left to the dead-letter queue", func(ctx context.Context) {
		for _, poison := range []string{
			"not JSON", "{}", `{"source":"aws.cloudtrail","detail-type":"AWS API Call via CloudTrail","detail":[]}`,
			strings.Repeat("x", 1<<20),
		} {
			Expect(w.AWS.SendMessage(w.queue.ARN(), poison)).To(Succeed())
		}
		stops(ctx)
		Eventually(func() int {
			state, _ := w.AWS.QueueState(w.dead.ARN())
			return len(state.Visible)
		}).WithTimeout(time.Minute).Should(Equal(4))
	})

	It("that are forged cause a look and nothing else", func(ctx context.Context) {
		_, err := w.intruder().Do(region, "AddTags", map[string]any{
			"ResourceId": w.get(
				ctx,
				"audit",
			).Status.TrailARN,
			"TagsList": []any{map[string]any{"Key": "harmless", "Value": "x"}},
		})
		Expect(err).NotTo(HaveOccurred())
		heard := func() int { return w.meter.received(eventqueue.KindTrail) }
		Eventually(heard).WithTimeout(soon).Should(Equal(1))
		now := time.Now().UTC().Format(time.RFC3339)
		forged := strings.NewReplacer("ARN", w.get(ctx, "audit").Status.TrailARN, "NOW", now).
			Replace(`{"source":"aws.cloudtrail","detail-type":"AWS API Call via CloudTrail","account":"` + account + `",
			"region":"` + region + `","detail":{"eventName":"DeleteTrail","eventSource":"cloudtrail.amazonaws.com",
			"eventTime":"NOW","eventID":"forged","awsRegion":"` + region + `","recipientAccountId":"` + account + `",
			"userIdentity":{"arn":"arn:aws:iam::` + account + `:user/innocent"},"requestParameters":{"name":"ARN"}}}`)
		Expect(w.AWS.SendMessage(w.queue.ARN(), forged)).To(Succeed())
		Eventually(heard).WithTimeout(soon).Should(Equal(2))
		stops(ctx)
	})
})

var _ = Describe("A trail that waits for its bucket", func() {
	It("goes on as soon as there is one", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.AWS.PutBucket(cloudtrailtest.Bucket{Name: "hub-logs"})
		hub := w.AWS.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::" + account + ":user/hub"})
		for _, operation := range []string{"CreateTrail", "StartLogging"} {
			_, err := hub.Do(region, operation, map[string]any{"Name": "hub", "S3BucketName": "hub-logs"})
			if operation == "StartLogging" {
				_, err = hub.Do(region, operation, map[string]any{"Name": "hub"})
			}
			Expect(err).NotTo(HaveOccurred(), "EventBridge needs a trail that logs")
		}
		w.create(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.eventually(ctx, "audit", "there is no bucket", func(t *v1alpha1.Trail) bool {
			return len(t.Status.Conditions) > 0 && !ready(t)
		})
		w.listening(ctx, v1alpha1.ReasonListening)

		// After a minute of refusals the operator tries less often than this spec waits.
		before := w.get(ctx, "audit")
		for i := range before.Status.Conditions {
			before.Status.Conditions[i].LastTransitionTime = metav1.NewTime(time.Now().Add(-time.Hour))
		}
		Expect(w.Client.Status().Update(ctx, before)).To(Succeed())

		w.AWS.PutBucket(cloudtrailtest.Bucket{Name: "trail-logs"})
		_, err := w.intruder().Call(cloudtrailtest.OtherCall{
			Service: "s3", Region: region, Operation: "PutBucketPolicy", Parameters: map[string]any{"bucketName": "trail-logs"},
		})
		Expect(err).NotTo(HaveOccurred())
		w.eventually(ctx, "audit", "the policy is there", ready)
		Expect(w.meter.received(eventqueue.KindDependency)).To(Equal(1))
		Expect(w.meter.received(eventqueue.KindOwn)).To(BeNumerically(">", 0), "the operator's attempts came back")
		Expect(w.meter.received(eventqueue.KindRefused)).To(BeZero(), "and are nobody else's")
	})
})

var _ = Describe("Listening", func() {
	var w *world
	BeforeEach(func(ctx context.Context) {
		w = newWorld(ctx, cloudtrailtest.Options{OpenResources: true})
		w.listening(ctx, v1alpha1.ReasonListening)
	})

	// setQueue changes the identity's queue.
	setQueue := func(ctx context.Context, url string) {
		GinkgoHelper()
		identity := &v1alpha1.AWSIdentity{}
		Expect(w.Client.Get(ctx, client.ObjectKey{Name: w.identity}, identity)).To(Succeed())
		before := identity.DeepCopy()
		identity.Spec.EventQueueURL = url
		Expect(w.Client.Patch(ctx, identity, client.MergeFrom(before))).To(Succeed())
	}

	It("ends when the queue is gone, and goes on when it comes back", func(ctx context.Context) {
		w.create(ctx, "audit", full())
		w.eventually(ctx, "audit", "it is created", ready)
		w.AWS.DeleteQueue(w.queue.ARN())
		is := w.listening(ctx, v1alpha1.ReasonQueueUnreachable)
		Expect(is.Status).To(Equal(metav1.ConditionFalse))
		Expect(is.Message).To(And(ContainSubstring("ReceiveMessage"), ContainSubstring(w.url())))

		w.createQueue()
		w.listening(ctx, v1alpha1.ReasonListening)
		w.acts("StopLogging", map[string]any{"Name": "audit"})
		w.eventually(ctx, "audit", "the queue is back", found("StopLogging", "logging"))
	})

	It("tells what is missing when it is denied", func(ctx context.Context) {
		for _, operation := range []string{"ReceiveMessage", "DeleteMessageBatch"} {
			fault := w.AWS.Inject(cloudtrailtest.Fault{Operation: operation, Code: "AccessDenied"})
			Expect(w.AWS.SendMessage(w.queue.ARN(), `{"source":"x","detail-type":"y"}`)).To(Succeed())
			is := w.listening(ctx, v1alpha1.ReasonAccessDenied)
			Expect(is.Message).To(And(ContainSubstring(operation), ContainSubstring("sqs:ReceiveMessage and sqs:DeleteMessage"),
				ContainSubstring(w.url())))
			w.AWS.ClearFault(fault)
			w.listening(ctx, v1alpha1.ReasonListening)
		}
	})

	It("ends with the queue in the spec", func(ctx context.Context) {
		setQueue(ctx, "")
		Eventually(func() *metav1.Condition { return w.condition(ctx) }).WithTimeout(soon).Should(BeNil())
		w.AWS.ResetCalls()
		Expect(w.AWS.SendMessage(w.queue.ARN(), `{"source":"x","detail-type":"y"}`)).To(Succeed())
		Consistently(func() map[string]int { return w.AWS.CallCounts() }).WithTimeout(2 * time.Second).
			ShouldNot(HaveKey("ReceiveMessage"))
	})

	It("is asked of another queue when the spec says so", func(ctx context.Context) {
		other := w.queue
		other.Name = "other"
		Expect(w.AWS.CreateQueue(other)).To(Succeed())
		setQueue(ctx, w.Endpoint+"/"+account+"/other")
		Expect(w.AWS.SendMessage(other.ARN(), `{"source":"x","detail-type":"y"}`)).To(Succeed())
		Eventually(func() int { return w.meter.received(eventqueue.KindUnknown) }).WithTimeout(soon).Should(Equal(1))
	})
})
