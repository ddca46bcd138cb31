package relay

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

var tunnelLabels = []string{"tunnel", "role"}

func desc(name, help string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append(append([]string{}, tunnelLabels...), more...), nil)
}

// Collect sends the state of all tunnels. Labels come from the configuration, and reasons from a closed list.
func (r *Relay) Collect(_ context.Context, ch chan<- prometheus.Metric) error {
	var (
		up          = desc("oriel_tunnel_up", "Whether the tunnel takes connections: 0 while it drains.")
		connections = desc("oriel_tunnel_connections", "Connections that both ends have accepted.")
		pending     = desc("oriel_tunnel_connections_pending", "Connections whose handshake is not done.")
		limit       = desc("oriel_tunnel_connections_limit", "Connections allowed.")
		total       = desc("oriel_tunnel_connections_total", "Connections that both ends accepted.")
		refused     = desc("oriel_tunnel_refusals_total", "Connections that were refused or cut, by reason.", "reason")
		carried     = desc("oriel_tunnel_bytes_total", "Bytes carried: in is from who connects, out is to it.", "direction")
		expires     = desc("oriel_tunnel_certificate_expiry_timestamp_seconds", "When the tunnel's own certificate ends, as Unix time.")
		listUntil   = desc("oriel_tunnel_crl_next_update_timestamp_seconds", "When the revocation list is out of date, as Unix time.")
		reloads     = desc("oriel_tunnel_reloads_total", "Reloads of certificate, key, CA and revocation list, by result.", "result")
		reloadOK    = desc("oriel_tunnel_reload_last_successful", "Whether the files are those in force: 0 if the last good ones stay.")
	)
	for _, t := range r.all() {
		s := t.status()
		send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, more ...string) {
			ch <- prometheus.MustNewConstMetric(d, kind, v, append([]string{s.Name, s.Role}, more...)...)
		}
		gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
		send(up, gauge, truth(s.Status == "active"))
		send(connections, gauge, float64(s.Connections))
		send(pending, gauge, float64(s.Pending))
		send(limit, gauge, float64(s.Max))
		send(total, counter, float64(t.total.Load()))
		send(carried, counter, float64(t.bytes[0].Load()), "in")
		send(carried, counter, float64(t.bytes[1].Load()), "out")
		if tr := t.trust.Load(); tr != nil {
			send(expires, gauge, float64(tr.Cert.Leaf.NotAfter.Unix()))
			if next := tr.Lists.NextUpdate(); !next.IsZero() {
				send(listUntil, gauge, float64(next.Unix()))
			}
		}
		send(reloadOK, gauge, truth(s.ReloadError == ""))
		t.mu.Lock()
		for _, reason := range reasons {
			send(refused, counter, float64(t.refused[reason]), reason)
		}
		send(reloads, counter, float64(t.reloads[true]), "success")
		send(reloads, counter, float64(t.reloads[false]), "error")
		t.mu.Unlock()
	}
	return nil
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
