package quickstart

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/sandbox"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

// built is the folder of the operator's program. All specs build it there, so that it is linked once.
var built string

func TestQuickstart(t *testing.T) {
	RegisterFailHandler(Fail)
	log.SetLogger(GinkgoLogr)
	built = t.TempDir()
	RunSpecs(t, "Quickstart")
}

const (
	namespace = "trail-operator-system"
	account   = "111122223333"
	region    = "eu-central-1"
	// regionOfNodes is what EKS tells pods; what is installed has to tell them otherwise.
	regionOfNodes = "us-east-1"
	reader        = "arn:aws:iam::" + account + ":user/reader"
	trailARN      = "arn:aws:cloudtrail:" + region + ":" + account + ":trail/audit"
)

var (
	root = filepath.Join("..", "..")
	// installed is the name of the Deployment and the ServiceAccount.
	installed = types.NamespacedName{Namespace: namespace, Name: "trail-operator"}
)

// world is what a reader has: a cluster, an account and a shell.
type world struct {
	client.Client
	config *rest.Config
	aws    *cloudtrailtest.Server
	awsURL string
	// others are the services that are not emulated.
	others others
	// folder is the reader's, and programs has what the reader calls.
	folder, programs string
	kubeconfig       string
	// variables is the block that sets variables, before each other block.
	variables string
}

// newWorld starts an AWS.
func newWorld(ctx context.Context) *world {
	GinkgoHelper()
	w := &world{folder: GinkgoT().TempDir(), programs: GinkgoT().TempDir()}
	w.kubeconfig = filepath.Join(w.programs, "kubeconfig")
	w.aws = cloudtrailtest.New(cloudtrailtest.Options{
		OpenResources: true,
		// As with AWS, the trail is started again before the history tells who has stopped it.
		HistoryLag:  5 * time.Second,
		LogDelivery: &cloudtrailtest.LogDelivery{Regions: []string{region}, LogsPerHour: 1},
	})
	w.aws.AddCredentials(cloudtrailtest.Credentials{AccessKeyID: "reader", SecretAccessKey: "reader", ARN: reader})
	w.awsURL = testbed.Serve(ctx, w.aws)
	return w
}

// startCluster starts a cluster without anything of the operator's.
func (w *world) startCluster() {
	GinkgoHelper()
	environment := sandbox.ControlPlane(root)
	environment.CRDDirectoryPaths = nil
	var err error
	w.config, err = environment.Start()
	DeferCleanup(func() { Expect(environment.Stop()).To(Succeed()) })
	Expect(err).NotTo(HaveOccurred())
	w.Client, err = client.New(w.config, client.Options{Scheme: testbed.Scheme()})
	Expect(err).NotTo(HaveOccurred())

	administrator, err := environment.AddUser(envtest.User{Name: "reader", Groups: []string{"system:masters"}}, nil)
	Expect(err).NotTo(HaveOccurred())
	kubeconfig, err := administrator.KubeConfig()
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(w.kubeconfig, kubeconfig, 0o600)).To(Succeed())
}

// program writes a program that the reader calls, as a script.
func (w *world) program(name, script string) {
	GinkgoHelper()
	path := filepath.Join(w.programs, name)
	Expect(os.WriteFile(path, []byte("#!/usr/bin/env bash\nset -eu\n"+script), 0o755)).To(Succeed())
}

// install gives the reader the programs of the documents.
func (w *world) install() {
	GinkgoHelper()
	operator := filepath.Join(built, "trail-operator")
	build := exec.Command("go", "build", "-o", operator, ".")
	build.Dir = root
	output, err := build.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))
	Expect(os.Symlink(operator, filepath.Join(w.programs, "trail-operator"))).To(Succeed())

	// The chart of the repository instead of the one of a release.
	w.program("helm", fmt.Sprintf(`
arguments=()
while (($#)); do
  case $1 in
    oci://*/charts/trail-operator) arguments+=(%q) ;;
    --version) shift ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
exec %q "${arguments[@]}"
`, testbed.File("charts", "trail-operator"), tool("helm")))

	w.program("curl", fmt.Sprintf(`
for last; do :; done
cp %q"/${last#https://raw.githubusercontent.com/trail-operator/trail-operator/v*/}" .
`, testbed.File()))

	// There are no nodes and no controllers, so nothing is ever rolled out, and no namespace is ever gone. The files of a
	// release are those in downloads.
	w.program("kubectl", fmt.Sprintf(`
case " $* " in
  *" rollout status "*) exit 0 ;;
  *" delete "*" -"[fk]" "*) set -- "$@" --wait=false ;;
esac
published=%q downloads=%q
exec %q "${@/#$published/$downloads}"
`, published, w.downloads(), lookPath("kubectl")))
}

