package packet

// budget bounds what the analyzers and the reassembly of one worker keep.
type budget struct {
	limit, used int
	refused     uint64 // times that there was no room
}

// charge takes n bytes, if there is room for them.
func (b *budget) charge(n int) bool {
	if b.used+n > b.limit {
		b.refused++
		return false
	}
	b.used += n
	return true
}

// release gives n charged bytes back.
func (b *budget) release(n int) { b.used -= n }

// buffer keeps bytes within a worker's budget.
type buffer struct {
	b       []byte
	charged int
}

// add appends p, unless the buffer then held more than limit bytes or the budget were exceeded.
func (f *buffer) add(w *worker, p []byte, limit int) bool {
	n := len(f.b) + len(p)
	if n > limit {
		return false
	}
	if n > f.charged {
		more := max(n, min(2*f.charged, limit)) - f.charged
		if !w.budget.charge(more) {
			return false
		}
		f.charged += more
		grown := make([]byte, len(f.b), f.charged)
		copy(grown, f.b)
		f.b = grown
	}
	f.b = append(f.b, p...)
	return true
}

// cut forgets the first n bytes.
func (f *buffer) cut(n int) { f.b = f.b[:copy(f.b, f.b[n:])] }

// free gives the memory back.
func (f *buffer) free(w *worker) {
	w.budget.release(f.charged)
	*f = buffer{}
}
