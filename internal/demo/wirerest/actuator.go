package wirerest

import (
	"cmp"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"
)

// requestKey is the labels of http_server_requests_seconds (Spring Boot 3.0).
type requestKey struct {
	method, uri string
	status      int
}

type requestStats struct {
	n        int64
	sum, max float64
}

func (s *Server) count(method, uri string, status int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := requestKey{method, uri, status}
	r := s.requests[key]
	if r == nil {
		r = &requestStats{}
		s.requests[key] = r
	}
	r.n++
	r.sum += took.Seconds()
	r.max = max(r.max, took.Seconds())
}

// metrics is the page of the actuator, as Micrometer writes it: every series
// has the label application, and a comma before the closing brace.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh(r.Context())
	p := &page{application: "WireRest-" + s.cfg.Interface}
	rx, tx := s.transfer()
	p.family("wirerest_network_transmit_bytes_total", "gauge", "Total transferred bytes")
	p.series("wirerest_network_transmit_bytes_total", float64(rx), "type", "receive")
	p.series("wirerest_network_transmit_bytes_total", float64(tx), "type", "transfer")
	p.gauge("wirerest_peers_total", "Total peers in wg interface", float64(len(s.peers)))
	p.gauge("wirerest_iface_ipv4_free", "The number of IP addresses that new clients can use", float64(s.free))
	p.gauge("wirerest_iface_ipv4_total", "Number of IPs in current wg interface", float64(s.total()))
	s.requestMetrics(p)
	s.jvmMetrics(p)
	w.Header().Set("Content-Type", "text/plain;version=0.0.4;charset=utf-8")
	_, _ = w.Write([]byte(p.b.String()))
}

func (s *Server) requestMetrics(p *page) {
	keys := make([]requestKey, 0, len(s.requests))
	for k := range s.requests {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b requestKey) int {
		return cmp.Or(cmp.Compare(a.method, b.method), cmp.Compare(a.status, b.status), cmp.Compare(a.uri, b.uri))
	})
	labels := func(k requestKey) []string {
		outcome := [...]string{"INFORMATIONAL", "SUCCESS", "REDIRECTION", "CLIENT_ERROR", "SERVER_ERROR"}[min(max(k.status/100, 1), 5)-1]
		return []string{"error", "none", "exception", "none", "method", k.method, "outcome", outcome, "status", fmt.Sprint(k.status), "uri", k.uri}
	}
	p.family("http_server_requests_seconds", "summary", "")
	for _, k := range keys {
		p.series("http_server_requests_seconds_count", float64(s.requests[k].n), labels(k)...)
		p.series("http_server_requests_seconds_sum", s.requests[k].sum, labels(k)...)
	}
	p.family("http_server_requests_seconds_max", "gauge", "")
	for _, k := range keys {
		p.series("http_server_requests_seconds_max", s.requests[k].max, labels(k)...)
	}
}

// jvmMetrics stand for the machine below, with this program's figures.
func (s *Server) jvmMetrics(p *page) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p.family("jvm_memory_used_bytes", "gauge", "The amount of used memory")
	p.series("jvm_memory_used_bytes", float64(m.HeapAlloc), "area", "heap", "id", "G1 Eden Space")
	p.series("jvm_memory_used_bytes", float64(m.StackInuse), "area", "nonheap", "id", "Metaspace")
	p.gauge("jvm_threads_live_threads", "The current number of live threads including both daemon and non-daemon threads", float64(runtime.NumGoroutine()))
	p.gauge("process_uptime_seconds", "The uptime of the Java virtual machine", time.Since(s.started).Seconds())
	p.gauge("process_start_time_seconds", "Start time of the process since unix epoch.", float64(s.started.UnixMilli())/1000)
	p.gauge("system_cpu_count", "The number of processors available to the Java virtual machine", float64(runtime.NumCPU()))
	levels := map[string]int{}
	for _, e := range s.logs {
		levels[strings.ToLower(e.Level)]++
	}
	p.family("logback_events_total", "counter", "Number of log events that were enabled by the effective log level")
	for _, level := range []string{"debug", "error", "info", "trace", "warn"} {
		p.series("logback_events_total", float64(levels[level]), "level", level)
	}
}

// page is text in Micrometer's spelling.
type page struct {
	application string
	b           strings.Builder
}

func (p *page) family(name, kind, help string) {
	fmt.Fprintf(&p.b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (p *page) gauge(name, help string, v float64) {
	p.family(name, "gauge", help)
	p.series(name, v)
}

func (p *page) series(name string, v float64, labels ...string) {
	fmt.Fprintf(&p.b, "%s{application=%q,", name, p.application)
	for i := 0; i+1 < len(labels); i += 2 {
		fmt.Fprintf(&p.b, "%s=%q,", labels[i], labels[i+1])
	}
	text := fmt.Sprint(v)
	if !strings.ContainsAny(text, ".eIN") {
		text += ".0" // Java's way
	}
	fmt.Fprintf(&p.b, "} %s\n", text)
}
