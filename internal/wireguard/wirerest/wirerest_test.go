package wirerest

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/conf"
	demo "github.com/orielhq/oriel/internal/demo/wirerest"
	"github.com/orielhq/oriel/internal/proctest"
)

const testToken = "the-admin-token"

var quiet = slog.New(slog.DiscardHandler)

func key(i int) string { return proctest.PeerKeyText(i) }

// newWireRest runs a WireRest for wg0 with three peers, and its configuration.
func newWireRest(t testing.TB) (*demo.Server, Config) {
	t.Helper()
	psk := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	sim, err := demo.New(t.Context(), demo.Config{
		Interface: "wg0", Token: testToken, Address: netip.MustParsePrefix("10.0.0.1/24"), ListenPort: 51820,
		Peers: func(context.Context) ([]demo.Peer, error) {
			var peers []demo.Peer
			for i := range 3 {
				peers = append(peers, demo.Peer{
					PublicKey: key(i), PresharedKey: psk, AllowedSubnets: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(2 + i)}), 32)},
					TransferRx: 100, TransferTx: 10,
				})
			}
			return peers, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	cfg := Default()
	cfg.URL, cfg.Token = srv.URL, testToken
	return sim, cfg
}

func devices(list ...Device) func(context.Context) ([]Device, error) {
	return func(context.Context) ([]Device, error) { return list, nil }
}

