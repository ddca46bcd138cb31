package wirerest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	probeSuccessDesc  = prometheus.NewDesc("wirerest_probe_success", "Whether the last probe of WireRest's API got an answer of status 200 to 299 (1) or not (0).", []string{"path"}, nil)
	probeDurationDesc = prometheus.NewDesc("wirerest_probe_duration_seconds", "How long the last probe of WireRest's API took.", []string{"path"}, nil)
	probesDesc        = prometheus.NewDesc("wirerest_probes_total", "Probes of WireRest's API.", []string{"path"}, nil)
	failuresDesc      = prometheus.NewDesc("wirerest_probe_failures_total", "Probes of WireRest's API that failed, by reason.", []string{"path", "reason"}, nil)
)

// probes asks paths of the API and remembers how that went.
type probes struct {
	cfg    Config
	client *http.Client

	mu   sync.Mutex // guards last
	last map[string]*probe
}

type probe struct {
	success  bool
	took     time.Duration
	n        uint64
	failures map[string]uint64
}

func newProbes(cfg Config, client *http.Client) *probes {
	return &probes{cfg: cfg, client: client, last: map[string]*probe{}}
}

// run asks all paths, one after the other.
func (p *probes) run(ctx context.Context) {
	for _, path := range p.cfg.ProbePaths {
		start := time.Now()
		err := p.ask(ctx, path)
		took := time.Since(start)
		if ctx.Err() != nil {
			return
		}
		p.note(path, took, err)
	}
}

func (p *probes) note(path string, took time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.last[path]
	if last == nil {
		last = &probe{failures: map[string]uint64{}}
		p.last[path] = last
	}
	last.success, last.took = err == nil, took
	last.n++
	if err != nil {
		last.failures[reason(err)]++
	}
}

// ask reads an answer to its end and keeps nothing of it: /v1/interface has a private key.
func (p *probes) ask(ctx context.Context, path string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.cfg.address(path), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "oriel")
	if _, err := p.cfg.authorize(r); err != nil {
		return err
	}
	resp, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, int64(p.cfg.MaxBytes)+1))
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return statusError(resp.StatusCode)
	case err != nil:
		return fmt.Errorf("read answer: %w", err)
	case n > int64(p.cfg.MaxBytes):
		return errTooLarge
	}
	return nil
}

func (p *probes) collect(ch chan<- prometheus.Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, path := range sortedKeys(p.last) {
		last := p.last[path]
		success := 0.0
		if last.success {
			success = 1
		}
		ch <- prometheus.MustNewConstMetric(probeSuccessDesc, prometheus.GaugeValue, success, path)
		ch <- prometheus.MustNewConstMetric(probeDurationDesc, prometheus.GaugeValue, last.took.Seconds(), path)
		ch <- prometheus.MustNewConstMetric(probesDesc, prometheus.CounterValue, float64(last.n), path)
		for _, why := range reasons {
			ch <- prometheus.MustNewConstMetric(failuresDesc, prometheus.CounterValue, float64(last.failures[why]), path, why)
		}
	}
}
