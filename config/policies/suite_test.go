// Package policies_test holds the ValidatingAdmissionPolicies of this folder, as kustomize and as the chart render
// them, at a real API server.
package policies_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/trail-operator/trail-operator/hack/sandbox"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

// Users of the cluster. RBAC lets all of them write Trails, LogFileValidations and AWSIdentities.
const (
	// editor edits namespaces.
	editor = "editor"
	// officer may override policies in all namespaces.
	officer = "officer"
	// argocd may do everything, as Argo CD may by default.
	argocd = "system:serviceaccount:argocd:argocd-application-controller"
	// namespaceController and collector delete for others.
	namespaceController = "system:serviceaccount:kube-system:namespace-controller"
	collector           = "system:serviceaccount:kube-system:generic-garbage-collector"
	// operator is the one of config and of the chart's release.
	operator = "system:serviceaccount:trail-operator-system:trail-operator"
)

// exemptGroup is the one of config/policies/example.
const exemptGroup = "security-administrators"

// auditPolicy has the API server note who asked for which of our objects.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    resources: [{group: trail-operator.dev}]
  - level: None
`

var (
	config *rest.Config
	// admin is of the group system:masters.
	admin    client.Client
	auditLog string
)

func TestPolicies(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Policies")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	folder := GinkgoT().TempDir()
	auditLog = filepath.Join(folder, "audit.log")
	policy := filepath.Join(folder, "audit-policy.yaml")
	Expect(os.WriteFile(policy, []byte(auditPolicy), 0o600)).To(Succeed())

	environment := sandbox.ControlPlane(testbed.File())
	environment.ControlPlane.GetAPIServer().Configure().
		Append("audit-policy-file", policy).
		Append("audit-log-path", auditLog).
		Append("audit-log-mode", "blocking")
	var err error
	config, err = environment.Start()
	DeferCleanup(func() { Expect(environment.Stop()).To(Succeed(), "stop the control plane") })
	Expect(err).NotTo(HaveOccurred(), "start a control plane from KUBEBUILDER_ASSETS: make test sets it")
	config.QPS = -1

	log.SetLogger(GinkgoLogr)
	admin = as("", nil)
	grant(ctx, "writer", rbacv1.PolicyRule{
		APIGroups: []string{"trail-operator.dev"},
		Resources: []string{"*"},
		Verbs:     []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"},
	}, rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "system:authenticated"})
	everything := rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}
	grant(
		ctx,
		"everything",
		everything,
		serviceAccount(argocd),
		serviceAccount(namespaceController),
		serviceAccount(collector),
	)
	grant(ctx, "officer", rbacv1.PolicyRule{
		APIGroups: []string{"trail-operator.dev"},
		Resources: []string{"trails", "logfilevalidations", "awsidentities"},
		Verbs:     []string{"override-policies"},
	}, rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: officer})
})

func serviceAccount(username string) rbacv1.Subject {
	parts := strings.Split(username, ":")
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: parts[2], Name: parts[3]}
}

// grant creates a ClusterRole, and binds it.
func grant(ctx context.Context, name string, rule rbacv1.PolicyRule, subjects ...rbacv1.Subject) {
	GinkgoHelper()
	meta := metav1.ObjectMeta{Name: name}
	Expect(admin.Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{rule}})).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   subjects,
	})).To(Succeed())
}

// warnings are those of the API server to one client.
type warnings struct {
	mutex sync.Mutex
	texts []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.texts = append(w.texts, text)
}

// drain returns the warnings since it was last called, one a line.
func (w *warnings) drain() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	texts := strings.Join(w.texts, "\n")
	w.texts = nil
	return texts
}

// as returns a client of a user, who is in the groups; "" is an administrator of system:masters.
func as(user string, warned *warnings, groups ...string) client.Client {
	GinkgoHelper()
	own := rest.CopyConfig(config)
	own.WarningHandler = rest.NoWarnings{}
	if warned != nil {
		own.WarningHandler = warned
	}
	if user != "" {
		own.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	}
	options := client.Options{Scheme: testbed.Scheme()}
	if admin != nil {
		options.Mapper = admin.RESTMapper() // One discovery is enough.
	}
	c, err := client.New(own, options)
	Expect(err).NotTo(HaveOccurred())
	return c
}

// createNamespace creates a namespace with labels and returns its name.
func createNamespace(ctx context.Context, labels map[string]string) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels}}
	Expect(admin.Create(ctx, namespace)).To(Succeed())
	return namespace.Name
}

// annotations are what the audit log says of a user's requests under a key.
func annotations(user, key string) []string {
	GinkgoHelper()
	file, err := os.Open(auditLog)
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(file.Close()).To(Succeed()) }()

	var values []string
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event auditv1.Event
		Expect(json.Unmarshal(lines.Bytes(), &event)).To(Succeed())
		by := event.User.Username
		if event.ImpersonatedUser != nil {
			by = event.ImpersonatedUser.Username
		}
		if value, found := event.Annotations[key]; found && by == user {
			values = append(values, value)
		}
	}
	Expect(lines.Err()).NotTo(HaveOccurred())
	return values
}

// run returns what a tool of bin prints.
func run(ctx context.Context, tool string, arguments ...string) []byte {
	GinkgoHelper()
	command := exec.CommandContext(ctx, testbed.File("bin", tool), arguments...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	Expect(err).NotTo(HaveOccurred(), "%s %s: %s (make test builds bin/%s)", tool, arguments, &stderr, tool)
	return output
}

// kustomize returns what kustomize builds from this text, in which FOLDER is config/policies.
func kustomize(ctx context.Context, text string) []*unstructured.Unstructured {
	GinkgoHelper()
	folder := GinkgoT().TempDir()
	folder, err := filepath.EvalSymlinks(folder)
	Expect(err).NotTo(HaveOccurred())
	relative, err := filepath.Rel(folder, testbed.File("config", "policies"))
	Expect(err).NotTo(HaveOccurred())
	text = strings.ReplaceAll(text, "FOLDER", relative)
	Expect(os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(text), 0o600)).To(Succeed())
	return parse(run(ctx, "kustomize", "build", folder))
}

// helm returns what the chart makes of values.
func helm(ctx context.Context, values ...string) []*unstructured.Unstructured {
	GinkgoHelper()
	arguments := []string{
		"template", "trail-operator", testbed.File("charts", "trail-operator"), "--namespace", "trail-operator-system",
		"--show-only", "templates/policies.yaml",
	}
	for _, value := range values {
		arguments = append(arguments, "--set", value)
	}
	return parse(run(ctx, "helm", arguments...))
}

func parse(manifests []byte) []*unstructured.Unstructured {
	GinkgoHelper()
	objects, err := sandbox.Objects(manifests)
	Expect(err).NotTo(HaveOccurred())
	return objects
}
