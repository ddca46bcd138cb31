package packet

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// recorder keeps what an analyzer is told.
type recorder struct {
	text   [2]bytes.Buffer // missing bytes as dots
	gaps   int
	ended  int
	enough int // bytes after which it wants no more
	boom   bool
}

func (r *recorder) side(orig bool) *bytes.Buffer {
	if orig {
		return &r.text[0]
	}
	return &r.text[1]
}

func (r *recorder) data(_ int64, orig bool, b []byte) bool {
	if r.boom {
		panic("planted")
	}
	r.side(orig).Write(b)
	return r.enough == 0 || r.side(orig).Len() < r.enough
}

func (r *recorder) gap(_ int64, orig bool, n int) {
	r.gaps++
	r.side(orig).Write(bytes.Repeat([]byte("."), min(n, 1<<20)))
}
func (r *recorder) end(int64) { r.ended++ }

func recorded(budget int64, r *recorder) *worker {
	w := newWorker(Default(), "file", budget, nil, quiet())
	w.protocols = []protocol{{
		name: "test", proto: protoTCP,
		match: func(_ *key, _ bool, first []byte) bool { return bytes.HasPrefix(first, []byte("ab")) },
		open:  func(*worker, *conn) analyzer { return r },
	}}
	return w
}

func takeAll(w *worker, frames ...[]byte) {
	for i, b := range frames {
		w.take(&frame{link: linkEthernet, data: b, wire: len(b), time: int64(i+1) * 1e6})
	}
}

var handshake = [][]byte{
	tcpFrame(true, 99, 0, flagSYN, ""), tcpFrame(false, 499, 100, flagSYN|flagACK, ""), tcpFrame(true, 100, 500, flagACK, ""),
}

func TestStreamIsPutInOrder(t *testing.T) {
	cut := tcpFrame(true, 102, 500, flagACK, "cdefgh")
	cut = cut[:len(cut)-4] // captured in part
	tests := []struct {
		name   string
		frames [][]byte
		want   string
	}{
		{"in order", [][]byte{tcpFrame(true, 100, 500, flagACK, "abc"), tcpFrame(true, 103, 500, flagACK, "def")}, "abcdef"},
		{"byte by byte", [][]byte{tcpFrame(true, 100, 500, flagACK, "a"), tcpFrame(true, 101, 500, flagACK, "b"), tcpFrame(true, 102, 500, flagACK, "c")}, "abc"},
		{"late", [][]byte{tcpFrame(true, 103, 500, flagACK, "def"), tcpFrame(true, 106, 500, flagACK, "ghi"), tcpFrame(true, 100, 500, flagACK, "abc")}, "abcdefghi"},
		{"again", [][]byte{tcpFrame(true, 100, 500, flagACK, "abc"), tcpFrame(true, 100, 500, flagACK, "xyz"), tcpFrame(true, 101, 500, flagACK, "yzd")}, "abcd"},
		{"the first of an overlap wins", [][]byte{tcpFrame(true, 104, 500, flagACK, "ef"), tcpFrame(true, 102, 500, flagACK, "cdXYgh"), tcpFrame(true, 100, 500, flagACK, "abZ")}, "abcdefgh"},
		{"acknowledged, not captured", [][]byte{tcpFrame(true, 100, 500, flagACK, "ab"), tcpFrame(true, 105, 500, flagACK, "fg"), tcpFrame(false, 500, 107, flagACK, "")}, "ab...fg"},
		{"a hole at the end", [][]byte{tcpFrame(true, 100, 500, flagACK, "ab"), tcpFrame(true, 104, 500, flagACK, "ef")}, "ab..ef"},
		{"cut", [][]byte{tcpFrame(true, 100, 500, flagACK, "ab"), cut, tcpFrame(true, 108, 500, flagACK, "ij")}, "abcd....ij"},
		{"reset", [][]byte{tcpFrame(true, 100, 500, flagACK, "ab"), tcpFrame(true, 103, 500, flagACK, "d"), tcpFrame(true, 104, 500, flagRST, "junk"), tcpFrame(true, 104, 500, flagACK, "e")}, "ab.d"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{}
			w := recorded(minBudget, r)
			takeAll(w, append(slices.Clone(handshake), tt.frames...)...)
			w.finish()
			if got := r.text[0].String(); got != tt.want || r.ended != 1 || w.budget.used != 0 {
				t.Errorf("stream = %q, %d ends, %d bytes charged; want %q, 1, 0", got, r.ended, w.budget.used, tt.want)
			}
		})
	}
}

func TestStreamBeginsInTheMiddle(t *testing.T) {
	r := &recorder{}
	w := recorded(minBudget, r)
	takeAll(w, tcpFrame(true, 7000, 1, flagACK, "zzz"), tcpFrame(true, 7003, 1, flagACK, "abc"))
	if got := r.text[0].String(); got != "abc" {
		t.Errorf("stream = %q; want what begins with the second segment", got)
	}
}

func TestServersBannerIsReadFirst(t *testing.T) {
	r := &recorder{}
	w := recorded(minBudget, r)
	takeAll(w, append(slices.Clone(handshake), tcpFrame(false, 500, 100, flagACK, "banner"), tcpFrame(true, 100, 506, flagACK, "abc"))...)
	if r.text[0].String() != "abc" || r.text[1].String() != "banner" {
		t.Errorf("client %q, server %q", &r.text[0], &r.text[1])
	}
}

