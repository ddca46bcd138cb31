package packet

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// BenchmarkCapture does what `oriel capture` does, the records into netcap's
// files. It reads the corpus, or the one large capture that ORIEL_BENCH_CAPTURE
// names; -cpuprofile and -memprofile show where the time goes.
func BenchmarkCapture(b *testing.B) {
	files := []string{os.Getenv("ORIEL_BENCH_CAPTURE")}
	if files[0] == "" {
		files = []string{filepath.Dir(corpus(b, "*")[0])}
	}
	for _, bb := range []struct {
		name  string
		kinds []string
	}{{"sessions", nil}, {"all", []string{"all"}}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			packets := uint64(0)
			for b.Loop() {
				cfg := Default()
				cfg.Files = files
				cfg.Records.Kinds, cfg.Records.Dir, cfg.Records.Format = bb.kinds, b.TempDir(), FormatNcap
				m, err := NewRecording(cfg, NewFileOutput(cfg.Records, ""), quiet())
				if err != nil {
					b.Fatal(err)
				}
				if err := m.Run(b.Context()); err != nil {
					b.Fatal(err)
				}
				packets += m.Progress().Packets
				runtime.KeepAlive(m)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
		})
	}
}
