package app

import (
	"context"
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
	historyWait  = 30 * time.Second // at most, for every source to answer
	historyCalm  = 300 * time.Millisecond
	historyApart = 5 * time.Second // sources are polled as often
)

// backfill stores the hours before the demo began, made of what its collectors
// show now, and ends them with what these show then: whoever asks before the
// first scrape gets an answer.
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
	past := map[string][]history.Series{}
	var list []prom.Past
	var span history.Span
	for job, set := range sets {
		second, err := gather(ctx, set)
		if err != nil {
			return err
		}
		end := time.Now()
		span = history.Span{Start: end.Add(-historySpan), Began: a.flags.past.began, End: end}
		past[job] = history.Of(first[job].page, second, end.Sub(first[job].at), a.flags.past.rounds[job], span)
		list = append(list, pastOf(job, past[job])...)
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
	if err := a.engine.Backfill(ctx, times, list); err != nil {
		return err
	}
	var last []prom.Past
	for job, set := range sets {
		page, err := gather(ctx, set)
		if err != nil {
			return err
		}
		last = append(last, pastOf(job, history.Now(past[job], page))...)
	}
	err = a.engine.Backfill(ctx, []time.Time{time.Now()}, last)
	a.log.Info("made history", "series", len(list), "after", begin.Sub(asked).Round(time.Millisecond).String(), "took", time.Since(begin).Round(time.Millisecond).String())
	return err
}

// pastOf are the series of a job, and that it was up.
func pastOf(job string, list []history.Series) []prom.Past {
	past := []prom.Past{{Job: job, Metric: map[string]string{"__name__": "up"}, At: func(time.Time) float64 { return 1 }}}
	for _, s := range list {
		one := prom.Past{Job: job, Metric: s.Metric, At: s.At, Ends: s.Gone}
		if s.Still {
			one.Every = historyStill
		}
		past = append(past, one)
	}
	return past
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

// demoPast is what the parts of a demo tell of the hours before it.
type demoPast struct {
	began    time.Time
	expected map[string]expected      // by job, before it is read
	rounds   map[string]history.Round // by job
}

// expected is a metric with as many series as there are when a source has told all it knows.
type expected struct {
	name   string
	series int
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
			if p, ok := pages[job]; ok && a.whole(job, p.page) {
				continue
			}
			page, err := gather(ctx, set)
			if err != nil {
				return nil, err
			}
			pages[job] = seen{page, time.Now()}
			ready = ready && a.whole(job, page)
		}
		if ready || time.Now().After(end) {
			return pages, nil
		}
		if err := pause(ctx, historyCalm); err != nil {
			return nil, err
		}
	}
}

// whole tells whether all collectors of a job's page succeeded, and show as much as is expected of them.
func (a *application) whole(job string, page []*dto.MetricFamily) bool {
	expected := a.flags.past.expected[job]
	for _, f := range page {
		if f.GetName() == expected.name {
			expected.series -= len(f.GetMetric())
		}
		if f.GetName() != "oriel_collector_success" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetGauge().GetValue() == 0 {
				return false
			}
		}
	}
	return expected.series <= 0
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
