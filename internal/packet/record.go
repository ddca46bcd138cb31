package packet

import (
	"crypto/sha1" //nolint:gosec // Community ID is defined with SHA-1
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"net/netip"
)

// Connection is one connection, or what is known of it so far when Ended is
// false. Orig is the side that began.
type Connection struct {
	Flow
	Proto             string `parquet:"proto,dict"`
	Tunnel            uint32 `parquet:"tunnel"`
	DurationNanos     int64  `parquet:"duration_ns"`
	State             string `parquet:"state,dict"`
	History           string `parquet:"history"`
	HandshakeNanos    int64  `parquet:"handshake_ns"`
	OrigPackets       uint64 `parquet:"orig_packets"`
	OrigBytes         uint64 `parquet:"orig_bytes"` // of IP packets
	OrigPayload       uint64 `parquet:"orig_payload"`
	RespPackets       uint64 `parquet:"resp_packets"`
	RespBytes         uint64 `parquet:"resp_bytes"`
	RespPayload       uint64 `parquet:"resp_payload"`
	OrigRetransmitted uint64 `parquet:"orig_retransmitted"`
	RespRetransmitted uint64 `parquet:"resp_retransmitted"`
	OrigOutOfOrder    uint64 `parquet:"orig_out_of_order"`
	RespOutOfOrder    uint64 `parquet:"resp_out_of_order"`
	OrigZeroWindows   uint64 `parquet:"orig_zero_windows"`
	RespZeroWindows   uint64 `parquet:"resp_zero_windows"`
	Service           string `parquet:"service,dict"` // the protocol found in the payload
	Ended             bool   `parquet:"ended"`
}

// Kind is the table.
func (*Connection) Kind() string { return "connection" }

func (k *key) addr(raw [16]byte) netip.Addr {
	if k.v6 {
		return netip.AddrFrom16(raw)
	}
	return netip.AddrFrom16(raw).Unmap()
}

func protoName(proto uint8) string {
	switch proto {
	case protoTCP:
		return "tcp"
	case protoUDP:
		return "udp"
	case protoICMP:
		return "icmp"
	case protoICMPv6:
		return "icmp6"
	case protoSCTP:
		return "sctp"
	}
	return "other"
}

// appendUID names a connection: the same capture gives the same names. They
// are of FNV-1a with 128 bits.
func (c *conn) appendUID(to []byte) []byte {
	var b [49]byte
	binary.BigEndian.PutUint64(b[:], uint64(c.first))
	binary.BigEndian.PutUint32(b[8:], c.key.tunnel)
	copy(b[12:], c.key.src[:])
	copy(b[28:], c.key.dst[:])
	binary.BigEndian.PutUint16(b[44:], c.key.srcPort)
	binary.BigEndian.PutUint16(b[46:], c.key.dstPort)
	b[48] = c.key.proto
	// The prime is 1<<88 + 0x13b.
	hi, lo := uint64(0x6c62272e07bb0142), uint64(0x62b821756295c58d)
	for _, x := range b {
		lo ^= uint64(x)
		carry, low := bits.Mul64(lo, 0x13b)
		hi, lo = carry+hi*0x13b+lo<<24, low
	}
	var sum [16]byte
	binary.BigEndian.PutUint64(sum[:], hi)
	binary.BigEndian.PutUint64(sum[8:], lo)
	return hex.AppendEncode(append(to, 'C'), sum[:9])
}

// communityID is that of appendCommunityID.
func (k *key) communityID() string { return string(k.appendCommunityID(nil)) }

// appendCommunityID appends version 1 with seed 0 of Corelight's specification,
// and nothing for a protocol without ports.
func (k *key) appendCommunityID(to []byte) []byte {
	if k.proto != protoTCP && k.proto != protoUDP && k.proto != protoSCTP {
		return to
	}
	o := k.ordered()
	var room [40]byte
	src, dst := o.src[:], o.dst[:]
	if !k.v6 {
		src, dst = src[12:], dst[12:]
	}
	b := append(append(room[:2], src...), dst...)
	b = append(b, k.proto, 0)
	b = binary.BigEndian.AppendUint16(b, o.srcPort)
	b = binary.BigEndian.AppendUint16(b, o.dstPort)
	sum := sha1.Sum(b) //nolint:gosec // see above
	return base64.StdEncoding.AppendEncode(append(to, "1:"...), sum[:])
}

func (c *conn) record(service string, ended bool) *Connection {
	return &Connection{
		Flow:  c.flow(c.first),
		Proto: protoName(c.key.proto), Tunnel: c.key.tunnel, DurationNanos: c.last - c.first,
		State: stateNames[c.state], History: string(c.history[:c.historyLen]), HandshakeNanos: c.rtt,
		OrigPackets: c.a.packets, OrigBytes: c.a.bytes, OrigPayload: c.a.payload,
		RespPackets: c.b.packets, RespBytes: c.b.bytes, RespPayload: c.b.payload,
		OrigRetransmitted: c.a.retransmitted, RespRetransmitted: c.b.retransmitted,
		OrigOutOfOrder: c.a.outOfOrder, RespOutOfOrder: c.b.outOfOrder,
		OrigZeroWindows: c.a.zero, RespZeroWindows: c.b.zero, Service: service, Ended: ended,
	}
}
