package query

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// cache keeps results, and lets identical queries under way run once. Its key
// names the content of all files read, so what it has is true for ever; the
// limits in bytes and time are for memory's sake.
type cache struct {
	maxBytes int64
	maxAge   time.Duration

	mu      sync.Mutex // guards what follows
	entries map[string]*entry
	runs    map[*entry]bool // those under way
	stopped bool
	order   *list.List // of *entry that are complete, the one used last in front
	bytes   int64
	hits    uint64
	joins   uint64
	misses  uint64
}

type entry struct {
	key     string
	result  *Result
	readers int
	stop    context.CancelFunc
	born    time.Time
	place   *list.Element // nil while it runs
}

var errNoReader = errors.New("nobody waits for the answer any longer")

func newCache(maxBytes int64, maxAge time.Duration) *cache {
	return &cache{maxBytes: maxBytes, maxAge: maxAge, entries: map[string]*entry{}, runs: map[*entry]bool{}, order: list.New()}
}

// how a result was come by.
type how uint8

const (
	started how = iota
	joined      // another's, under way
	kept
)

// get returns the result for the key: a kept one, one under way, or a new one
// that run fills in the background. An empty key is always a new one. done must
// be called when the result has been read; a run without readers is cancelled.
func (c *cache) get(ctx context.Context, key string, run func(context.Context, *Result) (time.Duration, error)) (r *Result, h how, done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e != nil && e.place != nil && time.Since(e.born) > c.maxAge {
		c.drop(e)
		e = nil
	}
	switch {
	case e == nil || key == "":
		c.misses++
		h = started
		e = c.start(ctx, key, run)
	case e.place != nil:
		c.hits++
		h = kept
		c.order.MoveToFront(e.place)
	default:
		c.joins++
		h = joined
	}
	e.readers++
	return e.result, h, sync.OnceFunc(func() { c.leave(e) })
}

// start runs the query apart from the request's end: others may join it.
func (c *cache) start(ctx context.Context, key string, run func(context.Context, *Result) (time.Duration, error)) *entry {
	e := &entry{key: key, result: newResult(), born: time.Now()}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	e.stop = func() { cancel(errNoReader) }
	if key != "" {
		c.entries[key] = e
	}
	c.runs[e] = true
	if c.stopped {
		e.stop()
	}
	go func() {
		defer cancel(nil)
		elapsed, err := run(ctx, e.result)
		e.result.mu.Lock()
		e.result.elapsed, e.result.err = elapsed, err
		e.result.mu.Unlock()
		// Kept first and complete then: who has read it all and leaves does not
		// take it away, and who asks again finds it.
		c.finish(e)
		e.result.update(func() { e.result.done = true })
	}()
	return e
}

func (c *cache) leave(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.readers--; e.readers == 0 && e.place == nil {
		e.stop()
		if c.entries[e.key] == e {
			delete(c.entries, e.key) // who asks now starts anew
		}
	}
}

// finish keeps what is complete and makes room for it.
func (c *cache) finish(e *entry) {
	e.result.mu.Lock()
	size, keep := e.result.bytes, e.result.err == nil
	e.result.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.runs, e)
	if c.entries[e.key] != e {
		return
	}
	if !keep || size > c.maxBytes/4 {
		delete(c.entries, e.key)
		return
	}
	e.place = c.order.PushFront(e)
	for c.bytes += size; c.bytes > c.maxBytes; {
		c.drop(c.order.Back().Value.(*entry))
	}
}

// stop ends all runs, also those that begin later.
func (c *cache) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	for e := range c.runs {
		e.stop()
	}
}

// drop forgets a kept result; who reads it reads on.
func (c *cache) drop(e *entry) {
	c.order.Remove(e.place)
	delete(c.entries, e.key)
	c.bytes -= e.result.bytes // complete: it does not change
}

type cacheStats struct {
	hits, joins, misses uint64
	bytes               int64
	entries             int
}

func (c *cache) stats() cacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cacheStats{c.hits, c.joins, c.misses, c.bytes, c.order.Len()}
}
