// Package dhcp reads DHCP's messages, RFC 2131 and RFC 8415: who asks for an
// address, what is given, and what the client tells of itself.
package dhcp

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/orielhq/oriel/internal/packet/wire"
)

// What is wrong with a message.
var (
	ErrNotDHCP = errors.New("not a message of DHCP")
	ErrShort   = errors.New("message ends too early")
)

const (
	maxOptions = 256
	maxText    = 255
	maxList    = 16
)

// Message is one message of either version. What is not told is empty.
type Message struct {
	Version     uint8 // 4 or 6
	Type        uint8
	Transaction uint32
	Hops        uint8
	Seconds     uint16 // since the client began
	Client      netip.Addr
	Yours       netip.Addr // given to the client
	Requested   netip.Addr
	Server      netip.Addr
	Relay       netip.Addr
	HardwareMAC string
	HostName    string
	ClientFQDN  string
	DomainName  string
	VendorClass string
	ClientID    string // in hexadecimal: DHCPv6's DUID
	LeaseTime   uint32 // seconds; DHCPv6's valid lifetime
	Parameters  []byte // options asked for, in their order, of version 4
	Parameters6 []uint16
	Routers     []netip.Addr
	DNS         []netip.Addr
	Prefix      netip.Prefix // delegated
	Message     string       // of a server that refuses
	Status      uint16       // of DHCPv6
	Bootp       bool         // without a message type
}

