package proxy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
)

// Two worlds that differ only in what other tenants have.
const ours = `
load 30s
  vc_up{company_name="acme",tunnel_id="1",instance="p",job="j"} 1+1x20
  vc_up{company_name="acme",tunnel_id="2",instance="p",job="j"} 5+0x20
  lat_bucket{company_name="acme",tunnel_id="1",le="0.1"} 0+1x20
  lat_bucket{company_name="acme",tunnel_id="1",le="1"} 0+3x20
  lat_bucket{company_name="acme",tunnel_id="1",le="+Inf"} 0+4x20
  native{company_name="acme"} {{schema:0 sum:5 count:4 buckets:[1 2 1]}}x20
  target_info{company_name="acme",instance="p",job="j",data="acme's"} 1x20
`

const theirs = `
load 30s
  vc_up{company_name="other",tunnel_id="1",instance="p",job="j"} 1000+7x20
  vc_up{company_name="other",tunnel_id="3",instance="p",job="j",secret="s"} 7x20
  vc_up{tunnel_id="4",instance="p",job="j"} 77x20
  vc_up{company_name="acme2",tunnel_id="5"} 777x20
  only_theirs{company_name="other"} 42x20
  lat_bucket{company_name="other",tunnel_id="1",le="0.1"} 0+90x20
  lat_bucket{company_name="other",tunnel_id="1",le="+Inf"} 0+100x20
  native{company_name="other"} {{schema:0 sum:500 count:400 buckets:[100 200 100]}}x20
  target_info{company_name="other",instance="p",job="j",data="theirs",secret="s"} 1x20
`

// hostile are queries that try to see, count or be changed by what is not the tenant's.
var hostile = []string{
	`vc_up`, `{__name__=~".+"}`, `{__name__!=""}`, `{__name__=~"vc_.*|only.*"}`, `{"vc_up"}`, `{"vc_up",company_name=~".*"}`, `{company_name!="nobody",__name__!=""}`,
	`vc_up{company_name=~"acme|other"}`, `vc_up{company_name=~".*"}`, `vc_up{company_name!~"x"}`, `vc_up{company_name=""} or vc_up`, `vc_up{company_name="other"}`,
	`max_over_time(vc_up[5m:30s])`, `max_over_time(sum(vc_up)[5m:30s])`, `max_over_time((vc_up or only_theirs)[5m:30s] offset 1m)`,
	`vc_up @ 300`, `vc_up @ start()`, `sum(vc_up offset 1m) - sum(vc_up @ end())`, `vc_up offset -1m`,
	`absent(only_theirs)`, `absent_over_time(only_theirs[5m])`, `count({__name__=~".+"})`, `count by (company_name) (vc_up)`, `group by (secret) (vc_up)`, `count_values("company_name", vc_up)`,
	`histogram_quantile(0.9, sum by (le) (rate(lat_bucket[5m])))`, `histogram_sum(sum(native))`, `histogram_fraction(0, 1, sum(native))`, `histogram_avg(native)`, `histogram_stddev(sum(native))`,
	`label_replace(vc_up, "company_name", "other", "", "")`, `sum by (company_name) (label_replace(vc_up, "company_name", "other", "tunnel_id", "1"))`,
	`label_join(vc_up, "company_name", "", "tunnel_id")`, `label_replace(vc_up{company_name="acme"}, "company_name", "$1", "__name__", "(.*)") + on (tunnel_id) vc_up`,
	`info(vc_up)`, `info(vc_up, {data=~".+"})`, `info(vc_up, {__name__="target_info",company_name="other"})`,
	`vc_up * on (tunnel_id) group_left (company_name) vc_up`, `vc_up and on () only_theirs`, `vc_up unless on (tunnel_id) vc_up{tunnel_id="3"}`, `vc_up or on (tunnel_id) only_theirs`,
	`vc_up + ignoring (company_name) group_left vc_up`, `vc_up == bool on (tunnel_id) vc_up`, `scalar(only_theirs)`, `vector(scalar(sum(vc_up)))`, `topk(10, {__name__=~".+"})`, `bottomk(1, vc_up)`,
	`quantile(0.5, vc_up)`, `sort_desc(vc_up)`, `timestamp(vc_up)`, `rate(vc_up[1m]) / ignoring (tunnel_id) group_left sum(rate(vc_up[1m]))`, `-vc_up`, `(((vc_up)))`, `vc_up{company_name="acme",company_name="other"}`,
	`changes(vc_up[5m])`, `predict_linear(vc_up[5m], 60)`, `last_over_time({__name__=~".*up"}[10m])`, `limitk(10, vc_up)`, `sort_by_label(vc_up, "company_name")`, `"text"`, `1 + time()`,
}

