package console

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/orielhq/oriel/grafana"
	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/proctest"
)

var quiet = slog.New(slog.DiscardHandler)

// console makes one whose engine echoes what it is asked.
func console(t *testing.T, engine http.Handler) *Console {
	t.Helper()
	if engine == nil {
		engine = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			form, _ := url.ParseQuery(string(body))
			_ = json.NewEncoder(w).Encode(map[string]any{"path": r.URL.Path, "form": form})
		})
	}
	return New(Needs{
		Shipped: grafana.Dashboards, Engine: engine,
		Status: func() Status { return Status{Version: "v1"} },
		Settings: func() (string, map[string]any) {
			return "oriel.yml", map[string]any{
				"neuvector": struct {
					Password conf.Secret `yaml:"password"`
					Address  string      `yaml:"address"`
				}{"hunter2", "https://user:hunter3@example.org/x?api_token=hunter4&a=b"},
			}
		},
	}, quiet)
}

func ask(t *testing.T, h http.Handler, method, path, body string, head ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestPolicyAllowsNoScriptOfOthers reads the policy as a browser does.
func TestPolicyAllowsNoScriptOfOthers(t *testing.T) {
	w := ask(t, Guard(console(t, nil)), http.MethodGet, "/", "", "Accept", "text/html")
	csp := map[string]string{}
	for part := range strings.SplitSeq(w.Header().Get("Content-Security-Policy"), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), " ")
		csp[name] = value
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "script-src": "'self'", "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'", "img-src": "'self' data:",
	} {
		if csp[name] != want {
			t.Errorf("policy %s = %q; want %q", name, csp[name], want)
		}
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-cache",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s = %q; want %q", name, got, want)
		}
	}
}

// pagesOf are built pages as Vite leaves them.
func pagesOf(t *testing.T) *pages {
	t.Helper()
	return newPages(fstest.MapFS{
		"index.html":         {Data: []byte("<!doctype html><title>Oriel</title>")},
		"assets/index-a1.js": {Data: []byte(strings.Repeat("let a = 1;\n", 300))},
		"favicon.svg":        {Data: []byte("<svg/>")},
		".gitkeep":           {Data: nil},
	})
}

func TestPages(t *testing.T) {
	p := pagesOf(t)
	tests := []struct {
		path, accept string
		code         int
		kind, cache  string
	}{
		{"/", "*/*", 200, "text/html; charset=utf-8", "no-cache"},
		{"/d/oriel-wireguard", "text/html,*/*", 200, "text/html; charset=utf-8", "no-cache"},
		{"/d/x", "application/json", 404, "", ""},
		{"/assets/index-a1.js", "*/*", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/assets/gone.js", "*/*", 404, "", ""},
		{"/favicon.svg", "*/*", 200, "image/svg+xml", "no-cache"},
		{"/.gitkeep", "*/*", 404, "", ""},
		{"/../../etc/passwd", "*/*", 404, "", ""},
		{"/assets", "*/*", 404, "", ""},
	}
	for _, tt := range tests {
		w := ask(t, p, http.MethodGet, "http://x"+tt.path, "", "Accept", tt.accept)
		if w.Code != tt.code || tt.code == 200 && (w.Header().Get("Content-Type") != tt.kind || w.Header().Get("Cache-Control") != tt.cache) {
			t.Errorf("GET %s = %d, %q, %q; want %d, %q, %q", tt.path, w.Code, w.Header().Get("Content-Type"), w.Header().Get("Cache-Control"), tt.code, tt.kind, tt.cache)
		}
	}
	if w := ask(t, p, http.MethodPost, "/", "{}"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST / = %d; want 405", w.Code)
	}
	w := ask(t, p, http.MethodGet, "/assets/index-a1.js", "", "Accept-Encoding", "gzip")
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || len(text) != 3300 {
		t.Errorf("gzip: %d bytes, %v; want 3300", len(text), err)
	}
}

func TestWithoutPagesItSaysWhatToRun(t *testing.T) {
	w := ask(t, newPages(fstest.MapFS{".gitkeep": {}}), http.MethodGet, "/", "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "make build") {
		t.Errorf("GET / = %d %q; want 200 and make build", w.Code, w.Body)
	}
}

// TestScriptsAreSmall holds the budget: what is loaded before a chart of the
// lazily loaded kind, that is the start and the largest page without a chart.
func TestScriptsAreSmall(t *testing.T) {
	files := dist()
	p := newPages(files)
	if !p.built() {
		proctest.Without(t, "the pages are not built: make web")
	}
	const budget = 400_000
	list, err := filepath.Glob(filepath.Join("dist", "assets", "*.js"))
	if err != nil || len(list) < 2 {
		t.Fatalf("scripts: %v, %v", list, err)
	}
	sum := 0
	for _, file := range list {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`/EChart-`).MatchString(file) {
			continue
		}
		sum += len(p.zip(file, data))
	}
	if sum > budget {
		t.Errorf("scripts take %d bytes compressed; want at most %d", sum, budget)
	}
	index, err := os.ReadFile("dist/index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script>", "onload=", "http://", "https://", "javascript:"} {
		if strings.Contains(string(index), bad) {
			t.Errorf("index.html has %q", bad)
		}
	}
}

