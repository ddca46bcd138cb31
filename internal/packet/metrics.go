package packet

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	packetsDesc     = desc("oriel_packets_captured_total", "Packets read.", "interface")
	bytesDesc       = desc("oriel_packets_captured_bytes_total", "Bytes of the packets read, as on the wire.", "interface")
	layerDesc       = desc("oriel_packets_layer_packets_total", "Packets with a header of the layer, by the way they went; files may not tell.", "interface", "layer", "direction")
	layerBytesDesc  = desc("oriel_packets_layer_bytes_total", "Bytes of the layer, its header included, by the way they went.", "interface", "layer", "direction")
	errorsDesc      = desc("oriel_packets_decode_errors_total", "Packets, or files, that could not be read to their end.", "interface", "reason")
	dropsDesc       = desc("oriel_packets_kernel_drops_total", "Packets the kernel dropped as the ring was full.", "interface")
	freezesDesc     = desc("oriel_packets_ring_freezes_total", "How often the ring was full.", "interface")
	openDesc        = desc("oriel_packets_connections_open", "Connections held now.", "interface")
	openedDesc      = desc("oriel_packets_connections_opened_total", "Connections seen.", "interface")
	endedDesc       = desc("oriel_packets_connections_ended_total", "Connections that ended, by Zeek's word for their state.", "interface", "state")
	evictedDesc     = desc("oriel_packets_connections_evicted_total", "Connections ended early to stay within the memory budget.", "interface")
	retransDesc     = desc("oriel_packets_tcp_retransmissions_total", "Segments of TCP sent again.", "interface")
	orderDesc       = desc("oriel_packets_tcp_out_of_order_total", "Segments of TCP that filled a gap.", "interface")
	zeroDesc        = desc("oriel_packets_tcp_zero_windows_total", "How often a side of TCP closed its window.", "interface")
	resetsDesc      = desc("oriel_packets_tcp_resets_total", "Segments of TCP with RST.", "interface")
	handshakeDesc   = desc("oriel_packets_tcp_handshake_seconds", "From the SYN to the ACK of the SYN ACK.", "interface")
	fragmentsDesc   = desc("oriel_packets_fragments_total", "Fragments of IP seen.", "interface")
	assembledDesc   = desc("oriel_packets_fragments_assembled_total", "Datagrams put together of fragments.", "interface")
	lostDesc        = desc("oriel_packets_fragments_lost_total", "Fragments and datagrams given up.", "interface")
	recordsDesc     = desc("oriel_packets_records_total", "Records made.", "interface")
	recordErrorDesc = desc("oriel_packets_record_errors_total", "Records lost as they could not be written.", "interface")

	filteredDesc = desc("oriel_packets_filtered_total", "Packets of files that the filter leaves out; the kernel does not count those of interfaces.", "interface")
	reopenedDesc = desc("oriel_packets_interface_reopened_total", "How often an interface that had gone away could be captured from again.", "interface")
	upDesc       = desc("oriel_packets_interface_up", "Whether the interface can be captured from (1) or not (0).", "interface")

	ncUptime    = desc("nc_uptime", "Number of seconds since the last restart")
	ncPackets   = desc("nc_numpackets", "Number of packets since the last restart")
	ncProtocols = desc("nc_protocols_total", "Counter for all protocols encountered during parsing the network traffic", "Protocol")
	ncUnknown   = desc("nc_unknown_protocols_total", "Counter for all unknown protocols encountered during parsing the network traffic", "Protocol")
	ncErrors    = desc("nc_decoding_errors_total", "Counter for all decoding errors", "Protocol", "Error")
)

// ncNames are the layers as netcap writes them.
var ncNames = [layers]string{
	"Ethernet", "Dot1Q", "MPLS", "PPPoE", "ARP", "IPv4", "IPv6", "GRE", "VXLAN", "Geneve", "IPSecESP", "IPSecAH",
	"ICMPv4", "ICMPv6", "IGMP", "TCP", "UDP", "SCTP", "LLC", "Unknown",
}

// total is the sum of the workers of one interface.
type total struct {
	worker
	open int
}

