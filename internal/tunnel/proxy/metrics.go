package proxy

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func newHistogram() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "oriel_tunnel_proxy_seconds", Help: "Named when it is sent.", Buckets: []float64{0.002, 0.005, 0.02, 0.1, 0.5, 2, 10, 30},
	})
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("oriel_tunnel_proxy_"+name, help, labels, nil)
}

// Collect sends what companies asked for. Companies come from the configuration, the rest from closed lists.
func (p *Proxy) Collect(_ context.Context, ch chan<- prometheus.Metric) error {
	var (
		requests  = desc("requests_total", "Requests of a company, by endpoint.", "company", "endpoint")
		refusals  = desc("refusals_total", "Requests of a company that were refused, by reason.", "company", "reason")
		strangers = desc("strangers_total", "Connections and requests refused before their company was known, by reason.", "reason")
		foreign   = desc("foreign_series_total", "Series of another tenant that Prometheus sent all the same; they were left out. More than 0 is an error of Prometheus or of ours.")
		inFlight  = desc("requests_in_flight", "Requests of a company that are being answered.", "company")
		limit     = desc("requests_in_flight_limit", "Requests of a company that may be answered at once.", "company")
		received  = desc("received_bytes_total", "Bytes of parameters that a company sent.", "company")
		sent      = desc("sent_bytes_total", "Bytes of answers to a company, as sent.", "company")
		took      = desc("request_duration_seconds", "Time from a company's request to the end of its answer, of those that were not refused.", "company")
		upstream  = desc("upstream_seconds", "Time until Prometheus began to answer, by company.", "company")
		answers   = desc("upstream_requests_total", "Questions to Prometheus for a company, by result: ok, refused (4xx), error (5xx), timeout, unreachable, or canceled by the client.", "company", "result")
		turns     = desc("upstream_in_flight", "Requests of all companies that Prometheus is working on.")
		turnsMost = desc("upstream_in_flight_limit", "Requests of all companies that Prometheus may be asked for at once. The rest waits.")
		conns     = desc("connections", "Clients' connections.")
		connsMost = desc("connections_limit", "Clients' connections allowed.")
		reloadOK  = desc("reload_last_successful", "Whether certificate, key, CA and revocation list are those of the files: 0 if the last good ones stay.")
		listUntil = desc("crl_next_update_timestamp_seconds", "When the revocation list is out of date, as Unix time.")
		expires   = desc("certificate_expiry_timestamp_seconds", "When the proxy's own certificate ends, as Unix time.")
	)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	for _, c := range p.companies {
		name := c.Value
		gauge(inFlight, float64(c.now.Load()), name)
		gauge(limit, float64(c.most), name)
		counter(received, c.bytesIn.Load(), name)
		counter(sent, c.bytesOut.Load(), name)
		c.mu.Lock()
		for _, e := range endpointNames() {
			counter(requests, c.requests[e], name, e)
		}
		for _, r := range reasons {
			counter(refusals, c.refusals[r], name, r)
		}
		for _, r := range results {
			counter(answers, c.results[r], name, r)
		}
		c.mu.Unlock()
		for d, h := range map[*prometheus.Desc]prometheus.Histogram{upstream: c.upstream, took: c.took} {
			if m, ok := histogram(d, h, name); ok {
				ch <- m
			}
		}
	}
	n := p.strangers.all()
	for _, r := range strange {
		counter(strangers, n[r], r)
	}
	counter(foreign, n["foreign_series"])
	if l, ok := p.listener.(*listener); ok {
		gauge(conns, float64(len(l.slots)))
	}
	gauge(connsMost, float64(p.cfg.Limits.Connections))
	gauge(turns, float64(len(p.turns)))
	gauge(turnsMost, float64(cap(p.turns)))
	if s := p.state.Load(); s != nil {
		gauge(expires, float64(s.Cert.Leaf.NotAfter.Unix()))
		if next := s.Lists.NextUpdate(); !next.IsZero() {
			gauge(listUntil, float64(next.Unix()))
		}
	}
	ok := 1.0
	if p.reloadFailed.Load() {
		ok = 0
	}
	gauge(reloadOK, ok)
	return nil
}

// histogram gives a histogram its company.
func histogram(d *prometheus.Desc, h prometheus.Histogram, company string) (prometheus.Metric, bool) {
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		return nil, false
	}
	buckets := map[float64]uint64{}
	for _, b := range m.GetHistogram().GetBucket() {
		buckets[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	made, err := prometheus.NewConstHistogram(d, m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum(), buckets, company)
	return made, err == nil
}
