package columnar

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// entries is how many values the column has of so many rows, missing ones included.
func (c *column) entries(rows int) int {
	if c.list {
		return len(c.repeats)
	}
	return rows
}

// appendDictionary adds what is numbered.
func (c *column) appendDictionary(dst []byte) []byte {
	if c.constant() {
		return c.appendNumbers(dst, c.numbers[:1])
	}
	return c.appendNumbers(appendTexts(dst, c.texts.values), c.ints.values)
}

func appendTexts(dst []byte, values []string) []byte {
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(v))) //nolint:gosec // texts are bounded by their makers
		dst = append(dst, v...)
	}
	return dst
}

func (c *column) appendNumbers(dst []byte, values []int64) []byte {
	if c.physical == format.Int32 {
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(v)) //nolint:gosec // it was one of 32 bits
		}
		return dst
	}
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(v)) //nolint:gosec // bits
	}
	return dst
}

// appendPage adds the next n rows as a page, and says how many entries they are.
func (c *column) appendPage(dst []byte, n int) (page []byte, entries int, err error) {
	end := c.entry + n
	if c.list {
		for end = c.entry; end < len(c.repeats) && (n > 0 || c.repeats[end] == 1); end++ {
			if c.repeats[end] == 0 {
				n--
			}
		}
		if dst, err = c.appendLevels(dst, c.repeats[c.entry:end]); err != nil {
			return nil, 0, err
		}
	}
	last := c.value + end - c.entry
	if c.optional || c.list {
		levels := c.levels[c.entry:end]
		if c.nulls > 0 {
			last = c.value
			for _, l := range levels {
				last += int(l)
			}
		}
		if dst, err = c.appendLevels(dst, levels); err != nil {
			return nil, 0, err
		}
	}
	dst, err = c.appendValues(dst, c.value, last)
	entries = end - c.entry
	c.entry, c.value = end, last
	return dst, entries, err
}

func (c *column) appendValues(dst []byte, first, last int) ([]byte, error) {
	switch {
	case c.constant():
		return binary.AppendUvarint(append(dst, 0), uint64(last-first)<<1), nil //nolint:gosec // a run of the one value, in no bits
	case c.dictionary():
		width := bits.Len(uint(max(c.distinct()-1, 0)))
		dst = append(dst, byte(width)) //nolint:gosec // at most 32
		e := rle.Encoding{BitWidth: width}
		var err error
		c.packed, err = e.EncodeInt32(c.packed, c.index[first:last])
		return append(dst, c.packed...), err
	case c.source == text:
		return appendTexts(dst, c.plain[first:last]), nil
	case c.physical == format.Boolean:
		var b byte
		for i, v := range c.numbers[first:last] {
			b |= byte(v) << (i % 8) //nolint:gosec // 0 or 1
			if i%8 == 7 {
				dst, b = append(dst, b), 0
			}
		}
		if (last-first)%8 > 0 {
			dst = append(dst, b)
		}
		return dst, nil
	case c.form == format.Plain:
		return c.appendNumbers(dst, c.numbers[first:last]), nil
	}
	var e delta.BinaryPackedEncoding
	var err error
	if c.physical == format.Int64 {
		c.packed, err = e.EncodeInt64(c.packed, c.numbers[first:last])
		return append(dst, c.packed...), err
	}
	c.narrow = c.narrow[:0]
	for _, v := range c.numbers[first:last] {
		c.narrow = append(c.narrow, int32(v)) //nolint:gosec // it was one of 32 bits
	}
	c.packed, err = e.EncodeInt32(c.packed, c.narrow)
	return append(dst, c.packed...), err
}

// appendLevels adds levels of one bit.
func (c *column) appendLevels(dst, levels []byte) ([]byte, error) {
	if n := len(levels); n > 0 && allSame(levels) {
		run := binary.AppendUvarint(make([]byte, 0, 8), uint64(n)<<1)
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(run)+1)) //nolint:gosec // some bytes
		return append(append(dst, run...), levels[0]), nil
	}
	e := rle.Encoding{BitWidth: 1}
	var err error
	c.packed, err = e.EncodeLevels(c.packed, levels)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(c.packed))) //nolint:gosec // at most the levels
	return append(dst, c.packed...), err
}

func allSame(levels []byte) bool {
	for _, l := range levels {
		if l != levels[0] {
			return false
		}
	}
	return true
}

// statistics are the bounds by which readers leave row groups out.
func (c *column) statistics() format.Statistics {
	s := format.Statistics{NullCount: int64(c.nulls)}
	switch {
	case c.source == text:
		values := c.texts.values
		if c.bare > 0 {
			values = c.plain
		}
		if len(values) == 0 {
			return s
		}
		low, high := slices.Min(values), slices.Max(values)
		if len(low) > maxBound || len(high) > maxBound {
			return s
		}
		s.MinValue, s.MaxValue = []byte(low), []byte(high)
		return s
	case c.form == format.RLEDictionary:
		for _, v := range c.ints.values {
			c.low, c.high = min(c.low, v^c.bias), max(c.high, v^c.bias)
		}
	}
	if c.low > c.high {
		return s
	}
	if c.physical == format.Boolean {
		s.MinValue, s.MaxValue = []byte{byte(c.low)}, []byte{byte(c.high)} //nolint:gosec // 0 or 1
		return s
	}
	s.MinValue, s.MaxValue = c.appendNumbers(nil, []int64{c.low ^ c.bias}), c.appendNumbers(nil, []int64{c.high ^ c.bias})
	return s
}

// encodings lists, in their order, what a column's pages are made of.
func encodings(c *column) (list thrift.Slice[format.Encoding]) {
	list = append(list, c.encoding())
	if c.dictionary() {
		list = append(list, format.Plain)
	}
	if c.optional || c.list {
		list = append(list, format.RLE)
	}
	slices.Sort(list)
	return list
}
