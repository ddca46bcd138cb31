package wireguard

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// patience is how long anything may take on a busy machine.
const patience = 60 * time.Second

// peerState is what the socket says of one peer.
type peerState struct {
	endpoint          string
	handshake, rx, tx int64
	keepalive         int64
	allowed           []string
}

// read asks a socket as wg does and returns the peers by base64 key.
func read(t *testing.T, socket string) map[string]peerState {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "get=1\n\n")
	peers := map[string]peerState{}
	var k key
	var p peerState
	for sc := bufio.NewScanner(conn); sc.Scan() && sc.Text() != ""; {
		name, value, _ := strings.Cut(sc.Text(), "=")
		n, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "public_key":
			b, err := hex.DecodeString(value)
			if err != nil || copy(k[:], b) != len(k) {
				t.Fatalf("public_key=%q", value)
			}
			p = peerState{}
		case "endpoint":
			p.endpoint = value
		case "last_handshake_time_sec":
			p.handshake = n
		case "rx_bytes":
			p.rx = n
		case "tx_bytes":
			p.tx = n
		case "persistent_keepalive_interval":
			p.keepalive = n
		case "allowed_ip":
			p.allowed = append(p.allowed, value)
		case "errno":
			if n != 0 {
				t.Fatalf("errno=%d", n)
			}
			continue
		default:
			continue
		}
		peers[k.base64()] = p
	}
	return peers
}

// eventually reads the socket until what it says is ok.
func eventually(t *testing.T, what, socket string, ok func(map[string]peerState) bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		peers := read(t, socket)
		if ok(peers) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v; the socket says %+v", what, patience, peers)
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}

// run opens and runs a mesh until the test ends, and then looks whether all of it is gone.
func run(t *testing.T, cfg Config) *Mesh {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	cfg.Dir = filepath.Join(t.TempDir(), "wg")
	m, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := m.Open(ctx); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(running) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
		left, err := os.ReadDir(cfg.Dir)
		if err != nil || len(left) != 0 {
			t.Errorf("after Run the directory holds %v, %v; want nothing", left, err)
		}
	})
	return m
}

func (m *Mesh) keyOf(name string) string {
	for _, n := range m.nodes {
		if n.name == name {
			return n.public.base64()
		}
	}
	return ""
}

func TestPeersShakeHandsAndTrafficMoves(t *testing.T) {
	m := run(t, Config{})
	info, err := os.Stat(m.cfg.Dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory has mode %v, %v; want 0700", info.Mode(), err)
	}
	for _, d := range m.Devices() {
		socket := m.cfg.socket(d.Name)
		if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", socket, info, err)
		}
		first := read(t, socket)
		for k, p := range first {
			switch {
			case k == m.keyOf(tablet):
				if p.handshake != 0 || p.endpoint != "" || p.tx != 0 || p.rx != 0 {
					t.Errorf("peer without a device: %+v", p)
				}
			case p.handshake < time.Now().Add(-time.Hour).Unix() || !strings.HasPrefix(p.endpoint, "127.0.0.1:"):
				t.Errorf("after Open: %s: peer %q: %+v", d.Name, m.Names()[k], p)
			}
		}
		eventually(t, "traffic in both directions", socket, func(peers map[string]peerState) bool {
			for k, p := range peers {
				// More than keepalives and handshakes account for.
				if k != m.keyOf(tablet) && (p.rx-first[k].rx < 500 || p.tx-first[k].tx < 250) {
					return false
				}
			}
			return true
		})
	}
}

