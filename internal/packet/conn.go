package packet

import (
	"bytes"
	"unsafe"
)

// connState is how far a connection has come; the words are Zeek's.
type connState uint8

const (
	stateOther connState = iota // not TCP, or its beginning was not seen
	stateS0                     // asked, no answer
	stateS1                     // established
	stateSF                     // established and ended by both
	stateREJ                    // refused
	stateRST                    // established and reset
	states
)

var stateNames = [states]string{"OTH", "S0", "S1", "SF", "REJ", "RST"}

const maxHistory = 24

// half is one direction of a connection.
type half struct {
	packets, bytes, payload         uint64
	retransmitted, outOfOrder, zero uint64
	next, holeFrom, holeTo, isn     uint32
	started, syn, fin, rst, zeroed  bool
}

// conn is one connection; a is the side that began it.
type conn struct {
	key                key // as a sends
	first, last, since int64
	rtt                int64 // nanoseconds from SYN to the ACK of the SYN ACK; 0: not seen
	synTime            int64
	a, b               half
	state              connState
	history            [maxHistory]byte
	historyLen         uint8
	historySeen        uint32 // letters that are in history, one bit each and side
	prev, after        *conn  // by the time of the last packet
	list               *connList
	tap                *tap   // what reads the payload, if anything does
	service            string // the protocol found
	tries              uint8  // segments or datagrams in which no protocol was found
	talked             uint64 // bytes accounted to the talkers
	deaf               bool   // the payload is of no interest, or no longer
}

// connList is the connections of one timeout, the longest idle first.
type connList struct{ front, back *conn }

func (l *connList) push(c *conn) {
	c.prev, c.after, c.list = l.back, nil, l
	if l.back != nil {
		l.back.after = c
	} else {
		l.front = c
	}
	l.back = c
}

func (l *connList) remove(c *conn) {
	if c.prev != nil {
		c.prev.after = c.after
	} else {
		l.front = c.after
	}
	if c.after != nil {
		c.after.prev = c.prev
	} else {
		l.back = c.prev
	}
}

// connTable holds a bounded number of connections; the longest idle makes room.
type connTable struct {
	byKey    map[key]*conn
	tcp, udp connList
	free     *conn
	limit    int
	idle     int64
	active   int64
	end      func(c *conn, ended bool)

	made, evicted             uint64
	ended                     [states]uint64
	retransmitted, outOfOrder uint64
	zeroWindows, resets       uint64
	handshakes                uint64
	handshakeSum              float64
	handshakeBuckets          [len(rttBounds)]uint64
}

// connCost is a connection with its place in the map.
const connCost = int64(unsafe.Sizeof(conn{}) + 2*(unsafe.Sizeof(key{})+8))

// rttBounds are the upper bounds in seconds of the histogram of handshakes.
var rttBounds = [...]float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}

// ordered returns the key that both directions share.
func (k *key) ordered() key {
	c := bytes.Compare(k.src[:], k.dst[:])
	if c < 0 || (c == 0 && k.srcPort <= k.dstPort) {
		return *k
	}
	r := *k
	r.src, r.dst, r.srcPort, r.dstPort = k.dst, k.src, k.dstPort, k.srcPort
	return r
}

// add counts p to its connection, which it makes if there is none.
func (t *connTable) add(p *packet) *conn {
	t.expire(p.time)
	k := p.key.ordered()
	c := t.byKey[k]
	isTCP := p.key.proto == protoTCP
	if c != nil && isTCP && p.flags&(flagSYN|flagACK) == flagSYN && (c.state >= stateSF) {
		t.finish(c) // the ports are used again
		c = nil
	}
	if c == nil {
		c = t.open(k, p)
	}
	h, o := &c.a, &c.b
	if c.key != p.key {
		h, o = o, h
	}
	h.packets++
	h.bytes += uint64(p.size)
	h.payload += uint64(p.length)
	c.last = max(c.last, p.time)
	if isTCP {
		t.track(c, h, o, p)
	}
	if l := c.list; l.back != c {
		l.remove(c)
		l.push(c)
	}
	if p.time-c.since >= t.active {
		c.since = p.time
		t.end(c, false)
	}
	return c
}

