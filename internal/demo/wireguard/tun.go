package wireguard

import (
	"encoding/binary"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"golang.zx2c4.com/wireguard/tun"
)

const (
	mtu = 1420
	// backlog is how many packets wait for encryption; a tick's burst fits, and what does not is lost, as in a network.
	backlog = 256
)

// memoryTUN is a network interface without a kernel: packets are put into it by
// send, and what arrives is thrown away. The library's own test interface blocks
// the device until somebody takes what arrived.
type memoryTUN struct {
	name   string
	out    chan []byte
	events chan tun.Event
	closed chan struct{}
	once   sync.Once
	seen   atomic.Pointer[chan<- netip.Addr]
	// answer takes what arrived, to reply to echoes; it is set before the device starts.
	answer func(packet []byte)

	received, transmitted atomic.Uint64 // bytes
}

func newMemoryTUN(name string) *memoryTUN {
	return &memoryTUN{
		name:   name,
		out:    make(chan []byte, backlog),
		events: make(chan tun.Event),
		closed: make(chan struct{}),
	}
}

// send queues an IP packet for the tunnel, or drops it. The packet is not changed or kept.
func (t *memoryTUN) send(packet []byte) {
	select {
	case t.out <- packet:
	default:
	}
}

// watch has the source of every packet that arrives sent to ch, if there is room; nil ends that.
func (t *memoryTUN) watch(ch chan<- netip.Addr) {
	if ch == nil {
		t.seen.Store(nil)
		return
	}
	t.seen.Store(&ch)
}

// Read gives the device the next packet to encrypt.
func (t *memoryTUN) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	select {
	case <-t.closed:
		return 0, os.ErrClosed
	case p := <-t.out:
		sizes[0] = copy(bufs[0][offset:], p)
		t.transmitted.Add(uint64(len(p)))
		return 1, nil
	}
}

// Write takes decrypted packets from the device.
func (t *memoryTUN) Write(bufs [][]byte, offset int) (int, error) {
	for _, b := range bufs {
		p := b[offset:]
		t.received.Add(uint64(len(p)))
		if t.answer != nil {
			t.answer(p)
		}
	}
	if ch := t.seen.Load(); ch != nil {
		for _, b := range bufs {
			if p := b[offset:]; len(p) >= ipv4Header && p[0]>>4 == 4 {
				select {
				case *ch <- netip.AddrFrom4([4]byte(p[12:16])):
				default:
				}
			}
		}
	}
	return len(bufs), nil
}

// Close ends Read and the events.
func (t *memoryTUN) Close() error {
	t.once.Do(func() {
		close(t.closed)
		close(t.events)
	})
	return nil
}

func (t *memoryTUN) File() *os.File           { return nil }
func (t *memoryTUN) MTU() (int, error)        { return mtu, nil }
func (t *memoryTUN) Name() (string, error)    { return t.name, nil }
func (t *memoryTUN) Events() <-chan tun.Event { return t.events }
func (t *memoryTUN) BatchSize() int           { return 1 }

const (
	ipv4Header = 20
	udpHeader  = 8
)

// udpPacket makes an IPv4 UDP packet of size bytes in all, to the discard port.
func udpPacket(src, dst netip.Addr, size int) []byte {
	size = min(max(size, ipv4Header+udpHeader), mtu)
	p := make([]byte, size)
	p[0] = 4<<4 | ipv4Header/4
	binary.BigEndian.PutUint16(p[2:], uint16(size))
	p[8], p[9] = 64, 17 // time to live, UDP
	from, to := src.As4(), dst.As4()
	copy(p[12:], from[:])
	copy(p[16:], to[:])
	binary.BigEndian.PutUint16(p[10:], checksum(p[:ipv4Header]))
	u := p[ipv4Header:]
	binary.BigEndian.PutUint16(u[0:], 9)
	binary.BigEndian.PutUint16(u[2:], 9)
	binary.BigEndian.PutUint16(u[4:], uint16(size-ipv4Header))
	// The UDP checksum stays 0, which in IPv4 means there is none (RFC 768).
	return p
}

// checksum is that of RFC 1071, of an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
