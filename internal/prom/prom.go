// Package prom embeds Prometheus (storage, scraping, rules, remote read and
// write, HTTP API) and Alertmanager in this process. It is the only importer of
// both, because their Go interfaces promise nothing between releases.
package prom

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"
	"github.com/prometheus/prometheus/discovery"
	_ "github.com/prometheus/prometheus/discovery/file" // file_sd_configs
	_ "github.com/prometheus/prometheus/discovery/http" // http_sd_configs; every other plug-in costs tens of megabytes
	"github.com/prometheus/prometheus/notifier"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/web"
	"golang.org/x/sync/errgroup"
)

func init() {
	// Alertmanager's API tells its version from this global of the library; nothing else of ours reads it.
	version.Version = strings.TrimPrefix(moduleVersion("github.com/prometheus/alertmanager"), "v")
}

// Config is what stays the same while the engine runs; Settings is what a reload changes.
type Config struct {
	// Dir is the data directory; the engine uses prometheus/ and alertmanager/ below it.
	Dir string
	// ExternalURL is where people reach this server, for links in alerts. No trailing slash.
	ExternalURL string
	// Rules holds the rule files that Settings.RuleNames names.
	Rules fs.FS
	// Metrics serves the pages of our own collectors to the scrapes of Job.
	Metrics http.Handler
	// Hold, if there is one, keeps scrapes and rules back until it is closed: the
	// engine answers, and Backfill may still be called.
	Hold <-chan struct{}
}

// Engine is an embedded Prometheus with an embedded Alertmanager. Make it with
// New, then Open, then Run; Apply and ServeHTTP work from Open on.
type Engine struct {
	cfg      Config
	external *url.URL
	log      *slog.Logger
	registry *prometheus.Registry
	memory   *memory

	applying sync.Mutex // one Apply at a time
	current  atomic.Pointer[Plan]

	db       *tsdb.DB
	dbStats  *tsdb.DBStats
	remote   *remote.Storage
	fanout   storage.Storage
	query    *promql.Engine
	scrapeSD *discovery.Manager
	notifySD *discovery.Manager
	scraper  *scrape.Manager
	notifier *notifier.Manager
	rules    *rules.Manager
	web      *web.Handler
	alerts   *alertmanager

	handler   *http.ServeMux
	stopSD    context.CancelFunc
	stopRules context.CancelFunc
	closeOnce sync.Once
	closeErr  error
}

// New returns an engine that has not touched anything yet.
func New(cfg Config, log *slog.Logger) (*Engine, error) {
	external, err := url.Parse(cfg.ExternalURL)
	if err != nil || external.Host == "" {
		return nil, fmt.Errorf("external URL %q: want http://host:port", cfg.ExternalURL)
	}
	if external.Path != "" {
		return nil, fmt.Errorf("external URL %q: a path is not supported", cfg.ExternalURL)
	}
	return &Engine{cfg: cfg, external: external, log: log, registry: prometheus.NewRegistry(), memory: newMemory()}, nil
}

// Registry holds the metrics of the engine itself, prometheus_* and alertmanager_*.
func (e *Engine) Registry() *prometheus.Registry { return e.registry }

// Open opens the storage, replaying its log, and applies the plan. After an error nothing is left open.
func (e *Engine) Open(ctx context.Context, plan *Plan) error {
	if err := e.open(ctx, plan); err != nil {
		return errors.Join(err, e.Close())
	}
	return nil
}

func (e *Engine) open(ctx context.Context, plan *Plan) error {
	if err := e.openStorage(plan); err != nil {
		return err
	}
	// The managers outlive ctx, which may end before they are told to stop, in order, by Run.
	base := context.WithoutCancel(ctx)
	if err := e.openManagers(base); err != nil {
		return err
	}
	var err error
	if e.alerts, err = openAlertmanager(base, filepath.Join(e.cfg.Dir, "alertmanager"), e.external, e.registry, e.log); err != nil {
		return err
	}
	e.routes()
	return e.Apply(plan)
}

