// Package packet reads captured and live packets and makes of them bounded
// metrics and records of connections.
//
// A packet is decoded in place and costs no allocation: reader.go and
// live_linux.go yield frames, decode.go takes their headers apart, and conn.go
// keeps the connections.
package packet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/packet/detect"
	"github.com/orielhq/oriel/internal/packet/filter"
)

// Config is the section `packets` of the configuration file.
type Config struct {
	// Interfaces to capture from.
	Interfaces []string `yaml:"interfaces"`
	// Files are captures, or directories of captures, to read at the start; "-" is standard input.
	Files []string `yaml:"files"`
	// Promiscuous takes packets that are not for this machine too.
	Promiscuous bool `yaml:"promiscuous"`
	// SnapLength is how many bytes of a live packet are kept.
	SnapLength int `yaml:"snap_length"`
	// Workers read each interface side by side, sharing its packets by flow (fanout).
	Workers int `yaml:"workers"`
	// RingSize is the memory the kernel may fill per interface and worker.
	RingSize conf.ByteSize `yaml:"ring_size"`
	// MemoryBudget bounds the connections and fragments held, over all workers.
	MemoryBudget conf.ByteSize `yaml:"memory_budget"`
	// IdleTimeout ends a connection without packets; half of it one that is not TCP.
	IdleTimeout conf.Duration `yaml:"idle_timeout"`
	// ActiveTimeout is how often a connection that goes on is reported.
	ActiveTimeout conf.Duration `yaml:"active_timeout"`
	// Netcap adds netcap's own metrics (nc_...), with its labels as far as they are bounded.
	Netcap bool `yaml:"netcap"`
	// NetcapSeries adds netcap's counters of records (nc_tcp, nc_dns, ...) with all their labels,
	// addresses among them, as so many series each; the rest is folded into one. 0: none.
	NetcapSeries int `yaml:"netcap_series"`
	// NetcapEntropy measures the entropy of what Ethernet, IP, TCP and UDP carry.
	NetcapEntropy bool `yaml:"netcap_entropy"`
	// Filter is tcpdump's expression of the packets to look at.
	Filter string `yaml:"filter"`
	// Replay gives the packets of files their original distance in time; ReplaySpeed
	// is how many times faster.
	Replay      bool    `yaml:"replay"`
	ReplaySpeed float64 `yaml:"replay_speed"`
	// Loop reads the files again and again, with the times of now; for demonstrations.
	Loop bool `yaml:"loop"`
	// Records says which records are written, and how.
	Records Records `yaml:"records"`
	// Detections tell what is made an alert.
	Detections detect.Config `yaml:"detections"`
	// TopTalkers makes labels of the addresses with the most traffic, as many; 0: none.
	TopTalkers int `yaml:"top_talkers"`
}

// Default is what a section without keys means.
func Default() Config {
	return Config{
		Promiscuous: true, SnapLength: 65535, Workers: 1, RingSize: 16 << 20, MemoryBudget: 96 << 20,
		IdleTimeout: conf.Duration(5 * time.Minute), ActiveTimeout: conf.Duration(time.Minute), Netcap: true,
		ReplaySpeed: 1, Records: DefaultRecords(),
		Detections: detect.Default(),
	}
}

// UnmarshalYAML starts from the defaults.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Config
	*c = Default()
	return unmarshal((*plain)(c))
}

const minBudget = 4 << 20

