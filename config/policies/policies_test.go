package policies_test

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

// inForce is how long the API server may take to act by a policy that it has stored.
const inForce = 30 * time.Second

// beRefused matches the refusal by a rule.
func beRefused(rule, message string) OmegaMatcher {
	return SatisfyAll(
		WithTransform(apierrors.IsForbidden, BeTrue()),
		MatchError(ContainSubstring("'trail-operator-"+rule+"'")),
		MatchError(ContainSubstring(message)),
	)
}

// store creates an object as an administrator.
func store(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Expect(admin.Create(ctx, object)).To(Succeed())
}

// copyOf returns a copy of an object.
func copyOf[T client.Object](object T) T {
	GinkgoHelper()
	copied, ok := object.DeepCopyObject().(T)
	Expect(ok).To(BeTrue(), "a copy is of the same type")
	return copied
}

// edit makes a change of an object as somebody.
func edit[T client.Object](ctx context.Context, c client.Client, object T, change func(T)) error {
	before, after := copyOf(object), copyOf(object)
	change(after)
	if err := c.Patch(ctx, after, client.MergeFrom(before)); err != nil {
		return err
	}
	return admin.Get(ctx, client.ObjectKeyFromObject(object), object)
}

var _ = Describe("The policies", func() {
	for name, render := range renderings {
		Describe("by "+name, Ordered, ContinueOnFailure, func() {
			var p policies
			denied, warnedOf := map[string]string{}, map[string]string{} // The namespaces by the ways.
			BeforeAll(func(ctx SpecContext) {
				p = read(render(ctx))
				p.install(ctx)
				for way, b := range ways {
					denied[way] = p.bind(ctx, b.rule)
					warnedOf[way] = p.bind(ctx, b.rule, admissionv1.Warn, admissionv1.Audit)
				}
			})

			for way, b := range ways {
				It("refuse "+way+": "+b.rule, func(ctx SpecContext) { expectRefusal(ctx, b, denied[way]) })
				It("warn of "+way+": "+b.rule, func(ctx SpecContext) { expectWarning(ctx, b, warnedOf[way]) })
			}

			It("refuse deletions", func(ctx SpecContext) { expectNoDeletions(ctx, p.bind(ctx, "deletion")) })

			It("are all bound, to deny", func() {
				Expect(p.bindings).To(HaveLen(len(p.policies)))
				for rule, binding := range p.bindings {
					Expect(binding.Spec.PolicyName).To(Equal(p.policies[rule].Name))
					Expect(binding.Spec.ValidationActions).To(HaveExactElements(admissionv1.Deny), rule)
				}
			})
		})
	}

	It("are the same by kustomize and by the chart", func(ctx SpecContext) {
		kustomized, charted := read(renderings["kustomize"](ctx)), read(renderings["the chart"](ctx))
		Expect(kustomized.rules()).To(Equal(charted.rules()))
		for rule, policy := range charted.policies {
			for i, variable := range policy.Spec.Variables {
				policy.Spec.Variables[i].Expression = strings.ReplaceAll(variable.Expression, `","`, `", "`) // As JSON is.
			}
			Expect(cmp.Diff(kustomized.policies[rule].Spec, policy.Spec)).To(BeEmpty(), rule)
		}
	})

	It("are described", func(ctx SpecContext) {
		text, err := os.ReadFile(testbed.File("docs", "guardrails.md"))
		Expect(err).NotTo(HaveOccurred())
		for _, rule := range read(renderings["kustomize"](ctx)).rules() {
			words := strings.Split(rule, "-")
			for i, word := range words[1:] {
				words[i+1] = strings.ToUpper(word[:1]) + word[1:]
			}
			Expect(string(text)).To(MatchRegexp(`\n\| (\*\*)?`+"`"+strings.Join(words, "")+"`"), rule)
		}
	})

	It("are each broken by a test", func(ctx SpecContext) {
		rules := map[string]bool{"deletion": true}
		for _, b := range ways {
			rules[b.rule] = true
		}
		Expect(slices.Sorted(maps.Keys(rules))).To(Equal(read(renderings["kustomize"](ctx)).rules()))
	})
})

