package packet

import (
	"slices"
	"strings"

	"github.com/orielhq/oriel/internal/packet/tls"
)

const (
	maxHandshake  = 128 << 10 // bytes of one message; a chain of certificates is the longest
	maxCiphertext = 32 << 10  // bytes of it that are looked at while the other side is silent
)

// tlsSide is one direction of a TLS connection.
type tlsSide struct {
	head      [5]byte // of the record at hand
	headLen   int
	left      int // of that record's bytes
	handshake buffer
	encrypted bool
	lost      bool // bytes are missing, records can no longer be told apart
	cipher    int  // bytes since encrypted
}

// tlsAnalyzer reads a connection's handshake.
type tlsAnalyzer struct {
	w      *worker
	c      *conn
	first  int64
	side   [2]tlsSide
	client *tls.ClientHello
	server *tls.ServerHello
	record TLS
	leaf   *certificate
	done   bool

	transport byte // as JA4 has it: t, d
}

func matchTLS(_ *key, _ bool, b []byte) bool {
	return len(b) >= 6 && b[0] == 22 && b[1] == 3 && b[2] <= 4 && (b[5] == tls.TypeClientHello || b[5] == tls.TypeServerHello) &&
		be16(b[3:]) >= 4 && be16(b[3:]) <= 1<<14+256
}

func openTLS(w *worker, c *conn) analyzer { return &tlsAnalyzer{w: w, c: c, transport: 't'} }

func (a *tlsAnalyzer) data(at int64, orig bool, b []byte) bool {
	s := a.sideOf(orig)
	for len(b) > 0 && !s.lost {
		if s.left == 0 {
			n := copy(s.head[s.headLen:], b)
			b = b[n:]
			if s.headLen += n; s.headLen < len(s.head) {
				return true
			}
			s.headLen, s.left = 0, int(be16(s.head[3:]))
			if s.head[0] < 20 || s.head[0] > 24 || s.head[1] != 3 || s.left > 1<<14+2048 {
				s.lost = true
				return a.more()
			}
			continue
		}
		part := b[:min(s.left, len(b))]
		s.left -= len(part)
		b = b[len(part):]
		a.fragment(at, s, part)
	}
	return a.more()
}

func (a *tlsAnalyzer) sideOf(orig bool) *tlsSide {
	if orig {
		return &a.side[0]
	}
	return &a.side[1]
}

// more tells whether anything in the clear may follow.
func (a *tlsAnalyzer) more() bool {
	x, y := &a.side[0], &a.side[1]
	closed := func(s *tlsSide) bool { return s.encrypted || s.lost }
	return (!closed(x) || !closed(y)) && x.cipher+y.cipher < maxCiphertext
}

func (a *tlsAnalyzer) fragment(at int64, s *tlsSide, b []byte) {
	kind := s.head[0]
	switch {
	case s.encrypted:
		s.cipher += len(b)
	case kind == 20:
		// TLS 1.3 sends it for the sake of old middleboxes only.
		if v13 := a.server != nil && a.server.Version >= 0x0304 || a.server == nil && a.client != nil && slices.Contains(a.client.Versions, 0x0304); !v13 {
			a.encrypt(at, s)
		}
	case kind == 21 && len(b) >= 2:
		a.record.Alert = tls.AlertName(b[1])
	case kind == 22:
		a.handshake(at, s, b)
	case kind == 23:
		a.encrypt(at, s)
		s.cipher += len(b)
	}
}

func (a *tlsAnalyzer) encrypt(at int64, s *tlsSide) {
	s.encrypted = true
	s.handshake.free(a.w)
	if a.record.HandshakeNanos == 0 && a.first > 0 && a.server != nil {
		a.record.HandshakeNanos = at - a.first
	}
}

// handshake takes messages apart; one that lies in b as a whole is not copied.
func (a *tlsAnalyzer) handshake(at int64, s *tlsSide, b []byte) {
	all := b
	if len(s.handshake.b) > 0 {
		if !s.handshake.add(a.w, b, maxHandshake) {
			s.lost = true
			return
		}
		all = s.handshake.b
	}
	rest := all
	for len(rest) >= 4 && !s.encrypted {
		n := int(rest[1])<<16 | int(be16(rest[2:]))
		if n > maxHandshake-4 || rest[0] > 25 {
			a.encrypt(at, s) // no message in the clear looks like this
			return
		}
		if len(rest) < 4+n {
			break
		}
		a.message(at, rest[0], rest[4:4+n])
		rest = rest[4+n:]
	}
	switch {
	case len(rest) == 0:
		s.handshake.free(a.w)
	case len(s.handshake.b) > 0:
		s.handshake.cut(len(all) - len(rest))
	case !s.handshake.add(a.w, rest, maxHandshake):
		s.lost = true
	}
}

