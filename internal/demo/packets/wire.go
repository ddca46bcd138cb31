package packets

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// TCP's flags.
const (
	fin = 1
	syn = 2
	rst = 4
	psh = 8
	ack = 16
)

const segment = 1400 // bytes of payload

type frame struct {
	at   time.Duration
	data []byte
}

// wire collects the frames of a capture.
type wire struct {
	start  time.Time
	random *rand.Rand
	frames []frame
	port   uint16
}

// ip puts Ethernet and IPv4 before a payload.
func (w *wire) ip(at time.Duration, from, to netip.Addr, proto byte, payload []byte) {
	src, dst := from.As4(), to.As4()
	b := make([]byte, 34, 34+len(payload))
	copy(b, []byte{2, 0, dst[0], dst[1], dst[2], dst[3], 2, 0, src[0], src[1], src[2], src[3], 8, 0})
	h := b[14:]
	h[0], h[8], h[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload))) //nolint:gosec // at most a segment
	copy(h[12:], src[:])
	copy(h[16:], dst[:])
	binary.BigEndian.PutUint16(h[10:], checksum(h[:20], 0))
	w.frames = append(w.frames, frame{at, append(b, payload...)})
}

// checksum is the Internet's, of RFC 1071.
func checksum(b []byte, sum uint32) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// side is one end of a connection.
type side struct {
	addr netip.Addr
	port uint16
	seq  uint32
}

func (w *wire) tcp(at time.Duration, from, to *side, flags byte, window uint16, payload []byte) {
	b := make([]byte, 20, 20+len(payload))
	binary.BigEndian.PutUint16(b, from.port)
	binary.BigEndian.PutUint16(b[2:], to.port)
	binary.BigEndian.PutUint32(b[4:], from.seq)
	if flags&ack != 0 {
		binary.BigEndian.PutUint32(b[8:], to.seq)
	}
	b[12], b[13] = 0x50, flags
	binary.BigEndian.PutUint16(b[14:], window)
	b = append(b, payload...)
	src, dst := from.addr.As4(), to.addr.As4()
	pseudo := append(append(append(src[:], dst[:]...), 0, 6), byte(len(b)>>8), byte(len(b))) //nolint:gosec // less than a packet
	binary.BigEndian.PutUint16(b[16:], checksum(b, uint32(^checksum(pseudo, 0))))
	w.ip(at, from.addr, to.addr, 6, b)
	from.seq += uint32(len(payload)) //nolint:gosec // at most a segment
	if flags&(syn|fin) != 0 {
		from.seq++
	}
}

// talk makes the packets of a conversation and returns when it ends.
func (w *wire) talk(at time.Duration, t talk) {
	w.port++
	c := &side{t.from, 40000 + w.port, w.random.Uint32()}
	s := &side{t.to, t.port, w.random.Uint32()}
	trip := time.Duration(2+w.random.IntN(40)) * time.Millisecond
	w.tcp(at, c, s, syn, 64240, nil)
	at += trip
	w.tcp(at, s, c, syn|ack, 65160, nil)
	w.tcp(at+100*time.Microsecond, c, s, ack, 64240, nil)
	lost := t.lossy
	for _, p := range t.parts {
		from, to := s, c
		if p.client {
			from, to = c, s
			at += t.pause
		}
		at += trip/2 + time.Duration(w.random.IntN(30))*time.Millisecond
		for data := range slices.Chunk(p.data, segment) {
			at += 200 * time.Microsecond
			w.tcp(at, from, to, psh|ack, 64240, data)
			if lost {
				lost = false
				from.seq -= uint32(len(data)) //nolint:gosec // at most a segment
				w.tcp(at+3*trip, from, to, psh|ack, 64240, data)
				w.tcp(at+3*trip+time.Millisecond, to, from, ack, 0, nil) // and the receiver is busy
				w.tcp(at+4*trip, to, from, ack, 64240, nil)
				at += 4 * trip
			}
		}
		w.tcp(at+trip/2, to, from, ack, 64240, nil)
	}
	at += trip
	w.tcp(at, c, s, fin|ack, 64240, nil)
	w.tcp(at+trip, s, c, fin|ack, 64240, nil)
	w.tcp(at+trip+time.Millisecond, c, s, ack, 64240, nil)
}

func (w *wire) udp(at time.Duration, from, to netip.AddrPort, payload []byte) {
	b := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(b, from.Port())
	binary.BigEndian.PutUint16(b[2:], to.Port())
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload))) //nolint:gosec // of DNS
	w.ip(at, from.Addr(), to.Addr(), 17, append(b, payload...))
}

// names makes a minute of DNS: most answered, some not known, some unanswered.
func (w *wire) names(r *rand.Rand) {
	known := []string{"intranet.example.", "shop.example.", "old.example.", "mail.example.", "www.example.org."}
	for i := range 120 {
		at := Length * time.Duration(i) / 125
		name, code := known[r.IntN(len(known))], dnsmessage.RCodeSuccess
		if i%11 == 0 {
			name, code = "no-such-printer.example.", dnsmessage.RCodeNameError
		}
		n, err := dnsmessage.NewName(name)
		if err != nil {
			continue
		}
		q := dnsmessage.Question{Name: n, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
		if i%4 == 3 {
			q.Type = dnsmessage.TypeAAAA
		}
		m := dnsmessage.Message{Header: dnsmessage.Header{ID: uint16(i), RecursionDesired: true}, Questions: []dnsmessage.Question{q}}
		from := netip.AddrPortFrom(client(i), uint16(50000+i))
		to := netip.AddrPortFrom(Resolver, 53)
		if b, err := m.Pack(); err == nil {
			w.udp(at, from, to, b)
		}
		if i%37 == 5 {
			continue // the resolver is lost in thought
		}
		m.Response, m.RecursionAvailable, m.RCode = true, true, code
		if code == dnsmessage.RCodeSuccess && q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: n, Type: q.Type, Class: q.Class, TTL: 300}, Body: &dnsmessage.AResource{A: Web.As4()},
			}}
		}
		if b, err := m.Pack(); err == nil {
			w.udp(at+time.Duration(1+r.IntN(60))*time.Millisecond, to, from, b)
		}
	}
}

// scan calls the ports of the web server one after the other.
func (w *wire) scan() {
	for i := range 150 {
		at := 20*time.Second + time.Duration(i)*40*time.Millisecond
		c, s := &side{Scanner, uint16(60000 + i), uint32(i)}, &side{Web, uint16(1000 + i*7), 0}
		w.tcp(at, c, s, syn, 1024, nil)
		w.tcp(at+time.Millisecond, s, c, rst|ack, 0, nil)
	}
}

// capture is the frames in the order of their times, as a pcap.
func (w *wire) capture() []byte {
	slices.SortStableFunc(w.frames, func(a, b frame) int { return int(a.at - b.at) })
	order := binary.LittleEndian
	b := order.AppendUint32(nil, 0xa1b23c4d) // nanoseconds
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0)
	for _, f := range w.frames {
		at := w.start.Add(f.at)
		b = order.AppendUint32(b, uint32(at.Unix()))       //nolint:gosec // till 2106
		b = order.AppendUint32(b, uint32(at.Nanosecond())) //nolint:gosec // less than a billion
		b = order.AppendUint32(b, uint32(len(f.data)))     //nolint:gosec // at most a segment
		b = order.AppendUint32(b, uint32(len(f.data)))     //nolint:gosec // at most a segment
		b = append(b, f.data...)
	}
	return b
}
