// Command chart generates those parts of charts/trail-operator that come from config: the CRDs, the operator's rules,
// the alerts, the dashboard and the name of the image. So there is one source for the chart and for kustomize. And what
// is new, from the changelog.
//
// It is run from the repository's root, by `make chart`.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

const (
	crdBases  = "config/crd/bases"
	roleFile  = "config/rbac/role.yaml"
	chart     = "charts/trail-operator"
	crdFolder = chart + "/templates/crds"
	rulesFile = chart + "/templates/_generated.tpl"

	policies     = "config/policies/rules"
	policyFolder = chart + "/files/policies"
)

// copies are the files that the chart carries as they are, source to target. A source need not exist.
var copies = map[string]string{
	"config/prometheus/rules.yaml":  chart + "/files/prometheus/rules.yaml",
	"config/grafana/dashboard.json": chart + "/files/grafana/dashboard.json",
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run() error {
	crds, err := readCRDs()
	if err != nil {
		return err
	}
	rules, err := readRules()
	if err != nil {
		return err
	}
	return errors.Join(writeCRDs(crds), writeRules(crds, rules), copyFiles(), copyPolicies(), writeImage(), writeChanges())
}

// crd is a generated CRD: what the chart needs to know of it, and the text of its spec.
type crd struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name        string            `json:"name"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Group string `json:"group"`
		Scope string `json:"scope"`
		Names struct {
			Plural string `json:"plural"`
		} `json:"names"`
	} `json:"spec"`

	spec string
}

func readCRDs() ([]crd, error) {
	files, err := filepath.Glob(crdBases + "/*.yaml")
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no CRD in %s: run make manifests", crdBases)
	}

	crds := make([]crd, 0, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var c crd
		if err := yaml.Unmarshal(text, &c); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}

		_, spec, found := strings.Cut(string(text), "\nspec:\n")
		if c.Kind != "CustomResourceDefinition" || !found {
			return nil, fmt.Errorf("%s: not a CustomResourceDefinition as controller-gen writes it", file)
		}
		c.spec = spec
		crds = append(crds, c)
	}

	return crds, nil
}

// writeCRDs writes a template for each CRD, and removes those of CRDs that are no more.
func writeCRDs(crds []crd) error {
	if err := os.MkdirAll(crdFolder, 0o755); err != nil {
		return err
	}
	stale, err := filepath.Glob(crdFolder + "/*.yaml")
	if err != nil {
		return err
	}
	for _, c := range crds {
		file := filepath.Join(crdFolder, c.Spec.Names.Plural+".yaml")
		if err := os.WriteFile(file, []byte(crdTemplate(c)), 0o644); err != nil {
			return err
		}
		stale = slices.DeleteFunc(stale, func(s string) bool { return s == file })
	}
	for _, file := range stale {
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

func crdTemplate(c crd) string {
	var out strings.Builder
	fmt.Fprintf(&out, "{{- /* Generated from %s by make chart. Do not edit. */}}\n", crdBases)
	out.WriteString("{{- if .Values.crds.install }}\n")
	fmt.Fprintf(&out, "apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n", c.APIVersion, c.Kind, c.Metadata.Name)
	out.WriteString("  labels:\n    {{- include \"trail-operator.labels\" . | nindent 4 }}\n  annotations:\n")
	for _, key := range slices.Sorted(maps.Keys(c.Metadata.Annotations)) {
		fmt.Fprintf(&out, "    %s: %s\n", key, escape(c.Metadata.Annotations[key]))
	}
	out.WriteString("    {{- if .Values.crds.keep }}\n    helm.sh/resource-policy: keep\n    {{- end }}\n")
	out.WriteString("    {{- with .Values.crds.annotations }}\n    {{- toYaml . | nindent 4 }}\n    {{- end }}\n")
	out.WriteString("spec:\n" + escape(c.spec) + "{{- end }}\n")
	return out.String()
}

// escape keeps Helm from taking a text for a template.
func escape(text string) string { return strings.ReplaceAll(text, "{{", "{{ `{{` }}") }

func readRules() ([]rbacv1.PolicyRule, error) {
	text, err := os.ReadFile(roleFile)
	if err != nil {
		return nil, err
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict(text, &role); err != nil {
		return nil, fmt.Errorf("%s: %w", roleFile, err)
	}
	return role.Rules, nil
}

// A part is some of the operator's rules, under the name of the template that the chart includes them by.
type part struct {
	name, comment string
	rules         []rbacv1.PolicyRule
}

// split sorts the rules by where the chart needs them: where the operator works in some namespaces only, it gets a Role
// in each of those for everything that is namespaced.
func split(crds []crd, rules []rbacv1.PolicyRule) ([]part, error) {
	parts := []part{
		{name: "cluster", comment: "Rules for resources that are cluster-scoped, needed wherever the operator works."},
		{
			name:    "namespaces",
			comment: "Rules for Namespaces, needed cluster-wide only by an operator that works in all of them.",
		},
		{name: "metrics", comment: "Rules to authenticate and authorize those who read the metrics."},
		{name: "namespaced", comment: "Rules for resources that are namespaced."},
	}
	for _, rule := range rules {
		byPart := make([][]string, len(parts))
		for _, resource := range rule.Resources {
			at, err := partOf(crds, rule, resource)
			if err != nil {
				return nil, err
			}
			byPart[at] = append(byPart[at], resource)
		}
		for at, resources := range byPart {
			if len(resources) > 0 {
				some := *rule.DeepCopy()
				some.Resources = resources
				parts[at].rules = append(parts[at].rules, some)
			}
		}
	}
	return parts, nil
}

func partOf(crds []crd, rule rbacv1.PolicyRule, resource string) (int, error) {
	const cluster, namespaces, metrics, namespaced = 0, 1, 2, 3
	if len(rule.APIGroups) != 1 {
		return 0, fmt.Errorf("%s: a rule of %d API groups for %s; want one", roleFile, len(rule.APIGroups), resource)
	}

	group, plural := rule.APIGroups[0], resource
	if before, _, ok := strings.Cut(resource, "/"); ok {
		plural = before
	}

	for _, c := range crds {
		if c.Spec.Group == group && c.Spec.Names.Plural == plural {
			if c.Spec.Scope == "Cluster" {
				return cluster, nil
			}
			return namespaced, nil
		}
	}

	switch group + "/" + plural {
	case "/namespaces":
		return namespaces, nil
	case "authentication.k8s.io/tokenreviews", "authorization.k8s.io/subjectaccessreviews":
		return metrics, nil
	case "events.k8s.io/events", "/events":
		return namespaced, nil
	default:
		return 0, fmt.Errorf(
			"%s: a rule for %s of API group %q, of which hack/chart does not know whether it is namespaced",
			roleFile,
			resource,
			group,
		)
	}
}

func writeRules(crds []crd, rules []rbacv1.PolicyRule) error {
	parts, err := split(crds, rules)
	if err != nil {
		return err
	}

	var out strings.Builder
	fmt.Fprintf(&out, "{{- /* Generated from %s and %s by make chart. Do not edit. */}}\n", roleFile, crdBases)
	for _, p := range parts {
		fmt.Fprintf(&out, "\n{{- /* %s */}}\n{{- define \"trail-operator.rules.%s\" -}}\n", p.comment, p.name)
		if len(p.rules) > 0 {
			text, err := yaml.Marshal(p.rules)
			if err != nil {
				return err
			}
			out.Write(text)
		}
		out.WriteString("{{- end }}\n")
	}

	out.WriteString("\n{{- /* The resources that users work with in their namespaces. */}}\n" +
		"{{- define \"trail-operator.userResources\" -}}\n")
	for _, c := range crds {
		if c.Spec.Scope == "Namespaced" {
			fmt.Fprintf(&out, "- %s\n", c.Spec.Names.Plural)
		}
	}
	out.WriteString("{{- end }}\n")

	return os.WriteFile(rulesFile, []byte(out.String()), 0o644)
}

func copyFiles() error {
	for source, target := range copies {
		text, err := os.ReadFile(source)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := writeFile(target, text); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// copyPolicies copies the ValidatingAdmissionPolicies, of which the chart's template makes what the values say, and
// removes those that are no more.
func copyPolicies() error {
	sources, err := filepath.Glob(policies + "/*.yaml")
	if err != nil {
		return err
	}
	if err := os.RemoveAll(policyFolder); err != nil {
		return err
	}

	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		if !strings.Contains(string(text), "\nkind: ValidatingAdmissionPolicy\n") {
			continue
		}
		if err := writeFile(filepath.Join(policyFolder, filepath.Base(source)), text); err != nil {
			return err
		}
	}

	return nil
}
