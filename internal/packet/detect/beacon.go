package detect

import (
	"slices"
	"strconv"
	"time"
)

// maxBeats bounds the beginnings that are remembered of a pair.
const maxBeats = 64

// beat is when the last connections of a pair to a port began.
type beat struct {
	last      int64
	intervals []int64
}

// Beacons are slower than a page's requests and faster than a day.
const (
	minInterval = 5 * time.Second
	maxInterval = 6 * time.Hour
	// maxJitter is the part of the interval by which most intervals may differ.
	maxJitter = 0.05
)

// clockwork is what asks at equal intervals and nobody minds.
func clockwork(c *Conn) bool {
	switch c.RespPort {
	case 53, 67, 68, 123, 161, 162, 514, 546, 547, 1900, 3478, 5353, 5355:
		return true
	}
	return c.Proto != tcp && c.Proto != udp
}

// beaten accounts the beginning of a connection that leaves the network.
func (d *Detector) beaten(c *Conn) {
	if d.off[Beacon] || clockwork(c) || d.inside(c.Resp) || !d.inside(c.Orig) || d.trusted(c.Orig) || d.trusted(c.Resp) {
		return
	}
	b, known := d.beats.get(pair3{pair{c.Orig, c.Resp, c.Proto}, c.RespPort})
	if !known {
		b.last = c.At
		return
	}
	gap := c.At - b.last
	if gap >= 0 && gap < int64(time.Second) {
		return // one visit opens several connections
	}
	b.last = c.At
	if gap < int64(minInterval) || gap > int64(maxInterval) {
		b.intervals = b.intervals[:0]
		return
	}
	if len(b.intervals) == d.cfg.Beats-1 {
		b.intervals = slices.Delete(b.intervals, 0, 1)
	}
	b.intervals = append(b.intervals, gap)
	if len(b.intervals) < d.cfg.Beats-1 {
		return
	}
	sorted := slices.Sorted(slices.Values(b.intervals))
	middle := sorted[len(sorted)/2]
	off := make([]int64, len(sorted))
	for i, v := range sorted {
		off[i] = max(v-middle, middle-v)
	}
	slices.Sort(off)
	// Four of five must keep the beat: sleep with jitter is told from people by it.
	if float64(off[len(off)*4/5]) <= maxJitter*float64(middle) {
		n := len(b.intervals) + 1
		d.alert(Beacon, c, strconv.Itoa(int(c.RespPort)), n, strconv.Itoa(n)+" connections to port "+strconv.Itoa(int(c.RespPort))+" every "+seconds(middle))
		b.intervals = b.intervals[:0]
	}
}
