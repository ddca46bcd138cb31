package columnar

import (
	"encoding/binary"
	"math/bits"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/format"
)

// source is what a field is in memory.
type source uint8

const (
	text   source = iota
	wide          // int64
	narrow        // int32
	truth         // bool
	widePointer
	narrowPointer
	truthPointer
)

// column is one column of the row group under way.
type column struct {
	name     string
	offset   uintptr
	source   source
	physical format.Type
	optional bool
	form     format.Encoding // Plain, DeltaBinaryPacked or RLEDictionary

	nulls   int
	levels  []byte  // of each row: 0 null, 1 not; only of an optional column
	present []int32 // how many values come before each page, for columns with nulls
	numbers []int64 // values, unless they are in a dictionary
	index   []int32 // values' places in the dictionary
	texts   dictionary[string]
	near    []near // texts by their address
	ints    dictionary[int64]
	low     int64 // of numbers
	high    int64
	narrow  []int32 // scratch
	packed  []byte  // scratch
}

func newColumn(s reflect.StructField, f parquet.Field) (column, bool) {
	c := column{name: f.Name(), offset: s.Offset, optional: f.Optional(), form: format.Plain}
	tag, _, _ := strings.Cut(s.Tag.Get("parquet"), ",")
	if !f.Leaf() || f.Repeated() || s.Anonymous || tag != f.Name() {
		return c, false
	}
	if e := f.Encoding(); e != nil {
		c.form = e.Encoding()
	}
	typ, pointer := s.Type, source(0)
	if typ.Kind() == reflect.Pointer {
		if !c.optional {
			return c, false
		}
		typ, pointer = typ.Elem(), widePointer-wide
	}
	switch typ.Kind() {
	case reflect.String:
		c.source, c.physical, c.form = text, format.ByteArray, format.RLEDictionary
		if pointer != 0 {
			return c, false
		}
		c.near = make([]near, nears)
	case reflect.Int64:
		c.source, c.physical = wide+pointer, format.Int64
	case reflect.Int32:
		c.source, c.physical = narrow+pointer, format.Int32
	case reflect.Bool:
		c.source, c.physical, c.form = truth+pointer, format.Boolean, format.Plain
		if pointer == 0 && c.optional {
			return c, false
		}
	default:
		return c, false
	}
	if p := f.Type().PhysicalType(); p == nil || *p != c.physical {
		return c, false
	}
	if c.form != format.Plain && c.form != format.RLEDictionary && c.form != format.DeltaBinaryPacked {
		return c, false
	}
	c.reset()
	return c, true
}

func (c *column) encoding() format.Encoding { return c.form }
func (c *column) dictionary() bool          { return c.form == format.RLEDictionary }

// distinct is the number of values in the dictionary, or of all if there is none.
func (c *column) distinct() int {
	switch {
	case !c.dictionary():
		return len(c.numbers)
	case c.source == text:
		return len(c.texts.values)
	}
	return len(c.ints.values)
}

func (c *column) reset() {
	c.nulls = 0
	c.levels, c.numbers, c.index = c.levels[:0], c.numbers[:0], c.index[:0]
	c.low, c.high = 1<<63-1, -1<<63
	c.texts.reset()
	c.ints.reset()
	clear(c.near)
}

