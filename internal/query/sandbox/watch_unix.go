//go:build unix && cgo

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Why engines end before the program does.
const (
	causeCrash   = "crash"
	causeTimeout = "timeout"
	causeMemory  = "memory"
)

// maxWait is how long a new engine may be put off, after many have died in a row.
const maxWait = 5 * time.Second

// process returns the engine, and starts one if there is none.
func (e *Engine) process(ctx context.Context) (*process, error) {
	select {
	case e.starting <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-e.starting }()
	e.mu.Lock()
	p, closed, wait := e.current, e.closed, e.pause()
	e.mu.Unlock()
	switch {
	case closed:
		return nil, errors.New("the SQL engine is stopping")
	case p != nil:
		return p, nil
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p, err := launch(ctx, e.cfg)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			e.inARow, e.last = e.inARow+1, time.Now()
		}
		return nil, err
	}
	if e.closed {
		p.close()
		return nil, errors.New("the SQL engine is stopping")
	}
	e.current = p
	return p, nil
}

// pause is how long to wait with a new engine: not at all after one or two deaths.
func (e *Engine) pause() time.Duration {
	if e.inARow < 3 {
		return 0
	}
	return min(100*time.Millisecond<<min(e.inARow-3, 10), maxWait) - time.Since(e.last)
}

// well notes that an engine works.
func (e *Engine) well(p *process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current == p {
		e.inARow = 0
	}
}

// end kills an engine that does not give a statement back.
func (e *Engine) end(p *process) {
	p.killed.Store(true)
	_ = p.cmd.Process.Kill()
	e.ended(p)
}

// retire takes an engine out of use that has reached the kernel's bound: its
// allocator does not give back what it has mapped, and threads and Go's heap find
// nothing any longer. What runs there goes on; but of those that wait for their
// end there is only one.
func (e *Engine) retire(p *process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current != p {
		return
	}
	if old := e.retired; old != nil {
		old.killed.Store(true)
		_ = old.cmd.Process.Kill()
	}
	e.current, e.retired = nil, p
	e.deaths[causeMemory]++
	e.log.Warn("the SQL engine has reached its limit of memory; the next query starts another")
	p.retire()
}

// ended tells whether an engine is no more, and counts each once. A connection
// breaks a moment before the process can be seen to have ended.
func (e *Engine) ended(p *process) bool {
	select {
	case <-p.ended:
	case <-time.After(grace):
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current != p {
		return true
	}
	cause := causeCrash
	if p.killed.Load() {
		cause = causeTimeout
	}
	e.current, e.last = nil, time.Now()
	e.inARow++
	e.deaths[cause]++
	_ = p.control.Close()
	e.log.Warn("the SQL engine has ended; the next query starts it again", "cause", cause, "state", p.why())
	return true
}

var (
	engineUp     = prometheus.NewDesc("oriel_query_engine_up", "1 if the SQL engine's process runs. It is started by the first query.", nil, nil)
	engineMemory = prometheus.NewDesc("oriel_query_engine_resident_bytes", "Memory that the SQL engine's process holds.", nil, nil)
	engineDeaths = prometheus.NewDesc("oriel_query_engine_ends_total",
		"SQL engines that ended before the program did, by cause: crash, timeout (a query did not end when it should, and the engine was killed) or memory (it had reached its limit, and was replaced).", []string{"cause"}, nil)
)

// Collect sends the metrics.
func (e *Engine) Collect(_ context.Context, ch chan<- prometheus.Metric) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	up, memory := 0.0, 0.0
	if p := e.current; p != nil {
		select {
		case <-p.ended:
		default:
			up, memory = 1, residentBytes(p.cmd.Process.Pid)
		}
	}
	ch <- prometheus.MustNewConstMetric(engineUp, prometheus.GaugeValue, up)
	ch <- prometheus.MustNewConstMetric(engineMemory, prometheus.GaugeValue, memory)
	for cause, n := range e.deaths {
		ch <- prometheus.MustNewConstMetric(engineDeaths, prometheus.CounterValue, float64(n), cause)
	}
	return nil
}

// residentBytes is 0 where there is no /proc.
func residentBytes(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(b, []byte("\nVmRSS:"))
	var kb float64
	_, _ = fmt.Sscan(string(rest), &kb)
	return kb * 1024
}
