package wireguard

import (
	"bytes"
	"path"
	"slices"

	"github.com/orielhq/oriel/internal/conf"
)

// Why a peer is not shown: the values of the label reason.
const (
	hiddenExcluded = "excluded" // by include and exclude
	hiddenLimit    = "limit"    // there are more than limit
)

// PeerFilter says which peers of which devices are shown: in metrics, tables,
// history, probes and what is pushed elsewhere. The others only count in
// wireguard_device_peers and in the IPv4 pool.
type PeerFilter struct {
	// Interfaces it is about, by name or pattern; all if empty.
	Interfaces []string `yaml:"interfaces"`
	// Include names peers to show, by name or public key, or pattern of a name; all if empty.
	Include []string `yaml:"include"`
	// Exclude names peers not to show. It wins over Include.
	Exclude []string `yaml:"exclude"`
	// Limit is how many peers of one device are shown at most; 0 is no limit.
	// Who is shown stays; free places go to the latest handshakes.
	Limit int `yaml:"limit"`
}

func (f *PeerFilter) validate(field string) error {
	for key, list := range map[string][]string{"interfaces": f.Interfaces, "include": f.Include, "exclude": f.Exclude} {
		for i, pattern := range list {
			if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
				return conf.Field(field+"."+index(key, i), "%q is not a name or pattern", pattern)
			}
		}
	}
	if f.Limit < 0 {
		return conf.Field(field+".limit", "%d is less than 0", f.Limit)
	}
	return nil
}

// matchesPeer tells whether one of the patterns is the peer's key, or matches its name.
func matchesPeer(patterns []string, key, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		// A key may hold what a pattern takes for its own, never the other way round.
		if pattern == key || pattern == "*" || name != "" && pattern == name {
			return true
		}
		ok, err := path.Match(pattern, name)
		return err == nil && ok && name != ""
	})
}

// shown returns the device with the peers that the configuration shows. The
// first filter that is about the device counts; without one it is the device itself.
func (t *tracker) shown(name string, d *Device) *Device {
	at := slices.IndexFunc(t.cfg.Peers, func(f PeerFilter) bool { return matches(f.Interfaces, name) })
	if at < 0 {
		return d
	}
	f := &t.cfg.Peers[at]
	out := *d
	out.Hidden = map[string]int{hiddenExcluded: 0, hiddenLimit: 0}
	out.Peers = make([]Peer, 0, len(d.Peers))
	for i := range d.Peers {
		p := &d.Peers[i]
		if f.wants(p.PublicKey.String(), t.names.of(p.PublicKey).friendly) {
			out.Peers = append(out.Peers, *p)
		}
	}
	out.Hidden[hiddenExcluded] = len(d.Peers) - len(out.Peers)
	if over := len(out.Peers) - f.Limit; f.Limit > 0 && over > 0 {
		t.rank(name, out.Peers)
		out.Peers = slices.Clip(out.Peers[:f.Limit])
		out.Hidden[hiddenLimit] = over
	}
	return &out
}

func (f *PeerFilter) wants(key, name string) bool {
	return (len(f.Include) == 0 || matchesPeer(f.Include, key, name)) && !matchesPeer(f.Exclude, key, name)
}

// rank puts first who is shown already, then who shook hands last.
func (t *tracker) rank(device string, peers []Peer) {
	shown := map[Key]*peerState{}
	if state := t.devices[device]; state != nil {
		shown = state.peers
	}
	slices.SortFunc(peers, func(a, b Peer) int {
		_, first := shown[a.PublicKey]
		_, second := shown[b.PublicKey]
		switch {
		case first != second && first:
			return -1
		case first != second:
			return 1
		case !a.LastHandshake.Equal(b.LastHandshake):
			return b.LastHandshake.Compare(a.LastHandshake)
		}
		return bytes.Compare(a.PublicKey[:], b.PublicKey[:])
	})
}

// all is how many peers the device has, shown or not.
func (d *Device) all() int {
	n := len(d.Peers)
	for _, hidden := range d.Hidden {
		n += hidden
	}
	return n
}
