package trail_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

const (
	tenantAccount = "444455556666"
	tenantRole    = "arn:aws:iam::444455556666:role/trail-operator"
	victimRole    = "arn:aws:iam::999999999999:role/trail-operator"
)

// setIdentity changes the spec of the world's identity.
func (w *world) setIdentity(ctx context.Context, change func(*v1alpha1.AWSIdentitySpec)) {
	GinkgoHelper()
	identity := &v1alpha1.AWSIdentity{}
	Expect(w.Client.Get(ctx, client.ObjectKey{Name: w.identity}, identity)).To(Succeed())
	change(&identity.Spec)
	Expect(w.Client.Update(ctx, identity)).To(Succeed())
}

var _ = Describe("Tenancy", func() {
	It("gives a namespace nothing of an identity that does not allow it, not even a read", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.setIdentity(ctx, func(s *v1alpha1.AWSIdentitySpec) {
			s.RoleARN = tenantRole
			s.AllowedNamespaces = &v1alpha1.AllowedNamespaces{
				From: v1alpha1.NamespacesFromSelector,
				Selector: &metav1.LabelSelector{
					MatchLabels: map[string]string{"kubernetes.io/metadata.name": w.Namespace},
				},
			}
		})
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.settle(ctx, "audit")

		By("another namespace naming the identity, while its session is open for the first")
		mallory := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "mallory-"}}
		Expect(w.Client.Create(ctx, mallory)).To(Succeed())
		w.Namespace = mallory.Name
		for name, spec := range map[string]v1alpha1.TrailSpec{
			"audit":     {S3BucketName: "mallorys-bucket", AdoptionPolicy: v1alpha1.AdoptionPolicyAlways},
			"own-trail": {S3BucketName: "mallorys-bucket"},
			"observe":   {Name: "audit", S3BucketName: "trail-logs", ManagementPolicy: v1alpha1.ManagementPolicyObserve},
		} {
			w.AWS.ResetCalls()
			w.apply(ctx, name, spec)
			found := w.settle(ctx, name)
			expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNamespaceNotAllowed)
			Expect(found.Status.AccountID).To(BeEmpty(), "not even the account is told")
			Expect(w.Client.Delete(ctx, found)).To(Succeed())
			_, err := w.look(ctx, name)
			Expect(err).NotTo(HaveOccurred())
			w.expectGone(ctx, name)
			Expect(w.AWS.CallCounts()).To(BeEmpty(), name)
		}
	})

	It("loses its identity when that is withdrawn, and says so; the trail is left alone", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		w.apply(ctx, "audit", v1alpha1.TrailSpec{S3BucketName: "trail-logs"})
		w.settle(ctx, "audit")
		w.setIdentity(ctx, func(s *v1alpha1.AWSIdentitySpec) { s.AllowedNamespaces = nil })
		w.AWS.ResetCalls()
		expectCondition(w.settle(ctx, "audit"), v1alpha1.ConditionReady,
			metav1.ConditionFalse, v1alpha1.ReasonNamespaceNotAllowed)
		Expect(w.Client.Delete(ctx, w.get(ctx, "audit"))).To(Succeed())
		found := w.settle(ctx, "audit")
		expectCondition(found, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNamespaceNotAllowed)
		Expect(found.Finalizers).To(ContainElement(v1alpha1.Finalizer), "nothing is orphaned silently")
		Expect(w.AWS.CallCounts()).To(BeEmpty())
	})

	// Each case is a seed: a failure is repeated by running its entry alone.
	for seed := range uint64(20) {
		It(fmt.Sprintf("has no field through which a role could be borrowed, seed %d", seed), func(ctx context.Context) {
			random := rand.New(rand.NewPCG(seed, 3))
			w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
			w.prepareResources()
			w.setIdentity(ctx, func(s *v1alpha1.AWSIdentitySpec) { s.RoleARN = tenantRole })
			for range 5 {
				w.apply(ctx, "audit", smuggling(random))
				object := w.get(ctx, "audit")
				object.Annotations = map[string]string{
					"eks.amazonaws.com/role-arn":        victimRole,
					"services.k8s.aws/owner-account-id": "999999999999",
					"iam.amazonaws.com/role":            victimRole,
					"services.k8s.aws/region":           "eu-west-1",
					v1alpha1.AnnotationReconcileAt:      victimRole,
					"trail-operator.dev/role-arn":       victimRole,
				}
				Expect(w.Client.Update(ctx, object)).To(Succeed())
				w.look(ctx, "audit") //nolint:errcheck // AWS may refuse what it likes to.
			}
			Expect(w.AWS.Calls()).NotTo(BeEmpty())
			for _, call := range w.AWS.Calls() {
				switch call.Operation {
				case "AssumeRole":
					Expect(call.Params).To(HaveKeyWithValue("RoleArn", tenantRole))
				default:
					Expect(call.AccountID).To(Equal(tenantAccount), call.Operation)
				}
			}
			for _, held := range w.AWS.Trails() {
				Expect(held.AccountID).To(Equal(tenantAccount))
			}
		})
	}

	It("knows no fields for a role, and the API server says so", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		strict := client.WithFieldValidation(w.Client, metav1.FieldValidationStrict)
		for _, path := range [][]string{
			{"spec", "roleARN"}, {"spec", "roleArn"}, {"spec", "assumeRole"},
			{"spec", "endpointURL"}, {"spec", "accountID"}, {"spec", "externalID"},
			{"spec", "identityRef", "roleARN"}, {"spec", "identityRef", "namespace"}, {"spec", "identityRef", "spec"},
		} {
			object := &unstructured.Unstructured{}
			object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Trail"))
			object.SetNamespace(w.Namespace)
			object.SetName("audit")
			Expect(unstructured.SetNestedField(object.Object, "trail-logs", "spec", "s3BucketName")).To(Succeed())
			Expect(unstructured.SetNestedField(object.Object, w.identity, "spec", "identityRef", "name")).To(Succeed())
			Expect(unstructured.SetNestedField(object.Object, victimRole, path...)).To(Succeed())
			Expect(strict.Create(ctx, object)).To(MatchError(ContainSubstring("unknown field")), "%v", path)
		}
	})

	It("keeps two clusters with trails of one name apart", func(ctx context.Context) {
		w := newWorld(ctx, cloudtrailtest.Options{OpenResources: true, NoRateLimit: true})
		spec := v1alpha1.TrailSpec{S3BucketName: "trail-logs", Tags: []v1alpha1.Tag{{Key: "cluster", Value: "one"}}}
		w.apply(ctx, "audit", spec)
		w.expectSettled(ctx, "audit", spec)
		kept := w.held("audit")

		By("the other cluster having the very same object, by namespace and name")
		_, other := w.process("other-cluster", http.DefaultClient)
		mine := reconcile.Request{NamespacedName: client.ObjectKey{Namespace: w.Namespace, Name: "audit"}}
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "elsewhere-"}}
		Expect(w.Client.Create(ctx, namespace)).To(Succeed())
		object := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "audit"}}
		object.Spec = v1alpha1.TrailSpec{
			S3BucketName:   "other-bucket",
			AdoptionPolicy: v1alpha1.AdoptionPolicyIfUnowned,
			IdentityRef:    &v1alpha1.IdentityReference{Name: w.identity},
			Tags:           []v1alpha1.Tag{{Key: "cluster", Value: "other"}},
		}
		Expect(w.Client.Create(ctx, object)).To(Succeed())
		for range 3 {
			for _, request := range []reconcile.Request{mine, {NamespacedName: client.ObjectKeyFromObject(object)}} {
				w.AWS.ResetCalls()
				w.restart()
				w.Clock.Add(2 * interval)
				_, err := other.Reconcile(ctx, request)
				Expect(err).NotTo(HaveOccurred())
				found := &v1alpha1.Trail{}
				Expect(w.Client.Get(ctx, request.NamespacedName, found)).To(Succeed())
				ready := meta.FindStatusCondition(found.Status.Conditions, v1alpha1.ConditionReady)
				Expect(ready.Reason).To(Equal(v1alpha1.ReasonOwnedByAnother))
				Expect(ready.Message).To(ContainSubstring(w.owner("audit")))
				Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty(), "the other cluster writes nothing")
				Expect(w.held("audit")).To(Equal(kept))
			}
			w.AWS.ResetCalls()
			_, err := w.look(ctx, "audit")
			Expect(err).NotTo(HaveOccurred())
			Expect(writesOf(w.AWS.CallCounts())).To(BeEmpty(), "nor is there anything to repair")
		}

		By("the other cluster's objects being deleted")
		Expect(w.Client.Delete(ctx, object)).To(Succeed())
		_, err := other.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(object)})
		Expect(err).NotTo(HaveOccurred())
		Expect(w.held("audit")).To(Equal(kept))
	})
})

