package trail_test

import (
	"context"
	"os"
	"path/filepath"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

// installCRD gives the API server the generated schema of Trails, with another one for spec.interval if it is not nil.
func (w *world) installCRD(ctx context.Context, interval *apiextensionsv1.JSONSchemaProps) {
	GinkgoHelper()
	const file = "trail-operator.dev_trails.yaml"
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", file))
	Expect(err).NotTo(HaveOccurred())
	crd, installed := &apiextensionsv1.CustomResourceDefinition{}, &apiextensionsv1.CustomResourceDefinition{}
	Expect(yaml.UnmarshalStrict(text, crd)).To(Succeed())
	if interval != nil {
		crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties["interval"] = *interval
	}
	Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	Expect(w.client.Get(ctx, client.ObjectKeyFromObject(crd), installed)).To(Succeed())
	installed.Spec = crd.Spec
	Expect(w.client.Update(ctx, installed)).To(Succeed())
}

var _ = Describe("A Trail whose spec the operator does not understand", func() {
	It("says so and leaves AWS alone, also when it is deleted", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs", S3KeyPrefix: "audit"})
		found := w.settle(ctx, "audit")
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable)

		w.installCRD(ctx, &apiextensionsv1.JSONSchemaProps{Type: "string"})
		DeferCleanup(func(ctx context.Context) { w.installCRD(ctx, nil) })
		patch := []byte(`{"spec": {"interval": "soon", "s3KeyPrefix": null}}`)
		Eventually(func() error {
			return w.client.Patch(ctx, found.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
		}).WithContext(ctx).WithTimeout(soon).Should(Succeed(), "the schema is lax")

		w.aws.ResetCalls()
		found = w.settle(ctx, "audit")
		Expect(found.DecodeError).To(Equal(`spec.interval: time: invalid duration "soon"`))
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
		expectCondition(found, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInvalidSpec)
		testbed.ExpectKstatus(found, status.FailedStatus)

		Expect(w.client.Delete(ctx, found)).To(Succeed())
		_, err := w.look(ctx, "audit")
		Expect(err).NotTo(HaveOccurred())
		w.expectGone(ctx, "audit")
		Expect(w.aws.CallCounts()).To(BeEmpty(), "AWS is not called")
		Expect(w.held("audit").S3KeyPrefix).To(Equal("audit"))
	})
})
