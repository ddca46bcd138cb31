//go:build cgo

package query_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/query/duckdb"
	"github.com/orielhq/oriel/internal/query/sample"
)

// BenchmarkPanels runs the queries of the flow-log dashboard over 1.2 M rows in
// 12 files, of which the range has 6: through the service without a cache
// (service), as plain SQL over those 6 files in the same DuckDB (plain), and
// through the service again and again (cached).
func BenchmarkPanels(b *testing.B) {
	dir := b.TempDir()
	start := time.Date(2026, 8, 20, 0, 0, 0, 0, time.UTC)
	if err := sample.Lake(dir, 1, start, 12, 100_000); err != nil {
		b.Fatal(err)
	}
	temp := b.TempDir()
	e, err := duckdb.Open(b.Context(), duckdb.Config{MemoryLimit: 1 << 30, Threads: 2, TempDir: temp, SpillLimit: 1 << 30, Dirs: []string{dir, temp}})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	span := query.Range{From: start, To: start.Add(6*time.Hour - time.Millisecond)}
	files, _, err := query.Dir{Path: dir}.Files(b.Context(), "flows", span, nil)
	if err != nil || len(files) != 6 {
		b.Fatal(files, err)
	}
	raw := query.View{Name: "flows"}
	for _, f := range files {
		raw.Files = append(raw.Files, f.Path)
	}
	made := func(cache bool) *query.Service {
		cfg := query.Default()
		if !cache {
			cfg.CacheSize = 0
		}
		s, err := query.New(cfg, query.Needs{Engine: e, Dialect: query.DuckDB{}, Catalog: query.Dir{Path: dir}, TempDir: temp}, slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	uncached, cached := made(false), made(true)
	for _, panel := range []string{"schema", "ratio", "top-sources", "top-targets", "bad-actors"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "grafana", "sql", "flow-logs", panel+".sql"))
		if err != nil {
			b.Fatal(err)
		}
		ask := func(b *testing.B, s *query.Service) {
			answers, done, err := s.Do(b.Context(), &query.Request{From: span.From, To: span.To, Variables: map[string]query.Variable{"target_ip": {"192.168.0.7"}}, Queries: []query.Query{{SQL: string(text)}}})
			if err != nil {
				b.Fatal(err)
			}
			defer done()
			if _, err := answers[0].Result.All(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(panel+"/service", func(b *testing.B) {
			for b.Loop() {
				ask(b, uncached)
			}
		})
		b.Run(panel+"/plain", func(b *testing.B) {
			sql := strings.NewReplacer("$__source", "flows", "${target_ip}", "192.168.0.7",
				"$__timeFilterColumn(start_time, timestamp)", "start_time >= TIMESTAMP '2026-08-20 00:00:00' AND start_time <= TIMESTAMP '2026-08-20 05:59:59.999'").Replace(string(text))
			for b.Loop() {
				r, err := e.Query(b.Context(), query.Statement{SQL: sql, Views: []query.View{raw}})
				if err != nil {
					b.Fatal(err)
				}
				row := make([]any, len(r.Columns()))
				for err == nil {
					err = r.Next(row)
				}
				if err != io.EOF { //nolint:errorlint // the contract of Rows
					b.Fatal(err)
				}
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(panel+"/cached", func(b *testing.B) {
			for b.Loop() {
				ask(b, cached)
			}
		})
	}
}
