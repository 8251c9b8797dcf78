package v1alpha1_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// apiserver speaks to a real API server that has the CRDs. It refuses unknown and duplicate
// fields, as kubectl does.
var apiserver client.Client

// restConfig is how else to speak to it.
var restConfig *rest.Config

// warnings are what the API server has warned of, such as a pod that Pod Security would not admit.
var warnings warningList

type warningList struct {
	mutex sync.Mutex
	list  []string
}

// HandleWarningHeaderWithContext takes a warning of the API server.
func (w *warningList) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.list = append(w.list, text)
}

func (w *warningList) clear() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.list = nil
}

func (w *warningList) all() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return slices.Clone(w.list)
}

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
	restConfig, err = environment.Start()
	DeferCleanup(func() {
		Expect(environment.Stop()).To(Succeed(), "stop the control plane")
	})
	Expect(err).NotTo(HaveOccurred(),
		"start a control plane from KUBEBUILDER_ASSETS=%q (make test sets it) and install the CRDs",
		os.Getenv("KUBEBUILDER_ASSETS"))
	// The client's own limit of 20 requests a second would be most of the suite's time.
	restConfig.QPS = -1
	restConfig.WarningHandlerWithContext = &warnings

	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	lenient, err := client.New(restConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	apiserver = client.WithFieldValidation(lenient, "Strict")
})
