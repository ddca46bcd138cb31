package wireguard

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"golang.zx2c4.com/wireguard/device"
)

type key [32]byte

func (k key) base64() string { return base64.StdEncoding.EncodeToString(k[:]) }
func (k key) hex() string    { return hex.EncodeToString(k[:]) }

// node is one WireGuard device, or only its key if nothing is there.
type node struct {
	nodeSpec
	log             *slog.Logger
	private, public key
	address         netip.Prefix
	tun             *memoryTUN
	bind            *loopback
	device          *device.Device // nil before start
	echoes          *echoer
}

func newNode(s nodeSpec, log *slog.Logger) (*node, error) {
	secret, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of %q: %w", s.name, err)
	}
	n := &node{nodeSpec: s, log: log, tun: newMemoryTUN(s.name), bind: &loopback{}, echoes: &echoer{pending: map[uint16]chan<- struct{}{}}}
	copy(n.private[:], secret.Bytes())
	copy(n.public[:], secret.PublicKey().Bytes())
	if s.cidr != "" {
		n.address = netip.MustParsePrefix(s.cidr)
	}
	return n, nil
}

// start brings the device up with its side of the links.
func (n *node) start(links []*link) error {
	if n.offered {
		n.tun.answer = n.echoes.take
	} else {
		n.tun.answer = answerer(n, links)
	}
	n.device = device.NewDevice(n.tun, n.bind, &device.Logger{
		Verbosef: device.DiscardLogf,
		// A peer that is cut off or roams makes errors: they are what the demo shows.
		Errorf: func(format string, args ...any) {
			n.log.Debug("demo device", "device", n.name, "err", fmt.Sprintf(format, args...))
		},
	})
	var b strings.Builder
	fmt.Fprintf(&b, "private_key=%s\nlisten_port=0\n", n.private.hex())
	for _, l := range links {
		if l.hub == n {
			b.WriteString(l.onHub())
		} else {
			b.WriteString(l.onPeer())
		}
	}
	if err := n.device.IpcSet(b.String()); err != nil {
		return fmt.Errorf("configure %q: %w", n.name, err)
	}
	if err := n.device.Up(); err != nil {
		return fmt.Errorf("start %q: %w", n.name, err)
	}
	return nil
}

// stop closes the device. It may be called before start and more than once.
func (n *node) stop() {
	if n.device != nil {
		n.device.Close()
	}
}

// onHub is the hub's configuration of the peer, which at first has no endpoint:
// the hub learns it from the peer's handshake.
func (l *link) onHub() string {
	var b strings.Builder
	fmt.Fprintf(&b, "public_key=%s\npersistent_keepalive_interval=%d\nreplace_allowed_ips=true\n", l.peer.public.hex(), l.keepalive)
	for _, p := range l.allowed {
		fmt.Fprintf(&b, "allowed_ip=%s\n", p)
	}
	return b.String()
}

func (l *link) onPeer() string {
	return fmt.Sprintf("public_key=%s\nendpoint=%s\npersistent_keepalive_interval=%d\nallowed_ip=%s/32\n",
		l.hub.public.hex(), l.hub.bind.endpoint(), keepalive, l.hub.address.Addr())
}

// remove takes the peer off the hub.
func (l *link) remove() error {
	return l.hub.device.IpcSet(fmt.Sprintf("public_key=%s\nremove=true\n", l.peer.public.hex()))
}

// add puts the peer back, with its endpoint, so that the hub speaks first.
func (l *link) add() error {
	return l.hub.device.IpcSet(l.onHub() + "endpoint=" + l.peer.bind.endpoint().String() + "\n")
}

// roam moves the device to another UDP port, as a new NAT binding would.
func (n *node) roam() error {
	return n.device.IpcSet("listen_port=0\n")
}
