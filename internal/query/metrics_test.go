//go:build cgo

package query_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/collector"
	record "github.com/orielhq/oriel/internal/flow"
	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/query/duckdb"
	"github.com/orielhq/oriel/internal/query/sample"
	"github.com/orielhq/oriel/internal/query/sandbox"
)

// TestMain makes this program its own SQL engine's process.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == sandbox.Argument {
		if err := sandbox.Serve(context.Background(), func() {}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// detecting returns a service over an hour of flows with one case for each detection.
func detecting(t *testing.T) (*query.Service, time.Time) {
	t.Helper()
	dir := t.TempDir()
	start := time.Date(2026, 8, 20, 1, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	var rows []record.Record
	for i := range 120 { // refused often, at one place
		rows = append(rows, sample.Flow(at(i), "203.0.113.1", "10.0.0.1", 443, "rejected", "I", 100))
	}
	for i := range 25 { // at many ports
		rows = append(rows, sample.Flow(at(i), "203.0.113.2", "10.0.0.1", int32(i), "rejected", "I", 100))
	}
	for i := range 20 { // once in two minutes, and a person at random
		rows = append(rows, sample.Flow(at(120*i+i%2), "10.0.0.2", "203.0.113.3", 443, "accepted", "O", 100))
		rows = append(rows, sample.Flow(at(3*i*i), "10.0.0.3", "203.0.113.3", 443, "accepted", "O", 100))
	}
	for i, target := range []string{"203.0.113.4", "10.9.9.9"} { // much, outside and inside
		big := sample.Flow(at(i), "10.0.0.4", target, 443, "accepted", "O", 2e9)
		back := int64(1000)
		big.BytesFromTarget = &back
		rows = append(rows, big)
	}
	slices.SortFunc(rows, func(a, b record.Record) int { return int(a.StartTime - b.StartTime) })
	if err := sample.Write(filepath.Join(dir, "lake"), start, rows); err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(dir, "tmp")
	e, err := sandbox.Open(t.Context(), duckdb.Config{MemoryLimit: 256 << 20, Threads: 2, TempDir: temp, Dirs: []string{dir}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	s, err := query.New(query.Default(), query.Needs{Engine: e, Dialect: query.DuckDB{}, Catalog: query.Dir{Path: filepath.Join(dir, "lake")}, TempDir: temp}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, start.Add(time.Hour - time.Millisecond)
}

// TestDetectionsFindWhatTheyAreFor and nothing in an hour before.
func TestDetectionsFindWhatTheyAreFor(t *testing.T) {
	s, now := detecting(t)
	for _, tt := range []struct {
		at   time.Time
		want map[string]float64
	}{
		{now, map[string]float64{"bad_actor": 1, "port_scan": 1, "beacon": 1, "exfiltration": 1}},
		{now.Add(-2 * time.Hour), map[string]float64{"bad_actor": 0, "port_scan": 0, "beacon": 0, "exfiltration": 0}},
	} {
		s.Detect(t.Context(), tt.at)
		set := collector.NewSet(slog.New(slog.DiscardHandler), map[string]collector.Collector{"query": s})
		mfs, err := set.Gather()
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
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("at %s found %v; want %v", tt.at, got, tt.want)
		}
	}
}

func TestMetricsPage(t *testing.T) {
	s, now := detecting(t)
	s.Detect(t.Context(), now)
	set := collector.NewSet(slog.New(slog.DiscardHandler), map[string]collector.Collector{"query": s})
	w := httptest.NewRecorder()
	set.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "GET", "/metrics", nil))
	var page []byte
	for line := range bytes.Lines(w.Body.Bytes()) {
		if bytes.HasPrefix(line, []byte("oriel_query_duration")) || bytes.HasPrefix(line, []byte("oriel_query_engine_resident_bytes")) {
			line = regexp.MustCompile(`\S+\n$`).ReplaceAll(line, []byte("1\n")) // measured
		}
		if !bytes.Contains(line, []byte("oriel_collector_")) {
			page = append(page, line...)
		}
	}
	proctest.Golden(t, "testdata/metrics.prom", page)
	proctest.Lint(t, page)
}
