package packets

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Servers of the office's small services.
var (
	Clock     = netip.MustParseAddr("10.20.1.123")
	Addresses = netip.MustParseAddr("10.20.1.67") // DHCP
	Exchange  = netip.MustParseAddr("10.20.1.60") // SIP
)

// office makes what machines say without being asked: the time, their addresses, and calls.
func (w *wire) office() {
	for i := range 12 {
		at := Length * time.Duration(i) / 13
		w.time(at, i)
		w.lease(at+200*time.Millisecond, i)
		w.call(at+400*time.Millisecond, i)
	}
}

// time asks a server what time it is, which is some milliseconds ahead of the
// capture's clock; how many, depends on who asks.
func (w *wire) time(at time.Duration, n int) {
	from, to := netip.AddrPortFrom(client(n), 123), netip.AddrPortFrom(Clock, 123)
	stamp := func(b []byte, at time.Duration) {
		t := w.start.Add(at)
		binary.BigEndian.PutUint32(b, uint32(t.Unix()+2208988800))                 //nolint:gosec // seconds since 1900, of this era
		binary.BigEndian.PutUint32(b[4:], uint32(int64(t.Nanosecond())<<32/1e9+1)) //nolint:gosec // a part of a second
	}
	ask := make([]byte, 48)
	ask[0], ask[2] = 4<<3|3, 6 // version 4, client
	stamp(ask[40:], at)
	w.udp(at, from, to, ask)
	ahead := time.Duration(n*n%7)*700*time.Microsecond + 300*time.Microsecond
	answer := make([]byte, 48)
	answer[0], answer[1], answer[2], answer[3] = 4<<3|4, byte(2+n%3/2), 6, 0xec // server, stratum 2 or 3, a microsecond
	answer[6], answer[10] = 2, 1                                                // 8 ms from the source, 4 ms unsure
	copy(answer[12:], []byte{203, 0, 113, 123})                                 // the source
	stamp(answer[16:], at-16*time.Second)
	copy(answer[24:32], ask[40:48])
	stamp(answer[32:], at+1400*time.Microsecond+ahead)
	stamp(answer[40:], at+1600*time.Microsecond+ahead)
	w.udp(at+3*time.Millisecond, to, from, answer)
}

// lease renews an address.
func (w *wire) lease(at time.Duration, n int) {
	from, to := netip.AddrPortFrom(client(n), 68), netip.AddrPortFrom(Addresses, 67)
	message := func(op, kind byte) []byte {
		b := make([]byte, 240, 300)
		mine := client(n).As4()
		b[0], b[1], b[2] = op, 1, 6
		binary.BigEndian.PutUint32(b[4:], uint32(n+77)) //nolint:gosec // 100 at most
		copy(b[12:16], mine[:])
		copy(b[28:34], []byte{2, 0, mine[0], mine[1], mine[2], mine[3]})
		copy(b[236:], []byte{99, 130, 83, 99})
		b = append(b, 53, 1, kind)
		if op == 1 {
			name := fmt.Sprintf("desk-%02d", n%12)
			b = append(append(b, 12, byte(len(name))), name...) //nolint:gosec // seven letters
			b = append(b, 55, 4, 1, 3, 6, 15)
		} else {
			copy(b[16:20], mine[:])
			server := Addresses.As4()
			b = append(append(b, 54, 4), server[:]...)
			b = append(b, 51, 4, 0, 0, 14, 16)
		}
		return append(b, 255)
	}
	w.udp(at, from, to, message(1, 3)) // REQUEST
	kind := byte(5)                    // ACK
	if n%9 == 8 {
		kind = 6 // NAK
	}
	w.udp(at+5*time.Millisecond, to, from, message(2, kind))
}

// call registers a telephone, and now and then calls somebody who is not there.
func (w *wire) call(at time.Duration, n int) {
	from, to := netip.AddrPortFrom(client(n), 5060), netip.AddrPortFrom(Exchange, 5060)
	method, status := "REGISTER", "200 OK"
	switch n % 4 {
	case 1:
		method = "INVITE"
	case 2:
		method, status = "INVITE", "404 Not Found"
	case 3:
		method = "OPTIONS"
	}
	common := fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=z9hG4bK%d\r\nFrom: <sip:%d@example>;tag=%d\r\nTo: <sip:%d@example>\r\nCall-ID: %d@%s\r\nCSeq: %d %s\r\n",
		from, n, 200+n, n, 300+n, n, from.Addr(), n+1, method)
	w.udp(at, from, to, fmt.Appendf(nil, "%s sip:%d@example SIP/2.0\r\n%sMax-Forwards: 70\r\nUser-Agent: Desk phone\r\nContent-Length: 0\r\n\r\n", method, 300+n, common))
	w.udp(at+8*time.Millisecond, to, from, fmt.Appendf(nil, "SIP/2.0 %s\r\n%sContent-Length: 0\r\n\r\n", status, common))
}