// published is where the files of the releases are, by version and name.
const published = "https://github.com/trail-operator/trail-operator/releases/download/"

// downloads is where the reader gets them instead.
func (w *world) downloads() string {
	return filepath.Join(w.programs, "releases") + string(filepath.Separator)
}

// installAWSCLI gives the reader the AWS CLI.
func (w *world) installAWSCLI(ctx context.Context) {
	GinkgoHelper()
	if _, err := exec.LookPath("aws"); err != nil {
		Skip("needs the AWS CLI, Debian's package awscli")
	}
	w.program("aws", fmt.Sprintf(`
case $1 in
  sts | cloudtrail | s3) ;;
  *) export AWS_ENDPOINT_URL=%q ;;
esac
exec %q "$@"
`, testbed.Serve(ctx, &w.others), lookPath("aws")))
}

// tool returns the path of a tool that make builds.
func tool(name string) string {
	GinkgoHelper()
	path := testbed.File("bin", name)
	Expect(path).To(BeAnExistingFile(), "make bin/%s builds it", name)
	return path
}

// lookPath finds a program of the machine, or the kubectl that came with the API server.
func lookPath(name string) string {
	GinkgoHelper()
	if path, err := exec.LookPath(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), name)); err == nil {
		return path
	}
	path, err := exec.LookPath(name)
	Expect(err).NotTo(HaveOccurred())
	return path
}

// run runs a block of a document, and returns what it writes.
func (w *world) run(ctx context.Context, block string) string {
	GinkgoHelper()
	output, err := w.try(ctx, block)
	Expect(err).NotTo(HaveOccurred(), "%s\n%s", block, output)
	return output
}