// expectRefusal holds what a rule does to editors, administrators, the operator, and objects from before.
func expectRefusal(ctx context.Context, b broken, namespace string) {
	kept, before := b.new(namespace), b.new(namespace)
	b.apply(before)
	store(ctx, kept)
	Eventually(func() error { return b.attempt(ctx, as(editor, nil), kept) }).WithTimeout(inForce).
		Should(beRefused(b.rule, b.message), "the policy is in force")
	store(ctx, before)
	tenant, security := as(editor, nil), as(officer, nil)

	By("refusing what breaks the rule, and nothing else")
	created := b.new(namespace)
	b.apply(created)
	if b.changed {
		Expect(tenant.Create(ctx, created, client.DryRunAll)).To(Succeed(), "the rule is about changes")
	} else {
		Expect(tenant.Create(ctx, created, client.DryRunAll)).To(beRefused(b.rule, b.message))
	}
	Expect(tenant.Create(ctx, b.new(namespace), client.DryRunAll)).To(Succeed(), "a new object that keeps the rule")
	Expect(edit(ctx, tenant, kept, touch)).To(Succeed(), "a change of something else")

	By("letting exempt people do it, whom the audit log names, but no ServiceAccount for its permissions")
	Expect(b.attempt(ctx, security, kept)).To(Succeed())
	Expect(annotations(officer, "trail-operator-"+b.rule+"/violation")).To(ContainElement("UPDATE by officer"))
	Expect(b.attempt(ctx, as("somebody", nil, exemptGroup), kept)).To(Succeed())
	Expect(b.attempt(ctx, admin, kept)).To(Succeed())
	Expect(b.attempt(ctx, as(argocd, nil), kept)).To(beRefused(b.rule, b.message))

	By("leaving alone what broke the rule before")
	Expect(edit(ctx, tenant, before, touch)).To(Succeed(), "a change of something else by the editor")
	expectOperatorWrites(ctx, before)
}

// expectWarning holds that the action warn lets pass what breaks a rule, warns, and notes it in the audit log.
func expectWarning(ctx context.Context, b broken, namespace string) {
	kept, warned := b.new(namespace), &warnings{}
	store(ctx, kept)
	tenant := as(editor, warned)
	Eventually(func(g Gomega) {
		g.Expect(b.attempt(ctx, tenant, kept)).To(Succeed())
		g.Expect(warned.drain()).To(ContainSubstring(b.message))
	}).WithTimeout(inForce).Should(Succeed(), "the policy is in force")
	Expect(annotations(editor, "validation.policy.admission.k8s.io/validation_failure")).
		To(ContainElement(ContainSubstring(b.message)))
}

// touch changes what no rule is about.
func touch(object client.Object) {
	object.SetAnnotations(map[string]string{"example.com/touched": "yes"})
	switch object := object.(type) {
	case *v1alpha1.Trail:
		object.Spec.Tags = append(object.Spec.Tags, v1alpha1.Tag{Key: "touched", Value: "yes"})
		object.Spec.InsightSelectors = []v1alpha1.InsightSelector{{InsightType: "ApiCallRateInsight"}}
	case *v1alpha1.LogFileValidation:
		object.Spec.Suspend = new(false)
	}
}

// expectOperatorWrites holds that the operator's writes pass, from the finalizer to the end of the object.
func expectOperatorWrites(ctx context.Context, object client.Object) {
	GinkgoHelper()
	c := as("nobody-special", nil) // Without the exemption of the operator: a policy must not even look at them.
	Expect(edit(ctx, c, object, func(o client.Object) {
		controllerutil.AddFinalizer(o, v1alpha1.Finalizer)
		o.SetAnnotations(map[string]string{v1alpha1.AnnotationCreation: "1"})
	})).To(Succeed())

	Expect(admin.Delete(ctx, object)).To(Succeed())
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
	Expect(edit(ctx, c, object, func(o client.Object) {
		o.SetAnnotations(map[string]string{v1alpha1.AnnotationCreation: "2"})
	})).To(Succeed())
	patch := client.MergeFrom(copyOf(object))
	controllerutil.RemoveFinalizer(object, v1alpha1.Finalizer)
	Expect(c.Patch(ctx, object, patch)).To(Succeed())
	Expect(apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(object), object))).To(BeTrue())
}

