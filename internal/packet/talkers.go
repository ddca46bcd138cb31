package packet

import (
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// maxTalkers bounds the addresses that the configuration may make labels of.
const maxTalkers = 256

// talkers finds the addresses with the most bytes by the Space-Saving algorithm
// (Metwally, Agrawal, El Abbadi 2005): of a bounded number of counters the
// smallest is given to an address that has none. What an address is shown with
// is what was certainly its own, so a counter never falls.
type talkers struct {
	mu     sync.Mutex // guards all that follows
	max    int
	m      map[netip.Addr]*loudness
	total  uint64 // bytes, once for either end of a connection
	folded uint64 // addresses that lost their counter
}

type loudness struct {
	count uint64 // at most this
	over  uint64 // of it perhaps another's
}

func newTalkers(limit int) *talkers {
	if limit == 0 {
		return nil
	}
	return &talkers{max: limit, m: map[netip.Addr]*loudness{}}
}

func (t *talkers) add(a netip.Addr, bytes uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total += bytes
	if e := t.m[a]; e != nil {
		e.count += bytes
		return
	}
	if len(t.m) < t.max {
		t.m[a] = &loudness{count: bytes}
		return
	}
	var least netip.Addr
	var e *loudness
	for b, x := range t.m {
		if e == nil || x.count < e.count || x.count == e.count && b.Less(least) {
			least, e = b, x
		}
	}
	delete(t.m, least)
	t.folded++
	e.over = e.count
	e.count += bytes
	t.m[a] = e
}

var (
	talkerDesc = desc("oriel_packets_talker_bytes_total", "Bytes of IP of the addresses with the most, and of all others together; a packet counts for either end.", "address")
	foldedDesc = desc("oriel_series_folded_total", "How often a label value was folded into other to keep a metric within its cap.", "metric")
)

func (t *talkers) collect(ch chan<- prometheus.Metric) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := t.total
	for a, e := range t.m {
		rest -= e.count - e.over
		ch <- prometheus.MustNewConstMetric(talkerDesc, prometheus.CounterValue, float64(e.count-e.over), a.String())
	}
	ch <- prometheus.MustNewConstMetric(talkerDesc, prometheus.CounterValue, float64(rest), "other")
	ch <- prometheus.MustNewConstMetric(foldedDesc, prometheus.CounterValue, float64(t.folded), "oriel_packets_talker_bytes_total")
}

// talked accounts what a connection carried since it was last asked.
func (w *worker) talked(c *conn) {
	if w.talkers == nil {
		return
	}
	all := c.a.bytes + c.b.bytes
	n := all - c.talked
	c.talked = all
	if n > 0 {
		w.talkers.add(c.key.addr(c.key.src), n)
		w.talkers.add(c.key.addr(c.key.dst), n)
	}
}
