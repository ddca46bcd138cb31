// Package wireguard reads WireGuard devices, of the kernel and of userspace
// daemons, and yields the metrics of the two exporters that people use for them
// (MindFlavor/prometheus_wireguard_exporter and mdlayher/wireguard_exporter)
// with those exporters' names, and more of our own.
package wireguard

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/orielhq/oriel/internal/conf"
)

// maxPeersLimit is wireguard-go's own limit of peers to a device (device.MaxPeers).
const maxPeersLimit = 1 << 16

// maxFilters bounds what is compared for each device.
const maxFilters = 256

// The families of metrics, by whose names they carry.
const (
	FamilyMdlayher   = "mdlayher"
	FamilyMindFlavor = "mindflavor"
	FamilyOriel      = "oriel"
)

// Config is the section `wireguard` of the configuration file.
type Config struct {
	// Interfaces to watch, by name or pattern (wg*); all if empty. One that is
	// named and not there is reported by wireguard_scrape_success 0.
	Interfaces []string `yaml:"interfaces"`
	// SocketDir is where userspace daemons have their sockets.
	SocketDir string `yaml:"socket_dir"`
	// Timeout of reading one device.
	Timeout conf.Duration `yaml:"timeout"`
	// Cache is how long a reading serves all who ask.
	Cache conf.Duration `yaml:"cache"`
	// Poll is how often the devices are read for the history and the probes,
	// if nobody scrapes more often.
	Poll conf.Duration `yaml:"poll"`
	// PeerTimeout is the age of the last handshake up to which a peer counts as up.
	PeerTimeout conf.Duration `yaml:"peer_timeout"`
	// MaxPeers of one device; a device with more is not read.
	MaxPeers int `yaml:"max_peers"`
	// Peers says which peers are shown; of several, the first that is about a device counts.
	Peers []PeerFilter `yaml:"peers"`
	// Names of peers by public key. They win over those in NameFiles.
	Names map[string]string `yaml:"names"`
	// NameFiles are WireGuard configuration files whose comments name the peers.
	NameFiles []string `yaml:"name_files"`
	// Addresses of interfaces that this process cannot see, for the IPv4 pool.
	Addresses map[string][]string `yaml:"addresses"`
	// Namespaces are further network namespaces to look into.
	Namespaces []Namespace `yaml:"namespaces"`
	// Families of metrics to expose: mdlayher, mindflavor, oriel.
	Families []string `yaml:"families"`
	// EndpointLabel puts the peer's address and port on wireguard_peer_info, as mdlayher's exporter does.
	EndpointLabel bool `yaml:"endpoint_label"`
	// SeparateAllowedIPs replaces allowed_ips by allowed_ip_0, allowed_subnet_0 ... (MindFlavor's -s).
	SeparateAllowedIPs bool `yaml:"separate_allowed_ips"`
	// RemoteIPAndPort puts remote_ip and remote_port on MindFlavor's metrics (its -r).
	RemoteIPAndPort bool `yaml:"remote_ip_and_port"`
	// Probe says which peers are asked for an echo through the tunnel.
	Probe Probe `yaml:"probe"`
	// Inside knows the interfaces of devices in this process; a file cannot name it.
	Inside Inside `yaml:"-"`
}

// Default is what a section without keys means.
func Default() Config {
	return Config{
		SocketDir:     "/var/run/wireguard",
		Timeout:       conf.Duration(3 * time.Second),
		Cache:         conf.Duration(time.Second),
		Poll:          conf.Duration(15 * time.Second),
		PeerTimeout:   conf.Duration(5 * time.Minute),
		MaxPeers:      maxPeersLimit,
		Families:      []string{FamilyMdlayher, FamilyMindFlavor, FamilyOriel},
		EndpointLabel: true,
		Probe:         defaultProbe(),
	}
}

// UnmarshalYAML starts from the defaults.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Config
	*c = Default()
	return unmarshal((*plain)(c))
}

