package wireguard

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
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
}

type deviceView struct {
	device  *Device // nil if it could not be read
	err     error
	name    string
	labels  collector.Labels // device, interface
	iface   iface
	pool    pool
	peers   []peerView
	created uint64
	removed uint64
	rekeyed uint64
}

type peerView struct {
	*Peer
	state *peerState
	moved uint64 // endpoint changes up to this snapshot
}

type errorCount struct {
	device, reason string
	n              uint64
}

type fileView struct {
	file string
	bad  int
	ok   bool
}

// err tells that devices could not be read; the log has said which, when it began.
func (s *snapshot) err() error {
	failed := 0
	for _, d := range s.devices {
		if d.err != nil {
			failed++
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d devices could not be read", failed, len(s.devices))
}

// tracker remembers, from reading to reading, what the devices do not count
// themselves. Only one update runs at a time.
type tracker struct {
	cfg     Config
	log     *slog.Logger
	iface   func(string) iface
	names   nameSource
	devices map[string]*deviceState
	errs    map[[2]string]uint64
	failing map[string]string // device -> reason already logged
}

type deviceState struct {
	peers     map[Key]*peerState
	publicKey Key
	created   uint64
	removed   uint64
	rekeyed   uint64
	seen      uint64 // the reading that saw a peer last
}

// peerState is what belongs to a peer from reading to reading. The label texts
// that several metrics use are made once; others are built as they are written.
type peerState struct {
	seen     uint64
	endpoint netip.AddrPort
	moved    uint64
	allowed  []netip.Prefix
	name     name

	mdlayher   collector.Labels // device, public_key
	mindflavor collector.Labels // interface, public_key, allowed_ips ...
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
	s := &snapshot{at: at}
	present := map[string]bool{}
	for _, r := range readings {
		present[r.name] = true
		view := &deviceView{name: r.name, device: r.device, err: r.err, labels: collector.FormatLabels("device", r.name, "interface", r.name)}
		s.devices = append(s.devices, view)
		t.note(r)
		if r.err == nil {
			t.take(view, r.device, renamed)
		}
	}
	for name := range t.devices {
		if !present[name] {
			delete(t.devices, name)
		}
	}
	for key, n := range t.errs {
		s.errs = append(s.errs, errorCount{key[0], key[1], n})
	}
	slices.SortFunc(s.errs, func(a, b errorCount) int {
		return strings.Compare(a.device+"\x00"+a.reason, b.device+"\x00"+b.reason)
	})
	for i, file := range t.names.files {
		c := t.names.cached[i]
		s.files = append(s.files, fileView{file: file, bad: c.file.bad, ok: c.err == nil})
	}
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
func (t *tracker) take(view *deviceView, d *Device, renamed bool) {
	state, known := t.devices[d.Name]
	if !known {
		state = &deviceState{peers: make(map[Key]*peerState, len(d.Peers)), publicKey: d.PublicKey}
		t.devices[d.Name] = state
	}
	if state.publicKey != d.PublicKey {
		state.publicKey = d.PublicKey
		state.rekeyed++
	}
	state.seen++
	view.peers = make([]peerView, len(d.Peers))
	for i := range d.Peers {
		peer := &d.Peers[i]
		p, ok := state.peers[peer.PublicKey]
		if !ok {
			p = &peerState{endpoint: peer.Endpoint}
			state.peers[peer.PublicKey] = p
			if known {
				state.created++
			}
		}
		if !ok || renamed || p.endpoint != peer.Endpoint || !slices.Equal(p.allowed, peer.AllowedIPs) {
			p = t.refresh(d.Name, peer, p)
			state.peers[peer.PublicKey] = p
		}
		p.seen = state.seen
		view.peers[i] = peerView{Peer: peer, state: p, moved: p.moved}
	}
	if len(state.peers) > len(d.Peers) {
		for key, p := range state.peers {
			if p.seen != state.seen {
				delete(state.peers, key)
				state.removed++
			}
		}
	}
	view.created, view.removed, view.rekeyed = state.created, state.removed, state.rekeyed
	view.iface = t.iface(d.Name)
	view.pool = ipv4Pool(t.addresses(d.Name, view.iface), d.Peers)
}

// refresh returns a new state of a peer whose endpoint, addresses or name are
// new: an older snapshot may still be read by somebody, and keeps the old one.
func (t *tracker) refresh(device string, peer *Peer, old *peerState) *peerState {
	p := &peerState{endpoint: peer.Endpoint, moved: old.moved, allowed: peer.AllowedIPs, name: t.names.of(peer.PublicKey)}
	if old.endpoint.IsValid() && peer.Endpoint.IsValid() && old.endpoint != peer.Endpoint {
		p.moved++
	}
	if !peer.Endpoint.IsValid() {
		p.endpoint = old.endpoint // it may come back to the same place
	}
	key := peer.PublicKey.String()
	p.mdlayher = collector.FormatLabels("device", device, "public_key", key)
	p.mindflavor = collector.FormatLabels(t.mindflavorLabels(device, key, peer, p.name)...)
	return p
}

// mindflavorLabels are MindFlavor's labels in its order (spec: options -s and -r).
func (t *tracker) mindflavorLabels(device, key string, peer *Peer, n name) []string {
	labels := []string{"interface", device, "public_key", key}
	if !t.cfg.SeparateAllowedIPs {
		labels = append(labels, "allowed_ips", allowedText(peer.AllowedIPs))
	}
	if n.friendly != "" {
		labels = append(labels, "friendly_name", n.friendly)
	}
	remote := t.cfg.RemoteIPAndPort && peer.Endpoint.IsValid()
	if remote {
		labels = append(labels, "remote_ip", peer.Endpoint.Addr().WithZone("").String())
	}
	if t.cfg.SeparateAllowedIPs {
		for i, p := range peer.AllowedIPs {
			n := strconv.Itoa(i)
			labels = append(labels, "allowed_ip_"+n, p.Addr().String(), "allowed_subnet_"+n, strconv.Itoa(p.Bits()))
		}
	}
	labels = append(labels, n.pairs...)
	if remote {
		labels = append(labels, "remote_port", strconv.Itoa(int(peer.Endpoint.Port())))
	}
	return labels
}

// allowedText is what `wg show dump` prints.
func allowedText(list []netip.Prefix) string {
	if len(list) == 0 {
		return "(none)"
	}
	b := make([]byte, 0, 20*len(list))
	for i, p := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = p.AppendTo(b)
	}
	return string(b)
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
