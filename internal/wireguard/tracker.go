package wireguard

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/collector"
)

// snapshot is one reading of all devices with what their history adds. It does not change.
type snapshot struct {
	at      time.Time
	took    time.Duration
	devices []*deviceView
	errs    []errorCount
	files   []fileView
	spaces  []spaceView
	// filtered says that some peers may not be shown.
	filtered bool
}

type deviceView struct {
	device  *Device // nil if it could not be read
	err     error
	name    string           // as labels have it
	ifname  string           // as its namespace has it
	labels  collector.Labels // device, interface
	iface   iface
	pool    pool
	peers   []peerView
	created uint64
	removed uint64
	rekeyed uint64
	events  []uint64 // counts in the order of events()

	received, transmitted uint64 // by all peers; they survive a peer's removal

	rated bool // whether there have been two readings, and so rates
	rates rates
}

type peerView struct {
	*Peer
	state *peerState
	moved uint64 // endpoint changes up to this snapshot
	flaps uint64 // times it went up or down up to this snapshot
	links *links // nil if there are none
	rates rates
}

// rates are bytes per second since the reading before.
type rates struct{ receive, transmit float32 }

type errorCount struct {
	device, reason string
	n              uint64
}

type fileView struct {
	file string
	bad  int
	ok   bool
}

// maxErrors bounds how many devices an error names; the log names each when it begins to fail.
const maxErrors = 3

// err names the devices and namespaces that could not be read.
func (s *snapshot) err() error {
	var errs []error
	for _, d := range s.devices {
		if d.err != nil {
			errs = append(errs, fmt.Errorf("device %q: %w", d.name, d.err))
		}
	}
	if n := len(errs) - maxErrors; n > 0 {
		errs = append(errs[:maxErrors], fmt.Errorf("and %d more devices", n))
	}
	for _, n := range s.spaces {
		errs = append(errs, n.err)
	}
	return errors.Join(errs...)
}

// tracker remembers, from reading to reading, what the devices do not count
// themselves. Only one update runs at a time.
type tracker struct {
	cfg      Config
	log      *slog.Logger
	iface    func(string) iface
	names    nameSource
	nameless name   // of peers of whom nothing is known
	text     []byte // in which label texts are made
	devices  map[string]*deviceState
	errs     map[[2]string]uint64
	failing  map[string]string // device -> reason already logged
	history  *history
	pending  []PeerEvent // of the update under way
}

type deviceState struct {
	peers     map[Key]*peerState
	publicKey Key
	created   uint64
	removed   uint64
	rekeyed   uint64
	seen      uint64 // the reading that saw a peer last
	last      []Peer // of the last reading
	at        time.Time
	rated     bool // there have been two readings
	rates     rates
	owners    ownership
	events    map[string]uint64

	received, transmitted uint64
}

// peerState is what belongs to a peer from reading to reading. There may be
// tens of thousands: what can be made when it is asked for is not kept.
type peerState struct {
	seen     uint64
	endpoint netip.AddrPort
	moved    uint64
	name     *name
	created  time.Time // zero if it was there at the first reading
	flaps    uint64
	links    *links
	latest   *Peer // of the last reading
	labels   peerLabels
	rates    rates
	up       bool
}

func newTracker(cfg Config, iface func(string) iface, log *slog.Logger) *tracker {
	t := &tracker{cfg: cfg, log: log, iface: iface, devices: map[string]*deviceState{}, errs: map[[2]string]uint64{}, failing: map[string]string{}}
	t.names.files = cfg.NameFiles
	t.names.explicit = make(map[Key]name, len(cfg.Names))
	for key, text := range cfg.Names {
		k, _ := ParseKey(key) // Validate has been here
		t.names.explicit[k] = name{friendly: cleanName(text)}
	}
	return t
}

