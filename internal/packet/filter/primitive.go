package filter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/bpf"
)

const (
	typeIPv4  = 0x0800
	typeIPv6  = 0x86dd
	typeARP   = 0x0806
	typeRARP  = 0x8035
	typeMPLS  = 0x8847
	typePPPoE = 0x8864
)

// ethertype is the protocol of the network header.
func (p *parser) ethertype(t uint32) node {
	if p.typeAt >= 0 && !p.mpls {
		if p.ppp {
			switch t {
			case typeIPv4:
				t = 0x21
			case typeIPv6:
				t = 0x57
			}
		}
		return at(p.typeAt, 2, t)
	}
	switch t {
	case typeIPv4:
		return at(p.netAt, 1, 0x40).masked(0xf0)
	case typeIPv6:
		return at(p.netAt, 1, 0x60).masked(0xf0)
	}
	return constant(false)
}

func (p *parser) ip4() node { return p.ethertype(typeIPv4) }
func (p *parser) ip6() node { return p.ethertype(typeIPv6) }

// proto4 and proto6 are what IP carries; of IPv6 also behind a fragment's header.
func (p *parser) proto4(n uint32) node { return all(p.ip4(), at(p.netAt+9, 1, n)) }

func (p *parser) proto6(n uint32) node {
	return all(p.ip6(), anyOf(at(p.netAt+6, 1, n), all(at(p.netAt+6, 1, 44), at(p.netAt+40, 1, n))))
}

// protocol is a protocol's name alone.
func (p *parser) protocol(name string) (node, error) {
	n := protocols[name]
	switch name {
	case "ether":
		return nil, errors.New("ether wants host, src, dst or proto")
	case "ip":
		return p.ip4(), nil
	case "ip6":
		return p.ip6(), nil
	case "arp":
		return p.ethertype(typeARP), nil
	case "rarp":
		return p.ethertype(typeRARP), nil
	case "icmp", "igmp", "igrp":
		return p.proto4(uint32(n)), nil
	case "icmp6":
		return p.proto6(uint32(n)), nil
	}
	return anyOf(p.proto4(uint32(n)), p.proto6(uint32(n))), nil
}

// identified is an id with what is said of it before.
func (p *parser) identified(q qualifiers, id string) (node, error) {
	switch q.kind {
	case "host":
		if q.proto == "ether" {
			return p.etherHost(q.dir, id)
		}
		if strings.Contains(id, ":") && len(id) == 17 && strings.Count(id, ":") == 5 {
			return p.etherHost(q.dir, id)
		}
		addr, err := netip.ParseAddr(id)
		if err != nil {
			return nil, fmt.Errorf("%q is not an address (names are not looked up)", id)
		}
		if p.peek() == "/" {
			return nil, errors.New("a prefix wants net")
		}
		return p.network(q, netip.PrefixFrom(addr, addr.BitLen()))
	case "net":
		prefix, err := p.prefix(id)
		if err != nil {
			return nil, err
		}
		return p.network(q, prefix)
	case "port", "portrange":
		return p.ports(q, id)
	}
	return p.number4(q, id)
}

func (p *parser) prefix(id string) (netip.Prefix, error) {
	bad := fmt.Errorf("%q is not a network", id)
	text := id
	var bits int
	if strings.Contains(id, ":") {
		bits = 128
	} else {
		parts := strings.Split(id, ".")
		if len(parts) > 4 {
			return netip.Prefix{}, bad
		}
		bits = 8 * len(parts)
		text += strings.Repeat(".0", 4-len(parts))
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, bad
	}
	switch p.peek() {
	case "/":
		p.next()
		n, err := p.number()
		if err != nil || int(n) > addr.BitLen() {
			return netip.Prefix{}, bad
		}
		bits = int(n)
	case "mask":
		p.next()
		mask, err := netip.ParseAddr(p.next())
		if err != nil || !mask.Is4() || !addr.Is4() {
			return netip.Prefix{}, bad
		}
		ones, size := net.IPMask(mask.AsSlice()).Size()
		if size == 0 {
			return netip.Prefix{}, fmt.Errorf("mask %s has holes", mask)
		}
		bits = ones
	}
	prefix := netip.PrefixFrom(addr, bits)
	if prefix.Masked().Addr() != addr {
		return netip.Prefix{}, fmt.Errorf("%s has bits beyond its length", prefix)
	}
	return prefix, nil
}

