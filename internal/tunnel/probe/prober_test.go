package probe

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/relay"
)

// lab is a directory with lab-ca.pem, client.crt and client.key, and a server that demands a certificate.
type lab struct {
	dir  string
	ca   *proctest.Authority
	port string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	dir := t.TempDir()
	l := &lab{dir: dir, ca: proctest.NewAuthority(t, dir, "lab")}
	cert := l.ca.Leaf(t, "client", -time.Hour, 48*time.Hour)
	l.port = serve(t, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: l.ca.Pool})
	return l
}

func (l *lab) config(t *testing.T, more string) Config {
	t.Helper()
	text := fmt.Sprintf(`
interval: 1s
timeout: 1s
concurrency: 4
targets:
- id: "1001"
  name: payments
  company: Acme
  host: 127.0.0.1
  port: %[2]s
  api: plain
  tls: {ca_file: %[1]s/lab-ca.pem, cert_file: %[1]s/client.crt, key_file: %[1]s/client.key}
- {id: "1002", company: Acme, host: no-such-host.invalid, port: 1}
- {id: "1003", company: Acme, host: 127.0.0.1, port: 1, enabled: false}
- {id: "1004", company: Acme, host: h, port: 2, address: '127.0.0.1:%[2]s', tls: {ca_file: %[1]s/missing.pem}}
%[3]s`, l.dir, l.port, more)
	c := Default()
	if err := conf.Decode("test.yml", []byte(text), &c); err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs a Prober until the test ends.
func run(t *testing.T, c Config, local func() []relay.Status, log *slog.Logger) *Prober {
	t.Helper()
	p, err := New(c, local, log)
	if err != nil {
		t.Fatal(err)
	}
	proctest.Run(t, p.Run)
	return p
}

// lockedBuffer is read while others write to it.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func row(p *Prober, id string) Row {
	for _, r := range p.Tunnels() {
		if r.TunnelID == id {
			return r
		}
	}
	return Row{}
}

func TestRunProbesEachTargetAgainAndAgain(t *testing.T) {
	l := newLab(t)
	var logs lockedBuffer
	var full atomic.Bool
	p := run(t, l.config(t, ""), func() []relay.Status {
		s := relay.Status{Name: "payments", Role: "gateway", Status: "active", Max: 10, Connections: 3}
		if full.Load() {
			s.Connections = 10
		}
		return []relay.Status{s, {Name: "payments", Role: "guardian", Max: 77}}
	}, slog.New(slog.NewTextHandler(&logs, nil)))
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		a, b, d := row(p, "1001"), row(p, "1002"), row(p, "1004")
		return a.Probes >= 2 && a.State == "up" && b.Failures >= 2 && d.Failures > 0, fmt.Sprintf("%+v", []Row{a, b, d})
	})
	a := row(p, "1001")
	if a.Anonymous == nil || *a.Anonymous || a.Version != "1.3" || a.TLS == nil || a.Transfer == nil || a.NotAfter == nil || *a.Connections != 3 || *a.Limit != 10 ||
		a.Target != "127.0.0.1:"+l.port || a.LastSuccess == nil {
		t.Errorf("good tunnel: %+v", a)
	}
	if b := row(p, "1002"); b.State != "down" || b.Error != "dns" || b.Step != StepResolve || b.NotAfter != nil {
		t.Errorf("tunnel without address: %+v", b)
	}
	if c := row(p, "1003"); c.State != "disabled" || c.Probes != 0 || c.Up != nil {
		t.Errorf("disabled tunnel: %+v", c)
	}
	if d := row(p, "1004"); d.Error != "files" {
		t.Errorf("tunnel without CA file: %+v", d)
	}
	accepting := func() (v float64) {
		for _, m := range Catalog() {
			if m.Name == "ct_instance_accepting_connections" {
				for _, x := range m.each(p.views(time.Now())[:1]) {
					v = x
				}
			}
		}
		return v
	}
	if accepting() != 1 {
		t.Error("a good tunnel with room is not accepting")
	}
	if full.Store(true); accepting() != 0 {
		t.Error("a full tunnel is accepting")
	}
	if n := strings.Count(logs.String(), "tunnel=1002"); n != 1 {
		t.Errorf("a lasting failure was logged %d times; want once", n)
	}
}

