package probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/orielhq/oriel/internal/collector"
)

// ServeHTTP probes the target that a request names, as blackbox_exporter does on
// /probe, and answers with that program's names. Without a module a target of the
// configuration is probed as it says there.
func (p *Prober) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	query := r.URL.Query()
	host, port, own, err := p.find(query.Get("target"))
	if err != nil {
		code := http.StatusBadRequest
		if errors.Is(err, errNotAllowed) {
			code = http.StatusForbidden
		}
		http.Error(w, err.Error(), code)
		return
	}
	name := query.Get("module")
	module, known := p.modules[name]
	switch {
	case known:
	case name == "" && own != nil:
		module = Module{Timeout: p.cfg.Timeout, Service: own.Service, Anonymous: query.Get("debug") == "true"}
	default:
		http.Error(w, fmt.Sprintf("Unknown module %.100q", name), http.StatusBadRequest)
		return
	}
	limit := timeout(r, module.Timeout.Std())
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	select {
	case p.asked <- struct{}{}:
		defer func() { <-p.asked }()
	case <-ctx.Done():
		http.Error(w, "too many probes at once", http.StatusServiceUnavailable)
		return
	}
	result := p.ask(ctx, host, port, module)
	p.served.Add(1)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if query.Get("debug") == "true" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(debugPage(net.JoinHostPort(host, port), name, module, limit, result))
		return
	}
	_, _ = w.Write(metricsPage(result))
}

func (p *Prober) ask(ctx context.Context, host, port string, m Module) *Result {
	t, _, err := p.target(host, port, m.Service)
	if err != nil {
		return (&Result{Began: time.Now()}).fail(StepFiles, err)
	}
	t.Anonymous = m.Anonymous && t.TLS != nil
	return Probe(ctx, t)
}

// maxText bounds a certificate's texts on the page.
const maxText = 512

// page is a page of gauges.
type page struct{ bytes.Buffer }

func (p *page) head(name, help string) {
	fmt.Fprintf(p, "# HELP %[1]s %[2]s\n# TYPE %[1]s gauge\n", name, help)
}

func (p *page) line(name string, labels collector.Labels, v float64) {
	if labels != "" {
		labels = "{" + labels + "}"
	}
	fmt.Fprintf(p, "%s%s %s\n", name, labels, strconv.FormatFloat(v, 'g', -1, 64))
}

func (p *page) gauge(name, help string, labels collector.Labels, v float64) {
	p.head(name, help)
	p.line(name, labels, v)
}

// metricsPage has blackbox_exporter's metrics, and two of our own: why, and how long each phase took.
// What is not known has no series.
func metricsPage(r *Result) []byte {
	var p page
	p.gauge("probe_dns_lookup_time_seconds", "Returns the time taken for probe dns lookup in seconds", "", r.Phases[StepResolve].Seconds())
	p.gauge("probe_duration_seconds", "Returns how long the probe took to complete in seconds", "", r.Took.Seconds())
	p.gauge("probe_failed_due_to_regex", "Indicates if probe failed due to regex", "", truth(r.ErrorType == "echo_mismatch"))
	if a := r.Address.Addr(); a.IsValid() {
		h := fnv.New32a()
		_, _ = h.Write(a.AsSlice())
		p.gauge("probe_ip_addr_hash", "Specifies the hash of IP address. It's useful to detect if the IP address changes.", "", float64(h.Sum32()))
		protocol := 6.0
		if a.Is4() {
			protocol = 4
		}
		p.gauge("probe_ip_protocol", "Specifies whether probe ip protocol is IP4 or IP6", "", protocol)
	}
	p.chain(r)
	p.gauge("probe_success", "Displays whether or not the probe was a success", "", truth(r.Err == nil))
	if r.Version != 0 {
		p.gauge("probe_tls_cipher_info", "Returns the TLS cipher negotiated during handshake", collector.FormatLabels("cipher", tls.CipherSuiteName(r.Cipher)), 1)
		p.gauge("probe_tls_version_info", "Returns the TLS version used or NaN when unknown", collector.FormatLabels("version", tls.VersionName(r.Version)), 1)
	}
	if r.Anonymous != nil {
		p.gauge("probe_tunnel_anonymous_allowed", "Whether a client without certificate was let in.", "", truth(*r.Anonymous))
	}
	if len(r.Phases) > 0 {
		p.head("probe_tunnel_duration_seconds", "How long each phase that succeeded took.")
		for i, phase := range Phases() {
			if took, ok := r.Phases[phase]; ok {
				p.line("probe_tunnel_duration_seconds", phaseLabels[i], took.Seconds())
			}
		}
	}
	if r.Err != nil {
		p.gauge("probe_tunnel_failure_info", "Where the probe failed, and why.", collector.FormatLabels("step", r.Step, "error_type", r.ErrorType), 1)
	}
	return p.Bytes()
}