// openManagers makes everything between storage and API; nothing runs yet.
func (e *Engine) openManagers(base context.Context) error {
	sdMetrics, err := discovery.CreateAndRegisterSDMetrics(e.registry)
	if err != nil {
		return fmt.Errorf("register discovery metrics: %w", err)
	}
	sdCtx, stopSD := context.WithCancel(base)
	e.stopSD = stopSD
	e.scrapeSD = discovery.NewManager(sdCtx, e.log, e.registry, sdMetrics, discovery.Name("scrape"), discovery.Updatert(discoveryInterval))
	e.notifySD = discovery.NewManager(sdCtx, e.log, e.registry, sdMetrics, discovery.Name("notify"), discovery.Updatert(discoveryInterval))
	if e.scrapeSD == nil || e.notifySD == nil {
		return errors.New("register discovery manager")
	}
	if e.scraper, err = newScraper(e.memory, e.fanout, e.registry, e.log); err != nil {
		return err
	}
	e.notifier = newNotifier(e.memory, e.registry, e.log)
	promqlParser := parser.NewParser(parser.Options{})
	e.query = promql.NewEngine(promql.EngineOpts{
		Logger: e.log, Reg: e.registry, MaxSamples: maxSamples, Timeout: queryTimeout, LookbackDelta: lookback,
		EnableAtModifier: true, EnableNegativeOffset: true, Parser: promqlParser,
		NoStepSubqueryIntervalFn: func(int64) int64 {
			return time.Duration(e.current.Load().prometheus.GlobalConfig.EvaluationInterval).Milliseconds()
		},
	})
	rulesCtx, stopRules := context.WithCancel(base)
	e.stopRules = stopRules
	e.rules = newRules(rulesCtx, e, promqlParser)
	e.web = newWeb(base, e, promqlParser)
	return nil
}

// Run scrapes, evaluates rules and answers until ctx is done; then it stops
// these, in that order, and closes the storage.
func (e *Engine) Run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	webCtx, stopWeb := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error { return ignoreCanceled(e.scrapeSD.Run()) })
	g.Go(func() error { return ignoreCanceled(e.notifySD.Run()) })
	g.Go(func() error {
		if !e.begin(gctx) {
			return nil
		}
		return e.scraper.Run(e.scrapeSD.SyncCh())
	})
	g.Go(func() error { e.notifier.Run(e.notifySD.SyncCh()); return nil })
	g.Go(func() error {
		// An alert that fires before the notifier knows where to send it would
		// be sent a minute later (the resend delay).
		e.waitForAlertmanager(gctx)
		e.begin(gctx)
		e.rules.Run() // also when ctx is done: Stop waits for it
		return nil
	})
	g.Go(func() error { return e.web.Run(webCtx, e.memory.listeners(hostAPI), "") })
	g.Go(func() error { return e.memory.serve(webCtx, hostMetrics, e.cfg.Metrics) })
	g.Go(func() error { return e.memory.serve(webCtx, hostAlertmanager, e.alerts) })
	g.Go(func() error {
		<-gctx.Done()
		e.web.SetReady(web.Stopping)
		e.scraper.Stop()
		e.rules.Stop()
		e.notifier.Stop()
		e.stopSD()
		stopWeb()
		return nil
	})
	e.web.SetReady(web.Ready)
	err := g.Wait()
	return errors.Join(err, e.Close())
}

// begin waits for Config.Hold. It returns false if ctx is done before.
func (e *Engine) begin(ctx context.Context) bool {
	if e.cfg.Hold == nil {
		return true
	}
	select {
	case <-e.cfg.Hold:
		return true
	case <-ctx.Done():
		return false
	}
}

// waitForAlertmanager waits until the notifier has found the embedded Alertmanager, or ctx is done.
func (e *Engine) waitForAlertmanager(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(e.notifier.Alertmanagers()) == 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Close closes the storage and Alertmanager. Run does it at its end; it is for an engine that was opened and never ran.
func (e *Engine) Close() error {
	e.closeOnce.Do(func() {
		if e.stopSD != nil {
			e.stopSD()
		}
		if e.stopRules != nil {
			e.stopRules()
		}
		if e.alerts != nil {
			e.alerts.close()
		}
		e.closeErr = e.closeStorage()
	})
	return e.closeErr
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
