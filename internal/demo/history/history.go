// Package history makes up the hours before a demo began: from what a collector
// shows twice, some seconds apart, it goes back in time, so that graphs are
// full at once. It is as true as the demo's traffic: both are made up.
package history

import (
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// Series is one series with its values in the past.
type Series struct {
	Metric map[string]string // with __name__
	// At is the value at a time. Call it for rising times, from Config.Start on.
	At func(time.Time) float64
}

// Span is the time to make up: from Start to End, which is when the second page was read.
type Span struct{ Start, End time.Time }

// point is a series at the moments of both pages.
type point struct {
	metric      map[string]string
	first, last float64
	counts      bool   // a counter, or a part of a histogram
	family      string // its parts move together
}

// Of makes the past of two pages of a collector that are some time apart.
// Series that only one page has are left out.
func Of(first, second []*dto.MetricFamily, apart time.Duration, span Span) []Series {
	before := map[string]float64{}
	for _, p := range points(first) {
		before[key(p.metric)] = p.last
	}
	var list []Series
	for _, p := range points(second) {
		v, ok := before[key(p.metric)]
		if !ok || math.IsNaN(p.last) || math.IsInf(p.last, 0) {
			continue
		}
		p.first = v
		list = append(list, Series{Metric: p.metric, At: p.past(apart, span)})
	}
	return list
}

// past chooses how a value was before.
func (p point) past(apart time.Duration, span Span) func(time.Time) float64 {
	w := newWave(p.family)
	now := float64(span.End.UnixMilli()) / 1000
	switch {
	case p.counts:
		return p.counter(w, apart, span)
	case moment(p.last, now):
		return stamp(p.last, 1, now, w)
	case moment(p.last/1e9, now):
		return stamp(p.last/1e9, 1e9, now, w)
	case p.first == p.last && p.last == math.Trunc(p.last):
		return func(time.Time) float64 { return p.last } // a state, a size, a setting
	case p.last == math.Trunc(p.last):
		return func(t time.Time) float64 { return math.Round(p.last * w.at(t)) }
	}
	return func(t time.Time) float64 { return p.last * w.at(t) }
}

// counter rises with the wave around the rate that the pages show. It ends at
// the value that is there now; where that is far less than hours would have
// counted, the program began again now, as its users see after a restart.
func (p point) counter(w wave, apart time.Duration, span Span) func(time.Time) float64 {
	rate := max(0, (p.last-p.first)/apart.Seconds())
	whole := w.sum(span.Start, span.End)
	switch {
	case rate == 0:
		return func(time.Time) float64 { return p.last }
	case p.last >= rate*whole:
	case p.last > 60*rate: // a restart that counts more than a minute at once would look like a burst
		rate = p.last / whole
	default:
		return func(t time.Time) float64 { return rate * w.sum(span.Start, t) }
	}
	// Never above what is there now: Prometheus would take the fall for a restart.
	return func(t time.Time) float64 { return max(0, p.last-rate*w.sum(t, span.End)) }
}

// moment tells whether a value is a time of the last year, in seconds.
func moment(v, now float64) bool { return v > now-366*86400 && v < now+30*86400 }

// stamp is a time that was renewed every two minutes if it is a recent one, as
// handshakes are; an old one was the same all the time.
func stamp(v, unit, now float64, w wave) func(time.Time) float64 {
	recent := now-v < 300
	return func(t time.Time) float64 {
		at := float64(t.UnixMilli()) / 1000
		if recent || v > at {
			return (at - math.Mod(at+w.phase*120, 120)) * unit
		}
		return v * unit
	}
}

// wave moves between about 0.4 and 1.6 around 1: the same for each run of a demo.
type wave struct{ phase float64 }

func newWave(name string) wave {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash takes all
	return wave{float64(h.Sum32()) / math.MaxUint32}
}

func (w wave) at(t time.Time) float64 {
	s := float64(t.UnixMilli())/1000 + w.phase*7200
	turn := func(seconds float64) float64 { return math.Sin(2 * math.Pi * s / seconds) }
	return 1 + 0.34*turn(3600) + 0.14*turn(613) + 0.08*turn(97)
}

// sum is the wave added up over a time, in seconds: about as many as passed.
func (w wave) sum(from, to time.Time) float64 {
	whole := func(t time.Time) float64 {
		s := float64(t.UnixMilli())/1000 + w.phase*7200
		turn := func(seconds float64) float64 { return -math.Cos(2*math.Pi*s/seconds) * seconds / (2 * math.Pi) }
		return 0.34*turn(3600) + 0.14*turn(613) + 0.08*turn(97)
	}
	return to.Sub(from).Seconds() + whole(to) - whole(from)
}

func key(metric map[string]string) string {
	var b strings.Builder
	writeLabels(&b, metric)
	return b.String()
}

// points lists the series of a page, those of histograms and summaries too.
func points(families []*dto.MetricFamily) []point {
	var list []point
	for _, f := range families {
		for _, m := range f.GetMetric() {
			add := func(suffix string, value float64, counts bool, more ...string) {
				metric := map[string]string{"__name__": f.GetName() + suffix}
				for _, l := range m.GetLabel() {
					if l.GetValue() != "" {
						metric[l.GetName()] = l.GetValue()
					}
				}
				family := f.GetName() + key(metric)
				if f.GetType() == dto.MetricType_HISTOGRAM || f.GetType() == dto.MetricType_SUMMARY {
					base := map[string]string{}
					for k, v := range metric {
						if k != "__name__" {
							base[k] = v
						}
					}
					family = f.GetName() + key(base)
				}
				for i := 0; i+1 < len(more); i += 2 {
					metric[more[i]] = more[i+1]
				}
				list = append(list, point{metric: metric, last: value, counts: counts, family: family})
			}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				add("", m.GetCounter().GetValue(), true)
			case dto.MetricType_GAUGE:
				add("", m.GetGauge().GetValue(), totalName(f.GetName()))
			case dto.MetricType_UNTYPED:
				add("", m.GetUntyped().GetValue(), totalName(f.GetName()))
			case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
				h := m.GetHistogram()
				for _, b := range h.GetBucket() {
					if !math.IsInf(b.GetUpperBound(), 1) {
						add("_bucket", float64(b.GetCumulativeCount()), true, "le", bound(b.GetUpperBound()))
					}
				}
				add("_bucket", float64(h.GetSampleCount()), true, "le", "+Inf")
				add("_count", float64(h.GetSampleCount()), true)
				add("_sum", h.GetSampleSum(), true)
			case dto.MetricType_SUMMARY:
				s := m.GetSummary()
				for _, q := range s.GetQuantile() {
					add("", q.GetValue(), false, "quantile", bound(q.GetQuantile()))
				}
				add("_count", float64(s.GetSampleCount()), true)
				add("_sum", s.GetSampleSum(), true)
			}
		}
	}
	return list
}

// totalName tells counters that other programs call gauges.
func totalName(name string) bool { return strings.HasSuffix(name, "_bytes_total") }

// bound writes a number as the text format does.
func bound(v float64) string {
	text := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}
