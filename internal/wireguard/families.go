package wireguard

import (
	"iter"
	"slices"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/orielhq/oriel/internal/collector"
)

const (
	gauge   = dto.MetricType_GAUGE
	counter = dto.MetricType_COUNTER
)

// series is what a family yields.
type series = iter.Seq2[collector.Labels, float64]

// families returns the metrics of the snapshot. Names, types and help texts of
// the first two groups are the peers' own, to the letter.
func (s *snapshot) families(cfg Config, now time.Time) []prometheus.Metric {
	var list []prometheus.Metric
	add := func(name string, t dto.MetricType, help string, values series) {
		list = append(list, &collector.Family{Name: name, Help: help, Type: t, Series: values})
	}
	if slices.Contains(cfg.Families, FamilyMdlayher) {
		s.mdlayher(cfg, add)
	}
	if slices.Contains(cfg.Families, FamilyMindFlavor) {
		s.mindflavor(now, add)
	}
	if slices.Contains(cfg.Families, FamilyOriel) {
		s.perPeer(cfg, now, add)
		s.perDevice(add)
		s.perInterface(add)
	}
	s.reading(add)
	return list
}

type addFunc func(name string, t dto.MetricType, help string, values series)

// mdlayher is the page of mdlayher/wireguard_exporter.
func (s *snapshot) mdlayher(cfg Config, add addFunc) {
	add("wireguard_device_info", gauge, "Metadata about a device.", s.each(func(d *deviceView, yield func(collector.Labels, float64) bool) bool {
		return yield(collector.FormatLabels("device", d.name, "public_key", d.device.PublicKey.String()), 1)
	}))
	add("wireguard_peer_info", gauge, "Metadata about a peer. The public_key label on peer metrics refers to the peer's public key; not the device's public key.",
		s.perPeerText(func(b []byte, p *peerView, yield func([]byte, float64) bool) ([]byte, bool) {
			b = p.state.appendMdlayher(b)
			b = append(b, `,endpoint="`...)
			if cfg.EndpointLabel && p.Endpoint.IsValid() {
				b = p.Endpoint.AppendTo(b)
			}
			b = append(b, `",`...)
			b = collector.AppendLabels(b, "name", p.state.name.friendly)
			return b, yield(b, 1)
		}))
	add("wireguard_peer_allowed_ips_info", gauge, "Metadata about each of a peer's allowed IP subnets for a given device.",
		s.perPeerText(func(b []byte, p *peerView, yield func([]byte, float64) bool) ([]byte, bool) {
			for _, ip := range p.AllowedIPs {
				b = p.state.appendMdlayher(b[:0])
				b = append(b, `,allowed_ips="`...)
				b = ip.AppendTo(b)
				if ip.Addr().Is4() {
					b = append(b, `",family="IPv4"`...)
				} else {
					b = append(b, `",family="IPv6"`...)
				}
				if !yield(b, 1) {
					return b, false
				}
			}
			return b, true
		}))
	add("wireguard_peer_receive_bytes_total", counter, "Number of bytes received from a given peer.",
		s.perMdlayher(func(p *peerView) float64 { return float64(p.ReceiveBytes) }))
	add("wireguard_peer_transmit_bytes_total", counter, "Number of bytes transmitted to a given peer.",
		s.perMdlayher(func(p *peerView) float64 { return float64(p.TransmitBytes) }))
	add("wireguard_peer_last_handshake_seconds", gauge, "UNIX timestamp for the last handshake with a given peer.",
		s.perMdlayher((*peerView).handshakeSecond))
}

// mindflavor is the page of MindFlavor/prometheus_wireguard_exporter.
func (s *snapshot) mindflavor(now time.Time, add addFunc) {
	add("wireguard_sent_bytes_total", counter, "Bytes sent to the peer",
		s.perState(func(p *peerView) (collector.Labels, float64, bool) {
			return p.state.mindflavor(), float64(p.TransmitBytes), true
		}))
	add("wireguard_received_bytes_total", counter, "Bytes received from the peer",
		s.perState(func(p *peerView) (collector.Labels, float64, bool) {
			return p.state.mindflavor(), float64(p.ReceiveBytes), true
		}))
	add("wireguard_latest_handshake_seconds", gauge, "UNIX timestamp seconds of the last handshake",
		s.perState(func(p *peerView) (collector.Labels, float64, bool) {
			return p.state.mindflavor(), p.handshakeSecond(), true
		}))
	// Where there was no handshake MindFlavor gives the seconds since 1970; we give nothing.
	add("wireguard_latest_handshake_delay_seconds", gauge, "Seconds from the last handshake",
		s.perState(func(p *peerView) (collector.Labels, float64, bool) {
			return p.state.mindflavor(), float64(int64(p.age(now).Seconds())), !p.LastHandshake.IsZero()
		}))
}

