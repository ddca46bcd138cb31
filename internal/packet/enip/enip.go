// Package enip reads EtherNet/IP's encapsulation and the CIP service that it carries.
package enip

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// ErrNotENIP is what Parse says of other bytes.
var ErrNotENIP = errors.New("not EtherNet/IP")

const (
	headerLen = 24
	maxLength = 65511
	maxItems  = 8
)

var commandNames = map[uint16]string{
	0x00: "nop", 0x04: "list_services", 0x63: "list_identity", 0x64: "list_interfaces", 0x65: "register_session", 0x66: "unregister_session",
	0x6f: "send_rr_data", 0x70: "send_unit_data", 0x72: "indicate_status", 0x73: "cancel",
}

// CommandName is the specification's name, or command and the number in hexadecimal.
func CommandName(c uint16) string {
	if s, ok := commandNames[c]; ok {
		return s
	}
	return "command0x" + strconv.FormatUint(uint64(c), 16)
}

var serviceNames = map[uint8]string{
	0x01: "get_attributes_all", 0x02: "set_attributes_all", 0x03: "get_attribute_list", 0x04: "set_attribute_list", 0x05: "reset", 0x06: "start", 0x07: "stop",
	0x08: "create", 0x09: "delete", 0x0a: "multiple_service", 0x0d: "apply_attributes", 0x0e: "get_attribute_single", 0x10: "set_attribute_single",
	0x11: "find_next", 0x15: "restore", 0x16: "save", 0x17: "nop", 0x18: "get_member", 0x19: "set_member", 0x1a: "insert_member", 0x1b: "remove_member",
	0x4b: "execute_pccc", 0x4c: "read_tag", 0x4d: "write_tag", 0x4e: "forward_close", 0x52: "unconnected_send", 0x53: "write_tag_fragmented",
	0x54: "forward_open", 0x55: "get_instance_list", 0x5b: "large_forward_open",
}

// ServiceName is CIP's name of a service, or service and the number in hexadecimal.
func ServiceName(s uint8) string {
	if name, ok := serviceNames[s]; ok {
		return name
	}
	return "service0x" + strconv.FormatUint(uint64(s), 16)
}

// Message is one message of the encapsulation.
type Message struct {
	Command uint16
	Session uint32
	Status  uint32
	Context uint64 // an answer repeats the request's
	Options uint32
	Length  int
	Product string // of an identity
	CIP     *CIP   // what it carries
}

// CIP is a request or an answer of CIP.
type CIP struct {
	Response    bool
	Service     uint8
	Class       int // -1: not told
	Instance    int
	Attribute   int
	Status      uint8 // of an answer
	Connected   bool
	SequenceNum uint16 // of a connected message
}

// Parse reads the message at the beginning of b and returns its length; 0 if more bytes are needed.
func Parse(b []byte) (m Message, n int, err error) {
	if len(b) < headerLen {
		if len(b) >= 2 && commandNames[binary.LittleEndian.Uint16(b)] == "" {
			return m, 0, ErrNotENIP
		}
		return m, 0, nil
	}
	m.Command, m.Length = binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
	m.Session, m.Status = binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
	m.Context, m.Options = binary.LittleEndian.Uint64(b[12:]), binary.LittleEndian.Uint32(b[20:])
	if commandNames[m.Command] == "" || m.Length > maxLength || m.Options != 0 {
		return m, 0, ErrNotENIP
	}
	n = headerLen + m.Length
	if n > len(b) {
		return m, 0, nil
	}
	body := b[headerLen:n]
	switch m.Command {
	case 0x6f, 0x70:
		if len(body) >= 6 {
			m.items(body[6:])
		}
	case 0x63:
		m.items(body)
	}
	return m, n, nil
}

// items reads the common packet format: a count, then a type, a length and data of each.
func (m *Message) items(b []byte) {
	if len(b) < 2 {
		return
	}
	count := min(int(binary.LittleEndian.Uint16(b)), maxItems)
	b = b[2:]
	for range count {
		if len(b) < 4 {
			return
		}
		kind, size := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if 4+size > len(b) {
			return
		}
		v := b[4 : 4+size]
		switch kind {
		case 0x00b2:
			m.CIP = cip(v)
		case 0x00b1:
			if len(v) > 2 {
				if m.CIP = cip(v[2:]); m.CIP != nil {
					m.CIP.Connected, m.CIP.SequenceNum = true, binary.LittleEndian.Uint16(v)
				}
			}
		case 0x000c:
			if len(v) > 33 && 33+int(v[32]) <= len(v) {
				m.Product = printable(v[33 : 33+int(v[32])])
			}
		}
		b = b[4+size:]
	}
}

func cip(b []byte) *CIP {
	if len(b) < 2 {
		return nil
	}
	c := &CIP{Response: b[0]&0x80 != 0, Service: b[0] & 0x7f, Class: -1, Instance: -1, Attribute: -1}
	if c.Response {
		if len(b) < 4 {
			return nil
		}
		c.Status = b[2]
		return c
	}
	n := 2 * int(b[1])
	if 2+n > len(b) {
		return nil
	}
	c.path(b[2 : 2+n])
	return c
}

// path reads the logical segments of a padded path.
func (c *CIP) path(b []byte) {
	for len(b) >= 2 {
		kind, format := b[0]>>2&7, b[0]&3
		if b[0]>>5 != 1 || format > 1 {
			return // a symbol, a port or data: what follows is not numbered
		}
		value, n := int(b[1]), 2
		if format == 1 {
			if len(b) < 4 {
				return
			}
			value, n = int(binary.LittleEndian.Uint16(b[2:])), 4
		}
		switch kind {
		case 0:
			c.Class = value
		case 1:
			c.Instance = value
		case 4:
			c.Attribute = value
		}
		b = b[n:]
	}
}

func printable(b []byte) string {
	out := make([]byte, 0, len(b))
	for _, c := range b {
		if c >= ' ' && c <= '~' {
			out = append(out, c)
		}
	}
	return string(out)
}
