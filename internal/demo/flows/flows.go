// Package flows makes flow logs of a small company's cloud in every vendor's
// format: a day's wave of clients, services that call each other, and among
// them a port scan, an exfiltration and a beacon. The same seed gives the same
// bytes. Any number of rows is made in little memory.
package flows

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"time"
)

// Actors of the stories, so that tests and readers can look for them.
const (
	ScannerIP      = "203.0.113.66"  // calls every port, is rejected
	ScanTargetIP   = "10.10.1.10"    // of the scan
	ExfiltrationIP = "198.51.100.23" // gets gigabytes from LeakingIP at night
	LeakingIP      = "10.10.3.11"
	BeaconIP       = "192.0.2.99" // is called by InfectedIP each minute, a few bytes
	InfectedIP     = "10.10.2.12"
)

// BeaconEvery is the time between two calls of the beacon.
const BeaconEvery = time.Minute

// Config of the traffic.
type Config struct {
	Seed     uint64
	Start    time.Time     // whole hours make the tidiest objects
	Duration time.Duration // a day if 0
	Rows     int64         // flows in all
	Every    time.Duration // what one object of an interface holds, if longer than the vendor's: few flows a day make fewer objects
	// Incident, if it is set, is when an hour begins in which a scan, an exfiltration and
	// a beacon are dense enough to be found, however few Rows there are. Their flows come beside those.
	Incident time.Time
}

// Flow is what happened, before a vendor tells it in his own way.
type Flow struct {
	Start, End, Connection time.Time
	Initiator, Target      string
	InitiatorPort, Port    uint16
	Protocol               uint8 // 6 or 17
	Rejected               bool
	Begins, Ends           bool   // the connection does, in this window
	Observer               int    // which of our machines' interfaces saw it
	Inbound                bool   // as seen from there
	Sent, Received         uint64 // bytes
	SentPkts, RecvPkts     uint64
}

// machine is one of ours.
type machine struct {
	ip     string
	serves uint16 // port
	proto  uint8
}

// machines by tiers: web, application, database, infrastructure.
func machines() []machine {
	var all []machine
	for tier, port := range []uint16{443, 8443, 5432} {
		for i := range 4 {
			all = append(all, machine{fmt.Sprintf("10.10.%d.%d", tier+1, 10+i), port, 6})
		}
	}
	return append(all, machine{"10.10.4.10", 53, 17}, machine{"10.10.4.11", 22, 6})
}

// Interfaces is how many interfaces report flows.
func Interfaces() int { return len(machines()) }

// All yields the flows in order of their start.
func (c Config) All() iter.Seq[Flow] {
	return func(yield func(Flow) bool) {
		if c.Duration == 0 {
			c.Duration = 24 * time.Hour
		}
		g := &maker{Config: c, rnd: rand.New(rand.NewPCG(c.Seed, 0x6f7269656c)), all: machines()} //nolint:gosec // the same each time is the point
		clock := newClock(c.Start, c.Duration)
		beacon := c.Start
		infected := g.indexOf(InfectedIP)
		extra := g.incident(infected)
		for i := int64(0); i < c.Rows; i++ {
			at := clock.at((float64(i) + g.rnd.Float64()) / float64(c.Rows))
			for len(extra) > 0 && extra[0].Start.Before(at) {
				if !yield(extra[0]) {
					return
				}
				extra = extra[1:]
			}
			// The beacon keeps its own time, whatever the others do.
			if !beacon.After(at) {
				if !yield(g.beacon(beacon, infected)) {
					return
				}
				// With few rows a day the beacon must not be all there is.
				for beacon = beacon.Add(BeaconEvery); beacon.Add(BeaconEvery).Before(at); {
					beacon = beacon.Add(BeaconEvery)
				}
				continue
			}
			if !yield(g.flow(at)) {
				return
			}
		}
	}
}

type maker struct {
	Config
	rnd  *rand.Rand
	all  []machine
	scan uint16
}

func (g *maker) indexOf(ip string) int {
	for i, m := range g.all {
		if m.ip == ip {
			return i
		}
	}
	return 0
}

// part tells how far through the time at is, from 0 to 1.
func (g *maker) part(at time.Time) float64 { return float64(at.Sub(g.Start)) / float64(g.Duration) }

func (g *maker) flow(at time.Time) Flow {
	part, dice := g.part(at), g.rnd.Float64()
	switch {
	case part > 0.40 && part < 0.44 && dice < 0.30:
		return g.scanned(at)
	case part > 0.10 && part < 0.16 && dice < 0.04:
		return g.leak(at)
	case dice < 0.55:
		return g.client(at)
	case dice < 0.90:
		return g.inside(at)
	case dice < 0.97:
		return g.lookup(at)
	}
	return g.noise(at)
}

// client calls a web server from outside.
func (g *maker) client(at time.Time) Flow {
	i := g.rnd.IntN(4)
	f := g.base(at, fmt.Sprintf("100.%d.%d.%d", 64+g.rnd.IntN(64), g.rnd.IntN(256), 1+g.rnd.IntN(254)), g.all[i], i)
	f.Inbound = true
	g.volume(&f, 1200, 24_000)
	return f
}

// inside is a call from a tier to the next, seen by the called.
func (g *maker) inside(at time.Time) Flow {
	from := g.rnd.IntN(8)
	to := (from/4+1)*4 + g.rnd.IntN(4)
	f := g.base(at, g.all[from].ip, g.all[to], to)
	f.Inbound = true
	if g.rnd.IntN(2) == 0 {
		f.Observer, f.Inbound = from, false
	}
	g.volume(&f, 900, 7000)
	return f
}

