package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/orielhq/oriel/internal/demo/flows"
)

const (
	generated = 1_000_000_000 // flows that are asked for
	share     = 8_000_000     // and made, unless ORIEL_BENCH_ROWS says otherwise
	shares    = 4
)

// generator makes the first share of a thousand million flows, into nothing, and
// shows that the last of them take the time and the memory of the first.
func generator(tools) error {
	fmt.Printf("oriel flows generate: the first %d of %d flows, IBM's JSON.gz, without the disk\n", rowsOr(share), int64(generated))
	var bytes atomic.Int64
	var m runtime.MemStats
	enough := errors.New("enough")
	objects, part := int64(0), 1
	begin, used, before := time.Now(), self(), int64(0)
	first := self()
	_, err := flows.Write(flows.Config{Seed: 1, Start: lakeStart, Rows: generated}, "ibm", func(string) (io.WriteCloser, error) {
		// Objects are opened when 10,000 flows have filled the one before.
		done := objects * perObject
		objects++
		if done >= rowsOr(share)*int64(part)/shares {
			runtime.GC()
			runtime.ReadMemStats(&m)
			now := self()
			fmt.Printf("%10d flows: %.2f us of CPU each since the last line, %d bytes each, %d MB in use\n", done, (now-used).Seconds()*1e6/float64(max(done-before, 1)), bytes.Load()/max(done, 1), m.HeapAlloc>>20)
			used, before = now, done
			if part++; part > shares {
				return nil, enough
			}
		}
		return &counter{&bytes}, nil
	})
	if !errors.Is(err, enough) {
		return fmt.Errorf("generate: ended too early: %w", err)
	}
	each := (self() - first).Seconds() / float64(before)
	fmt.Printf("%.1f s; all of them would take %.1f hours of CPU and %d GB\n\n", time.Since(begin).Seconds(), each*generated/3600, bytes.Load()/before*generated>>30)
	return nil
}

// perObject is how many flows an object holds at such density.
const perObject = 10_000

// counter counts bytes.
type counter struct{ n *atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) { c.n.Add(int64(len(p))); return len(p), nil }
func (c *counter) Close() error                { return nil }
