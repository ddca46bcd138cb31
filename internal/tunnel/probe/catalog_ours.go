package probe

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/collector"
)

func ofNotAfter(v *view, yield emit) {
	if v.seen != nil && !v.seen.NotAfter().IsZero() {
		yield("", float64(v.seen.NotAfter().Unix()))
	}
}

func ofLifetime(v *view, yield emit) {
	if v.seen == nil {
		return
	}
	if c := v.seen.first(); c != nil {
		yield("", shareLeft(c, v.now))
	}
}

// shareLeft is 1 for a new certificate and below 0 after its end.
func shareLeft(c *x509.Certificate, now time.Time) float64 {
	return float64(c.NotAfter.Sub(now)) / float64(max(c.NotAfter.Sub(c.NotBefore), 1))
}

// ours are the metrics of our own: the same facts in Prometheus' own style, and what the original does not have.
func ours() []Metric {
	const c = "ours"
	return []Metric{
		{
			Name: "oriel_tunnel_probe_success", Help: "Whether the last probe went through all steps: 1 yes, 0 no.", Common: c,
			series: func(v *view, yield emit) {
				if v.seen != nil {
					yield("", truth(v.seen.Err == nil))
				}
			},
			Values: "absent before the first probe, and of a tunnel that is not enabled",
		},
		{
			Name: "oriel_tunnel_probe_failure_info", Help: "Where the last probe failed, and why.", Common: c, Extra: []string{"step", "error_type"},
			series: func(v *view, yield emit) {
				if v.seen != nil && v.seen.Err != nil {
					yield(collector.FormatLabels("step", v.seen.Step, "error_type", v.seen.ErrorType), 1)
				}
			},
			Values: "1; absent when it succeeded",
		},
		{
			Name: "oriel_tunnel_probe_info", Help: "What is known of the tunnel from the configuration.", Common: c,
			Extra:  infoLabels,
			series: func(v *view, yield emit) { yield(v.labels.info, 1) }, Values: "always 1",
		},
		{Name: "oriel_tunnel_probe_enabled", Help: "Whether the configuration enables the tunnel.", Common: c, series: ofEnabled},
		{
			Name: "oriel_tunnel_probe_running", Help: "Whether the tunnel takes connections: by its guardian's or gateway's word, else by the open port.", Common: c,
			series: func(v *view, yield emit) {
				if v.seen != nil || v.state != nil {
					yield("", truth(v.running()))
				}
			},
		},
		{Name: "oriel_tunnel_probe_accepting", Help: "Whether a new client would be served.", Common: c, series: ofAccepting},
		{Name: "oriel_tunnel_probe_connections", Help: "Connections that are accepted and open, by the guardian's or gateway's word.", Common: c, series: ofConnections},
		{Name: "oriel_tunnel_probe_connections_limit", Help: "Connections that the tunnel allows.", Common: c, series: ofLimit},
		{Name: "oriel_tunnel_probe_anonymous_allowed", Help: "Whether a client without certificate was let in.", Common: c, series: ofAnonymous},
		{
			Name: "oriel_tunnel_probe_anonymous_expected", Help: "Whether the configuration means clients without certificate to be let in.", Common: c,
			series: func(v *view, yield emit) {
				if v.cfg.Transport != "tcp" {
					yield("", truth(v.cfg.Anonymous))
				}
			},
		},
		{Name: "oriel_tunnel_probe_connect_success", Help: "Whether the port took the connection.", Common: c, series: ofConnected},
		{Name: "oriel_tunnel_probe_connect_duration_seconds", Help: "How long the connection took to come about, name resolution included.", Common: c, series: ofConnectTime},
		{
			Name: "oriel_tunnel_probe_handshake_duration_seconds", Help: "How long the last TLS handshake that succeeded took.", Common: c,
			series: func(v *view, yield emit) {
				if v.seen != nil {
					if took, ok := v.seen.Phases[StepTLS]; ok && v.seen.handshakeType == "" {
						yield("", took.Seconds())
					}
				}
			},
			Values: "absent when the last one failed",
		},
		{
			Name: "oriel_tunnel_probe_echo_duration_seconds", Help: "How long the service took from an echo's request to the end of its answer.", Common: c,
			series: func(v *view, yield emit) {
				if took, ok := v.latency(); ok {
					yield("", took.Seconds())
				}
			},
			Values: "absent when the echo failed or there is none",
		},
		{Name: "oriel_tunnel_probe_phase_duration_seconds", Help: "How long each phase of the last probe took.", Common: c, Extra: []string{"phase"}, series: eachPhase},
		{Name: "oriel_tunnel_probe_failures_total", Help: "Probes that failed, by reason.", Counter: true, Common: c, Extra: []string{"error_type"}, series: eachError},
		{
			Name: "oriel_tunnel_probes_total", Help: "Probes done.", Counter: true, Common: c,
			series: func(v *view, yield emit) { yield("", float64(v.probes.Load())) },
		},
		{
			Name: "oriel_tunnel_probe_tls_info", Help: "The version and the cipher suite of the last handshake.", Common: c, Extra: []string{"version", "cipher"},
			series: func(v *view, yield emit) {
				if v.seen != nil && v.seen.Version != 0 {
					yield(collector.FormatLabels("version", strings.TrimPrefix(tls.VersionName(v.seen.Version), "TLS "),
						"cipher", tls.CipherSuiteName(v.seen.Cipher)), 1)
				}
			},
			Values: "1; absent without handshake",
		},
		{
			Name: "oriel_tunnel_probe_certificate_expiry_timestamp_seconds", Help: "When the first certificate of the server's chain ends, as Unix time.", Common: c,
			series: ofNotAfter, Values: "also of a chain that is not trusted",
		},
		{Name: "oriel_tunnel_probe_certificate_lifetime_left_ratio", Help: "Share of the server's certificate's life that is left.", Common: c, series: ofLifetime},
		{
			Name: "oriel_tunnel_probe_client_certificate_expiry_timestamp_seconds", Help: "When the certificate that the probe shows ends, as Unix time.", Common: c,
			series: func(v *view, yield emit) {
				if v.seen != nil && v.seen.own.leaf != nil {
					yield("", float64(v.seen.own.leaf.NotAfter.Unix()))
				}
			},
		},
		{
			Name: "oriel_tunnel_probe_client_certificate_lifetime_left_ratio", Help: "Share of the life that is left to the certificate that the probe shows.", Common: c,
			series: func(v *view, yield emit) {
				if v.seen != nil && v.seen.own.leaf != nil {
					yield("", shareLeft(v.seen.own.leaf, v.now))
				}
			},
		},
		{
			Name: "oriel_tunnel_probe_files_last_load_successful", Help: "Whether certificate, key, CA and revocation list are those in force.", Common: c,
			series: func(v *view, yield emit) {
				if v.seen != nil && v.cfg.Transport != "tcp" {
					yield("", truth(!v.seen.own.stale))
				}
			},
			Values: "0: they cannot be read as they are now; what they said before stays in force",
		},
		{
			Name: "oriel_tunnel_probe_last_run_timestamp_seconds", Help: "When the last probe ended, as Unix time.", Common: c,
			series: func(v *view, yield emit) {
				if v.seen != nil {
					yield("", float64(v.seen.at.UnixMilli())/1000)
				}
			},
		},
		{
			Name: "oriel_tunnel_probe_last_success_timestamp_seconds", Help: "When the last probe that succeeded ended, as Unix time.", Common: c,
			series: func(v *view, yield emit) {
				if v.seen != nil && !v.seen.lastGood.IsZero() {
					yield("", float64(v.seen.lastGood.UnixMilli())/1000)
				}
			},
			Values: "absent before the first success",
		},
	}
}

