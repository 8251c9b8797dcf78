package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/hack/sandbox"
)

// prometheusOperator is the module with the CRDs of the custom resources of others that the chart and config can make.
const prometheusOperator = "github.com/prometheus-operator/prometheus-operator@v0.85.0"

// moduleFolder returns where a Go module, MODULE@VERSION, is on this machine, and gets it if it is not.
func moduleFolder(module string) string {
	GinkgoHelper()
	folder, err := sandbox.Module(context.Background(), module)
	Expect(err).NotTo(HaveOccurred())
	return folder
}

// documents returns the YAML documents of rendered manifests, as they are written.
func documents(manifests string) [][]byte {
	GinkgoHelper()
	var found [][]byte
	for reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(manifests))); ; {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return found
		}
		Expect(err).NotTo(HaveOccurred())
		found = append(found, document)
	}
}

// expectApplicable applies rendered manifests, document by document, in a dry run: the API server decodes, defaults,
// validates and admits them as it would for good, refuses fields that it does not know or that stand twice, and has
// nothing to warn of.
func (c *cluster) expectApplicable(ctx context.Context, manifests string) {
	GinkgoHelper()
	var warnings bytes.Buffer
	config := rest.CopyConfig(c.rest)
	config.WarningHandler = rest.NewWarningWriter(&warnings, rest.WarningWriterOptions{})
	lenient, err := client.New(config, client.Options{Scheme: c.client.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	strict := client.WithFieldValidation(lenient, metav1.FieldValidationStrict)

	applied := 0
	for _, document := range documents(manifests) {
		object := &unstructured.Unstructured{}
		Expect(yaml.Unmarshal(document, &object.Object)).To(Succeed(), "%s", document)
		if len(object.Object) == 0 {
			continue // A template that renders nothing but its comment.
		}

		namespaced, err := strict.IsObjectNamespaced(object)
		Expect(err).NotTo(HaveOccurred(), "%s", document)
		if namespaced && object.GetNamespace() == "" {
			object.SetNamespace(metav1.NamespaceDefault)
		}
		if namespaced {
			// The API server takes nothing into a namespace that does not exist, not even in a dry run.
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: object.GetNamespace()}}
			Expect(client.IgnoreAlreadyExists(c.client.Create(ctx, namespace))).To(Succeed())
		}
		Expect(strict.Patch(ctx, object, client.RawPatch(types.ApplyPatchType, document),
			client.DryRunAll, client.ForceOwnership, client.FieldOwner("e2e"))).To(Succeed(), "%s", document)
		applied++
	}
	Expect(applied).NotTo(BeZero(), "nothing was rendered")
	Expect(warnings.String()).To(BeEmpty(), "the API server's warnings")
}

var _ = Describe("The API server takes under strict validation, without a warning,", Ordered, func() {
	var c *cluster
	BeforeAll(func(ctx SpecContext) {
		c = startCluster(ctx)
		_, err := envtest.InstallCRDs(c.rest, envtest.CRDInstallOptions{
			Paths: []string{
				filepath.Join(root, "config", "crd", "bases"),
				filepath.Join(moduleFolder(prometheusOperator), "example", "prometheus-operator-crd"),
			},
			ErrorIfPathMissing: true,
		})
		Expect(err).NotTo(HaveOccurred())
	})

	chart := filepath.Join(root, "charts", "trail-operator")
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	Expect(files).NotTo(BeEmpty(), "the chart's ci values")
	for _, values := range files {
		It("what the chart renders with its "+filepath.Base(values), func(ctx SpecContext) {
			c.expectApplicable(ctx,
				c.helm("template", release, chart, "--namespace", releaseNamespace, "--values", values))
		})
	}

	for _, folder := range []string{
		"default", "network-policy", "prometheus", "samples",
		"policies/baseline", "policies/example", "policies/no-takeover",
	} {
		It("config/"+folder, func(ctx SpecContext) {
			c.expectApplicable(ctx, c.kubectl("kustomize", filepath.Join(root, "config", folder)))
		})
	}
})
