package proxy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/pki"
	"github.com/orielhq/oriel/internal/tunnel/proxyproto"
	"github.com/orielhq/oriel/internal/tunnel/trust"
)

func TestMetrics(t *testing.T) {
	w := start(t, nil, nil)
	w.raw(t, acme, "GET /api/v1/targets", "")
	w.raw(t, "stranger", "GET /api/v1/query?query=up", "")
	// As a proxy that takes clients' certificates itself.
	dir := t.TempDir()
	if _, err := pki.Init(dir, "oriel.test", ""); err != nil {
		t.Fatal(err)
	}
	crl, err := pki.ReadFile(filepath.Join(dir, "crl.pem"))
	if err != nil {
		t.Fatal(err)
	}
	lists, err := pki.ParseLists(crl)
	if err != nil {
		t.Fatal(err)
	}
	w.state.Store(&trust.State{Cert: tls.Certificate{Leaf: &x509.Certificate{NotAfter: time.Unix(2_000_000_000, 0)}}, Lists: lists})
	set := collector.NewSet(slog.New(slog.DiscardHandler), map[string]collector.Collector{"tunnel_proxy": w.Proxy})
	var shown string
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		rec := httptest.NewRecorder()
		set.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
		shown = rec.Body.String()
		return strings.Contains(shown, "oriel_tunnel_proxy_connections 0") && w.companies[0].bytesOut.Load() > 0, shown
	})
	var page bytes.Buffer
	for line := range strings.Lines(shown) {
		switch {
		case strings.Contains(line, "oriel_collector_"):
		case strings.HasPrefix(line, "oriel_tunnel_proxy_crl_next_update"):
			page.WriteString("oriel_tunnel_proxy_crl_next_update_timestamp_seconds 2e+09\n")
		default:
			page.WriteString(line)
		}
	}
	proctest.Golden(t, "testdata/metrics.prom", page.Bytes())
	proctest.Lint(t, page.Bytes())
}

// TestHowPrometheusTookIt: a company's questions are counted by what became of them.
func TestHowPrometheusTookIt(t *testing.T) {
	w := start(t, nil, func(c *Config) { c.Limits.Timeout = conf.Duration(time.Second) })
	count := func(result string) int64 {
		c := w.companies[0]
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.results[result]
	}
	expect := func(result string) {
		t.Helper()
		proctest.Eventually(t, 20*time.Second, func() (bool, string) { return count(result) == 1, fmt.Sprintf("%s: %d", result, count(result)) })
	}
	for code, result := range map[int]string{200: "ok", 422: "refused", 503: "error"} {
		w.prom.mu.Lock()
		w.prom.code = code
		w.prom.mu.Unlock()
		if got, answer := w.raw(t, acme, "GET /api/v1/query?query=up", ""); got != code {
			t.Errorf("Prometheus said %d: %d %s", code, got, answer)
		}
		expect(result)
	}
	hold := make(chan struct{})
	w.prom.mu.Lock()
	w.prom.hold = hold
	w.prom.mu.Unlock()
	if got, answer := w.raw(t, acme, "GET /api/v1/query?query=up", ""); got != 503 || !strings.Contains(answer, "took too long") {
		t.Errorf("a Prometheus that hangs: %d %s", got, answer)
	}
	expect("timeout")
	gone, err := net.Dial("tcp", w.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = gone.Write(proxyproto.Header{Company: acme}.Append(nil))
	_, _ = io.WriteString(gone, "GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\n\r\n")
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { return w.companies[0].now.Load() == 1, "not asked" })
	_ = gone.Close()
	expect("canceled")
	close(hold)
	w.prom.Close()
	if got, answer := w.raw(t, acme, "GET /api/v1/query?query=up", ""); got != 502 {
		t.Errorf("no Prometheus: %d %s", got, answer)
	}
	expect("unreachable")
}
