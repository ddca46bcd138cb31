package quic

// MaxStream is how much of the handshake's stream is kept.
const MaxStream = 32 << 10

const maxSpans = 64

type span struct{ from, to int }

// Stream puts the pieces of the handshake in order; clients shuffle them.
type Stream struct {
	buf   []byte
	spans []span // ordered, apart from each other
}

// Cap is how many bytes the stream holds in memory.
func (s *Stream) Cap() int { return cap(s.buf) }

// Add keeps a piece, unless it is out of bounds.
func (s *Stream) Add(c Crypto) bool {
	if c.Offset > MaxStream || int(c.Offset)+len(c.Data) > MaxStream {
		return false
	}
	from, to := int(c.Offset), int(c.Offset)+len(c.Data)
	if to > len(s.buf) {
		s.buf = append(s.buf, make([]byte, to-len(s.buf))...)
	}
	copy(s.buf[from:], c.Data)
	merged := span{from, to}
	kept := s.spans[:0:0]
	placed := false
	for _, have := range s.spans {
		switch {
		case have.to < merged.from:
			kept = append(kept, have)
		case have.from > merged.to:
			if !placed {
				kept, placed = append(kept, merged), true
			}
			kept = append(kept, have)
		default:
			merged = span{min(have.from, merged.from), max(have.to, merged.to)}
		}
	}
	if !placed {
		kept = append(kept, merged)
	}
	if len(kept) > maxSpans {
		return false
	}
	s.spans = kept
	return true
}

// Message returns the handshake message that the stream begins with, or nil
// while it is not there as a whole.
func (s *Stream) Message() (kind byte, body []byte) {
	if len(s.spans) == 0 || s.spans[0].from != 0 || s.spans[0].to < 4 {
		return 0, nil
	}
	n := int(s.buf[1])<<16 | int(s.buf[2])<<8 | int(s.buf[3])
	if s.spans[0].to < 4+n {
		return 0, nil
	}
	return s.buf[0], s.buf[4 : 4+n]
}
