package trail_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/controllers/trail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed"
	"github.com/trail-operator/trail-operator/hack/testbed/clock"
)

const (
	account   = testbed.Account
	region    = testbed.Region
	clusterID = testbed.ClusterID
	// interval is long: tests look by themselves.
	interval = time.Hour
)

var restConfig *rest.Config

func TestTrail(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Trail controller")
}

var _ = BeforeSuite(func() {
	restConfig = testbed.Start()
})

// world is a world with a controller, which works when the test says so.
type world struct {
	*testbed.World
	// identity is the one that Trails get; it has the namespace's name.
	identity string
	sessions *cloudtrail.Sessions
	reconc   reconcile.Reconciler
	life     *life
	// accessKey is that of the controller's credentials; nil: "test".
	accessKey atomic.Pointer[string]
	// death makes the controller's process die at a call to AWS; nil: it lives.
	death atomic.Pointer[death]
	// maxWait is how long a look waits for an answer of AWS; a changed one counts from the next restart.
	maxWait time.Duration
	// settleTime is how long AWS may take to show the controller's writes; a changed one counts from the next process.
	settleTime time.Duration
	// mayWrite is why the controller must not write; nil: it may.
	mayWrite error
	// writes counts the controller's writes to the API server.
	writes int
	// sending is told of each of the controller's calls to AWS before it is sent: see onSending.
	sending atomic.Pointer[func(*http.Request)]
	// named is who was named as who made a drift before that was certain.
	named []named
	// writing stands around each of the controller's writes to the API server, which it is told the number of, from 0;
	// nil: nothing does.
	writing func(number int, write func() error) error
}

// newWorld returns a world in which AWS has everything that a trail needs, and whose AWS goes by the wall clock. The
// controller's clock stands still.
func newWorld(ctx context.Context, options cloudtrailtest.Options) *world {
	GinkgoHelper()
	return worldAt(ctx, clock.New(time.Now()), options)
}

// worldAt returns a world with this clock of the controller.
func worldAt(ctx context.Context, now *clock.Clock, options cloudtrailtest.Options) *world {
	GinkgoHelper()
	w := &world{
		World:   testbed.NewWorld(ctx, restConfig, testbed.WorldOptions{AWS: options, Clock: now}),
		maxWait: testbed.AnswerTimeout,
	}
	w.identity = w.Namespace
	w.CreateIdentity(ctx, w.identity, v1alpha1.AWSIdentitySpec{})
	w.restart()
	return w
}

// restart starts the controller anew: what it had in memory is lost, and what was under way makes no more calls.
func (w *world) restart() {
	GinkgoHelper()
	if w.life != nil {
		w.life.over.Store(true)
	}
	w.death.Store(nil)
	w.life = &life{world: w}
	w.sessions, w.reconc = w.process(clusterID, w.life)
}

// life is that of one process of the controller.
type life struct {
	*world
	over atomic.Bool
}

// Do implements aws.HTTPClient: it sends the process's calls to AWS, unless it is dead.
func (l *life) Do(request *http.Request) (*http.Response, error) {
	if l.over.Load() {
		return nil, errDead
	}
	if sending := l.sending.Load(); sending != nil {
		(*sending)(request)
	}
	return l.death.Load().send(request)
}

// Retrieve implements aws.CredentialsProvider: it returns the controller's credentials.
func (w *world) Retrieve(context.Context) (aws.Credentials, error) {
	key := "test"
	if other := w.accessKey.Load(); other != nil {
		key = *other
	}
	return aws.Credentials{AccessKeyID: key, SecretAccessKey: "test"}, nil
}

// onSending makes somebody be told of each of the controller's calls to AWS before it is sent; nil: nobody is.
func (w *world) onSending(told func(*http.Request)) {
	if told == nil {
		w.sending.Store(nil)
		return
	}
	w.sending.Store(&told)
}

// process returns a controller with a memory of its own, which works for the cluster of this id and sends its calls to
// AWS by the sender.
func (w *world) process(clusterID string, sender aws.HTTPClient) (*cloudtrail.Sessions, reconcile.Reconciler) {
	GinkgoHelper()
	return w.processWith(w.Client, clusterID, sender)
}

