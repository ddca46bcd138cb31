package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/orielhq/oriel/internal/lake"
	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/query/duckdb"
	"github.com/orielhq/oriel/internal/query/sandbox"
)

// sqlFeature is the section query: an engine over a lake.
type sqlFeature struct {
	cfg     query.Config
	lakeDir string // the engine may read below it
	tempDir string
	catalog query.Catalog
	dest    query.DirDestination
	log     *slog.Logger

	engine  *sandbox.Engine
	service atomic.Pointer[query.Service]
}

func newSQLFeature(cfg query.Config, where lake.Config, current []currentTable, dataDir string, log *slog.Logger) (*sqlFeature, error) {
	dataDir, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, err
	}
	// DuckDB compares paths as they are written: all of them from the root.
	if where.Dir, err = filepath.Abs(where.Dir); err != nil {
		return nil, err
	}
	if where.CacheDir, err = filepath.Abs(where.CacheDir); err != nil {
		return nil, err
	}
	l, err := where.Open(log)
	if err != nil {
		return nil, err
	}
	readable := where.Dir
	if where.Bucket != nil {
		readable = where.CacheDir
	}
	f := &sqlFeature{
		cfg: cfg, lakeDir: readable, tempDir: filepath.Join(dataDir, "sql-tmp"), log: log,
		catalog: newCurrentCatalog(lakeCatalog{l}, current, filepath.Join(dataDir, "sql-tmp")), dest: query.DirDestination{Path: filepath.Join(dataDir, "sql-results")},
	}
	return f, cfg.Validate()
}

// Open starts the engine. What an earlier run left in its folder is removed.
func (f *sqlFeature) Open(ctx context.Context) error {
	if err := os.RemoveAll(f.tempDir); err != nil {
		return fmt.Errorf("clean %s: %w", f.tempDir, err)
	}
	if err := os.MkdirAll(f.tempDir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", f.tempDir, err)
	}
	if err := f.dest.Sweep(); err != nil {
		f.log.Warn("remove half written results", "err", err)
	}
	needs := query.Needs{Dialect: query.DuckDB{}, Catalog: f.catalog, Destination: f.dest, TempDir: f.tempDir}
	engine, err := sandbox.Open(ctx, duckdb.Config{
		MemoryLimit: f.cfg.MemoryLimit, SpillLimit: f.cfg.SpillLimit, Threads: f.cfg.Threads, TempDir: f.tempDir, Dirs: []string{f.lakeDir, f.tempDir},
	}, f.log)
	switch {
	case errors.Is(err, query.ErrNoEngine):
		f.log.Warn("no SQL", "err", err) // requests are told so too
	case err != nil:
		return err
	default:
		f.engine, needs.Engine = engine, engine
	}
	s, err := query.New(f.cfg, needs, f.log)
	if err != nil {
		return err
	}
	f.service.Store(s)
	return nil
}

// Run watches the flow logs, and keeps the engine until ctx is done.
func (f *sqlFeature) Run(ctx context.Context) error {
	f.service.Load().Watch(ctx)
	if s := f.service.Swap(nil); s != nil {
		s.Close()
	}
	if f.engine == nil {
		return nil
	}
	return f.engine.Close()
}

// Collect sends the service's metrics.
func (f *sqlFeature) Collect(ctx context.Context, ch chan<- prometheus.Metric) error {
	if s := f.service.Load(); s != nil {
		return s.Collect(ctx, ch)
	}
	return nil
}

// ServeHTTP answers /api/sql/.
func (f *sqlFeature) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s := f.service.Load(); s != nil {
		s.ServeHTTP(w, r)
		return
	}
	http.Error(w, "SQL is not ready.", http.StatusServiceUnavailable)
}
