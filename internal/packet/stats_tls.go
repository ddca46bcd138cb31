package packet

import (
	"math"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/orielhq/oriel/internal/packet/tls"
)

var (
	tlsDesc       = desc("oriel_packets_tls_handshakes_total", "Handshakes of TLS seen, QUIC's and DTLS among them, by version.", "interface", "transport", "version")
	tlsCipherDesc = desc("oriel_packets_tls_ciphers_total", "Handshakes that a server answered, by the class of the cipher it chose.", "interface", "class")
	tlsWeakDesc   = desc("oriel_packets_tls_weak_total", "Handshakes with something weak about them.", "interface", "reason")
	tlsAlertDesc  = desc("oriel_packets_tls_failed_total", "Handshakes that ended with an alert in the clear.", "interface")
	tlsTimeDesc   = desc("oriel_packets_tls_handshake_seconds", "From the client's hello to the server's first ciphertext.", "interface")
	tlsPQDesc     = desc("oriel_packets_tls_post_quantum_total", "Handshakes with a key exchange that a quantum computer does not open.", "interface")
	tlsECHDesc    = desc("oriel_packets_tls_encrypted_hellos_total", "Hellos with an encrypted one inside, or the pretence of it.", "interface")
	tlsBadDesc    = desc("oriel_packets_tls_malformed_total", "Messages of a handshake and certificates that could not be read.", "interface")
	quicBadDesc   = desc("oriel_packets_quic_unopened_total", "Initial packets of QUIC that did not authenticate.", "interface")
	tlsExpiryDesc = desc("oriel_packets_tls_certificate_expiry_seconds", "Time until the certificate expires that a server sent as its own.", "interface")
	tlsSoonDesc   = desc("oriel_packets_tls_certificate_soonest_expiry_timestamp_seconds",
		"When the first certificate expires of those that servers sent as their own in the last hour of traffic, and had not expired then; +Inf: none.", "interface")
)

const day = 86400.0

// expiryBounds are the upper bounds in seconds of the histogram.
var expiryBounds = [...]float64{0, 1 * day, 7 * day, 14 * day, 30 * day, 60 * day, 90 * day, 180 * day, 365 * day, 730 * day}

// weakReasons are all that the column weak names.
var weakReasons = []string{"version", "cipher", "expired", "not_yet_valid", "self_signed", "key", "signature", "name"}

const hour = int64(3600e9)

type tlsStats struct {
	versions             [3][9]uint64 // over TCP, over QUIC, of DTLS; see tls.Versions
	ciphers              [8]uint64
	weak                 [8]uint64
	failed, bad, pq, ech uint64
	unopened             uint64 // Initial packets of QUIC
	handshake            histogram
	expires              histogram
	last                 int64
	known                map[[32]byte]*certificate
	keep                 bool // the hellos with their records
	soonest              int64
}

func (s *tlsStats) count(r *TLS) {
	transport := 0
	if strings.HasPrefix(r.Version, "DTLS") {
		transport = 2
	}
	s.versions[transport][slices.Index(tls.Versions, r.Version)]++
	if i := slices.Index(tls.Classes, r.CipherClass); i >= 0 {
		s.ciphers[i]++
	}
	for i, reason := range weakReasons {
		if hasWord(r.Weak, reason) {
			s.weak[i]++
		}
	}
	if r.Alert != "" && r.Alert != "close_notify" && !r.Established {
		s.failed++
	}
	if r.HandshakeNanos > 0 {
		s.handshake.observe(durationBounds[:], float64(r.HandshakeNanos)/1e9)
	}
	s.extras(r)
}

func (s *tlsStats) countQUIC(r *TLS) {
	s.versions[1][slices.Index(tls.Versions, r.Version)]++
	if i := slices.Index(tls.Classes, r.CipherClass); i >= 0 {
		s.ciphers[i]++
	}
	s.extras(r)
}

func (s *tlsStats) extras(r *TLS) {
	if r.PostQuantum {
		s.pq++
	}
	if r.ECH {
		s.ech++
	}
}

func (s *tlsStats) expiry(c *certificate, at int64) {
	s.last = max(s.last, at)
	s.expires.observe(expiryBounds[:], float64(c.notAfter.UnixNano()-at)/1e9)
}

func (s *tlsStats) add(o *tlsStats) {
	for i := range o.versions {
		addAll(s.versions[i][:], o.versions[i][:])
	}
	addAll(s.ciphers[:], o.ciphers[:])
	addAll(s.weak[:], o.weak[:])
	s.failed += o.failed
	s.bad += o.bad
	s.unopened += o.unopened
	s.pq += o.pq
	s.ech += o.ech
	s.handshake.add(&o.handshake)
	s.expires.add(&o.expires)
	for _, c := range o.known {
		if c != nil && c.leafSeen > o.last-hour {
			if t := c.notAfter.UnixNano(); t > o.last && (s.soonest == 0 || t < s.soonest) {
				s.soonest = t
			}
		}
	}
}

func (s *tlsStats) send(out sender) {
	for i, transport := range []string{"tcp", "quic", "dtls"} {
		for j, version := range tls.Versions {
			if strings.HasPrefix(version, "DTLS") == (transport == "dtls") {
				out.counter(tlsDesc, s.versions[i][j], transport, version)
			}
		}
	}
	for i, class := range tls.Classes {
		out.counter(tlsCipherDesc, s.ciphers[i], class)
	}
	for i, reason := range weakReasons {
		out.counter(tlsWeakDesc, s.weak[i], reason)
	}
	out.counter(tlsAlertDesc, s.failed)
	out.counter(tlsBadDesc, s.bad)
	out.counter(quicBadDesc, s.unopened)
	out.counter(tlsPQDesc, s.pq)
	out.counter(tlsECHDesc, s.ech)
	out.histogram(tlsTimeDesc, &s.handshake, durationBounds[:])
	out.histogram(tlsExpiryDesc, &s.expires, expiryBounds[:])
	soonest := math.Inf(1)
	if s.soonest > 0 {
		soonest = float64(s.soonest) / 1e9
	}
	out.ch <- prometheus.MustNewConstMetric(tlsSoonDesc, prometheus.GaugeValue, soonest, out.iface)
}