// update takes a reading in.
func (t *tracker) update(readings []reading, at time.Time) *snapshot {
	renamed := t.names.refresh()
	s := &snapshot{at: at, filtered: len(t.cfg.Peers) > 0}
	present := map[string]bool{}
	for _, r := range readings {
		present[r.name] = true
		view := &deviceView{name: r.name, ifname: r.ifname, device: r.device, err: r.err, labels: collector.FormatLabels("device", r.name, "interface", r.name)}
		s.devices = append(s.devices, view)
		t.note(r)
		if r.err == nil {
			t.take(view, r, renamed, at)
		}
	}
	for name := range t.devices {
		if !present[name] {
			delete(t.devices, name)
		}
	}
	t.history.add(t.pending)
	t.pending = nil
	for key, n := range t.errs {
		s.errs = append(s.errs, errorCount{key[0], key[1], n})
	}
	slices.SortFunc(s.errs, func(a, b errorCount) int {
		return strings.Compare(a.device+"\x00"+a.reason, b.device+"\x00"+b.reason)
	})
	s.files = t.names.views()
	return s
}

// note counts and logs what went wrong with a device: once when it begins, not each time.
func (t *tracker) note(r reading) {
	why := ""
	if r.err != nil {
		why = reason(r.err)
	} else if r.device.Malformed > 0 {
		why = "malformed_peer"
	}
	if why == "" {
		if t.failing[r.name] != "" {
			t.log.Info("device can be read again", "device", r.name)
			delete(t.failing, r.name)
		}
		return
	}
	if key := [2]string{r.name, why}; len(t.errs) < 8*maxDevices || t.errs[key] > 0 {
		t.errs[key]++
	}
	if t.failing[r.name] != why {
		t.failing[r.name] = why
		t.log.Warn("read device", "device", r.name, "reason", why, "err", r.err)
	}
}

// take compares a device with the reading before.
func (t *tracker) take(view *deviceView, r reading, renamed bool, at time.Time) {
	d := t.shown(view.name, r.device)
	view.device = d
	state, known := t.devices[view.name]
	if !known {
		state = &deviceState{peers: make(map[Key]*peerState, len(d.Peers)), publicKey: d.PublicKey, events: map[string]uint64{}}
		t.devices[view.name] = state
	}
	if state.publicKey != d.PublicKey {
		state.publicKey = d.PublicKey
		state.rekeyed++
	}
	state.seen++
	elapsed := at.Sub(state.at)
	receivedBefore, transmittedBefore := state.received, state.transmitted
	readdressed := !known
	view.peers = make([]peerView, len(d.Peers))
	for i := range d.Peers {
		readdressed = t.takePeer(state, view, &d.Peers[i], known, renamed, at) || readdressed
	}
	// While it is told what happened to whom, those who went are still known.
	var gone []Key
	if len(state.peers) > len(d.Peers) {
		for key, p := range state.peers {
			if p.seen != state.seen {
				gone = append(gone, key)
			}
		}
	}
	for _, key := range gone {
		state.removed++
		t.happened(state, view, EventRemoved, key, state.peers[key].latest, at, nil)
		delete(state.peers, key)
	}
	if readdressed || len(gone) > 0 {
		for _, h := range state.owners.update(state.last, d.Peers, at) {
			t.judge(state, view, h, at)
		}
	}
	state.last, state.at = d.Peers, at
	if known && elapsed > 0 {
		state.rated, state.rates = true, perSecond(state.received-receivedBefore, state.transmitted-transmittedBefore, elapsed)
	}
	view.rated, view.rates = state.rated, state.rates
	for i := range d.Peers {
		p := state.peers[d.Peers[i].PublicKey]
		view.peers[i] = peerView{Peer: &d.Peers[i], state: p, moved: p.moved, flaps: p.flaps, links: p.links, rates: p.rates}
	}
	view.created, view.removed, view.rekeyed = state.created, state.removed, state.rekeyed
	view.received, view.transmitted = state.received, state.transmitted
	for _, e := range events() {
		view.events = append(view.events, state.events[e])
	}
	switch {
	case r.iface == nil:
		view.iface = t.iface(r.ifname)
	case r.own:
		if view.iface = t.iface(r.ifname); !view.iface.known {
			view.iface = *r.iface
		}
	default:
		view.iface = *r.iface
	}
	view.pool = ipv4Pool(t.addresses(view.name, view.iface), r.device.Peers)
}

