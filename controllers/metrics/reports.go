package metrics

import "github.com/prometheus/client_golang/prometheus"

// reportMetrics are the metrics of the reports that this process writes.
type reportMetrics struct {
	served *prometheus.GaugeVec
	writes *prometheus.CounterVec
}

func newReportMetrics() *reportMetrics {
	served := prometheus.GaugeOpts{Name: reportsServed.FullName(), Help: reportsServed.Help}
	writes := prometheus.CounterOpts{Name: reportWrites.FullName(), Help: reportWrites.Help}
	return &reportMetrics{
		served: prometheus.NewGaugeVec(served, reportsServed.Labels),
		writes: prometheus.NewCounterVec(writes, reportWrites.Labels),
	}
}

func (r *reportMetrics) collect(series chan<- prometheus.Metric) {
	r.served.Collect(series)
	r.writes.Collect(series)
}

// ReportsServed tells whether reports of a kind can be written.
func (m *Metrics) ReportsServed(kind string, served bool) {
	m.reports.served.WithLabelValues(kind).Set(truth(served))
}

// ReportWritten counts a request that has written a report.
func (m *Metrics) ReportWritten(kind, verb string) {
	m.reports.writes.WithLabelValues(kind, verb).Inc()
}
