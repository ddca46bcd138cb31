//go:build cgo

package query_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/query/duckdb"
)

type flow struct {
	Start      time.Time  `parquet:"start_time,timestamp(microsecond:local)"`
	Connection *time.Time `parquet:"connection_start_time,optional,timestamp(microsecond:local)"`
	Action     string     `parquet:"action,dict"`
	Direction  string     `parquet:"direction,dict"`
	Initiator  string     `parquet:"initiator_ip,dict"`
	Target     string     `parquet:"target_ip,dict"`
	Port       int32      `parquet:"target_port"`
	Bytes      int64      `parquet:"bytes_from_initiator"`
}

var day = time.Date(2026, 8, 20, 0, 0, 0, 0, time.UTC)

// hourOf makes the flows of an hour: one each minute, every third rejected.
func hourOf(h int) []flow {
	var rows []flow
	for m := range 60 {
		at := day.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
		begun := at.Add(-time.Duration(m%7) * 10 * time.Minute)
		f := flow{at, &begun, "accepted", "I", fmt.Sprintf("10.0.0.%d", m%5), "192.168.0.1", 443, int64(m)}
		if m%3 == 0 {
			f.Action, f.Target = "rejected", fmt.Sprintf("192.168.0.%d", m%2+1)
		}
		rows = append(rows, f)
	}
	return rows
}

// lake is a catalog over files of hours, that counts what is asked of it.
type lake struct {
	dir string

	mu     sync.Mutex // guards what follows
	files  []query.File
	asked  []string               // the files given out last
	times  map[string]query.Range // of the last call, other than the one of filing
	held   int
	copies map[string]string // what Put got
}

func (l *lake) Tables(context.Context) ([]query.Table, error) {
	var columns []query.Column
	for _, c := range [][2]string{
		{"start_time", "TIMESTAMP"},
		{"connection_start_time", "TIMESTAMP"},
		{"action", "VARCHAR"},
		{"direction", "VARCHAR"},
		{"initiator_ip", "VARCHAR"},
		{"target_ip", "VARCHAR"},
		{"target_port", "INTEGER"},
		{"bytes_from_initiator", "BIGINT"},
	} {
		columns = append(columns, query.Column{Name: c[0], Type: c[1]})
	}
	return []query.Table{
		{Name: "flows", Columns: columns, Times: query.FlowTimes()},
		{Name: "flow_flat", Columns: columns, View: "SELECT * FROM flows", Of: []string{"flows"}, Times: query.FlowTimes()},
	}, nil
}

func (l *lake) Files(_ context.Context, _ string, r query.Range, times map[string]query.Range) ([]query.File, func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []query.File
	l.asked, l.times = nil, times
	for _, f := range l.files {
		var h int
		if _, err := fmt.Sscanf(filepath.Base(f.Path), "%d.parquet", &h); err != nil {
			return nil, nil, err
		}
		start := day.Add(time.Duration(h) * time.Hour)
		if !r.From.IsZero() && !start.Add(time.Hour).After(r.From) || !r.To.IsZero() && start.After(r.To) {
			continue
		}
		list = append(list, f)
		l.asked = append(l.asked, filepath.Base(f.Path))
	}
	l.held++
	return list, sync.OnceFunc(func() { l.mu.Lock(); l.held--; l.mu.Unlock() }), nil
}

func (l *lake) Put(_ context.Context, name, file string) error {
	b, err := os.ReadFile(file)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.copies[name] = string(b)
	return err
}

func (l *lake) write(t testing.TB, h int, rows []flow) {
	t.Helper()
	file := filepath.Join(l.dir, fmt.Sprintf("%02d.parquet", h))
	if err := parquet.WriteFile(file, rows); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files = slices.DeleteFunc(l.files, func(f query.File) bool { return f.Path == file })
	l.files = append(l.files, query.File{Path: file, ETag: fmt.Sprint(len(rows))})
	slices.SortFunc(l.files, func(a, b query.File) int { return strings.Compare(a.Path, b.Path) })
}

