package wireguard

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"time"
)

// Key is a public key. Private and preshared keys have no type here: the
// readers drop them where they meet them.
type Key [32]byte

// ParseKey reads a key as `wg` prints it, in base64.
func ParseKey(text string) (Key, error) {
	var k Key
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != len(k) {
		return k, fmt.Errorf("%q is not a WireGuard key: want 32 bytes in base64", text)
	}
	copy(k[:], b)
	return k, nil
}

// String returns the key as `wg` prints it.
func (k Key) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// Device is a WireGuard interface as its kernel or its daemon describes it.
type Device struct {
	Name         string
	Kernel       bool // or a userspace daemon
	PublicKey    Key  // zero if the device has no key yet
	ListenPort   uint16
	FirewallMark uint32
	Peers        []Peer
	Malformed    int            // peers left out because they could not be read
	Hidden       map[string]int // peers that the configuration leaves out, by reason; nil without such
}

// Peer is the other end of a tunnel.
type Peer struct {
	PublicKey     Key
	Endpoint      netip.AddrPort // not valid if unknown
	AllowedIPs    []netip.Prefix
	LastHandshake time.Time // zero if there has been none
	ReceiveBytes  uint64
	TransmitBytes uint64
	Keepalive     time.Duration // 0 if off
}
