package packet

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"
)

// maxNames is how many texts of addresses are kept.
const maxNames = 4096

// The records of single headers, written when asked for. Sizes are of what the
// header carries, in bytes on the wire.
type (
	// Ethernet is one frame.
	Ethernet struct {
		Time      time.Time `parquet:"time,timestamp(microsecond:local)"`
		SrcMAC    string    `parquet:"src_mac"`
		DstMAC    string    `parquet:"dst_mac"`
		EtherType uint16    `parquet:"ether_type"`
		Size      uint32    `parquet:"size"`
	}
	// VLAN is one tag of 802.1Q.
	VLAN struct {
		Time         time.Time `parquet:"time,timestamp(microsecond:local)"`
		ID           uint16    `parquet:"vlan"`
		Priority     uint8     `parquet:"priority"`
		DropEligible bool      `parquet:"drop_eligible"`
		EtherType    uint16    `parquet:"ether_type"`
	}
	// MPLS is the first label of a stack.
	MPLS struct {
		Time   time.Time `parquet:"time,timestamp(microsecond:local)"`
		Label  uint32    `parquet:"label"`
		Class  uint8     `parquet:"traffic_class"`
		Bottom bool      `parquet:"bottom"`
		TTL    uint8     `parquet:"ttl"`
	}
	// IPv4 is one header, of a fragment too.
	IPv4 struct {
		Time     time.Time `parquet:"time,timestamp(microsecond:local)"`
		SrcAddr  string    `parquet:"src_addr"`
		DstAddr  string    `parquet:"dst_addr"`
		IHL      uint8     `parquet:"ihl"`
		TOS      uint8     `parquet:"tos"`
		Length   uint16    `parquet:"length"`
		ID       uint16    `parquet:"id"`
		Flags    uint8     `parquet:"flags"`
		Offset   uint16    `parquet:"fragment_offset"` // units of 8 bytes
		TTL      uint8     `parquet:"ttl"`
		Protocol uint8     `parquet:"protocol"`
		Checksum uint16    `parquet:"checksum"`
		Size     uint32    `parquet:"size"`
	}
	// IPv6 is one header.
	IPv6 struct {
		Time       time.Time `parquet:"time,timestamp(microsecond:local)"`
		SrcAddr    string    `parquet:"src_addr"`
		DstAddr    string    `parquet:"dst_addr"`
		Class      uint8     `parquet:"traffic_class"`
		FlowLabel  uint32    `parquet:"flow_label"`
		Length     uint16    `parquet:"length"`
		NextHeader uint8     `parquet:"next_header"`
		HopLimit   uint8     `parquet:"hop_limit"`
		Size       uint32    `parquet:"size"`
	}
	// Ports is where a record of a transport's header comes from and goes to.
	Ports struct {
		Time    time.Time `parquet:"time,timestamp(microsecond:local)"`
		SrcAddr string    `parquet:"src_addr"`
		SrcPort uint16    `parquet:"src_port"`
		DstAddr string    `parquet:"dst_addr"`
		DstPort uint16    `parquet:"dst_port"`
	}
	// TCP is one segment.
	TCP struct {
		Ports
		Seq        uint32 `parquet:"seq"`
		Ack        uint32 `parquet:"ack"`
		DataOffset uint8  `parquet:"data_offset"` // words
		Flags      uint8  `parquet:"flags"`
		Window     uint16 `parquet:"window"`
		Checksum   uint16 `parquet:"checksum"`
		Urgent     uint16 `parquet:"urgent"`
		Size       uint32 `parquet:"size"`
	}
	// UDP is one datagram.
	UDP struct {
		Ports
		Length   uint16 `parquet:"length"`
		Checksum uint16 `parquet:"checksum"`
		Size     uint32 `parquet:"size"`
	}
	// SCTP is one packet of SCTP.
	SCTP struct {
		Ports
		Tag      uint32 `parquet:"verification_tag"`
		Checksum uint32 `parquet:"checksum"`
	}
	// Tunnel is the header of one of GRE, VXLAN, Geneve and ESP.
	Tunnel struct {
		Time     time.Time `parquet:"time,timestamp(microsecond:local)"`
		SrcAddr  string    `parquet:"src_addr"`
		DstAddr  string    `parquet:"dst_addr"`
		ID       uint32    `parquet:"id"`       // VNI, SPI, or GRE's key
		Seq      uint32    `parquet:"seq"`      // of ESP and GRE
		Protocol uint16    `parquet:"protocol"` // of GRE and Geneve
		Flags    uint16    `parquet:"flags"`    // first two bytes of GRE, VXLAN and Geneve
		kind     string
	}
)

