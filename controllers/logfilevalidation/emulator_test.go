package logfilevalidation_test

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/digest"
	"github.com/trail-operator/trail-operator/controllers/logfilevalidation"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
	"github.com/trail-operator/trail-operator/hack/testbed/clock"
)

// otherRegion is the second one of the trails of newEmulated.
const otherRegion = "eu-west-1"

// enabledRegions are those that every account has.
// https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
var enabledRegions = []string{
	"ap-northeast-1",
	"ap-northeast-2",
	"ap-northeast-3",
	"ap-south-1",
	"ap-southeast-1",
	"ap-southeast-2",
	"ca-central-1",
	"eu-central-1",
	"eu-north-1",
	"eu-west-1",
	"eu-west-2",
	"eu-west-3",
	"sa-east-1",
	"us-east-1",
	"us-east-2",
	"us-west-1",
	"us-west-2",
}

// newEmulated is a world whose AWS delivers: a trail of two regions, an hour's digests for each hour of the clock.
func newEmulated(ctx context.Context) *world {
	GinkgoHelper()
	return newEmulatedIn(ctx, region, otherRegion)
}

// newEmulatedIn is newEmulated with a trail of other regions.
func newEmulatedIn(ctx context.Context, regions ...string) *world {
	GinkgoHelper()
	now := clock.New(time.Now().Truncate(time.Hour))
	w := &world{
		World: testbed.NewWorld(ctx, restConfig, testbed.WorldOptions{
			Clock: now,
			AWS: cloudtrailtest.Options{
				OpenResources: true, NoTrailLimit: true, NoRateLimit: true, Now: now.Now, Seed: 7,
				LogDelivery: &cloudtrailtest.LogDelivery{Regions: regions, LogsPerHour: 2},
			},
		}),
	}
	httpClient := cloudtrailtest.NewHTTPClient()
	DeferCleanup(httpClient.CloseIdleConnections)
	w.sessions = func() *cloudtrail.Sessions {
		return w.NewSessions(func(o *cloudtrail.Options) {
			o.Config.HTTPClient, o.Config.Retryer = httpClient, func() aws.Retryer { return aws.NopRetryer{} }
		})
	}
	w.CreateIdentity(ctx, w.Namespace, v1alpha1.AWSIdentitySpec{})
	w.restart(ctx)
	return w
}

// createTrail creates a trail in AWS, with the digests of some hours.
func (w *world) createTrail(hours int, settings map[string]any) {
	GinkgoHelper()
	all := map[string]any{
		"Name": "audit", "S3BucketName": bucket, "EnableLogFileValidation": true, "IsMultiRegionTrail": true,
	}
	maps.Copy(all, settings)
	admin := w.AWS.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::" + account + ":user/admin"})
	_, err := admin.Do(region, "CreateTrail", all)
	Expect(err).NotTo(HaveOccurred())
	_, err = admin.Do(region, "StartLogging", map[string]any{"Name": "audit"})
	Expect(err).NotTo(HaveOccurred())
	Expect(w.AWS.DeliverHours(trailARN, hours)).To(Succeed())
}

// ofNamespace is a spec for the identity of the world's namespace.
func (w *world) ofNamespace(mode v1alpha1.ValidationMode) v1alpha1.LogFileValidationSpec {
	return v1alpha1.LogFileValidationSpec{
		TrailARN: trailARN, Mode: mode,
		IdentityRef: &v1alpha1.IdentityReference{Name: w.Namespace},
		StartTime:   timestamp(w.Clock.Now().Add(-24 * time.Hour).UTC()),
	}
}

// nextHour makes an hour pass, and its digests come.
func (w *world) nextHour() { w.Clock.Add(time.Hour) }

