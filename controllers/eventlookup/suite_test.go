package eventlookup_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/eventlookup"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

const (
	account = "111122223333"
	region  = "us-east-1"
	// silentRegion is one that does not answer where a test says so.
	silentRegion = "eu-west-1"
	// patient is how long a reconcile waits for an answer of AWS where a test makes one at a time.
	patient = time.Minute
)

var (
	restConfig *rest.Config
	scheme     *runtime.Scheme
)

func TestEventLookup(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "EventLookup controller")
}

var _ = BeforeSuite(func() {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter)))
	restConfig, scheme = testbed.Start(), testbed.Scheme()
})

// world is an AWS with a history, a namespace, an identity of the same name, and a controller that works when the test
// says so.
type world struct {
	aws       *cloudtrailtest.Server
	config    aws.Config
	client    client.Client
	namespace string
	events    *events.FakeRecorder
	// now is the clock of the controller and of AWS.
	now time.Time
	// elapsed is how long time has passed by itself; nil: it does not.
	elapsed func() time.Duration
	// silent counts the calls to the silent region.
	silent atomic.Int32
	limits cloudtrail.RateLimitMode
	// maxWait is how long a reconcile waits for an answer of AWS; 0: as long as in the operator.
	maxWait    time.Duration
	sessions   *cloudtrail.Sessions
	reconciler *eventlookup.Reconciler
}

func newWorld(ctx context.Context, options cloudtrailtest.Options) *world {
	GinkgoHelper()
	w := &world{now: time.Now().Truncate(time.Second), events: events.NewFakeRecorder(1000), maxWait: patient}
	options.OpenResources, options.NoTrailLimit, options.Now = true, true, w.clock
	w.aws = cloudtrailtest.New(options)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Authorization"), "/"+silentRegion+"/") {
			w.silent.Add(1)
		}
		w.aws.ServeHTTP(rw, r)
	}))
	DeferCleanup(server.Close)
	DeferCleanup(server.CloseClientConnections) // Some calls are never answered.
	httpClient := cloudtrailtest.NewHTTPClient()
	DeferCleanup(httpClient.CloseIdleConnections)
	w.config = aws.Config{
		Region:       region,
		BaseEndpoint: aws.String(server.URL),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:   httpClient,
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
	var err error
	w.client, err = client.New(restConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	w.namespace = w.newNamespace(ctx)
	identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	identity.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}
	Expect(w.client.Create(ctx, identity)).To(Succeed())
	w.restart(cloudtrail.RateLimitOff)
	return w
}

// newNamespace creates a namespace and returns its name.
func (w *world) newNamespace(ctx context.Context) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	Expect(w.client.Create(ctx, namespace)).To(Succeed())
	return namespace.Name
}

// clock tells the controller and AWS the time.
func (w *world) clock() time.Time {
	if w.elapsed == nil {
		return w.now
	}
	return w.now.Add(w.elapsed())
}

// restart starts the controller anew: what it had in memory is lost.
func (w *world) restart(limits cloudtrail.RateLimitMode) {
	GinkgoHelper()
	w.limits = limits
	w.sessions = cloudtrail.NewSessions(cloudtrail.Options{
		Config: w.config, ClusterID: "test", Version: "test", RateLimits: limits, Now: w.clock, MaxWait: w.maxWait,
	})
	var err error
	w.reconciler, err = eventlookup.New(eventlookup.Options{
		Client: w.client, Recorder: w.events, Sessions: w.sessions, Now: w.clock,
	})
	Expect(err).NotTo(HaveOccurred())
}

// ask creates a lookup in the world's namespace.
func (w *world) ask(ctx context.Context, spec v1alpha1.EventLookupSpec) *v1alpha1.EventLookup {
	GinkgoHelper()
	return w.askIn(ctx, w.namespace, spec)
}

// askIn creates a lookup in a namespace.
func (w *world) askIn(ctx context.Context, namespace string, spec v1alpha1.EventLookupSpec) *v1alpha1.EventLookup {
	GinkgoHelper()
	if spec.IdentityRef == nil {
		spec.IdentityRef = &v1alpha1.IdentityReference{Name: w.namespace}
	}
	lookup := &v1alpha1.EventLookup{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "lookup-"},
		Spec:       spec,
	}
	Expect(w.client.Create(ctx, lookup)).To(Succeed())
	testbed.ExpectKstatus(lookup, status.InProgressStatus)
	return lookup
}

// run makes the controller look at a lookup once, and returns it as it is then.
func (w *world) run(
	ctx context.Context,
	lookup *v1alpha1.EventLookup,
) (*v1alpha1.EventLookup, reconcile.Result, error) {
	GinkgoHelper()
	request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(lookup)}
	result, err := reconcile.AsReconciler(w.client, w.reconciler).Reconcile(ctx, request)
	return w.get(ctx, lookup), result, err
}

// answer asks and runs, which must succeed.
func (w *world) answer(ctx context.Context, spec v1alpha1.EventLookupSpec) v1alpha1.EventLookupStatus {
	GinkgoHelper()
	lookup, result, err := w.run(ctx, w.ask(ctx, spec))
	Expect(err).NotTo(HaveOccurred())
	Expect(result.RequeueAfter).To(BeZero())
	expectComplete(lookup)
	return lookup.Status
}

func (w *world) get(ctx context.Context, lookup *v1alpha1.EventLookup) *v1alpha1.EventLookup {
	GinkgoHelper()
	found := &v1alpha1.EventLookup{}
	Expect(w.client.Get(ctx, client.ObjectKeyFromObject(lookup), found)).To(Succeed())
	return found
}

// user is somebody who works on trails.
func (w *world) user(name string) cloudtrailtest.ActingAs {
	return w.aws.As(cloudtrailtest.Actor{
		ARN:             fmt.Sprintf("arn:aws:iam::%s:user/%s", account, name),
		SourceIPAddress: "198.51.100.7",
		UserAgent:       "aws-cli/2.15.0",
		AccessKeyID:     "AKIA" + name,
	})
}

// do makes a call in the history, a second after the last one.
func (w *world) do(actor cloudtrailtest.ActingAs, operation string, params map[string]any) {
	GinkgoHelper()
	w.now = w.now.Add(time.Second)
	_, err := actor.Do(region, operation, params)
	Expect(err).NotTo(HaveOccurred())
}

func expectComplete(lookup *v1alpha1.EventLookup) {
	GinkgoHelper()
	Expect(lookup.Status.ObservedGeneration).To(Equal(lookup.Generation))
	Expect(lookup.Status.CompletionTime).NotTo(BeNil())
	Expect(conditions(lookup)).
		To(Equal(map[string]metav1.ConditionStatus{"Complete": "True"}), "%+v", lookup.Status.Conditions)
	Expect(*lookup.Status.EventCount).To(BeEquivalentTo(len(lookup.Status.Events)))
	testbed.ExpectKstatus(lookup, status.CurrentStatus)
}

// conditions are the conditions of a lookup by type.
func conditions(lookup *v1alpha1.EventLookup) map[string]metav1.ConditionStatus {
	found := map[string]metav1.ConditionStatus{}
	for _, condition := range lookup.Status.Conditions {
		found[condition.Type] = condition.Status
	}
	return found
}

// complete is the condition that tells in one line what became of a lookup.
func complete(lookup *v1alpha1.EventLookup) metav1.Condition {
	GinkgoHelper()
	condition := meta.FindStatusCondition(lookup.Status.Conditions, v1alpha1.ConditionComplete)
	Expect(condition).NotTo(BeNil())
	return *condition
}
