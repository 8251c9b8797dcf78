package recorder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// apiServer takes events, after it has given these answers first.
type apiServer struct {
	mu      sync.Mutex
	answers []error
	tries   int
	events  []eventsv1.Event
	slow    time.Duration
}

// RoundTrip implements http.RoundTripper, without a network, so that it works in a synctest bubble.
func (s *apiServer) RoundTrip(request *http.Request) (*http.Response, error) {
	select {
	case <-time.After(s.slow):
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	var event eventsv1.Event
	if err := json.NewDecoder(request.Body).Decode(&event); err != nil {
		return nil, err
	}
	want := "/apis/events.k8s.io/v1/namespaces/" + event.Namespace + "/events"
	if request.Method != http.MethodPost || request.URL.Path != want {
		return nil, fmt.Errorf("%s %s instead of POST %s", request.Method, request.URL.Path, want)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	answer := httptest.NewRecorder()
	answer.Header().Set("Content-Type", "application/json")
	if len(s.answers) > 0 {
		err := s.answers[0]
		s.answers = s.answers[1:]
		status, ok := err.(apierrors.APIStatus)
		if !ok {
			return nil, err
		}
		said := status.Status()
		said.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
		answer.WriteHeader(int(said.Code))
		return answer.Result(), json.NewEncoder(answer).Encode(said)
	}
	s.events = append(s.events, event)
	answer.WriteHeader(http.StatusCreated)
	err := json.NewEncoder(answer).Encode(event)
	return answer.Result(), err
}

// written returns the events that were taken.
func (s *apiServer) written() []eventsv1.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

func newRecorder(t *testing.T, server http.RoundTripper) *Recorder {
	t.Helper()
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	config := &rest.Config{
		Host:          "http://apiserver",
		QPS:           -1,
		ContentConfig: rest.ContentConfig{ContentType: "application/json"},
	}
	recorder, err := New(config, &http.Client{Transport: server}, scheme, "trail-operator")
	g.Expect(err).NotTo(HaveOccurred())
	return recorder
}

func trailNamed(name string) *v1alpha1.Trail {
	return &v1alpha1.Trail{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: "uid", ResourceVersion: "7"}}
}

// run runs the recorder until everything was done that can be.
func run(t *testing.T, recorder *Recorder, during func()) {
	t.Helper()
	err := recorder.Run(t.Context(), func(context.Context) error {
		during()
		return nil
	})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
}

func TestEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := &apiServer{}
		recorder := newRecorder(t, server)
		identity := &v1alpha1.AWSIdentity{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
		run(t, recorder, func() {
			recorder.Eventf(trailNamed("audit"), identity, corev1.EventTypeWarning,
				"DriftDetected", "Look", "AWS was changed in: %s", "logging")
			synctest.Wait()
			recorder.Eventf(identity, nil, corev1.EventTypeNormal, "Available", "Check", "known")
			synctest.Wait()
			recorder.Eventf(&corev1.Pod{}, nil, corev1.EventTypeNormal, "Unknown", "Look", "the scheme does not know it")
		})
		g.Expect(server.written()).To(HaveLen(2))
		event := server.written()[0]
		g.Expect(event.EventTime.Time).To(BeTemporally("~", time.Now(), time.Second))
		g.Expect(event.Namespace).To(Equal("team"))
		g.Expect(event.Name).To(HavePrefix("audit."))
		g.Expect(event.Regarding).To(Equal(corev1.ObjectReference{
			APIVersion:      "trail-operator.dev/v1alpha1",
			Kind:            "Trail",
			Namespace:       "team",
			Name:            "audit",
			UID:             "uid",
			ResourceVersion: "7",
		}))
		g.Expect(event.Related).To(HaveValue(HaveField("Kind", "AWSIdentity")))
		g.Expect([]string{event.Type, event.Reason, event.Action, event.Note}).
			To(Equal([]string{"Warning", "DriftDetected", "Look", "AWS was changed in: logging"}))
		g.Expect(event.ReportingController).To(Equal("trail-operator"))
		g.Expect(event.ReportingInstance).To(HavePrefix("trail-operator-"))
		g.Expect(server.written()[1].Namespace).To(Equal("default"), "where events of objects without a namespace are")
		g.Expect(server.written()[1].Related).To(BeNil())
	})
}

