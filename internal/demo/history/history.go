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
	// Still tells that the value is the same all the time, and no counter.
	Still bool
	// Gone tells that the series has ended.
	Gone bool
}

// Round is what a source does again and again: what its counters count in one, which lasts so long.
type Round struct {
	Page   []*dto.MetricFamily
	Length time.Duration
}

// Span is the time to make up: from Start to End, which is when the second page was read.
// Began is when what is shown began to run.
type Span struct{ Start, Began, End time.Time }

// point is a series at the moments of both pages.
type point struct {
	metric      map[string]string
	first, last float64
	counts      bool          // a counter, or a part of a histogram
	single      bool          // no part of a histogram or summary
	round       time.Duration // that it goes: a counter by last-first in one, a gauge up from none; else 0
	family      string        // of the metric: a histogram's parts have one
}

// Of makes the past of two pages of a collector that are some time apart.
// A counter that only the second one has began in between, another series was
// the same before. Left out is what only the first one has, and a description
// (_info) that is not the same any longer: it would stand beside the one before.
//
// What goes round has the rates of a whole round, the zero Round if nothing is known of one.
func Of(first, second []*dto.MetricFamily, apart time.Duration, round Round, span Span) []Series {
	counted := map[string]point{}
	for _, p := range points(round.Page) {
		if p.counts && !rare(p.metric["__name__"]) {
			counted[key(p.metric)] = p
		}
	}
	before, described := map[string]float64{}, map[string]bool{}
	for _, p := range points(first) {
		before[key(p.metric)] = p.last
		described[p.metric["__name__"]] = true
	}
	all := &waves{span: span, by: map[string]*wave{}}
	var list []Series
	for _, p := range points(second) {
		k := key(p.metric)
		v, ok := before[k]
		if (!ok && described[p.metric["__name__"]] && strings.HasSuffix(p.metric["__name__"], "_info")) || math.IsNaN(p.last) || math.IsInf(p.last, 0) {
			continue
		}
		p.first = v // a new counter began at zero
		if !ok && !p.counts {
			p.first = p.last
		}
		if one, ok := counted[k]; ok {
			p.round, p.first = round.Length, p.last-one.last
			delete(counted, k)
		} else if len(round.Page) > 0 && !p.counts && p.last > p.first {
			p.round = round.Length
		}
		still := !p.counts && p.first == p.last && p.last == math.Trunc(p.last) && !p.moves(span.End)
		list = append(list, Series{Metric: p.metric, At: p.past(apart, span, all), Still: still})
	}
	for _, p := range counted { // later in the round
		p.round, p.first, p.last = round.Length, -p.last, 0
		list = append(list, Series{Metric: p.metric, At: p.past(apart, span, all)})
	}
	return list
}

// Now goes on from a past with what a page shows: the values of its series, and which of the past it has no longer.
func Now(past []Series, page []*dto.MetricFamily) []Series {
	var list []Series
	shown := map[string]bool{}
	for _, p := range points(page) {
		shown[key(p.metric)] = true
		list = append(list, Series{Metric: p.metric, At: func(time.Time) float64 { return p.last }})
	}
	for _, s := range past {
		if !shown[key(s.Metric)] {
			list = append(list, Series{Metric: s.Metric, At: s.At, Gone: true})
		}
	}
	return list
}

// past chooses how a value was before.
func (p point) past(apart time.Duration, span Span, waves *waves) func(time.Time) float64 {
	w := waves.of(subject(p.metric))
	now := float64(span.End.UnixMilli()) / 1000
	switch {
	case p.counts:
		return p.counter(w, waves, apart, span)
	case p.round > 0: // up from none in each, and now where it is
		rate := (p.last - p.first) / apart.Seconds()
		begun, round := now-p.last/rate, p.round.Seconds()
		return func(t time.Time) float64 {
			return math.Round(rate * math.Mod(math.Mod(seconds(t)-begun, round)+round, round))
		}
	case strings.HasSuffix(p.metric["__name__"], "_age_seconds"):
		made := stamp(now-p.last, 1, now, waves.of(key(p.metric)))
		return func(t time.Time) float64 { return max(0, float64(t.UnixMilli())/1000-made(t)) }
	case moment(p.last, now):
		return stamp(p.last, 1, now, waves.of(key(p.metric)))
	case moment(p.last/1e9, now):
		return stamp(p.last/1e9, 1e9, now, waves.of(key(p.metric)))
	case p.first == p.last && p.last == math.Trunc(p.last):
		return func(time.Time) float64 { return p.last } // a state, a size, a setting
	}
	// A gauge follows its subject gently, and has some unrest of its own. What
	// goes to one at most (a ratio) goes no further.
	own := waves.of(p.family)
	limit := math.Inf(1)
	if strings.HasSuffix(p.metric["__name__"], "_seconds") && p.first > 0 {
		p.last = min(p.first, p.last) // a program that has just begun is slow
	}
	if strings.HasSuffix(p.metric["__name__"], "_ratio") && p.last <= 1 {
		limit = 1
	}
	value := func(t time.Time) float64 {
		return min(limit, p.last*(1+0.3*(w.at(t)-1)+0.3*(own.ripple(t)-own.rippleEnd)))
	}
	if p.last == math.Trunc(p.last) {
		return func(t time.Time) float64 { return math.Round(value(t)) }
	}
	return value
}

