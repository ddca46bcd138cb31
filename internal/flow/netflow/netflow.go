// Package netflow receives NetFlow v5 and v9, IPFIX and sFlow by UDP and makes
// rows of them.
package netflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/flow"
)

const (
	maxPacket    = 65_535
	maxListeners = 16
	// receiveBuffer is asked of the kernel, for bursts; it may give less.
	receiveBuffer = 4 << 20
)

// Config is the section `receive` of `flows`.
type Config struct {
	// NetFlow are the addresses for NetFlow v5, v9 and IPFIX, like :2055.
	NetFlow []string `yaml:"netflow"`
	// SFlow are the addresses for sFlow v5, like :6343.
	SFlow []string `yaml:"sflow"`
	// FlushInterval is how long rows wait in memory before they are in the lake.
	FlushInterval conf.Duration `yaml:"flush_interval"`
}

// Default is what a section without keys means.
func Default() Config { return Config{FlushInterval: conf.Duration(10 * time.Second)} }

// UnmarshalYAML starts from the defaults.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Config
	*c = Default()
	return unmarshal((*plain)(c))
}

// Validate names the first key that makes no sense.
func (c *Config) Validate() error {
	if len(c.NetFlow)+len(c.SFlow) > maxListeners {
		return conf.Field("netflow", "more than %d addresses", maxListeners)
	}
	for name, list := range map[string][]string{"netflow": c.NetFlow, "sflow": c.SFlow} {
		for i, address := range list {
			if _, _, err := net.SplitHostPort(address); err != nil {
				return conf.Field(fmt.Sprintf("%s[%d]", name, i), "%q is not an address with a port", address)
			}
		}
	}
	if c.FlushInterval.Std() < 100*time.Millisecond {
		return conf.Field("flush_interval", "%s is less than 100ms", c.FlushInterval)
	}
	return nil
}

// Sink takes rows; it must not keep the slice. It is called by one goroutine at a time.
type Sink interface {
	Write(ctx context.Context, rows []flow.Record) error
	Flush(ctx context.Context) error
}

// Receiver takes packets in.
type Receiver struct {
	cfg  Config
	sink Sink
	log  *slog.Logger

	conns []listener

	writing sync.Mutex // guards sink
	mu      sync.Mutex // guards what follows
	decoder *Decoder
	stats   map[string]*stats // by protocol
	lost    int64             // rows that the lake did not take
}

type listener struct {
	conn  net.PacketConn
	sflow bool
}

// stats of one protocol.
type stats struct{ packets, bytes, records, errors, noTemplate int64 }

// New returns a receiver that has not opened anything. cfg must be valid.
func New(cfg Config, sink Sink, log *slog.Logger) (*Receiver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Receiver{cfg: cfg, sink: sink, log: log, decoder: NewDecoder(), stats: map[string]*stats{}}, nil
}

// Open binds the addresses.
func (r *Receiver) Open(ctx context.Context) error {
	for _, l := range []struct {
		addresses []string
		sflow     bool
	}{{r.cfg.NetFlow, false}, {r.cfg.SFlow, true}} {
		for _, address := range l.addresses {
			conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", address)
			if err != nil {
				return errors.Join(fmt.Errorf("receive flows: %w", err), r.close())
			}
			if udp, ok := conn.(*net.UDPConn); ok {
				_ = udp.SetReadBuffer(receiveBuffer) // less does too
			}
			r.conns = append(r.conns, listener{conn, l.sflow})
		}
	}
	return nil
}

// Addrs returns the addresses bound, those of NetFlow first.
func (r *Receiver) Addrs() []string {
	var list []string
	for _, l := range r.conns {
		list = append(list, l.conn.LocalAddr().String())
	}
	return list
}

func (r *Receiver) close() error {
	var errs []error
	for _, l := range r.conns {
		errs = append(errs, l.conn.Close())
	}
	r.conns = nil
	return errors.Join(errs...)
}

