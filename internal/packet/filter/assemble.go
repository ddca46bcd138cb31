package filter

import (
	"errors"

	"golang.org/x/net/bpf"
)

// node is a part of an expression that is true or false of a packet.
type node interface {
	// emit appends code that goes on at one label or the other.
	emit(c *code, yes, no label)
}

type label int

// step is an instruction, a jump or, with only at set, a label's place.
type step struct {
	ins     bpf.Instruction
	jump    bool
	cond    bpf.JumpTest
	val     uint32
	byX     bool
	yes, no label
	place   bool
	at      label
	long    bool // the jump is too far for one instruction
}

// code is a program under way.
type code struct {
	steps  []step
	labels int
	cells  int
	err    error
}

func (c *code) label() label { c.labels++; return label(c.labels - 1) }

func (c *code) put(ins ...bpf.Instruction) {
	for _, i := range ins {
		c.steps = append(c.steps, step{ins: i})
	}
	if len(c.steps) > maxInstructions {
		c.err = errors.New("too long")
		c.steps = c.steps[:0]
	}
}

func (c *code) place(l label) { c.steps = append(c.steps, step{place: true, at: l}) }

func (c *code) jump(cond bpf.JumpTest, val uint32, yes, no label) {
	c.steps = append(c.steps, step{jump: true, cond: cond, val: val, yes: yes, no: no})
}

func (c *code) jumpX(cond bpf.JumpTest, yes, no label) {
	c.steps = append(c.steps, step{jump: true, cond: cond, byX: true, yes: yes, no: no})
}

// cell returns a word of scratch memory.
func (c *code) cell() int {
	if c.cells == 16 {
		c.err = errors.New("too many values at once")
		return 0
	}
	c.cells++
	return c.cells - 1
}

// assemble makes the program of an expression; nil keeps everything.
func assemble(tree node) ([]bpf.Instruction, error) {
	c := &code{}
	yes, no := c.label(), c.label()
	if tree != nil {
		tree.emit(c, yes, no)
	}
	c.place(yes)
	c.put(bpf.RetConstant{Val: accept})
	c.place(no)
	c.put(bpf.RetConstant{Val: 0})
	if c.err != nil {
		return nil, c.err
	}
	return c.resolve()
}

// resolve gives the labels places, with as many long jumps as it takes.
func (c *code) resolve() ([]bpf.Instruction, error) {
	places := make([]int, c.labels)
	for {
		pos := 0
		for _, s := range c.steps {
			switch {
			case s.place:
				places[s.at] = pos
			case s.jump && s.long:
				pos += 3
			default:
				pos++
			}
		}
		if pos > maxInstructions {
			return nil, errors.New("too long")
		}
		pos, grew := 0, false
		for i := range c.steps {
			s := &c.steps[i]
			switch {
			case s.place:
				continue
			case s.jump && s.long:
				pos += 3
				continue
			case s.jump && (places[s.yes]-pos-1 > 255 || places[s.no]-pos-1 > 255):
				s.long, grew = true, true
			}
			pos++
		}
		if !grew {
			return c.build(places), nil
		}
	}
}

func (c *code) build(places []int) []bpf.Instruction {
	var out []bpf.Instruction
	for _, s := range c.steps {
		if s.place {
			continue
		}
		if !s.jump {
			out = append(out, s.ins)
			continue
		}
		yes, no := places[s.yes]-len(out)-1, places[s.no]-len(out)-1
		if s.long {
			out = append(out, conditional(s, 0, 1), bpf.Jump{Skip: uint32(yes - 1)}, bpf.Jump{Skip: uint32(no - 2)})
			continue
		}
		out = append(out, conditional(s, uint8(yes), uint8(no)))
	}
	return out
}

func conditional(s step, yes, no uint8) bpf.Instruction {
	if s.byX {
		return bpf.JumpIfX{Cond: s.cond, SkipTrue: yes, SkipFalse: no}
	}
	return bpf.JumpIf{Cond: s.cond, Val: s.val, SkipTrue: yes, SkipFalse: no}
}

type and struct{ a, b node }

func (n and) emit(c *code, yes, no label) {
	next := c.label()
	n.a.emit(c, next, no)
	c.place(next)
	n.b.emit(c, yes, no)
}

type or struct{ a, b node }

func (n or) emit(c *code, yes, no label) {
	next := c.label()
	n.a.emit(c, yes, next)
	c.place(next)
	n.b.emit(c, yes, no)
}

type not struct{ n node }

func (n not) emit(c *code, yes, no label) { n.n.emit(c, no, yes) }

// all is the conjunction of nodes, any their disjunction.
func all(nodes ...node) node {
	n := nodes[0]
	for _, m := range nodes[1:] {
		n = and{n, m}
	}
	return n
}

func anyOf(nodes ...node) node {
	n := nodes[0]
	for _, m := range nodes[1:] {
		n = or{n, m}
	}
	return n
}

// constant is true or false of every packet.
type constant bool

func (n constant) emit(c *code, yes, no label) {
	c.put(bpf.LoadConstant{Dst: bpf.RegA, Val: 0})
	if n {
		no = yes
	} else {
		yes = no
	}
	c.jump(bpf.JumpEqual, 0, yes, no)
}

// test compares what load leaves in A, masked.
type test struct {
	load []bpf.Instruction
	mask uint32 // 0: all of it
	cond bpf.JumpTest
	val  uint32
}

func (n test) emit(c *code, yes, no label) {
	c.put(n.load...)
	if n.mask != 0 {
		c.put(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: n.mask})
	}
	c.jump(n.cond, n.val, yes, no)
}

// at compares size bytes at an offset.
func at(off, size int, val uint32) test {
	return test{load: []bpf.Instruction{bpf.LoadAbsolute{Off: uint32(off), Size: size}}, cond: bpf.JumpEqual, val: val}
}

func (n test) masked(mask uint32) test { n.mask = mask; return n }

func (n test) when(cond bpf.JumpTest) test { n.cond = cond; return n }
