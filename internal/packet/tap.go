package packet

// Bounds of the search for a connection's protocol.
const (
	maxProbe    = 256 // bytes of a direction's beginning
	maxTries    = 12  // segments
	maxUDPTries = 4   // datagrams
)

// tap is what the worker keeps of a connection whose payload is read.
type tap struct {
	a    analyzer // nil until the protocol is known
	dir  [2]stream
	next uint32 // in the list of the free
}

// tap is what reads a connection's payload, nil if nothing does.
func (w *worker) tap(c *conn) *tap { return w.taps[c.tap] }

// service is the name of the protocol found in a connection.
func (w *worker) service(c *conn) string {
	if c.protocol == 0 {
		return ""
	}
	return w.protocols[c.protocol-1].name
}

// tapCost is what a tap is charged for, its analyzer's fixed part included.
const tapCost = 1024

// feed hands a packet's payload to the connection's analyzer.
func (w *worker) feed(c *conn, p *packet) {
	if c.deaf || (c.tap == 0 && p.length == 0) {
		return
	}
	orig := c.key == p.key
	if p.key.proto != protoTCP {
		if p.key.proto == protoUDP {
			w.datagram(c, p, orig)
		}
		return
	}
	s := w.tapOf(c)
	if s == nil {
		return
	}
	mine, other, h := &s.dir[0], &s.dir[1], &c.a
	if !orig {
		mine, other, h = other, mine, &c.b
	}
	if p.flags&flagACK != 0 && len(other.held) > 0 {
		w.acknowledged(c, s, other, p.time, !orig, p.ack)
	}
	if w.tap(c) == s && p.length > 0 && p.flags&flagRST == 0 {
		w.segment(c, s, mine, h, p, orig)
	}
	if w.tap(c) == s && (c.state == stateSF || c.state == stateRST || c.state == stateREJ) &&
		(c.state != stateSF || len(mine.held)+len(other.held) == 0) {
		w.hangUp(c, p.time)
	}
}

func (w *worker) tapOf(c *conn) *tap {
	if s := w.tap(c); s != nil {
		return s
	}
	if !w.budget.charge(tapCost) {
		c.deaf = true
		return nil
	}
	n := w.freeTap
	if n == 0 {
		n = uint32(len(w.taps))
		w.taps = append(w.taps, &tap{})
	} else {
		w.freeTap = w.taps[n].next
	}
	s := w.taps[n]
	a, b := s.dir[0].held[:0], s.dir[1].held[:0]
	*s = tap{}
	s.dir[0].held, s.dir[1].held = a, b
	c.tap = n
	return s
}

// match finds the protocol of a direction's first bytes.
func (w *worker) match(k *key, orig bool, first []byte) *protocol {
	var found *protocol
	if k.proto == protoTCP {
		if p := w.expectedOf(k); p != nil {
			return p
		}
	}
	for i := range w.protocols {
		p := &w.protocols[i]
		if p.proto != k.proto || (found != nil && !p.at(k)) || !p.match(k, orig, first) {
			continue
		}
		if p.at(k) {
			return p
		}
		found = p
	}
	return found
}

// begin opens the analyzer of a connection whose protocol was found.
func (w *worker) begin(c *conn, s *tap, p *protocol) {
	for i := range w.protocols {
		if w.protocols[i].name == p.name {
			c.protocol = uint8(i + 1)
			break
		}
	}
	s.a = p.open(w, c)
}

// datagram hands UDP's payload on.
func (w *worker) datagram(c *conn, p *packet, orig bool) {
	s := w.tap(c)
	if s == nil {
		c.tries++
		found := w.match(&c.key, orig, p.payload)
		if found == nil {
			c.deaf = c.tries >= maxUDPTries
			return
		}
		if s = w.tapOf(c); s == nil {
			return
		}
		w.begin(c, s, found)
	}
	if len(p.payload) > 0 {
		w.data(c, s, p.time, orig, p.payload)
	}
	if missing := p.length - len(p.payload); missing > 0 && w.tap(c) == s {
		w.current = c
		s.a.gap(p.time, orig, missing)
		w.current = nil
	}
}

// probe looks for the protocol of a TCP connection in what a direction begins with.
func (w *worker) probe(c *conn, s *tap, d *stream, at int64, orig bool, b []byte) {
	if c.tries++; c.tries > maxTries {
		w.drop(c, at)
		return
	}
	if d.failed {
		return
	}
	first, rest := b, []byte(nil)
	if len(d.probe.b) > 0 {
		n := min(len(b), maxProbe-len(d.probe.b))
		if !d.probe.add(w, b[:n], maxProbe) {
			w.drop(c, at)
			return
		}
		first, rest = d.probe.b, b[n:]
	}
	found := w.match(&c.key, orig, first)
	if found == nil {
		w.unknown(c, s, d, at, orig, first)
		return
	}
	w.begin(c, s, found)
	other := &s.dir[0]
	if orig {
		other = &s.dir[1]
	}
	mine, theirs := d.probe, other.probe
	d.probe, other.probe = buffer{}, buffer{}
	// What the other side said came first: it is why it is still there.
	if len(theirs.b) > 0 {
		w.data(c, s, at, !orig, theirs.b)
	}
	for _, part := range [][]byte{first, rest} {
		if w.tap(c) == s && len(part) > 0 {
			w.data(c, s, at, orig, part)
		}
	}
	mine.free(w)
	theirs.free(w)
}

// unknown keeps a beginning that is of no protocol yet, or gives it up.
func (w *worker) unknown(c *conn, s *tap, d *stream, at int64, orig bool, first []byte) {
	h, other := &c.a, &s.dir[1]
	if !orig {
		h, other = &c.b, &s.dir[0]
	}
	switch {
	case !h.syn: // the connection was under way: a message may begin with any segment
		d.probe.free(w)
	case len(first) >= maxProbe:
		d.probe.free(w)
		if d.failed = true; other.failed {
			w.drop(c, at)
		}
	case len(d.probe.b) == 0 && !d.probe.add(w, first, maxProbe):
		w.drop(c, at)
	}
}

func (w *worker) data(c *conn, s *tap, at int64, orig bool, b []byte) {
	w.current = c
	more := s.a.data(at, orig, b)
	w.current = nil
	if !more && w.tap(c) == s {
		w.drop(c, at)
	}
}

// hangUp ends the reading of a connection's payload; what is held goes before.
func (w *worker) hangUp(c *conn, at int64) {
	s := w.tap(c)
	for i := 0; s != nil && i < len(s.dir); i++ {
		for d := &s.dir[i]; w.tap(c) == s && len(d.held) > 0; {
			w.skip(c, s, d, at, i == 0)
		}
	}
	w.drop(c, at)
}

// drop ends the reading of a connection's payload at once.
func (w *worker) drop(c *conn, at int64) {
	n, s := c.tap, w.tap(c)
	c.deaf, c.tap = true, 0
	if s == nil {
		return
	}
	for i := range s.dir {
		d := &s.dir[i]
		w.budget.release(d.bytes)
		d.bytes, d.held = 0, nil
		d.probe.free(w)
	}
	if s.a != nil {
		w.current = c
		s.a.end(at)
		w.current = nil
	}
	s.a, s.next, w.freeTap = nil, w.freeTap, n
	w.budget.release(tapCost)
}