// Validate names the first key that makes no sense.
func (c *Config) Validate() error {
	for i, pattern := range c.Interfaces {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return conf.Field(index("interfaces", i), "%q is not a name or pattern", pattern)
		}
	}
	switch {
	case c.SocketDir == "":
		return conf.Field("socket_dir", "empty")
	case c.Timeout.Std() <= 0:
		return conf.Field("timeout", "must be more than 0")
	case c.PeerTimeout.Std() <= 0:
		return conf.Field("peer_timeout", "must be more than 0")
	case c.Poll.Std() < time.Second:
		return conf.Field("poll", "%s is less than 1s", c.Poll)
	case c.MaxPeers < 1 || c.MaxPeers > maxPeersLimit:
		return conf.Field("max_peers", "%d is not between 1 and %d", c.MaxPeers, maxPeersLimit)
	}
	if len(c.Peers) > maxFilters {
		return conf.Field("peers", "more than %d", maxFilters)
	}
	for i := range c.Peers {
		if err := c.Peers[i].validate(index("peers", i)); err != nil {
			return err
		}
	}
	for key, name := range c.Names {
		if _, err := ParseKey(key); err != nil {
			return conf.Field("names", "%w", err)
		}
		if name == "" {
			return conf.Field("names", "empty name of %s", key)
		}
	}
	for device, addresses := range c.Addresses {
		for _, a := range addresses {
			if _, err := netip.ParsePrefix(a); err != nil {
				return conf.Field("addresses."+device, "%q is not an address with a mask, like 10.9.0.1/24", a)
			}
		}
	}
	for i, f := range c.Families {
		if !slices.Contains([]string{FamilyMdlayher, FamilyMindFlavor, FamilyOriel}, f) {
			return conf.Field(index("families", i), "%q: want %s, %s or %s", f, FamilyMdlayher, FamilyMindFlavor, FamilyOriel)
		}
	}
	if len(c.Namespaces) > maxSpaces {
		return conf.Field("namespaces", "more than %d", maxSpaces)
	}
	labels := map[string]bool{}
	for i := range c.Namespaces {
		if err := c.Namespaces[i].validate(index("namespaces", i)); err != nil {
			return err
		}
		if label := c.Namespaces[i].label(); labels[label] {
			return conf.Field(index("namespaces", i), "there are two labelled %q", label)
		}
		labels[c.Namespaces[i].label()] = true
	}
	return c.Probe.validate()
}

// Collector yields the metrics of all devices. Many may ask at once: they share one reading.
type Collector struct {
	// Record takes what happened to peers, in order, for the history. It is set
	// before Run, or left nil if there is no history. After an error it gets the
	// same events again.
	Record func([]PeerEvent) error

	cfg     Config
	log     *slog.Logger
	reader  *reader
	tracker *tracker
	probes  *probes
	history history

	recordFailing bool      // of the goroutine that records
	forbidden     sync.Once // that echoes are not allowed is said once

	mu      sync.Mutex // guards what follows
	latest  *snapshot
	pending chan struct{} // closed when the reading under way is there; nil if there is none
}

// New returns a collector that has read nothing yet. cfg must be valid.
func New(cfg Config, log *slog.Logger) (*Collector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	const sysfs = "/sys"
	c := &Collector{
		cfg: cfg,
		log: log,
		reader: &reader{
			patterns: cfg.Interfaces, socketDir: cfg.SocketDir, timeout: cfg.Timeout.Std(), maxPeers: cfg.MaxPeers,
			kernel: newKernel(sysfs), busy: map[string]struct{}{},
		},
		tracker: newTracker(cfg, interfaces{sysfs: sysfs, inside: cfg.Inside}.of, log),
		probes:  newProbes(cfg.Probe),
	}
	for _, n := range cfg.Namespaces {
		c.reader.spaces = append(c.reader.spaces, newSpace(n))
	}
	c.tracker.history = &c.history
	return c, nil
}

// Collect sends a family per metric. It fails if a device could not be read;
// the others' series are sent all the same.
func (c *Collector) Collect(ctx context.Context, ch chan<- prometheus.Metric) error {
	s, err := c.read(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, f := range s.families(c.cfg, now) {
		ch <- f
	}
	if slices.Contains(c.cfg.Families, FamilyOriel) {
		for _, f := range c.ownFamilies(s, now) {
			ch <- f
		}
	}
	return s.err()
}

// read returns a snapshot that is at most Cache old.
func (c *Collector) read(ctx context.Context) (*snapshot, error) {
	return c.readWithin(ctx, c.cfg.Cache.Std())
}

// readWithin returns a snapshot that is at most so old. Whoever comes while one
// is being read waits for that one.
func (c *Collector) readWithin(ctx context.Context, limit time.Duration) (*snapshot, error) {
	c.mu.Lock()
	if c.pending == nil && c.latest != nil {
		// A clock that steps back makes the snapshot younger than now: read again then.
		if age := time.Since(c.latest.at); age >= 0 && age < limit {
			defer c.mu.Unlock()
			return c.latest, nil
		}
	}
	if c.pending == nil {
		c.pending = make(chan struct{})
		// The reading serves others too: it must not end with this caller.
		go c.readNow(context.WithoutCancel(ctx), c.pending)
	}
	pending := c.pending
	c.mu.Unlock()
	select {
	case <-pending:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.latest, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Collector) readNow(ctx context.Context, done chan struct{}) {
	start := time.Now()
	readings := c.reader.readAll(ctx)
	s := c.tracker.update(readings, start)
	s.spaces, s.took = c.reader.views, time.Since(start)
	c.probes.observe(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.latest, c.pending = s, nil
	close(done)
}

// index is the path of an element of a list.
func index(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }
