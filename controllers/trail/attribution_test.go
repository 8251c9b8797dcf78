package trail_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/trail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed/clock"
)

// lag is how long the history of these tests hides an event.
const lag = 10 * time.Minute

// historySettles is after what time the history is complete, as CloudTrail's documentation says.
const historySettles = 15 * time.Minute

// newHistory returns a world whose AWS shares the controller's clock, with a history that lags.
func newHistory(ctx context.Context, options cloudtrailtest.Options) *world {
	GinkgoHelper()
	now := clock.New(time.Now())
	options.OpenResources, options.Now = true, now.Now
	return worldAt(ctx, now, options)
}

// attribute asks the history once who made the last drift. Each time it is another process that asks.
func (w *world) attribute(ctx context.Context, name string) time.Duration {
	GinkgoHelper()
	reconciler, err := trail.New(trail.Options{
		Client:    w.Client,
		Live:      w.Client,
		Recorder:  w.Events,
		Sessions:  w.sessions,
		ClusterID: clusterID,
		Interval:  interval,
		Now:       w.Clock.Now,
	})
	Expect(err).NotTo(HaveOccurred())
	result, err := reconciler.Attribute(ctx, w.get(ctx, name))
	Expect(err).NotTo(HaveOccurred())
	return result.RequeueAfter
}

// conclude asks the history as often as the controller wants to, for as long as it wants to.
func (w *world) conclude(ctx context.Context, name string) *v1alpha1.Drift {
	GinkgoHelper()
	for range 40 {
		wait := w.attribute(ctx, name)
		switch drift := w.get(ctx, name).Status.LastDrift; drift.Attribution {
		case v1alpha1.DriftAttributionPending:
		case v1alpha1.DriftAttributionProvisional:
			w.named = append(w.named, named{w.Clock.Now(), drift.Actor})
		default:
			Expect(wait).To(BeZero(), "what is concluded is not looked into again")
			return drift
		}
		Expect(wait).To(BeNumerically(">", 0), "what is not concluded is looked into again")
		w.Clock.Add(wait)
	}
	Fail("the attribution does not end")
	return nil
}

// named is when somebody was named.
type named struct {
	at   time.Time
	whom string
}

// told returns the events of a reason that were told since it was last called.
func (w *world) told(reason string) []string {
	var told []string
	for _, event := range w.DrainEvents() {
		if text, found := strings.CutPrefix(event, "Warning "+reason+" "); found {
			told = append(told, text)
		}
	}
	return told
}

func (w *world) do(actor cloudtrailtest.ActingAs, operation string, params map[string]any) {
	GinkgoHelper()
	_, err := actor.Do(region, operation, params)
	Expect(err).NotTo(HaveOccurred())
}

// refuseMany has AWS refuse an accomplice more calls of an operation on a trail than the controller reads.
func (w *world) refuseMany(operation, trail string) {
	GinkgoHelper()
	accomplice := cloudtrailtest.Actor{ARN: "arn:aws:iam::" + account + ":user/accomplice", Bound: true}
	w.AWS.Inject(cloudtrailtest.Fault{
		Operation:    operation,
		PrincipalARN: accomplice.ARN,
		Code:         "AccessDeniedException",
		Message:      "no",
	})
	w.failMany(w.AWS.As(accomplice), operation, map[string]any{"Name": trail})
}

// failMany has somebody make more calls than the controller reads, which all fail.
func (w *world) failMany(actor cloudtrailtest.ActingAs, operation string, params map[string]any) {
	GinkgoHelper()
	for range 1001 {
		_, err := actor.Do(region, operation, params)
		Expect(err).To(HaveOccurred())
	}
}

func (w *world) user(name, address string) cloudtrailtest.ActingAs {
	return w.AWS.As(cloudtrailtest.Actor{
		ARN:             fmt.Sprintf("arn:aws:iam::%s:user/%s", account, name),
		SourceIPAddress: address,
		UserAgent:       "aws-cli/2.15.0",
	})
}

// provisionally is what an event says of a name that is not certain yet.
const provisionally = "; provisional, because CloudTrail's history may not be complete yet"

func trailARN(name string) string { return cloudtrail.TrailARN(region, account, name) }

