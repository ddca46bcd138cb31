package prom

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/orielhq/oriel/internal/proctest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
		goleak.IgnoreTopFunction("k8s.io/klog/v2.(*loggingT).flushDaemon"),
		goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"),
	)
}

var quiet = slog.New(slog.DiscardHandler)

// page is a /metrics handler with one gauge and, below /hang, one that never answers.
func page(value string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics/demo", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = fmt.Fprintf(w, "demo_value %s\n", value)
	})
	mux.HandleFunc("/metrics/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	return mux
}

const globals = "global: {scrape_interval: 50ms, evaluation_interval: 50ms, scrape_timeout: 50ms}\n"

// start runs an engine until the test ends and returns it.
func start(t *testing.T, s Settings, rules fs.FS) *Engine {
	t.Helper()
	return startIn(t, t.TempDir(), s, rules)
}

func startIn(t *testing.T, dir string, s Settings, rules fs.FS) *Engine {
	t.Helper()
	e, err := New(Config{Dir: dir, ExternalURL: "http://localhost:9190", Metrics: page("42"), Rules: rules}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(s, rules, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Open(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	proctest.Run(t, e.Run)
	return e
}

// get asks the engine and returns status and body.
func get(t *testing.T, e *Engine, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

// eventually asks until the answer holds want.
func eventually(t *testing.T, e *Engine, path, want string) string {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, body := get(t, e, path)
		if strings.Contains(body, want) {
			return body
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s never held %s; last: %s", path, want, body)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func query(expr string) string { return "/api/v1/query?query=" + strings.ReplaceAll(expr, " ", "%20") }

func settings() Settings {
	return Settings{
		File: "oriel.yml", Prometheus: []byte(globals), Instance: "box",
		Jobs: []Job{{Name: "demo", Path: "/metrics/demo"}, {Name: "hang", Path: "/metrics/hang"}},
	}
}

func TestOwnCollectorIsScrapedThroughMemory(t *testing.T) {
	e := start(t, settings(), nil)
	body := eventually(t, e, query(`demo_value`), `"42"`)
	if !strings.Contains(body, `"instance":"box"`) || !strings.Contains(body, `"job":"demo"`) {
		t.Errorf("labels of demo_value: %s", body)
	}
	eventually(t, e, query(`up{job="demo"}==1`), `"1"`)
	eventually(t, e, query(`up{job="hang"}==0`), `"0"`)
	if _, body := get(t, e, "/federate?match[]=demo_value"); !strings.Contains(body, "demo_value{") {
		t.Errorf("federate = %s", body)
	}
	if _, body := get(t, e, "/api/v1/status/buildinfo"); !strings.Contains(body, `"version":"3.`) {
		t.Errorf("buildinfo = %s", body)
	}
	for _, path := range []string{"/api/v1/targets", "/api/v1/rules", "/api/v1/alertmanagers", "/api/v1/metadata", "/api/v1/status/tsdb", "/api/v1/labels", "/alertmanager/api/v2/status", "/alertmanager/-/ready"} {
		if code, body := get(t, e, path); code != http.StatusOK {
			t.Errorf("%s = %d %s", path, code, body)
		}
	}
	if code, _ := get(t, e, "/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("/debug/pprof/ = %d; want 404", code)
	}
}

const demoRules = `groups:
- name: demo
  rules:
  - {record: "demo:double", expr: demo_value * 2}
  - {alert: DemoHigh, expr: demo_value > 1, labels: {severity: info}}
`

// TestHeldEngineAnswersAndTakesAPast: until it is let go an engine scrapes nothing, answers, and stores what is old.
func TestHeldEngineAnswersAndTakesAPast(t *testing.T) {
	hold := make(chan struct{})
	e, err := New(Config{Dir: t.TempDir(), ExternalURL: "http://localhost:9190", Metrics: page("42"), Hold: hold}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(settings(), nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Open(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	proctest.Run(t, e.Run)
	eventually(t, e, query("vector(7)"), `"7"`)
	eventually(t, start(t, settings(), nil), query("demo_value"), `"42"`) // one that began later has scraped by now
	now := time.Now()
	var times []time.Time
	for at := now.Add(-5 * time.Hour); at.Before(now); at = at.Add(time.Minute) {
		times = append(times, at)
	}
	if _, body := get(t, e, query("up")); !strings.Contains(body, `"result":[]`) {
		t.Errorf("it scrapes: %s", body)
	}
	if err := e.Backfill(t.Context(), times, []Past{{Job: "demo", Metric: map[string]string{"__name__": "demo_value"}, At: func(time.Time) float64 { return 41 }}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, e, query("demo_value offset 4h"), `"41"`)
	close(hold)
	eventually(t, e, query("demo_value"), `"42"`)
}

func TestAlertReachesTheEmbeddedAlertmanager(t *testing.T) {
	s := settings()
	s.RuleNames = []string{"demo.yml"}
	e := start(t, s, fstest.MapFS{"demo.yml": {Data: []byte(demoRules)}})
	eventually(t, e, query("demo:double"), `"84"`)
	eventually(t, e, "/api/v1/alerts", `"alertname":"DemoHigh"`)
	body := eventually(t, e, "/alertmanager/api/v2/alerts", `"alertname":"DemoHigh"`)
	var alerts []struct {
		Labels map[string]string `json:"labels"`
		URL    string            `json:"generatorURL"`
	}
	if err := json.Unmarshal([]byte(body), &alerts); err != nil || len(alerts) != 1 {
		t.Fatalf("alerts = %s, %v", body, err)
	}
	if !strings.HasPrefix(alerts[0].URL, "http://localhost:9190/graph?") {
		t.Errorf("generator URL = %q", alerts[0].URL)
	}
}

func TestSilenceSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	t.Run("write", func(t *testing.T) {
		e := startIn(t, dir, settings(), nil)
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/alertmanager/api/v2/silences", strings.NewReader(fmt.Sprintf(
			`{"matchers":[{"name":"a","value":"b","isRegex":false,"isEqual":true}],"startsAt":%q,"endsAt":%q,"createdBy":"me","comment":"why"}`,
			time.Now().Format(time.RFC3339), time.Now().Add(time.Hour).Format(time.RFC3339))))
		r.Header.Set("Content-Type", "application/json")
		e.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("silence = %d %s", w.Code, w.Body)
		}
	})
	t.Run("read", func(t *testing.T) {
		e := startIn(t, dir, settings(), nil)
		if _, body := get(t, e, "/alertmanager/api/v2/silences"); !strings.Contains(body, `"comment":"why"`) {
			t.Errorf("silences = %s", body)
		}
	})
}

// TestTargetsOfThisMachineHaveNoErrorOfTheirOwn: what a target's links would be is no error of its scrape.
func TestTargetsOfThisMachineHaveNoErrorOfTheirOwn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "other_value 1\n") }))
	defer server.Close()
	s := settings()
	s.Prometheus = []byte(globals + "scrape_configs: [{job_name: other, static_configs: [{targets: ['" + server.Listener.Addr().String() + "']}]}]\n")
	e := start(t, s, nil)
	eventually(t, e, query("other_value"), `"1"`)
	if _, body := get(t, e, "/api/v1/targets?state=active&scrapePool=other"); !strings.Contains(body, `"lastError":""`) {
		t.Errorf("targets = %s", body)
	}
}

