package flow

import "sync"

// batchRows is how many rows a batch holds at most. Objects of a few hundred
// rows are common, and each leaves the end of its last batch empty.
const batchRows = 128

// Batch is rows that an object was decoded into. Whoever gets one owns it, its
// rows and what they point to, until Free.
type Batch struct {
	Rows []Record

	// What the rows' pointers point to lies here, so that a batch that is used
	// again costs no memory: rows have some fourteen pointers, and imports are
	// by the hundred thousand a second.
	int64s []int64
	int32s []int32
	bools  [2]bool
}

var batches = sync.Pool{New: func() any {
	return &Batch{
		Rows:   make([]Record, 0, batchRows),
		int64s: make([]int64, 0, 8*batchRows),
		int32s: make([]int32, 0, 5*batchRows),
		bools:  [2]bool{false, true},
	}
}}

func newBatch() *Batch { return batches.Get().(*Batch) }

// Free gives the batch back. Its rows must not be used any more.
func (b *Batch) Free() {
	b.Rows, b.int64s, b.int32s = b.Rows[:0], b.int64s[:0], b.int32s[:0]
	batches.Put(b)
}

func (b *Batch) full() bool { return len(b.Rows) == cap(b.Rows) }

// mark and back undo what a row that is read anew has used.
func (b *Batch) mark() (int64s, int32s int) { return len(b.int64s), len(b.int32s) }

func (b *Batch) back(int64s, int32s int) {
	b.int64s, b.int32s = b.int64s[:min(int64s, len(b.int64s))], b.int32s[:min(int32s, len(b.int32s))]
}

func (b *Batch) int64(n int64) *int64 {
	if len(b.int64s) == cap(b.int64s) {
		b.int64s = make([]int64, 0, 8*batchRows) // bad records used up theirs
	}
	b.int64s = append(b.int64s, n)
	return &b.int64s[len(b.int64s)-1]
}

func (b *Batch) int32(n int32) *int32 {
	if len(b.int32s) == cap(b.int32s) {
		b.int32s = make([]int32, 0, 5*batchRows)
	}
	b.int32s = append(b.int32s, n)
	return &b.int32s[len(b.int32s)-1]
}

func (b *Batch) bool(yes bool) *bool {
	if yes {
		return &b.bools[1]
	}
	return &b.bools[0]
}