var _ = Describe("Who made a drift", func() {
	const auditName = "audit"
	var w *world
	BeforeEach(func(ctx context.Context) {
		w = newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true, HistoryLag: lag})
	})

	no := false
	dataEvents := []v1alpha1.EventSelector{
		{DataResources: []v1alpha1.DataResource{{Type: "AWS::S3::Object", Values: []string{"arn:aws:s3"}}}},
	}
	tagged := v1alpha1.TrailSpec{S3BucketName: "trail-logs", Tags: []v1alpha1.Tag{{Key: "team", Value: "audit"}}}
	DescribeTable("is told of every kind of drift, when the history has caught up",
		func(ctx context.Context, spec v1alpha1.TrailSpec, operation string, params map[string]any) {
			w.apply(ctx, auditName, spec)
			w.settle(ctx, auditName)
			made := w.Clock.Now().Add(56 * time.Second)
			w.Clock.Set(made)
			w.do(w.intruder(), operation, params)
			w.Clock.Add(-56 * time.Second) // The next look is a minute after the last one, and so 4 seconds later.

			found := w.settle(ctx, auditName)
			Expect(found.Status.LastDrift).NotTo(BeNil())
			Expect(found.Status.LastDrift.RepairedTime).NotTo(BeNil(), "the repair does not wait for the history")
			Expect(found.Status.LastDrift.Attribution).To(Equal(v1alpha1.DriftAttributionPending))
			written := found.ResourceVersion
			w.attribute(ctx, auditName)
			Expect(w.get(ctx, auditName).ResourceVersion).To(Equal(written), "a look that finds nothing writes nothing")
			w.told("")

			drift := w.conclude(ctx, auditName)
			Expect(w.named[0].at).
				To(BeTemporally("~", made.Add(lag), 3*time.Minute), "somebody is named soon after the history tells")
			Expect(w.Clock.Now()).
				To(BeTemporally("~", made.Add(historySettles), 10*time.Second), "and for certain when no later call can appear")
			Expect(drift.Attribution).To(Equal(v1alpha1.DriftAttributionFound))
			Expect(drift.AttributionMessage).To(BeEmpty())
			Expect(drift.Actor).To(Equal("arn:aws:iam::111122223333:user/intruder"))
			Expect(drift.EventName).To(Equal(operation))
			Expect(drift.EventID).NotTo(BeEmpty())
			Expect(drift.EventTime.Time).To(BeTemporally("==", made.Truncate(time.Second)))
			Expect(drift.SourceIPAddress).To(Equal("198.51.100.7"))
			Expect(drift.UserAgent).To(Equal("aws-cli/2.15.0"))
			Expect(w.told("DriftAttributed")).To(ConsistOf(fmt.Sprintf(
				"%s by arn:aws:iam::111122223333:user/intruder from 198.51.100.7 at %s; repaired after 4s%s",
				operation, made.UTC().Format("2006-01-02T15:04:05Z"), provisionally)))
			Expect(found.Status.Conditions).To(Equal(w.get(ctx, auditName).Status.Conditions), "nothing else is written")
		},
		Entry("logging stopped", v1alpha1.TrailSpec{S3BucketName: "trail-logs"},
			"StopLogging", map[string]any{"Name": auditName}),
		Entry("logging started", v1alpha1.TrailSpec{S3BucketName: "trail-logs", Logging: &no},
			"StartLogging", map[string]any{"Name": trailARN(auditName)}),
		Entry("a setting", v1alpha1.TrailSpec{S3BucketName: "trail-logs"},
			"UpdateTrail", map[string]any{"Name": trailARN(auditName), "S3BucketName": "elsewhere"}),
		Entry("a flag", v1alpha1.TrailSpec{S3BucketName: "trail-logs"},
			"UpdateTrail", map[string]any{"Name": auditName, "IncludeGlobalServiceEvents": false}),
		Entry("event selectors", v1alpha1.TrailSpec{S3BucketName: "trail-logs"}, "PutEventSelectors", map[string]any{
			"TrailName":      auditName,
			"EventSelectors": []any{map[string]any{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": true}},
		}),
		Entry("insights", v1alpha1.TrailSpec{
			S3BucketName:     "trail-logs",
			InsightSelectors: []v1alpha1.InsightSelector{{InsightType: "ApiCallRateInsight"}},
		}, "PutInsightSelectors", map[string]any{"TrailName": trailARN(auditName), "InsightSelectors": []any{}}),
		Entry("aggregation", v1alpha1.TrailSpec{
			S3BucketName:   "trail-logs",
			EventSelectors: dataEvents,
			AggregationConfigurations: []v1alpha1.AggregationConfiguration{
				{EventCategory: "Data", Templates: []v1alpha1.AggregationTemplate{"API_ACTIVITY"}},
			},
		}, "PutEventConfiguration", map[string]any{"TrailName": trailARN(auditName), "AggregationConfigurations": []any{}}),
		Entry("a tag changed", tagged, "AddTags", map[string]any{
			"ResourceId": trailARN(auditName),
			"TagsList":   []any{map[string]any{"Key": "team", "Value": "mallory"}},
		}),
		Entry("a tag removed", tagged, "RemoveTags", map[string]any{
			"ResourceId": trailARN(auditName),
			"TagsList":   []any{map[string]any{"Key": "team"}},
		}),
		Entry("the owner tag removed", v1alpha1.TrailSpec{
			S3BucketName:   "trail-logs",
			AdoptionPolicy: v1alpha1.AdoptionPolicyIfUnowned,
		}, "RemoveTags", map[string]any{
			"ResourceId": trailARN(auditName),
			"TagsList":   []any{map[string]any{"Key": v1alpha1.OwnerTagKey}},
		}),
		Entry("the trail deleted", v1alpha1.TrailSpec{S3BucketName: "trail-logs", EventSelectors: dataEvents},
			"DeleteTrail", map[string]any{"Name": auditName}),
	)

	It("blames neither the operator, nor who failed, nor who changed other trails, nor who came earlier or later",
		func(ctx context.Context) {
			spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs"}
			w.apply(ctx, auditName, spec)
			w.apply(ctx, "other", spec)
			w.settle(ctx, auditName)
			w.settle(ctx, "other")
			update := map[string]any{"Name": auditName, "S3KeyPrefix": "elsewhere"}

			w.do(w.user("earlier", "203.0.113.1"), "UpdateTrail", update)
			spec.S3KeyPrefix = "elsewhere"
			w.apply(ctx, auditName, spec)
			w.settle(ctx, auditName)
			spec.S3KeyPrefix = "ours" // The operator's own UpdateTrail.
			w.apply(ctx, auditName, spec)
			w.settle(ctx, auditName)
			w.Clock.Add(10 * time.Second)
			w.do(w.intruder(), "UpdateTrail", update)
			w.Clock.Add(10 * time.Second)
			w.do(w.user("stranger", "203.0.113.2"), "UpdateTrail", map[string]any{"Name": "other", "S3KeyPrefix": "elsewhere"})
			refused := map[string]any{"Name": auditName, "S3BucketName": "Not A Bucket"}
			_, err := w.user("clumsy", "203.0.113.3").Do(region, "UpdateTrail", refused)
			Expect(err).To(HaveOccurred())
			Expect(w.settle(ctx, auditName).Status.LastDrift.Fields).To(ConsistOf("s3KeyPrefix"))
			w.Clock.Add(10 * time.Second)
			w.do(w.user("later", "203.0.113.4"), "UpdateTrail", update)

			drift := w.conclude(ctx, auditName)
			Expect(drift.Actor).To(HaveSuffix("user/intruder"))
			Expect(drift.EventName).To(Equal("UpdateTrail"))
		})

	It("blames nobody who came earlier when a restart has forgotten the last look", func(ctx context.Context) {
		w.apply(ctx, auditName, v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.settle(ctx, auditName)
		w.do(w.user("earlier", "203.0.113.1"), "UpdateTrail", map[string]any{"Name": auditName, "S3BucketName": "trail-logs"})
		w.Clock.Add(time.Hour)
		Expect(w.settle(ctx, auditName).Status.LastDrift).To(BeNil(), "nothing was changed")
		w.restart()
		w.do(w.intruder(), "UpdateTrail", map[string]any{"Name": auditName, "S3BucketName": "elsewhere"})
		w.settle(ctx, auditName)
		Expect(w.conclude(ctx, auditName).Actor).To(HaveSuffix("user/intruder"))
	})

	It("begins where the status shows that AWS was in sync", func(ctx context.Context) {
		w = newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true, HistoryLag: lag, DeliveryInterval: 5 * time.Minute})
		w.apply(ctx, auditName, v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.settle(ctx, auditName)
		w.Clock.Add(time.Hour)
		w.settle(ctx, auditName)
		looked := w.Clock.Now()
		w.restart()
		w.do(w.intruder(), "StopLogging", map[string]any{"Name": auditName})
		since := w.settle(ctx, auditName).Status.LastDrift.LastInSyncTime.Time
		Expect(since).To(BeTemporally("~", looked.Add(-30*time.Second), 6*time.Second),
			"less what a shared read may be old, and reads may lag")
		Expect(since).To(BeTemporally("<", looked))
	})

	It("is not known when the history does not tell, and the object says so", func(ctx context.Context) {
		w = newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true, HistoryLag: 24 * time.Hour})
		w.apply(ctx, auditName, v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.settle(ctx, auditName)
		w.do(w.intruder(), "StopLogging", map[string]any{"Name": auditName})
		detected := w.settle(ctx, auditName).Status.LastDrift.DetectedTime
		w.AWS.ResetCalls()

		drift := w.conclude(ctx, auditName)
		Expect(w.Clock.Now()).To(BeTemporally("~", detected.Add(30*time.Minute), 2*time.Second))
		Expect(w.AWS.CallCounts()["LookupEvents"]).To(BeNumerically("<", 25), "it is looked for ever less often")
		Expect(drift.Attribution).To(Equal(v1alpha1.DriftAttributionNotFound))
		Expect(drift.Actor).To(BeEmpty())
		Expect(
			drift.AttributionMessage,
		).To(MatchRegexp("^CloudTrail's event history shows no successful call of StopLogging " +
			"on this trail by anybody else from .*Z until .*Z$"))
		Expect(
			w.told("DriftNotAttributed"),
		).To(ConsistOf("it is not known who changed the trail: " + drift.AttributionMessage))
	})

	It("is told of the gravest change first, and of all when all are known", func(ctx context.Context) {
		w.apply(ctx, auditName, v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.settle(ctx, auditName)
		w.do(w.user("first", "203.0.113.1"), "UpdateTrail", map[string]any{"Name": auditName, "S3KeyPrefix": "elsewhere"})
		w.Clock.Add(5 * time.Minute)
		w.do(w.user("second", "203.0.113.2"), "StopLogging", map[string]any{"Name": auditName})
		w.settle(ctx, auditName)
		w.Clock.Add(5 * time.Minute)
		w.told("")

		w.attribute(ctx, auditName)
		drift := w.get(ctx, auditName).Status.LastDrift
		Expect(drift.Actor).To(HaveSuffix("user/first"), "what is known is told")
		Expect(drift.Attribution).To(Equal(v1alpha1.DriftAttributionProvisional))
		Expect(w.told("DriftAttributed")).To(ConsistOf(HavePrefix("UpdateTrail by arn:aws:iam::111122223333:user/first")))
		drift = w.conclude(ctx, auditName)
		Expect(drift.Actor).To(HaveSuffix("user/second"), "to stop a trail is graver")
		Expect(drift.Attribution).To(Equal(v1alpha1.DriftAttributionFound))
		Expect(w.told("DriftAttributed")).
			To(ContainElement(HavePrefix("StopLogging by arn:aws:iam::111122223333:user/second")))
	})

	It("is found for each of several drifts that come before the history tells of the first", func(ctx context.Context) {
		w.apply(ctx, auditName, v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.settle(ctx, auditName)
		var want []any
		for i := range 4 {
			who := fmt.Sprintf("intruder-%d", i)
			w.Clock.Add(time.Minute)
			w.do(w.user(who, "203.0.113.1"), "StopLogging", map[string]any{"Name": auditName})
			Expect(w.settle(ctx, auditName).Status.LastDrift.Actor).To(BeEmpty())
			w.attribute(ctx, auditName)
			want = append(want, And(
				HavePrefix("StopLogging by arn:aws:iam::111122223333:user/"+who),
				HaveSuffix("; repaired after 1m0s"+provisionally),
			))
		}
		Expect(w.get(ctx, auditName).Status.EarlierDrifts).To(HaveLen(3))
		w.told("")
		var told []string
		for range 20 {
			w.Clock.Add(w.attribute(ctx, auditName))
			told = append(told, w.told("DriftAttributed")...)
		}
		Expect(told).To(ConsistOf(want...))
		found := w.get(ctx, auditName).Status
		Expect(found.EarlierDrifts).To(BeEmpty())
		Expect(found.LastDrift.Actor).To(HaveSuffix("user/intruder-3"))
	})

	It("says which permission is missing, and goes on when it is there", func(ctx context.Context) {
		w.apply(ctx, auditName, v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.settle(ctx, auditName)
		w.do(w.intruder(), "StopLogging", map[string]any{"Name": auditName})
		w.settle(ctx, auditName)
		w.Clock.Add(lag)
		fault := w.AWS.Inject(cloudtrailtest.Fault{
			Operation: "LookupEvents", Code: "AccessDeniedException", Message: "not authorized",
		})

		Expect(w.attribute(ctx, auditName)).To(BeNumerically(">", 0))
		drift := w.get(ctx, auditName).Status.LastDrift
		Expect(drift.Attribution).To(Equal(v1alpha1.DriftAttributionPending))
		Expect(drift.AttributionMessage).
			To(And(ContainSubstring("not authorized"), ContainSubstring("needs permission for cloudtrail:LookupEvents")))
		Expect(w.AWS.ClearFault(fault)).To(BeTrue())
		drift = w.conclude(ctx, auditName)
		Expect(drift.Attribution).To(Equal(v1alpha1.DriftAttributionFound))
		Expect(drift.AttributionMessage).To(BeEmpty())
	})

	It("is not looked into while the Trail is suspended", func(ctx context.Context) {
		spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs"}
		w.apply(ctx, auditName, spec)
		w.settle(ctx, auditName)
		w.do(w.intruder(), "StopLogging", map[string]any{"Name": auditName})
		w.settle(ctx, auditName)
		yes := true
		spec.Suspend = &yes
		w.apply(ctx, auditName, spec)
		w.AWS.ResetCalls()
		Expect(w.attribute(ctx, auditName)).To(BeZero())
		Expect(w.AWS.CallCounts()).To(BeEmpty())
	})

	It("is found for twenty trails that drift at once without a lookup too many", func(ctx context.Context) {
		const trails = 20
		var w *world
		var running time.Time
		now := func() time.Time {
			switch {
			case w == nil:
				return time.Now()
			case running.IsZero():
				return w.Clock.Now()
			default: // Time passes by itself, as the rate limit needs it to.
				return w.Clock.Now().Add(time.Since(running))
			}
		}
		w = newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoTrailLimit: true, Now: now})
		look := func(name string) {
			GinkgoHelper()
			w.Clock.Add(time.Second)
			_, err := w.reconc.Reconcile(ctx,
				reconcile.Request{NamespacedName: client.ObjectKey{Namespace: w.Namespace, Name: name}})
			Expect(err).NotTo(HaveOccurred())
		}
		var names []string
		for i := range trails {
			// Not logging, so that each look makes one write, as one is allowed.
			names = append(names, fmt.Sprintf("audit-%d", i))
			w.apply(ctx, names[i], v1alpha1.TrailSpec{S3BucketName: "trail-logs", Logging: &no})
			look(names[i])
		}
		for _, name := range names {
			w.do(w.intruder(), "StartLogging", map[string]any{"Name": name})
		}
		for _, name := range names {
			look(name)
			Expect(w.get(ctx, name).Status.LastDrift.Attribution).To(Equal(v1alpha1.DriftAttributionPending))
		}

		running = time.Now()
		w.AWS.ResetCalls()
		w.startLimited(context.WithoutCancel(ctx), now)
		for _, name := range names {
			Eventually(func() string { return w.get(ctx, name).Status.LastDrift.Actor }).WithContext(ctx).
				WithTimeout(30*time.Second).Should(HaveSuffix("user/intruder"), name)
		}
		Expect(w.AWS.Throttled()).To(BeZero())
		Expect(w.AWS.CallCounts()["LookupEvents"]).
			To(BeNumerically("<", 2*trails), "one each, but where two writes of a status met")
	})
})

