package wireguard

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/orielhq/oriel/internal/collector"
)

// ownFamilies are the metrics of the probes, of the history and of the
// namespaces: what the snapshot alone does not know.
func (c *Collector) ownFamilies(s *snapshot, now time.Time) []prometheus.Metric {
	var list []prometheus.Metric
	add := func(name string, t dto.MetricType, help string, values series) {
		list = append(list, &collector.Family{Name: name, Help: help, Type: t, Series: values})
	}
	c.probeFamilies(s, now, add)
	if len(s.spaces) > 0 {
		add("oriel_wireguard_namespace_success", gauge, "Whether the network namespace could be looked into (1) or not (0).",
			func(yield func(collector.Labels, float64) bool) {
				for _, n := range s.spaces {
					if !yield(collector.FormatLabels("namespace", n.label), truth(n.err == nil)) {
						return
					}
				}
			})
	}
	if c.Record != nil {
		dropped, failed := c.history.counts()
		one := func(v uint64) series {
			return func(yield func(collector.Labels, float64) bool) { yield("", float64(v)) }
		}
		add("oriel_wireguard_events_dropped_total", counter, "Peer events given up because they could not be recorded for too long.", one(dropped))
		add("oriel_wireguard_events_record_errors_total", counter, "Times peer events could not be recorded; they are tried again.", one(failed))
	}
	return list
}

func (c *Collector) probeFamilies(s *snapshot, now time.Time, add addFunc) {
	if !c.cfg.Probe.enabled() {
		return
	}
	type line struct {
		labels collector.Labels
		probeResult
	}
	var lines []line
	for _, d := range s.devices {
		for i := range d.peers {
			if r, ok := c.probes.result(d.name, d.peers[i].PublicKey, now); ok {
				lines = append(lines, line{d.peers[i].state.oriel(), r})
			}
		}
	}
	each := func(value func(line) (float64, bool)) series {
		return func(yield func(collector.Labels, float64) bool) {
			for _, l := range lines {
				if v, ok := value(l); ok && !yield(l.labels, v) {
					return
				}
			}
		}
	}
	latency := each(func(l line) (float64, bool) { return l.latency.Seconds(), l.hasLatency })
	add("wireguard_peer_latency_seconds", gauge, "Round-trip time of the last successful probe through the tunnel.", latency)
	add("wireguard_peer_latency", gauge, "Round-trip time of the last successful probe through the tunnel, in seconds: wireguard_peer_latency_seconds under a former name.", latency)
	add("wireguard_peer_probe_success", gauge, "Whether the last probe of the peer was answered (1) or not (0). Absent while the peer is asleep and left alone.",
		each(func(l line) (float64, bool) { return truth(l.success), true }))
	add("wireguard_peer_probe_loss_ratio", gauge, "Share of the echoes of the last ten probes that did not come back, 0 to 1.",
		each(func(l line) (float64, bool) { return l.loss, true }))
	c.probes.mu.Lock()
	counts := maps.Clone(c.probes.counts)
	c.probes.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b [2]string) int {
		return strings.Compare(a[0]+"\x00"+a[1], b[0]+"\x00"+b[1])
	})
	add("oriel_wireguard_probes_total", counter, "Probes of peers through the tunnel, by what became of them.", func(yield func(collector.Labels, float64) bool) {
		for _, k := range keys {
			if !yield(collector.FormatLabels("device", k[0], "interface", k[0], "result", k[1]), float64(counts[k])) {
				return
			}
		}
	})
}
