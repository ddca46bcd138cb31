package packets

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Ends of the office's tunnels, and who tells telephones their address.
var (
	Branch   = netip.MustParseAddr("198.51.100.7")  // a WireGuard peer
	Supplier = netip.MustParseAddr("198.51.100.90") // speaks IPsec
	Edge     = netip.MustParseAddr("10.20.1.1")
	Mirror   = netip.MustParseAddr("198.51.100.34") // STUN
)

// media makes tunnels to other sites and what comes before a call. What tunnels
// carry nobody can read: it is noise here.
func (w *wire) media() {
	w.wireguard()
	for i := range 20 {
		w.stun(2*time.Second+Length*time.Duration(i)/22, i)
	}
	for i := range 4 {
		w.ike(3*time.Second+Length*time.Duration(i)/5, i)
	}
}

func (w *wire) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.random.UintN(256)) //nolint:gosec // a byte
	}
	return b
}

// wireguard shakes hands and moves data in both directions.
func (w *wire) wireguard() {
	from, to := netip.AddrPortFrom(Branch, 51820), netip.AddrPortFrom(Edge, 51820)
	message := func(kind byte, sender, receiver uint32, length int) []byte {
		b := append([]byte{kind, 0, 0, 0}, w.noise(length-4)...)
		if kind == 1 || kind == 2 {
			binary.LittleEndian.PutUint32(b[4:], sender)
		}
		if kind == 2 {
			binary.LittleEndian.PutUint32(b[8:], receiver)
		}
		return b
	}
	w.udp(500*time.Millisecond, from, to, message(1, 77, 0, 148))
	w.udp(530*time.Millisecond, to, from, message(2, 88, 77, 92))
	for i := range 150 {
		at := 600*time.Millisecond + (Length-2*time.Second)*time.Duration(i)/150
		w.udp(at, from, to, message(4, 0, 0, 32+16*(i%5)))
		w.udp(at+20*time.Millisecond, to, from, message(4, 0, 0, 32+16*(i%20)))
	}
}

// stun asks the mirror how the telephone looks from outside; every tenth time it has no rights.
func (w *wire) stun(at time.Duration, n int) {
	from, to := netip.AddrPortFrom(client(n), 16384), netip.AddrPortFrom(Mirror, 3478)
	id := w.noise(12)
	head := func(kind uint16, attributes ...byte) []byte {
		b := binary.BigEndian.AppendUint16(nil, kind)
		b = binary.BigEndian.AppendUint16(b, uint16(len(attributes))) //nolint:gosec // a few bytes
		return append(append(append(b, 0x21, 0x12, 0xa4, 0x42), id...), attributes...)
	}
	w.udp(at, from, to, head(0x0001))
	if n%10 == 7 {
		w.udp(at+25*time.Millisecond, to, from, head(0x0111, 0, 9, 0, 4, 0, 0, 4, 1)) // 401
		return
	}
	mapped := []byte{0, 0x20, 0, 8, 0, 1, 0x40 ^ 0x21, 0x12, 203 ^ 0x21, 0 ^ 0x12, 113 ^ 0xa4, byte(n) ^ 0x42} //nolint:gosec // 20 at most
	w.udp(at+25*time.Millisecond, to, from, head(0x0101, mapped...))
}

// ike agrees on keys with the supplier: two messages in the clear, two encrypted.
func (w *wire) ike(at time.Duration, n int) {
	from, to := netip.AddrPortFrom(Edge, 500), netip.AddrPortFrom(Supplier, 500)
	transform := func(last bool, kind byte, id uint16, bits uint16) []byte {
		more, length := byte(3), byte(8)
		if last {
			more = 0
		}
		if bits > 0 {
			length = 12
		}
		b := binary.BigEndian.AppendUint16([]byte{more, 0, 0, length, kind, 0}, id)
		if bits > 0 {
			b = binary.BigEndian.AppendUint16(append(b, 0x80, 14), bits)
		}
		return b
	}
	offer := []byte{0, 0, 0, 44, 1, 1, 0, 4}                  // the last one, of IKE, with four transforms
	offer = append(offer, transform(false, 1, 20, 256)...)    // AES-GCM
	offer = append(offer, transform(false, 2, 5, 0)...)       // PRF of SHA-256
	offer = append(offer, transform(false, 3, 12, 0)...)      // HMAC of SHA-256
	offer = append(offer, transform(true, 4, 19, 0)...)       // P-256
	binary.BigEndian.PutUint16(offer[2:], uint16(len(offer))) //nolint:gosec // a few bytes
	payload := func(next byte, body []byte) []byte {
		b := []byte{next, 0, byte((len(body) + 4) >> 8), byte(len(body) + 4)} //nolint:gosec // a few bytes
		return append(b, body...)
	}
	first := append(payload(34, offer), payload(40, append([]byte{0, 19, 0, 0}, w.noise(64)...))...)
	first = append(first, payload(0, w.noise(32))...)
	spi := byte(n + 1) //nolint:gosec // four at most
	message := func(next, exchange, flags byte, id uint32, answer bool, body []byte) []byte {
		b := []byte{1, 2, 3, 4, 5, 6, 7, spi, 0, 0, 0, 0, 0, 0, 0, 0, next, 0x20, exchange, flags}
		if answer || id > 0 {
			copy(b[8:], []byte{9, 8, 7, 6, 5, 4, 3, spi})
		}
		b = binary.BigEndian.AppendUint32(b, id)
		b = binary.BigEndian.AppendUint32(b, uint32(28+len(body))) //nolint:gosec // a few bytes
		return append(b, body...)
	}
	w.udp(at, from, to, message(33, 34, 0x08, 0, false, first))
	w.udp(at+40*time.Millisecond, to, from, message(33, 34, 0x20, 0, true, first))
	w.udp(at+60*time.Millisecond, from, to, message(46, 35, 0x08, 1, false, payload(0, w.noise(200))))
	w.udp(at+95*time.Millisecond, to, from, message(46, 35, 0x20, 1, true, payload(0, w.noise(180))))
}
