package gunzip

import (
	"fmt"
	"math/bits"
)

const (
	maxLit  = 288
	maxDist = 32
	maxCode = 15 // bits
)

// An entry of a table says what the next bits mean:
//
//	bits 0-4   how many bits the code has
//	bits 5-6   what it is
//	bits 8-12  how many bits follow it: of a length, a distance, or the index in a table of the second level
//	bits 16-31 the byte, the least length or distance (or where the second level begins)
//
// An entry of no bits is no code.
type entry = uint32

const (
	isByte  entry = 1 << 5
	isOther entry = 1 << 6           // there is a table of the second level
	isEnd         = isByte | isOther // the block ends
)

// table finds a code by the next bits: first by as many as the first level has.
type table struct {
	entries []entry
	first   uint
}

// literal is the byte of an entry that is one.
func literal(e entry) byte { return byte(e >> 16) } //nolint:gosec // no other bits are set

func code(e entry) uint  { return uint(e & 31) }
func extra(e entry) uint { return uint(e>>8) & 31 }
func value(e entry) int  { return int(e >> 16) }

// meaning of a symbol, without the length of its code.
func litMeaning(symbol int) (entry, bool) {
	switch {
	case symbol < 256:
		return isByte | entry(symbol)<<16, true //nolint:gosec // small
	case symbol == 256:
		return isEnd, true
	case symbol > 285:
		return 0, false
	}
	s := symbol - 257
	switch {
	case s < 8:
		return entry(s+3) << 16, true
	case s == 28:
		return 258 << 16, true
	}
	n := uint(s/4 - 1)
	return entry(3+(4+s%4)<<n)<<16 | entry(n)<<8, true //nolint:gosec // at most 227
}

// distMeaning is the least distance less one, as 32768 has more bits than there are.
func distMeaning(symbol int) (entry, bool) {
	switch {
	case symbol > 29:
		return 0, false
	case symbol < 4:
		return entry(symbol) << 16, true //nolint:gosec // small
	}
	n := uint(symbol/2 - 1)
	return entry((2+symbol%2)<<n)<<16 | entry(n)<<8, true //nolint:gosec // at most 24576
}

// build makes the table of the codes' lengths. It refuses codes that no bits
// could tell apart, and, but for a single one, such as leave bits without a meaning.
func (t *table) build(lengths []uint8, first uint, meaning func(int) (entry, bool)) error {
	var count [maxCode + 1]int
	for _, n := range lengths {
		count[n]++
	}
	codes := len(lengths) - count[0]
	count[0] = 0
	longest, left, at := uint(0), 1, uint32(0)
	var next [maxCode + 1]uint32
	for n := uint(1); n <= maxCode; n++ {
		if count[n] > 0 {
			longest = n
		}
		at = (at + uint32(count[n-1])) << 1 //nolint:gosec // small
		next[n] = at
		if left = left<<1 - count[n]; left < 0 {
			return fmt.Errorf("codes: %w", ErrCorrupt)
		}
	}
	if left > 0 && codes > 0 && (codes != 1 || longest != 1) {
		return fmt.Errorf("codes: %w", ErrCorrupt)
	}
	t.first = min(first, max(longest, 1))
	size := 1 << t.first
	if cap(t.entries) < size {
		t.entries = make([]entry, size, 1<<12)
	}
	t.entries = t.entries[:size]
	clear(t.entries)
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		e, ok := meaning(symbol)
		c := bits.Reverse32(next[n]) >> (32 - n)
		next[n]++
		if !ok {
			continue // it may be there, but not in use
		}
		t.put(c, uint(n), e|entry(n), longest)
	}
	return nil
}

