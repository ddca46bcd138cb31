package grafana

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// TestOtherExportersDashboardsShowData evaluates what dashboards of other
// exporters ask on our page for them, /metrics/wireguard?compat=<profile>.
func TestOtherExportersDashboardsShowData(t *testing.T) {
	for profile, exprs := range map[string][]string{
		"wg-easy": {
			`wireguard_configured_peers`, `wireguard_enabled_peers{interface="wg0"}`, `sum(wireguard_connected_peers)`,
			`rate(wireguard_sent_bytes{name=~".+"}[5m])`, `sum by (name) (increase(wireguard_received_bytes[5m]))`,
			`wireguard_latest_handshake_seconds{enabled="true"}`, `count(wireguard_latest_handshake_seconds > 0) by (ipv4Address, ipv6Address)`,
		},
		"wg-portal": {
			`sum(wireguard_peer_up)`, `rate(wireguard_interface_received_bytes_total[5m])`, `rate(wireguard_interface_sent_bytes_total{interface="wg0"}[5m])`,
			`sum by (name, addresses) (rate(wireguard_peer_received_bytes_total[5m]))`, `sum by (id) (wireguard_peer_sent_bytes_total)`,
			`time() - wireguard_peer_last_handshake_seconds{name!=""}`,
		},
		"kbknapp": {
			`wireguard_interfaces_total`, `sum(wireguard_peers_total) by (interface)`, `irate(wireguard_bytes_total{direction="rx"}[5m])`,
			`irate(wireguard_peer_bytes_total{direction="tx",alias=~".+"}[5m])`, `wireguard_duration_since_latest_handshake / 1000`, `wireguard_peer_endpoint{endpoint_ip=~".+"}`,
		},
		"telegraf": {
			`wireguard_device_peers{name="wg0",type="linux_kernel"}`, `wireguard_device_listen_port`, `wireguard_device_firewall_mark`,
			`rate(wireguard_peer_rx_bytes[5m])`, `rate(wireguard_peer_tx_bytes{device="wg0"}[5m])`, `time() - wireguard_peer_last_handshake_time_ns / 1e9`,
			`wireguard_peer_allowed_ips{allowed_peer_cidr=~".+"}`, `wireguard_peer_persistent_keepalive_interval_ns / 1e9`, `wireguard_peer_protocol_version{endpoint=~".+"}`,
		},
		"netdata": {
			`netdata_wireguard_device_peers_peers_average{dimension="peers"}`,
			`max by (device, public_key) (netdata_wireguard_peer_latest_handshake_ago_seconds_average{dimension="time"})`,
		},
	} {
		t.Run(profile, func(t *testing.T) {
			suite, err := promqltest.NewLazyLoader(growing(t, "../internal/wireguard/testdata/compat-"+profile+".prom"), promqltest.LazyLoaderOpts{})
			if err != nil {
				t.Fatal(err)
			}
			defer suite.Close()
			now := time.Unix(0, 0).UTC().Add(10 * time.Minute)
			suite.WithSamplesTill(now, func(e error) { err = e })
			if err != nil {
				t.Fatal(err)
			}
			for _, expr := range exprs {
				q, err := suite.QueryEngine().NewInstantQuery(t.Context(), suite.Queryable(), nil, expr, now)
				if err != nil {
					t.Errorf("%s: %v", expr, err)
					continue
				}
				res := q.Exec(t.Context())
				if v, ok := res.Value.(promql.Vector); res.Err != nil || !ok || len(v) == 0 {
					t.Errorf("%s: %v, %v; want data", expr, res.Value, res.Err)
				}
				q.Close()
			}
		})
	}
}

// growing is the page as series that grow by one every 15 s.
func growing(t *testing.T, file string) string {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	series := regexp.MustCompile(`^(\w+(?:\{.*\})?) (\S+)$`)
	var b strings.Builder
	b.WriteString("load 15s\n")
	for line := range strings.Lines(string(page)) {
		if m := series.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			_, _ = fmt.Fprintf(&b, "  %s %s+1x40\n", m[1], m[2])
		}
	}
	return b.String()
}
