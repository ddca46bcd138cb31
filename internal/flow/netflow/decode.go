package netflow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
	"github.com/netsampler/goflow2/v2/decoders/netflowlegacy"

	"github.com/orielhq/oriel/internal/flow"
)

// Decoder makes rows of packets. It remembers each sender's templates. Not for concurrent use.
type Decoder struct {
	exporters map[netip.Addr]*exporter
	clock     uint64
}

// NewDecoder returns a decoder that knows no templates.
func NewDecoder() *Decoder { return &Decoder{exporters: map[netip.Addr]*exporter{}} }

// Decode appends the rows of one packet, also those before an error in it, and
// names its protocol: netflow_v5, netflow_v9, ipfix, sflow_v5 or unknown. now is for
// rows without a time of their own.
func (d *Decoder) Decode(b []byte, from netip.Addr, isSFlow bool, now time.Time, rows []flow.Record) (protocol string, _ []flow.Record, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: damaged: %v", protocol, p)
		}
	}()
	protocol = "unknown"
	if isSFlow {
		protocol = "sflow_v5"
		rows, err = d.sflow(b, from, now, rows)
		return protocol, rows, err
	}
	if len(b) < 2 {
		return protocol, rows, errors.New("packet too short")
	}
	buf := bytes.NewBuffer(b[2:])
	switch version := binary.BigEndian.Uint16(b); version {
	case 5:
		protocol = "netflow_v5"
		rows, err = d.v5(b, buf, from, rows)
	case 9:
		protocol = "netflow_v9"
		var p netflow.NFv9Packet
		sender := d.exporter(from)
		err = netflow.DecodeMessageNetFlow(buf, sender, &p)
		boot := time.Unix(int64(p.UnixSeconds), 0).Add(-time.Duration(p.SystemUptime) * time.Millisecond)
		s := set{protocol: protocol, exporter: from, sender: sender, version: 9, domain: p.SourceId, sent: time.Unix(int64(p.UnixSeconds), 0), boot: boot, now: now}
		rows, err = s.rows(p.FlowSets, rows, err)
	case 10:
		protocol = "ipfix"
		var p netflow.IPFIXPacket
		sender := d.exporter(from)
		err = netflow.DecodeMessageIPFIX(buf, sender, &p)
		s := set{protocol: protocol, exporter: from, sender: sender, version: 10, domain: p.ObservationDomainId, sent: time.Unix(int64(p.ExportTime), 0), now: now}
		rows, err = s.rows(p.FlowSets, rows, err)
	default:
		err = fmt.Errorf("version %d is unknown", version)
	}
	return protocol, rows, err
}

func (d *Decoder) v5(b []byte, buf *bytes.Buffer, from netip.Addr, rows []flow.Record) ([]flow.Record, error) {
	const head, record = 24, 48
	if len(b) < head {
		return rows, errors.New("packet too short")
	}
	if n := int(binary.BigEndian.Uint16(b[2:])); head+n*record > len(b) {
		return rows, fmt.Errorf("%d records in %d bytes", n, len(b))
	}
	var p netflowlegacy.PacketNetFlowV5
	if err := netflowlegacy.DecodeMessage(buf, &p); err != nil {
		return rows, err
	}
	boot := time.Unix(int64(p.UnixSecs), int64(p.UnixNSecs)).Add(-time.Duration(p.SysUptime) * time.Millisecond)
	rate := int64(max(1, p.SamplingInterval&0x3fff))
	sent, stream := headTime(time.Unix(int64(p.UnixSecs), int64(p.UnixNSecs))), strconv.Itoa(int(p.EngineType)<<8|int(p.EngineId))
	var bad error
	for i, f := range p.Records {
		r := base("netflow_v5", from, i)
		r.Version, r.CaptureStartTime, r.StreamID = "5", sent, stream
		r.InitiatorIP, r.TargetIP, r.EtherType = ip4(uint32(f.SrcAddr)), ip4(uint32(f.DstAddr)), "IPv4"
		r.InitiatorPort, r.TargetPort, r.TransportProtocol = new(int32(f.SrcPort)), new(int32(f.DstPort)), new(int32(f.Proto))
		r.BytesFromInitiator, r.PacketsFromInitiator, r.Sampled = new(int64(f.DOctets)*rate), new(int64(f.DPkts)*rate), rate > 1
		r.InterfaceID = strconv.Itoa(int(f.Input))
		tcp(&r, int32(f.TCPFlags))
		more := extra{nextHop: ip4(uint32(f.NextHop))}
		more.numbers = [...]int64{outputInterface: int64(f.Output), tos: int64(f.Tos), srcAS: int64(f.SrcAS), dstAS: int64(f.DstAS), srcMask: int64(f.SrcMask), dstMask: int64(f.DstMask), icmpType: 0}
		if f.Proto == 1 { // routers put type and code where the port is
			more.set(32, int64(f.DstPort))
		}
		r.Extra = more.text()
		if !timed(&r, boot.Add(time.Duration(f.First)*time.Millisecond), boot.Add(time.Duration(f.Last)*time.Millisecond)) {
			bad = fmt.Errorf("record %d: its time makes no sense", i+1)
			continue
		}
		r.Orient()
		rows = append(rows, r)
	}
	return rows, bad
}

func ip4(n uint32) string {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).String() //nolint:gosec // the bytes of it
}

// base is a row as its exporter sent it.
func base(format string, from netip.Addr, no int) flow.Record {
	r := flow.Record{Provider: flow.NetFlow, SourceFormat: format, RecordNo: int32(no) + 1} //nolint:gosec // within a packet
	if from.IsValid() {
		r.Observer = from.String()
	}
	return r
}

