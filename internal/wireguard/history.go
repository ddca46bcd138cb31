package wireguard

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the history that waits to be recorded.
const (
	maxEvents   = 1 << 15
	recordBatch = 4096
	recordEvery = 2 * time.Second
)

// history keeps what happened until it is recorded. When nobody takes it for
// long the oldest events are given up and counted.
type history struct {
	keep    atomic.Bool // somebody records
	mu      sync.Mutex  // guards what follows
	waiting []PeerEvent
	dropped uint64
	failed  uint64
}

func (h *history) add(events []PeerEvent) {
	if len(events) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = append(h.waiting, events...)
	if over := len(h.waiting) - maxEvents; over > 0 {
		h.dropped += uint64(over)
		h.waiting = append([]PeerEvent(nil), h.waiting[over:]...)
	}
}

// next returns the oldest events, which stay until they are taken.
func (h *history) next() []PeerEvent {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(len(h.waiting), recordBatch)
	return h.waiting[:n:n]
}

// taken forgets a batch that next returned; dropped is what add gave up since.
func (h *history) taken(n int, droppedBefore uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n -= int(min(h.dropped-droppedBefore, uint64(n))) //nolint:gosec // not more than n
	h.waiting = h.waiting[n:]
	if len(h.waiting) == 0 {
		h.waiting = nil
	}
}

func (h *history) counts() (dropped, failed uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dropped, h.failed
}

// flush records all that waits. After an error the rest stays for the next time.
func (c *Collector) flush() {
	for {
		dropped, _ := c.history.counts()
		batch := c.history.next()
		if len(batch) == 0 {
			return
		}
		if err := c.Record(batch); err != nil {
			c.history.mu.Lock()
			c.history.failed++
			c.history.mu.Unlock()
			if !c.recordFailing {
				c.log.Warn("record peer events", "err", err)
			}
			c.recordFailing = true
			return
		}
		c.recordFailing = false
		c.history.taken(len(batch), dropped)
	}
}

// record polls the devices, so that the history does not depend on somebody
// scraping, and hands on what happened, until ctx is done.
func (c *Collector) record(ctx context.Context) {
	poll := time.NewTicker(c.cfg.Poll.Std())
	defer poll.Stop()
	flush := time.NewTicker(recordEvery)
	defer flush.Stop()
	_, _ = c.recent(ctx)
	for {
		select {
		case <-ctx.Done():
			c.flush()
			return
		case <-poll.C:
			_, _ = c.recent(ctx) // a device's error is in the metrics
		case <-flush.C:
			c.flush()
		}
	}
}

// poll reads the devices now and then: between two probes of a peer it must be
// seen whether it sends by itself.
func (c *Collector) poll(ctx context.Context) {
	for pause(ctx, c.cfg.Poll.Std()) {
		// Not recent: what a peer sends of its own shows between the first reading
		// after its probe and the one before the next, which must not be one reading.
		_, _ = c.readWithin(ctx, max(settle, c.cfg.Cache.Std()))
	}
}

// recent returns a snapshot no older than half a poll: scrapes count as polls.
func (c *Collector) recent(ctx context.Context) (*snapshot, error) {
	return c.readWithin(ctx, max(c.cfg.Poll.Std()/2, c.cfg.Cache.Std()))
}

// Run polls and probes as the configuration says, until ctx is done. Record
// must not change meanwhile.
func (c *Collector) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	if c.Record != nil {
		c.history.keep.Store(true)
		wg.Go(func() { c.record(ctx) })
	}
	if c.cfg.Probe.enabled() {
		wg.Go(func() { c.probe(ctx) })
		wg.Go(func() { c.poll(ctx) })
	}
	wg.Wait()
	<-ctx.Done()
	return nil
}
