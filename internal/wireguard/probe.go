package wireguard

import (
	"context"
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"path"
	"sync"
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

const (
	minProbeInterval = 30 * time.Second
	probeWindow      = 10 // probes that the loss ratio looks back on
	settle           = time.Second
	probeTick        = 250 * time.Millisecond
)

// Probe says which peers are asked for an ICMP echo through their tunnel. It is
// off unless peers are named: an echo makes a handshake where there was none,
// and keeps a session alive that would have ended.
type Probe struct {
	// Peers to probe, by name or public key, or pattern of these (path.Match); "*" is all.
	Peers []string `yaml:"peers"`
	// Targets are the addresses to ask, by name or public key of the peer. Else
	// it is the peer's first allowed IP that is a single address.
	Targets map[string]string `yaml:"targets"`
	// Interval between two probes of a peer, at least 30s.
	Interval conf.Duration `yaml:"interval"`
	// Timeout of a probe, all its echoes together.
	Timeout conf.Duration `yaml:"timeout"`
	// Count of echoes in a probe; more cost as much more processor time.
	Count int `yaml:"count"`
	// Concurrency is how many probes run at once.
	Concurrency int `yaml:"concurrency"`
	// AsleepAfter is the age of the last handshake from which a peer is left
	// alone. WireGuard itself ends a session after 180s.
	AsleepAfter conf.Duration `yaml:"asleep_after"`
	// Wake probes sleeping peers too.
	Wake bool `yaml:"wake"`
}

func defaultProbe() Probe {
	return Probe{
		Interval: conf.Duration(minProbeInterval), Timeout: conf.Duration(2 * time.Second), Count: 1,
		Concurrency: 32, AsleepAfter: conf.Duration(3 * time.Minute),
	}
}

func (p *Probe) enabled() bool { return len(p.Peers) > 0 }

func (p *Probe) validate() error {
	for i, pattern := range p.Peers {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return conf.Field("probe."+index("peers", i), "%q is not a name, key or pattern", pattern)
		}
	}
	for who, target := range p.Targets {
		if _, err := netip.ParseAddr(target); err != nil {
			return conf.Field("probe.targets", "%q of %q is not an address", target, who)
		}
	}
	switch {
	case p.Interval.Std() < minProbeInterval:
		return conf.Field("probe.interval", "%s is less than %s", p.Interval, minProbeInterval)
	case p.Timeout.Std() <= 0 || p.Timeout.Std() >= p.Interval.Std():
		return conf.Field("probe.timeout", "%s is not between 0 and the interval", p.Timeout)
	case p.Count < 1 || p.Count > 20:
		return conf.Field("probe.count", "%d is not between 1 and 20", p.Count)
	case p.Concurrency < 1 || p.Concurrency > 1024:
		return conf.Field("probe.concurrency", "%d is not between 1 and 1024", p.Concurrency)
	case p.AsleepAfter.Std() <= 0:
		return conf.Field("probe.asleep_after", "must be more than 0")
	}
	return nil
}

// wants tells whether a peer is to be probed.
func (p *Probe) wants(key, name string) bool { return matchesPeer(p.Peers, key, name) }

// target is the address to ask a peer for. Not valid if there is none.
func (p *Probe) target(key, name string, allowed []netip.Prefix) netip.Addr {
	for _, who := range []string{key, name} {
		if text, ok := p.Targets[who]; ok && who != "" {
			addr, _ := netip.ParseAddr(text) // validate has been here
			return addr
		}
	}
	for _, prefix := range allowed {
		if prefix.IsSingleIP() {
			return prefix.Addr()
		}
	}
	return netip.Addr{}
}

// What becomes of a probe: the values of the label result.
const (
	probeSuccess   = "success"
	probeFailure   = "failure"    // no echo came back
	probeAsleep    = "asleep"     // left alone: nothing shows that the peer is awake
	probeNoTarget  = "no_target"  // no single address to ask
	probeNoDevice  = "no_device"  // the interface is not to be seen from here
	probeForbidden = "permission" // neither a raw nor a ping socket is allowed
)

// echoes is what came of the echoes of one probe.
type echoes struct {
	sent, received int
	latency        time.Duration // mean round trip of those that came back
}

// echoTarget is whom to ask through which interface.
type echoTarget struct {
	addr    netip.Addr
	ifindex int    // 0: whichever the routes say
	space   *space // nil: this network namespace
}

type peerID struct {
	device string
	key    Key
}

// probed is what is known of a peer by its probes.
type probed struct {
	at         time.Time // end of the last probe
	success    bool
	latency    time.Duration
	latencyAt  time.Time
	window     [probeWindow][2]int // sent, received
	n          int
	settled    bool   // whether received holds
	received   uint64 // the peer's counter after the last probe's own echoes
	inProgress bool
}

