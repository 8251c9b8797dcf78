package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trail-operator/trail-operator/controllers/eventqueue"
)

// eventMetrics are the metrics of event queues.
type eventMetrics struct {
	messages *prometheus.CounterVec
	delay    *prometheus.HistogramVec
	last     *prometheus.GaugeVec
}

var _ eventqueue.Meter = (*Metrics)(nil)

func newEventMetrics() *eventMetrics {
	messages := prometheus.CounterOpts{Name: eventMessages.FullName(), Help: eventMessages.Help}
	last := prometheus.GaugeOpts{Name: eventLast.FullName(), Help: eventLast.Help}
	return &eventMetrics{
		messages: prometheus.NewCounterVec(messages, eventMessages.Labels),
		delay:    eventDelay.histogram(),
		last:     prometheus.NewGaugeVec(last, eventLast.Labels),
	}
}

func (e *eventMetrics) collect(series chan<- prometheus.Metric) {
	e.messages.Collect(series)
	e.delay.Collect(series)
	e.last.Collect(series)
}

// EventReceived implements eventqueue.Meter. All kinds of an identity are there from its first message, so that the
// first of each is an increase.
func (m *Metrics) EventReceived(identity string, kind eventqueue.Kind) {
	for _, k := range eventqueue.Kinds() {
		m.events.messages.WithLabelValues(identity, string(k))
	}
	m.events.messages.WithLabelValues(identity, string(kind)).Inc()
	m.events.last.WithLabelValues(identity).Set(float64(m.options.Now().Unix()))
}

// EventHeard implements eventqueue.Meter.
func (m *Metrics) EventHeard(identity string, after time.Duration) {
	m.events.delay.WithLabelValues(identity).Observe(after.Seconds())
}

// NotListening implements eventqueue.Meter: the series of an identity without a queue go.
func (m *Metrics) NotListening(identity string) {
	labels := prometheus.Labels{"identity": identity}
	m.events.messages.DeletePartialMatch(labels)
	m.events.delay.DeletePartialMatch(labels)
	m.events.last.DeletePartialMatch(labels)
}
