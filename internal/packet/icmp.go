package packet

import (
	"net"
	"net/netip"
	"strconv"
)

// ICMP is the messages of one type and code from one host to another within a
// minute. The answers to echo requests are a part of the requests' record.
type ICMP struct {
	Flow
	Version      uint8  `parquet:"version"` // 4 or 6
	Type         uint8  `parquet:"type"`
	Code         uint8  `parquet:"code"`
	Name         string `parquet:"name,dict"`
	Count        uint64 `parquet:"count"`
	Bytes        uint64 `parquet:"bytes"`
	Answered     uint64 `parquet:"answered"` // echo requests
	MinRTTNanos  int64  `parquet:"min_rtt_ns"`
	MeanRTTNanos int64  `parquet:"mean_rtt_ns"`
	MaxRTTNanos  int64  `parquet:"max_rtt_ns"`
	Target       string `parquet:"target"` // of a neighbour's solicitation, of a redirection
	MAC          string `parquet:"mac"`    // of a neighbour
	MTU          uint32 `parquet:"mtu"`
	// The packet that an error is about.
	AboutProto       string `parquet:"about_proto,dict"`
	AboutOrigAddr    string `parquet:"about_orig_addr"`
	AboutOrigPort    uint16 `parquet:"about_orig_port"`
	AboutRespAddr    string `parquet:"about_resp_addr"`
	AboutRespPort    uint16 `parquet:"about_resp_port"`
	AboutCommunityID string `parquet:"about_community_id"`

	sum  int64
	sent [16]echo
	next uint8
}

// echo is a request that waits for its answer.
type echo struct {
	at  int64
	tag uint32 // identifier and sequence
}

// Kind is the table.
func (*ICMP) Kind() string { return "icmp" }

type icmpKey struct {
	src, dst [16]byte
	kind     uint16
	v6       bool
	tunnel   uint32
}

var (
	icmp4Names = map[uint8]string{
		0: "echo_reply", 3: "unreachable", 4: "source_quench", 5: "redirect", 8: "echo_request", 9: "router_advertisement",
		10: "router_solicitation", 11: "time_exceeded", 12: "parameter_problem", 13: "timestamp_request", 14: "timestamp_reply",
		15: "information_request", 16: "information_reply", 17: "mask_request", 18: "mask_reply",
	}
	icmp6Names = map[uint8]string{
		1: "unreachable", 2: "packet_too_big", 3: "time_exceeded", 4: "parameter_problem", 128: "echo_request", 129: "echo_reply",
		130: "listener_query", 131: "listener_report", 132: "listener_done", 133: "router_solicitation", 134: "router_advertisement",
		135: "neighbour_solicitation", 136: "neighbour_advertisement", 137: "redirect", 143: "listener_report_v2",
	}
)

func icmpName(v6 bool, kind uint8) string {
	names := icmp4Names
	if v6 {
		names = icmp6Names
	}
	if s, ok := names[kind]; ok {
		return s
	}
	return "type" + strconv.Itoa(int(kind))
}

// Types of echo.
const (
	echoReply4, echoRequest4 = 0, 8
	echoRequest6, echoReply6 = 128, 129
)

// icmp reads a message of ICMP; c is the connection of its hosts.
func (w *worker) icmp(c *conn, p *packet) {
	b := p.payload
	if len(b) < 4 || w.record == nil && w.detect == nil {
		return
	}
	v6 := p.key.proto == protoICMPv6
	request := !v6 && b[0] == echoRequest4 || v6 && b[0] == echoRequest6
	reply := !v6 && b[0] == echoReply4 || v6 && b[0] == echoReply6
	k := icmpKey{src: p.key.src, dst: p.key.dst, kind: p.icmp, v6: v6, tunnel: p.key.tunnel}
	if reply && len(b) >= 8 {
		asked := k
		asked.src, asked.dst, asked.kind = k.dst, k.src, echoRequest4<<8
		if v6 {
			asked.kind = echoRequest6 << 8
		}
		if r := w.talk.icmps.m[asked]; r != nil && r.answer(p.time, be32(b[4:])) {
			if w.detect != nil {
				e := w.event(c, p.time)
				e.Orig, e.Resp = p.key.addr(p.key.dst), p.key.addr(p.key.src)
				w.detect.Answered(&e)
			}
			return
		}
	}
	r := w.talk.icmps.get(w, p.time, k, func() *ICMP {
		r := &ICMP{Flow: c.flow(p.time), Version: 4, Type: b[0], Code: b[1], Name: icmpName(v6, b[0])}
		r.OrigAddr, r.RespAddr = p.key.addr(p.key.src).String(), p.key.addr(p.key.dst).String()
		if v6 {
			r.Version = 6
			r.neighbour(b)
		}
		r.about(v6, b)
		return r
	})
	r.Count++
	r.Bytes += uint64(p.length)
	if request && len(b) >= 8 {
		r.sent[r.next%16] = echo{p.time, be32(b[4:])}
		r.next++
	}
	if w.detect == nil {
		return
	}
	if request && r.Count == 1 {
		e := w.event(c, p.time)
		e.Orig, e.Resp = p.key.addr(p.key.src), p.key.addr(p.key.dst)
		w.detect.Opened(&e)
	}
	if v6 && r.Count == 1 && r.MAC != "" {
		owner := p.key.addr(p.key.src)
		if b[0] == 136 {
			owner, _ = netip.ParseAddr(r.Target)
		}
		w.detect.Device(p.time, r.MAC, owner)
	}
}

