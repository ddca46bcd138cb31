package wireguard

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/proctest"
)

var quiet = slog.New(slog.DiscardHandler)

// deadSocket leaves a socket file that nobody listens on.
func deadSocket(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// page returns what a scrape shows, without times that differ each time.
func page(t *testing.T, c collector.Collector) string {
	t.Helper()
	var b bytes.Buffer
	set := collector.NewSet(quiet, map[string]collector.Collector{"wireguard": c})
	if err := set.WriteText(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^(oriel_collector_duration_seconds\{.*\}|wireguard_scrape_duration_seconds) .*$`).ReplaceAllString(b.String(), "$1 0.1")
}

func newTest(t *testing.T, cfg Config) *Collector {
	t.Helper()
	c, err := New(cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	c.reader.kernel = kernel{list: func() []string { return nil }}
	return c
}

func config(dir string) Config {
	cfg := Default()
	cfg.SocketDir, cfg.Cache = dir, 0
	return cfg
}

func TestGoldenPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a fixed clock: 2000-01-01
		dir := t.TempDir()
		conf := filepath.Join(dir, "wg0.conf")
		text := "[Interface]\nAddress = 10.9.0.1/24\nPrivateKey = " + strings.Repeat("A", 43) + "=\n\n[Peer]\n# friendly_name = Ana \"the\\boss\"\n# friendly_json = {\"team\": \"sales\", \"floor\": 3}\nPublicKey = " + keyOf(0x0a).String() + "\nAllowedIPs = 10.9.0.2/32\n"
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := config(dir)
		cfg.NameFiles = []string{conf}
		cfg.Names = map[string]string{keyOf(0x0c).String(): "build server\nfloor 2"}
		cfg.RemoteIPAndPort = true
		cfg.Probe.Peers = []string{"*"}
		cfg.Namespaces = []Namespace{{Name: "gone"}}
		cfg.Peers = []PeerFilter{{Exclude: []string{"nobody"}}}
		c := newTest(t, cfg)
		c.Record = func([]PeerEvent) error { return nil }
		const between = 10 * time.Second // the readings, of which the second is shown
		at, moved := time.Now().Add(between), uint64(0)
		probed := peerID{"wg0", keyOf(0x0a)}
		c.probes.start(probed)
		c.probes.done(probed, echoes{sent: 4, received: 3, latency: 12 * time.Millisecond}, nil, at)
		c.probes.count("wg0", probeSuccess)
		c.reader.spaces[0].enter = func(string, func() error) error { return fs.ErrNotExist }
		rotating := Peer{PublicKey: keyOf(0x0d), AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.9.0.9/32")}}
		c.reader.kernel = kernel{
			list: func() []string { return []string{"wg0", "wg1"} },
			read: func(name string) (*Device, error) {
				if name == "wg1" {
					return nil, errTruncated
				}
				return &Device{Name: "wg0", Kernel: true, PublicKey: keyOf(0xff), Peers: []Peer{
					{
						PublicKey: keyOf(0x0a), Endpoint: netip.MustParseAddrPort("192.0.2.7:51820"), Keepalive: 25 * time.Second,
						AllowedIPs:    []netip.Prefix{netip.MustParsePrefix("10.9.0.2/32"), netip.MustParsePrefix("fd09::2/128")},
						LastHandshake: at.Add(-90 * time.Second), ReceiveBytes: 80 + moved, TransmitBytes: 1<<40 - 500 + 5*moved,
					},
					{PublicKey: keyOf(0x0b)},
					{PublicKey: keyOf(0x0c), Endpoint: netip.MustParseAddrPort("[2001:db8::1]:443"), LastHandshake: at.Add(-time.Hour)},
					rotating,
				}}, nil
			},
		}
		c.tracker.iface = func(name string) iface {
			return iface{known: name == "wg0", up: true, counted: true, received: 1000, transmitted: 2000, addresses: []netip.Prefix{netip.MustParsePrefix("10.9.0.1/24")}}
		}
		page(t, c)
		time.Sleep(between)
		moved = 100
		rotating.PublicKey = keyOf(0x0e)
		got := strings.ReplaceAll(page(t, c), conf, "wg0.conf")
		proctest.Golden(t, "testdata/metrics.prom", []byte(got))
		proctest.Lint(t, []byte(got), "wireguard_latest_handshake_seconds", "wireguard_interface_ipv4_pool_total")
		for _, profile := range Profiles() {
			one, _ := c.Compat(profile)
			proctest.Golden(t, "testdata/compat-"+profile+".prom", []byte(page(t, one)))
		}
	})
}

func TestHistory(t *testing.T) {
	dir := t.TempDir()
	peer := func(b byte, rest string) string {
		return fmt.Sprintf("public_key=%s\n%s", strings.Repeat(fmt.Sprintf("%02x", b), 32), rest)
	}
	dev := proctest.NewUAPI(t, dir, "wg0", nil)
	c := newTest(t, config(dir))
	steps := []struct {
		answer string
		want   []string
	}{
		{peer(1, "endpoint=192.0.2.1:1\n") + peer(2, ""), []string{
			`wireguard_peers_created_total{device="wg0",interface="wg0"} 0`, `wireguard_peers_removed_total{device="wg0",interface="wg0"} 0`,
			`wireguard_device_peers{device="wg0",interface="wg0"} 2`,
		}},
		{peer(1, "endpoint=192.0.2.1:2\n") + peer(2, "endpoint=192.0.2.9:1\n") + peer(3, ""), []string{
			`wireguard_peers_created_total{device="wg0",interface="wg0"} 1`,
			`wireguard_peer_endpoint_changes_total{device="wg0",interface="wg0",public_key="` + keyOf(1).String() + `"} 1`,
			`wireguard_peer_endpoint_changes_total{device="wg0",interface="wg0",public_key="` + keyOf(2).String() + `"} 0`, // it only became known
		}},
		{"garbage\n", []string{`wireguard_scrape_success{device="wg0",interface="wg0"} 0`, `wireguard_scrape_errors_total{device="wg0",reason="protocol"} 1`, `oriel_collector_success{collector="wireguard"} 0`}},
		{"private_key=" + hexA + "\n" + peer(1, "") + peer(3, ""), []string{
			`wireguard_peers_removed_total{device="wg0",interface="wg0"} 1`, `wireguard_peers_created_total{device="wg0",interface="wg0"} 1`,
			`wireguard_device_key_changes_total{device="wg0",interface="wg0"} 1`,
			`wireguard_peer_endpoint_changes_total{device="wg0",interface="wg0",public_key="` + keyOf(1).String() + `"} 1`,
		}},
	}
	for i, step := range steps {
		text := step.answer
		if !strings.HasPrefix(text, "garbage") {
			text += "errno=0\n\n"
		}
		dev.Set(proctest.Text(text))
		got := page(t, c)
		for _, want := range step.want {
			if !strings.Contains(got, want+"\n") {
				t.Errorf("step %d lacks %s:\n%s", i, want, got)
			}
		}
	}
}

func TestManyScrapersCostOneRead(t *testing.T) {
	dir := t.TempDir()
	release := make(chan struct{})
	dev := proctest.NewUAPI(t, dir, "wg0", func(w io.Writer) { <-release; proctest.Peers(10)(w) })
	cfg := config(dir)
	cfg.Cache = conf.Duration(time.Hour)
	c := newTest(t, cfg)
	var wg sync.WaitGroup
	pages := make([]string, 20)
	for i := range pages {
		wg.Go(func() { pages[i] = page(t, c) })
	}
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { return dev.Reads() == 1, "not asked" })
	close(release)
	wg.Wait()
	page(t, c)
	if n := dev.Reads(); n != 1 {
		t.Errorf("the device was asked %d times; want 1", n)
	}
	for _, p := range pages {
		if !strings.Contains(p, `wireguard_device_peers{device="wg0",interface="wg0"} 10`) {
			t.Fatalf("page lacks the peers:\n%s", p)
		}
	}
}

func TestSecretKeysAreNowhere(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	secrets := []string{alicePrivate, "ffffffff", strings.Repeat("0d", 16), "d3JvbmcgcGxhY2U"}
	dev := proctest.NewUAPI(t, dir, "wg0", proctest.Text(answer(twoPeers, alicePrivate, hexA, hexB)))
	cfg := config(dir)
	cfg.NameFiles = []string{filepath.Join(dir, "wg0.conf")}
	if err := os.WriteFile(cfg.NameFiles[0], []byte("[Interface]\nPrivateKey = d3JvbmcgcGxhY2U\n[Peer]\nPresharedKey = d3JvbmcgcGxhY2U\nPublicKey = d3JvbmcgcGxhY2U\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(cfg, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	c.reader.kernel = kernel{list: func() []string { return nil }}
	all := page(t, c)
	// Errors quote what they were about: never a key.
	for _, broken := range []string{"private_key=" + alicePrivate + "x\n", "private_key=" + alicePrivate + "\nerrno=5\n\n", "preshared_key=" + strings.Repeat("0d", 32), alicePrivate + "\n"} {
		dev.Set(proctest.Text(broken))
		all += page(t, c)
	}
	all += log.String()
	for _, s := range secrets {
		if strings.Contains(all, s) {
			t.Errorf("%q is in metrics or logs:\n%s", s, all)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	tests := []struct{ in, want string }{
		{"interfaces: ['[']", "interfaces[0]"},
		{"timeout: 0s", "timeout"},
		{"max_peers: 70000", "max_peers"},
		{"names: {abc: x}", `"abc" is not a WireGuard key`},
		{"names: {" + keyOf(1).String() + ": ''}", "empty name"},
		{"addresses: {wg0: [10.0.0.1]}", "addresses.wg0"},
		{"families: [telegraf]", "families[0]"},
		{"socket_dir: ''", "socket_dir"},
		{"interfaces: [wg*, wg0]\npeer_timeout: 3m", ""},
	}
	for _, tt := range tests {
		var c Config
		if err := conf.Decode("f", []byte(tt.in), &c); err != nil {
			t.Fatal(err)
		}
		err := c.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: Validate = %v; want %q", tt.in, err, tt.want)
		}
	}
}

func BenchmarkPage10kPeers(b *testing.B) {
	dir := b.TempDir()
	proctest.NewUAPI(b, dir, "wg0", proctest.Peers(10_000))
	c, err := New(config(dir), quiet)
	if err != nil {
		b.Fatal(err)
	}
	set := collector.NewSet(quiet, map[string]collector.Collector{"wireguard": c})
	b.ReportAllocs()
	for b.Loop() {
		if err := set.WriteText(b.Context(), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseUAPI10kPeers(b *testing.B) {
	var text bytes.Buffer
	var like *Device
	proctest.Peers(10_000)(&text)
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if like, err = parseUAPI(bytes.NewReader(text.Bytes()), "wg0", 20_000, now, like); err != nil {
			b.Fatal(err)
		}
	}
}

func TestClockThatStepsBack(t *testing.T) {
	dir := t.TempDir()
	future := time.Now().Add(time.Hour).Unix()
	dev := proctest.NewUAPI(t, dir, "wg0", proctest.Text(fmt.Sprintf("public_key=%s\nlast_handshake_time_sec=%d\nlast_handshake_time_nsec=1\nerrno=0\n\n", hexA, future)))
	cfg := config(dir)
	cfg.Cache = conf.Duration(time.Hour)
	c := newTest(t, cfg)
	got := page(t, c)
	for _, want := range []string{
		fmt.Sprintf("wireguard_peer_handshake_age_seconds{device=%q,interface=%q,public_key=%q} 0", "wg0", "wg0", keyOf(0x0a)),
		fmt.Sprintf("wireguard_latest_handshake_delay_seconds{interface=%q,public_key=%q,allowed_ips=%q} 0", "wg0", keyOf(0x0a), "(none)"),
		fmt.Sprintf("wireguard_peer_up{device=%q,interface=%q,public_key=%q} 1", "wg0", "wg0", keyOf(0x0a)),
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("page lacks %s:\n%s", want, got)
		}
	}
	// A snapshot from the future must not be served until that time comes.
	c.mu.Lock()
	c.latest.at = time.Now().Add(time.Hour).Round(0)
	c.mu.Unlock()
	page(t, c)
	if n := dev.Reads(); n != 2 {
		t.Errorf("the device was asked %d times; want 2", n)
	}
}
