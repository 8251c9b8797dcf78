package testbed

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
	"github.com/trail-operator/trail-operator/hack/testbed/clock"
)

const (
	// Account is that of the operator's own credentials.
	Account = "111122223333"
	// Region is that of the operator's configuration.
	Region = "us-east-1"
	// ClusterID is that of the operator's cluster.
	ClusterID = "test-cluster"
	// AnswerTimeout is how long a reconcile waits for an answer of AWS where a spec makes one at a time.
	AnswerTimeout = time.Minute
	// eventBuffer is how many events a World keeps until a spec drains them; the controller blocks when it is full.
	eventBuffer = 1000
)

// World is what a spec has for itself on the control plane of its suite: an AWS, a namespace, and what a controller
// needs to work between them. A suite adds its controller.
type World struct {
	AWS *cloudtrailtest.Server
	// Endpoint is where AWS is served.
	Endpoint string
	// Client reads and writes at the API server, without a cache.
	Client    client.WithWatch
	Namespace string
	// Events are those that the controller has emitted.
	Events *events.FakeRecorder
	// Clock is the controller's.
	Clock *clock.Clock

	config *rest.Config
}

// WorldOptions say how a World differs from others.
type WorldOptions struct {
	// AWS are the emulator's.
	AWS cloudtrailtest.Options
	// Clock is the controller's; nil: the wall clock. AWS goes by it if AWS.Now says so.
	Clock *clock.Clock
	// Received is told of each request that AWS gets, before it is answered; nil: nobody is.
	Received func(*http.Request)
}

// NewWorld returns a World on a control plane, which lasts as long as the spec.
func NewWorld(ctx context.Context, config *rest.Config, options WorldOptions) *World {
	GinkgoHelper()
	w := &World{
		AWS:    cloudtrailtest.New(options.AWS),
		Events: events.NewFakeRecorder(eventBuffer),
		Clock:  options.Clock,
		config: config,
	}
	if w.Clock == nil {
		w.Clock = &clock.Clock{}
	}

	w.Endpoint = Serve(ctx, http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if options.Received != nil {
			options.Received(request)
		}
		w.AWS.ServeHTTP(writer, request)
	}))

	var err error
	w.Client, err = client.NewWithWatch(config, client.Options{Scheme: Scheme()})
	Expect(err).NotTo(HaveOccurred())
	w.Namespace = w.CreateNamespace(ctx)
	return w
}

// CreateNamespace creates a namespace and returns its name.
func (w *World) CreateNamespace(ctx context.Context) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	Expect(w.Client.Create(ctx, namespace)).To(Succeed())
	return namespace.Name
}

// CreateIdentity creates an identity; every namespace may use it unless the spec says which.
func (w *World) CreateIdentity(ctx context.Context, name string, spec v1alpha1.AWSIdentitySpec) {
	GinkgoHelper()
	if spec.AllowedNamespaces == nil {
		spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}
	}
	identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	Expect(w.Client.Create(ctx, identity)).To(Succeed())
}

// AWSConfig returns the SDK's configuration of the operator in this AWS.
func (w *World) AWSConfig() aws.Config {
	return aws.Config{
		Region:       Region,
		BaseEndpoint: aws.String(w.Endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

// NewSessions returns sessions of which none is open, as a process of the operator has them after its start. They wait
// long for an answer of AWS and keep to no limits, unless edit says otherwise.
func (w *World) NewSessions(edit func(*cloudtrail.Options)) *cloudtrail.Sessions {
	options := cloudtrail.Options{
		Config:     w.AWSConfig(),
		ClusterID:  ClusterID,
		Version:    "test",
		RateLimits: cloudtrail.RateLimitOff,
		MaxWait:    AnswerTimeout,
		Now:        w.Clock.Now,
	}
	edit(&options)
	return cloudtrail.NewSessions(options)
}

// DrainEvents returns the events that were emitted since it was last called.
func (w *World) DrainEvents() []string {
	var emitted []string
	for {
		select {
		case event := <-w.Events.Events:
			emitted = append(emitted, event)
		default:
			return emitted
		}
	}
}
