package grafana

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// TestPanelsShowData evaluates each target over the series of the golden files, as two
// hosts give them, each growing by one every 15 s. A join that is ambiguous with two
// hosts, or that matches nothing, parses well and shows only here.
func TestPanelsShowData(t *testing.T) {
	suite, now := loaded(t)
	forEach(t, func(t *testing.T, _ []byte, d dashboard) {
		for _, p := range d.allPanels() {
			for _, tg := range p.Targets {
				if p.Datasource.Type == sqlSource {
					continue // TestSQLTargets
				}
				expr := d.substitute(t, tg.Expr, ".*")
				q, err := suite.QueryEngine().NewRangeQuery(t.Context(), suite.Queryable(), nil, expr, now.Add(-time.Minute), now, 15*time.Second)
				if err != nil {
					t.Errorf("panel %q, %s: %v", p.Title, tg.RefID, err)
					continue
				}
				res := q.Exec(t.Context())
				if m, ok := res.Value.(promql.Matrix); res.Err != nil || !ok || len(m) == 0 {
					t.Errorf("panel %q, %s: %d series, %v; want some\n%s", p.Title, tg.RefID, len(m), res.Err, expr)
				}
				q.Close()
			}
		}
	})
}

// loaded is a loader with the series of two hosts, up to now.
func loaded(t *testing.T) (suite *promqltest.LazyLoader, now time.Time) {
	t.Helper()
	suite, err := promqltest.NewLazyLoader(twoHosts(t), promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = suite.Close() }) // it has no files that could stay
	now = time.Unix(0, 0).UTC().Add(10 * time.Minute)
	suite.WithSamplesTill(now, func(e error) { err = e })
	if err != nil {
		t.Fatal(err)
	}
	return suite, now
}

func twoHosts(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../internal/*/testdata/metrics.prom")
	deeper, _ := filepath.Glob("../internal/*/*/testdata/metrics.prom") // the pattern is valid
	files = append(files, deeper...)
	if err != nil {
		t.Fatal(err)
	}
	series := regexp.MustCompile(`^(\w+)(?:\{(.*)\})? \S+$`)
	var b strings.Builder
	b.WriteString("load 15s\n")
	for _, host := range []string{`instance="gw1:9586",job="wireguard"`, `instance="gw2:9586",job="wireguard"`} {
		fmt.Fprintf(&b, "  up{%s} 1+0x40\n", host)
		for _, alert := range []string{"WireGuardInterfaceDown", "NeuVectorEnforcerDisconnected"} {
			fmt.Fprintf(&b, "  ALERTS{%s,alertname=%q,alertstate=\"firing\",severity=\"critical\"} 1+0x40\n", host, alert)
		}
		for _, file := range files {
			page, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(page)) {
				m := series.FindStringSubmatch(strings.TrimSpace(line))
				if m == nil {
					continue // a comment
				}
				ls := host
				if m[2] != "" {
					ls += "," + m[2]
				}
				fmt.Fprintf(&b, "  %s{%s} 1+1x40\n", m[1], ls)
			}
		}
	}
	return b.String()
}
