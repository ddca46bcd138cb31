// Package influx pushes to InfluxDB, versions 1, 2 and 3, what Oriel knows:
// WireGuard's devices and peers exactly as Telegraf's input `wireguard` writes
// them, and, if asked, all other metrics as its input `prometheus` does. What
// cannot be delivered waits in a bounded buffer on disk.
package influx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Sources is where the lines come from. A nil source is not asked.
type Sources struct {
	// Devices returns the WireGuard devices. With an error it returns those that could be read.
	Devices func(context.Context) ([]Device, error)
	// Metrics returns the metrics for `metrics: true`. UseMetrics may set it later.
	Metrics prometheus.Gatherer
}

// Pusher reads its sources at each interval and delivers to all outputs.
type Pusher struct {
	cfg     Config
	log     *slog.Logger
	devices func(context.Context) ([]Device, error)
	source  atomic.Pointer[prometheus.Gatherer]
	outputs []*output
	metrics *metrics
	enc     *encoder
	gzip    *compressor
	failing map[string]bool // sources whose failure is logged already; only Run's goroutine uses it
}

// New returns a pusher that has opened nothing yet. cfg must be valid.
func New(cfg Config, from Sources, log *slog.Logger) (*Pusher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if !cfg.Metrics && (!cfg.WireGuard || from.Devices == nil) {
		return nil, errors.New("nothing to push: there is no section wireguard, and metrics is false")
	}
	host := cfg.Host
	if host == "" && !cfg.OmitHost {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("name of this machine: %w (set host)", err)
		}
		host = name
	}
	p := &Pusher{cfg: cfg, log: log, metrics: newMetrics(), gzip: newCompressor(), failing: map[string]bool{}}
	if cfg.WireGuard {
		p.devices = from.Devices
	}
	if from.Metrics != nil {
		p.source.Store(&from.Metrics)
	}
	p.enc = newEncoder(cfg.Tags, host, cfg.BatchSize, p.metrics.skip)
	for _, o := range cfg.Outputs {
		p.outputs = append(p.outputs, newOutput(o, filepath.Join(cfg.BufferDir, o.Name), int64(cfg.BufferSize), cfg.BatchSize, p.metrics, log.With("output", o.Name)))
	}
	return p, nil
}

// UseMetrics names the source of `metrics: true`. It may be called at any time.
func (p *Pusher) UseMetrics(g prometheus.Gatherer) { p.source.Store(&g) }

// Open takes hold of the buffers' directories. Lines that an earlier run left there are sent first.
func (p *Pusher) Open(context.Context) error {
	for i, o := range p.outputs {
		if err := o.open(); err != nil {
			for _, opened := range p.outputs[:i] {
				opened.close()
			}
			return fmt.Errorf("output %q: %w", o.cfg.Name, err)
		}
	}
	return nil
}

// Run gathers and delivers until ctx is done. What is left then stays on disk for the next run.
func (p *Pusher) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer func() {
		wg.Wait()
		for _, o := range p.outputs {
			o.close()
		}
	}()
	for _, o := range p.outputs {
		wg.Go(func() { o.run(ctx) })
	}
	interval := p.cfg.Interval.Std()
	for {
		// As Telegraf does (round_interval): machines that push at the same multiples line up in graphs.
		now := time.Now()
		timer := time.NewTimer(now.Truncate(interval).Add(interval).Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case at := <-timer.C:
			gather, cancel := context.WithTimeout(ctx, max(interval, time.Second))
			p.gather(gather, at)
			cancel()
		}
	}
}

// gather reads the sources once and hands the lines, batch by batch, to every output's buffer.
func (p *Pusher) gather(ctx context.Context, at time.Time) {
	at = at.Round(precision(p.cfg.Interval.Std()))
	p.enc.reset(p.put)
	if p.devices != nil {
		devices, err := p.devices(ctx)
		p.note("wireguard", err)
		for i := range devices {
			p.enc.device(&devices[i], at)
		}
	}
	if source := p.source.Load(); p.cfg.Metrics && source != nil {
		families, err := gatherFrom(ctx, *source)
		p.note("metrics", err)
		for _, mf := range families {
			p.enc.family(mf, p.cfg.MetricVersion, at)
		}
	}
	p.enc.flush()
}

// gatherFrom prefers a source that obeys a deadline.
func gatherFrom(ctx context.Context, g prometheus.Gatherer) ([]*dto.MetricFamily, error) {
	if with, ok := g.(interface {
		GatherContext(ctx context.Context) ([]*dto.MetricFamily, error)
	}); ok {
		return with.GatherContext(ctx)
	}
	return g.Gather()
}

// put compresses a batch once for all outputs.
func (p *Pusher) put(lines []byte, n int) {
	packed := p.gzip.pack(lines)
	for _, o := range p.outputs {
		o.put(packed, n)
	}
}

// note counts what came of reading a source and logs a failure once.
func (p *Pusher) note(source string, err error) {
	p.metrics.gathers.WithLabelValues(source).Inc()
	if err == nil {
		if p.failing[source] {
			p.log.Info("source can be read again", "source", source)
		}
		p.failing[source] = false
		return
	}
	p.metrics.gatherErrors.WithLabelValues(source).Inc()
	if !p.failing[source] {
		p.failing[source] = true
		p.log.Warn("read source", "source", source, "err", err)
	}
}

// Collect sends the pusher's own metrics.
func (p *Pusher) Collect(_ context.Context, ch chan<- prometheus.Metric) error {
	p.metrics.collect(ch)
	for _, o := range p.outputs {
		o.collect(ch)
	}
	return nil
}

// precision is to what Telegraf rounds its time stamps unless told: the unit of the interval, at most a second.
func precision(interval time.Duration) time.Duration {
	for _, unit := range []time.Duration{time.Second, time.Millisecond} {
		if interval >= unit {
			return unit
		}
	}
	return time.Microsecond
}

// finite tells whether line protocol can say v.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
