package report_test

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

const profile = "all"

var _ = Describe("Where their CRD is served,", func() {
	for _, a := range []api{openReports, wgPolicy} {
		Describe(string(a.format), func() { describe(a) })
	}
})

func describe(a api) {
	var w *world
	BeforeEach(func(ctx SpecContext) {
		a.install(ctx)
		w = newWorld(ctx, a)
	})
	name := func(trail *v1alpha1.Trail) string { return "trail-" + trail.Name }

	It("says how each Trail is judged, and goes with it", func(ctx SpecContext) {
		w.start(ctx, profile)
		trail := w.createTrail(ctx, "audit", nil)
		found := w.eventually(ctx, name(trail))

		Expect(found.GetLabels()).To(HaveKeyWithValue("app.kubernetes.io/managed-by", "trail-operator"))
		Expect(found.GetOwnerReferences()).To(Equal([]metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "Trail", Name: trail.Name, UID: trail.UID, Controller: new(true),
		}}))
		Expect(found.Object).To(HaveKeyWithValue("scope", map[string]any{
			"apiVersion": v1alpha1.GroupVersion.String(), "kind": "Trail",
			"namespace": trail.Namespace, "name": trail.Name, "uid": string(trail.UID),
		}))

		multiRegion := result(found, "multi-region")
		Expect(multiRegion).To(And(
			HaveKeyWithValue("policy", "trail-operator-all"), HaveKeyWithValue("rule", "multi-region"),
			HaveKeyWithValue("category", "AWS CloudTrail"), HaveKeyWithValue("severity", "high"),
			HaveKeyWithValue("result", "pass"), HaveKeyWithValue("scored", true),
			HaveKeyWithValue("timestamp", map[string]any{"seconds": opening.Unix(), "nanos": int64(0)}),
			HaveKeyWithValue("properties", HaveKeyWithValue("AWS Security Hub", "CloudTrail.1")),
		))
		encrypted := result(found, "kms-encryption")
		Expect(encrypted).To(And(
			HaveKeyWithValue("result", "fail"), HaveKeyWithValue("message", ContainSubstring("kmsKeyID"))))
		from, _, err := unstructured.NestedString(found.Object, "source")
		Expect(err).NotTo(HaveOccurred())
		ofResult, _, err := unstructured.NestedString(multiRegion, "source")
		Expect(err).NotTo(HaveOccurred())
		Expect([]string{from, ofResult}).To(ConsistOf("trail-operator", ""), "one of the two says whose results they are")
		expectSummary(found)
	})

	It("is written when its meaning changes, and only then", func(ctx SpecContext) {
		w.start(ctx, profile)
		trail := w.createTrail(ctx, "audit", nil)
		before := w.eventually(ctx, name(trail))
		Eventually(w.meter.written).WithTimeout(soon).Should(HaveKeyWithValue(a.kind+" create", 1))

		By("resyncs that find nothing new, for a day")
		fence := w.fence(ctx)
		for range 24 {
			w.Clock.Add(time.Hour)
			w.process(ctx, trail)
			fence()
		}
		Expect(w.report(ctx, name(trail))).To(Equal(before))

		By("a setting that a control asks for")
		w.edit(ctx, trail, func(spec *v1alpha1.TrailSpec) {
			spec.KMSKeyID = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
		})
		Eventually(func() map[string]any { return result(w.report(ctx, name(trail)), "kms-encryption") }).WithTimeout(soon).
			Should(HaveKeyWithValue("result", "pass"))
		after := w.report(ctx, name(trail))
		Expect(result(after, "multi-region")).To(Equal(result(before, "multi-region")), "it keeps its time")
		Expect(result(after, "kms-encryption")).To(HaveKeyWithValue("timestamp",
			HaveKeyWithValue("seconds", w.Clock.Now().Unix())))
		expectSummary(after)

		By("a deletion of the Trail, after which only its finalizer is left")
		trail.Finalizers = []string{v1alpha1.Finalizer}
		Expect(w.Client.Update(ctx, trail)).To(Succeed())
		Expect(w.Client.Delete(ctx, trail)).To(Succeed())
		fence()
		Expect(w.report(ctx, name(trail)).GetResourceVersion()).To(Equal(after.GetResourceVersion()))
		Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(trail), trail)).To(Succeed())
		trail.Finalizers = nil
		Expect(w.Client.Update(ctx, trail)).To(Succeed())
	})

	It("stays as it is when the operator starts anew", func(ctx SpecContext) {
		w.start(ctx, profile)
		trail := w.createTrail(ctx, "audit", nil)
		before := w.eventually(ctx, name(trail))

		second := newWorld(ctx, a)
		second.Namespace = w.Namespace
		second.start(ctx, profile)
		second.fence(ctx)()
		Expect(w.report(ctx, name(trail))).To(Equal(before))
		Expect(second.meter.written()).To(Or(BeEmpty(), Equal(map[string]int{a.kind + " create": 1})), "but for the fence")
	})

	It("is repaired", func(ctx SpecContext) {
		w.start(ctx, profile)
		trail := w.createTrail(ctx, "audit", nil)
		before := w.eventually(ctx, name(trail))
		content := func() any {
			found := w.report(ctx, name(trail))
			if found == nil {
				return nil
			}
			return []any{
				found.Object["source"], found.Object["scope"], found.Object["summary"], found.Object["results"],
				found.GetLabels(), found.GetOwnerReferences(),
			}
		}
		intact := content()

		for what, damage := range map[string]func(*unstructured.Unstructured){
			"a result that is gone": func(r *unstructured.Unstructured) {
				Expect(unstructured.SetNestedSlice(r.Object, resultsOf(r)[1:], "results")).To(Succeed())
			},
			"a failure that was made a pass": func(r *unstructured.Unstructured) {
				results := resultsOf(r)
				for _, one := range results {
					Expect(unstructured.SetNestedField(fieldsOf(one), "pass", "result")).To(Succeed())
				}
				Expect(unstructured.SetNestedSlice(r.Object, results, "results")).To(Succeed())
			},
			"a summary without failures": func(r *unstructured.Unstructured) {
				Expect(unstructured.SetNestedField(r.Object, int64(0), "summary", "fail")).To(Succeed())
			},
			"another scope": func(r *unstructured.Unstructured) {
				Expect(unstructured.SetNestedField(r.Object, "other", "scope", "name")).To(Succeed())
			},
			"the label that is gone": func(r *unstructured.Unstructured) { r.SetLabels(nil) },
			"the owner that is gone": func(r *unstructured.Unstructured) { r.SetOwnerReferences(nil) },
		} {
			By(what)
			damaged := w.report(ctx, name(trail))
			damage(damaged)
			Expect(w.Client.Update(ctx, damaged)).To(Succeed())
			Eventually(content).WithTimeout(soon).Should(Equal(intact), what)
		}

		By("a deletion")
		Expect(w.Client.Delete(ctx, before)).To(Succeed())
		Eventually(content).WithTimeout(soon).Should(Equal(intact))
	})

	It("leaves the reports of others alone", func(ctx SpecContext) {
		foreign := w.emptyReport("trail-audit")
		foreign.SetLabels(map[string]string{"app.kubernetes.io/managed-by": "kyverno"})
		foreign.Object["results"] = []any{map[string]any{"policy": "theirs", "result": "fail"}}
		Expect(w.Client.Create(ctx, foreign)).To(Succeed())
		w.start(ctx, profile)
		trail := w.createTrail(ctx, "audit", nil)

		Eventually(w.DrainEvents).WithTimeout(soon).Should(ConsistOf(And(
			HavePrefix("Warning ReportNameTaken"), ContainSubstring("kyverno"))))
		fence := w.fence(ctx)
		w.process(ctx, trail)
		fence()
		Expect(w.DrainEvents()).To(BeEmpty(), "it is told once")
		Expect(w.report(ctx, "trail-audit").GetResourceVersion()).To(Equal(foreign.GetResourceVersion()))

		By("their going")
		Expect(w.Client.Delete(ctx, foreign)).To(Succeed())
		w.Clock.Add(time.Minute)
		w.process(ctx, trail)
		w.eventually(ctx, "trail-audit")
	})

	It("takes over the report of a Trail that was deleted and created again", func(ctx SpecContext) {
		w.start(ctx, profile)
		trail := w.createTrail(ctx, "audit", nil)
		w.eventually(ctx, name(trail))
		Expect(w.Client.Delete(ctx, trail)).To(Succeed())
		again := w.createTrail(ctx, "audit", nil)
		Eventually(func() []metav1.OwnerReference { return w.report(ctx, name(again)).GetOwnerReferences() }).
			WithTimeout(soon).Should(ConsistOf(HaveField("UID", again.UID)))
		Expect(w.DrainEvents()).To(BeEmpty())
	})

	It("has a name for a Trail whose own is as long as names are", func(ctx SpecContext) {
		w.start(ctx, profile)
		long := strings.Repeat("a", 100)
		trail := w.createTrail(ctx, long, nil)
		Expect(w.eventually(ctx, name(trail)).GetOwnerReferences()).To(ConsistOf(HaveField("Name", long)))
	})

	It("says how the account of an AWSIdentity is judged while it is assessed", func(ctx SpecContext) {
		w.start(ctx, profile)
		identity := &v1alpha1.AWSIdentity{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "account-"},
			Spec:       v1alpha1.AWSIdentitySpec{AssessCoverage: new(true)},
		}
		Expect(w.Client.Create(ctx, identity)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(w.Client.Delete(ctx, identity)).To(Succeed()) })
		recorded := func(is metav1.ConditionStatus) {
			GinkgoHelper()
			now := metav1.NewTime(w.Clock.Now())
			identity.Status.Coverage = &v1alpha1.Coverage{AssessedTime: now}
			identity.Status.Conditions = []metav1.Condition{{
				Type: v1alpha1.ConditionRecorded, Status: is, Reason: v1alpha1.ReasonNoTrail, LastTransitionTime: now,
				ObservedGeneration: identity.Generation,
			}}
			Expect(w.Client.Status().Update(ctx, identity)).To(Succeed())
		}
		accountReport := func() *unstructured.Unstructured {
			return w.clusterReport(ctx, "awsidentity-"+identity.Name)
		}
		outcome := func() any {
			if found := accountReport(); found != nil {
				return result(found, "account-recorded")["result"]
			}
			return nil
		}

		recorded(metav1.ConditionFalse)
		Eventually(outcome).WithTimeout(soon).Should(Equal("fail"))
		found := accountReport()
		Expect(found.GetOwnerReferences()).To(Equal([]metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "AWSIdentity", Name: identity.Name, UID: identity.UID,
			Controller: new(true),
		}}))
		Expect(found.Object).To(HaveKeyWithValue("scope", map[string]any{
			"apiVersion": v1alpha1.GroupVersion.String(), "kind": "AWSIdentity",
			"name": identity.Name, "uid": string(identity.UID),
		}))
		expectSummary(found)
		recorded(metav1.ConditionTrue)
		Eventually(outcome).WithTimeout(soon).Should(Equal("pass"))

		By("nobody's asking for it any more")
		identity.Spec.AssessCoverage = nil
		Expect(w.Client.Update(ctx, identity)).To(Succeed())
		Eventually(accountReport).WithTimeout(soon).Should(BeNil())
		Expect(w.DrainEvents()).To(BeEmpty())
	})

	It("says once that it may not be read", func(ctx SpecContext) {
		w.start(ctx, profile, withoutReports(ctx, w.Client))
		w.createTrail(ctx, "audit", nil)
		Eventually(func() []string { return w.sent.to("/apis/" + a.version.String() + "/") }).WithTimeout(soon).
			Should(HaveLen(12), "whether it may is asked again and again")
		Expect(w.sent.to("/apis/" + a.version.String() + "/")).To(HaveEach(HavePrefix("GET ")))
		Expect(w.logs.about("no reports are written")).To(HaveLen(2), "once for each kind")
		Expect(w.logs.about("no reports are written")).To(ContainElement(ContainSubstring("forbidden")))
		Expect(w.logs.about("ERROR")).To(BeEmpty())
		Expect(w.meter.is(a.kind)()).To(HaveValue(BeFalse()))
	})

	It("waits for its CRD, and lives without it", func(ctx SpecContext) {
		a.uninstall(ctx, w.Client)
		w.start(ctx, profile)
		w.createTrail(ctx, "audit", nil)
		Eventually(w.meter.is(a.kind)).WithTimeout(soon).Should(HaveValue(BeFalse()))
		asked := func() int { return len(w.sent.to("/apis/" + a.version.String())) }
		Eventually(asked).WithTimeout(soon).Should(BeNumerically(">", 6), "it is asked for again and again")
		Expect(w.sent.to("/apis/"+a.version.String()+"/")).To(BeEmpty(), "and nothing else is tried")
		Expect(w.logs.about("no reports are written")).To(HaveLen(2), "once for each kind")

		By("the CRD's coming")
		a.install(ctx)
		found := w.eventually(ctx, "trail-audit")
		Eventually(w.meter.is(a.kind)).WithTimeout(soon).Should(HaveValue(BeTrue()))

		By("its going, and with it all reports")
		a.uninstall(ctx, w.Client)
		Eventually(w.meter.is(a.kind)).WithTimeout(soon).Should(HaveValue(BeFalse()))
		w.createTrail(ctx, "other", nil)
		at := asked()
		Eventually(asked).WithTimeout(soon).Should(BeNumerically(">", at+6))

		By("its coming again")
		a.install(ctx)
		Expect(w.eventually(ctx, "trail-audit").GetUID()).NotTo(Equal(found.GetUID()))
		w.eventually(ctx, "trail-other")
		Expect(w.logs.about("ERROR")).To(BeEmpty())
		Expect(w.logs.about("no reports are written")).To(HaveLen(4))
		Expect(w.logs.about(`"reports are written"`)).To(HaveLen(4))
	})
}

// fence returns a function that returns when all changes of before were looked at: it creates a Trail and waits for its
// report.
func (w *world) fence(ctx context.Context) func() {
	count := 0
	return func() {
		GinkgoHelper()
		count++
		name := "fence-" + strings.Repeat("i", count)
		w.createTrail(ctx, name, nil)
		w.eventually(ctx, "trail-"+name)
	}
}

// expectSummary holds that the summary counts the results.
func expectSummary(report *unstructured.Unstructured) {
	GinkgoHelper()
	counts := map[string]int64{"pass": 0, "fail": 0, "warn": 0, "error": 0, "skip": 0}
	Expect(resultsOf(report)).NotTo(BeEmpty())
	for _, one := range resultsOf(report) {
		outcome, _, err := unstructured.NestedString(fieldsOf(one), "result")
		Expect(err).NotTo(HaveOccurred())
		counts[outcome]++
	}
	for outcome, count := range counts {
		found, _, err := unstructured.NestedInt64(report.Object, "summary", outcome)
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(Equal(count), outcome)
	}
}
