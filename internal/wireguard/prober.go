package wireguard

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// due is a peer and when in the round it is its turn.
type due struct {
	id     peerID
	offset time.Duration
}

// probe asks the peers, round by round, until ctx is done. It shares readings
// with the scrapes and never holds one up.
func (c *Collector) probe(ctx context.Context) {
	defer c.probes.pinger.close()
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, c.cfg.Probe.Concurrency)
	var last lookup
	for first := true; ; first = false {
		start := time.Now()
		c.probes.forget(start)
		c.probes.pinger.tidy(start)
		for _, d := range c.round(ctx) {
			if first { // whoever starts it wants to see something
				d.offset /= 8
			}
			if !pause(ctx, time.Until(start.Add(d.offset))) {
				return
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			s, err := c.recent(ctx)
			if err != nil {
				return // ctx is done
			}
			view, peer := last.find(s, d.id)
			if peer == nil || !c.probes.start(d.id) {
				<-slots
				continue
			}
			wg.Go(func() {
				defer func() { <-slots }()
				c.probeOne(ctx, view, peer)
			})
		}
		if !pause(ctx, time.Until(start.Add(c.cfg.Probe.Interval.Std()))) {
			return
		}
	}
}

// round returns the peers that the configuration names, in the order of their turns.
func (c *Collector) round(ctx context.Context) []due {
	s, err := c.recent(ctx)
	if err != nil {
		return nil
	}
	var list []due
	for _, d := range s.devices {
		for i := range d.peers {
			p := &d.peers[i]
			if c.cfg.Probe.wants(p.state.key(), p.state.name.friendly) {
				id := peerID{d.name, p.PublicKey}
				list = append(list, due{id, c.probes.offset(id)})
			}
		}
	}
	slices.SortFunc(list, func(a, b due) int { return int(a.offset - b.offset) })
	return list
}

// probeOne probes a peer, unless that would wake it or cannot be done.
func (c *Collector) probeOne(ctx context.Context, view *deviceView, p *peerView) {
	id := peerID{view.name, p.PublicKey}
	addr := c.cfg.Probe.target(p.state.key(), p.state.name.friendly, p.AllowedIPs)
	result := ""
	switch {
	case !view.iface.known:
		result = probeNoDevice
	case !addr.IsValid():
		result = probeNoTarget
	case !c.probes.awake(view.name, p, time.Now()):
		result = probeAsleep
	}
	if result != "" {
		c.probes.done(id, echoes{}, errNotProbed, time.Now())
		c.probes.count(view.name, result)
		return
	}
	ping := c.probes.ping
	if view.iface.inside {
		ping = c.pingInside(view.name)
	}
	a, err := ping(ctx, echoTarget{addr: addr, ifindex: view.iface.index, space: view.iface.space}, c.cfg.Probe.Count, c.cfg.Probe.Timeout.Std())
	switch {
	case ctx.Err() != nil:
		err = ctx.Err() // neither a success nor a failure
	case errors.Is(err, errPingForbidden):
		result = probeForbidden
		c.forbidden.Do(func() {
			c.log.Warn("probe peers: allow raw sockets (CAP_NET_RAW) or ping sockets (net.ipv4.ping_group_range)", "err", err)
		})
	case err != nil || a.received == 0:
		// No route is as good as no answer.
		result, a.received, err = probeFailure, 0, nil
		a.sent = max(a.sent, c.cfg.Probe.Count)
	default:
		result = probeSuccess
	}
	c.probes.done(id, a, err, time.Now())
	if result != "" {
		c.probes.count(view.name, result)
	}
}

// pingInside asks through a device of this process.
func (c *Collector) pingInside(device string) func(context.Context, echoTarget, int, time.Duration) (echoes, error) {
	return func(ctx context.Context, t echoTarget, count int, timeout time.Duration) (echoes, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		var a echoes
		var sum time.Duration
		for a.sent = 1; ; a.sent++ {
			if took, err := c.cfg.Inside.Echo(ctx, device, t.addr); err == nil {
				a.received++
				sum += took
			}
			if a.sent == count || !pause(ctx, min(echoGap, timeout/time.Duration(count+1))) {
				return a.mean(sum), nil
			}
		}
	}
}

var errNotProbed = errors.New("not probed")

// lookup finds peers of a snapshot; it keeps the index of the latest one.
type lookup struct {
	of    *snapshot
	index map[peerID][2]int
}

func (l *lookup) find(s *snapshot, id peerID) (*deviceView, *peerView) {
	if l.of != s {
		l.of, l.index = s, map[peerID][2]int{}
		for i, d := range s.devices {
			for j := range d.peers {
				l.index[peerID{d.name, d.peers[j].PublicKey}] = [2]int{i, j}
			}
		}
	}
	at, ok := l.index[id]
	if !ok {
		return nil, nil
	}
	d := s.devices[at[0]]
	return d, &d.peers[at[1]]
}

// pause waits, at once if d is not positive; false if ctx is done first.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
