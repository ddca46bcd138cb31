//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/orielhq/oriel/internal/query"
)

type flow struct {
	Start  time.Time `parquet:"start_time,timestamp(microsecond)"`
	Action string    `parquet:"action"`
	Bytes  int64     `parquet:"bytes"`
}

// engine opens an engine with a file of three flows.
func engine(t testing.TB) (e *Engine, dir, file string) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, "a.parquet")
	at := time.Date(2026, 8, 20, 1, 0, 0, 0, time.UTC)
	if err := parquet.WriteFile(file, []flow{{at, "accepted", 1}, {at.Add(time.Hour), "rejected", 2}, {at.Add(2 * time.Hour), "rejected", 4}}); err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.Context(), Config{MemoryLimit: 256 << 20, Threads: 2, TempDir: filepath.Join(dir, "tmp"), SpillLimit: 64 << 20, Dirs: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, dir, file
}

func all(t testing.TB, e *Engine, st query.Statement) ([]query.Column, [][]any, error) {
	t.Helper()
	r, err := e.Query(t.Context(), st)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	var out [][]any
	for {
		row := make([]any, len(r.Columns()))
		if err := r.Next(row); errors.Is(err, io.EOF) {
			return r.Columns(), out, nil
		} else if err != nil {
			return nil, nil, err
		}
		out = append(out, row)
	}
}

func TestOnlyGivenTablesAreRead(t *testing.T) {
	e, dir, file := engine(t)
	for _, bad := range []string{
		"SELECT * FROM read_parquet('" + file + "')", "SELECT * FROM '" + file + "'", "SELECT * FROM read_csv('/etc/passwd')",
		"SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM glob('/*')", "COPY (SELECT 1) TO '" + dir + "/x.csv'", "ATTACH '" + dir + "/x.db'",
		"PRAGMA database_list", "SET threads = 9", "CREATE TABLE x(a INT)", "INSERT INTO flows VALUES (1)", "INSTALL httpfs", "LOAD httpfs",
		"SELECT 1; SELECT 2", "SELECT 1; DROP VIEW flows", "CALL pragma_version()", "SELECT * FROM duckdb_settings()", "SELECT * FROM pragma_table_info('flows')",
		"SELECT getenv('HOME')", "SELECT current_setting('temp_directory')", "SELECT * FROM query('SELECT 1')", "SELECT * FROM query_table('flows')",
		"EXPORT DATABASE '" + dir + "/e'", "SELECT * FROM duckdb_secrets()", "SELECT * FROM information_schema.tables", "SELECT * FROM main.flows",
		"WITH a AS (SELECT * FROM read_csv('/etc/passwd')) SELECT * FROM a", "SELECT (SELECT content FROM read_text('/etc/passwd'))",
		"SELECT * FROM (SELECT * FROM read_text('/etc/passwd'))", "SELECT * FROM flows WHERE action IN (SELECT content FROM read_text('/etc/passwd'))",
		"SELECT * FROM flows, LATERAL (SELECT * FROM glob('*'))", "SELECT 1 UNION SELECT content FROM read_text('/etc/passwd')", "FROM sniff_csv('/etc/passwd')",
		"SELECT * FROM flows ORDER BY (SELECT count(*) FROM glob('/*'))", "SELECT * FROM json_execute_serialized_sql('{}')", "VACUUM", "CHECKPOINT", "SHOW ALL TABLES",
		"EXPLAIN ANALYZE SELECT 1", "BEGIN", "DELETE FROM flows", "SELECT * FROM parquet_metadata('" + file + "')", "SELECT * FROM 's3://a/b.parquet'", "SELECT write_log('x')",
	} {
		shape, err := e.Inspect(t.Context(), bad)
		if err != nil {
			continue
		}
		// What gets through is a table that the catalog does not have.
		for _, ref := range shape.Tables {
			if ref.Table != "flows" {
				err = errors.New("no such table")
			}
		}
		if err == nil {
			t.Errorf("Inspect(%s): no error", bad)
		}
	}
}

// TestLockHoldsWithoutInspection: the engine itself refuses too.
func TestLockHoldsWithoutInspection(t *testing.T) {
	e, dir, _ := engine(t)
	for _, bad := range []string{
		"SELECT * FROM read_text('/etc/passwd')", "COPY (SELECT 1) TO '" + dir + "/x.csv'", "SET threads = 9", "SELECT * FROM 'http://127.0.0.1:1/x.csv'",
		"INSTALL httpfs", "ATTACH '/tmp/x.db'", "SELECT * FROM glob('/etc/*')", "CREATE TABLE x(a INT)",
	} {
		if _, rows, err := all(t, e, query.Statement{SQL: bad}); err == nil {
			t.Errorf("Query(%s) = %v; want an error", bad, rows)
		}
	}
	if err := e.Export(t.Context(), query.Statement{SQL: "SELECT 1"}, "csv", filepath.Join(t.TempDir(), "out.csv")); err == nil {
		t.Error("Export wrote outside of its folders")
	}
}

