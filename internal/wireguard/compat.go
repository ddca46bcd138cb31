package wireguard

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/orielhq/oriel/internal/collector"
)

// Compat returns a collector with the metrics of another program, which cannot
// stand on one page with the others because names clash or mean something else.
// Its reading is the one of c.
func (c *Collector) Compat(profile string) (collector.Collector, bool) {
	page, ok := profiles()[profile]
	if !ok {
		return nil, false
	}
	return collector.Func(func(ctx context.Context, ch chan<- prometheus.Metric) error {
		s, err := c.read(ctx)
		if err != nil {
			return err
		}
		page(&compatPage{s, c.cfg, time.Now()}, func(name string, t dto.MetricType, help string, values series) {
			ch <- &collector.Family{Name: name, Help: help, Type: t, Series: values}
		})
		return s.err()
	}), true
}

// Profiles returns the names that Compat knows, sorted.
func Profiles() []string { return slices.Sorted(maps.Keys(profiles())) }

func profiles() map[string]func(*compatPage, addFunc) {
	return map[string]func(*compatPage, addFunc){
		"kbknapp":   (*compatPage).kbknapp,
		"netdata":   (*compatPage).netdata,
		"telegraf":  (*compatPage).telegraf,
		"wg-easy":   (*compatPage).wgEasy,
		"wg-portal": (*compatPage).wgPortal,
	}
}

type compatPage struct {
	s   *snapshot
	cfg Config
	now time.Time
}

// wgEasyConnected is the age up to which wg-easy counts a peer as connected.
const wgEasyConnected = 10 * time.Minute

// wgEasy is the page of wg-easy v15, /metrics/prometheus. There
// wireguard_latest_handshake_seconds is an age, and 0 means never.
func (c *compatPage) wgEasy(add addFunc) {
	count := func(name string, count func(d *deviceView) int) {
		add(name, gauge, "", c.s.each(func(d *deviceView, yield func(collector.Labels, float64) bool) bool {
			return yield(collector.FormatLabels("interface", d.name), float64(count(d)))
		}))
	}
	all := func(d *deviceView) int { return d.device.all() }
	count("wireguard_configured_peers", all)
	count("wireguard_enabled_peers", all) // what is not enabled is not on the device
	count("wireguard_connected_peers", func(d *deviceView) (n int) {
		for i := range d.peers {
			if p := &d.peers[i]; !p.LastHandshake.IsZero() && p.age(c.now) < wgEasyConnected {
				n++
			}
		}
		return n
	})
	peer := func(name string, t dto.MetricType, help string, value func(p *peerView) float64) {
		add(name, t, help, func(yield func(collector.Labels, float64) bool) {
			once := onceEach{}
			c.s.eachPeer(func(d *deviceView, p *peerView, yield func(collector.Labels, float64) bool) bool {
				v4, v6 := addressesOf(p.AllowedIPs)
				labels := once.labels(p, func(name string) []string {
					return []string{"interface", d.name, "enabled", "true", "ipv4Address", v4, "ipv6Address", v6, "name", name}
				})
				return yield(labels, value(p))
			})(yield)
		})
	}
	peer("wireguard_sent_bytes", counter, "Bytes sent to the peer", func(p *peerView) float64 { return float64(p.TransmitBytes) })
	peer("wireguard_received_bytes", counter, "Bytes received from the peer", func(p *peerView) float64 { return float64(p.ReceiveBytes) })
	peer("wireguard_latest_handshake_seconds", gauge, "UNIX timestamp seconds of the last handshake", func(p *peerView) float64 {
		if p.LastHandshake.IsZero() {
			return 0
		}
		return p.age(c.now).Seconds()
	})
}

// wgPortal is the page of h44z/wg-portal v2, port 8787.
func (c *compatPage) wgPortal(add addFunc) {
	ifc := func(name, help string, value func(d *deviceView) float64) {
		add(name, gauge, help, c.s.each(func(d *deviceView, yield func(collector.Labels, float64) bool) bool {
			return yield(collector.FormatLabels("interface", d.name), value(d))
		}))
	}
	ifc("wireguard_interface_received_bytes_total", "Bytes received through the interface.", func(d *deviceView) float64 {
		if d.iface.counted {
			return float64(d.iface.received)
		}
		return float64(d.received)
	})
	ifc("wireguard_interface_sent_bytes_total", "Bytes sent through the interface.", func(d *deviceView) float64 {
		if d.iface.counted {
			return float64(d.iface.transmitted)
		}
		return float64(d.transmitted)
	})
	peer := func(name, help string, value func(p *peerView) (float64, bool)) {
		add(name, gauge, help, c.s.eachPeer(func(d *deviceView, p *peerView, yield func(collector.Labels, float64) bool) bool {
			v, ok := value(p)
			return !ok || yield(collector.FormatLabels("interface", d.name, "addresses", joinPrefixes(p.AllowedIPs),
				"id", p.state.key(), "name", p.state.name.friendly, "user", p.state.name.pair("user")), v)
		}))
	}
	peer("wireguard_peer_received_bytes_total", "Bytes received from the peer.", func(p *peerView) (float64, bool) { return float64(p.ReceiveBytes), true })
	peer("wireguard_peer_sent_bytes_total", "Bytes sent to the peer.", func(p *peerView) (float64, bool) { return float64(p.TransmitBytes), true })
	peer("wireguard_peer_last_handshake_seconds", "Seconds from the last handshake with the peer.", func(p *peerView) (float64, bool) {
		return p.handshakeSecond(), !p.LastHandshake.IsZero()
	})
	peer("wireguard_peer_up", "Peer connection state (boolean: 1/0).", func(p *peerView) (float64, bool) { return truth(p.up(c.cfg, c.now)), true })
}