// perPeer is ours: it joins with both of the others.
func (s *snapshot) perPeer(cfg Config, now time.Time, add addFunc) {
	add("wireguard_peer_handshake_age_seconds", gauge, "Seconds since the last handshake with the peer. Absent if there has been none.",
		s.perState(func(p *peerView) (collector.Labels, float64, bool) {
			return p.state.oriel(), p.age(now).Seconds(), !p.LastHandshake.IsZero()
		}))
	add("wireguard_peer_up", gauge, "Whether the peer is considered connected (1) or not (0).",
		s.perState(func(p *peerView) (collector.Labels, float64, bool) {
			return p.state.oriel(), truth(p.up(cfg, now)), true
		}))
	add("wireguard_peer_persistent_keepalive_interval_seconds", gauge, "Persistent keepalive interval; 0 if off.",
		s.perState(func(p *peerView) (collector.Labels, float64, bool) {
			return p.state.oriel(), p.Keepalive.Seconds(), true
		}))
	add("wireguard_peer_endpoint_changes_total", counter, "Times the peer's endpoint has changed since the exporter started.",
		s.perState(func(p *peerView) (collector.Labels, float64, bool) { return p.state.oriel(), float64(p.moved), true }))
	add("wireguard_peer_state_changes_total", counter, "Times the peer has gone up or down since the exporter started.",
		s.perState(func(p *peerView) (collector.Labels, float64, bool) { return p.state.oriel(), float64(p.flaps), true }))
	add("wireguard_peer_rotation_info", gauge, "A peer whose key took over all addresses of another key since the exporter started: a replaced key, not an unknown peer.",
		s.perState(func(p *peerView) (collector.Labels, float64, bool) {
			if p.links.old() == (Key{}) {
				return "", 0, false
			}
			return p.state.oriel() + "," + collector.FormatLabels("previous_public_key", p.links.old().String()), 1, true
		}))
	add("wireguard_peer_without_allowed_ips", gauge, "A peer that has no allowed IPs, so that nothing can reach it; taken_by is the peer that has its former ones, if that was seen.",
		s.perState(func(p *peerView) (collector.Labels, float64, bool) {
			if len(p.AllowedIPs) > 0 {
				return "", 0, false
			}
			by := ""
			if p.links.heir() != (Key{}) {
				by = p.links.heir().String()
			}
			return p.state.oriel() + "," + collector.FormatLabels("taken_by", by), 1, true
		}))
}

func (s *snapshot) perDevice(add addFunc) {
	device := func(name string, t dto.MetricType, help string, value func(d *deviceView) float64) {
		add(name, t, help, s.each(func(d *deviceView, yield func(collector.Labels, float64) bool) bool { return yield(d.labels, value(d)) }))
	}
	device("wireguard_device_peers", gauge, "Number of peers configured on the device.", func(d *deviceView) float64 { return float64(d.device.all()) })
	device("wireguard_peers_created_total", counter, "Peers that have appeared on the device since the exporter started.", func(d *deviceView) float64 { return float64(d.created) })
	device("wireguard_peers_removed_total", counter, "Peers that have gone from the device since the exporter started.", func(d *deviceView) float64 { return float64(d.removed) })
	device("wireguard_device_key_changes_total", counter, "Times the device's own key has changed since the exporter started.", func(d *deviceView) float64 { return float64(d.rekeyed) })
	if s.filtered {
		add("oriel_wireguard_peers_hidden", gauge, "Peers of the device that the configuration leaves out, by reason.",
			s.each(func(d *deviceView, yield func(collector.Labels, float64) bool) bool {
				for _, reason := range []string{hiddenExcluded, hiddenLimit} {
					if n, ok := d.device.Hidden[reason]; ok && !yield(d.labels+","+collector.FormatLabels("reason", reason), float64(n)) {
						return false
					}
				}
				return true
			}))
	}
	add("wireguard_peer_events_total", counter, "What has happened to the device's peers since the exporter started, by kind.",
		s.each(func(d *deviceView, yield func(collector.Labels, float64) bool) bool {
			for i, e := range events() {
				if !yield(d.labels+","+collector.FormatLabels("event", e), float64(d.events[i])) {
					return false
				}
			}
			return true
		}))
}

// perInterface is absent for devices whose interface this process cannot see.
func (s *snapshot) perInterface(add addFunc) {
	ifc := func(name string, t dto.MetricType, help string, value func(d *deviceView) (float64, bool)) {
		add(name, t, help, s.each(func(d *deviceView, yield func(collector.Labels, float64) bool) bool {
			v, ok := value(d)
			return !ok || yield(d.labels, v)
		}))
	}
	ifc("wireguard_interface_up", gauge, "Whether the network interface is up (1) or not (0).", func(d *deviceView) (float64, bool) { return truth(d.iface.up), d.iface.known })
	ifc("wireguard_interface_receive_bytes_total", counter, "Bytes received by the network interface.", func(d *deviceView) (float64, bool) { return float64(d.iface.received), d.iface.counted })
	ifc("wireguard_interface_transmit_bytes_total", counter, "Bytes transmitted by the network interface.", func(d *deviceView) (float64, bool) { return float64(d.iface.transmitted), d.iface.counted })
	ifc("wireguard_interface_ipv4_pool_total", gauge, "IPv4 addresses in the interface's own networks.", func(d *deviceView) (float64, bool) { return float64(d.pool.total), d.pool.total > 0 })
	ifc("wireguard_interface_ipv4_pool_used", gauge, "IPv4 addresses of the interface's own networks that are reserved or given to peers.", func(d *deviceView) (float64, bool) { return float64(d.pool.used), d.pool.total > 0 })
	ifc("wireguard_interface_ipv4_pool_free", gauge, "IPv4 addresses of the interface's own networks that new peers can have.", func(d *deviceView) (float64, bool) {
		return float64(d.pool.total - d.pool.used), d.pool.total > 0
	})
}

