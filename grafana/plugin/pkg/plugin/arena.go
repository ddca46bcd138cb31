package plugin

import (
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// arenaChunk is what an arena takes at a time: some batches of a server's answer.
const arenaChunk = 1 << 20

// arena is the memory that one answer is read into before its frame is written.
// It is used again by the next answer, so that it is neither cleared nor mapped
// in each time. Whoever frees an arena holds nothing more that is in it.
type arena struct {
	chunks []*[arenaChunk]byte
	used   int // of the last chunk
	large  memory.GoAllocator
}

var _ memory.Allocator = (*arena)(nil)

// rest is what no arena holds; the collector takes what rests long.
var rest = sync.Pool{New: func() any { return new([arenaChunk]byte) }}

// Allocate gives memory that begins at a multiple of 64 bytes of its chunk, as
// Arrow wants it; what is in it is whatever was there before.
func (a *arena) Allocate(size int) []byte {
	if size > arenaChunk {
		return a.large.Allocate(size)
	}
	if len(a.chunks) == 0 || a.used+size > arenaChunk {
		a.chunks = append(a.chunks, rest.Get().(*[arenaChunk]byte)) //nolint:forcetypeassert // the pool has nothing else
		a.used = 0
	}
	from := a.used
	a.used += (size + 63) &^ 63
	return a.chunks[len(a.chunks)-1][from : from+size : from+size]
}

// Reallocate copies what there is.
func (a *arena) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return b[:size]
	}
	next := a.Allocate(size)
	copy(next, b)
	return next
}

// Free leaves all as it is: an arena is freed as a whole.
func (a *arena) Free([]byte) {}

func (a *arena) free() {
	for _, c := range a.chunks {
		rest.Put(c)
	}
	a.chunks, a.used = nil, 0
}
