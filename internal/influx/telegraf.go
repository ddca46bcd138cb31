package influx

import (
	"encoding/base64"
	"math"
	"net/netip"
	"time"
)

// Device is a WireGuard interface as Telegraf's input `wireguard` sees it.
type Device struct {
	Name         string
	Type         string // linux_kernel, userspace or unknown
	ListenPort   uint16
	FirewallMark uint32
	Peers        []Peer
	Hidden       int // peers that are counted and not listed
}

// Peer is one peer of a Device.
type Peer struct {
	PublicKey       [32]byte
	Endpoint        netip.AddrPort // not valid if unknown
	AllowedIPs      []netip.Prefix
	LastHandshake   time.Time // zero if there has been none
	ReceiveBytes    uint64
	TransmitBytes   uint64
	Keepalive       time.Duration // 0 if off
	ProtocolVersion int
}

// device writes a line for the device and one for each peer: the two
// measurements of Telegraf, tag by tag and field by field. Telegraf splits the
// fields over two lines of the same series and time, which InfluxDB merges.
//
// One thing differs on purpose: a peer that never shook hands has no
// last_handshake_time_ns here; Telegraf writes -6795364578871345152 for it.
func (e *encoder) device(d *Device, at time.Time) {
	e.start()
	e.tag("name", d.Name)
	e.tag("type", d.Type)
	e.intField("firewall_mark", int64(d.FirewallMark))
	e.intField("listen_port", int64(d.ListenPort))
	e.intField("peers", int64(len(d.Peers)+d.Hidden))
	e.end("wireguard_device", at)
	for i := range d.Peers {
		e.peer(d.Name, &d.Peers[i])
		e.end("wireguard_peer", at)
	}
}

func (e *encoder) peer(device string, p *Peer) {
	e.start()
	e.tag("device", device)
	e.tag("public_key", base64.StdEncoding.EncodeToString(p.PublicKey[:]))
	e.intField("allowed_ips", int64(len(p.AllowedIPs)))
	if len(p.AllowedIPs) > 0 {
		e.text = e.text[:0]
		for i, ip := range p.AllowedIPs {
			if i > 0 {
				e.text = append(e.text, ',')
			}
			e.text = ip.AppendTo(e.text)
		}
		e.stringField("allowed_peer_cidr", string(e.text))
	}
	if p.Endpoint.IsValid() {
		e.stringField("endpoint", p.Endpoint.String())
	}
	if !p.LastHandshake.IsZero() && p.LastHandshake.UnixNano() > 0 {
		e.intField("last_handshake_time_ns", p.LastHandshake.UnixNano())
	}
	e.intField("persistent_keepalive_interval_ns", p.Keepalive.Nanoseconds())
	e.intField("protocol_version", int64(p.ProtocolVersion))
	e.intField("rx_bytes", clamp(p.ReceiveBytes))
	e.intField("tx_bytes", clamp(p.TransmitBytes))
}

// clamp keeps a counter within line protocol's integers.
func clamp(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
