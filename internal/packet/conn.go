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
	number             uint32 // its place in the table
	hash               uint32
	prev, after        uint32 // numbers, by the time of the last packet
	tap                uint32 // what reads the payload, if anything does: see worker.tap
	protocol           uint8  // the one found, its place in the worker's list plus one
	tries              uint8  // segments or datagrams in which no protocol was found
	deaf               bool   // the payload is of no interest, or no longer
	talked             uint64 // bytes accounted to the talkers
}

// connTable holds a bounded number of connections; the longest idle makes room.
type connTable struct {
	conns    connSlab
	index    connIndex
	tcp, udp connList
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

// connCost is a connection with its place in the index.
const connCost = int64(unsafe.Sizeof(conn{})) + 3*int64(unsafe.Sizeof(connSlot(0)))

// rttBounds are the upper bounds in seconds of the histogram of handshakes.
var rttBounds = [...]float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}

// ordered returns the key that both directions share.
func (k *key) ordered() key {
	c := bytes.Compare(k.src[:], k.dst[:])
	if c < 0 || (c == 0 && k.srcPort <= k.dstPort) {
		return *k
	}
	return k.reversed()
}

// reversed is the key of the other direction.
func (k *key) reversed() key {
	r := *k
	r.src, r.dst, r.srcPort, r.dstPort = k.dst, k.src, k.dstPort, k.srcPort
	return r
}

// add counts p to its connection, which it makes if there is none.
func (t *connTable) add(p *packet) *conn {
	t.expire(p.time)
	hash := t.index.hash(&p.key)
	c, fromA := t.find(&p.key, hash)
	isTCP := p.key.proto == protoTCP
	if c != nil && isTCP && p.flags&(flagSYN|flagACK) == flagSYN && (c.state >= stateSF) {
		t.finish(c) // the ports are used again
		c = nil
	}
	if c == nil {
		c = t.open(p, hash)
		fromA = c.key == p.key
	}
	h, o := &c.a, &c.b
	if !fromA {
		h, o = o, h
	}
	h.packets++
	h.bytes += uint64(p.size)
	h.payload += uint64(p.length)
	c.last = max(c.last, p.time)
	if isTCP {
		t.track(c, h, o, p)
	}
	if l := t.list(c); l.back != c.number {
		t.remove(l, c)
		t.push(l, c)
	}
	if p.time-c.since >= t.active {
		c.since = p.time
		t.end(c, false)
	}
	return c
}

func (t *connTable) open(p *packet, hash uint32) *conn {
	if t.index.n >= t.limit {
		oldest := t.conns.at(t.udp.front)
		if tcp := t.conns.at(t.tcp.front); oldest == nil || (tcp != nil && tcp.last < oldest.last) {
			oldest = tcp
		}
		t.evicted++
		t.finish(oldest)
	}
	c := t.conns.take()
	*c = conn{number: c.number, hash: hash, key: p.key, first: p.time, last: p.time, since: p.time}
	// A SYN ACK that comes first is an answer: the one who asked began.
	if p.key.proto == protoTCP && p.flags&(flagSYN|flagACK) == flagSYN|flagACK {
		c.key = p.key.reversed()
	}
	t.made++
	t.index.add(c)
	t.push(t.list(c), c)
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
	for c := t.conns.at(t.tcp.front); c != nil && now-c.last > t.idle; c = t.conns.at(t.tcp.front) {
		t.finish(c)
	}
	for c := t.conns.at(t.udp.front); c != nil && now-c.last > t.idle/2; c = t.conns.at(t.udp.front) {
		t.finish(c)
	}
}

func (t *connTable) finish(c *conn) {
	t.ended[c.state]++
	t.end(c, true)
	t.index.remove(c)
	t.remove(t.list(c), c)
	t.conns.give(c)
}

// flush ends all.
func (t *connTable) flush() {
	for _, l := range []*connList{&t.tcp, &t.udp} {
		for l.front != 0 {
			t.finish(t.conns.at(l.front))
		}
	}
}
