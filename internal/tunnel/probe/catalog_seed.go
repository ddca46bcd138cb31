package probe

import (
	"math"
	"time"

	"github.com/orielhq/oriel/internal/collector"
)

// The series that the original's metrics and our own ones have in common.

func ofLimit(v *view, yield emit) {
	if n, ok := v.limit(); ok {
		yield("", n)
	}
}

func ofConnections(v *view, yield emit) {
	if v.state != nil {
		yield("", float64(v.state.Connections))
	}
}

func ofEnabled(v *view, yield emit) { yield("", truth(v.cfg.Enabled)) }

func ofAnonymous(v *view, yield emit) {
	if v.seen != nil && v.seen.anonymous != nil {
		yield("", truth(*v.seen.anonymous))
	}
}

func ofConnected(v *view, yield emit) {
	if v.seen != nil {
		yield("", truth(v.connected()))
	}
}

func ofConnectTime(v *view, yield emit) {
	if v.connected() {
		yield("", (v.seen.Phases[StepResolve] + v.seen.Phases[StepConnect]).Seconds())
	}
}

func ofAccepting(v *view, yield emit) {
	if v.seen != nil || !v.cfg.Enabled {
		yield("", truth(v.accepting()))
	}
}

// ofHandshake has one series of a tunnel at a time: its labels say where the last
// handshake went and how it ended.
func ofHandshake(v *view, yield emit) {
	s := v.seen
	if s == nil || v.cfg.Transport == "tcp" || s.Step == StepFiles {
		return
	}
	took := s.Handshake
	if took == 0 {
		took = s.Took // until the step before it failed
	}
	yield(collector.FormatLabels("error_type", s.handshakeType, "discovery_error_code", s.Discovery,
		"discovery_error_description", discoveryText(s.Discovery), "outgoing_host", s.host, "outgoing_port", s.port), took.Seconds())
}

func monitoring() []Metric {
	const c = "monitoring"
	return []Metric{
		{
			Name: "vc_ct_max_connections", Help: "Connections that the tunnel allows.", Common: c, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_connections_limit", series: ofLimit,
			Values: "what the guardian or gateway tells, else `max_connections` of the configuration; absent when neither says",
		},
		{
			Name: "vc_ct_connected_clients", Help: "Clients that are connected now; those whose handshake is not done do not count.", Common: c, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_connections", series: ofConnections,
			Values: "absent when no guardian or gateway tells",
		},
		{
			Name: "vc_ct_run_status", Help: "Whether the tunnel runs: 1 status active, 0 status inactive.", Common: c, Extra: []string{"status"}, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_running",
			series: func(v *view, yield emit) {
				switch {
				case v.seen == nil && v.state == nil:
				case v.running():
					yield(`status="active"`, 1)
				default:
					yield(`status="inactive"`, 0)
				}
			},
			Values: "1 with status=\"active\", or 0 with status=\"inactive\": one series at a time. By the guardian's or gateway's word, else by the open port",
		},
		{
			Name: "vc_ct_enabled_status", Help: "Whether the tunnel is enabled: 1 enabled, 0 disabled.", Common: c, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_enabled", series: ofEnabled, Values: "the configuration's word, not the tunnel's health",
		},
		{
			Name: "vc_ct_anonymous_status", Help: "Whether the tunnel lets clients without certificate in: 1 anonymous, 0 not.", Common: c, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_anonymous_allowed", series: ofAnonymous, Values: "as observed by a connection without certificate; absent before the first one",
		},
		{
			Name: "vc_tls_cert_expiry", Help: "Whole days until the first certificate of the server's chain ends.", Common: c, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_certificate_expiry_timestamp_seconds",
			series: func(v *view, yield emit) {
				if left, ok := v.left(); ok {
					yield("", daysLeft(left))
				}
			},
			Values: "rounded down: -1 on the first day after the end; roots do not count; also of a chain that is not trusted; absent without handshake",
		},
		{
			Name: "vc_tls_version_info", Help: "The version of TLS: 1.0, 1.1, 1.2 or 1.3.", Common: c, Seed: "gauge float",
			Twin: "oriel_tunnel_probe_tls_info",
			series: func(v *view, yield emit) {
				if v.seen != nil && versionNumber(v.seen.Version) > 0 {
					yield("", versionNumber(v.seen.Version))
				}
			},
			Values: "absent without handshake",
		},
		{
			Name: "vc_probe_success", Help: "Whether the port takes connections: 1 connection success, 0 not.", Common: c, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_connect_success", series: ofConnected, Values: "TCP only: see oriel_tunnel_probe_success for all steps",
		},
		{
			Name: "vc_probe_duration_seconds", Help: "How long the connection took to come about, name resolution included.", Common: c, Seed: "gauge float",
			Twin: "oriel_tunnel_probe_connect_duration_seconds", series: ofConnectTime, Values: "absent when it did not",
		},
		{
			Name: "vc_echo_duration_seconds", Help: "How long each phase of an echo through the tunnel took.", Common: c, Extra: []string{"phase"}, Seed: "gauge float",
			Twin: "oriel_tunnel_probe_phase_duration_seconds", series: eachPhase,
			Values: "phases resolve, connect, tls, processing, transfer; a phase that was not reached or failed is absent, never 0",
		},
		{
			Name: "vc_connection_error_counter", Help: "Connections that failed, by reason, since the start.", Common: c, Extra: []string{"error_type"}, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_failures_total", series: eachError, Values: "all types are there from the start, at 0",
		},
		{
			Name: "vc_tls_handshake_duration", Help: "How long the TLS handshake took, in seconds; of a failed one, until it failed.", Common: c, Seed: "gauge float",
			Extra: []string{"error_type", "discovery_error_code", "discovery_error_description", "outgoing_host", "outgoing_port"},
			Twin:  "oriel_tunnel_probe_handshake_duration_seconds", series: ofHandshake,
			Values: "one series at a time; all labels but outgoing_* are empty on success; when no connection came about, the time until that was known",
		},
		{
			Name: "vc_connection_errors_total", Help: "Connections that failed, by reason.", Counter: true, Common: c, Extra: []string{"error_type"},
			series: eachError, Values: "what vc_connection_error_counter says, as the counter that it is",
		},
	}
}

