package prom

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/grafana/regexp"
	"github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/common/version"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/web"
)

// newWeb returns Prometheus' own HTTP API. Its pages are not in its Go module; ours are the console.
func newWeb(base context.Context, e *Engine, p parser.Parser) *web.Handler {
	return web.New(e.log, &web.Options{
		Context:         base,
		TSDBDir:         e.db.Dir(),
		LocalStorage:    localStorage{e.db, e.dbStats},
		Storage:         e.fanout,
		ExemplarStorage: e.db,
		QueryEngine:     e.query,
		LookbackDelta:   lookback,
		ScrapeManager:   e.scraper,
		RuleManager:     e.rules,
		Notifier:        e.notifier,
		Version: &web.PrometheusVersion{
			Version: prometheusVersion(), Revision: version.Revision, Branch: version.Branch,
			BuildUser: version.BuildUser, BuildDate: version.BuildDate, GoVersion: runtime.Version(),
		},
		// A Thanos sidecar reads these two before it ships blocks.
		Flags:                      map[string]string{"storage.tsdb.min-block-duration": "2h", "storage.tsdb.max-block-duration": "2h"},
		ListenAddresses:            []string{net.JoinHostPort("", cmp.Or(e.external.Port(), "80"))}, // told from targets on this machine by its port
		CORSOrigin:                 regexp.MustCompile(`^$`),                                        // nobody: another origin has no business here
		MaxConnections:             512,
		ExternalURL:                e.external,
		RoutePrefix:                "/",
		EnableRemoteWriteReceiver:  true,
		AcceptRemoteWriteProtoMsgs: remote.MessageTypes{remote.WriteV1MessageType, remote.WriteV2MessageType},
		RemoteReadSampleLimit:      readSampleLimit,
		RemoteReadConcurrencyLimit: readConcurrency,
		RemoteReadBytesInFrame:     readBytesInFrame,
		AppName:                    "Oriel",
		Gatherer:                   e.registry,
		Registerer:                 e.registry,
		Parser:                     p,
	})
}

// routes makes the handler: Prometheus' API and federation at the root, as
// Grafana and promtool expect them, and Alertmanager's API below /alertmanager.
func (e *Engine) routes() {
	inside := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", hostAPI
			r.Out.Host = r.In.Host
		},
		Transport:     e.memory.transport(),
		FlushInterval: -1, // remote read streams
		ErrorLog:      slog.NewLogLogger(e.log.Handler(), slog.LevelDebug),
	}
	e.handler = http.NewServeMux()
	e.handler.Handle("/api/v1/", e.elsewhere(inside))
	e.handler.Handle("/federate", inside)
	e.handler.Handle(alertmanagerPrefix+"/", e.alerts)
	ok := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("OK\n")) }
	e.handler.HandleFunc(alertmanagerPrefix+"/-/healthy", ok)
	e.handler.HandleFunc(alertmanagerPrefix+"/-/ready", ok)
}

// ServeHTTP answers /api/v1/*, /federate and /alertmanager/*.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.handler.ServeHTTP(w, r) }

// elsewhere sends what asks for series to Settings.QueryURL, if there is one.
func (e *Engine) elsewhere(inside http.Handler) http.Handler {
	outside := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(e.current.Load().queryURL)
			r.Out.Header.Del("Authorization") // that was for us
			r.Out.Header.Del("Cookie")
		},
		ErrorLog: slog.NewLogLogger(e.log.Handler(), slog.LevelWarn),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e.current.Load().queryURL != nil && asksForSeries(r.URL) {
			outside.ServeHTTP(w, r)
			return
		}
		inside.ServeHTTP(w, r)
	})
}

// asksForSeries tells a path whose answer comes from stored series from one about this process.
func asksForSeries(u *url.URL) bool {
	switch path := strings.TrimPrefix(u.Path, "/api/v1/"); path {
	case "query", "query_range", "query_exemplars", "series", "labels":
		return true
	default:
		return strings.HasPrefix(path, "label/")
	}
}

// prometheusVersion is the version of the embedded Prometheus as its API reports
// it, by which Grafana decides what it can do: module v0.315.2 is Prometheus 3.15.2.
func prometheusVersion() string {
	module := moduleVersion("github.com/prometheus/prometheus")
	if rest, ok := strings.CutPrefix(module, "v0."); ok && len(rest) > 3 {
		return rest[:1] + "." + strings.TrimPrefix(rest[1:], "0")
	}
	return "3.0.0"
}

// moduleVersion is the version of a library in this program, empty if unknown.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == path {
				return dep.Version
			}
		}
	}
	return ""
}
