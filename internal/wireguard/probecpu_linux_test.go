package wireguard

import (
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkProbeCPU probes as 1,000 peers at 30 s do, 33 a second, and reports
// the share of a core that this takes (percent-of-core), all replies included.
func BenchmarkProbeCPU(b *testing.B) {
	p := newPinger()
	target := echoTarget{addr: netip.MustParseAddr("127.0.0.1")}
	if _, err := p.ping(b.Context(), target, 1, time.Second); err != nil {
		b.Skip(err)
	}
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	start := time.Now()
	var wg sync.WaitGroup
	probes := 0
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for b.Loop() {
		<-tick.C
		probes++
		wg.Go(func() { _, _ = p.ping(b.Context(), target, defaultProbe().Count, 2*time.Second) })
	}
	wg.Wait()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	b.ReportMetric(100*float64(cpu)/float64(time.Since(start)), "percent-of-core")
	b.ReportMetric(float64(cpu.Microseconds())/float64(probes), "cpu-µs/probe")
}
