package grafana

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/query/duckdb"
	"github.com/orielhq/oriel/internal/query/sample"
)

// sqlSource is the type of our own data source.
const sqlSource = "oriel-sql-datasource"

// ofPackets are dashboards over the records of packets. The plug-in's test asks
// the demo for their panels (e2e TestGrafanaPlugin).
var ofPackets = map[string]bool{"oriel-packet-records": true, "oriel-top-talkers": true}

var sqlStart = time.Date(2026, 8, 20, 0, 0, 0, 0, time.UTC)

// sqlService answers over a lake of three hours.
func sqlService(t *testing.T) (s *query.Service, engine *duckdb.Engine, lake string) {
	t.Helper()
	lake = t.TempDir()
	if err := sample.Lake(lake, 1, sqlStart, 3, 2000); err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	engine, err := duckdb.Open(t.Context(), duckdb.Config{MemoryLimit: 256 << 20, Threads: 2, TempDir: temp, SpillLimit: 64 << 20, Dirs: []string{lake, temp}})
	if errors.Is(err, query.ErrNoEngine) {
		proctest.Without(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err = query.New(query.Default(), query.Needs{Engine: engine, Dialect: query.DuckDB{}, Catalog: query.Dir{Path: lake}, TempDir: temp}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, engine, lake
}

// sqlRequest is a panel's request over the first two hours.
func sqlRequest(p panel) *query.Request {
	req := &query.Request{
		From: sqlStart, To: sqlStart.Add(2*time.Hour - time.Millisecond), IntervalMS: 60_000,
		Variables: map[string]query.Variable{"target_ip": {"192.168.0.7"}},
	}
	for _, tg := range p.Targets {
		req.Queries = append(req.Queries, query.Query{RefID: tg.RefID, SQL: tg.RawSQL, Format: tg.Format, TimeColumn: tg.Time, MetricColumn: tg.Metric, Hide: tg.Hide})
	}
	return req
}

func sqlAsk(t *testing.T, s *query.Service, req *query.Request) (columns []query.Column, rows [][]any, err error) {
	t.Helper()
	answers, done, err := s.Do(t.Context(), req)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	for _, a := range answers {
		c, batches, err := a.Batches(t.Context())
		if err != nil {
			return nil, nil, err
		}
		columns = append(columns, c...)
		for part, err := range batches {
			if err != nil {
				return nil, nil, err
			}
			rows = append(rows, part...)
		}
	}
	return columns, rows, nil
}

// TestSQLTargets runs each SQL target and variable over a sample lake: it must
// name only columns that there are, and find something.
func TestSQLTargets(t *testing.T) {
	s, _, _ := sqlService(t)
	files, err := filepath.Glob("sql/*/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		known[strings.TrimSpace(string(b))] = true
	}
	used := map[string]bool{}
	forEach(t, func(t *testing.T, _ []byte, d dashboard) {
		for _, p := range d.allPanels() {
			if p.Datasource.Type != sqlSource {
				continue
			}
			for _, tg := range p.Targets {
				if used[tg.RawSQL] = true; !known[tg.RawSQL] {
					t.Errorf("panel %q, %s: the SQL is in no file of sql/", p.Title, tg.RefID)
				}
			}
			if ofPackets[d.UID] {
				continue // the sample has flows only
			}
			if _, rows, err := sqlAsk(t, s, sqlRequest(p)); err != nil || len(rows) == 0 {
				t.Errorf("panel %q: %d rows, %v", p.Title, len(rows), err)
			}
		}
		for _, v := range d.Templating.List {
			if v.Type != "query" || v.Datasource.Type != sqlSource {
				continue
			}
			q, _ := v.Query.(map[string]any)
			text, _ := q["query"].(string)
			if used[text] = true; !known[text] || v.Definition != text {
				t.Errorf("variable %s: the SQL is in no file of sql/, or not the definition", v.Name)
			}
			req := &query.Request{From: sqlStart, To: sqlStart.Add(time.Hour), Queries: []query.Query{{SQL: text}}}
			if _, rows, err := sqlAsk(t, s, req); err != nil || len(rows) != 40 {
				t.Errorf("variable %s: %d values, %v; want 40", v.Name, len(rows), err)
			}
		}
	})
	for text := range known {
		if !used[text] {
			t.Errorf("no dashboard uses\n%s", text)
		}
	}
}

// TestFlowPanelsAgreeWithPlainSQL compares the panels with SQL over the files
// themselves: no macro, no view, no choice of files.
func TestFlowPanelsAgreeWithPlainSQL(t *testing.T) {
	s, engine, lake := sqlService(t)
	files, err := filepath.Glob(filepath.Join(lake, "flows", "*", "*", "*.parquet"))
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v, %v", files, err)
	}
	const during = "start_time >= TIMESTAMP '2026-08-20 00:00:00' AND start_time < TIMESTAMP '2026-08-20 02:00:00'"
	plain := map[int]string{
		1: "SELECT action, count(*)::DOUBLE FROM raw WHERE target_ip = '192.168.0.7' AND " + during + " GROUP BY 1 ORDER BY 1",
		2: "SELECT date_trunc('hour', connection_start_time), count(*) FILTER (WHERE action = 'accepted')::DOUBLE, count(*) FILTER (WHERE action = 'rejected')::DOUBLE FROM raw WHERE target_ip = '192.168.0.7' AND " + during + " GROUP BY 1 ORDER BY 1",
		3: "SELECT initiator_ip, count(*)::DOUBLE FROM raw WHERE action = 'rejected' AND target_ip = '192.168.0.7' AND " + during + " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 25",
		4: "SELECT target_ip, count(*)::DOUBLE FROM raw WHERE action = 'rejected' AND direction = 'I' AND " + during + " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
		5: "SELECT initiator_ip, count(*)::DOUBLE, count(DISTINCT target_ip)::DOUBLE, count(DISTINCT target_port)::DOUBLE FROM raw WHERE action = 'rejected' AND direction = 'I' AND " + during + " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5",
	}
	// Per second of each minute, of one of two kinds.
	rate := func(what, kind, first, second string) string {
		one := func(value string) string {
			return "coalesce(sum(" + what + "_from_initiator + " + what + "_from_target) FILTER (WHERE " + kind + " = '" + value + "'), 0)::DOUBLE / 60"
		}
		return "SELECT date_trunc('minute', start_time), " + one(first) + ", " + one(second) + " FROM raw WHERE " + during + " GROUP BY 1 ORDER BY 1"
	}
	plain[7], plain[8] = rate("bytes", "action", "accepted", "rejected"), rate("packets", "action", "accepted", "rejected")
	plain[9] = rate("bytes", "direction", "I", "O")
	plain[10] = "SELECT date_trunc('minute', start_time), sum(bytes_from_initiator + bytes_from_target)::DOUBLE / 60 FROM raw WHERE " + during + " GROUP BY 1 ORDER BY 1"
	forEach(t, func(t *testing.T, _ []byte, d dashboard) {
		if d.UID != "oriel-flow-logs" {
			return
		}
		for _, p := range d.Panels {
			columns, got, err := sqlAsk(t, s, sqlRequest(p))
			if err != nil {
				t.Errorf("panel %q: %v", p.Title, err)
				continue
			}
			if p.ID == 6 {
				if len(got) != 35 {
					t.Errorf("flow_flat has %d columns; want IBM's 35", len(got))
				}
				continue
			}
			r, err := engine.Query(t.Context(), query.Statement{SQL: plain[p.ID], Views: []query.View{{Name: "raw", Files: files}}})
			if err != nil {
				t.Fatal(err)
			}
			var want [][]any
			for {
				row := make([]any, len(r.Columns()))
				if r.Next(row) != nil {
					break
				}
				want = append(want, row)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if p.ID == 2 && columns[1].Labels["action"] != "accepted" {
				t.Errorf("series %+v; want accepted first", columns)
			}
			if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(got)); len(want) == 0 || diff != "" {
				t.Errorf("panel %q (-want +got):\n%s", p.Title, diff)
			}
		}
	})
}
