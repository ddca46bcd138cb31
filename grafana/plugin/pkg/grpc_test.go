package main

import (
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/grafana/grafana-plugin-sdk-go/backend/grpcplugin"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
)

// grafana is what Grafana does with a plug-in: it starts the executable and speaks gRPC with it.
type grafana struct {
	data     grpcplugin.DataClient
	health   pluginv2.DiagnosticsClient
	resource pluginv2.ResourceClient
	pid      int
}

func startPlugin(t *testing.T) *grafana {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "gpx_oriel")
	build := exec.Command("go", "build", "-o", exe, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		Cmd:             exec.Command(exe),
		HandshakeConfig: goplugin.HandshakeConfig{ProtocolVersion: grpcplugin.ProtocolVersion, MagicCookieKey: grpcplugin.MagicCookieKey, MagicCookieValue: grpcplugin.MagicCookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{grpcplugin.ProtocolVersion: {
			"diagnostics": &grpcplugin.DiagnosticsGRPCPlugin{}, "resource": &grpcplugin.ResourceGRPCPlugin{}, "data": &grpcplugin.DataGRPCPlugin{},
		}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC}, Logger: hclog.NewNullLogger(),
	})
	t.Cleanup(client.Kill)
	rpc, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	get := func(name string) any {
		raw, err := rpc.Dispense(name)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	pid, err := strconv.Atoi(client.ID())
	if err != nil {
		t.Fatal(err)
	}
	return &grafana{
		data: get("data").(grpcplugin.DataClient), health: get("diagnostics").(pluginv2.DiagnosticsClient),
		resource: get("resource").(pluginv2.ResourceClient), pid: pid,
	}
}

// in is the context of a data source, as Grafana sends it with each call.
func in(url string) *pluginv2.PluginContext {
	return &pluginv2.PluginContext{
		OrgId: 1, PluginId: "oriel-sql-datasource",
		DataSourceInstanceSettings: &pluginv2.DataSourceInstanceSettings{
			Uid: "u", Name: "Oriel SQL", Url: url, JsonData: []byte(`{}`), LastUpdatedMS: 1,
			DecryptedSecureJsonData: map[string]string{"bearerToken": "s3cret"},
		},
	}
}

func ask(t *testing.T, g *grafana, url string, queries map[string]string, from, to time.Time) map[string]*pluginv2.DataResponse {
	t.Helper()
	req := &pluginv2.QueryDataRequest{PluginContext: in(url)}
	for ref, text := range queries {
		req.Queries = append(req.Queries, &pluginv2.DataQuery{
			RefId: ref, Json: []byte(text), IntervalMS: 60_000, MaxDataPoints: 1000,
			TimeRange: &pluginv2.TimeRange{FromEpochMS: from.UnixMilli(), ToEpochMS: to.UnixMilli()},
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	resp, err := g.data.QueryData(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Responses
}

// oneRow is a server of which every query yields one row.
func oneRow(t *testing.T) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"tables":[{"name":"flows","source":true}]}`)
			return
		}
		var req struct {
			Queries []struct {
				RefID string `json:"ref_id"`
			} `json:"queries"`
		}
		_ = json.NewDecoder(r.Body).Decode(&req)
		mw := multipart.NewWriter(w)
		w.Header().Set("Content-Type", "multipart/mixed; boundary="+mw.Boundary())
		for _, q := range req.Queries {
			part, _ := mw.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/vnd.apache.arrow.stream"}, "Oriel-Ref-Id": {q.RefID}})
			schema := arrow.NewSchema([]arrow.Field{{Name: "answer", Type: arrow.PrimitiveTypes.Int64}}, nil)
			build := array.NewRecordBuilder(memory.DefaultAllocator, schema)
			build.Field(0).(*array.Int64Builder).Append(42)
			out := ipc.NewWriter(part, ipc.WithSchema(schema))
			_ = out.Write(build.NewRecordBatch())
			_ = out.Close()
			part, _ = mw.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/json"}, "Oriel-Ref-Id": {q.RefID}})
			_, _ = io.WriteString(part, `{"row_count":1,"sql":"SELECT 42"}`)
		}
		_ = mw.Close()
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestSpeaksGrafanasProtocol(t *testing.T) {
	g, url := startPlugin(t), oneRow(t)
	health, err := g.health.CheckHealth(t.Context(), &pluginv2.CheckHealthRequest{PluginContext: in(url)})
	if err != nil || health.Status != pluginv2.CheckHealthResponse_OK || !strings.Contains(health.Message, "$__source is flows") {
		t.Errorf("health %v, %v", health, err)
	}
	now := time.Now()
	got := ask(t, g, url, map[string]string{"A": `{"rawSql":"SELECT 42"}`, "B": `{"rawSql":"SELECT 42","format":"xml"}`}, now.Add(-time.Hour), now)
	frames, err := data.UnmarshalArrowFrames(got["A"].GetFrames())
	if err != nil || len(frames) != 1 || frames[0].Rows() != 1 || frames[0].Meta.ExecutedQueryString != "SELECT 42" {
		t.Errorf("A: %v, %v", got["A"], err)
	}
	if !strings.Contains(got["B"].GetError(), `format "xml"`) || got["B"].GetErrorSource() != "downstream" {
		t.Errorf("B: %v", got["B"])
	}
	stream, err := g.resource.CallResource(t.Context(), &pluginv2.CallResourceRequest{PluginContext: in(url), Path: "tables", Url: "tables", Method: "GET"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := stream.Recv(); err != nil || r.Code != http.StatusOK || !strings.Contains(string(r.Body), "flows") {
		t.Errorf("tables: %v, %v", r, err)
	}
	// What Grafana shows of it at /metrics/plugins/oriel-sql-datasource.
	metrics, err := g.health.CollectMetrics(t.Context(), &pluginv2.CollectMetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`grafana_plugin_request_total{endpoint="queryData",status="error",status_source="downstream"} 1`,
		`grafana_plugin_request_total{endpoint="checkHealth",status="ok",status_source="plugin"} 1`,
		"plugins_datasource_request_total", "grpc_server_handled_total", "process_resident_memory_bytes",
	} {
		if !strings.Contains(string(metrics.GetMetrics().GetPrometheus()), want) {
			t.Errorf("no %s in\n%s", want, metrics.GetMetrics().GetPrometheus())
		}
	}
	if strings.Contains(string(metrics.GetMetrics().GetPrometheus()), "s3cret") {
		t.Error("the metrics tell a secret")
	}
	if runtime.GOOS == "linux" {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(g.pid) + "/status")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "RssAnon") {
				t.Log(strings.TrimSpace(line))
				if kb, err := strconv.Atoi(strings.Fields(line)[1]); err != nil || kb > 60_000 {
					t.Errorf("%s: want 60 MB at most", strings.TrimSpace(line))
				}
			}
		}
	}
}
