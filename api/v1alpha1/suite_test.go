package v1alpha1_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/hack/testbed"
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
	restConfig = testbed.Start()
	restConfig.WarningHandlerWithContext = &warnings

	lenient, err := client.New(restConfig, client.Options{Scheme: testbed.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	apiserver = client.WithFieldValidation(lenient, "Strict")
})
