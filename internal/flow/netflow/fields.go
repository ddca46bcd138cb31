package netflow

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/netsampler/goflow2/v2/decoders/netflow"

	"github.com/orielhq/oriel/internal/flow"
)

// Information elements by their numbers (IANA's registry; NetFlow v9 has the
// same below 128, and Cisco's firewalls those from 33000).
const (
	reversePEN  = 29305 // elements of the other direction, RFC 5103
	ingressACL  = 33000
	forwardings = 64 // codes of each kind of forwarding status
)

// notes is what a record says that means something only with the rest of it.
type notes struct {
	times
	uptime   [2]int64 // first, last; in ms since the boot
	duration int64    // in ms
	flags    int64    // TCP's; -1: not told
	sampled  sampler
	nat      [2]string // addresses after translation
	natPorts [2]*int32
	egress   [2]*int64 // bytes and packets as they left, which a record may have instead
	vrf      int64
	began    *bool
	ended    *bool
	extra    extra
}

// value takes one element.
func (n *notes) value(r *flow.Record, s set, v netflow.DataField) {
	b, ok := v.Value.([]byte)
	if !ok {
		return
	}
	num, isNumber := number(b)
	switch {
	case v.PenProvided:
		if v.Pen == reversePEN && isNumber {
			reverse(r, v.Type, num)
		}
	case n.address(r, v.Type, b) || n.precise(v.Type, b) || !isNumber:
	case n.counter(r, v.Type, num) || n.event(r, v.Type, num):
	default:
		n.plain(r, s, v.Type, num)
	}
}

// reverse takes an element of the direction back.
func reverse(r *flow.Record, field uint16, n int64) {
	switch field {
	case 1:
		r.BytesFromTarget = new(n)
	case 2:
		r.PacketsFromTarget = new(n)
	case 85:
		r.CumulativeBytesFromTarget = new(n)
	case 86:
		r.CumulativePacketsFromTarget = new(n)
	default:
		return
	}
	r.Bidirectional = true
}

// address takes addresses and names.
func (n *notes) address(r *flow.Record, field uint16, b []byte) bool {
	switch field {
	case 8, 27:
		r.InitiatorIP = address(b)
	case 12, 28:
		r.TargetIP = address(b)
	case 225, 281:
		n.nat[0] = address(b)
	case 226, 282:
		n.nat[1] = address(b)
	case 15, 62:
		n.extra.nextHop = address(b)
	case 236:
		r.VPCID = name(b)
	case ingressACL:
		r.RuleID = acl(b)
	default:
		return false
	}
	return true
}

func (n *notes) counter(r *flow.Record, field uint16, v int64) bool {
	switch field {
	case 1, 231:
		r.BytesFromInitiator = new(v)
	case 2, 298:
		r.PacketsFromInitiator = new(v)
	case 23:
		n.egress[0] = new(v)
	case 24:
		n.egress[1] = new(v)
	case 85:
		r.CumulativeBytesFromInitiator = new(v)
	case 86:
		r.CumulativePacketsFromInitiator = new(v)
	case 232:
		r.BytesFromTarget, r.Bidirectional = new(v), true
	case 299:
		r.PacketsFromTarget, r.Bidirectional = new(v), true
	default:
		return false
	}
	return true
}

// event takes what was done with the packets.
func (n *notes) event(r *flow.Record, field uint16, v int64) bool {
	switch field {
	case 61:
		if r.Direction = flow.Inbound; v > 0 {
			r.Direction = flow.Outbound
		}
	case 89: // RFC 7270: 64 forwarded, 128 dropped, 192 consumed
		switch v / forwardings {
		case 1, 3:
			r.Action = flow.Accepted
		case 2:
			r.Action, r.RejectReason = flow.Rejected, dropped[v]
		}
	case 136: // RFC 5102: why a flow's record was sent
		switch v {
		case 2:
			n.ended = new(false) // it goes on
		case 3:
			n.ended = new(true)
		}
	case 233: // what a firewall did
		switch v {
		case 1:
			r.Action, n.began = flow.Accepted, new(true)
		case 2:
			r.Action, n.ended = flow.Accepted, new(true)
		case 3:
			r.Action = flow.Rejected
		case 5:
			r.Action = flow.Accepted
		}
	default:
		return false
	}
	return true
}