// take adds the column's values of some rows of a group.
func (c *column) take(rows []unsafe.Pointer, group int) {
	if c.optional {
		c.levels = room(c.levels, len(rows), group)
	}
	if c.dictionary() {
		c.index = room(c.index, len(rows), group)
	} else if len(c.numbers) > 0 || c.nulls == 0 { // a column of nulls needs none
		c.numbers = room(c.numbers, len(rows), group)
	}
	switch c.source {
	case text:
		c.takeText(rows)
	case wide:
		for _, r := range rows {
			v := *(*int64)(unsafe.Add(r, c.offset))
			c.number(v, c.optional && v == 0)
		}
	case narrow:
		for _, r := range rows {
			v := *(*int32)(unsafe.Add(r, c.offset))
			c.number(int64(v), c.optional && v == 0)
		}
	case truth:
		for _, r := range rows {
			c.number(int64(*(*byte)(unsafe.Add(r, c.offset))), false)
		}
	case widePointer:
		for _, r := range rows {
			if p := *(**int64)(unsafe.Add(r, c.offset)); p != nil {
				c.number(*p, false)
			} else {
				c.number(0, true)
			}
		}
	case narrowPointer:
		for _, r := range rows {
			if p := *(**int32)(unsafe.Add(r, c.offset)); p != nil {
				c.number(int64(*p), false)
			} else {
				c.number(0, true)
			}
		}
	case truthPointer:
		for _, r := range rows {
			if p := *(**byte)(unsafe.Add(r, c.offset)); p != nil {
				c.number(int64(*p), false)
			} else {
				c.number(0, true)
			}
		}
	}
}

// room sees that n more fit, and makes it for all at once.
func room[E any](s []E, n, all int) []E {
	if cap(s)-len(s) >= n {
		return s
	}
	return append(make([]E, 0, max(all, len(s)+n)), s...)
}

func (c *column) number(v int64, null bool) {
	if null {
		c.nulls++
		c.levels = append(c.levels, 0)
		return
	}
	if c.optional {
		c.levels = append(c.levels, 1)
	}
	if c.form != format.RLEDictionary {
		c.numbers = append(c.numbers, v)
		c.low, c.high = min(c.low, v), max(c.high, v)
		return
	}
	d := &c.ints
	if v != d.last || len(d.values) == 0 {
		d.last, d.lastAt = v, d.find(v)
	}
	c.index = append(c.index, d.lastAt)
}

func (c *column) takeText(rows []unsafe.Pointer) {
	d := &c.texts
	for _, r := range rows {
		s := *(*string)(unsafe.Add(r, c.offset))
		if c.optional {
			if s == "" {
				c.nulls++
				c.levels = append(c.levels, 0)
				continue
			}
			c.levels = append(c.levels, 1)
		}
		// Equal texts are mostly one text: then a look at the address will do.
		if !same(s, d.last) || len(d.values) == 0 {
			slot := &c.near[(uintptr(unsafe.Pointer(unsafe.StringData(s)))>>4^uintptr(len(s)))%uintptr(len(c.near))] //nolint:gosec // an address as a hash
			if slot.value == "" || !same(s, slot.value) {
				slot.value, slot.at = s, d.find(s)
			}
			d.last, d.lastAt = s, slot.at
		}
		c.index = append(c.index, d.lastAt)
	}
}

// same tells whether two texts are one in memory.
func same(a, b string) bool {
	return len(a) == len(b) && unsafe.StringData(a) == unsafe.StringData(b) //nolint:gosec // compared, not read
}

// near is a text and its place in the dictionary. It holds the text, so the address stays its own.
type near struct {
	value string
	at    int32
}

// nears is how many texts are found by their address: as many as a subnet has hosts, and some.
const nears = 1024

// dictionary numbers the values of a column in the order in which they come.
type dictionary[V comparable] struct {
	known  map[V]int32
	values []V
	last   V
	lastAt int32
}

func (d *dictionary[V]) reset() {
	if d.known == nil {
		d.known = map[V]int32{}
	} else {
		clear(d.known)
	}
	clear(d.values)
	d.values = d.values[:0]
	var none V
	d.last = none
}

func (d *dictionary[V]) find(v V) int32 {
	at, ok := d.known[v]
	if !ok {
		at = int32(len(d.values)) //nolint:gosec // at most the rows of a group
		d.known[v] = at
		d.values = append(d.values, v)
	}
	return at
}

