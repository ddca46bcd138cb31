package filter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// parser makes a tree of an expression's words.
type parser struct {
	opt    Options
	tokens []string
	depth  int
	before qualifiers // of the primitive before, for `port 80 or 443`

	typeAt, netAt int // -1: there is no protocol number, only IP's version
	mac, ppp      bool
	mpls          bool // after mpls, the protocol is IP's version too
}

// qualifiers say what an id is: `tcp dst port` in `tcp dst port 80`.
type qualifiers struct{ proto, dir, kind string }

func (p *parser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *parser) next() string {
	t := p.peek()
	if len(p.tokens) > 0 {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *parser) parse() (node, error) {
	if len(p.tokens) == 0 {
		return nil, nil //nolint:nilnil // no filter
	}
	n, err := p.expression()
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("unexpected %q", p.peek())
	}
	return n, err
}

// expression reads terms joined by `and` and `or`, which bind alike, from left to right.
func (p *parser) expression() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, errors.New("too deep")
	}
	defer func() { p.depth-- }()
	left, err := p.term()
	for err == nil {
		var right node
		switch p.peek() {
		case "and", "&&":
			p.next()
			if right, err = p.term(); err == nil {
				left = and{left, right}
			}
		case "or", "||":
			p.next()
			if right, err = p.term(); err == nil {
				left = or{left, right}
			}
		default:
			return left, nil
		}
	}
	return nil, err
}

func (p *parser) term() (node, error) {
	switch p.peek() {
	case "not", "!":
		if p.depth++; p.depth > maxDepth {
			return nil, errors.New("too deep")
		}
		defer func() { p.depth-- }()
		p.next()
		n, err := p.term()
		return not{n}, err
	case "":
		return nil, errors.New("ends too early")
	case "(":
		// a group of terms, or the beginning of a comparison
		if rest, before := p.tokens, p.before; p.arithmetic() {
			p.tokens, p.before = rest, before
			return p.comparison()
		}
		p.next()
		n, err := p.expression()
		if err == nil && p.next() != ")" {
			err = errors.New("missing )")
		}
		return n, err
	}
	return p.primitive()
}

// arithmetic tells whether a comparison of values stands here.
func (p *parser) arithmetic() bool {
	rest := p.tokens
	defer func() { p.tokens = rest }()
	_, err := p.value(0)
	return err == nil && relations[p.peek()] != nil
}

var directions = map[string]bool{"src": true, "dst": true}

var kinds = map[string]bool{"host": true, "net": true, "port": true, "portrange": true, "proto": true}

// protocols are those that qualify an id; their number in IP, or -1.
var protocols = map[string]int{
	"ether": -1, "ip": -1, "ip6": -1, "arp": -1, "rarp": -1,
	"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmp6": 58, "igmp": 2, "igrp": 9, "pim": 103, "vrrp": 112, "esp": 50, "ah": 51,
}

func (p *parser) primitive() (node, error) {
	word := p.peek()
	if len(p.tokens) > 1 && p.tokens[1] == "[" || word == "len" || isNumber(word) && len(p.tokens) > 1 && isOperator(p.tokens[1]) {
		return p.comparison()
	}
	switch word {
	case "less", "greater":
		p.next()
		n, err := p.number()
		if word == "less" {
			return lengthIs("<=", n), err
		}
		return lengthIs(">=", n), err
	case "vlan", "mpls", "pppoes":
		p.next()
		return p.shift(word)
	case "broadcast", "multicast":
		p.next()
		return p.cast("ether", word)
	}
	var q qualifiers
	if _, ok := protocols[word]; ok {
		q.proto = p.next()
	}
	switch p.peek() {
	case "broadcast", "multicast":
		return p.cast(q.proto, p.next())
	}
	if directions[p.peek()] {
		q.dir = p.next()
		if j := p.peek(); (j == "or" || j == "and") && len(p.tokens) > 1 && directions[p.tokens[1]] && p.tokens[1] != q.dir {
			q.dir = j
			p.tokens = p.tokens[2:]
		}
	}
	if kinds[p.peek()] {
		q.kind = p.next()
	}
	if q.proto != "" && q.dir == "" && q.kind == "" && !isID(p.peek()) {
		return p.protocol(q.proto)
	}
	if q == (qualifiers{}) {
		q = p.before
	}
	if q.kind == "" {
		q.kind = "host"
	}
	id := p.next()
	if id == "" {
		return nil, errors.New("ends too early")
	}
	if !isID(id) {
		return nil, fmt.Errorf("unexpected %q", id)
	}
	p.before = q
	return p.identified(q, id)
}

// isID tells whether a word can be an address, a number or a name.
func isID(word string) bool {
	switch word {
	case "", "and", "or", "not", "less", "greater", "len", "vlan", "mpls", "pppoes":
		return false
	}
	_, proto := protocols[word]
	return !proto && !directions[word] && !kinds[word] && (isWord(word[0]) || word[0] == '\\' || word[0] == ':')
}

func isNumber(word string) bool { _, err := strconv.ParseUint(word, 0, 32); return err == nil }

func isOperator(word string) bool {
	const arithmetic = "+ - * & | ^ << >> %"
	return relations[word] != nil || word != "" && strings.Contains(arithmetic, word)
}

func (p *parser) number() (uint32, error) {
	word := p.next()
	n, err := strconv.ParseUint(word, 0, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", word)
	}
	return uint32(n), nil
}