// Run receives until ctx is done, and hands over what it has by then.
func (r *Receiver) Run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	conns := r.conns
	for _, l := range conns {
		g.Go(func() error { return r.receive(gctx, l) })
	}
	g.Go(func() error {
		<-gctx.Done()
		for _, l := range conns {
			_ = l.conn.Close() // ends receive
		}
		return nil
	})
	g.Go(func() error {
		tick := time.NewTicker(r.cfg.FlushInterval.Std())
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.flush(gctx)
			case <-gctx.Done():
				return nil
			}
		}
	})
	err := g.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	r.flush(last)
	return err
}

func (r *Receiver) flush(ctx context.Context) {
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := r.sink.Flush(ctx); err != nil && ctx.Err() == nil {
		r.log.Warn("received flows wait for the lake", "err", err)
	}
}

func (r *Receiver) receive(ctx context.Context, l listener) error {
	buf := make([]byte, maxPacket)
	var rows []flow.Record
	for {
		n, from, err := l.conn.ReadFrom(buf)
		if err != nil {
			if ctx.Err() == nil {
				return fmt.Errorf("receive flows: %w", err)
			}
			return nil
		}
		rows = r.packet(buf[:n], from, l.sflow, rows[:0])
		if len(rows) == 0 {
			continue
		}
		r.writing.Lock()
		err = r.sink.Write(ctx, rows)
		r.writing.Unlock()
		if err != nil && ctx.Err() == nil {
			r.mu.Lock()
			if r.lost == 0 {
				r.log.Warn("received flows are lost or late", "err", err)
			}
			r.lost += int64(len(rows))
			r.mu.Unlock()
		}
		clear(rows)
	}
}

// packet decodes and counts one packet.
func (r *Receiver) packet(b []byte, from net.Addr, sflow bool, rows []flow.Record) []flow.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	var exporter netip.Addr
	if udp, ok := from.(*net.UDPAddr); ok {
		exporter = udp.AddrPort().Addr().Unmap().WithZone("")
	}
	name, rows, err := r.decoder.Decode(b, exporter, sflow, time.Now(), rows)
	s := r.stats[name]
	if s == nil {
		s = &stats{}
		r.stats[name] = s
	}
	s.packets++
	s.bytes += int64(len(b))
	s.records += int64(len(rows))
	switch {
	case errors.Is(err, ErrNoTemplate):
		s.noTemplate++
	case err != nil:
		s.errors++
		r.log.Debug("bad packet", "protocol", name, "from", exporter.String(), "err", err)
	}
	return rows
}

var (
	protocolLabel = []string{"protocol"}
	packetsDesc   = prometheus.NewDesc("oriel_netflow_received_packets_total", "Packets received from exporters.", protocolLabel, nil)
	bytesDesc     = prometheus.NewDesc("oriel_netflow_received_bytes_total", "Bytes received from exporters.", protocolLabel, nil)
	recordsDesc   = prometheus.NewDesc("oriel_netflow_records_total", "Rows made of what was received.", protocolLabel, nil)
	errorsDesc    = prometheus.NewDesc("oriel_netflow_errors_total", "Packets that could not be decoded, or not wholly.", protocolLabel, nil)
	templateDesc  = prometheus.NewDesc("oriel_netflow_missing_template_packets_total", "Packets with data whose template has not come yet.", protocolLabel, nil)
	exportersDesc = prometheus.NewDesc("oriel_netflow_exporters", "Exporters whose templates are remembered.", nil, nil)
	lostDesc      = prometheus.NewDesc("oriel_netflow_lost_rows_total", "Rows that the lake did not take at once.", nil, nil)
)

// Collect sends what has been counted.
func (r *Receiver) Collect(_ context.Context, ch chan<- prometheus.Metric) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, s := range r.stats {
		for desc, n := range map[*prometheus.Desc]int64{packetsDesc: s.packets, bytesDesc: s.bytes, recordsDesc: s.records, errorsDesc: s.errors, templateDesc: s.noTemplate} {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), name)
		}
	}
	ch <- prometheus.MustNewConstMetric(exportersDesc, prometheus.GaugeValue, float64(len(r.decoder.exporters)))
	ch <- prometheus.MustNewConstMetric(lostDesc, prometheus.CounterValue, float64(r.lost))
	return nil
}
