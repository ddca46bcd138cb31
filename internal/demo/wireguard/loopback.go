package wireguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.zx2c4.com/wireguard/conn"
)

// loopback is a conn.Bind on a UDP socket of 127.0.0.1. The library's own binds
// to all interfaces, where a demo has nothing to answer, and keeps some 16 MB of
// buffers per device for batches that are not needed here.
type loopback struct {
	mu   sync.Mutex // guards conn and port
	conn *net.UDPConn
	port uint16
}

var _ conn.Bind = (*loopback)(nil)

// Open listens, on a free port if port is 0.
func (b *loopback) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil {
		return nil, 0, conn.ErrBindAlreadyOpen
	}
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(context.Background(), "udp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, 0, err
	}
	udp := pc.(*net.UDPConn)
	b.conn, b.port = udp, udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	receive := func(packets [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
		n, from, err := udp.ReadFromUDPAddrPort(packets[0])
		if err != nil {
			return 0, err
		}
		sizes[0], eps[0] = n, endpoint(from)
		return 1, nil
	}
	return []conn.ReceiveFunc{receive}, b.port, nil
}

// Close stops listening. The port stays known: endpoint names the last one.
func (b *loopback) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn == nil {
		return nil
	}
	err := b.conn.Close()
	b.conn = nil
	return err
}

// Send sends the packets to ep.
func (b *loopback) Send(packets [][]byte, ep conn.Endpoint) error {
	to, ok := ep.(endpoint)
	if !ok {
		return conn.ErrWrongEndpointType
	}
	b.mu.Lock()
	udp := b.conn
	b.mu.Unlock()
	if udp == nil {
		return net.ErrClosed
	}
	for _, p := range packets {
		if _, err := udp.WriteToUDPAddrPort(p, netip.AddrPort(to)); err != nil {
			return err
		}
	}
	return nil
}

// SetMark does nothing: loopback needs no mark.
func (b *loopback) SetMark(uint32) error { return nil }

// BatchSize is one: the traffic is small.
func (b *loopback) BatchSize() int { return 1 }

// ParseEndpoint reads "127.0.0.1:port".
func (b *loopback) ParseEndpoint(s string) (conn.Endpoint, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return nil, err
	}
	if !ap.Addr().IsLoopback() || !ap.Addr().Is4() {
		return nil, errors.New("not an IPv4 loopback address")
	}
	return endpoint(ap), nil
}

// endpoint is where others reach this device.
func (b *loopback) endpoint() netip.AddrPort {
	b.mu.Lock()
	defer b.mu.Unlock()
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), b.port)
}

// endpoint is the address of a device, for the library.
type endpoint netip.AddrPort

func (e endpoint) ClearSrc()           {}
func (e endpoint) SrcToString() string { return "" }
func (e endpoint) SrcIP() netip.Addr   { return netip.Addr{} }
func (e endpoint) DstIP() netip.Addr   { return netip.AddrPort(e).Addr() }
func (e endpoint) DstToString() string { return netip.AddrPort(e).String() }

func (e endpoint) DstToBytes() []byte {
	b, _ := netip.AddrPort(e).MarshalBinary() // never fails
	return b
}
