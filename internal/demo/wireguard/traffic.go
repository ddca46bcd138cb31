package wireguard

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

const (
	minute = 60.0 // shapes count in seconds

	// tick is how often packets are sent: rarely, since waking up costs more than sending.
	tick = 250 * time.Millisecond
	// maxLag is how much missed time is made up for: after a suspend there must be no flood.
	maxLag = time.Second
)

// shape is the rate of a stream in bytes per second, t seconds after the start.
type shape func(t float64) float64

func steady(rate float64) shape {
	return func(float64) float64 { return rate }
}

// even is how long a stream has its mean rate at the start, in seconds: demos
// make up the hours before from what they see then.
const even = 20.0

// wave is a day of a few minutes: a sine around mean. It begins at phase, a fraction of the period.
func wave(mean, swing, period, phase float64) shape {
	return func(t float64) float64 {
		if t < even {
			return mean
		}
		return mean + swing*math.Sin(2*math.Pi*(t/period+phase))
	}
}

// bursts is high for the fraction duty of every period, low for the rest.
func bursts(low, high, period, duty float64) shape {
	return func(t float64) float64 {
		if t < even {
			return low + duty*(high-low)
		}
		if math.Mod(t, period) < duty*period {
			return high
		}
		return low
	}
}

// stream sends one packet over and over into one device, at the rate of its shape.
type stream struct {
	rate   shape
	from   *node
	packet []byte
	due    float64 // bytes
}

func newStream(rate shape, from *node, packet []byte) *stream {
	return &stream{rate: rate, from: from, packet: packet}
}

// advance sends what is due at t after dt seconds have passed, with some unevenness.
func (s *stream) advance(t, dt float64) {
	s.due += max(0, s.rate(t)) * dt * (0.85 + 0.3*rand.Float64()) //nolint:gosec // nothing depends on it
	for ; s.due >= float64(len(s.packet)); s.due -= float64(len(s.packet)) {
		s.from.tun.send(s.packet)
	}
}

// live is the life of the mesh. One goroutine does it all, so nothing of it needs a lock.
func (m *Mesh) live(ctx context.Context) {
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	cut := time.NewTimer(m.cfg.StaleAfter)
	defer cut.Stop()
	roam := time.NewTicker(m.cfg.RoamEvery)
	defer roam.Stop()
	churn := time.NewTimer(m.cfg.ChurnEvery)
	defer churn.Stop()

	start := time.Now()
	last := start
	removed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			now := time.Now()
			m.move(now.Sub(start).Seconds(), min(now.Sub(last), maxLag).Seconds())
			last = now
		case <-cut.C:
			m.cutOff(branch)
		case <-roam.C:
			for _, n := range m.nodes {
				if n.name == roamer {
					m.note("roam", n.name, n.roam())
				}
			}
		case <-churn.C:
			removed = !removed
			m.churn(removed)
			// Away for a fifteenth of the time: 20 s of 5 min, which no scrape interval of a demo misses.
			next := m.cfg.ChurnEvery
			if removed {
				next = max(next/15, time.Millisecond)
			}
			churn.Reset(next)
		}
	}
}

// move sends what all streams have due.
func (m *Mesh) move(t, dt float64) {
	for _, l := range m.links {
		if l.peer.absent || l.cut {
			continue
		}
		l.up.advance(t, dt)
		l.down.advance(t, dt)
	}
}

// cutOff ends a peer for good. The hubs are not told: they find out by silence.
func (m *Mesh) cutOff(name string) {
	for _, l := range m.links {
		if l.peer.name == name {
			l.cut = true
			l.peer.stop()
			m.note("cut off", name, nil)
		}
	}
}

// churn removes the peer that comes and goes from wg-backup, or adds it again.
func (m *Mesh) churn(remove bool) {
	for _, l := range m.links {
		switch {
		case l.peer.name != churner || l.hub.name != backup:
		case remove:
			m.note("remove", churner, l.remove())
		default:
			m.note("add", churner, l.add())
		}
	}
}

func (m *Mesh) note(event, peer string, err error) {
	if err != nil {
		m.log.Warn("demo event", "event", event, "peer", peer, "err", err)
		return
	}
	m.log.Debug("demo event", "event", event, "peer", peer)
}
