package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// wild returns expressions of other people's dashboards, by the exporter they
// were made for, with their variables filled in for the demo. They must return
// data as they are (grafana/testdata/wild.json, which the unit tests read too).
func wild(t *testing.T) map[string][]string {
	t.Helper()
	var exprs map[string][]string
	if err := json.Unmarshal([]byte(read(t, "../grafana/testdata/wild.json")), &exprs); err != nil {
		t.Fatal(err)
	}
	for _, list := range exprs {
		for i := range list {
			list[i] = strings.NewReplacer("$interface", "wg-office", "$instance", "demo").Replace(list[i])
		}
	}
	return exprs
}

func TestDashboardsInTheWildHaveData(t *testing.T) {
	t.Parallel()
	base, _ := serve(t, "demo")
	exprs := wild(t)
	for _, expr := range append(exprs["own"], exprs["wirerest"]...) {
		eventually(t, 90*time.Second, base, expr, hasData)
	}
	for _, profile := range []string{"wg-easy", "wg-portal", "kbknapp", "telegraf", "netdata"} {
		t.Run(profile, func(t *testing.T) { profileHasData(t, base, profile, exprs[profile]) })
	}
	collectorsAreInSQL(t, base)
	// The simulated InfluxDB has what the dashboard shows.
	for _, expr := range []string{
		`sum by (output) (rate(oriel_influx_written_lines_total{output="demo"}[1m])) > 0`,
		`sum(increase(oriel_influx_requests_total{result="delivered"}[5m])) > 0`,
		`sum(oriel_influx_dropped_lines_total) == 0`,
	} {
		eventually(t, 60*time.Second, base, expr, hasData)
	}
	if code, page := get(t, base+"/metrics"); code != http.StatusOK || strings.Contains(page, "\njvm_") || strings.Contains(page, "\nwirerest_") {
		t.Errorf("/metrics has WireRest's metrics, which have a page of their own: %d", code)
	}
	eventually(t, 60*time.Second, base, `up{job="wirerest"} == 1 and on () (count(up == 0) or vector(0)) == 0`, hasData)
}

// profileHasData scrapes the demo's page for another exporter with a server of
// its own, as names and meanings clash, and asks what that exporter's dashboards do.
func profileHasData(t *testing.T, demo, profile string, exprs []string) {
	t.Helper()
	if len(exprs) == 0 {
		t.Fatal("no expressions")
	}
	file := write(t, filepath.Join(t.TempDir(), "oriel.yml"), fmt.Sprintf("prometheus:\n  global: {scrape_interval: 1s}\n  scrape_configs:\n"+
		"    - {job_name: vpn, metrics_path: /metrics/wireguard, params: {compat: [%s]}, static_configs: [{targets: [%q], labels: {instance: demo}}]}\n",
		profile, strings.TrimPrefix(demo, "http://")))
	base, p := serve(t, "serve", "--config.file", file)
	for _, expr := range exprs {
		eventually(t, 30*time.Second, base, expr, hasData)
	}
	p.stop(t)
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