// put enters a code everywhere its bits may be looked up.
func (t *table) put(c uint32, n uint, e entry, longest uint) {
	if n <= t.first {
		for i := c; i < 1<<t.first; i += 1 << n {
			t.entries[i] = e
		}
		return
	}
	// All second levels are as large as the longest code needs: that is little, as long codes are rare.
	low := c & (1<<t.first - 1)
	sub := longest - t.first
	if t.entries[low] == 0 {
		begin := len(t.entries)
		for range 1 << sub {
			t.entries = append(t.entries, 0)
		}
		t.entries[low] = isOther | entry(begin)<<16 | entry(sub)<<8 | entry(t.first) //nolint:gosec // see below
	}
	begin := value(t.entries[low])
	for i := c >> t.first; i < 1<<sub; i += 1 << (n - t.first) {
		t.entries[begin+int(i)] = e
	}
}

const (
	litFirst  = 11
	distFirst = 8
)

// fixed are the codes that need no description.
func (z *Reader) fixed() {
	l := z.lengths[:maxLit]
	for i := range l {
		switch {
		case i < 144:
			l[i] = 8
		case i < 256:
			l[i] = 9
		case i < 280:
			l[i] = 7
		default:
			l[i] = 8
		}
	}
	d := z.lengths[maxLit : maxLit+maxDist]
	for i := range d {
		d[i] = 5
	}
	_ = z.lit.build(l, litFirst, litMeaning)    // is right
	_ = z.dist.build(d, distFirst, distMeaning) // is right
	z.state = (*Reader).symbols
}

// order is the one in which the lengths of the lengths' codes stand.
var order = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamic reads the description of a block's codes.
func (z *Reader) dynamic() error {
	if !z.need(14) {
		return errNoInput
	}
	nlit, ndist, nlen := int(z.take(5))+257, int(z.take(5))+1, int(z.take(4))+4 //nolint:gosec // few bits
	if nlit > 286 || ndist > 30 {
		return fmt.Errorf("codes: %w", ErrCorrupt)
	}
	var lengths [19]uint8
	for _, at := range order[:nlen] {
		if !z.need(3) {
			return errNoInput
		}
		lengths[at] = uint8(z.take(3)) //nolint:gosec // three bits
	}
	if err := z.lit.build(lengths[:], 7, func(s int) (entry, bool) { return entry(s) << 16, true }); err != nil { //nolint:gosec // below 19
		return err
	}
	all := z.lengths[:nlit+ndist]
	for i := 0; i < len(all); {
		z.need(14) // 7 and 7; the end of the input may be nearer
		e := z.lit.entries[z.bits&(1<<z.lit.first-1)]
		n := code(e)
		if n == 0 && z.nbits >= 7 {
			return fmt.Errorf("codes: %w", ErrCorrupt)
		}
		if n == 0 || n > z.nbits {
			return errNoInput
		}
		z.take(n)
		symbol := value(e)
		if symbol < 16 {
			all[i] = uint8(symbol) //nolint:gosec // below 16
			i++
			continue
		}
		again := [3]struct{ least, bits uint }{{3, 2}, {3, 3}, {11, 7}}[symbol-16]
		if z.nbits < again.bits {
			return errNoInput
		}
		repeat, times := uint8(0), int(again.least)+int(z.take(again.bits)) //nolint:gosec // small
		if symbol == 16 {
			if i == 0 {
				return fmt.Errorf("codes: %w", ErrCorrupt)
			}
			repeat = all[i-1]
		}
		if i+times > len(all) {
			return fmt.Errorf("codes: %w", ErrCorrupt)
		}
		for ; times > 0; times-- {
			all[i] = repeat
			i++
		}
	}
	if all[256] == 0 {
		return fmt.Errorf("codes: %w", ErrCorrupt) // no end
	}
	// Of no distances at all the table is empty: each match is an error then.
	if err := z.lit.build(all[:nlit], litFirst, litMeaning); err != nil {
		return err
	}
	if err := z.dist.build(all[nlit:], distFirst, distMeaning); err != nil {
		return err
	}
	z.state = (*Reader).symbols
	return nil
}
