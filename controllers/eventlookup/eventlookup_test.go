package eventlookup_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/eventlookup"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

// paginate asks what the controller ought to ask, with the SDK's own paginator.
func (w *world) paginate(ctx context.Context, in *sdk.LookupEventsInput) []types.Event {
	GinkgoHelper()
	var found []types.Event
	for pages := sdk.NewLookupEventsPaginator(sdk.NewFromConfig(w.config), in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		Expect(err).NotTo(HaveOccurred())
		found = append(found, page.Events...)
	}
	return found
}

// shown is how a status shows what the SDK returned, read in another way than the controller reads it.
func shown(found []types.Event) []v1alpha1.Event {
	GinkgoHelper()
	var events []v1alpha1.Event
	for _, e := range found {
		document := map[string]any{}
		Expect(json.Unmarshal([]byte(aws.ToString(e.CloudTrailEvent)), &document)).To(Succeed())
		text := func(name string) string {
			value, ok := document[name]
			if !ok || value == nil {
				return ""
			}
			return fmt.Sprint(value)
		}
		identity, ok := document["userIdentity"].(map[string]any)
		Expect(ok).To(BeTrue())
		readOnly := aws.ToString(e.ReadOnly) == "true"
		at := metav1.NewTime(*e.EventTime)
		event := v1alpha1.Event{
			EventID:         *e.EventId,
			EventName:       *e.EventName,
			EventTime:       &at,
			EventSource:     *e.EventSource,
			Username:        *e.Username,
			AccessKeyID:     *e.AccessKeyId,
			ReadOnly:        &readOnly,
			SourceIPAddress: text("sourceIPAddress"),
			UserAgent:       text("userAgent"),
			ErrorCode:       text("errorCode"),
			ErrorMessage:    text("errorMessage"),
			IdentityARN:     fmt.Sprint(identity["arn"]),
		}
		for _, r := range e.Resources {
			event.Resources = append(event.Resources,
				v1alpha1.EventResource{ResourceType: aws.ToString(r.ResourceType), ResourceName: aws.ToString(r.ResourceName)})
		}
		events = append(events, event)
	}
	return events
}

func expectEvents(found, want []v1alpha1.Event) {
	GinkgoHelper()
	Expect(found).To(HaveLen(len(want)))
	for i := range want {
		Expect(found[i].EventTime.Equal(want[i].EventTime)).To(BeTrue(), "time of event %d", i)
		found[i].EventTime, want[i].EventTime = nil, nil
		Expect(found[i]).To(Equal(want[i]), "event %d", i)
	}
}

// writes leaves out reads, as the questions themselves are.
func writes(events []v1alpha1.Event) []v1alpha1.Event {
	return slices.DeleteFunc(events, func(e v1alpha1.Event) bool { return *e.ReadOnly })
}

// timestamp is a time as a person writes it.
func timestamp(t time.Time) v1alpha1.Timestamp { return v1alpha1.Timestamp(t.Format(time.RFC3339)) }

func attribute(key, value string) *v1alpha1.LookupAttribute {
	return &v1alpha1.LookupAttribute{Key: v1alpha1.LookupAttributeKey(key), Value: value}
}