func TestAllowedQueriesPass(t *testing.T) {
	e, _, _ := engine(t)
	for _, good := range []string{
		"SELECT count(*) FROM range(1000000000) t(i)", "SELECT repeat('x', 4000000000), format('{:20}', 1234567890)",
		"SELECT * FROM flows", "WITH a AS (SELECT 1 AS x), b AS (SELECT * FROM a) SELECT * FROM b", "FROM flows", "VALUES (1)", "SELECT * FROM (DESCRIBE flows)",
		"WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT * FROM r", "SELECT * FROM range(3)", "(SELECT 1) UNION ALL (SELECT 2)",
		"SELECT unnest([1, 2])", "SELECT * FROM flows f JOIN flows g ON f.action = g.action", "SELECT count(*) OVER () FROM flows",
	} {
		shape, err := e.Inspect(t.Context(), good)
		if err != nil {
			t.Errorf("Inspect(%s): %v", good, err)
			continue
		}
		for _, ref := range shape.Tables {
			if ref.Table != "flows" {
				t.Errorf("Inspect(%s): table %q", good, ref.Table)
			}
		}
	}
}

func TestBoundsAreThoseThatAllRowsMustPass(t *testing.T) {
	e, _, _ := engine(t)
	at := func(h int) time.Time { return time.Date(2026, 1, 1, h, 0, 0, 0, time.UTC) }
	both := query.Range{From: at(1), To: at(2)}
	const filter = "start_time >= TIMESTAMP '2026-01-01 01:00:00' AND start_time <= TIMESTAMP '2026-01-01 02:00:00'"
	for _, tt := range []struct {
		sql  string
		want []query.Range // of start_time, for each reference
	}{
		{"SELECT 1 FROM flows WHERE " + filter, []query.Range{both}},
		{"SELECT 1 FROM flows WHERE x AND (y AND " + filter + ")", []query.Range{both}},
		{"SELECT 1 FROM flows WHERE TRY_CAST(start_time AS TIMESTAMPTZ) >= TIMESTAMPTZ '2026-01-01 02:00:00+01:00'", []query.Range{{From: at(1)}}},
		{"SELECT 1 FROM flows WHERE TIMESTAMP '2026-01-01 01:00' < start_time", []query.Range{{From: at(1)}}},
		{"SELECT 1 FROM flows WHERE start_time BETWEEN TIMESTAMP '2026-01-01 01:00' AND TIMESTAMP '2026-01-01T02:00:00'", []query.Range{both}},
		{"SELECT 1 FROM flows WHERE x OR " + filter, []query.Range{{}}},
		{"SELECT 1 FROM flows WHERE NOT (" + filter + ")", []query.Range{{}}},
		{"SELECT 1 FROM flows WHERE start_time + INTERVAL 1 DAY >= TIMESTAMP '2026-01-01'", []query.Range{{}}},
		{"SELECT 1 FROM flows f WHERE f." + strings.ReplaceAll(filter, "AND ", "AND f."), []query.Range{both}},
		{"SELECT 1 FROM (SELECT * FROM flows) WHERE " + filter, []query.Range{{}}},
		{"SELECT 1 FROM flows WHERE a IN (SELECT b FROM flows) AND " + filter, []query.Range{both, {}}},
		{"SELECT 1 FROM flows a, flows b WHERE a." + strings.ReplaceAll(filter, "AND ", "AND a."), []query.Range{both, {}}},
		{"SELECT 1 FROM flows a ANTI JOIN flows b USING (c) WHERE " + filter, []query.Range{both, {}}},
		{"SELECT 1 FROM flows a ASOF JOIN flows b USING (c, start_time) WHERE " + filter, []query.Range{both, {}}},
		{"SELECT 1 FROM flows a POSITIONAL JOIN flows b WHERE a.start_time >= TIMESTAMP '2026-01-01'", []query.Range{{}, {}}},
		{"SELECT 1 FROM flows a LEFT JOIN flows b ON a.c = b.c WHERE b.start_time >= TIMESTAMP '2026-01-01 01:00'", []query.Range{{}, {From: at(1)}}},
		{"SELECT 1 FROM flows WHERE start_time >= TIMESTAMP '2026-01-01 01:00:00+01:00'", []query.Range{{}}},
	} {
		shape, err := e.Inspect(t.Context(), tt.sql)
		if err != nil {
			t.Errorf("Inspect(%s): %v", tt.sql, err)
			continue
		}
		var got []query.Range
		for _, ref := range shape.Tables {
			got = append(got, ref.Bounds["start_time"])
		}
		if len(got) == 2 && got[0] == (query.Range{}) && tt.want[0] != got[0] { // the order of references is the parser's
			got[0], got[1] = got[1], got[0]
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("bounds of %s (-want +got):\n%s", tt.sql, diff)
		}
	}
}

