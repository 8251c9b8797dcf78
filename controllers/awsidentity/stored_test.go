package awsidentity_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

var _ = Describe("An AWSIdentity whose spec the operator does not understand", func() {
	It("says so, and no namespace may use it", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{})
		w.apply(ctx, v1alpha1.AWSIdentitySpec{})
		testbed.InstallCRD(ctx, w.Client, "awsidentities", func(schema *apiextensionsv1.JSONSchemaProps) {
			schema.Properties["spec"].Properties["sessionTags"] = apiextensionsv1.JSONSchemaProps{Type: "string"}
		})
		DeferCleanup(func(ctx context.Context) { testbed.InstallCRD(ctx, w.Client, "awsidentities", nil) })
		patch := []byte(`{"spec": {"sessionTags": "production", "roleARN": "` + role + `"}}`)
		Eventually(func() error {
			return w.Client.Patch(ctx, w.get(ctx), client.RawPatch(types.MergePatchType, patch))
		}).WithContext(ctx).WithTimeout(soon).Should(Succeed(), "the schema is lax")

		_, err := w.look(ctx)
		Expect(err).NotTo(HaveOccurred())
		ready := meta.FindStatusCondition(w.get(ctx).Status.Conditions, v1alpha1.ConditionReady)
		Expect(ready).To(HaveValue(And(
			HaveField("Status", BeEquivalentTo("False")), HaveField("Reason", v1alpha1.ReasonInvalidSpec),
			HaveField("Message", ContainSubstring("spec.sessionTags: json: cannot unmarshal string")),
		)))
		_, err = awsidentity.Access(ctx, w.Client, w.Namespace, w.Namespace)
		Expect(err).To(BeAssignableToTypeOf(&awsidentity.AccessError{}))
	})
})
