package packet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Output takes records to where they are kept. Its methods are called one at a time.
type Output interface {
	// Write takes a batch over and says how many of it are lost.
	Write(ctx context.Context, batch []Record) (lost int, err error)
	// Flush makes safe what has been written, and says how many records that
	// were taken before are lost. It is called every flush_interval.
	Flush(ctx context.Context) (lost int, err error)
	// Close flushes and lets go of everything.
	Close(ctx context.Context) (lost int, err error)
}

const (
	// batchSize is how many records are handed to the output at once.
	batchSize = 1024
	// waiting is how many records of files may wait: more only take memory, since
	// the reader waits with them.
	waiting = 2 * batchSize
	// lastFlush is how long the output may take at the end.
	lastFlush = 20 * time.Second
)

// errQueueFull is why a record is lost when the output is slower than the traffic.
var errQueueFull = errors.New("queue of records full")

// Recorder hands records to an output through a bounded queue. Live records that
// find it full are lost and counted; those of files wait.
type Recorder struct {
	cfg    Records
	out    Output
	log    *slog.Logger
	wait   bool
	wanted map[string]bool // nil: all that are made
	more   chan struct{}

	tallies []tally    // of the batch that is written
	mu      sync.Mutex // guards what follows
	space   sync.Cond  // there is room in pending again
	pending []Record
	closed  bool
	written map[string]uint64
	dropped uint64 // not taken, the queue was full
	lost    uint64 // taken, then not written
	errs    uint64
	failing bool
}

// tally is how many records of a kind there are.
type tally struct {
	kind string
	n    uint64
}

func newRecorder(cfg Records, out Output, wait bool, log *slog.Logger) *Recorder {
	r := &Recorder{cfg: cfg, out: out, log: log, wait: wait, more: make(chan struct{}, 1), written: map[string]uint64{}}
	r.space.L = &r.mu
	if wait {
		r.cfg.Queue = min(cfg.Queue, waiting)
	}
	if len(cfg.Kinds) > 0 && !slices.Contains(cfg.Kinds, allKinds) {
		r.wanted = map[string]bool{}
		for _, k := range cfg.kinds() {
			r.wanted[k] = true
		}
	}
	return r
}

// record queues one record.
func (r *Recorder) record(rec Record) error {
	if r.wanted != nil && !r.wanted[rec.Kind()] {
		return nil
	}
	r.mu.Lock()
	for len(r.pending) >= r.cfg.Queue && r.wait && !r.closed {
		r.space.Wait()
	}
	if len(r.pending) >= r.cfg.Queue || r.closed {
		r.dropped++
		r.mu.Unlock()
		return errQueueFull
	}
	r.pending = append(r.pending, rec)
	wake := len(r.pending) == batchSize || len(r.pending) == r.cfg.Queue
	r.mu.Unlock()
	if wake {
		select {
		case r.more <- struct{}{}:
		default:
		}
	}
	return nil
}

// run writes until done is closed and the queue is empty.
func (r *Recorder) run(ctx context.Context, done <-chan struct{}) {
	// What was recorded is written, also when nobody wants to go on.
	ctx = context.WithoutCancel(ctx)
	tick, flush := time.NewTicker(250*time.Millisecond), time.NewTicker(r.cfg.FlushInterval.Std())
	defer tick.Stop()
	defer flush.Stop()
	var spare []Record
	for {
		select {
		case <-r.more:
		case <-tick.C:
		case <-flush.C:
			r.finished(r.out.Flush(ctx))
		case <-done:
			ctx, cancel := context.WithTimeout(ctx, lastFlush)
			defer cancel()
			r.mu.Lock()
			r.closed = true
			r.space.Broadcast()
			r.mu.Unlock()
			r.drain(ctx, spare)
			r.finished(r.out.Close(ctx))
			return
		}
		spare = r.drain(ctx, spare)
	}
}