var _ = Describe("The answer of an EventLookup", func() {
	var w *world
	var start time.Time
	BeforeEach(func(ctx context.Context) {
		w = newWorld(ctx, cloudtrailtest.Options{NoRateLimit: true, RecordReads: true})
		start = w.Clock.Now()
		mallory, alice := w.user("mallory"), w.user("alice")
		w.do(alice, "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": "trail-logs"})
		w.do(alice, "StartLogging", map[string]any{"Name": "audit"})
		w.do(mallory, "DescribeTrails", map[string]any{})
		w.do(mallory, "StopLogging", map[string]any{"Name": "audit"})
		w.do(mallory, "UpdateTrail", map[string]any{"Name": "audit", "S3KeyPrefix": "elsewhere"})
		_, err := mallory.Do(region, "DeleteTrail", map[string]any{"Name": "other"})
		Expect(err).To(HaveOccurred())
		for range 60 {
			w.do(alice, "StartLogging", map[string]any{"Name": "audit"})
		}
		w.Clock.Add(time.Minute)
	})

	DescribeTable("is what the SDK's paginator returns, for",
		func(ctx context.Context, key, value string) {
			end := w.Clock.Now()
			w.Clock.Add(time.Minute) // The questions are in the history, too.
			in := &sdk.LookupEventsInput{StartTime: aws.Time(start), EndTime: aws.Time(end)}
			spec := v1alpha1.EventLookupSpec{MaxResults: aws.Int32(1000), StartTime: timestamp(start), EndTime: timestamp(end)}
			if key != "" {
				spec.Attribute = attribute(key, value)
				in.LookupAttributes = []types.LookupAttribute{
					{AttributeKey: types.LookupAttributeKey(key), AttributeValue: aws.String(value)},
				}
			}
			if key == "EventId" {
				value = *w.paginate(ctx, &sdk.LookupEventsInput{EndTime: aws.Time(end)})[3].EventId
				spec.Attribute.Value, in.LookupAttributes[0].AttributeValue = value, aws.String(value)
			}
			want := shown(w.paginate(ctx, in))
			Expect(want).NotTo(BeEmpty())

			found := w.answer(ctx, spec)
			expectEvents(found.Events, want)
			Expect(*found.Truncated).To(BeFalse())
			Expect(found.AccountID).To(Equal(account))
			Expect(found.Region).To(Equal(region))
			Expect(found.StartTime.Time).To(BeTemporally("==", start))
			Expect(found.EndTime.Time).To(BeTemporally("==", end))
		},
		Entry("all events", "", ""),
		Entry("an event id", "EventId", "of the fourth"),
		Entry("an event name", "EventName", "StartLogging"),
		Entry("reads", "ReadOnly", "true"),
		Entry("writes", "ReadOnly", "false"),
		Entry("a user", "Username", "mallory"),
		Entry("a type of resources", "ResourceType", "AWS::CloudTrail::Trail"),
		Entry("a resource", "ResourceName", "audit"),
		Entry("an event source", "EventSource", "cloudtrail.amazonaws.com"),
		Entry("an access key", "AccessKeyId", "AKIAmallory"),
	)

	DescribeTable("is of the time that is asked for:",
		func(ctx context.Context, edit func(*v1alpha1.EventLookupSpec), from, to time.Duration) {
			spec := v1alpha1.EventLookupSpec{}
			edit(&spec)
			found := w.answer(ctx, spec)
			in := &sdk.LookupEventsInput{EndTime: aws.Time(start.Add(to))}
			if from >= 0 {
				in.StartTime = aws.Time(start.Add(from))
				Expect(found.StartTime.Time).To(BeTemporally("==", start.Add(from)))
			} else {
				Expect(found.StartTime).To(BeNil())
			}
			Expect(found.EndTime.Time).To(BeTemporally("==", start.Add(to)))
			expectEvents(writes(found.Events), writes(shown(w.paginate(ctx, in))))
		},
		Entry("from", func(s *v1alpha1.EventLookupSpec) { s.StartTime = timestamp(start.Add(30 * time.Second)) },
			30*time.Second, 125*time.Second),
		Entry("to", func(s *v1alpha1.EventLookupSpec) { s.EndTime = timestamp(start.Add(4 * time.Second)) },
			-1*time.Second, 4*time.Second),
		Entry("from and to", func(s *v1alpha1.EventLookupSpec) {
			s.StartTime, s.EndTime = timestamp(start.Add(2*time.Second)), timestamp(start.Add(4*time.Second))
		}, 2*time.Second, 4*time.Second),
		Entry("since", func(s *v1alpha1.EventLookupSpec) { s.Since = "1m5s" }, time.Minute, 125*time.Second),
		Entry("since, before an end", func(s *v1alpha1.EventLookupSpec) {
			s.Since, s.EndTime = "3s", timestamp(start.Add(5*time.Second))
		}, 2*time.Second, 5*time.Second),
	)

	DescribeTable("is the latest events, and says whether there are more:",
		func(ctx context.Context, maxResults int32, count int, truncated bool, calls int) {
			want := shown(w.paginate(ctx, &sdk.LookupEventsInput{
				LookupAttributes: []types.LookupAttribute{
					{AttributeKey: "EventName", AttributeValue: aws.String("StartLogging")},
				},
			}))
			Expect(want).To(HaveLen(61))
			w.AWS.ResetCalls()
			found := w.answer(ctx,
				v1alpha1.EventLookupSpec{Attribute: attribute("EventName", "StartLogging"), MaxResults: &maxResults})
			expectEvents(found.Events, want[:count])
			Expect(*found.Truncated).To(Equal(truncated))
			Expect(w.AWS.CallCounts()["LookupEvents"]).To(Equal(calls))
		},
		Entry("one", int32(1), 1, true, 1),
		Entry("a page", int32(50), 50, true, 2),
		Entry("more than a page", int32(60), 60, true, 2),
		Entry("just as many as there are", int32(61), 61, false, 2),
		Entry("more than there are", int32(1000), 61, false, 2),
	)

	It("counts calls that AWS refused, and tells the latest event in one line", func(ctx context.Context) {
		lookup, _, err := w.run(ctx, w.ask(ctx, v1alpha1.EventLookupSpec{Attribute: attribute("Username", "mallory")}))
		Expect(err).NotTo(HaveOccurred())
		Expect(*lookup.Status.EventCount).To(BeEquivalentTo(4))
		Expect(*lookup.Status.ErrorCount).To(BeEquivalentTo(1))
		Expect(complete(lookup).Reason).To(Equal("LookedUp"))
		Expect(complete(lookup).Message).To(Equal(fmt.Sprintf(
			"DeleteTrail by arn:aws:iam::111122223333:user/mallory from 198.51.100.7 at %s, "+
				"refused with TrailNotFoundException, and 3 earlier",
			start.Add(5*time.Second).UTC().Format(time.RFC3339))))
		Expect(w.Events.Events).To(Receive(HavePrefix("Normal LookedUp DeleteTrail by")))
	})

	It("may be that there is nothing", func(ctx context.Context) {
		lookup, _, err := w.run(ctx, w.ask(ctx, v1alpha1.EventLookupSpec{Attribute: attribute("Username", "bob")}))
		Expect(err).NotTo(HaveOccurred())
		expectComplete(lookup)
		Expect(lookup.Status.Events).To(BeEmpty())
		Expect(*lookup.Status.EventCount).To(BeZero())
		Expect(complete(lookup).Message).To(Equal("no events"))
	})

	It("tells when there are more than are kept", func(ctx context.Context) {
		lookup, _, err := w.run(ctx, w.ask(ctx, v1alpha1.EventLookupSpec{MaxResults: aws.Int32(2)}))
		Expect(err).NotTo(HaveOccurred())
		Expect(complete(lookup).Reason).To(Equal("Truncated"))
		Expect(complete(lookup).Message).
			To(HaveSuffix("; there are more, which were not kept: choose a shorter period, or increase maxResults"))
	})

	It("stays well below what etcd takes, however long the texts are", func(ctx context.Context) {
		verbose := w.AWS.As(cloudtrailtest.Actor{
			ARN:             "arn:aws:iam::" + account + ":user/" + strings.Repeat("v", 3000),
			UserAgent:       strings.Repeat("é", 3000),
			SourceIPAddress: "198.51.100.8",
		})
		for range 400 {
			w.do(verbose, "StartLogging", map[string]any{"Name": "audit"})
		}
		lookup, _, err := w.run(ctx,
			w.ask(ctx, v1alpha1.EventLookupSpec{Attribute: attribute("EventName", "StartLogging"), MaxResults: aws.Int32(1000)}))
		Expect(err).NotTo(HaveOccurred())
		expectComplete(lookup)
		data, err := json.Marshal(lookup)
		Expect(err).NotTo(HaveOccurred())
		Expect(len(data)).To(And(BeNumerically("<", 600<<10), BeNumerically(">", 400<<10)))
		Expect(*lookup.Status.Truncated).To(BeTrue())
		event := lookup.Status.Events[0]
		Expect(event.UserAgent).To(And(HaveSuffix("é…"), HaveLen(1023)))
		Expect(event.IdentityARN).To(HaveSuffix("v…"))
	})

	It("is not asked for again once it is there", func(ctx context.Context) {
		lookup, _, err := w.run(ctx, w.ask(ctx, v1alpha1.EventLookupSpec{}))
		Expect(err).NotTo(HaveOccurred())
		w.AWS.ResetCalls()
		w.do(w.user("mallory"), "StopLogging", map[string]any{"Name": "audit"})
		again, result, err := w.run(ctx, lookup)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(BeZero())
		Expect(again.ResourceVersion).To(Equal(lookup.ResourceVersion))
		Expect(w.AWS.CallCounts()).To(BeEmpty())
	})

	It("is the same when the lookup is interrupted and run again", func(ctx context.Context) {
		w.Clock.Add(time.Second)
		want := writes(shown(w.paginate(ctx, &sdk.LookupEventsInput{})))
		w.AWS.OnCall(func(op string, _ int) {
			if calls := w.AWS.CallCounts()["LookupEvents"]; op == "LookupEvents" && calls == 1 {
				w.AWS.Inject(cloudtrailtest.Fault{Operation: "LookupEvents", DropConnection: true, Times: 1})
			}
		}, nil)
		w.AWS.ResetCalls()
		w.AWS.Inject(cloudtrailtest.Fault{Operation: "LookupEvents", Code: "InternalFailure", Times: 1})
		lookup, _, err := w.run(ctx, w.ask(ctx, v1alpha1.EventLookupSpec{MaxResults: aws.Int32(1000)}))
		Expect(err).To(HaveOccurred(), "a passing fault is retried by the queue")
		Expect(complete(lookup).Status).To(Equal(metav1.ConditionFalse))
		testbed.ExpectKstatus(lookup, status.InProgressStatus)
		asked := w.Clock.Now()
		w.do(w.user("mallory"), "StopLogging", map[string]any{"Name": "audit"})
		w.Clock.Add(time.Hour)
		w.restart(cloudtrail.RateLimitOff)

		for range 3 {
			if lookup, _, err = w.run(ctx, lookup); err == nil {
				break
			}
		}
		Expect(err).NotTo(HaveOccurred())
		expectComplete(lookup)
		Expect(lookup.Status.EndTime.Time).
			To(BeTemporally("==", asked), "what came after the question is no part of the answer")
		expectEvents(writes(lookup.Status.Events), want)
	})
})

