package compositions

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	templatesv1 "github.com/open-policy-agent/frameworks/constraint/pkg/apis/templates/v1"
	constraints "github.com/open-policy-agent/frameworks/constraint/pkg/client"
	"github.com/open-policy-agent/frameworks/constraint/pkg/core/templates"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/drivers/k8scel"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/drivers/k8scel/transform"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/target"
	admissionv1 "k8s.io/api/admission/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// gatekeeper is Gatekeeper's engine with the template and the constraints of config/gatekeeper.
type gatekeeper struct {
	client *constraints.Client
}

func newGatekeeper(ctx context.Context) *gatekeeper {
	GinkgoHelper()
	object := manifest("gatekeeper", "template.yaml")
	expectApplicable(ctx, object)
	scheme := runtime.NewScheme()
	Expect(templatesv1.AddToScheme(scheme)).To(Succeed())
	template := &templates.ConstraintTemplate{}
	Expect(scheme.Convert(into[templatesv1.ConstraintTemplate](object), template, nil)).To(Succeed())

	driver, err := k8scel.New()
	Expect(err).NotTo(HaveOccurred())
	client, err := constraints.NewClient(
		constraints.Targets(&target.K8sValidationTarget{}),
		constraints.Driver(driver),
		constraints.EnforcementPoints("gator.gatekeeper.sh"),
	)
	Expect(err).NotTo(HaveOccurred())
	_, err = client.AddTemplate(ctx, template)
	Expect(err).NotTo(HaveOccurred())

	By("the API server gets the CRD that Gatekeeper makes of the template")
	made, err := client.CreateCRD(ctx, template)
	Expect(err).NotTo(HaveOccurred())
	crd := &apiextensions{}
	Expect(apiextensionsv1.Convert_apiextensions_CustomResourceDefinition_To_v1_CustomResourceDefinition(made, crd, nil)).
		To(Succeed())
	installCRD(crd)
	expectApplicable(ctx, manifests("gatekeeper", "constraints.yaml")...)

	By("the API server gets the policy that Gatekeeper makes of the template")
	policy, err := transform.TemplateToPolicyDefinition(template)
	Expect(err).NotTo(HaveOccurred())
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(policy)
	Expect(err).NotTo(HaveOccurred())
	generated := &unstructured.Unstructured{Object: content}
	generated.SetAPIVersion("admissionregistration.k8s.io/v1")
	generated.SetKind("ValidatingAdmissionPolicy")
	unstructured.RemoveNestedField(generated.Object, "status")
	unstructured.RemoveNestedField(generated.Object, "metadata", "creationTimestamp")
	expectApplicable(ctx, generated)

	for _, constraint := range manifests("gatekeeper", "constraints.yaml") {
		_, err = client.AddConstraint(ctx, constraint)
		Expect(err).NotTo(HaveOccurred(), constraint.GetName())
	}
	return &gatekeeper{client: client}
}

// judge returns what the constraints say about a request.
func (g *gatekeeper) judge(ctx context.Context, trail, old *unstructured.Unstructured) []string {
	GinkgoHelper()
	request := admissionv1.AdmissionRequest{Operation: admissionv1.Create, Namespace: trail.GetNamespace()}
	kind := trail.GroupVersionKind()
	request.Kind.Group, request.Kind.Version, request.Kind.Kind = kind.Group, kind.Version, kind.Kind
	request.Name, request.Object.Raw = trail.GetName(), raw(trail)
	if old != nil {
		request.Operation, request.OldObject.Raw = admissionv1.Update, raw(old)
	}

	return g.review(ctx, request)
}

// audit returns what the constraints say about a Trail that exists.
func (g *gatekeeper) audit(ctx context.Context, trail *unstructured.Unstructured) []string {
	GinkgoHelper()
	return g.review(ctx, target.AugmentedUnstructured{Object: *trail})
}

func (g *gatekeeper) review(ctx context.Context, subject any) []string {
	GinkgoHelper()
	responses, err := g.client.Review(ctx, subject)
	Expect(err).NotTo(HaveOccurred())
	var said []string
	for _, result := range responses.Results() {
		said = append(said, result.Msg)
	}
	return said
}
