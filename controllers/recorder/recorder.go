// Package recorder writes events to the Kubernetes API.
package recorder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/wait"
	client "k8s.io/client-go/kubernetes/typed/events/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/reference"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/trail-operator/trail-operator/controllers/text"
)

// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create

const (
	// waiting is how many events can wait to be written; more are dropped.
	waiting = 20_000
	// atOnce is how many warnings, and how many others, are written at once.
	atOnce = 4
	// perSecond and burst are how fast events that are no warnings are written, as fast as a kubelet's: to tell of
	// thousands of new trails must not hold up the work on them.
	perSecond, burst = 50, 100
	// lastWords is how long events are still written after the end.
	lastWords = 5 * time.Second
	// maxNote, maxReason and maxAction are how many bytes the API server takes. It refuses an event with more.
	maxNote, maxReason, maxAction = 1024, 128, 128
)

// retries are the waits before an event is tried again that the API server could not take: up to half a minute.
var retries = wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.1, Steps: 5}

// Recorder writes an event for each call of Eventf, in the background. Events are told to people and are no record:
// when more happen than the API server takes, some are dropped.
//
// Callers need not think of what the API server takes, nor of what is in a text: reasons, actions and notes are cut to
// their limits, and what a terminal would act on is made visible.
//
// A waiting event takes a quarter of a kilobyte. client-go's recorder keeps each event in memory for 6 to 36 minutes,
// to count it up if the same happens again: 1.5 kB for each of thousands of trails that are created. The operator tells
// only what changed, so nothing is the same again.
type Recorder struct {
	client               client.EventsV1Interface
	scheme               *runtime.Scheme
	controller, instance string
	warnings, others     queue
}

// queue is of events that wait to be written at a pace.
type queue struct {
	events chan *told
	pace   *rate.Limiter
}

func newQueue(pace *rate.Limiter) queue { return queue{make(chan *told, waiting), pace} }

var _ events.EventRecorder = (*Recorder)(nil)

// New returns a Recorder that writes as the controller of that name, while Run runs. The scheme knows the objects that
// events are about.
func New(config *rest.Config, httpClient *http.Client, scheme *runtime.Scheme, controller string) (*Recorder, error) {
	if config.ContentType == "" {
		config = rest.CopyConfig(config)
		config.ContentType = runtime.ContentTypeProtobuf
	}
	writer, err := client.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("creating a client for events: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("finding the name of this host: %w", err)
	}
	return &Recorder{
		client: writer, scheme: scheme, controller: controller, instance: controller + "-" + host,
		warnings: newQueue(rate.NewLimiter(rate.Inf, 0)), others: newQueue(rate.NewLimiter(perSecond, burst)),
	}, nil
}

// told is an event that waits to be written.
type told struct {
	at                              time.Time
	regarding                       *corev1.ObjectReference
	related                         *corev1.ObjectReference
	eventType, reason, action, note string
}

// Eventf tells an event about an object, and about a related one or nil. It does not wait.
func (r *Recorder) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, arguments ...any) {
	t := &told{
		at: time.Now(), eventType: eventType,
		reason: shown(reason, maxReason),
		action: shown(action, maxAction),
		note:   shown(fmt.Sprintf(note, arguments...), maxNote),
	}

	var err error
	if t.regarding, err = reference.GetReference(r.scheme, regarding); err == nil && related != nil {
		t.related, err = reference.GetReference(r.scheme, related)
	}
	if err != nil {
		ctrl.Log.WithName("recorder").Error(err, "an event is about an unknown object", "reason", reason)
		return
	}

	q := r.others
	if eventType == corev1.EventTypeWarning {
		q = r.warnings
	}
	select {
	case q.events <- t:
	default:
		ctrl.Log.WithName("recorder").V(1).Info("an event was dropped, because too many are waiting",
			"regarding", t.regarding.Name, "reason", reason)
	}
}

// shown returns a text as it can be written and shown.
func shown(s string, limit int) string { return text.Cut(text.Printable(s), limit) }

// event returns what is written.
func (r *Recorder) event(t *told) *eventsv1.Event {
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{
			// Where the API server wants the events of objects without a namespace.
			Namespace: cmp.Or(t.regarding.Namespace, metav1.NamespaceDefault),
			Name:      eventName(t.regarding.Name, t.at),
		},
		EventTime:           metav1.NewMicroTime(t.at),
		ReportingController: r.controller,
		ReportingInstance:   r.instance,
		Type:                t.eventType,
		Reason:              t.reason,
		Action:              t.action,
		Note:                t.note,
		Regarding:           *t.regarding,
		Related:             t.related,
	}
}

// eventName names an event as client-go does, but within what a name may have: 253 characters.
func eventName(about string, now time.Time) string {
	suffix := fmt.Sprintf(".%x", now.UnixNano())
	return strings.TrimRight(about[:min(len(about), validation.DNS1123SubdomainMaxLength-len(suffix))], ".-") + suffix
}

// Run runs work and returns its error. It writes events until work has ended, and then those that still wait.
//
// Work is the Start of a manager. The recorder is no runnable of the manager, because that would be stopped before the
// controllers, or together with them: what they do last would not be told.
func (r *Recorder) Run(ctx context.Context, work func(context.Context) error) error {
	stopping, stop := context.WithCancel(ctx)
	defer stop()
	writing, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	ended := make(chan struct{})

	var writers sync.WaitGroup
	for _, q := range []queue{r.warnings, r.others} {
		for range atOnce {
			writers.Go(func() {
				for t := q.next(ended); t != nil; t = q.next(ended) {
					_ = q.pace.Wait(stopping) //nolint:errcheck // At the end there is no time to wait.
					r.write(writing, r.event(t))
				}
			})
		}
	}

	err := work(ctx)

	stop()
	close(ended)
	defer time.AfterFunc(lastWords, giveUp).Stop()
	writers.Wait()
	return err
}

// next waits for an event until no more come; nil is the last.
func (q queue) next(ended <-chan struct{}) *told {
	select {
	case t := <-q.events:
		return t
	case <-ended:
	}
	select {
	case t := <-q.events:
		return t
	default:
		return nil
	}
}

// write writes an event. An event that the API server refuses is not tried again.
func (r *Recorder) write(ctx context.Context, event *eventsv1.Event) {
	var err error
	ended := wait.ExponentialBackoffWithContext(ctx, retries, func(ctx context.Context) (bool, error) {
		_, err = r.client.Events(event.Namespace).Create(ctx, event, metav1.CreateOptions{})
		return err == nil || refused(err), nil
	})
	if err == nil || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return
	}
	ctrl.Log.WithName("recorder").Error(errors.Join(err, ended), "an event could not be written",
		"regarding", event.Regarding.Name, "reason", event.Reason, "note", event.Note)
}

// refused tells whether the API server has understood and will not take the event.
func refused(err error) bool {
	status := apierrors.APIStatus(nil)
	return errors.As(err, &status) && !apierrors.IsTooManyRequests(err) &&
		status.Status().Code >= http.StatusBadRequest && status.Status().Code < http.StatusInternalServerError
}