// answer accounts a reply; false: nobody asked.
func (r *ICMP) answer(at int64, tag uint32) bool {
	for i := range r.sent {
		if e := &r.sent[i]; e.at != 0 && e.tag == tag {
			rtt := max(at-e.at, 1)
			e.at = 0
			r.Answered++
			r.sum += rtt
			r.MeanRTTNanos = r.sum / int64(r.Answered)
			if r.MinRTTNanos == 0 || rtt < r.MinRTTNanos {
				r.MinRTTNanos = rtt
			}
			r.MaxRTTNanos = max(r.MaxRTTNanos, rtt)
			return true
		}
	}
	return false
}

// neighbour reads the target and the hardware address of neighbour discovery, RFC 4861.
func (r *ICMP) neighbour(b []byte) {
	options := 0
	switch b[0] {
	case 133:
		options = 8
	case 134:
		options = 16
	case 135, 136:
		if len(b) < 24 {
			return
		}
		r.Target, options = netip.AddrFrom16([16]byte(b[8:24])).String(), 24
	case 137:
		if len(b) < 40 {
			return
		}
		r.Target, options = netip.AddrFrom16([16]byte(b[8:24])).String(), 40
	default:
		return
	}
	for b = b[min(options, len(b)):]; len(b) >= 8; {
		n := int(b[1]) * 8
		if n == 0 || n > len(b) {
			return
		}
		switch {
		case (b[0] == 1 || b[0] == 2) && n == 8 && b[0] != 2 == (r.Type != 136):
			r.MAC = net.HardwareAddr(b[2:8]).String()
		case b[0] == 5:
			r.MTU = be32(b[4:])
		}
		b = b[n:]
	}
}

// about reads the packet that an error quotes.
func (r *ICMP) about(v6 bool, b []byte) {
	if len(b) < 8 {
		return
	}
	quoted := b[8:]
	var k key
	switch {
	case !v6 && (b[0] == 3 || b[0] == 4 || b[0] == 5 || b[0] == 11 || b[0] == 12):
		if b[0] == 5 {
			r.Target = netip.AddrFrom4([4]byte(b[4:8])).String()
		}
		if b[0] == 3 && b[1] == 4 {
			r.MTU = uint32(be16(b[6:]))
		}
		if len(quoted) < 20 || quoted[0]>>4 != 4 {
			return
		}
		k.src[10], k.src[11], k.dst[10], k.dst[11] = 0xff, 0xff, 0xff, 0xff
		copy(k.src[12:], quoted[12:16])
		copy(k.dst[12:], quoted[16:20])
		k.proto = quoted[9]
		quoted = quoted[min(len(quoted), max(20, int(quoted[0]&15)*4)):]
	case v6 && b[0] >= 1 && b[0] <= 4:
		if b[0] == 2 {
			r.MTU = be32(b[4:])
		}
		if len(quoted) < 40 || quoted[0]>>4 != 6 {
			return
		}
		k.v6, k.proto = true, quoted[6]
		copy(k.src[:], quoted[8:24])
		copy(k.dst[:], quoted[24:40])
		quoted = quoted[40:]
	default:
		return
	}
	if len(quoted) >= 4 && (k.proto == protoTCP || k.proto == protoUDP || k.proto == protoSCTP) {
		k.srcPort, k.dstPort = be16(quoted), be16(quoted[2:])
	}
	r.AboutProto = protoName(k.proto)
	r.AboutOrigAddr, r.AboutOrigPort = k.addr(k.src).String(), k.srcPort
	r.AboutRespAddr, r.AboutRespPort = k.addr(k.dst).String(), k.dstPort
	r.AboutCommunityID = k.communityID()
}
