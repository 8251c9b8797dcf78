package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/hack/sandbox"
)

// lastAppliedLimit is how long an object's annotations may be; client-side apply puts the whole object in one.
const lastAppliedLimit = 262144

// render returns what the chart makes of the values, by kind and name.
func render(t *testing.T, arguments ...string) map[string]*unstructured.Unstructured {
	t.Helper()
	helm := filepath.Join("..", "..", "bin", "helm")
	if _, err := os.Stat(helm); err != nil {
		t.Skip("bin/helm is not built: run make helm-test")
	}
	arguments = append(
		[]string{"template", "trail-operator", filepath.Join("..", "..", chart), "--namespace", "trail-operator-system"},
		arguments...)
	command := exec.Command(helm, arguments...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("helm %s: %v\n%s", strings.Join(arguments, " "), err, &stderr)
	}
	rendered, err := sandbox.Objects(output)
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]*unstructured.Unstructured{}
	for _, object := range rendered {
		key := object.GetKind() + " " + object.GetName()
		if namespace := object.GetNamespace(); namespace != "" {
			key = object.GetKind() + " " + namespace + "/" + object.GetName()
		}
		if objects[key] != nil {
			t.Fatalf("%s is rendered twice", key)
		}
		objects[key] = object
	}
	return objects
}

func TestCRDsAreThoseOfConfig(t *testing.T) {
	objects := render(t)
	files, err := filepath.Glob(filepath.Join("..", "..", crdBases, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs in %s: %v", crdBases, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(text, &want.Object); err != nil {
			t.Fatal(err)
		}
		got := objects["CustomResourceDefinition "+want.GetName()]
		if got == nil {
			t.Errorf("the chart has no CRD %s", want.GetName())
			continue
		}
		got = got.DeepCopy()
		got.SetLabels(nil)
		annotations := got.GetAnnotations()
		delete(annotations, "helm.sh/resource-policy")
		got.SetAnnotations(annotations)
		if difference := cmp.Diff(asYAML(t, want), asYAML(t, got)); difference != "" {
			t.Errorf("%s: the chart's CRD is another (-config +chart):\n%s", want.GetName(), difference)
		}
	}
}

func asYAML(t *testing.T, object *unstructured.Unstructured) string {
	t.Helper()
	text, err := yaml.Marshal(object.Object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCRDsFitIntoAnAnnotation(t *testing.T) {
	for key, object := range render(t, "--set", "crds.annotations.example\\.com/owner=somebody") {
		if object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) >= lastAppliedLimit {
			t.Errorf("%s has %d bytes as JSON; kubectl apply takes less than %d", key, len(text), lastAppliedLimit)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, crd); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// right is one thing that a role allows.
type right struct{ group, resource, name, verb string }

func rightsOf(t *testing.T, rules []rbacv1.PolicyRule) []string {
	t.Helper()
	var rights []string
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					for _, verb := range rule.Verbs {
						rights = append(rights, fmt.Sprint(right{group, resource, name, verb}))
					}
				}
			}
		}
	}
	slices.Sort(rights)
	return rights
}

func rulesOf(t *testing.T, object *unstructured.Unstructured) []rbacv1.PolicyRule {
	t.Helper()
	if object == nil {
		t.Fatal("the role is not rendered")
	}
	role := &rbacv1.ClusterRole{} // A Role has the same rules.
	object = object.DeepCopy()
	object.SetKind("ClusterRole")
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, role); err != nil {
		t.Fatal(err)
	}
	return role.Rules
}

