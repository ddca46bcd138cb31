package packet

// Protocol numbers of IP that are looked into.
const (
	protoHopByHop = 0
	protoICMP     = 1
	protoIGMP     = 2
	protoIPIP     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoESP      = 50
	protoAH       = 51
	protoICMPv6   = 58
	protoNone     = 59
	protoDestOpts = 60
	protoSCTP     = 132
	protoMobility = 135
	protoMPLS     = 137
)

func (d *decoder) ipv4(b []byte, p *packet, depth int) failure {
	if depth >= maxDepth {
		return failDepth
	}
	if len(b) < 20 {
		return failTruncated
	}
	if b[0]>>4 != 4 {
		return failVersion
	}
	head, total := int(b[0]&15)*4, int(be16(b[2:]))
	if total == 0 {
		total = len(b) // the card segments: the kernel leaves the length to it
	}
	if head < 20 || total < head {
		return failLength
	}
	d.count(layerIPv4, total, b)
	p.ip, p.size = true, total
	tunnel := p.key.tunnel
	p.key = key{proto: b[9], tunnel: tunnel}
	p.key.src[10], p.key.src[11], p.key.dst[10], p.key.dst[11] = 0xff, 0xff, 0xff, 0xff
	copy(p.key.src[12:], b[12:16])
	copy(p.key.dst[12:], b[16:20])
	if len(b) > total {
		b = b[:total] // Ethernet's padding
	}
	if len(b) < head {
		return failTruncated
	}
	at := be16(b[6:])
	proto, body, length := b[9], b[head:], total-head
	if at&0x3fff != 0 {
		whole, ok := d.frags.add(p, uint32(be16(b[4:])), int(at&0x1fff)*8, at&0x2000 != 0, proto, body, length)
		if !ok {
			return failNone
		}
		body, length, p.size = whole, len(whole), head+len(whole)
	}
	return d.transport(proto, body, length, p, depth+1)
}

func (d *decoder) ipv6(b []byte, p *packet, depth int) failure {
	if depth >= maxDepth {
		return failDepth
	}
	if len(b) < 40 {
		return failTruncated
	}
	if b[0]>>4 != 6 {
		return failVersion
	}
	length := int(be16(b[4:]))
	if length == 0 && b[6] != protoNone && b[6] != protoHopByHop {
		length = len(b) - 40
	}
	d.count(layerIPv6, 40+length, b)
	p.ip, p.size = true, 40+length
	p.key = key{v6: true, proto: b[6], tunnel: p.key.tunnel}
	copy(p.key.src[:], b[8:24])
	copy(p.key.dst[:], b[24:40])
	next, body := b[6], b[40:]
	if len(body) > length {
		body = body[:length]
	}
	for range maxDepth {
		var n int
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts, protoMobility:
			if len(body) < 8 {
				return failTruncated
			}
			n = 8 + int(body[1])*8
		case protoAH:
			if len(body) < 8 {
				return failTruncated
			}
			d.count(layerAH, length, body)
			n = 8 + int(body[1])*4
		case protoFragment:
			if len(body) < 8 {
				return failTruncated
			}
			at, id, after := be16(body[2:]), be32(body[4:]), body[0]
			rest := max(length-8, 0)
			if at&0xfff9 == 0 { // an atomic fragment
				next, body, length = after, body[8:], rest
				continue
			}
			whole, ok := d.frags.add(p, id, int(at&0xfff8), at&1 != 0, after, body[8:], rest)
			if !ok {
				p.key.proto = after
				return failNone
			}
			next, body, length, p.size = after, whole, len(whole), 40+len(whole)
			continue
		default:
			p.key.proto = next
			return d.transport(next, body, length, p, depth+1)
		}
		if n > length {
			return failLength
		}
		if n > len(body) {
			return failTruncated
		}
		next, body, length = body[0], body[n:], length-n
	}
	return failDepth
}

// transport reads what IP carries; length is what body is on the wire.
func (d *decoder) transport(proto uint8, b []byte, length int, p *packet, depth int) failure {
	p.payload, p.length = b, length
	switch proto {
	case protoTCP:
		return d.tcp(b, length, p)
	case protoUDP:
		return d.udp(b, length, p, depth)
	case protoICMP, protoICMPv6:
		l := layerICMPv4
		if proto == protoICMPv6 {
			l = layerICMPv6
		}
		d.count(l, length, b)
		if len(b) < 4 {
			return failTruncated
		}
		p.icmp = uint16(b[0])<<8 | uint16(b[1])
		return failNone
	case protoSCTP:
		d.count(layerSCTP, length, b)
		if len(b) < 12 {
			return failTruncated
		}
		p.key.srcPort, p.key.dstPort, p.transport = be16(b), be16(b[2:]), true
		return failNone
	case protoIPIP:
		return d.ipv4(b, p, depth)
	case protoIPv6:
		return d.ipv6(b, p, depth)
	case protoMPLS:
		return d.mpls(b, p, depth)
	case protoGRE:
		return d.gre(b, p, depth)
	case protoESP:
		d.count(layerESP, length, b)
	case protoAH:
		d.count(layerAH, length, b)
		if len(b) < 12 {
			return failTruncated
		}
		n := 8 + int(b[1])*4
		if n > len(b) {
			return failTruncated
		}
		if b[0] == protoAH {
			return failDepth
		}
		p.key.proto = b[0]
		return d.transport(b[0], b[n:], length-n, p, depth+1)
	case protoIGMP:
		d.count(layerIGMP, length, b)
	case protoNone:
	default:
		d.count(layerOther, length, b)
	}
	return failNone
}

