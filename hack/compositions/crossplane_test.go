package compositions

import (
	"encoding/json"
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// definition is a CompositeResourceDefinition, apiextensions.crossplane.io/v2.
type definition struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Scope                 apiextensionsv1.ResourceScope                 `json:"scope"`
		Group                 string                                        `json:"group"`
		Names                 apiextensionsv1.CustomResourceDefinitionNames `json:"names"`
		DefaultCompositionRef struct {
			Name string `json:"name"`
		} `json:"defaultCompositionRef"`
		Versions []struct {
			Name                     string                                           `json:"name"`
			Served                   bool                                             `json:"served"`
			Referenceable            bool                                             `json:"referenceable"`
			AdditionalPrinterColumns []apiextensionsv1.CustomResourceColumnDefinition `json:"additionalPrinterColumns"`
			Schema                   apiextensionsv1.CustomResourceValidation         `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

// crd is the CRD that Crossplane makes of the definition, without Crossplane's own fields.
func (d *definition) crd() *apiextensions {
	crd := &apiextensions{ObjectMeta: metav1.ObjectMeta{Name: d.Name}}
	crd.Spec.Group, crd.Spec.Names, crd.Spec.Scope = d.Spec.Group, d.Spec.Names, d.Spec.Scope
	for _, version := range d.Spec.Versions {
		crd.Spec.Versions = append(crd.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{
			Name: version.Name, Served: version.Served, Storage: version.Referenceable, Schema: &version.Schema,
			AdditionalPrinterColumns: version.AdditionalPrinterColumns,
			Subresources: &apiextensionsv1.CustomResourceSubresources{
				Status: &apiextensionsv1.CustomResourceSubresourceStatus{},
			},
		})
	}
	return crd
}

var _ = Describe("Crossplane's AuditTrail", Ordered, func() {
	var (
		composite *unstructured.Unstructured
		input     *resources
	)

	BeforeAll(func(ctx SpecContext) {
		defined, composition := manifest("crossplane", "definition.yaml"), manifest("crossplane", "composition.yaml")
		expectApplicable(ctx, defined, composition, manifest("crossplane", "rbac.yaml"))
		expectApplicable(ctx, manifests("crossplane", "packages.yaml")...)

		installCRD(into[definition](defined).crd())
		var err error
		composite, err = apply(ctx, manifest("crossplane", "example.yaml"))
		Expect(err).NotTo(HaveOccurred())

		Expect(at(defined, "spec", "defaultCompositionRef", "name")).To(Equal(composition.GetName()))
		Expect(at(composition, "spec", "compositeTypeRef")).To(HaveKeyWithValue("kind", composite.GetKind()))
		Expect(at(composition, "spec", "compositeTypeRef")).To(HaveKeyWithValue("apiVersion", composite.GetAPIVersion()))
		steps, ok := at(composition, "spec", "pipeline").([]any)
		Expect(ok).To(BeTrue())
		Expect(steps).To(HaveLen(1))
		given, found := get(steps[0], []string{"input"})
		Expect(found).To(BeTrue())
		content, err := json.Marshal(given)
		Expect(err).NotTo(HaveOccurred())
		input = &resources{}
		Expect(yaml.UnmarshalStrict(content, input)).To(Succeed())
	})

	// exist tells the composite resource of the status of the bucket's policy and the key.
	exist := func(name string, status map[string]any) *unstructured.Unstructured {
		GinkgoHelper()
		told := composite.DeepCopy()
		input.observe(name, &unstructured.Unstructured{Object: map[string]any{"status": status}}, told)
		return told
	}

	It("is an example that the API server defaults", func() {
		Expect(at(composite, "spec")).To(And(
			HaveKeyWithValue("partition", "aws"), HaveKeyWithValue("identityName", "default"),
		))
	})

	It("refuses a quote in the bucket's name", func(ctx SpecContext) {
		bad := manifest("crossplane", "example.yaml")
		Expect(unstructured.SetNestedField(bad.Object, `logs","Effect":"Allow`, "spec", "bucketName")).To(Succeed())
		_, err := apply(ctx, bad)
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
	})

	It("has the policies of config/aws, and deletes nothing in AWS", func(ctx SpecContext) {
		composed := input.compose(composite)
		Expect(composed).To(HaveLen(len(input.Resources)-1), "all but the Trail")
		for name, object := range composed {
			expectApplicable(ctx, object)
			Expect(at(object, "spec", "managementPolicies")).To(
				HaveExactElements("Observe", "Create", "Update", "LateInitialize"), name)
			Expect(at(object, "spec", "forProvider", "region")).To(Equal("eu-central-1"), name)
			Expect(at(object, "spec", "providerConfigRef")).To(HaveKeyWithValue("name", "default"), name)
		}

		Expect(at(composed["key"], "spec", "forProvider", "policy")).To(bePolicy("key-policy.json"))
		Expect(at(composed["bucket-policy"], "spec", "forProvider", "policy")).
			To(bePolicy("bucket-policy.json", onlyWithTLS))
		const externalName = "crossplane.io/external-name"
		Expect(composed["bucket"].GetAnnotations()).To(HaveKeyWithValue(externalName, "example-audit-logs"))
		Expect(composed["alias"].GetAnnotations()).To(HaveKeyWithValue(externalName, "alias/cloudtrail-audit"))
		rule, _ := get(composed["bucket-lifecycle"].Object, segments("spec.forProvider.rule[0]"))
		Expect(rule).To(HaveKeyWithValue("expiration", HaveExactElements(HaveKeyWithValue("days", BeEquivalentTo(400)))))
		Expect(rule).To(HaveKeyWithValue("filter", HaveExactElements(HaveKeyWithValue("prefix", "prefix/AWSLogs/"))))
	})

	It("waits with the Trail until the key and the bucket's policy exist", func(ctx SpecContext) {
		policy := map[string]any{"atProvider": map[string]any{"id": "example-audit-logs"}}
		key := map[string]any{"atProvider": map[string]any{"arn": keyARN}}
		Expect(input.compose(exist("bucket-policy", policy))).NotTo(HaveKey("trail"))
		Expect(input.compose(exist("key", key))).NotTo(HaveKey("trail"))

		both := exist("bucket-policy", policy)
		input.observe("key", &unstructured.Unstructured{Object: map[string]any{"status": key}}, both)
		trail := input.compose(both)["trail"]
		expectApplicable(ctx, trail)
		want := wantTrail()
		want["kmsKeyID"] = "alias/cloudtrail-audit"
		Expect(at(trail, "spec")).To(Equal(want))
	})

	It("is ready when the Trail is ready and logs, and shows what it says", func() {
		for _, template := range input.Resources {
			if template.Name != "trail" {
				Expect(template.ready(map[string]string{"Synced": "True", "Ready": "True"})).To(BeTrue(), template.Name)
				continue
			}
			conditions := map[string]string{"Ready": "True", "Logging": "True", "Synced": "True"}
			Expect(template.ready(conditions)).To(BeTrue())
			for _, condition := range []string{"Ready", "Logging"} {
				failing := maps.Clone(conditions)
				failing[condition] = "False"
				Expect(template.ready(failing)).To(BeFalse(), condition)
			}
		}
		Expect(at(exist("trail", trailStatus(1, "True", true)), "status")).To(And(
			HaveKeyWithValue("trailARN", "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit"),
			HaveKeyWithValue("logging", true),
		))
	})

	It("lets Crossplane compose Trails", func() {
		role := manifest("crossplane", "rbac.yaml")
		Expect(role.GetLabels()).To(HaveKeyWithValue("rbac.crossplane.io/aggregate-to-crossplane", "true"))
		Expect(granted(role)).To(HaveKeyWithValue("trail-operator.dev/trails",
			ContainElements("get", "list", "watch", "create", "patch", "delete")))
	})
})