// both applies a direction to something that stands at the source and at the destination.
func both(dir string, src, dst node) node {
	switch dir {
	case "src":
		return src
	case "dst":
		return dst
	case "and":
		return and{src, dst}
	}
	return or{src, dst}
}

func (p *parser) network(q qualifiers, prefix netip.Prefix) (node, error) {
	if prefix.Addr().Is6() {
		if q.proto != "" && q.proto != "ip6" {
			return nil, fmt.Errorf("%s is not of %s", prefix.Addr(), q.proto)
		}
		return and{p.ip6(), both(q.dir, words(p.netAt+8, prefix), words(p.netAt+24, prefix))}, nil
	}
	pair := func(src, dst int) node { return both(q.dir, words(p.netAt+src, prefix), words(p.netAt+dst, prefix)) }
	v4 := and{p.ip4(), pair(12, 16)}
	arp := func(t uint32) node { return and{p.ethertype(t), pair(14, 24)} }
	switch q.proto {
	case "":
		return anyOf(v4, arp(typeARP), arp(typeRARP)), nil
	case "ip":
		return v4, nil
	case "arp":
		return arp(typeARP), nil
	case "rarp":
		return arp(typeRARP), nil
	case "ip6":
		return nil, fmt.Errorf("%s is not of ip6", prefix.Addr())
	}
	n, err := p.protocol(q.proto)
	return and{n, v4}, err
}

// words compares the bits of a prefix, word by word.
func words(off int, prefix netip.Prefix) node {
	b, bits := prefix.Addr().AsSlice(), prefix.Bits()
	var list []node
	for i := 0; i < len(b) && bits > 0; i, bits = i+4, bits-32 {
		t := at(off+i, 4, binary.BigEndian.Uint32(b[i:]))
		if bits < 32 {
			t = t.masked(^uint32(0) << (32 - bits))
		}
		list = append(list, t)
	}
	if len(list) == 0 {
		return constant(true)
	}
	return all(list...)
}

func (p *parser) etherHost(dir, id string) (node, error) {
	mac, err := net.ParseMAC(strings.ReplaceAll(id, ".", ":"))
	if err != nil || len(mac) != 6 {
		return nil, fmt.Errorf("%q is not a hardware address", id)
	}
	if !p.mac {
		return nil, errors.New("hardware addresses want Ethernet")
	}
	is := func(off int) node {
		return and{at(off+2, 4, binary.BigEndian.Uint32(mac[2:])), at(off, 2, uint32(binary.BigEndian.Uint16(mac)))}
	}
	return both(dir, is(6), is(0)), nil
}

func (p *parser) cast(proto, word string) (node, error) {
	switch {
	case proto == "ip" && word == "multicast":
		return and{p.ip4(), at(p.netAt+16, 1, 224).when(bpf.JumpGreaterOrEqual)}, nil
	case proto == "ip6" && word == "multicast":
		return and{p.ip6(), at(p.netAt+24, 1, 255)}, nil
	case proto != "ether" && proto != "", !p.mac:
		return nil, fmt.Errorf("%s %s is not supported here", proto, word)
	case word == "multicast":
		return at(0, 1, 1).masked(1).when(bpf.JumpEqual), nil
	}
	return and{at(2, 4, 0xffffffff), at(0, 2, 0xffff)}, nil
}

// services are the names of ports that are known.
var services = map[string]uint32{
	"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69, "http": 80,
	"kerberos": 88, "pop3": 110, "sunrpc": 111, "ntp": 123, "netbios-ns": 137, "imap": 143, "imap2": 143, "snmp": 161, "bgp": 179,
	"ldap": 389, "https": 443, "syslog": 514, "submission": 587, "ldaps": 636, "imaps": 993, "pop3s": 995, "mysql": 3306,
	"rdp": 3389, "sip": 5060, "postgresql": 5432,
}