// drain writes what is queued; spare is the queue's memory from the time before.
func (r *Recorder) drain(ctx context.Context, spare []Record) []Record {
	r.mu.Lock()
	batch := r.pending
	r.pending = spare[:0]
	r.space.Broadcast()
	r.mu.Unlock()
	for part := range slices.Chunk(batch, batchSize) {
		lost, err := r.out.Write(ctx, part)
		r.count(part)
		r.finished(lost, err)
	}
	clear(batch)
	return batch[:0]
}

func (r *Recorder) count(batch []Record) {
	// Of a batch's few kinds a list is faster than the map.
	r.tallies = r.tallies[:0]
	for _, rec := range batch {
		kind, i := rec.Kind(), 0
		for i < len(r.tallies) && r.tallies[i].kind != kind {
			i++
		}
		if i == len(r.tallies) {
			r.tallies = append(r.tallies, tally{kind: kind})
		}
		r.tallies[i].n++
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tallies {
		r.written[t.kind] += t.n
	}
}

// finished counts what became of a call. A trouble is logged when it begins and when it ends.
func (r *Recorder) finished(lost int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost += uint64(lost)
	if err != nil {
		r.errs++
	}
	if failing := err != nil; failing != r.failing {
		r.failing = failing
		if failing {
			r.log.Warn("records cannot be written", "err", err)
		} else {
			r.log.Info("records are written again")
		}
	}
}

var (
	takenDesc     = desc("oriel_packets_records_taken_total", "Records handed to the output, by kind; those lost later included.", "kind")
	lostWriteDesc = desc("oriel_packets_records_lost_total", "Records lost: the queue was full, or the output failed.", "reason")
	outErrorsDesc = desc("oriel_packets_output_errors_total", "Times that the output failed to write or flush.")
	queueDesc     = desc("oriel_packets_records_queued", "Records that wait for the output.")
)

func (r *Recorder) collect(ch chan<- prometheus.Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for kind, n := range r.written {
		ch <- prometheus.MustNewConstMetric(takenDesc, prometheus.CounterValue, float64(n), kind)
	}
	ch <- prometheus.MustNewConstMetric(lostWriteDesc, prometheus.CounterValue, float64(r.dropped), "queue_full")
	ch <- prometheus.MustNewConstMetric(lostWriteDesc, prometheus.CounterValue, float64(r.lost), "output")
	ch <- prometheus.MustNewConstMetric(outErrorsDesc, prometheus.CounterValue, float64(r.errs))
	ch <- prometheus.MustNewConstMetric(queueDesc, prometheus.GaugeValue, float64(len(r.pending)))
}

// Progress is how far a monitor has come.
type Progress struct {
	Packets, Bytes   uint64
	Errors           uint64 // packets and files that could not be read to their end
	Records          uint64
	Lost             uint64 // records
	KernelDrops      uint64
	FileBytes        int64 // read of all files, as they are on disk
	FileBytesInTotal int64
}

// Progress says how far m has come.
func (m *Monitor) Progress() Progress {
	m.mu.Lock()
	workers := slices.Clone(m.workers)
	m.mu.Unlock()
	p := Progress{FileBytes: m.fileBytes.Load(), FileBytesInTotal: m.fileTotal.Load()}
	for _, w := range workers {
		w.mu.Lock()
		p.Packets, p.Bytes, p.KernelDrops, p.Records = p.Packets+w.packets, p.Bytes+w.wire, p.KernelDrops+w.kernelDrops, p.Records+w.records
		for _, n := range w.dec.failed {
			p.Errors += n
		}
		w.mu.Unlock()
	}
	if r := m.recorder; r != nil {
		r.mu.Lock()
		p.Lost = r.dropped + r.lost
		r.mu.Unlock()
	}
	return p
}

// NewRecording returns a monitor that hands its records to out, which it closes.
func NewRecording(cfg Config, out Output, log *slog.Logger) (*Monitor, error) {
	if out == nil {
		return nil, fmt.Errorf("recording: no output")
	}
	rec := newRecorder(cfg.Records, out, len(cfg.Interfaces) == 0, log)
	m, err := New(cfg, rec.record, log)
	if err != nil {
		return nil, err
	}
	m.recorder = rec
	return m, nil
}