// expectNoDeletions holds that only administrators delete, by any way.
func expectNoDeletions(ctx context.Context, namespace string) {
	t, v := trail(namespace), validation(namespace)
	identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{GenerateName: "identity-"}}
	for _, object := range []client.Object{t, v, identity} {
		store(ctx, object)
	}
	const message = "is left to administrators"
	tenant := as(editor, nil)

	Eventually(func() error { return tenant.Delete(ctx, t, client.DryRunAll) }).WithTimeout(inForce).
		Should(beRefused("deletion", "deleting Trail "+t.Name+" "+message), "the policy is in force")
	Expect(tenant.Delete(ctx, v)).To(beRefused("deletion", "deleting LogFileValidation "+v.Name+" "+message))
	Expect(tenant.Delete(ctx, identity)).To(beRefused("deletion", "deleting AWSIdentity "+identity.Name+" "+message))
	Expect(tenant.DeleteAllOf(ctx, t, client.InNamespace(namespace))).To(beRefused("deletion", message))

	for _, user := range []string{argocd, namespaceController, collector} {
		Expect(as(user, nil).Delete(ctx, t)).To(beRefused("deletion", message), user)
		Expect(as(user, nil).DeleteAllOf(ctx, t, client.InNamespace(namespace))).To(beRefused("deletion", message), user)
	}

	Expect(as(operator, nil).Delete(ctx, v)).To(Succeed(), "the operator deletes validations when their time is over")
	Expect(as(officer, nil).Delete(ctx, t)).To(Succeed())
	Expect(as(officer, nil).Delete(ctx, identity)).To(Succeed())
	Expect(annotations(officer, "trail-operator-deletion/violation")).To(ContainElement("DELETE by officer"))
}

