package packet

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/orielhq/oriel/internal/packet/detect"
	"github.com/orielhq/oriel/internal/packet/dhcp"
	"github.com/orielhq/oriel/internal/packet/ntp"
	"github.com/orielhq/oriel/internal/packet/stun"
)

var (
	dnsQueriesDesc    = desc("oriel_packets_dns_queries_total", "Questions of DNS by what they are sent over and the type asked for.", "interface", "transport", "qtype")
	dnsResponsesDesc  = desc("oriel_packets_dns_responses_total", "Answers of DNS by what they are sent over and their code.", "interface", "transport", "rcode")
	dnsUnansweredDesc = desc("oriel_packets_dns_unanswered_total", "Questions of DNS and LLMNR that had no answer within ten seconds.", "interface")
	dnsTruncatedDesc  = desc("oriel_packets_dns_truncated_total", "Messages of DNS that say that they are cut.", "interface")
	dnsLatencyDesc    = desc("oriel_packets_dns_latency_seconds", "From a question of DNS or LLMNR to its answer.", "interface")
	corruptDesc       = desc("oriel_packets_corrupt_messages_total", "Messages that are not as their protocol demands, or parts that are missing.", "interface", "protocol")
	ntpPacketsDesc    = desc("oriel_packets_ntp_packets_total", "Packets of NTP by mode.", "interface", "mode")
	ntpAnswersDesc    = desc("oriel_packets_ntp_answers_total", "Answers of NTP's servers by their stratum; 16 is not synchronized.", "interface", "stratum")
	ntpOffsetDesc     = desc("oriel_packets_ntp_offset_seconds", "How far NTP's servers are from the clock of the capture, ahead or behind.", "interface")
	dhcpDesc          = desc("oriel_packets_dhcp_messages_total", "Messages of DHCP by version and type.", "interface", "version", "type")
	sipRequestsDesc   = desc("oriel_packets_sip_requests_total", "Requests of SIP by method.", "interface", "method")
	sipResponsesDesc  = desc("oriel_packets_sip_responses_total", "Answers of SIP by the class of their status.", "interface", "class")
	modbusDesc        = desc("oriel_packets_modbus_requests_total", "Requests of Modbus by what their function does.", "interface", "class")
	modbusFailsDesc   = desc("oriel_packets_modbus_exceptions_total", "Answers of Modbus that are exceptions.", "interface")
	modbusTimeDesc    = desc("oriel_packets_modbus_latency_seconds", "From a request of Modbus to its answer.", "interface")
	enipDesc          = desc("oriel_packets_enip_messages_total", "Messages of EtherNet/IP; an error is an answer too.", "interface", "kind")
	stunDesc          = desc("oriel_packets_stun_messages_total", "Messages of STUN and TURN by class.", "interface", "class")
	wireguardDesc     = desc("oriel_packets_wireguard_messages_total", "Messages of WireGuard by type.", "interface", "type")
	ikeDesc           = desc("oriel_packets_ike_messages_total", "Messages of IKE by version, and packets of ESP within UDP.", "interface", "kind")
	alertsDesc        = desc("oriel_packets_alerts_total", "Alerts of the detections by rule.", "rule", "severity")
	alertsQuietDesc   = desc("oriel_packets_alerts_suppressed_total", "Alerts not told: again within the time set, or too many of a rule in a minute.")
	alertsLostDesc    = desc("oriel_packets_alerts_lost_total", "Alerts whose record could not be written.")
)

var ikeNames = [3]string{"ikev1", "ikev2", "esp_in_udp"}

