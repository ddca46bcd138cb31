package wireguard

import (
	"context"
	"net/netip"
	"time"
)

// What can happen to a peer: the values of PeerEvent.Event, and of the label event.
const (
	EventCreated    = "created"    // it is configured since this reading
	EventRemoved    = "removed"    // it is no longer configured
	EventConnect    = "connect"    // it made a handshake after it had been down
	EventDisconnect = "disconnect" // its last handshake became too old
	EventRoam       = "roam"       // its endpoint changed
	EventRotate     = "rotate"     // a new key took the place of an old one: OtherKey
	EventTakeover   = "takeover"   // it took addresses from a peer that goes on: OtherKey
)

// events are all of them, in the order of the page.
func events() []string {
	return []string{EventConnect, EventCreated, EventDisconnect, EventRemoved, EventRoam, EventRotate, EventTakeover}
}

// PeerEvent is one row of the history: what happened to which peer, and from
// where it was connected. Its endpoints are for records, never for labels.
type PeerEvent struct {
	Time             time.Time  `json:"time" parquet:"time,timestamp(microsecond:local)"`
	Event            string     `json:"event" parquet:"event,dict"`
	Device           string     `json:"device" parquet:"device,dict"`
	PublicKey        string     `json:"public_key" parquet:"public_key,dict"`
	Name             string     `json:"name" parquet:"name,dict"`
	Endpoint         string     `json:"endpoint" parquet:"endpoint"`                   // address:port; empty if unknown
	PreviousEndpoint string     `json:"previous_endpoint" parquet:"previous_endpoint"` // of a roam
	OtherKey         string     `json:"other_key" parquet:"other_key,dict"`            // of a rotate or takeover: who had the addresses
	AllowedIPs       []string   `json:"allowed_ips" parquet:"allowed_ips,list"`
	LastHandshake    *time.Time `json:"last_handshake" parquet:"last_handshake,optional,timestamp(microsecond:local)"` // nil if there has been none
	ReceiveBytes     uint64     `json:"receive_bytes" parquet:"receive_bytes"`                                         // of the peer's counters at that time
	TransmitBytes    uint64     `json:"transmit_bytes" parquet:"transmit_bytes"`
	// First marks a peer that was connected when watching began: since when is not known.
	First bool `json:"first" parquet:"first"`
}

// PeerRow is one row of the current table wireguard_peers.
type PeerRow struct {
	Time             time.Time  `json:"time" parquet:"time,timestamp(microsecond:local)"` // of the reading
	Device           string     `json:"device" parquet:"device,dict"`
	PublicKey        string     `json:"public_key" parquet:"public_key"`
	Name             string     `json:"name" parquet:"name"`
	Endpoint         string     `json:"endpoint" parquet:"endpoint"` // address:port; empty if unknown
	AllowedIPs       []string   `json:"allowed_ips" parquet:"allowed_ips,list"`
	LastHandshake    *time.Time `json:"last_handshake" parquet:"last_handshake,optional,timestamp(microsecond:local)"` // nil if there has been none
	ReceiveBytes     uint64     `json:"receive_bytes" parquet:"receive_bytes"`
	TransmitBytes    uint64     `json:"transmit_bytes" parquet:"transmit_bytes"`
	KeepaliveSeconds float64    `json:"keepalive_seconds" parquet:"keepalive_seconds"` // 0 if off
	Up               bool       `json:"up" parquet:"up"`
	LatencySeconds   *float64   `json:"latency_seconds" parquet:"latency_seconds,optional"` // nil if not probed
	LossRatio        *float64   `json:"loss_ratio" parquet:"loss_ratio,optional"`           // nil if not probed
	EndpointChanges  uint64     `json:"endpoint_changes" parquet:"endpoint_changes"`
	StateChanges     uint64     `json:"state_changes" parquet:"state_changes"`
	PreviousKey      string     `json:"previous_key" parquet:"previous_key"` // the key that this one replaced; empty if none
}

// Peers returns the table of the latest reading; nothing if there has been none.
func (c *Collector) Peers() []PeerRow {
	c.mu.Lock()
	s := c.latest
	c.mu.Unlock()
	if s == nil {
		return nil
	}
	return c.rows(s, time.Now())
}

func (c *Collector) rows(s *snapshot, now time.Time) []PeerRow {
	n := 0
	for _, d := range s.devices {
		n += len(d.peers)
	}
	rows := make([]PeerRow, 0, n)
	for _, d := range s.devices {
		for i := range d.peers {
			p := &d.peers[i]
			row := PeerRow{
				Time: s.at, Device: d.name, PublicKey: p.state.keyText, Name: p.state.name.friendly,
				Endpoint: endpointText(p.Endpoint), AllowedIPs: p.state.allowedTexts, LastHandshake: timeOrNil(p.LastHandshake),
				ReceiveBytes: p.ReceiveBytes, TransmitBytes: p.TransmitBytes, KeepaliveSeconds: p.Keepalive.Seconds(),
				Up: p.up(c.cfg, now), EndpointChanges: p.moved, StateChanges: p.flaps,
			}
			if p.previous != (Key{}) {
				row.PreviousKey = p.previous.String()
			}
			if r, ok := c.probes.result(d.name, p.PublicKey, now); ok {
				row.LossRatio = &r.loss
				if r.hasLatency {
					seconds := r.latency.Seconds()
					row.LatencySeconds = &seconds
				}
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func endpointText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func prefixTexts(list []netip.Prefix) []string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
	}
	return texts
}

// Read reads the devices, unless that was done a moment ago, and returns the
// table. An error names the devices that could not be read; the others' rows are there.
func (c *Collector) Read(ctx context.Context) ([]PeerRow, error) {
	s, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	return c.rows(s, time.Now()), s.err()
}