func TestUninterestingPayloadIsGivenUp(t *testing.T) {
	r := &recorder{enough: 3}
	w := recorded(minBudget, r)
	takeAll(w, append(slices.Clone(handshake), tcpFrame(true, 100, 500, flagACK, "abc"), tcpFrame(true, 103, 500, flagACK, "def"))...)
	if r.text[0].String() != "abc" || r.ended != 1 || w.budget.used != 0 {
		t.Errorf("read %q, %d ends, %d bytes charged", &r.text[0], r.ended, w.budget.used)
	}
	w = recorded(minBudget, r)
	frames := slices.Clone(handshake)
	for i := range 20 {
		frames = append(frames, tcpFrame(true, 100+uint32(i)*300, 500, flagACK, string(make([]byte, 300))))
	}
	takeAll(w, frames...)
	if w.budget.used != 0 && w.streams.delivered > maxTries*300 {
		t.Errorf("%d bytes charged, %d looked at, of a connection of no known protocol", w.budget.used, w.streams.delivered)
	}
}

func TestPanicCostsTheAnalyzerOnly(t *testing.T) {
	r := &recorder{boom: true}
	w := recorded(minBudget, r)
	takeAll(w, append(slices.Clone(handshake), tcpFrame(true, 100, 500, flagACK, "abc"), tcpFrame(true, 103, 500, flagACK, "def"))...)
	if w.dec.failed[failPanic] != 1 || r.ended != 1 || w.budget.used != 0 || w.table.index.n != 1 {
		t.Errorf("%d panics, %d ends, %d bytes charged, %d connections", w.dec.failed[failPanic], r.ended, w.budget.used, w.table.index.n)
	}
}

func TestHoleNeverFilledStaysWithinBounds(t *testing.T) {
	r := &recorder{}
	w := recorded(minBudget, r)
	takeAll(w, append(slices.Clone(handshake), tcpFrame(true, 100, 500, flagACK, "ab"))...)
	for i := range 10000 {
		takeAll(w, tcpFrame(true, 200+uint32(i)*2000, 500, flagACK, string(make([]byte, 1000))))
		if w.budget.used > w.budget.limit || w.budget.used > maxHeldBytes+maxHeldSegments*segmentCost+4096 {
			t.Fatalf("%d bytes held", w.budget.used)
		}
	}
	if w.streams.gaps == 0 || w.streams.dropped == 0 {
		t.Errorf("%+v; want gaps and drops", w.streams)
	}
}

func TestFloodOfTappedConnectionsStaysWithinBudget(t *testing.T) {
	w := recorded(minBudget, &recorder{})
	for i := range 20000 {
		b := tcpFrame(true, 100, 500, flagACK, "abc")
		binary.BigEndian.PutUint32(b[26:], uint32(i))
		takeAll(w, b)
	}
	if w.budget.used > w.budget.limit || w.budget.refused == 0 {
		t.Errorf("%d of %d bytes charged, %d refused", w.budget.used, w.budget.limit, w.budget.refused)
	}
	w.finish()
	if w.budget.used != 0 {
		t.Errorf("%d bytes charged at the end", w.budget.used)
	}
}

func TestTappedStreamAllocatesNothing(t *testing.T) {
	w := recorded(64<<20, &recorder{})
	w.protocols[0].open = func(*worker, *conn) analyzer { return &counting{} }
	takeAll(w, append(slices.Clone(handshake), tcpFrame(true, 100, 500, flagACK, "abc"))...)
	b := tcpFrame(true, 0, 500, flagACK, "0123456789")
	f := frame{link: linkEthernet, data: b, wire: len(b)}
	n := uint32(103)
	if allocs := testing.AllocsPerRun(10000, func() {
		binary.BigEndian.PutUint32(b[38:], n)
		f.time += 1000
		n += 10
		w.take(&f)
	}); allocs != 0 {
		t.Errorf("%v allocations per segment read; want 0", allocs)
	}
	for n := w.table.tcp.front; n != 0; n = w.table.conns.at(n).after {
		if got := w.tap(w.table.conns.at(n)).a.(*counting).n; got < 100000 {
			t.Errorf("%d bytes arrived", got)
		}
	}
}

type counting struct{ n int }

func (c *counting) data(_ int64, _ bool, b []byte) bool { c.n += len(b); return true }
func (c *counting) gap(int64, bool, int)                {}
func (c *counting) end(int64)                           {}

// FuzzStream sends pieces of a text in any order, sizes and repeats: what comes
// out is the text, with holes at most.
func FuzzStream(f *testing.F) {
	f.Add(uint64(1), 10)
	f.Add(uint64(7), 200)
	f.Fuzz(func(t *testing.T, seed uint64, n int) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		text := make([]byte, 3000)
		for i := range text {
			text[i] = byte('a' + i%26)
		}
		r := &recorder{}
		w := recorded(minBudget, r)
		base := rnd.Uint32() // numbers wrap
		first := tcpFrame(true, base-1, 0, flagSYN, "")
		takeAll(w, first, tcpFrame(true, base, 0, flagACK, string(text[:2])))
		for range min(max(n, 0), 500) {
			from := rnd.IntN(len(text))
			to := min(len(text), from+1+rnd.IntN(200))
			b := tcpFrame(true, base+uint32(from), 500, flagACK, string(text[from:to]))
			takeAll(w, b[:len(b)-rnd.IntN(2)*rnd.IntN(to-from+1)])
			if rnd.IntN(20) == 0 {
				takeAll(w, tcpFrame(false, 500, base+uint32(to), flagACK, ""))
			}
		}
		w.finish()
		got := r.text[0].Bytes()
		if len(got) > len(text) {
			t.Fatalf("%d bytes of %d", len(got), len(text))
		}
		for i, c := range got {
			if c != text[i] && c != '.' {
				t.Fatalf("byte %d is %q; want %q", i, c, text[i])
			}
		}
		if w.budget.used != 0 || w.dec.failed[failPanic] != 0 {
			t.Fatalf("%d bytes charged at the end, %d panics", w.budget.used, w.dec.failed[failPanic])
		}
	})
}
