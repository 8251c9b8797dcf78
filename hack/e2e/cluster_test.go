package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/sandbox"
)

const (
	account = "111122223333"
	region  = "us-east-1"
	// maxWait is how long anything may take that needs no lease to run out.
	maxWait = 30 * time.Second
	often   = 100 * time.Millisecond
)

// auditPolicy has the API server note every request with its decision, and nothing of their bodies.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
`

var root = filepath.Join("..", "..")

// cluster is an API server with a controller manager, an emulated AWS, and the tools of a user.
type cluster struct {
	environment *envtest.Environment
	rest        *rest.Config
	client      client.Client
	kubeconfig  string
	folder      string
	audit       string
	aws         *cloudtrailtest.Server
	endpoint    string
	processes   []*process
}

// startCluster starts a cluster, which lives as long as what calls it: the container of a BeforeAll.
func startCluster(ctx context.Context) *cluster {
	GinkgoHelper()
	c := &cluster{folder: GinkgoT().TempDir()}
	c.kubeconfig = filepath.Join(c.folder, "kubeconfig")
	c.audit = filepath.Join(c.folder, "audit.log")
	policy := filepath.Join(c.folder, "audit-policy.yaml")
	Expect(os.WriteFile(policy, []byte(auditPolicy), 0o600)).To(Succeed())

	c.environment = &envtest.Environment{}
	c.environment.ControlPlane.GetAPIServer().Configure().
		// Unlike in other tests, a pod needs a ServiceAccount.
		Disable("disable-admission-plugins").
		Append("audit-policy-file", policy).
		Append("audit-log-path", c.audit).
		Append("audit-log-mode", "blocking")
	var err error
	c.rest, err = c.environment.Start()
	Expect(err).NotTo(
		HaveOccurred(),
		"start a control plane; `make test-e2e` sets KUBEBUILDER_ASSETS=%q",
		os.Getenv("KUBEBUILDER_ASSETS"),
	)
	DeferCleanup(func() { Expect(c.environment.Stop()).To(Succeed()) })
	c.rest.QPS = -1

	scheme, err := sandbox.Scheme()
	Expect(err).NotTo(HaveOccurred())
	c.client, err = client.New(c.rest, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(c.kubeconfig, c.environment.KubeConfig, 0o600)).To(Succeed())

	c.aws = cloudtrailtest.New(cloudtrailtest.Options{
		OpenResources: true, NoRateLimit: true, NoTrailLimit: true,
		LogDelivery: &cloudtrailtest.LogDelivery{Regions: []string{region}},
	})
	c.aws.SetOrganization(cloudtrailtest.Organization{ID: "o-exampleorgid", ManagementAccount: account})
	server := httptest.NewServer(c.aws)
	DeferCleanup(server.Close)
	c.endpoint = server.URL
	DeferCleanup(c.stopProcesses)
	c.startControllerManager(ctx)
	return c
}

// startControllerManager runs the controllers that what users do depends on: garbage collection, the end of namespaces,
// aggregated roles, Deployments, and the type checks of policies. Each has its own ServiceAccount, as in any cluster.
func (c *cluster) startControllerManager(ctx context.Context) {
	GinkgoHelper()
	binary := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kube-controller-manager")
	host, port, err := net.SplitHostPort(freeAddress(ctx))
	Expect(err).NotTo(HaveOccurred())
	c.start(
		"kube-controller-manager",
		nil,
		binary,
		"--kubeconfig="+c.kubeconfig,
		"--controllers=garbage-collector-controller,namespace-controller,clusterrole-aggregation-controller,"+
			"deployment-controller,replicaset-controller,serviceaccount-controller,"+
			"validatingadmissionpolicy-status-controller",
		"--use-service-account-credentials",
		"--leader-elect=false",
		"--bind-address="+host,
		"--secure-port="+port,
		"--cert-dir="+c.folder,
	)
}

// process is a program that a test runs.
type process struct {
	name    string
	command *exec.Cmd
	log     string
	ended   chan struct{}
}

// start starts a program; it is stopped with the cluster.
func (c *cluster) start(name string, environment []string, binary string, arguments ...string) *process {
	GinkgoHelper()
	log, err := os.Create(filepath.Join(c.folder, name+".log"))
	Expect(err).NotTo(HaveOccurred())
	p := &process{name: name, log: log.Name(), command: exec.Command(binary, arguments...), ended: make(chan struct{})}
	p.command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.folder}, environment...)
	p.command.Stdout, p.command.Stderr = log, log
	Expect(p.command.Start()).To(Succeed(), name)
	Expect(log.Close()).To(Succeed(), "the program has the file open itself")

	go func() {
		defer close(p.ended)
		_ = p.command.Wait() //nolint:errcheck // How it ended is in its log.
	}()
	c.processes = append(c.processes, p)
	return p
}

func (c *cluster) stopProcesses() {
	for _, p := range slices.Backward(c.processes) {
		p.stop()
	}
}

// showLogs prints the last lines of all processes' logs.
func (c *cluster) showLogs() {
	for _, p := range c.processes {
		GinkgoWriter.Printf("--- the last lines of %s:\n%s\n", p.name, tail(p.text(), 100))
	}
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// stop asks the program to end and waits for it.
func (p *process) stop() {
	GinkgoHelper()
	if p.running() {
		Expect(p.command.Process.Signal(syscall.SIGTERM)).To(Or(Succeed(), MatchError(os.ErrProcessDone)), p.name)
	}
	select {
	case <-p.ended:
	case <-time.After(maxWait):
		p.kill()
	}
}

// kill ends the program without warning.
func (p *process) kill() {
	GinkgoHelper()
	Expect(p.command.Process.Kill()).To(Or(Succeed(), MatchError(os.ErrProcessDone)), p.name)
	<-p.ended
}

func (p *process) text() string {
	text, _ := os.ReadFile(p.log) //nolint:errcheck // No log is an empty one.
	return string(text)
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// freeAddress returns an address of loopback, HOST:PORT, at which nobody listens.
func freeAddress(ctx context.Context) string {
	GinkgoHelper()
	address, err := sandbox.FreeAddress(ctx)
	Expect(err).NotTo(HaveOccurred())
	return address
}

// run runs a user's tool and returns what it printed.
func (c *cluster) run(stdin io.Reader, tool string, arguments ...string) (string, error) {
	command := exec.Command(tool, arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig, "HOME="+c.folder)
	command.Stdin = stdin
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	err := command.Run()
	return output.String(), err
}

func (c *cluster) helm(arguments ...string) string {
	GinkgoHelper()
	output, err := c.run(nil, filepath.Join(root, "bin", "helm"), arguments...)
	Expect(err).NotTo(HaveOccurred(), "helm %s:\n%s", strings.Join(arguments, " "), output)
	return output
}

func (c *cluster) kubectl(arguments ...string) string {
	GinkgoHelper()
	output, err := c.run(nil, kubectlBinary(), arguments...)
	Expect(err).NotTo(HaveOccurred(), "kubectl %s:\n%s", strings.Join(arguments, " "), output)
	return output
}

// runCommands runs the commands of kubectl that a text tells its reader to run, each in a line of its own.
func (c *cluster) runCommands(text string, want int) {
	GinkgoHelper()
	ran := 0
	for line := range strings.Lines(text) {
		command := strings.TrimSpace(line)
		if !strings.HasPrefix(command, "kubectl ") {
			continue
		}
		output, err := c.run(nil, "sh", "-c", command)
		Expect(err).NotTo(HaveOccurred(), "%s:\n%s", command, output)
		ran++
	}
	Expect(ran).To(Equal(want), "commands in:\n%s", text)
}

// canI asks the API server whether somebody may do something, and returns its answer: yes, or no.
func (c *cluster) canI(arguments ...string) (string, error) {
	output, err := c.run(nil, kubectlBinary(), append([]string{"auth", "can-i"}, arguments...)...)
	answer := strings.TrimSpace(tail(output, 1))
	if answer == "no" {
		return answer, nil // Which kubectl also says by its exit code.
	}
	return answer, err
}

// apply applies a manifest as a user does.
func (c *cluster) apply(manifest string, arguments ...string) string {
	GinkgoHelper()
	output, err := c.run(
		strings.NewReader(manifest),
		kubectlBinary(),
		append([]string{"apply", "--filename=-"}, arguments...)...)
	Expect(err).NotTo(HaveOccurred(), "%s\n%s", output, manifest)
	return output
}

func kubectlBinary() string {
	bundled := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	if _, err := os.Stat(bundled); err == nil {
		return bundled
	}
	return "kubectl"
}

// token returns a token of a ServiceAccount.
func (c *cluster) token(ctx context.Context, namespace, name string) string {
	GinkgoHelper()
	token, err := sandbox.CreateToken(ctx, c.client, namespace, name)
	Expect(err).NotTo(HaveOccurred())
	return token
}

// operator is a running replica of the operator.
type operator struct {
	*process
	metrics, probes string
}

// startOperator runs the built operator as the release's Deployment would: with its arguments, its environment, and the
// token of its ServiceAccount. Only the addresses are other ones, because the replicas share a machine, and the
// namespace is told; more is added to the environment.
func (c *cluster) startOperator(ctx context.Context, name string, more ...string) *operator {
	GinkgoHelper()
	deployment := &appsv1.Deployment{}
	Expect(c.client.Get(ctx, client.ObjectKey{Namespace: releaseNamespace, Name: release}, deployment)).To(Succeed())
	pod := deployment.Spec.Template.Spec
	kubeconfig := filepath.Join(c.folder, name+".kubeconfig")
	token := c.token(ctx, releaseNamespace, pod.ServiceAccountName)
	Expect(sandbox.WriteKubeconfig(kubeconfig, c.rest, token)).To(Succeed())

	environment := []string{
		"KUBECONFIG=" + kubeconfig,
		"AWS_ACCESS_KEY_ID=test",
		"AWS_SECRET_ACCESS_KEY=test",
		"AWS_EC2_METADATA_DISABLED=true",
	}
	for _, variable := range pod.Containers[0].Env {
		environment = append(environment, variable.Name+"="+variable.Value)
	}
	environment = append(environment, more...)
	o := &operator{metrics: freeAddress(ctx), probes: freeAddress(ctx)}
	arguments := slices.Concat(
		pod.Containers[0].Args,
		[]string{
			"--metrics-bind-address=" + o.metrics,
			"--health-probe-bind-address=" + o.probes,
			// A pod finds its namespace in a file.
			"--leader-election-namespace=" + releaseNamespace,
		},
	)
	o.process = c.start(name, environment, filepath.Join(root, "bin", "trail-operator"), arguments...)
	return o
}

// leads tells whether the replica has become the leader.
func (o *operator) leads() bool {
	return o.running() && strings.Contains(o.text(), "Successfully acquired lease")
}

func (c *cluster) get(ctx context.Context, object client.Object) error {
	return c.client.Get(ctx, client.ObjectKeyFromObject(object), object)
}

func (c *cluster) createNamespace(ctx context.Context, name string, labels map[string]string) {
	GinkgoHelper()
	Expect(
		c.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}),
	).To(Succeed())
}

// deleteNamespace deletes a namespace with all that is in it, and waits until it is gone.
func (c *cluster) deleteNamespace(ctx context.Context, name string) {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	Expect(c.client.Delete(ctx, namespace)).To(Succeed())
	Eventually(
		func() bool { return apierrors.IsNotFound(c.get(ctx, namespace)) },
		2*maxWait,
		often,
	).Should(BeTrue(), "namespace %s is to go", name)
}

// trailManifest is the manifest of a Trail with more lines of spec.
func trailManifest(namespace, name string, spec ...string) string {
	return fmt.Sprintf(
		"apiVersion: trail-operator.dev/v1alpha1\nkind: Trail\nmetadata:\n  name: %s\n  namespace: %s\n"+
			"spec:\n  s3BucketName: example-audit-logs\n  %s\n",
		name,
		namespace,
		strings.Join(append(spec, ""), "\n  "),
	)
}
