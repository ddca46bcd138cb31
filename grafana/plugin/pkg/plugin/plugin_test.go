package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"
	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

var nanoUTC = &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}

func TestValuesOfEveryKind(t *testing.T) {
	f := newFakeServer(t, map[string]result{"A": {
		fields: []arrow.Field{
			{Name: "time", Type: nanoUTC, Nullable: true},
			{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
			{Name: "x", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
			{Name: "x", Type: arrow.BinaryTypes.String, Nullable: true}, // a name twice
			{Name: "ok", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
		},
		rows: [][]any{
			{rangeFrom.Add(time.Minute).UnixNano(), int64(1), 1.5, "a", true},
			{rangeFrom.UnixNano(), int64(math.MaxInt64), math.NaN(), "", false},
			{nil, nil, nil, nil, nil},
		},
	}})
	got := ask(t, newDatasource(t, f.URL, "", nil), dataQuery("A", `{"rawSql":"SELECT 1"}`))["A"]
	if got.Error != nil || len(got.Frames) != 1 {
		t.Fatalf("answer %+v", got)
	}
	frame := got.Frames[0]
	var row []any
	for _, field := range frame.Fields {
		for i := range field.Len() {
			v, ok := field.ConcreteAt(i)
			if !ok {
				v = nil
			}
			if x, isFloat := v.(float64); isFloat && math.IsNaN(x) {
				v = "NaN"
			}
			row = append(row, v)
		}
	}
	want := []any{
		rangeFrom.Add(time.Minute), rangeFrom, nil, int64(1), int64(math.MaxInt64), nil, 1.5, "NaN", nil, "a", "", nil, true, false, nil,
	}
	if diff := cmp.Diff(want, row); diff != "" {
		t.Errorf("values by column (-want +got):\n%s", diff)
	}
	if frame.Meta.PreferredVisualization != data.VisTypeTable || frame.Meta.ExecutedQueryString != "SELECT 1" {
		t.Errorf("meta %+v", frame.Meta)
	}
	if _, err := frame.MarshalArrow(); err != nil {
		t.Errorf("Grafana could not read the frame: %v", err)
	}
}

func TestSeriesAreOfTheirKind(t *testing.T) {
	labels := arrow.NewMetadata([]string{"labels"}, []string{`{"action":"rejected"}`})
	f := newFakeServer(t, map[string]result{
		"A": {
			fields: []arrow.Field{{Name: "time", Type: nanoUTC}, {Name: "n", Type: arrow.PrimitiveTypes.Float64, Metadata: labels}},
			rows:   [][]any{{rangeFrom.UnixNano(), 1.0}, {rangeTo.UnixNano(), 2.0}},
		},
		"B": {
			fields: []arrow.Field{{Name: "time", Type: nanoUTC}, {Name: "action", Type: arrow.BinaryTypes.String}, {Name: "n", Type: arrow.PrimitiveTypes.Float64}},
			rows:   [][]any{{rangeFrom.UnixNano(), "a", 1.0}},
		},
		"C": {
			fields: []arrow.Field{{Name: "time", Type: nanoUTC}, {Name: "line", Type: arrow.BinaryTypes.String}},
			rows:   [][]any{{rangeFrom.UnixNano(), "hello"}}, tail: tail{Truncated: true},
		},
	})
	got := ask(t, newDatasource(t, f.URL, "", nil),
		dataQuery("A", `{"rawSql":"SELECT 1","format":"time_series","timeColumn":"time","metricColumn":"action"}`),
		dataQuery("B", `{"rawSql":"SELECT 1","format":"long"}`), dataQuery("C", `{"rawSql":"SELECT 1","format":"logs"}`))
	a, b, c := got["A"].Frames[0], got["B"].Frames[0], got["C"].Frames[0]
	if a.Meta.Type != data.FrameTypeTimeSeriesWide || a.Fields[1].Labels["action"] != "rejected" || a.Fields[1].Config.DisplayNameFromDS != "rejected" {
		t.Errorf("wide: %+v, %+v", a.Meta, a.Fields[1])
	}
	if b.Meta.Type != data.FrameTypeTimeSeriesLong {
		t.Errorf("long: %+v", b.Meta)
	}
	if c.Meta.PreferredVisualization != data.VisTypeLogs || len(c.Meta.Notices) != 1 || !strings.Contains(c.Meta.Notices[0].Text, "more than these 1 rows") {
		t.Errorf("logs: %+v", c.Meta)
	}
	req := <-f.asked
	if len(f.asked) != 0 || len(req.Queries) != 3 {
		t.Errorf("%d queries in the first of %d requests; want 3 in one", len(req.Queries), 1+len(f.asked))
	}
	want := query{RefID: "A", SQL: "SELECT 1", Format: "time_series", TimeColumn: "time", MetricColumn: "action"}
	if diff := cmp.Diff(want, req.Queries[0]); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
}

// TestOneRefIDIsEnough: an alert rule sends the visible query alone.
func TestOneRefIDIsEnough(t *testing.T) {
	f := newFakeServer(t, nil)
	d := newDatasource(t, f.URL, "", nil)
	chain := `{"rawSql":"SELECT * FROM $__source_prev(B)","prev":{"A":"SELECT 1","B":"SELECT * FROM $__source_prev(A)"}}`
	got := ask(t, d, dataQuery("C", chain))
	if len(got) != 1 || got["C"].Error != nil {
		t.Fatalf("answers %+v", got)
	}
	req := <-f.asked
	hidden := map[string]bool{}
	for _, q := range req.Queries {
		hidden[q.RefID] = q.Hide
	}
	if diff := cmp.Diff(map[string]bool{"A": true, "B": true, "C": false}, hidden); diff != "" {
		t.Errorf("hidden (-want +got):\n%s", diff)
	}
	// A panel sends those that are visible, each with what it reads.
	got = ask(t, d, dataQuery("C", chain), dataQuery("A", `{"rawSql":"SELECT 1"}`), dataQuery("X", `{"rawSql":"SELECT 2","hide":true}`))
	if req = <-f.asked; len(got) != 2 || len(req.Queries) != 3 || len(f.asked) != 0 {
		t.Errorf("answers to %d queries, asked as %+v", len(got), req.Queries)
	}
	// What stands beside it is newer than what it was saved with, hidden or not.
	for _, hide := range []string{"false", "true"} {
		got = ask(t, d, dataQuery("C", chain), dataQuery("A", `{"rawSql":"SELECT 3","hide":`+hide+`}`))
		req = <-f.asked
		text := ""
		for _, q := range req.Queries {
			if q.RefID == "A" {
				text = q.SQL
			}
		}
		if got["C"].Error != nil || len(f.asked) != 0 || text != "SELECT 3" {
			t.Errorf("hide %s: answers %+v, A asked as %q, %d more requests", hide, got, text, len(f.asked))
		}
	}
}

func TestWhatAQueryReads(t *testing.T) {
	m := model{
		RawSQL: "SELECT '$__source_prev(X)' -- $__source_prev(Y)\n/* $__source_prev(Z) */ FROM $__source_prev(A) JOIN $__source_prev( B ) JOIN $__source_prev(C)",
		Prev:   map[string]string{"A": "old", "X": "SELECT 1", "D": "SELECT 4"},
	}
	m.carry("C", map[string]string{"A": "SELECT * FROM $__source_prev(D), $__source_prev(C)", "C": "SELECT 5", "E": "SELECT 6"})
	want := map[string]string{"A": "SELECT * FROM $__source_prev(D), $__source_prev(C)", "D": "SELECT 4"}
	if diff := cmp.Diff(want, m.Prev); diff != "" {
		t.Errorf("carried (-want +got):\n%s", diff)
	}
}

func TestAQueryWithoutResultHasNoFrame(t *testing.T) {
	f := newFakeServer(t, map[string]result{"A": {fields: []arrow.Field{}}})
	got := ask(t, newDatasource(t, f.URL, "", nil), dataQuery("A", `{"rawSql":"SELECT 1","returnResult":false}`))["A"]
	if req := <-f.asked; got.Error != nil || len(got.Frames) != 0 || *req.Queries[0].ReturnResult {
		t.Errorf("answer %+v of %+v; want no frame", got, req.Queries)
	}
}

func TestQueriesOfOldDashboards(t *testing.T) {
	off := false
	for text, want := range map[string]model{
		`{"queryText":"SELECT a","time_column":"t","metrics_column":"m","get_result":false,"format":"time_series"}`: {
			RawSQL: "SELECT a", TimeColumn: "t", MetricColumn: "m", ReturnResult: &off, Format: "time_series",
			QueryText: "SELECT a", IBMTimeColumn: "t", MetricsColumn: "m", GetResult: &off,
		},
		`{"rawSql":"SELECT a","format":0}`:            {RawSQL: "SELECT a", Format: "time_series"},
		`{"rawSql":"SELECT a","format":1}`:            {RawSQL: "SELECT a", Format: "table"},
		`{"rawSql":"SELECT a","format":"timeseries"}`: {RawSQL: "SELECT a", Format: "time_series"},
	} {
		got, err := parseModel(dataQuery("A", text))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
}

func TestOneQueryFailsTheOthersGoOn(t *testing.T) {
	f := newFakeServer(t, map[string]result{
		"A": {tail: tail{Error: &fault{Message: "column \"x\" not found", Line: 2, Column: 8}}},
		"B": {
			fields: []arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, rows: [][]any{{int64(1)}},
			tail: tail{Error: &fault{Message: "out of memory"}},
		},
	})
	got := ask(t, newDatasource(t, f.URL, "", nil), dataQuery("A", `{"rawSql":"SELECT x"}`), dataQuery("B", `{"rawSql":"SELECT 1"}`),
		dataQuery("C", `{"rawSql":"SELECT 1"}`), dataQuery("D", `{"rawSql":"SELECT 1","format":"xml"}`), dataQuery("E", `{"rawSql":" "}`), dataQuery("F", `{`))
	for ref, want := range map[string]string{"A": `line 2, column 8: column "x" not found`, "B": "out of memory", "D": `format "xml"`, "F": "read query"} {
		if r := got[ref]; r.Error == nil || !strings.Contains(r.Error.Error(), want) || r.ErrorSource != backend.ErrorSourceDownstream || r.Status != backend.StatusBadRequest {
			t.Errorf("%s: %+v; want %q", ref, r, want)
		}
	}
	if got["C"].Error != nil || len(got["C"].Frames) != 1 || got["E"].Error != nil {
		t.Errorf("C: %+v, E: %+v", got["C"], got["E"])
	}
}

// hang takes the request and never answers. Only who has read the body hears that the client has gone.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func TestServersThatAreNotWhatTheyShouldBe(t *testing.T) {
	good := newFakeServer(t, nil)
	slow := httptest.NewServer(http.HandlerFunc(hang))
	t.Cleanup(slow.CloseClientConnections)
	unknown := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(unknown.Close)
	broken := "--b\r\nContent-Type: " + arrowType + "\r\nOriel-Ref-Id: A\r\n\r\nnot arrow"
	const multi = "multipart/mixed; boundary=b"
	for _, tt := range []struct{ name, url, want string }{
		{"nobody", "http://127.0.0.1:1", "connection refused"},
		{"no name", "http://nosuch.invalid", "no address is known"},
		{"slow", slow.URL, "did not answer in time"},
		{"certificate", unknown.URL, "signed by somebody unknown"},
		{"no TLS there", strings.Replace(good.URL, "http:", "https:", 1), "does not speak TLS"},
		{"not found", junk(t, 404, "text/plain", []byte("no")), "is it Oriel"},
		{"refused", junk(t, 401, "text/plain", nil), "refuses the credentials"},
		{"html", junk(t, 200, "text/html", []byte("<html>")), "not"},
		{"other JSON", junk(t, 200, "application/json", []byte("{}")), "not"},
		{"error", junk(t, 501, "application/json", []byte(`{"error":{"message":"no engine"}}`)), "no engine"},
		{"moved", junk(t, 302, "text/plain", nil), "sends elsewhere"},
		{"broken stream", junk(t, 200, multi, []byte(broken)), ""},
		{"half a part", junk(t, 200, multi, []byte("--b\r\nContent-Ty")), ""},
		{"nothing", junk(t, 200, multi, []byte("--b--\r\n")), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDatasource(t, tt.url, `{"queryTimeout":0.5}`, nil)
			r := ask(t, d, dataQuery("A", `{"rawSql":"SELECT 1"}`))["A"]
			if r.Error == nil || !strings.Contains(r.Error.Error(), tt.want) || r.ErrorSource != backend.ErrorSourceDownstream {
				t.Errorf("query: %+v; want %q", r, tt.want)
			}
			h, err := d.CheckHealth(t.Context(), &backend.CheckHealthRequest{})
			if err != nil || h.Status != backend.HealthStatusError || tt.want != "" && !strings.Contains(h.Message, tt.want) {
				t.Errorf("health: %+v, %v; want %q", h, err, tt.want)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	f := newFakeServer(t, map[string]result{})
	for jsonData, want := range map[string]string{"{}": "2 tables, $__source is flow_flat", `{"source":"flows"}`: "$__source is flows", `{"source":"x"}`: `no table "x"`} {
		h, err := newDatasource(t, f.URL, jsonData, nil).CheckHealth(t.Context(), &backend.CheckHealthRequest{})
		if err != nil || !strings.Contains(h.Message, want) || (h.Status == backend.HealthStatusOk) == strings.Contains(want, "no table") {
			t.Errorf("%s: %+v, %v; want %q", jsonData, h, err, want)
		}
	}
	f.results["A"] = result{tail: tail{Error: &fault{Message: "this build has no engine"}}}
	h, _ := newDatasource(t, f.URL, "", nil).CheckHealth(t.Context(), &backend.CheckHealthRequest{})
	if h.Status != backend.HealthStatusError || !strings.Contains(h.Message, "SQL does not run: this build has no engine") {
		t.Errorf("without an engine: %+v", h)
	}
}

func TestSettings(t *testing.T) {
	f := newFakeServer(t, nil)
	d := newDatasource(t, f.URL, `{"maxRows":7,"source":"flows","destination":"grafana"}`, map[string]string{"bearerToken": "s3cret"})
	ask(t, d, dataQuery("A", `{"rawSql":"SELECT 1","maxRows":100,"relative":true,"variables":{"ip":["a","b"]}}`))
	if got := (<-f.headers).Get("Authorization"); got != "Bearer s3cret" {
		t.Errorf("Authorization %q", got)
	}
	req := <-f.asked
	if req.MaxRows != 7 || req.Source != "flows" || req.Dest != "grafana" || !req.Relative || !req.From.Equal(rangeFrom) || req.IntervalMS != 60_000 {
		t.Errorf("request %+v", req)
	}
	if diff := cmp.Diff(map[string]any{"ip": []any{"a", "b"}}, req.Variables); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	for _, s := range []backend.DataSourceInstanceSettings{
		{URL: "localhost:9190", JSONData: []byte("{}")},
		{URL: f.URL, JSONData: []byte(`{"maxRows":-1}`)},
		{URL: f.URL, JSONData: []byte(`{"queryTimeout":"x"}`)},
	} {
		if _, err := New(t.Context(), s); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s %s: error %v", s.URL, s.JSONData, err)
		}
	}
}

func TestCancelEndsTheQuery(t *testing.T) {
	gone := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hang(w, r); close(gone) }))
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	resp, err := newDatasource(t, srv.URL, "", nil).QueryData(ctx, &backend.QueryDataRequest{Queries: []backend.DataQuery{dataQuery("A", `{"rawSql":"SELECT 1"}`)}})
	<-gone
	if err != nil || resp.Responses["A"].Error == nil {
		t.Errorf("answer %+v, %v", resp, err)
	}
}

// written keeps what a chunked answer sends.
type written struct {
	rows   map[string]int
	frames map[string]int
	failed map[string]string
}

func (w *written) WriteFrame(_ context.Context, ref, _ string, f *data.Frame) error {
	n, err := f.RowLen()
	w.rows[ref] += n
	w.frames[ref]++
	return err
}

func (w *written) WriteError(_ context.Context, ref string, _ backend.Status, err error) error {
	w.failed[ref] = err.Error()
	return nil
}

func TestChunksComeAsTheyAre(t *testing.T) {
	n := []arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}
	f := newFakeServer(t, map[string]result{
		"A": {fields: n, rows: [][]any{{int64(1)}, {int64(2)}, {nil}}},
		"B": {fields: n},
		"C": {tail: tail{Error: &fault{Message: "no"}}},
	})
	w := &written{map[string]int{}, map[string]int{}, map[string]string{}}
	err := newDatasource(t, f.URL, "", nil).QueryChunkedData(t.Context(), &backend.QueryChunkedDataRequest{Queries: []backend.DataQuery{
		dataQuery("A", `{"rawSql":"SELECT 1"}`), dataQuery("B", `{"rawSql":"SELECT 1"}`), dataQuery("C", `{"rawSql":"SELECT 1"}`), dataQuery("D", `{"rawSql":"x","format":"y"}`),
	}}, w)
	want := &written{map[string]int{"A": 3, "B": 0}, map[string]int{"A": 2, "B": 1}, map[string]string{"C": "no", "D": `format "y": want table, time_series, long or logs`}}
	if diff := cmp.Diff(want, w, cmp.AllowUnexported(written{})); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestResources(t *testing.T) {
	f := newFakeServer(t, nil)
	d := newDatasource(t, f.URL, "", nil)
	for _, tt := range []struct {
		method, url, want string
		status            int
	}{
		{"GET", "tables", "flow_flat", 200},
		{"GET", "columns?table=a%20b", "of_a b", 200},
		{"GET", "query", "there are: tables", 404},
		{"GET", "../../-/reload", "there are: tables", 404},
		{"POST", "tables", "the method must be GET", 405},
		{"POST", "complete", "404", 502},
	} {
		got := resource(t, d, tt.method, tt.url)
		if got.Status != tt.status || !strings.Contains(string(got.Body), tt.want) || !json.Valid(got.Body) {
			t.Errorf("%s %s: %d %s; want %d, %q", tt.method, tt.url, got.Status, got.Body, tt.status, tt.want)
		}
	}
	if got := explain(context.Canceled); !errors.Is(got, context.Canceled) {
		t.Errorf("explain(canceled) = %v", got)
	}
}
