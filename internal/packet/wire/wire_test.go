package wire

import (
	"bytes"
	"testing"
)

func TestReader(t *testing.T) {
	r := Reader{B: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 2, 'a', 'b', 0, 3, 0, 1, 9, 0}}
	if a, b, c, d := r.U8(), r.U16(), r.U24(), r.U32(); a != 1 || b != 0x203 || c != 0x40506 || d != 0x0708090a {
		t.Errorf("%x %x %x %x", a, b, c, d)
	}
	if v := r.Vec8(); string(v.B) != "ab" {
		t.Errorf("%q", v.B)
	}
	if v := r.Vec16(); !bytes.Equal(v.B, []byte{0, 1, 9}) || len(v.U16s()) != 1 {
		t.Errorf("%v", v)
	}
	if r.Bad || len(r.B) != 1 {
		t.Errorf("%+v", r)
	}
	if v := r.U16(); v != 0 || !r.Bad || r.U8() != 0 || r.Take(0) == nil && len(r.B) != 0 {
		t.Errorf("behind the end: %d, %+v", v, r)
	}
}

// FuzzReader: nothing is read twice, nor from behind the end.
func FuzzReader(f *testing.F) {
	f.Add([]byte{3, 1, 2, 3, 0, 2, 9, 9}, []byte{4, 5})
	f.Fuzz(func(t *testing.T, b, steps []byte) {
		r := Reader{B: b}
		for _, s := range steps {
			before, bad := len(r.B), r.Bad
			n := 0
			switch s % 6 {
			case 0:
				r.U8()
				n = 1
			case 1:
				r.U16()
				n = 2
			case 2:
				r.U24()
				n = 3
			case 3:
				r.U32()
				n = 4
			case 4:
				v := r.Vec8()
				n = 1 + len(v.B)
			default:
				v := r.Vec16()
				n = 2 + len(v.B)
			}
			if !r.Bad && len(r.B) != before-n || bad && !r.Bad || r.Bad && len(r.B) != 0 {
				t.Fatalf("step %d: %d bytes left of %d, bad %v", s%6, len(r.B), before, r.Bad)
			}
		}
	})
}
