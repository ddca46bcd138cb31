// Package collector runs the collectors of all features together: at once,
// under the deadline of the scrape, each measured, none able to spoil another.
package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const (
	// defaultTimeout is the deadline of a gather whose caller has none.
	defaultTimeout = 10 * time.Second
	// maxCalls is how many calls of one collector may be under way. A collector
	// that hangs for ever costs this many goroutines and no more.
	maxCalls = 8
	// maxMetrics bounds what one call of one collector may send one by one.
	maxMetrics = 1_000_000
)

// A Collector yields metrics. Collect sends them to ch until it has no more or
// ctx is done, and returns why it could not send all; what it has sent by then
// counts. It must not close ch. Values of type *Family carry many series at once.
type Collector interface {
	Collect(ctx context.Context, ch chan<- prometheus.Metric) error
}

// Func makes a Collector of a function.
type Func func(ctx context.Context, ch chan<- prometheus.Metric) error

// Collect calls f.
func (f Func) Collect(ctx context.Context, ch chan<- prometheus.Metric) error { return f(ctx, ch) }

// From makes Collectors of client_golang's own, a *prometheus.Registry among them.
func From(cs ...prometheus.Collector) Collector {
	return Func(func(_ context.Context, ch chan<- prometheus.Metric) error {
		for _, c := range cs {
			c.Collect(ch)
		}
		return nil
	})
}

var (
	errBusy = errors.New("earlier calls have not returned")

	successDesc = prometheus.NewDesc("oriel_collector_success",
		"Whether the collector's last call succeeded (1) or not (0).", []string{"collector"}, nil)
	durationDesc = prometheus.NewDesc("oriel_collector_duration_seconds",
		"How long the collector's last call took.", []string{"collector"}, nil)
)

// Set is a fixed number of named collectors that are gathered together.
// It is a prometheus.Gatherer and an http.Handler; all methods may be called concurrently.
type Set struct {
	log     *slog.Logger
	members []*member
}

type member struct {
	name      string
	collector Collector
	calls     atomic.Int32
	failing   atomic.Bool // so that a lasting failure is logged once
}

// NewSet returns the set of the collectors, by name. Names become label values.
func NewSet(log *slog.Logger, collectors map[string]Collector) *Set {
	s := &Set{log: log}
	for name, c := range collectors {
		s.members = append(s.members, &member{name: name, collector: c})
	}
	slices.SortFunc(s.members, func(a, b *member) int { return strings.Compare(a.name, b.name) })
	return s
}

// Names returns the collectors' names, sorted.
func (s *Set) Names() []string {
	names := make([]string, len(s.members))
	for i, m := range s.members {
		names[i] = m.name
	}
	return names
}

// Only returns the set of one of the collectors.
func (s *Set) Only(name string) (*Set, bool) {
	for _, m := range s.members {
		if m.name == name {
			return &Set{log: s.log, members: []*member{m}}, true
		}
	}
	return nil, false
}

// Gather collects with a deadline of ten seconds: prometheus.Gatherer.
func (s *Set) Gather() ([]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(context.Background(), defaultTimeout)
	defer cancel()
	return s.GatherContext(ctx)
}

// GatherContext collects until ctx is done. It has no error of its own: a
// collector that fails is reported by oriel_collector_success.
func (s *Set) GatherContext(ctx context.Context) ([]*dto.MetricFamily, error) {
	page := s.collect(ctx)
	families := make([]*dto.MetricFamily, 0, len(page))
	for _, p := range page {
		mf := p.plain
		if mf == nil {
			first := p.wide[0]
			mf = &dto.MetricFamily{Name: &first.Name, Help: &first.Help, Type: first.Type.Enum()}
		}
		for _, f := range p.wide {
			if err := f.expand(mf); err != nil {
				s.log.Warn("drop family", "metric", f.Name, "err", err)
			}
		}
		if len(mf.Metric) > 0 {
			families = append(families, mf)
		}
	}
	return families, nil
}

// family is all that the collectors sent under one name.
type family struct {
	name  string
	plain *dto.MetricFamily // nil if there were only wide ones
	wide  []*Family
}

