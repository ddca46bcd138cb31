package lake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// fullListing is how often a source is listed whole, for objects that came very late.
const fullListing = 24 * time.Hour

// Watcher imports from its sources as objects appear, and keeps the lake tidy.
type Watcher struct {
	cfg     Config
	lake    *Lake
	log     *slog.Logger
	sources []*watchedSource

	mu   sync.Mutex // guards what follows
	care upkeep
}

// upkeep is what compaction and retention have done.
type upkeep struct {
	ok       bool
	ran      bool
	merged   int64 // files replaced by compaction
	expired  int64
	lastDone time.Time
}

// watchedSource is a source and what has become of it.
type watchedSource struct {
	Source
	interval time.Duration
	lookback int

	mu       sync.Mutex // guards what follows
	total    Summary
	ok       bool
	ran      bool
	lastDone time.Time
	took     time.Duration
}

// NewWatcher returns a watcher that has not begun. cfg must be valid.
func NewWatcher(cfg Config, l *Lake, log *slog.Logger) (*Watcher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	w := &Watcher{cfg: cfg, lake: l, log: log}
	for _, c := range cfg.Sources {
		store, err := c.Store()
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", c.Name, err)
		}
		w.sources = append(w.sources, &watchedSource{
			Source:   Source{Name: c.Name, Store: store, Prefix: c.Prefix, Format: c.Format},
			interval: c.Interval.Std(), lookback: c.LookbackDays,
		})
	}
	return w, nil
}

// Lake returns the lake that is written to.
func (w *Watcher) Lake() *Lake { return w.lake }

// Run watches until ctx is done. That a source cannot be read is no error of it: it tries again.
func (w *Watcher) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, s := range w.sources {
		wg.Go(func() { w.watch(ctx, s) })
	}
	wg.Go(func() { w.maintain(ctx) })
	wg.Wait()
	return nil
}

// every calls f now and then at each interval, until ctx is done.
func every(ctx context.Context, interval time.Duration, f func()) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		f()
		timer.Reset(interval)
	}
}

func (w *Watcher) watch(ctx context.Context, s *watchedSource) {
	log := w.log.With("source", s.Name)
	var whole time.Time
	every(ctx, s.interval, func() {
		source := s.Source
		if w.cfg.Retention > 0 {
			source.Oldest = time.Now().Add(-w.cfg.Retention.Std())
		}
		start := time.Now()
		full := start.Sub(whole) >= fullListing
		if !full {
			source.Lookback = s.lookback
		}
		sum, err := w.lake.Import(ctx, source, nil)
		if err == nil && full {
			whole = start
		}
		if ctx.Err() != nil {
			return
		}
		changed := s.finished(sum, err, time.Since(start))
		switch {
		case errors.Is(err, ErrLocked):
			log.Debug("another process imports", "err", err)
		case err != nil && changed:
			log.Warn("import", "err", err)
		case err == nil && changed:
			log.Info("source can be read")
		}
		if sum.Rows > 0 {
			log.Info("imported", "objects", sum.Objects, "rows", sum.Rows, "bytes", sum.Bytes)
		}
		for i, p := range sum.Problems {
			if i == 5 {
				log.Warn("more bad objects and records", "count", len(sum.Problems)-i)
				break
			}
			log.Warn("left out", "err", p)
		}
	})
}

// finished adds a run up. It tells whether it went otherwise than the one before.
func (s *watchedSource) finished(sum Summary, err error, took time.Duration) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ok := err == nil || errors.Is(err, ErrLocked)
	changed = ok != s.ok && (s.ran || !ok)
	s.ok, s.ran, s.took = ok, true, took
	s.total = s.total.sum(sum)
	if ok {
		s.lastDone = time.Now()
	}
	return changed
}

// sum adds the counters that metrics show.
func (s Summary) sum(o Summary) Summary {
	s.Objects += o.Objects
	s.ObjectsFailed += o.ObjectsFailed
	s.Bytes += o.Bytes
	s.Rows += o.Rows
	s.BadRecords += o.BadRecords
	s.Skipped += o.Skipped
	s.Expired += o.Expired
	return s
}

// maintain compacts and forgets.
func (w *Watcher) maintain(ctx context.Context) {
	interval := w.cfg.CompactInterval.Std()
	if interval <= 0 {
		if w.cfg.Retention <= 0 {
			return
		}
		interval = time.Hour
	}
	every(ctx, interval, func() {
		merged, expired, err := w.tidy(ctx)
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		before := w.care
		w.care.ok, w.care.ran = err == nil, true
		w.care.merged += merged
		w.care.expired += expired
		if err == nil {
			w.care.lastDone = time.Now()
		}
		w.mu.Unlock()
		if err != nil && (before.ok || !before.ran) {
			w.log.Warn("upkeep of the lake", "err", err)
		}
		if merged+expired > 0 {
			w.log.Info("lake tidied", "files_merged", merged, "files_expired", expired)
		}
	})
}

