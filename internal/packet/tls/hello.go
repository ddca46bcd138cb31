// Package tls reads the plain part of TLS handshakes: the hellos and, up to
// TLS 1.2, the certificates. It takes bytes and returns structs; it keeps nothing.
package tls

import (
	"errors"

	"github.com/orielhq/oriel/internal/packet/wire"
)

// Errors of the parsers: the message ends early, or its lengths disagree.
var (
	ErrShort  = errors.New("message ends early")
	ErrLength = errors.New("lengths disagree")
)

// Types of handshake messages.
const (
	TypeClientHello = 1
	TypeServerHello = 2
	TypeHelloVerify = 3 // of DTLS
	TypeCertificate = 11
)

// Extensions that are looked into.
const (
	extSNI          = 0
	extGroups       = 10
	extPointFormats = 11
	extSignatures   = 13
	extALPN         = 16
	extTicket       = 35
	extPSK          = 41
	extEarlyData    = 42
	extVersions     = 43
	extKeyShare     = 51
	extQUIC         = 57
	extECH          = 0xfe0d
)

const maxNames = 32 // protocols of ALPN that are kept

// ClientHello is what a client offers, in the order it did; GREASE (RFC 8701) included.
type ClientHello struct {
	Version      uint16
	SessionID    int // its length
	Length       int // of the message's body
	Random       [32]byte
	Compression  []uint8
	ExtensionLen int // bytes of them
	Ciphers      []uint16
	Extensions   []uint16
	Groups       []uint16
	PointFormats []uint8
	Signatures   []uint16
	Versions     []uint16
	KeyShares    []uint16
	ALPN         []string
	SNI          string
	ECH          bool // the true hello is encrypted within this one, or pretends to be
	EarlyData    bool
	QUIC         bool // with QUIC's transport parameters
	Resuming     bool // offers a ticket's or session's key
}

// ServerHello is what the server chose.
type ServerHello struct {
	Legacy     uint16 // the version field, JA3S takes it
	Version    uint16 // the version in truth
	Cipher     uint16
	Extensions []uint16
	Group      uint16 // of the key share; 0: none
	ALPN       string
	Retry      bool // HelloRetryRequest: no choice yet
	Resumed    bool // TLS 1.3: by a key shared before
	SessionID  int
}

// retry is the random of a HelloRetryRequest (RFC 8446, 4.1.3).
var retry = [32]byte{
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
}

// ParseClientHello reads the body of the message, behind type and length.
func ParseClientHello(b []byte) (*ClientHello, error) {
	r := wire.Reader{B: b}
	h := &ClientHello{Version: r.U16(), Length: len(b)}
	copy(h.Random[:], r.Take(32))
	h.SessionID = len(r.Take(r.U8()))
	ciphers := r.Vec16()
	compression := r.Vec8()
	if r.Bad {
		return nil, ErrShort
	}
	h.Compression = append(h.Compression, compression.B...)
	if len(ciphers.B)%2 != 0 {
		return nil, ErrLength
	}
	h.Ciphers, h.ExtensionLen = ciphers.U16s(), max(len(r.B)-2, 0)
	err := extensions(&r, func(kind uint16, e *wire.Reader) {
		h.Extensions = append(h.Extensions, kind)
		h.extension(kind, e)
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (h *ClientHello) extension(kind uint16, e *wire.Reader) {
	switch kind {
	case extSNI:
		names := e.Vec16()
		if names.U8() == 0 {
			name := names.Vec16()
			if len(name.B) <= 255 {
				h.SNI = string(name.B)
			}
		}
	case extGroups:
		l := e.Vec16()
		h.Groups = l.U16s()
	case extPointFormats:
		l := e.Vec8()
		h.PointFormats = append([]uint8(nil), l.B...)
	case extSignatures:
		l := e.Vec16()
		h.Signatures = l.U16s()
	case extALPN:
		for l := e.Vec16(); len(l.B) > 0 && len(h.ALPN) < maxNames; {
			name := l.Vec8()
			h.ALPN = append(h.ALPN, string(name.B))
		}
	case extVersions:
		l := e.Vec8()
		h.Versions = l.U16s()
	case extKeyShare:
		for l := e.Vec16(); len(l.B) >= 4; {
			h.KeyShares = append(h.KeyShares, l.U16())
			l.Vec16()
		}
	case extTicket:
		h.Resuming = h.Resuming || len(e.B) > 0
	case extPSK:
		h.Resuming = true
	case extEarlyData:
		h.EarlyData = true
	case extQUIC:
		h.QUIC = true
	case extECH:
		h.ECH = true
	}
}

// extensions calls f with each extension of the rest of a hello. There may be none.
func extensions(r *wire.Reader, f func(kind uint16, e *wire.Reader)) error {
	if len(r.B) == 0 {
		return nil
	}
	all := r.Vec16()
	if r.Bad {
		return ErrShort
	}
	for len(all.B) > 0 {
		kind := all.U16()
		e := all.Vec16()
		if all.Bad {
			return ErrLength
		}
		f(kind, &e)
	}
	return nil
}

// WithoutCookie makes the body of DTLS's ClientHello into that of TLS's: it has a
// cookie behind the session's id. What is too short for one stays as it is.
func WithoutCookie(b []byte) []byte {
	r := wire.Reader{B: b}
	r.Take(34)
	r.Take(r.U8())
	before := len(b) - len(r.B)
	r.Take(r.U8())
	if r.Bad {
		return b
	}
	return append(append(make([]byte, 0, len(b)), b[:before]...), r.B...)
}

// dtls tells a version of DTLS: they count down.
func dtls(v uint16) bool { return v>>8 == 0xfe }

// Offered is the newest version that the client speaks.
func (h *ClientHello) Offered() uint16 {
	if len(h.Versions) == 0 {
		return h.Version
	}
	best := uint16(0)
	for _, v := range h.Versions {
		switch {
		case Grease(v):
		case best == 0, dtls(v) && dtls(best) && v < best, !dtls(v) && !dtls(best) && v > best:
			best = v
		}
	}
	return best
}

// ParseServerHello reads the body of the message.
func ParseServerHello(b []byte) (*ServerHello, error) {
	r := wire.Reader{B: b}
	h := &ServerHello{Legacy: r.U16()}
	random := r.Take(32)
	h.SessionID = len(r.Take(r.U8()))
	h.Cipher = r.U16()
	r.U8()
	if r.Bad {
		return nil, ErrShort
	}
	h.Version, h.Retry = h.Legacy, [32]byte(random) == retry
	err := extensions(&r, func(kind uint16, e *wire.Reader) {
		h.Extensions = append(h.Extensions, kind)
		switch kind {
		case extVersions:
			if v := e.U16(); !e.Bad {
				h.Version = v
			}
		case extKeyShare:
			h.Group = e.U16()
		case extALPN:
			names := e.Vec16()
			name := names.Vec8()
			h.ALPN = string(name.B)
		case extPSK:
			h.Resumed = true
		}
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

const maxCertificates = 16

// ParseCertificates returns the chain of a Certificate message up to TLS 1.2,
// the server's own first. The slices are of b.
func ParseCertificates(b []byte) ([][]byte, error) {
	r := wire.Reader{B: b}
	all := wire.Reader{B: r.Take(r.U24())}
	if r.Bad {
		return nil, ErrShort
	}
	var chain [][]byte
	for len(all.B) > 0 && len(chain) < maxCertificates {
		one := all.Take(all.U24())
		if all.Bad {
			return chain, ErrLength
		}
		chain = append(chain, one)
	}
	return chain, nil
}