func TestEventNames(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, about := range map[string]string{
		"a short name":                     "audit",
		"the longest":                      strings.Repeat("a", 253),
		"one that would be cut at a point": strings.Repeat("a", 235) + "." + strings.Repeat("b", 17),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			g.Expect(validation.IsDNS1123Subdomain(eventName(about, now))).To(BeEmpty())
			g.Expect(eventName(about, now)).NotTo(Equal(eventName(about, now.Add(1))))
		})
	}
}

// TestFailingWrites holds that an event is tried again when the API server could not take it, and only then.
func TestFailingWrites(t *testing.T) {
	t.Parallel()
	events := eventsv1.Resource("events")
	terminating := apierrors.NewForbidden(events, "audit", nil)
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, c := range map[string]struct {
		answers        []error
		tries, written int
	}{
		"none":                     {nil, 1, 1},
		"it is restarted":          {[]error{fmt.Errorf("connection refused"), fmt.Errorf("connection refused")}, 3, 1},
		"it has an error":          {[]error{apierrors.NewInternalError(fmt.Errorf("etcd"))}, 2, 1},
		"it has too much to do":    {[]error{apierrors.NewTooManyRequestsError("later")}, 2, 1},
		"it may not be written":    {[]error{apierrors.NewForbidden(events, "audit", nil)}, 1, 0},
		"the namespace is deleted": {[]error{terminating}, 1, 0},
		"it is down": {[]error{
			fmt.Errorf("down"), fmt.Errorf("down"), fmt.Errorf("down"),
			fmt.Errorf("down"), fmt.Errorf("down"), fmt.Errorf("down"),
		}, 5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				server := &apiServer{answers: c.answers}
				recorder := newRecorder(t, server)
				run(t, recorder, func() {
					recorder.Eventf(trailNamed("audit"), nil, corev1.EventTypeNormal, "Created", "Sync", "CreateTrail")
					time.Sleep(time.Minute) //nolint:forbidigo // The bubble's clock.
				})
				g.Expect(server.tries).To(Equal(c.tries))
				g.Expect(server.written()).To(HaveLen(c.written))
			})
		})
	}
}

// TestTooManyEvents holds that nobody waits for a slow API server, and that what waits at the end is written.
func TestTooManyEvents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		slow            time.Duration
		atLeast, atMost int
	}{
		"what waits is written":                {0, waiting, waiting + atOnce},
		"an API server that does not answer":   {time.Hour, 0, 0},
		"as many as it takes in the last time": {time.Second, 4 * atOnce, 6 * atOnce},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				server := &apiServer{slow: c.slow}
				recorder := newRecorder(t, server)
				start := time.Now()
				for range 2 * waiting {
					recorder.Eventf(trailNamed("audit"), nil, corev1.EventTypeNormal, "Created", "Sync", "CreateTrail")
				}
				g.Expect(time.Since(start)).To(BeZero())
				run(t, recorder, func() {})
				g.Expect(time.Since(start)).To(BeNumerically("<=", lastWords))
				g.Expect(len(server.written())).To(And(BeNumerically(">=", c.atLeast), BeNumerically("<=", c.atMost)))
			})
		})
	}
}

