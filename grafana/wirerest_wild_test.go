package grafana

import (
	"strings"
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
