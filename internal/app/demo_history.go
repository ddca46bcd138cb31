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
	historyCalm  = 1500 * time.Millisecond
	historyApart = 6 * time.Second
)

// backfill stores the hours before the demo began, made of what its collectors show now.
func (a *application) backfill(ctx context.Context) error {
	asked := time.Now()
	sets := a.shown.Load().sets()
	if err := a.settled(ctx, sets); err != nil {
		return err
	}
	first, err := gatherAll(ctx, sets)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := pause(ctx, historyApart); err != nil {
		return err
	}
	second, err := gatherAll(ctx, sets)
	if err != nil {
		return err
	}
	end := time.Now()
	span := history.Span{Start: end.Add(-historySpan), End: end}
	var list []prom.Past
	for job := range sets {
		for _, s := range history.Of(first[job], second[job], end.Sub(began), span) {
			one := prom.Past{Job: job, Metric: s.Metric, At: s.At, Ends: strings.HasSuffix(s.Metric["__name__"], "_info")}
			if s.Still {
				one.Every = historyStill
			}
			list = append(list, one)
		}
		list = append(list, prom.Past{Job: job, Metric: map[string]string{"__name__": "up"}, At: func(time.Time) float64 { return 1 }})
	}
	var times []time.Time
	for at := span.Start; at.Before(end); {
		times = append(times, at)
		if at.Before(end.Add(-historyFine)) {
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

// settled waits until every collector has something to show and shows no more than a moment ago.
func (a *application) settled(ctx context.Context, sets map[string]*collector.Set) error {
	before := -1
	for end := time.Now().Add(historyWait); time.Now().Before(end); {
		pages, err := gatherAll(ctx, sets)
		if err != nil {
			return err
		}
		ready, count := true, 0
		for _, page := range pages {
			for _, f := range page {
				count += len(f.GetMetric())
				if f.GetName() == "oriel_collector_success" && f.GetMetric()[0].GetGauge().GetValue() == 0 {
					ready = false
				}
			}
		}
		if ready && count == before {
			return nil
		}
		before = count
		if err := pause(ctx, historyCalm); err != nil {
			return err
		}
	}
	return nil // a source that does not answer has no history
}

func gatherAll(ctx context.Context, sets map[string]*collector.Set) (map[string][]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	pages := map[string][]*dto.MetricFamily{}
	for name, set := range sets {
		page, err := set.GatherContext(ctx)
		if err != nil {
			return nil, err
		}
		pages[name] = page
	}
	return pages, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