// Validate names the first key that makes no sense.
func (c *Config) Validate() error {
	seen := map[string]bool{}
	for i, name := range c.Interfaces {
		if name == "" || len(name) > 15 || seen[name] {
			return conf.Field(fmt.Sprintf("interfaces[%d]", i), "%q is empty, too long or there twice", name)
		}
		seen[name] = true
	}
	for i, name := range c.Files {
		if name == "" {
			return conf.Field(fmt.Sprintf("files[%d]", i), "empty")
		}
	}
	switch {
	case c.SnapLength < 64 || c.SnapLength > maxFrame:
		return conf.Field("snap_length", "%d is not between 64 and %d", c.SnapLength, maxFrame)
	case c.Workers < 1 || c.Workers > 64:
		return conf.Field("workers", "%d is not between 1 and 64", c.Workers)
	case c.RingSize < 1<<20 || c.RingSize > 1<<30:
		return conf.Field("ring_size", "%s is not between 1MiB and 1GiB", c.RingSize)
	case c.MemoryBudget < minBudget:
		return conf.Field("memory_budget", "%s is less than 4MiB", c.MemoryBudget)
	case c.IdleTimeout.Std() < time.Second:
		return conf.Field("idle_timeout", "%s is less than 1s", c.IdleTimeout)
	case c.ActiveTimeout.Std() < time.Second:
		return conf.Field("active_timeout", "%s is less than 1s", c.ActiveTimeout)
	case c.NetcapSeries < 0 || c.NetcapSeries > 100_000:
		return conf.Field("netcap_series", "%d is not between 0 and 100000", c.NetcapSeries)
	case !(c.ReplaySpeed > 0 && c.ReplaySpeed <= 1e6):
		return conf.Field("replay_speed", "%g is not between 0 and 1000000", c.ReplaySpeed)
	case c.Loop && !c.Replay:
		return conf.Field("loop", "wants replay")
	}
	if _, err := filter.Compile(c.Filter, filter.Options{Link: linkEthernet}); err != nil {
		return conf.Field("filter", "%w", err)
	}
	if err := c.Records.Validate(); err != nil {
		return err
	}
	if c.TopTalkers < 0 || c.TopTalkers > maxTalkers {
		return conf.Field("top_talkers", "%d is not between 0 and %d", c.TopTalkers, maxTalkers)
	}
	err := c.Detections.Validate()
	if field := (*conf.FieldError)(nil); errors.As(err, &field) {
		return &conf.FieldError{Path: "detections." + field.Path, Err: field.Err}
	}
	return err
}

// A RecordFunc takes one record, which is the callee's. Several workers may
// call it at once; an error is counted and the record lost.
type RecordFunc func(r Record) error

// Monitor reads packets. Make one with New; its methods may be called concurrently.
type Monitor struct {
	cfg      Config
	log      *slog.Logger
	record   RecordFunc
	stdin    io.Reader
	start    time.Time
	detect   *detect.Detector
	talkers  *talkers
	services []string // names by the number in a connection

	alertsLost atomic.Uint64 // records of alerts that could not be written

	recorder  *Recorder    // nil if the records are somebody else's business
	fileBytes atomic.Int64 // read of the files
	fileTotal atomic.Int64
	dump      io.Writer // nil: audit records are not printed
	dumpLine  []byte

	mu      sync.Mutex // guards workers and devices
	workers []*worker
	devices []*device
}

// New returns a monitor that has opened nothing yet. record may be nil.
func New(cfg Config, record RecordFunc, log *slog.Logger) (*Monitor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := &Monitor{cfg: cfg, log: log, record: record, stdin: os.Stdin, start: time.Now(), talkers: newTalkers(cfg.TopTalkers)}
	m.detect = detect.New(cfg.Detections, m.alert)
	m.services = []string{""}
	for _, p := range protocolTable() {
		m.services = append(m.services, p.name)
	}
	return m, nil
}

// Open takes hold of the interfaces.
func (m *Monitor) Open(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range m.cfg.Interfaces {
		for i := range m.cfg.Workers {
			dev, err := openDevice(m.cfg, name, i)
			if err != nil {
				for _, d := range m.devices {
					d.close()
				}
				m.devices = nil
				return err
			}
			m.devices = append(m.devices, dev)
		}
	}
	return ctx.Err()
}

// Run reads the files, then what the interfaces yield until ctx is done.
// A file that cannot be read is logged and counted.
func (m *Monitor) Run(ctx context.Context) error {
	if m.recorder == nil {
		return m.capture(ctx)
	}
	done, written := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(written)
		m.recorder.run(ctx, done)
	}()
	err := m.capture(ctx)
	close(done)
	<-written
	return err
}

func (m *Monitor) capture(ctx context.Context) error {
	m.mu.Lock()
	devices := m.devices
	m.devices = nil
	m.mu.Unlock()
	budget := int64(m.cfg.MemoryBudget) / int64(len(devices)+1)
	group, ctx := errgroup.WithContext(ctx)
	for _, d := range devices {
		w := m.newWorker(d.name, budget)
		w.device = d
		group.Go(func() error {
			defer w.finish()
			w.live(ctx, d, func() (*device, error) { return openDevice(m.cfg, d.name, d.worker) })
			return nil
		})
	}
	group.Go(func() error {
		w := m.newWorker("file", budget)
		defer w.finish()
		return m.readFiles(ctx, w)
	})
	err := group.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (m *Monitor) newWorker(iface string, budget int64) *worker {
	w := newWorker(m.cfg, iface, budget, m.record, m.log)
	w.detect, w.talkers = m.detect, m.talkers
	m.mu.Lock()
	defer m.mu.Unlock()
	m.workers = append(m.workers, w)
	return w
}
