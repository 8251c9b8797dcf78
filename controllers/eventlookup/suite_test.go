package eventlookup_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/eventlookup"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
	"github.com/trail-operator/trail-operator/hack/testbed/clock"
)

const (
	account = testbed.Account
	region  = testbed.Region
	// silentRegion is one that does not answer where a test says so.
	silentRegion = "eu-west-1"
)

var restConfig *rest.Config

func TestEventLookup(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "EventLookup controller")
}

var _ = BeforeSuite(func() {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter)))
	restConfig = testbed.Start()
})

// world is a world with a controller that works when the test says so, and an identity of the namespace's name. AWS
// goes by the controller's clock.
type world struct {
	*testbed.World
	config aws.Config
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
	w := &world{maxWait: testbed.AnswerTimeout}
	now := clock.New(time.Now().Truncate(time.Second))
	options.OpenResources, options.NoTrailLimit, options.Now = true, true, now.Now
	w.World = testbed.NewWorld(ctx, restConfig, testbed.WorldOptions{
		AWS:   options,
		Clock: now,
		Received: func(r *http.Request) {
			if strings.Contains(r.Header.Get("Authorization"), "/"+silentRegion+"/") {
				w.silent.Add(1)
			}
		},
	})
	httpClient := cloudtrailtest.NewHTTPClient()
	DeferCleanup(httpClient.CloseIdleConnections)
	w.config = w.AWSConfig()
	w.config.HTTPClient, w.config.Retryer = httpClient, func() aws.Retryer { return aws.NopRetryer{} }
	w.CreateIdentity(ctx, w.Namespace, v1alpha1.AWSIdentitySpec{})
	w.restart(cloudtrail.RateLimitOff)
	return w
}

// restart starts the controller anew: what it had in memory is lost.
func (w *world) restart(limits cloudtrail.RateLimitMode) {
	GinkgoHelper()
	w.limits = limits
	w.sessions = w.NewSessions(func(o *cloudtrail.Options) {
		o.Config, o.RateLimits, o.MaxWait = w.config, limits, w.maxWait
	})
	var err error
	w.reconciler, err = eventlookup.New(eventlookup.Options{
		Client: w.Client, Recorder: w.Events, Sessions: w.sessions, Now: w.Clock.Now,
	})
	Expect(err).NotTo(HaveOccurred())
}

// ask creates a lookup in the world's namespace.
func (w *world) ask(ctx context.Context, spec v1alpha1.EventLookupSpec) *v1alpha1.EventLookup {
	GinkgoHelper()
	return w.askIn(ctx, w.Namespace, spec)
}

// askIn creates a lookup in a namespace.
func (w *world) askIn(ctx context.Context, namespace string, spec v1alpha1.EventLookupSpec) *v1alpha1.EventLookup {
	GinkgoHelper()
	if spec.IdentityRef == nil {
		spec.IdentityRef = &v1alpha1.IdentityReference{Name: w.Namespace}
	}
	lookup := &v1alpha1.EventLookup{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "lookup-"},
		Spec:       spec,
	}
	Expect(w.Client.Create(ctx, lookup)).To(Succeed())
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
	result, err := reconcile.AsReconciler(w.Client, w.reconciler).Reconcile(ctx, request)
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
	Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(lookup), found)).To(Succeed())
	return found
}

// user is somebody who works on trails.
func (w *world) user(name string) cloudtrailtest.ActingAs {
	return w.AWS.As(cloudtrailtest.Actor{
		ARN:             fmt.Sprintf("arn:aws:iam::%s:user/%s", account, name),
		SourceIPAddress: "198.51.100.7",
		UserAgent:       "aws-cli/2.15.0",
		AccessKeyID:     "AKIA" + name,
	})
}

// do makes a call in the history, a second after the last one.
func (w *world) do(actor cloudtrailtest.ActingAs, operation string, params map[string]any) {
	GinkgoHelper()
	w.Clock.Add(time.Second)
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
