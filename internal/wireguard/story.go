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

// ownership is which peer of a device had an allowed IP that nobody has now.
type ownership struct {
	before map[netip.Prefix]former
}

// links are the other keys of a peer's story. They do not change: a snapshot holds them.
type links struct {
	previous Key // the key that this one replaced; zero if none
	takenBy  Key // who has the addresses of a peer that lost them all; zero if none
}

// old returns the key that this peer's replaced, zero if there is none.
func (l *links) old() Key {
	if l == nil {
		return Key{}
	}
	return l.previous
}

// heir returns who has the peer's former addresses, zero if that is nobody.
func (l *links) heir() Key {
	if l == nil {
		return Key{}
	}
	return l.takenBy
}

// handoff is a peer that got addresses of another one.
type handoff struct{ from, to Key }

// update compares the peers of the last reading with those of this one and
// returns who took from whom, each pair once. It is called only when some
// allowed IP changed: who has what is not kept, but worked out here.
func (o *ownership) update(last, peers []Peer, at time.Time) []handoff {
	if len(last) == 0 && len(o.before) == 0 {
		return nil
	}
	now, next := owners(last), owners(peers)
	seen := map[handoff]struct{}{}
	var list []handoff
	for i := range peers {
		to := peers[i].PublicKey
		for _, prefix := range peers[i].AllowedIPs {
			from, had := now[prefix]
			if !had {
				f, ok := o.before[prefix]
				if had = ok && at.Sub(f.at) < handover; had {
					from = f.key
				}
			}
			h := handoff{from, to}
			if _, again := seen[h]; had && from != to && !again {
				seen[h] = struct{}{}
				list = append(list, h)
			}
		}
	}
	o.forget(now, next, at)
	return list
}

// owners returns which of the peers has which allowed IP.
func owners(peers []Peer) map[netip.Prefix]Key {
	of := make(map[netip.Prefix]Key, len(peers))
	for i := range peers {
		for _, prefix := range peers[i].AllowedIPs {
			of[prefix] = peers[i].PublicKey
		}
	}
	return of
}

// forget moves what lost its owner to before, and drops there what is old.
func (o *ownership) forget(now, next map[netip.Prefix]Key, at time.Time) {
	if o.before == nil {
		o.before = map[netip.Prefix]former{}
	}
	for prefix, f := range o.before {
		if _, owned := next[prefix]; owned || at.Sub(f.at) >= handover {
			delete(o.before, prefix)
		}
	}
	for prefix, key := range now {
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
	if to.isNew(at) && (!present || len(from.latest.AllowedIPs) == 0) {
		event = EventRotate
		to.links = &links{previous: h.from, takenBy: to.links.heir()}
	}
	if present && len(from.latest.AllowedIPs) == 0 {
		from.links = &links{previous: from.links.old(), takenBy: h.to}
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
		Time: at.UTC(), Event: event, Device: view.name, PublicKey: p.key(), Name: p.name.friendly,
		Endpoint: endpointText(peer.Endpoint), AllowedIPs: prefixTexts(peer.AllowedIPs), LastHandshake: timeOrNil(peer.LastHandshake),
		ReceiveBytes: peer.ReceiveBytes, TransmitBytes: peer.TransmitBytes,
	}
	if more != nil {
		more(&e)
	}
	t.pending = append(t.pending, e)
}
