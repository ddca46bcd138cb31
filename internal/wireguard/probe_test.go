package wireguard

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/proctest"
)

// probeStage is a stage whose peers are probed by a pinger of the test.
type probeStage struct {
	*stage
	mu    sync.Mutex // guards what follows
	asked map[string]int
	reply func(echoTarget) (echoes, error)
}

func newProbing(t *testing.T, change func(*Config)) *probeStage {
	t.Helper()
	p := &probeStage{stage: newStage(t), asked: map[string]int{}}
	p.cfg.Probe.Peers = []string{"*"}
	p.cfg.Probe.Count = 1
	if change != nil {
		change(&p.cfg)
	}
	if err := p.cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	p.tracker.cfg = p.cfg
	p.tracker.iface = func(string) iface { return iface{known: true, up: true} }
	p.probes = newProbes(p.cfg.Probe)
	p.reply = func(echoTarget) (echoes, error) { return echoes{1, 1, 20 * time.Millisecond}, nil }
	p.probes.ping = func(_ context.Context, target echoTarget, _ int, _ time.Duration) (echoes, error) {
		p.mu.Lock()
		p.asked[target.addr.String()]++
		p.mu.Unlock()
		return p.reply(target)
	}
	return p
}

// run probes for so long.
func (p *probeStage) run(t *testing.T, d time.Duration) map[string]int {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { _ = p.Run(ctx); close(ended) }()
	time.Sleep(d)
	cancel()
	<-ended
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := maps.Clone(p.asked)
	clear(p.asked)
	return asked
}

func awakePeer(b byte, allowed ...string) Peer {
	p := somePeer(b, allowed...)
	p.Keepalive, p.LastHandshake = 25*time.Second, time.Now().Add(-time.Minute)
	return p
}

func TestProbesGoToWhomTheConfigurationNames(t *testing.T) {
	tests := []struct {
		peers   []string
		targets map[string]string
		want    []string
	}{
		{nil, nil, nil},
		{[]string{"*"}, nil, []string{"10.9.0.2", "fd09::3"}},
		{[]string{"An*"}, nil, []string{"10.9.0.2"}},
		{[]string{keyOf(2).String()}, nil, []string{"fd09::3"}},
		{[]string{"*"}, map[string]string{"Ana": "10.9.64.1", keyOf(3).String(): "10.1.0.1"}, []string{"10.1.0.1", "10.9.64.1", "fd09::3"}},
		{[]string{"Bob"}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.peers, tt.targets), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProbing(t, func(c *Config) { c.Probe.Peers, c.Probe.Targets = tt.peers, tt.targets })
				p.peers = []Peer{awakePeer(1, "10.9.80.0/24", "10.9.0.2/32"), awakePeer(2, "10.0.0.0/8", "fd09::3/128"), awakePeer(3, "10.0.0.0/8")}
				if diff := slices.Compare(slices.Sorted(maps.Keys(p.run(t, 31*time.Second))), tt.want); diff != 0 {
					t.Errorf("asked otherwise than %v", tt.want)
				}
			})
		})
	}
}