// LayerKinds are the kinds of records of single headers.
func LayerKinds() []string {
	return []string{"ethernet", "vlan", "mpls", "ipv4", "ipv6", "tcp", "udp", "sctp", "gre", "vxlan", "geneve", "esp"}
}

// Kind is the name of the table.
func (*Ethernet) Kind() string { return "ethernet" }

// Kind is the name of the table.
func (*VLAN) Kind() string { return "vlan" }

// Kind is the name of the table.
func (*MPLS) Kind() string { return "mpls" }

// Kind is the name of the table.
func (*IPv4) Kind() string { return "ipv4" }

// Kind is the name of the table.
func (*IPv6) Kind() string { return "ipv6" }

// Kind is the name of the table.
func (*TCP) Kind() string { return "tcp" }

// Kind is the name of the table.
func (*UDP) Kind() string { return "udp" }

// Kind is the name of the table.
func (*SCTP) Kind() string { return "sctp" }

// Kind is the name of the table.
func (r *Tunnel) Kind() string { return r.kind }

// When is the time of the packet.
func (r *Ethernet) When() time.Time { return r.Time }

// When is the time of the packet.
func (r *VLAN) When() time.Time { return r.Time }

// When is the time of the packet.
func (r *MPLS) When() time.Time { return r.Time }

// When is the time of the packet.
func (r *IPv4) When() time.Time { return r.Time }

// When is the time of the packet.
func (r *IPv6) When() time.Time { return r.Time }

// When is the time of the packet.
func (p *Ports) When() time.Time { return p.Time }

// When is the time of the packet.
func (r *Tunnel) When() time.Time { return r.Time }

// layerRecords makes the records of a packet's headers that are wanted.
type layerRecords struct {
	wanted [layers]bool
	addrs  names[[16]byte]
	macs   names[[8]byte]

	ethernet slab[Ethernet]
	ipv4     slab[IPv4]
	ipv6     slab[IPv6]
	tcp      slab[TCP]
	udp      slab[UDP]
}

// slab makes the records of the most frequent headers by the dozen. One that is
// kept keeps its neighbours.
type slab[T any] struct{ rest []T }

func (s *slab[T]) take() *T {
	if len(s.rest) == 0 {
		s.rest = make([]T, 32)
	}
	r := &s.rest[0]
	s.rest = s.rest[1:]
	return r
}

// names remembers the texts of addresses, each in the one place that its hash says.
type names[K comparable] struct {
	keys  [maxNames]K
	texts [maxNames]string
}

func (n *names[K]) get(k K, hash uint64, b []byte, text func([]byte) string) string {
	i := hash * 0x9e3779b97f4a7c15 >> 52
	if n.keys[i] != k || n.texts[i] == "" {
		n.keys[i], n.texts[i] = k, text(b)
	}
	return n.texts[i]
}

func newLayerRecords(kinds []string) *layerRecords {
	r := &layerRecords{}
	found := false
	for _, k := range kinds {
		for l, name := range layerNames {
			if name == k {
				r.wanted[l], found = true, true
			}
		}
	}
	if !found {
		return nil
	}
	return r
}

// isLayer tells whether a record is of a single header: netcap's counters have those already.
func isLayer(r Record) bool {
	switch r.(type) {
	case *Ethernet, *VLAN, *MPLS, *IPv4, *IPv6, *TCP, *UDP, *SCTP, *Tunnel:
		return true
	}
	return false
}

func addrText(b []byte) string {
	a, _ := netip.AddrFromSlice(b)
	return a.String()
}

func macText(b []byte) string { return net.HardwareAddr(b[:6]).String() }

// addr is the text of an address, remembered.
func (r *layerRecords) addr(b []byte) string {
	var k [16]byte
	if len(b) == 4 {
		k[10], k[11] = 0xff, 0xff
		copy(k[12:], b)
	} else {
		copy(k[:], b)
	}
	return r.addrs.get(k, binary.LittleEndian.Uint64(k[:])^binary.LittleEndian.Uint64(k[8:]), b, addrText)
}

func (r *layerRecords) mac(b []byte) string {
	var k [8]byte
	copy(k[:6], b)
	return r.macs.get(k, binary.LittleEndian.Uint64(k[:]), b, macText)
}

// emit calls f with a record of each wanted header of a packet.
func (r *layerRecords) emit(at int64, marks []mark, f func(Record)) {
	t := time.Unix(0, at).UTC()
	var src, dst []byte
	for _, m := range marks {
		b := m.data
		switch {
		case m.layer == layerIPv4 && len(b) >= 20:
			src, dst = b[12:16], b[16:20]
		case m.layer == layerIPv6 && len(b) >= 40:
			src, dst = b[8:24], b[24:40]
		}
		if !r.wanted[m.layer] {
			continue
		}
		if rec := r.make(t, m, src, dst); rec != nil {
			f(rec)
		}
	}
}