var _ = Describe("With the policies,", Ordered, ContinueOnFailure, func() {
	var (
		p      policies
		tenant client.Client
	)
	BeforeAll(func(ctx SpecContext) {
		p = read(renderings["kustomize"](ctx))
		p.install(ctx)
		tenant = as(editor, nil)
	})

	// enforce binds a rule in a new namespace, waits until it is in force, and returns the namespace.
	enforce := func(ctx context.Context, way string) string {
		GinkgoHelper()
		b := ways[way]
		namespace := p.bind(ctx, b.rule)
		probe := b.new(namespace)
		store(ctx, probe)
		Eventually(func() error { return b.attempt(ctx, tenant, probe) }).WithTimeout(inForce).
			Should(beRefused(b.rule, b.message), "the policy is in force")
		Expect(admin.Delete(ctx, probe)).To(Succeed())
		return namespace
	}

	// another breaks a rule before the policy, and then in another way.
	type another struct {
		way           string
		before, after func(*v1alpha1.TrailSpec)
	}
	DescribeTable("what broke a rule before cannot break it in another way", func(ctx SpecContext, a another) {
		namespace := enforce(ctx, a.way)
		t := trail(namespace)
		a.before(&t.Spec)
		store(ctx, t)
		Expect(edit(ctx, tenant, t, func(t *v1alpha1.Trail) { touch(t) })).To(Succeed())
		Expect(edit(ctx, tenant, t, spec(a.after))).To(beRefused(ways[a.way].rule, ""))
	},
		Entry("another bucket", another{
			way:    "a bucket of somebody else",
			before: func(s *v1alpha1.TrailSpec) { s.S3BucketName = "one-of-old" },
			after:  func(s *v1alpha1.TrailSpec) { s.S3BucketName = "another-one" },
		}),
		Entry("another key", another{
			way:    "a key of somebody else",
			before: func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "alias/old" },
			after:  func(s *v1alpha1.TrailSpec) { s.KMSKeyID = "alias/another" },
		}),
		Entry("another identity", another{
			way:    "an identity of somebody else",
			before: func(s *v1alpha1.TrailSpec) { s.IdentityRef = &v1alpha1.IdentityReference{Name: "old"} },
			after:  func(s *v1alpha1.TrailSpec) { s.IdentityRef = &v1alpha1.IdentityReference{Name: "another"} },
		}),
		Entry("even longer intervals", another{
			way:    "a day between two looks",
			before: func(s *v1alpha1.TrailSpec) { s.Interval = &metav1.Duration{Duration: 2 * time.Hour} },
			after:  func(s *v1alpha1.TrailSpec) { s.Interval = &metav1.Duration{Duration: 3 * time.Hour} },
		}),
		Entry("another tag too few", another{
			way:    "a tag too few",
			before: func(s *v1alpha1.TrailSpec) { s.Tags = s.Tags[:1] },
			after:  func(s *v1alpha1.TrailSpec) { s.Tags = s.Tags[1:] },
		}),
		Entry("other events", another{
			way:    "write events only",
			before: func(s *v1alpha1.TrailSpec) { s.EventSelectors = []v1alpha1.EventSelector{{ReadWriteType: "WriteOnly"}} },
			after:  func(s *v1alpha1.TrailSpec) { s.EventSelectors[0].ReadWriteType = "ReadOnly" },
		}),
		Entry("a Trail that was observed only", another{
			way: "one region",
			before: func(s *v1alpha1.TrailSpec) {
				s.ManagementPolicy, s.IsMultiRegionTrail = v1alpha1.ManagementPolicyObserve, nil
			},
			after: func(s *v1alpha1.TrailSpec) { s.ManagementPolicy = v1alpha1.ManagementPolicyManage },
		}),
	)

	It("what is observed only need not be in line, and may come to be", func(ctx SpecContext) {
		namespace := enforce(ctx, "no key")
		t := trail(namespace)
		t.Spec.KMSKeyID, t.Spec.ManagementPolicy = "", v1alpha1.ManagementPolicyObserve
		Expect(tenant.Create(ctx, t)).To(Succeed())
		Expect(edit(ctx, tenant, t, spec(func(s *v1alpha1.TrailSpec) {
			s.KMSKeyID, s.ManagementPolicy = "alias/audit", v1alpha1.ManagementPolicyManage
		}))).To(Succeed())
	})

	It("a Trail that is being deleted does not lose what protects its trail in AWS", func(ctx SpecContext) {
		namespace := enforce(ctx, "deletion in AWS")
		t := trail(namespace)
		t.Finalizers = []string{v1alpha1.Finalizer}
		store(ctx, t)
		Expect(tenant.Delete(ctx, t)).To(Succeed(), "the rule deletion is not bound")
		Expect(edit(ctx, tenant, t, spec(func(s *v1alpha1.TrailSpec) { s.DeletionPolicy = "Delete" }))).
			To(beRefused("deletion-policy", ""))
		Expect(
			edit(ctx, admin, t, func(t *v1alpha1.Trail) { t.Finalizers = nil }),
		).To(MatchError(ContainSubstring("not found")))
	})

	It("whoever may override them in a namespace may do it there", func(ctx SpecContext) {
		here, there := enforce(ctx, "no logging"), enforce(ctx, "suspension")
		meta := metav1.ObjectMeta{Namespace: here, Name: "override"}
		Expect(admin.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: meta,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: officer},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "lead"}},
		})).To(Succeed())
		lead, t, other := as("lead", nil), trail(here), trail(there)
		t.Spec.Logging, other.Spec.Suspend = new(false), new(true)
		Eventually(func() error { return lead.Create(ctx, t, client.DryRunAll) }).WithTimeout(inForce).
			Should(Succeed(), "the RoleBinding is in force")
		Expect(lead.Create(ctx, other, client.DryRunAll)).To(beRefused("suspend", ""))
	})

	It("entries that end with * stand for all that begin so", func(ctx SpecContext) {
		namespace := enforce(ctx, "a key of somebody else")
		t := trail(namespace)
		t.Spec.KMSKeyID = "arn:aws:kms:eu-central-1:111122223333:key/1"
		Expect(tenant.Create(ctx, t, client.DryRunAll)).To(Succeed())
		t.Spec.KMSKeyID = "alias/audit2"
		Expect(tenant.Create(ctx, t, client.DryRunAll)).To(beRefused("allowed-keys", "but is alias/audit2"))
		t.Spec.KMSKeyID = ""
		Expect(tenant.Create(ctx, t, client.DryRunAll)).To(Succeed(), "that a key is set is another rule")
	})

	It("a validation that is suspended can be resumed by anybody", func(ctx SpecContext) {
		namespace := enforce(ctx, "a validation suspended")
		v := validation(namespace)
		v.Spec.Suspend = new(true)
		store(ctx, v)
		Expect(edit(ctx, tenant, v, validationSpec(func(s *v1alpha1.LogFileValidationSpec) { s.Suspend = nil }))).
			To(Succeed())
	})
})

var _ = Describe("config/policies/no-takeover", func() {
	It("refuses adoptionPolicy Always in namespaces of tenants only", func(ctx SpecContext) {
		objects := read(kustomize(ctx, "resources: [FOLDER/no-takeover]\n"))
		objects.install(ctx)
		Expect(objects.bindings).To(HaveLen(1))
		Expect(admin.Create(ctx, objects.bindings["no-takeover"])).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			Expect(admin.Delete(ctx, objects.bindings["no-takeover"])).To(Succeed())
		})

		b, tenant := ways["a takeover"], as(editor, nil)
		in := func(namespace string) error {
			t := trail(namespace)
			b.apply(t)
			return tenant.Create(ctx, t, client.DryRunAll)
		}
		of := createNamespace(ctx, map[string]string{"trail-operator.dev/tenant": "true"})
		Eventually(func() error { return in(of) }).WithTimeout(inForce).Should(beRefused("adoption-policy", b.message))
		Expect(in(createNamespace(ctx, nil))).To(Succeed())
	})
})
