package v1alpha1_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/sandbox"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

var configDir = filepath.Join("..", "..", "config")

// kustomization is the part of a kustomization.yaml that says which manifests belong to it.
type kustomization struct {
	Resources []string `json:"resources"`
}

func readKustomization(folder string) kustomization {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join(configDir, folder, "kustomization.yaml"))
	Expect(err).NotTo(HaveOccurred())
	var k kustomization
	Expect(yaml.Unmarshal(content, &k)).To(Succeed())
	return k
}

// readManifests reads the objects of the manifests in a folder of config.
func readManifests(folder string) []*unstructured.Unstructured {
	GinkgoHelper()
	var objects []*unstructured.Unstructured
	for _, file := range manifestFiles(folder) {
		content, err := os.ReadFile(filepath.Join(configDir, folder, file))
		Expect(err).NotTo(HaveOccurred())
		found, err := sandbox.Objects(content)
		Expect(err).NotTo(HaveOccurred(), file)
		objects = append(objects, found...)
	}
	Expect(objects).NotTo(BeEmpty())
	return objects
}

func manifestFiles(folder string) []string {
	GinkgoHelper()
	paths, err := filepath.Glob(filepath.Join(configDir, folder, "*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	var files []string
	for _, path := range paths {
		if file := filepath.Base(path); file != "kustomization.yaml" {
			files = append(files, file)
		}
	}
	return files
}

// expectApplicable applies a manifest as kubectl does, in a dry run, and wants no warning.
func expectApplicable(ctx context.Context, object *unstructured.Unstructured) {
	GinkgoHelper()
	kind := object.GroupVersionKind()
	mapping, err := apiserver.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
	Expect(err).NotTo(HaveOccurred())
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace && object.GetNamespace() == "" {
		object.SetNamespace(metav1.NamespaceDefault)
	}
	warnings.clear()
	Expect(apiserver.Apply(ctx, client.ApplyConfigurationFromUnstructured(object),
		client.FieldOwner("kubectl"), client.DryRunAll)).To(Succeed(), "%s %s", object.GetKind(), object.GetName())
	Expect(warnings.all()).To(BeEmpty(), "warnings about %s %s", object.GetKind(), object.GetName())
}

var _ = Describe("config", Ordered, func() {
	BeforeAll(func(ctx context.Context) {
		for _, namespace := range readManifests("default") {
			Expect(namespace.GetKind()).
				To(Equal("Namespace"), "config/default has nothing but the namespace besides kustomization.yaml")
			if err := apiserver.Create(ctx, namespace); !apierrors.IsAlreadyExists(err) {
				Expect(err).NotTo(HaveOccurred())
			}
		}
	})

	for _, folder := range []string{"default", "rbac", "manager", "identity", "samples", "samples/jobs", "reports"} {
		Describe(folder, func() {
			It("is accepted by the API server under strict validation, without a warning", func(ctx context.Context) {
				for _, object := range readManifests(folder) {
					expectApplicable(ctx, object)
				}
			})
			It("has every manifest in its kustomization", func() {
				listed := slices.DeleteFunc(readKustomization(folder).Resources, func(resource string) bool {
					return filepath.Ext(resource) == ""
				})
				Expect(listed).To(ConsistOf(manifestFiles(folder)))
			})
		})
	}

	It("installs every CRD", func() {
		var bases []string
		for _, file := range manifestFiles(filepath.Join("crd", "bases")) {
			bases = append(bases, "bases/"+file)
		}
		Expect(readKustomization("crd").Resources).To(ConsistOf(bases))
	})

	It("brings the identity that Trails use which name none, for all namespaces", func() {
		identities := readManifests("identity")
		Expect(identities).To(HaveLen(1))
		Expect(identities[0].GetName()).To(Equal(v1alpha1.DefaultIdentityName))
		Expect(identities[0].Object["spec"]).To(Equal(map[string]any{"allowedNamespaces": map[string]any{"from": "All"}}))
	})

	It("gives the operator no right to secrets or to everything, and its own lease only", func() {
		for _, object := range readManifests("rbac") {
			content, err := yaml.Marshal(map[string]any{"rules": object.Object["rules"]})
			Expect(err).NotTo(HaveOccurred())
			var role rbacv1.ClusterRole
			Expect(yaml.UnmarshalStrict(content, &role)).To(Succeed())
			for _, rule := range role.Rules {
				Expect(rule.Verbs).NotTo(ContainElement("*"))
				Expect(rule.Resources).NotTo(ContainElement("*"))
				Expect(rule.Resources).NotTo(ContainElement("secrets"))
				if slices.Contains(rule.Resources, "leases") && !slices.Equal(rule.Verbs, []string{"create"}) {
					Expect(rule.ResourceNames).To(Equal([]string{"trail-operator"}))
				}
			}
		}
	})

	Describe("samples", func() {
		It("shows every field of a Trail", func() {
			shown := map[string]bool{}
			for _, object := range readManifests("samples") {
				if object.GetKind() == "Trail" {
					spec, _, err := unstructured.NestedMap(object.Object, "spec")
					Expect(err).NotTo(HaveOccurred())
					for field := range spec {
						shown[field] = true
					}
				}
			}
			for field := range testbed.CRD("trails").Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties {
				Expect(shown).To(HaveKey(field))
			}
		})

		It("fits the quota of 5 trails in every region, with one to spare to play with", func() {
			const quota, spare, operatorsRegion = 5, 1, "us-east-1"
			inRegion, everywhere := map[string]int{}, 0
			for _, object := range readManifests("samples") {
				if object.GetKind() != "Trail" {
					continue
				}
				content, err := yaml.Marshal(object.Object)
				Expect(err).NotTo(HaveOccurred())
				var trail v1alpha1.Trail
				Expect(yaml.UnmarshalStrict(content, &trail)).To(Succeed())
				region := trail.Spec.Region
				if region == "" {
					region = operatorsRegion
				}
				switch {
				case trail.IdentityName() != v1alpha1.DefaultIdentityName:
				case trail.Spec.MultiRegionDesired():
					everywhere++
				default:
					inRegion[region]++
				}
			}
			for region, trails := range inRegion {
				Expect(trails+everywhere+spare).To(BeNumerically("<=", quota), region)
			}
		})
	})
})
