package influx

import (
	"fmt"
	"math"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// family writes a family of metrics as Telegraf's input `prometheus` does.
// Values that are not finite are left out: line protocol has no word for them.
func (e *encoder) family(mf *dto.MetricFamily, version int, at time.Time) {
	for _, m := range mf.GetMetric() {
		t := at
		if ms := m.GetTimestampMs(); ms > 0 {
			t = time.UnixMilli(ms)
		}
		if version == 1 {
			e.metricV1(mf, m, t)
		} else {
			e.metricV2(mf, m, t)
		}
	}
}

// labels makes a metric's labels the tags of a new line.
func (e *encoder) labels(m *dto.Metric) {
	e.start()
	for _, l := range m.GetLabel() {
		e.tag(l.GetName(), l.GetValue())
	}
}

// metricV2 writes the one measurement `prometheus` with fields named as the metrics are.
func (e *encoder) metricV2(mf *dto.MetricFamily, m *dto.Metric, at time.Time) {
	const measurement = "prometheus"
	name := mf.GetName()
	e.labels(m)
	switch {
	case m.GetSummary() != nil:
		s := m.GetSummary()
		e.floatField(name+"_count", float64(s.GetSampleCount()))
		e.floatField(name+"_sum", s.GetSampleSum())
		e.end(measurement, at)
		for _, q := range s.GetQuantile() {
			if !finite(q.GetValue()) {
				continue
			}
			e.labels(m)
			e.tag("quantile", number(q.GetQuantile()))
			e.floatField(name, q.GetValue())
			e.end(measurement, at)
		}
	case m.GetHistogram() != nil:
		h := m.GetHistogram()
		e.floatField(name+"_count", samples(h))
		e.floatField(name+"_sum", h.GetSampleSum())
		e.end(measurement, at)
		endless := false
		for _, b := range h.GetBucket() {
			endless = endless || math.IsInf(b.GetUpperBound(), 1)
			e.bucket(m, name, b.GetUpperBound(), cumulative(b), at)
		}
		if !endless {
			e.bucket(m, name, math.Inf(1), samples(h), at)
		}
	default:
		if v, _ := single(m); finite(v) {
			e.floatField(name, v)
			e.end(measurement, at)
		} else {
			e.skipped(skipNotFinite)
		}
	}
}

func (e *encoder) bucket(m *dto.Metric, name string, bound, count float64, at time.Time) {
	e.labels(m)
	e.tag("le", number(bound))
	e.floatField(name+"_bucket", count)
	e.end("prometheus", at)
}

// metricV1 writes a measurement for each metric, with the fields counter,
// gauge or value; of a histogram count, sum and one for each bound, of a
// summary one for each quantile.
func (e *encoder) metricV1(mf *dto.MetricFamily, m *dto.Metric, at time.Time) {
	e.labels(m)
	switch {
	case m.GetSummary() != nil:
		s := m.GetSummary()
		e.floatField("count", float64(s.GetSampleCount()))
		e.floatField("sum", s.GetSampleSum())
		for _, q := range s.GetQuantile() {
			if finite(q.GetValue()) {
				e.floatField(fmt.Sprint(q.GetQuantile()), q.GetValue())
			}
		}
	case m.GetHistogram() != nil:
		h := m.GetHistogram()
		e.floatField("count", samples(h))
		e.floatField("sum", h.GetSampleSum())
		for _, b := range h.GetBucket() {
			e.floatField(fmt.Sprint(b.GetUpperBound()), cumulative(b))
		}
	default:
		v, key := single(m)
		if !finite(v) {
			e.skipped(skipNotFinite)
			return
		}
		e.floatField(key, v)
	}
	e.end(mf.GetName(), at)
}

// single returns the value of a counter, gauge or untyped metric, and Telegraf's name of its field.
func single(m *dto.Metric) (float64, string) {
	switch {
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue(), "gauge"
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue(), "counter"
	case m.GetUntyped() != nil:
		return m.GetUntyped().GetValue(), "value"
	}
	return math.NaN(), ""
}

// samples and cumulative read histograms of whole and of fractional counts.
func samples(h *dto.Histogram) float64 {
	if n := h.GetSampleCountFloat(); n > 0 {
		return n
	}
	return float64(h.GetSampleCount())
}

func cumulative(b *dto.Bucket) float64 {
	if n := b.GetCumulativeCountFloat(); n > 0 {
		return n
	}
	return float64(b.GetCumulativeCount())
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