func newTest(t testing.TB, cfg Config, from func(context.Context) ([]Device, error)) *Collector {
	t.Helper()
	c, err := New(cfg, from, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func page(t testing.TB, c *Collector) string {
	t.Helper()
	var b bytes.Buffer
	if err := collector.NewSet(quiet, map[string]collector.Collector{"wirerest": c}).WriteText(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// figures returns the lines of a page that begin with one of the names.
func figures(text string, names ...string) string {
	var b strings.Builder
	for l := range strings.Lines(text) {
		for _, n := range names {
			if strings.HasPrefix(l, n+"{") || strings.HasPrefix(l, n+" ") {
				b.WriteString(l)
			}
		}
	}
	return b.String()
}

func want(t testing.TB, text, lines string, names ...string) {
	t.Helper()
	if diff := cmp.Diff(lines, figures(text, names...)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func testDevice(peers ...Peer) Device {
	return Device{Name: "wg0", Peers: peers, PoolTotal: 256, PoolUsed: uint64(3 + len(peers))}
}

func peer(i int, rx, tx uint64) Peer {
	return Peer{PublicKey: proctest.PeerKey(i), ReceiveBytes: rx, TransmitBytes: tx}
}

func TestMetricsPage(t *testing.T) {
	sim, cfg := newWireRest(t)
	cfg.ProbePaths = []string{"/v1/service/stats", "/v1/interface"}
	c := newTest(t, cfg, devices(testDevice(peer(0, 5, 50), peer(1, 6, 60))))
	sim.Fail(http.StatusInternalServerError)
	c.probes.run(t.Context())
	sim.Fail(0)
	c.probes.run(t.Context())
	page(t, c)
	got := page(t, c) // the second one has the first one's request in it
	proctest.Lint(t, []byte(got), "wirerest_peers_total", "wirerest_network_transmit_bytes_total", "wirerest_iface_ipv4_total",
		"http_server_requests_seconds", "http_server_requests_seconds_max", "system_cpu_count")
	for _, blur := range []string{
		`(?:http_server_requests_seconds_(?:sum|max)|jvm_\w+)\{.*\}`, `process_\w+\{.*\}`, `system_cpu_count\{.*\}`, `wirerest_scrape_duration_seconds`,
		`wirerest_probe_duration_seconds\{.*\}`, `oriel_collector_duration_seconds\{.*\}`,
	} {
		got = regexp.MustCompile(`(?m)^(`+blur+`) .*$`).ReplaceAllString(got, "$1 1")
	}
	proctest.Golden(t, "testdata/metrics.prom", []byte(got))
}

// TestFiguresWithAndWithoutWireRest: what its dashboard asks for is there with
// the interface, with the program, with both and with both after the program died.
func TestFiguresWithAndWithoutWireRest(t *testing.T) {
	names := []string{"wirerest_peers_total", "wirerest_iface_ipv4_total", "wirerest_iface_ipv4_free", "wirerest_network_transmit_bytes_total"}
	native := `wirerest_iface_ipv4_free{application="WireRest-wg0"} 251
wirerest_iface_ipv4_total{application="WireRest-wg0"} 256
wirerest_network_transmit_bytes_total{application="WireRest-wg0",type="receive"} 11
wirerest_network_transmit_bytes_total{application="WireRest-wg0",type="transfer"} 110
wirerest_peers_total{application="WireRest-wg0"} 2
`
	_, cfg := newWireRest(t)
	d := devices(testDevice(peer(0, 5, 50), peer(1, 6, 60)))
	without := Default()
	want(t, page(t, newTest(t, without, d)), native, names...)
	want(t, page(t, newTest(t, cfg, d)), native, names...)
	dead := cfg
	dead.URL = "http://127.0.0.1:1"
	got := page(t, newTest(t, dead, d))
	want(t, got, native, names...)
	want(t, got, "wirerest_up 0\n", "wirerest_up")
	want(t, page(t, newTest(t, cfg, nil)), `wirerest_iface_ipv4_free{application="WireRest-wg0"} 250
wirerest_iface_ipv4_total{application="WireRest-wg0"} 256
wirerest_network_transmit_bytes_total{application="WireRest-wg0",type="receive"} 300
wirerest_network_transmit_bytes_total{application="WireRest-wg0",type="transfer"} 30
wirerest_peers_total{application="WireRest-wg0"} 3
wirerest_up 1
`, append(names, "wirerest_up")...)
}

func TestTrafficSurvivesRemoval(t *testing.T) {
	var list []Device
	c := newTest(t, Default(), func(context.Context) ([]Device, error) { return list, nil })
	step := func(text string, peers ...Peer) {
		t.Helper()
		list = []Device{testDevice(peers...)}
		got := page(t, c)
		want(t, got, text, "wirerest_client_receive_bytes_total", "wirerest_peers_created_total", "wirerest_peers_removed_total")
	}
	row := func(i, rx int) string {
		return fmt.Sprintf("wirerest_client_receive_bytes_total{application=\"WireRest-wg0\",public_key=%q} %d\n", key(i), rx)
	}
	counts := func(created, removed int) string {
		return fmt.Sprintf("wirerest_peers_created_total{application=\"WireRest-wg0\"} %d\nwirerest_peers_removed_total{application=\"WireRest-wg0\"} %d\n", created, removed)
	}
	step(row(0, 100)+row(1, 50)+counts(0, 0), peer(0, 100, 0), peer(1, 50, 0))
	step(row(0, 110)+row(1, 50)+counts(0, 0), peer(0, 110, 0), peer(1, 50, 0))
	step(row(0, 110)+row(1, 60)+counts(0, 1), peer(1, 60, 0))                // removed: its figure stays
	step(row(0, 115)+row(1, 60)+counts(1, 1), peer(0, 5, 0), peer(1, 60, 0)) // back, from zero
	step(row(0, 115)+row(1, 62)+counts(1, 1), peer(0, 5, 0), peer(1, 2, 0))  // began anew without being removed
	step(row(0, 115)+row(1, 62)+counts(1, 2), peer(0, 5, 0))
	step(row(0, 115)+row(1, 69)+counts(2, 2), peer(0, 5, 0), peer(1, 7, 0)) // back with more than it had: from zero all the same
	want(t, page(t, c), `wirerest_network_transmit_bytes_total{application="WireRest-wg0",type="receive"} 184
wirerest_network_transmit_bytes_total{application="WireRest-wg0",type="transfer"} 0
wirerest_traffic_bytes_total{application="WireRest-wg0",type="receive"} 184
wirerest_traffic_bytes_total{application="WireRest-wg0",type="transfer"} 0
`, "wirerest_network_transmit_bytes_total", "wirerest_traffic_bytes_total")
}

func TestClientsAreBounded(t *testing.T) {
	cfg := Default()
	cfg.MaxClients = 2
	c := newTest(t, cfg, devices(testDevice(peer(0, 1, 0), peer(1, 2, 0), peer(2, 3, 0), peer(3, 4, 0))))
	want(t, page(t, c), fmt.Sprintf(`wirerest_client_receive_bytes_total{application="WireRest-wg0",public_key=%q} 1
wirerest_client_receive_bytes_total{application="WireRest-wg0",public_key=%q} 2
wirerest_client_receive_bytes_total{application="WireRest-wg0",public_key="other"} 7
wirerest_clients_folded 2
`, key(0), key(1)), "wirerest_client_receive_bytes_total", "wirerest_clients_folded")

	tr := newTracker(cfg)
	now := time.Unix(0, 0)
	for i := range 1000 { // a client that comes under a new key each time
		tr.update([]Device{testDevice(peer(i, 1, 1))}, now.Add(time.Duration(i)*time.Second))
	}
	if n := len(tr.devices["wg0"].clients); n > 3 {
		t.Errorf("%d clients are remembered; want at most 3", n)
	}
	if tr.devices["wg0"].rx != 1000 {
		t.Errorf("rx = %d; want 1000: the sum is of all", tr.devices["wg0"].rx)
	}
	tr.update(nil, now.Add(48*time.Hour))
	if len(tr.devices) != 0 {
		t.Errorf("%d devices are remembered after two days; want none", len(tr.devices))
	}
}

func TestClientsFromTheAPI(t *testing.T) {
	_, cfg := newWireRest(t)
	cfg.Clients, cfg.Interfaces = ClientsAPI, []string{"wg0"}
	c := newTest(t, cfg, nil)
	if err := c.readAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := page(t, c)
	if n := strings.Count(got, "wirerest_client_receive_bytes_total{"); n != 3 {
		t.Errorf("%d clients; want 3\n%s", n, got)
	}
	if strings.Contains(got, "wirerest_clients_last_success_timestamp_seconds 0\n") {
		t.Error("the time of the last success is missing")
	}
}

// raw is a WireRest that answers with a text.
func raw(t testing.TB, status int, text string) Config {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(srv.Close)
	cfg := Default()
	cfg.URL, cfg.Token = srv.URL, testToken
	return cfg
}

// endless is a WireRest whose answer has no end.
func endless(t testing.TB) Config {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line := []byte("# " + strings.Repeat("x", 60_000) + "\n")
		for r.Context().Err() == nil {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	cfg := Default()
	cfg.URL = srv.URL
	return cfg
}

func TestBadAnswers(t *testing.T) {
	good := "# TYPE wirerest_peers_total gauge\nwirerest_peers_total{application=\"WireRest-wg0\",} 3.0\n"
	many := strings.Repeat("x", 2000)
	tests := map[string]struct {
		cfg    Config
		reason string // of wirerest_scrape_errors_total; empty: up
		peers  bool   // whether wirerest_peers_total is there
	}{
		"good":               {raw(t, 200, good), "", true},
		"wrong token":        {raw(t, 403, `{"code":403,"message":"Token is invalid or not provided"}`), "unauthorized", false},
		"broken":             {raw(t, 500, good), "server_error", false},
		"elsewhere":          {raw(t, 404, good), "client_error", false},
		"redirect":           {raw(t, 302, good), "other", false},
		"web page":           {raw(t, 200, "<html>\n<body>\n</body>\n"), "malformed", false},
		"one bad line":       {raw(t, 200, "wirerest_x{a=\"b} 1\n"+good), "", true},
		"nothing":            {raw(t, 200, ""), "malformed", false},
		"endless":            {endless(t), "too_large", false},
		"not ours":           {raw(t, 200, "wirerest_up 1\noriel_x 1\ngo_x 1\nwirerest_probe_success 1\n"+good), "", true},
		"a label too long":   {raw(t, 200, "wirerest_x{a=\""+many+"\"} 1\n"+good), "", true},
		"a token in a label": {raw(t, 200, "wirerest_x{uri=\"/v1/peers?token="+testToken+"\"} 1\n"+good), "", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			want(t, page(t, newTest(t, tt.cfg, devices(Device{Name: "wg1"}))), map[bool]string{true: "wirerest_up 1\n", false: "wirerest_up 0\n"}[tt.reason == ""], "wirerest_up")
			got := page(t, newTest(t, tt.cfg, nil))
			up := "wirerest_up 1\n"
			if tt.reason != "" {
				up = "wirerest_up 0\n"
				if !strings.Contains(got, fmt.Sprintf("wirerest_scrape_errors_total{reason=%q} 1\n", tt.reason)) {
					t.Errorf("no error of the reason %q:\n%s", tt.reason, figures(got, "wirerest_scrape_errors_total"))
				}
			}
			want(t, got, up, "wirerest_up")
			if has := strings.Contains(got, "wirerest_peers_total{"); has != tt.peers {
				t.Errorf("peers on the page: %v; want %v\n%s", has, tt.peers, got)
			}
			for _, bad := range []string{testToken, many, "oriel_x", "go_x", "wirerest_x"} {
				if strings.Contains(got, bad) {
					t.Errorf("the page has %.40q", bad)
				}
			}
		})
	}
}

func TestSlowWireRestTimesOut(t *testing.T) {
	sim, cfg := newWireRest(t)
	_ = sim
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(release)
	cfg.URL, cfg.Timeout = srv.URL, conf.Duration(50*time.Millisecond)
	c := newTest(t, cfg, devices(testDevice(peer(0, 1, 1))))
	got := page(t, c)
	want(t, got, "wirerest_peers_total{application=\"WireRest-wg0\"} 1\nwirerest_up 0\n", "wirerest_peers_total", "wirerest_up")
	if !strings.Contains(got, `wirerest_scrape_errors_total{reason="timeout"} 1`) {
		t.Errorf("no time-out was counted:\n%s", figures(got, "wirerest_scrape_errors_total"))
	}
}

// TestSecretsStayThere: neither WireRest's token nor any key that it has shows up, in any way.
func TestSecretsStayThere(t *testing.T) {
	sim, cfg := newWireRest(t)
	cfg.ProbePaths = []string{"/v1/interface", "/v1/peers", "/v1/service/logs"}
	cfg.Clients, cfg.Interfaces, cfg.Interval = ClientsAPI, []string{"wg0"}, conf.Duration(time.Second)
	var log bytes.Buffer
	var mu sync.Mutex
	handler := slog.NewTextHandler(lockedWriter{&mu, &log}, &slog.HandlerOptions{Level: slog.LevelDebug})
	for _, token := range []string{testToken, "another-token"} {
		cfg.Token = conf.Secret(token)
		c, err := New(cfg, nil, slog.New(handler))
		if err != nil {
			t.Fatal(err)
		}
		c.probes.run(t.Context())
		apiErr := c.readAPI(t.Context())
		if (apiErr == nil) != (token == testToken) {
			t.Errorf("readAPI = %v", apiErr)
		}
		var b bytes.Buffer
		set := collector.NewSet(slog.New(handler), map[string]collector.Collector{"wirerest": c})
		if err := set.WriteText(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		shown := b.String() + log.String() + fmt.Sprintf("%v %+v %#v %v %+v", apiErr, apiErr, cfg, cfg, c.tracker.devices["wg0"])
		mu.Unlock()
		for _, secret := range append(sim.Secrets(), "another-token") {
			if strings.Contains(shown, secret) {
				t.Errorf("a secret is shown: %q", secret)
			}
		}
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func TestTokenFileIsReadEachTime(t *testing.T) {
	_, cfg := newWireRest(t)
	file := filepath.Join(t.TempDir(), "token")
	cfg.Token, cfg.TokenFile = "", file
	c := newTest(t, cfg, nil)
	if got := page(t, c); !strings.Contains(got, `wirerest_scrape_errors_total{reason="token"} 1`) {
		t.Errorf("no error for the missing file:\n%s", figures(got, "wirerest_scrape_errors_total"))
	}
	if err := os.WriteFile(file, []byte(testToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, page(t, c), "wirerest_up 1\n", "wirerest_up")
}

func TestRunProbesUntilTold(t *testing.T) {
	_, cfg := newWireRest(t)
	c := newTest(t, cfg, nil)
	proctest.Run(t, c.Run)
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		got := page(t, c)
		return strings.Contains(got, `wirerest_probe_success{path="/v1/service/stats"} 1`), figures(got, "wirerest_probe_success")
	})
}

func TestInterfaceErrorKeepsTheRest(t *testing.T) {
	_, cfg := newWireRest(t)
	c := newTest(t, cfg, func(context.Context) ([]Device, error) {
		return []Device{{Name: "wg1"}}, errors.New("wg0 is dead")
	})
	got := page(t, c)
	want(t, got, "oriel_collector_success{collector=\"wirerest\"} 0\nwirerest_peers_total{application=\"WireRest-wg0\"} 3\nwirerest_peers_total{application=\"WireRest-wg1\"} 0\n",
		"oriel_collector_success", "wirerest_peers_total")
}

func TestConfigNamesTheWrongKey(t *testing.T) {
	good := Default()
	good.URL = "http://127.0.0.1:8081"
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for prefix, spoil := range map[string]func(*Config){
		"url: want":          func(c *Config) { c.URL = "127.0.0.1" },
		"url: no user":       func(c *Config) { c.URL = "http://h/?token=x" },
		"token: ":            func(c *Config) { c.Token, c.TokenFile = "a", "b" },
		"timeout: ":          func(c *Config) { c.Timeout = 0 },
		"max_bytes: ":        func(c *Config) { c.MaxBytes = 1 },
		"max_series: ":       func(c *Config) { c.MaxSeries = 0 },
		"max_clients: ":      func(c *Config) { c.MaxClients = 0 },
		"client_retention: ": func(c *Config) { c.ClientRetention = -1 },
		"interval: ":         func(c *Config) { c.Interval = 1 },
		"families[1]: ":      func(c *Config) { c.Families = []string{"a", "b c"} },
		"probe_paths[0]: ":   func(c *Config) { c.ProbePaths = []string{"/v1/peers?token=x"} },
		"probe_paths[1]: ":   func(c *Config) { c.ProbePaths = []string{"/a", "/a"} },
		"clients: api":       func(c *Config) { c.Clients, c.URL = ClientsAPI, "" },
		"interfaces: ":       func(c *Config) { c.Clients = ClientsAPI },
		"clients: \"x\"":     func(c *Config) { c.Clients = "x" },
	} {
		c := good
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), prefix) {
			t.Errorf("Validate() = %v; want %s...", err, prefix)
		}
	}
	if _, err := New(Default(), nil, quiet); err == nil {
		t.Error("New with nothing to do succeeded")
	}
}
