package packet

import (
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/orielhq/oriel/internal/packet/ncap"
)

// ncapRecord is a record that netcap has a type for.
type ncapRecord interface {
	// ncap appends the message's fields to b.
	ncap(b []byte) (ncap.Type, []byte)
}

// ncapPair is a record that netcap has two types for.
type ncapPair interface {
	// ncapToo appends the second message's fields to b; the type is 0 if there is none.
	ncapToo(b []byte) (ncap.Type, []byte)
}

func fieldNumber(n int) protowire.Number { return protowire.Number(n) }

// The fields of netcap's messages, by number: see the table in ncap.

func (r *Ethernet) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Int(b, 1, r.Time.UnixNano())
	b = ncap.String(ncap.String(b, 2, r.SrcMAC), 3, r.DstMAC)
	return ncap.TypeEthernet, ncap.Int(ncap.Int(b, 4, int64(r.EtherType)), 6, int64(r.Size))
}

func (r *VLAN) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Int(ncap.Int(b, 1, r.Time.UnixNano()), 2, int64(r.Priority))
	return ncap.TypeDot1Q, ncap.Int(ncap.Int(ncap.Bool(b, 3, r.DropEligible), 4, int64(r.ID)), 5, int64(r.EtherType))
}

func (r *IPv4) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Int(ncap.Int(b, 1, r.Time.UnixNano()), 2, 4)
	for i, v := range [...]int64{int64(r.IHL), int64(r.TOS), int64(r.Length), int64(r.ID), int64(r.Flags), int64(r.Offset), int64(r.TTL), int64(r.Protocol), int64(r.Checksum)} {
		b = ncap.Int(b, fieldNumber(3+i), v)
	}
	b = ncap.String(ncap.String(b, 12, r.SrcAddr), 13, r.DstAddr)
	return ncap.TypeIPv4, ncap.Int(b, 17, int64(r.Size))
}

func (r *IPv6) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Int(ncap.Int(b, 1, r.Time.UnixNano()), 2, 6)
	for i, v := range [...]int64{int64(r.Class), int64(r.FlowLabel), int64(r.Length), int64(r.NextHeader), int64(r.HopLimit)} {
		b = ncap.Int(b, fieldNumber(3+i), v)
	}
	b = ncap.String(ncap.String(b, 8, r.SrcAddr), 9, r.DstAddr)
	return ncap.TypeIPv6, ncap.Int(b, 11, int64(r.Size))
}

func (r *TCP) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Int(ncap.Int(b, 1, r.Time.UnixNano()), 2, int64(r.SrcPort))
	b = ncap.Int(ncap.Int(b, 3, int64(r.DstPort)), 4, int64(r.Seq))
	b = ncap.Int(ncap.Int(b, 5, int64(r.Ack)), 6, int64(r.DataOffset))
	for i := range 8 { // FIN to CWR
		b = ncap.Bool(b, fieldNumber(7+i), r.Flags>>i&1 != 0)
	}
	b = ncap.Int(ncap.Int(ncap.Int(b, 16, int64(r.Window)), 17, int64(r.Checksum)), 18, int64(r.Urgent))
	return ncap.TypeTCP, ncap.String(ncap.String(ncap.Int(b, 22, int64(r.Size)), 24, r.SrcAddr), 25, r.DstAddr)
}

func (r *UDP) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Int(ncap.Int(b, 1, r.Time.UnixNano()), 2, int64(r.SrcPort))
	b = ncap.Int(ncap.Int(b, 3, int64(r.DstPort)), 4, int64(r.Length))
	b = ncap.Int(ncap.Int(b, 5, int64(r.Checksum)), 7, int64(r.Size))
	return ncap.TypeUDP, ncap.String(ncap.String(b, 9, r.SrcAddr), 10, r.DstAddr)
}

