package app

import (
	"context"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/demo/history"
	"github.com/orielhq/oriel/internal/prom"
)

const (
	historySpan  = 24 * time.Hour
	historyFine  = 3 * time.Hour    // up to now
	historyStep  = 15 * time.Second // what Grafana and the console take for granted
	historyOld   = 30 * time.Second // before the fine hours: enough for a rate, and half the work
	historyStill = 2 * time.Minute  // of what does not move
	historyWait  = 12 * time.Second // at most, for every source to answer
	historyCalm  = 300 * time.Millisecond
	historyApart = 5 * time.Second // sources are polled as often
)

// backfill stores the hours before the demo began, made of what its collectors show now.
func (a *application) backfill(ctx context.Context) error {
	asked := time.Now()
	sets := a.shown.Load().sets()
	first, err := a.answered(ctx, sets)
	if err != nil {
		return err
	}
	if err := pause(ctx, historyApart); err != nil {
		return err
	}
	var list []prom.Past
	var span history.Span
	for job, set := range sets {
		second, err := gather(ctx, set)
		if err != nil {
			return err
		}
		end := time.Now()
		span = history.Span{Start: end.Add(-historySpan), Began: a.flags.past, End: end}
		for _, s := range history.Of(first[job].page, second, end.Sub(first[job].at), span) {
			one := prom.Past{Job: job, Metric: s.Metric, At: s.At, Ends: strings.HasSuffix(s.Metric["__name__"], "_info")}
			if s.Still {
				one.Every = historyStill
			}
			list = append(list, one)
		}
		list = append(list, prom.Past{Job: job, Metric: map[string]string{"__name__": "up"}, At: func(time.Time) float64 { return 1 }})
	}
	var times []time.Time
	for at := span.Start; at.Before(span.End); {
		times = append(times, at)
		if at.Before(span.End.Add(-historyFine)) {
			at = at.Add(historyOld)
		} else {
			at = at.Add(historyStep)
		}
	}
	begin := time.Now()
	err = a.engine.Backfill(ctx, times, list)
	a.log.Info("made history", "series", len(list), "after", begin.Sub(asked).Round(time.Millisecond).String(), "took", time.Since(begin).Round(time.Millisecond).String())
	return err
}

// sets are the pages of the features by the name of their job; the program's own is of no interest.
func (s *shown) sets() map[string]*collector.Set {
	sets := map[string]*collector.Set{}
	for _, name := range s.names() {
		if one, ok := s.set.Only(name); ok && name != selfName {
			sets[name] = one
		} else if one, ok := s.alone[name]; ok {
			sets[name] = one
		}
	}
	return sets
}

// seen is a page of a job, and when it was read.
type seen struct {
	page []*dto.MetricFamily
	at   time.Time
}

// answered is the first page of each job on which all of its collectors have
// something to show; one that does not answer has what it shows in the end.
func (a *application) answered(ctx context.Context, sets map[string]*collector.Set) (map[string]seen, error) {
	pages := map[string]seen{}
	for end := time.Now().Add(historyWait); ; {
		ready := true
		for job, set := range sets {
			if p, ok := pages[job]; ok && whole(p.page) {
				continue
			}
			page, err := gather(ctx, set)
			if err != nil {
				return nil, err
			}
			pages[job] = seen{page, time.Now()}
			ready = ready && whole(page)
		}
		if ready || time.Now().After(end) {
			return pages, nil
		}
		if err := pause(ctx, historyCalm); err != nil {
			return nil, err
		}
	}
}

// whole tells whether all collectors of a page succeeded.
func whole(page []*dto.MetricFamily) bool {
	for _, f := range page {
		if f.GetName() != "oriel_collector_success" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetGauge().GetValue() == 0 {
				return false
			}
		}
	}
	return true
}

func gather(ctx context.Context, set *collector.Set) ([]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return set.GatherContext(ctx)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
