package metrics_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/digest"
	"github.com/trail-operator/trail-operator/controllers/metrics"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

func TestMetrics(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Metrics")
}

var (
	ctx     = context.Background()
	cluster client.Client
	objects cache.Cache
)

var _ = BeforeSuite(func() {
	config, scheme := testbed.Start(), testbed.Scheme()
	var err error
	cluster, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	objects, err = cache.New(config, cache.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
})

// leading is the Elected channel of a leader, following that of another replica.
func leading() <-chan struct{} {
	elected := make(chan struct{})
	close(elected)
	return elected
}

func following() <-chan struct{} { return make(chan struct{}) }

// registered returns metrics in a registry of their own, which checks what they tell.
func registered(elected <-chan struct{}) (*prometheus.Registry, *metrics.Metrics) {
	GinkgoHelper()
	registry := prometheus.NewPedanticRegistry()
	m, err := metrics.New(ctx, metrics.Options{
		Registerer:    registry,
		Cache:         objects,
		Elected:       elected,
		Interval:      5 * time.Minute,
		DefaultRegion: "eu-central-1",
		Version:       "v1.2.3",
	})
	Expect(err).NotTo(HaveOccurred())
	return registry, m
}

// lines returns a registry's series that contain a text, in Prometheus's format.
func lines(registry *prometheus.Registry, containing string) []string {
	GinkgoHelper()
	families, err := registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	var text bytes.Buffer
	encoder := expfmt.NewEncoder(&text, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, family := range families {
		Expect(encoder.Encode(family)).To(Succeed())
	}
	var found []string
	for line := range strings.Lines(text.String()) {
		if !strings.HasPrefix(line, "#") && strings.Contains(line, containing) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// trailLines returns the series of a Trail, without the labels that they have in common, which are checked.
func trailLines(registry *prometheus.Registry, name, account, region string) []string {
	GinkgoHelper()
	var found []string
	for _, line := range lines(registry, `name="`+name+`"`) {
		for _, label := range []string{
			`account_id="` + account + `"`, `name="` + name + `"`, `namespace="default"`, `region="` + region + `"`,
		} {
			Expect(line).To(ContainSubstring(label))
			line = strings.Replace(strings.Replace(line, label+",", "", 1), label, "", 1)
		}
		line = strings.Replace(line, ",}", "}", 1)
		found = append(found, strings.TrimPrefix(line, "trail_operator_trail_"))
	}
	return found
}

func newTrail(name string) *v1alpha1.Trail {
	GinkgoHelper()
	trail := &v1alpha1.Trail{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       v1alpha1.TrailSpec{S3BucketName: "audit-logs"},
	}
	Expect(cluster.Create(ctx, trail)).To(Succeed())
	DeferCleanup(func() { Expect(cluster.Delete(ctx, trail)).To(Succeed()) })
	return trail
}

func at(text string) metav1.Time {
	t, err := time.Parse(time.RFC3339, text)
	Expect(err).NotTo(HaveOccurred())
	return metav1.NewTime(t)
}

func condition(conditionType string, status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{
		Type:               conditionType,
		Status:             status,
		Reason:             reason,
		LastTransitionTime: at("2026-01-02T03:04:05Z"),
	}
}

var _ = Describe("Metrics", Ordered, func() {
	var leader, follower *prometheus.Registry
	var meter *metrics.Metrics

	BeforeAll(func() {
		leader, meter = registered(leading())
		follower, _ = registered(following())
		Expect(lines(leader, "trail_operator_build_info")).
			To(HaveLen(1), "what needs no cache is told before the cache is filled")
		Expect(lines(leader, `namespace=`)).To(BeEmpty())

		cacheCtx, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- objects.Start(cacheCtx) }()
		DeferCleanup(func() {
			cancel()
			Expect(<-ended).To(Succeed())
		})
		Expect(objects.WaitForCacheSync(ctx)).To(BeTrue())
	})

	It("refuses incomplete options", func() {
		_, err := metrics.New(ctx, metrics.Options{Cache: objects})
		Expect(err).To(MatchError("metrics: Registerer, Cache, Elected, Interval and Version are required"))
	})

	It("refuses to be registered twice", func() {
		_, err := metrics.New(ctx,
			metrics.Options{Registerer: leader, Cache: objects, Elected: leading(), Interval: time.Minute, Version: "v1"})
		Expect(err).To(MatchError(ContainSubstring("registering the metrics")))
	})

	It("tells of a Trail that nobody has looked at yet", func() {
		newTrail("unseen")
		Eventually(trailLines).WithArguments(leader, "unseen", "", "eu-central-1").Should(ConsistOf(
			`info{identity="default",management_policy="Manage",trail="unseen"} 1`,
			`condition{status="True",type="Ready"} 0`,
			`condition{status="False",type="Ready"} 0`,
			`condition{status="Unknown",type="Ready"} 1`,
			`condition{status="True",type="Synced"} 0`,
			`condition{status="False",type="Synced"} 0`,
			`condition{status="Unknown",type="Synced"} 1`,
			`condition{status="True",type="Stalled"} 0`,
			`condition{status="False",type="Stalled"} 1`,
			`condition{status="Unknown",type="Stalled"} 0`,
			`ready_reason{reason="Unseen"} 1`,
			`suspended{} 0`,
			`interval_seconds{} 300`,
			`logging_desired{} 1`,
			`drifts_total{} 0`,
		))
	})

	It("tells all that is known of a Trail, on every replica, and nothing once it is gone", func() {
		off, on := false, true
		trail := &v1alpha1.Trail{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "known", Finalizers: []string{v1alpha1.Finalizer}},
			Spec: v1alpha1.TrailSpec{
				Name:             "Known.Trail",
				Region:           "us-east-1",
				S3BucketName:     "audit-logs",
				IdentityRef:      &v1alpha1.IdentityReference{Name: "member"},
				ManagementPolicy: v1alpha1.ManagementPolicyObserve,
				Logging:          &off,
				Suspend:          &on,
				Interval:         &metav1.Duration{Duration: time.Hour},
			},
		}
		Expect(cluster.Create(ctx, trail)).To(Succeed())
		start, delivered, detected := at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:10Z"), at("2026-01-01T00:00:20Z")
		trail.Status = v1alpha1.TrailStatus{
			AccountID:  "111122223333",
			HomeRegion: "us-east-1",
			Conditions: []metav1.Condition{
				condition(v1alpha1.ConditionReady, metav1.ConditionFalse, "Different"),
				condition(v1alpha1.ConditionLogging, metav1.ConditionTrue, "Logging"),
				condition(v1alpha1.ConditionDelivering, metav1.ConditionFalse, "NotificationFailed"),
			},
			StartLoggingTime:         &start,
			LatestDeliveryTime:       &delivered,
			LatestDigestDeliveryTime: &delivered,
			LatestNotificationError:  "NotFound",
			LastDrift: &v1alpha1.Drift{
				DetectedTime: detected,
				Fields:       []string{"logging", "tags"},
				Actor:        "arn:aws:iam::111122223333:user/eve",
				EventName:    "StopLogging",
			},
		}
		Expect(cluster.Status().Update(ctx, trail)).To(Succeed())
		Expect(cluster.Delete(ctx, trail)).To(Succeed(), "it stays until its finalizer is gone")
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(trail), trail)).To(Succeed())

		all := ConsistOf(
			`info{identity="member",management_policy="Observe",trail="Known.Trail"} 1`,
			`condition{status="True",type="Ready"} 0`,
			`condition{status="False",type="Ready"} 1`,
			`condition{status="Unknown",type="Ready"} 0`,
			`condition{status="True",type="Synced"} 0`,
			`condition{status="False",type="Synced"} 0`,
			`condition{status="Unknown",type="Synced"} 1`,
			`condition{status="True",type="Stalled"} 0`,
			`condition{status="False",type="Stalled"} 1`,
			`condition{status="Unknown",type="Stalled"} 0`,
			`condition{status="True",type="Logging"} 1`,
			`condition{status="False",type="Logging"} 0`,
			`condition{status="Unknown",type="Logging"} 0`,
			`condition{status="True",type="Delivering"} 0`,
			`condition{status="False",type="Delivering"} 1`,
			`condition{status="Unknown",type="Delivering"} 0`,
			`ready_reason{reason="Different"} 1`,
			`suspended{} 1`,
			`interval_seconds{} 3600`,
			`logging_desired{} 0`,
			`logging{} 1`,
			`logging_started_timestamp_seconds{} 1.7672256e+09`,
			`last_delivery_timestamp_seconds{channel="s3"} 1.76722561e+09`,
			`last_delivery_timestamp_seconds{channel="digest"} 1.76722561e+09`,
			`delivery_error{channel="sns",code="NotFound"} 1`,
			`drifts_total{} 0`,
			`last_drift_timestamp_seconds{} 1.76722562e+09`,
			`last_drift_info{actor="arn:aws:iam::111122223333:user/eve",event_name="StopLogging",`+
				`fields="logging,tags",repaired="false"} 1`,
			HavePrefix(`deletion_timestamp_seconds{} 1.`),
		)
		// The drift came with an update, so the leader has counted it.
		Eventually(trailLines).WithArguments(follower, "known", "111122223333", "us-east-1").Should(all)
		Eventually(trailLines).WithArguments(leader, "known", "111122223333", "us-east-1").
			Should(ContainElement(`drifts_total{} 1`))

		trail.Finalizers = nil
		Expect(cluster.Update(ctx, trail)).To(Succeed())
		Eventually(lines).WithArguments(leader, `"known"`).Should(BeEmpty(), "series die with their object")
		Eventually(lines).WithArguments(leader, "deletion_duration_seconds_count").
			Should(ConsistOf("trail_operator_trail_deletion_duration_seconds_count 1"))
		Expect(lines(follower, "deletion_duration_seconds_count")).
			To(ConsistOf("trail_operator_trail_deletion_duration_seconds_count 0"))
	})

	It("does not tell whether a trail logs when AWS could not be asked", func() {
		trail := newTrail("blind")
		logging := true
		trail.Status.IsLogging = &logging
		trail.Status.Conditions = []metav1.Condition{
			condition(v1alpha1.ConditionLogging, metav1.ConditionUnknown, "NotLookedAt"),
		}
		Expect(cluster.Status().Update(ctx, trail)).To(Succeed())
		Eventually(trailLines).WithArguments(leader, "blind", "", "eu-central-1").
			Should(ContainElement(`condition{status="Unknown",type="Logging"} 1`))
		Expect(trailLines(leader, "blind", "", "eu-central-1")).NotTo(ContainElement(HavePrefix("logging{}")))
	})

	It("counts a drift once, on the leader", func() {
		trail := newTrail("drifting")
		drifts := func(registry *prometheus.Registry) []string {
			return lines(registry, `drifts_total{account_id="",name="drifting"`)
		}
		for i, when := range []string{"2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"} {
			repaired := at(when)
			trail.Status.LastDrift = &v1alpha1.Drift{DetectedTime: at(when), Fields: []string{"logging"}}
			if i == 1 {
				trail.Status.LastDrift.RepairedTime = &repaired
			}
			Expect(cluster.Status().Update(ctx, trail)).To(Succeed())
		}
		Eventually(drifts).WithArguments(leader).Should(ConsistOf(HaveSuffix("} 2")), "two drifts, one of which was repaired")
		Expect(drifts(follower)).To(ConsistOf(HaveSuffix("} 0")))
	})

	judgesTrails()

	It("tells of an AWSIdentity, and takes a Trail's account from it until the Trail knows", func() {
		identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.DefaultIdentityName}}
		Expect(cluster.Create(ctx, identity)).To(Succeed())
		DeferCleanup(func() { Expect(cluster.Delete(ctx, identity)).To(Succeed()) })
		identity.Status.AccountID = "444455556666"
		identity.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionTrue, "Available")}
		Expect(cluster.Status().Update(ctx, identity)).To(Succeed())
		newTrail("accountless")
		Eventually(lines).WithArguments(leader, "awsidentity_condition").Should(ConsistOf(
			`trail_operator_awsidentity_condition{account_id="444455556666",name="default",status="True",type="Ready"} 1`,
			`trail_operator_awsidentity_condition{account_id="444455556666",name="default",status="False",type="Ready"} 0`,
			`trail_operator_awsidentity_condition{account_id="444455556666",name="default",status="Unknown",type="Ready"} 0`,
		))
		Eventually(lines).WithArguments(leader, `trail_info{account_id="444455556666"`).
			Should(ContainElement(ContainSubstring(`name="accountless"`)))
	})

	It("tells what records the account of an AWSIdentity that asks for it", func() {
		identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "assessed"}}
		identity.Spec.AssessCoverage = new(true)
		Expect(cluster.Create(ctx, identity)).To(Succeed())
		DeferCleanup(func() { Expect(cluster.Delete(ctx, identity)).To(Succeed()) })
		told := func() []string {
			var found []string
			for _, line := range lines(leader, "awsidentity_") {
				if line = strings.TrimPrefix(line, "trail_operator_awsidentity_"); strings.Contains(line, `name="assessed"`) &&
					!strings.HasSuffix(line, " 0") && !strings.Contains(line, "Ready") {
					found = append(found, line)
				}
			}
			return found
		}
		Eventually(told).Should(ConsistOf(
			`condition{account_id="",name="assessed",status="Unknown",type="Recorded"} 1`))

		identity.Status.AccountID = "444455556666"
		identity.Status.Conditions = []metav1.Condition{
			condition(v1alpha1.ConditionRecorded, metav1.ConditionTrue, v1alpha1.ReasonRecorded),
		}
		identity.Status.Coverage = &v1alpha1.Coverage{
			AssessedTime: at("2026-01-01T00:00:00Z"), TrailCount: 3, RecordedBy: []string{"arn"},
			CoveredRegions: []v1alpha1.CoveredRegion{{Region: "*", RecordedBy: []string{"arn"}}},
			PaidCopies: []v1alpha1.PaidCopies{
				{Region: "*", Copies: 1, TrailARNs: []string{"arn", "two"}},
				{Region: "eu-west-1", Copies: 2, TrailARNs: []string{"arn", "two", "three"}},
			},
		}
		Expect(cluster.Status().Update(ctx, identity)).To(Succeed())
		facts := []string{
			`account_assessed_timestamp_seconds{account_id="444455556666",name="assessed"} 1.7672256e+09`,
			`account_trails{account_id="444455556666",name="assessed"} 3`,
			`account_covered_region{account_id="444455556666",name="assessed",region="*"} 1`,
			`account_paid_copies{account_id="444455556666",name="assessed",region="*"} 1`,
			`account_paid_copies{account_id="444455556666",name="assessed",region="eu-west-1"} 2`,
		}
		Eventually(told).Should(ConsistOf(append(facts,
			`condition{account_id="444455556666",name="assessed",status="True",type="Recorded"} 1`,
			`account_recorded{account_id="444455556666",name="assessed"} 1`)))

		identity.Status.Conditions[0].Status = metav1.ConditionUnknown
		Expect(cluster.Status().Update(ctx, identity)).To(Succeed())
		Eventually(told).Should(ConsistOf(append(facts,
			`condition{account_id="444455556666",name="assessed",status="Unknown",type="Recorded"} 1`)))

		identity.Spec.AssessCoverage = new(false)
		Expect(cluster.Update(ctx, identity)).To(Succeed())
		Eventually(told).Should(BeEmpty())
	})

	It("tells of a LogFileValidation, and of what is validated", func() {
		v := &v1alpha1.LogFileValidation{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "logs"},
			Spec:       v1alpha1.LogFileValidationSpec{TrailRef: &v1alpha1.TrailReference{Name: "audit"}},
		}
		Expect(cluster.Create(ctx, v)).To(Succeed())
		DeferCleanup(func() { Expect(client.IgnoreNotFound(cluster.Delete(ctx, v))).To(Succeed()) })
		told := func() []string {
			var found []string
			for _, line := range lines(leader, "logfilevalidation_") {
				line = strings.TrimPrefix(line, "trail_operator_logfilevalidation_")
				for _, labels := range []string{`name="logs",namespace="default",`, `,name="logs",namespace="default"`,
					`name="logs",namespace="default"`} {
					line = strings.Replace(line, labels, "", 1)
				}
				if !strings.HasPrefix(line, "condition") || strings.HasSuffix(line, " 1") {
					found = append(found, line)
				}
			}
			return found
		}
		Eventually(told).Should(ConsistOf(`condition{status="Unknown",type="Ready"} 1`,
			`condition{status="Unknown",type="Intact"} 1`, `condition{status="False",type="Stalled"} 1`,
			`intact_reason{reason="Unseen"} 1`, `suspended{} 0`, `interval_seconds{} 3600`))

		until := at("2026-01-01T00:00:00Z")
		v.Status = v1alpha1.LogFileValidationStatus{
			Conditions:     []metav1.Condition{condition(v1alpha1.ConditionIntact, metav1.ConditionFalse, "Tampered")},
			ValidatedUntil: &until, Chains: new(int32(17)), LaggingCount: new(int32(2)),
			FindingClasses: []v1alpha1.FindingClass{{Class: "LogAltered", Count: 3}},
		}
		Expect(cluster.Status().Update(ctx, v)).To(Succeed())
		Eventually(told).Should(ConsistOf(`condition{status="Unknown",type="Ready"} 1`,
			`condition{status="False",type="Intact"} 1`, `condition{status="False",type="Stalled"} 1`,
			`intact_reason{reason="Tampered"} 1`, `suspended{} 0`, `interval_seconds{} 3600`,
			`validated_until_timestamp_seconds{} 1.7672256e+09`, `chains{} 17`, `lagging_chains{} 2`,
			`findings{class="LogAltered"} 3`))
		Expect(cluster.Delete(ctx, v)).To(Succeed())
		Eventually(told).Should(BeEmpty(), "series die with their object")

		meter.Validated(digest.Result{Kind: digest.KindDigest})
		meter.Validated(digest.Result{Kind: digest.KindGap})
		meter.Validated(digest.Result{
			Kind: digest.KindLog, Read: true, Bytes: 1000, Finding: &digest.Finding{Class: digest.LogAltered},
		})
		Expect(lines(leader, "trail_operator_validated_")).To(ConsistOf(
			`trail_operator_validated_objects_total{kind="Digest",outcome="Valid"} 1`,
			`trail_operator_validated_objects_total{kind="Log",outcome="LogAltered"} 1`,
			`trail_operator_validated_log_bytes_total 1000`))
	})

	It("meters AWS calls", func() {
		meter.Called("us-east-1", "DescribeTrails", "", 200*time.Millisecond)
		meter.Called("us-east-1", "DescribeTrails", "", 300*time.Millisecond)
		meter.Waited("us-east-1", "read", 2*time.Second)
		for code, outcome := range map[string]string{
			"ThrottlingException": "throttled", "AccessDeniedException": "denied", "NoCredentials": "denied",
			"S3BucketDoesNotExistException": "refused", "InvalidTrailNameException": "refused",
			"TrailNotFoundException": "missing", "InternalFailure": "failed",
		} {
			meter.Called("us-east-1", "CreateTrail", code, time.Millisecond)
			Expect(lines(leader, `code="`+code+`"`)).To(ConsistOf(
				`trail_operator_aws_api_calls_total{code="` + code + `",operation="CreateTrail",` +
					`outcome="` + outcome + `",region="us-east-1"} 1`))
		}
		for i := range 100 {
			meter.Called("us-east-1", "CreateTrail", fmt.Sprint("Something", i), time.Millisecond)
		}
		Expect(lines(leader, `code="Something`)).To(BeEmpty(), "an endpoint that makes up codes makes up no series")
		Expect(lines(leader, `code="Other"`)).To(ConsistOf(
			`trail_operator_aws_api_calls_total{code="Other",operation="CreateTrail",outcome="failed",region="us-east-1"} 100`))
		Expect(lines(leader, `code="OK"`)).To(ConsistOf(
			`trail_operator_aws_api_calls_total{code="OK",operation="DescribeTrails",outcome="ok",region="us-east-1"} 2`))
		Expect(lines(leader, `duration_seconds_sum{operation="DescribeTrails"`)).To(ConsistOf(HaveSuffix(" 0.5")))
		Expect(lines(leader, `rate_limit_wait_seconds_sum`)).
			To(ConsistOf(`trail_operator_aws_rate_limit_wait_seconds_sum{class="read",region="us-east-1"} 2`))
	})

	It("has series of few regions, and of none that nobody calls any more", func() {
		registry, meter := registered(leading())
		call := func(region string) {
			meter.Called(region, "DescribeTrails", "", time.Millisecond)
			meter.Waited(region, "read", time.Millisecond)
		}
		regions := func() map[string]bool {
			found := map[string]bool{}
			for _, line := range lines(registry, `region="`) {
				_, rest, _ := strings.Cut(line, `region="`)
				region, _, _ := strings.Cut(rest, `"`)
				found[region] = true
			}
			return found
		}
		for i := range 500 {
			call(fmt.Sprintf("tenant-%03d", i))
		}
		Expect(regions()).To(And(HaveLen(65), HaveKey("tenant-000"), HaveKey("other")))
		meter.Used(map[string]bool{"tenant-007": true})
		Expect(regions()).To(And(HaveLen(2), HaveKey("tenant-007"), HaveKey("other")))
		call("us-east-1")
		Expect(regions()).To(And(HaveLen(3), HaveKey("us-east-1")), "there is room again")
	})

	It("defines what it tells, by Prometheus's conventions", func() {
		families, err := leader.Gather()
		Expect(err).NotTo(HaveOccurred())
		defined := map[string]metrics.Type{}
		for _, definition := range metrics.Definitions() {
			defined[definition.FullName()] = definition.Type
			Expect(definition.Help).To(HaveSuffix("."))
		}
		for _, family := range families {
			Expect(defined).To(HaveKeyWithValue(family.GetName(), metrics.Type(strings.ToLower(family.GetType().String()))))
		}
		for name, kind := range defined {
			Expect(strings.HasSuffix(name, "_total")).To(Equal(kind == metrics.Counter), name)
		}
	})
})
