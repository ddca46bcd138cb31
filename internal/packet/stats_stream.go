package packet

import "github.com/prometheus/client_golang/prometheus"

var (
	streamBytesDesc   = desc("oriel_packets_stream_bytes_total", "Bytes of TCP's payload put in order and read.", "interface")
	streamGapsDesc    = desc("oriel_packets_stream_gaps_total", "Holes in streams of TCP that were read: lost by the capture, or given up.", "interface")
	streamMissingDesc = desc("oriel_packets_stream_missing_bytes_total", "Bytes in these holes.", "interface")
	streamOverlapDesc = desc("oriel_packets_stream_overlap_bytes_total", "Bytes that came again in streams that were read; the first are kept.", "interface")
	streamHeldDesc    = desc("oriel_packets_stream_held_segments_total", "Segments kept as they came before their time.", "interface")
	streamDroppedDesc = desc("oriel_packets_stream_dropped_segments_total", "Segments that found no room and made a hole.", "interface")
	payloadHeldDesc   = desc("oriel_packets_payload_memory_bytes", "Memory that streams and analyzers hold now.", "interface")
	payloadLimitDesc  = desc("oriel_packets_payload_memory_limit_bytes", "Memory that streams and analyzers may hold.", "interface")
	payloadNoDesc     = desc("oriel_packets_payload_memory_refused_total", "Times that streams and analyzers found no room.", "interface")
)

func (s *reassembly) add(o *reassembly, b *budget) {
	s.delivered += o.delivered
	s.gaps += o.gaps
	s.gapBytes += o.gapBytes
	s.overlapped += o.overlapped
	s.held += o.held
	s.dropped += o.dropped
	s.budget.used += b.used
	s.budget.limit += b.limit
	s.budget.refused += b.refused
}

func (s *reassembly) send(out sender) {
	out.counter(streamBytesDesc, s.delivered)
	out.counter(streamGapsDesc, s.gaps)
	out.counter(streamMissingDesc, s.gapBytes)
	out.counter(streamOverlapDesc, s.overlapped)
	out.counter(streamHeldDesc, s.held)
	out.counter(streamDroppedDesc, s.dropped)
	out.ch <- prometheus.MustNewConstMetric(payloadHeldDesc, prometheus.GaugeValue, float64(s.budget.used), out.iface)
	out.ch <- prometheus.MustNewConstMetric(payloadLimitDesc, prometheus.GaugeValue, float64(s.budget.limit), out.iface)
	out.counter(payloadNoDesc, s.budget.refused)
}
