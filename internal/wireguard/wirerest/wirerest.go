// Package wirerest stands beside WireRest, a REST API for one WireGuard
// interface: it relays WireRest's metrics so that its admin token stays here,
// computes the same figures from the interface itself, keeps each client's
// traffic over removals, and probes the API.
package wirerest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Device is what is needed of a WireGuard interface.
type Device struct {
	Name  string
	Peers []Peer
	// PoolTotal and PoolUsed count IPv4 addresses; both are 0 if the interface's own networks are not known.
	PoolTotal, PoolUsed uint64
}

// Peer is one client.
type Peer struct {
	PublicKey     [32]byte
	ReceiveBytes  uint64 // from the client
	TransmitBytes uint64 // to the client
}

// Collector yields WireRest's metrics and ours about it.
type Collector struct {
	cfg     Config
	log     *slog.Logger
	devices func(context.Context) ([]Device, error) // nil: interfaces cannot be read here
	client  *http.Client                            // nil without a URL
	relay   *relay
	probes  *probes
	tracker *tracker

	mu sync.Mutex // guards apiSuccess
	// apiSuccess is when the API last gave the clients.
	apiSuccess time.Time
}

// New returns a collector that has asked nobody yet. cfg must be valid; devices may be nil.
func New(cfg Config, devices func(context.Context) ([]Device, error), log *slog.Logger) (*Collector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Collector{cfg: cfg, log: log, devices: devices, tracker: newTracker(cfg)}
	if !cfg.Native {
		c.devices = nil
	}
	if cfg.URL == "" {
		if c.devices == nil {
			return nil, errors.New("nothing to do: no url, and no WireGuard interface is read")
		}
		return c, nil
	}
	tlsConfig, err := cfg.TLS.Client()
	if err != nil {
		return nil, err
	}
	c.client = &http.Client{
		Timeout:       cfg.Timeout.Std(),
		Transport:     &http.Transport{TLSClientConfig: tlsConfig, MaxIdleConnsPerHost: 2, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.relay = newRelay(cfg, c.client)
	c.probes = newProbes(cfg, c.client)
	return c, nil
}

// Run probes the API until ctx is done.
func (c *Collector) Run(ctx context.Context) error {
	if c.client == nil {
		<-ctx.Done()
		return nil
	}
	defer c.client.CloseIdleConnections()
	ticker := time.NewTicker(c.cfg.Interval.Std())
	defer ticker.Stop()
	failing := false
	for {
		c.probes.run(ctx)
		if c.cfg.Clients == ClientsAPI {
			err := c.readAPI(ctx)
			switch {
			case err != nil && !failing && ctx.Err() == nil:
				c.log.Warn("read clients", "err", err)
			case err == nil && failing:
				c.log.Info("clients can be read again")
			}
			failing = err != nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// readAPI takes the clients from WireRest.
func (c *Collector) readAPI(ctx context.Context) error {
	peers, err := fetchPeers(ctx, c.cfg, c.client)
	if err != nil {
		return err
	}
	now := time.Now()
	c.tracker.update([]Device{{Name: c.cfg.Interfaces[0], Peers: peers}}, now)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.apiSuccess = now
	return nil
}

// Collect relays WireRest's metrics and adds ours. An interface that can be
// read here has its figures from here, always: changing to WireRest's and back
// would look like traffic.
func (c *Collector) Collect(ctx context.Context, ch chan<- prometheus.Metric) error {
	var errs []error
	native := map[string]bool{} // applications that have figures from here
	if c.devices != nil {
		devices, err := c.devices(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("read interfaces: %w", err))
		}
		devices = slices.DeleteFunc(slices.Clone(devices), func(d Device) bool {
			return len(c.cfg.Interfaces) > 0 && !slices.Contains(c.cfg.Interfaces, d.Name)
		})
		if c.cfg.Clients == ClientsInterface {
			c.tracker.update(devices, time.Now())
		}
		c.collectNative(devices, native, ch)
	}
	if c.relay != nil {
		if err := c.relay.collect(ctx, native, ch); err != nil {
			errs = append(errs, fmt.Errorf("relay: %w", err))
		}
		c.probes.collect(ch)
	}
	if c.cfg.Clients != ClientsOff {
		c.tracker.collect(ch)
	}
	if c.cfg.Clients == ClientsAPI {
		c.mu.Lock()
		at := c.apiSuccess
		c.mu.Unlock()
		seconds := 0.0
		if !at.IsZero() {
			seconds = float64(at.UnixNano()) / 1e9
		}
		ch <- prometheus.MustNewConstMetric(apiSuccessDesc, prometheus.GaugeValue, seconds)
	}
	return errors.Join(errs...)
}

var apiSuccessDesc = prometheus.NewDesc("wirerest_clients_last_success_timestamp_seconds",
	"When the clients were last read from WireRest's API; 0 if not since the start.", nil, nil)
