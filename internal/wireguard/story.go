package wireguard

import (
	"net/netip"
	"time"
)

// handover is how long after an address lost its owner, or after a peer was
// added, a key that takes the address counts as the old one's replacement.
const handover = time.Hour

// maxFormer bounds how many addresses without an owner are remembered for a device.
const maxFormer = 1 << 17

// former is who had an address that nobody has now.
type former struct {
	key Key
	at  time.Time
}

// ownership is which peer of a device has which allowed IP, and had it before.
type ownership struct {
	now    map[netip.Prefix]Key
	before map[netip.Prefix]former
}

// handoff is a peer that got addresses of another one.
type handoff struct{ from, to Key }

// update compares with the peers of this reading and returns who took from
// whom, each pair once. It is called only when some allowed IP changed.
func (o *ownership) update(peers []Peer, at time.Time) []handoff {
	first := o.now == nil
	next := make(map[netip.Prefix]Key, len(peers))
	seen := map[handoff]struct{}{}
	var list []handoff
	for i := range peers {
		to := peers[i].PublicKey
		for _, prefix := range peers[i].AllowedIPs {
			next[prefix] = to
			from, had := o.now[prefix]
			if !had {
				f, ok := o.before[prefix]
				if had = ok && at.Sub(f.at) < handover; had {
					from = f.key
				}
			}
			h := handoff{from, to}
			if _, again := seen[h]; had && from != to && !again && !first {
				seen[h] = struct{}{}
				list = append(list, h)
			}
		}
	}
	o.forget(next, at)
	o.now = next
	return list
}

// forget moves what lost its owner to before, and drops there what is old.
func (o *ownership) forget(next map[netip.Prefix]Key, at time.Time) {
	if o.before == nil {
		o.before = map[netip.Prefix]former{}
	}
	for prefix, f := range o.before {
		if _, owned := next[prefix]; owned || at.Sub(f.at) >= handover {
			delete(o.before, prefix)
		}
	}
	for prefix, key := range o.now {
		if _, owned := next[prefix]; !owned && len(o.before) < maxFormer {
			o.before[prefix] = former{key, at}
		}
	}
}

// judge tells a replaced key from addresses that merely moved: the old key is
// gone or has no address left, and the new one is new.
func (t *tracker) judge(state *deviceState, view *deviceView, h handoff, at time.Time) {
	to := state.peers[h.to]
	from, present := state.peers[h.from]
	event := EventTakeover
	if to.isNew(at) && (!present || len(from.allowed) == 0) {
		event = EventRotate
		to.previous = h.from
	}
	if present && len(from.allowed) == 0 {
		from.takenBy = h.to
	}
	t.happened(state, view, event, h.to, to.latest, at, func(e *PeerEvent) { e.OtherKey = h.from.String() })
}

// isNew tells whether the peer was added while we watched, and not long ago.
func (p *peerState) isNew(at time.Time) bool {
	return !p.created.IsZero() && at.Sub(p.created) < handover
}

// happened counts an event and keeps it for the history.
func (t *tracker) happened(state *deviceState, view *deviceView, event string, key Key, peer *Peer, at time.Time, more func(*PeerEvent)) {
	state.events[event]++
	p := state.peers[key]
	if !t.history.keep.Load() || peer == nil || p == nil {
		return
	}
	e := PeerEvent{
		Time: at.UTC(), Event: event, Device: view.name, PublicKey: p.keyText, Name: p.name.friendly,
		Endpoint: endpointText(peer.Endpoint), AllowedIPs: p.allowedTexts, LastHandshake: timeOrNil(peer.LastHandshake),
		ReceiveBytes: peer.ReceiveBytes, TransmitBytes: peer.TransmitBytes,
	}
	if more != nil {
		more(&e)
	}
	t.pending = append(t.pending, e)
}