// timed sets the times. Clocks of exporters may be wrong, but not absurd.
func timed(r *flow.Record, start, end time.Time) bool {
	if start.Year() < 2000 || start.Year() > 2200 {
		return false
	}
	r.SetStart(flow.At(start))
	if end.After(start) && end.Sub(start) < 30*24*time.Hour {
		r.EndTime = flow.At(end)
	} else {
		r.EndTime = r.StartTime
	}
	return true
}

// tcp sets the flags of a TCP flow.
func tcp(r *flow.Record, flags int32) {
	if r.TransportProtocol == nil || *r.TransportProtocol != 6 {
		return
	}
	r.TCPFlags = new(flags & 0xff)
	r.WasInitiated, r.WasTerminated = new(flags&2 != 0), new(flags&5 != 0)
}

// set is the records of a packet of NetFlow v9 or IPFIX.
type set struct {
	protocol string
	exporter netip.Addr
	sender   *exporter
	version  uint16
	domain   uint32
	sent     time.Time
	boot     time.Time // zero for IPFIX
	now      time.Time
}

func (s set) rows(sets []any, rows []flow.Record, err error) ([]flow.Record, error) {
	if errors.Is(err, netflow.ErrorTemplateNotFound) {
		err = ErrNoTemplate
	}
	no := 0
	for _, fs := range sets {
		switch data := fs.(type) {
		case netflow.RawFlowSet:
			if err == nil {
				err = ErrNoTemplate
			}
		case netflow.OptionsDataFlowSet:
			s.options(data.Records)
		case netflow.DataFlowSet:
			for _, rec := range data.Records {
				r := base(s.protocol, s.exporter, no)
				no++
				if ferr := s.record(&r, rec.Values); ferr != nil {
					if err == nil {
						err = fmt.Errorf("record %d: %w", no, ferr)
					}
					continue
				}
				rows = append(rows, r)
			}
		}
	}
	return rows, err
}

// times of a record, of which some come in several ways. seen is the time of an event.
type times struct{ start, end, seen, boot time.Time }

func (s set) record(r *flow.Record, values []netflow.DataField) error {
	n := notes{times: times{boot: s.boot}, flags: -1, sampled: sampler{id: -1}}
	for _, v := range values {
		n.value(r, s, v)
	}
	r.Version, r.StreamID = strconv.Itoa(int(s.version)), strconv.FormatUint(uint64(s.domain), 10)
	r.CaptureStartTime = headTime(s.sent)
	return s.finish(r, &n, s.rate(n.sampled))
}

// headTime is when a packet was sent, if its clock is right at all.
func headTime(t time.Time) flow.Time {
	if t.Year() < 2000 || t.Year() > 2200 {
		return 0
	}
	return flow.At(t)
}

func (s set) finish(r *flow.Record, n *notes, rate int64) error {
	if r.InitiatorIP == "" && r.TargetIP == "" {
		return errors.New("no addresses")
	}
	n.translated(r)
	if r.BytesFromInitiator == nil {
		r.BytesFromInitiator = n.egress[0]
	}
	if r.PacketsFromInitiator == nil {
		r.PacketsFromInitiator = n.egress[1]
	}
	if r.VPCID == "" && n.vrf > 0 {
		r.VPCID = strconv.FormatInt(n.vrf, 10)
	}
	if len(r.InitiatorIP) > 0 {
		r.EtherType = "IPv4"
		for _, c := range r.InitiatorIP {
			if c == ':' {
				r.EtherType = "IPv6"
			}
		}
	}
	t := n.times
	if t.start.IsZero() && n.uptime[0] > 0 && !t.boot.IsZero() && n.uptime[0] < 1<<32 && n.uptime[1] < 1<<32 {
		t.start = t.boot.Add(time.Duration(n.uptime[0]) * time.Millisecond)
		t.end = t.boot.Add(time.Duration(n.uptime[1]) * time.Millisecond)
	}
	for _, other := range []time.Time{t.seen, s.sent} {
		if t.start.IsZero() {
			t.start = other
		}
	}
	if t.end.IsZero() && n.duration > 0 && n.duration < 1<<32 {
		t.end = t.start.Add(time.Duration(n.duration) * time.Millisecond)
	}
	if !timed(r, t.start, t.end) && !timed(r, s.now, s.now) {
		return errors.New("its time makes no sense")
	}
	if n.flags >= 0 {
		tcp(r, int32(n.flags&0xff))
	}
	if n.began != nil {
		r.WasInitiated = n.began
	}
	if n.ended != nil {
		r.WasTerminated = n.ended
	}
	r.Extra = n.extra.text()
	if rate > 1 {
		r.Sampled = true
		for _, p := range []*int64{
			r.BytesFromInitiator, r.PacketsFromInitiator, r.BytesFromTarget, r.PacketsFromTarget,
			r.CumulativeBytesFromInitiator, r.CumulativePacketsFromInitiator, r.CumulativeBytesFromTarget, r.CumulativePacketsFromTarget,
		} {
			if p != nil {
				*p = times64(*p, rate)
			}
		}
	}
	if !r.Bidirectional {
		r.Orient()
	}
	return nil
}

// times64 multiplies; what does not fit is the greatest number.
func times64(a, b int64) int64 {
	if a > 0 && b > (1<<63-1)/a {
		return 1<<63 - 1
	}
	return a * b
}

// number reads an unsigned number of up to 8 bytes.
func number(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 8 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return int64(min(n, 1<<63-1)), true
}

func address(b []byte) string {
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		return ""
	}
	return a.Unmap().String()
}
