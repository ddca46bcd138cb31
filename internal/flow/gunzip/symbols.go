package gunzip

import (
	"encoding/binary"
	"fmt"
)

// symbols unpacks a block until it ends or there is enough.
func (z *Reader) symbols() error {
	for z.end < window+fresh {
		if z.iend-z.ip < near && z.rerr == nil && z.more() {
			continue
		}
		var done bool
		var err error
		if z.iend-z.ip >= near {
			done, err = z.quick()
		} else {
			done, err = z.careful()
		}
		if done || err != nil {
			return err
		}
	}
	return nil
}

// careful unpacks one symbol near the end of the input.
func (z *Reader) careful() (done bool, err error) {
	z.need(maxCode) // or what is left
	e, ok := z.code(&z.lit)
	if !ok {
		return false, z.noCode()
	}
	switch e & isEnd {
	case isByte:
		z.out[z.end] = literal(e)
		z.end++
		return false, nil
	case isEnd:
		z.state = (*Reader).block
		return true, nil
	}
	if !z.need(extra(e)) {
		return false, errNoInput
	}
	length := value(e) + int(z.take(extra(e))) //nolint:gosec // few bits
	z.need(maxCode)
	if e, ok = z.code(&z.dist); !ok {
		return false, z.noCode()
	}
	if !z.need(extra(e)) {
		return false, errNoInput
	}
	return false, z.match(length, value(e)+1+int(z.take(extra(e)))) //nolint:gosec // few bits
}

// code reads a code of which all bits are there.
func (z *Reader) code(t *table) (entry, bool) {
	e := t.entries[z.bits&(1<<t.first-1)]
	if e&isEnd == isOther {
		e = t.entries[value(e)+int(z.bits>>t.first&(1<<extra(e)-1))] //nolint:gosec // few bits
	}
	n := code(e)
	if n == 0 || n > z.nbits {
		return 0, false
	}
	z.take(n)
	return e, true
}

// noCode tells why there is no code: the bits mean nothing, or there are too few.
func (z *Reader) noCode() error {
	if z.nbits >= maxCode {
		return fmt.Errorf("code: %w", ErrCorrupt)
	}
	return errNoInput
}

// match copies what has been before.
func (z *Reader) match(length, distance int) error {
	from := z.end - distance
	if from < z.floor {
		return fmt.Errorf("distance: %w", ErrCorrupt)
	}
	for i := range length {
		z.out[z.end+i] = z.out[from+i]
	}
	z.end += length
	return nil
}

// quick unpacks symbols while there are input and room for any.
func (z *Reader) quick() (done bool, err error) {
	in, ip, stop := z.in, z.ip, z.iend-near
	out, end, full := z.out, z.end, window+fresh
	bb, bn := z.bits, z.nbits
	lit, litMask := z.lit.entries, uint64(1)<<z.lit.first-1
	dist, distMask := z.dist.entries, uint64(1)<<z.dist.first-1
	litFirst, distFirst := z.lit.first, z.dist.first
	floor := z.floor
	for ip <= stop && end < full {
		bb |= binary.LittleEndian.Uint64(in[ip:]) << (bn & 63)
		ip += int(63-bn) >> 3
		bn |= 56
		e := lit[bb&litMask]
		if e&isEnd == isByte {
			bb >>= code(e)
			bn -= code(e)
			out[end] = literal(e)
			end++
			if e = lit[bb&litMask]; e&isEnd == isByte {
				bb >>= code(e)
				bn -= code(e)
				out[end] = literal(e)
				end++
				if e = lit[bb&litMask]; e&isEnd == isByte {
					bb >>= code(e)
					bn -= code(e)
					out[end] = literal(e)
					end++
					continue
				}
			}
			bb |= binary.LittleEndian.Uint64(in[ip:]) << (bn & 63)
			ip += int(63-bn) >> 3
			bn |= 56
		}
		if e&isEnd == isOther {
			e = lit[value(e)+int(bb>>litFirst&(1<<extra(e)-1))] //nolint:gosec // few bits
			if e&isEnd == isByte {
				bb >>= code(e)
				bn -= code(e)
				out[end] = literal(e)
				end++
				continue
			}
		}
		if code(e) == 0 {
			err = ErrCorrupt
			break
		}
		bb >>= code(e)
		bn -= code(e)
		if e&isEnd == isEnd {
			done = true
			break
		}
		length := value(e) + int(bb&(1<<extra(e)-1)) //nolint:gosec // few bits
		bb >>= extra(e)
		bn -= extra(e)
		d := dist[bb&distMask]
		if d&isEnd == isOther {
			d = dist[value(d)+int(bb>>distFirst&(1<<extra(d)-1))] //nolint:gosec // few bits
		}
		if code(d) == 0 {
			err = ErrCorrupt
			break
		}
		bb >>= code(d)
		bn -= code(d)
		distance := value(d) + 1 + int(bb&(1<<extra(d)-1)) //nolint:gosec // few bits
		bb >>= extra(d)
		bn -= extra(d)
		from := end - distance
		if from < floor {
			err = ErrCorrupt
			break
		}
		switch {
		case distance >= 8 && length <= 32:
			// Eight bytes at once, and some too many: there is room, and others will write there.
			to, src := out[end:end+40], out[from:from+40]
			for i := 0; i < length; i += 8 {
				binary.LittleEndian.PutUint64(to[i&31:], binary.LittleEndian.Uint64(src[i&31:]))
			}
		case distance >= length:
			copy(out[end:end+length], out[from:from+length])
		default:
			to, src := out[end:end+length], out[from:from+length]
			for i := range to {
				to[i] = src[i]
			}
		}
		end += length
	}
	// Whole bytes that were read ahead go back, but for those from before.
	back := min(int(bn>>3), ip-z.ip)
	ip -= back
	bn -= uint(back) * 8
	z.ip, z.bits, z.nbits, z.end = ip, bb&(1<<bn-1), bn, end
	if done {
		z.state = (*Reader).block
	}
	if err != nil {
		err = fmt.Errorf("data: %w", err)
	}
	return done, err
}