var _ = Describe("An EventLookup that AWS does not answer", func() {
	var w *world
	BeforeEach(func(ctx context.Context) {
		w = newWorld(ctx, cloudtrailtest.Options{NoRateLimit: true})
		w.do(w.user("mallory"), "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": "trail-logs"})
	})

	DescribeTable("has failed when AWS rejects the question:",
		func(ctx context.Context, spec func() v1alpha1.EventLookupSpec, code string) {
			lookup, result, err := w.run(ctx, w.ask(ctx, spec()))
			Expect(err).NotTo(HaveOccurred())
			Expect(result.RequeueAfter).To(BeZero())
			Expect(conditions(lookup)).
				To(Equal(map[string]metav1.ConditionStatus{"Complete": "False", "Failed": "True", "Stalled": "True"}))
			for _, condition := range lookup.Status.Conditions {
				Expect(condition.Reason).To(Equal(code))
				Expect(condition.Message).
					To(And(HavePrefix("LookupEvents: "+code+": "), HaveSuffix(" — create another EventLookup")))
			}
			Expect(lookup.Status.ObservedGeneration).To(Equal(lookup.Generation))
			testbed.ExpectKstatus(lookup, status.FailedStatus)
			Expect(w.Events.Events).To(Receive(HavePrefix("Warning " + code)))

			w.AWS.ResetCalls()
			_, _, err = w.run(ctx, lookup)
			Expect(err).NotTo(HaveOccurred())
			Expect(w.AWS.CallCounts()).To(BeEmpty(), "it is not tried again")
		},
		Entry("a value that is too long as AWS counts", func() v1alpha1.EventLookupSpec {
			return v1alpha1.EventLookupSpec{Attribute: attribute("Username", strings.Repeat("_", 1500))}
		}, "InvalidLookupAttributesException"),
		Entry("a time that is over", func() v1alpha1.EventLookupSpec {
			return v1alpha1.EventLookupSpec{EndTime: timestamp(w.Clock.Now().AddDate(0, 0, -100))}
		}, "InvalidTimeRangeException"),
		Entry("a time to come", func() v1alpha1.EventLookupSpec {
			return v1alpha1.EventLookupSpec{StartTime: timestamp(w.Clock.Now().Add(time.Hour))}
		}, "InvalidTimeRangeException"),
	)

	It("says which permission is missing, and goes on when it is there", func(ctx context.Context) {
		fault := w.AWS.Inject(cloudtrailtest.Fault{
			Operation: "LookupEvents", Code: "AccessDeniedException", Message: "not authorized",
		})
		lookup, result, err := w.run(ctx, w.ask(ctx, v1alpha1.EventLookupSpec{}))
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(Equal(5 * time.Second))
		Expect(conditions(lookup)).To(Equal(map[string]metav1.ConditionStatus{"Complete": "False", "Reconciling": "True"}))
		Expect(complete(lookup).Reason).To(Equal("AccessDeniedException"))
		Expect(complete(lookup).Message).To(MatchRegexp(`^LookupEvents: AccessDeniedException: not authorized — ` +
			`AWSIdentity ".*" \(arn:aws:.*111122223333.*\) needs permission for cloudtrail:LookupEvents$`))
		testbed.ExpectKstatus(lookup, status.InProgressStatus)

		w.Clock.Add(10 * time.Minute)
		same, result, err := w.run(ctx, lookup)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(BeNumerically(">", 2*time.Minute), "the longer it lasts the slower it is retried")
		Expect(same.ResourceVersion).To(Equal(lookup.ResourceVersion), "what has not changed is not written")

		Expect(w.AWS.ClearFault(fault)).To(BeTrue())
		lookup, _, err = w.run(ctx, lookup)
		Expect(err).NotTo(HaveOccurred())
		expectComplete(lookup)
	})

	It("shows a passing fault when it lasts, and goes on after it", func(ctx context.Context) {
		w.AWS.Inject(cloudtrailtest.Fault{Operation: "LookupEvents", Code: "ServiceUnavailable", Status: 503})
		lookup, _, err := w.run(ctx, w.ask(ctx, v1alpha1.EventLookupSpec{}))
		Expect(err).To(HaveOccurred())
		Expect(complete(lookup).Reason).To(Equal("Running"))
		w.Clock.Add(2 * time.Minute)
		lookup, _, err = w.run(ctx, lookup)
		Expect(err).To(HaveOccurred())
		Expect(complete(lookup).Reason).To(Equal("ServiceUnavailable"))
		testbed.ExpectKstatus(lookup, status.InProgressStatus)
		w.AWS.ClearFaults()
		lookup, _, err = w.run(ctx, lookup)
		Expect(err).NotTo(HaveOccurred())
		expectComplete(lookup)
	})

	It("goes on after a passing fault of STS", func(ctx context.Context) {
		w.AWS.Inject(cloudtrailtest.Fault{Operation: "GetCallerIdentity", Code: "ServiceUnavailable", Status: 503})
		lookup, _, err := w.run(ctx, w.ask(ctx, v1alpha1.EventLookupSpec{}))
		Expect(err).To(HaveOccurred())
		w.AWS.ClearFaults()
		w.Clock.Add(2 * time.Second) // The session is opened anew after a second.
		lookup, _, err = w.run(ctx, lookup)
		Expect(err).NotTo(HaveOccurred())
		expectComplete(lookup)
	})

	DescribeTable("asks for no page again but the one that was not answered:",
		func(ctx context.Context, code string, calls int) {
			for range 120 {
				w.do(w.user("mallory"), "StartLogging", map[string]any{"Name": "audit"})
			}
			w.AWS.ResetCalls()
			pages := 0
			w.AWS.OnCall(nil, func(op string, _ int) {
				if op != "LookupEvents" {
					return
				}
				if pages++; pages == 1 {
					w.AWS.Inject(cloudtrailtest.Fault{Operation: op, Code: code, Times: 1})
				}
			})
			lookup, _, err := w.run(ctx, w.ask(ctx, v1alpha1.EventLookupSpec{MaxResults: aws.Int32(1000)}))
			Expect(err).To(MatchError(ContainSubstring(code)))
			lookup, _, err = w.run(ctx, lookup)
			Expect(err).NotTo(HaveOccurred())
			expectComplete(lookup)
			Expect(lookup.Status.Events).To(HaveLen(121))
			Expect(w.AWS.CallCounts()["LookupEvents"]).To(Equal(calls))
		},
		Entry("a passing fault", "ServiceUnavailable", 4),
		Entry("a place that AWS does not know any more, where it begins anew", "InvalidNextTokenException", 5),
	)

	It("shows what somebody else than AWS answers, whatever it is", func(ctx context.Context) {
		w.AWS.Inject(cloudtrailtest.Fault{
			Operation: "LookupEvents", Status: 400,
			Code: "Gateway/No.Route\x1b[2J", Message: strings.Repeat("so it is\n", 12_000),
		})
		lookup, _, err := w.run(ctx, w.ask(ctx, v1alpha1.EventLookupSpec{}))
		Expect(err).NotTo(HaveOccurred())
		Expect(complete(lookup).Reason).To(Equal("Gateway_No_Route_x1b_2J"))
		Expect(complete(lookup).Message).To(HavePrefix(`LookupEvents: Gateway/No.Route\x1b[2J: so it is so it is `))
		testbed.ExpectKstatus(lookup, status.InProgressStatus)
	})

	DescribeTable("is refused without a call to AWS when",
		func(ctx context.Context, prepare func(*v1alpha1.EventLookupSpec), reason, message string, repair func()) {
			w.restart(cloudtrail.RateLimitOff)
			spec := v1alpha1.EventLookupSpec{}
			prepare(&spec)
			w.AWS.ResetCalls()
			lookup, result, err := w.run(ctx, w.ask(ctx, spec))
			Expect(err).NotTo(HaveOccurred())
			Expect(result.RequeueAfter).To(Equal(5 * time.Second))
			Expect(complete(lookup)).To(And(
				HaveField("Status", metav1.ConditionFalse),
				HaveField("Reason", reason),
				HaveField("Message", ContainSubstring(message)),
			))
			testbed.ExpectKstatus(lookup, status.InProgressStatus)
			Expect(w.AWS.CallCounts()).To(BeEmpty())

			repair()
			lookup, _, err = w.run(ctx, lookup)
			Expect(err).NotTo(HaveOccurred())
			expectComplete(lookup)
		},
		Entry("the identity does not exist",
			func(s *v1alpha1.EventLookupSpec) {
				s.IdentityRef = &v1alpha1.IdentityReference{Name: w.Namespace + "-new"}
			},
			"IdentityNotFound", "does not exist",
			func() { w.CreateIdentity(context.Background(), w.Namespace+"-new", v1alpha1.AWSIdentitySpec{}) }),
		Entry("the identity does not allow the namespace",
			func(*v1alpha1.EventLookupSpec) { w.allow(nil) },
			"NamespaceNotAllowed", "does not allow namespace",
			func() { w.allow(&v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}) }),
		Entry("no region is known",
			func(*v1alpha1.EventLookupSpec) { w.config.Region = ""; w.restart(cloudtrail.RateLimitOff) },
			"RegionUnknown", "no region",
			func() { w.config.Region = region; w.restart(cloudtrail.RateLimitOff) }),
	)
})