// totals are of the prober itself.
func totals() []Metric {
	return []Metric{
		{
			Name: "oriel_tunnel_probe_targets", Help: "Tunnels of the configuration.",
			value: func(p *Prober) float64 { return float64(len(p.targets)) },
		},
		{
			Name: "oriel_tunnel_probe_interval_seconds", Help: "Time between two probes of a tunnel.",
			value: func(p *Prober) float64 { return p.cfg.Interval.Std().Seconds() },
		},
		{
			Name: "oriel_tunnel_probes_late_total", Help: "Probes that began more than an interval late.", Counter: true,
			value:  func(p *Prober) float64 { return float64(p.late.Load()) },
			Values: "when it grows there are too many tunnels for the concurrency",
		},
		{
			Name: "oriel_tunnel_probe_requests_total", Help: "Probes done on request, by /probe.", Counter: true,
			value: func(p *Prober) float64 { return float64(p.served.Load()) },
		},
		{
			Name: "oriel_tunnel_probe_status_pages", Help: "Status pages of guardians and gateways of other processes.",
			value: func(p *Prober) float64 { return float64(len(p.cfg.Status)) },
		},
		{
			Name: "oriel_tunnel_probe_status_pages_failed", Help: "Status pages that could not be read the last time.",
			value: func(p *Prober) float64 {
				if s := p.states.Load(); s != nil {
					return float64(s.failed)
				}
				return 0
			},
		},
	}
}
