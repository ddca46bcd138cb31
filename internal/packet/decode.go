package packet

import (
	"encoding/binary"
)

// layer is a protocol that packets and bytes are counted by.
type layer uint8

const (
	layerEthernet layer = iota
	layerVLAN
	layerMPLS
	layerPPPoE
	layerARP
	layerIPv4
	layerIPv6
	layerGRE
	layerVXLAN
	layerGeneve
	layerESP
	layerAH
	layerICMPv4
	layerICMPv6
	layerIGMP
	layerTCP
	layerUDP
	layerSCTP
	layerLLC
	layerOther
	layers
)

var layerNames = [layers]string{
	"ethernet", "vlan", "mpls", "pppoe", "arp", "ipv4", "ipv6", "gre", "vxlan", "geneve", "esp", "ah",
	"icmpv4", "icmpv6", "igmp", "tcp", "udp", "sctp", "llc", "other",
}

// failure is why a packet could not be decoded to its end.
type failure uint8

const (
	failNone failure = iota
	failTruncated
	failLength
	failVersion
	failDepth
	failLink
	failFragment
	failPanic
	failFile
	failures
)

var failureNames = [failures]string{
	"", "truncated", "bad_length", "bad_version", "too_deep", "unknown_link_type", "fragment_lost", "panic", "unreadable_file",
}

// maxDepth bounds headers within headers.
const maxDepth = 32

// TCP's flags.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
	flagURG
)

// packet is what decode finds in a frame: the innermost flow. payload points into the frame.
type packet struct {
	time      int64
	key       key // from source to destination
	ip        bool
	size      int // bytes of the innermost IP packet, as its header says
	payload   []byte
	length    int // bytes of payload on the wire, at least len(payload)
	flags     uint8
	window    uint16
	seq, ack  uint32
	scale     uint8 // window scale of a SYN plus one; 0: none
	icmp      uint16
	transport bool // ports are known
	arp       []byte
	near      []byte // of LLDP or CDP, which nearKind tells
	nearKind  uint8
}

// key names a flow from one side. Addresses of IPv4 are mapped to IPv6.
type key struct {
	src, dst         [16]byte
	srcPort, dstPort uint16
	proto            uint8
	v6               bool
	tunnel           uint32 // VNI, VLAN does not count
}

// decoder takes frames apart. It counts what it meets; see decode.
type decoder struct {
	packets [directions][layers]uint64
	bytes   [directions][layers]uint64
	way     direction // of the packet at hand
	failed  [failures]uint64
	frags   fragments
	trace   bool // keep the headers of each packet
	marks   []mark
}

// mark is one header of the packet, see count.
type mark struct {
	layer layer
	size  int
	data  []byte
}

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// The link types of tcpdump.org/linktypes.html that are read.
const (
	linkNull      = 0
	linkEthernet  = 1
	linkPPP       = 9
	linkRawOld    = 12
	linkRawOld2   = 14
	linkPPPHDLC   = 50
	linkPPPoE     = 51
	linkRaw       = 101
	linkCHDLC     = 104
	linkLoop      = 108
	linkSLL       = 113
	linkIPv4      = 228
	linkIPv6      = 229
	linkNFLOG     = 239
	linkSLL2      = 276
	etherVLAN     = 0x8100
	etherQinQ     = 0x88a8
	etherQinQOld  = 0x9100
	etherIPv4     = 0x0800
	etherIPv6     = 0x86dd
	etherARP      = 0x0806
	etherRARP     = 0x8035
	etherMPLS     = 0x8847
	etherMPLSMul  = 0x8848
	etherPPPoE    = 0x8864
	etherVNTag    = 0x8926
	etherTransEth = 0x6558
	etherLLDP     = 0x88cc
)

// decode reads f into p and returns why it stopped, if it did before the end.
func (d *decoder) decode(f *frame, p *packet) failure {
	*p = packet{time: f.time}
	d.marks, d.way = d.marks[:0], f.way
	fail := d.link(f, p)
	if fail != failNone {
		d.failed[fail]++
	}
	return fail
}

// count counts a header at the beginning of b, of n bytes with all it carries.
func (d *decoder) count(l layer, n int, b []byte) {
	d.packets[d.way][l]++
	d.bytes[d.way][l] += uint64(n)
	if d.trace && len(d.marks) < cap(d.marks) {
		d.marks = append(d.marks, mark{l, n, b})
	}
}

func (d *decoder) link(f *frame, p *packet) failure {
	b := f.data
	switch f.link {
	case linkEthernet:
		return d.ethernet(b, f.wire, p, 0)
	case linkRaw, linkRawOld, linkRawOld2, linkIPv4, linkIPv6:
		return d.anyIP(b, p, 0)
	case linkNull, linkLoop:
		if len(b) < 4 {
			return failTruncated
		}
		return d.anyIP(b[4:], p, 0)
	case linkSLL:
		if len(b) < 16 {
			return failTruncated
		}
		d.way = directionOf(b[1])
		return d.ether(be16(b[14:]), b[16:], p, 0)
	case linkSLL2:
		if len(b) < 20 {
			return failTruncated
		}
		d.way = directionOf(b[10])
		return d.ether(be16(b), b[20:], p, 0)
	case linkPPP, linkPPPHDLC:
		if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
			b = b[2:]
		}
		return d.ppp(b, p, 0)
	case linkPPPoE:
		return d.ether(etherPPPoE, b, p, 0)
	case linkCHDLC:
		if len(b) < 4 {
			return failTruncated
		}
		return d.ether(be16(b[2:]), b[4:], p, 0)
	case linkNFLOG:
		return d.nflog(b, p)
	}
	return failLink
}