func TestHubsAreConfiguredAsPlanned(t *testing.T) {
	m := run(t, Config{})
	names := m.Names()
	got := map[string][]string{}
	for _, d := range m.Devices() {
		for k, p := range read(t, m.cfg.socket(d.Name)) {
			name := names[k]
			if name == "" {
				name = "(no name)"
			}
			got[d.Name] = append(got[d.Name], fmt.Sprintf("%s %d %s", name, p.keepalive, strings.Join(p.allowed, " ")))
		}
		slices.Sort(got[d.Name])
	}
	want := map[string][]string{
		office: {
			"(no name) 0 10.9.0.6/32",
			"Ana's laptop 25 10.9.0.2/32",
			"Lisbon branch 25 10.9.0.8/32 10.9.80.0/24",
			"build server 25 10.9.0.3/32",
			`phone "roaming" 25 10.9.0.4/32`,
			"spare tablet 0 10.9.0.7/32",
			"warehouse router 25 10.9.0.5/32 10.9.64.0/24",
		},
		backup: {
			"build server 25 10.10.0.2/32",
			"off-site store 25 10.10.0.4/32 10.10.32.0/20",
			"warehouse router 25 10.10.0.3/32",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if n := len(names); n != 7 {
		t.Errorf("%d names; want 7: %q", n, names)
	}
}

func TestBranchFallsSilentForGood(t *testing.T) {
	m := run(t, Config{StaleAfter: 2 * time.Second})
	socket := m.cfg.socket(office)
	lisbon, other := m.keyOf(branch), m.keyOf(warehouse)
	eventually(t, "traffic of the branch before it is cut off", socket, func(peers map[string]peerState) bool {
		return peers[lisbon].rx > 3000 // Open alone makes a third of it
	})
	// The warehouse is the clock: by the time it has sent 40 kB, in more than
	// three seconds, a living branch would have sent some.
	var since map[string]peerState
	silent := func(peers map[string]peerState) bool {
		if since == nil || peers[lisbon].rx != since[lisbon].rx {
			since = peers
		}
		return peers[other].rx-since[other].rx > 40e3
	}
	eventually(t, "silence of the branch", socket, silent)
	last := since[lisbon]
	since = nil
	eventually(t, "lasting silence of the branch", socket, silent)
	now := read(t, socket)[lisbon]
	if now.rx != last.rx || now.handshake != last.handshake || now.keepalive == 0 {
		t.Errorf("branch after it was cut off: %+v; before: %+v", now, last)
	}
}

func TestPhoneRoamsWithItsSession(t *testing.T) {
	m := run(t, Config{RoamEvery: 1500 * time.Millisecond})
	socket, phone := m.cfg.socket(office), m.keyOf(roamer)
	endpoints := map[string]bool{}
	eventually(t, "three endpoints of the phone", socket, func(peers map[string]peerState) bool {
		endpoints[peers[phone].endpoint] = true
		return len(endpoints) >= 3
	})
	before := read(t, socket)[phone]
	eventually(t, "traffic after roaming", socket, func(peers map[string]peerState) bool {
		return peers[phone].rx > before.rx+1000
	})
}

func TestStoreIsRemovedAndComesBack(t *testing.T) {
	m := run(t, Config{ChurnEvery: 3 * time.Second})
	socket, store := m.cfg.socket(backup), m.keyOf(churner)
	first := read(t, socket)[store]
	if first.handshake == 0 {
		t.Fatalf("at first: %+v", first)
	}
	eventually(t, "removal", socket, func(peers map[string]peerState) bool {
		_, there := peers[store]
		return !there
	})
	eventually(t, "a new handshake", socket, func(peers map[string]peerState) bool {
		p := peers[store]
		return p.handshake > 0 && p.rx > 0 && cmp.Equal(p.allowed, first.allowed)
	})
}

func TestOpenGivesUpWithItsContext(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := filepath.Join(t.TempDir(), "wg")
	m, err := New(Config{Dir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// The handshakes may win against a context that has ended: make one impossible.
	m.links = append(m.links, newLink(linkSpec{address: "10.9.0.9", size: 100}, m.nodes[0], m.nodes[1]))
	m.links[len(m.links)-1].hub = &node{nodeSpec: nodeSpec{name: "nowhere"}, bind: &loopback{}, address: m.nodes[0].address}
	if err := m.Open(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Open = %v; want %v", err, context.Canceled)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("directory holds %v, %v; want nothing", left, err)
	}
	if err := m.Open(t.Context()); err == nil {
		t.Error("second Open has no error")
	}
}

func TestCloseInsteadOfRun(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := t.TempDir()
	cfg := Config{Dir: dir}
	// A dead socket of an earlier run is no obstacle.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: cfg.socket(office), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	m, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := m.Open(ctx); err != nil {
		t.Fatal(err)
	}
	// A client that stays connected does not hold up the end.
	conn, err := net.Dial("unix", cfg.socket(office))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	second, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Open(ctx); err == nil || !strings.Contains(err.Error(), "another process answers") {
		t.Errorf("a second mesh at the same place: %v", err)
	}
	read(t, cfg.socket(office))
	m.Close()
	m.Close()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("directory holds %v, %v; want nothing", left, err)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for _, cfg := range []Config{
		{},
		{Dir: "/" + strings.Repeat("long", 40)},
		{Dir: "x", RoamEvery: -1},
	} {
		if _, err := New(cfg, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("New(%+v) has no error", cfg)
		}
	}
	m, err := New(Config{Dir: "x"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(t.Context()); err == nil {
		t.Error("Run before Open has no error")
	}
	m.Close()
}

func TestPacketsAreValid(t *testing.T) {
	p := udpPacket(netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.0.1"), 100)
	if got := checksum(p[:ipv4Header]); got != 0 {
		t.Errorf("checksum over the header = %#x; want 0", got)
	}
	if n := len(p); n != 100 {
		t.Errorf("%d bytes; want 100", n)
	}
	for size, want := range map[int]int{0: 28, 9000: mtu} {
		if got := len(udpPacket(netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.0.1"), size)); got != want {
			t.Errorf("size %d gives %d bytes; want %d", size, got, want)
		}
	}
}

func TestShapes(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    shape
		want []float64 // at 0, 25, 50 and 75 s
	}{
		{"steady", steady(5), []float64{5, 5, 5, 5}},
		{"wave", wave(10, 4, 100, 0), []float64{10, 14, 10, 6}},
		{"bursts", bursts(1, 9, 50, 0.4), []float64{4.2, 1, 9, 1}}, // it begins with its mean
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i, want := range tt.want {
				if got := tt.s(float64(i) * 25); got < want-1e-9 || got > want+1e-9 {
					t.Errorf("at %d s: %v; want %v", i*25, got, want)
				}
			}
		})
	}
	total := 0.0
	for _, s := range wiring() {
		for _, f := range []shape{s.up, s.down} {
			for t := 0.0; f != nil && t < 3600; t++ {
				total += f(t) / 3600
			}
		}
	}
	if total > 300e3 {
		t.Errorf("%.0f kB/s in all on average: too much for a demo", total/1e3)
	}
}
