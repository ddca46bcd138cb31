// Package tls reads the plain part of TLS handshakes: the hellos and, up to
// TLS 1.2, the certificates. It takes bytes and returns structs; it keeps nothing.
package tls

import (
	"encoding/binary"
	"errors"
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

// reader takes fields off the front; bad stays set once a field was not there.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u8() int {
	if b := r.take(1); b != nil {
		return int(b[0])
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u24() int { return r.u8()<<16 | int(r.u16()) }

func (r *reader) vec8() reader  { return reader{b: r.take(r.u8())} }
func (r *reader) vec16() reader { return reader{b: r.take(int(r.u16()))} }

// list reads the rest as numbers of two bytes.
func (r *reader) list() []uint16 {
	list := make([]uint16, 0, len(r.b)/2)
	for len(r.b) >= 2 {
		list = append(list, r.u16())
	}
	return list
}

// ParseClientHello reads the body of the message, behind type and length.
func ParseClientHello(b []byte) (*ClientHello, error) {
	r := reader{b: b}
	h := &ClientHello{Version: r.u16(), Length: len(b)}
	copy(h.Random[:], r.take(32))
	h.SessionID = len(r.take(r.u8()))
	ciphers := r.vec16()
	compression := r.vec8()
	if r.bad {
		return nil, ErrShort
	}
	h.Compression = append(h.Compression, compression.b...)
	if len(ciphers.b)%2 != 0 {
		return nil, ErrLength
	}
	h.Ciphers, h.ExtensionLen = ciphers.list(), max(len(r.b)-2, 0)
	err := extensions(&r, func(kind uint16, e *reader) {
		h.Extensions = append(h.Extensions, kind)
		h.extension(kind, e)
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (h *ClientHello) extension(kind uint16, e *reader) {
	switch kind {
	case extSNI:
		names := e.vec16()
		if names.u8() == 0 {
			name := names.vec16()
			if len(name.b) <= 255 {
				h.SNI = string(name.b)
			}
		}
	case extGroups:
		l := e.vec16()
		h.Groups = l.list()
	case extPointFormats:
		l := e.vec8()
		h.PointFormats = append([]uint8(nil), l.b...)
	case extSignatures:
		l := e.vec16()
		h.Signatures = l.list()
	case extALPN:
		for l := e.vec16(); len(l.b) > 0 && len(h.ALPN) < maxNames; {
			name := l.vec8()
			h.ALPN = append(h.ALPN, string(name.b))
		}
	case extVersions:
		l := e.vec8()
		h.Versions = l.list()
	case extKeyShare:
		for l := e.vec16(); len(l.b) >= 4; {
			h.KeyShares = append(h.KeyShares, l.u16())
			l.vec16()
		}
	case extTicket:
		h.Resuming = h.Resuming || len(e.b) > 0
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
func extensions(r *reader, f func(kind uint16, e *reader)) error {
	if len(r.b) == 0 {
		return nil
	}
	all := r.vec16()
	if r.bad {
		return ErrShort
	}
	for len(all.b) > 0 {
		kind := all.u16()
		e := all.vec16()
		if all.bad {
			return ErrLength
		}
		f(kind, &e)
	}
	return nil
}

// WithoutCookie makes the body of DTLS's ClientHello into that of TLS's: it has a
// cookie behind the session's id. What is too short for one stays as it is.
func WithoutCookie(b []byte) []byte {
	r := reader{b: b}
	r.take(34)
	r.take(r.u8())
	before := len(b) - len(r.b)
	r.take(r.u8())
	if r.bad {
		return b
	}
	return append(append(make([]byte, 0, len(b)), b[:before]...), r.b...)
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
	r := reader{b: b}
	h := &ServerHello{Legacy: r.u16()}
	random := r.take(32)
	h.SessionID = len(r.take(r.u8()))
	h.Cipher = r.u16()
	r.u8()
	if r.bad {
		return nil, ErrShort
	}
	h.Version, h.Retry = h.Legacy, [32]byte(random) == retry
	err := extensions(&r, func(kind uint16, e *reader) {
		h.Extensions = append(h.Extensions, kind)
		switch kind {
		case extVersions:
			if v := e.u16(); !e.bad {
				h.Version = v
			}
		case extKeyShare:
			h.Group = e.u16()
		case extALPN:
			names := e.vec16()
			name := names.vec8()
			h.ALPN = string(name.b)
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
	r := reader{b: b}
	all := reader{b: r.take(r.u24())}
	if r.bad {
		return nil, ErrShort
	}
	var chain [][]byte
	for len(all.b) > 0 && len(chain) < maxCertificates {
		one := all.take(all.u24())
		if all.bad {
			return chain, ErrLength
		}
		chain = append(chain, one)
	}
	return chain, nil
}
