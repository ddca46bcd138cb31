package probe

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/orielhq/oriel/internal/collector"
)

// Collect sends what the last probe of each tunnel saw.
func (p *Prober) Collect(_ context.Context, ch chan<- prometheus.Metric) error {
	views := p.views(time.Now())
	for _, m := range Catalog() {
		family, _, _ := strings.Cut(m.Name, "_")
		if !p.shows(family) {
			continue
		}
		f := &collector.Family{Name: m.Name, Help: m.Help, Type: dto.MetricType_GAUGE, Series: m.each(views)}
		if m.Counter {
			f.Type = dto.MetricType_COUNTER
		}
		if m.value != nil {
			v := m.value(p)
			f.Series = func(yield func(collector.Labels, float64) bool) { yield("", v) }
		}
		ch <- f
	}
	return nil
}

func (p *Prober) shows(family string) bool {
	return slices.Contains(p.cfg.Families, family)
}

// views is the state of all targets at one moment.
func (p *Prober) views(now time.Time) []view {
	states := p.allStates()
	list := make([]view, len(p.targets))
	for i, t := range p.targets {
		list[i] = view{target: t, seen: t.last.Load(), now: now}
		if s, ok := states[t.cfg.tunnel()]; ok {
			list[i].state = &s
		}
	}
	return list
}

// each yields the series of one metric for all targets.
func (m Metric) each(views []view) func(func(collector.Labels, float64) bool) {
	return func(yield func(collector.Labels, float64) bool) {
		for i := range views {
			v, more := &views[i], true
			m.series(v, func(extra collector.Labels, value float64) {
				if !more {
					return
				}
				common := v.labels.common[m.Common]
				if extra != "" {
					common += "," + extra
				}
				more = yield(common, value)
			})
			if !more {
				return
			}
		}
	}
}