// try runs a block of a document that may fail, and returns what it writes.
func (w *world) try(ctx context.Context, block string) (string, error) {
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", w.variables+block)
	shell.Dir = w.folder
	shell.Env = append(os.Environ(),
		"PATH="+w.programs+string(os.PathListSeparator)+os.Getenv("PATH"), "KUBECONFIG="+w.kubeconfig,
		"KUBECACHEDIR="+w.programs, // What another cluster at the same port has served is not to be believed.
		"HELM_CACHE_HOME="+w.programs, "HELM_CONFIG_HOME="+w.programs, "HELM_DATA_HOME="+w.programs,
		"AWS_ENDPOINT_URL="+w.awsURL, "AWS_ACCESS_KEY_ID=reader", "AWS_SECRET_ACCESS_KEY=reader", "AWS_PAGER=",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
	output, err := shell.CombinedOutput()
	return string(output), err
}

// pod returns what the installed Deployment says of the operator's pods.
func (w *world) pod(ctx context.Context) corev1.PodSpec {
	GinkgoHelper()
	deployment := &appsv1.Deployment{}
	Expect(w.Get(ctx, installed, deployment)).To(Succeed())
	return deployment.Spec.Template.Spec
}

// startOperator runs the operator that is installed, with its arguments, its environment and its rights, until stop is
// called or the spec ends.
func (w *world) startOperator(ctx context.Context) (stop func()) {
	GinkgoHelper()
	pod := w.pod(ctx)
	token, err := sandbox.CreateToken(ctx, w, namespace, pod.ServiceAccountName)
	Expect(err).NotTo(HaveOccurred())
	kubeconfig := filepath.Join(w.programs, "operator")
	Expect(sandbox.WriteKubeconfig(kubeconfig, w.config, token)).To(Succeed())

	// The ports of a pod may be taken on this machine, and nobody waits for five minutes here.
	arguments := slices.Concat(pod.Containers[0].Args, []string{
		"--metrics-bind-address=" + testbed.FreeAddress(ctx), "--health-probe-bind-address=" + testbed.FreeAddress(ctx),
		"--leader-election-namespace=" + namespace, "--resync-interval=1s",
	})
	operator := exec.Command(filepath.Join(w.programs, "trail-operator"), arguments...)
	operator.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "AWS_ENDPOINT_URL="+w.awsURL,
		"AWS_REGION="+regionOfNodes, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
	for _, variable := range pod.Containers[0].Env {
		operator.Env = append(operator.Env, variable.Name+"="+variable.Value)
	}
	operator.Stdout, operator.Stderr = GinkgoWriter, GinkgoWriter
	operator.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	Expect(operator.Start()).To(Succeed())
	stop = sync.OnceFunc(func() {
		Expect(operator.Process.Signal(syscall.SIGTERM)).To(Succeed(), "it runs until it is told to stop")
		_ = operator.Wait() //nolint:errcheck // However it ends, it has ended.
	})
	DeferCleanup(stop)
	return stop
}

// skipIfShort skips a spec that starts a control plane.
func skipIfShort() {
	if testing.Short() {
		Skip("takes a minute")
	}
}

var _ = Describe("docs/quickstart.md", func() {
	It("leads from nothing to a trail, an intruder who is named, and back", func(ctx context.Context) {
		skipIfShort()
		document := readDocument("quickstart.md")
		w := newWorld(ctx)
		w.installAWSCLI(ctx)
		w.startCluster()
		w.install()

		outputs := map[string]string{}
		all := inLanguage(document, "sh")
		w.variables = all[0]
		for _, block := range all[1:] {
			name := strings.Join(strings.Fields(block)[:3], " ")
			By(name)
			if name == "kubectl wait ctrail/audit" {
				Expect(w.aws.DeliverHours(trailARN, 1)).To(Succeed())
			}
			outputs[name] = w.run(ctx, w.during(ctx, block))
		}

		var policy struct{ Statement []map[string]any }
		content, err := os.ReadFile(filepath.Join(w.folder, "bucket-policy.json"))
		Expect(err).NotTo(HaveOccurred())
		Expect(json.Unmarshal(content, &policy)).To(Succeed())
		Expect(policy.Statement).To(HaveLen(2))
		Expect(string(content)).To(ContainSubstring(trailARN))
		template, err := os.ReadFile(filepath.Join(root, "config", "aws", "quickstart.yaml"))
		Expect(err).NotTo(HaveOccurred())
		Expect(w.others.parameter("cloudformation CreateStack TemplateBody")).To(Equal(string(template)))
		Expect(w.others.parameter("s3 PUT /audit-logs-" + account + "?policy")).To(MatchJSON(content))
		Expect(w.others.parameter("iam CreateRole AssumeRolePolicyDocument")).To(And(
			ContainSubstring("arn:aws:eks:"+region+":"+account+":cluster/example"), ContainSubstring("pods.eks.amazonaws.com"),
		))
		Expect(w.others.parameter("iam PutRolePolicy PolicyDocument")).To(ContainSubstring("cloudtrail:CreateTrail"))
		Expect(w.others.parameter("eks POST /clusters/example/pod-identity-associations")).To(
			ContainSubstring("arn:aws:iam::" + account + ":role/trail-operator"))

		shown := inLanguage(document, "text")
		Expect(shown).To(HaveLen(1))
		Expect(table(outputs["kubectl apply -f"])).To(Equal(table(shown[0])))
		Expect(outputs).To(HaveKeyWithValue("kubectl wait ctrail/audit",
			ContainSubstring("AWSLogs/"+account+"/CloudTrail/"+region+"/")))
		Expect(outputs).To(HaveKeyWithValue("kubectl annotate ctrail", And(
			ContainSubstring("actor: "+reader), ContainSubstring("eventName: StopLogging"), HaveSuffix("true\n"),
		)))
		Expect(w.aws.Trails()).To(BeEmpty(), "the trail is deleted with its object")
	}, SpecTimeout(10*time.Minute))
})

// table returns the last two lines of what kubectl prints, without the age and the space between the columns.
func table(output string) []string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	var found []string
	for _, line := range lines[max(0, len(lines)-2):] {
		columns := strings.Fields(line)
		found = append(found, strings.Join(columns[:len(columns)-1], " "))
	}
	return found
}

// during returns a block. The operator runs as soon as the chart is installed, on no node, but in this test.
func (w *world) during(ctx context.Context, block string) string {
	GinkgoHelper()
	before, after, installs := strings.Cut(block, "\nkubectl --namespace trail-operator-system rollout status")
	if !installs {
		return block
	}
	w.run(ctx, before)
	w.startOperator(ctx)
	return "kubectl --namespace trail-operator-system rollout status" + after
}
