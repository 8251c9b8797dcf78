package report_test

import (
	"context"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/compliance"
	"github.com/trail-operator/trail-operator/controllers/report"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/sandbox"
	"github.com/trail-operator/trail-operator/hack/testbed"
	"github.com/trail-operator/trail-operator/hack/testbed/clock"
)

const (
	// soon is how long anything may take that happens in the background.
	soon = 30 * time.Second
	// interval is how often the API server is asked whether it serves reports, and settle how long a change rests.
	interval, settle = 300 * time.Millisecond, 50 * time.Millisecond
)

// opening is when a spec begins.
var opening = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

var restConfig *rest.Config

func TestReport(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Report controller")
}

var _ = BeforeSuite(func() {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter)))
	restConfig = testbed.Start()
})

// api is one of the two APIs of reports, with its CRDs.
type api struct {
	format                    report.Format
	version                   schema.GroupVersion
	kind, clusterKind, plural string
	module, folder            string
}

var openReports = api{
	format:  report.OpenReports,
	version: schema.GroupVersion{Group: "openreports.io", Version: "v1alpha1"},
	kind:    "Report", clusterKind: "ClusterReport", plural: "reports",
	module: sandbox.OpenReports, folder: filepath.Join("config", "crd"),
}

var wgPolicy = api{
	format:  report.WGPolicy,
	version: schema.GroupVersion{Group: "wgpolicyk8s.io", Version: "v1alpha2"},
	kind:    "PolicyReport", clusterKind: "ClusterPolicyReport", plural: "policyreports",
	module: sandbox.Kyverno, folder: filepath.Join("config", "crds", "policyreport"),
}

// install gives the API server the CRDs of an API.
func (a api) install(ctx context.Context) {
	GinkgoHelper()
	Expect(sandbox.InstallCRDs(ctx, restConfig, a.module, a.folder)).To(Succeed())
}

// uninstall takes them away.
func (a api) uninstall(ctx context.Context, c client.Client) {
	GinkgoHelper()
	for _, plural := range []string{a.plural, "cluster" + a.plural} {
		crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: plural + "." + a.version.Group}}
		Expect(client.IgnoreNotFound(c.Delete(ctx, crd))).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(crd), crd))
		}).WithTimeout(soon).Should(BeTrue(), "the API server removes %s", plural)
	}
}

// world is a world in which reports are written.
type world struct {
	*testbed.World
	api   api
	meter meter
	logs  logs
	sent  requests
	// config is that of the manager.
	config *rest.Config
}

// newWorld returns a world of an API. The CRDs of the API are installed when the spec says so.
func newWorld(ctx context.Context, a api) *world {
	GinkgoHelper()
	w := &world{api: a}
	config := rest.CopyConfig(restConfig)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &recording{next, &w.sent} })
	w.config = config
	w.World = testbed.NewWorld(ctx, config, testbed.WorldOptions{
		AWS: cloudtrailtest.Options{OpenResources: true}, Clock: clock.New(opening),
	})
	return w
}

// start starts a manager that writes reports by a profile, with the rights of a user; none: with all.
func (w *world) start(ctx context.Context, profile string, user ...string) {
	GinkgoHelper()
	for _, name := range user {
		w.config.Impersonate.UserName = name
	}
	options := w.ManagerOptions()
	options.Logger = logr.New(funcr.New(w.logs.add, funcr.Options{}).GetSink())
	w.StartManager(ctx, options, func(manager ctrl.Manager) {
		judged, err := compliance.ProfileNamed(profile)
		Expect(err).NotTo(HaveOccurred())
		reports, err := report.New(report.Options{
			Format: w.api.format, Profile: judged, Accounts: true, Namespaces: []string{w.Namespace},
			Recorder: w.Events, Meter: &w.meter, Interval: interval, Settle: settle, Now: w.Clock.Now,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(reports.SetupWithManager(manager)).To(Succeed())
	})
}

// createTrail creates a Trail that the operator has processed, and AWS holds as its spec says.
func (w *world) createTrail(ctx context.Context, name string, edit func(*v1alpha1.Trail)) *v1alpha1.Trail {
	GinkgoHelper()
	trail := &v1alpha1.Trail{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name},
		Spec: v1alpha1.TrailSpec{
			S3BucketName: "trail-logs", IsMultiRegionTrail: new(true), EnableLogFileValidation: new(true),
			DeletionPolicy: v1alpha1.DeletionPolicyRetain,
		},
	}
	if edit != nil {
		edit(trail)
	}
	Expect(w.Client.Create(ctx, trail)).To(Succeed())
	w.process(ctx, trail)
	return trail
}

// process is what the operator does to the status of a Trail when AWS holds what the spec says.
func (w *world) process(ctx context.Context, trail *v1alpha1.Trail) {
	GinkgoHelper()
	now := metav1.NewTime(w.Clock.Now())
	status := &trail.Status
	status.ObservedGeneration = trail.Generation
	status.TrailARN = "arn:aws:cloudtrail:us-east-1:111122223333:trail/" + trail.Name
	status.AccountID, status.HomeRegion = testbed.Account, testbed.Region
	status.IsLogging = new(true)
	status.LatestDeliveryTime, status.LatestDigestDeliveryTime = &now, &now
	status.Conditions = nil
	for _, is := range []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionSynced, v1alpha1.ConditionLogging, v1alpha1.ConditionDelivering,
	} {
		status.Conditions = append(status.Conditions, metav1.Condition{
			Type: is, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAvailable,
			ObservedGeneration: trail.Generation, LastTransitionTime: now,
		})
	}
	Expect(w.Client.Status().Update(ctx, trail)).To(Succeed())
}