// kbknapp is the page of kbknapp/wireguard_exporter 0.3. Its ages are milliseconds.
func (c *compatPage) kbknapp(add addFunc) {
	add("wireguard_interfaces_total", gauge, "Total number of interfaces", func(yield func(collector.Labels, float64) bool) {
		n := 0
		for _, d := range c.s.devices {
			if d.err == nil {
				n++
			}
		}
		yield("", float64(n))
	})
	add("wireguard_peers_total", gauge, "Total number of peers per interfaces", c.s.each(func(d *deviceView, yield func(collector.Labels, float64) bool) bool {
		return yield(collector.FormatLabels("interface", d.name), float64(d.device.all()))
	}))
	add("wireguard_bytes_total", counter, "Total number of bytes per direction per interface", c.s.each(func(d *deviceView, yield func(collector.Labels, float64) bool) bool {
		return yield(collector.FormatLabels("interface", d.name, "direction", "rx"), float64(d.received)) &&
			yield(collector.FormatLabels("interface", d.name, "direction", "tx"), float64(d.transmitted))
	}))
	add("wireguard_peer_bytes_total", counter, "Total number of bytes per direction for a peer", c.s.eachPeer(func(d *deviceView, p *peerView, yield func(collector.Labels, float64) bool) bool {
		return yield(collector.FormatLabels("interface", d.name, "peer", p.state.key(), "direction", "rx", "alias", p.state.name.friendly), float64(p.ReceiveBytes)) &&
			yield(collector.FormatLabels("interface", d.name, "peer", p.state.key(), "direction", "tx", "alias", p.state.name.friendly), float64(p.TransmitBytes))
	}))
	add("wireguard_duration_since_latest_handshake", gauge, "Duration in milliseconds since latest handshake for a peer", c.s.eachPeer(func(d *deviceView, p *peerView, yield func(collector.Labels, float64) bool) bool {
		return p.LastHandshake.IsZero() || yield(collector.FormatLabels("interface", d.name, "peer", p.state.key(), "alias", p.state.name.friendly), float64(p.age(c.now).Milliseconds()))
	}))
	add("wireguard_peer_endpoint", gauge, "Peers info. static value", c.s.eachPeer(func(d *deviceView, p *peerView, yield func(collector.Labels, float64) bool) bool {
		if !p.Endpoint.IsValid() || !c.cfg.EndpointLabel {
			return true
		}
		return yield(collector.FormatLabels("interface", d.name, "endpoint_ip", p.Endpoint.Addr().WithZone("").String(), "peer", p.state.key(), "alias", p.state.name.friendly), 1)
	}))
	add("wireguard_scrape_duration_milliseconds", gauge, "Duration in milliseconds of the scrape", func(yield func(collector.Labels, float64) bool) {
		yield("", float64(c.s.took.Milliseconds()))
	})
	add("wireguard_scrape_success", gauge, "If the scrape was a success", func(yield func(collector.Labels, float64) bool) {
		yield("", truth(c.s.err() == nil))
	})
}

