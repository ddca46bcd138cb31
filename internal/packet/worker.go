package packet

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// worker decodes the packets of one source. Its lock is taken once per packet
// and by a scrape; nobody waits for it otherwise.
type worker struct {
	iface  string
	log    *slog.Logger
	record RecordFunc
	device *device

	mu           sync.Mutex // guards all that follows
	dec          decoder
	table        connTable
	pkt          packet
	packets      uint64
	wire         uint64
	kernelDrops  uint64
	kernelFreeze uint64
	recordErrors uint64
	records      uint64
	protocols    []protocol
	budget       budget
	streams      reassembly
	serviceStats
	products map[hostProduct]struct{}     // reported
	expected map[netip.AddrPort]*transfer // data connections that FTP announced
	freeTap  *tap
	current  *conn // whose analyzer is at work
}

func newWorker(cfg Config, iface string, budget int64, record RecordFunc, log *slog.Logger) *worker {
	w := &worker{iface: iface, record: record, log: log}
	w.dec.frags.limit = int(budget / 8)
	w.protocols = protocolTable()
	w.budget.limit = int(budget / 4)
	w.table = connTable{
		byKey: map[key]*conn{}, limit: int(max(budget/2/connCost, 64)),
		idle: int64(cfg.IdleTimeout), active: int64(cfg.ActiveTimeout), end: w.report,
	}
	return w
}

func (w *worker) report(c *conn, ended bool) {
	if ended {
		w.hangUp(c, c.last)
	}
	if w.record != nil {
		w.emit(c.record(ended))
	}
}

// emit hands a record on.
func (w *worker) emit(r Record) {
	if w.record == nil {
		return
	}
	w.records++
	if err := w.record(r); err != nil {
		w.recordErrors++
	}
}

// take decodes one frame. A panic costs the packet.
func (w *worker) take(f *frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() {
		if recover() != nil {
			w.dec.failed[failPanic]++
			w.giveUp()
		}
	}()
	w.packets++
	w.wire += uint64(f.wire)
	p := &w.pkt
	fail := w.dec.decode(f, p)
	if p.ip && fail == failNone && p.transport || p.ip && (p.key.proto == protoICMP || p.key.proto == protoICMPv6) {
		w.feed(w.table.add(p), p)
	}
}

// giveUp forgets the analyzer that panicked; it has one chance to give back what it holds.
func (w *worker) giveUp() {
	defer func() { _ = recover() }()
	if c := w.current; c != nil {
		w.current = nil
		w.drop(c, c.last)
	}
}

// finish reports the connections that are open when the source ends.
func (w *worker) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.table.flush()
}

// live takes what the device yields until ctx is done.
func (w *worker) live(ctx context.Context, d *device) error {
	var f frame
	last := time.Now()
	for ctx.Err() == nil {
		err := d.next(&f)
		if err == nil {
			w.take(&f)
		} else if !errors.Is(err, errNothing) {
			return err
		}
		if now := time.Now(); err != nil || now.Sub(last) > time.Second {
			last = now
			w.mu.Lock()
			w.table.expire(now.UnixNano())
			w.kernelDrops, w.kernelFreeze = d.stats()
			w.mu.Unlock()
		}
	}
	return nil
}

// errNothing is what a device says when no packet came for a while.
var errNothing = errors.New("no packet")

// readFiles reads all files and directories, one after the other.
func (m *Monitor) readFiles(ctx context.Context, w *worker) error {
	for _, name := range m.cfg.Files {
		if name == "-" {
			m.readOne(ctx, w, name, m.stdin)
			continue
		}
		err := filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
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
			m.readOne(ctx, w, path, file)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *Monitor) unreadable(w *worker, path string, err error) {
	m.log.Warn("capture not read to its end", "file", path, "err", err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dec.failed[failFile]++
}

// readOne reads one capture. The connections of a file end with it.
func (m *Monitor) readOne(ctx context.Context, w *worker, path string, in io.Reader) {
	defer w.finish()
	r, err := newReader(in)
	if err != nil {
		m.unreadable(w, path, err)
		return
	}
	defer r.close()
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
		w.take(&f)
	}
}
