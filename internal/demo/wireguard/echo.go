package wireguard

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/orielhq/oriel/internal/wireguard"
)

const (
	icmpReply, icmpRequest = 0, 8
	icmpHeader             = 8
	echoSize               = ipv4Header + icmpHeader + 24
)

// echoer sends echoes through a device and hands out the replies.
type echoer struct {
	mu      sync.Mutex // guards what follows
	next    uint16
	pending map[uint16]chan<- struct{}
}

// Interface is what a network interface of the device would show.
func (m *Mesh) Interface(device string) (wireguard.Interface, bool) {
	for _, n := range m.nodes {
		if n.offered && n.name == device {
			return wireguard.Interface{
				Addresses: []netip.Prefix{n.address}, Received: n.tun.received.Load(), Transmitted: n.tun.transmitted.Load(),
			}, true
		}
	}
	return wireguard.Interface{}, false
}

// Echo sends a ping through the tunnel of a device and waits for the answer.
// The way there is real, its length is made up: see linkSpec.
func (m *Mesh) Echo(ctx context.Context, device string, to netip.Addr) (time.Duration, error) {
	for _, n := range m.nodes {
		if n.offered && n.name == device {
			return n.echoes.ask(ctx, n, to)
		}
	}
	return 0, errors.New("no such device")
}

func (e *echoer) ask(ctx context.Context, n *node, to netip.Addr) (time.Duration, error) {
	reply := make(chan struct{}, 1)
	e.mu.Lock()
	e.next++
	seq := e.next
	e.pending[seq] = reply
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.pending, seq)
		e.mu.Unlock()
	}()
	start := time.Now()
	n.tun.send(echoPacket(icmpRequest, n.address.Addr(), to, seq))
	select {
	case <-reply:
		return time.Since(start), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// take looks for replies in what arrives at an observed device.
func (e *echoer) take(p []byte) {
	kind, seq, ok := echoOf(p)
	if !ok || kind != icmpReply {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if reply := e.pending[seq]; reply != nil {
		delete(e.pending, seq)
		reply <- struct{}{} // has room for the one
	}
}

// answerer makes a peer answer echoes, each link after its own time.
func answerer(n *node, links []*link) func([]byte) {
	return func(p []byte) {
		kind, seq, ok := echoOf(p)
		if !ok || kind != icmpRequest {
			return
		}
		from, to := netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20]))
		for _, l := range links {
			if l.address == to && rand.Float64() >= l.loss { //nolint:gosec // nothing depends on it
				wait := time.Duration(float64(l.far) * (0.92 + 0.25*rand.ExpFloat64())) //nolint:gosec // likewise
				time.AfterFunc(min(wait, 4*l.far), func() { n.tun.send(echoPacket(icmpReply, to, from, seq)) })
			}
		}
	}
}

// echoOf reads an ICMP echo of IPv4.
func echoOf(p []byte) (kind byte, seq uint16, ok bool) {
	if len(p) < ipv4Header+icmpHeader || p[0] != 4<<4|ipv4Header/4 || p[9] != 1 {
		return 0, 0, false
	}
	return p[ipv4Header], binary.BigEndian.Uint16(p[ipv4Header+6:]), true
}

// echoPacket makes an ICMP echo or its reply (RFC 792).
func echoPacket(kind byte, src, dst netip.Addr, seq uint16) []byte {
	p := make([]byte, echoSize)
	p[0] = 4<<4 | ipv4Header/4
	binary.BigEndian.PutUint16(p[2:], echoSize)
	p[8], p[9] = 64, 1
	from, to := src.As4(), dst.As4()
	copy(p[12:], from[:])
	copy(p[16:], to[:])
	binary.BigEndian.PutUint16(p[10:], checksum(p[:ipv4Header]))
	b := p[ipv4Header:]
	b[0] = kind
	binary.BigEndian.PutUint16(b[6:], seq)
	binary.BigEndian.PutUint16(b[2:], checksum(b))
	return p
}
