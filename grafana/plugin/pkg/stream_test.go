//go:build demo

package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestCancelThroughGrafanasProtocol: who leaves a panel ends its query, at the
// server too, and other queries go on.
func TestCancelThroughGrafanasProtocol(t *testing.T) {
	url := serverURL(t)
	g := startPlugin(t)
	const cancelled, begun = `oriel_query_executions_total{result="cancelled"}`, `oriel_query_cache_requests_total{result="miss"}`
	before, missed := metric(t, url, cancelled), metric(t, url, begun)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		req := &pluginv2.QueryDataRequest{PluginContext: in(url), Queries: []*pluginv2.DataQuery{{
			RefId: "A", Json: []byte(`{"rawSql":"SELECT sum(hash(a.i * 31 + b.i) % 7) AS n FROM range(1000000) a(i), range(1000000) b(i)"}`), IntervalMS: 60_000,
			TimeRange: &pluginv2.TimeRange{FromEpochMS: time.Now().Add(-time.Hour).UnixMilli(), ToEpochMS: time.Now().UnixMilli()},
		}}}
		_, err := g.data.QueryData(ctx, req)
		ended <- err
	}()
	until(t, "the query runs", func() bool { return metric(t, url, begun) > missed })
	cancel()
	select {
	case err := <-ended:
		if status.Code(err) != codes.Canceled {
			t.Errorf("error %v; want canceled", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the call goes on")
	}
	until(t, "the server has ended it", func() bool { return metric(t, url, cancelled) > before })
	if frame, err := one(t, g, url, map[string]any{"rawSql": "SELECT 1 AS one"}); err != nil || frame.Rows() != 1 {
		t.Errorf("the next query: %v, %v", frame, err)
	}
}

// TestChunksThroughGrafanasProtocol: a long answer comes in parts, as Arrow and
// as JSON, and a query that is wrong has its error beside it.
func TestChunksThroughGrafanasProtocol(t *testing.T) {
	url := serverURL(t)
	g := startPlugin(t)
	const rows = 50_000
	for _, format := range []pluginv2.DataFrameFormat{pluginv2.DataFrameFormat_ARROW, pluginv2.DataFrameFormat_JSON} {
		req := &pluginv2.QueryChunkedDataRequest{PluginContext: in(url), Format: format}
		for ref, text := range map[string]string{
			"A": `{"rawSql":"SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE 'text ' || i END AS s FROM range(` + strconv.Itoa(rows) + `) t(i)"}`,
			"B": `{"rawSql":"SELECT nosuch FROM flows"}`,
			"C": `{"rawSql":"SELECT 1 AS n WHERE false"}`,
		} {
			req.Queries = append(req.Queries, &pluginv2.DataQuery{RefId: ref, Json: []byte(text), TimeRange: &pluginv2.TimeRange{FromEpochMS: 0, ToEpochMS: time.Now().UnixMilli()}})
		}
		stream, err := g.data.QueryChunkedData(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		chunks, sum, failure := map[string]int{}, 0, ""
		for {
			chunk, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			chunks[chunk.RefId]++
			if chunk.Error != "" {
				failure += chunk.RefId + ": " + chunk.Error
				continue
			}
			if format == pluginv2.DataFrameFormat_JSON || chunk.RefId != "A" {
				continue
			}
			frame, err := data.UnmarshalArrowFrame(chunk.Frame)
			if err != nil || len(frame.Fields) != 2 || chunk.FrameId != "A" {
				t.Fatalf("frame %q: %v", chunk.FrameId, err)
			}
			for i := range frame.Rows() {
				if n, ok := frame.Fields[0].ConcreteAt(i); !ok || n != int64(sum) {
					t.Fatalf("row %d is %v", sum, n)
				}
				if s, ok := frame.Fields[1].ConcreteAt(i); ok != (sum%3 != 0) || ok && s != "text "+strconv.Itoa(sum) {
					t.Fatalf("text of row %d is %v", sum, s)
				}
				sum++
			}
		}
		if chunks["A"] < 3 || chunks["C"] != 1 || !strings.Contains(failure, "B: line 1") || strings.Contains(failure, "A:") {
			t.Errorf("%v: chunks %v, failure %q", format, chunks, failure)
		}
		if format == pluginv2.DataFrameFormat_ARROW && sum != rows {
			t.Errorf("%d rows; want %d", sum, rows)
		}
	}
}

func serverURL(t *testing.T) string {
	t.Helper()
	url := os.Getenv("ORIEL_URL")
	if url == "" {
		t.Fatal("ORIEL_URL is not set: make e2e sets it")
	}
	return url
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so: %s", what)
		}
	}
}

// metric reads one sample of the server's /metrics.
func metric(t *testing.T, url, name string) float64 {
	t.Helper()
	resp, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("the server has no %s", name)
	return 0
}

// TestMemoryAfterAMillionRows: a plug-in that has answered them is idle in 60 MB again.
func TestMemoryAfterAMillionRows(t *testing.T) {
	url := serverURL(t)
	g := startPlugin(t)
	c := in(url)
	c.DataSourceInstanceSettings.JsonData = []byte(`{"maxRows":1000000}`)
	resp, err := g.data.QueryData(t.Context(), &pluginv2.QueryDataRequest{PluginContext: c, Queries: []*pluginv2.DataQuery{{
		RefId: "A", Json: []byte(`{"rawSql":"SELECT i, i::DOUBLE AS x, 'text ' || i AS s FROM range(1000000) t(i)"}`),
		TimeRange: &pluginv2.TimeRange{FromEpochMS: 0, ToEpochMS: time.Now().UnixMilli()},
	}}})
	if err != nil || resp.Responses["A"].GetError() != "" || len(resp.Responses["A"].Frames) != 1 {
		t.Fatal(err, resp.GetResponses()["A"].GetError())
	}
	if runtime.GOOS != "linux" {
		return
	}
	resident := func() int {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(g.pid) + "/status")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		kb, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			t.Fatal(err)
		}
		return kb
	}
	t.Logf("after the answer: %d kB", resident())
	until(t, "60 MB at most", func() bool { return resident() <= 60_000 })
	t.Logf("when it is quiet: %d kB", resident())
}
