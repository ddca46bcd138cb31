package prom

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"
)

// Prometheus' own defaults (cmd/prometheus, --query.* and --storage.*).
const (
	// discoveryInterval bounds how often new targets are taken over. Prometheus
	// waits 5 s, for service discoveries that talk all the time; ours do not.
	discoveryInterval = time.Second

	maxSamples       = 50_000_000
	queryTimeout     = 2 * time.Minute
	lookback         = 5 * time.Minute
	flushDeadline    = 10 * time.Second
	readSampleLimit  = 50_000_000
	readConcurrency  = 10
	readBytesInFrame = 1 << 20
)

// openStorage opens the TSDB and the remote storage beside it.
func (e *Engine) openStorage(plan *Plan) error {
	dir := filepath.Join(e.cfg.Dir, "prometheus")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	opts := tsdb.DefaultOptions()
	opts.WALCompression = compression.Snappy
	opts.EnableExemplarStorage = true
	opts.MaxExemplars = plan.prometheus.StorageConfig.ExemplarsConfig.MaxExemplars
	opts.EnableMemorySnapshotOnShutdown = false
	if t := plan.prometheus.StorageConfig.TSDBConfig; t != nil {
		opts.OutOfOrderTimeWindow = t.OutOfOrderTimeWindow
		if r := t.Retention; r != nil {
			opts.RetentionDuration = time.Duration(r.Time).Milliseconds()
			opts.MaxBytes = int64(r.Size)
			opts.MaxPercentage = r.Percentage
		}
	}
	e.dbStats = tsdb.NewDBStats()
	db, err := tsdb.Open(dir, e.log, e.registry, opts, e.dbStats)
	if err != nil {
		return fmt.Errorf("open storage %q: %w", dir, err)
	}
	e.db = db
	e.remote = remote.NewStorage(e.log, e.registry, db.StartTime, dir, flushDeadline, scrapeManager{e}, false)
	e.fanout = storage.NewFanout(e.log, db, e.remote)
	db.SetWriteNotified(e.remote) // wakes remote write
	return nil
}

func (e *Engine) closeStorage() error {
	if e.fanout == nil {
		return nil
	}
	if err := e.fanout.Close(); err != nil {
		return fmt.Errorf("close storage: %w", err)
	}
	return nil
}

// scrapeManager gives remote write the metadata of scrape targets.
type scrapeManager struct{ e *Engine }

// Get returns the scrape manager once there is one.
func (s scrapeManager) Get() (*scrape.Manager, error) {
	if s.e.scraper == nil {
		return nil, errors.New("scrape manager not ready")
	}
	return s.e.scraper, nil
}

// localStorage adds to *tsdb.DB what the web API wants of it.
type localStorage struct {
	*tsdb.DB
	stats *tsdb.DBStats
}

// BlockMetas returns the metadata of the blocks on disk.
func (s localStorage) BlockMetas() ([]tsdb.BlockMeta, error) { return s.DB.BlockMetas(), nil }

// Stats returns statistics of the head block.
func (s localStorage) Stats(label string, limit int) (*tsdb.Stats, error) {
	return s.Head().Stats(label, limit), nil
}

// WALReplayStatus tells how far the log has been replayed.
func (s localStorage) WALReplayStatus() (tsdb.WALReplayStatus, error) {
	return s.stats.Head.WALReplayStatus.GetWALReplayStatus(), nil
}
