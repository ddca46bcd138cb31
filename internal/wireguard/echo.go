package wireguard

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// maxPending bounds the echoes under way through one socket; each probe has at most 20.
const maxPending = 1 << 15

// echoSocket is one ICMP socket that many probes share. Its reader hands each
// reply to the probe that asked.
type echoSocket struct {
	conn net.PacketConn
	p4   *ipv4.PacketConn // one of the two
	p6   *ipv6.PacketConn
	raw  bool
	id   uint16 // of raw sockets; the kernel gives ping sockets theirs
	// token is in every echo and so in every reply: nobody off the path can forge one.
	token [8]byte

	mu      sync.Mutex // guards what follows
	pending map[uint16]pendingEcho
	next    uint16
	used    time.Time
	ended   bool // the reader has given up
}

type pendingEcho struct {
	addr    netip.Addr
	sent    time.Time
	replies chan<- time.Duration // has room for all of its probe
}

// openEcho opens a socket in the network namespace of this thread.
func openEcho(v6, raw bool) (*echoSocket, error) {
	s := &echoSocket{raw: raw, pending: map[uint16]pendingEcho{}, used: time.Now()}
	if _, err := rand.Read(s.token[:]); err != nil {
		return nil, err
	}
	var secret [4]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, err
	}
	s.id, s.next = binary.BigEndian.Uint16(secret[:]), binary.BigEndian.Uint16(secret[2:])
	network, address := "udp4", "0.0.0.0"
	switch {
	case v6 && raw:
		network, address = "ip6:58", "::"
	case v6:
		network, address = "udp6", "::"
	case raw:
		network = "ip4:1"
	}
	c, err := icmp.ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	s.conn, s.p4, s.p6 = c, c.IPv4PacketConn(), c.IPv6PacketConn()
	if raw {
		s.filter()
	}
	return s, nil
}

// filter keeps the kernel from waking us for all the other ICMP of a raw
// socket. Where there is no such filter the reader drops it.
func (s *echoSocket) filter() {
	program := func(load func(off uint32, size int) bpf.Instruction, reply uint32, first ...bpf.Instruction) []bpf.RawInstruction {
		out, err := bpf.Assemble(slices.Concat(first, []bpf.Instruction{
			load(0, 1),
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: reply, SkipTrue: 3},
			load(4, 2),
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(s.id), SkipTrue: 1},
			bpf.RetConstant{Val: 1 << 16},
			bpf.RetConstant{Val: 0},
		}))
		if err != nil {
			return nil
		}
		return out
	}
	if s.p4 != nil { // the filter sees the IP header too
		_ = s.p4.SetBPF(program(func(off uint32, size int) bpf.Instruction { return bpf.LoadIndirect{Off: off, Size: size} },
			uint32(ipv4.ICMPTypeEchoReply), bpf.LoadMemShift{Off: 0}))
		return
	}
	_ = s.p6.SetBPF(program(func(off uint32, size int) bpf.Instruction { return bpf.LoadAbsolute{Off: off, Size: size} },
		uint32(ipv6.ICMPTypeEchoReply)))
}

// ask sends the echoes of one probe and waits for their replies. An error means
// that not even the first echo went out.
func (s *echoSocket) ask(ctx context.Context, t echoTarget, count int, timeout time.Duration) (echoes, error) {
	var a echoes
	var sum time.Duration
	replies := make(chan time.Duration, count)
	var seqs []uint16
	defer func() { s.forget(seqs) }()
	end := time.NewTimer(timeout)
	defer end.Stop()
	next := time.NewTimer(0)
	defer next.Stop()
	for a.received < count {
		send := next.C
		if a.sent == count {
			send = nil
		}
		select {
		case <-send:
			seq, err := s.send(t, replies)
			switch {
			case err == nil:
				seqs = append(seqs, seq)
			case a.sent == 0:
				return echoes{}, fmt.Errorf("send echo: %w", err)
			}
			a.sent++
			next.Reset(min(echoGap, timeout/time.Duration(count+1)))
		case took := <-replies:
			a.received++
			sum += took
		case <-end.C:
			return a.mean(sum), nil
		case <-ctx.Done():
			return a.mean(sum), nil
		}
	}
	return a.mean(sum), nil
}