// dropped are the reasons of a forwarding status.
var dropped = map[int64]string{
	129: "ACL deny", 130: "ACL drop", 131: "unroutable", 132: "adjacency", 133: "fragmentation and DF set", 134: "bad header checksum", 135: "bad total length", 136: "bad header length",
	137: "bad TTL", 138: "policer", 139: "WRED", 140: "RPF", 141: "for us", 142: "bad output interface", 143: "hardware",
}

func (n *notes) plain(r *flow.Record, s set, field uint16, v int64) {
	switch field {
	case 4:
		r.TransportProtocol = new(int32(v & 0xff))
	case 6:
		n.flags = v
	case 7:
		r.InitiatorPort = new(int32(v & 0xffff))
	case 11:
		r.TargetPort = new(int32(v & 0xffff))
	case 227:
		n.natPorts[0] = new(int32(v & 0xffff))
	case 228:
		n.natPorts[1] = new(int32(v & 0xffff))
	case 10:
		r.InterfaceID = strconv.FormatInt(v, 10)
	case 234:
		n.vrf = v
	case 34, 48, 50, 302, 305, 306:
		n.sampled.set(field, v)
	case 22:
		n.uptime[0] = v
	case 21:
		n.uptime[1] = v
	case 160:
		n.boot = time.UnixMilli(v)
	case 161:
		n.duration = v
	case 158, 159: // microseconds before the packet was sent
		if v < 1<<32 {
			t := s.sent.Add(-time.Duration(v) * time.Microsecond)
			if field == 158 {
				n.start = t
			} else {
				n.end = t
			}
		}
	default:
		if !n.set(field, v) {
			n.extra.set(field, v)
		}
	}
}

// translated makes what the record says before and after NAT one row: initiator
// and target are as packets went on, the others as they came.
func (n *notes) translated(r *flow.Record) {
	if n.nat[0] != "" && n.nat[0] != r.InitiatorIP {
		r.InitiatorIP, r.OrigInitiatorIP = n.nat[0], r.InitiatorIP
	}
	if n.nat[1] != "" && n.nat[1] != r.TargetIP {
		r.TargetIP, r.OrigTargetIP = n.nat[1], r.TargetIP
	}
	for i, port := range []**int32{&r.InitiatorPort, &r.TargetPort} {
		if after := n.natPorts[i]; after != nil && *after != 0 && *port != nil && **port != *after {
			n.extra.origPorts[i] = int64(**port)
			*port = after
		}
	}
}

// times takes the absolute times of IPFIX, and says whether it is one.
func (t *times) set(field uint16, n int64) bool {
	switch field {
	case 150:
		t.start = time.Unix(n, 0)
	case 151:
		t.end = time.Unix(n, 0)
	case 152:
		t.start = time.UnixMilli(n)
	case 153:
		t.end = time.UnixMilli(n)
	case 322:
		t.seen = time.Unix(n, 0)
	case 323:
		t.seen = time.UnixMilli(n)
	default:
		return false
	}
	return true
}

// precise takes times of micro- and nanoseconds, which are as NTP writes them:
// seconds since 1900 and a fraction, in all 64 bits.
func (t *times) precise(field uint16, b []byte) bool {
	var to *time.Time
	switch field {
	case 154, 156:
		to = &t.start
	case 155, 157:
		to = &t.end
	case 324, 325:
		to = &t.seen
	default:
		return false
	}
	if len(b) == 8 {
		const from1900 = 2_208_988_800
		seconds, fraction := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
		*to = time.Unix(int64(seconds)-from1900, int64(uint64(fraction)*1e9>>32))
	}
	return true
}
