package query

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/orielhq/oriel/internal/collector"
)

// metrics counts what a service does.
type metrics struct {
	queries  *prometheus.CounterVec
	duration prometheus.Histogram
	rows     prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "oriel_query_executions_total", Help: "SQL queries that the engine ran, by how they ended: ok, error, timeout or cancelled.",
		}, []string{"result"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "oriel_query_duration_seconds", Help: "How long SQL queries took that the engine ran, waiting for a slot included.",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60},
		}),
		rows: prometheus.NewCounter(prometheus.CounterOpts{Name: "oriel_query_result_rows_total", Help: "Rows of results that the engine made."}),
	}
	for _, result := range []string{"ok", "error", "timeout", "cancelled"} {
		m.queries.WithLabelValues(result)
	}
	return m
}

func (m *metrics) ran(err error, took time.Duration, rows int) {
	result := "ok"
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		result = "timeout"
	case errors.Is(err, errCancelled), errors.Is(err, errNoReader), errors.Is(err, context.Canceled):
		result = "cancelled"
	case err != nil:
		result = "error"
	}
	m.queries.WithLabelValues(result).Inc()
	m.duration.Observe(took.Seconds())
	m.rows.Add(float64(rows))
}

var (
	cacheRequests = prometheus.NewDesc("oriel_query_cache_requests_total",
		"SQL queries asked, by where the answer came from: hit (kept), joined (another's, under way) or miss (run).", []string{"result"}, nil)
	cacheBytes   = prometheus.NewDesc("oriel_query_cache_bytes", "Estimated memory of the results kept.", nil, nil)
	cacheEntries = prometheus.NewDesc("oriel_query_cache_entries", "Results kept.", nil, nil)
)

// Collect sends the metrics.
func (s *Service) Collect(ctx context.Context, ch chan<- prometheus.Metric) error {
	s.metrics.queries.Collect(ch)
	s.metrics.duration.Collect(ch)
	s.metrics.rows.Collect(ch)
	s.detectors.collect(ch)
	if e, ok := s.needs.Engine.(collector.Collector); ok {
		if err := e.Collect(ctx, ch); err != nil {
			return err
		}
	}
	c := s.cache.stats()
	for result, n := range map[string]uint64{"hit": c.hits, "joined": c.joins, "miss": c.misses} {
		ch <- prometheus.MustNewConstMetric(cacheRequests, prometheus.CounterValue, float64(n), result)
	}
	ch <- prometheus.MustNewConstMetric(cacheBytes, prometheus.GaugeValue, float64(c.bytes))
	ch <- prometheus.MustNewConstMetric(cacheEntries, prometheus.GaugeValue, float64(c.entries))
	return nil
}
