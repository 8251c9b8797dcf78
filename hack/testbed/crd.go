package testbed

import (
	"context"
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// CRD returns the generated CRD of a kind by its plural, such as "trails". It has one version.
func CRD(plural string) *apiextensionsv1.CustomResourceDefinition {
	GinkgoHelper()
	content, err := os.ReadFile(File("config", "crd", "bases", "trail-operator.dev_"+plural+".yaml"))
	Expect(err).NotTo(HaveOccurred())
	crd := &apiextensionsv1.CustomResourceDefinition{}
	Expect(yaml.UnmarshalStrict(content, crd)).To(Succeed())
	Expect(crd.Spec.Versions).To(HaveLen(1))
	return crd
}

// InstallCRD gives the API server the generated schema of a kind with a change; nil: as it is generated. It is in force
// some time later. The client's scheme must know CRDs.
func InstallCRD(
	ctx context.Context, c client.Client, plural string, change func(schema *apiextensionsv1.JSONSchemaProps),
) {
	GinkgoHelper()
	crd, installed := CRD(plural), &apiextensionsv1.CustomResourceDefinition{}
	if change != nil {
		change(crd.Spec.Versions[0].Schema.OpenAPIV3Schema)
	}

	Expect(c.Get(ctx, client.ObjectKeyFromObject(crd), installed)).To(Succeed())
	installed.Spec = crd.Spec
	Expect(c.Update(ctx, installed)).To(Succeed())
}