func port(word string) (uint32, error) {
	if n, ok := services[strings.TrimPrefix(word, `\`)]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(word, 0, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not a port", word)
	}
	return uint32(n), nil
}

func (p *parser) ports(q qualifiers, id string) (node, error) {
	low, err := port(id)
	high := low
	if err == nil && q.kind == "portrange" {
		if p.next() != "-" {
			return nil, errors.New("portrange wants FROM-TO")
		}
		high, err = port(p.next())
		low, high = min(low, high), max(low, high)
	}
	if err != nil {
		return nil, err
	}
	var protos []uint32
	switch q.proto {
	case "", "ip", "ip6":
		protos = []uint32{6, 17, 132}
	case "tcp", "udp", "sctp":
		protos = []uint32{uint32(protocols[q.proto])}
	default:
		return nil, fmt.Errorf("%s has no ports", q.proto)
	}
	is := func(load ...bpf.Instruction) node {
		t := test{load: load, cond: bpf.JumpEqual, val: low}
		if low == high {
			return t
		}
		from, to := t, t
		from.cond, to.cond, to.val = bpf.JumpGreaterOrEqual, bpf.JumpLessOrEqual, high
		return and{from, to}
	}
	at4 := func(off int) node {
		return is(bpf.LoadMemShift{Off: uint32(p.netAt)}, bpf.LoadIndirect{Off: uint32(p.netAt + off), Size: 2})
	}
	at6 := func(off int) node { return is(bpf.LoadAbsolute{Off: uint32(p.netAt + 40 + off), Size: 2}) }
	var of4, of6 []node
	for _, n := range protos {
		of4, of6 = append(of4, at(p.netAt+9, 1, n)), append(of6, at(p.netAt+6, 1, n))
	}
	v4 := all(p.ip4(), anyOf(of4...), p.unfragmented(), both(q.dir, at4(0), at4(2)))
	v6 := all(p.ip6(), anyOf(of6...), both(q.dir, at6(0), at6(2)))
	switch q.proto {
	case "ip":
		return v4, nil
	case "ip6":
		return v6, nil
	}
	return or{v4, v6}, nil
}

// unfragmented tells that the header of what IPv4 carries is there.
func (p *parser) unfragmented() node { return at(p.netAt+6, 2, 0).masked(0x1fff) }

// number4 is `ip proto 6`, `ether proto arp`.
func (p *parser) number4(q qualifiers, id string) (node, error) {
	name := strings.TrimPrefix(id, `\`)
	if q.proto == "ether" {
		names := map[string]uint32{"ip": typeIPv4, "ip6": typeIPv6, "arp": typeARP, "rarp": typeRARP}
		t, ok := names[name]
		if !ok {
			n, err := strconv.ParseUint(id, 0, 16)
			if err != nil {
				return nil, fmt.Errorf("%q is not a protocol of Ethernet", id)
			}
			t = uint32(n)
		}
		return p.ethertype(t), nil
	}
	n, ok := protocols[name]
	if !ok || n < 0 {
		number, err := strconv.ParseUint(id, 0, 8)
		if err != nil {
			return nil, fmt.Errorf("%q is not a protocol of IP", id)
		}
		n = int(number)
	}
	switch q.proto {
	case "ip":
		return p.proto4(uint32(n)), nil
	case "ip6":
		return p.proto6(uint32(n)), nil
	}
	return anyOf(p.proto4(uint32(n)), p.proto6(uint32(n))), nil
}

// shift is a header that moves what follows in the expression.
func (p *parser) shift(word string) (node, error) {
	id, given := uint32(0), false
	if isNumber(p.peek()) {
		id, _ = p.number()
		given = true
	}
	if p.typeAt < 0 || p.ppp {
		return nil, fmt.Errorf("%s wants Ethernet", word)
	}
	var n node
	switch word {
	case "vlan":
		if p.opt.Live {
			p.opt.Live = false // a second tag is in the packet
			n = test{load: []bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtVLANTagPresent}}, cond: bpf.JumpNotEqual}
			if given {
				n = and{n, test{load: []bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtVLANTag}}, mask: 0xfff, cond: bpf.JumpEqual, val: id}}
			}
			return n, nil
		}
		n = anyOf(p.ethertype(0x8100), p.ethertype(0x88a8), p.ethertype(0x9100))
		if given {
			n = and{n, at(p.netAt, 2, id).masked(0xfff)}
		}
		p.typeAt, p.netAt = p.typeAt+4, p.netAt+4
	case "mpls":
		n = p.ethertype(typeMPLS)
		if p.mpls {
			n = at(p.netAt-2, 1, 0).masked(1) // the label before was not the last
		}
		if given {
			n = and{n, at(p.netAt, 4, id<<12).masked(0xfffff000)}
		}
		p.mpls, p.netAt = true, p.netAt+4
	case "pppoes":
		n = p.ethertype(typePPPoE)
		if given {
			n = and{n, at(p.netAt+2, 2, id)}
		}
		p.ppp, p.typeAt, p.netAt = true, p.netAt+6, p.netAt+8
	}
	return n, nil
}
