package flow

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxElement bounds one element of a JSON document that is held in memory.
	maxElement = 16 << 20
	// maxDepth bounds how deep a value that we skip may be nested.
	maxDepth = 100
)

// errShort tells that the bytes at hand end within the value.
var errShort = errors.New("unexpected end")

// cursor reads JSON from bytes at hand. It allocates nothing. Objects of flow
// logs are read with it rather than into structs, as rows are made of them on
// the way and a document may be larger than memory.
type cursor struct {
	b []byte
	i int
}

func (c *cursor) space() {
	for c.i < len(c.b) && c.b[c.i] <= ' ' && (c.b[c.i] == ' ' || c.b[c.i] == '\n' || c.b[c.i] == '\t' || c.b[c.i] == '\r') {
		c.i++
	}
}

// peek returns the next byte that is not white space.
func (c *cursor) peek() (byte, error) {
	c.space()
	if c.i >= len(c.b) {
		return 0, errShort
	}
	return c.b[c.i], nil
}

// expect reads one byte.
func (c *cursor) expect(want byte) error {
	got, err := c.peek()
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%q where %q should be", got, want)
	}
	c.i++
	return nil
}

// more tells whether another element follows in an array or object that ends
// with end, and reads the comma, or end. first is set for the first element.
func (c *cursor) more(end byte, first bool) (bool, error) {
	got, err := c.peek()
	switch {
	case err != nil:
		return false, err
	case got == end:
		c.i++
		return false, nil
	case first:
		return true, nil
	case got != ',':
		return false, fmt.Errorf("%q where a comma should be", got)
	}
	c.i++
	if got, err = c.peek(); err == nil && got == end {
		return false, fmt.Errorf("%q after a comma", got)
	}
	return err == nil, err
}

// key reads a name and its colon.
func (c *cursor) key() ([]byte, error) {
	name, err := c.str()
	if err != nil {
		return nil, err
	}
	return name, c.expect(':')
}

// str reads a string. The bytes are only good until the next read.
func (c *cursor) str() ([]byte, error) {
	if err := c.expect('"'); err != nil {
		return nil, err
	}
	start, escaped := c.i, false
	for c.i < len(c.b) {
		switch b := c.b[c.i]; {
		case b == '"':
			raw := c.b[start:c.i]
			c.i++
			if escaped {
				return unescape(raw)
			}
			return raw, nil
		case b == '\\':
			escaped = true
			c.i++
		case b < ' ':
			return nil, fmt.Errorf("byte %#x in a string", b)
		}
		c.i++
	}
	return nil, errShort
}

// unescape is for the rare strings that need it.
func unescape(raw []byte) ([]byte, error) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			continue
		}
		i++
		switch raw[i] {
		case '"', '\\', '/':
			out = append(out, raw[i])
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			if i+4 >= len(raw) {
				return nil, fmt.Errorf("escape %q is cut off", excerpt(raw[i-1:]))
			}
			n, err := strconv.ParseUint(string(raw[i+1:i+5]), 16, 16)
			if err != nil {
				return nil, fmt.Errorf("escape %q", excerpt(raw[i-1:]))
			}
			out = utf8.AppendRune(out, rune(n)) // of surrogates this makes U+FFFD
			i += 4
		default:
			return nil, fmt.Errorf("escape %q", excerpt(raw[i-1:]))
		}
	}
	return out, nil
}

// scalar reads a string, number, true, false or null as its bytes; quoted tells a string.
func (c *cursor) scalar() (value []byte, quoted bool, err error) {
	first, err := c.peek()
	if err != nil {
		return nil, false, err
	}
	if first == '"' {
		value, err = c.str()
		return value, true, err
	}
	start := c.i
	for c.i < len(c.b) {
		switch b := c.b[c.i]; {
		case b == ',' || b == '}' || b == ']' || b <= ' ':
			if c.i == start {
				return nil, false, fmt.Errorf("%q where a value should be", b)
			}
			return c.b[start:c.i], false, checkLiteral(c.b[start:c.i])
		case b == '{' || b == '[' || b == '"' || b == ':':
			return nil, false, fmt.Errorf("%q in or instead of a value", b)
		}
		c.i++
	}
	return nil, false, errShort
}

