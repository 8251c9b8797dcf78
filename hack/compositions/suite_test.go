package compositions

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"
)

// kyverno is the module with the CRDs of Kyverno 1.19's policies.
const kyverno = "github.com/kyverno/api@v0.0.1-alpha.3.0.20260723090831-fb2785727f98"

// maxWait is how long the API server may take to serve a kind or to enforce a policy, and often is how often to look.
const (
	maxWait = time.Minute
	often   = 100 * time.Millisecond
)

// namespace is where the examples live.
const namespace = "security"

var (
	root = filepath.Join("..", "..")
	api  *rest.Config
	// c is of a user who may do everything.
	c client.Client
)

func TestCompositions(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "What is written for kro, Crossplane, Kyverno and Gatekeeper")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	log.SetLogger(GinkgoLogr)
	others := os.Getenv("CRDS")
	if others == "" {
		others = filepath.Join("testdata", "crds")
	}
	environment := &envtest.Environment{
		CRDDirectoryPaths: []string{
			filepath.Join(root, "config", "crd", "bases"),
			others,
			filepath.Join(required("github.com/kubernetes-sigs/kro"), "helm", "crds"),
			filepath.Join(required("github.com/open-policy-agent/gatekeeper/v3"), "config", "crd", "bases",
				"constrainttemplate-customresourcedefinition.yaml"),
			filepath.Join(downloaded(kyverno), "config", "crds"),
		},
		ErrorIfCRDPathMissing: true,
		CRDInstallOptions:     envtest.CRDInstallOptions{MaxTime: maxWait},
	}

	var err error
	api, err = environment.Start()
	DeferCleanup(func() { Expect(environment.Stop()).To(Succeed(), "stop the control plane") })
	Expect(err).NotTo(HaveOccurred(), "start a control plane from KUBEBUILDER_ASSETS=%q (make test-compositions sets it)",
		os.Getenv("KUBEBUILDER_ASSETS"))
	api.QPS = -1
	c, err = client.New(api, client.Options{})
	Expect(err).NotTo(HaveOccurred())

	for _, name := range []string{namespace, "kyverno-exceptions"} {
		Expect(c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
	}
})

// required returns the folder of a module that go.mod requires.
func required(module string) string {
	GinkgoHelper()
	output, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	Expect(err).NotTo(HaveOccurred(), "go list -m %s", module)
	return strings.TrimSpace(string(output))
}

// downloaded returns the folder of a module, MODULE@VERSION, and gets it if it is not on this machine.
func downloaded(module string) string {
	GinkgoHelper()
	output, err := exec.Command("go", "mod", "download", "-json", module).Output()
	Expect(err).NotTo(HaveOccurred(), "go mod download %s: %s", module, output)
	var answer struct{ Dir string }
	Expect(json.Unmarshal(output, &answer)).To(Succeed())
	return answer.Dir
}

// manifests returns the objects in a file below config. A key that stands twice is an error.
func manifests(elements ...string) []*unstructured.Unstructured {
	GinkgoHelper()
	path := filepath.Join(append([]string{root, "config"}, elements...)...)
	content, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	var objects []*unstructured.Unstructured
	for document := range bytes.SplitSeq(content, []byte("\n---\n")) {
		object := &unstructured.Unstructured{}
		Expect(yaml.UnmarshalStrict(document, &object.Object)).To(Succeed(), "%s", path)
		objects = append(objects, object)
	}
	Expect(objects).NotTo(BeEmpty(), path)
	return objects
}

// manifest returns the only object in a file below config.
func manifest(elements ...string) *unstructured.Unstructured {
	GinkgoHelper()
	objects := manifests(elements...)
	Expect(objects).To(HaveLen(1))
	return objects[0]
}

// apply applies an object in a dry run: the API server defaults, validates and admits it as it would for good, and
// refuses fields that it does not know. It returns the object as it would be.
func apply(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	strict := client.WithFieldValidation(c, metav1.FieldValidationStrict)
	applied := object.DeepCopy()
	err := strict.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied),
		client.DryRunAll, client.ForceOwnership, client.FieldOwner("test"))
	return applied, err
}

func expectApplicable(ctx context.Context, objects ...*unstructured.Unstructured) {
	GinkgoHelper()
	for _, object := range objects {
		_, err := apply(ctx, object)
		Expect(err).NotTo(HaveOccurred(), "%s %s", object.GetKind(), object.GetName())
	}
}

// into converts an object strictly.
func into[T any](object *unstructured.Unstructured) *T {
	GinkgoHelper()
	converted := new(T)
	Expect(runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, converted, true)).
		To(Succeed(), "%s %s", object.GetKind(), object.GetName())
	return converted
}

// at returns a value in an object by its path.
func at(object *unstructured.Unstructured, path ...string) any {
	GinkgoHelper()
	value, found, err := unstructured.NestedFieldNoCopy(object.Object, path...)
	Expect(err).NotTo(HaveOccurred())
	Expect(found).To(BeTrue(), "%s in %s", strings.Join(path, "."), object.GetKind())
	return value
}