// allow changes whom the world's identity serves.
func (w *world) allow(namespaces *v1alpha1.AllowedNamespaces) {
	GinkgoHelper()
	identity := &v1alpha1.AWSIdentity{}
	Expect(w.Client.Get(context.Background(), client.ObjectKey{Name: w.Namespace}, identity)).To(Succeed())
	identity.Spec.AllowedNamespaces = namespaces
	Expect(w.Client.Update(context.Background(), identity)).To(Succeed())
}

var _ = Describe("A finished EventLookup", func() {
	var w *world
	BeforeEach(func(ctx context.Context) { w = newWorld(ctx, cloudtrailtest.Options{NoRateLimit: true}) })

	It("is kept until its time is over, and then deleted", func(ctx context.Context) {
		lookup, result, err := w.run(ctx, w.ask(ctx, v1alpha1.EventLookupSpec{TTLSecondsAfterFinished: aws.Int32(60)}))
		Expect(err).NotTo(HaveOccurred())
		expectComplete(lookup)
		Expect(result.RequeueAfter).To(Equal(time.Minute))
		w.Clock.Add(59 * time.Second)
		_, result, err = w.run(ctx, lookup)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(Equal(time.Second))
		w.Clock.Add(time.Second)
		_, err = w.reconciler.Reconcile(ctx, w.get(ctx, lookup))
		Expect(err).NotTo(HaveOccurred())
		Expect(apierrors.IsNotFound(w.Client.Get(ctx, client.ObjectKeyFromObject(lookup), lookup))).To(BeTrue())
	})

	It("is deleted at once when it has no time to live, also when it has failed", func(ctx context.Context) {
		lookup := w.ask(
			ctx,
			v1alpha1.EventLookupSpec{
				TTLSecondsAfterFinished: aws.Int32(0),
				EndTime:                 timestamp(w.Clock.Now().AddDate(0, 0, -100)),
			},
		)
		_, err := w.reconciler.Reconcile(ctx, lookup)
		Expect(err).NotTo(HaveOccurred())
		Expect(apierrors.IsNotFound(w.Client.Get(ctx, client.ObjectKeyFromObject(lookup), lookup))).To(BeTrue())
	})

	It("is kept in a cache without its events", func(ctx context.Context) {
		w.do(w.user("mallory"), "CreateTrail", map[string]any{"Name": "audit", "S3BucketName": "trail-logs"})
		lookup, _, err := w.run(ctx, w.ask(ctx, v1alpha1.EventLookupSpec{}))
		Expect(err).NotTo(HaveOccurred())
		Expect(lookup.Status.Events).NotTo(BeEmpty())
		kept := lookup.DeepCopy()
		Expect(eventlookup.WithoutEvents(kept)).To(BeIdenticalTo(kept))
		Expect(kept.Status.Events).To(BeEmpty())
		Expect(kept.Finished()).To(BeTrue())
		_, err = w.reconciler.Reconcile(ctx, kept)
		Expect(err).NotTo(HaveOccurred())
		Expect(w.get(ctx, lookup).Status.Events).NotTo(BeEmpty(), "and is not written back without them")
	})
})
