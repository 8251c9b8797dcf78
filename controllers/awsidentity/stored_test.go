package awsidentity_test

import (
	"context"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// installCRD gives the API server the generated schema of AWSIdentities, with another one for spec.sessionTags if it is
// not nil.
func (w *world) installCRD(ctx context.Context, sessionTags *apiextensionsv1.JSONSchemaProps) {
	GinkgoHelper()
	const file = "trail-operator.dev_awsidentities.yaml"
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", file))
	Expect(err).NotTo(HaveOccurred())
	crd, installed := &apiextensionsv1.CustomResourceDefinition{}, &apiextensionsv1.CustomResourceDefinition{}
	Expect(yaml.UnmarshalStrict(text, crd)).To(Succeed())
	if sessionTags != nil {
		crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties["sessionTags"] = *sessionTags
	}
	Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	Expect(w.client.Get(ctx, client.ObjectKeyFromObject(crd), installed)).To(Succeed())
	installed.Spec = crd.Spec
	Expect(w.client.Update(ctx, installed)).To(Succeed())
}

var _ = Describe("An AWSIdentity whose spec the operator does not understand", func() {
	It("says so, and no namespace may use it", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.apply(ctx, v1alpha1.AWSIdentitySpec{})
		w.installCRD(ctx, &apiextensionsv1.JSONSchemaProps{Type: "string"})
		DeferCleanup(func(ctx context.Context) { w.installCRD(ctx, nil) })
		patch := []byte(`{"spec": {"sessionTags": "production", "roleARN": "` + role + `"}}`)
		Eventually(func() error {
			return w.client.Patch(ctx, w.get(ctx), client.RawPatch(types.MergePatchType, patch))
		}).WithContext(ctx).WithTimeout(soon).Should(Succeed(), "the schema is lax")

		_, err := w.look(ctx)
		Expect(err).NotTo(HaveOccurred())
		ready := meta.FindStatusCondition(w.get(ctx).Status.Conditions, v1alpha1.ConditionReady)
		Expect(ready).To(HaveValue(And(
			HaveField("Status", BeEquivalentTo("False")), HaveField("Reason", v1alpha1.ReasonInvalidSpec),
			HaveField("Message", ContainSubstring("spec.sessionTags: json: cannot unmarshal string")),
		)))
		_, err = awsidentity.Access(ctx, w.client, w.name, w.name)
		Expect(err).To(BeAssignableToTypeOf(&awsidentity.AccessError{}))
	})
})
