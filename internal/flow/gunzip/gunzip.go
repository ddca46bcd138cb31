// Package gunzip unpacks gzip (RFC 1952, RFC 1951). It does what compress/gzip
// does in half the time on text that repeats itself much, as flow logs are:
// unpacking them is a quarter of an import.
package gunzip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// ErrCorrupt tells that what is read is not gzip, or not as it was written.
var ErrCorrupt = errors.New("gzip: damaged")

const (
	window = 32 << 10 // how far back a match may be
	fresh  = 96 << 10 // what is unpacked behind it before it is handed over
	slack  = 320      // room for the longest match, and for writing eight bytes at once
	inSize = 64 << 10
	// near is how many bytes of input a symbol's bits are read from without looking how many there are.
	near = 24
)

// Reader unpacks what it reads from another. Not for concurrent use.
type Reader struct {
	r    io.Reader
	rerr error // of r, kept until all that it gave is used

	in       []byte
	ip, iend int
	bits     uint64
	nbits    uint // bits of it that count

	out        []byte // window, then what is new
	given, end int    // of out: what Read has not given yet is between
	floor      int    // of out: what a match may reach begins there

	state  func(*Reader) error // what comes next
	last   bool                // the block under way is the last one
	stored int                 // bytes left of a stored block
	err    error
	sum    uint32
	size   uint32
	begun  int // of out: where the sum ends

	lit, dist table
	lengths   [maxLit + maxDist]uint8
}

// NewReader returns a reader that has none to read from yet: see Reset.
func NewReader() *Reader {
	return &Reader{in: make([]byte, inSize), out: make([]byte, window+fresh+slack), err: io.EOF}
}

// Reset begins to unpack what r gives. An error tells that it does not begin as gzip does.
func (z *Reader) Reset(r io.Reader) error {
	z.r, z.rerr, z.ip, z.iend, z.bits, z.nbits, z.err = r, nil, 0, 0, 0, 0, nil
	z.given, z.end, z.begun, z.sum, z.size, z.last = window, window, window, 0, 0, false
	if z.err = z.header(); z.err != nil {
		if z.err == io.EOF { //nolint:errorlint // our own
			z.err = io.ErrUnexpectedEOF
		}
		return z.err
	}
	return nil
}

// Read gives what has been unpacked.
func (z *Reader) Read(p []byte) (int, error) {
	for z.given == z.end {
		if z.err != nil {
			return 0, z.err
		}
		z.fill()
	}
	n := copy(p, z.out[z.given:z.end])
	z.given += n
	return n, nil
}

// fill unpacks the next piece.
func (z *Reader) fill() {
	if z.end > window { // keep the window only
		copy(z.out, z.out[z.end-window:z.end])
		z.floor = max(0, z.floor-(z.end-window))
	}
	z.given, z.end, z.begun = window, window, window
	for z.err == nil && z.end < window+fresh {
		z.err = z.state(z)
	}
	z.account()
	if z.err == errNoInput { //nolint:errorlint // our own
		z.err = io.ErrUnexpectedEOF
		if z.rerr != nil && z.rerr != io.EOF { //nolint:errorlint // a reader's
			z.err = z.rerr
		}
	}
}

// account adds what is new to the checksum.
func (z *Reader) account() {
	z.sum = crc32.Update(z.sum, crc32.IEEETable, z.out[z.begun:z.end])
	z.size += uint32(z.end - z.begun) //nolint:gosec // modulo 2^32, as the format has it
	z.begun = z.end
}

// errNoInput tells that the input ends where more must come.
var errNoInput = errors.New("no input")

// more reads input behind what is left of it. It says whether there is some.
func (z *Reader) more() bool {
	if z.ip > 0 {
		copy(z.in, z.in[z.ip:z.iend])
		z.ip, z.iend = 0, z.iend-z.ip
	}
	for tries := 0; z.rerr == nil && z.iend < len(z.in); tries++ {
		n, err := z.r.Read(z.in[z.iend:])
		z.iend, z.rerr = z.iend+n, err
		if n > 0 {
			return true
		}
		if tries > 100 {
			z.rerr = io.ErrNoProgress
		}
	}
	return false
}

// need sees that there are n bits, at most 48.
func (z *Reader) need(n uint) bool {
	for z.nbits < n {
		if z.ip == z.iend && !z.more() {
			return false
		}
		z.bits |= uint64(z.in[z.ip]) << z.nbits
		z.ip++
		z.nbits += 8
	}
	return true
}

