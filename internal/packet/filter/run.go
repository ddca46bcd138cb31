package filter

import (
	"encoding/binary"

	"golang.org/x/net/bpf"
)

// Match tells whether a packet of a file is to be kept; wire is its length
// before it was cut. As in the kernel, reading beyond the packet's end refuses it.
//
// x/net's machine does the same but knows no packet that was cut, and is slower.
func (p *Program) Match(b []byte, wire int) bool {
	var a, x uint32
	var cells [16]uint32
	for pc := 0; pc < len(p.Raw); pc++ {
		i := &p.Raw[pc]
		switch i.Op & 7 {
		case 0, 1: // to A, to X
			v, ok := load(i, b, x, uint32(wire), &cells)
			if !ok {
				return false
			}
			if i.Op&7 == 0 {
				a = v
			} else {
				x = v
			}
		case 2:
			cells[i.K&15] = a
		case 3:
			cells[i.K&15] = x
		case 4:
			k := i.K
			if i.Op&8 != 0 {
				k = x
			}
			var ok bool
			if a, ok = compute(i.Op&0xf0, a, k); !ok {
				return false
			}
		case 5:
			pc += jump(i, a, x)
		case 6:
			return i.K > 0
		case 7:
			if i.Op&0x80 != 0 {
				a = x
			} else {
				x = a
			}
		}
	}
	return false
}

func load(i *bpf.RawInstruction, b []byte, x, wire uint32, cells *[16]uint32) (uint32, bool) {
	at := uint64(i.K)
	switch i.Op & 0xe0 {
	case 0x00:
		return i.K, true
	case 0x60:
		return cells[i.K&15], true
	case 0x80:
		return wire, true
	case 0xa0: // the length of IPv4's header
		if at >= uint64(len(b)) {
			return 0, false
		}
		return uint32(b[at]&15) * 4, true
	case 0x40:
		at += uint64(x)
	}
	if at >= uint64(len(b)) {
		return 0, false
	}
	switch b = b[at:]; {
	case i.Op&0x18 == 0x10:
		return uint32(b[0]), true
	case i.Op&0x18 == 0x08 && len(b) >= 2:
		return uint32(binary.BigEndian.Uint16(b)), true
	case i.Op&0x18 == 0 && len(b) >= 4:
		return binary.BigEndian.Uint32(b), true
	}
	return 0, false
}

func compute(op uint16, a, k uint32) (uint32, bool) {
	switch op {
	case 0x00:
		return a + k, true
	case 0x10:
		return a - k, true
	case 0x20:
		return a * k, true
	case 0x30:
		if k == 0 {
			return 0, false
		}
		return a / k, true
	case 0x40:
		return a | k, true
	case 0x50:
		return a & k, true
	case 0x60:
		return a << k, true
	case 0x70:
		return a >> k, true
	case 0x90:
		if k == 0 {
			return 0, false
		}
		return a % k, true
	case 0xa0:
		return a ^ k, true
	}
	return 0, false
}

// jump returns how many instructions are left out.
func jump(i *bpf.RawInstruction, a, x uint32) int {
	k := i.K
	if i.Op&8 != 0 {
		k = x
	}
	var yes bool
	switch i.Op & 0xf0 {
	case 0x00:
		return int(i.K)
	case 0x10:
		yes = a == k
	case 0x20:
		yes = a > k
	case 0x30:
		yes = a >= k
	case 0x40:
		yes = a&k != 0
	}
	if yes {
		return int(i.Jt)
	}
	return int(i.Jf)
}
