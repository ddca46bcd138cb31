package columnar

import (
	"slices"
	"time"
	"unsafe"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// column is one column of the row group under way.
type column struct {
	name     string
	path     thrift.Slice[string]
	offset   uintptr
	source   source
	physical format.Type
	optional bool
	pointer  bool  // nil is NULL; of other optional fields the zero value is
	list     bool  // each row has any number of values
	bias     int64 // brings numbers into their order: of unsigned ones the highest bit is not a sign
	form     format.Encoding
	free     bool // texts may be written without a dictionary

	nulls   int     // rows without a value
	levels  []byte  // of each entry: 0 no value, 1 one; of optional columns and lists only
	repeats []byte  // of each entry of a list: 0 begins a row
	numbers []int64 // values, unless they are in a dictionary
	index   []int32 // values' places in the dictionary
	texts   texts
	ints    dictionary[int64]
	plain   []string // texts without a dictionary
	bare    int      // for so many row groups texts have none
	low     int64    // of numbers, with bias
	high    int64

	entry  int // where the next page begins
	value  int
	narrow []int32 // scratch
	packed []byte  // scratch
}

const (
	// judged is how many texts come into the dictionary before it is asked whether it pays.
	judged = 512
	// bareGroups is how many row groups do without it then.
	bareGroups = 16
)

// dictionary tells whether the values are numbered. A single number is, too.
func (c *column) dictionary() bool {
	return c.form == format.RLEDictionary && c.bare == 0 || c.constant()
}

// constant tells that all values are the same number.
func (c *column) constant() bool {
	return len(c.numbers) > 0 && c.low == c.high && c.physical != format.Boolean
}

func (c *column) encoding() format.Encoding {
	switch {
	case c.dictionary():
		return format.RLEDictionary
	case c.source == text:
		return format.Plain
	}
	return c.form
}

// distinct is the number of values in the dictionary, or of all if there is none.
func (c *column) distinct() int {
	switch {
	case c.constant():
		return 1
	case c.source == text && c.bare > 0:
		return len(c.plain)
	case c.source == text:
		return len(c.texts.values)
	case c.dictionary():
		return len(c.ints.values)
	}
	return len(c.numbers)
}

func (c *column) reset() {
	c.nulls, c.entry, c.value = 0, 0, 0
	c.levels, c.repeats, c.numbers, c.index = c.levels[:0], c.repeats[:0], c.numbers[:0], c.index[:0]
	c.low, c.high = 1<<63-1, -1<<63
	c.texts.reset()
	c.ints.reset()
	clear(c.plain)
	c.plain, c.bare = c.plain[:0], max(c.bare-1, 0)
}

// take adds the column's values of some rows of a group.
func (c *column) take(rows []unsafe.Pointer, group int) {
	if c.optional || c.list {
		c.levels = room(c.levels, len(rows), group)
	}
	switch {
	case c.list && len(c.levels) == c.nulls: // many are all empty
	case c.form == format.RLEDictionary && c.bare > 0:
		c.plain = room(c.plain, len(rows), group)
	case c.form == format.RLEDictionary:
		c.index = room(c.index, len(rows), group)
	case len(c.numbers) > 0 || c.nulls == 0: // a column of nulls needs none
		c.numbers = room(c.numbers, len(rows), group)
	}
	switch c.source {
	case text:
		c.takeTexts(rows)
	case int64s:
		takeNumbers[int64](c, rows)
	case int32s:
		takeNumbers[int32](c, rows)
	case uint64s:
		takeNumbers[uint64](c, rows)
	case uint32s:
		takeNumbers[uint32](c, rows)
	case uint16s:
		takeNumbers[uint16](c, rows)
	case uint8s, bools:
		takeNumbers[uint8](c, rows)
	case millis, micros, nanos:
		for _, r := range rows {
			c.put(c.instant((*time.Time)(unsafe.Add(r, c.offset))))
		}
	}
}

// instant is a time as the file has it.
func (c *column) instant(t *time.Time) int64 {
	switch c.source {
	case millis:
		return t.UnixMilli()
	case micros:
		return t.UnixMicro()
	}
	return t.UnixNano()
}

// takeNumbers adds numbers, or numbers that are pointed to, or lists of numbers.
func takeNumbers[N int64 | int32 | uint64 | uint32 | uint16 | uint8](c *column, rows []unsafe.Pointer) {
	if c.list {
		for _, r := range rows {
			list := *(*[]N)(unsafe.Add(r, c.offset))
			c.begin(len(list))
			for _, v := range list {
				c.put(int64(v))
			}
		}
		return
	}
	// Most columns have a value in all rows or in none: only of the others each level is told.
	var scratch [chunk]int64
	values := scratch[:0]
	switch {
	case c.pointer:
		for _, r := range rows {
			if p := *(**N)(unsafe.Add(r, c.offset)); p != nil {
				values = append(values, int64(*p))
			}
		}
	case c.optional:
		for _, r := range rows {
			if v := *(*N)(unsafe.Add(r, c.offset)); v != 0 {
				values = append(values, int64(v))
			}
		}
	default:
		for _, r := range rows {
			values = append(values, int64(*(*N)(unsafe.Add(r, c.offset))))
		}
	}
	switch missing := len(rows) - len(values); {
	case !c.optional:
	case missing == 0:
		c.levels = fill(c.levels, 1, len(rows))
	case len(values) == 0:
		c.levels = fill(c.levels, 0, len(rows))
		c.nulls += missing
	default:
		c.nulls += missing
		for _, r := range rows {
			here := byte(0)
			if at := unsafe.Add(r, c.offset); c.pointer && *(**N)(at) != nil || !c.pointer && *(*N)(at) != 0 {
				here = 1
			}
			c.levels = append(c.levels, here)
		}
	}
	c.putAll(values)
}

// room sees that n more fit, and makes it for all at once.
func room[E any](s []E, n, all int) []E {
	if cap(s)-len(s) >= n {
		return s
	}
	return append(make([]E, 0, max(all, len(s)+n)), s...)
}

// begin tells that a row has so many values.
func (c *column) begin(n int) {
	c.repeats = append(c.repeats, 0)
	if n == 0 {
		c.nulls++
		c.levels = append(c.levels, 0)
		return
	}
	c.levels = append(c.levels, 1)
	for range n - 1 {
		c.repeats, c.levels = append(c.repeats, 1), append(c.levels, 1)
	}
}

// fill adds n times the same.
func fill[E byte | int32](s []E, v E, n int) []E {
	at := len(s)
	s = slices.Grow(s, n)[:at+n]
	for i := range s[at:] {
		s[at+i] = v
	}
	return s
}

// putAll adds values.
func (c *column) putAll(values []int64) {
	if c.form != format.RLEDictionary {
		c.numbers = append(c.numbers, values...)
		low, high := c.low, c.high
		for _, v := range values {
			low, high = min(low, v^c.bias), max(high, v^c.bias)
		}
		c.low, c.high = low, high
		return
	}
	d := &c.ints
	for _, v := range values {
		if v != d.last || len(d.values) == 0 {
			d.last, d.lastAt = v, d.find(v)
		}
		c.index = append(c.index, d.lastAt)
	}
}

// put adds a value.
func (c *column) put(v int64) { c.putAll([]int64{v}) }

func (c *column) takeTexts(rows []unsafe.Pointer) {
	if c.list {
		for _, r := range rows {
			list := *(*[]string)(unsafe.Add(r, c.offset))
			c.begin(len(list))
			for _, s := range list {
				c.putText(s, 1)
			}
		}
		return
	}
	for i := 0; i < len(rows); {
		s, first := *(*string)(unsafe.Add(rows[i], c.offset)), i
		for i++; i < len(rows) && same(*(*string)(unsafe.Add(rows[i], c.offset)), s); i++ {
		}
		if c.optional {
			if s == "" {
				c.nulls += i - first
				c.levels = fill(c.levels, 0, i-first)
				continue
			}
			c.levels = fill(c.levels, 1, i-first)
		}
		c.putText(s, i-first)
	}
}

// putText adds n times the same text.
func (c *column) putText(s string, n int) {
	if c.bare > 0 {
		for range n {
			c.plain = append(c.plain, s)
		}
		return
	}
	before := len(c.index)
	c.index = fill(c.index, c.texts.place(s), n)
	if c.free && before < judged && len(c.index) >= judged && c.unlike() {
		c.bare = bareGroups
		for _, at := range c.index {
			c.plain = append(c.plain, c.texts.values[at])
		}
		c.index = c.index[:0]
		c.texts.reset()
	}
}

// unlike tells that most texts are there once: numbering them costs and saves nothing.
func (c *column) unlike() bool { return len(c.texts.values) > len(c.index)*3/4 }
