package packet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/orielhq/oriel/internal/packet/filter"
	"github.com/orielhq/oriel/internal/packet/ncap"
)

// countingReader adds up what is read.
type countingReader struct {
	in io.Reader
	n  *atomic.Int64
}

func (r countingReader) Read(b []byte) (int, error) {
	n, err := r.in.Read(b)
	r.n.Add(int64(n))
	return n, err
}

// readFiles reads all files and directories, one after the other.
func (m *Monitor) readFiles(ctx context.Context, w *worker) error {
	m.measure(ctx)
	clock := replayClock{on: m.cfg.Replay, speed: m.cfg.ReplaySpeed, loop: m.cfg.Loop}
	for {
		before := w.seen()
		for _, name := range m.cfg.Files {
			if err := m.readPath(ctx, w, name, &clock); err != nil {
				return err
			}
		}
		if !m.cfg.Loop || len(m.cfg.Files) == 0 || w.seen() == before || ctx.Err() != nil {
			return nil //nolint:nilerr // to be stopped is no error
		}
		clock.again()
	}
}

func (w *worker) seen() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.packets
}

// measure adds up the sizes of the files, for who waits.
func (m *Monitor) measure(ctx context.Context) {
	for _, name := range m.cfg.Files {
		_ = filepath.WalkDir(name, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if info, err := d.Info(); err == nil {
					m.fileTotal.Add(info.Size())
				}
			}
			return ctx.Err()
		})
	}
}

func (m *Monitor) readPath(ctx context.Context, w *worker, name string, clock *replayClock) error {
	if name == "-" {
		m.readOne(ctx, w, name, m.stdin, clock)
		return nil
	}
	return filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			m.unreadable(w, path, err)
			return nil
		}
		if d.IsDir() || (!d.Type().IsRegular() && path != name) {
			return nil
		}
		file, err := os.Open(path) //nolint:gosec // the operator names the folder
		if err != nil {
			m.unreadable(w, path, err)
			return nil
		}
		defer func() { _ = file.Close() }()
		m.readOne(ctx, w, path, countingReader{file, &m.fileBytes}, clock)
		return nil
	})
}

func (m *Monitor) unreadable(w *worker, path string, err error) {
	m.log.Warn("capture not read to its end", "file", path, "err", err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dec.failed[failFile]++
}

// readOne reads one capture, or one file of audit records. The connections of a file end with it.
func (m *Monitor) readOne(ctx context.Context, w *worker, path string, in io.Reader, clock *replayClock) {
	defer w.finish()
	r, err := newReader(in)
	if err != nil {
		m.unreadable(w, path, err)
		return
	}
	defer r.close()
	if r.other {
		if err := m.readAudit(ctx, w, r.in, clock); err != nil {
			m.unreadable(w, path, err)
		}
		return
	}
	var f frame
	for n := 0; ; n++ {
		if n&1023 == 0 && ctx.Err() != nil {
			return
		}
		if err := r.next(&f); err != nil {
			if !errors.Is(err, io.EOF) {
				m.unreadable(w, path, err)
			}
			return
		}
		keep, err := w.keeps(m.cfg.Filter, &f)
		if err != nil {
			m.unreadable(w, path, err)
			return
		}
		if !keep {
			continue
		}
		dated := f.time
		if clock.on && !clock.wait(ctx, &f.time) {
			return
		}
		f.moved = f.time - dated
		w.take(&f)
	}
}

// keeps tells whether the filter lets a file's packet through.
func (w *worker) keeps(text string, f *frame) (bool, error) {
	if w.filters == nil {
		return true, nil
	}
	p, ok := w.filters[f.link]
	if !ok {
		var err error
		if p, err = filter.Compile(text, filter.Options{Link: f.link}); err != nil {
			return false, err
		}
		w.filters[f.link] = p
	}
	if p.Match(f.data, f.wire) {
		return true, nil
	}
	w.mu.Lock()
	w.filtered++
	w.mu.Unlock()
	return false, nil
}

// readAudit reads one file of audit records into netcap's counters.
func (m *Monitor) readAudit(ctx context.Context, w *worker, in io.Reader, clock *replayClock) error {
	r, err := ncap.NewReader(in)
	if err != nil {
		return err
	}
	a := w.audit()
	schema := a.schemas[r.Header.Type]
	if schema == nil {
		return fmt.Errorf("audit records of type %d: %w", r.Header.Type, errors.ErrUnsupported)
	}
	var rec ncap.Record
	for n := 0; ; n++ {
		if n&1023 == 0 && ctx.Err() != nil {
			return nil //nolint:nilerr // to be stopped is no error
		}
		msg, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = schema.Parse(msg, &rec)
		}
		if err != nil {
			return err
		}
		if at := rec.Time(); clock.on && at != 0 && !clock.wait(ctx, &at) {
			return nil
		}
		w.mu.Lock()
		a.record(&rec)
		w.mu.Unlock()
		if m.dump != nil {
			m.dumpLine = append(rec.AppendJSON(m.dumpLine[:0]), '\n')
			if _, err := m.dump.Write(m.dumpLine); err != nil {
				return fmt.Errorf("dump: %w", err)
			}
		}
	}
}

// DumpAudit prints every audit record that is read as a line of JSON. Call it before Run.
func (m *Monitor) DumpAudit(out io.Writer) { m.dump = out }

// replayClock gives what is read its distance in time. The zero value does nothing.
type replayClock struct {
	on    bool
	speed float64
	loop  bool // times become those of now

	first, last int64 // of this round
	begun       time.Time
}

// maxPause bounds the wait for a packet that is dated far away from those before.
const maxPause = time.Hour

// wait waits until a packet of time *at is due. It returns false when ctx is done.
func (c *replayClock) wait(ctx context.Context, at *int64) bool {
	if c.begun.IsZero() {
		c.begun, c.first, c.last = time.Now(), *at, *at
	}
	// A file that is older than the one before, or far behind it, goes on where that ended.
	if gap := time.Duration(*at - c.last); gap > maxPause || gap < -maxPause {
		c.first += int64(gap)
	}
	c.last = *at
	due := c.begun.Add(time.Duration(float64(*at-c.first) / c.speed))
	if c.loop {
		*at = due.UnixNano()
	}
	pause := time.Until(due)
	if pause <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// again begins another round.
func (c *replayClock) again() { c.begun = time.Time{} }