// edit changes the spec of a Trail, and processes it.
func (w *world) edit(ctx context.Context, trail *v1alpha1.Trail, change func(*v1alpha1.TrailSpec)) {
	GinkgoHelper()
	change(&trail.Spec)
	Expect(w.Client.Update(ctx, trail)).To(Succeed())
	w.process(ctx, trail)
}

// clusterReport returns the report about something without a namespace; nil if there is none.
func (w *world) clusterReport(ctx context.Context, name string) *unstructured.Unstructured {
	GinkgoHelper()
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(w.api.version.WithKind(w.api.clusterKind))
	err := w.Client.Get(ctx, client.ObjectKey{Name: name}, found)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return found
}

// withoutReports returns a user who may read what is judged, and no reports.
func withoutReports(ctx context.Context, c client.Client) string {
	GinkgoHelper()
	const user = "without-reports"
	meta := metav1.ObjectMeta{Name: user}
	role := &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"*"}, Verbs: []string{"list", "watch"},
	}}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	Expect(client.IgnoreAlreadyExists(c.Create(ctx, role))).To(Succeed())
	Expect(client.IgnoreAlreadyExists(c.Create(ctx, binding))).To(Succeed())
	return user
}

// report returns the report of that name as the API server has it; nil if there is none.
func (w *world) report(ctx context.Context, name string) *unstructured.Unstructured {
	GinkgoHelper()
	found := w.emptyReport(name)
	err := w.Client.Get(ctx, client.ObjectKeyFromObject(found), found)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return found
}

func (w *world) emptyReport(name string) *unstructured.Unstructured {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(w.api.version.WithKind(w.api.kind))
	found.SetNamespace(w.Namespace)
	found.SetName(name)
	return found
}

// eventually returns the report of that name when there is one.
func (w *world) eventually(ctx context.Context, name string) *unstructured.Unstructured {
	GinkgoHelper()
	var found *unstructured.Unstructured
	Eventually(func() *unstructured.Unstructured {
		found = w.report(ctx, name)
		return found
	}).WithTimeout(soon).ShouldNot(BeNil(), "%s %s is written", w.api.kind, name)
	return found
}

// result returns the result of a control in a report.
func result(report *unstructured.Unstructured, control string) map[string]any {
	GinkgoHelper()
	for _, one := range resultsOf(report) {
		id, _, err := unstructured.NestedString(fieldsOf(one), "properties", "control")
		Expect(err).NotTo(HaveOccurred())
		if id == control {
			return fieldsOf(one)
		}
	}
	return nil
}

func resultsOf(report *unstructured.Unstructured) []any {
	GinkgoHelper()
	results, _, err := unstructured.NestedSlice(report.Object, "results")
	Expect(err).NotTo(HaveOccurred())
	return results
}

func fieldsOf(result any) map[string]any {
	GinkgoHelper()
	fields, isMap := result.(map[string]any)
	Expect(isMap).To(BeTrue())
	return fields
}

// meter counts what is written.
type meter struct {
	mu     sync.Mutex
	served map[string]bool
	writes map[string]int
}

func (m *meter) ReportsServed(kind string, served bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.served == nil {
		m.served = map[string]bool{}
	}
	m.served[kind] = served
}

func (m *meter) ReportWritten(kind, verb string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.writes == nil {
		m.writes = map[string]int{}
	}
	m.writes[kind+" "+verb]++
}

func (m *meter) is(kind string) func() *bool {
	return func() *bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		if served, told := m.served[kind]; told {
			return &served
		}
		return nil
	}
}

func (m *meter) written() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.writes)
}

// logs are the lines of a manager's log.
type logs struct {
	mu    sync.Mutex
	lines []string
}

func (l *logs) add(prefix, arguments string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, prefix+" "+arguments)
	GinkgoWriter.Println(prefix, arguments)
}

// about returns the lines with a text.
func (l *logs) about(text string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// requests are those that were sent to the API server, METHOD PATH.
type requests struct {
	mu   sync.Mutex
	sent []string
}

// to returns the requests to a path, and what is below it.
func (r *requests) to(path string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []string
	for _, request := range r.sent {
		if _, sent, _ := strings.Cut(request, " "); strings.HasPrefix(sent, path) {
			found = append(found, request)
		}
	}
	return found
}

type recording struct {
	next http.RoundTripper
	to   *requests
}

func (r *recording) RoundTrip(request *http.Request) (*http.Response, error) {
	r.to.mu.Lock()
	r.to.sent = append(r.to.sent, request.Method+" "+request.URL.Path)
	r.to.mu.Unlock()
	return r.next.RoundTrip(request)
}
