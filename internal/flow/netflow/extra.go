package netflow

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
)

// extra is what records tell that has no column: members of the row's JSON object, in this order.
type extra struct {
	numbers   [len(extraNames)]int64 // 0: not told, or nothing
	origPorts [2]int64               // before NAT
	nextHop   string
}

var extraNames = [...]string{"output_interface", "tos", "src_as", "dst_as", "src_mask", "dst_mask", "vlan", "icmp_type"}

// The members' places in extraNames.
const (
	outputInterface = iota
	tos
	srcAS
	dstAS
	srcMask
	dstMask
	vlan
	icmpType
)

// set takes an information element.
func (e *extra) set(field uint16, n int64) {
	switch field {
	case 14:
		e.numbers[outputInterface] = n
	case 5:
		e.numbers[tos] = n
	case 16:
		e.numbers[srcAS] = n
	case 17:
		e.numbers[dstAS] = n
	case 9, 29:
		e.numbers[srcMask] = n
	case 13, 30:
		e.numbers[dstMask] = n
	case 58, 243:
		e.numbers[vlan] = n
	case 32, 139: // type * 256 + code
		e.numbers[icmpType] = n >> 8
	}
}

// text is the JSON object, empty if there is nothing to tell.
func (e *extra) text() string {
	var b []byte
	member := func(name string, n int64) {
		if n > 0 {
			b = append(append(append(b, ',', '"'), name...), `":`...)
			b = strconv.AppendInt(b, n, 10)
		}
	}
	for i, n := range e.numbers {
		member(extraNames[i], n)
	}
	member("orig_initiator_port", e.origPorts[0])
	member("orig_target_port", e.origPorts[1])
	if e.nextHop != "" && e.nextHop != "0.0.0.0" && e.nextHop != "::" {
		b = append(append(append(b, `,"next_hop":"`...), e.nextHop...), '"')
	}
	if b == nil {
		return ""
	}
	b[0] = '{'
	return string(append(b, '}'))
}

// maxName bounds names in records.
const maxName = 256

// name is a text of a record, which may be filled up with zeros.
func name(b []byte) string {
	b, _, _ = bytes.Cut(b[:min(len(b), maxName)], []byte{0})
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// acl is the rule of a Cisco firewall: three numbers of 4 bytes, as its own messages show them.
func acl(b []byte) string {
	if len(b) != 12 || bytes.Equal(b, make([]byte, 12)) {
		return ""
	}
	return hex.EncodeToString(b[:4]) + "-" + hex.EncodeToString(b[4:8]) + "-" + hex.EncodeToString(b[8:])
}
