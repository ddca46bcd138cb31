package packet

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// Connections are kept in blocks of memory without a pointer and found by their
// numbers, so that the garbage collector need not look at any of them.

// slabSize is how many connections are made at once.
const slabSize = 256

// connSlab is the memory of the connections. Their numbers begin with 1.
type connSlab struct {
	blocks []*[slabSize]conn
	free   uint32 // the first that is given back, linked by after
	made   uint32
}

// at is the connection of a number; nil of 0.
func (s *connSlab) at(n uint32) *conn {
	if n == 0 {
		return nil
	}
	n--
	return &s.blocks[n/slabSize][n%slabSize]
}

// take returns a connection of which nothing but the number is set.
func (s *connSlab) take() *conn {
	if c := s.at(s.free); c != nil {
		s.free = c.after
		return c
	}
	if int(s.made) == len(s.blocks)*slabSize {
		s.blocks = append(s.blocks, new([slabSize]conn))
	}
	s.made++
	c := s.at(s.made)
	c.number = s.made
	return c
}

// give takes a connection back.
func (s *connSlab) give(c *conn) { c.after, s.free = s.free, c.number }

// connList is the connections of one timeout by their numbers, the longest idle first.
type connList struct{ front, back uint32 }

// list is the one that a connection is in.
func (t *connTable) list(c *conn) *connList {
	if c.key.proto == protoTCP {
		return &t.tcp
	}
	return &t.udp
}

func (t *connTable) push(l *connList, c *conn) {
	c.prev, c.after = l.back, 0
	if last := t.conns.at(l.back); last != nil {
		last.after = c.number
	} else {
		l.front = c.number
	}
	l.back = c.number
}

func (t *connTable) remove(l *connList, c *conn) {
	if prev := t.conns.at(c.prev); prev != nil {
		prev.after = c.after
	} else {
		l.front = c.after
	}
	if after := t.conns.at(c.after); after != nil {
		after.prev = c.prev
	} else {
		l.back = c.prev
	}
}

// connSlot is a place of the index: the hash of a connection's key, and its
// number in the lower half; 0 is free.
type connSlot uint64

func (s connSlot) number() uint32 { return uint32(s) }
func (s connSlot) hash() uint32   { return uint32(s >> 32) }

// connIndex finds connections by their keys: open addressing, the slots of a
// collision side by side. It is at most three quarters full.
type connIndex struct {
	slots []connSlot // a power of two of them
	n     int
	seeds [4]uint64 // of this table alone: nobody can choose addresses that collide
}

func newConnIndex() connIndex {
	x := connIndex{slots: make([]connSlot, 1024)}
	for i := range x.seeds {
		x.seeds[i] = new(maphash.Hash).Sum64() // begins with a seed of its own
	}
	return x
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// hash is the same of either direction.
func (x *connIndex) hash(k *key) uint32 {
	word := binary.LittleEndian.Uint64
	end := func(a *[16]byte, port uint16) uint64 {
		return mix(mix(word(a[:])^x.seeds[0], word(a[8:])^x.seeds[1])^uint64(port), x.seeds[2])
	}
	rest := uint64(k.tunnel)<<8 | uint64(k.proto)
	h := mix(end(&k.src, k.srcPort)+end(&k.dst, k.dstPort)^rest, x.seeds[3])
	return uint32(h ^ h>>32)
}

// find returns the connection of a packet's key, and whether the packet is of the side that began.
func (t *connTable) find(k *key, hash uint32) (c *conn, fromA bool) {
	x := &t.index
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := x.slots[i]
		if s == 0 {
			return nil, false
		}
		if s.hash() != hash {
			continue
		}
		c = t.conns.at(s.number())
		if c.key == *k {
			return c, true
		}
		if c.key.isReverse(k) {
			return c, false
		}
	}
}

// isReverse tells whether o is of the same connection's other direction.
func (k *key) isReverse(o *key) bool {
	return k.src == o.dst && k.dst == o.src && k.srcPort == o.dstPort && k.dstPort == o.srcPort &&
		k.proto == o.proto && k.tunnel == o.tunnel && k.v6 == o.v6
}

func (x *connIndex) add(c *conn) {
	if x.n >= len(x.slots)/4*3 {
		old := x.slots
		x.slots = make([]connSlot, 2*len(old))
		for _, s := range old {
			if s != 0 {
				x.put(s)
			}
		}
	}
	x.put(connSlot(c.hash)<<32 | connSlot(c.number))
	x.n++
}

func (x *connIndex) put(s connSlot) {
	mask := uint32(len(x.slots) - 1)
	i := s.hash() & mask
	for x.slots[i] != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = s
}

// remove takes a connection out, and closes the hole with what collided with it.
func (x *connIndex) remove(c *conn) {
	mask := uint32(len(x.slots) - 1)
	hole := c.hash & mask
	for x.slots[hole].number() != c.number {
		hole = (hole + 1) & mask
	}
	for i := (hole + 1) & mask; x.slots[i] != 0; i = (i + 1) & mask {
		// What would be found before the hole stays where it is.
		if home := x.slots[i].hash() & mask; (i-home)&mask >= (i-hole)&mask {
			x.slots[hole], hole = x.slots[i], i
		}
	}
	x.slots[hole] = 0
	x.n--
}
