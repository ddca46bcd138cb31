package neuvector

import (
	"context"
	"errors"
	"hash/fnv"
	"sync"
	"time"
)

// logoutTimeout is how long the end waits for the controller.
const logoutTimeout = 5 * time.Second

// Run refreshes all groups of all clusters, each by its own interval, until
// ctx is done; then it logs out.
func (c *Collector) Run(ctx context.Context) error {
	if c.cfg.StateFile != "" {
		if err := c.loadState(); err != nil {
			c.log.Warn("read the state of the events", "err", err)
		}
	}
	var wg sync.WaitGroup
	running := map[*cluster]context.CancelFunc{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		known := map[*cluster]bool{}
		for _, cl := range c.all() {
			known[cl] = true
			if running[cl] == nil {
				clusterCtx, cancel := context.WithCancel(ctx)
				running[cl] = cancel
				for _, group := range c.cfg.Groups {
					if cl.local() || (group != groupFederation) {
						wg.Go(func() { c.keep(clusterCtx, cl, group) })
					}
				}
			}
		}
		for cl, cancel := range running {
			if !known[cl] {
				cancel()
				delete(running, cl)
			}
		}
		c.client.keepAlive(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	for _, cancel := range running {
		cancel()
	}
	wg.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTimeout)
	defer cancel()
	c.client.session.end(last)
	c.client.http.CloseIdleConnections()
	return nil
}

// keep refreshes one group until ctx is done. The first time is now; then the
// groups are apart by a part of their interval, so that they do not come all at once.
func (c *Collector) keep(ctx context.Context, cl *cluster, group string) {
	every := cl.every(group)
	wait := time.Duration(0)
	failing := false
	for first := true; ; first = false {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		err := cl.refresh(ctx, group)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing && !errors.Is(err, errWait) {
			c.log.Warn("refresh", "cluster", cl.name, "group", group, "err", err)
		} else if err == nil && failing {
			c.log.Info("group works again", "cluster", cl.name, "group", group)
		}
		failing = err != nil
		wait = every
		if first {
			wait = every/2 + jitter(cl.name+group, every/2)
		}
		cl.mu.Lock()
		if rest := time.Until(cl.groups[group].next); rest > wait {
			wait = rest
		}
		cl.mu.Unlock()
	}
}

// jitter is the same for a name each time, and differs between names.
func jitter(name string, within time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	if within <= 0 {
		return 0
	}
	return time.Duration(h.Sum64()>>1) % within
}

// Refresh reads every group of every cluster once, now, as much at once as the
// configuration allows. Clusters that the federation names meanwhile are read too.
func (c *Collector) Refresh(ctx context.Context) error {
	var mu sync.Mutex
	var errs []error
	done := map[*cluster]bool{}
	for {
		var wg sync.WaitGroup
		for _, cl := range c.all() {
			if done[cl] {
				continue
			}
			done[cl] = true
			for _, group := range c.cfg.Groups {
				if !cl.local() && group == groupFederation {
					continue
				}
				wg.Go(func() {
					if err := cl.refresh(ctx, group); err != nil {
						mu.Lock()
						defer mu.Unlock()
						errs = append(errs, err)
					}
				})
			}
		}
		wg.Wait()
		if len(c.all()) == len(done) || ctx.Err() != nil {
			return errors.Join(errs...)
		}
	}
}
