package grafana

import (
	"encoding/json"
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
	for profile, exprs := range wild(t) {
		if profile == "own" || profile == "wirerest" || profile == "netcap" {
			continue
		}
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
				expr = strings.ReplaceAll(expr, "$interface", "wg0")
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

// wild are the expressions of other people's dashboards and alerts, by the
// exporter that they were made for; "own" are MindFlavor's and mdlayher's,
// whose names are on our own page (tuladhar, secshellnet, kilo, pi-tale,
// grafana.com 12177, 17251, 19458, 21733). Variables are $interface and $instance.
func wild(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile("testdata/wild.json")
	if err != nil {
		t.Fatal(err)
	}
	var exprs map[string][]string
	if err := json.Unmarshal(b, &exprs); err != nil {
		t.Fatal(err)
	}
	return exprs
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
