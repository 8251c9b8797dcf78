package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

func TestOperator(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Operator")
}

var cluster *rest.Config

var _ = BeforeSuite(func() {
	environment := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("config", "crd", "bases")}, ErrorIfCRDPathMissing: true}
	var err error
	cluster, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)
})

// parsed returns the flags of a command line that serves nothing and leads without an election.
func parsed(arguments ...string) flags {
	GinkgoHelper()
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	f, err := parseFlags(set, append([]string{"--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address=0"}, arguments...))
	Expect(err).NotTo(HaveOccurred())
	return f
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
				trail := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "in-shard-" + shard, Labels: map[string]string{"shard": shard}}}
				trail.Spec.S3BucketName = "trail-logs"
				Expect(all.Create(ctx, trail)).To(Succeed())
			}
		}
	})

	for name, c := range map[string]struct {
		arguments, seen []string
	}{
		"nothing: all": {nil, []string{
			"team-a/in-shard-one", "team-a/in-shard-two", "team-b/in-shard-one", "team-b/in-shard-two", "team-c/in-shard-one", "team-c/in-shard-two",
		}},
		"a label":        {[]string{"--watch-label-selector=shard=one"}, []string{"team-a/in-shard-one", "team-b/in-shard-one", "team-c/in-shard-one"}},
		"what is left":   {[]string{"--watch-label-selector=shard notin (one)"}, []string{"team-a/in-shard-two", "team-b/in-shard-two", "team-c/in-shard-two"}},
		"a namespace":    {[]string{"--watch-namespaces=team-b"}, []string{"team-b/in-shard-one", "team-b/in-shard-two"}},
		"two namespaces": {[]string{"--watch-namespaces=team-a, team-c"}, []string{"team-a/in-shard-one", "team-a/in-shard-two", "team-c/in-shard-one", "team-c/in-shard-two"}},
		"both":           {[]string{"--watch-namespaces=team-a", "--watch-label-selector=shard=two"}, []string{"team-a/in-shard-two"}},
	} {
		It("by "+name, func(ctx context.Context) {
			manager, err := newManager(cluster, parsed(c.arguments...))
			Expect(err).NotTo(HaveOccurred())
			defer start(ctx, manager)()
			var trails v1alpha1.TrailList
			Eventually(func() error { return manager.GetClient().List(ctx, &trails) }).WithTimeout(time.Minute).Should(Succeed(), "the cache starts")
			var seen []string
			for i := range trails.Items {
				seen = append(seen, client.ObjectKeyFromObject(&trails.Items[i]).String())
				Expect(trails.Items[i].ManagedFields).To(BeEmpty(), "nobody reads managedFields, so they take no memory")
			}
			Expect(seen).To(ConsistOf(c.seen))
		})
	}

	It("refuses a selector that is none", func() {
		_, err := newManager(cluster, parsed("--watch-label-selector=shard in one"))
		Expect(err).To(MatchError(ContainSubstring("--watch-label-selector")))
	})
})

var _ = Describe("Profiles", func() {
	// serves tells whether the operator that these arguments start serves profiles at the address.
	serves := func(ctx context.Context, address string, arguments ...string) bool {
		manager, err := newManager(cluster, parsed(arguments...))
		Expect(err).NotTo(HaveOccurred())
		defer start(ctx, manager)()
		Eventually(manager.Elected()).WithTimeout(time.Minute).Should(BeClosed(), "all servers are started before anybody leads")
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
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		address := listener.Addr().String()
		Expect(listener.Close()).To(Succeed())
		Expect(serves(ctx, address, "--pprof-bind-address="+address)).To(BeTrue())
		Expect(serves(ctx, address)).To(BeFalse())
	})
})

var _ = Describe("The log", func() {
	It("has the fields of its loggers in every line, and no line below its level", func() {
		var lines bytes.Buffer
		log := newLogger(zap.Options{DestWriter: &lines})
		trail := log.WithValues("trail", "audit").WithName("trail")
		log.V(1).Info("hidden")
		trail.V(1).Info("hidden")
		trail.WithValues("region", "eu-central-1").Info("changed", "steps", "CreateTrail")
		trail.Error(errors.New("no"), "refused")
		log.Info("plain")
		Expect(strings.Split(strings.TrimSpace(lines.String()), "\n")).To(HaveExactElements(
			And(ContainSubstring(`"msg":"changed"`), ContainSubstring(`"trail":"audit","region":"eu-central-1","steps":"CreateTrail"`), ContainSubstring(`"logger":"trail"`)),
			And(ContainSubstring(`"msg":"refused"`), ContainSubstring(`"trail":"audit","error":"no"`), Not(ContainSubstring("region"))),
			And(ContainSubstring(`"msg":"plain"`), Not(ContainSubstring("audit"))),
		))
	})
})
