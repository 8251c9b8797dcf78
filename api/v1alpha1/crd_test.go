package v1alpha1_test

import (
	"encoding/json"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/trail-operator/trail-operator/hack/testbed"
)

// maxAnnotation is how large a manifest may be that client-side apply has to keep in an annotation.
const maxAnnotation = 262_144

// walk visits all the properties below a schema, with their paths.
func walk(
	schema apiextensionsv1.JSONSchemaProps,
	path string,
	visit func(path string, property apiextensionsv1.JSONSchemaProps),
) {
	for name, property := range schema.Properties {
		visit(path+"."+name, property)
		walk(property, path+"."+name, visit)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		walk(*schema.Items.Schema, path+"[]", visit)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		walk(*schema.AdditionalProperties.Schema, path+"{}", visit)
	}
}

var _ = Describe("CRD", func() {
	for _, plural := range []string{"trails", "awsidentities", "eventlookups", "logfilevalidations"} {
		Describe(plural, func() {
			It("can be applied by client-side apply", func() {
				content, err := json.Marshal(testbed.CRD(plural))
				Expect(err).NotTo(HaveOccurred())
				Expect(len(content)).To(BeNumerically("<", maxAnnotation))
			})

			It("explains every field", func() {
				schema := testbed.CRD(plural).Spec.Versions[0].Schema.OpenAPIV3Schema
				var unexplained []string
				walk(*schema, "", func(path string, property apiextensionsv1.JSONSchemaProps) {
					if property.Description == "" && path != ".metadata" {
						unexplained = append(unexplained, path)
					}
				})
				slices.Sort(unexplained)
				Expect(unexplained).To(BeEmpty())
			})

			It("has a default nowhere but in the status", func() {
				schema := testbed.CRD(plural).Spec.Versions[0].Schema.OpenAPIV3Schema
				defaults := map[string]string{}
				walk(*schema, "", func(path string, property apiextensionsv1.JSONSchemaProps) {
					if property.Default != nil {
						defaults[path] = string(property.Default.Raw)
					}
				})
				Expect(defaults).To(Equal(map[string]string{".status": `{"observedGeneration":-1}`}))
			})

			It("has the status as a subresource, and the categories aws and audit", func() {
				crd := testbed.CRD(plural)
				Expect(crd.Spec.Versions[0].Subresources.Status).NotTo(BeNil())
				Expect(crd.Spec.Names.Categories).To(ConsistOf("aws", "audit"))
			})
		})
	}

	It("trails has the columns that tell an administrator how the trails are", func() {
		crd := testbed.CRD("trails")
		var columns, wide []string
		for _, column := range crd.Spec.Versions[0].AdditionalPrinterColumns {
			if column.Priority == 0 {
				columns = append(columns, column.Name)
			} else {
				wide = append(wide, column.Name)
			}
		}
		Expect(columns).To(Equal([]string{"Ready", "Logging", "Region", "Last Delivery", "Status", "Age"}))
		Expect(wide).To(Equal([]string{"ARN", "Account"}))
		Expect(crd.Spec.Names.ShortNames).To(ConsistOf("ctrail"))
		Expect(crd.Spec.Scope).To(Equal(apiextensionsv1.NamespaceScoped))
	})

	It("awsidentities is for administrators: cluster-scoped", func() {
		Expect(testbed.CRD("awsidentities").Spec.Scope).To(Equal(apiextensionsv1.ClusterScoped))
	})
})