var _ = Describe("A LogFileValidation of what AWS delivers", func() {
	DescribeTable("names what was tampered with within an interval, once",
		func(ctx context.Context, class string, mode v1alpha1.ValidationMode, how cloudtrailtest.Tampering) {
			w := newEmulated(ctx)
			w.createTrail(5, nil)
			v := w.validate(ctx, w.create(ctx, w.ofNamespace(mode)))
			Expect(conditions(v)).To(HaveKeyWithValue("Ready", "True Intact"), "%+v", v.Status)
			Expect(*v.Status.Chains).To(BeEquivalentTo(2))
			w.DrainEvents()

			for range 2 {
				w.nextHour()
			}
			how.TrailARN, how.Region = trailARN, otherRegion
			keys, err := w.AWS.Tamper(how)
			Expect(err).NotTo(HaveOccurred())
			for range 26 { // A digest that lists a log file may come a day later.
				w.nextHour()
				if v = w.validate(ctx, v); class != string(digest.LogNotVouchedFor) {
					break
				}
			}
			Expect(conditions(v)).To(HaveKeyWithValue("Intact", "False Tampered"), "%+v", v.Status)
			Expect(v.Status.Findings).To(ContainElement(And(
				HaveField("Class", class), HaveField("Region", otherRegion), HaveField("AccountID", account),
				HaveField("Object", BeElementOf(keys)),
			)), "%v in %+v", keys, v.Status.Findings)
			Expect(w.DrainEvents()).To(HaveLen(int(*v.Status.FindingCount)), "%+v", v.Status.Findings)

			By("more hours, and a restart")
			for range 2 {
				w.nextHour()
				count := *v.Status.FindingCount
				v = w.validate(ctx, v)
				Expect(*v.Status.FindingCount).To(Equal(count), "%+v", v.Status.Findings)
				Expect(w.DrainEvents()).To(BeEmpty())
				w.restart(ctx)
			}
		},
		Entry("a digest", "DigestAltered", v1alpha1.ValidationModeDigests,
			cloudtrailtest.Tampering{Kind: cloudtrailtest.Alter, Position: -1}),
		Entry("a digest that is signed by somebody else", "DigestAltered", v1alpha1.ValidationModeDigests,
			cloudtrailtest.Tampering{Kind: cloudtrailtest.AlterSignature, Position: -1}),
		Entry("a digest that is gone", "DigestMissing", v1alpha1.ValidationModeDigests,
			cloudtrailtest.Tampering{Kind: cloudtrailtest.Delete, Position: -2}),
		Entry("the newest digest, which is gone", "DigestMissing", v1alpha1.ValidationModeDigests,
			cloudtrailtest.Tampering{Kind: cloudtrailtest.DeleteNewest, Count: 1}),
		Entry("a log file", "LogAltered", v1alpha1.ValidationModeFull,
			cloudtrailtest.Tampering{Kind: cloudtrailtest.Alter, Position: -1, Log: 1}),
		Entry("a log file with something behind it", "LogAltered", v1alpha1.ValidationModeFull,
			cloudtrailtest.Tampering{Kind: cloudtrailtest.AppendMember, Position: -1, Log: 2}),
		Entry("a log file that was written anew", "LogAltered", v1alpha1.ValidationModeExistence,
			cloudtrailtest.Tampering{Kind: cloudtrailtest.Alter, Position: -2, Log: 1}),
		Entry("a log file that is gone", "LogDeleted", v1alpha1.ValidationModeExistence,
			cloudtrailtest.Tampering{Kind: cloudtrailtest.Delete, Position: -1, Log: 1}),
		Entry("a log file that was planted", "LogNotVouchedFor", v1alpha1.ValidationModeExistence,
			cloudtrailtest.Tampering{Kind: cloudtrailtest.Plant, Position: -1}),
	)

	It("goes on for 17 regions, and names within an interval what was done in any of them", func(ctx context.Context) {
		w := newEmulatedIn(ctx, enabledRegions...)
		w.createTrail(3, nil)
		v := w.validate(ctx, w.create(ctx, w.ofNamespace(v1alpha1.ValidationModeFull)))
		Expect(conditions(v)).To(HaveKeyWithValue("Ready", "True Intact"), "%+v", v.Status)
		Expect(*v.Status.Chains).To(BeEquivalentTo(len(enabledRegions)))

		for i, where := range enabledRegions {
			w.nextHour()
			how := cloudtrailtest.Tampering{TrailARN: trailARN, Region: where, Position: -1, Log: 1}
			how.Kind = []cloudtrailtest.TamperingKind{
				cloudtrailtest.Alter, cloudtrailtest.Delete, cloudtrailtest.AppendBytes, cloudtrailtest.Unpack,
			}[i%4]
			keys, err := w.AWS.Tamper(how)
			Expect(err).NotTo(HaveOccurred())

			v = w.validate(ctx, v)
			Expect(*v.Status.FindingCount).To(BeEquivalentTo(i+1), "%s in %s: %+v", how.Kind, where, v.Status.Findings)
			Expect(v.Status.Findings).To(ContainElement(
				And(HaveField("Region", where), HaveField("Object", keys[0]))), "%s: %+v", how.Kind, v.Status.Findings)
			Expect(*v.Status.LaggingCount).To(BeZero())
		}
	})

	It("reads nothing twice but the last hour after a restart", func(ctx context.Context) {
		w := newEmulated(ctx)
		w.createTrail(20, nil)
		v := w.validate(ctx, w.create(ctx, w.ofNamespace(v1alpha1.ValidationModeFull)))
		Expect(conditions(v)).To(HaveKeyWithValue("Ready", "True Intact"), "%+v", v.Status)
		w.AWS.ResetCalls()
		w.nextHour()
		w.validate(ctx, v)
		anHour := w.AWS.CallCounts()["GetObject"]
		Expect(anHour).To(BeNumerically(">=", 2))

		w.restart(ctx)
		w.AWS.ResetCalls()
		w.nextHour()
		v = w.validate(ctx, v)
		Expect(conditions(v)).To(HaveKeyWithValue("Ready", "True Intact"), "%+v", v.Status)
		Expect(w.AWS.CallCounts()["GetObject"]).To(BeNumerically("<=", 2*anHour+2))
	})

	It("does not overlook that the newest digests were deleted while it did not run", func(ctx context.Context) {
		w := newEmulated(ctx)
		w.createTrail(10, nil)
		w.AWS.Inject(cloudtrailtest.Fault{Operation: "GetTrailStatus", Code: "AccessDeniedException"})
		v := w.validate(ctx, w.create(ctx, w.ofNamespace("")))
		Expect(conditions(v)).To(HaveKeyWithValue("Ready", "True Intact"), "%+v", v.Status)
		w.restart(ctx)
		w.AWS.SetLogDelivery(nil)
		_, err := w.AWS.Tamper(cloudtrailtest.Tampering{
			Kind: cloudtrailtest.DeleteNewest, TrailARN: trailARN, Region: otherRegion, Count: 3,
		})
		Expect(err).NotTo(HaveOccurred())
		w.Clock.Add(4 * time.Hour)
		v = w.validate(ctx, v)
		Expect(conditions(v)).To(HaveKeyWithValue("Intact", "Unknown Overdue"), "%+v", v.Status)
		Expect(v.Status.LaggingChains).To(ContainElement(HaveField("Region", otherRegion)))
	})

	It("says what it may not read, and goes on when it may", func(ctx context.Context) {
		w := newEmulated(ctx)
		w.createTrail(5, nil)
		w.AWS.PutBucket(cloudtrailtest.Bucket{Name: bucket, AccountID: "444455556666"})
		v := w.validate(ctx, w.create(ctx, w.ofNamespace("")))
		Expect(conditions(v)).To(HaveKeyWithValue("Intact", "Unknown AccessDenied"))
		Expect(message(v, "Ready")).To(And(ContainSubstring("s3:ListBucket"), ContainSubstring("arn:aws:s3:::"+bucket)))
		w.AWS.PutBucket(cloudtrailtest.Bucket{Name: bucket, AccountID: "444455556666", AllowedPrincipals: []string{account}})
		w.Clock.Add(10 * time.Second)
		Expect(conditions(w.validate(ctx, v))).To(HaveKeyWithValue("Ready", "True Intact"))
	})

	It("takes neither throttling nor an archive for tampering", func(ctx context.Context) {
		w := newEmulated(ctx)
		w.createTrail(5, nil)
		throttled := w.AWS.Inject(cloudtrailtest.Fault{Operation: "GetObject", Code: "SlowDown"})
		v := w.create(ctx, w.ofNamespace(""))
		Expect(conditions(w.validate(ctx, v))).To(HaveKeyWithValue("Ready", "Unknown Validating"))
		w.Clock.Add(2 * time.Minute)
		Expect(conditions(w.validate(ctx, v))).To(HaveKeyWithValue("Intact", "Unknown SlowDown"))
		w.AWS.ClearFault(throttled)
		_, err := w.AWS.Tamper(cloudtrailtest.Tampering{
			Kind: cloudtrailtest.Archive, TrailARN: trailARN, Region: otherRegion, Position: 1,
		})
		Expect(err).NotTo(HaveOccurred())
		w.Clock.Add(5 * time.Minute)
		v = w.validate(ctx, v)
		Expect(conditions(v)).To(HaveKeyWithValue("Intact", "Unknown Archived"))
		Expect(message(v, "Intact")).To(ContainSubstring("restore the object from its archive tier"))
		Expect(v.Status.FindingClasses).To(HaveExactElements(HaveField("Class", "Unverifiable")))
		Expect(w.DrainEvents()).NotTo(ContainElement(ContainSubstring("Tampered")))
	})

	It("asks CloudTrail about a trail that only an ARN names", func(ctx context.Context) {
		w := newEmulated(ctx)
		v := w.validate(ctx, w.create(ctx, w.ofNamespace("")))
		Expect(conditions(v)).To(HaveKeyWithValue("Ready", "False TrailNotFound"))
		w.createTrail(5, map[string]any{"EnableLogFileValidation": false, "S3KeyPrefix": "security"})
		w.Clock.Add(time.Minute)
		Expect(conditions(w.validate(ctx, v))).To(HaveKeyWithValue("Ready", "False ValidationOff"))
		admin := w.AWS.As(cloudtrailtest.Actor{ARN: "arn:aws:iam::" + account + ":user/admin"})
		_, err := admin.Do(region, "UpdateTrail", map[string]any{"Name": "audit", "EnableLogFileValidation": true})
		Expect(err).NotTo(HaveOccurred())
		w.Clock.Add(5 * time.Minute)
		Expect(conditions(w.validate(ctx, v))).To(HaveKeyWithValue("Ready", "False NoDigests"))
		w.Clock.Add(3 * time.Hour)
		v = w.validate(ctx, v)
		Expect(conditions(v)).To(HaveKeyWithValue("Ready", "True Intact"), "%+v", v.Status)
		Expect(v.Status.S3KeyPrefix).To(Equal("security"))
	})

	It("says what the identity lacks to ask CloudTrail", func(ctx context.Context) {
		w := newEmulated(ctx)
		w.createTrail(5, nil)
		w.AWS.Inject(cloudtrailtest.Fault{Operation: "DescribeTrails", Code: "AccessDeniedException", Message: "no"})
		v := w.validate(ctx, w.create(ctx, w.ofNamespace("")))
		Expect(conditions(v)).To(HaveKeyWithValue("Ready", "False AccessDeniedException"))
		Expect(message(v, "Ready")).To(HaveSuffix("needs permission for cloudtrail:DescribeTrails"))
	})

	It("uses an identity only where it may", func(ctx context.Context) {
		w := newEmulated(ctx)
		w.createTrail(5, nil)
		w.CreateIdentity(ctx, w.Namespace+"-others", v1alpha1.AWSIdentitySpec{
			AllowedNamespaces: &v1alpha1.AllowedNamespaces{
				From: v1alpha1.NamespacesFromSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
			},
		})
		w.CreateIdentity(ctx, w.Namespace+"-here", v1alpha1.AWSIdentitySpec{AllowedRegions: []string{region}})
		w.AWS.ResetCalls()
		spec := w.ofNamespace("")
		spec.IdentityRef.Name = w.Namespace + "-others"
		Expect(conditions(w.validate(ctx, w.create(ctx, spec)))).To(HaveKeyWithValue("Ready", "False NamespaceNotAllowed"))
		Expect(w.AWS.CallCounts()).To(BeEmpty())

		spec.IdentityRef.Name = w.Namespace + "-here"
		v := w.validate(ctx, w.create(ctx, spec))
		Expect(conditions(v)).To(HaveKeyWithValue("Ready", "False RegionNotAllowed"))
		Expect(v.Status.LaggingChains).To(HaveExactElements(HaveField("Region", otherRegion)))
		for _, call := range w.AWS.Calls() {
			Expect(call.Region).To(Equal(region), "%+v", call)
		}
	})

	It("validates all accounts of an organization", func(ctx context.Context) {
		w := newEmulated(ctx)
		w.AWS.SetOrganization(cloudtrailtest.Organization{
			ManagementAccount: account, ID: "o-abcdefghij", Members: []string{"222233334444", "333344445555"},
		})
		w.createTrail(5, map[string]any{"IsOrganizationTrail": true})
		v := w.validate(ctx, w.create(ctx, w.ofNamespace(v1alpha1.ValidationModeFull)))
		Expect(conditions(v)).To(HaveKeyWithValue("Ready", "True Intact"), "%+v", v.Status)
		Expect(*v.Status.Chains).To(BeEquivalentTo(6))
		w.nextHour()
		w.nextHour()
		_, err := w.AWS.Tamper(cloudtrailtest.Tampering{
			Kind: cloudtrailtest.DeleteRegion, TrailARN: trailARN, AccountID: "333344445555", Region: otherRegion,
		})
		Expect(err).NotTo(HaveOccurred())
		v = w.validate(ctx, v)
		Expect(v.Status.Findings).To(ContainElement(And(HaveField("Class", "DigestMissing"),
			HaveField("AccountID", "333344445555"), HaveField("Region", otherRegion))), "%+v", v.Status)
	})

	It("validates a range once", func(ctx context.Context) {
		w := newEmulated(ctx)
		w.createTrail(20, nil)
		spec := w.ofNamespace(v1alpha1.ValidationModeFull)
		spec.EndTime = timestamp(w.Clock.Now().Add(-3 * time.Hour).UTC())
		v := w.finish(ctx, w.create(ctx, spec))
		Expect(conditions(v)).To(Equal(map[string]string{
			"Ready": "True Intact", "Intact": "True Intact", "Complete": "True Validated",
		}), "%+v", v.Status)
		Expect(v.Status.LogFileCount).To(BeNumerically(">", 50))
	})
})

