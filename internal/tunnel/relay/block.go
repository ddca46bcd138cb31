package relay

import (
	"sync"
	"sync/atomic"
)

// What one system call reads or writes at most is some TLS records, whole on
// either side: plainSize bytes make blockSize with the header, the type and the
// tag of each. Fewer calls and wake-ups are what makes a tunnel faster; the
// cipher is not.
const (
	records    = 16
	recordSize = 16 << 10 // of plain text, at most
	headerSize = 5
	maxRecord  = recordSize + 2048 // as it travels, without its header
	plainSize  = records * recordSize
	blockSize  = records * (recordSize + headerSize + 1 + 16)
	// Connections whose other side does not take what they read keep theirs for
	// long. When so many blocks are lent, the next are of one record: all
	// connections go on, and thousands of them cannot take the memory.
	maxLent   = 256
	smallSize = headerSize + maxRecord
)

// Blocks are borrowed only while there is something to carry: an idle connection holds none.
var (
	large = sync.Pool{New: func() any { return new([blockSize]byte) }}
	small = sync.Pool{New: func() any { return new([smallSize]byte) }}
	lent  atomic.Int64 // of the large ones
)

// borrow lends a block: of one record, unless much is to be carried. What is
// lent is little for a handshake or a message: the collector empties the pools,
// and making and clearing a large block takes longer than many a connection lasts.
func borrow(much bool) []byte {
	if much {
		if lent.Add(1) <= maxLent {
			return large.Get().(*[blockSize]byte)[:]
		}
		lent.Add(-1)
	}
	return small.Get().(*[smallSize]byte)[:]
}

// giveBack takes a block that borrow returned, or the part of it that plainOf did.
func giveBack(b []byte) {
	switch cap(b) {
	case blockSize:
		large.Put((*[blockSize]byte)(b[:blockSize]))
		lent.Add(-1)
	case smallSize:
		small.Put((*[smallSize]byte)(b[:smallSize]))
	}
}

// plainOf is the part of a block whose bytes, encrypted, fill another one.
func plainOf(b []byte) []byte {
	if len(b) < blockSize {
		return b[:recordSize]
	}
	return b[:plainSize]
}
