package influx

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The closed sets of label values.
var (
	results = []string{
		"delivered", "partial", "rejected", "too_large", "unauthorized", "credentials", "overloaded", "no_database",
		"redirected", "server_error", "timeout", "network",
	}
	dropReasons = []string{"rejected", "too_large", "buffer_full", "buffer_error", "corrupt"}
	skipReasons = []string{skipNotFinite, skipTooLong, skipNoFields, skipTags, skipInvalid}
	sources     = []string{"wireguard", "metrics"}
)

// metrics are the pusher's own.
type metrics struct {
	gathers      *prometheus.CounterVec
	gatherErrors *prometheus.CounterVec
	skipped      *prometheus.CounterVec
	requests     *prometheus.CounterVec
	seconds      *prometheus.HistogramVec
	sent         *prometheus.CounterVec
	written      *prometheus.CounterVec
	dropped      *prometheus.CounterVec
	success      *prometheus.GaugeVec
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		gathers:      counter("oriel_influx_gathers_total", "Readings of a source to push it.", "source"),
		gatherErrors: counter("oriel_influx_gather_errors_total", "Readings of a source that failed in part or wholly.", "source"),
		skipped:      counter("oriel_influx_skipped_values_total", "Values that line protocol cannot say, or lines without any value.", "reason"),
		requests:     counter("oriel_influx_requests_total", "Requests to write, by what came of them.", "output", "result"),
		sent:         counter("oriel_influx_sent_bytes_total", "Bytes of the bodies of requests to write, as compressed.", "output"),
		written:      counter("oriel_influx_written_lines_total", "Lines that the server has taken.", "output"),
		dropped:      counter("oriel_influx_dropped_lines_total", "Lines that will never be written, by reason.", "output", "reason"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "oriel_influx_request_duration_seconds", Help: "How long requests to write took.",
			Buckets: []float64{0.01, 0.05, 0.1, 0.5, 1, 5, 10},
		}, []string{"output"}),
		success: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "oriel_influx_last_success_timestamp_seconds", Help: "When the server last took lines; 0 if not since the start.",
		}, []string{"output"}),
	}
	for _, s := range sources {
		m.gathers.WithLabelValues(s)
		m.gatherErrors.WithLabelValues(s)
	}
	for _, r := range skipReasons {
		m.skipped.WithLabelValues(r)
	}
	return m
}

func (m *metrics) skip(why string) { m.skipped.WithLabelValues(why).Inc() }

func (m *metrics) collect(ch chan<- prometheus.Metric) {
	for _, c := range []prometheus.Collector{m.gathers, m.gatherErrors, m.skipped, m.requests, m.seconds, m.sent, m.written, m.dropped, m.success} {
		c.Collect(ch)
	}
}

// outputMetrics are those of one output.
type outputMetrics struct {
	m    *metrics
	name string
}

func (m *metrics) of(output string) *outputMetrics {
	for _, r := range results {
		m.requests.WithLabelValues(output, r)
	}
	for _, r := range dropReasons {
		m.dropped.WithLabelValues(output, r)
	}
	m.sent.WithLabelValues(output)
	m.written.WithLabelValues(output)
	m.seconds.WithLabelValues(output)
	m.success.WithLabelValues(output)
	return &outputMetrics{m: m, name: output}
}

func (o *outputMetrics) request(result string, took time.Duration, bytes int) {
	o.m.requests.WithLabelValues(o.name, result).Inc()
	o.m.seconds.WithLabelValues(o.name).Observe(took.Seconds())
	o.m.sent.WithLabelValues(o.name).Add(float64(bytes))
}

func (o *outputMetrics) deliver(lines int) {
	o.m.written.WithLabelValues(o.name).Add(float64(lines))
	o.m.success.WithLabelValues(o.name).SetToCurrentTime()
}

func (o *outputMetrics) drop(reason string, lines int) {
	o.m.dropped.WithLabelValues(o.name, reason).Add(float64(lines))
}

var (
	bufferBytesDesc = prometheus.NewDesc("oriel_influx_buffer_bytes", "Bytes on disk that wait to be written.", []string{"output"}, nil)
	bufferLimitDesc = prometheus.NewDesc("oriel_influx_buffer_limit_bytes", "Bytes on disk that may wait; then the oldest lines go.", []string{"output"}, nil)
	bufferLinesDesc = prometheus.NewDesc("oriel_influx_buffer_lines", "Lines on disk that wait to be written.", []string{"output"}, nil)
)

func (o *outputMetrics) collectBuffer(ch chan<- prometheus.Metric, bytes, limit int64, lines int) {
	for desc, v := range map[*prometheus.Desc]float64{bufferBytesDesc: float64(bytes), bufferLimitDesc: float64(limit), bufferLinesDesc: float64(lines)} {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, o.name)
	}
}
