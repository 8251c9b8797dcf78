package v1alpha1_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

var (
	cluster *rest.Config
	// lenient drops unknown fields, as a controller's client does.
	lenient client.Client
	// strict refuses unknown and duplicate fields, as kubectl apply does.
	strict client.Client
)

func TestAPI(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "API Suite")
}

var _ = BeforeSuite(func() {
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	var err error
	cluster, err = environment.Start()
	Expect(err).NotTo(HaveOccurred(), "start a control plane and install the CRDs; `make test` sets KUBEBUILDER_ASSETS=%q", os.Getenv("KUBEBUILDER_ASSETS"))
	DeferCleanup(func() {
		Expect(environment.Stop()).To(Succeed(), "stop the control plane")
	})

	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	lenient, err = client.New(cluster, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	strict = client.WithFieldValidation(lenient, "Strict")
})
