package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/grafana/grafana-plugin-sdk-go/backend"
)

// result is what the fake server answers to one query.
type result struct {
	fields []arrow.Field
	rows   [][]any // times are nanoseconds
	tail   tail
}

// fakeServer answers /api/sql/query with results by reference, and keeps what it was asked.
type fakeServer struct {
	*httptest.Server
	results map[string]result
	asked   chan request
	headers chan http.Header
}

func newFakeServer(t *testing.T, results map[string]result) *fakeServer {
	t.Helper()
	f := &fakeServer{results: results, asked: make(chan request, 100), headers: make(chan http.Header, 100)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/sql/query", f.query)
	mux.HandleFunc("GET /api/sql/tables", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"tables":[{"name":"flows"},{"name":"flow_flat","source":true}]}`)
	})
	mux.HandleFunc("GET /api/sql/columns", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"columns": []map[string]string{{"name": "of_" + r.URL.Query().Get("table")}}})
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeServer) query(w http.ResponseWriter, r *http.Request) {
	var req request
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&req); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": fault{Message: err.Error()}})
		return
	}
	f.headers <- r.Header
	f.asked <- req
	mw := multipart.NewWriter(w)
	w.Header().Set("Content-Type", "multipart/mixed; boundary="+mw.Boundary())
	for _, q := range req.Queries {
		if q.Hide {
			continue
		}
		res, ok := f.results[q.RefID]
		if !ok {
			res = result{fields: []arrow.Field{{Name: "one", Type: arrow.PrimitiveTypes.Int64}}, rows: [][]any{{int64(1)}}}
		}
		if res.tail.RefID = q.RefID; res.tail.SQL == "" {
			res.tail.SQL = q.SQL
		}
		if res.tail.Error == nil || res.fields != nil {
			part, err := mw.CreatePart(textproto.MIMEHeader{"Content-Type": {arrowType}, "Oriel-Ref-Id": {q.RefID}})
			if err != nil { // the client has gone
				return
			}
			writeRows(part, res.fields, res.rows)
			res.tail.RowCount = len(res.rows)
		}
		part, err := mw.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/json"}, "Oriel-Ref-Id": {q.RefID}})
		if err != nil {
			return
		}
		_ = json.NewEncoder(part).Encode(res.tail)
	}
	_ = mw.Close()
}

// writeRows writes two rows to a batch, so that there are several.
func writeRows(w io.Writer, fields []arrow.Field, rows [][]any) {
	out := ipc.NewWriter(w, ipc.WithSchema(arrow.NewSchema(fields, nil)))
	for len(rows) > 0 {
		n := min(2, len(rows))
		_ = writeBatch(out, fields, rows[:n])
		rows = rows[n:]
	}
	_ = out.Close()
}

func writeBatch(out *ipc.Writer, fields []arrow.Field, rows [][]any) error {
	build := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer build.Release()
	for _, row := range rows {
		for i, v := range row {
			switch b := build.Field(i).(type) {
			case *array.BooleanBuilder:
				appendTo(v, b.Append, b.AppendNull)
			case *array.Int64Builder:
				appendTo(v, b.Append, b.AppendNull)
			case *array.Float64Builder:
				appendTo(v, b.Append, b.AppendNull)
			case *array.StringBuilder:
				appendTo(v, b.Append, b.AppendNull)
			case *array.TimestampBuilder:
				appendTo(v, func(at int64) { b.Append(arrow.Timestamp(at)) }, b.AppendNull)
			}
		}
	}
	batch := build.NewRecordBatch()
	defer batch.Release()
	return out.Write(batch)
}

func appendTo[T any](v any, add func(T), null func()) {
	if v, ok := v.(T); ok {
		add(v)
		return
	}
	null()
}

func newDatasource(t *testing.T, url, jsonData string, secrets map[string]string) *Datasource {
	t.Helper()
	if jsonData == "" {
		jsonData = "{}"
	}
	d, err := New(t.Context(), backend.DataSourceInstanceSettings{URL: url, UID: "u", JSONData: []byte(jsonData), DecryptedSecureJSONData: secrets})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.(*Datasource).Dispose)
	return d.(*Datasource)
}

var (
	rangeFrom = time.Date(2026, 8, 20, 0, 0, 0, 0, time.UTC)
	rangeTo   = rangeFrom.Add(time.Hour)
)

func dataQuery(ref, jsonText string) backend.DataQuery {
	return backend.DataQuery{RefID: ref, JSON: []byte(jsonText), Interval: time.Minute, TimeRange: backend.TimeRange{From: rangeFrom, To: rangeTo}}
}

func ask(t *testing.T, d *Datasource, queries ...backend.DataQuery) backend.Responses {
	t.Helper()
	resp, err := d.QueryData(t.Context(), &backend.QueryDataRequest{Queries: queries})
	if err != nil {
		t.Fatal(err)
	}
	return resp.Responses
}

// junk answers everything with the same bytes.
func junk(t *testing.T, status int, contentType string, body []byte) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.Copy(w, bytes.NewReader(body))
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

type sent struct {
	responses []*backend.CallResourceResponse
}

func (s *sent) Send(r *backend.CallResourceResponse) error {
	s.responses = append(s.responses, r)
	return nil
}

func resource(t *testing.T, d *Datasource, method, url string) *backend.CallResourceResponse {
	t.Helper()
	path, _, _ := bytes.Cut([]byte(url), []byte("?"))
	var s sent
	if err := d.CallResource(context.Background(), &backend.CallResourceRequest{Method: method, Path: string(path), URL: url}, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.responses) != 1 {
		t.Fatalf("%d answers to %s", len(s.responses), url)
	}
	return s.responses[0]
}
