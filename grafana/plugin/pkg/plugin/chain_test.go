package plugin

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"
	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/datasource"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/metadata"
)

var oneNumber = []arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}

// TestRequestsAreCounted: queries stand in the family where the SDK counts the other calls.
func TestRequestsAreCounted(t *testing.T) {
	f := newFakeServer(t, map[string]result{"A": {fields: oneNumber, rows: [][]any{{int64(1)}}}, "B": {tail: tail{Error: &fault{Message: "no"}}}})
	to := prometheus.NewRegistry()
	backend.NewMetricsMiddleware(to, "grafana", false) // the SDK's own chain
	server, err := dataServer(&manager{datasource.NewInstanceManager(New)}, to)
	if err != nil {
		t.Fatal(err)
	}
	_, req := asGrafana(t, f.URL)
	for _, ref := range []string{"A", "B", "A"} {
		req.Queries[0].RefId = ref
		if _, err := server.QueryData(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	families, err := to.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := []string{family.GetName()}
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			got[strings.Join(labels, " ")] = m.GetCounter().GetValue()
		}
	}
	want := map[string]float64{"grafana_plugin_request_total queryData ok plugin": 2, "grafana_plugin_request_total queryData error downstream": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

// TestGrafanaMayWantJSON: then nothing stays Arrow.
func TestGrafanaMayWantJSON(t *testing.T) {
	f := newFakeServer(t, map[string]result{"A": {fields: oneNumber, rows: [][]any{{int64(42)}}}})
	server, req := asGrafana(t, f.URL)
	req.Format = pluginv2.DataFrameFormat_JSON
	resp, err := server.QueryData(t.Context(), req)
	if err != nil || len(resp.Responses["A"].GetFrames()) != 1 {
		t.Fatal(resp, err)
	}
	a := resp.Responses["A"]
	var frame data.Frame
	if err := json.Unmarshal(a.Frames[0], &frame); err != nil || a.Format != pluginv2.DataFrameFormat_JSON || frame.Rows() != 1 {
		t.Errorf("%s: %v", a.Frames[0], err)
	}
}

// TestAPanicCostsItsQueries: the process and the other queries go on.
func TestAPanicCostsItsQueries(t *testing.T) {
	f := newFakeServer(t, map[string]result{"B": {fields: oneNumber, rows: [][]any{{int64(1)}}}})
	d := newDatasource(t, f.URL, "", nil)
	next := d.client.Transport
	d.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if bytes.Contains(body, []byte(`"A"`)) {
			panic("planted")
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return next.RoundTrip(r)
	})
	b := dataQuery("B", `{"rawSql":"SELECT 1"}`)
	b.TimeRange.From = b.TimeRange.From.Add(-1) // a request of its own
	got := ask(t, d, dataQuery("A", `{"rawSql":"SELECT 1"}`), b)
	if a := got["A"]; a.Error == nil || !strings.Contains(a.Error.Error(), "planted") || a.ErrorSource != backend.ErrorSourcePlugin || a.Status != backend.StatusInternal {
		t.Errorf("A: %+v", a)
	}
	if b := got["B"]; b.Error != nil || len(b.Frames) != 1 {
		t.Errorf("B: %+v", b)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTenantsHaveTheirOwnDataSources although their names are the same.
func TestTenantsHaveTheirOwnDataSources(t *testing.T) {
	f := newFakeServer(t, nil)
	m := &manager{datasource.NewInstanceManager(New)}
	p := backend.PluginContext{DataSourceInstanceSettings: &backend.DataSourceInstanceSettings{UID: "u", URL: f.URL, JSONData: []byte("{}")}}
	seen := map[*Datasource]string{}
	for _, id := range []string{"", "a", "b"} {
		ctx := t.Context()
		if id != "" {
			ctx = metadata.NewIncomingContext(ctx, metadata.Pairs("tenantID", id))
		}
		for range 2 {
			d, err := m.of(ctx, p)
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := seen[d]; ok && other != id {
				t.Errorf("tenant %q has the data source of %q", id, other)
			}
			seen[d] = id
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d data sources; want one for each", len(seen))
	}
}

// TestGrafanasResponseLimit: [dataproxy] response_limit holds here too.
func TestGrafanasResponseLimit(t *testing.T) {
	t.Setenv("GF_DATAPROXY_RESPONSE_LIMIT", "5000")
	rows := make([][]any, 1000)
	for i := range rows {
		rows[i] = []any{int64(i)}
	}
	f := newFakeServer(t, map[string]result{"A": {fields: oneNumber, rows: rows}})
	got := ask(t, newDatasource(t, f.URL, "", nil), dataQuery("A", `{"rawSql":"SELECT 1"}`))["A"]
	if got.Error == nil || !strings.Contains(got.Error.Error(), "response_limit") || got.ErrorSource != backend.ErrorSourceDownstream {
		t.Errorf("answer %+v", got)
	}
}

// TestAnswersDoNotShareMemory: what is read into is used again, and nothing of
// an answer may change by that, however the parts of several come.
func TestAnswersDoNotShareMemory(t *testing.T) {
	rowsPart := func(ref string, from int64) string {
		var b bytes.Buffer
		rows := make([][]any, 2000)
		for i := range rows {
			rows[i] = []any{from + int64(i), fmt.Sprint("text ", from+int64(i))}
		}
		writeRows(&b, []arrow.Field{oneNumber[0], {Name: "s", Type: arrow.BinaryTypes.String}}, rows)
		return "--b\r\nContent-Type: " + arrowType + "\r\nOriel-Ref-Id: " + ref + "\r\n\r\n" + b.String() + "\r\n"
	}
	end := func(ref string) string {
		return "--b\r\nContent-Type: application/json\r\nOriel-Ref-Id: " + ref + "\r\n\r\n{\"row_count\":2000}\r\n"
	}
	answer := func(from int64) map[string][]byte {
		p := &passed{arrow: map[string][]byte{}}
		s := newAsArrow(&group{formats: map[string]string{}}, p, map[string]backend.DataResponse{})
		// B is read, and C after it, while A is open.
		body := rowsPart("A", from) + rowsPart("B", from+1e6) + end("B") + rowsPart("C", from+2e6) + end("C") + end("A") + "--b--\r\n"
		resp := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"multipart/mixed; boundary=b"}}, Body: io.NopCloser(strings.NewReader(body))}
		if err := read(resp, s); err != nil {
			t.Fatal(err)
		}
		return p.arrow
	}
	kept := map[int64]map[string][]byte{}
	for i := range int64(8) {
		kept[i*10_000] = answer(i * 10_000)
	}
	for from, answers := range kept {
		for ref, n := range map[string]int64{"A": from, "B": from + 1e6, "C": from + 2e6} {
			frame, err := data.UnmarshalArrowFrame(answers[ref])
			if err != nil || frame.Rows() != 2000 {
				t.Fatalf("%s of %d: %v", ref, from, err)
			}
			for i := range frame.Rows() {
				v, _ := frame.Fields[0].ConcreteAt(i)
				s, _ := frame.Fields[1].ConcreteAt(i)
				if v != n+int64(i) || s != fmt.Sprint("text ", v) {
					t.Fatalf("%s of %d: row %d is %v, %q", ref, from, i, v, s)
				}
			}
		}
	}
}

// TestABatchThatSaysItIsHuge is refused before there is memory for it.
func TestABatchThatSaysItIsHuge(t *testing.T) {
	var b bytes.Buffer
	writeRows(&b, oneNumber, [][]any{{int64(1)}, {int64(2)}})
	body := b.Bytes()
	// The second message is the first batch: its head says how long its body is.
	batch := 8 + int(binary.LittleEndian.Uint32(body[4:]))
	head := 8 + int(binary.LittleEndian.Uint32(body[batch+4:]))
	end := batch + head + bytes.Index(body[batch+head:], []byte{0xff, 0xff, 0xff, 0xff})
	length := binary.LittleEndian.AppendUint64(nil, uint64(end-batch-head))
	at := bytes.Index(body[batch:batch+head], length)
	if at < 0 {
		t.Fatal("no length found")
	}
	binary.LittleEndian.PutUint64(body[batch+at:], 1<<40)
	text := "--b\r\nContent-Type: " + arrowType + "\r\nOriel-Ref-Id: A\r\n\r\n" + string(body) + "\r\n"
	url := junk(t, 200, "multipart/mixed; boundary=b", []byte(text))
	got := ask(t, newDatasource(t, url, "", nil), dataQuery("A", `{"rawSql":"SELECT 1"}`))["A"]
	if got.Error == nil || !strings.Contains(got.Error.Error(), "a body of 1099511627776 bytes") {
		t.Errorf("answer %+v", got)
	}
}

// TestIdentityGoesAlongOnlyIfWanted, and all of what a header says.
func TestIdentityGoesAlongOnlyIfWanted(t *testing.T) {
	f := newFakeServer(t, map[string]result{"A": {fields: oneNumber}})
	for jsonData, want := range map[string]string{`{}`: "", `{"oauthPassThru":true}`: "Bearer me"} {
		server, req := asGrafana(t, f.URL)
		req.PluginContext.DataSourceInstanceSettings.JsonData = []byte(jsonData)
		req.Headers = map[string]string{"Authorization": "Bearer me", "X-Id-Token": "id", "http_X-Grafana-User": "ada"}
		if _, err := server.QueryData(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		got := <-f.headers
		if got.Get("Authorization") != want || (got.Get("X-Grafana-User") == "ada") != (want != "") {
			t.Errorf("%s: headers %v", jsonData, maps.Collect(maps.All(got)))
		}
	}
}

// TestMoreRowsThanWereAskedFor cost their query, not the plug-in's memory.
func TestMoreRowsThanWereAskedFor(t *testing.T) {
	f := newFakeServer(t, map[string]result{"A": {fields: oneNumber, rows: [][]any{{int64(1)}, {int64(2)}, {int64(3)}}}})
	server, req := asGrafana(t, f.URL)
	req.PluginContext.DataSourceInstanceSettings.JsonData = []byte(`{"maxRows":2}`)
	resp, err := server.QueryData(t.Context(), req)
	if err != nil || !strings.Contains(resp.Responses["A"].GetError(), "more than the 2 rows") {
		t.Errorf("Arrow: %v, %v", resp, err)
	}
	got := ask(t, newDatasource(t, f.URL, `{"maxRows":2}`, nil), dataQuery("A", `{"rawSql":"SELECT 1"}`))["A"]
	if got.Error == nil || !strings.Contains(got.Error.Error(), "more than the 2 rows") {
		t.Errorf("values: %+v", got)
	}
}