// chain writes what is known of the server's certificates.
func (p *page) chain(r *Result) {
	if len(r.Chain) == 0 {
		return
	}
	leaf, first := r.Chain[0], r.Chain[0].NotAfter
	for _, c := range r.Chain {
		if c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	p.gauge("probe_ssl_earliest_cert_expiry", "Returns last SSL chain expiry in unixtime", "", float64(first.Unix()))
	if end := r.verifiedUntil(); !end.IsZero() {
		p.gauge("probe_ssl_last_chain_expiry_timestamp_seconds", "Returns last SSL chain expiry in timestamp", "", float64(end.Unix()))
	}
	sum := sha256.Sum256(leaf.Raw)
	p.gauge("probe_ssl_last_chain_info", "Contains SSL leaf certificate information", collector.FormatLabels(
		"fingerprint_sha256", hex.EncodeToString(sum[:]), "issuer", short(leaf.Issuer.String()), "serialnumber", short(fmt.Sprintf("%x", leaf.SerialNumber.Bytes())),
		"subject", short(leaf.Subject.String()), "subjectalternative", short(strings.Join(leaf.DNSNames, ","))), 1)
}

func short(s string) string { return s[:min(len(s), maxText)] }

// debugPage shows a probe to people, in blackbox_exporter's order.
func debugPage(target, name string, m Module, limit time.Duration, r *Result) []byte {
	var p page
	log := func(at time.Duration, format string, args ...any) {
		fmt.Fprintf(&p, "ts=%s module=%s target=%s %s\n", r.Began.Add(at).UTC().Format(time.RFC3339Nano), name, target, fmt.Sprintf(format, args...))
	}
	fmt.Fprint(&p, "Logs for the probe:\n")
	log(0, "msg=%q transport=%s api=%s timeout_seconds=%g", "Beginning probe", m.Transport, m.API, limit.Seconds())
	at := time.Duration(0)
	for _, phase := range Phases() {
		if took, ok := r.Phases[phase]; ok {
			at += took
			log(at, "msg=%q phase=%s duration_seconds=%g", "Step done", phase, took.Seconds())
		}
	}
	for i, c := range r.Chain {
		log(at, "msg=%q number=%d subject=%q issuer=%q not_before=%s not_after=%s", "Certificate presented", i, short(c.Subject.String()), short(c.Issuer.String()),
			c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
	}
	if r.Confirmed {
		log(at, "msg=%q", "The gateway said that it carries the connection")
	}
	if r.Err != nil {
		log(r.Took, "msg=%q step=%s error_type=%s err=%q duration_seconds=%g", "Probe failed", r.Step, r.ErrorType, r.Err, r.Took.Seconds())
	} else {
		log(r.Took, "msg=%q duration_seconds=%g", "Probe succeeded", r.Took.Seconds())
	}
	fmt.Fprint(&p, "\n\n\nMetrics that would have been returned:\n")
	fmt.Fprintf(&p, "%s", metricsPage(r))
	fmt.Fprint(&p, "\n\n\nModule configuration:\n")
	text, err := yaml.Marshal(m)
	if err != nil {
		text = []byte(err.Error())
	}
	fmt.Fprintf(&p, "%s", text)
	return p.Bytes()
}