// TestEndOfWork holds that events are written for as long as work goes on, whatever it was told, and how long writing
// goes on after it.
func TestEndOfWork(t *testing.T) {
	t.Parallel()
	failed := errors.New("leader election lost")
	for name, c := range map[string]struct {
		// lasts is how long work goes on when it is to stop. Each second it tells an event.
		lasts time.Duration
		err   error
		slow  time.Duration
		// written is how many of the events are written, and after how long work and writing are over.
		written int
		after   time.Duration
	}{
		"it ends at once":                   {0, nil, 0, 0, 0},
		"it ends after a while":             {20 * time.Second, nil, 0, 20, 20 * time.Second},
		"it fails":                          {3 * time.Second, failed, 0, 3, 3 * time.Second},
		"the API server takes its time":     {20 * time.Second, nil, time.Second, 20, 21 * time.Second},
		"the API server does not answer":    {20 * time.Second, nil, time.Hour, 0, 20*time.Second + lastWords},
		"it fails, and nobody answers then": {3 * time.Second, failed, time.Hour, 0, 3*time.Second + lastWords},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				server := &apiServer{slow: c.slow}
				recorder := newRecorder(t, server)
				ctx, stop := context.WithCancel(t.Context())
				stop()
				start := time.Now()
				err := recorder.Run(ctx, func(context.Context) error {
					for range int(c.lasts / time.Second) {
						time.Sleep(time.Second) //nolint:forbidigo // The bubble's clock.
						recorder.Eventf(trailNamed("audit"), nil, corev1.EventTypeWarning, "DriftDetected", "Look", "logging")
					}
					return c.err
				})
				if c.err == nil {
					g.Expect(err).NotTo(HaveOccurred())
				} else {
					g.Expect(err).To(BeIdenticalTo(c.err))
				}
				g.Expect(server.written()).To(HaveLen(c.written))
				g.Expect(time.Since(start)).To(Equal(c.after))
			})
		})
	}
}

// TestPace holds that telling of much work does not keep the API server from it, and that warnings do not wait behind
// that.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := &apiServer{}
		recorder := newRecorder(t, server)
		written := func() int {
			synctest.Wait()
			return len(server.written())
		}
		run(t, recorder, func() {
			for range burst + 10*perSecond {
				recorder.Eventf(trailNamed("audit"), nil, corev1.EventTypeNormal, "Created", "Sync", "CreateTrail")
			}
			recorder.Eventf(trailNamed("audit"), nil, corev1.EventTypeWarning,
				"DriftDetected", "Look", "AWS was changed in: logging")
			g.Expect(written()).To(Equal(burst + 1))
			g.Expect(server.written()).To(ContainElement(HaveField("Reason", "DriftDetected")))
			time.Sleep(time.Second) //nolint:forbidigo // The bubble's clock.
			g.Expect(written()).To(BeNumerically("~", burst+1+perSecond, 1))
			time.Sleep(10 * time.Second) //nolint:forbidigo // The bubble's clock.
			g.Expect(written()).To(Equal(burst + 1 + 10*perSecond))
		})
	})
}

// TestPaceAtTheEnd holds that nobody waits for the pace any more when the work is to stop: its end may be the
// process's.
func TestPaceAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := &apiServer{}
		recorder := newRecorder(t, server)
		ctx, stop := context.WithCancel(t.Context())
		g.Expect(recorder.Run(ctx, func(context.Context) error {
			for range burst + 10*perSecond {
				recorder.Eventf(trailNamed("audit"), nil, corev1.EventTypeNormal, "Created", "Sync", "CreateTrail")
			}
			synctest.Wait()
			g.Expect(server.written()).To(HaveLen(burst))
			stop()
			synctest.Wait()
			g.Expect(server.written()).To(HaveLen(burst + 10*perSecond))
			return nil
		})).To(Succeed())
	})
}

// TestTexts holds what is written of texts that the API server would refuse or a terminal would act on.
func TestTexts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := &apiServer{}
		recorder := newRecorder(t, server)
		run(t, recorder, func() {
			reason, action := strings.Repeat("Reason", 100), strings.Repeat("Action", 100)
			recorder.Eventf(trailNamed("audit"), nil, corev1.EventTypeWarning, reason, action, "by %s: %s",
				"\x1b[2J\u202eyrollam\n", strings.Repeat("ä", 10_000))
		})
		g.Expect(server.written()).To(HaveLen(1))
		event := server.written()[0]
		g.Expect(event.Note).To(And(HavePrefix(`by \x1b[2J\u202eyrollam : ää`), HaveSuffix("ä…")))
		g.Expect(event.Reason).To(And(HavePrefix("ReasonReason"), HaveSuffix("…")))
		g.Expect(event.Action).To(And(HavePrefix("ActionAction"), HaveSuffix("…")))
		g.Expect([]int{len(event.Note), len(event.Reason), len(event.Action)}).To(HaveExactElements(
			BeNumerically("~", maxNote, 1), maxReason, maxAction), "as much as the API server takes")
	})
}