func TestValuesOfAllTypes(t *testing.T) {
	e, _, _ := engine(t)
	columns, rows, err := all(t, e, query.Statement{SQL: `SELECT sum(x)::HUGEINT AS a, 1.25::DECIMAL(10,2) AS b, [1, NULL] AS c, {'k': [1.5]} AS d, 'nan'::DOUBLE AS e,
		TIMESTAMP '2026-01-02 03:04:05' AS f, DATE '2026-01-02' AS g, uuid '00000000-0000-0000-0000-00000000000a' AS h, NULL AS i, true AS j, 'x'::BLOB AS k,
		5::UBIGINT AS l, 7::TINYINT AS m, MAP {'a': 1} AS n, INTERVAL 1 DAY AS o, TIMESTAMPTZ '2026-01-02 03:04:05+01' AS p, '{"a": 1}'::JSON AS q, TIME '01:02:03' AS r,
		['nan'::DOUBLE] AS s, 'a'::ENUM('a') AS t FROM range(3) t(x)`})
	if err != nil {
		t.Fatal(err)
	}
	if f, _ := rows[0][4].(float64); !math.IsNaN(f) {
		t.Errorf("e = %v; want NaN", rows[0][4])
	}
	rows[0][4] = nil
	want := []any{
		3.0, 1.25, "[1,null]", `{"k":[1.5]}`, nil, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
		"00000000-0000-0000-0000-00000000000a", nil, true, "78", 5.0, int64(7), `{"a":1}`, "0 months 1 days 0s", time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC), `{"a":1}`, "01:02:03", `["NaN"]`, "a",
	}
	if diff := cmp.Diff(want, rows[0]); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if columns[0].Kind != query.Float || columns[5].Kind != query.Time || columns[2].Kind != query.String {
		t.Errorf("columns = %+v", columns)
	}
}

func TestViewsBelongToOneStatement(t *testing.T) {
	e, dir, file := engine(t)
	flows := query.View{Name: "flows", Files: []string{file}}
	rejected := query.View{Name: "rejected", SQL: "SELECT * FROM flows WHERE action = 'rejected'"}
	_, rows, err := all(t, e, query.Statement{SQL: "SELECT sum(bytes) AS b FROM rejected", Views: []query.View{flows, rejected}})
	if diff := cmp.Diff([][]any{{6.0}}, rows); err != nil || diff != "" {
		t.Errorf("rows: %v (-want +got):\n%s", err, diff)
	}
	if _, _, err := all(t, e, query.Statement{SQL: "SELECT * FROM rejected"}); err == nil {
		t.Error("a view outlived its statement")
	}
	empty := query.View{Name: "flows", Columns: []query.Column{{Name: "bytes", Type: "BIGINT"}}}
	_, rows, err = all(t, e, query.Statement{SQL: "SELECT count(bytes) AS b FROM flows", Views: []query.View{empty}})
	if diff := cmp.Diff([][]any{{int64(0)}}, rows); err != nil || diff != "" {
		t.Errorf("rows of no files: %v (-want +got):\n%s", err, diff)
	}
	out := filepath.Join(dir, "out.json")
	if err := e.Export(t.Context(), query.Statement{SQL: "SELECT sum(bytes) AS b FROM flows", Views: []query.View{flows}}, "json", out); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(out); err != nil || strings.TrimSpace(string(b)) != `{"b":7}` {
		t.Errorf("exported %q, %v", b, err)
	}
}

func TestRefusalsHaveTheirPlace(t *testing.T) {
	e, _, _ := engine(t)
	for sql, at := range map[string]int{
		"SELECT 'ü', getenv('x')":            13,
		"SELECT 1 FROM flows, read_csv('x')": 21,
		"SELECT *\nFROM main.flows":          14,
		"SELECT (SELECT pragma_version())":   15,
		"SELECT * FROM (SHOW TABLES)":        -1, // DuckDB does not tell
	} {
		_, err := e.Inspect(t.Context(), sql)
		if refused, ok := errors.AsType[*query.EngineError](err); !ok || refused.Offset != at {
			t.Errorf("%s: %#v; want a refusal at %d", sql, err, at)
		}
	}
}