// answer is what a Prometheus with every experiment on says, series sorted.
func answer(t *testing.T, engine *promql.Engine, store storage.Queryable, query string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	q, err := engine.NewInstantQuery(ctx, store, nil, query, time.Unix(600, 0))
	if err != nil {
		return "", err
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return "error", nil // not the same words in both worlds, if they count series
	}
	rows := strings.Split(res.Value.String(), "\n")
	slices.Sort(rows)
	return strings.Join(rows, "\n"), nil
}

// FuzzIsolation: what a tenant is told does not depend on what other tenants have, whatever the query, even by a Prometheus
// that knows more functions than the proxy lets through.
func FuzzIsolation(f *testing.F) {
	for _, q := range hostile {
		f.Add(q)
	}
	alone, all := promqltest.LoadedStorage(f, ours), promqltest.LoadedStorage(f, ours+theirs)
	engine := promqltest.NewTestEngine(f, false, 0, 50_000)
	tenant := Tenant{"company_name", "acme"}
	f.Fuzz(func(t *testing.T, query string) {
		held, err := tenant.enforce(query, rules{maxRange: time.Hour})
		if err != nil {
			return
		}
		for _, unsteady := range []string{"limitk", "limit_ratio"} { // which ones they take is theirs to choose
			if strings.Contains(held, unsteady) {
				return
			}
		}
		want, err := answer(t, engine, alone, held)
		if err != nil {
			return // too deep for the engine, which says so of any storage
		}
		if got, err := answer(t, engine, all, held); err != nil || got != want {
			t.Errorf("%q became %q, which says\n%s\nwith other tenants, and\n%s\nwithout: %v", query, held, got, want, err)
		}
	})
}

// TestHostileQueries: each is answered of one's own world, or refused; and the worlds do differ to who is held to nothing.
func TestHostileQueries(t *testing.T) {
	alone, all := promqltest.LoadedStorage(t, ours), promqltest.LoadedStorage(t, ours+theirs)
	engine := promqltest.NewTestEngine(t, false, 0, 50_000)
	answered, differ := 0, 0
	for _, query := range hostile {
		open, _ := answer(t, engine, all, query)
		if own, _ := answer(t, engine, alone, query); open != own {
			differ++
		}
		held, err := Tenant{"company_name", "acme"}.Enforce(query)
		if err != nil {
			named := strings.Contains(query, `company_name="other"`) || strings.Contains(query, `company_name=""`)
			experimental := strings.Contains(query, "info(") || strings.Contains(query, "limitk") || strings.Contains(query, "sort_by_label")
			if !experimental && (!named || !errors.Is(err, ErrContradiction)) {
				t.Errorf("%q is refused: %v", query, err)
			}
			continue
		}
		answered++
		want, err := answer(t, engine, alone, held)
		if err != nil {
			t.Errorf("%q: %v", held, err)
		}
		got, _ := answer(t, engine, all, held)
		if got != want || strings.Contains(got, "secret") || strings.Contains(got, `"acme2"`) {
			t.Errorf("%q says\n%s\nwant\n%s", held, got, want)
		}
	}
	if answered < 40 || differ < 25 {
		t.Errorf("%d of %d queries were answered, %d would see other tenants; is this a test?", answered, len(hostile), differ)
	}
}
