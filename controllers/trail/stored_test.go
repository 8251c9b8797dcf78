package trail_test

import (
	"context"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

var _ = Describe("A Trail whose spec the operator does not understand", func() {
	It("says so and leaves AWS alone, also when it is deleted", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs", S3KeyPrefix: "audit"})
		found := w.settle(ctx, "audit")
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable)

		testbed.InstallCRD(ctx, w.Client, "trails", func(schema *apiextensionsv1.JSONSchemaProps) {
			schema.Properties["spec"].Properties["interval"] = apiextensionsv1.JSONSchemaProps{Type: "string"}
		})
		DeferCleanup(func(ctx context.Context) { testbed.InstallCRD(ctx, w.Client, "trails", nil) })
		patch := []byte(`{"spec": {"interval": "soon", "s3KeyPrefix": null}}`)
		Eventually(func() error {
			return w.Client.Patch(ctx, found.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
		}).WithContext(ctx).WithTimeout(soon).Should(Succeed(), "the schema is lax")

		w.AWS.ResetCalls()
		found = w.settle(ctx, "audit")
		Expect(found.DecodeError).To(Equal(`spec.interval: time: invalid duration "soon"`))
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
		expectCondition(found, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInvalidSpec)
		testbed.ExpectKstatus(found, status.FailedStatus)

		Expect(w.Client.Delete(ctx, found)).To(Succeed())
		_, err := w.look(ctx, "audit")
		Expect(err).NotTo(HaveOccurred())
		w.expectGone(ctx, "audit")
		Expect(w.AWS.CallCounts()).To(BeEmpty(), "AWS is not called")
		Expect(w.held("audit").S3KeyPrefix).To(Equal("audit"))
	})
})