// TestFirstProbesAreSoon: who starts the program need not wait for an interval.
func TestFirstProbesAreSoon(t *testing.T) {
	l := newLab(t)
	c := l.config(t, "")
	c.Interval = conf.Duration(time.Hour)
	p := run(t, c, nil, slog.New(slog.DiscardHandler))
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		a := row(p, "1001")
		return a.Probes == 1 && a.State == "up", fmt.Sprintf("%+v", a)
	})
}

// TestRenewedCertificateIsTakenAndBrokenOneIsNot: the last good files stay in force.
func TestRenewedCertificateIsTakenAndBrokenOneIsNot(t *testing.T) {
	l := newLab(t)
	f := files{ca: l.dir + "/lab-ca.pem", cert: l.dir + "/client.crt", key: l.dir + "/client.key"}
	var all trusts
	first, err := all.get(f)
	if err != nil || first.leaf == nil {
		t.Fatalf("get: %v", err)
	}
	again := func() (*trust, error) {
		all.held[f].seen = time.Now().Add(-time.Hour) // the next look is due
		return all.get(f)
	}
	if same, err := again(); err != nil || same != first {
		t.Errorf("unchanged files made a new trust, %v", err)
	}
	if err := os.WriteFile(f.key, []byte("-----BEGIN PRIVATE KEY-----\naGFsZg==\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if kept, err := again(); err == nil || kept != first {
		t.Errorf("broken key: trust changed %v, error %v; want the old trust and an error", kept != first, err)
	}
	if kept, err := again(); err == nil || kept != first {
		t.Errorf("broken key, looked at again: %v, %v", kept != first, err)
	}
	l.ca.Leaf(t, "client", -time.Hour, 100*time.Hour)
	if renewed, err := again(); err != nil || renewed == first || !renewed.leaf.NotAfter.After(first.leaf.NotAfter) {
		t.Errorf("renewed certificate is not taken: %v", err)
	}
}

func TestStatesOfOtherProcesses(t *testing.T) {
	l := newLab(t)
	list := []relay.Status{{Name: "payments", Role: "gateway", Status: "inactive", Max: 5}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(list) }))
	defer srv.Close()
	p := run(t, l.config(t, "status: ['"+srv.URL+"', 'http://127.0.0.1:1/status']"), nil, quiet)
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		s := p.states.Load()
		return s != nil && s.failed == 1 && row(p, "1001").Limit != nil && *row(p, "1001").Limit == 5, fmt.Sprintf("%+v", s)
	})
}

func TestProbeOnRequest(t *testing.T) {
	l := newLab(t)
	_, port, _ := net.SplitHostPort(net.JoinHostPort("", l.port))
	c := l.config(t, fmt.Sprintf("allow: ['127.0.0.0/8:%s']\nmodules: {mine: {api: plain, anonymous: true, tls: {ca_file: %[2]s/lab-ca.pem, cert_file: %[2]s/client.crt, key_file: %[2]s/client.key}}}", port, l.dir))
	p, err := New(c, nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		query string
		code  int
		want  []string
	}{
		{"target=1001", 200, []string{"probe_success 1", `probe_tunnel_duration_seconds{phase="transfer"}`, "probe_ssl_earliest_cert_expiry ", `probe_tls_version_info{version="TLS 1.3"} 1`, "probe_ip_protocol 4", "probe_ip_addr_hash 3.668918509e+09"}},
		{"target=payments", 200, []string{"probe_success 1"}},
		{"target=127.0.0.1:" + port + "&module=mine", 200, []string{"probe_success 1", "probe_tunnel_anonymous_allowed 0", "probe_ssl_last_chain_info{fingerprint_sha256="}},
		{"target=127.0.0.1:" + port + "&module=tls_connect", 200, []string{"probe_success 0", `probe_tunnel_failure_info{step="tls",error_type="cert_untrusted"} 1`}},
		{"target=127.0.0.2:" + port + "&module=tcp_connect", 200, []string{"probe_success 0"}},
		{"target=1002", 200, []string{"probe_success 0", `error_type="dns"`}},
		{"target=127.0.0.1:" + port + "&module=mine&debug=true", 200, []string{"Logs for the probe:", "Probe succeeded", "Metrics that would have been returned:\n# HELP probe_dns", "Module configuration:", "api: plain"}},
		{"", 400, []string{"Target parameter is missing"}},
		{"target=127.0.0.1:" + port + "&module=nope", 400, []string{`Unknown module "nope"`}},
		{"target=nonsense&module=mine", 400, []string{"host:port"}},
		{"target=127.0.0.1:22&module=mine", 403, []string{"does not allow"}},
		{"target=169.254.169.254:80&module=tcp_connect", 403, []string{"does not allow"}},
		{"target=http://127.0.0.1:" + port + "/x&module=mine", 400, nil},
	} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest("GET", "/probe?"+tt.query, nil))
		if w.Code != tt.code {
			t.Errorf("%s: status %d; want %d\n%s", tt.query, w.Code, tt.code, w.Body)
		}
		for _, want := range tt.want {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: the page lacks %q:\n%s", tt.query, want, w.Body)
			}
		}
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("POST", "/probe?target=1001", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", w.Code)
	}
}