func TestDashboardsOfBothFolders(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret.json")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "mine.json"), `{"title": "Mine", "panels": []}`)
	write(filepath.Join(dir, "replaced.json"), `{"uid": "oriel-wireguard", "title": "Ours, changed", "panels": []}`)
	write(filepath.Join(dir, "wrapped.json"), `{"dashboard": {"uid": "w", "title": "Wrapped", "panels": []}, "meta": {}}`)
	write(filepath.Join(dir, "broken.json"), `{"title": `)
	write(filepath.Join(dir, "v2.json"), `{"spec": {}}`)
	write(filepath.Join(dir, "note.txt"), `{"title": "not JSON by its name", "panels": []}`)
	write(secret, `{"uid": "secret", "title": "outside", "panels": []}`)
	if err := os.Symlink(secret, filepath.Join(dir, "link.json")); err != nil {
		t.Fatal(err)
	}
	c := console(t, nil)
	c.Use(Config{Dashboards: dir})
	var got struct{ Dashboards []Entry }
	if err := json.Unmarshal(ask(t, c, http.MethodGet, "/api/console/dashboards", "").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	byUID := map[string]Entry{}
	for _, e := range got.Dashboards {
		if _, twice := byUID[e.UID]; twice {
			t.Errorf("%s is listed twice", e.UID)
		}
		byUID[e.UID] = e
	}
	for uid, want := range map[string]Entry{"mine": {Title: "Mine", Yours: true}, "oriel-wireguard": {Title: "Ours, changed", Yours: true}, "w": {Title: "Wrapped", Yours: true}, "oriel-neuvector": {Title: "NeuVector"}} {
		if e := byUID[uid]; e.Title != want.Title || e.Yours != want.Yours || e.Error != "" {
			t.Errorf("%s = %+v; want %+v", uid, e, want)
		}
		if w := ask(t, c, http.MethodGet, "/api/console/dashboards/"+uid, ""); w.Code != 200 || !strings.Contains(w.Body.String(), want.Title) {
			t.Errorf("GET %s = %d", uid, w.Code)
		}
	}
	for _, file := range []string{"broken.json", "v2.json", "link.json"} {
		if e := byUID["file-"+file]; e.Error == "" {
			t.Errorf("%s = %+v; want an error", file, e)
		}
	}
	if w := ask(t, c, http.MethodGet, "/api/console/dashboards/secret", ""); w.Code != http.StatusNotFound {
		t.Errorf("a file outside of the folder is shown: %d", w.Code)
	}
}

func TestQueriesGoInOneRequest(t *testing.T) {
	c := console(t, nil)
	w := ask(t, c, http.MethodPost, "/api/console/query", `{"queries": [
		{"ref_id": "A", "expr": "up", "start": "1", "end": "2", "step": "15"}, {"ref_id": "B", "expr": "x&query=y", "instant": true, "end": "7"}]}`)
	var got struct {
		Results []struct {
			Ref  string `json:"ref_id"`
			Code int
			Body struct {
				Path string
				Form url.Values
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Results) != 2 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	a, b := got.Results[0], got.Results[1]
	if a.Ref != "A" || a.Code != 200 || a.Body.Path != "/api/v1/query_range" || a.Body.Form.Encode() != "end=2&query=up&start=1&step=15" {
		t.Errorf("A = %+v", a)
	}
	if b.Ref != "B" || b.Body.Path != "/api/v1/query" || b.Body.Form.Get("query") != "x&query=y" || b.Body.Form.Get("time") != "7" {
		t.Errorf("B = %+v", b)
	}
}

func TestBadQueriesAreRefused(t *testing.T) {
	c := console(t, nil)
	many := `{"queries": [` + strings.Repeat(`{"expr": "up"},`, maxQueries) + `{"expr": "up"}]}`
	for name, tt := range map[string]struct {
		body, kind string
		code       int
	}{
		"form":    {`{"queries": [{"expr": "up"}]}`, "application/x-www-form-urlencoded", http.StatusUnsupportedMediaType},
		"text":    {`{"queries": [{"expr": "up"}]}`, "text/plain", http.StatusUnsupportedMediaType},
		"none":    {`{"queries": []}`, "application/json", http.StatusBadRequest},
		"many":    {many, "application/json", http.StatusBadRequest},
		"unknown": {`{"query": "up"}`, "application/json", http.StatusBadRequest},
		"large":   {`{"queries": [{"expr": "` + strings.Repeat("x", maxQueryBody) + `"}]}`, "application/json", http.StatusBadRequest},
	} {
		if w := ask(t, c, http.MethodPost, "/api/console/query", tt.body, "Content-Type", tt.kind); w.Code != tt.code {
			t.Errorf("%s: %d; want %d", name, w.Code, tt.code)
		}
	}
	if w := ask(t, c, http.MethodGet, "/api/console/query", ""); w.Code == 200 {
		t.Error("GET is answered")
	}
}

// TestOneBadAnswerCostsOneQuery has an engine that answers too much, or no JSON.
func TestOneBadAnswerCostsOneQuery(t *testing.T) {
	c := console(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch _ = r.ParseForm(); r.Form.Get("query") {
		case "large":
			chunk := []byte(strings.Repeat("x", 1<<20))
			for range maxQueryAnswers>>20 + 1 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		case "html":
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html>gone</html>")
		default:
			_, _ = io.WriteString(w, `{"status":"success"}`)
		}
	}))
	w := ask(t, c, http.MethodPost, "/api/console/query", `{"queries": [{"ref_id": "A", "expr": "good"}, {"ref_id": "B", "expr": "html"}]}`)
	if got := w.Body.String(); !strings.Contains(got, `{"ref_id":"A","code":200,"body":{"status":"success"}}`) || !strings.Contains(got, `"code":502,"body":{"error":"\u003chtml\u003egone\u003c/html\u003e"`) {
		t.Errorf("answer: %s", got)
	}
	w = ask(t, c, http.MethodPost, "/api/console/query", `{"queries": [{"ref_id": "A", "expr": "large"}]}`)
	if got := w.Body.String(); !strings.Contains(got, "too large") || len(got) > 1000 {
		t.Errorf("answer: %d bytes: %.200s", len(got), got)
	}
}

func TestQueriesEndWithTheRequest(t *testing.T) {
	entered := make(chan struct{})
	c := console(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/console/query", strings.NewReader(`{"queries": [{"expr": "slow"}]}`))
	r.Header.Set("Content-Type", "application/json")
	done := make(chan struct{})
	go func() { c.ServeHTTP(httptest.NewRecorder(), r); close(done) }()
	<-entered
	cancel()
	<-done
}

// TestAnEngineThatBreaksOffCostsItsQuery: the engine is behind a proxy of the standard library, which panics when it cannot
// pass an answer on: of one that is too large, or of somebody who has gone. A query has a goroutine of its own, where
// nobody would catch it.
func TestAnEngineThatBreaksOffCostsItsQuery(t *testing.T) {
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch _ = r.ParseForm(); r.Form.Get("query") {
		case "large":
			chunk := make([]byte, 1<<20)
			for range maxQueryAnswers>>20 + 8 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		case "broken":
			_, _ = io.WriteString(w, `{"status":`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		default:
			_, _ = io.WriteString(w, `{"status":"success"}`)
		}
	}))
	defer engine.Close()
	to, err := url.Parse(engine.URL)
	if err != nil {
		t.Fatal(err)
	}
	pages := httptest.NewServer(console(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, ErrorLog: slog.NewLogLogger(quiet.Handler(), slog.LevelDebug)}))
	defer pages.Close()
	for query, want := range map[string]string{"large": "too large", "broken": "broke off"} {
		body := strings.NewReader(`{"queries": [{"ref_id": "A", "expr": "` + query + `"}, {"ref_id": "B", "expr": "good"}]}`)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, pages.URL+"/api/console/query", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := pages.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(got), want) || !strings.Contains(string(got), `{"ref_id":"B","code":200`) {
			t.Errorf("%s: %v, %.300s", query, err, got)
		}
	}
}

func TestConfigurationHidesSecrets(t *testing.T) {
	w := ask(t, console(t, nil), http.MethodGet, "/api/console/config", "")
	text := w.Body.String()
	if strings.Contains(text, "hunter") {
		t.Errorf("a secret is shown: %s", text)
	}
	for _, want := range []string{"oriel.yml", "example.org/x", "a=b", "password"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing: %s", want, text)
		}
	}
}

func TestValidate(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for folder, ok := range map[string]bool{"": true, dir: true, file: false, filepath.Join(dir, "gone"): false} {
		if err := (Config{Dashboards: folder}).Validate(); (err == nil) != ok {
			t.Errorf("Validate(%q) = %v; want ok %v", folder, err, ok)
		}
	}
}
