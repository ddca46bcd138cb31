package netflow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/netsampler/goflow2/v2/decoders/sflow"

	"github.com/orielhq/oriel/internal/flow"
)

// sflow makes a row of each sampled packet, its counters multiplied by the sampling rate.
func (d *Decoder) sflow(b []byte, from netip.Addr, now time.Time, rows []flow.Record) ([]flow.Record, error) {
	p, err := packetOf(b)
	if p.agent.IsValid() {
		from = p.agent // a proxy may have sent it on
	}
	stream := strconv.FormatUint(uint64(p.subAgent), 10)
	no := 0
	for _, each := range p.samples {
		s, ok := sampleOf(each)
		if !ok {
			continue // counters of interfaces
		}
		about := flow.Record{}
		s.describe(&about)
		for _, rec := range s.records {
			r := base("sflow_v5", from, no)
			no++
			length, ok := uint32(0), false
			switch data := rec.Data.(type) {
			case sflow.SampledHeader:
				length, ok = data.FrameLength, header(&r, data)
			case sflow.SampledIPv4:
				length, ok = data.Length, sampledIP(&r, data.SampledIPBase, "IPv4")
			case sflow.SampledIPv6:
				length, ok = data.Length, sampledIP(&r, data.SampledIPBase, "IPv6")
			}
			if !ok {
				continue // about the switch, or no IP
			}
			timed(&r, now, now)
			n := int64(max(1, s.rate))
			r.BytesFromInitiator, r.PacketsFromInitiator, r.Sampled = new(times64(int64(length), n)), new(n), true
			r.Version, r.StreamID, r.InterfaceID, r.Extra = "5", stream, strconv.FormatUint(uint64(s.input), 10), about.Extra
			r.Action, r.RejectReason, r.Direction, r.RuleID, r.RuleName = about.Action, about.RejectReason, about.Direction, about.RuleID, about.RuleName
			r.Orient()
			rows = append(rows, r)
		}
	}
	if err != nil {
		err = fmt.Errorf("sflow: %w", err)
	}
	return rows, err
}

// packet is an sFlow datagram.
type packet struct {
	agent    netip.Addr
	subAgent uint32
	samples  []any
}

// packetOf takes a datagram apart, so that a sample which is damaged, or which
// only its vendor knows, does not take those behind it along. The error is of the first that is damaged.
func packetOf(b []byte) (p packet, err error) {
	cut := errors.New("packet too short")
	if len(b) < 8 {
		return p, cut
	}
	if version := binary.BigEndian.Uint32(b); version != 5 {
		return p, fmt.Errorf("version %d is unknown", version)
	}
	size := 4
	switch kind := binary.BigEndian.Uint32(b[4:]); kind {
	case 1:
	case 2:
		size = 16
	default:
		return p, fmt.Errorf("address of kind %d", kind)
	}
	if len(b) < 8+size+16 {
		return p, cut
	}
	agent, _ := netip.AddrFromSlice(b[8 : 8+size])
	p.agent = agent.Unmap()
	b = b[8+size:]
	p.subAgent = binary.BigEndian.Uint32(b)
	count := binary.BigEndian.Uint32(b[12:])
	b = b[16:]
	for i := range count {
		if len(b) < 8 {
			return p, errors.Join(err, fmt.Errorf("%d of %d samples: %w", i, count, cut))
		}
		h := sflow.SampleHeader{Format: binary.BigEndian.Uint32(b), Length: binary.BigEndian.Uint32(b[4:])}
		if int64(h.Length) > int64(len(b)-8) {
			return p, errors.Join(err, fmt.Errorf("%d of %d samples: %w", i, count, cut))
		}
		body := b[8 : 8+h.Length]
		b = b[8+h.Length:]
		if h.Format < 1 || h.Format > 5 {
			continue // a vendor's own, or of a later version
		}
		each, serr := decodeSample(h, body)
		if serr != nil {
			if err == nil {
				err = fmt.Errorf("sample %d: %w", i+1, serr)
			}
			continue
		}
		p.samples = append(p.samples, each)
	}
	return p, err
}

func decodeSample(h sflow.SampleHeader, body []byte) (any, error) {
	if err := counted(h.Format, body); err != nil {
		return nil, err
	}
	return sflow.DecodeSample(&h, bytes.NewBuffer(body))
}

// counted refuses a sample that says it has more records than it has bytes: the
// decoder makes room for so many before it looks for them.
func counted(format uint32, body []byte) error {
	at := [...]int{1: 28, 2: 8, 3: 40, 4: 12, 5: 28}[format] // of the number of records
	if at+4 > len(body) {
		return nil // the decoder says so
	}
	if n := binary.BigEndian.Uint32(body[at:]); int64(n) > int64(len(body)/8) {
		return fmt.Errorf("%d records in %d bytes", n, len(body))
	}
	return nil
}

// sample is a packet that was chosen, in whichever of the three ways it is told.
type sample struct {
	records       []sflow.FlowRecord
	rate          uint32
	source        uint32 // the interface that chose it
	input, output uint32
	format        uint32 // of output: 0 an interface, 1 none, as it was dropped, 2 several
}

