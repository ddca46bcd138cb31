package app

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/influx"
	"github.com/orielhq/oriel/internal/wireguard"
)

// wireguardProtocol is WireGuard's only version. The kernel and the userspace
// daemons answer with this constant, so readers have nothing to read.
const wireguardProtocol = 1

func buildInflux(cfg influx.Config, b *builder) (any, error) {
	if cfg.BufferDir == influx.Default().BufferDir {
		cfg.BufferDir = filepath.Join(b.dataDir, "influx")
	}
	devices, _ := part[*wireguard.Collector](b)
	return influx.New(cfg, influx.Sources{Devices: influxDevices(devices)}, b.log)
}

// influxDevices makes the readings of the section wireguard those that are pushed.
func influxDevices(c *wireguard.Collector) func(context.Context) ([]influx.Device, error) {
	if c == nil {
		return nil
	}
	return func(ctx context.Context) ([]influx.Device, error) {
		views, err := c.Views(ctx)
		devices := make([]influx.Device, len(views))
		for i, v := range views {
			devices[i] = influxDevice(v.Device)
		}
		return devices, err
	}
}

func influxDevice(d *wireguard.Device) influx.Device {
	out := influx.Device{Name: d.Name, Type: "userspace", ListenPort: d.ListenPort, FirewallMark: d.FirewallMark, Peers: make([]influx.Peer, len(d.Peers))}
	if d.Kernel {
		out.Type = "linux_kernel"
	}
	for _, n := range d.Hidden {
		out.Hidden += n
	}
	for i := range d.Peers {
		p := &d.Peers[i]
		out.Peers[i] = influx.Peer{
			PublicKey: p.PublicKey, Endpoint: p.Endpoint, AllowedIPs: p.AllowedIPs, LastHandshake: p.LastHandshake,
			ReceiveBytes: p.ReceiveBytes, TransmitBytes: p.TransmitBytes, Keepalive: p.Keepalive, ProtocolVersion: wireguardProtocol,
		}
	}
	return out
}

// feed tells the features that pass metrics on where they are: all collectors,
// those with pages of their own too.
func (s *shown) feed(features []*feature) {
	sets := pages{s.set}
	for _, set := range s.alone {
		sets = append(sets, set)
	}
	for _, f := range features {
		if user, ok := f.part.(interface{ UseMetrics(g prometheus.Gatherer) }); ok {
			user.UseMetrics(sets)
		}
	}
}

// pages gathers several sets, which may have metrics of the same name.
type pages []*collector.Set

// Gather returns the families of all sets.
func (p pages) Gather() ([]*dto.MetricFamily, error) {
	var all []*dto.MetricFamily
	var errs []error
	for _, set := range p {
		families, err := set.Gather()
		all, errs = append(all, families...), append(errs, err)
	}
	return slices.Clip(all), errors.Join(errs...)
}
