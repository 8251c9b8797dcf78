package apiserver_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// collections are where the objects of a kind are, in a namespace.
func collection(kind, namespace string) string {
	switch kind {
	case "AWSIdentity":
		return group + "/awsidentities"
	case "EventLookup":
		return group + "/namespaces/" + namespace + "/eventlookups"
	case "LogFileValidation":
		return group + "/namespaces/" + namespace + "/logfilevalidations"
	default:
		return trails(namespace)
	}
}

// samples returns the objects of config/samples.
func samples() []object {
	GinkgoHelper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "..", "config", "samples", "*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	var out []object
	for _, path := range paths {
		if filepath.Base(path) == "kustomization.yaml" {
			continue
		}
		content, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		for document := range strings.SplitSeq(string(content), "\n---\n") {
			sample := object{}
			Expect(yaml.Unmarshal([]byte(document), &sample)).To(Succeed(), path)
			out = append(out, sample)
		}
	}
	Expect(len(out)).To(BeNumerically(">", 10))
	return out
}

// example returns a value with everything that a schema knows. It need not be valid.
func example(schema *apiextensionsv1.JSONSchemaProps) any {
	switch {
	case len(schema.Enum) > 0:
		return strings.Trim(string(schema.Enum[0].Raw), `"`)
	case schema.Type == "object" && schema.AdditionalProperties != nil:
		return object{"key": example(schema.AdditionalProperties.Schema)}
	case schema.Type == "object":
		out := object{}
		for name := range schema.Properties {
			property := schema.Properties[name]
			out[name] = example(&property)
		}
		return out
	case schema.Type == "array":
		return []any{example(schema.Items.Schema)}
	case schema.Type == "integer":
		return 2
	case schema.Type == "boolean":
		return true
	case schema.Format == "date-time":
		return "2026-01-01T00:00:00Z"
	default:
		return "Value1"
	}
}

// odd are values that most fields do not take.
var odd = []any{
	nil, "", "UPPER case!", strings.Repeat("x", 300), "2026-01-01T00:00:00Z", -1, 1.5, true, []any{"x", "x"}, object{},
}

// mutants returns copies of a value, each with one part replaced, removed or doubled.
func mutants(value any) []any {
	out := slices.Clone(odd)
	switch value := value.(type) {
	case object:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			without := maps.Clone(value)
			delete(without, name)
			out = append(out, without)
			for _, mutant := range mutants(value[name]) {
				changed := maps.Clone(value)
				changed[name] = mutant
				out = append(out, changed)
			}
		}
		more := maps.Clone(value)
		more["unknown"] = object{"deep": 1}
		out = append(out, more)
	case []any:
		out = append(out, append(slices.Clone(value), value...))
		for i := range value {
			for _, mutant := range mutants(value[i]) {
				changed := slices.Clone(value)
				changed[i] = mutant
				out = append(out, changed)
			}
		}
	default:
	}
	return out
}

var _ = Describe("Schemas and rules", func() {
	alike("all samples, and what is like them", func(s *session, namespace string) {
		for _, sample := range samples() {
			kind := fmt.Sprint(sample["kind"])
			sample["metadata"] = object{"name": "sample"}
			s.do("POST", collection(kind, namespace)+"?dryRun=All&fieldValidation=Strict", sample)
			for _, spec := range mutants(sample["spec"]) {
				changed := maps.Clone(sample)
				changed["spec"] = spec
				s.do("POST", collection(kind, namespace)+"?dryRun=All", changed)
			}
		}
	})

	alike("a change from each sample to each other", func(s *session, namespace string) {
		for i, from := range samples() {
			kind, name := fmt.Sprint(from["kind"]), fmt.Sprintf("%s-%d", namespace, i)
			from["metadata"] = object{"name": name}
			created := s.do("POST", collection(kind, namespace), from)
			for _, to := range samples() {
				if to["kind"] != from["kind"] {
					continue
				}
				created.body["spec"] = to["spec"]
				s.do("PUT", collection(kind, namespace)+"/"+name+"?dryRun=All", created.body)
			}
			if i%5 > 0 {
				continue
			}
			for _, spec := range mutants(from["spec"]) {
				created.body["spec"] = spec
				s.do("PUT", collection(kind, namespace)+"/"+name+"?dryRun=All", created.body)
			}
		}
	})

	crds, err := readCRDs()
	It("are there", func() { Expect(err).NotTo(HaveOccurred()) })
	for _, crd := range crds {
		kind := crd.Spec.Names.Kind
		schema := crd.Spec.Versions[0].Schema.OpenAPIV3Schema

		alike("the whole spec of a kind: "+kind, func(s *session, namespace string) {
			spec := schema.Properties["spec"]
			for _, mutant := range append(mutants(example(&spec)), example(&spec)) {
				s.do("POST", collection(kind, namespace)+"?dryRun=All", object{
					"apiVersion": "trail-operator.dev/v1alpha1", "kind": kind,
					"metadata": object{"name": "whole"}, "spec": mutant,
				})
			}
		})

		alike("the whole status of a kind: "+kind, func(s *session, namespace string) {
			valid := samples()[slices.IndexFunc(samples(), func(o object) bool { return o["kind"] == kind })]
			valid["metadata"] = object{"name": namespace}
			path := collection(kind, namespace) + "/" + namespace
			created := s.do("POST", collection(kind, namespace), valid)
			status := schema.Properties["status"]
			for i, mutant := range append(mutants(example(&status)), example(&status)) {
				created.body["status"] = mutant
				// Some are written, so that the next ones follow them.
				query := "?dryRun=All"
				if i%20 == 0 {
					query = ""
					created.body["metadata"] = runtime.DeepCopyJSONValue(s.do("GET", path, nil).body["metadata"])
				}
				if s.do("PUT", path+"/status"+query, created.body).code == 200 && query == "" {
					created.body["metadata"] = s.do("GET", path, nil).body["metadata"]
				}
			}
		})
	}
})
