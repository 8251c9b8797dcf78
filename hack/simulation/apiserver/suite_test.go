package apiserver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"

	"github.com/trail-operator/trail-operator/hack/simulation/apiserver"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

// TestFidelity compares the server with a real kube-apiserver.
func TestFidelity(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "In-memory API Server Suite")
}

var (
	realConfig *rest.Config
	ours       *apiserver.Server
)

var _ = BeforeSuite(func() {
	realConfig = testbed.Start()
	ours = newServer(GinkgoTB(), apiserver.Options{})

	for _, kind := range []string{"trails", "awsidentities", "eventlookups", "logfilevalidations"} {
		s := newSession(realConfig)
		Eventually(func() int { return s.do("GET", group+"/"+kind, nil).code }).WithTimeout(time.Minute).
			Should(Equal(200), "kube-apiserver fills its cache of %s after it has got the CRD", kind)
	}
})

// scripts counts the scripts, so that each has a namespace of its own.
var scripts int

// alike is a spec that runs a script against both servers, in a namespace of its own, and compares what they answer.
func alike(text string, script func(s *session, namespace string)) {
	It(text, func() {
		scripts++
		namespace := fmt.Sprintf("script-%d", scripts)
		expected, got := newSession(realConfig), newSession(ours.Config())
		for _, s := range []*session{expected, got} {
			s.do("POST", "/api/v1/namespaces", "metadata: {name: "+namespace+"}")
			script(s, namespace)
		}
		compare(expected.transcript, got.transcript)
	})
}

// compare reports all answers that differ.
func compare(expected, got []string) {
	GinkgoHelper()
	var differences []string
	for i := range min(len(expected), len(got)) {
		if expected[i] != got[i] {
			differences = append(differences, difference(expected[i], got[i]))
		}
	}
	if len(expected) != len(got) {
		differences = append(differences, cmp.Diff(expected, got))
	}
	Expect(differences).To(BeEmpty(), "%d of %d answers differ:\n%s",
		len(differences), len(expected), strings.Join(differences[:min(len(differences), 12)], "\n\n"))
}

// difference shows two answers: the request, and the lines that only one of them has.
func difference(expected, got string) string {
	request, _, _ := strings.Cut(expected, " -> ")
	return request + "\n" + cmp.Diff(strings.Split(expected, "\n"), strings.Split(got, "\n"))
}
