package filter

import (
	"errors"
	"fmt"

	"golang.org/x/net/bpf"
)

// relation is how a comparison's jump is written.
type relation struct {
	cond bpf.JumpTest
}

var relations = map[string]*relation{
	"=": {bpf.JumpEqual}, "==": {bpf.JumpEqual}, "!=": {bpf.JumpNotEqual}, "<": {bpf.JumpLessThan}, ">": {bpf.JumpGreaterThan},
	"<=": {bpf.JumpLessOrEqual}, ">=": {bpf.JumpGreaterOrEqual},
}

// names are the constants and offsets that have names.
var names = map[string]uint32{
	"tcpflags": 13, "icmptype": 0, "icmpcode": 1, "icmp6type": 0, "icmp6code": 1,
	"tcp-fin": 1, "tcp-syn": 2, "tcp-rst": 4, "tcp-push": 8, "tcp-ack": 16, "tcp-urg": 32, "tcp-ece": 64, "tcp-cwr": 128,
	"icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5, "icmp-echo": 8, "icmp-routeradvert": 9,
	"icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12, "icmp-tstamp": 13, "icmp-tstampreply": 14,
	"icmp6-echo": 128, "icmp6-echoreply": 129, "icmp6-routersolicit": 133, "icmp6-routeradvert": 134,
	"icmp6-neighborsolicit": 135, "icmp6-neighboradvert": 136, "icmp6-redirect": 137,
}

// value computes a number into A.
type value interface {
	load(c *code)
	needs(list []node) []node // what must be true of a packet that it can be read
}

type number uint32

func (v number) load(c *code)             { c.put(bpf.LoadConstant{Dst: bpf.RegA, Val: uint32(v)}) }
func (v number) needs(list []node) []node { return list }

type length struct{}

func (length) load(c *code)             { c.put(bpf.LoadExtension{Num: bpf.ExtLen}) }
func (length) needs(list []node) []node { return list }

func lengthIs(rel string, n uint32) node { return compare{length{}, relations[rel].cond, number(n)} }

// bytesAt is proto[offset:size].
type bytesAt struct {
	base  int
	shift int // of the IPv4 header whose length is added; -1: none
	off   value
	size  int
	guard node
}

func (v bytesAt) needs(list []node) []node {
	if v.guard != nil {
		list = append(list, v.guard)
	}
	return v.off.needs(list)
}

func (v bytesAt) load(c *code) {
	base := uint32(v.base)
	if n, ok := v.off.(number); ok {
		if v.shift < 0 {
			c.put(bpf.LoadAbsolute{Off: base + uint32(n), Size: v.size})
			return
		}
		c.put(bpf.LoadMemShift{Off: uint32(v.shift)}, bpf.LoadIndirect{Off: base + uint32(n), Size: v.size})
		return
	}
	v.off.load(c)
	if v.shift >= 0 {
		m := c.cell()
		c.put(bpf.StoreScratch{Src: bpf.RegA, N: m}, bpf.LoadMemShift{Off: uint32(v.shift)}, bpf.LoadScratch{Dst: bpf.RegA, N: m}, bpf.ALUOpX{Op: bpf.ALUOpAdd})
		c.cells--
	}
	c.put(bpf.TAX{}, bpf.LoadIndirect{Off: base, Size: v.size})
}

type operation struct {
	op   bpf.ALUOp
	a, b value
}

func (v operation) needs(list []node) []node { return v.b.needs(v.a.needs(list)) }

func (v operation) load(c *code) {
	v.a.load(c)
	if n, ok := v.b.(number); ok {
		c.put(bpf.ALUOpConstant{Op: v.op, Val: uint32(n)})
		return
	}
	pair(c, v.b)
	c.put(bpf.ALUOpX{Op: v.op})
}

// pair keeps A and puts b into X.
func pair(c *code, b value) {
	m := c.cell()
	c.put(bpf.StoreScratch{Src: bpf.RegA, N: m})
	b.load(c)
	c.put(bpf.TAX{}, bpf.LoadScratch{Dst: bpf.RegA, N: m})
	c.cells--
}

// compare is a comparison of two values.
type compare struct {
	a    value
	cond bpf.JumpTest
	b    value
}

