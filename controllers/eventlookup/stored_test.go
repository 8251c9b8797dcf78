package eventlookup_test

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

// former is the schema of EventLookups as it was once: a time was what the API server takes for a date-time.
func former(schema *apiextensionsv1.JSONSchemaProps) {
	spec := schema.Properties["spec"]
	spec.XValidations = nil
	for _, field := range []string{"startTime", "endTime"} {
		spec.Properties[field] = apiextensionsv1.JSONSchemaProps{Type: "string", Format: "date-time"}
	}
	schema.Properties["spec"] = spec
}

// store creates a lookup under the former schema, with a startTime that is refused now.
func (w *world) store(ctx context.Context, name string, startTime any) *v1alpha1.EventLookup {
	GinkgoHelper()
	object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"startTime":               startTime,
		"identityRef":             map[string]any{"name": w.Namespace},
		"ttlSecondsAfterFinished": int64(3600),
	}}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("EventLookup"))
	object.SetNamespace(w.Namespace)
	object.SetName(name)
	dryRun := func() error { return w.Client.Create(ctx, object.DeepCopy(), client.DryRunAll) }

	testbed.InstallCRD(ctx, w.Client, "eventlookups", former)
	DeferCleanup(func(ctx context.Context) { testbed.InstallCRD(ctx, w.Client, "eventlookups", nil) })
	Eventually(dryRun).WithContext(ctx).WithTimeout(soon).Should(Succeed(), "the former schema is installed")
	Expect(w.Client.Create(ctx, object)).To(Succeed())
	testbed.InstallCRD(ctx, w.Client, "eventlookups", nil)
	Eventually(dryRun).WithContext(ctx).WithTimeout(soon).
		Should(MatchError(ContainSubstring("is invalid")), "the generated schema is installed")
	return &v1alpha1.EventLookup{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}
}

// expectFinished waits until a lookup is finished, and returns it.
func (w *world) expectFinished(ctx context.Context, lookup *v1alpha1.EventLookup) *v1alpha1.EventLookup {
	GinkgoHelper()
	Eventually(func() bool { return w.get(ctx, lookup).Finished() }).WithContext(ctx).WithTimeout(soon).
		Should(BeTrue(), "lookup %s is finished", lookup.Name)
	return w.get(ctx, lookup)
}

var _ = Describe("An EventLookup that was stored before the API server refused it", func() {
	const oddTime = "2026-01-02t03:04:05z"
	aList := []any{oddTime}

	It("keeps no other from being answered, at a start and while the controller runs", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{NoRateLimit: true})
		before := w.store(ctx, "time-before", oddTime)
		w.store(ctx, "list-before", aList)
		w.start(context.WithoutCancel(ctx))
		expectComplete(w.expectFinished(ctx, w.ask(ctx, v1alpha1.EventLookupSpec{})))

		meanwhile := w.store(ctx, "time-meanwhile", oddTime)
		w.store(ctx, "list-meanwhile", aList)
		expectComplete(w.expectFinished(ctx, w.ask(ctx, v1alpha1.EventLookupSpec{})))

		for _, odd := range []*v1alpha1.EventLookup{before, meanwhile} {
			testbed.ExpectKstatus(w.expectFinished(ctx, odd), status.FailedStatus)
		}
		Expect(w.AWS.CallCounts()["LookupEvents"]).To(Equal(2), "AWS is asked for the others only")
	})

	It("says in its conditions what is wrong, and is left as it is", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{NoRateLimit: true})
		lookup, result, err := w.run(ctx, w.store(ctx, "odd", oddTime))
		Expect(err).NotTo(HaveOccurred())
		const complaint = `spec.startTime: "2026-01-02t03:04:05z" is not a time such as 2026-01-02T03:04:05Z` +
			" — create another EventLookup"
		Expect(conditions(lookup)).To(Equal(map[string]metav1.ConditionStatus{
			"Complete": "False", "Failed": "True", "Stalled": "True",
		}))
		for _, condition := range lookup.Status.Conditions {
			Expect(condition.Reason).To(Equal("InvalidTime"))
			Expect(condition.Message).To(Equal(complaint))
		}
		Expect(w.Events.Events).To(Receive(Equal("Warning InvalidTime " + complaint)))
		Expect(lookup.Spec).To(Equal(v1alpha1.EventLookupSpec{
			StartTime:               oddTime,
			IdentityRef:             &v1alpha1.IdentityReference{Name: w.Namespace},
			TTLSecondsAfterFinished: aws.Int32(3600),
		}))
		Expect(result.RequeueAfter.Hours()).To(BeNumerically("~", 1, 0.01), "it is deleted when its time is over")
	})

	It("says in an event what is wrong when the API server does not even take a status", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{NoRateLimit: true})
		stored := w.store(ctx, "odd", aList)
		lookup, result, err := w.run(ctx, stored)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(BeZero(), "nothing is going to change")
		Expect(lookup.DecodeError).To(HavePrefix("spec.startTime: json: cannot unmarshal array"))
		Expect(w.Events.Events).
			To(Receive(Equal("Warning InvalidSpec " + lookup.DecodeError + " — create another EventLookup")))
		Expect(w.Client.Delete(ctx, stored)).To(Succeed(), "it can be deleted")
	})
})
