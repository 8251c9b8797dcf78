package compositions

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

type apiextensions = apiextensionsv1.CustomResourceDefinition

// installCRD has the API server serve a kind until the container ends.
func installCRD(crd *apiextensions) {
	GinkgoHelper()
	_, err := envtest.InstallCRDs(api, envtest.CRDInstallOptions{CRDs: []*apiextensions{crd}, MaxTime: maxWait})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(removeCRD, crd)
}

// removeCRD removes a CRD that a container has installed, because kro's and Crossplane's are of the same name.
func removeCRD(ctx context.Context, crd *apiextensions) {
	GinkgoHelper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	object.SetName(crd.GetName())
	Expect(c.Delete(ctx, object)).To(Succeed())
	Eventually(func() error {
		return c.Get(ctx, client.ObjectKeyFromObject(object), object)
	}, maxWait, often).Should(Satisfy(apierrors.IsNotFound), "the API server removes the CRD")
}

// granted returns the verbs of a ClusterRole by GROUP/RESOURCE.
func granted(role *unstructured.Unstructured) map[string][]string {
	GinkgoHelper()
	verbs := map[string][]string{}
	for _, rule := range into[rbacv1.ClusterRole](role).Rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				verbs[group+"/"+resource] = append(verbs[group+"/"+resource], rule.Verbs...)
			}
		}
	}
	return verbs
}
