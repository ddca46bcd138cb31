package plugin

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/datasource"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/prometheus/client_golang/prometheus"
)

// BenchmarkMillionRows reads the same answer of a million rows of five columns
// as an Arrow stream alone, and through the plug-in into what Grafana receives.
func BenchmarkMillionRows(b *testing.B) {
	const million = 1_000_000
	fields := []arrow.Field{
		{Name: "time", Type: nanoUTC},
		{Name: "n", Type: arrow.PrimitiveTypes.Int64},
		{Name: "x", Type: arrow.PrimitiveTypes.Float64},
		{Name: "ip", Type: arrow.BinaryTypes.String},
		{Name: "ok", Type: arrow.FixedWidthTypes.Boolean},
	}
	var stream bytes.Buffer
	out := ipc.NewWriter(&stream, ipc.WithSchema(arrow.NewSchema(fields, nil)))
	if err := writeMillion(out, fields, million); err != nil {
		b.Fatal(err)
	}
	body := []byte("--b\r\nContent-Type: " + arrowType + "\r\nOriel-Ref-Id: A\r\n\r\n" + stream.String() +
		"\r\n--b\r\nContent-Type: application/json\r\nOriel-Ref-Id: A\r\n\r\n{\"row_count\":1000000}\r\n--b--\r\n")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/alone" {
			_, _ = w.Write(stream.Bytes())
			return
		}
		w.Header().Set("Content-Type", "multipart/mixed; boundary=b")
		_, _ = w.Write(body)
	}))
	defer srv.Close()
	alone := func(b *testing.B) {
		resp, err := http.Get(srv.URL + "/alone")
		if err != nil {
			b.Fatal(err)
		}
		rows, err := ipc.NewReader(resp.Body)
		if err != nil {
			b.Fatal(err)
		}
		n := int64(0)
		for rows.Next() {
			n += rows.RecordBatch().NumRows()
		}
		rows.Release()
		_ = resp.Body.Close()
		if n != million {
			b.Fatal(n)
		}
	}
	server, req := asGrafana(b, srv.URL)
	// What Grafana receives, and what is behind it in the SDK's own way.
	grafana := func(b *testing.B) {
		resp, err := server.QueryData(b.Context(), req)
		if err != nil || resp.Responses["A"].Error != "" || len(resp.Responses["A"].Frames) != 1 {
			b.Fatal(err, resp)
		}
	}
	b.Run("stream", func(b *testing.B) {
		defer reportCPU(b)()
		for b.Loop() {
			alone(b)
		}
	})
	b.Run("grafana", func(b *testing.B) {
		defer reportCPU(b)()
		for b.Loop() {
			grafana(b)
		}
	})
	// Both in turn, so that a busy machine slows both down.
	b.Run("ratio", func(b *testing.B) {
		var one, through []time.Duration
		for b.Loop() {
			before := usedCPU()
			alone(b)
			between := usedCPU()
			grafana(b)
			one, through = append(one, between-before), append(through, usedCPU()-between)
		}
		slices.Sort(one)
		slices.Sort(through)
		middle := len(one) / 2
		b.ReportMetric(float64(one[middle].Microseconds())/1000, "alone-cpu-ms")
		b.ReportMetric(float64(through[middle].Microseconds())/1000, "grafana-cpu-ms")
		b.ReportMetric(float64(through[middle])/float64(one[middle]), "times")
	})
	b.Run("values", func(b *testing.B) {
		instance, err := New(b.Context(), backend.DataSourceInstanceSettings{URL: srv.URL, JSONData: []byte(`{"maxRows":1000000}`)})
		if err != nil {
			b.Fatal(err)
		}
		defer reportCPU(b)()
		for b.Loop() {
			resp, err := instance.(*Datasource).QueryData(b.Context(), &backend.QueryDataRequest{Queries: []backend.DataQuery{dataQuery("A", `{"rawSql":"SELECT 1"}`)}})
			if err != nil || resp.Responses["A"].Error != nil {
				b.Fatal(err, resp)
			}
			if n := resp.Responses["A"].Frames[0].Rows(); n != million {
				b.Fatal(n)
			}
		}
	})
}

// asGrafana is the server of queries, and a request as Grafana makes it.
func asGrafana(tb testing.TB, url string, queries ...string) (pluginv2.DataServer, *pluginv2.QueryDataRequest) {
	tb.Helper()
	server, err := dataServer(&manager{datasource.NewInstanceManager(New)}, prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	if len(queries) == 0 {
		queries = []string{`{"rawSql":"SELECT 1"}`}
	}
	req := &pluginv2.QueryDataRequest{PluginContext: &pluginv2.PluginContext{PluginId: ID, DataSourceInstanceSettings: &pluginv2.DataSourceInstanceSettings{
		Uid: "u", Name: "Oriel SQL", Url: url, JsonData: []byte(`{"maxRows":1000000}`), LastUpdatedMS: 1,
	}}}
	for i, text := range queries {
		req.Queries = append(req.Queries, &pluginv2.DataQuery{RefId: string(rune('A' + i)), Json: []byte(text), TimeRange: &pluginv2.TimeRange{FromEpochMS: rangeFrom.UnixMilli(), ToEpochMS: rangeTo.UnixMilli()}})
	}
	return server, req
}

func writeMillion(out *ipc.Writer, fields []arrow.Field, n int) error {
	const batch = 8192
	rows := make([][]any, 0, batch)
	for i := range n {
		rows = append(rows, []any{rangeFrom.UnixNano() + int64(i), int64(i), float64(i), fmt.Sprintf("10.0.%d.%d", i/256%256, i%256), i%2 == 0})
		if len(rows) == batch || i == n-1 {
			if err := writeBatch(out, fields, rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
	}
	return out.Close()
}

// reportCPU adds the processor time of the process, which a busy machine changes little.
func reportCPU(b *testing.B) func() {
	before := usedCPU()
	return func() { b.ReportMetric(float64((usedCPU()-before).Milliseconds())/float64(b.N), "cpu-ms/op") }
}

func usedCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
