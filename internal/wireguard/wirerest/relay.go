package wirerest

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	maxBadLines   = 20
	maxLabelValue = 1024
	maxLabels     = 32
	maxRelayed    = 1000 // families
)

var errMalformed = errors.New("answer is not in Prometheus' text format")

// reserved begins the names of our own metrics, which a relayed page may not carry.
var reserved = []string{"wirerest_up", "wirerest_scrape_", "wirerest_relay_", "wirerest_probe_", "wirerest_client", "wirerest_traffic_", "wirerest_peers_created", "wirerest_peers_removed"}

// nativeNames are WireRest's own figures, which we compute too.
var nativeNames = []string{"wirerest_peers_total", "wirerest_network_transmit_bytes_total", "wirerest_iface_ipv4_total", "wirerest_iface_ipv4_free"}

var (
	upDesc       = prometheus.NewDesc("wirerest_up", "Whether WireRest's metrics could be read (1) or not (0).", nil, nil)
	durationDesc = prometheus.NewDesc("wirerest_scrape_duration_seconds", "How long reading WireRest's metrics took.", nil, nil)
	errorsDesc   = prometheus.NewDesc("wirerest_scrape_errors_total", "Times WireRest's metrics could not be read, by reason.", []string{"reason"}, nil)
	droppedDesc  = prometheus.NewDesc("wirerest_relay_dropped_series_total", "Series of WireRest that were not passed on, for their number, their labels, or a secret in them.", nil, nil)
	badLinesDesc = prometheus.NewDesc("wirerest_relay_malformed_lines_total", "Lines of WireRest's metrics that could not be read.", nil, nil)
)

// relay passes WireRest's metrics on.
type relay struct {
	cfg    Config
	client *http.Client

	mu       sync.Mutex // guards what follows
	errors   map[string]uint64
	dropped  uint64
	badLines uint64
}

func newRelay(cfg Config, client *http.Client) *relay {
	return &relay{cfg: cfg, client: client, errors: map[string]uint64{}}
}

// collect reads WireRest once and sends what is allowed; of the applications
// in native it leaves out the figures that have been sent already.
func (r *relay) collect(ctx context.Context, native map[string]bool, ch chan<- prometheus.Metric) error {
	start := time.Now()
	// "A;version=..." is how Prometheus 2 asks; Micrometer then answers in the text format.
	body, token, err := fetch(ctx, r.cfg, r.client, "/actuator/prometheus", "text/plain;version=0.0.4")
	var families map[string]*dto.MetricFamily
	bad := 0
	if err == nil {
		families, bad, err = parse(body)
	}
	dropped := 0
	if err == nil {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(families)), r.allowed) {
			err = errMalformed // a page without a single metric of WireRest is not WireRest's
		}
		_, dropped = r.send(families, token.Reveal(), native, ch)
	}
	up := 1.0
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		up = 0
		r.errors[reason(err)]++
	}
	r.dropped += uint64(dropped)
	r.badLines += uint64(bad)
	ch <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, up)
	ch <- prometheus.MustNewConstMetric(durationDesc, prometheus.GaugeValue, time.Since(start).Seconds())
	ch <- prometheus.MustNewConstMetric(droppedDesc, prometheus.CounterValue, float64(r.dropped))
	ch <- prometheus.MustNewConstMetric(badLinesDesc, prometheus.CounterValue, float64(r.badLines))
	for _, why := range reasons {
		ch <- prometheus.MustNewConstMetric(errorsDesc, prometheus.CounterValue, float64(r.errors[why]), why)
	}
	return err
}

// parse reads a page, without the lines that are wrong, up to a number of them.
func parse(page []byte) (families map[string]*dto.MetricFamily, bad int, err error) {
	for {
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
		if err == nil {
			return families, bad, nil
		}
		var where expfmt.ParseError
		if !errors.As(err, &where) || bad == maxBadLines {
			return nil, bad, errMalformed // the library's text would quote the answer
		}
		rest, ok := withoutLine(page, where.Line)
		if !ok {
			return nil, bad, errMalformed
		}
		page = rest
		bad++
	}
}

// withoutLine blanks line n, which counts from 1, in a copy.
func withoutLine(page []byte, n int) ([]byte, bool) {
	lines := bytes.SplitAfter(page, []byte("\n"))
	if n < 1 || n > len(lines) || len(bytes.TrimSpace(lines[n-1])) == 0 {
		return nil, false
	}
	lines[n-1] = []byte("\n")
	return bytes.Join(lines, nil), true
}

// send passes on what may be passed on.
func (r *relay) send(families map[string]*dto.MetricFamily, token string, native map[string]bool, ch chan<- prometheus.Metric) (sent, dropped int) {
	for i, name := range slices.Sorted(maps.Keys(families)) {
		mf := families[name]
		if !r.allowed(name) {
			continue
		}
		n := 0
		for _, m := range mf.GetMetric() {
			switch {
			case slices.Contains(nativeNames, name) && native[labelOf(m, "application")]:
			case i >= maxRelayed, n >= r.cfg.MaxSeries, !presentable(m, token):
				dropped++
			default:
				m.TimestampMs = nil // it is as old as the scrape
				ch <- relayed{desc: prometheus.NewDesc(name, mf.GetHelp(), nil, nil), metric: m}
				n++
			}
		}
		sent += n
	}
	return sent, dropped
}

func (r *relay) allowed(name string) bool {
	begins := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	return slices.ContainsFunc(r.cfg.Families, begins) && !slices.ContainsFunc(reserved, begins)
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// presentable refuses labels without bound, and the two secrets that WireRest
// knows: its token and WireGuard's keys. Neither belongs in a metric; should
// one get there, this is where it ends.
func presentable(m *dto.Metric, token string) bool {
	if len(m.GetLabel()) > maxLabels {
		return false
	}
	for _, l := range m.GetLabel() {
		v := l.GetValue()
		if len(v) > maxLabelValue || len(token) >= 4 && strings.Contains(v, token) || hasKey(v) {
			return false
		}
	}
	return true
}

// hasKey tells whether a text holds 32 bytes in base64, as WireGuard writes its keys.
func hasKey(s string) bool {
	const size = 44
	for end := strings.IndexByte(s, '='); end >= 0; {
		if end+1 >= size {
			if b, err := base64.StdEncoding.DecodeString(s[end+1-size : end+1]); err == nil && len(b) == 32 {
				return true
			}
		}
		next := strings.IndexByte(s[end+1:], '=')
		if next < 0 {
			return false
		}
		end += 1 + next
	}
	return false
}

// relayed is a metric of another program.
type relayed struct {
	desc   *prometheus.Desc
	metric *dto.Metric
}

// Desc has the name and the help; the labels are the metric's own.
func (r relayed) Desc() *prometheus.Desc { return r.desc }

// Write hands the values over.
func (r relayed) Write(out *dto.Metric) error {
	out.Label = r.metric.Label
	out.Gauge, out.Counter, out.Untyped = r.metric.Gauge, r.metric.Counter, r.metric.Untyped
	out.Summary, out.Histogram = r.metric.Summary, r.metric.Histogram
	return nil
}