// nflog finds the packet among the TLVs of netfilter's log.
func (d *decoder) nflog(b []byte, p *packet) failure {
	if len(b) < 4 {
		return failTruncated
	}
	for b = b[4:]; len(b) >= 4; {
		n, kind := int(binary.LittleEndian.Uint16(b)), binary.LittleEndian.Uint16(b[2:])
		if n < 4 {
			return failLength
		}
		if n > len(b) {
			n = len(b)
		}
		if kind == 9 {
			return d.anyIP(b[4:n], p, 0)
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return failTruncated
}

func (d *decoder) ethernet(b []byte, wire int, p *packet, depth int) failure {
	if len(b) < 14 {
		return failTruncated
	}
	d.count(layerEthernet, wire, b)
	kind := be16(b[12:])
	if kind < 0x600 { // IEEE 802.3: a length, then LLC
		d.count(layerLLC, wire, b)
		if b = b[14:]; len(b) >= 8 && b[0] == 0xaa && b[1] == 0xaa && b[2] == 3 && b[3]|b[4]|b[5] == 0 {
			return d.ether(be16(b[6:]), b[8:], p, depth+1)
		}
		if len(b) >= 8 && b[0] == 0xaa && b[2] == 3 && b[3]|b[4] == 0 && b[5] == 0x0c && be16(b[6:]) == 0x2000 {
			p.near, p.nearKind = b[8:min(len(b), max(int(kind), 8))], nearCDP // padding does not belong to it
		}
		return failNone
	}
	return d.ether(kind, b[14:], p, depth+1)
}

func (d *decoder) ether(kind uint16, b []byte, p *packet, depth int) failure {
	for ; depth < maxDepth; depth++ {
		switch kind {
		case etherIPv4:
			return d.ipv4(b, p, depth)
		case etherIPv6:
			return d.ipv6(b, p, depth)
		case etherVLAN, etherQinQ, etherQinQOld:
			if len(b) < 4 {
				return failTruncated
			}
			d.count(layerVLAN, len(b), b)
			if kind = be16(b[2:]); kind < 0x600 {
				d.count(layerLLC, len(b)-4, b)
				return failNone
			}
			b = b[4:]
		case etherVNTag:
			if len(b) < 6 {
				return failTruncated
			}
			kind, b = be16(b[4:]), b[6:]
		case etherMPLS, etherMPLSMul:
			return d.mpls(b, p, depth)
		case etherPPPoE:
			if len(b) < 8 {
				return failTruncated
			}
			d.count(layerPPPoE, len(b), b)
			return d.ppp(b[6:], p, depth+1)
		case etherTransEth:
			return d.ethernet(b, len(b), p, depth+1)
		case etherARP, etherRARP:
			d.count(layerARP, len(b), b)
			if len(b) < 8 {
				return failTruncated
			}
			p.arp = b
			return failNone
		case etherLLDP:
			d.count(layerOther, len(b), b)
			p.near, p.nearKind = b, nearLLDP
			return failNone
		default:
			d.count(layerOther, len(b), b)
			return failNone
		}
	}
	return failDepth
}

func (d *decoder) ppp(b []byte, p *packet, depth int) failure {
	if len(b) < 2 {
		return failTruncated
	}
	kind := be16(b)
	b = b[2:]
	switch kind {
	case 0x21:
		return d.ipv4(b, p, depth)
	case 0x57:
		return d.ipv6(b, p, depth)
	case 0x281:
		return d.mpls(b, p, depth)
	}
	d.count(layerOther, len(b), b)
	return failNone
}

func (d *decoder) mpls(b []byte, p *packet, depth int) failure {
	d.count(layerMPLS, len(b), b)
	for ; depth < maxDepth; depth++ {
		if len(b) < 5 {
			return failTruncated
		}
		last := b[2]&1 == 1
		b = b[4:]
		if !last {
			continue
		}
		switch b[0] >> 4 {
		case 4, 6:
			return d.anyIP(b, p, depth+1)
		case 0: // a pseudowire's control word, then Ethernet
			if len(b) >= 18 {
				return d.ethernet(b[4:], len(b)-4, p, depth+1)
			}
		}
		return failNone
	}
	return failDepth
}

func (d *decoder) anyIP(b []byte, p *packet, depth int) failure {
	if len(b) == 0 {
		return failTruncated
	}
	switch b[0] >> 4 {
	case 4:
		return d.ipv4(b, p, depth)
	case 6:
		return d.ipv6(b, p, depth)
	}
	return failVersion
}
