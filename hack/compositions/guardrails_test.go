package compositions

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// How the policies are named in config/policies and in config/kyverno, before the name of the rule.
const (
	ours     = "trail-operator-"
	kyvernos = "trails-"
)

// messages are what is said about a Trail, by the name of the rule.
type messages map[string]string

// mutation changes the spec of a Trail that meets all rules.
type mutation func(spec map[string]any)

func with(field string, value any) mutation {
	return func(spec map[string]any) { spec[field] = value }
}

func without(field string) mutation {
	return func(spec map[string]any) { delete(spec, field) }
}

func all(mutations ...mutation) mutation {
	return func(spec map[string]any) {
		for _, mutate := range mutations {
			mutate(spec)
		}
	}
}

// trailWith returns a Trail that meets all rules, but for the mutation.
func trailWith(mutate mutation) *unstructured.Unstructured {
	spec := map[string]any{
		"s3BucketName":            "example-audit-logs",
		"kmsKeyID":                "alias/audit",
		"isMultiRegionTrail":      true,
		"enableLogFileValidation": true,
		"deletionPolicy":          "Retain",
		"tags": []any{
			map[string]any{"key": "team", "value": "security"},
			map[string]any{"key": "cost-center", "value": "4711"},
		},
	}
	if mutate != nil {
		mutate(spec)
	}
	trail := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	trail.SetAPIVersion("trail-operator.dev/v1alpha1")
	trail.SetKind("Trail")
	trail.SetName("audit")
	trail.SetNamespace("default")
	return trail
}

// selector is a basic event selector.
func selector(readWriteType string, excluded ...any) map[string]any {
	s := map[string]any{"readWriteType": readWriteType, "includeManagementEvents": true}
	if len(excluded) > 0 {
		s["excludeManagementEventSources"] = excluded
	}
	return s
}

// advanced is an advanced event selector that takes a category, and of it what the other fields equal.
func advanced(category string, equals map[string]any) map[string]any {
	fields := []any{map[string]any{"field": "eventCategory", "equals": []any{category}}}
	for field, value := range equals {
		fields = append(fields, map[string]any{"field": field, "equals": []any{value}})
	}
	return map[string]any{"fieldSelectors": fields}
}

// violations violate one rule each. The API server shortens warnings when there are many at once.
var violations = map[string]mutation{
	"adoption-policy":     with("adoptionPolicy", "Always"),
	"allowed-buckets":     with("s3BucketName", "other"),
	"allowed-identities":  with("identityRef", map[string]any{"name": "other"}),
	"allowed-keys":        with("kmsKeyID", "alias/other"),
	"deletion-policy":     without("deletionPolicy"),
	"kms":                 without("kmsKeyID"),
	"log-file-validation": without("enableLogFileValidation"),
	"logging":             with("logging", false),
	"management-events":   with("eventSelectors", []any{selector("ReadOnly")}),
	"multi-region":        without("isMultiRegionTrail"),
	"required-tags":       without("tags"),
	"suspend":             with("suspend", true),
}

// kyvernoPolicies are the policies in config/kyverno by the name of the rule.
func kyvernoPolicies() map[string]*admissionregistrationv1.ValidatingAdmissionPolicy {
	GinkgoHelper()
	policies := map[string]*admissionregistrationv1.ValidatingAdmissionPolicy{}
	for _, object := range append(manifests("kyverno", "baseline.yaml"), manifests("kyverno", "parameters.yaml")...) {
		// Kyverno's kind is a superset, and it can make ValidatingAdmissionPolicies of its policies itself.
		unstructured.RemoveNestedField(object.Object, "spec", "validationActions")
		object.SetAPIVersion("admissionregistration.k8s.io/v1")
		object.SetKind("ValidatingAdmissionPolicy")
		rule := strings.TrimPrefix(object.GetName(), kyvernos)
		policies[rule] = into[admissionregistrationv1.ValidatingAdmissionPolicy](object)
	}
	return policies
}

