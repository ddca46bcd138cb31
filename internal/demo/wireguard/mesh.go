// Package wireguard is the demo's WireGuard network: userspace devices inside
// this process that shake hands over loopback UDP for real, carry traffic and
// have the mishaps of a real network. It needs no privileges, and nothing of it
// remains when it stops.
package wireguard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// maxSocketPath is what the address of a unix socket holds on every system (104 on BSD, with the final zero).
const maxSocketPath = 103

// Config says where the mesh shows itself and how fast things happen to it.
// A duration of zero takes the value named.
type Config struct {
	// Dir is where the UAPI sockets <name>.sock appear. It is made, with mode 0700, if it is not there.
	Dir string
	// StaleAfter is how long the branch works before it is cut off for good: 30 s.
	StaleAfter time.Duration
	// RoamEvery is how often the roaming peer changes its UDP port: 40 s.
	RoamEvery time.Duration
	// ChurnEvery is how often a peer is removed, to be added again a little later: 5 min.
	ChurnEvery time.Duration
}

// Default returns the configuration of the demo, which lacks only the directory.
func Default() Config {
	return Config{StaleAfter: 30 * time.Second, RoamEvery: 40 * time.Second, ChurnEvery: 5 * time.Minute}
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	if c.Dir == "" {
		return errors.New("no directory for the sockets")
	}
	if c.StaleAfter < 0 || c.RoamEvery < 0 || c.ChurnEvery < 0 {
		return errors.New("negative duration")
	}
	for _, s := range plan() {
		if path := c.socket(s.name); s.offered && len(path) > maxSocketPath {
			return fmt.Errorf("socket path %q is longer than %d bytes", path, maxSocketPath)
		}
	}
	return nil
}

func (c Config) socket(device string) string { return filepath.Join(c.Dir, device+".sock") }

func (c Config) withDefaults() Config {
	d := Default()
	d.Dir = c.Dir
	if c.StaleAfter != 0 {
		d.StaleAfter = c.StaleAfter
	}
	if c.RoamEvery != 0 {
		d.RoamEvery = c.RoamEvery
	}
	if c.ChurnEvery != 0 {
		d.ChurnEvery = c.ChurnEvery
	}
	return d
}

// Device is a device whose UAPI socket is offered in Config.Dir.
type Device struct {
	Name      string
	PublicKey string // base64
	Addresses []netip.Prefix
}

// Mesh is the network: two devices to observe and the peers around them.
type Mesh struct {
	cfg Config
	log *slog.Logger

	nodes   []*node
	links   []*link
	arrived chan netip.Addr // sources of what reaches the observed devices, while Open waits

	offers []*offer
	opened bool
	closed sync.Once
}

// New returns a mesh that does nothing yet. Its keys exist already, so that
// Names and Devices answer at any time.
func New(cfg Config, log *slog.Logger) (*Mesh, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("demo wireguard: %w", err)
	}
	m := &Mesh{cfg: cfg, log: log, arrived: make(chan netip.Addr, 64)}
	byName := map[string]*node{}
	for _, s := range plan() {
		n, err := newNode(s, log)
		if err != nil {
			return nil, fmt.Errorf("demo wireguard: %w", err)
		}
		m.nodes = append(m.nodes, n)
		byName[s.name] = n
	}
	for _, s := range wiring() {
		m.links = append(m.links, newLink(s, byName[s.hub], byName[s.peer]))
	}
	return m, nil
}

// Names returns the friendly names by base64 public key, of those peers that have one.
func (m *Mesh) Names() map[string]string {
	names := map[string]string{}
	for _, n := range m.nodes {
		if !n.offered && !n.nameless {
			names[n.public.base64()] = n.name
		}
	}
	return names
}

// Devices returns the devices whose sockets are offered.
func (m *Mesh) Devices() []Device {
	var devices []Device
	for _, n := range m.nodes {
		if n.offered {
			devices = append(devices, Device{Name: n.name, PublicKey: n.public.base64(), Addresses: []netip.Prefix{n.address}})
		}
	}
	return devices
}

// Open starts the devices, waits until every peer that is there has shaken
// hands, and offers the sockets. After an error nothing is left of it; after
// success, Run or Close must follow.
func (m *Mesh) Open(ctx context.Context) (err error) {
	if m.opened {
		return errors.New("open mesh: opened before")
	}
	m.opened = true
	defer func() {
		if err != nil {
			m.Close()
			err = fmt.Errorf("open mesh: %w", err)
		}
	}()
	if err := os.MkdirAll(m.cfg.Dir, 0o700); err != nil {
		return err
	}
	// The observed devices first: the peers' configuration names their ports.
	for _, offered := range []bool{true, false} {
		for _, n := range m.nodes {
			if n.offered != offered || n.absent {
				continue
			}
			if err := n.start(m.linksOf(n)); err != nil {
				return err
			}
		}
	}
	if err := m.greet(ctx); err != nil {
		return err
	}
	for _, n := range m.nodes {
		if !n.offered {
			continue
		}
		o, err := newOffer(m.cfg.socket(n.name), n.device, m.log)
		if err != nil {
			return err
		}
		m.offers = append(m.offers, o)
	}
	return nil
}

// greet sends a packet through every link and waits until all have come out:
// what comes out has been through a handshake.
func (m *Mesh) greet(ctx context.Context) error {
	waiting := map[netip.Addr]*link{}
	for _, n := range m.nodes {
		n.tun.watch(m.arrived)
	}
	defer func() {
		for _, n := range m.nodes {
			n.tun.watch(nil)
		}
	}()
	for _, l := range m.links {
		if !l.peer.absent {
			waiting[l.address] = l
			l.peer.tun.send(l.up.packet)
		}
	}
	for len(waiting) > 0 {
		select {
		case src := <-m.arrived:
			delete(waiting, src)
		case <-ctx.Done():
			for _, l := range waiting {
				return fmt.Errorf("handshake of %q with %s: %w", l.peer.name, l.hub.name, ctx.Err())
			}
		}
	}
	return nil
}

// Run moves the traffic and lets things happen until ctx is done. Then it
// closes everything.
func (m *Mesh) Run(ctx context.Context) error {
	if !m.opened {
		return errors.New("run mesh: not opened")
	}
	defer m.Close()
	m.live(ctx)
	return nil
}

// Close takes away the sockets and stops the devices. It is for a caller that
// opened the mesh and does not come to run it; Run closes by itself.
func (m *Mesh) Close() {
	m.closed.Do(func() {
		for _, o := range m.offers {
			o.close()
		}
		for _, n := range m.nodes {
			n.stop()
		}
	})
}

func (m *Mesh) linksOf(n *node) []*link {
	var links []*link
	for _, l := range m.links {
		if l.hub == n || l.peer == n {
			links = append(links, l)
		}
	}
	return links
}