// takePeer compares a peer with the reading before, and tells whether its allowed IPs are new.
func (t *tracker) takePeer(state *deviceState, view *deviceView, peer *Peer, known, renamed bool, at time.Time) (readdressed bool) {
	p, ok := state.peers[peer.PublicKey]
	added := !ok
	if added {
		p = &peerState{endpoint: peer.Endpoint}
		if known {
			p.created = at
			state.created++
		}
	}
	before := p
	readdressed = added || !slices.Equal(p.latest.AllowedIPs, peer.AllowedIPs)
	if readdressed || renamed || p.endpoint != peer.Endpoint {
		p = t.refresh(view.name, peer, p)
		state.peers[peer.PublicKey] = p
	}
	received := growth(p.latest, peer, func(p *Peer) uint64 { return p.ReceiveBytes })
	transmitted := growth(p.latest, peer, func(p *Peer) uint64 { return p.TransmitBytes })
	state.received, state.transmitted = state.received+received, state.transmitted+transmitted
	if elapsed := at.Sub(state.at); p.latest != nil && elapsed > 0 {
		p.rates = perSecond(received, transmitted, elapsed)
	}
	p.seen, p.latest = state.seen, peer
	if len(peer.AllowedIPs) > 0 && p.links.heir() != (Key{}) {
		p.links = &links{previous: p.links.old()}
	}
	if added && known {
		t.happened(state, view, EventCreated, peer.PublicKey, peer, at, nil)
	}
	if p.moved != before.moved {
		t.happened(state, view, EventRoam, peer.PublicKey, peer, at, func(e *PeerEvent) { e.PreviousEndpoint = endpointText(before.endpoint) })
	}
	if up := peer.up(t.cfg, at); up != p.up {
		p.up = up
		event, first := EventDisconnect, added && !known
		if up {
			event = EventConnect
		}
		if first {
			state.events[event]-- // it was so before we came
		} else {
			p.flaps++
		}
		t.happened(state, view, event, peer.PublicKey, peer, at, func(e *PeerEvent) { e.First = first })
	}
	return readdressed
}

// growth is by how much a counter has grown; one that is less than before began anew.
func growth(before, now *Peer, value func(*Peer) uint64) uint64 {
	if before == nil || value(before) > value(now) {
		return value(now)
	}
	return value(now) - value(before)
}

func perSecond(received, transmitted uint64, elapsed time.Duration) rates {
	return rates{float32(float64(received) / elapsed.Seconds()), float32(float64(transmitted) / elapsed.Seconds())}
}

// up tells whether a peer counts as connected.
func (p *Peer) up(cfg Config, at time.Time) bool {
	return !p.LastHandshake.IsZero() && max(0, at.Sub(p.LastHandshake)) <= cfg.PeerTimeout.Std()
}

// refresh returns a new state of a peer whose endpoint, addresses or name are
// new: an older snapshot may still be read by somebody, and keeps the old one.
func (t *tracker) refresh(device string, peer *Peer, old *peerState) *peerState {
	fresh := *old
	p := &fresh
	p.endpoint, p.name = peer.Endpoint, t.nameOf(peer.PublicKey)
	if old.endpoint.IsValid() && peer.Endpoint.IsValid() && old.endpoint != peer.Endpoint {
		p.moved++
	}
	if !peer.Endpoint.IsValid() {
		p.endpoint = old.endpoint // it may come back to the same place
	}
	p.labels = t.labels(device, peer, p.name)
	return p
}

// nameOf returns what is known of a peer. Those without a name share one value.
func (t *tracker) nameOf(key Key) *name {
	if n := t.names.of(key); n.friendly != "" || len(n.pairs) > 0 {
		return &n
	}
	return &t.nameless
}

// addresses returns what is known of a device's own addresses, the nearest source first.
func (t *tracker) addresses(device string, ifc iface) []netip.Prefix {
	if listed := t.cfg.Addresses[device]; len(listed) > 0 {
		var prefixes []netip.Prefix
		for _, text := range listed {
			prefixes = append(prefixes, netip.MustParsePrefix(text)) // Validate has been here
		}
		return prefixes
	}
	if ifc.known {
		return ifc.addresses
	}
	return t.names.addresses(device)
}
