package wireguard

import (
	"net/netip"
	"time"
)

// The names of the two observed devices and of the peers to which something happens.
const (
	office    = "wg-office"
	backup    = "wg-backup"
	branch    = "Lisbon branch"
	roamer    = `phone "roaming"` // the quotes are there to be escaped
	churner   = "off-site store"
	ana       = "Ana's laptop"
	builds    = "build server"
	warehouse = "warehouse router"
	tablet    = "spare tablet"
	stranger  = "stranger" // for our own logs only
)

// keepalive is the interval that nearly everybody configures, in seconds.
const keepalive = 25

type nodeSpec struct {
	name     string
	cidr     string // address of an observed device
	offered  bool   // its socket is offered
	nameless bool   // nobody has given this key a name
	absent   bool   // a key without a device: configured, never seen
}

type linkSpec struct {
	hub, peer string
	address   string        // of the peer in the hub's network
	networks  []string      // behind the peer
	keepalive int           // on the hub's side
	up, down  shape         // bytes per second towards the hub and back
	size      int           // of a packet
	far       time.Duration // there and back
	loss      float64       // of echoes, as a part of one
}

func plan() []nodeSpec {
	return []nodeSpec{
		{name: office, cidr: "10.9.0.1/24", offered: true},
		{name: backup, cidr: "10.10.0.1/29", offered: true},
		{name: ana},
		{name: builds},
		{name: roamer},
		{name: warehouse},
		{name: branch},
		{name: churner},
		{name: stranger, nameless: true},
		{name: tablet, absent: true},
	}
}

// wiring is small enough in all (some 200 kB/s) to be unnoticed on a laptop.
func wiring() []linkSpec {
	return []linkSpec{
		{
			hub: office, peer: ana, address: "10.9.0.2", keepalive: keepalive, size: 1000,
			far: 28 * time.Millisecond,
			up:  wave(4e3, 1e3, 7*minute, 0), down: wave(18e3, 5e3, 7*minute, 0.1),
		},
		{
			hub: office, peer: builds, address: "10.9.0.3", keepalive: keepalive, size: 1400,
			far: 4 * time.Millisecond,
			up:  bursts(20e3, 50e3, 2*minute, 0.25), down: bursts(7e3, 18e3, 2*minute, 0.3),
		},
		{
			hub: office, peer: roamer, address: "10.9.0.4", keepalive: keepalive, size: 240,
			far: 95 * time.Millisecond, loss: 0.12,
			up: steady(3e3), down: wave(5e3, 1e3, 3*minute, 0.5),
		},
		{
			hub: office, peer: warehouse, address: "10.9.0.5", networks: []string{"10.9.64.0/24"}, keepalive: keepalive, size: 700,
			far: 17 * time.Millisecond, loss: 0.02,
			up: steady(12e3), down: steady(4e3),
		},
		{
			hub: office, peer: stranger, address: "10.9.0.6", size: 120,
			far: 140 * time.Millisecond,
			up:  steady(600), down: steady(300),
		},
		{hub: office, peer: tablet, address: "10.9.0.7"},
		{
			hub: office, peer: branch, address: "10.9.0.8", networks: []string{"10.9.80.0/24"}, keepalive: keepalive, size: 800,
			far: 41 * time.Millisecond,
			up:  wave(14e3, 3e3, 4*minute, 0.3), down: wave(9e3, 2e3, 4*minute, 0.3),
		},

		{
			hub: backup, peer: builds, address: "10.10.0.2", keepalive: keepalive, size: 1400,
			far: 6 * time.Millisecond,
			up:  wave(22e3, 6e3, 5*minute, 0.6), down: steady(1e3),
		},
		{
			hub: backup, peer: warehouse, address: "10.10.0.3", keepalive: keepalive, size: 1400,
			far: 22 * time.Millisecond,
			up:  bursts(15e3, 36e3, 4*minute, 0.3), down: steady(1500),
		},
		{
			hub: backup, peer: churner, address: "10.10.0.4", networks: []string{"10.10.32.0/20"}, keepalive: keepalive, size: 1200,
			far: 63 * time.Millisecond,
			up:  steady(2e3), down: wave(20e3, 5e3, 6*minute, 0.8),
		},
	}
}

// link is one peer as configured on one observed device.
type link struct {
	hub, peer *node
	address   netip.Addr
	allowed   []netip.Prefix
	keepalive int
	up, down  *stream
	far       time.Duration
	loss      float64
	cut       bool // of the goroutine in live
}

func newLink(s linkSpec, hub, peer *node) *link {
	l := &link{hub: hub, peer: peer, address: netip.MustParseAddr(s.address), keepalive: s.keepalive, far: s.far, loss: s.loss}
	l.allowed = []netip.Prefix{netip.PrefixFrom(l.address, l.address.BitLen())}
	for _, n := range s.networks {
		l.allowed = append(l.allowed, netip.MustParsePrefix(n))
	}
	if !peer.absent {
		l.up = newStream(s.up, peer, udpPacket(l.address, hub.address.Addr(), s.size))
		l.down = newStream(s.down, hub, udpPacket(hub.address.Addr(), l.address, s.size))
	}
	return l
}