// The point of "awake": the replies to our probes keep a session alive, so a
// peer that sleeps must be left alone after one probe that nothing followed.
func TestSleepingPeersAreLeftAlone(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *Config, p *Peer)
		talks  bool // sends something of its own every 4 s
		want   int  // probes in 10 min
	}{
		{"with our keepalive it is awake", func(_ *Config, p *Peer) { p.Keepalive = 25 * time.Second }, false, 20},
		{"never connected", func(_ *Config, p *Peer) { p.LastHandshake = time.Time{} }, false, 0},
		{"never connected, with keepalive", func(_ *Config, p *Peer) { p.LastHandshake, p.Keepalive = time.Time{}, 25*time.Second }, false, 0},
		{"old handshake", func(_ *Config, p *Peer) { p.LastHandshake = time.Now().Add(-4 * time.Minute) }, true, 0},
		{"silent: one probe and no more", nil, false, 1},
		{"silent, but to be woken", func(c *Config, _ *Peer) { c.Probe.Wake = true }, false, 20},
		{"it talks", nil, true, 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := somePeer(1, "10.9.0.2/32")
				peer.LastHandshake = time.Now()
				p := newProbing(t, func(c *Config) {
					if tt.change != nil {
						tt.change(c, &peer)
					}
				})
				fixed := peer.LastHandshake
				var mu sync.Mutex
				replies := uint64(0)
				p.reply = func(echoTarget) (echoes, error) {
					mu.Lock()
					defer mu.Unlock()
					replies += 96
					return echoes{1, 1, time.Millisecond}, nil
				}
				began := time.Now()
				p.reader.kernel.read = func(string) (*Device, error) {
					mu.Lock()
					defer mu.Unlock()
					now := peer
					now.ReceiveBytes = replies
					if replies > 0 && fixed.Equal(began) { // our probes renew the session
						now.LastHandshake = time.Now().Add(-time.Second)
					}
					if tt.talks {
						now.ReceiveBytes += 32 * uint64(time.Since(began)/(4*time.Second))
					}
					return &Device{Name: "wg0", Peers: []Peer{now}}, nil
				}
				if got := p.run(t, 10*time.Minute)["10.9.0.2"]; got < tt.want-tt.want/10 || got > tt.want+1 {
					t.Errorf("%d probes; want about %d", got, tt.want)
				}
			})
		})
	}
}

func TestProbeResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbing(t, func(c *Config) { c.Probe.Count = 4 })
		p.peers = []Peer{awakePeer(1, "10.9.0.2/32"), awakePeer(2, "10.9.0.3/32"), awakePeer(3, "10.9.0.4/32"), awakePeer(4, "10.8.0.0/16")}
		p.reply = func(target echoTarget) (echoes, error) {
			switch target.addr.String() {
			case "10.9.0.2":
				return echoes{4, 3, 300 * time.Millisecond}, nil
			case "10.9.0.3":
				return echoes{4, 0, 0}, nil
			default:
				return echoes{}, errors.New("no route")
			}
		}
		p.run(t, 40*time.Second)
		text := page(t, p.Collector)
		label := func(b byte) string {
			return `{device="wg0",interface="wg0",public_key="` + keyOf(b).String() + `"} `
		}
		for _, want := range []string{
			"wireguard_peer_latency_seconds" + label(1) + "0.3", "wireguard_peer_latency" + label(1) + "0.3",
			"wireguard_peer_probe_success" + label(1) + "1", "wireguard_peer_probe_success" + label(2) + "0", "wireguard_peer_probe_success" + label(3) + "0",
			"wireguard_peer_probe_loss_ratio" + label(1) + "0.25", "wireguard_peer_probe_loss_ratio" + label(2) + "1", "wireguard_peer_probe_loss_ratio" + label(3) + "1",
		} {
			if !strings.Contains(text, want+"\n") {
				t.Errorf("page lacks %s:\n%s", want, text)
			}
		}
		if !strings.Contains(text, `oriel_wireguard_probes_total{device="wg0",interface="wg0",result="no_target"}`) || strings.Contains(text, "wireguard_peer_latency_seconds"+label(2)) {
			t.Errorf("page:\n%s", text)
		}
		// What nobody renews is not shown for ever.
		time.Sleep(5 * time.Minute)
		if text := page(t, p.Collector); strings.Contains(text, "wireguard_peer_probe_success{") {
			t.Errorf("old results stay:\n%s", text)
		}
	})
}

func TestWhatCannotBeProbedIsCounted(t *testing.T) {
	for _, tt := range []struct {
		result string
		change func(*probeStage)
	}{
		{probeForbidden, func(p *probeStage) {
			p.reply = func(echoTarget) (echoes, error) { return echoes{}, fmt.Errorf("%w: x", errPingForbidden) }
		}},
		{probeNoDevice, func(p *probeStage) { p.tracker.iface = func(string) iface { return iface{} } }},
		{probeAsleep, func(p *probeStage) { p.peers[0].LastHandshake = time.Time{} }},
	} {
		t.Run(tt.result, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProbing(t, nil)
				p.peers = []Peer{awakePeer(1, "10.9.0.2/32")}
				tt.change(p)
				p.run(t, 50*time.Second)
				text := page(t, p.Collector)
				if !strings.Contains(text, `result="`+tt.result+`"} `) || strings.Contains(text, "wireguard_peer_probe_success{") {
					t.Errorf("page:\n%s", text)
				}
			})
		})
	}
}