// smuggling returns a spec in which the fields name somebody else's role and account, as far as the API server lets
// them.
func smuggling(random *rand.Rand) v1alpha1.TrailSpec {
	spec := randomSpec(random)
	for _, set := range []func(){
		func() { spec.CloudWatchLogsLogGroupARN, spec.CloudWatchLogsRoleARN = logGroup, victimRole },
		func() {
			spec.CloudWatchLogsLogGroupARN = "arn:aws:logs:us-east-1:999999999999:log-group:trail:*"
			spec.CloudWatchLogsRoleARN = victimRole
		},
		func() { spec.SNSTopicName = "arn:aws:sns:us-east-1:999999999999:trail-topic" },
		func() { spec.KMSKeyID = "arn:aws:kms:us-east-1:999999999999:key/11111111-2222-3333-4444-555555555555" },
		func() { spec.S3KeyPrefix = victimRole },
		func() {
			spec.Tags = []v1alpha1.Tag{
				{Key: "role", Value: victimRole}, {Key: "roleARN", Value: victimRole},
				{Key: "account", Value: "999999999999"},
			}
		},
		func() {
			spec.EventSelectors, spec.InsightSelectors, spec.AggregationConfigurations = nil, nil, nil
			selectors := []v1alpha1.AdvancedFieldSelector{
				{Field: "eventCategory", Equals: []string{"Data"}},
				{Field: "resources.type", Equals: []string{"AWS::S3::Object"}},
				{Field: "userIdentity.arn", Equals: []string{victimRole}},
			}
			spec.AdvancedEventSelectors = []v1alpha1.AdvancedEventSelector{{Name: victimRole, FieldSelectors: selectors}}
		},
	} {
		if random.IntN(2) == 0 {
			set()
		}
	}
	return spec
}
