// Package wire takes fields off the front of a message's bytes: big-endian
// numbers, and vectors with their length in front.
package wire

import "encoding/binary"

// Reader has the bytes not yet read. Bad stays set once a field was not there;
// what is read then is zero and empty.
type Reader struct {
	B   []byte
	Bad bool
}

// Take returns the next n bytes, nil if there are fewer.
func (r *Reader) Take(n int) []byte {
	if n < 0 || n > len(r.B) {
		r.Bad, r.B = true, nil
		return nil
	}
	b := r.B[:n]
	r.B = r.B[n:]
	return b
}

// U8 is a number of one byte.
func (r *Reader) U8() int {
	if b := r.Take(1); b != nil {
		return int(b[0])
	}
	return 0
}

// U16 is a number of two bytes.
func (r *Reader) U16() uint16 {
	if b := r.Take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// U24 is a number of three bytes.
func (r *Reader) U24() int { return r.U8()<<16 | int(r.U16()) }

// U32 is a number of four bytes.
func (r *Reader) U32() uint32 {
	if b := r.Take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// Vec8 is a vector with its length in one byte.
func (r *Reader) Vec8() Reader { return Reader{B: r.Take(r.U8())} }

// Vec16 is a vector with its length in two bytes.
func (r *Reader) Vec16() Reader { return Reader{B: r.Take(int(r.U16()))} }

// U16s reads the rest as numbers of two bytes.
func (r *Reader) U16s() []uint16 {
	list := make([]uint16, 0, len(r.B)/2)
	for len(r.B) >= 2 {
		list = append(list, r.U16())
	}
	return list
}