func TestProbesAreBoundedAndDoNotHoldUpAScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbing(t, func(c *Config) { c.Probe.Concurrency = 4 })
		for i := range 100 {
			p.peers = append(p.peers, awakePeer(byte(i+20), fmt.Sprintf("10.9.1.%d/32", i)))
		}
		var now, most atomic.Int32
		release := make(chan struct{})
		p.reply = func(echoTarget) (echoes, error) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-release
			now.Add(-1)
			return echoes{1, 0, 0}, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { _ = p.Run(ctx); close(ended) }()
		time.Sleep(2 * time.Minute)
		before := time.Now()
		if text := page(t, p.Collector); !strings.Contains(text, `wireguard_device_peers{device="wg0",interface="wg0"} 100`) || time.Since(before) > time.Second {
			t.Errorf("after %s:\n%s", time.Since(before), text)
		}
		cancel()
		close(release)
		<-ended
		if most.Load() != 4 {
			t.Errorf("%d probes at once; want 4", most.Load())
		}
	})
}

func TestProbesAreSpreadOverTheInterval(t *testing.T) {
	ps := newProbes(Probe{Interval: conf.Duration(30 * time.Second), Peers: []string{"*"}})
	var buckets [10]int
	for i := range 1000 {
		var key Key
		key[0], key[1] = byte(i), byte(i>>8)
		d := ps.offset(peerID{"wg0", key})
		if d < 0 || d > 30*time.Second {
			t.Fatalf("offset %s", d)
		}
		buckets[min(9, d/(3*time.Second))]++
	}
	for i, n := range buckets {
		if n < 40 {
			t.Errorf("%d of 1000 in the tenth %d", n, i)
		}
	}
}

func TestProbeValidate(t *testing.T) {
	tests := []struct{ in, want string }{
		{"probe: {peers: ['[']}", "probe.peers[0]"},
		{"probe: {interval: 29s}", "probe.interval"},
		{"probe: {timeout: 30s}", "probe.timeout"},
		{"probe: {count: 0}", "probe.count"},
		{"probe: {concurrency: 5000}", "probe.concurrency"},
		{"probe: {targets: {Ana: x}}", "probe.targets"},
		{"namespaces: [{}]", "namespaces[0]"},
		{"namespaces: [{name: a, pid: 1}]", "namespaces[0]"},
		{"namespaces: [{name: ../x}]", "namespaces[0].name"},
		{"namespaces: [{name: a}, {path: /x/a}]", "two labelled"},
		{"namespaces: [{name: a, interfaces: ['']}]", "namespaces[0].interfaces[0]"},
		{"poll: 10ms", "poll"},
		{"probe: {peers: ['*'], interval: 1m}\nnamespaces: [{pid: 12}, {pid_file: /run/x.pid, label: y}]", ""},
	}
	for _, tt := range tests {
		var c Config
		if err := conf.Decode("f", []byte(tt.in), &c); err != nil {
			t.Fatalf("%s: %v", tt.in, err)
		}
		err := c.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: Validate = %v; want %q", tt.in, err, tt.want)
		}
	}
}

func TestPingOfThisMachine(t *testing.T) {
	a, err := newPinger().ping(t.Context(), echoTarget{addr: netip.MustParseAddr("127.0.0.1")}, 2, 2*time.Second)
	if errors.Is(err, errPingForbidden) {
		proctest.Without(t, "echoes are not allowed here")
	}
	if err != nil || a.received != 2 || a.latency <= 0 {
		t.Errorf("ping = %+v, %v", a, err)
	}
}
