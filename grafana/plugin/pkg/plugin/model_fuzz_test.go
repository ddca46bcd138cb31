package plugin

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
)

// FuzzModel: whatever a dashboard has saved, each query either has one answer
// already or stands once, under its name, in one request that the server can read.
func FuzzModel(f *testing.F) {
	f.Add(`{"rawSql":"SELECT * FROM $__source_prev(B)","prev":{"B":"SELECT 1"}}`, `{"rawSql":"SELECT 1","hide":true}`)
	f.Add(`{"queryText":"SELECT 1","format":"time_series","time_column":"t","metrics_column":"m","get_result":false}`, `{"rawSql":"x","format":2}`)
	f.Add(`{"rawSql":"SELECT * FROM $__source_prev(B)"}`, `{"rawSql":"SELECT * FROM $__source_prev(A)"}`)
	f.Add(`{"rawSql":"'$__source_prev(B)' -- $__source_prev(B)","variables":{"a":["b"]},"filters":[{"key":"k","operator":"=","value":"v"}]}`, `null`)
	f.Fuzz(func(t *testing.T, a, b string) {
		d := &Datasource{settings: settings{MaxRows: 10}}
		groups, answered := d.plan([]backend.DataQuery{dataQuery("A", a), dataQuery("B", b)})
		asked := map[string]int{}
		for _, g := range groups {
			names := map[string]bool{}
			for _, q := range g.Queries {
				if names[q.RefID] {
					t.Errorf("%q and %q: %s twice in a request", a, b, q.RefID)
				}
				names[q.RefID] = true
				if !q.Hide {
					asked[q.RefID]++
				}
			}
			text, err := json.Marshal(g.request)
			var back request
			if err != nil || json.Unmarshal(text, &back) != nil {
				t.Errorf("%q and %q: request %q, %v", a, b, text, err)
			}
		}
		for _, ref := range []string{"A", "B"} {
			_, has := answered[ref]
			hidden := strings.Contains(map[string]string{"A": a, "B": b}[ref], "ide") // hide, in any case of letters
			if n := asked[ref]; n > 1 || has && n > 0 || !has && n == 0 && !hidden && !strings.Contains(strings.ToLower(map[string]string{"A": a, "B": b}[ref]), `\u`) {
				t.Errorf("%q and %q: %s is asked %d times, answered %v", a, b, ref, n, has)
			}
		}
	})
}

// FuzzSettings: what is taken is within its bounds, whatever Grafana has kept.
func FuzzSettings(f *testing.F) {
	f.Add(`{"queryTimeout":60,"maxRows":100,"source":"flows","oauthPassThru":true}`)
	f.Add(`{"queryTimeout":-1}`)
	f.Add(`{"queryTimeout":1e300,"maxRows":1e9}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSettings([]byte(text))
		if err == nil && (s.timeout() <= 0 || s.timeout() > maxTimeout || s.MaxRows < 1 || s.MaxRows > maxMaxRows) {
			t.Errorf("%q: %+v, %v", text, s, s.timeout())
		}
	})
}