// collect calls all members at once and sorts what they sent by name.
func (s *Set) collect(ctx context.Context) []family {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultTimeout)
		defer cancel()
	}
	sent := make([][]prometheus.Metric, len(s.members))
	var wg sync.WaitGroup
	for i, m := range s.members {
		wg.Go(func() {
			start := time.Now()
			metrics, err := m.collect(ctx)
			success := 1.0
			if err != nil {
				success = 0
				if !m.failing.Swap(true) {
					s.log.Error("collect", "collector", m.name, "err", err)
				}
			} else if m.failing.Swap(false) {
				s.log.Info("collector works again", "collector", m.name)
			}
			sent[i] = append(metrics,
				prometheus.MustNewConstMetric(successDesc, prometheus.GaugeValue, success, m.name),
				prometheus.MustNewConstMetric(durationDesc, prometheus.GaugeValue, time.Since(start).Seconds(), m.name))
		})
	}
	wg.Wait()
	return s.merge(sent)
}

// collect calls the collector once and returns what it had sent when it
// returned or when ctx was done.
func (m *member) collect(ctx context.Context) ([]prometheus.Metric, error) {
	if m.calls.Add(1) > maxCalls {
		m.calls.Add(-1)
		return nil, errBusy
	}
	ch := make(chan prometheus.Metric, 64)
	errc := make(chan error, 1)
	go func() {
		defer m.calls.Add(-1)
		defer close(ch)
		errc <- m.call(ctx, ch)
	}()
	var metrics []prometheus.Metric
	for {
		select {
		case metric, ok := <-ch:
			if !ok {
				return metrics, <-errc
			}
			if len(metrics) == maxMetrics {
				go drain(ch)
				return metrics, fmt.Errorf("more than %d metrics", maxMetrics)
			}
			metrics = append(metrics, metric)
		case <-ctx.Done():
			// What it sent by now counts, also what still waits in the channel.
			for range len(ch) {
				if metric, ok := <-ch; ok {
					metrics = append(metrics, metric)
				}
			}
			go drain(ch)
			return metrics, ctx.Err()
		}
	}
}

// drain lets an abandoned call go on to its end without blocking on its channel.
func drain(ch <-chan prometheus.Metric) {
	for range ch {
	}
}

// call turns a panic of the collector into an error: it must cost only its own series.
func (m *member) call(ctx context.Context, ch chan<- prometheus.Metric) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return m.collector.Collect(ctx, ch)
}

// merge groups by name. The plain metrics go through a registry of client_golang,
// which refuses what is inconsistent, metric by metric.
func (s *Set) merge(sent [][]prometheus.Metric) []family {
	var plain []prometheus.Metric
	byName := map[string]*family{}
	for _, metrics := range sent {
		for _, m := range metrics {
			wide, ok := m.(*Family)
			if !ok {
				plain = append(plain, m)
				continue
			}
			f := byName[wide.Name]
			if f == nil {
				f = &family{name: wide.Name}
				byName[wide.Name] = f
			}
			if len(f.wide) > 0 && f.wide[0].Type != wide.Type {
				s.log.Warn("drop family of another type", "metric", wide.Name)
				continue
			}
			f.wide = append(f.wide, wide)
		}
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(unchecked(plain))
	mfs, err := reg.Gather()
	if err != nil {
		s.log.Warn("drop inconsistent metrics", "err", err)
	}
	for _, mf := range mfs {
		f := byName[mf.GetName()]
		switch {
		case f == nil:
			byName[mf.GetName()] = &family{name: mf.GetName(), plain: mf}
		case f.wide[0].Type != mf.GetType():
			s.log.Warn("drop family of another type", "metric", mf.GetName())
		default:
			f.plain = mf
		}
	}
	page := make([]family, 0, len(byName))
	for _, f := range byName {
		page = append(page, *f)
	}
	slices.SortFunc(page, func(a, b family) int { return strings.Compare(a.name, b.name) })
	return page
}

// unchecked lets metrics that were collected already pass through a registry.
type unchecked []prometheus.Metric

// Describe sends nothing, which makes the collector "unchecked" in client_golang's words.
func (unchecked) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics.
func (u unchecked) Collect(ch chan<- prometheus.Metric) {
	for _, m := range u {
		ch <- m
	}
}
