package packet

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// durationBounds are the upper bounds in seconds of what takes a network and a server their time.
var durationBounds = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// histogram counts into buckets without allocating; its bounds are the caller's.
type histogram struct {
	count   uint64
	sum     float64
	buckets [16]uint64
}

func (h *histogram) observe(bounds []float64, v float64) {
	h.count++
	h.sum += v
	for i, bound := range bounds {
		if v <= bound {
			h.buckets[i]++
			return
		}
	}
}

func (h *histogram) add(o *histogram) {
	h.count += o.count
	h.sum += o.sum
	addAll(h.buckets[:], o.buckets[:])
}

func addAll(to, from []uint64) {
	for i, n := range from {
		to[i] += n
	}
}

// sender sends the metrics of one interface.
type sender struct {
	iface string
	ch    chan<- prometheus.Metric
}

func (s sender) counter(d *prometheus.Desc, n uint64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), append([]string{s.iface}, labels...)...)
}

func (s sender) histogram(d *prometheus.Desc, h *histogram, bounds []float64) {
	buckets, n := make(map[float64]uint64, len(bounds)), uint64(0)
	for i, bound := range bounds {
		n += h.buckets[i]
		buckets[bound] = n
	}
	s.ch <- prometheus.MustNewConstHistogram(d, h.count, h.sum, buckets, s.iface)
}

// hasWord tells whether word is in a list joined by commas.
func hasWord(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// serviceStats are the counters of the analyzers that read streams.
type serviceStats struct {
	tls   tlsStats
	http  httpStats
	clear clearStats
}

func (s *serviceStats) add(o *serviceStats) {
	s.tls.add(&o.tls)
	s.http.add(&o.http)
	s.clear.add(&o.clear)
}

func (s *serviceStats) send(out sender) {
	s.tls.send(out)
	s.http.send(out)
	s.clear.send(out)
}
