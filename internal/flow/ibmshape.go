package flow

import (
	"bytes"
	"encoding/binary"
)

// shape is how the flows of an object are written (and, mostly, those of the next): all have the same names in
// the same order, with the same white space between them. A flow of the shape is
// read without looking for where things are; any other goes the usual way, which
// also finds the words for what is wrong with it.
type shape struct {
	fields  []shapeField
	end     string // behind the last value
	tries   int    // how often one was learned: flows may be written in turns
	misses  int    // flows in a row that are not of it
	hours   [ibmConnection + 1]hourPrefix
	scratch []shapeField // of the flow under way
}

// shapeField is one value and all that stands before it since the last one.
type shapeField struct {
	before string
	field  int
}

const (
	// maxShapes is how many shapes of an object are learned.
	maxShapes = 16
	// maxBefore bounds what is remembered of what stands before a value.
	maxBefore = 1 << 10
	// maxMisses is after how many flows that are not of the shape it is given up.
	maxMisses = 64
)

// hourPrefix is the beginning of a time in quotes up to its hour, and what it means.
type hourPrefix struct {
	a, b  uint64 // its 15 bytes, overlapping
	at    Time
	valid bool
	y, m  int32
	d, h  int32
}

// hourText is how much of a quoted time says the hour: `"2026-08-20T01:`.
const hourText = 15

// learn begins to note how a flow is written, which is not as the shape says.
func (s *shape) learn() bool {
	s.scratch = s.scratch[:0]
	if s.misses++; s.misses > maxMisses {
		s.fields, s.tries = nil, maxShapes
	}
	return s.tries < maxShapes
}

// note adds what stands before a value.
func (s *shape) note(before []byte, field int) {
	s.scratch = append(s.scratch, shapeField{string(before), field})
}

// learned ends it: the next flow is expected to be like this one.
func (s *shape) learned(end []byte) {
	s.fields, s.scratch = s.scratch, s.fields
	s.end = string(end)
	s.tries++
}

// quick reads a flow of the shape known. If it is not of it, quick says false,
// and neither the row nor the cursor can be relied on.
func (d *decoder) quick(c *cursor, r *Record) bool {
	s := &d.kit.shape
	if len(s.fields) == 0 {
		return false
	}
	for i := range s.fields {
		f := &s.fields[i]
		if len(c.b)-c.i < len(f.before) || string(c.b[c.i:c.i+len(f.before)]) != f.before {
			return false
		}
		c.i += len(f.before)
		if !d.quickField(c, r, f.field) {
			return false
		}
	}
	if len(c.b)-c.i < len(s.end) || string(c.b[c.i:c.i+len(s.end)]) != s.end || r.StartTime == 0 {
		return false
	}
	c.i += len(s.end)
	s.misses = 0
	return true
}

func (d *decoder) quickField(c *cursor, r *Record, field int) bool {
	switch field {
	case ibmStart:
		p, t := d.kit.shape.time(c, ibmStart)
		if p == nil || plausible(t) != nil {
			return false
		}
		r.StartTime, r.Year, r.Month, r.Day, r.Hour = t, p.y, p.m, p.d, p.h
		return true
	case ibmEnd:
		p, t := d.kit.shape.time(c, ibmEnd)
		r.EndTime = t
		return p != nil
	case ibmConnection:
		p, t := d.kit.shape.time(c, ibmConnection)
		r.ConnectionStartTime = t
		return p != nil
	case ibmDirection:
		switch {
		case c.next(`"I"`):
			r.Direction = Inbound
		case c.next(`"O"`):
			r.Direction = Outbound
		default:
			return false
		}
		return true
	case ibmAction:
		switch {
		case c.next(`"accepted"`):
			r.Action = Accepted
		case c.next(`"rejected"`):
			r.Action = Rejected
		default:
			return false
		}
		return true
	case ibmInitiatorIP:
		r.InitiatorIP = d.quickIP(c)
		return r.InitiatorIP != ""
	case ibmTargetIP:
		r.TargetIP = d.quickIP(c)
		return r.TargetIP != ""
	case ibmEtherType:
		r.EtherType = "IPv4"
		return c.next(`"IPv4"`)
	case ibmInitiated, ibmTerminated:
		to := &r.WasInitiated
		if field == ibmTerminated {
			to = &r.WasTerminated
		}
		switch {
		case c.next("true"):
			*to = d.batch.bool(true)
		case c.next("false"):
			*to = d.batch.bool(false)
		default:
			return false
		}
		return true
	case ibmOther:
		_, _, err := c.scalar()
		return err == nil
	}
	return d.quickNumber(c, r, field)
}

func (d *decoder) quickNumber(c *cursor, r *Record, field int) bool {
	rest := c.b[c.i:]
	var n int64
	digits := 0
	for ; digits < len(rest) && rest[digits]-'0' <= 9; digits++ {
		n = n*10 + int64(rest[digits]-'0')
	}
	// More digits may not fit; none are the other way's to explain.
	if digits == 0 || digits > 18 {
		return false
	}
	c.i += digits
	return d.ibmSet(r, field, n) == nil
}

func (d *decoder) quickIP(c *cursor) string {
	if c.i >= len(c.b) || c.b[c.i] != '"' {
		return ""
	}
	at := c.i + 1
	n, addr := leadingIPv4(c.b[at:])
	if n == 0 || at+n >= len(c.b) || c.b[at+n] != '"' {
		return ""
	}
	c.i = at + n + 1
	return d.strings.ipv4(addr, c.b[at:at+n])
}

// time reads a quoted time in UTC. Without a prefix it is not one, or not one written as usual.
func (s *shape) time(c *cursor, field int) (*hourPrefix, Time) {
	b := c.b[c.i:]
	const whole = len(`"2026-08-20T01:02:03Z"`)
	if len(b) < whole+8 {
		return nil, 0
	}
	p := &s.hours[field]
	if x, y := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[hourText-8:]); !p.valid || x != p.a || y != p.b {
		if !p.set(b[:hourText]) {
			return nil, 0
		}
		p.a, p.b, p.valid = x, y, true
	}
	m1, m2, s1, s2 := b[15]-'0', b[16]-'0', b[18]-'0', b[19]-'0'
	if m1 > 5 || m2 > 9 || b[17] != ':' || s1 > 5 || s2 > 9 {
		return nil, 0
	}
	t := p.at + (Time(m1)*600+Time(m2)*60+Time(s1)*10+Time(s2))*1e6
	i := 20
	if b[i] == '.' {
		i++
		unit := Time(100_000)
		for ; unit > 0 && b[i]-'0' <= 9; i++ {
			t += Time(b[i]-'0') * unit
			unit /= 10
		}
		if i == 21 {
			return nil, 0
		}
	}
	if b[i] == 'Z' { // without a zone it is UTC, too
		i++
	}
	if b[i] != '"' {
		return nil, 0
	}
	c.i += i + 1
	return p, t
}

// set finds out what hour a text such as `"2026-08-20T01:` means.
func (p *hourPrefix) set(text []byte) bool {
	if text[0] != '"' {
		return false
	}
	t, err := parseTime(append(bytes.Clone(text[1:]), "00:00Z"...))
	if err != nil {
		p.valid = false
		return false
	}
	var r Record
	r.SetStart(t)
	p.at, p.y, p.m, p.d, p.h = t, r.Year, r.Month, r.Day, r.Hour
	return true
}

// next reads a text if it is there.
func (c *cursor) next(text string) bool {
	if len(c.b)-c.i < len(text) || string(c.b[c.i:c.i+len(text)]) != text {
		return false
	}
	c.i += len(text)
	return true
}