func sampleOf(each any) (sample, bool) {
	switch s := each.(type) {
	case sflow.FlowSample:
		return sample{s.Records, s.SamplingRate, s.Header.SourceIdValue, s.Input, s.Output & 0x3fffffff, s.Output >> 30}, true
	case sflow.ExpandedFlowSample:
		return sample{s.Records, s.SamplingRate, s.Header.SourceIdValue, s.InputIfValue, s.OutputIfValue, s.OutputIfFormat}, true
	case sflow.DropSample:
		return sample{s.Records, 1, s.Header.SourceIdValue, s.Input, s.Reason, 1}, true
	}
	return sample{}, false
}

// describe sets what holds for the packet as the switch saw it.
func (s sample) describe(r *flow.Record) {
	const unknown = 0x3fffffff
	var more extra
	switch {
	case s.format == 1:
		r.Action, r.RejectReason = flow.Rejected, "sflow reason "+strconv.FormatUint(uint64(s.output), 10)
		if text := dropReasons[s.output]; text != "" {
			r.RejectReason = text
		}
	case s.format == 2 || s.output > 0 && s.output != unknown:
		r.Action = flow.Accepted
		if s.format == 0 {
			more.numbers[outputInterface] = int64(s.output)
		}
	}
	switch {
	case s.source == s.input && s.source > 0:
		r.Direction = flow.Inbound
	case s.source == s.output && s.source > 0 && s.format == 0:
		r.Direction = flow.Outbound
	}
	for _, rec := range s.records {
		switch data := rec.Data.(type) {
		case sflow.ExtendedACL:
			r.RuleID, r.RuleName = strconv.FormatUint(uint64(data.Number), 10), name([]byte(data.Name))
		case sflow.ExtendedSwitch:
			more.numbers[vlan] = int64(data.SrcVlan)
		case sflow.ExtendedRouter:
			more.nextHop, more.numbers[srcMask], more.numbers[dstMask] = address(data.NextHop), int64(data.SrcMaskLen), int64(data.DstMaskLen)
		case sflow.ExtendedGateway:
			more.numbers[srcAS] = int64(data.SrcAS)
			if n := len(data.ASPath); n > 0 {
				more.numbers[dstAS] = int64(data.ASPath[n-1])
			}
		}
	}
	r.Extra = more.text()
}

// dropReasons are those of sFlow version 5 and of its document about dropped packets.
var dropReasons = map[uint32]string{
	0: "net unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable", 4: "fragmentation needed", 5: "source route failed", 6: "net unknown", 7: "host unknown", 8: "source host isolated",
	9: "net prohibited", 10: "host prohibited", 11: "net unreachable for TOS", 12: "host unreachable for TOS", 13: "administratively prohibited", 14: "host precedence violation", 15: "precedence cutoff",
	256: "unknown", 257: "TTL exceeded", 258: "ACL", 259: "no buffer space", 260: "RED", 261: "traffic shaping", 262: "packet too big", 263: "source MAC is multicast", 264: "VLAN tag mismatch", 265: "ingress VLAN filter", 266: "ingress spanning tree filter",
}

func sampledIP(r *flow.Record, s sflow.SampledIPBase, kind string) bool {
	if s.Protocol > 255 || s.SrcPort > 65535 || s.DstPort > 65535 {
		return false
	}
	r.InitiatorIP, r.TargetIP, r.EtherType = address(s.SrcIP), address(s.DstIP), kind
	r.InitiatorPort, r.TargetPort, r.TransportProtocol = new(int32(s.SrcPort)), new(int32(s.DstPort)), new(int32(s.Protocol))
	tcp(r, int32(s.TcpFlags&0xff))
	return r.InitiatorIP != "" && r.TargetIP != ""
}

// header reads the beginning of a packet: Ethernet with up to two VLAN tags, IP, ports.
func header(r *flow.Record, s sflow.SampledHeader) bool {
	b := s.HeaderData
	kind := uint16(0)
	switch s.Protocol {
	case 1:
		if len(b) < 14 {
			return false
		}
		kind, b = binary.BigEndian.Uint16(b[12:]), b[14:]
		for range 2 {
			if (kind == 0x8100 || kind == 0x88a8) && len(b) >= 4 {
				kind, b = binary.BigEndian.Uint16(b[2:]), b[4:]
			}
		}
	case 11:
		kind = 0x0800
	case 12:
		kind = 0x86dd
	}
	var protocol byte
	fragment := false
	switch {
	case kind == 0x0800 && len(b) >= 20 && b[0]>>4 == 4:
		size := int(b[0]&15) * 4
		if size < 20 {
			return false
		}
		r.InitiatorIP, r.TargetIP, r.EtherType, protocol = address(b[12:16]), address(b[16:20]), "IPv4", b[9]
		fragment = binary.BigEndian.Uint16(b[6:])&0x1fff != 0
		b = b[min(size, len(b)):]
	case kind == 0x86dd && len(b) >= 40 && b[0]>>4 == 6:
		r.InitiatorIP, r.TargetIP, r.EtherType, protocol = address(b[8:24]), address(b[24:40]), "IPv6", b[6]
		b = b[40:]
	default:
		return false
	}
	r.TransportProtocol = new(int32(protocol))
	if fragment || len(b) < 4 || protocol != 6 && protocol != 17 && protocol != 132 {
		return true
	}
	r.InitiatorPort, r.TargetPort = new(int32(binary.BigEndian.Uint16(b))), new(int32(binary.BigEndian.Uint16(b[2:])))
	if protocol == 6 && len(b) >= 14 {
		tcp(r, int32(b[13]))
	}
	return true
}