// checkLiteral accepts numbers, true, false, null.
func checkLiteral(b []byte) error {
	if b[0] == '-' || b[0]-'0' <= 9 {
		for _, c := range b[1:] {
			if c-'0' > 9 && c != '.' && c != 'e' && c != 'E' && c != '+' && c != '-' {
				return fmt.Errorf("%q is not a number", excerpt(b))
			}
		}
		return nil
	}
	switch string(b) {
	case "true", "false", "null":
		return nil
	}
	return fmt.Errorf("%q is not a JSON value", excerpt(b))
}

// skip reads any value.
func (c *cursor) skip() error { return c.skipDeep(0) }

func (c *cursor) skipDeep(depth int) error {
	first, err := c.peek()
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	if first != '{' && first != '[' {
		_, _, err = c.scalar()
		return err
	}
	c.i++
	end := first + 2 // } and ] come two after { and [
	for more, err := c.more(end, true); ; more, err = c.more(end, false) {
		if err != nil || !more {
			return err
		}
		if first == '{' {
			if _, err := c.key(); err != nil {
				return err
			}
		}
		if err := c.skipDeep(depth + 1); err != nil {
			return err
		}
	}
}

// scanner feeds a cursor from a reader, element by element.
type scanner struct {
	r      io.Reader
	c      cursor
	before int64 // bytes of the document before c.b
	buf    []byte
	eof    bool
}

// scanBytes is what a scanner reads at once.
const scanBytes = 256 << 10

func newScanner(r io.Reader, buf []byte) *scanner { return &scanner{r: r, buf: buf[:0]} }

// offset of the next byte in the document.
func (s *scanner) offset() int64 { return s.before + int64(s.c.i) }

// step lets f read one element; f is called again from the element's beginning
// if the bytes at hand were too few, so it must not do what it cannot do twice.
func (s *scanner) step(f func(c *cursor) error) error {
	for {
		start := s.c.i
		err := f(&s.c)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errShort) {
			if s.eof || s.c.i < len(s.c.b) {
				return fmt.Errorf("byte %d: %w", s.offset(), err)
			}
		}
		s.c.i = start
		if s.eof {
			return fmt.Errorf("byte %d: cut off: %w", s.before+int64(len(s.c.b)), io.ErrUnexpectedEOF)
		}
		if err := s.fill(); err != nil {
			return err
		}
	}
}

// fill moves what is unread to the front and reads more behind it.
func (s *scanner) fill() error {
	rest := len(s.c.b) - s.c.i
	s.before += int64(s.c.i)
	copy(s.buf[:rest], s.c.b[s.c.i:])
	s.buf = s.buf[:rest]
	if rest == cap(s.buf) {
		if rest >= maxElement {
			return fmt.Errorf("byte %d: an element is larger than %d bytes", s.before, maxElement)
		}
		s.buf = append(make([]byte, 0, 2*cap(s.buf)), s.buf...)
	}
	for tries := 0; ; tries++ {
		n, err := s.r.Read(s.buf[rest:cap(s.buf)])
		s.buf = s.buf[:rest+n]
		s.c = cursor{b: s.buf}
		if errors.Is(err, io.EOF) {
			s.eof = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("byte %d: %w", s.before+int64(rest+n), err)
		}
		if n > 0 {
			return nil
		}
		if tries > 100 {
			return io.ErrNoProgress
		}
	}
}

// end tells whether only white space is left.
func (s *scanner) end() (bool, error) {
	for {
		_, err := s.c.peek()
		if err == nil {
			return false, nil
		}
		if s.eof {
			return true, nil
		}
		if err := s.fill(); err != nil {
			return false, err
		}
	}
}

// valid is outside text as it may stand in the lake: UTF-8, not endless.
func valid(b []byte) string {
	return strings.ToValidUTF8(string(b[:min(len(b), maxText)]), "\uFFFD")
}