var (
	typeNames4 = [...]string{"BOOTP", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM", "FORCERENEW", "LEASEQUERY", "LEASEUNASSIGNED", "LEASEUNKNOWN", "LEASEACTIVE"}
	typeNames6 = [...]string{
		"", "SOLICIT", "ADVERTISE", "REQUEST", "CONFIRM", "RENEW", "REBIND", "REPLY", "RELEASE", "DECLINE",
		"RECONFIGURE", "INFORMATION-REQUEST", "RELAY-FORW", "RELAY-REPL",
	}
)

// TypeName is the RFC's word for the message's type, or TYPE and the number.
func (m *Message) TypeName() string {
	names := typeNames4[:]
	if m.Version == 6 {
		names = typeNames6[:]
	}
	if int(m.Type) < len(names) && names[m.Type] != "" {
		return names[m.Type]
	}
	return "TYPE" + strconv.Itoa(int(m.Type))
}

// Fingerprint is the options that the client asks for, in its order, with
// commas: it tells its operating system.
func (m *Message) Fingerprint() string {
	var b []byte
	add := func(n int) {
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	for _, p := range m.Parameters {
		add(int(p))
	}
	for _, p := range m.Parameters6 {
		add(int(p))
	}
	return string(b)
}

const (
	magic    = 0x63825363
	headLen4 = 236
)

// Parse4 reads a message of DHCP or BOOTP for IPv4.
func Parse4(b []byte) (m Message, err error) {
	if len(b) < headLen4 || b[0] < 1 || b[0] > 2 || b[2] > 16 {
		return m, ErrNotDHCP
	}
	m.Version, m.Hops = 4, b[3]
	m.Transaction, m.Seconds = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint16(b[8:])
	m.Client, m.Yours, m.Server, m.Relay = addr4(b[12:16]), addr4(b[16:20]), addr4(b[20:24]), addr4(b[24:28])
	if n := int(b[2]); n > 0 {
		m.HardwareMAC = net.HardwareAddr(b[28 : 28+n]).String()
	}
	b = b[headLen4:]
	if len(b) < 4 || binary.BigEndian.Uint32(b) != magic {
		m.Bootp = true
		return m, nil
	}
	err = options4(b[4:], m.option4)
	m.Bootp = m.Type == 0
	return m, err
}

func options4(b []byte, found func(code byte, v []byte)) error {
	r := wire.Reader{B: b}
	for n := 0; len(r.B) > 0 && r.B[0] != 255 && n < maxOptions; n++ {
		code := r.U8()
		if code == 0 {
			continue
		}
		v := r.Vec8()
		if r.Bad {
			return ErrShort
		}
		found(byte(code), v.B)
	}
	return nil
}

func (m *Message) option4(code byte, v []byte) {
	switch code {
	case 3:
		m.Routers = addrs4(v)
	case 6:
		m.DNS = addrs4(v)
	case 12:
		m.HostName = text(v)
	case 15:
		m.DomainName = text(v)
	case 50:
		m.Requested = addr4(v)
	case 51:
		if len(v) == 4 {
			m.LeaseTime = binary.BigEndian.Uint32(v)
		}
	case 53:
		if len(v) == 1 {
			m.Type = v[0]
		}
	case 54:
		if a := addr4(v); a.IsValid() {
			m.Server = a
		}
	case 55:
		m.Parameters = append([]byte(nil), v...)
	case 56:
		m.Message = text(v)
	case 60:
		m.VendorClass = text(v)
	case 61:
		m.ClientID = hexa(v)
	case 81:
		if len(v) > 3 {
			if v[0]&4 != 0 {
				m.ClientFQDN = labels(v[3:])
			} else {
				m.ClientFQDN = text(v[3:])
			}
		}
	}
}

// Parse6 reads a message of DHCPv6; of what relays send it reads what they carry.
func Parse6(b []byte) (m Message, err error) {
	m.Version = 6
	for range 8 { // relays of relays
		if len(b) < 4 {
			return m, ErrNotDHCP
		}
		m.Type = b[0]
		if m.Type == 0 || int(m.Type) > 36 {
			return m, ErrNotDHCP
		}
		if m.Type != 12 && m.Type != 13 {
			m.Transaction = binary.BigEndian.Uint32(b) & 0xffffff
			return m, options6(b[4:], m.option6)
		}
		if len(b) < 34 {
			return m, ErrShort
		}
		m.Hops = b[1]
		m.Relay, m.Client = addr16(b[2:18]), addr16(b[18:34])
		var inner []byte
		if err := options6(b[34:], func(code uint16, v []byte) {
			if code == 9 {
				inner = v
			}
		}); err != nil || inner == nil {
			return m, err
		}
		b = inner
	}
	return m, ErrNotDHCP
}

func options6(b []byte, found func(code uint16, v []byte)) error {
	r := wire.Reader{B: b}
	for n := 0; len(r.B) > 0 && n < maxOptions; n++ {
		code, v := r.U16(), r.Vec16()
		if r.Bad {
			return ErrShort
		}
		found(code, v.B)
	}
	return nil
}

func (m *Message) option6(code uint16, v []byte) {
	switch code {
	case 1:
		m.ClientID = hexa(v)
		m.HardwareMAC = duidMAC(v)
	case 3, 25: // an identity association
		if len(v) > 12 {
			_ = options6(v[12:], m.option6) // what is well formed counts
		}
	case 4:
		if len(v) > 4 {
			_ = options6(v[4:], m.option6)
		}
	case 5:
		if len(v) >= 24 {
			m.Yours, m.LeaseTime = addr16(v[:16]), binary.BigEndian.Uint32(v[20:])
		}
	case 6:
		m.Parameters6 = nil
		for i := 0; i+1 < len(v) && i < 2*maxOptions; i += 2 {
			m.Parameters6 = append(m.Parameters6, binary.BigEndian.Uint16(v[i:]))
		}
	case 8:
		if len(v) == 2 {
			m.Seconds = binary.BigEndian.Uint16(v) / 100
		}
	case 13:
		if len(v) >= 2 {
			m.Status, m.Message = binary.BigEndian.Uint16(v), text(v[2:])
		}
	case 16:
		if len(v) >= 6 {
			m.VendorClass = text(v[6:])
		}
	case 23:
		m.DNS = nil
		for i := 0; i+16 <= len(v) && len(m.DNS) < maxList; i += 16 {
			m.DNS = append(m.DNS, addr16(v[i:i+16]))
		}
	case 26:
		if len(v) >= 25 && v[8] <= 128 {
			m.LeaseTime = binary.BigEndian.Uint32(v[4:])
			m.Prefix = netip.PrefixFrom(addr16(v[9:25]), int(v[8]))
		}
	case 39:
		if len(v) > 1 {
			m.ClientFQDN = labels(v[1:])
		}
	}
}

// duidMAC is the hardware address that a DUID is made of.
func duidMAC(v []byte) string {
	if len(v) < 4 {
		return ""
	}
	switch binary.BigEndian.Uint16(v) {
	case 1:
		v = v[min(len(v), 8):]
	case 3:
		v = v[4:]
	default:
		return ""
	}
	if len(v) != 6 {
		return ""
	}
	return net.HardwareAddr(v).String()
}

func addr4(b []byte) netip.Addr {
	if len(b) != 4 || b[0]|b[1]|b[2]|b[3] == 0 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(b))
}

func addr16(b []byte) netip.Addr { return netip.AddrFrom16([16]byte(b)) }

func addrs4(b []byte) (list []netip.Addr) {
	for ; len(b) >= 4 && len(list) < maxList; b = b[4:] {
		list = append(list, addr4(b[:4]))
	}
	return list
}

// labels reads a name in DNS' format, without compression.
func labels(b []byte) string {
	var parts []string
	for len(b) > 1 && b[0] != 0 && b[0] < 64 && 1+int(b[0]) <= len(b) && len(parts) < 64 {
		parts = append(parts, text(b[1:1+int(b[0])]))
		b = b[1+int(b[0]):]
	}
	return strings.Join(parts, ".")
}

// text is what is printable of b.
func text(b []byte) string {
	s := strings.ToValidUTF8(string(b[:min(len(b), maxText)]), "?")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

func hexa(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*min(len(b), maxText))
	for _, c := range b[:min(len(b), maxText)] {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}
