package grafana

import (
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql"
)

// TestWireRestDashboardInTheWild: the expressions of WireRest's own dashboard
// (grafana.com 19458), its variables filled in, return data from our page.
func TestWireRestDashboardInTheWild(t *testing.T) {
	suite, now := loaded(t)
	for _, expr := range wild(t)["wirerest"] {
		expr = strings.NewReplacer("$interface", "wg0", "$instance", "gw1:9586").Replace(expr)
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