// TestTablesUnderOtherNames: tables stand before the statement, whose own names hide them as they would hide views.
func TestTablesUnderOtherNames(t *testing.T) {
	e, _, file := engine(t)
	views := []query.View{{Name: "flows", Files: []string{file}}, {Name: "rejected", SQL: "SELECT * FROM flows WHERE action = 'rejected'"}}
	for sql, want := range map[string]any{
		"WITH flows AS (SELECT * FROM flows WHERE bytes > 1) SELECT count(*) AS n FROM flows":                                         int64(2),
		"WITH a AS (SELECT * FROM flows), flows AS (SELECT * FROM a) SELECT count(*) AS n FROM flows":                                 int64(3),
		"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < (SELECT count(*) FROM flows)) SELECT max(n) FROM r": int64(3),
		"WITH rejected AS (SELECT * FROM rejected) SELECT count(*) FROM rejected, flows":                                              int64(6),
		"SELECT sum((SELECT max(bytes) FROM flows f WHERE f.action = g.action)) FROM flows g":                                         9.0,
		"(SELECT 5 AS a FROM flows) UNION (SELECT 5 FROM rejected) -- the end":                                                        int64(5),
		"SELECT max(column_name) FROM (DESCRIBE rejected)":                                                                            "start_time",
		"SELECT max(column_name) FROM (SUMMARIZE flows)":                                                                              "start_time",
	} {
		_, rows, err := all(t, e, query.Statement{SQL: sql, Views: views})
		if diff := cmp.Diff([][]any{{want}}, rows); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", sql, err, diff)
		}
	}
	_, _, err := all(t, e, query.Statement{SQL: "SELECT bytes,\n nothing FROM flows", Views: views})
	if at, ok := errors.AsType[*query.EngineError](err); !ok || at.Offset != len("SELECT bytes,\n ") {
		t.Errorf("%v; want the place of the column", err)
	}
}

func TestEndlessQueryEndsWithItsContext(t *testing.T) {
	e, _, _ := engine(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	r, err := e.Query(ctx, query.Statement{SQL: "SELECT count(*) FROM range(1000000000000) t(x) WHERE hash(x) = 1"})
	if err == nil {
		err = r.Next(make([]any, 1))
		_ = r.Close()
	}
	if err == nil || time.Since(start) > 20*time.Second {
		t.Errorf("after %s: %v; want an error soon", time.Since(start), err)
	}
	if _, rows, err := all(t, e, query.Statement{SQL: "SELECT 1 AS a"}); err != nil || len(rows) != 1 {
		t.Errorf("the engine after it: %v, %v", rows, err)
	}
}

func TestGreedyQueryIsStopped(t *testing.T) {
	e, _, _ := engine(t)
	_, _, err := all(t, e, query.Statement{SQL: "SELECT list(x || 'abcdefghijklmnopqrstuvwxyz') FROM range(50000000) t(x)"})
	if err == nil || !strings.Contains(err.Error(), "emory") && !strings.Contains(err.Error(), "temp") {
		t.Errorf("error %v; want one about memory", err)
	}
	if _, rows, err := all(t, e, query.Statement{SQL: "SELECT 1 AS a"}); err != nil || len(rows) != 1 {
		t.Errorf("the engine after it: %v, %v", rows, err)
	}
}

func TestDeepNestingIsAnError(t *testing.T) {
	e, _, _ := engine(t)
	for _, sql := range []string{
		"SELECT " + strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000),
		"SELECT " + strings.Repeat("1+", 100_000) + "1",
		"SELECT " + strings.Repeat("NOT ", 100_000) + "true",
		strings.Repeat("SELECT * FROM (", 50_000) + "SELECT 1" + strings.Repeat(")", 50_000),
		"SELECT " + strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000),
	} {
		if _, err := e.Inspect(t.Context(), sql); err == nil {
			t.Errorf("Inspect(%.20s...): no error", sql)
		}
	}
}

// TestLongFunctionEndsWithItsContext: also one of ours, which DuckDB cannot interrupt.
func TestLongFunctionEndsWithItsContext(t *testing.T) {
	e, _, _ := engine(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	const long = "SELECT oriel_dtw(list(x), list(x)) FROM (SELECT CAST(x AS DOUBLE) AS x FROM range(32000) r(x))"
	rows, err := e.Query(ctx, query.Statement{SQL: long})
	if err == nil {
		err = errors.Join(rows.Next(make([]any, 1)), rows.Close())
	}
	if err == nil {
		t.Error("it ran to its end")
	}
	for bad, want := range map[string]string{
		"SELECT oriel_dtw(list(x), list(x)) FROM (SELECT CAST(x AS DOUBLE) AS x FROM range(40000) r(x))": "too many",
		"SELECT oriel_fft(list(x), ['f']) FROM (SELECT CAST(x AS DOUBLE) AS x FROM range(1100000) r(x))": "at most 1048576",
	} {
		if _, _, err := all(t, e, query.Statement{SQL: bad}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", bad, err, want)
		}
	}
}
