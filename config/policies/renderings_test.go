package policies_test

import (
	"context"
	"maps"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// renderings are the two ways to the policies, with all rules and the parameters of config/policies/example.
var renderings = map[string]func(ctx context.Context) []*unstructured.Unstructured{
	"kustomize": func(ctx context.Context) []*unstructured.Unstructured {
		return kustomize(ctx, "resources: [FOLDER/example]\ncomponents: [FOLDER/deny]\n")
	},
	"the chart": func(ctx context.Context) []*unstructured.Unstructured {
		values := []string{
			"policies.enabled=true", "policies.action=deny", "policies.exemptions.groups={" + exemptGroup + "}",
			"policies.parameters.requiredTags={team,cost-center}",
			"policies.parameters.allowedBuckets={example-audit-logs}",
			"policies.parameters.allowedKeys={arn:aws:kms:eu-central-1:111122223333:key/*,alias/audit}",
			"policies.parameters.allowedIdentities={default,member-*}",
			"policies.parameters.protectedLabels={shard}",
		}
		for _, rule := range []string{
			"cloudwatchLogs", "requiredTags", "allowedBuckets", "allowedKeys", "allowedIdentities", "protectedLabels",
		} {
			values = append(values, "policies.rules."+rule+".action=deny")
		}
		return helm(ctx, values...)
	},
}

// policies are those of a rendering, by their rules, and their bindings.
type policies struct {
	policies map[string]*admissionv1.ValidatingAdmissionPolicy
	bindings map[string]*admissionv1.ValidatingAdmissionPolicyBinding
}

// read sorts the objects of a rendering.
func read(objects []*unstructured.Unstructured) policies {
	GinkgoHelper()
	p := policies{
		policies: map[string]*admissionv1.ValidatingAdmissionPolicy{},
		bindings: map[string]*admissionv1.ValidatingAdmissionPolicyBinding{},
	}
	for _, object := range objects {
		rule := strings.TrimPrefix(object.GetName(), "trail-operator-")
		switch object.GetKind() {
		case "ValidatingAdmissionPolicy":
			p.policies[rule] = &admissionv1.ValidatingAdmissionPolicy{}
			decode(object, p.policies[rule])
		case "ValidatingAdmissionPolicyBinding":
			p.bindings[rule] = &admissionv1.ValidatingAdmissionPolicyBinding{}
			decode(object, p.bindings[rule])
		}
	}
	return p
}

// decode fails on fields that Kubernetes does not know.
func decode(object *unstructured.Unstructured, into client.Object) {
	GinkgoHelper()
	content, err := object.MarshalJSON()
	Expect(err).NotTo(HaveOccurred())
	Expect(yaml.UnmarshalStrict(content, into)).To(Succeed())
}

// rules are the names of the rules, in order.
func (p policies) rules() []string { return slices.Sorted(maps.Keys(p.policies)) }

// install creates the policies, which do nothing without a binding, until the container of specs ends.
func (p policies) install(ctx context.Context) {
	GinkgoHelper()
	for _, policy := range p.policies {
		policy = policy.DeepCopy()
		Expect(admin.Create(ctx, policy)).To(Succeed())
		DeferCleanup(admin.Delete, policy)
	}
}

// bind binds a rule in a new namespace, until the spec or container ends, and returns the namespace. Without actions,
// they are the rendering's.
func (p policies) bind(ctx context.Context, rule string, actions ...admissionv1.ValidationAction) string {
	GinkgoHelper()
	namespace := createNamespace(ctx, nil)
	p.bindIn(ctx, namespace, rule, actions...)
	return namespace
}

// bindIn binds a rule in a namespace.
func (p policies) bindIn(ctx context.Context, namespace, rule string, actions ...admissionv1.ValidationAction) {
	GinkgoHelper()
	binding := p.bindings[rule].DeepCopy()
	binding.Name = namespace + "-" + rule
	binding.Spec.MatchResources = &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
		MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace},
	}}
	if len(actions) > 0 {
		binding.Spec.ValidationActions = actions
	}
	Expect(admin.Create(ctx, binding)).To(Succeed())
	DeferCleanup(admin.Delete, binding)
}