func TestFailedApplyKeepsTheConfigurationBefore(t *testing.T) {
	e := start(t, settings(), nil)
	eventually(t, e, query("demo_value"), `"42"`)
	bad := settings()
	bad.Jobs = append(bad.Jobs, Job{Name: "third", Path: "/metrics/demo"})
	bad.Prometheus = []byte(globals + "scrape_configs: [{job_name: other, static_configs: [{targets: ['127.0.0.1:1']}]}]\n")
	template := filepath.Join(t.TempDir(), "bad.tmpl")
	if err := os.WriteFile(template, []byte("{{ define"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Alertmanager reads its templates late, after the scrapes have been changed.
	bad.Alertmanager = []byte("route: {receiver: a}\nreceivers: [{name: a}]\ntemplates: [" + template + "]\n")
	plan, err := NewPlan(bad, nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Apply(plan); err == nil {
		t.Fatal("Apply of a configuration with a broken template succeeded")
	}
	_, body := get(t, e, "/api/v1/status/config")
	if strings.Contains(body, "other") {
		t.Errorf("the refused configuration is in force: %s", body)
	}
	if _, body := get(t, e, "/api/v1/targets?state=active"); strings.Contains(body, `"third"`) {
		t.Errorf("a job of the refused configuration is scraped: %s", body)
	}
	good := settings()
	good.Jobs = good.Jobs[:1]
	if plan, err = NewPlan(good, nil, quiet); err != nil {
		t.Fatal(err)
	}
	if err := e.Apply(plan); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, e, "/api/v1/targets?state=active"); strings.Contains(body, `"hang"`) {
		t.Errorf("a job that the new configuration lacks is scraped: %s", body)
	}
}

func TestNewPlanShowsTheLine(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	rulesFile := file("bad.yml", "groups:\n- name: a\n  rules:\n  - record: x\n    expr: sum(\n")
	tests := []struct {
		name string
		s    Settings
		want []string
	}{
		{"unknown key", Settings{Prometheus: []byte("\n\n\nscrape_config:\n  - job_name: x\n")}, []string{"oriel.yml: prometheus:", "line 4", ">   4 | scrape_config:"}},
		{"bad duration", Settings{Prometheus: []byte("global:\n  scrape_interval: 5x\n")}, []string{"unknown unit"}},
		{"service discovery that is not there", Settings{Prometheus: []byte("scrape_configs:\n- job_name: a\n  consul_sd_configs: [{server: x}]\n")}, []string{"consul_sd_configs"}},
		{"own job name", Settings{Prometheus: []byte("scrape_configs: [{job_name: demo}]"), Jobs: []Job{{Name: "demo", Path: "/x"}}}, []string{`job_name "demo" is that of Oriel's own collector`}},
		{"bad rule", Settings{Prometheus: []byte("rule_files: [" + rulesFile + "]")}, []string{rulesFile, "could not parse expression"}},
		{"alertmanager key", Settings{Alertmanager: []byte("\nroute: {receiver: a}\nreceiver: []\n")}, []string{"oriel.yml: alertmanager:", "line 3", ">   3 | receiver: []"}},
		{"alertmanager receiver", Settings{Alertmanager: []byte("route: {receiver: a}\nreceivers: [{name: b}]\n")}, []string{`"a"`}},
		{"query URL", Settings{QueryURL: "mimir"}, []string{"prometheus.query_url"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.s.File = "oriel.yml"
			tt.s.Source = slices.Concat(tt.s.Prometheus, tt.s.Alertmanager)
			_, err := NewPlan(tt.s, nil, quiet)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error = %v; want %q in it", err, want)
				}
			}
		})
	}
}

