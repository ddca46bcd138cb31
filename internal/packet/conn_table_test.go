package packet

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestConnectionsAreFoundFromEitherSide opens and ends connections at random
// beside a map of Go's, with keys that are so alike that many collide.
func TestConnectionsAreFoundFromEitherSide(t *testing.T) {
	table := connTable{index: newConnIndex(), limit: 4096, idle: 1 << 62, active: 1 << 62, end: func(*conn, bool) {}}
	want := map[key]uint32{}
	r := rand.New(rand.NewPCG(1, 2))
	p := packet{}
	for i := range 200_000 {
		p.key = key{srcPort: uint16(r.IntN(80)), dstPort: uint16(r.IntN(80)), proto: protoUDP}
		p.key.src[15], p.key.dst[15] = byte(r.IntN(2)), byte(r.IntN(2))
		k := p.key.ordered()
		c, fromA := table.find(&p.key, table.index.hash(&p.key))
		if n, known := want[k]; known != (c != nil) || known && (c.number != n || fromA != (c.key == p.key)) {
			t.Fatalf("step %d: found %+v (%v); want connection %d (%v)", i, c, fromA, n, known)
		}
		switch {
		case c == nil && len(want) < table.limit:
			want[k] = table.add(&p).number
		case c != nil && r.IntN(2) == 0:
			table.finish(c)
			delete(want, k)
		}
		if table.index.n != len(want) {
			t.Fatalf("step %d: %d connections; want %d", i, table.index.n, len(want))
		}
	}
	table.flush()
	for _, s := range table.index.slots {
		if s != 0 {
			t.Fatal("an empty index has a slot in use")
		}
	}
	if table.tcp != (connList{}) || table.udp != (connList{}) || table.index.n != 0 {
		t.Errorf("left: %+v, %+v, %d", table.tcp, table.udp, table.index.n)
	}
}

// TestConnectionsHoldNoPointer keeps the garbage collector from having to look at each of them.
func TestConnectionsHoldNoPointer(t *testing.T) {
	var look func(t reflect.Type) bool
	look = func(t reflect.Type) bool {
		switch t.Kind() {
		case reflect.Struct:
			for f := range t.Fields() {
				if look(f.Type) {
					return true
				}
			}
			return false
		case reflect.Array:
			return look(t.Elem())
		case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
			reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float64:
			return false
		}
		return true
	}
	for _, v := range []any{conn{}, connSlot(0)} {
		if look(reflect.TypeOf(v)) {
			t.Errorf("%T holds a pointer", v)
		}
	}
}