// probes holds what came of the probes.
type probes struct {
	cfg    Probe
	pinger *pinger
	ping   func(context.Context, echoTarget, int, time.Duration) (echoes, error) // the pinger's; tests have their own
	seed   maphash.Seed

	mu     sync.Mutex // guards what follows
	peers  map[peerID]*probed
	counts map[[2]string]uint64 // device, result
}

func newProbes(cfg Probe) *probes {
	p := newPinger()
	return &probes{cfg: cfg, pinger: p, ping: p.ping, seed: maphash.MakeSeed(), peers: map[peerID]*probed{}, counts: map[[2]string]uint64{}}
}

// probeResult is what the metrics and the table show of a peer's probes.
type probeResult struct {
	success    bool
	loss       float64
	latency    time.Duration
	hasLatency bool
}

// keep is how long a result stands after its probe.
func (ps *probes) keep() time.Duration { return 3*ps.cfg.Interval.Std() + ps.cfg.Timeout.Std() }

// result returns what the last probes of a peer said, if they are not too old.
func (ps *probes) result(device string, key Key, now time.Time) (probeResult, bool) {
	if !ps.cfg.enabled() {
		return probeResult{}, false
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p, ok := ps.peers[peerID{device, key}]
	if !ok || p.n == 0 || now.Sub(p.at) > ps.keep() {
		return probeResult{}, false
	}
	r := probeResult{success: p.success, latency: p.latency, hasLatency: !p.latencyAt.IsZero() && now.Sub(p.latencyAt) <= ps.keep()}
	sent, received := 0, 0
	for _, w := range p.window {
		sent, received = sent+w[0], received+w[1]
	}
	r.loss = 1 - float64(received)/float64(max(sent, 1))
	return r, true
}

// observe notes, at the first reading after a probe, what the peer had sent by
// then: whatever it sends later it sends of its own accord.
func (ps *probes) observe(s *snapshot) {
	if !ps.cfg.enabled() {
		return
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, d := range s.devices {
		for i := range d.peers {
			p := ps.peers[peerID{d.name, d.peers[i].PublicKey}]
			if p != nil && !p.settled && !p.inProgress && s.at.Sub(p.at) >= settle {
				p.settled, p.received = true, d.peers[i].ReceiveBytes
			}
		}
	}
}

// awake tells whether a probe of the peer wakes nobody. A peer to which we send
// keepalives is kept awake by these already. Another one must have a session
// that still holds, and must have sent something since the last probe: the
// replies to our own probes would keep the session of a sleeping peer for ever.
func (ps *probes) awake(device string, p *peerView, now time.Time) bool {
	switch {
	case ps.cfg.Wake:
		return true
	case p.LastHandshake.IsZero():
		return false
	case p.Keepalive > 0:
		return true
	case now.Sub(p.LastHandshake) > ps.cfg.AsleepAfter.Std():
		return false
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	before := ps.peers[peerID{device, p.PublicKey}]
	return before == nil || before.n == 0 || before.settled && p.ReceiveBytes != before.received
}

// count counts what became of a probe.
func (ps *probes) count(device, result string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if key := [2]string{device, result}; len(ps.counts) < 8*maxDevices || ps.counts[key] > 0 {
		ps.counts[key]++
	}
}

// start notes that a probe of the peer is under way; false if one is already.
func (ps *probes) start(id peerID) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.peers[id]
	if p == nil {
		p = &probed{}
		ps.peers[id] = p
	}
	if p.inProgress {
		return false
	}
	p.inProgress = true
	return true
}

// done takes the answer of a probe in; err means that none could be made.
func (ps *probes) done(id peerID, a echoes, err error, now time.Time) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.peers[id]
	if p == nil {
		return
	}
	p.inProgress = false
	if err != nil {
		return
	}
	p.at, p.settled, p.success = now, false, a.received > 0
	p.window[p.n%probeWindow] = [2]int{a.sent, a.received}
	p.n++
	if a.received > 0 {
		p.latency, p.latencyAt = a.latency, now
	}
}

// forget drops peers that have not been probed for long.
func (ps *probes) forget(now time.Time) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for id, p := range ps.peers {
		// A sleeping peer's mark is kept for an hour: without it the peer would be probed again.
		if !p.inProgress && now.Sub(p.at) > max(time.Hour, ps.keep()) {
			delete(ps.peers, id)
		}
	}
}

// offset spreads the peers over the interval, each always at about the same
// place. Those of a quarter of a second go together: waking up costs more than the echo.
func (ps *probes) offset(id peerID) time.Duration {
	var h maphash.Hash
	h.SetSeed(ps.seed)
	_, _ = h.WriteString(id.device)
	_, _ = h.Write(id.key[:])
	interval := uint64(ps.cfg.Interval.Std())                                     //nolint:gosec // Validate wants at least 30 s
	jitter := rand.Uint64N(interval/20 + 1)                                       //nolint:gosec // it need not be unpredictable
	return time.Duration((h.Sum64()%interval)*19/20 + jitter).Truncate(probeTick) //nolint:gosec // less than the interval
}
