// Package dns reads DNS messages as they are on the wire: those of RFC 1035,
// of multicast DNS (RFC 6762) and of LLMNR (RFC 4795), with EDNS (RFC 6891).
//
// A message is a stranger's. Names are bounded by their 255 octets, a
// compression pointer must point backwards, and of the resources only the
// first ones are kept as text, so that the memory of a message is bounded.
package dns

import (
	"encoding/binary"
	"errors"
)

// Bounds of what is kept of a message.
const (
	maxQuestions = 8
	maxResources = 64  // kept of each section
	maxText      = 512 // bytes of the text of one resource's data
)

// What is wrong with a message.
var (
	ErrShort   = errors.New("message ends too early")
	ErrName    = errors.New("name is not well formed")
	ErrPointer = errors.New("name points forward or to itself")
)

// Message is one message. Parse fills it.
type Message struct {
	ID                 uint16
	Response           bool
	Opcode             uint8
	Authoritative      bool
	Truncated          bool
	RecursionDesired   bool
	RecursionAvailable bool
	AuthenticData      bool
	CheckingDisabled   bool
	Rcode              uint16 // with EDNS' upper bits
	EDNS               bool
	UDPSize            uint16 // of EDNS

	Questions                         []Question
	Answers, Authorities, Additionals []Resource
	Counts                            [4]uint16 // of the sections, as the header says
	Rest                              int       // bytes after the last resource
}

// Question is what is asked for. Name is in lower case, without the last dot
// but for the root, which is ".".
type Question struct {
	Name    string
	Type    Type
	Class   uint16
	Unicast bool // the answer may be for the asker alone (multicast DNS)
}

// Resource is a record of an answer. Data is its text as in a zone file.
type Resource struct {
	Name       string
	Type       Type
	Class      uint16
	CacheFlush bool // multicast DNS
	TTL        uint32
	Data       string
}

// HeaderLen is the least a message has.
const HeaderLen = 12

// Parse reads b into m and reuses what m holds. An error leaves in m what came before it.
func Parse(b []byte, m *Message) error {
	*m = Message{
		Questions: m.Questions[:0], Answers: m.Answers[:0],
		Authorities: m.Authorities[:0], Additionals: m.Additionals[:0],
	}
	if len(b) < HeaderLen {
		return ErrShort
	}
	flags := binary.BigEndian.Uint16(b[2:])
	m.ID = binary.BigEndian.Uint16(b)
	m.Response, m.Opcode = flags&0x8000 != 0, uint8(flags>>11&15)
	m.Authoritative, m.Truncated = flags&0x400 != 0, flags&0x200 != 0
	m.RecursionDesired, m.RecursionAvailable = flags&0x100 != 0, flags&0x80 != 0
	m.AuthenticData, m.CheckingDisabled = flags&0x20 != 0, flags&0x10 != 0
	m.Rcode = flags & 15
	for i := range m.Counts {
		m.Counts[i] = binary.BigEndian.Uint16(b[4+2*i:])
	}
	r := reader{msg: b, at: HeaderLen}
	for i := range int(m.Counts[0]) {
		q, err := r.question(i < maxQuestions)
		if err != nil {
			return err
		}
		if i < maxQuestions {
			m.Questions = append(m.Questions, q)
		}
	}
	for s, list := range []*[]Resource{&m.Answers, &m.Authorities, &m.Additionals} {
		for range int(m.Counts[s+1]) {
			keep := len(*list) < maxResources
			rr, ttl, err := r.resource(keep)
			if err != nil {
				return err
			}
			if rr.Type == TypeOPT {
				m.EDNS, m.UDPSize = true, rr.Class
				m.Rcode |= uint16(ttl>>24) << 4
				continue
			}
			if keep {
				*list = append(*list, rr)
			}
		}
	}
	m.Rest = len(b) - r.at
	return nil
}

// reader goes through a message.
type reader struct {
	msg  []byte
	at   int
	name [4 * 256]byte // a name's text: an octet is four characters at most
}