func (d *decoder) tcp(b []byte, length int, p *packet) failure {
	d.count(layerTCP, length, b)
	if len(b) < 20 {
		if len(b) >= 4 {
			p.key.srcPort, p.key.dstPort = be16(b), be16(b[2:])
		}
		return failTruncated
	}
	p.key.srcPort, p.key.dstPort, p.transport = be16(b), be16(b[2:]), true
	p.seq, p.ack, p.flags, p.window = be32(b[4:]), be32(b[8:]), b[13], be16(b[14:])
	head := int(b[12]>>4) * 4
	if head < 20 || head > length {
		p.transport = false
		return failLength
	}
	if head > len(b) {
		// Captured in part, but what the connection needs to know is there.
		p.payload, p.length = nil, length-head
		d.failed[failTruncated]++
		return failNone
	}
	if p.flags&flagSYN != 0 {
		p.scale = windowScale(b[20:head])
	}
	p.payload, p.length = b[head:], length-head
	return failNone
}

// windowScale returns the option of a SYN plus one, or 0.
func windowScale(o []byte) uint8 {
	for len(o) > 0 {
		if o[0] == 0 {
			return 0
		}
		if o[0] == 1 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return 0
		}
		if o[0] == 3 && o[1] == 3 {
			return min(o[2], 14) + 1
		}
		o = o[o[1]:]
	}
	return 0
}

func (d *decoder) udp(b []byte, length int, p *packet, depth int) failure {
	d.count(layerUDP, length, b)
	if len(b) < 8 {
		return failTruncated
	}
	p.key.srcPort, p.key.dstPort, p.transport = be16(b), be16(b[2:]), true
	n := int(be16(b[4:]))
	if n == 0 {
		n = length
	}
	if n < 8 {
		return failLength
	}
	b = b[8:]
	if n-8 < len(b) {
		b = b[:n-8]
	}
	p.payload, p.length = b, min(n, length)-8
	switch p.key.dstPort {
	case 4789, 8472:
		// The flag that says the network's number is valid, and nothing reserved.
		if len(b) >= 8+14 && b[0]&0x08 != 0 && b[1] == 0 && b[2]|b[3] == 0 && b[7] == 0 {
			d.count(layerVXLAN, len(b), b)
			p.key.tunnel = be32(b[4:]) >> 8
			return d.ethernet(b[8:], len(b)-8, p, depth+1)
		}
	case 6081:
		if len(b) >= 8 && b[0]>>6 == 0 {
			head := 8 + int(b[0]&0x3f)*4
			if head > len(b) {
				return failNone
			}
			d.count(layerGeneve, len(b), b)
			p.key.tunnel = be32(b[4:]) >> 8
			return d.ether(be16(b[2:]), b[head:], p, depth+1)
		}
	}
	return failNone
}

func (d *decoder) gre(b []byte, p *packet, depth int) failure {
	d.count(layerGRE, len(b), b)
	if len(b) < 4 {
		return failTruncated
	}
	flags, kind, head := be16(b), be16(b[2:]), 4
	version := flags & 7
	if flags&0x8000 != 0 || flags&0x4000 != 0 {
		head += 4
	}
	if flags&0x2000 != 0 {
		head += 4
	}
	if flags&0x1000 != 0 {
		head += 4
	}
	if version == 1 && flags&0x0080 != 0 {
		head += 4
	}
	if head > len(b) {
		return failTruncated
	}
	if version > 1 || flags&0x4000 != 0 {
		return failNone // source routing: nobody's GRE since 1999
	}
	b = b[head:]
	switch {
	case kind == 0x880b: // PPTP
		if len(b) >= 2 && b[0] == 0xff && b[1] == 3 {
			b = b[2:]
		}
		if len(b) < 2 {
			return failNone // an acknowledgement alone
		}
		if b[0]&1 == 1 { // compressed protocol field
			if b[0] == 0x21 {
				return d.ipv4(b[1:], p, depth+1)
			}
			return failNone
		}
		return d.ppp(b, p, depth+1)
	case kind == 0x88be && flags&0x1000 != 0: // ERSPAN II
		if len(b) < 8 {
			return failTruncated
		}
		return d.ethernet(b[8:], len(b)-8, p, depth+1)
	case kind == 0x88be:
		return d.ethernet(b, len(b), p, depth+1)
	}
	if len(b) == 0 {
		return failNone // keepalive
	}
	return d.ether(kind, b, p, depth+1)
}
