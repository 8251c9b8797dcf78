package recorder_test

import (
	"context"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/trail-operator/trail-operator/controllers/recorder"
	"github.com/trail-operator/trail-operator/hack/testbed"
)

// soon is how long anything may take that needs no waiting.
const soon = 30 * time.Second

var restConfig *rest.Config

func TestRecorder(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Recorder")
}

var _ = BeforeSuite(func() { restConfig = testbed.Start() })

// world is a namespace, with a recorder and a manager for it.
type world struct {
	client    client.Client
	namespace string
	recorder  *recorder.Recorder
	manager   ctrl.Manager
	// about is what events are about, and what the manager's controller reconciles.
	about *corev1.ConfigMap
}

// newWorld returns a world whose manager waits for its controller for that long.
func newWorld(ctx context.Context, grace time.Duration) *world {
	GinkgoHelper()
	w := &world{}
	var err error
	w.client, err = client.New(restConfig, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	Expect(w.client.Create(ctx, namespace)).To(Succeed())
	w.namespace = namespace.Name
	w.about = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "audit"}}
	Expect(w.client.Create(ctx, w.about)).To(Succeed())
	skip := true
	w.manager, err = ctrl.NewManager(restConfig, ctrl.Options{
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		Controller:              ctrlconfig.Controller{SkipNameValidation: &skip},
		GracefulShutdownTimeout: &grace,
	})
	Expect(err).NotTo(HaveOccurred())
	config, httpClient := w.manager.GetConfig(), w.manager.GetHTTPClient()
	w.recorder, err = recorder.New(config, httpClient, w.manager.GetScheme(), "trail-operator")
	Expect(err).NotTo(HaveOccurred())
	return w
}

// run starts the manager with this reconciler under the recorder, stops it when it is at work, and returns what came of
// it.
func (w *world) run(ctx context.Context, work reconcile.Func) error {
	GinkgoHelper()
	working := make(chan struct{})
	controller := ctrl.NewControllerManagedBy(w.manager).For(&corev1.ConfigMap{})
	started := func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
		if request.Namespace != w.namespace {
			return reconcile.Result{}, nil
		}
		close(working)
		return work(ctx, request)
	}
	Expect(controller.Complete(reconcile.Func(started))).To(Succeed())

	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.recorder.Run(running, w.manager.Start) }()
	Eventually(working).WithContext(ctx).WithTimeout(soon).Should(BeClosed(), "the reconciler is at work")
	stop()
	var err error
	Eventually(ended).WithContext(ctx).WithTimeout(soon).
		Should(Receive(&err), "the recorder ends soon after the manager")
	return err
}

// events returns the events about the object.
func (w *world) events(ctx context.Context) []eventsv1.Event {
	GinkgoHelper()
	var found eventsv1.EventList
	Expect(w.client.List(ctx, &found, client.InNamespace(w.namespace))).To(Succeed())
	return found.Items
}

var _ = Describe("A recorder around a manager", func() {
	It("writes what a reconciler tells that is still at work when the manager stops", func(ctx context.Context) {
		w := newWorld(ctx, soon)
		Expect(w.run(ctx, func(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
			<-ctx.Done()
			w.recorder.Eventf(w.about, nil, corev1.EventTypeWarning, "DriftDetected", "Sync", "logging")
			w.recorder.Eventf(w.about, nil, corev1.EventTypeNormal, "DriftRepaired", "Sync", "StartLogging")
			return reconcile.Result{}, nil
		})).To(Succeed())
		Expect(w.events(ctx)).To(ConsistOf(HaveField("Reason", "DriftDetected"), HaveField("Reason", "DriftRepaired")))
	})

	It("does not wait longer than the manager for a reconciler that does not end", func(ctx context.Context) {
		w := newWorld(ctx, 100*time.Millisecond)
		over := make(chan struct{})
		defer close(over)
		Expect(w.run(ctx, func(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
			<-ctx.Done()
			w.recorder.Eventf(w.about, nil, corev1.EventTypeWarning, "DriftDetected", "Sync", "logging")
			<-over
			return reconcile.Result{}, nil
		})).To(MatchError(ContainSubstring("grace period")))
		Expect(w.events(ctx)).To(ConsistOf(HaveField("Reason", "DriftDetected")))
	})
})

var _ = Describe("The API server", func() {
	for name, text := range map[string]string{
		"short":                     "no",
		"long":                      strings.Repeat("no ", 1000),
		"long, in another script":   strings.Repeat("監", 1000),
		"full of control sequences": strings.Repeat("\x1b[2J", 1000),
		"not UTF-8":                 strings.Repeat("\xff", 2000),
	} {
		It("takes an event whose texts are "+name, func(ctx context.Context) {
			w := newWorld(ctx, soon)
			Expect(w.recorder.Run(ctx, func(context.Context) error {
				w.recorder.Eventf(w.about, nil, corev1.EventTypeWarning, text, text, "%s", text)
				return nil
			})).To(Succeed())
			Expect(w.events(ctx)).To(HaveLen(1))
		})
	}
})
