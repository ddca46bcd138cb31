package neuvector

import (
	"context"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/collector"
	sim "github.com/orielhq/oriel/internal/demo/neuvector"
)

// large is a cluster with 10,000 images, 5,000 workloads, and 50 enforcers of which two are away.
func large() sim.Size {
	return sim.Size{
		Seed: 1, Hosts: 50, Unreachable: 2, Services: 500, Workloads: 3750, Registries: 4, Images: 10000,
		Threats: 100, Incidents: 100, Violations: 100, Scanners: 2,
	}
}

func largeCollector(tb testing.TB, concurrency int) *Collector {
	cfg := testConfig()
	cfg.Concurrency = concurrency
	c := simulate(tb, sim.Config{Latency: 20 * time.Millisecond}, large().World(time.Now()))
	return connect(tb, cfg, c)
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRefresh reads all once: at once as by default, and the same calls one
// after another. The simulator works in the same process and counts too.
func BenchmarkRefresh(b *testing.B) {
	for name, n := range map[string]int{"parallel": 0, "sequential": 1} {
		b.Run(name, func(b *testing.B) {
			c := largeCollector(b, n)
			start := cpu()
			for b.Loop() {
				if err := c.Refresh(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpu()-start).Seconds()/float64(b.N), "cpu-s/op")
			b.ReportMetric(float64(len(c.Images())), "images")
			b.ReportMetric(float64(len(c.Workloads())), "workloads")
		})
	}
}

// BenchmarkScrape writes the page of that cluster.
func BenchmarkScrape(b *testing.B) {
	c := largeCollector(b, 0)
	if err := c.Refresh(context.Background()); err != nil {
		b.Fatal(err)
	}
	set := collector.NewSet(quiet, map[string]collector.Collector{"neuvector": c})
	b.ReportAllocs()
	for b.Loop() {
		var n count
		if err := set.WriteText(context.Background(), &n); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(n), "bytes")
	}
}

type count int

func (c *count) Write(b []byte) (int, error) {
	*c += count(len(b))
	return len(b), nil
}

// TestMemoryIsBoundedByAPage: while 10,000 images are read, no more is held
// than their rows and the pages under way.
func TestMemoryIsBoundedByAPage(t *testing.T) {
	c := largeCollector(t, 0)
	c.cfg.Groups = []string{groupRegistries}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("held after a refresh: %d KiB for %d images", held>>10, len(c.Images()))
	if len(c.Images()) != 10000 || held > 16<<20 {
		t.Errorf("%d images, %d bytes held; want 10000 in 16 MiB", len(c.Images()), held)
	}
}