func generatedRules(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	t.Chdir(filepath.Join("..", ".."))
	rules, err := readRules()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestRulesAreThoseOfConfig(t *testing.T) {
	objects := render(t)
	got := rightsOf(t, rulesOf(t, objects["ClusterRole trail-operator"]))
	if difference := cmp.Diff(rightsOf(t, generatedRules(t)), got); difference != "" {
		t.Errorf("the chart's ClusterRole allows something else (-config +chart):\n%s", difference)
	}
}

func TestRulesInNamespacesAreAPartition(t *testing.T) {
	objects := render(t, "--set", "watchNamespaces={a,b}", "--set", "clusterID=c")
	var want []string
	for _, r := range rightsOf(t, generatedRules(t)) {
		if r != fmt.Sprint(right{resource: "namespaces", verb: "list"}) &&
			r != fmt.Sprint(right{resource: "namespaces", verb: "watch"}) {
			want = append(want, r)
		}
	}
	inNamespace := rulesOf(t, objects["Role a/trail-operator"])
	if difference := cmp.Diff(inNamespace, rulesOf(t, objects["Role b/trail-operator"])); difference != "" {
		t.Errorf("the namespaces have different rules:\n%s", difference)
	}
	clusterWide := rulesOf(t, objects["ClusterRole trail-operator"])
	if difference := cmp.Diff(want, rightsOf(t, append(clusterWide, inNamespace...))); difference != "" {
		t.Errorf(
			"ClusterRole and Role together allow something else than config's role without listing Namespaces (-want +got):\n%s",
			difference,
		)
	}
	for _, rule := range clusterWide {
		for _, resource := range rule.Resources {
			if strings.HasPrefix(resource, "trails") || strings.HasPrefix(resource, "eventlookups") ||
				strings.HasPrefix(resource, "logfilevalidations") ||
				resource == "namespaces" ||
				resource == "events" {
				t.Errorf("the ClusterRole holds %s, which is namespaced", resource)
			}
		}
	}
}

func TestRolesAreThoseOfConfig(t *testing.T) {
	objects := render(t)
	for _, test := range []struct{ file, config, chart string }{
		{
			"leader_election_role.yaml",
			"Role trail-operator-leader-election",
			"Role trail-operator-system/trail-operator-leader-election",
		},
		{"user_roles.yaml", "ClusterRole trail-operator-view", "ClusterRole trail-operator-view"},
		{"user_roles.yaml", "ClusterRole trail-operator-edit", "ClusterRole trail-operator-edit"},
		{
			"metrics_reader_role.yaml",
			"ClusterRole trail-operator-metrics-reader",
			"ClusterRole trail-operator-metrics-reader",
		},
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", "config", "rbac", test.file))
		if err != nil {
			t.Fatal(err)
		}
		manifests, err := sandbox.Objects(text)
		if err != nil {
			t.Fatal(err)
		}
		var want []rbacv1.PolicyRule
		for _, object := range manifests {
			if object.GetKind()+" "+object.GetName() == test.config {
				want = rulesOf(t, object)
			}
		}
		if difference := cmp.Diff(
			rightsOf(t, want),
			rightsOf(t, rulesOf(t, objects[test.chart])),
		); difference != "" ||
			len(want) == 0 {
			t.Errorf(
				"the chart's %s allows something else than that of config/rbac/%s (-config +chart):\n%s",
				test.chart,
				test.file,
				difference,
			)
		}
	}
}

// TestImageIsThatOfConfig holds that config and the chart install the same release, and that a node which has its image
// need not pull it.
func TestImageIsThatOfConfig(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	published, err := readImage()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("config", "manager", "manager.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	deployment := &appsv1.Deployment{}
	if err := yaml.UnmarshalStrict(text, deployment); err != nil {
		t.Fatal(err)
	}
	want := deployment.Spec.Template.Spec.Containers[0]
	if want.Image != published.Name {
		t.Fatalf("config/manager has the image %q, its kustomization replaces %q", want.Image, published.Name)
	}

	got := &appsv1.Deployment{}
	rendered := render(t)["Deployment trail-operator-system/trail-operator"]
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(rendered.Object, got); err != nil {
		t.Fatal(err)
	}
	container := got.Spec.Template.Spec.Containers[0]
	if want := published.NewName + ":" + published.NewTag; container.Image != want {
		t.Errorf("the chart has the image %q, config has %q", container.Image, want)
	}
	if want.ImagePullPolicy != corev1.PullIfNotPresent || container.ImagePullPolicy != want.ImagePullPolicy {
		t.Errorf("the images are pulled %q by config and %q by the chart", want.ImagePullPolicy, container.ImagePullPolicy)
	}
}

func TestOperatorReadsNoSecrets(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", chart, "ci", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 6 {
		t.Errorf("the chart is tried with %d values files; want 6 at least", len(files))
	}
	for _, file := range files {
		for key, object := range render(t, "--values", file) {
			if object.GetKind() != "ClusterRole" && object.GetKind() != "Role" {
				continue
			}
			for _, rule := range rulesOf(t, object) {
				if slices.Contains(rule.Resources, "secrets") || slices.Contains(rule.Resources, "configmaps") {
					t.Errorf("%s: %s allows %v", file, key, rule.Resources)
				}
				if slices.Contains(slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs), "*") {
					t.Errorf("%s: %s has a wildcard: %v", file, key, rule)
				}
			}
		}
	}
}

func TestNetworkPolicyIsThatOfConfig(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "network-policy", "network_policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(text, &want.Object); err != nil {
		t.Fatal(err)
	}
	got := render(t, "--set", "networkPolicy.enabled=true")["NetworkPolicy trail-operator-system/trail-operator"]
	if got == nil {
		t.Fatal("the chart has no NetworkPolicy")
	}
	for _, object := range []*unstructured.Unstructured{want, got} {
		unstructured.RemoveNestedField(object.Object, "metadata")
		unstructured.RemoveNestedField(object.Object, "spec", "podSelector") // The labels are each one's own.
	}
	if difference := cmp.Diff(asYAML(t, want), asYAML(t, got)); difference != "" {
		t.Errorf("the chart's NetworkPolicy is another (-config +chart):\n%s", difference)
	}
}

func TestEscapeKeepsTemplatesOut(t *testing.T) {
	if got, want := escape("a {{ b }}"), "a {{ `{{` }} b }}"; got != want {
		t.Errorf("escape: got %q, want %q", got, want)
	}
}
