package e2e

import (
	"net/http"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/sandbox"
)

var _ = Describe("The policies of config/policies/example", Ordered, func() {
	var c *cluster
	BeforeAll(func(ctx SpecContext) {
		c = startCluster(ctx)
		_, err := envtest.InstallCRDs(c.rest, envtest.CRDInstallOptions{
			Paths:              []string{filepath.Join(root, "config", "crd", "bases")},
			ErrorIfPathMissing: true,
		})
		Expect(err).NotTo(HaveOccurred())
		objects, err := sandbox.Objects([]byte(c.kubectl("kustomize", filepath.Join(root, "config", "policies", "example"))))
		Expect(err).NotTo(HaveOccurred())
		for _, object := range objects {
			Expect(c.client.Create(ctx, object)).To(Succeed())
		}
	})

	It("fit the types of the objects: Kubernetes has no warning about them", func(ctx SpecContext) {
		var policies admissionv1.ValidatingAdmissionPolicyList
		Eventually(func(g Gomega) {
			g.Expect(c.client.List(ctx, &policies)).To(Succeed())
			for _, policy := range policies.Items {
				g.Expect(policy.Status.ObservedGeneration).To(Equal(policy.Generation), policy.Name)
			}
		}).WithTimeout(maxWait).Should(Succeed(), "Kubernetes has checked the types")
		Expect(policies.Items).NotTo(BeEmpty())
		for _, policy := range policies.Items {
			Expect(policy.Status.TypeChecking.ExpressionWarnings).To(BeEmpty(), policy.Name)
		}

		By("checking the variables too, at which Kubernetes does not look")
		discovered, err := discovery.NewDiscoveryClientForConfig(c.rest)
		Expect(err).NotTo(HaveOccurred())
		checker := &validating.TypeChecker{
			SchemaResolver: &resolver.ClientDiscoveryResolver{Discovery: discovered},
			RestMapper:     c.client.RESTMapper(),
		}
		for _, policy := range policies.Items {
			Expect(checker.Check(withVariablesChecked(&policy))).To(BeEmpty(), policy.Name)
		}
		misspelled := policies.Items[0].DeepCopy()
		misspelled.Spec.Variables = []admissionv1.Variable{{Name: "wrong", Expression: "object.spec.suspended"}}
		Expect(checker.Check(withVariablesChecked(misspelled))).NotTo(BeEmpty(), "the checker knows the types")
	})

	It("keep a Trail whose namespace is deleted, until an administrator deletes the Trail", func(ctx SpecContext) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "left"}}
		trail := &v1alpha1.Trail{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "audit"},
			Spec:       v1alpha1.TrailSpec{S3BucketName: "example-audit-logs"},
		}
		other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "other"}}
		for _, object := range []client.Object{namespace, trail, other} {
			Expect(c.client.Create(ctx, object)).To(Succeed())
		}
		const user = "may-delete-namespaces"
		Expect(c.client.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: user},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: user}},
		})).To(Succeed())
		impersonating := rest.CopyConfig(c.rest)
		impersonating.Impersonate.UserName = "system:serviceaccount:default:" + user
		somebody, err := client.New(impersonating, client.Options{Scheme: c.client.Scheme(), Mapper: c.client.RESTMapper()})
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() error { return somebody.Delete(ctx, trail, client.DryRunAll) }).WithTimeout(maxWait).
			Should(MatchError(ContainSubstring("trail-operator-deletion")), "the policy is in force")

		Expect(somebody.Delete(ctx, namespace)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(c.client.Get(ctx, client.ObjectKeyFromObject(namespace), namespace)).To(Succeed())
			g.Expect(namespace.Status.Conditions).To(ContainElement(SatisfyAll(
				HaveField("Type", corev1.NamespaceDeletionContentFailure),
				HaveField("Status", corev1.ConditionTrue),
				HaveField("Message", ContainSubstring("deleting Trail audit is left to administrators")),
			)))
		}).WithTimeout(maxWait).Should(Succeed(), "the namespace says what it waits for")
		Eventually(func() bool {
			return apierrors.IsNotFound(c.client.Get(ctx, client.ObjectKeyFromObject(other), other))
		}).WithTimeout(maxWait).Should(BeTrue(), "everything else in the namespace is deleted")
		Expect(c.client.Get(ctx, client.ObjectKeyFromObject(trail), trail)).To(Succeed())

		Expect(c.client.Delete(ctx, trail)).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(c.client.Get(ctx, client.ObjectKeyFromObject(namespace), namespace))
		}).WithTimeout(maxWait).Should(BeTrue(), "the namespace goes with the Trail")
	})

	It("keep a Trail whose owner is deleted", func(ctx SpecContext) {
		owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "owner"}}
		Expect(c.client.Create(ctx, owner)).To(Succeed())
		trail := &v1alpha1.Trail{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "default",
				Name:      "owned",
				OwnerReferences: []metav1.OwnerReference{
					{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID},
				},
			},
			Spec: v1alpha1.TrailSpec{S3BucketName: "example-audit-logs"},
		}
		Expect(c.client.Create(ctx, trail)).To(Succeed())
		end := c.auditEnd()

		Expect(c.client.Delete(ctx, owner)).To(Succeed())
		Eventually(func() []auditv1.Event {
			return c.requests("system:serviceaccount:kube-system:generic-garbage-collector", end)
		}).WithTimeout(maxWait).Should(ContainElement(SatisfyAll(
			HaveField("Verb", "delete"),
			HaveField("ObjectRef.Name", trail.Name),
			HaveField("ResponseStatus.Code", BeEquivalentTo(http.StatusForbidden)),
		)), "the collector has tried")
		Expect(c.client.Get(ctx, client.ObjectKeyFromObject(trail), trail)).To(Succeed())
	})
})

// withVariablesChecked returns a policy that has an expression to check for each of its variables, except for the one
// that asks the authorizer, whose type the checker does not know.
func withVariablesChecked(policy *admissionv1.ValidatingAdmissionPolicy) *admissionv1.ValidatingAdmissionPolicy {
	policy = policy.DeepCopy()
	for _, variable := range policy.Spec.Variables {
		if variable.Name == "exempt" {
			continue
		}
		policy.Spec.Validations = append(policy.Spec.Validations, admissionv1.Validation{Expression: variable.Expression})
	}
	return policy
}