// add adds what another worker counted.
func (t *talk) add(o *talk) {
	for i := range transports {
		addAll(t.dnsQueries[i][:], o.dnsQueries[i][:])
		addAll(t.dnsResponses[i][:], o.dnsResponses[i][:])
	}
	t.dnsUnanswered += o.dnsUnanswered
	t.dnsTruncated += o.dnsTruncated
	t.dnsCorrupt += o.dnsCorrupt
	t.dnsLatency.add(&o.dnsLatency)
	addAll(t.ntpPackets[:], o.ntpPackets[:])
	addAll(t.ntpStratum[:], o.ntpStratum[:])
	t.ntpOffset.add(&o.ntpOffset)
	addAll(t.dhcp[0][:], o.dhcp[0][:])
	addAll(t.dhcp[1][:], o.dhcp[1][:])
	addAll(t.sipRequests[:], o.sipRequests[:])
	addAll(t.sipStatus[:], o.sipStatus[:])
	addAll(t.modbus[:], o.modbus[:])
	t.modbusFails += o.modbusFails
	t.modbusTime.add(&o.modbusTime)
	addAll(t.enip[:], o.enip[:])
	addAll(t.stun[:], o.stun[:])
	addAll(t.wireguard[:], o.wireguard[:])
	addAll(t.ike[:], o.ike[:])
	addAll(t.corrupt[:], o.corrupt[:])
}

// send sends the metrics of an interface. Of the sets with two closed labels
// only what was met is sent, as most of it never is.
func (t *talk) send(out sender) {
	met := func(d *prometheus.Desc, n uint64, labels ...string) {
		if n > 0 {
			out.counter(d, n, labels...)
		}
	}
	for i, over := range transportNames {
		for q, n := range t.dnsQueries[i] {
			met(dnsQueriesDesc, n, over, qtypeName(q))
		}
		for r, n := range t.dnsResponses[i] {
			met(dnsResponsesDesc, n, over, rcodeName(r))
		}
	}
	out.counter(dnsUnansweredDesc, t.dnsUnanswered)
	out.counter(dnsTruncatedDesc, t.dnsTruncated)
	out.histogram(dnsLatencyDesc, &t.dnsLatency, answerBounds)
	out.counter(corruptDesc, t.dnsCorrupt, "dns")
	for i, n := range t.corrupt {
		out.counter(corruptDesc, n, speakerNames[i])
	}
	for i, n := range t.ntpPackets {
		met(ntpPacketsDesc, n, ntp.ModeName(uint8(i)))
	}
	for i, n := range t.ntpStratum {
		met(ntpAnswersDesc, n, strataName(i))
	}
	out.histogram(ntpOffsetDesc, &t.ntpOffset, offsetBounds)
	for i, version := range []uint8{4, 6} {
		for kind, n := range t.dhcp[i] {
			name := "other"
			if kind < 14 {
				name = (&dhcp.Message{Version: version, Type: uint8(kind)}).TypeName()
			}
			if kind != 15 { // 14 and 15 are others, counted as one
				met(dhcpDesc, n+more(kind == 14, t.dhcp[i][15]), strconv.Itoa(int(version)), name)
			}
		}
	}
	for i, n := range t.sipRequests {
		met(sipRequestsDesc, n, sipMethodName(i))
	}
	for i, n := range t.sipStatus {
		met(sipResponsesDesc, n, sipStatusName(i))
	}
	for i, n := range t.modbus {
		out.counter(modbusDesc, n, modbusClassNames[i])
	}
	out.counter(modbusFailsDesc, t.modbusFails)
	out.histogram(modbusTimeDesc, &t.modbusTime, answerBounds)
	for i, n := range t.enip {
		out.counter(enipDesc, n, enipNames[i])
	}
	for i, n := range t.stun {
		out.counter(stunDesc, n, stun.Class(i).String())
	}
	for i, n := range t.wireguard {
		if wgNames[i] != "" {
			out.counter(wireguardDesc, n, wgNames[i])
		}
	}
	for i, n := range t.ike {
		out.counter(ikeDesc, n, ikeNames[i])
	}
}

func more(yes bool, n uint64) uint64 {
	if yes {
		return n
	}
	return 0
}

// collectAlerts sends what the detector counted.
func (m *Monitor) collectAlerts(ch chan<- prometheus.Metric) {
	counts, quieted := m.detect.Counts()
	for i, n := range counts {
		r := detect.Rule(i)
		ch <- prometheus.MustNewConstMetric(alertsDesc, prometheus.CounterValue, float64(n), r.String(), r.Severity())
	}
	ch <- prometheus.MustNewConstMetric(alertsQuietDesc, prometheus.CounterValue, float64(quieted))
	ch <- prometheus.MustNewConstMetric(alertsLostDesc, prometheus.CounterValue, float64(m.alertsLost.Load()))
}