func usage() []Metric {
	const c = "usage"
	return []Metric{
		{
			Name: "ct_instance_port_status", Help: "Whether the port is open: 1 open, 0 closed.", Common: c, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_connect_success", series: ofConnected, Values: "a port that does not answer counts as closed",
		},
		{
			Name: "ct_instance_api_type", Help: "How the service is spoken to: 0 None, 1 International, 2 Excrypt, 3 JSON.", Common: c, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_info",
			series: func(v *view, yield emit) {
				number, _ := apiType(v.cfg.API)
				yield("", float64(number))
			},
			Values: "see the table",
		},
		{
			Name: "ct_instance_service_enabled", Help: "Whether the service is enabled: 1 enabled, 0 disabled.", Common: c, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_enabled", series: ofEnabled, Values: "as vc_ct_enabled_status",
		},
		{
			Name: "ct_instance_service_latency_ms", Help: "Milliseconds from an echo's request to the end of its answer.", Common: c, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_echo_duration_seconds",
			series: func(v *view, yield emit) {
				if took, ok := v.latency(); ok {
					yield("", max(1, math.Ceil(float64(took)/float64(time.Millisecond))))
				}
			},
			Values: "rounded up: 1 is a millisecond or less; absent when the echo failed or there is none",
		},
		{
			Name: "ct_instance_accepting_connections", Help: "Whether a new client would be served: 1 yes, 0 no.", Common: c, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_accepting", series: ofAccepting,
			Values: "1: enabled, not draining, below the limit, and the last probe went all the way",
		},
		{
			Name: "ct_instance_certificate_validity", Help: "Class of the time left to the first certificate of the chain: 1 is 90 days or more, 6 is expired.", Common: c, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_certificate_lifetime_left_ratio",
			series: func(v *view, yield emit) {
				if left, ok := v.left(); ok {
					yield("", float64(validity(left)))
				}
			},
			Values: "see the table; absent without handshake",
		},
		{
			Name: "ct_instance_clients_connected_total", Help: "Clients that are connected now.", Common: c, Seed: "gauge int",
			Twin: "oriel_tunnel_probe_connections", series: ofConnections, Values: "a gauge, in spite of its name; as vc_ct_connected_clients",
		},
		{
			Name: "ct_certificate_lifetime_left_ratio", Help: "Share of the certificate's life that is left: 1 is new, 0 is over.", Common: c,
			series: ofLifetime, Values: "of the first certificate of the chain to end; below 0 after the end. Alert on this: a certificate of 24 hours is always in class 5",
		},
		{
			Name: "ct_certificate_not_after_timestamp_seconds", Help: "When the first certificate of the server's chain ends, as Unix time.", Common: c,
			series: ofNotAfter,
		},
		{
			Name: "ct_tunnel_info", Help: "What joins the two families of metrics.", Common: "usage", Extra: joinLabels,
			series: func(v *view, yield emit) { yield(v.labels.join, 1) }, Values: "always 1",
		},
	}
}
