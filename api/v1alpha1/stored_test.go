package v1alpha1_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/hack/testbed"
)

// soon is how long anything may take that a watch or a changed CRD brings about.
const soon = 20 * time.Second

// lax lets anything be the spec and the status.
func lax(schema *apiextensionsv1.JSONSchemaProps) {
	schema.XValidations = nil
	for _, part := range []string{"spec", "status"} {
		schema.Properties[part] = apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: new(true)}
	}
}

// startCache starts an informer of a kind, as a manager does, and waits until it is filled.
func startCache(ctx context.Context, object client.Object) cache.Cache {
	GinkgoHelper()
	informers, err := cache.New(restConfig, cache.Options{Scheme: apiserver.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	_, err = informers.GetInformer(ctx, object, cache.BlockUntilSynced(false))
	Expect(err).NotTo(HaveOccurred())
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- informers.Start(running) }()
	DeferCleanup(func() {
		stop()
		Eventually(ended).WithTimeout(soon).Should(Receive(BeNil()), "the cache stops when it is told to")
	})

	synced, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	Expect(informers.WaitForCacheSync(synced)).To(BeTrue(), "the cache is filled")
	return informers
}

var _ = Describe("An object that the API server stored under another schema", func() {
	DescribeTable("keeps no other object from a watch or a list, and is in them itself:",
		func(
			ctx context.Context, plural string, manifest func(name, spec string) *unstructured.Unstructured,
			spec, status, decodeError string,
		) {
			bad := manifest("stored-bad", spec)
			empty := func() client.Object {
				GinkgoHelper()
				typed, err := apiserver.Scheme().New(bad.GroupVersionKind())
				Expect(err).NotTo(HaveOccurred())
				object, ok := typed.(client.Object)
				Expect(ok).To(BeTrue())
				return object
			}
			create := func(object client.Object) {
				GinkgoHelper()
				Expect(apiserver.Create(ctx, object)).To(Succeed())
				DeferCleanup(func(ctx context.Context) { Expect(apiserver.Delete(ctx, object)).To(Succeed()) })
			}
			dryRun := func() error { return apiserver.Create(ctx, bad.DeepCopy(), client.DryRunAll) }
			expectSeen := func(informers cache.Cache, object client.Object) {
				GinkgoHelper()
				Eventually(informers.Get).WithContext(ctx).WithArguments(client.ObjectKeyFromObject(object), empty()).
					WithTimeout(soon).Should(Succeed(), "the watch goes on")
			}

			By("watching when it is stored")
			watching := startCache(ctx, empty())
			testbed.InstallCRD(ctx, apiserver, plural, lax)
			DeferCleanup(func(ctx context.Context) { testbed.InstallCRD(ctx, apiserver, plural, nil) })
			Eventually(dryRun).WithContext(ctx).WithTimeout(soon).Should(Succeed(), "the schema is lax")
			create(bad)
			patch := client.RawPatch(types.MergePatchType, []byte(`{"status": `+status+`}`))
			Expect(apiserver.Status().Patch(ctx, bad.DeepCopy(), patch)).To(Succeed())
			during := manifest("stored-meanwhile", `{}`)
			create(during)
			expectSeen(watching, during)

			By("watching when the schema is mended")
			testbed.InstallCRD(ctx, apiserver, plural, nil)
			Eventually(dryRun).WithContext(ctx).WithTimeout(soon).
				Should(MatchError(ContainSubstring("is invalid")), "the schema is strict")
			after := manifest("stored-afterwards", `{}`)
			create(after)
			expectSeen(watching, after)

			By("listing at a start")
			starting := startCache(ctx, empty())
			for _, object := range []client.Object{during, after} {
				Expect(starting.Get(ctx, client.ObjectKeyFromObject(object), empty())).To(Succeed())
			}
			found := empty()
			Expect(starting.Get(ctx, client.ObjectKeyFromObject(bad), found)).To(Succeed())
			Expect(found).To(HaveField("DecodeError", HavePrefix(decodeError)))
		},
		Entry("a Trail", "trails", trail,
			`{logging: "yes", interval: soon}`,
			`{"latestDeliveryTime": ["now"], "conditions": {}}`,
			`spec.interval: time: invalid duration "soon"; spec.logging: `),
		Entry("an AWSIdentity", "awsidentities", identity,
			`{allowedNamespaces: {from: All}, sessionTags: production}`,
			`{"conditions": [{"lastTransitionTime": "now"}]}`,
			`spec.sessionTags: `),
		Entry("an EventLookup", "eventlookups", lookup,
			`{startTime: [now], ttlSecondsAfterFinished: 3000000000}`,
			`{"completionTime": "2026-01-02t03:04:05z"}`,
			`spec.startTime: `),
		Entry("a LogFileValidation", "logfilevalidations", validation,
			`{trailRef: {name: audit}, interval: soon, endTime: [now]}`,
			`{"validatedUntil": "2026-01-02t03:04:05z"}`,
			`spec.endTime: `),
	)
})