func (t *connTable) open(k key, p *packet) *conn {
	if len(t.byKey) >= t.limit {
		oldest := t.udp.front
		if oldest == nil || (t.tcp.front != nil && t.tcp.front.last < oldest.last) {
			oldest = t.tcp.front
		}
		t.evicted++
		t.finish(oldest)
	}
	c := t.free
	if c != nil {
		t.free = c.after
	} else {
		c = &conn{}
	}
	*c = conn{key: p.key, first: p.time, last: p.time, since: p.time}
	// A SYN ACK that comes first is an answer: the one who asked began.
	if p.key.proto == protoTCP && p.flags&(flagSYN|flagACK) == flagSYN|flagACK {
		r := p.key
		r.src, r.dst, r.srcPort, r.dstPort = p.key.dst, p.key.src, p.key.dstPort, p.key.srcPort
		c.key = r
	}
	t.made++
	t.byKey[k] = c
	if p.key.proto == protoTCP {
		t.tcp.push(c)
	} else {
		t.udp.push(c)
	}
	return c
}

// track follows TCP's state and its quality in one direction.
func (t *connTable) track(c *conn, h, o *half, p *packet) {
	fromA := h == &c.a
	size := uint32(p.length)
	if p.flags&flagSYN != 0 {
		size++
		h.syn, h.isn = true, p.seq
		if p.flags&flagACK == 0 {
			c.note('s', fromA, 0)
			if c.state == stateOther {
				c.state = stateS0
			}
			c.synTime = p.time
		} else {
			c.note('h', fromA, 1)
			if c.state == stateS0 {
				c.state = stateS1
			}
		}
	}
	if p.flags&flagFIN != 0 {
		size++
		h.fin = true
		c.note('f', fromA, 2)
		if c.state == stateS1 && o.fin {
			c.state = stateSF
		}
	}
	if p.flags&flagRST != 0 {
		t.resets++
		h.rst = true
		c.note('r', fromA, 3)
		switch c.state {
		case stateS0:
			c.state = stateREJ
		case stateS1:
			c.state = stateRST
		}
		return // the numbers of a reset are not of the stream
	}
	if p.length > 0 {
		c.note('d', fromA, 4)
	} else if p.flags&(flagSYN|flagFIN) == 0 {
		c.note('a', fromA, 5)
	}
	if c.rtt == 0 && c.synTime > 0 && fromA && o.syn && p.flags&(flagSYN|flagACK) == flagACK {
		c.rtt = max(p.time-c.synTime, 1)
		t.observe(float64(c.rtt) / 1e9)
	}
	if zero := p.window == 0 && p.flags&flagSYN == 0; zero != h.zeroed {
		h.zeroed = zero
		if zero {
			h.zero++
			t.zeroWindows++
			c.note('w', fromA, 6)
		}
	}
	if size > 0 {
		t.sequence(h, p.seq, size, p.length)
	}
}

// sequence tells a retransmission from a segment that came late.
func (t *connTable) sequence(h *half, seq, size uint32, length int) {
	end := seq + size
	switch {
	case !h.started:
		h.started, h.next = true, end
	case seq == h.next:
		h.next = end
	case int32(seq-h.next) > 0:
		h.holeFrom, h.holeTo, h.next = h.next, seq, end
	case h.holeFrom != h.holeTo && int32(seq-h.holeFrom) >= 0 && int32(end-h.holeTo) <= 0:
		h.outOfOrder++
		t.outOfOrder++
		if seq == h.holeFrom {
			h.holeFrom = end
		}
	case length <= 1 && seq == h.next-1:
		// a keepalive asks with the byte before the next
	default:
		h.retransmitted++
		t.retransmitted++
		if int32(end-h.next) > 0 {
			h.next = end
		}
	}
}

func (t *connTable) observe(seconds float64) {
	t.handshakes++
	t.handshakeSum += seconds
	for i, bound := range rttBounds {
		if seconds <= bound {
			t.handshakeBuckets[i]++
			return
		}
	}
}

// note adds a letter to the history, once for each side: capital for who began.
func (c *conn) note(letter byte, fromA bool, bit int) {
	if fromA {
		letter -= 'a' - 'A'
		bit += 16
	}
	if c.historySeen&(1<<bit) != 0 || c.historyLen == maxHistory {
		return
	}
	c.historySeen |= 1 << bit
	c.history[c.historyLen] = letter
	c.historyLen++
}

// expire ends what has been idle for too long: as much work as there is to end.
func (t *connTable) expire(now int64) {
	for c := t.tcp.front; c != nil && now-c.last > t.idle; c = t.tcp.front {
		t.finish(c)
	}
	for c := t.udp.front; c != nil && now-c.last > t.idle/2; c = t.udp.front {
		t.finish(c)
	}
}

func (t *connTable) finish(c *conn) {
	t.ended[c.state]++
	t.end(c, true)
	k := c.key.ordered()
	delete(t.byKey, k)
	c.list.remove(c)
	c.after, t.free = t.free, c
}

// flush ends all.
func (t *connTable) flush() {
	for _, l := range []*connList{&t.tcp, &t.udp} {
		for l.front != nil {
			t.finish(l.front)
		}
	}
}