// mean sets the latency from the sum of the round trips.
func (a echoes) mean(sum time.Duration) echoes {
	if a.received > 0 {
		a.latency = sum / time.Duration(a.received)
	}
	return a
}

// send sends one echo; its reply comes through the channel.
func (s *echoSocket) send(t echoTarget, replies chan<- time.Duration) (uint16, error) {
	now := time.Now()
	s.mu.Lock()
	if s.ended || len(s.pending) >= maxPending {
		s.mu.Unlock()
		return 0, errors.New("socket is closed or busy")
	}
	for s.next++; s.pending[s.next].replies != nil; s.next++ {
	}
	seq := s.next
	s.pending[seq] = pendingEcho{addr: t.addr, sent: now, replies: replies}
	s.used = now
	s.mu.Unlock()

	body := &icmp.Echo{ID: int(s.id), Seq: int(seq), Data: s.token[:]}
	var dst net.Addr = &net.UDPAddr{IP: t.addr.AsSlice()}
	if s.raw {
		dst = &net.IPAddr{IP: t.addr.AsSlice()}
	}
	var err error
	if s.p4 != nil {
		var b []byte
		if b, err = (&icmp.Message{Type: ipv4.ICMPTypeEcho, Body: body}).Marshal(nil); err == nil {
			_, err = s.p4.WriteTo(b, &ipv4.ControlMessage{IfIndex: t.ifindex}, dst)
		}
	} else {
		var b []byte
		if b, err = (&icmp.Message{Type: ipv6.ICMPTypeEchoRequest, Body: body}).Marshal(nil); err == nil {
			_, err = s.p6.WriteTo(b, &ipv6.ControlMessage{IfIndex: t.ifindex}, dst)
		}
	}
	if err != nil {
		s.forget([]uint16{seq})
		return 0, err
	}
	return seq, nil
}

func (s *echoSocket) forget(seqs []uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seq := range seqs {
		delete(s.pending, seq)
	}
}

// read hands out replies until the socket is closed.
func (s *echoSocket) read() {
	defer func() {
		s.mu.Lock()
		s.ended = true
		s.mu.Unlock()
	}()
	b := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(b)
		if err != nil {
			var temporary net.Error
			if errors.As(err, &temporary) && temporary.Timeout() || !errors.Is(err, net.ErrClosed) && reported(err) {
				continue
			}
			return
		}
		s.reply(b[:n], addrOf(from), time.Now())
	}
}

// reported tells whether an error is about some packet sent before, and not about the socket.
func reported(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "read" && isUnreachable(err)
}

func addrOf(a net.Addr) netip.Addr {
	var ip net.IP
	switch a := a.(type) {
	case *net.IPAddr:
		ip = a.IP
	case *net.UDPAddr:
		ip = a.IP
	}
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// reply takes a packet in; what is not the reply to a pending echo is dropped.
func (s *echoSocket) reply(b []byte, from netip.Addr, now time.Time) {
	want := byte(ipv4.ICMPTypeEchoReply)
	if s.p6 != nil {
		want = byte(ipv6.ICMPTypeEchoReply)
	}
	if len(b) < 8+len(s.token) || b[0] != want || s.raw && binary.BigEndian.Uint16(b[4:]) != s.id || [8]byte(b[8:16]) != s.token {
		return
	}
	seq := binary.BigEndian.Uint16(b[6:])
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.pending[seq]
	if !ok || p.addr.WithZone("") != from.WithZone("") {
		return
	}
	delete(s.pending, seq) // a second reply does not count
	p.replies <- max(now.Sub(p.sent), 1)
}

func (s *echoSocket) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

func (s *echoSocket) unusedFor(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Sub(s.used)
}

// close ends the reader.
func (s *echoSocket) close() { _ = s.conn.Close() }
