package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/yaml"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/command"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

func TestOperator(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Operator")
}

var cluster *rest.Config

var _ = BeforeSuite(func() { cluster = testbed.Start() })

// parsed returns the flags of a command line that serves nothing and leads without an election.
func parsed(arguments ...string) flags {
	GinkgoHelper()
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	f := bindFlags(set)
	alone := []string{"--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address=0"}
	Expect(set.Parse(append(alone, arguments...))).To(Succeed())
	return *f
}

// execute runs the program and returns what it printed and its exit code.
func execute(ctx context.Context, arguments ...string) (output, messages string, exitCode int) {
	var out, errors bytes.Buffer
	exitCode = program.Run(ctx, arguments, &out, &errors)
	return out.String(), errors.String(), exitCode
}

var _ = Describe("The arguments", func() {
	const noCluster = "--kubeconfig=/nonexistent"

	It("start the operator where no command is among them, with one dash or two", func(ctx context.Context) {
		for _, arguments := range [][]string{
			{noCluster}, {"-kubeconfig", "/nonexistent"}, {noCluster, "-leader-elect=false", "--resync-interval", "1m"},
		} {
			_, messages, exitCode := execute(ctx, arguments...)
			Expect(messages).To(HavePrefix("trail-operator: finding the cluster: "), "%v", arguments)
			Expect(exitCode).To(Equal(command.ExitFailure))
		}
	})

	It("may be those of config/manager", func() {
		content, err := os.ReadFile(filepath.Join("config", "manager", "manager.yaml"))
		Expect(err).NotTo(HaveOccurred())
		deployment := &appsv1.Deployment{}
		Expect(yaml.UnmarshalStrict(content, deployment)).To(Succeed())
		arguments := deployment.Spec.Template.Spec.Containers[0].Args
		Expect(arguments).NotTo(BeEmpty())
		parsed(arguments...)
	})

	It("ask for the version", func(ctx context.Context) {
		output, messages, exitCode := execute(ctx, "--version")
		Expect([]any{output, messages, exitCode}).To(HaveExactElements(version+"\n", "", command.ExitSuccess))
	})

	It("ask for help", func(ctx context.Context) {
		for _, arguments := range []string{"help", "--help", "-h"} {
			output, _, exitCode := execute(ctx, arguments)
			Expect(exitCode).To(Equal(command.ExitSuccess))
			Expect(output).To(And(
				ContainSubstring("\n  export "), ContainSubstring("\n  --kubeconfig "), ContainSubstring("\n  --zap-log-level "),
			))
		}
		for _, arguments := range [][]string{{"help", "export"}, {"export", "--help"}} {
			output, _, exitCode := execute(ctx, arguments...)
			Expect(exitCode).To(Equal(command.ExitSuccess))
			Expect(output).To(And(
				ContainSubstring("trail-operator export [flags]"), ContainSubstring("\n  --observe"),
				Not(ContainSubstring("--zap-log-level")),
			))
		}
	})

	for arguments, message := range map[string]string{
		"exprot":                            `trail-operator: unknown command "exprot": did you mean export?`,
		"exprot " + noCluster:               `trail-operator: unknown command "exprot": did you mean export?`,
		noCluster + " export":               `trail-operator: unexpected argument "export": a command comes first`,
		noCluster + " --leader-elect false": `trail-operator: unexpected argument "false": the value of a flag`,
		noCluster + " --worker=1":           "trail-operator: unknown flag --worker",
		noCluster + " --cluster-di=a":       "trail-operator: unknown flag --cluster-di: did you mean --cluster-id?",
		noCluster + " --resync-interval=1":  "trail-operator: invalid value",
		"export everything":                 `trail-operator export: unexpected argument "everything"`,
		"export --all-region":               "trail-operator export: unknown flag --all-region: did you mean --all-regions?",
		"export --all-regions --region=x":   "trail-operator export: give --region or --all-regions, not both",
	} {
		It("are refused: "+arguments, func(ctx context.Context) {
			output, messages, exitCode := execute(ctx, strings.Fields(arguments)...)
			Expect(messages).To(HavePrefix(message))
			Expect(messages).To(HaveSuffix(" --help shows the usage.\n"))
			Expect(output).To(BeEmpty())
			Expect(exitCode).To(Equal(command.ExitUsage))
		})
	}

	It("may lead to an error of AWS, which has no power over a terminal", func(ctx context.Context) {
		aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "<ErrorResponse><Error><Code>AccessDenied</Code>"+
				"<Message>no\u009b2J\u2028\u202eyes</Message></Error></ErrorResponse>")
		}))
		DeferCleanup(aws.Close)
		for name, value := range map[string]string{
			"AWS_ENDPOINT_URL": aws.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
			"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		} {
			GinkgoT().Setenv(name, value)
		}
		output, messages, exitCode := execute(ctx, "export", "--region=eu-west-1")
		Expect([]any{output, messages, exitCode}).To(HaveExactElements(
			"", "trail-operator export: GetCallerIdentity: AccessDenied: no\\u009b2J \\u202eyes\n", command.ExitFailure,
		))
	})
})

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
			manager, err := newManager(cluster, nil, parsed(c.arguments...))
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
		_, err := newManager(cluster, nil, parsed("--watch-label-selector=shard in one"))
		Expect(err).To(MatchError(ContainSubstring("--watch-label-selector")))
	})
})

var _ = Describe("Profiles", func() {
	// serves tells whether the operator that these arguments start serves profiles at the address.
	serves := func(ctx context.Context, address string, arguments ...string) bool {
		manager, err := newManager(cluster, nil, parsed(arguments...))
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
			And(
				ContainSubstring(`"msg":"changed"`),
				ContainSubstring(`"trail":"audit","region":"eu-central-1","steps":"CreateTrail"`),
				ContainSubstring(`"logger":"trail"`),
			),
			And(
				ContainSubstring(`"msg":"refused"`),
				ContainSubstring(`"trail":"audit","error":"no"`),
				Not(ContainSubstring("region")),
			),
			And(ContainSubstring(`"msg":"plain"`), Not(ContainSubstring("audit"))),
		))
	})
})
