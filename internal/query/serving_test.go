package query_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/query/duckdb"
)

func TestRelativeRangesHitTheCache(t *testing.T) {
	s, _, c := service(t, nil)
	for range 3 {
		rows(t, s, &query.Request{From: "now-30d", To: "now", IntervalMS: 86_400_000, Queries: []query.Query{{SQL: "SELECT count(*) FROM flows WHERE $__timeFilter"}}})
	}
	if q, _ := c.counts(); q != 1 {
		t.Errorf("%d queries ran; want 1 (unless it is midnight)", q)
	}
}

func TestAnAnswerWithoutRowsIsNotKeptForThoseWhoWantThem(t *testing.T) {
	s, _, _ := service(t, nil)
	no := false
	const text = "SELECT count(*) FROM flows"
	for range 2 {
		_, results := post(t, s, request(query.Query{RefID: "A", SQL: text, ReturnResult: &no}))
		if results[0]["row_count"] != 0.0 {
			t.Errorf("a result that nobody wanted: %v", results)
		}
		if got := rows(t, s, request(query.Query{SQL: text})); got != "[[240]]" {
			t.Errorf("rows %s; want [[240]]", got)
		}
	}
}

func TestIdenticalQueriesRunOnce(t *testing.T) {
	s, _, c := service(t, nil)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			rows(t, s, request(query.Query{SQL: "SELECT count(*) FROM flows a, flows b, flows c WHERE a.action = b.action"}))
		})
	}
	wg.Wait()
	if q, _ := c.counts(); q != 1 {
		t.Errorf("%d queries ran; want 1", q)
	}
}

