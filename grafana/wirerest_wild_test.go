package grafana

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// TestWireRestDashboardInTheWild: the expressions of WireRest's own dashboard
// (grafana.com 19458), its variables filled in, return data from our page.
func TestWireRestDashboardInTheWild(t *testing.T) {
	suite, err := promqltest.NewLazyLoader(twoHosts(t), promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true})
	if err != nil {
		t.Fatal(err)
	}
	defer suite.Close()
	now := time.Unix(0, 0).UTC().Add(10 * time.Minute)
	suite.WithSamplesTill(now, func(e error) { err = e })
	if err != nil {
		t.Fatal(err)
	}
	const chosen = `application="WireRest-wg0",instance="gw1:9586"`
	for _, expr := range []string{
		`wirerest_peers_total{` + chosen + `}`,
		`sum(wirerest_network_transmit_bytes_total{` + chosen + `})`,
		`(wirerest_iface_ipv4_total{` + chosen + `}-wirerest_iface_ipv4_free{` + chosen + `})/wirerest_iface_ipv4_total{` + chosen + `}`,
		`wirerest_network_transmit_bytes_total{` + chosen + `,type="transfer"}`,
		`wirerest_network_transmit_bytes_total{` + chosen + `,type="receive"}`,
		`delta(wirerest_peers_total{` + chosen + `}[1m])`,
		`increase(wirerest_peers_total{` + chosen + `}[1m])`,
		`increase(wirerest_network_transmit_bytes_total{` + chosen + `}[1m])`,
		`increase(wirerest_network_transmit_bytes_total{` + chosen + `}[1h])`,
		`increase(wirerest_network_transmit_bytes_total{` + chosen + `}[12h])`,
		`increase(wirerest_network_transmit_bytes_total{` + chosen + `}[24h])`,
		`increase(wirerest_network_transmit_bytes_total{` + chosen + `}[1w])`,
		`sum(increase(http_server_requests_seconds_count{uri!="/actuator/prometheus",` + chosen + `}[1h]))`,
		`sum(increase(http_server_requests_seconds_count{uri!="/actuator/prometheus",` + chosen + `}[72h]))`,
		`sum(rate(http_server_requests_seconds_count{` + chosen + `}[1m]))`,
		`sum(rate(http_server_requests_seconds_count{` + chosen + `,status=~"5.."}[1m]))`,
		`sum(rate(http_server_requests_seconds_sum{` + chosen + `,status!~"5.."}[1m]))/sum(rate(http_server_requests_seconds_count{` + chosen + `,status!~"5.."}[1m]))`,
		`max(http_server_requests_seconds_max{` + chosen + `,status!~"5.."})`,
	} {
		q, err := suite.QueryEngine().NewInstantQuery(t.Context(), suite.Queryable(), nil, expr, now)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		res := q.Exec(t.Context())
		if v, ok := res.Value.(promql.Vector); res.Err != nil || !ok || len(v) == 0 {
			t.Errorf("%s: %d series, %v; want some", expr, len(v), res.Err)
		}
		q.Close()
	}
}