func (r *reader) question(keep bool) (q Question, err error) {
	if q.Name, err = r.readName(keep); err != nil {
		return q, err
	}
	if len(r.msg)-r.at < 4 {
		return q, ErrShort
	}
	class := binary.BigEndian.Uint16(r.msg[r.at+2:])
	q.Type, q.Class, q.Unicast = Type(binary.BigEndian.Uint16(r.msg[r.at:])), class&0x7fff, class&0x8000 != 0
	r.at += 4
	return q, nil
}

func (r *reader) resource(keep bool) (rr Resource, ttl uint32, err error) {
	if rr.Name, err = r.readName(keep); err != nil {
		return rr, 0, err
	}
	if len(r.msg)-r.at < 10 {
		return rr, 0, ErrShort
	}
	h := r.msg[r.at:]
	rr.Type, rr.Class = Type(binary.BigEndian.Uint16(h)), binary.BigEndian.Uint16(h[2:])
	ttl = binary.BigEndian.Uint32(h[4:])
	n := int(binary.BigEndian.Uint16(h[8:]))
	r.at += 10
	if len(r.msg)-r.at < n {
		return rr, 0, ErrShort
	}
	end := r.at + n
	rr.TTL = ttl
	if rr.Type != TypeOPT {
		rr.CacheFlush = rr.Class&0x8000 != 0
		rr.Class &= 0x7fff
	}
	if keep && rr.Type != TypeOPT {
		rr.Data = r.data(rr.Type, end)
	}
	r.at = end
	return rr, ttl, nil
}

// readName reads the name at r.at and moves behind it.
func (r *reader) readName(keep bool) (string, error) {
	n, next, err := r.text(r.at)
	if err != nil {
		return "", err
	}
	r.at = next
	if !keep {
		return "", nil
	}
	return string(r.name[:n]), nil
}

// text writes the name at an offset to r.name. It returns its length and the offset behind it.
func (r *reader) text(at int) (n, next int, err error) {
	octets, limit := 1, at
	for {
		if at >= len(r.msg) {
			return 0, 0, ErrShort
		}
		c := int(r.msg[at])
		switch {
		case c == 0:
			if next == 0 {
				next = at + 1
			}
			if n == 0 {
				r.name[0], n = '.', 1
			}
			return n, next, nil
		case c&0xc0 == 0xc0:
			if at+1 >= len(r.msg) {
				return 0, 0, ErrShort
			}
			to := (c&0x3f)<<8 | int(r.msg[at+1])
			if next == 0 {
				next = at + 2
			}
			// Each jump goes before the last, so there are finitely many.
			if to >= limit || to < HeaderLen {
				return 0, 0, ErrPointer
			}
			at, limit = to, to
		case c&0xc0 != 0:
			return 0, 0, ErrName
		default:
			if octets += c + 1; octets > 255 {
				return 0, 0, ErrName
			}
			if at+1+c > len(r.msg) {
				return 0, 0, ErrShort
			}
			if n > 0 {
				r.name[n] = '.'
				n++
			}
			for _, ch := range r.msg[at+1 : at+1+c] {
				n += putChar(r.name[n:], ch, true)
			}
			at += 1 + c
		}
	}
}

// putChar writes one octet as a zone file does, RFC 1035 section 5.1, and returns how many characters it took.
func putChar(to []byte, c byte, name bool) int {
	switch {
	case c == '\\' || (name && c == '.') || (!name && c == '"'):
		to[0], to[1] = '\\', c
		return 2
	case name && c >= 'A' && c <= 'Z':
		to[0] = c + 'a' - 'A'
		return 1
	case c > ' ' && c < 0x7f, !name && c == ' ':
		to[0] = c
		return 1
	}
	to[0], to[1], to[2], to[3] = '\\', '0'+c/100, '0'+c/10%10, '0'+c%10
	return 4
}
