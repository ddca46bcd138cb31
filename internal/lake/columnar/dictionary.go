package columnar

import "unsafe"

// dictionary numbers the values of a column in the order in which they come.
type dictionary[V comparable] struct {
	known  map[V]int32
	values []V
	last   V
	lastAt int32
}

func (d *dictionary[V]) reset() {
	clear(d.known)
	clear(d.values)
	d.values = d.values[:0]
	var none V
	d.last = none
}

func (d *dictionary[V]) find(v V) int32 {
	if d.known == nil {
		d.known = map[V]int32{}
	}
	at, ok := d.known[v]
	if !ok {
		at = int32(len(d.values)) //nolint:gosec // at most the values of a group
		d.known[v] = at
		d.values = append(d.values, v)
	}
	return at
}

// near is a text and its place in the dictionary. It holds the text, so the address stays its own.
type near struct {
	value string
	at    int32
}

// How many texts are found by their address: a few at first, then, where the tag
// promises that they are alike, as many as a subnet has hosts, and some.
const (
	fewNear  = 32
	manyNear = 1024
)

// texts is a dictionary that mostly knows a text by its address.
type texts struct {
	dictionary[string]
	near []near
	few  bool // no more than that
}

func (t *texts) reset() {
	t.dictionary.reset()
	clear(t.near)
}

// place is the number of a text.
func (t *texts) place(s string) int32 {
	// Equal texts are mostly one text: then a look at the address will do.
	if same(s, t.last) && len(t.values) > 0 {
		return t.lastAt
	}
	if len(t.near) == 0 || !t.few && len(t.near) < manyNear && len(t.values) >= len(t.near) {
		n := fewNear
		if len(t.near) > 0 {
			n = manyNear
		}
		t.near = make([]near, n)
	}
	slot := &t.near[(uintptr(unsafe.Pointer(unsafe.StringData(s)))>>4^uintptr(len(s)))%uintptr(len(t.near))] //nolint:gosec // an address as a hash
	if slot.value == "" || !same(s, slot.value) {
		slot.value, slot.at = s, t.find(s)
	}
	t.last, t.lastAt = s, slot.at
	return slot.at
}

// same tells whether two texts are one in memory.
func same(a, b string) bool {
	return len(a) == len(b) && unsafe.StringData(a) == unsafe.StringData(b) //nolint:gosec // compared, not read
}
