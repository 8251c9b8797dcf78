package eventqueue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/awsidentity"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/eventqueue"
	"github.com/trail-operator/trail-operator/controllers/trail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

const (
	account = testbed.Account
	region  = testbed.Region
	// interval is long: whatever happens sooner was brought about by an event.
	interval = time.Hour
	// soon is how long anything may take that an event brings about.
	soon = 20 * time.Second
	// eventDelay is how long EventBridge takes.
	eventDelay = 300 * time.Millisecond
)

var restConfig *rest.Config

func TestEventQueue(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Event queue")
}

var _ = BeforeSuite(func() { restConfig = testbed.Start() })

// world is a world with all of the operator that hears of events.
type world struct {
	*testbed.World
	identity    string
	queue, dead cloudtrailtest.Queue
	sessions    *cloudtrail.Sessions
	meter       meter
}

// meter counts what is received.
type meter struct {
	mu    sync.Mutex
	kinds map[eventqueue.Kind]int
	gone  int
}

func (m *meter) EventReceived(_ string, kind eventqueue.Kind) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kinds == nil {
		m.kinds = map[eventqueue.Kind]int{}
	}
	m.kinds[kind]++
}

func (m *meter) EventHeard(string, time.Duration) {}

func (m *meter) NotListening(string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone++
}

// received returns how many messages of a kind were received.
func (m *meter) received(kind eventqueue.Kind) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kinds[kind]
}

// newWorld returns a world whose EventBridge sends everything to a queue, which the operator's identity names.
func newWorld(ctx context.Context, options cloudtrailtest.Options) *world {
	GinkgoHelper()
	options.NoRateLimit = true
	w := &world{World: testbed.NewWorld(ctx, restConfig, testbed.WorldOptions{AWS: options})}
	w.identity = w.Namespace
	w.dead = cloudtrailtest.Queue{AccountID: account, Region: region, Name: "dead"}
	w.queue = cloudtrailtest.Queue{
		AccountID: account, Region: region, Name: "events", VisibilityTimeout: time.Second, DeadLetterQueue: "dead",
		MaxReceiveCount: 2,
	}
	w.createQueue()
	w.AWS.Forward(cloudtrailtest.Rule{QueueARN: w.queue.ARN()})
	w.AWS.SetForwarding(cloudtrailtest.Forwarding{MinDelay: eventDelay, MaxDelay: eventDelay})
	w.CreateIdentity(ctx, w.identity, v1alpha1.AWSIdentitySpec{EventQueueURL: w.url()})
	DeferCleanup(func(ctx context.Context) {
		identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: w.identity}}
		Expect(w.Client.Patch(ctx, identity,
			client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		Expect(client.IgnoreNotFound(w.Client.Delete(ctx, identity))).To(Succeed())
	})
	w.start(ctx)
	return w
}

func (w *world) createQueue() {
	GinkgoHelper()
	Expect(w.AWS.CreateQueue(w.dead)).To(Succeed())
	Expect(w.AWS.CreateQueue(w.queue)).To(Succeed())
}

// url is the URL of the queue where the emulator serves it.
func (w *world) url() string { return fmt.Sprintf("%s/%s/%s", w.Endpoint, account, w.queue.Name) }

// start runs what the operator runs.
func (w *world) start(ctx context.Context) {
	GinkgoHelper()
	w.StartManager(ctx, w.ManagerOptions(), func(manager ctrl.Manager) {
		w.sessions = w.NewSessions(func(o *cloudtrail.Options) { o.MaxWait = 0 })
		var listener *eventqueue.Listener
		trails, err := trail.New(trail.Options{
			Client: manager.GetClient(), Live: manager.GetAPIReader(), Recorder: w.Events, Sessions: w.sessions,
			ClusterID: testbed.ClusterID, Interval: interval,
			Wrote: func(identity string) { listener.Wrote(identity) },
		})
		Expect(err).NotTo(HaveOccurred())
		listener, err = eventqueue.New(eventqueue.Options{Sessions: w.sessions, Hear: trails.Hear, Meter: &w.meter})
		Expect(err).NotTo(HaveOccurred())
		identities, err := awsidentity.New(awsidentity.Options{
			Client: manager.GetClient(), Trails: manager.GetAPIReader(), Recorder: w.Events, Sessions: w.sessions,
			Events: listener,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(trails.SetupWithManager(ctx, manager, 4)).To(Succeed())
		Expect(identities.SetupWithManager(manager)).To(Succeed())
		Expect(manager.Add(listener)).To(Succeed())
	})
}

// create creates a Trail with this spec.
func (w *world) create(ctx context.Context, name string, spec v1alpha1.TrailSpec) {
	GinkgoHelper()
	spec.IdentityRef = &v1alpha1.IdentityReference{Name: w.identity}
	object := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}, Spec: spec}
	Expect(w.Client.Create(ctx, object)).To(Succeed())
}

func (w *world) get(ctx context.Context, name string) *v1alpha1.Trail {
	GinkgoHelper()
	object := &v1alpha1.Trail{}
	Expect(w.Client.Get(ctx, client.ObjectKey{Namespace: w.Namespace, Name: name}, object)).To(Succeed())
	return object
}

// eventually waits until the Trail is as wanted.
func (w *world) eventually(ctx context.Context, name, why string, wanted func(*v1alpha1.Trail) bool) *v1alpha1.Trail {
	GinkgoHelper()
	var is *v1alpha1.Trail
	Eventually(func() bool {
		is = w.get(ctx, name)
		return wanted(is)
	}).WithContext(ctx).WithTimeout(soon).Should(BeTrue(), func() string { return fmt.Sprintf("%s: %+v", why, is.Status) })
	return is
}

func ready(t *v1alpha1.Trail) bool {
	return meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionReady)
}

// condition returns the identity's condition Listening, nil when it has none.
func (w *world) condition(ctx context.Context) *metav1.Condition {
	GinkgoHelper()
	identity := &v1alpha1.AWSIdentity{}
	Expect(w.Client.Get(ctx, client.ObjectKey{Name: w.identity}, identity)).To(Succeed())
	return meta.FindStatusCondition(identity.Status.Conditions, v1alpha1.ConditionListening)
}

// listening waits until the identity's condition has this reason, and returns it.
func (w *world) listening(ctx context.Context, reason string) *metav1.Condition {
	GinkgoHelper()
	var is *metav1.Condition
	Eventually(func() bool {
		is = w.condition(ctx)
		return is != nil && is.Reason == reason
	}).WithContext(ctx).WithTimeout(time.Minute).Should(BeTrue(), func() string { return fmt.Sprintf("%+v", is) })
	return is
}

// intruder is somebody else in the same account.
func (w *world) intruder() cloudtrailtest.ActingAs {
	return w.AWS.As(cloudtrailtest.Actor{ARN: intruder, AccountID: account, UserAgent: "aws-cli/2.31.0"})
}

const intruder = "arn:aws:iam::" + account + ":user/intruder"

// acts lets the intruder make a call.
func (w *world) acts(operation string, parameters map[string]any) {
	GinkgoHelper()
	_, err := w.intruder().Do(region, operation, parameters)
	Expect(err).NotTo(HaveOccurred())
}