// counting counts what the engine runs.
type counting struct {
	query.Engine
	mu      sync.Mutex // guards queries, exports
	queries int
	exports int
}

func (c *counting) Query(ctx context.Context, st query.Statement) (query.Rows, error) {
	c.mu.Lock()
	c.queries++
	c.mu.Unlock()
	return c.Engine.Query(ctx, st)
}

func (c *counting) Export(ctx context.Context, st query.Statement, format, file string) error {
	c.mu.Lock()
	c.exports++
	c.mu.Unlock()
	return c.Engine.Export(ctx, st, format, file)
}

func (c *counting) counts() (queries, exports int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queries, c.exports
}

func service(t testing.TB, change func(*query.Config)) (*query.Service, *lake, *counting) {
	t.Helper()
	dir := t.TempDir()
	l := &lake{dir: dir, copies: map[string]string{}}
	for h := range 4 {
		l.write(t, h, hourOf(h))
	}
	temp := filepath.Join(dir, "tmp")
	e, err := duckdb.Open(t.Context(), duckdb.Config{MemoryLimit: 256 << 20, Threads: 2, TempDir: temp, SpillLimit: 64 << 20, Dirs: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := query.Default()
	if change != nil {
		change(&cfg)
	}
	c := &counting{Engine: e}
	s, err := query.New(cfg, query.Needs{Engine: c, Dialect: query.DuckDB{}, Catalog: l, Destination: l, TempDir: temp}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s, l, c
}

func request(queries ...query.Query) *query.Request {
	return &query.Request{From: "2026-08-20T01:00:00Z", To: "2026-08-20T01:59:59.999Z", Queries: queries, IntervalMS: 600_000}
}

// post sends a request to the service as HTTP does and returns the results.
func post(t testing.TB, s *query.Service, req *query.Request) (int, []map[string]any) {
	t.Helper()
	b, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/api/sql/query", bytes.NewReader(b))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var out struct{ Results []map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if out.Results == nil {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Code, out.Results
}

// rows returns the rows of the only result as JSON.
func rows(t testing.TB, s *query.Service, req *query.Request) string {
	t.Helper()
	code, results := post(t, s, req)
	if code != http.StatusOK || results[0]["error"] != nil {
		t.Fatalf("status %d: %v", code, results[0]["error"])
	}
	b, err := json.Marshal(results[len(results)-1]["rows"])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFilesAreChosenByWhatTheQueryAsks(t *testing.T) {
	s, l, _ := service(t, nil)
	for _, tt := range []struct {
		sql   string
		want  string
		files []string
	}{
		{"SELECT count(*) FROM $__source WHERE $__timeFilter", "[[60]]", []string{"01.parquet"}},
		{"SELECT count(*) FROM $__source WHERE $__timeFilterColumn(start_time, string)", "[[60]]", []string{"01.parquet"}},
		{"SELECT count(*) FROM flows WHERE $__timeFilter", "[[60]]", []string{"01.parquet"}},
		{"SELECT count(*) FROM flows WHERE $__timeFilter AND action = 'rejected'", "[[20]]", []string{"01.parquet"}},
		{"SELECT count(*) FROM flows", "[[240]]", []string{"00.parquet", "01.parquet", "02.parquet", "03.parquet"}},
		{"SELECT count(*) FROM flows WHERE $__timeFilter OR true", "[[240]]", []string{"00.parquet", "01.parquet", "02.parquet", "03.parquet"}},
		// A connection of this hour may have flows in later ones.
		{"SELECT count(*) FROM flows WHERE $__timeFilterColumn(connection_start_time)", "[[60]]", []string{"00.parquet", "01.parquet", "02.parquet", "03.parquet"}},
		{"SELECT count(*) FROM flows WHERE start_time >= $__timeFrom AND start_time <= $__timeTo", "[[60]]", []string{"01.parquet"}},
		{"SELECT count(*) FROM (SELECT start_time AS st FROM flows) WHERE $__timeFilterColumn(st)", "[[60]]", []string{"00.parquet", "01.parquet", "02.parquet", "03.parquet"}},
	} {
		if got := rows(t, s, request(query.Query{SQL: tt.sql})); got != tt.want {
			t.Errorf("%s = %s; want %s", tt.sql, got, tt.want)
		}
		if diff := cmp.Diff(tt.files, l.asked); diff != "" {
			t.Errorf("files of %s (-want +got):\n%s", tt.sql, diff)
		}
	}
	if l.held != 0 {
		t.Errorf("%d lists of files were not released", l.held)
	}
}

// TestFilesAreChosenByOtherTimesToo: the catalog hears what a query demands of a
// time by which files are not filed, as far as all its places demand it.
func TestFilesAreChosenByOtherTimesToo(t *testing.T) {
	s, l, _ := service(t, nil)
	at := func(clock string) time.Time {
		when, err := time.Parse(time.RFC3339Nano, "2026-08-20T"+clock+"Z")
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	hour := map[string]query.Range{"connection_start_time": {From: at("01:00:00"), To: at("01:59:59.999")}}
	const connected = "$__timeFilterColumn(connection_start_time, timestamp)"
	for sql, want := range map[string]map[string]query.Range{
		"SELECT count(*) FROM flows WHERE " + connected:                                              hour,
		"SELECT count(*) FROM flow_flat WHERE " + connected:                                          hour,
		"SELECT count(*) FROM flows WHERE $__timeFilter":                                             {},
		"SELECT count(*) FROM flows WHERE " + connected + " OR true":                                 {},
		"SELECT count(*) FROM flows a JOIN flows b USING (initiator_ip) WHERE a.action = 'x'":        {},
		"SELECT (SELECT count(*) FROM flows WHERE " + connected + ") + (SELECT count(*) FROM flows)": {},
		"SELECT (SELECT count(*) FROM flow_flat WHERE " + connected + ") + (SELECT count(*) FROM flows WHERE connection_start_time >= TIMESTAMP '2026-08-20 00:00:00' AND connection_start_time <= TIMESTAMP '2026-08-20 01:00:00')": {
			"connection_start_time": {From: at("00:00:00"), To: at("01:59:59.999")},
		},
	} {
		rows(t, s, request(query.Query{SQL: sql}))
		if diff := cmp.Diff(want, l.times); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sql, diff)
		}
	}
}

func TestChainRunsAsOneQuery(t *testing.T) {
	s, _, c := service(t, nil)
	got := rows(t, s, request(
		query.Query{RefID: "A", Hide: true, SQL: "SELECT action, start_time FROM $__source WHERE $__timeFilter -- all of them"},
		query.Query{RefID: "X", Hide: true, SQL: "SELECT nonsense FROM nowhere"}, // nobody needs it
		query.Query{RefID: "B", SQL: "WITH t AS (SELECT * FROM $__source_prev(A)) SELECT action, count(*) FROM t GROUP BY ALL ORDER BY action"},
	))
	if want := `[["accepted",40],["rejected",20]]`; got != want {
		t.Errorf("rows = %s; want %s", got, want)
	}
	if q, e := c.counts(); q != 1 || e != 0 {
		t.Errorf("%d queries and %d exports ran; want 1 and 0", q, e)
	}
}

func TestQueryThatSeveralReadRunsOnce(t *testing.T) {
	s, l, c := service(t, nil)
	_, results := post(t, s, request(
		query.Query{RefID: "C", SQL: "SELECT (SELECT count(*) FROM $__source_prev(A)), (SELECT count(*) FROM $__source_prev(B))"},
		query.Query{RefID: "A", SQL: "SELECT target_ip, start_time FROM $__source WHERE action = 'rejected' AND $__timeFilter ORDER BY start_time DESC"},
		query.Query{RefID: "B", Hide: true, SQL: "SELECT DISTINCT target_ip FROM $__source_prev(A)"},
	))
	if got := fmt.Sprint(results[0]["ref_id"], results[0]["rows"], results[1]["ref_id"], results[1]["row_count"]); got != "C[[20 2]]A20" {
		t.Errorf("results = %s (%v, %v)", got, results[0]["error"], results[1]["error"])
	}
	if q, e := c.counts(); q != 2 || e != 1 {
		t.Errorf("%d queries and %d exports ran; want 2 and 1: A is in a file", q, e)
	}
	s.Close() // waits for the end of the runs, which is after that of the answers
	if left, err := filepath.Glob(filepath.Join(l.dir, "tmp", "chain-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestBrokenChainsAreRefused(t *testing.T) {
	s, _, _ := service(t, nil)
	for _, tt := range []struct {
		queries []query.Query
		want    string
	}{
		{[]query.Query{{RefID: "A", SQL: "SELECT * FROM $__source_prev(B)"}}, "line 1, column 15: $__source_prev(B): this request has no query B"},
		{[]query.Query{{RefID: "A", SQL: "SELECT *\nFROM $__source_prev(A)"}}, "line 2, column 6: $__source_prev(A): the queries A, A read each other in a circle"},
		{[]query.Query{{RefID: "A", SQL: "FROM $__source_prev(B)"}, {RefID: "B", Hide: true, SQL: "FROM $__source_prev(A)"}}, "in a circle"},
		{[]query.Query{{RefID: "A", SQL: "FROM $__source_prev(B)"}, {RefID: "B", Hide: true, SQL: "SELECT $__nosuch"}}, "query B: line 1, column 8: unknown macro $__nosuch"},
		{[]query.Query{{SQL: "SELECT * FROM nosuch"}}, `line 1, column 15: there is no table "nosuch"; there are: flow_flat, flows`},
		{[]query.Query{{SQL: "SELECT nosuch, 'x.csv'\nFROM flows, nosuch"}}, `line 2, column 13: there is no table "nosuch"`},
		{[]query.Query{{SQL: "SELECT action\nFROM flows JOIN 'x.csv' USING (a)"}}, `line 2, column 17: there is no table "x.csv"`},
		{[]query.Query{{RefID: "A", SQL: "FROM $__source_prev(B)"}, {RefID: "B", Hide: true, SQL: "FROM $__source,\n nosuch"}}, `line 2, column 2: query B: there is no table "nosuch"`},
		{[]query.Query{{SQL: "SELECT nosuch FROM flows"}}, `"nosuch" not found`},
		{[]query.Query{{SQL: "SELEC 1"}}, "syntax error"},
		{[]query.Query{{SQL: "SELECT * FROM read_text('/etc/passwd')"}}, "read_text is not allowed"},
	} {
		_, results := post(t, s, request(tt.queries...))
		e, _ := results[0]["error"].(map[string]any)
		if text, _ := e["message"].(string); !strings.Contains(text, tt.want) {
			t.Errorf("%v: error %q; want %q", tt.queries, text, tt.want)
		}
	}
}

func TestOneBrokenQueryCostsOneAnswer(t *testing.T) {
	s, _, _ := service(t, nil)
	code, results := post(t, s, request(query.Query{RefID: "A", SQL: "SELECT nosuch FROM flows"}, query.Query{RefID: "B", SQL: "SELECT 1 AS x"}))
	if code != http.StatusOK || results[0]["error"] == nil || results[1]["error"] != nil || results[1]["row_count"] != 1.0 {
		t.Errorf("status %d, results %v", code, results)
	}
}

func TestIntoWritesFileAndFeedsChain(t *testing.T) {
	s, l, _ := service(t, nil)
	no := false
	_, results := post(t, s, request(
		query.Query{RefID: "A", ReturnResult: &no, SQL: "SELECT action, count(*) AS n FROM $__source WHERE $__timeFilter GROUP BY action ORDER BY action INTO $__dest(csv, p3/x)"},
		query.Query{RefID: "B", SQL: "SELECT sum(n) FROM $__source_prev(A)"},
	))
	if got := fmt.Sprint(results[0]["row_count"], results[1]["rows"]); got != "0 [[60]]" {
		t.Errorf("results %s; %v", got, results)
	}
	if diff := cmp.Diff(map[string]string{"p3/x.csv": "action,n\naccepted,40\nrejected,20\n"}, l.copies); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
}

// TestTwoWritersOfOneNameAreRefused: the second one, and who reads it; one that does not run is none.
func TestTwoWritersOfOneNameAreRefused(t *testing.T) {
	s, l, _ := service(t, nil)
	_, results := post(t, s, request(
		query.Query{RefID: "A", SQL: "SELECT 1 AS a INTO $__dest(csv, x)"},
		query.Query{RefID: "B", SQL: "SELECT 2 AS a\nINTO $__dest(csv, x)"},
		query.Query{RefID: "C", SQL: "SELECT * FROM $__source_prev(B)"},
		query.Query{RefID: "D", SQL: "SELECT 3 AS a INTO $__dest(json, x)"},
		query.Query{RefID: "E", SQL: "SELECT 4 AS a INTO $__dest(json, x)", Hide: true},
	))
	got := []string{}
	for _, r := range results {
		e, _ := r["error"].(map[string]any)
		got = append(got, fmt.Sprint(r["ref_id"], r["rows"], e["message"]))
	}
	want := []string{"A[[1]] <nil>", `B<nil>line 2, column 6: $__dest: query A writes "x.csv" already`, `C<nil>query B: line 2, column 6: $__dest: query A writes "x.csv" already`, "D[[3]] <nil>"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"x.csv": "a\n1\n", "x.json": "{\"a\":3}\n"}, l.copies); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
}

func TestColumnsOfAnotherQueryCanBeDescribed(t *testing.T) {
	s, _, _ := service(t, nil)
	for _, sql := range []string{"DESCRIBE $__source_prev(B)", "DESC $__source_prev(B)", "SUMMARIZE SELECT * FROM $__source_prev(B)", "SELECT column_name, column_type FROM (DESCRIBE $__source_prev(B))"} {
		_, results := post(t, s, request(query.Query{RefID: "A", SQL: sql}, query.Query{RefID: "B", Hide: true, SQL: "SELECT 1 AS a"}))
		if got := fmt.Sprint(results[0]["rows"], results[0]["error"]); !strings.HasPrefix(got, "[[a INTEGER") {
			t.Errorf("%s = %s", sql, got)
		}
	}
}

func TestCacheIsNeverStale(t *testing.T) {
	s, l, c := service(t, nil)
	ask := func() string {
		return rows(t, s, request(query.Query{SQL: "SELECT count(*) FROM flows WHERE $__timeFilter"}))
	}
	if a, b := ask(), ask(); a != "[[60]]" || b != a {
		t.Errorf("answers %s, %s", a, b)
	}
	if q, _ := c.counts(); q != 1 {
		t.Errorf("%d queries ran; want 1", q)
	}
	l.write(t, 3, hourOf(3)[:10]) // another hour: the answer stays true
	_ = ask()
	if q, _ := c.counts(); q != 1 {
		t.Errorf("%d queries ran; want 1", q)
	}
	l.write(t, 1, hourOf(1)[:30])
	if got := ask(); got != "[[30]]" {
		t.Errorf("after a change %s; want [[30]]", got)
	}
	for range 2 {
		rows(t, s, request(query.Query{SQL: "SELECT now() > $__timeFrom"}))
		rows(t, s, request(query.Query{SQL: "SELECT random() < 2"}))
	}
	if q, _ := c.counts(); q != 6 {
		t.Errorf("%d queries ran; want 6: what the clock says is not kept", q)
	}
}