// processWith is process with another client, whose writes are around w.write, too.
func (w *world) processWith(
	c client.WithWatch,
	clusterID string,
	sender aws.HTTPClient,
) (*cloudtrail.Sessions, reconcile.Reconciler) {
	GinkgoHelper()
	sessions := w.NewSessions(func(o *cloudtrail.Options) {
		o.Config.Credentials, o.Config.HTTPClient = w, sender
		o.ClusterID, o.Settle, o.MaxWait = clusterID, &w.settleTime, w.maxWait
		o.MayWrite = func() error { return w.mayWrite }
	})
	counting := aroundWrites(c, w.write)
	reconciler, err := trail.New(trail.Options{
		Client: counting, Live: w.Client, Recorder: w.Events, Sessions: sessions, ClusterID: clusterID, Interval: interval,
		Now: w.Clock.Now,
	})
	Expect(err).NotTo(HaveOccurred())
	return sessions, reconcile.AsReconciler(counting, reconciler)
}

// aroundWrites returns a client each of whose writes, such as a controller makes them, is made by around.
func aroundWrites(c client.WithWatch, around func(write func() error) error) client.WithWatch {
	return interceptor.NewClient(c, interceptor.Funcs{
		Patch: func(
			ctx context.Context, c client.WithWatch, object client.Object,
			patch client.Patch, options ...client.PatchOption,
		) error {
			return around(func() error { return c.Patch(ctx, object, patch, options...) })
		},
		SubResourceUpdate: func(
			ctx context.Context, c client.Client, subresource string,
			object client.Object, options ...client.SubResourceUpdateOption,
		) error {
			return around(func() error { return c.SubResource(subresource).Update(ctx, object, options...) })
		},
	})
}

// write makes one of the controller's writes to the API server.
func (w *world) write(write func() error) error {
	number := w.writes
	w.writes++
	if w.writing != nil {
		return w.writing(number, write)
	}
	return write()
}

// apply creates a Trail with this spec, or changes its spec.
func (w *world) apply(ctx context.Context, name string, spec v1alpha1.TrailSpec) *v1alpha1.Trail {
	GinkgoHelper()
	spec.IdentityRef = &v1alpha1.IdentityReference{Name: w.identity}
	object := &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}
	err := w.Client.Get(ctx, client.ObjectKeyFromObject(object), object)
	if client.IgnoreNotFound(err) == nil && err != nil {
		object.Spec = spec
		Expect(w.Client.Create(ctx, object)).To(Succeed())
		testbed.ExpectKstatus(object, status.InProgressStatus)
		return object
	}
	Expect(err).NotTo(HaveOccurred())
	before := object.DeepCopy()
	object.Spec = spec
	// No lock, as kubectl apply has none: a controller at work writes in between.
	Expect(w.Client.Patch(ctx, object, client.MergeFrom(before))).To(Succeed())
	return object
}

func (w *world) get(ctx context.Context, name string) *v1alpha1.Trail {
	GinkgoHelper()
	object := &v1alpha1.Trail{}
	Expect(w.Client.Get(ctx, client.ObjectKey{Namespace: w.Namespace, Name: name}, object)).To(Succeed())
	return object
}

// look makes the controller look at a Trail once, and later than before.
func (w *world) look(ctx context.Context, name string) (reconcile.Result, error) {
	w.Clock.Add(time.Minute)
	return w.reconc.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKey{Namespace: w.Namespace, Name: name}})
}

// settle makes the controller look at a Trail, which must succeed, and returns it as it is then.
func (w *world) settle(ctx context.Context, name string) *v1alpha1.Trail {
	GinkgoHelper()
	_, err := w.look(ctx, name)
	Expect(err).NotTo(HaveOccurred())
	return w.get(ctx, name)
}

// held returns what AWS holds of the trail, which must be there.
func (w *world) held(name string) cloudtrailtest.Trail {
	GinkgoHelper()
	found, ok := w.AWS.Trail(account, region, name)
	Expect(ok).To(BeTrue(), "AWS has no trail %s", name)
	return found
}

// intruder is somebody else in the same account.
func (w *world) intruder() cloudtrailtest.ActingAs {
	return w.AWS.As(cloudtrailtest.Actor{
		ARN: fmt.Sprintf("arn:aws:iam::%s:user/intruder", account), AccountID: account,
		SourceIPAddress: "198.51.100.7", UserAgent: "aws-cli/2.15.0", AccessKeyID: "AKIAINTRUDER",
	})
}

// expectGone checks that the object is gone.
func (w *world) expectGone(ctx context.Context, name string) {
	GinkgoHelper()
	err := w.Client.Get(ctx, client.ObjectKey{Namespace: w.Namespace, Name: name}, &v1alpha1.Trail{})
	Expect(apierrors.IsNotFound(err)).To(BeTrue(), "the object is still there: %v", err)
}