func (r *SCTP) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Int(ncap.Int(b, 1, r.Time.UnixNano()), 2, int64(r.SrcPort))
	b = ncap.Int(ncap.Int(b, 3, int64(r.DstPort)), 4, int64(r.Tag))
	return ncap.TypeSCTP, ncap.String(ncap.String(ncap.Int(b, 5, int64(r.Checksum)), 6, r.SrcAddr), 7, r.DstAddr)
}

func (r *Tunnel) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Int(b, 1, r.Time.UnixNano())
	switch r.kind {
	case "vxlan":
		b = ncap.Int(ncap.Bool(b, 2, r.Flags&0x0800 != 0), 3, int64(r.ID))
		return ncap.TypeVXLAN, ncap.Bool(b, 4, r.Flags&0x8000 != 0)
	case "geneve":
		b = ncap.Int(ncap.Int(b, 2, int64(r.Flags>>14)), 3, int64(r.Flags>>8&0x3f)*4)
		b = ncap.Bool(ncap.Bool(b, 4, r.Flags&0x80 != 0), 5, r.Flags&0x40 != 0)
		return ncap.TypeGeneve, ncap.Int(ncap.Int(b, 6, int64(r.Protocol)), 7, int64(r.ID))
	case "gre":
		b = ncap.Bool(ncap.Bool(b, 2, r.Flags&0x8000 != 0), 3, r.Flags&0x4000 != 0)
		b = ncap.Bool(ncap.Bool(b, 4, r.Flags&0x2000 != 0), 5, r.Flags&0x1000 != 0)
		b = ncap.Int(ncap.Int(b, 10, int64(r.Flags&7)), 11, int64(r.Protocol))
		b = ncap.Int(ncap.Int(b, 14, int64(r.ID)), 15, int64(r.Seq))
		return ncap.TypeGRE, ncap.String(ncap.String(b, 18, r.SrcAddr), 19, r.DstAddr)
	}
	// netcap's two numbers of ESP are signed.
	b = ncap.Int(ncap.Int(b, 2, int64(int32(r.ID))), 3, int64(int32(r.Seq)))
	return ncap.TypeESP, ncap.String(ncap.String(b, 5, r.SrcAddr), 6, r.DstAddr)
}

// ncap leaves out what netcap has wrong: sizes beyond 2 GB stop there.
func (c *Connection) ncap(b []byte) (ncap.Type, []byte) {
	network, transport := "IPv4", ""
	switch c.Proto {
	case "tcp":
		transport = "TCP"
	case "udp":
		transport = "UDP"
	case "icmp":
		transport = "ICMPv4"
	case "icmp6":
		transport = "ICMPv6"
	case "sctp":
		transport = "SCTP"
	}
	if isV6(c.OrigAddr) {
		network = "IPv6"
	}
	const most = 1<<31 - 1
	b = ncap.Int(b, 1, c.Time.UnixNano())
	b = ncap.String(ncap.String(b, 3, network), 4, transport)
	var port [5]byte
	b = ncap.Bytes(ncap.String(b, 8, c.OrigAddr), 9, strconv.AppendUint(port[:0], uint64(c.OrigPort), 10))
	b = ncap.Bytes(ncap.String(b, 10, c.RespAddr), 11, strconv.AppendUint(port[:0], uint64(c.RespPort), 10))
	b = ncap.Int(b, 12, int64(min(c.OrigBytes+c.RespBytes, most)))
	b = ncap.Int(b, 13, int64(min(c.OrigPayload+c.RespPayload, most)))
	b = ncap.Int(b, 14, int64(min(c.OrigPackets+c.RespPackets, most)))
	b = ncap.Int(ncap.String(b, 15, c.UID), 16, c.Time.UnixNano()+c.DurationNanos)
	b = ncap.Int(b, 17, c.DurationNanos)
	return ncap.TypeConnection, ncap.Int(ncap.Int(b, 18, int64(c.RespBytes)), 19, int64(c.OrigBytes))
}

func isV6(addr string) bool {
	for i := range len(addr) {
		if addr[i] == ':' {
			return true
		}
	}
	return false
}
