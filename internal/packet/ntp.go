package packet

import (
	"strconv"
	"time"

	"github.com/orielhq/oriel/internal/packet/ntp"
)

// NTP is a client's question and the server's answer, or one message of
// another mode. Times are by the clock of the capture, the offset too: how far
// the server's clock is ahead of it. A replay that moves the packets to now
// does not move the server's clock.
type NTP struct {
	Flow
	Version             uint8  `parquet:"version"`
	Mode                string `parquet:"mode,dict"` // of the last message
	Asked               bool   `parquet:"asked"`
	Answered            bool   `parquet:"answered"`
	Leap                uint8  `parquet:"leap"` // 3: not synchronized
	Stratum             uint8  `parquet:"stratum"`
	PollSeconds         int64  `parquet:"poll_seconds"`
	PrecisionLog2       int32  `parquet:"precision_log2"`
	RootDelayNanos      int64  `parquet:"root_delay_ns"`
	RootDispersionNanos int64  `parquet:"root_dispersion_ns"`
	Reference           string `parquet:"reference"` // of the server: an address, a kind of clock, or a kiss code
	OffsetNanos         int64  `parquet:"offset_ns"`
	DelayNanos          int64  `parquet:"delay_ns"`
	RTTNanos            int64  `parquet:"rtt_ns"`
	Bytes               uint32 `parquet:"bytes"` // of the messages
	Extra               uint32 `parquet:"extra"` // bytes of extensions and authentication

	last ntp.Packet // as netcap has it
}

// Kind is the table.
func (*NTP) Kind() string { return "ntp" }

const strata = 18 // 0 to 15, 16 (not synchronized), others

func strataName(i int) string {
	if i == strata-1 {
		return "other"
	}
	return strconv.Itoa(i)
}

func ntpProtocols() []protocol {
	return []protocol{{
		name: "ntp", proto: protoUDP, ports: []uint16{123},
		match: func(k *key, _ bool, b []byte) bool {
			_, err := ntp.Parse(b)
			return err == nil && (k.srcPort == 123 || k.dstPort == 123)
		},
		open: func(w *worker, c *conn) analyzer { return &ntpAnalyzer{w: w, c: c} },
	}}
}

type ntpAnalyzer struct {
	w       *worker
	c       *conn
	waiting *NTP
	stamp   uint64 // of the question: the answer's origin
	asked   int64  // by the clock of the capture
	orig    bool
}

func (a *ntpAnalyzer) data(at int64, orig bool, b []byte) bool {
	t := &a.w.talk
	p, err := ntp.Parse(b)
	if err != nil {
		t.corrupt[talkNTP]++
		return true
	}
	t.ntpPackets[p.Mode]++
	r := a.waiting
	answer := p.Mode == ntp.ModeServer && r != nil && a.orig != orig && (p.Origin == a.stamp || p.Origin == 0)
	if !answer {
		a.giveUp()
		r = &NTP{Flow: a.c.flow(at), Version: p.Version}
	}
	r.Mode, r.Leap, r.Stratum, r.last = ntp.ModeName(p.Mode), p.Leap, p.Stratum, p
	r.PrecisionLog2, r.RootDelayNanos, r.RootDispersionNanos = int32(p.Precision), int64(p.RootDelay), int64(p.RootDispersion)
	if p.Poll > 0 && p.Poll <= 17 {
		r.PollSeconds = 1 << p.Poll
	}
	r.Bytes += uint32(len(b))
	r.Extra += uint32(p.Extra)
	switch p.Mode {
	case ntp.ModeClient:
		r.Asked = true
		a.waiting, a.stamp, a.asked, a.orig = r, p.Transmit, at-a.w.moved, orig
		return true
	case ntp.ModeServer, ntp.ModeBroadcast:
		r.Answered, r.Reference = true, p.Source()
		t.ntpStratum[min(int(p.Stratum), strata-1)]++
	}
	if answer {
		a.waiting = nil
		asked, at := a.asked, at-a.w.moved
		r.RTTNanos = max(at-asked, 1)
		if p.Receive != 0 && p.Transmit != 0 && p.Stratum > 0 && p.Stratum < 16 {
			received, sent := ntp.Nanos(p.Receive, at), ntp.Nanos(p.Transmit, at)
			r.OffsetNanos = ((received - asked) + (sent - at)) / 2
			r.DelayNanos = max((at-asked)-(sent-received), 0)
			t.ntpOffset.observe(offsetBounds, time.Duration(max(r.OffsetNanos, -r.OffsetNanos)).Seconds())
		}
	}
	a.w.emit(r)
	return true
}

func (a *ntpAnalyzer) giveUp() {
	if a.waiting != nil {
		a.w.emit(a.waiting)
		a.waiting = nil
	}
}

func (a *ntpAnalyzer) gap(int64, bool, int) { a.w.talk.corrupt[talkNTP]++ }
func (a *ntpAnalyzer) end(int64)            { a.giveUp() }
