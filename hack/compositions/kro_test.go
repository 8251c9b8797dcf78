package compositions

import (
	"maps"
	"slices"
	"strings"

	"github.com/kubernetes-sigs/kro/api/v1alpha1"
	"github.com/kubernetes-sigs/kro/pkg/graph"
	kroruntime "github.com/kubernetes-sigs/kro/pkg/runtime"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const keyARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// limits are kro's defaults.
var limits = graph.Config{MaxCollectionSize: 1000, MaxCollectionDimensionSize: 10}

// ackStatus is the status of an ACK object that is there, with more fields.
func ackStatus(condition, arn string, more map[string]any) map[string]any {
	status := map[string]any{
		"ackResourceMetadata": map[string]any{
			"arn": arn, "ownerAccountID": "111122223333", "region": "eu-central-1",
		},
		"conditions": []any{map[string]any{"type": condition, "status": "True"}},
	}
	maps.Copy(status, more)
	return status
}

// trailStatus is the status of a Trail of this generation.
func trailStatus(generation int64, ready string, logging bool) map[string]any {
	return map[string]any{
		"observedGeneration": generation,
		"isLogging":          logging,
		"trailARN":           "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit",
		"conditions":         []any{map[string]any{"type": "Ready", "status": ready}},
	}
}

var _ = Describe("kro's AuditTrail", Ordered, func() {
	var (
		definition *graph.Graph
		instance   *unstructured.Unstructured
		nodes      map[string]*kroruntime.Node
		reconciled *kroruntime.Runtime
	)

	BeforeAll(func(ctx SpecContext) {
		object := manifest("kro", "audittrail.yaml")
		expectApplicable(ctx, object)

		By("kro checks all expressions against the schemas of the API server")
		httpClient, err := rest.HTTPClientFor(api)
		Expect(err).NotTo(HaveOccurred())
		builder, err := graph.NewBuilder(api, httpClient)
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() error {
			definition, err = builder.NewResourceGraphDefinition(into[v1alpha1.ResourceGraphDefinition](object), limits)
			return err
		}, maxWait, often).Should(Succeed(), "the API server publishes the schema of a kind after it has begun to serve it")

		By("the API server gets the CRD that kro makes of it")
		installCRD(definition.CRD)
		instance, err = apply(ctx, manifest("kro", "example.yaml"))
		Expect(err).NotTo(HaveOccurred())
	})

	// begin begins to reconcile an AuditTrail that nothing has been made for.
	begin := func() {
		GinkgoHelper()
		var err error
		reconciled, err = kroruntime.FromGraph(definition, limits, kroruntime.WithInstance(instance))
		Expect(err).NotTo(HaveOccurred())
		nodes = map[string]*kroruntime.Node{}
		for _, node := range reconciled.Nodes() {
			nodes[node.Spec.Meta.ID] = node
		}
	}
	BeforeEach(begin)

	desired := func(id string) *unstructured.Unstructured {
		GinkgoHelper()
		objects, err := nodes[id].GetDesired()
		Expect(err).NotTo(HaveOccurred(), id)
		Expect(objects).To(HaveLen(1))
		return objects[0]
	}
	// observe has the API server and its controller do what the graph wants of one object.
	observe := func(ctx SpecContext, id string, status map[string]any) *unstructured.Unstructured {
		GinkgoHelper()
		object, err := apply(ctx, desired(id))
		Expect(err).NotTo(HaveOccurred(), id)
		object.SetGeneration(1)
		object.Object["status"] = status
		nodes[id].SetObserved([]*unstructured.Unstructured{object})
		return object
	}

	It("makes the Trail last, and deletes it first", func() {
		position := func(id string) int { return slices.Index(definition.TopologicalOrder, id) }
		Expect(definition.TopologicalOrder).To(ConsistOf("key", "alias", "bucket", "trail"))
		Expect(position("key")).To(BeNumerically("<", position("alias")))
		Expect(nodes["trail"].Spec.Meta.Dependencies).To(ConsistOf("bucket", "key"))
	})

	DescribeTable("refuses", func(ctx SpecContext, field string, value any) {
		bad := manifest("kro", "example.yaml")
		Expect(unstructured.SetNestedField(bad.Object, value, "spec", field)).To(Succeed())
		_, err := apply(ctx, bad)
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(ContainSubstring("spec." + field)))
	},
		Entry("an account that is none", "accountID", "1111"),
		Entry("a quote in the bucket's name", "bucketName", `logs","Effect":"Allow`),
		Entry("a quote in the prefix", "keyPrefix", `a"b`),
		Entry("a prefix that ends with a slash", "keyPrefix", "a/"),
		Entry("a region that is none", "region", "*"),
		Entry("a partition that is none", "partition", "*"),
		Entry("a short retention", "retentionDays", int64(1)),
	)

	It("has the policies of config/aws, and keeps the bucket and the key", func(ctx SpecContext) {
		key, bucket := desired("key"), desired("bucket")
		expectApplicable(ctx, key, bucket)
		Expect(at(key, "spec", "policy")).To(bePolicy("key-policy.json"))
		Expect(at(key, "spec", "enableKeyRotation")).To(BeTrue())
		Expect(at(bucket, "spec", "policy")).To(bePolicy("bucket-policy.json", onlyWithTLS))
		Expect(at(bucket, "spec", "versioning", "status")).To(Equal("Enabled"))
		Expect(at(bucket, "spec", "publicAccessBlock")).To(HaveEach(BeTrue()))

		observe(ctx, "key", ackStatus("Ready", keyARN, map[string]any{"keyID": "1234abcd"}))
		for _, object := range []*unstructured.Unstructured{key, bucket, desired("alias")} {
			Expect(object.GetNamespace()).To(Equal(namespace))
			Expect(object.GetAnnotations()).To(And(
				HaveKeyWithValue("services.k8s.aws/deletion-policy", "retain"),
				HaveKeyWithValue("services.k8s.aws/region", "eu-central-1"),
			), object.GetKind())
		}
	})

	It("waits with the Trail until the key and the bucket are ready", func(ctx SpecContext) {
		_, err := nodes["trail"].GetDesired()
		Expect(err).To(MatchError(kroruntime.ErrDataPending))

		observe(ctx, "key", ackStatus("ACK.ResourceSynced", keyARN, map[string]any{"keyID": "1234abcd"}))
		Expect(nodes["key"].CheckReadiness()).To(Succeed())
		observe(ctx, "bucket", map[string]any{})
		Expect(nodes["bucket"].CheckReadiness()).To(MatchError(kroruntime.ErrWaitingForReadiness))

		begin()
		observe(ctx, "key", ackStatus("Ready", keyARN, map[string]any{"keyID": "1234abcd"}))
		observe(ctx, "bucket", ackStatus("Ready", "arn:aws:s3:::example-audit-logs", nil))
		Expect(nodes["bucket"].CheckReadiness()).To(Succeed())

		want := wantTrail()
		want["kmsKeyID"] = keyARN
		Expect(at(desired("trail"), "spec")).To(Equal(want))
	})

	It("is ready when the Trail is, and shows what it says", func(ctx SpecContext) {
		prepare := func() {
			begin()
			observe(ctx, "key", ackStatus("Ready", keyARN, map[string]any{"keyID": "1234abcd"}))
			observe(ctx, "alias", ackStatus("Ready", "arn:aws:kms:eu-central-1:111122223333:alias/cloudtrail-audit", nil))
			observe(ctx, "bucket", ackStatus("Ready", "arn:aws:s3:::example-audit-logs", nil))
		}
		for reason, status := range map[string]map[string]any{
			"it is not ready":               trailStatus(1, "False", true),
			"it does not log":               trailStatus(1, "True", false),
			"the status is of an old spec":  trailStatus(0, "True", true),
			"the operator has not been yet": {"observedGeneration": int64(-1)},
		} {
			prepare()
			observe(ctx, "trail", status)
			Expect(nodes["trail"].CheckReadiness()).To(MatchError(kroruntime.ErrWaitingForReadiness), reason)
		}

		prepare()
		observe(ctx, "trail", trailStatus(1, "True", true))
		for id, node := range nodes {
			Expect(node.CheckReadiness()).To(Succeed(), id)
		}
		objects, err := reconciled.Instance().GetDesired()
		Expect(err).NotTo(HaveOccurred())
		Expect(at(objects[0], "status")).To(And(
			HaveKeyWithValue("trailARN", "arn:aws:cloudtrail:eu-central-1:111122223333:trail/audit"),
			HaveKeyWithValue("logging", true),
			HaveKeyWithValue("kmsKeyARN", keyARN),
			HaveKeyWithValue("bucketARN", "arn:aws:s3:::example-audit-logs"),
		))
	})

	It("lets kro do what it must", func(ctx SpecContext) {
		role := manifest("kro", "rbac.yaml")
		expectApplicable(ctx, role)
		for _, id := range definition.TopologicalOrder {
			resource := nodes[id].Spec.Meta.GVR
			Expect(granted(role)).To(HaveKeyWithValue(resource.Group+"/"+resource.Resource,
				ContainElements("get", "list", "watch", "create", "patch", "delete")))
		}
		crd := client.ObjectKeyFromObject(definition.CRD).Name
		plural, group, _ := strings.Cut(crd, ".")
		Expect(granted(role)).To(HaveKey(group + "/" + plural))
	})
})
