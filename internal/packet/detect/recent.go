package detect

// recent is a map that holds at most max keys: the one that was not asked for
// longest makes room.
type recent[K comparable, V any] struct {
	max         int
	m           map[K]*entry[K, V]
	front, back *entry[K, V] // front: the longest quiet
}

type entry[K comparable, V any] struct {
	key         K
	value       V
	prev, after *entry[K, V]
}

func newRecent[K comparable, V any](limit int) *recent[K, V] {
	return &recent[K, V]{max: limit, m: map[K]*entry[K, V]{}}
}

// get returns the value of a key, which it makes if it is not there.
func (r *recent[K, V]) get(k K) (v *V, known bool) {
	e := r.m[k]
	if e != nil {
		if e != r.back {
			r.unlink(e)
			r.push(e)
		}
		return &e.value, true
	}
	if len(r.m) >= r.max {
		e = r.front
		r.unlink(e)
		delete(r.m, e.key)
		*e = entry[K, V]{key: k}
	} else {
		e = &entry[K, V]{key: k}
	}
	r.m[k] = e
	r.push(e)
	return &e.value, false
}

// peek returns the value of a key if it is there; its place stays.
func (r *recent[K, V]) peek(k K) *V {
	if e := r.m[k]; e != nil {
		return &e.value
	}
	return nil
}

func (r *recent[K, V]) push(e *entry[K, V]) {
	e.prev, e.after = r.back, nil
	if r.back != nil {
		r.back.after = e
	} else {
		r.front = e
	}
	r.back = e
}

func (r *recent[K, V]) unlink(e *entry[K, V]) {
	if e.prev != nil {
		e.prev.after = e.after
	} else {
		r.front = e.after
	}
	if e.after != nil {
		e.after.prev = e.prev
	} else {
		r.back = e.prev
	}
}