func TestTimeoutIsTheShorterOne(t *testing.T) {
	for _, tt := range []struct {
		header string
		module time.Duration
		want   time.Duration
	}{
		{"", 10 * time.Second, 10 * time.Second},
		{"5", 10 * time.Second, 4500 * time.Millisecond},
		{"60", 10 * time.Second, 10 * time.Second},
		{"0.3", 10 * time.Second, 300 * time.Millisecond},
		{"NaN", time.Second, time.Second},
		{"+Inf", time.Second, time.Second},
		{"-1", time.Second, time.Second},
		{"1e300", 4 * time.Minute, maxScrape - scrapeMargin},
		{"x", 4 * time.Minute, maxScrape - scrapeMargin},
	} {
		r := httptest.NewRequest("GET", "/probe", nil)
		r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", tt.header)
		if got := timeout(r, tt.module); got != tt.want {
			t.Errorf("timeout(%q, %s) = %s; want %s", tt.header, tt.module, got, tt.want)
		}
	}
}

// TestServerThatIsStrictAboutProtocols: it refuses ct/1, and is probed without.
func TestServerThatIsStrictAboutProtocols(t *testing.T) {
	ca := proctest.NewAuthority(t, t.TempDir(), "ours")
	port := serve(t, &tls.Config{Certificates: []tls.Certificate{ca.Leaf(t, "leaf", -time.Hour, time.Hour)}, NextProtos: []string{"h2"}})
	r := Probe(t.Context(), Target{Host: "127.0.0.1", Port: port, TLS: &tls.Config{RootCAs: ca.Pool}, Confirm: true})
	if r.Err != nil {
		t.Errorf("probe: %v", r.Err)
	}
}

// TestNoSecretIsShown: a key appears in no metric, page, log or printed configuration.
func TestNoSecretIsShown(t *testing.T) {
	l := newLab(t)
	text, err := os.ReadFile(l.dir + "/client.key")
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Split(string(text), "\n")[1]
	var logs lockedBuffer
	c := l.config(t, "")
	p := run(t, c, nil, slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	proctest.Eventually(t, 20*time.Second, func() (bool, string) { return row(p, "1001").Probes > 0 && row(p, "1004").Probes > 0, "not probed" })
	var out bytes.Buffer
	_ = collector.NewSet(quiet, map[string]collector.Collector{"p": p}).WriteText(t.Context(), &out)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("GET", "/probe?target=1001&debug=true", nil))
	for where, page := range map[string]string{"metrics": out.String(), "debug": w.Body.String(), "rows": fmt.Sprintf("%+v", p.Tunnels()), "config": fmt.Sprintf("%+v", c), "log": logs.String()} {
		if strings.Contains(page, secret) || page == "" {
			t.Errorf("%s shows the key, or nothing", where)
		}
	}
}
