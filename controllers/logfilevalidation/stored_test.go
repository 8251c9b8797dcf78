package logfilevalidation_test

import (
	"context"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

// former is a schema in which a time is what the API server takes for a date-time.
func former(schema *apiextensionsv1.JSONSchemaProps) {
	spec := schema.Properties["spec"]
	spec.XValidations = nil
	for _, field := range []string{"startTime", "endTime"} {
		spec.Properties[field] = apiextensionsv1.JSONSchemaProps{Type: "string", Format: "date-time"}
	}
	schema.Properties["spec"] = spec
}

// store creates an object under the former schema, with a startTime that is refused now.
func (w *world) store(ctx context.Context, startTime any) *v1alpha1.LogFileValidation {
	GinkgoHelper()
	object := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{"startTime": startTime, "trailARN": trailARN, "s3BucketName": bucket},
	}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("LogFileValidation"))
	object.SetNamespace(w.Namespace)
	object.SetName("odd")
	dryRun := func() error { return w.Client.Create(ctx, object.DeepCopy(), client.DryRunAll) }

	testbed.InstallCRD(ctx, w.Client, "logfilevalidations", former)
	DeferCleanup(func(ctx context.Context) { testbed.InstallCRD(ctx, w.Client, "logfilevalidations", nil) })
	Eventually(dryRun).WithContext(ctx).WithTimeout(soon).Should(Succeed(), "the former schema is installed")
	Expect(w.Client.Create(ctx, object)).To(Succeed())
	testbed.InstallCRD(ctx, w.Client, "logfilevalidations", nil)
	Eventually(dryRun).WithContext(ctx).WithTimeout(soon).
		Should(MatchError(ContainSubstring("is invalid")), "the generated schema is installed")
	return &v1alpha1.LogFileValidation{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "odd"}}
}

var _ = Describe("A LogFileValidation that was stored before the API server refused it", func() {
	It("says in its conditions what is wrong, and validates nothing", func(ctx context.Context) {
		w := newWorld(ctx)
		v := w.store(ctx, "2026-01-02t03:04:05z")
		Expect(w.reconcile(ctx, v).RequeueAfter).To(BeZero())
		v = w.get(ctx, v)
		const complaint = `spec.startTime: "2026-01-02t03:04:05z" is not a time such as 2026-01-02T03:04:05Z` +
			" — create another LogFileValidation"
		Expect(conditions(v)).To(Equal(map[string]string{
			"Ready": "False InvalidSpec", "Intact": "Unknown InvalidSpec", "Stalled": "True InvalidSpec",
		}))
		Expect(message(v, "Ready")).To(Equal(complaint))
		testbed.ExpectKstatus(v, status.FailedStatus)
		Expect(w.DrainEvents()).To(ConsistOf("Warning InvalidSpec " + complaint))
		w.reconcile(ctx, v)
		Expect(w.DrainEvents()).To(BeEmpty())
		Expect(w.logs.requests).To(BeEmpty())
	})

	It("says in an event what is wrong when the API server does not even take a status", func(ctx context.Context) {
		w := newWorld(ctx)
		stored := w.store(ctx, []any{"now"})
		Expect(w.reconcile(ctx, stored).RequeueAfter).To(BeZero())
		v := w.get(ctx, stored)
		Expect(v.DecodeError).To(HavePrefix("spec.startTime: json: cannot unmarshal array"))
		Expect(w.DrainEvents()).To(ConsistOf("Warning InvalidSpec " + v.DecodeError + " — create another LogFileValidation"))
		Expect(w.Client.Delete(ctx, stored)).To(Succeed(), "it can be deleted")
	})
})
