//go:build cgo

package query_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/query"
)

func TestMetricsPage(t *testing.T) {
	s, err := query.New(query.Default(), query.Needs{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	set := collector.NewSet(slog.New(slog.DiscardHandler), map[string]collector.Collector{"query": s})
	w := httptest.NewRecorder()
	set.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "GET", "/metrics", nil))
	var page []byte
	for line := range bytes.Lines(w.Body.Bytes()) {
		if !bytes.Contains(line, []byte("oriel_collector_")) {
			page = append(page, line...)
		}
	}
	proctest.Golden(t, "testdata/metrics.prom", page)
	proctest.Lint(t, page)
}
