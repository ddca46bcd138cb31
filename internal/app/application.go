package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/prom"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// selfName is the collector of the program itself.
const selfName = "oriel"

func metricsPath(feature string) string { return "/metrics/" + feature }

// application is a running `serve`.
type application struct {
	flags   serveFlags
	log     *slog.Logger
	base    context.Context //nolint:containedctx // what features run under; outlives the request that reloads
	engine  *prom.Engine
	running *running
	reloads *reloads
	ready   atomic.Bool
	sql     atomic.Pointer[sqlFeature]
	set     atomic.Pointer[collector.Set]

	mu       sync.Mutex // guards what follows; one reload at a time
	features []*feature
	plan     *prom.Plan
}

// publish makes the features' collectors those that a scrape asks.
func (a *application) publish(features []*feature) {
	self := prometheus.NewRegistry()
	self.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(), a.reloads)
	all := map[string]collector.Collector{selfName: collector.From(self, a.engine.Registry())}
	a.sql.Store(nil)
	for _, f := range features {
		if part, ok := f.part.(*sqlFeature); ok {
			a.sql.Store(part)
		}
		if f.collector != nil {
			all[f.name] = f.collector
		}
	}
	a.set.Store(collector.NewSet(a.log, all))
}

// handler has all the paths of DESIGN 4 that exist so far.
func (a *application) handler() http.Handler {
	mux := http.NewServeMux()
	engine := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.engine.ServeHTTP(w, r) })
	for _, path := range []string{"/api/v1/", "/federate", "/alertmanager/"} {
		mux.Handle(path, a.whenReady(engine))
	}
	mux.HandleFunc("/api/sql/", a.whenReady(http.HandlerFunc(a.serveSQL)))
	mux.HandleFunc("/metrics", a.whenReady(http.HandlerFunc(a.metrics)))
	mux.HandleFunc("/metrics/", a.whenReady(http.HandlerFunc(a.metrics)))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { say(w, "Oriel is healthy.") })
	mux.HandleFunc("GET /-/ready", a.whenReady(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { say(w, "Oriel is ready.") })))
	mux.HandleFunc("POST /-/reload", a.whenReady(http.HandlerFunc(a.serveReload)))
	mux.HandleFunc("PUT /-/reload", a.whenReady(http.HandlerFunc(a.serveReload)))
	mux.HandleFunc("GET /graph", graph)
	mux.HandleFunc("GET /{$}", a.landing)
	return mux
}

// whenReady answers 503 until the storage is open, and after the end has begun.
func (a *application) whenReady(h http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !a.ready.Load() {
			http.Error(w, "Oriel is not ready.", http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	}
}

// metrics serves /metrics, all collectors, and /metrics/<feature>, one.
func (a *application) metrics(w http.ResponseWriter, r *http.Request) {
	set := a.set.Load()
	if name := strings.TrimPrefix(r.URL.Path, "/metrics"); name != "" && name != "/" {
		one, ok := set.Only(strings.TrimPrefix(name, "/"))
		if !ok {
			http.Error(w, fmt.Sprintf("no such feature; there are: %s", strings.Join(set.Names(), ", ")), http.StatusNotFound)
			return
		}
		set = one
	}
	set.ServeHTTP(w, r)
}

// serveSQL serves /api/sql/ of the running configuration.
func (a *application) serveSQL(w http.ResponseWriter, r *http.Request) {
	if f := a.sql.Load(); f != nil {
		f.ServeHTTP(w, r)
		return
	}
	http.Error(w, "the configuration has no section query", http.StatusNotFound)
}

func (a *application) serveReload(w http.ResponseWriter, _ *http.Request) {
	if err := a.reload(); err != nil {
		http.Error(w, "reload: "+err.Error(), http.StatusInternalServerError)
		return
	}
	say(w, "Reloaded.")
}

// reload reads the configuration file and makes it the running configuration,
// wholly or not at all.
func (a *application) reload() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReloading)
	defer func() { _, _ = daemon.SdNotify(false, daemon.SdNotifyReady) }()
	if err := a.replace(); err != nil {
		a.reloads.failed()
		return err
	}
	a.reloads.succeeded()
	a.log.Info("reloaded", "file", a.flags.config)
	return nil
}

// replace builds everything first, which changes nothing; then it applies the
// engine's part, which goes back by itself if it fails; then the features',
// which do so too.
func (a *application) replace() error {
	cfg, err := loadConfig(a.flags.config)
	if err != nil {
		return err
	}
	cfg.dataDir = a.flags.dataDir
	features, err := cfg.build(a.features, a.log)
	if err != nil {
		return err
	}
	plan, err := cfg.plan(features, atLeast(slog.LevelWarn, a.log))
	if err != nil {
		return err
	}
	if err := a.engine.Apply(plan); err != nil {
		return err
	}
	if err := a.running.replace(a.base, a.features, features); err != nil {
		if back := a.engine.Apply(a.plan); back != nil {
			err = fmt.Errorf("%w; and the engine did not go back: %w", err, back)
		}
		return err
	}
	a.publish(features)
	a.features, a.plan = features, plan
	return nil
}

func say(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text + "\n"))
}
