// Package filter compiles tcpdump's filter expressions to BPF: for the kernel,
// where live packets are chosen, and for a virtual machine, where files' are.
//
// It knows the grammar of pcap-filter(7) but for names of hosts and networks,
// gateway, protochain, inbound and outbound, and what belongs to 802.11 and ATM.
package filter

import (
	"errors"
	"fmt"

	"golang.org/x/net/bpf"
)

// Bounds of what is compiled: the kernel takes no more instructions either.
const (
	maxText         = 4096
	maxDepth        = 64
	maxInstructions = 4096
)

// accept is what a program returns of a packet to keep: all of it.
const accept = 262144

// Options say of what the packets are.
type Options struct {
	Link uint16 // LINKTYPE_ as in a capture file
	Live bool   // the kernel has taken the outermost VLAN tag out of the packet
}

// Program is a compiled filter.
type Program struct {
	Instructions []bpf.Instruction
	Raw          []bpf.RawInstruction
}

// Compile translates an expression; the empty one keeps everything.
func Compile(text string, o Options) (*Program, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("filter: longer than %d bytes", maxText)
	}
	p := &parser{opt: o}
	if err := p.layout(); err != nil {
		return nil, err
	}
	tokens, err := lex(text)
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", text, err)
	}
	p.tokens = tokens
	tree, err := p.parse()
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", text, err)
	}
	ins, err := assemble(tree)
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", text, err)
	}
	prog := &Program{Instructions: ins}
	if prog.Raw, err = bpf.Assemble(ins); err != nil {
		return nil, fmt.Errorf("filter %q: %w", text, err)
	}
	return prog, nil
}

// layout sets where the link type has its protocol and its network header.
func (p *parser) layout() error {
	switch p.opt.Link {
	case 1: // Ethernet
		p.typeAt, p.netAt, p.mac = 12, 14, true
	case 113: // Linux cooked
		p.typeAt, p.netAt = 14, 16
	case 276:
		p.typeAt, p.netAt = 0, 20
	case 101, 12, 14, 228, 229: // IP alone
		p.typeAt, p.netAt = -1, 0
	case 0, 108: // BSD's loopback: the family's byte order varies, IP's version does not
		p.typeAt, p.netAt = -1, 4
	case 9, 50: // PPP in HDLC framing
		p.typeAt, p.netAt, p.ppp = 2, 4, true
	case 104: // Cisco HDLC
		p.typeAt, p.netAt = 2, 4
	default:
		return fmt.Errorf("filter: link type %d: %w", p.opt.Link, errors.ErrUnsupported)
	}
	return nil
}
