package flows

import (
	"bytes"
	"crypto/sha256"
	"io"
	"runtime"
	"testing"
	"time"
)

var start = time.Date(2026, 8, 20, 0, 0, 0, 0, time.UTC)

// heap is what is in use after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// sizer counts what is written, and looks at the memory when it is complete.
type sizer struct {
	n     int64
	check func()
}

func (s *sizer) Write(p []byte) (int, error) { s.n += int64(len(p)); return len(p), nil }
func (s *sizer) Close() error                { s.check(); return nil }

// TestAnyNumberOfRowsTakesTheSameMemory: rows as dense as a thousand million a
// day are, so that objects are as full as they get. What a run holds must depend
// on its objects only, and not on how many there have been; and a row must cost
// few allocations.
func TestAnyNumberOfRowsTakesTheSameMemory(t *testing.T) {
	const most = 64 << 20 // 14 interfaces with 10,000 flows each, and Parquet's buffers
	for _, vendor := range Vendors() {
		rows := int64(20_000)
		if vendor == "ibm" || vendor == "aws_parquet" { // they hold an object until it is complete
			rows = 150_000
		}
		var peak, objects int64
		before := heap()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		mallocs := m.Mallocs
		stats, err := Write(Config{Seed: 1, Start: start, Duration: window - time.Second, Rows: rows}, vendor, func(string) (io.WriteCloser, error) {
			return &sizer{check: func() {
				if objects++; objects%5 == 1 {
					peak = max(peak, heap()-before)
				}
			}}, nil
		})
		if err != nil || stats.Flows != rows || objects != stats.Objects {
			t.Fatalf("%s: %+v, %v, %d objects", vendor, stats, err, objects)
		}
		runtime.ReadMemStats(&m)
		each := float64(m.Mallocs-mallocs) / float64(rows)
		t.Logf("%s: %.1f allocations a row, at most %d MB held", vendor, each, peak>>20)
		if each > 40 {
			t.Errorf("%s: %.1f allocations a row", vendor, each)
		}
		if peak > most {
			t.Errorf("%s: %d MB held at the end of an object", vendor, peak>>20)
		}
		if left := heap() - before; left > 24<<20 {
			t.Errorf("%s: %d MB left at the end", vendor, left>>20)
		}
	}
}

// TestFlowsAreMadeOneByOne: the sequence itself holds nothing of what it has made.
func TestFlowsAreMadeOneByOne(t *testing.T) {
	n, first, last := 0, int64(0), int64(0)
	for range (Config{Seed: 1, Start: start, Rows: 300_000}).All() {
		switch n++; n {
		case 1000:
			first = heap()
		case 299_000:
			last = heap()
		}
	}
	if n != 300_000 || last-first > 1<<20 {
		t.Errorf("%d flows; %d bytes more in use at the end", n, last-first)
	}
}

// TestSameSeedSameBytes, and another one others.
func TestSameSeedSameBytes(t *testing.T) {
	sum := func(vendor string, seed uint64) [32]byte {
		var all bytes.Buffer
		if _, err := Write(Config{Seed: seed, Start: start, Duration: time.Hour, Rows: 2000}, vendor, func(key string) (io.WriteCloser, error) {
			all.WriteString(key)
			return nopCloser{&all}, nil
		}); err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(all.Bytes())
	}
	for _, vendor := range []string{"aws", "gcp", "azure", "nsg"} { // objects are written one at a time or by their own keys
		if a, b, c := sum(vendor, 1), sum(vendor, 1), sum(vendor, 2); a != b || a == c {
			t.Errorf("%s: the same seed the same: %t, another another: %t", vendor, a == b, a != c)
		}
	}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