// ourPolicies are the policies in config/policies with these rules, with the parameters of those in config/kyverno.
func ourPolicies(
	others map[string]*admissionregistrationv1.ValidatingAdmissionPolicy,
) map[string]*admissionregistrationv1.ValidatingAdmissionPolicy {
	GinkgoHelper()
	files, err := filepath.Glob(filepath.Join(root, "config", "policies", "rules", "*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	policies := map[string]*admissionregistrationv1.ValidatingAdmissionPolicy{}
	for _, file := range files {
		object := manifests("policies", "rules", filepath.Base(file))[0]
		rule := strings.TrimPrefix(object.GetName(), ours)
		other := others[rule]
		if object.GetKind() != "ValidatingAdmissionPolicy" || other == nil {
			continue
		}
		policy := into[admissionregistrationv1.ValidatingAdmissionPolicy](object)
		if parameter := &policy.Spec.Variables[0]; parameter.Name != "specs" {
			Expect(other.Spec.Variables[0].Name).To(Equal(parameter.Name))
			parameter.Expression = other.Spec.Variables[0].Expression
		}
		policies[rule] = policy
	}
	return policies
}

// enforce has the API server warn by policies.
func enforce(ctx context.Context, policies map[string]*admissionregistrationv1.ValidatingAdmissionPolicy) {
	GinkgoHelper()
	for _, policy := range policies {
		binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: policy.Name},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName:        policy.Name,
				ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Warn},
			},
		}
		for _, object := range []client.Object{policy.DeepCopy(), binding} {
			Expect(c.Create(ctx, object)).To(Succeed(), policy.Name)
			DeferCleanup(c.Delete, object)
		}
	}
}

// warning is how the API server warns of a policy.
var warning = regexp.MustCompile(
	`Validation failed for ValidatingAdmissionPolicy '([^']+)' with binding '[^']+': (.*)`)

// server warns somebody who may edit Trails and nothing else, so that no exemption counts.
type server struct {
	client client.Client
	said   *bytes.Buffer
}

func newServer(ctx context.Context) *server {
	GinkgoHelper()
	const editor = "editor"
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: editor},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"trail-operator.dev"}, Resources: []string{"trails"},
			Verbs: []string{"create", "get", "patch", "update"},
		}},
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: editor},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: editor},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: editor}},
	}
	for _, object := range []client.Object{role, binding} {
		Expect(c.Create(ctx, object)).To(Succeed())
		DeferCleanup(c.Delete, object)
	}

	said := &bytes.Buffer{}
	config := rest.CopyConfig(api)
	config.Impersonate.UserName = editor
	config.WarningHandler = rest.NewWarningWriter(said, rest.WarningWriterOptions{})
	as, err := client.New(config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	return &server{client: as, said: said}
}

// judge returns what the policies of config/policies and those of config/kyverno say about a request in a dry run.
func (s *server) judge(ctx context.Context, trail, old *unstructured.Unstructured) (byOurs, byKyverno messages) {
	GinkgoHelper()
	s.said.Reset()
	if old == nil {
		Expect(s.client.Create(ctx, trail.DeepCopy(), client.DryRunAll)).To(Succeed())
	} else {
		updated := trail.DeepCopy()
		updated.SetResourceVersion(old.GetResourceVersion())
		Expect(s.client.Update(ctx, updated, client.DryRunAll)).To(Succeed())
	}

	byOurs, byKyverno = messages{}, messages{}
	for _, match := range warning.FindAllStringSubmatch(s.said.String(), -1) {
		if rule, found := strings.CutPrefix(match[1], ours); found {
			byOurs[rule] = match[2]
		} else {
			byKyverno[strings.TrimPrefix(match[1], kyvernos)] = match[2]
		}
	}
	return byOurs, byKyverno
}