func (c *column) appendDictionary(dst []byte) []byte {
	for _, v := range c.texts.values {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(v))) //nolint:gosec // texts are bounded by their makers
		dst = append(dst, v...)
	}
	return c.appendPlain(dst, c.ints.values)
}

func (c *column) appendPlain(dst []byte, values []int64) []byte {
	if c.physical == format.Int32 {
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(v)) //nolint:gosec // it was an int32
		}
		return dst
	}
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(v)) //nolint:gosec // bits
	}
	return dst
}

// appendPage adds n rows from the one at at. Pages are asked for in order.
func (c *column) appendPage(dst []byte, at, n, rows int) ([]byte, error) {
	first, last := at, at+n // of the values
	if c.optional {
		var err error
		if dst, err = c.appendLevels(dst, at, n, rows); err != nil {
			return nil, err
		}
		if c.nulls > 0 {
			if at == 0 {
				c.present = append(c.present[:0], 0)
			}
			first = int(c.present[len(c.present)-1])
			last = first
			for _, l := range c.levels[at : at+n] {
				last += int(l)
			}
			c.present = append(c.present, int32(last)) //nolint:gosec // at most rows
		}
	}
	switch {
	case c.dictionary():
		width := bits.Len(uint(max(c.distinct()-1, 0)))
		dst = append(dst, byte(width)) //nolint:gosec // at most 32
		e := rle.Encoding{BitWidth: width}
		var err error
		c.packed, err = e.EncodeInt32(c.packed, c.index[first:last])
		return append(dst, c.packed...), err
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
		return c.appendPlain(dst, c.numbers[first:last]), nil
	}
	var e delta.BinaryPackedEncoding
	var err error
	if c.physical == format.Int64 {
		c.packed, err = e.EncodeInt64(c.packed, c.numbers[first:last])
		return append(dst, c.packed...), err
	}
	c.narrow = c.narrow[:0]
	for _, v := range c.numbers[first:last] {
		c.narrow = append(c.narrow, int32(v)) //nolint:gosec // it was one
	}
	c.packed, err = e.EncodeInt32(c.packed, c.narrow)
	return append(dst, c.packed...), err
}

// appendLevels says which rows are null.
func (c *column) appendLevels(dst []byte, at, n, rows int) ([]byte, error) {
	if c.nulls == 0 || c.nulls == rows {
		level := byte(1)
		if c.nulls > 0 {
			level = 0
		}
		run := binary.AppendUvarint(make([]byte, 0, 8), uint64(n)<<1)   //nolint:gosec // positive
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(run)+1)) //nolint:gosec // some bytes
		return append(append(dst, run...), level), nil
	}
	e := rle.Encoding{BitWidth: 1}
	var err error
	c.packed, err = e.EncodeLevels(c.packed, c.levels[at:at+n])
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(c.packed))) //nolint:gosec // at most rows
	return append(dst, c.packed...), err
}

// statistics are the bounds by which readers leave row groups out.
func (c *column) statistics() format.Statistics {
	s := format.Statistics{NullCount: int64(c.nulls)}
	switch {
	case c.source == text:
		if len(c.texts.values) == 0 {
			return s
		}
		low, high := slices.Min(c.texts.values), slices.Max(c.texts.values)
		if len(low) > maxBound || len(high) > maxBound {
			return s
		}
		s.MinValue, s.MaxValue = []byte(low), []byte(high)
		return s
	case c.dictionary():
		if len(c.ints.values) == 0 {
			return s
		}
		c.low, c.high = slices.Min(c.ints.values), slices.Max(c.ints.values)
	case len(c.numbers) == 0:
		return s
	}
	if c.physical == format.Boolean {
		s.MinValue, s.MaxValue = []byte{byte(c.low)}, []byte{byte(c.high)} //nolint:gosec // 0 or 1
		return s
	}
	s.MinValue, s.MaxValue = c.appendPlain(nil, []int64{c.low}), c.appendPlain(nil, []int64{c.high})
	return s
}
