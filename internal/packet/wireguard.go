package packet

import (
	"encoding/binary"
	"time"
)

// WireGuard is what a connection of WireGuard carried since its last record:
// its kinds of messages alone are in the clear.
type WireGuard struct {
	Flow
	Initiations    uint64 `parquet:"initiations"`
	Responses      uint64 `parquet:"responses"`
	Cookies        uint64 `parquet:"cookies"`
	OrigData       uint64 `parquet:"orig_data"`       // messages
	OrigDataBytes  uint64 `parquet:"orig_data_bytes"` // encrypted, padding and tag included
	RespData       uint64 `parquet:"resp_data"`
	RespDataBytes  uint64 `parquet:"resp_data_bytes"`
	Keepalives     uint64 `parquet:"keepalives"`
	HandshakeNanos int64  `parquet:"handshake_ns"` // of the last handshake, from initiation to response
	DurationNanos  int64  `parquet:"duration_ns"`
}

// Kind is the table.
func (*WireGuard) Kind() string { return "wireguard" }

// Kinds of WireGuard's messages.
const (
	wgInitiation = 1
	wgResponse   = 2
	wgCookie     = 3
	wgData       = 4
)

var wgNames = [5]string{"", "initiation", "response", "cookie", "data"}

// wgType tells the kind of a message, 0 if it is none. Data is padded to
// sixteen bytes, but not beyond the MTU, so its length tells nothing.
func wgType(b []byte) int {
	if len(b) < 32 || b[1]|b[2]|b[3] != 0 {
		return 0
	}
	switch {
	case b[0] == wgInitiation && len(b) == 148, b[0] == wgResponse && len(b) == 92, b[0] == wgCookie && len(b) == 64, b[0] == wgData:
		return int(b[0])
	}
	return 0
}

func wireguardProtocols() []protocol {
	return []protocol{{
		name: "wireguard", proto: protoUDP, ports: []uint16{51820},
		match: func(k *key, _ bool, b []byte) bool {
			kind := wgType(b)
			// Data alone says little: sixteen bytes begin with its number often enough.
			return kind == wgInitiation || kind == wgResponse || kind != 0 && len(b)%16 == 0 && (k.srcPort == 51820 || k.dstPort == 51820)
		},
		open: func(w *worker, c *conn) analyzer { return &wgAnalyzer{w: w, c: c} },
	}}
}

// wgReport is how often a connection that goes on is recorded.
const wgReport = int64(time.Minute)

type wgAnalyzer struct {
	w         *worker
	c         *conn
	r         *WireGuard
	initiated int64
	sender    uint32
}

func (a *wgAnalyzer) data(at int64, orig bool, b []byte) bool {
	kind := wgType(b)
	if kind == 0 {
		return true
	}
	a.w.talk.wireguard[kind]++
	if a.r == nil {
		a.r = &WireGuard{Flow: a.c.flow(at)}
	}
	r := a.r
	r.DurationNanos = at - r.Time.UnixNano()
	switch kind {
	case wgInitiation:
		r.Initiations++
		a.initiated, a.sender = at, binary.LittleEndian.Uint32(b[4:])
	case wgResponse:
		r.Responses++
		if a.initiated > 0 && binary.LittleEndian.Uint32(b[8:]) == a.sender {
			r.HandshakeNanos = max(at-a.initiated, 1)
			a.initiated = 0
		}
	case wgCookie:
		r.Cookies++
	default:
		if len(b) == 32 {
			r.Keepalives++
		}
		if orig {
			r.OrigData++
			r.OrigDataBytes += uint64(len(b) - 16)
		} else {
			r.RespData++
			r.RespDataBytes += uint64(len(b) - 16)
		}
	}
	if r.DurationNanos >= wgReport {
		a.end(at)
	}
	return true
}

func (a *wgAnalyzer) gap(int64, bool, int) {}

func (a *wgAnalyzer) end(int64) {
	if a.r != nil {
		a.w.emit(a.r)
		a.r = nil
	}
}