// What CloudTrail reports of logging, and when its events are, differs by what nobody has documented.
var _ = Describe("Who stopped a trail", func() {
	const auditName = "audit"
	for how, options := range map[string]cloudtrailtest.Options{
		"AWS is as it is documented":                 {},
		"a repeated call moves the time":             {RepeatedCallsMoveTimes: true},
		"events are a moment late":                   {EventDelay: 300 * time.Millisecond},
		"events are late":                            {EventDelay: 2 * time.Second},
		"events are late and repeated calls move it": {EventDelay: 900 * time.Millisecond, RepeatedCallsMoveTimes: true},
	} {
		options.NoRateLimit = true
		begin := func(ctx context.Context) (w *world, stop, start func(who string, shown time.Duration)) {
			GinkgoHelper()
			w = newHistory(ctx, options)
			w.apply(ctx, auditName, v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
			w.settle(ctx, auditName)
			w.Clock.Add(10 * time.Minute)
			w.settle(ctx, auditName)
			w.Clock.Set(w.Clock.Now().Add(time.Minute).Truncate(time.Second))
			call := func(operation string) func(string, time.Duration) {
				return func(who string, shown time.Duration) {
					GinkgoHelper()
					w.AWS.SetLags(cloudtrailtest.Lags{History: shown})
					w.do(w.user(who, "203.0.113.1"), operation, map[string]any{"Name": auditName})
				}
			}
			return w, call("StopLogging"), call("StartLogging")
		}
		look := func(ctx context.Context, w *world) {
			GinkgoHelper()
			_, err := w.lookAfter(ctx, auditName, 10*time.Second)
			Expect(err).NotTo(HaveOccurred())
		}

		It("is not who stops it once more, whose call the history shows first: "+how, func(ctx context.Context) {
			w, stop, _ := begin(ctx)
			stop("intruder", 10*time.Minute)
			w.Clock.Add(20 * time.Second)
			stop("clumsy", time.Minute)
			look(ctx, w)
			drift := w.conclude(ctx, auditName)
			Expect(drift.Attribution).To(Equal(v1alpha1.DriftAttributionFound))
			Expect(drift.Actor).To(HaveSuffix("user/intruder"))
		})

		for name, between := range map[string]time.Duration{
			"a minute":            time.Minute,
			"two seconds":         2 * time.Second,
			"a third of a second": 300 * time.Millisecond,
		} {
			before := fmt.Sprintf("is not who had stopped and started it %s before", name)
			It(before+", whose calls the history shows first: "+how, func(ctx context.Context) {
				w, stop, start := begin(ctx)
				stop("clumsy", time.Minute)
				w.Clock.Add(between / 2)
				start("clumsy", 12*time.Minute)
				w.Clock.Add(between / 2)
				stop("intruder", 10*time.Minute)
				look(ctx, w)
				drift := w.conclude(ctx, auditName)
				Expect(drift.Attribution).To(Equal(v1alpha1.DriftAttributionFound))
				Expect(drift.Actor).To(HaveSuffix("user/intruder"))
			})
		}

		It("is told of each who stops it, however soon after the repair: "+how, func(ctx context.Context) {
			w, stop, _ := begin(ctx)
			w.told("")
			stop("first", 5*time.Minute)
			_, err := w.lookAfter(ctx, auditName, 2*time.Second)
			Expect(err).NotTo(HaveOccurred())
			w.Clock.Add(2 * time.Second)
			stop("second", 5*time.Minute)
			look(ctx, w)
			Expect(w.get(ctx, auditName).Status.EarlierDrifts).To(HaveLen(1))
			w.told("")
			Expect(w.conclude(ctx, auditName).Actor).To(HaveSuffix("user/second"))
			Expect(w.get(ctx, auditName).Status.EarlierDrifts).To(BeEmpty())
			Expect(w.told("DriftAttributed")).To(ConsistOf(ContainSubstring("user/first "), ContainSubstring("user/second ")))
		})
	}

	It("is found among the refusals of others on the same trail", func(ctx context.Context) {
		w := newHistory(ctx, cloudtrailtest.Options{NoRateLimit: true})
		w.apply(ctx, auditName, v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.settle(ctx, auditName)
		w.do(w.intruder(), "StopLogging", map[string]any{"Name": auditName})
		w.Clock.Add(8 * time.Second)
		w.refuseMany("StopLogging", trailARN(auditName))
		w.settle(ctx, auditName)
		Expect(w.conclude(ctx, auditName).Actor).To(HaveSuffix("user/intruder"))
	})
})

// startLimited runs the controller as the operator does, for this world's namespace, within CloudTrail's rate limits.
func (w *world) startLimited(ctx context.Context, now func() time.Time) {
	GinkgoHelper()
	sessions := w.NewSessions(func(o *cloudtrail.Options) {
		o.Config.HTTPClient, o.RateLimits, o.MaxWait, o.Now = w.life, cloudtrail.RateLimitOn, 0, nil
	})
	options := w.ManagerOptions()
	options.Client = client.Options{Cache: &client.CacheOptions{}}
	w.StartManager(ctx, options, func(manager ctrl.Manager) {
		reconciler, err := trail.New(trail.Options{
			Client:    manager.GetClient(),
			Live:      manager.GetAPIReader(),
			Recorder:  manager.GetEventRecorder("trail-operator"),
			Sessions:  sessions,
			ClusterID: clusterID,
			Interval:  interval,
			Now:       now,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(reconciler.SetupWithManager(ctx, manager, 4)).To(Succeed())
	})
}