// Collect sends the metrics; workers of one interface are added up.
func (m *Monitor) Collect(_ context.Context, ch chan<- prometheus.Metric) error {
	m.mu.Lock()
	workers := append([]*worker(nil), m.workers...)
	m.mu.Unlock()
	sums := map[string]*total{}
	for _, w := range workers {
		s := sums[w.iface]
		if s == nil {
			s = &total{}
			sums[w.iface] = s
		}
		s.add(w)
	}
	if m.recorder != nil {
		m.recorder.collect(ch)
	}
	m.collectNetcap(workers, ch)
	var packets uint64
	var seen [layers]uint64
	var failed [failures]uint64
	var spoken talk
	for iface, s := range sums {
		spoken.add(&s.talk)
		s.send(iface, ch)
		packets += s.packets
		for way := range s.dec.packets {
			addAll(seen[:], s.dec.packets[way][:])
		}
		for i, n := range s.dec.failed {
			failed[i] += n
		}
	}
	m.collectAlerts(ch)
	m.talkers.collect(ch)
	if m.cfg.Netcap {
		ch <- prometheus.MustNewConstMetric(ncUptime, prometheus.GaugeValue, time.Since(m.start).Seconds())
		ch <- prometheus.MustNewConstMetric(ncPackets, prometheus.GaugeValue, float64(packets))
		for i, n := range seen {
			if n > 0 {
				ch <- prometheus.MustNewConstMetric(ncProtocols, prometheus.CounterValue, float64(n), ncNames[i])
			}
		}
		for name, n := range spoken.netcapProtocols() {
			if n > 0 {
				ch <- prometheus.MustNewConstMetric(ncProtocols, prometheus.CounterValue, float64(n), name)
			}
		}
		ch <- prometheus.MustNewConstMetric(ncUnknown, prometheus.CounterValue, float64(seen[layerOther]), "Unknown")
		for i, n := range failed[1:] {
			ch <- prometheus.MustNewConstMetric(ncErrors, prometheus.CounterValue, float64(n), "Packet", failureNames[1+i])
		}
	}
	return nil
}

// collectNetcap sends netcap's counters of records, of all workers together.
func (m *Monitor) collectNetcap(workers []*worker, ch chan<- prometheus.Metric) {
	all := newNetcapSeries(m.cfg.NetcapSeries, false)
	for _, w := range workers {
		w.mu.Lock()
		if w.netcap != nil {
			all.add(w.netcap)
		}
		w.mu.Unlock()
	}
	all.send(ch)
}

func (s *total) add(w *worker) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.packets += w.packets
	s.wire += w.wire
	s.kernelDrops += w.kernelDrops
	s.kernelFreeze += w.kernelFreeze
	s.records += w.records
	s.filtered += w.filtered
	if w.device != nil {
		s.device = w.device
	}
	s.reopened += w.reopened
	s.down += w.down
	s.recordErrors += w.recordErrors
	for way := range directions {
		addAll(s.dec.packets[way][:], w.dec.packets[way][:])
		addAll(s.dec.bytes[way][:], w.dec.bytes[way][:])
	}
	for i := range failures {
		s.dec.failed[i] += w.dec.failed[i]
	}
	s.talk.add(&w.talk)
	s.dec.frags.seen += w.dec.frags.seen
	s.dec.frags.done += w.dec.frags.done
	s.dec.frags.lost += w.dec.frags.lost
	t, o := &s.table, &w.table
	s.open += o.index.n
	t.made += o.made
	t.evicted += o.evicted
	for i := range states {
		t.ended[i] += o.ended[i]
	}
	t.retransmitted += o.retransmitted
	t.outOfOrder += o.outOfOrder
	t.zeroWindows += o.zeroWindows
	t.resets += o.resets
	t.handshakes += o.handshakes
	t.handshakeSum += o.handshakeSum
	for i, n := range o.handshakeBuckets {
		t.handshakeBuckets[i] += n
	}
	s.streams.add(&w.streams, &w.budget)
	s.serviceStats.add(&w.serviceStats)
}

func (s *total) send(iface string, ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), append([]string{iface}, labels...)...)
	}
	t := &s.table
	counter(packetsDesc, s.packets)
	counter(bytesDesc, s.wire)
	for way, word := range directionNames {
		for i, name := range layerNames {
			if s.dec.packets[way][i] > 0 {
				counter(layerDesc, s.dec.packets[way][i], name, word)
				counter(layerBytesDesc, s.dec.bytes[way][i], name, word)
			}
		}
	}
	for i, name := range failureNames {
		if name != "" {
			counter(errorsDesc, s.dec.failed[i], name)
		}
	}
	counter(dropsDesc, s.kernelDrops)
	counter(freezesDesc, s.kernelFreeze)
	ch <- prometheus.MustNewConstMetric(openDesc, prometheus.GaugeValue, float64(s.open), iface)
	counter(openedDesc, t.made)
	for i, name := range stateNames {
		counter(endedDesc, t.ended[i], name)
	}
	counter(evictedDesc, t.evicted)
	counter(retransDesc, t.retransmitted)
	counter(orderDesc, t.outOfOrder)
	counter(zeroDesc, t.zeroWindows)
	counter(resetsDesc, t.resets)
	buckets, n := map[float64]uint64{}, uint64(0)
	for i, bound := range rttBounds {
		n += t.handshakeBuckets[i]
		buckets[bound] = n
	}
	ch <- prometheus.MustNewConstHistogram(handshakeDesc, t.handshakes, t.handshakeSum, buckets, iface)
	counter(fragmentsDesc, s.dec.frags.seen)
	counter(assembledDesc, s.dec.frags.done)
	counter(lostDesc, s.dec.frags.lost)
	counter(filteredDesc, s.filtered)
	counter(reopenedDesc, s.reopened)
	if s.device != nil {
		ch <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, float64(1-min(s.down, 1)), iface)
	}
	counter(recordsDesc, s.records)
	counter(recordErrorDesc, s.recordErrors)
	out := sender{iface, ch}
	s.streams.send(out)
	s.serviceStats.send(out)
	s.talk.send(out)
}