func TestRetentionComesFromTheConfiguration(t *testing.T) {
	s := settings()
	s.Prometheus = []byte(globals + "storage: {tsdb: {retention: {time: 3d, size: 1GB}}}\n")
	e := start(t, s, nil)
	if _, body := get(t, e, "/api/v1/status/runtimeinfo"); !strings.Contains(body, `"storageRetention":"3d or 1GiB"`) {
		t.Errorf("runtimeinfo = %s; want a retention of 3d or 1GiB", body)
	}
	families, err := e.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"prometheus_tsdb_retention_limit_bytes": 1 << 30, "prometheus_tsdb_retention_limit_seconds": 3 * 24 * 3600}
	for _, f := range families {
		if v, ok := want[f.GetName()]; ok && f.Metric[0].GetGauge().GetValue() == v {
			delete(want, f.GetName())
		}
	}
	if len(want) > 0 {
		t.Errorf("storage does not say: %v", want)
	}
}

func TestQueriesGoToTheOtherServer(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("our client's credentials were forwarded")
		}
		_, _ = io.WriteString(w, "other "+r.URL.Path)
	}))
	defer other.Close()
	s := settings()
	s.QueryURL = other.URL + "/prometheus"
	e := start(t, s, nil)
	if _, body := get(t, e, "/api/v1/query?query=1"); body != "other /prometheus/api/v1/query" {
		t.Errorf("query = %s", body)
	}
	if _, body := get(t, e, "/api/v1/targets"); !strings.Contains(body, `"success"`) {
		t.Errorf("targets = %s", body)
	}
}

func TestRelativePathsStartAtTheFile(t *testing.T) {
	dir := t.TempDir()
	s := Settings{
		File:         filepath.Join(dir, "oriel.yml"),
		Prometheus:   []byte("rule_files: [r/*.yml]\n"),
		Alertmanager: []byte("route: {receiver: a}\ntemplates: [t/*.tmpl]\nreceivers:\n- name: a\n  webhook_configs: [{url: 'http://x', http_config: {bearer_token_file: tok}}]\n"),
	}
	p, err := NewPlan(s, nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.prometheus.RuleFiles[0], filepath.Join(dir, "r/*.yml"); got != want {
		t.Errorf("rule file = %q; want %q", got, want)
	}
	if got, want := p.alertmanager.Templates[0], filepath.Join(dir, "t/*.tmpl"); got != want {
		t.Errorf("template = %q; want %q", got, want)
	}
	auth := p.alertmanager.Receivers[0].WebhookConfigs[0].HTTPConfig.Authorization
	if got, want := auth.CredentialsFile, filepath.Join(dir, "tok"); got != want {
		t.Errorf("token file = %q; want %q", got, want)
	}
}

func TestSecondEngineOnTheSameDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	startIn(t, dir, settings(), nil)
	e, err := New(Config{Dir: dir, ExternalURL: "http://localhost:1", Metrics: page("1")}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(settings(), nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Open(t.Context(), plan); err == nil || !strings.Contains(err.Error(), "lock") {
		t.Errorf("Open = %v; want an error about the lock", err)
	}
}
