package packet

import "time"

// Bounds of records that are folded: equal messages become one record with a count.
const (
	maxFolded  = 1024
	foldedTime = int64(time.Minute)
)

// folded holds the records of messages that repeat themselves. A record is
// handed on when it is a minute old, or when another needs its place.
type folded[K comparable, V Record] struct {
	m     map[K]V
	order []K
}

// get returns the record of a key; make says how a new one begins.
func (f *folded[K, V]) get(w *worker, at int64, k K, begin func() V) V {
	for len(f.order) > 0 && (len(f.order) == maxFolded || at-f.m[f.order[0]].When().UnixNano() > foldedTime) {
		f.first(w)
	}
	v, known := f.m[k]
	if !known {
		if f.m == nil {
			f.m = map[K]V{}
		}
		v = begin()
		f.m[k] = v
		f.order = append(f.order, k)
	}
	return v
}

func (f *folded[K, V]) first(w *worker) {
	k := f.order[0]
	f.order = f.order[1:]
	w.emit(f.m[k])
	delete(f.m, k)
}

// flush hands on all that is older than a minute, or all.
func (f *folded[K, V]) flush(w *worker, at int64, all bool) {
	for len(f.order) > 0 && (all || at-f.m[f.order[0]].When().UnixNano() > foldedTime) {
		f.first(w)
	}
}
