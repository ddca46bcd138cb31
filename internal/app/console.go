package app

import (
	"net/http"
	"net/url"

	"github.com/orielhq/oriel/grafana"
	"github.com/orielhq/oriel/internal/console"
)

// newConsole makes the pages of this server.
func (a *application) newConsole() *console.Console {
	return console.New(console.Needs{
		Shipped:  grafana.Dashboards,
		Engine:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.engine.ServeHTTP(w, r) }),
		Status:   a.status,
		Settings: a.settings,
	}, a.log)
}

// status is what the page of this name shows.
func (a *application) status() console.Status {
	b := thisBuild()
	s := console.Status{
		Version: b.version, Revision: b.revision, GoVersion: b.goVersion, Engine: b.engine,
		DataDir: a.flags.dataDir, Ready: a.ready.Load(), Features: []string{},
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.config == nil {
		return s
	}
	s.Instance, s.IntervalS = a.config.Instance, a.config.CollectInterval.Std().Seconds()
	for _, f := range a.features {
		s.Features = append(s.Features, f.name)
	}
	return s
}

// settings is the configuration in force, without the sections of Prometheus
// and Alertmanager: their own APIs show those, with their secrets hidden.
func (a *application) settings() (file string, sections map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	sections = map[string]any{
		"instance": a.config.Instance, "collect_interval": a.config.CollectInterval, "builtin_rules": a.config.BuiltinRules, "console": a.config.Console,
	}
	for _, f := range a.features {
		sections[f.name] = f.section
	}
	return a.flags.config, sections
}

// graph is where links in alerts point (Prometheus' own path).
func (a *application) graph(w http.ResponseWriter, r *http.Request) {
	expr := url.QueryEscape(r.URL.Query().Get("g0.expr"))
	if a.console.Built() {
		http.Redirect(w, r, "/explore?expr="+expr, http.StatusFound)
		return
	}
	http.Redirect(w, r, "/api/v1/query?query="+expr, http.StatusFound)
}
