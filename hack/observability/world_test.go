package observability_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/sandbox"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

const (
	systemNamespace = "trail-operator-system"
	hub             = "111122223333"
	member          = "444455556666"
	eve             = "arn:aws:iam::111122223333:user/eve"
)

var ctx = context.Background()

// world is a cluster, an AWS and the built operator's binary.
type world struct {
	client.Client
	config *rest.Config
	aws    *cloudtrailtest.Server
	awsURL string
	binary string
	folder string
	// ahead is how far the emulator's clock is from the wall clock.
	ahead atomic.Int64
}

func newWorld() *world {
	GinkgoHelper()
	if testing.Short() {
		Skip("takes a minute or two")
	}
	w := &world{folder: GinkgoT().TempDir()}
	var err error
	w.config = testbed.Start()
	w.Client, err = client.New(w.config, client.Options{Scheme: testbed.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	w.createFiles(
		"config/default/namespace.yaml",
		"config/rbac/service_account.yaml",
		"config/rbac/role.yaml",
		"config/rbac/role_binding.yaml",
		"config/rbac/leader_election_role.yaml",
		"config/rbac/leader_election_role_binding.yaml",
		"config/rbac/metrics_reader_role.yaml",
		"config/identity/default.yaml",
	)

	w.aws = cloudtrailtest.New(cloudtrailtest.Options{
		OpenResources: true, NoTrailLimit: true, NoRateLimit: true, NoCallLog: true,
		Now: func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
	})
	w.awsURL = testbed.Serve(ctx, w.aws)

	w.binary = filepath.Join(w.folder, "trail-operator")
	build := exec.Command("go", "build", "-ldflags", "-X main.version=v1.2.3-test", "-o", w.binary, ".")
	build.Dir = root
	output, err := build.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))
	return w
}

// createFiles creates the objects of YAML files of the repository.
func (w *world) createFiles(paths ...string) {
	GinkgoHelper()
	for _, path := range paths {
		objects, err := sandbox.Objects(readFile(path))
		Expect(err).NotTo(HaveOccurred(), path)
		for _, object := range objects {
			Expect(w.Create(ctx, object)).To(Succeed(), path)
		}
	}
}

// token returns a token of a ServiceAccount, which is created if it is not there.
func (w *world) token(namespace, name string) string {
	GinkgoHelper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := w.Create(ctx, account); !apierrors.IsAlreadyExists(err) {
		Expect(err).NotTo(HaveOccurred())
	}
	token, err := sandbox.CreateToken(ctx, w, namespace, name)
	Expect(err).NotTo(HaveOccurred())
	return token
}

// letRead lets a ServiceAccount read the metrics, as the documentation says.
func (w *world) letRead(namespace, name string) {
	GinkgoHelper()
	Expect(w.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-reads-metrics"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "trail-operator-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
	})).To(Succeed())
}

// kubeconfig writes a kubeconfig of the operator's ServiceAccount, so that it runs with its own rights and no others.
func (w *world) kubeconfig() string {
	GinkgoHelper()
	path := filepath.Join(w.folder, "kubeconfig")
	Expect(sandbox.WriteKubeconfig(path, w.config, w.token(systemNamespace, "trail-operator"))).To(Succeed())
	return path
}

// shell runs a command of the documents as an administrator of the cluster, and returns what it writes.
func (w *world) shell(command string, variables ...string) string {
	GinkgoHelper()
	administrator := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "administrator"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "administrator"}},
	}
	Expect(client.IgnoreAlreadyExists(w.Create(ctx, administrator))).To(Succeed())
	kubeconfig := filepath.Join(w.folder, "administrator")
	Expect(sandbox.WriteKubeconfig(kubeconfig, w.config, w.token("default", "administrator"))).To(Succeed())

	shell := exec.Command("bash", "-euc", command)
	shell.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig,
		"PATH="+os.Getenv("KUBEBUILDER_ASSETS")+string(os.PathListSeparator)+os.Getenv("PATH"))
	shell.Env = append(shell.Env, variables...)
	output, err := shell.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s:\n%s", command, output)
	return string(output)
}

// process is a program that runs.
type process struct {
	command *exec.Cmd
	ended   chan struct{}

	mu   sync.Mutex
	said []string
}

// start starts a program and keeps the lines that it writes. It is stopped at the end of the test, if not before.
func start(command *exec.Cmd) *process {
	GinkgoHelper()
	p := &process{command: command, ended: make(chan struct{})}
	reader, writer := io.Pipe()
	command.Stdout, command.Stderr = writer, writer
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	Expect(command.Start()).To(Succeed())
	go func() {
		lines := bufio.NewScanner(reader)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			p.mu.Lock()
			p.said = append(p.said, lines.Text())
			p.mu.Unlock()
		}
	}()
	go func() {
		_ = command.Wait() //nolint:errcheck // However it ends, it has ended.
		_ = writer.Close() //nolint:errcheck // A pipe's never fails.
		close(p.ended)
	}()
	DeferCleanup(func() {
		p.stop()
		if CurrentSpecReport().Failed() {
			GinkgoWriter.Printf(
				"--- the last lines of %s:\n%s\n",
				command.Path,
				strings.Join(p.lines()[max(0, len(p.lines())-40):], "\n"),
			)
		}
	})
	return p
}