// telegraf is what Telegraf's inputs.wireguard looks like behind
// outputs.prometheus_client, port 9273, but that a peer which never shook hands
// has no last_handshake_time_ns (there it is negative).
func (c *compatPage) telegraf(add addFunc) {
	const help, untyped = "Telegraf collected metric", dto.MetricType_UNTYPED
	device := func(name string, kind dto.MetricType, value func(d *deviceView) float64) {
		add(name, kind, help, c.s.each(func(d *deviceView, yield func(collector.Labels, float64) bool) bool {
			driver := "userspace"
			if d.device.Kernel {
				driver = "linux_kernel"
			}
			return yield(collector.FormatLabels("name", d.name, "type", driver), value(d))
		}))
	}
	device("wireguard_device_peers", gauge, func(d *deviceView) float64 { return float64(d.device.all()) })
	device("wireguard_device_listen_port", untyped, func(d *deviceView) float64 { return float64(d.device.ListenPort) })
	device("wireguard_device_firewall_mark", untyped, func(d *deviceView) float64 { return float64(d.device.FirewallMark) })
	gauges := func(name string, value func(p *peerView) (float64, bool)) {
		add(name, gauge, help, c.s.perState(func(p *peerView) (collector.Labels, float64, bool) {
			v, ok := value(p)
			return p.state.mdlayher(), v, ok
		}))
	}
	gauges("wireguard_peer_rx_bytes", func(p *peerView) (float64, bool) { return float64(p.ReceiveBytes), true })
	gauges("wireguard_peer_tx_bytes", func(p *peerView) (float64, bool) { return float64(p.TransmitBytes), true })
	gauges("wireguard_peer_last_handshake_time_ns", func(p *peerView) (float64, bool) {
		return float64(p.LastHandshake.UnixNano()), !p.LastHandshake.IsZero()
	})
	fields := func(name string, value func(p *peerView) float64) {
		add(name, untyped, help, c.s.perState(func(p *peerView) (collector.Labels, float64, bool) {
			labels := p.state.mdlayher()
			if c.cfg.EndpointLabel {
				labels += "," + collector.FormatLabels("endpoint", endpointText(p.Endpoint))
			}
			return labels + "," + collector.FormatLabels("allowed_peer_cidr", joinPrefixes(p.AllowedIPs)), value(p), true
		}))
	}
	fields("wireguard_peer_allowed_ips", func(p *peerView) float64 { return float64(len(p.AllowedIPs)) })
	fields("wireguard_peer_persistent_keepalive_interval_ns", func(p *peerView) float64 { return float64(p.Keepalive.Nanoseconds()) })
	fields("wireguard_peer_protocol_version", func(*peerView) float64 { return 1 })
}

// netdata has the names that Netdata gives Prometheus for the charts of its
// go.d.plugin. Rates are those between the last two readings, and what is sent
// is negative, as there.
func (c *compatPage) netdata(add addFunc) {
	add("netdata_wireguard_device_network_io_B_persec_average", gauge, "Device traffic", c.s.each(func(d *deviceView, yield func(collector.Labels, float64) bool) bool {
		return !d.rated || yield(collector.FormatLabels("family", "device traffic", "dimension", "receive", "device", d.name), float64(d.rates.receive)) &&
			yield(collector.FormatLabels("family", "device traffic", "dimension", "transmit", "device", d.name), -float64(d.rates.transmit))
	}))
	add("netdata_wireguard_peer_network_io_B_persec_average", gauge, "Peer traffic", c.s.eachPeer(func(d *deviceView, p *peerView, yield func(collector.Labels, float64) bool) bool {
		return !d.rated || yield(collector.FormatLabels("family", "peer traffic", "dimension", "receive", "device", d.name, "public_key", p.state.key()), float64(p.rates.receive)) &&
			yield(collector.FormatLabels("family", "peer traffic", "dimension", "transmit", "device", d.name, "public_key", p.state.key()), -float64(p.rates.transmit))
	}))
	add("netdata_wireguard_device_peers_peers_average", gauge, "Device peers", c.s.each(func(d *deviceView, yield func(collector.Labels, float64) bool) bool {
		return yield(collector.FormatLabels("family", "device peers", "dimension", "peers", "device", d.name), float64(d.device.all()))
	}))
	add("netdata_wireguard_peer_latest_handshake_ago_seconds_average", gauge, "Peer time elapsed since the latest handshake",
		c.s.eachPeer(func(d *deviceView, p *peerView, yield func(collector.Labels, float64) bool) bool {
			return p.LastHandshake.IsZero() || yield(collector.FormatLabels("family", "peer latest handshake", "dimension", "time", "device", d.name, "public_key", p.state.key()), float64(int64(p.age(c.now).Seconds())))
		}))
}

// addressesOf returns the first address of either kind that is a peer's own.
func addressesOf(allowed []netip.Prefix) (v4, v6 string) {
	for _, p := range allowed {
		switch {
		case !p.IsSingleIP():
		case p.Addr().Is4() && v4 == "":
			v4 = p.Addr().String()
		case p.Addr().Is6() && v6 == "":
			v6 = p.Addr().String()
		}
	}
	return v4, v6
}

// onceEach keeps labels without a key apart: a page with a series twice is refused whole.
type onceEach map[collector.Labels]bool

func (o onceEach) labels(p *peerView, format func(name string) []string) collector.Labels {
	name := p.state.name.friendly
	if name == "" {
		name = p.state.key()
	}
	labels := collector.FormatLabels(format(name)...)
	if o[labels] {
		labels = collector.FormatLabels(format(name + " " + p.state.key())...)
	}
	for n := 2; o[labels]; n++ {
		labels = collector.FormatLabels(format(name + " " + p.state.key() + " " + strconv.Itoa(n))...)
	}
	o[labels] = true
	return labels
}

// pair returns one value of a peer's friendly_json.
func (n *name) pair(key string) string {
	for i := 0; i+1 < len(n.pairs); i += 2 {
		if n.pairs[i] == key {
			return n.pairs[i+1]
		}
	}
	return ""
}