func TestQueryEndsWhenNobodyReads(t *testing.T) {
	s, l, _ := service(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	answers, done, err := s.Do(ctx, &query.Request{ID: "x", Queries: []query.Query{{SQL: "SELECT count(*) FROM flows, range(1000000000000) t(x) WHERE hash(x) = 1"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := answers[0].Result.All(t.Context()); err == nil {
		t.Error("no error")
	}
	s.Close()
	l.mu.Lock()
	held := l.held
	l.mu.Unlock()
	if held != 0 {
		t.Errorf("%d lists of files held", held)
	}
}

func TestCancelByName(t *testing.T) {
	s, _, _ := service(t, nil)
	answers, done, err := s.Do(t.Context(), &query.Request{ID: "x", Queries: []query.Query{{SQL: "SELECT count(*) FROM flows, range(1000000000000) t(x) WHERE hash(x) = 1"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if !s.Cancel("x") || s.Cancel("y") {
		t.Error("Cancel found the wrong requests")
	}
	_, batches, err := answers[0].Batches(t.Context())
	for _, berr := range batches {
		err = berr
	}
	if err == nil || err.Error() != "the query was cancelled" {
		t.Errorf("a cancelled query ends with %v", err)
	}
}

func TestLimits(t *testing.T) {
	s, _, _ := service(t, func(c *query.Config) { c.MaxResult, c.MaxQuery = 1<<20, 2048 })
	_, results := post(t, s, &query.Request{MaxRows: 7, Queries: []query.Query{{SQL: "SELECT * FROM flows ORDER BY start_time"}}})
	if results[0]["row_count"] != 7.0 || results[0]["truncated"] != true {
		t.Errorf("result %v rows, truncated %v", results[0]["row_count"], results[0]["truncated"])
	}
	hasty, _, _ := service(t, func(c *query.Config) { c.Timeout /= 60 })
	for _, tt := range []struct {
		s         *query.Service
		sql, want string
	}{
		{hasty, "SELECT count(*) FROM range(1000000000000) t(x) WHERE hash(x) = 1", "took longer than 1s"},
		{s, "SELECT x, repeat('x', 1000) FROM range(100000) t(x)", "larger than 1MiB"},
	} {
		_, results := post(t, tt.s, &query.Request{Queries: []query.Query{{SQL: tt.sql}}})
		if e := fmt.Sprint(results[0]["error"]); !strings.Contains(e, tt.want) {
			t.Errorf("%s: %s; want %s", tt.sql, e, tt.want)
		}
	}
	if _, _, err := s.Do(t.Context(), &query.Request{Queries: []query.Query{{SQL: strings.Repeat(" ", 3000)}}}); err == nil {
		t.Error("a query that is too long was taken")
	}
}

func TestTimeSeries(t *testing.T) {
	s, _, _ := service(t, nil)
	const sql = "SELECT $__timeGroup(start_time, 15m, 0) AS time, action, count(*) AS n FROM $__source WHERE $__timeFilter AND date_part('minute', start_time) < 30 GROUP BY ALL"
	if got, want := rows(t, s, request(query.Query{SQL: sql, Format: "time_series"})),
		`[["2026-08-20T01:00:00Z",10,5],["2026-08-20T01:15:00Z",10,5],["2026-08-20T01:30:00Z",0,0],["2026-08-20T01:45:00Z",0,0]]`; !sameColumns(got, want) {
		t.Errorf("wide = %s; want %s (columns in any order)", got, want)
	}
	if got := rows(t, s, request(query.Query{SQL: sql + " ORDER BY action DESC", Format: "long"})); !strings.HasPrefix(got, `[["2026-08-20T01:00:00Z","rejected",5],["2026-08-20T01:00:00Z","accepted",10],`) {
		t.Errorf("long = %s", got)
	}
}

func sameColumns(got, want string) bool {
	var a, b [][]any
	if json.Unmarshal([]byte(got), &a) != nil || json.Unmarshal([]byte(want), &b) != nil || len(a) != len(b) {
		return false
	}
	for i := range a {
		if !cmp.Equal(a[i], b[i]) && !cmp.Equal([]any{a[i][0], a[i][2], a[i][1]}, b[i]) {
			return false
		}
	}
	return true
}

func TestArrowHasTheSameRows(t *testing.T) {
	s, _, _ := service(t, nil)
	body := `{"from":"2026-08-20T01:00:00Z","to":"2026-08-20T02:00:00Z","queries":[{"ref_id":"A","sql":"SELECT start_time, action, bytes_from_initiator AS b, sum(bytes_from_initiator) OVER () AS s, NULL AS n, true AS t FROM flows WHERE $__timeFilter ORDER BY 1"},{"ref_id":"B","sql":"SELEC"}]}`
	r := httptest.NewRequest(http.MethodPost, "/api/sql/query", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/vnd.apache.arrow.stream")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	_, params, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	mr := multipart.NewReader(w.Body, params["boundary"])
	var got []string
	for {
		part, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if part.Header.Get("Content-Type") == "application/json" {
			var tail struct {
				RowCount int `json:"row_count"`
				Error    *query.Fault
			}
			if err := json.NewDecoder(part).Decode(&tail); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(part.Header.Get("Oriel-Ref-Id"), tail.RowCount, tail.Error != nil))
			continue
		}
		ir, err := ipc.NewReader(part)
		if err != nil {
			t.Fatal(err)
		}
		n := int64(0)
		for ir.Next() {
			if rec := ir.RecordBatch(); n == 0 {
				got = append(got, rec.Column(0).ValueStr(0), rec.Column(1).ValueStr(1), rec.Column(3).ValueStr(0), rec.Column(4).ValueStr(0), rec.Column(5).ValueStr(0))
			}
			n += ir.RecordBatch().NumRows()
		}
		got = append(got, fmt.Sprint(n))
		ir.Release()
	}
	want := []string{"2026-08-20T01:00:00Z", "accepted", "1770", "(null)", "true", "61", "A61 false", "B0 true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
}

func TestHTTPRefusals(t *testing.T) {
	s, _, _ := service(t, nil)
	for _, tt := range []struct {
		method, path, typ, body string
		status                  int
	}{
		{"POST", "/api/sql/query", "text/plain", "{}", 415},
		{"GET", "/api/sql/query", "", "", 405},
		{"POST", "/api/sql/query", "application/json", "{", 400},
		{"POST", "/api/sql/query", "application/json", `{"nosuch": 1}`, 400},
		{"POST", "/api/sql/query", "application/json", `{"queries": []}`, 400},
		{"POST", "/api/sql/query", "application/json", `{"from": "yesterday", "queries": [{"sql": "SELECT 1"}]}`, 400},
		{"POST", "/api/sql/query", "application/json", `{"queries": [{"sql": "SELEC 1"}]}`, 422},
		{"GET", "/api/sql/nosuch", "", "", 404},
		{"GET", "/api/sql/columns?table=nosuch", "", "", 404},
		{"GET", "/api/sql/tables", "", "", 200},
		{"GET", "/api/sql/columns?table=flows", "", "", 200},
		{"POST", "/api/sql/complete", "application/json", `{"sql": "SELECT act"}`, 200},
		{"POST", "/api/sql/cancel", "application/json", `{"request_id": "x"}`, 200},
	} {
		r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
		r.Header.Set("Content-Type", tt.typ)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s %s %s = %d %s; want %d", tt.method, tt.path, tt.body, w.Code, w.Body, tt.status)
		}
	}
}

func TestCompletion(t *testing.T) {
	s, _, _ := service(t, nil)
	r := httptest.NewRequest(http.MethodPost, "/api/sql/complete", strings.NewReader(`{"sql": "SELECT acti"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if want := `{"start":7,"suggestions":[{"text":"action","kind":"column","note":"VARCHAR"}]}` + "\n"; w.Body.String() != want {
		t.Errorf("complete = %s; want %s", w.Body, want)
	}
}

// FuzzExpand: what a SELECT with macros expands to is a SELECT again, or one the engine refuses to
// parse; one without macros parses as before and reads the same.
func FuzzExpand(f *testing.F) {
	for _, s := range []string{
		"SELECT $__timeGroup(start_time, 1h, 0), count(*) FROM $__source WHERE $__timeFilter AND action = '${v}' GROUP BY 1",
		"SELECT * FROM $__source_test(MTS) WHERE $__timeFilterColumn(col1, long) INTO $__dest(parquet, a)", "SELECT a, (SELECT max(b) FROM t) /* c /* d */ */ FROM flows f, t WHERE x = '--' -- e", "SELECT 1; DROP TABLE x", "COPY $__source TO 'x'",
		`SELECT "${v}", '$__source', $$ $__x $$ -- $__y`, "SELECT ${v:raw} FROM $__source_prev(A)",
	} {
		f.Add(s, "x' OR 1=1 --")
	}
	e, err := duckdb.Open(context.Background(), duckdb.Config{MemoryLimit: 64 << 20, Threads: 1, TempDir: f.TempDir(), Dirs: []string{f.TempDir()}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = e.Close() })
	f.Fuzz(func(t *testing.T, sql, value string) {
		scope := &query.Scope{Range: query.Range{From: day, To: day.Add(time.Hour)}, Interval: time.Minute, Source: "flows", TimeColumn: "start_time", Dialect: query.DuckDB{}, Variables: map[string][]string{"v": {value}}}
		x, err := query.Expand(sql, scope)
		if err != nil {
			return
		}
		shape, err := e.Inspect(t.Context(), x.SQL)
		// What has nothing to replace stays the query that it is.
		if plain, perr := e.Inspect(t.Context(), sql); perr == nil && !strings.ContainsAny(sql, "$[") && (err != nil || fmt.Sprint(plain) != fmt.Sprint(shape)) {
			t.Errorf("%q reads %+v; expanded to %q: %+v, %v", sql, plain, x.SQL, shape, err)
		}
		if err != nil {
			return
		}
		for _, ref := range shape.Tables {
			if strings.HasPrefix(ref.Table, "$") {
				t.Errorf("Expand(%q) = %q, which still names a macro", sql, x.SQL)
			}
		}
		// A value is never more than a value, unless the query itself says raw.
		if strings.Contains(sql, "raw") || strings.Contains(sql, "csv") || strings.Contains(sql, "text") || !strings.Contains(sql, "v") {
			return
		}
		scope.Variables["v"] = []string{"v"}
		y, err := query.Expand(sql, scope)
		if err != nil {
			return
		}
		other, err := e.Inspect(t.Context(), y.SQL)
		if err == nil && len(other.Tables) != len(shape.Tables) {
			t.Errorf("%q names %d tables with the value %q, %d with another", sql, len(shape.Tables), value, len(other.Tables))
		}
	})
}
