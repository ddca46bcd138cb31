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
	var p sflow.Packet
	err := sflow.DecodeMessageVersion(bytes.NewBuffer(b), &p)
	if agent, ok := netip.AddrFromSlice(p.AgentIP); ok {
		from = agent.Unmap() // a proxy may have sent it on
	}
	no := 0
	for _, sample := range p.Samples {
		var records []sflow.FlowRecord
		var rate, input uint32
		switch s := sample.(type) {
		case sflow.FlowSample:
			records, rate, input = s.Records, s.SamplingRate, s.Input
		case sflow.ExpandedFlowSample:
			records, rate, input = s.Records, s.SamplingRate, s.InputIfValue
		default:
			continue // counters of interfaces
		}
		for _, rec := range records {
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
			n := int64(max(1, rate))
			r.BytesFromInitiator, r.PacketsFromInitiator, r.Sampled = new(times64(int64(length), n)), new(n), true
			r.InterfaceID = strconv.FormatUint(uint64(input), 10)
			r.Orient()
			rows = append(rows, r)
		}
	}
	if err != nil {
		err = fmt.Errorf("sflow: %w", err)
	} else if p.Version != 5 {
		err = errors.New("sflow: version is unknown")
	}
	return rows, err
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
