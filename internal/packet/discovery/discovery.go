// Package discovery reads what switches and hosts tell their neighbours: LLDP (IEEE 802.1AB) and Cisco's CDP.
package discovery

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/orielhq/oriel/internal/packet/wire"
)

// ErrShort is what is said of an announcement that ends too early.
var ErrShort = errors.New("announcement ends too early")

const (
	maxTLVs = 128
	maxText = 255
)

// Announcement is what a neighbour tells of itself.
type Announcement struct {
	Protocol     string // lldp or cdp
	Chassis      string // LLDP's chassis, CDP's device
	Port         string
	PortText     string
	Name         string
	Description  string // LLDP's system description, CDP's software version
	Platform     string
	Address      netip.Addr // of management
	Capabilities uint32
	TTL          uint16 // seconds
	VLAN         uint16 // the native one
}

// ParseLLDP reads an announcement of LLDP.
func ParseLLDP(b []byte) (a Announcement, err error) {
	a.Protocol = "lldp"
	r := wire.Reader{B: b}
	for n := 0; len(r.B) >= 2 && n < maxTLVs; n++ {
		head := r.U16()
		v := r.Take(int(head & 0x1ff))
		if r.Bad {
			return a, ErrShort
		}
		switch head >> 9 {
		case 0:
			return a, nil
		case 1:
			a.Chassis = id(v, 4, 5)
		case 2:
			a.Port = id(v, 3, 4)
		case 3:
			if len(v) == 2 {
				a.TTL = binary.BigEndian.Uint16(v)
			}
		case 4:
			a.PortText = text(v)
		case 5:
			a.Name = text(v)
		case 6:
			a.Description = text(v)
		case 7:
			if len(v) == 4 {
				a.Capabilities = uint32(binary.BigEndian.Uint16(v[2:])) // those in use
			}
		case 8:
			if len(v) > 2 && 1+int(v[0]) <= len(v) && v[0] > 1 {
				a.Address = address(v[1], v[2:1+int(v[0])])
			}
		case 127:
			if len(v) == 6 && v[0] == 0 && v[1] == 0x80 && v[2] == 0xc2 && v[3] == 1 {
				a.VLAN = binary.BigEndian.Uint16(v[4:])
			}
		}
	}
	if a.Chassis == "" || a.Port == "" {
		return a, ErrShort
	}
	return a, nil
}

// id is a chassis or a port: text, or an address of a kind.
func id(v []byte, mac, addr byte) string {
	if len(v) < 2 {
		return ""
	}
	kind, v := v[0], v[1:]
	switch {
	case kind == mac && len(v) == 6:
		return net.HardwareAddr(v).String()
	case kind == addr:
		if a := address(v[0], v[1:]); a.IsValid() {
			return a.String()
		}
	}
	return text(v)
}

func address(family byte, v []byte) netip.Addr {
	switch {
	case family == 1 && len(v) == 4:
		return netip.AddrFrom4([4]byte(v))
	case family == 2 && len(v) == 16:
		return netip.AddrFrom16([16]byte(v))
	}
	return netip.Addr{}
}

// ParseCDP reads an announcement of CDP, behind LLC and SNAP.
func ParseCDP(b []byte) (a Announcement, err error) {
	a.Protocol = "cdp"
	if len(b) < 4 {
		return a, ErrShort
	}
	a.TTL = uint16(b[1])
	r := wire.Reader{B: b[4:]}
	for n := 0; len(r.B) >= 4 && n < maxTLVs; n++ {
		kind := r.U16()
		v := r.Take(int(r.U16()) - 4) // the length is also of what was read
		if r.Bad {
			return a, ErrShort
		}
		switch kind {
		case 1:
			a.Chassis, a.Name = text(v), text(v)
		case 2:
			a.Address = cdpAddress(v)
		case 3:
			a.Port = text(v)
		case 4:
			if len(v) == 4 {
				a.Capabilities = binary.BigEndian.Uint32(v)
			}
		case 5:
			a.Description = text(v)
		case 6:
			a.Platform = text(v)
		case 10:
			if len(v) == 2 {
				a.VLAN = binary.BigEndian.Uint16(v)
			}
		}
	}
	return a, nil
}

// cdpAddress returns the first address of a list.
func cdpAddress(v []byte) netip.Addr {
	if len(v) < 6 {
		return netip.Addr{}
	}
	r := wire.Reader{B: v[5:]} // behind the number of addresses and the kind of protocol
	r.Vec8()
	one := r.Vec16()
	v = one.B
	if r.Bad {
		return netip.Addr{}
	}
	switch len(v) {
	case 4:
		return netip.AddrFrom4([4]byte(v[:4]))
	case 16:
		return netip.AddrFrom16([16]byte(v[:16]))
	}
	return netip.Addr{}
}

func text(b []byte) string {
	s := strings.ToValidUTF8(string(b[:min(len(b), maxText)]), "?")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r < ' ' || r == 0x7f:
			return -1
		}
		return r
	}, s))
}
