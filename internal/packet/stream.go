package packet

import "slices"

// Bounds of what one direction of TCP may keep while it waits for a hole to be filled.
const (
	maxHeldSegments = 256
	maxHeldBytes    = 1 << 20
)

// segment is a piece of a stream that came before its time. The bytes behind
// data, as far as length, were not captured.
type segment struct {
	seq    uint32
	length int
	data   []byte
}

func (s *segment) end() uint32 { return s.seq + uint32(s.length) }

// segmentCost is what a segment costs beside its bytes.
const segmentCost = 40

// stream is one direction of TCP, put in order.
type stream struct {
	started bool
	failed  bool // its beginning is of no protocol that is known
	next    uint32
	held    []segment // ordered, without overlaps
	bytes   int       // charged for held
	probe   buffer    // the beginning, until the protocol is known
}

// reassembly counts what happened to TCP's payload.
type reassembly struct {
	delivered  uint64 // bytes handed to analyzers
	gaps       uint64 // holes given up
	gapBytes   uint64
	overlapped uint64 // bytes that were there already: the first are kept
	held       uint64 // segments kept as they came early
	dropped    uint64 // segments let go, or delivered behind a gap, for want of room
	budget     budget // the workers' sum, in a total
}

// segment puts TCP's payload into its place. What comes in order is not copied.
func (w *worker) segment(c *conn, s *tap, d *stream, h *half, p *packet, orig bool) {
	seq, b, length := p.seq, p.payload, p.length
	if p.flags&flagSYN != 0 {
		seq++ // the SYN has a number of its own, payload comes with TCP Fast Open
	}
	if !d.started {
		d.started, d.next = true, seq
		if h.syn {
			d.next = h.isn + 1
		}
	}
	if old := int(int32(d.next - seq)); old > 0 {
		w.streams.overlapped += uint64(min(old, length))
		if old >= length {
			return
		}
		seq, length = d.next, length-old
		b = b[min(old, len(b)):]
	}
	if seq != d.next {
		w.early(c, s, d, p.time, orig, seq, b, length)
		return
	}
	if len(d.held) > 0 {
		// Bytes that are held already came first.
		if over := int(int32(seq + uint32(length) - d.held[0].seq)); over > 0 {
			keep := length - over
			rest, restLen := b[min(keep, len(b)):], over
			length, b = keep, b[:min(keep, len(b))]
			w.insert(d, seq+uint32(keep), rest, restLen)
		}
	}
	d.next += uint32(length)
	w.deliver(c, s, d, p.time, orig, b, length)
	w.drain(c, s, d, p.time, orig)
}

// early keeps a segment that came before its time.
func (w *worker) early(c *conn, s *tap, d *stream, at int64, orig bool, seq uint32, b []byte, length int) {
	if w.insert(d, seq, b, length) {
		if len(d.held) <= maxHeldSegments && d.bytes <= maxHeldBytes {
			return
		}
		w.streams.dropped++
		w.skip(c, s, d, at, orig)
		return
	}
	// No room: what is held goes on, behind a gap, and then this if it fits.
	w.streams.dropped++
	for len(d.held) > 0 && w.tap(c) == s {
		w.skip(c, s, d, at, orig)
	}
	if n := int(int32(seq - d.next)); n > 0 && w.tap(c) == s {
		d.next = seq
		w.hole(c, s, d, at, orig, n)
	}
	if old := int(int32(d.next - seq)); old < length && old >= 0 && w.tap(c) == s {
		b, length = b[min(old, len(b)):], length-old
		d.next += uint32(length)
		w.deliver(c, s, d, at, orig, b, length)
	}
}

// insert keeps those bytes of a segment that are not kept yet; false: there is no room.
func (w *worker) insert(d *stream, seq uint32, b []byte, length int) bool {
	end := seq + uint32(length)
	for i := 0; seq != end; i++ {
		to := end
		if i < len(d.held) {
			have := &d.held[i]
			if int32(have.end()-seq) <= 0 {
				continue
			}
			if int32(have.seq-end) < 0 {
				to = have.seq
			}
			if int32(to-seq) <= 0 { // it begins within what is held
				n := min(int(have.end()-seq), int(end-seq))
				w.streams.overlapped += uint64(n)
				seq, b = seq+uint32(n), b[min(n, len(b)):]
				continue
			}
		}
		n := int(to - seq)
		data := b[:min(n, len(b))]
		if !w.budget.charge(len(data) + segmentCost) {
			return false
		}
		d.bytes += len(data) + segmentCost
		w.streams.held++
		d.held = slices.Insert(d.held, min(i, len(d.held)), segment{seq, n, slices.Clone(data)})
		seq, b = to, b[len(data):]
	}
	return true
}

// drain delivers what is held and has its turn now.
func (w *worker) drain(c *conn, s *tap, d *stream, at int64, orig bool) {
	n := 0
	for n < len(d.held) && d.held[n].seq == d.next {
		g := d.held[n]
		n++
		d.next = g.end()
		d.bytes -= len(g.data) + segmentCost
		w.budget.release(len(g.data) + segmentCost)
		w.deliver(c, s, d, at, orig, g.data, g.length)
		if w.tap(c) != s {
			return // hung up: all is given back
		}
	}
	if n > 0 {
		d.held = slices.Delete(d.held, 0, n)
	}
}

// skip gives the first hole up.
func (w *worker) skip(c *conn, s *tap, d *stream, at int64, orig bool) {
	n := int(int32(d.held[0].seq - d.next))
	d.next = d.held[0].seq
	w.hole(c, s, d, at, orig, n)
	if w.tap(c) == s {
		w.drain(c, s, d, at, orig)
	}
}

// acknowledged gives up the holes before what the receiver has: the capture lost them.
func (w *worker) acknowledged(c *conn, s *tap, d *stream, at int64, orig bool, ack uint32) {
	for w.tap(c) == s && len(d.held) > 0 && int32(ack-d.held[0].seq) > 0 {
		w.skip(c, s, d, at, orig)
	}
}

// hole tells the analyzer of n missing bytes.
func (w *worker) hole(c *conn, s *tap, d *stream, at int64, orig bool, n int) {
	if n <= 0 {
		return
	}
	w.streams.gaps++
	w.streams.gapBytes += uint64(n)
	if s.a != nil {
		w.current = c
		s.a.gap(at, orig, n)
		w.current = nil
		return
	}
	d.probe.free(w)
}

// deliver hands bytes on that are in order; length is what they are on the wire.
func (w *worker) deliver(c *conn, s *tap, d *stream, at int64, orig bool, b []byte, length int) {
	if len(b) > 0 {
		w.streams.delivered += uint64(len(b))
		if s.a == nil {
			w.probe(c, s, d, at, orig, b)
		} else {
			w.data(c, s, at, orig, b)
		}
	}
	if w.tap(c) == s && length > len(b) {
		w.hole(c, s, d, at, orig, length-len(b))
	}
}