func (r *layerRecords) make(t time.Time, m mark, src, dst []byte) Record {
	b := m.data
	switch {
	case m.layer == layerEthernet && len(b) >= 14:
		rec := r.ethernet.take()
		*rec = Ethernet{Time: t, DstMAC: r.mac(b), SrcMAC: r.mac(b[6:]), EtherType: be16(b[12:]), Size: uint32(max(m.size-14, 0))}
		return rec
	case m.layer == layerVLAN && len(b) >= 4:
		return &VLAN{Time: t, ID: be16(b) & 0xfff, Priority: b[0] >> 5, DropEligible: b[0]&0x10 != 0, EtherType: be16(b[2:])}
	case m.layer == layerMPLS && len(b) >= 4:
		return &MPLS{Time: t, Label: be32(b) >> 12, Class: b[2] >> 1 & 7, Bottom: b[2]&1 != 0, TTL: b[3]}
	case m.layer == layerIPv4 && len(b) >= 20:
		at := be16(b[6:])
		rec := r.ipv4.take()
		*rec = IPv4{
			Time: t, SrcAddr: r.addr(src), DstAddr: r.addr(dst), IHL: b[0] & 15, TOS: b[1], Length: be16(b[2:]), ID: be16(b[4:]),
			Flags: uint8(at >> 13), Offset: at & 0x1fff, TTL: b[8], Protocol: b[9], Checksum: be16(b[10:]), Size: uint32(max(m.size-int(b[0]&15)*4, 0)),
		}
		return rec
	case m.layer == layerIPv6 && len(b) >= 40:
		rec := r.ipv6.take()
		*rec = IPv6{
			Time: t, SrcAddr: r.addr(src), DstAddr: r.addr(dst), Class: uint8(be16(b) >> 4), FlowLabel: be32(b) & 0xfffff,
			Length: be16(b[4:]), NextHeader: b[6], HopLimit: b[7], Size: uint32(max(m.size-40, 0)),
		}
		return rec
	}
	if src == nil {
		return nil
	}
	ports := func() Ports {
		return Ports{Time: t, SrcAddr: r.addr(src), DstAddr: r.addr(dst), SrcPort: be16(b), DstPort: be16(b[2:])}
	}
	switch {
	case m.layer == layerTCP && len(b) >= 20:
		rec := r.tcp.take()
		*rec = TCP{
			Ports: ports(), Seq: be32(b[4:]), Ack: be32(b[8:]), DataOffset: b[12] >> 4, Flags: b[13], Window: be16(b[14:]),
			Checksum: be16(b[16:]), Urgent: be16(b[18:]), Size: uint32(max(m.size-int(b[12]>>4)*4, 0)),
		}
		return rec
	case m.layer == layerUDP && len(b) >= 8:
		rec := r.udp.take()
		*rec = UDP{Ports: ports(), Length: be16(b[4:]), Checksum: be16(b[6:]), Size: uint32(max(m.size-8, 0))}
		return rec
	case m.layer == layerSCTP && len(b) >= 12:
		return &SCTP{Ports: ports(), Tag: be32(b[4:]), Checksum: binary.LittleEndian.Uint32(b[8:])}
	case m.layer >= layerGRE && m.layer <= layerESP && len(b) >= 8:
		return r.tunnel(t, m, src, dst)
	}
	return nil
}

func (r *layerRecords) tunnel(t time.Time, m mark, src, dst []byte) Record {
	b := m.data
	rec := &Tunnel{Time: t, SrcAddr: r.addr(src), DstAddr: r.addr(dst), kind: layerNames[m.layer]}
	switch m.layer {
	case layerESP:
		rec.ID, rec.Seq = be32(b), be32(b[4:])
	case layerVXLAN:
		rec.Flags, rec.ID = be16(b), be32(b[4:])>>8
	case layerGeneve:
		rec.Flags, rec.Protocol, rec.ID = be16(b), be16(b[2:]), be32(b[4:])>>8
	case layerGRE:
		rec.Flags, rec.Protocol = be16(b), be16(b[2:])
		at := 4
		if rec.Flags&0xc000 != 0 {
			at += 4
		}
		if rec.Flags&0x2000 != 0 && len(b) >= at+4 {
			rec.ID = be32(b[at:])
			at += 4
		}
		if rec.Flags&0x1000 != 0 && len(b) >= at+4 {
			rec.Seq = be32(b[at:])
		}
	}
	return rec
}
