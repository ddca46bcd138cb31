package prom

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
)

// Past is a series as it would have been scraped before the engine ran.
type Past struct {
	Job    string
	Metric map[string]string // with __name__
	// At is the value at a time. It is called for rising times.
	At func(time.Time) float64
	// Every is the least time between two samples: what does not move needs few,
	// though more than one in the five minutes that a query looks back.
	Every time.Duration
	// Ends tells that the series ends with the times, as when a scrape no longer has it.
	Ends bool
}

// Backfill stores series of the past. Call it between Open and Run, or
// before Config.Hold is closed: the storage takes what is old only as long as it
// holds nothing newer. The times must rise, also from call to call.
func (e *Engine) Backfill(ctx context.Context, times []time.Time, list []Past) error {
	instance := e.current.Load().settings.Instance
	all := make([]labels.Labels, len(list))
	refs := make([]storage.SeriesRef, len(list))
	due := make([]time.Time, len(list))
	for i, p := range list {
		all[i] = p.labels(instance)
	}
	for n, at := range times {
		if err := ctx.Err(); err != nil {
			return err
		}
		app := e.db.Appender(ctx)
		for i, p := range list {
			if at.Before(due[i]) && n < len(times)-1 {
				continue
			}
			due[i] = at.Add(p.Every)
			v := p.At(at)
			if p.Ends && n == len(times)-1 {
				v = math.Float64frombits(value.StaleNaN)
			}
			ref, err := app.Append(refs[i], all[i], at.UnixMilli(), v)
			if err != nil {
				_ = app.Rollback()
				return fmt.Errorf("store past of %s: %w", all[i], err)
			}
			refs[i] = ref
		}
		if err := app.Commit(); err != nil {
			return fmt.Errorf("store past: %w", err)
		}
	}
	return nil
}

// labels are those that a scrape of the job gives.
func (p Past) labels(instance string) labels.Labels {
	b := labels.NewBuilder(labels.EmptyLabels())
	for name, value := range p.Metric {
		if name == model.JobLabel || name == model.InstanceLabel {
			name = model.ExportedLabelPrefix + name
		}
		b.Set(name, value)
	}
	return b.Set(model.JobLabel, p.Job).Set(model.InstanceLabel, instance).Labels()
}