var _ = Describe("The running controller", func() {
	It("is woken by a Trail and an identity, and hands over to the next leader", func(ctx context.Context) {
		w := newEmulated(ctx)
		w.stop()
		w.createTrail(5, nil)
		w.Clock.Run()
		start := func() (stop func()) {
			GinkgoHelper()
			manager, err := ctrl.NewManager(restConfig, w.ManagerOptions())
			Expect(err).NotTo(HaveOccurred())
			access := logfilevalidation.Access{Client: manager.GetClient(), Sessions: w.sessions(), Now: w.Clock.Now}
			reconciler, err := logfilevalidation.New(logfilevalidation.Options{
				Client: manager.GetClient(), Recorder: w.Events, Open: access.Opener(), Meter: noMeter{}, Now: w.Clock.Now,
			})
			Expect(err).NotTo(HaveOccurred())
			Expect(reconciler.SetupWithManager(manager)).To(Succeed())

			running, cancel := context.WithCancel(context.WithoutCancel(ctx))
			ended := make(chan error, 1)
			go func() { ended <- manager.Start(running) }()
			stop = sync.OnceFunc(func() {
				cancel()
				Eventually(ended).WithTimeout(soon).Should(Receive(BeNil()), "the manager stops when it is told to")
			})
			DeferCleanup(stop)
			return stop
		}
		expect := func(v *v1alpha1.LogFileValidation, ready string) {
			GinkgoHelper()
			Eventually(func() map[string]string { return conditions(w.get(ctx, v)) }).WithTimeout(soon).
				Should(HaveKeyWithValue("Ready", ready), "it is told")
		}
		stop := start()

		spec := w.ofNamespace("")
		spec.IdentityRef.Name = w.Namespace + "-late"
		spec.TrailARN, spec.TrailRef = "", &v1alpha1.TrailReference{Name: "audit"}
		v := w.create(ctx, spec)
		expect(v, "False TrailNotFound")
		trail := &v1alpha1.Trail{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "audit"},
			Spec:       v1alpha1.TrailSpec{S3BucketName: bucket, EnableLogFileValidation: new(true)},
		}
		Expect(w.Client.Create(ctx, trail)).To(Succeed())
		trail.Status.TrailARN = trailARN
		Expect(w.Client.Status().Update(ctx, trail)).To(Succeed())
		expect(v, "False IdentityNotFound")
		w.CreateIdentity(ctx, w.Namespace+"-late", v1alpha1.AWSIdentitySpec{})
		expect(v, "True Intact")

		By("another process that leads then, and finds what was done meanwhile")
		stop()
		w.nextHour()
		w.nextHour()
		_, err := w.AWS.Tamper(cloudtrailtest.Tampering{Kind: cloudtrailtest.Alter, TrailARN: trailARN, Position: -1})
		Expect(err).NotTo(HaveOccurred())
		w.DrainEvents()
		start()
		expect(v, "False Tampered")
		Eventually(w.DrainEvents).WithTimeout(soon).Should(ConsistOf(HavePrefix("Warning DigestAltered")), "it is told once")

		By("deleted in the middle of a validation")
		hang := w.AWS.Inject(cloudtrailtest.Fault{Operation: "ListObjectsV2", Hang: true})
		DeferCleanup(func() { w.AWS.ClearFault(hang) })
		w.AWS.ResetCalls()
		asked := client.RawPatch(types.MergePatchType,
			[]byte(`{"metadata":{"annotations":{"`+v1alpha1.AnnotationReconcileAt+`":"now"}}}`))
		Expect(w.Client.Patch(ctx, v, asked)).To(Succeed())
		Eventually(func() int { return w.AWS.CallCounts()["ListObjectsV2"] }).WithTimeout(soon).
			Should(BeNumerically(">", 0), "it is asked to validate at once")
		Expect(w.Client.Delete(ctx, v)).To(Succeed())
	})
})

// noMeter is told nothing.
type noMeter struct{}

func (noMeter) Validated(digest.Result) {}
