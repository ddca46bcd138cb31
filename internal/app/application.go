package app

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/console"
	"github.com/orielhq/oriel/internal/prom"
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
	console *console.Console
	reloads *reloads
	ready   atomic.Bool
	hold    chan struct{} // of a demo: closed when its past is stored
	shown   atomic.Pointer[shown]
	compat  atomic.Pointer[map[string]compatible] // features that have pages of other exporters

	mu       sync.Mutex // guards what follows; one reload at a time
	features []*feature
	plan     *prom.Plan
	config   *Config
}

// shown is what the features at work answer with.
type shown struct {
	set      *collector.Set            // of /metrics
	alone    map[string]*collector.Set // by name, of features with a page of their own only
	handlers map[string]http.Handler   // by name
}

// names of all pages below /metrics/.
func (s *shown) names() []string {
	return slices.Sorted(slices.Values(append(s.set.Names(), slices.Collect(maps.Keys(s.alone))...)))
}

// publish makes the features those that scrapes and requests reach.
func (a *application) publish(features []*feature) {
	self := prometheus.NewRegistry()
	self.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(), a.reloads)
	all := map[string]collector.Collector{selfName: collector.From(self, a.engine.Registry())}
	now := &shown{alone: map[string]*collector.Set{}, handlers: map[string]http.Handler{}}
	for _, f := range features {
		switch {
		case f.collector == nil:
		case f.alone:
			now.alone[f.name] = collector.NewSet(a.log, map[string]collector.Collector{f.name: f.collector})
		default:
			all[f.name] = f.collector
		}
		if h, ok := f.part.(http.Handler); ok {
			now.handlers[f.name] = h
		}
	}
	now.set = collector.NewSet(a.log, all)
	a.shown.Store(now)
	now.feed(features)
	compat := compatibles(features)
	a.compat.Store(&compat)
}

// handler has all the paths of DESIGN 4 that exist so far.
func (a *application) handler() http.Handler {
	mux := http.NewServeMux()
	engine := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.engine.ServeHTTP(w, r) })
	for _, path := range []string{"/api/v1/", "/federate", "/alertmanager/"} {
		mux.Handle(path, a.whenReady(engine))
	}
	for _, spec := range new(Config).specs() {
		for _, path := range spec.paths {
			mux.HandleFunc(path, a.whenReady(a.feature(spec.name)))
		}
	}
	mux.HandleFunc("/metrics", a.whenReady(http.HandlerFunc(a.metrics)))
	mux.HandleFunc("/metrics/", a.whenReady(http.HandlerFunc(a.metrics)))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { say(w, "Oriel is healthy.") })
	mux.HandleFunc("GET /-/ready", a.whenReady(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { say(w, "Oriel is ready.") })))
	mux.HandleFunc("POST /-/reload", a.whenReady(http.HandlerFunc(a.serveReload)))
	mux.HandleFunc("PUT /-/reload", a.whenReady(http.HandlerFunc(a.serveReload)))
	mux.HandleFunc("GET /graph", a.graph)
	mux.Handle("/api/console/", a.whenReady(a.console))
	mux.Handle("/", a.console)
	return console.Guard(ownHosts(a.flags, mux))
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
	shown := a.shown.Load()
	set := shown.set
	if name := strings.Trim(strings.TrimPrefix(r.URL.Path, "/metrics"), "/"); name != "" {
		one, ok := set.Only(name)
		if !ok {
			one, ok = shown.alone[name]
		}
		if !ok {
			http.Error(w, fmt.Sprintf("no such feature; there are: %s", strings.Join(shown.names(), ", ")), http.StatusNotFound)
			return
		}
		set = one
	}
	if profile := r.URL.Query().Get("compat"); profile != "" {
		a.serveCompat(w, r, profile)
		return
	}
	set.ServeHTTP(w, r)
}

// feature serves the paths of a feature, as long as the configuration has it.
func (a *application) feature(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := a.shown.Load().handlers[name]; ok {
			h.ServeHTTP(w, r)
			return
		}
		http.Error(w, fmt.Sprintf("the configuration has no section %s", name), http.StatusNotFound)
	})
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
	cfg, err := loadConfig(a.flags.config, a.flags.dataDir)
	if err != nil {
		return err
	}
	cfg.within(a.flags.inside)
	cfg.api = a.engine
	features, err := cfg.build(a.features, a.log)
	if err != nil {
		return err
	}
	plan, err := cfg.plan(features, warnings(a.log))
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
	a.console.Use(cfg.Console)
	a.features, a.plan, a.config = features, plan, cfg
	return nil
}

func say(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text + "\n"))
}
