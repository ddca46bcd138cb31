package query

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/orielhq/oriel/internal/conf"
)

//go:embed detections/*.sql
var detectionFiles embed.FS

// Detections is the section query.detections: queries over the flow logs that
// run on a schedule and become metrics.
type Detections struct {
	// Interval is how often they run; 0 never.
	Interval conf.Duration `yaml:"interval"`
	// Window is how far back they look.
	Window conf.Duration `yaml:"window"`
}

// detection is one of them.
type detection struct {
	name string
	sql  string
}

// detectors runs the detections and keeps what they found last.
type detectors struct {
	list []detection

	mu    sync.Mutex // guards found
	found map[string]finding
}

// finding is what a detection found last. The addresses are not kept: a metric
// must not have them, and the query tells them to whoever asks.
type finding struct {
	sources  int
	score    float64
	last     time.Time
	failures int
}

func newDetectors() (*detectors, error) {
	entries, err := detectionFiles.ReadDir("detections")
	if err != nil {
		return nil, err
	}
	d := &detectors{found: map[string]finding{}}
	for _, e := range entries {
		b, err := detectionFiles.ReadFile(path.Join("detections", e.Name()))
		if err != nil {
			return nil, err
		}
		d.list = append(d.list, detection{strings.TrimSuffix(e.Name(), ".sql"), string(b)})
	}
	return d, nil
}

// Watch runs the detections on their schedule until ctx is done.
func (s *Service) Watch(ctx context.Context) {
	every := s.cfg.Detections.Interval.Std()
	if every == 0 || s.needs.Engine == nil {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		s.Detect(ctx, time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Detect runs each detection once over the window up to now. What fails is logged and counted.
func (s *Service) Detect(ctx context.Context, now time.Time) {
	for _, d := range s.detectors.list {
		sources, score, err := s.detect(ctx, d, now)
		if ctx.Err() != nil {
			return
		}
		s.detectors.mu.Lock()
		f := s.detectors.found[d.name]
		if err != nil {
			f.failures++
		} else {
			f.sources, f.score, f.last = sources, score, now
		}
		s.detectors.found[d.name] = f
		s.detectors.mu.Unlock()
		if err != nil {
			s.log.Warn("detection", "detection", d.name, "err", err)
		}
	}
}

// detect returns how many sources a detection found, and the largest score.
func (s *Service) detect(ctx context.Context, d detection, now time.Time) (sources int, score float64, err error) {
	answers, done, err := s.Do(ctx, &Request{From: now.Add(-s.cfg.Detections.Window.Std()), To: now, Queries: []Query{{SQL: d.sql}}})
	if err != nil {
		return 0, 0, err
	}
	defer done()
	if answers[0].Err != nil {
		return 0, 0, answers[0].Err
	}
	t, err := answers[0].Result.All(ctx)
	if err != nil {
		return 0, 0, err
	}
	if len(t.Columns) != 2 {
		return 0, 0, errors.New("want the columns source and score")
	}
	seen := map[any]bool{}
	for _, row := range t.Rows {
		seen[row[0]] = true
		v, ok := row[1].(float64)
		if !ok {
			return 0, 0, fmt.Errorf("score %v: want a number", row[1])
		}
		score = max(score, v)
	}
	return len(seen), score, nil
}

var (
	detectedSources = prometheus.NewDesc("oriel_flow_detected_sources",
		"Addresses that the detection found in its window, at most 1000.", []string{"detection"}, nil)
	detectedScore = prometheus.NewDesc("oriel_flow_detected_score_max",
		"Largest score that the detection found: refused flows (bad_actor), places (port_scan), connections (beacon) or bytes (exfiltration).", []string{"detection"}, nil)
	detectedLast = prometheus.NewDesc("oriel_flow_detection_last_success_timestamp_seconds",
		"When the detection ran last without an error.", []string{"detection"}, nil)
	detectedFailures = prometheus.NewDesc("oriel_flow_detection_failures_total", "Runs of the detection that failed.", []string{"detection"}, nil)
)

func (d *detectors) collect(ch chan<- prometheus.Metric) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, f := range d.found {
		ch <- prometheus.MustNewConstMetric(detectedFailures, prometheus.CounterValue, float64(f.failures), name)
		if f.last.IsZero() {
			continue
		}
		ch <- prometheus.MustNewConstMetric(detectedSources, prometheus.GaugeValue, float64(f.sources), name)
		ch <- prometheus.MustNewConstMetric(detectedScore, prometheus.GaugeValue, f.score, name)
		ch <- prometheus.MustNewConstMetric(detectedLast, prometheus.GaugeValue, float64(f.last.UnixMilli())/1000, name)
	}
}