// subject is what a series is about: series of one subject rise and fall
// together, or the parts (TCP) would be more than the whole (IP).
func subject(metric map[string]string) string {
	for _, name := range []string{"cluster", "device", "interface", "tunnel", "listener", "company", "output"} {
		if v := metric[name]; v != "" {
			return name + "=" + v
		}
	}
	return ""
}

// moves tells whether a gauge that was read twice as the same moves all the same: a time.
func (p point) moves(end time.Time) bool {
	now := seconds(end)
	return moment(p.last, now) || moment(p.last/1e9, now) || strings.HasSuffix(p.metric["__name__"], "_age_seconds")
}

// moment tells whether a value is a time of the last year, in seconds.
func moment(v, now float64) bool { return v > now-366*86400 && v < now+30*86400 }

// stamp is a time that was renewed every two minutes if it is a recent one, as
// handshakes are; an old one was the same all the time.
func stamp(v, unit, now float64, w *wave) func(time.Time) float64 {
	if v > now+60 { // what is to come
		return func(time.Time) float64 { return v * unit }
	}
	recent := now-v < 300
	return func(t time.Time) float64 {
		at := float64(t.UnixMilli()) / 1000
		if recent || v > at {
			return (at - math.Mod(at+w.phase*120, 120)) * unit
		}
		return v * unit
	}
}

// wave moves around 1, which it is at the end: a day with its night, and
// shorter unrest of its subject. It is the same for each run of a demo.
type wave struct {
	phase             float64
	before            float64 // seconds that the ripple is moved by, so that it is about 0 at the end
	scale             float64
	rippleEnd, sumEnd float64
	start             float64  // of the sum
	summed            struct { // for the time that was asked last: many series ask for the same
		at  time.Time
		sum float64
	}
}

// waves are those of a span by their names.
type waves struct {
	span Span
	by   map[string]*wave
}

// night is how far the day's wave goes below and above its mean.
const night = 0.32

func (ws *waves) of(name string) *wave {
	if w := ws.by[name]; w != nil {
		return w
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash takes all
	w := &wave{phase: float64(h.Sum32()) / math.MaxUint32}
	for ; w.before < 7200 && math.Abs(w.ripple(ws.span.End)) > 0.02; w.before += 10 {
	}
	w.rippleEnd = w.ripple(ws.span.End)
	w.scale = 1 / (1 + day(ws.span.End) + w.rippleEnd)
	w.start = w.whole(ws.span.Start)
	w.sumEnd = w.sum(ws.span.End)
	ws.by[name] = w
	return w
}

// day has its height at two in the afternoon of UTC.
func day(t time.Time) float64 {
	return night * math.Cos(2*math.Pi*(seconds(t)-14*3600)/86400)
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// turns are the periods of a ripple in seconds and how high they go. No subject has quite another's.
func (w *wave) turns() [4][2]float64 {
	slow := 0.8 + 0.4*w.phase
	return [4][2]float64{{9400 * slow, 0.11}, {2900 * slow, 0.09}, {613 * slow, 0.06}, {149 * slow, 0.04}}
}

func (w *wave) ripple(t time.Time) float64 {
	sum, s := 0.0, seconds(t)+w.before+w.phase*9400
	for _, x := range w.turns() {
		sum += x[1] * math.Sin(2*math.Pi*s/x[0])
	}
	return sum
}

func (w *wave) at(t time.Time) float64 { return w.scale * (1 + day(t) + w.ripple(t)) }

// sum is the wave added up from the start, in seconds: about as many as passed.
func (w *wave) sum(t time.Time) float64 {
	if !w.summed.at.Equal(t) {
		w.summed.at, w.summed.sum = t, w.scale*(w.whole(t)-w.start)
	}
	return w.summed.sum
}

// whole is the integral of the wave.
func (w *wave) whole(t time.Time) float64 {
	v := seconds(t) + night*math.Sin(2*math.Pi*(seconds(t)-14*3600)/86400)*86400/(2*math.Pi)
	s := seconds(t) + w.before + w.phase*9400
	for _, x := range w.turns() {
		v -= x[1] * math.Cos(2*math.Pi*s/x[0]) * x[0] / (2 * math.Pi)
	}
	return v
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
				list = append(list, point{metric: metric, last: value, counts: counts, family: family, single: f.GetType() != dto.MetricType_HISTOGRAM && f.GetType() != dto.MetricType_GAUGE_HISTOGRAM && f.GetType() != dto.MetricType_SUMMARY})
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
