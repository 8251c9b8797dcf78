// Package testbed is what the Ginkgo suites share: a control plane with the CRDs, and what kstatus makes of an object.
package testbed

import (
	"os"
	"path/filepath"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// Start starts etcd and a kube-apiserver from KUBEBUILDER_ASSETS, with all CRDs. They end with the suite, or with the
// spec that has started them. The configuration has no limit of its own: that would be most of a suite's time.
func Start() *rest.Config {
	GinkgoHelper()
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{File("config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	config, err := environment.Start()
	DeferCleanup(func() { Expect(environment.Stop()).To(Succeed(), "stop the control plane") })
	Expect(err).NotTo(HaveOccurred(),
		"start a control plane from KUBEBUILDER_ASSETS=%q (make test sets it) and install the CRDs",
		os.Getenv("KUBEBUILDER_ASSETS"))
	config.QPS = -1
	return config
}

// Scheme knows Kubernetes' kinds, CRDs and ours.
func Scheme() *runtime.Scheme {
	GinkgoHelper()
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	return scheme
}

// File returns the path of a file of this repository. Tests run in the folder of their package.
func File(elements ...string) string {
	GinkgoHelper()
	folder, err := os.Getwd()
	Expect(err).NotTo(HaveOccurred())
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return filepath.Join(append([]string{folder}, elements...)...)
		}
		Expect(folder).NotTo(Equal(filepath.Dir(folder)), "there is no go.mod above the working directory")
		folder = filepath.Dir(folder)
	}
}

// ExpectKstatus checks what tools that know kstatus, such as Flux and kubectl wait, take an object for.
func ExpectKstatus(object client.Object, want status.Status) {
	GinkgoHelper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	Expect(err).NotTo(HaveOccurred())
	result, err := status.Compute(&unstructured.Unstructured{Object: content})
	Expect(err).NotTo(HaveOccurred())
	Expect(result.Status).To(Equal(want), "kstatus says: %s", result.Message)
}