// tidy makes one round over all tables. A table that fails does not keep the others back.
func (w *Watcher) tidy(ctx context.Context) (merged, expired int64, err error) {
	tables, err := w.lake.Tables(ctx)
	if err != nil {
		return 0, 0, err
	}
	now := time.Now()
	for _, t := range tables {
		if w.cfg.Retention > 0 {
			n, eerr := w.lake.Expire(ctx, t.Name, now.Add(-w.cfg.Retention.Std()))
			expired += n
			if !errors.Is(eerr, ErrLocked) { // the next round
				err = errors.Join(err, eerr)
			}
		}
		if w.cfg.CompactInterval > 0 {
			c, cerr := w.lake.Compact(ctx, t.Name, now.Add(-w.cfg.CompactAge.Std()), nil)
			merged += c.Before
			if !errors.Is(cerr, ErrLocked) { // another process does it
				err = errors.Join(err, cerr)
			}
		}
	}
	return merged, expired, err
}

var (
	sourceLabel  = []string{"source"}
	rowsDesc     = prometheus.NewDesc("oriel_flows_imported_rows_total", "Rows of flow logs imported.", sourceLabel, nil)
	objectsDesc  = prometheus.NewDesc("oriel_flows_imported_objects_total", "Objects with flow logs dealt with, damaged ones included.", sourceLabel, nil)
	bytesDesc    = prometheus.NewDesc("oriel_flows_imported_bytes_total", "Bytes of objects dealt with, as they are stored.", sourceLabel, nil)
	badObjDesc   = prometheus.NewDesc("oriel_flows_bad_objects_total", "Objects left out because they are damaged or no flow logs.", sourceLabel, nil)
	badRecDesc   = prometheus.NewDesc("oriel_flows_bad_records_total", "Records left out because they make no sense.", sourceLabel, nil)
	skippedDesc  = prometheus.NewDesc("oriel_flows_skipped_records_total", "Records and objects that the vendor marks as without data or incomplete.", sourceLabel, nil)
	expiredDesc  = prometheus.NewDesc("oriel_flows_expired_rows_total", "Rows left out because they were older than the retention when they came.", sourceLabel, nil)
	successDesc  = prometheus.NewDesc("oriel_flows_import_success", "Whether the last import of the source went to its end (1) or not (0).", sourceLabel, nil)
	lastDesc     = prometheus.NewDesc("oriel_flows_import_last_success_timestamp_seconds", "When the source was last imported to its end.", sourceLabel, nil)
	durationDesc = prometheus.NewDesc("oriel_flows_import_duration_seconds", "How long the last import took.", sourceLabel, nil)
	mergedDesc   = prometheus.NewDesc("oriel_lake_compacted_files_total", "Files that compaction replaced by larger ones.", nil, nil)
	forgotDesc   = prometheus.NewDesc("oriel_lake_expired_files_total", "Files removed because their rows were older than the retention.", nil, nil)
	careDesc     = prometheus.NewDesc("oriel_lake_upkeep_success", "Whether the last round of compaction and retention succeeded (1) or not (0).", nil, nil)
	careLastDesc = prometheus.NewDesc("oriel_lake_upkeep_last_success_timestamp_seconds", "When compaction and retention last succeeded.", nil, nil)
)

// Collect sends what has been done. What an import under way has done counts when it ends.
func (w *Watcher) Collect(_ context.Context, ch chan<- prometheus.Metric) error {
	for _, s := range w.sources {
		s.collect(ch)
	}
	w.mu.Lock()
	care := w.care
	w.mu.Unlock()
	ch <- prometheus.MustNewConstMetric(mergedDesc, prometheus.CounterValue, float64(care.merged))
	ch <- prometheus.MustNewConstMetric(forgotDesc, prometheus.CounterValue, float64(care.expired))
	if care.ran {
		ch <- prometheus.MustNewConstMetric(careDesc, prometheus.GaugeValue, truth(care.ok))
	}
	if !care.lastDone.IsZero() {
		ch <- prometheus.MustNewConstMetric(careLastDesc, prometheus.GaugeValue, float64(care.lastDone.Unix()))
	}
	return nil
}

func (s *watchedSource) collect(ch chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counter := func(d *prometheus.Desc, n int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), s.Name)
	}
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, s.Name)
	}
	counter(rowsDesc, s.total.Rows)
	counter(objectsDesc, s.total.Objects)
	counter(bytesDesc, s.total.Bytes)
	counter(badObjDesc, s.total.ObjectsFailed)
	counter(badRecDesc, s.total.BadRecords)
	counter(skippedDesc, s.total.Skipped)
	counter(expiredDesc, s.total.Expired)
	if s.ran {
		gauge(successDesc, truth(s.ok))
		gauge(durationDesc, s.took.Seconds())
	}
	if !s.lastDone.IsZero() {
		gauge(lastDesc, float64(s.lastDone.Unix()))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