// take reads n bits, which are there.
func (z *Reader) take(n uint) uint64 {
	v := z.bits & (1<<n - 1)
	z.bits >>= n
	z.nbits -= n
	return v
}

// byte reads a byte on a byte's boundary.
func (z *Reader) byte() (byte, error) {
	if !z.need(8) {
		if z.rerr != nil && z.rerr != io.EOF { //nolint:errorlint // a reader's
			return 0, z.rerr
		}
		return 0, io.EOF
	}
	return byte(z.take(8)), nil //nolint:gosec // eight bits
}

// header reads what stands before the data. io.EOF tells that there is nothing at all.
func (z *Reader) header() error {
	var h [10]byte
	for i := range h {
		b, err := z.byte()
		if err != nil {
			if i > 0 && err == io.EOF { //nolint:errorlint // our own
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		h[i] = b
	}
	if h[0] != 0x1f || h[1] != 0x8b || h[2] != 8 {
		return fmt.Errorf("header: %w", ErrCorrupt)
	}
	flags := h[3]
	sum := crc32.ChecksumIEEE(h[:])
	next := func() (byte, error) {
		b, err := z.byte()
		if err == io.EOF { //nolint:errorlint // our own
			err = io.ErrUnexpectedEOF
		}
		sum = crc32.Update(sum, crc32.IEEETable, []byte{b})
		return b, err
	}
	skip := 0
	if flags&4 != 0 { // extra field
		for i := range 2 {
			b, err := next()
			if err != nil {
				return err
			}
			skip |= int(b) << (8 * i)
		}
	}
	for range skip {
		if _, err := next(); err != nil {
			return err
		}
	}
	for _, text := range []byte{8, 16} { // name, comment
		for flags&text != 0 {
			b, err := next()
			if err != nil {
				return err
			}
			if b == 0 {
				break
			}
		}
	}
	if flags&2 != 0 {
		want := uint16(sum) //nolint:gosec // its low half
		lo, err := next()
		if err != nil {
			return err
		}
		hi, err := next()
		if err != nil {
			return err
		}
		if uint16(hi)<<8|uint16(lo) != want {
			return fmt.Errorf("header: %w", ErrCorrupt)
		}
	}
	z.state, z.floor = (*Reader).block, z.end
	return nil
}

// trailer checks sum and size. Another member may follow, as if it were one text.
func (z *Reader) trailer() error {
	z.account()
	z.take(z.nbits % 8)
	var t [8]byte
	for i := range t {
		b, err := z.byte()
		if err == io.EOF { //nolint:errorlint // our own
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		t[i] = b
	}
	if binary.LittleEndian.Uint32(t[:]) != z.sum || binary.LittleEndian.Uint32(t[4:]) != z.size {
		return fmt.Errorf("checksum: %w", ErrCorrupt)
	}
	z.sum, z.size = 0, 0
	return z.header() // io.EOF: that was all
}

// block reads the beginning of a block.
func (z *Reader) block() error {
	if z.last {
		z.last = false
		return z.trailer()
	}
	if !z.need(3) {
		return errNoInput
	}
	z.last = z.take(1) == 1
	switch z.take(2) {
	case 0:
		z.take(z.nbits % 8)
		if !z.need(32) {
			return errNoInput
		}
		n, not := z.take(16), z.take(16)
		if n != not^0xffff {
			return fmt.Errorf("stored block: %w", ErrCorrupt)
		}
		z.stored, z.state = int(n), (*Reader).copyStored //nolint:gosec // 16 bits
		return nil
	case 1:
		z.fixed()
		return nil
	case 2:
		return z.dynamic()
	}
	return fmt.Errorf("block: %w", ErrCorrupt)
}

// copyStored copies what is not packed.
func (z *Reader) copyStored() error {
	for z.stored > 0 && z.end < window+fresh {
		if z.nbits >= 8 { // read ahead
			z.out[z.end] = byte(z.take(8)) //nolint:gosec // eight bits
			z.end++
			z.stored--
			continue
		}
		if z.ip == z.iend && !z.more() {
			return errNoInput
		}
		n := copy(z.out[z.end:window+fresh], z.in[z.ip:min(z.iend, z.ip+z.stored)])
		z.ip += n
		z.end += n
		z.stored -= n
	}
	if z.stored == 0 {
		z.state = (*Reader).block
	}
	return nil
}