// reading tells how the reading itself went; an empty page is never a success.
func (s *snapshot) reading(add addFunc) {
	add("wireguard_scrape_success", gauge, "Whether the device could be read (1) or not (0).", func(yield func(collector.Labels, float64) bool) {
		for _, d := range s.devices {
			if !yield(d.labels, truth(d.err == nil)) {
				return
			}
		}
	})
	add("wireguard_scrape_duration_seconds", gauge, "How long reading all devices took.", func(yield func(collector.Labels, float64) bool) {
		yield("", s.took.Seconds())
	})
	add("wireguard_scrape_errors_total", counter, "Readings of the device that failed, by reason.", func(yield func(collector.Labels, float64) bool) {
		for _, e := range s.errs {
			if !yield(collector.FormatLabels("device", e.device, "reason", e.reason), float64(e.n)) {
				return
			}
		}
	})
	add("oriel_wireguard_name_file_success", gauge, "Whether the file with names of peers could be read (1) or not (0).", func(yield func(collector.Labels, float64) bool) {
		for _, f := range s.files {
			if !yield(collector.FormatLabels("file", f.file), truth(f.ok)) {
				return
			}
		}
	})
	add("oriel_wireguard_name_file_bad_blocks", gauge, "Peer blocks in the file with names that could not be read.", func(yield func(collector.Labels, float64) bool) {
		for _, f := range s.files {
			if !yield(collector.FormatLabels("file", f.file), float64(f.bad)) {
				return
			}
		}
	})
}

// each calls value for the devices that could be read.
func (s *snapshot) each(value func(*deviceView, func(collector.Labels, float64) bool) bool) series {
	return func(yield func(collector.Labels, float64) bool) {
		for _, d := range s.devices {
			if d.err == nil && !value(d, yield) {
				return
			}
		}
	}
}

// eachPeer calls value for all their peers.
func (s *snapshot) eachPeer(value func(*deviceView, *peerView, func(collector.Labels, float64) bool) bool) series {
	return s.each(func(d *deviceView, yield func(collector.Labels, float64) bool) bool {
		for i := range d.peers {
			if !value(d, &d.peers[i], yield) {
				return false
			}
		}
		return true
	})
}

// perState yields one value a peer, where there is one.
func (s *snapshot) perState(value func(*peerView) (collector.Labels, float64, bool)) series {
	return s.eachPeer(func(_ *deviceView, p *peerView, yield func(collector.Labels, float64) bool) bool {
		labels, v, ok := value(p)
		return !ok || yield(labels, v)
	})
}

// perPeerText yields what makes does for each peer. The label texts share one
// buffer: 10,000 peers shall not leave megabytes of garbage.
func (s *snapshot) perPeerText(makes func(b []byte, p *peerView, yield func([]byte, float64) bool) ([]byte, bool)) series {
	return func(yield func(collector.Labels, float64) bool) {
		buf := make([]byte, 0, 256)
		short := func(b []byte, v float64) bool { return yield(shortLived(b), v) }
		s.eachPeer(func(_ *deviceView, p *peerView, _ func(collector.Labels, float64) bool) bool {
			var more bool
			buf, more = makes(buf[:0], p, short)
			return more
		})(yield)
	}
}

// perMdlayher yields one value a peer under mdlayher's labels.
func (s *snapshot) perMdlayher(value func(*peerView) float64) series {
	return s.perPeerText(func(b []byte, p *peerView, yield func([]byte, float64) bool) ([]byte, bool) {
		b = p.state.appendMdlayher(b)
		return b, yield(b, value(p))
	})
}

// shortLived is a text in a buffer that changes after it has been used, as
// collector.Family allows.
func shortLived(b []byte) collector.Labels {
	return collector.Labels(unsafe.String(unsafe.SliceData(b), len(b))) //nolint:gosec // copying would cost a third of the page's time
}

// handshakeSecond is the Unix time of the last handshake, 0 if there has been none.
func (p *peerView) handshakeSecond() float64 {
	if p.LastHandshake.IsZero() {
		return 0
	}
	return float64(p.LastHandshake.Unix())
}

// age of the last handshake; a clock that stepped back makes it 0, never negative.
func (p *peerView) age(now time.Time) time.Duration { return max(0, now.Sub(p.LastHandshake)) }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
