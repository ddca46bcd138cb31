package wireguard

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// pool is how many IPv4 addresses an interface's own networks have, and how many are taken.
type pool struct{ total, used uint64 }

// ipv4Pool counts, over all IPv4 networks of the interface: network and
// broadcast address (a /31 and a /32 reserve neither, RFC 3021), the
// interface's own addresses, and what the peers' allowed IPs take of them. A
// route that holds a whole network (0.0.0.0/0, or a site's /16) hands out no
// address of it and does not count; nor does what lies outside.
func ipv4Pool(addresses []netip.Prefix, peers []Peer) pool {
	var nets []netip.Prefix
	var used []span
	for _, a := range addresses {
		if !a.Addr().Is4() {
			continue
		}
		used = append(used, span{v4(a.Addr()), v4(a.Addr())})
		nets = append(nets, a.Masked())
	}
	nets = disjoint(nets)
	var p pool
	for _, n := range nets {
		s := spanOf(n)
		p.total += uint64(s.last-s.first) + 1
		if n.Bits() <= 30 {
			used = append(used, span{s.first, s.first}, span{s.last, s.last})
		}
	}
	if len(nets) == 0 {
		return p
	}
	for i := range peers {
		for _, allowed := range peers[i].AllowedIPs {
			if !allowed.Addr().Is4() {
				continue
			}
			for _, n := range nets {
				// Masks nest: an allowed IP overlaps a network only if one holds the other.
				if allowed.Bits() >= n.Bits() && n.Contains(allowed.Addr()) && (allowed.Bits() > n.Bits() || n.IsSingleIP()) {
					used = append(used, spanOf(allowed.Masked()))
				}
			}
		}
	}
	p.used = count(used)
	return p
}

// disjoint drops networks that lie in another one.
func disjoint(nets []netip.Prefix) []netip.Prefix {
	slices.SortFunc(nets, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	var kept []netip.Prefix
	for _, n := range nets {
		if !slices.ContainsFunc(kept, n.Overlaps) {
			kept = append(kept, n)
		}
	}
	return kept
}

// span is a range of addresses, both ends included.
type span struct{ first, last uint32 }

func spanOf(p netip.Prefix) span {
	first := v4(p.Addr())
	return span{first, first | uint32(1<<(32-p.Bits())-1)}
}

func v4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// count returns how many addresses the spans hold together.
func count(spans []span) uint64 {
	slices.SortFunc(spans, func(a, b span) int {
		if a.first < b.first {
			return -1
		} else if a.first > b.first {
			return 1
		}
		return 0
	})
	var n uint64
	next := uint64(0) // the first address that has not been counted
	for _, s := range spans {
		first := max(uint64(s.first), next)
		if last := uint64(s.last); last >= first {
			n += last - first + 1
			next = last + 1
		}
	}
	return n
}
