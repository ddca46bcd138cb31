//go:build demo

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
)

// TestFrontEndInChromium shows the built plug-in in Grafana's own libraries in a
// browser. The page asks the paths that Grafana has; behind them the back-end
// is asked over gRPC, and that asks a running server (ORIEL_URL).
func TestFrontEndInChromium(t *testing.T) {
	url := os.Getenv("ORIEL_URL")
	if url == "" {
		t.Fatal("ORIEL_URL is not set: make e2e sets it")
	}
	dir := t.TempDir()
	plugin, page := filepath.Join(dir, "plugin"), filepath.Join(dir, "page")
	node := func(env []string, args ...string) {
		t.Helper()
		cmd := exec.Command("node", args...)
		cmd.Dir, cmd.Env = "..", append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("node %v: %v\n%s", args, err, out)
		} else {
			t.Logf("%s", out)
		}
	}
	node([]string{"PLUGIN_DIST=" + plugin}, "build.mjs")
	node([]string{"HOST_DIST=" + page}, "e2e/build.mjs")
	packages := os.Getenv("GRAFANA_PACKAGES") // another version of Grafana's libraries
	if packages == "" {
		packages = "../node_modules"
	}
	srv := httptest.NewServer(grafanaAPI(t, startPlugin(t), url, plugin, page, packages))
	defer srv.Close()
	node([]string{"HOST_URL=" + srv.URL}, "e2e/run.mjs")
}

// grafanaAPI is what of Grafana's HTTP API a data source's front-end uses.
func grafanaAPI(t *testing.T, g *grafana, oriel, plugin, page, packages string) http.Handler {
	mux := http.NewServeMux()
	files := func(path, dir string) { mux.Handle(path, http.StripPrefix(path, http.FileServer(http.Dir(dir)))) }
	files("/public/plugins/oriel-sql-datasource/", plugin)
	files("/public/build/img/icons/", filepath.Join(packages, "@grafana/ui/dist/public/img/icons"))
	files("/public/img/icons/", filepath.Join(packages, "@grafana/ui/dist/public/img/icons")) // Grafana 10
	files("/public/lib/monaco/", filepath.Join(packages, "monaco-editor"))
	files("/", page)
	mux.HandleFunc("POST /api/ds/query", func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			From, To string
			Queries  []json.RawMessage
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		from, _ := strconv.ParseInt(asked.From, 10, 64)
		to, _ := strconv.ParseInt(asked.To, 10, 64)
		req := &pluginv2.QueryDataRequest{PluginContext: in(oriel)}
		for _, text := range asked.Queries {
			var q struct {
				RefID         string `json:"refId"`
				IntervalMs    int64
				MaxDataPoints int64
			}
			if err := json.Unmarshal(text, &q); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			req.Queries = append(req.Queries, &pluginv2.DataQuery{
				RefId: q.RefID, Json: text, IntervalMS: q.IntervalMs, MaxDataPoints: q.MaxDataPoints,
				TimeRange: &pluginv2.TimeRange{FromEpochMS: from, ToEpochMS: to},
			})
		}
		answer, err := g.data.QueryData(r.Context(), req)
		if err != nil {
			t.Error(err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		got, err := backend.FromProto().QueryDataResponse(answer)
		if err != nil {
			t.Error(err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(got)
	})
	mux.HandleFunc("/api/datasources/uid/oriel-sql/resources/{path...}", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		path := r.PathValue("path")
		stream, err := g.resource.CallResource(r.Context(), &pluginv2.CallResourceRequest{
			PluginContext: in(oriel), Path: path, Url: path + "?" + r.URL.RawQuery, Method: r.Method, Body: body,
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer, err := stream.Recv()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(answer.Code))
		_, _ = w.Write(answer.Body)
	})
	mux.HandleFunc("GET /api/datasources/uid/oriel-sql/health", func(w http.ResponseWriter, r *http.Request) {
		h, err := g.health.CheckHealth(r.Context(), &pluginv2.CheckHealthRequest{PluginContext: in(oriel)})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if h.Status != pluginv2.CheckHealthResponse_OK {
			w.WriteHeader(http.StatusBadRequest)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"status": h.Status.String(), "message": h.Message})
	})
	return mux
}
