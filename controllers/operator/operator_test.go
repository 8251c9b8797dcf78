package operator

import (
	"context"
	"flag"
	"io"
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

func TestOperator(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Operator")
}

var cluster *rest.Config

var _ = BeforeSuite(func() { cluster = testbed.Start() })

// parsed returns the options of a command line that serves nothing and leads without an election.
func parsed(arguments ...string) Options {
	GinkgoHelper()
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	var o Options
	o.BindFlags(set)
	alone := []string{"--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address=0"}
	Expect(set.Parse(append(alone, arguments...))).To(Succeed())
	return o
}

// start starts a manager and returns what stops it.
func start(ctx context.Context, manager ctrl.Manager) (stop func()) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(running) }()
	return func() {
		GinkgoHelper()
		cancel()
		Eventually(ended).WithTimeout(time.Minute).Should(Receive(BeNil()), "the manager stops when it is told to")
	}
}

// Several operators share a cluster by namespaces or by labels: each one's cache holds only what is its own.
var _ = Describe("Sharding", Ordered, func() {
	var all client.Client
	BeforeAll(func(ctx context.Context) {
		scheme, err := newScheme()
		Expect(err).NotTo(HaveOccurred())
		all, err = client.New(cluster, client.Options{Scheme: scheme})
		Expect(err).NotTo(HaveOccurred())
		for _, namespace := range []string{"team-a", "team-b", "team-c"} {
			Expect(all.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
			for _, shard := range []string{"one", "two"} {
				trail := &v1alpha1.Trail{
					ObjectMeta: metav1.ObjectMeta{
						Namespace: namespace,
						Name:      "in-shard-" + shard,
						Labels:    map[string]string{"shard": shard},
					},
				}
				trail.Spec.S3BucketName = "trail-logs"
				Expect(all.Create(ctx, trail)).To(Succeed())
			}
		}
	})

	for name, c := range map[string]struct {
		arguments, seen []string
	}{
		"nothing: all": {nil, []string{
			"team-a/in-shard-one", "team-a/in-shard-two",
			"team-b/in-shard-one", "team-b/in-shard-two",
			"team-c/in-shard-one", "team-c/in-shard-two",
		}},
		"a label": {
			[]string{"--watch-label-selector=shard=one"},
			[]string{"team-a/in-shard-one", "team-b/in-shard-one", "team-c/in-shard-one"},
		},
		"what is left": {
			[]string{"--watch-label-selector=shard notin (one)"},
			[]string{"team-a/in-shard-two", "team-b/in-shard-two", "team-c/in-shard-two"},
		},
		"a namespace": {[]string{"--watch-namespaces=team-b"}, []string{"team-b/in-shard-one", "team-b/in-shard-two"}},
		"two namespaces": {
			[]string{"--watch-namespaces=team-a, team-c"},
			[]string{"team-a/in-shard-one", "team-a/in-shard-two", "team-c/in-shard-one", "team-c/in-shard-two"},
		},
		"both": {
			[]string{"--watch-namespaces=team-a", "--watch-label-selector=shard=two"},
			[]string{"team-a/in-shard-two"},
		},
	} {
		It("by "+name, func(ctx context.Context) {
			manager, err := newManager(cluster, nil, true, parsed(c.arguments...))
			Expect(err).NotTo(HaveOccurred())
			defer start(ctx, manager)()
			var trails v1alpha1.TrailList
			Eventually(
				func() error { return manager.GetClient().List(ctx, &trails) },
			).WithTimeout(time.Minute).
				Should(Succeed(), "the cache starts")
			var seen []string
			for i := range trails.Items {
				seen = append(seen, client.ObjectKeyFromObject(&trails.Items[i]).String())
				Expect(trails.Items[i].ManagedFields).To(BeEmpty(), "nobody reads managedFields, so they take no memory")
			}
			Expect(seen).To(ConsistOf(c.seen))
		})
	}

	It("refuses a selector that is none", func() {
		_, err := newManager(cluster, nil, true, parsed("--watch-label-selector=shard in one"))
		Expect(err).To(MatchError(ContainSubstring("--watch-label-selector")))
	})
})

var _ = Describe("Profiles", func() {
	// serves tells whether the operator that these arguments start serves profiles at the address.
	serves := func(ctx context.Context, address string, arguments ...string) bool {
		manager, err := newManager(cluster, nil, true, parsed(arguments...))
		Expect(err).NotTo(HaveOccurred())
		defer start(ctx, manager)()
		Eventually(
			manager.Elected(),
		).WithTimeout(time.Minute).
			Should(BeClosed(), "all servers are started before anybody leads")
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/debug/pprof/heap", http.NoBody)
		Expect(err).NotTo(HaveOccurred())
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		Expect(answer.Body.Close()).To(Succeed())
		return answer.StatusCode == http.StatusOK
	}

	It("are served where the flag says, and nowhere by default", func(ctx context.Context) {
		address := testbed.FreeAddress(ctx)
		Expect(serves(ctx, address, "--pprof-bind-address="+address)).To(BeTrue())
		Expect(serves(ctx, address)).To(BeFalse())
	})
})
