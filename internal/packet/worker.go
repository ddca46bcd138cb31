package packet

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/orielhq/oriel/internal/packet/detect"
	"github.com/orielhq/oriel/internal/packet/filter"
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
	moved        int64 // how far a replay has moved the time of the packet at hand
	kernelDrops  uint64
	kernelFreeze uint64
	recordErrors uint64
	records      uint64
	layers       *layerRecords // nil unless records of single headers are written
	netcap       *netcapSeries // nil unless its counters are asked for
	filters      map[uint16]*filter.Program
	filtered     uint64 // packets that the filter leaves out
	down         uint64 // 1: the interface is away
	reopened     uint64
	goneDrops    uint64 // of devices closed since
	goneFreezes  uint64
	protocols    []protocol
	budget       budget
	streams      reassembly
	serviceStats
	products map[hostProduct]struct{}     // reported
	expected map[netip.AddrPort]*transfer // data connections that FTP announced
	taps     []*tap                       // by the number in a connection; the first is none
	freeTap  uint32                       // given back, linked by next
	current  *conn                        // whose analyzer is at work
	talk     talk
	detect   *detect.Detector // nil: nothing is detected
	talkers  *talkers         // nil: not wanted
}

func newWorker(cfg Config, iface string, budget int64, record RecordFunc, log *slog.Logger) *worker {
	w := &worker{iface: iface, record: record, log: log}
	w.dec.frags.limit = int(budget / 8)
	w.layers = newLayerRecords(cfg.Records.kinds())
	if cfg.NetcapSeries > 0 {
		w.netcap = newNetcapSeries(cfg.NetcapSeries, cfg.NetcapEntropy)
	}
	if w.dec.trace = w.layers != nil || w.netcap != nil; w.dec.trace {
		w.dec.marks = make([]mark, 0, 2*maxDepth)
	}
	w.tls.keep = w.netcap != nil || cfg.Records.Dir != "" && cfg.Records.Format == FormatNcap
	if cfg.Filter != "" {
		w.filters = map[uint16]*filter.Program{}
	}
	w.protocols, w.taps = protocolTable(), []*tap{nil}
	w.budget.limit = int(budget / 4)
	w.table = connTable{
		index: newConnIndex(), limit: int(max(budget/2/connCost, 64)),
		idle: int64(cfg.IdleTimeout), active: int64(cfg.ActiveTimeout), end: w.report,
	}
	return w
}

func (w *worker) report(c *conn, ended bool) {
	w.talked(c)
	if ended {
		w.hangUp(c, c.last)
		w.over(c)
	}
	if w.record != nil || w.netcap != nil {
		w.emit(c.record(w.service(c), ended))
	}
}

// emit hands a record on.
func (w *worker) emit(r Record) {
	w.observe(r)
	if w.netcap != nil && w.netcap.limit > 0 && !isLayer(r) {
		w.netcap.message(r)
	}
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
	w.moved = f.moved
	w.wire += uint64(f.wire)
	p := &w.pkt
	fail := w.dec.decode(f, p)
	if w.dec.trace {
		w.traced(p)
	}
	switch {
	case p.ip && fail == failNone && p.transport, p.ip && (p.key.proto == protoICMP || p.key.proto == protoICMPv6):
		c := w.table.add(p)
		w.watch(c, p)
		w.feed(c, p)
	case p.arp != nil:
		w.arp(p)
	case p.near != nil:
		w.announced(p)
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

// traced makes of the headers of a packet what is asked for.
func (w *worker) traced(p *packet) {
	if w.layers != nil && w.record != nil {
		w.layers.emit(p.time, w.dec.marks, w.emit)
	}
	if w.netcap != nil {
		w.netcap.packet(w.dec.marks)
	}
}

// finish reports the connections that are open when the source ends.
func (w *worker) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.table.flush()
	w.tick(0, true)
}

// reopenPause is how long to wait before an interface that went away is tried again.
const reopenPause = 250 * time.Millisecond

// live takes what the device yields until ctx is done. When its interface goes
// away, it waits for it to come back.
func (w *worker) live(ctx context.Context, d *device, reopen func() (*device, error)) {
	var f frame
	last := time.Now()
	defer func() { d.close() }()
	for ctx.Err() == nil {
		err := d.next(&f)
		switch {
		case err == nil:
			w.take(&f)
		case !errors.Is(err, errNothing):
			w.log.Warn("interface lost", "interface", w.iface, "err", err)
			w.gone(d)
			if d = w.await(ctx, d, reopen); ctx.Err() != nil {
				return
			}
			w.log.Info("interface is back", "interface", w.iface)
		}
		if now := time.Now(); err != nil || now.Sub(last) > time.Second {
			last = now
			w.mu.Lock()
			w.table.expire(now.UnixNano())
			w.tick(now.UnixNano(), false)
			drops, freezes := d.stats()
			w.kernelDrops, w.kernelFreeze = w.goneDrops+drops, w.goneFreezes+freezes
			w.mu.Unlock()
		}
	}
}

// gone keeps the counters of a device that is closed.
func (w *worker) gone(d *device) {
	drops, freezes := d.stats()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.goneDrops, w.goneFreezes = w.goneDrops+drops, w.goneFreezes+freezes
	w.kernelDrops, w.kernelFreeze = w.goneDrops, w.goneFreezes
	w.down = 1
}

// await opens the device again, as soon as that is possible.
func (w *worker) await(ctx context.Context, d *device, reopen func() (*device, error)) *device {
	d.close()
	tick := time.NewTicker(reopenPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return d
		case now := <-tick.C:
			w.mu.Lock()
			w.table.expire(now.UnixNano())
			w.mu.Unlock()
		}
		fresh, err := reopen()
		if err != nil {
			continue
		}
		w.mu.Lock()
		w.device, w.down, w.reopened = fresh, 0, w.reopened+1
		w.mu.Unlock()
		return fresh
	}
}

// errNothing is what a device says when no packet came for a while.
var errNothing = errors.New("no packet")