// stop ends the program as Kubernetes does.
func (p *process) stop() {
	GinkgoHelper()
	select {
	case <-p.ended:
	default:
		Expect(p.command.Process.Signal(syscall.SIGTERM)).To(Or(Succeed(), MatchError(os.ErrProcessDone)))
	}
	Eventually(p.ended, "30s").Should(BeClosed())
}

// lines are what the program has written so far.
func (p *process) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.said...)
}

// operator is a replica of the operator.
type operator struct {
	*process
	metrics, probes string
}

// run starts a replica of the operator.
func (w *world) run(arguments ...string) *operator {
	GinkgoHelper()
	o := &operator{metrics: testbed.FreeAddress(ctx), probes: testbed.FreeAddress(ctx)}
	arguments = append([]string{
		"--metrics-bind-address=" + o.metrics, "--health-probe-bind-address=" + o.probes,
		"--leader-election-namespace=" + systemNamespace, "--cluster-id=test",
	}, arguments...)
	command := exec.Command(w.binary, arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+w.kubeconfig(), "AWS_ENDPOINT_URL="+w.awsURL, "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true")
	o.process = start(command)
	return o
}

// prometheus is a Prometheus that scrapes operators.
type prometheus struct {
	*process
	url string
}

// startPrometheus starts a Prometheus that scrapes the operators with a token and evaluates the rules, everything once
// a second. What an alert waits for is cut to seconds; nothing else of it is changed.
func startPrometheus(token, wait string, operators ...*operator) *prometheus {
	GinkgoHelper()
	binary := prometheusTool("prometheus")
	folder := GinkgoT().TempDir()
	write := func(name, text string) {
		Expect(os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600)).To(Succeed())
	}
	readRules().write(filepath.Join(folder, "rules.yaml"), wait)
	write("token", token)
	var targets []string
	for _, o := range operators {
		targets = append(targets, `"`+o.metrics+`"`)
	}
	// What config/prometheus/monitor.yaml makes the Prometheus operator write.
	write("prometheus.yaml", `
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: trail-operator
    scheme: https
    honor_labels: true
    authorization: {credentials_file: token}
    tls_config: {insecure_skip_verify: true}
    static_configs: [{targets: [`+strings.Join(targets, ", ")+`]}]
`)
	address := testbed.FreeAddress(ctx)
	command := exec.Command(
		binary,
		"--config.file=prometheus.yaml",
		"--storage.tsdb.path=data",
		"--web.listen-address="+address,
		"--log.level=warn",
	)
	command.Dir = folder
	p := &prometheus{process: start(command), url: "http://" + address}
	Eventually(func() error { _, err := p.get("/api/v1/rules", nil); return err }, "30s").Should(Succeed())
	return p
}

// sample is a series and its values.
type sample struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
	Values [][2]any          `json:"values"`
}

// get asks Prometheus's API.
func (p *prometheus) get(path string, parameters url.Values) (json.RawMessage, error) {
	response, err := http.Get(p.url + path + "?" + parameters.Encode())
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // It was read.
	var answer struct {
		Error string          `json:"error"`
		Data  json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%s: %s", parameters.Get("query"), answer.Error)
	}
	return answer.Data, nil
}

// query asks for an expression's value now.
func (p *prometheus) query(expression string) ([]sample, error) {
	return p.samples("/api/v1/query", url.Values{"query": {expression}})
}

// history asks for an expression's values in the last minutes.
func (p *prometheus) history(expression string) ([]sample, error) {
	now := time.Now()
	return p.samples("/api/v1/query_range", url.Values{
		"query": {expression}, "step": {"1"},
		"start": {fmt.Sprint(now.Add(-10 * time.Minute).Unix())}, "end": {fmt.Sprint(now.Unix())},
	})
}

func (p *prometheus) samples(path string, parameters url.Values) ([]sample, error) {
	data, err := p.get(path, parameters)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Result []sample `json:"result"`
	}
	err = json.Unmarshal(data, &answer)
	return answer.Result, err
}

// alert is an alert that is pending or firing.
type alert struct {
	State       string            `json:"state"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// alerts returns what is pending or firing.
func (p *prometheus) alerts() ([]alert, error) {
	data, err := p.get("/api/v1/alerts", nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Alerts []alert `json:"alerts"`
	}
	err = json.Unmarshal(data, &answer)
	return answer.Alerts, err
}

// firing returns the firing alerts of a name, each as NAMESPACE/NAME or what else it is about, with its description.
func (p *prometheus) firing(name string) (map[string]string, error) {
	all, err := p.alerts()
	found := map[string]string{}
	for _, a := range all {
		if a.State == "firing" && a.Labels["alertname"] == name {
			about := strings.TrimPrefix(a.Labels["namespace"]+"/"+a.Labels["name"], "/")
			if about == "" {
				about = strings.TrimSpace(
					strings.Join([]string{a.Labels["controller"], a.Labels["region"], a.Labels["operation"]}, " "),
				)
			}
			found[about] = a.Annotations["description"]
		}
	}
	return found, err
}

// page gets a page, with a token unless it is "", and returns its status and text.
func page(address, token string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := insecure.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close() //nolint:errcheck // It was read.
	var text bytes.Buffer
	_, err = text.ReadFrom(response.Body)
	return response.StatusCode, text.String(), err
}