func (g *maker) lookup(at time.Time) Flow {
	from := g.rnd.IntN(12)
	f := g.base(at, g.all[from].ip, g.all[12], from)
	f.Begins, f.Ends, f.Connection = true, true, f.Start
	f.SentPkts, f.RecvPkts = 1, 1
	f.Sent, f.Received = 60+g.rnd.Uint64N(40), 80+g.rnd.Uint64N(400)
	return f
}

// noise is the rejected calls that every public address gets.
func (g *maker) noise(at time.Time) Flow {
	i := g.rnd.IntN(len(g.all))
	m := g.all[i]
	m.serves, m.proto = []uint16{22, 23, 445, 3389, 6379, 8080}[g.rnd.IntN(6)], 6
	f := g.base(at, fmt.Sprintf("185.%d.%d.%d", g.rnd.IntN(256), g.rnd.IntN(256), 1+g.rnd.IntN(254)), m, i)
	g.reject(&f)
	return f
}

func (g *maker) scanned(at time.Time) Flow {
	i := g.indexOf(ScanTargetIP)
	g.scan = g.scan%49151 + 1
	m := g.all[i]
	m.serves, m.proto = g.scan, 6
	f := g.base(at, ScannerIP, m, i)
	g.reject(&f)
	return f
}

func (g *maker) leak(at time.Time) Flow {
	i := g.indexOf(LeakingIP)
	f := g.base(at, LeakingIP, machine{ExfiltrationIP, 443, 6}, i)
	f.Sent, f.Received = 20_000_000+g.rnd.Uint64N(80_000_000), 100_000+g.rnd.Uint64N(50_000)
	f.SentPkts, f.RecvPkts = f.Sent/1400, f.Received/60
	return f
}

func (g *maker) beacon(at time.Time, infected int) Flow {
	f := g.base(at, InfectedIP, machine{BeaconIP, 8443, 6}, infected)
	f.End = at.Add(time.Second)
	f.Begins, f.Ends, f.Connection = true, true, at
	f.Sent, f.Received, f.SentPkts, f.RecvPkts = 412+g.rnd.Uint64N(8), 388, 5, 4
	return f
}

// incident is the hour that Config.Incident asks for, in order of time.
func (g *maker) incident(infected int) []Flow {
	if g.Incident.IsZero() {
		return nil
	}
	var list []Flow
	for m := range 55 {
		at := g.Incident.Add(time.Duration(m) * time.Minute)
		list = append(list, g.beacon(at, infected))
		if m%2 == 0 {
			list = append(list, g.leak(at.Add(10*time.Second)))
		}
		for i := 0; m >= 20 && m < 30 && i < 15; i++ {
			list = append(list, g.scanned(at.Add(time.Duration(15+i)*time.Second)))
		}
	}
	return list
}

func (g *maker) base(at time.Time, from string, to machine, observer int) Flow {
	at = at.Truncate(time.Millisecond)
	f := Flow{
		Start: at, Initiator: from, Target: to.ip, InitiatorPort: uint16(32768 + g.rnd.IntN(28000)), //nolint:gosec // below 65536
		Port: to.serves, Protocol: to.proto, Observer: observer,
	}
	f.End = at.Add(time.Duration(1+g.rnd.IntN(59)) * time.Second)
	f.Begins, f.Ends, f.Connection = g.rnd.IntN(10) < 7, g.rnd.IntN(10) < 7, at
	if !f.Begins {
		f.Connection = at.Add(-time.Duration(1+g.rnd.IntN(3600)) * time.Second)
	}
	return f
}

// volume is skewed, as real ones are: most flows are small.
func (g *maker) volume(f *Flow, sent, received float64) {
	skew := func(mean float64) uint64 { return uint64(mean * math.Exp(g.rnd.NormFloat64()) / 1.65) }
	f.Sent, f.Received = 120+skew(sent), 120+skew(received)
	f.SentPkts, f.RecvPkts = 2+f.Sent/800, 2+f.Received/1200
}

func (g *maker) reject(f *Flow) {
	f.Rejected, f.Inbound, f.Begins, f.Ends, f.Connection = true, true, true, false, f.Start
	f.SentPkts, f.RecvPkts, f.Received = 1+g.rnd.Uint64N(3), 0, 0
	f.Sent = f.SentPkts * 60
}

// clock spreads a part of all flows over the time: three times as many in the
// afternoon as in the small hours.
type clock struct {
	start time.Time
	step  time.Duration
	sums  []float64
}

func newClock(start time.Time, d time.Duration) *clock {
	const steps = 1440
	c := &clock{start: start, step: d / steps, sums: make([]float64, steps+1)}
	for i := range steps {
		t := start.Add(c.step * time.Duration(i))
		day := float64(t.Sub(t.Truncate(24*time.Hour))) / float64(24*time.Hour)
		c.sums[i+1] = c.sums[i] + 1 - 0.5*math.Cos(2*math.Pi*(day-0.125))
	}
	return c
}

func (c *clock) at(part float64) time.Time {
	want := part * c.sums[len(c.sums)-1]
	low, high := 0, len(c.sums)-1
	for high-low > 1 {
		if mid := (low + high) / 2; c.sums[mid] <= want {
			low = mid
		} else {
			high = mid
		}
	}
	within := (want - c.sums[low]) / (c.sums[low+1] - c.sums[low])
	return c.start.Add(c.step*time.Duration(low) + time.Duration(within*float64(c.step)))
}
