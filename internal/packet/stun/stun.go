// Package stun reads STUN's messages, RFC 8489, and with them TURN's.
package stun

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Class is what kind of message it is.
type Class uint8

// The four classes.
const (
	Request Class = iota
	Indication
	Success
	Failure
)

var classNames = [4]string{"request", "indication", "success", "error"}

// String is RFC 8489's word.
func (c Class) String() string { return classNames[c&3] }

var methodNames = map[uint16]string{
	1: "binding", 3: "allocate", 4: "refresh", 6: "send", 7: "data", 8: "create_permission", 9: "channel_bind",
	10: "connect", 11: "connection_bind", 12: "connection_attempt",
}

// MethodName is IANA's name in lower case, or method and the number.
func MethodName(method uint16) string {
	if s, ok := methodNames[method]; ok {
		return s
	}
	return "method" + strconv.Itoa(int(method))
}

const (
	cookie    = 0x2112a442
	headerLen = 20
	maxAttrs  = 64
	maxText   = 128
)

// What is wrong with a message.
var (
	ErrNotSTUN = errors.New("not a message of STUN")
	ErrShort   = errors.New("message ends too early")
)

// Message is one message. User names and integrity are not kept.
type Message struct {
	Class       Class
	Method      uint16
	Transaction [12]byte
	Mapped      netip.AddrPort // whom the server sees; of TURN's relay in Relayed
	Relayed     netip.AddrPort
	Peer        netip.AddrPort
	ErrorCode   int
	Software    string
	Attributes  int
}

// Parse reads the message at the beginning of b and returns its length.
func Parse(b []byte) (m Message, n int, err error) {
	if len(b) < headerLen || b[0]&0xc0 != 0 || binary.BigEndian.Uint32(b[4:]) != cookie {
		return m, 0, ErrNotSTUN
	}
	kind, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
	if size%4 != 0 {
		return m, 0, ErrNotSTUN
	}
	if headerLen+size > len(b) {
		return m, 0, ErrShort
	}
	m.Class = Class(kind>>4&1 | kind>>7&2)
	m.Method = kind&0xf | kind>>1&0x70 | kind>>2&0xf80
	copy(m.Transaction[:], b[8:20])
	n = headerLen + size
	for at := b[headerLen:n]; len(at) >= 4 && m.Attributes < maxAttrs; m.Attributes++ {
		attr, length := binary.BigEndian.Uint16(at), int(binary.BigEndian.Uint16(at[2:]))
		if 4+length > len(at) {
			return m, n, ErrShort
		}
		v := at[4 : 4+length]
		switch attr {
		case 0x0001:
			if !m.Mapped.IsValid() {
				m.Mapped = address(v, b, false)
			}
		case 0x0020:
			m.Mapped = address(v, b, true)
		case 0x0016:
			m.Relayed = address(v, b, true)
		case 0x0012:
			m.Peer = address(v, b, true)
		case 0x0009:
			if len(v) >= 4 {
				m.ErrorCode = int(v[2]&7)*100 + int(v[3])
			}
		case 0x8022:
			m.Software = text(v)
		}
		at = at[min(len(at), 4+(length+3)&^3):]
	}
	return m, n, nil
}

// address reads an address, which the header's cookie and transaction may hide.
func address(v, head []byte, hidden bool) netip.AddrPort {
	if len(v) != 8 && len(v) != 20 {
		return netip.AddrPort{}
	}
	port := binary.BigEndian.Uint16(v[2:])
	var raw [16]byte
	n := copy(raw[:], v[4:])
	if hidden {
		port ^= cookie >> 16
		for i := range n {
			raw[i] ^= head[4+i]
		}
	}
	if n == 4 && v[1] == 1 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw[:4])), port)
	}
	if n == 16 && v[1] == 2 {
		return netip.AddrPortFrom(netip.AddrFrom16(raw), port)
	}
	return netip.AddrPort{}
}

func text(b []byte) string {
	s := strings.ToValidUTF8(strings.TrimRight(string(b[:min(len(b), maxText)]), "\x00"), "\ufffd")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError || r == 0x7f {
			return -1
		}
		return r
	}, s)
}