var _ = Describe("The guardrails for Kyverno and Gatekeeper", Ordered, func() {
	var (
		kyvernoRules, ourRules map[string]*admissionregistrationv1.ValidatingAdmissionPolicy
		judges                 *server
		gate                   *gatekeeper
	)
	BeforeAll(func(ctx SpecContext) {
		kyvernoRules = kyvernoPolicies()
		ourRules = ourPolicies(kyvernoRules)
		judges = newServer(ctx)
		gate = newGatekeeper(ctx)
		enforce(ctx, kyvernoRules)
		enforce(ctx, ourRules)

		By("the API server knows all policies")
		Expect(violations).To(HaveLen(len(kyvernoRules)))
		for rule, mutate := range violations {
			Eventually(func(g Gomega) {
				byOurs, byKyverno := judges.judge(ctx, trailWith(mutate), nil)
				g.Expect(byOurs).To(HaveKey(rule))
				g.Expect(byKyverno).To(HaveKey(rule))
			}, maxWait, often).Should(Succeed(), "policies are in force some time after they are made")
		}
	})

	It("are policies that Kyverno takes", func(ctx SpecContext) {
		for _, file := range []string{"baseline.yaml", "parameters.yaml", "exception.yaml", "rbac.yaml"} {
			expectApplicable(ctx, manifests("kyverno", file)...)
		}
		excepted, found := get(manifest("kyverno", "exception.yaml").Object, segments("spec.policyRefs[0].name"))
		Expect(found).To(BeTrue())
		Expect(excepted).To(Equal(kyvernoRules["kms"].Name))
	})

	It("have in Kyverno the expressions of config/policies", func() {
		Expect(ourRules).To(HaveLen(len(kyvernoRules)))
		for rule, policy := range kyvernoRules {
			want := ourRules[rule].Spec
			Expect(policy.Spec.MatchConditions).To(Equal(want.MatchConditions), rule)
			for i, variable := range policy.Spec.Variables {
				Expect(variable.Name).To(Equal(want.Variables[i].Name), rule)
				// How an expression is broken into lines does not matter.
				Expect(strings.Fields(variable.Expression)).To(Equal(strings.Fields(want.Variables[i].Expression)), rule)
			}
			Expect(want.Validations).To(HaveLen(1))
			Expect(want.Validations[0].Expression).To(Equal("variables.satisfied || variables.exempt"), rule)
			Expect(policy.Spec.Validations).To(Equal([]admissionregistrationv1.Validation{{
				Expression:        "variables.satisfied",
				Message:           want.Validations[0].Message,
				MessageExpression: want.Validations[0].MessageExpression,
			}}), rule)
		}
	})

	// expectVerdict expects that all three say the same about a request, and that it is about these rules.
	expectVerdict := func(ctx context.Context, trail, old *unstructured.Unstructured, rules []string) {
		GinkgoHelper()
		byOurs, byKyverno := judges.judge(ctx, trail, old)
		var broken []string
		var said []string
		for rule, message := range byOurs {
			broken, said = append(broken, rule), append(said, message)
		}
		Expect(broken).To(ConsistOf(toAny(rules)...), "config/policies: %v", byOurs)
		Expect(byKyverno).To(Equal(byOurs), "config/kyverno")
		Expect(gate.judge(ctx, trail, old)).To(ConsistOf(toAny(said)...), "config/gatekeeper")
	}

	DescribeTable("judge a new Trail as config/policies does:",
		func(ctx SpecContext, mutate mutation, rules ...string) {
			expectVerdict(ctx, trailWith(mutate), nil, rules)
			Expect(gate.audit(ctx, trailWith(mutate))).To(HaveLen(len(rules)), "what exists is judged as what is new")
		},
		Entry("one that meets all", nil),
		Entry("one region", without("isMultiRegionTrail"), "multi-region"),
		Entry("no validation", with("enableLogFileValidation", false), "log-file-validation"),
		Entry("no key", without("kmsKeyID"), "kms"),
		Entry("another key", with("kmsKeyID", "alias/other"), "allowed-keys"),
		Entry("a key by its prefix", with("kmsKeyID", keyARN)),
		Entry("no recording", with("logging", false), "logging"),
		Entry("suspended", with("suspend", true), "suspend"),
		Entry("deletion with the object", without("deletionPolicy"), "deletion-policy"),
		Entry("a takeover", with("adoptionPolicy", "Always"), "adoption-policy"),
		Entry("an adoption", with("adoptionPolicy", "IfUnowned")),
		Entry("another bucket", with("s3BucketName", "example-audit-logs-2"), "allowed-buckets"),
		Entry("another identity", with("identityRef", map[string]any{"name": "other"}), "allowed-identities"),
		Entry("an identity by its prefix", with("identityRef", map[string]any{"name": "member-7"})),
		Entry("a tag too few", with("tags", []any{map[string]any{"key": "team"}}), "required-tags"),
		Entry("no tags", without("tags"), "required-tags"),
		Entry("several mistakes", all(without("kmsKeyID"), with("logging", false), without("tags")),
			"kms", "logging", "required-tags"),
		Entry("only observed", all(with("managementPolicy", "Observe"), without("kmsKeyID"), without("tags"),
			without("isMultiRegionTrail"), with("logging", false), with("s3BucketName", "other"))),
		Entry("only observed and suspended", all(with("managementPolicy", "Observe"), with("suspend", true)), "suspend"),
		Entry("reads only", with("eventSelectors", []any{selector("ReadOnly")}), "management-events"),
		Entry("reads, and writes", with("eventSelectors", []any{selector("ReadOnly"), selector("WriteOnly")})),
		Entry("a source left out", with("eventSelectors", []any{selector("All", "kms.amazonaws.com")}),
			"management-events"),
		Entry("data events only", with("advancedEventSelectors", []any{
			advanced("Data", map[string]any{"resources.type": "AWS::S3::Object"}),
		}), "management-events"),
		Entry("all management events, by an advanced selector",
			with("advancedEventSelectors", []any{advanced("Management", nil)})),
		Entry("reads only, by an advanced selector", with("advancedEventSelectors", []any{
			advanced("Management", map[string]any{"readOnly": "true"}),
		}), "management-events"),
		Entry("reads, and writes, by advanced selectors", with("advancedEventSelectors", []any{
			advanced("Management", map[string]any{"readOnly": "true"}),
			advanced("Management", map[string]any{"readOnly": "false"}),
		})),
	)

	DescribeTable("judge a changed Trail as config/policies does:",
		func(ctx SpecContext, before, after mutation, rules ...string) {
			old := trailWith(before)
			Expect(c.Create(ctx, old)).To(Succeed())
			DeferCleanup(c.Delete, old)
			expectVerdict(ctx, trailWith(after), old, rules)
		},
		Entry("not at all", without("kmsKeyID"), without("kmsKeyID")),
		Entry("for the better", without("kmsKeyID"), nil),
		Entry("for the worse", nil, without("kmsKeyID"), "kms"),
		Entry("in something else", without("kmsKeyID"), all(without("kmsKeyID"), with("interval", "5m"))),
		Entry("with another mistake", without("kmsKeyID"), all(without("kmsKeyID"), with("logging", false)), "logging"),
		Entry("to another wrong bucket", with("s3BucketName", "one"), with("s3BucketName", "two"), "allowed-buckets"),
		Entry("with the wrong bucket as before", with("s3BucketName", "one"),
			all(with("s3BucketName", "one"), with("interval", "5m"))),
		Entry("to fewer tags", with("tags", []any{map[string]any{"key": "team"}}), without("tags"), "required-tags"),
		Entry("from narrow selectors to narrower ones", with("eventSelectors", []any{selector("ReadOnly")}),
			with("eventSelectors", []any{selector("WriteOnly", "kms.amazonaws.com")}), "management-events"),
		Entry("with narrow selectors as before", with("eventSelectors", []any{selector("ReadOnly")}),
			all(with("eventSelectors", []any{selector("ReadOnly")}), with("interval", "5m"))),
	)

	It("judge the Trails of kro and Crossplane as good", func(ctx SpecContext) {
		for _, key := range []string{keyARN, "alias/audit"} {
			composed := trailWith(func(spec map[string]any) {
				maps.Copy(spec, wantTrail())
				spec["kmsKeyID"] = key
			})
			expectVerdict(ctx, composed, nil, nil)
		}
	})
})

func toAny[T any](values []T) []any {
	converted := make([]any, 0, len(values))
	for _, value := range values {
		converted = append(converted, value)
	}
	return converted
}

// raw returns an object as JSON.
func raw(object *unstructured.Unstructured) []byte {
	GinkgoHelper()
	content, err := json.Marshal(object.Object)
	Expect(err).NotTo(HaveOccurred())
	return content
}
