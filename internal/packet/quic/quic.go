// Package quic opens the Initial packets of QUIC versions 1 and 2 (RFC 9000,
// 9001, 9369): their keys follow from what anyone on the path can read.
package quic

import (
	"encoding/binary"
	"errors"
)

// Errors of the parsers.
var (
	ErrHeader = errors.New("not a long header of a known version")
	ErrShort  = errors.New("packet ends early")
	ErrSeal   = errors.New("packet does not authenticate")
	ErrFrame  = errors.New("frame that an initial packet does not have")
)

// Versions that are known.
const (
	Version1  = 0x00000001
	Version2  = 0x6b3343cf
	version29 = 0xff00001d
)

// VersionName is a version as people write it.
func VersionName(v uint32) string {
	switch {
	case v == Version1:
		return "1"
	case v == Version2:
		return "2"
	case v>>8 == 0xff0000:
		return "draft"
	}
	return "other"
}

// Kind is what a long header begins.
type Kind uint8

// Kinds, in version 1's numbering.
const (
	Initial Kind = iota
	ZeroRTT
	Handshake
	Retry
)

// MaxID is how long a connection ID may be.
const MaxID = 20

// Header is a long header. Slices are of the parsed bytes.
type Header struct {
	Version uint32
	Kind    Kind
	DCID    []byte
	SCID    []byte
	number  int // where the packet number is
	Size    int // of the whole packet in its datagram
}

// IsInitial tells whether a datagram begins with an Initial packet of a known version.
func IsInitial(b []byte) bool {
	h, err := ParseHeader(b)
	return err == nil && h.Kind == Initial
}

// ParseHeader reads the long header that b begins with.
func ParseHeader(b []byte) (h Header, err error) {
	if len(b) < 7 || b[0]&0xc0 != 0xc0 {
		return h, ErrHeader
	}
	h.Version = binary.BigEndian.Uint32(b[1:])
	kind := b[0] >> 4 & 3
	switch h.Version {
	case Version1, version29:
	case Version2:
		kind = (kind - 1) & 3
	default:
		return h, ErrHeader
	}
	h.Kind = Kind(kind)
	at := 5
	for _, id := range []*[]byte{&h.DCID, &h.SCID} {
		if at >= len(b) {
			return h, ErrShort
		}
		n := int(b[at])
		if n > MaxID {
			return h, ErrHeader
		}
		if at += 1 + n; at > len(b) {
			return h, ErrShort
		}
		*id = b[at-n : at]
	}
	if h.Kind == Retry {
		h.Size = len(b)
		return h, nil
	}
	if h.Kind == Initial {
		n, used := varint(b[at:])
		if used == 0 || n > uint64(len(b)-at-used) {
			return h, ErrShort
		}
		at += used + int(n)
	}
	n, used := varint(b[at:])
	if used == 0 || n > uint64(len(b)-at-used) {
		return h, ErrShort
	}
	h.number, h.Size = at+used, at+used+int(n)
	return h, nil
}

// varint reads a number of RFC 9000, 16; used is 0 if it is not there as a whole.
func varint(b []byte) (v uint64, used int) {
	if len(b) == 0 {
		return 0, 0
	}
	used = 1 << (b[0] >> 6)
	if len(b) < used {
		return 0, 0
	}
	v = uint64(b[0] & 0x3f)
	for _, c := range b[1:used] {
		v = v<<8 | uint64(c)
	}
	return v, used
}

// Crypto is a piece of the handshake's stream.
type Crypto struct {
	Offset uint64
	Data   []byte
}

// CryptoFrames returns the pieces of the handshake in an opened Initial packet.
// Slices are of b.
func CryptoFrames(b []byte) (list []Crypto, err error) {
	number := func() uint64 {
		v, used := varint(b)
		if used == 0 {
			err, b = ErrShort, nil
			return 0
		}
		b = b[used:]
		return v
	}
	for len(b) > 0 && err == nil {
		kind := b[0]
		b = b[1:]
		switch kind {
		case 0, 1: // padding, ping
		case 2, 3: // acknowledgement
			number()
			number()
			ranges := number()
			number()
			for i := uint64(0); i < ranges && err == nil; i++ {
				number()
				number()
			}
			for i := 0; kind == 3 && i < 3; i++ {
				number()
			}
		case 6:
			offset, n := number(), number()
			if n > uint64(len(b)) {
				return list, ErrShort
			}
			list = append(list, Crypto{offset, b[:n]})
			b = b[n:]
		case 0x1c: // the peer closes
			return list, nil
		default:
			return list, ErrFrame
		}
	}
	return list, err
}
