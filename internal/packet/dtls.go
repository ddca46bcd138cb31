package packet

import (
	"github.com/orielhq/oriel/internal/packet/tls"
)

// dtlsAnalyzer reads the handshake of DTLS (RFC 6347): TLS's messages, in
// datagrams, with a number each and in pieces that may come again.
type dtlsAnalyzer struct {
	tlsAnalyzer
	sides [2]dtlsSide
}

// dtlsSide is the handshake of one direction.
type dtlsSide struct {
	next   uint16 // number of the message that is awaited
	kind   byte
	length int // of that message
	part   buffer
}

const dtlsRecord, dtlsMessage = 13, 12 // bytes of their headers

func matchDTLS(_ *key, _ bool, b []byte) bool {
	return len(b) >= dtlsRecord+dtlsMessage && b[0] == 22 && b[1] == 0xfe && (b[2] == 0xff || b[2] == 0xfd) && be16(b[3:]) == 0 &&
		int(be16(b[11:])) <= len(b)-dtlsRecord && (b[13] == tls.TypeClientHello || b[13] == tls.TypeServerHello || b[13] == tls.TypeHelloVerify)
}

func openDTLS(w *worker, c *conn) analyzer {
	return &dtlsAnalyzer{tlsAnalyzer: tlsAnalyzer{w: w, c: c, transport: 'd'}}
}

func (a *dtlsAnalyzer) data(at int64, orig bool, b []byte) bool {
	s := a.sideOf(orig)
	for len(b) >= dtlsRecord && b[1] == 0xfe {
		n := int(be16(b[11:]))
		if n > len(b)-dtlsRecord {
			break
		}
		body := b[dtlsRecord : dtlsRecord+n]
		switch {
		case be16(b[3:]) > 0: // the epoch after the keys
			if !s.encrypted {
				a.encrypt(at, s)
			}
			s.cipher += n
		case b[0] == 22:
			a.messages(at, orig, body)
		case b[0] == 21 && n >= 2:
			a.record.Alert = tls.AlertName(body[1])
		}
		b = b[dtlsRecord+n:]
	}
	return a.more()
}

// messages takes the pieces of messages of a record.
func (a *dtlsAnalyzer) messages(at int64, orig bool, b []byte) {
	s := &a.sides[side(orig)]
	for len(b) >= dtlsMessage {
		length, seq := int(b[1])<<16|int(be16(b[2:])), be16(b[4:])
		from, n := int(b[6])<<16|int(be16(b[7:])), int(b[9])<<16|int(be16(b[10:]))
		if n > len(b)-dtlsMessage || from+n > length || length > maxHandshake {
			a.w.tls.bad++
			return
		}
		kind, body := b[0], b[dtlsMessage:dtlsMessage+n]
		b = b[dtlsMessage+n:]
		switch {
		case seq != s.next: // sent again, or before its turn; then the former will be, too
			anew := kind == tls.TypeClientHello && seq == 0
			if begun := s.next == 0 && a.first == 0 && from == 0; !anew && !begun { // before the capture
				continue
			}
			s.next = seq
			s.part.free(a.w)
		case len(s.part.b) > 0 && (kind != s.kind || length != s.length):
			s.part.free(a.w)
		}
		switch have := len(s.part.b); {
		case from == 0 && n == length && have == 0:
			a.whole(at, kind, body)
		case from > have || from+n <= have:
			continue // a piece is missing, or known
		default:
			s.kind, s.length = kind, length
			if !s.part.add(a.w, body[have-from:], maxHandshake) {
				return
			}
			if len(s.part.b) < length {
				continue
			}
			a.whole(at, kind, s.part.b)
			s.part.free(a.w)
		}
		s.next++
	}
}

// whole takes a message.
func (a *dtlsAnalyzer) whole(at int64, kind byte, b []byte) {
	switch kind {
	case tls.TypeHelloVerify:
		a.record.Retried = true
	case tls.TypeClientHello:
		b = tls.WithoutCookie(b)
		fallthrough
	default:
		a.message(at, kind, b)
	}
}

// gap is of the rest of a datagram that was captured in part.
func (a *dtlsAnalyzer) gap(int64, bool, int) {}

func (a *dtlsAnalyzer) end(at int64) {
	for i := range a.sides {
		a.sides[i].part.free(a.w)
	}
	a.tlsAnalyzer.end(at)
}
