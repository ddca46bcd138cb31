//go:build cgo

package app

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/conf"
	demoflows "github.com/orielhq/oriel/internal/demo/flows"
	"github.com/orielhq/oriel/internal/lake"
	"github.com/orielhq/oriel/internal/query"
)

// TestDetectionsFindWhatTheDemoHasInIt, each of the four, and none of them more
// than the machine that the demo means: a demo full of alarms shows none.
func TestDetectionsFindWhatTheDemoHasInIt(t *testing.T) {
	dir := t.TempDir()
	part, err := openDemoFlows(t.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	where := lake.Default()
	where.Dir = filepath.Join(dir, "lake")
	l, err := where.Open(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, vendor := range []string{"ibm", "aws", "gcp", "azure"} {
		if _, err := l.Import(t.Context(), lake.Source{Name: vendor, Store: lake.NewDir(filepath.Join(dir, vendor))}, nil); err != nil {
			t.Fatal(err)
		}
	}
	cfg := query.Default()
	window := part.sections["query"].(map[string]any)["detections"].(map[string]any)["window"].(string)
	if cfg.Detections.Window, err = conf.ParseDuration(window); err != nil {
		t.Fatal(err)
	}
	f, err := newSQLFeature(cfg, where, nil, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := f.service.Load()
	defer func() {
		s.Close()
		if err := f.engine.Close(); err != nil {
			t.Error(err)
		}
	}()
	s.Detect(t.Context(), time.Now())
	mfs, err := collector.NewSet(slog.New(slog.DiscardHandler), map[string]collector.Collector{"query": s}).Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, mf := range mfs {
		for _, m := range mf.GetMetric() {
			if mf.GetName() == "oriel_flow_detected_sources" {
				got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	if want := map[string]float64{"bad_actor": 1, "port_scan": 1, "beacon": 1, "exfiltration": 1}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("found %v; want %v", got, want)
	}
	for name, source := range map[string]string{"port_scan": demoflows.ScannerIP, "beacon": demoflows.InfectedIP, "exfiltration": demoflows.LeakingIP, "bad_actor": demoflows.ScannerIP} {
		file := filepath.Join("../query/detections", name+".sql")
		out, errs, code := sqlRun(t, "--lake", where.Dir, "--range", "24h", "-o", "csv", "-f", file)
		if code != 0 || len(out) < 20 || out[:len("source,score\n")+len(source)] != "source,score\n"+source {
			t.Errorf("%s = %d, %q, %s; want %s", name, code, out, errs, source)
		}
	}
}
