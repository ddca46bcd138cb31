package wireguard

import (
	"context"
	"encoding/binary"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// BenchmarkProbeCPU probes 1,000 peers for one interval of 30 s and reports the
// share of a core that this takes (percent-of-core), readings and replies
// included. Every address of 127.0.0.0/8 answers. Run it with -benchtime 1x.
func BenchmarkProbeCPU(b *testing.B) {
	if _, err := newPinger().ping(b.Context(), echoTarget{addr: netip.MustParseAddr("127.0.0.1")}, 1, time.Second); err != nil {
		proctest.Without(b, err.Error())
	}
	const peers = 1000
	cfg := Default()
	cfg.SocketDir, cfg.Probe.Peers = b.TempDir(), []string{"*"}
	c, err := New(cfg, quiet)
	if err != nil {
		b.Fatal(err)
	}
	c.tracker.iface = func(string) iface { return iface{known: true, up: true, index: 1} } // lo
	c.reader.kernel = kernel{
		list: func() []string { return []string{"wg0"} },
		read: func(string) (*Device, error) {
			d := &Device{Name: "wg0"}
			for i := range peers {
				p := Peer{Keepalive: 25 * time.Second, LastHandshake: time.Now()}
				binary.BigEndian.PutUint32(p.PublicKey[:], uint32(i)+1)
				p.AllowedIPs = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 32)}
				d.Peers = append(d.Peers, p)
			}
			return d, nil
		},
	}
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	start := time.Now()
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
		_ = c.Run(ctx)
		cancel()
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	probes := c.probes.counts[[2]string{"wg0", probeSuccess}]
	if probes < peers*9/10 {
		b.Fatalf("%d probes were answered: %v", probes, c.probes.counts)
	}
	b.ReportMetric(100*float64(cpu)/float64(time.Since(start)), "percent-of-core")
	b.ReportMetric(float64(cpu.Microseconds())/float64(probes), "cpu-µs/probe")
}
