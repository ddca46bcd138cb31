package e2e

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// wild are expressions of other people's dashboards (tuladhar, secshellnet,
// kilo, pi-tale, grafana.com 12177 and 17251): they must return data as they are.
var wild = []string{
	`sum(idelta(wireguard_sent_bytes_total[20s])) by (interface)`,
	`- sum(idelta(wireguard_received_bytes_total[60s])) by (interface)`,
	`wireguard_latest_handshake_seconds * 1000`,
	`time()-wireguard_latest_handshake_seconds`,
	`irate(wireguard_received_bytes_total[5m])`,
	`sum by (public_key)(time() - (wireguard_latest_handshake_seconds!=0))`,
	`max(time() - wireguard_latest_handshake_seconds) < bool 300`,
	`wireguard_device_info`,
	`wireguard_peer_info`,
	`wireguard_peer_last_handshake_seconds`,
	`irate(wireguard_peer_receive_bytes_total[5m]) * on (public_key, device) group_left(name) wireguard_peer_info`,
	`irate(wireguard_peer_transmit_bytes_total[5m])`,
}

func TestDashboardsInTheWildHaveData(t *testing.T) {
	t.Parallel()
	base, _ := serve(t, "demo")
	for _, expr := range wild {
		eventually(t, 60*time.Second, base, expr, hasData)
	}
	collectorsAreInSQL(t, base)
}

// collectorsAreInSQL asks for what the collectors see now, and for their history.
func collectorsAreInSQL(t *testing.T, base string) {
	t.Helper()
	for _, sql := range []string{
		"SELECT 'ok' AS r FROM wireguard_peers WHERE name = 'Ana''s laptop' AND up AND endpoint LIKE '127.0.0.1:%'",
		"SELECT 'ok' AS r FROM wireguard_events WHERE event = 'connect' AND name = 'Lisbon branch'",
		"SELECT 'ok' AS r FROM neuvector_workloads WHERE cluster = 'edge1' HAVING count(*) > 10",
		"SELECT 'ok' AS r FROM neuvector_images HAVING count(*) > 10",
		"SELECT 'ok' AS r FROM neuvector_events HAVING count(*) > 10 AND count(*) = count(DISTINCT (cluster, class, id))",
		"SELECT 'ok' AS r FROM neuvector_events e JOIN neuvector_workloads w ON e.cluster = w.cluster AND e.client_id = w.id HAVING count(*) > 0",
	} {
		proctest.Eventually(t, time.Minute, func() (bool, string) {
			got, err := exec.Command(oriel, "sql", "--url", base, "-o", "csv", sql).CombinedOutput()
			return err == nil && strings.HasPrefix(string(got), "r\nok\n"), sql + ": " + string(got)
		})
	}
}

// TestStaleTunnelRaisesItsAlert takes over six minutes: a healthy tunnel may
// be silent for three, so a shorter limit would be wrong (rules/wireguard.yml).
func TestStaleTunnelRaisesItsAlert(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes six minutes")
	}
	base, _ := serve(t, "demo")
	firing := func(path, want string) {
		t.Helper()
		proctest.Eventually(t, 9*time.Minute, func() (bool, string) {
			time.Sleep(time.Second) // a long wait: no need to ask a hundred times a second
			_, body := get(t, base+path)
			for alert := range strings.SplitSeq(body, `"alertname"`) {
				if strings.Contains(alert, "WireGuardPeerStale") && strings.Contains(alert, "Lisbon branch") && strings.Contains(alert, want) {
					return true, ""
				}
			}
			return false, tail(body)
		})
	}
	firing("/api/v1/alerts", `"state":"firing"`)
	firing("/alertmanager/api/v2/alerts", "WireGuardPeerStale")
	if got := query(t, base, `count(ALERTS{alertname="WireGuardPeerStale",alertstate="firing"})`); !strings.Contains(got, `"1"]`) {
		t.Errorf("more tunnels than the one that was cut are stale: %s", got)
	}
}
