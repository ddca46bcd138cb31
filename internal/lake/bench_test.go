package lake

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/demo/flows"
)

// cpu is the processor time that this process has used, all threads together.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkImport imports objects of up to 10,000 flows from a directory into a
// lake in a directory: unpacking, decoding, sorting, Parquet, ledger and all.
// The number to look at is rows/cpu-s.
func BenchmarkImport(b *testing.B) {
	for _, vendor := range []string{"ibm", "aws", "gcp", "azure"} {
		b.Run(vendor, func(b *testing.B) {
			ctx := context.Background()
			in := b.TempDir()
			rows := int64(200_000)
			if vendor == "ibm" {
				rows = 1_000_000 // what the project promises a speed for
			}
			written, err := flows.Write(flows.Config{Seed: 1, Start: t0.Truncate(time.Hour), Duration: time.Hour, Rows: rows}, vendor, flows.Directory(in))
			if err != nil {
				b.Fatal(err)
			}
			var used time.Duration
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				l, err := New(NewDir(b.TempDir()), Options{}, discard)
				if err != nil {
					b.Fatal(err)
				}
				before := cpu()
				sum, err := l.Import(ctx, Source{Name: in, Store: NewDir(in)}, nil)
				used += cpu() - before
				if err != nil || sum.Rows != written.Records {
					b.Fatalf("%d rows, %v", sum.Rows, err)
				}
			}
			b.ReportMetric(float64(written.Records)*float64(b.N)/used.Seconds(), "rows/cpu-s")
		})
	}
}
