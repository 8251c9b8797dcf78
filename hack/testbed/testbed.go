// Package testbed is what the Ginkgo suites share: a control plane with the CRDs, the World of a spec with an emulated
// AWS, and what kstatus makes of an object.
package testbed

import (
	"context"
	"net/http"
	"os"
	"path/filepath"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/hack/sandbox"
)

// Start starts etcd and a kube-apiserver from KUBEBUILDER_ASSETS, with all CRDs. They end with the suite, or with the
// spec that has started them. The configuration has no limit of its own: that would be most of a suite's time.
func Start() *rest.Config {
	GinkgoHelper()
	environment := sandbox.ControlPlane(File())
	config, err := environment.Start()
	DeferCleanup(func() { Expect(environment.Stop()).To(Succeed(), "stop the control plane") })
	Expect(err).NotTo(HaveOccurred(),
		"start a control plane from KUBEBUILDER_ASSETS=%q (make test sets it) and install the CRDs",
		os.Getenv("KUBEBUILDER_ASSETS"))
	config.QPS = -1
	if version := os.Getenv("EMULATED_KUBERNETES"); version != "" {
		expectEmulated(config, version)
	}
	return config
}

// expectEmulated checks that the API server behaves like a version of Kubernetes, such as 1.33.
func expectEmulated(config *rest.Config, version string) {
	GinkgoHelper()
	client, err := discovery.NewDiscoveryClientForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	is, err := client.ServerVersion()
	Expect(err).NotTo(HaveOccurred())
	Expect(is.EmulationMajor+"."+is.EmulationMinor).To(Equal(version), "the version that the API server emulates")
}

// Scheme knows Kubernetes' kinds, CRDs and ours.
func Scheme() *runtime.Scheme {
	GinkgoHelper()
	scheme, err := sandbox.Scheme()
	Expect(err).NotTo(HaveOccurred())
	return scheme
}

// Serve serves HTTP at an address of loopback until the spec ends, and returns its URL. What is not answered then is
// cut off.
func Serve(ctx context.Context, handler http.Handler) string {
	GinkgoHelper()
	url, stop, err := sandbox.Serve(ctx, handler)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(stop()).To(Succeed(), "the server ends when it is told to") })
	return url
}

// FreeAddress returns an address of loopback, HOST:PORT, at which nobody listens.
func FreeAddress(ctx context.Context) string {
	GinkgoHelper()
	address, err := sandbox.FreeAddress(ctx)
	Expect(err).NotTo(HaveOccurred())
	return address
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