func (n compare) emit(c *code, yes, no label) {
	for _, need := range n.b.needs(n.a.needs(nil)) {
		next := c.label()
		need.emit(c, next, no)
		c.place(next)
	}
	n.a.load(c)
	if v, ok := n.b.(number); ok {
		c.jump(n.cond, uint32(v), yes, no)
		return
	}
	pair(c, n.b)
	c.jumpX(n.cond, yes, no)
}

func (p *parser) comparison() (node, error) {
	a, err := p.value(0)
	if err != nil {
		return nil, err
	}
	rel := relations[p.peek()]
	if rel == nil {
		return nil, fmt.Errorf("want a comparison, not %q", p.peek())
	}
	p.next()
	b, err := p.value(0)
	return compare{a, rel.cond, b}, err
}

// operators by how tightly they bind, as in C but that shifts and bits are as pcap has them.
var operators = []map[string]bpf.ALUOp{
	{"|": bpf.ALUOpOr},
	{"^": bpf.ALUOpXor},
	{"&": bpf.ALUOpAnd},
	{"<<": bpf.ALUOpShiftLeft, ">>": bpf.ALUOpShiftRight},
	{"+": bpf.ALUOpAdd, "-": bpf.ALUOpSub},
	{"*": bpf.ALUOpMul, "/": bpf.ALUOpDiv, "%": bpf.ALUOpMod},
}

func (p *parser) value(level int) (value, error) {
	if level == len(operators) {
		return p.atom()
	}
	a, err := p.value(level + 1)
	for err == nil {
		op, ok := operators[level][p.peek()]
		if !ok {
			return a, nil
		}
		p.next()
		var b value
		if b, err = p.value(level + 1); err != nil {
			break
		}
		if n, ok := b.(number); ok && n == 0 && (op == bpf.ALUOpDiv || op == bpf.ALUOpMod) {
			return nil, errors.New("division by zero")
		}
		if n, ok := b.(number); ok && n > 31 && (op == bpf.ALUOpShiftLeft || op == bpf.ALUOpShiftRight) {
			return nil, errors.New("shift by more than 31")
		}
		a = operation{op, a, b}
	}
	return nil, err
}

func (p *parser) atom() (value, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, errors.New("too deep")
	}
	defer func() { p.depth-- }()
	word := p.next()
	switch {
	case word == "(":
		v, err := p.value(0)
		if err == nil && p.next() != ")" {
			err = errors.New("missing )")
		}
		return v, err
	case word == "len":
		return length{}, nil
	case isNumber(word):
		p.tokens = append([]string{word}, p.tokens...)
		n, err := p.number()
		return number(n), err
	case p.peek() == "[":
		return p.access(word)
	}
	if n, ok := names[word]; ok {
		return number(n), nil
	}
	return nil, fmt.Errorf("%q is not a number", word)
}

// access is proto[offset:size].
func (p *parser) access(proto string) (value, error) {
	p.next()
	off, err := p.value(0)
	if err != nil {
		return nil, err
	}
	v := bytesAt{off: off, size: 1, shift: -1, base: p.netAt}
	if p.peek() == ":" {
		p.next()
		n, err := p.number()
		if err != nil || n != 1 && n != 2 && n != 4 {
			return nil, errors.New("a size is 1, 2 or 4")
		}
		v.size = int(n)
	}
	if p.next() != "]" {
		return nil, errors.New("missing ]")
	}
	switch proto {
	case "ether", "link":
		v.base = 0
	case "ip":
		v.guard = p.ip4()
	case "ip6":
		v.guard = p.ip6()
	case "arp":
		v.guard = p.ethertype(typeARP)
	case "rarp":
		v.guard = p.ethertype(typeRARP)
	case "icmp6":
		v.guard, v.base = all(p.ip6(), at(p.netAt+6, 1, 58)), p.netAt+40
	default:
		n, ok := protocols[proto]
		if !ok {
			return nil, fmt.Errorf("%q has no bytes to look at", proto)
		}
		v.guard, v.shift = all(p.proto4(uint32(n)), p.unfragmented()), p.netAt
	}
	return v, nil
}
