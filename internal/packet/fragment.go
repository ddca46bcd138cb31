package packet

// Bounds of the fragments held: as many datagrams, of as many pieces, for as long.
const (
	maxDatagrams    = 256
	maxPieces       = 64
	maxDatagram     = 65535
	fragmentTimeout = 30e9
)

type fragmentKey struct {
	src, dst [16]byte
	id       uint32
	tunnel   uint32
	proto    uint8
	v6       bool
}

type piece struct{ from, to int }

type datagram struct {
	key    fragmentKey
	first  int64
	total  int // 0 until the last piece came
	pieces []piece
	data   []byte
}

// fragments puts fragmented datagrams together. Overlapping pieces drop the
// datagram, as RFC 5722 says of IPv6 and as no honest sender of IPv4 makes them.
type fragments struct {
	open  map[fragmentKey]*datagram
	order []*datagram // by age
	free  []*datagram
	whole []byte // the datagram last returned
	seen  uint64
	lost  uint64
	done  uint64
	held  int
	limit int
}

// add returns the datagram when b, its piece at offset from, was the last that was missing.
func (s *fragments) add(p *packet, id uint32, from int, more bool, proto uint8, b []byte, length int) ([]byte, bool) {
	s.seen++
	if len(b) < length || from+len(b) > maxDatagram || (more && len(b)%8 != 0) || len(b) == 0 {
		s.lost++
		return nil, false
	}
	s.expire(p.time)
	k := fragmentKey{p.key.src, p.key.dst, id, p.key.tunnel, proto, p.key.v6}
	d := s.open[k]
	if d == nil {
		if s.open == nil {
			s.open = map[fragmentKey]*datagram{}
		}
		for len(s.order) >= maxDatagrams || (s.limit > 0 && s.held > s.limit && len(s.order) > 0) {
			s.drop(s.order[0])
		}
		d = &datagram{}
		if n := len(s.free); n > 0 {
			d, s.free = s.free[n-1], s.free[:n-1]
		}
		*d = datagram{key: k, first: p.time, pieces: d.pieces[:0], data: d.data[:0]}
		s.open[k] = d
		s.order = append(s.order, d)
	}
	to := from + len(b)
	for _, q := range d.pieces {
		if q.from == from && q.to == to {
			return nil, false // the same piece again
		}
		if from < q.to && q.from < to {
			s.drop(d)
			return nil, false
		}
	}
	if len(d.pieces) == maxPieces || (d.total > 0 && to > d.total) || (!more && d.total > 0) {
		s.drop(d)
		return nil, false
	}
	if !more {
		d.total = to
	}
	if to > len(d.data) {
		if to > cap(d.data) {
			grown := make([]byte, len(d.data), max(to, 4096))
			copy(grown, d.data)
			s.held += cap(grown) - cap(d.data)
			d.data = grown
		}
		d.data = d.data[:to]
	}
	copy(d.data[from:], b)
	d.pieces = append(d.pieces, piece{from, to})
	if d.total == 0 {
		return nil, false
	}
	have := 0
	for _, q := range d.pieces {
		have += q.to - q.from
	}
	if have < d.total {
		return nil, false
	}
	s.done++
	s.whole = append(s.whole[:0], d.data[:d.total]...)
	s.forget(d)
	return s.whole, true
}

func (s *fragments) expire(now int64) {
	for len(s.order) > 0 && now-s.order[0].first > fragmentTimeout {
		s.drop(s.order[0])
	}
}

func (s *fragments) drop(d *datagram) {
	s.lost++
	s.forget(d)
}

func (s *fragments) forget(d *datagram) {
	delete(s.open, d.key)
	for i, o := range s.order {
		if o == d {
			s.order = append(s.order[:i], s.order[i+1:]...)
			break
		}
	}
	if len(s.free) < 16 {
		s.free = append(s.free, d)
	} else {
		s.held -= cap(d.data)
	}
}