func (a *tlsAnalyzer) message(at int64, kind byte, b []byte) {
	switch kind {
	case tls.TypeClientHello:
		h, err := tls.ParseClientHello(b)
		if err != nil {
			a.w.tls.bad++
			return
		}
		if a.client == nil {
			a.client, a.first = h, at
		}
	case tls.TypeServerHello:
		h, err := tls.ParseServerHello(b)
		switch {
		case err != nil:
			a.w.tls.bad++
		case h.Retry:
			a.record.Retried = true
			a.server = h
		case a.server == nil || a.server.Retry:
			a.server = h
		}
		if a.first == 0 {
			a.first = at
		}
	case tls.TypeCertificate:
		if a.leaf == nil {
			a.certificates(at, b)
		}
	}
}

func (a *tlsAnalyzer) gap(_ int64, orig bool, n int) {
	s := a.sideOf(orig)
	if s.headLen == 0 && s.encrypted && n <= s.left {
		s.left -= n
		return
	}
	s.lost = true
}

func (a *tlsAnalyzer) end(at int64) {
	for i := range a.side {
		a.side[i].handshake.free(a.w)
	}
	if a.done || a.client == nil && a.server == nil {
		return
	}
	a.done = true
	r := &a.record
	r.Flow = a.c.flow(a.first)
	r.Established = a.side[0].encrypted && a.side[1].encrypted
	hello(r, a.client, a.server, a.transport)
	a.weak(r, at)
	if a.w.tls.keep {
		r.hellos = hellos{a.client, a.server}
	}
	a.w.tls.count(r)
	a.w.emit(r)
}

// hello writes what the two hellos say; either may be nil.
func hello(r *TLS, client *tls.ClientHello, server *tls.ServerHello, transport byte) {
	if h := client; h != nil {
		r.Version = tls.VersionName(h.Offered())
		r.ServerName, r.ECH = text(h.SNI), h.ECH
		r.JA3, r.JA4 = h.JA3(), h.JA4(transport)
		r.ClientALPN = join(h.ALPN)
		r.GREASE = slices.ContainsFunc(h.Ciphers, tls.Grease) || slices.ContainsFunc(h.Extensions, tls.Grease)
		if server == nil {
			r.PostQuantum = slices.ContainsFunc(h.KeyShares, tls.PostQuantum)
		}
	}
	if h := server; h != nil {
		r.Version, r.Cipher, r.CipherClass = tls.VersionName(h.Version), tls.CipherName(h.Cipher), tls.CipherClass(h.Cipher)
		r.JA3S, r.ALPN = h.JA3S(), text(h.ALPN)
		r.Group, r.PostQuantum = tls.GroupName(h.Group), tls.PostQuantum(h.Group)
		r.Resumed = h.Resumed
	}
}

// weak names what is wrong with a handshake.
func (a *tlsAnalyzer) weak(r *TLS, at int64) {
	var list []string
	add := func(yes bool, name string) {
		if yes {
			list = append(list, name)
		}
	}
	if a.server != nil {
		add(a.server.Version < 0x0303 || a.server.Version == 0xfeff, "version")
		add(r.CipherClass != tls.ClassAEAD && r.CipherClass != tls.ClassCBC, "cipher")
	}
	if l := a.leaf; l != nil {
		add(at > l.notAfter.UnixNano(), "expired")
		add(at < l.notBefore.UnixNano(), "not_yet_valid")
		add(l.selfSigned, "self_signed")
		add(l.weakKey, "key")
		add(l.weakSignature && !l.selfSigned, "signature")
		add(r.ServerName != "" && !l.covers(r.ServerName), "name")
		r.Subject, r.Issuer, r.CertificateSHA256 = l.subject, l.issuer, l.sha256
	}
	r.Weak = strings.Join(list, ",")
}
