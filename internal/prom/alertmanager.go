package prom

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/api"
	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/config/receiver"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/route"
)

const (
	alertmanagerPrefix = "/alertmanager"

	// Alertmanager's own defaults (cmd/alertmanager, --data.* and --alerts.*).
	alertRetention      = 120 * time.Hour
	maintenanceInterval = 15 * time.Minute
	alertGCInterval     = 30 * time.Minute
	dispatchMaintenance = 30 * time.Second
)

// alertmanager is an Alertmanager of one node: no gossip, no pages, all of the
// rest. What lives as long as the process is made by openAlertmanager, what
// follows the configuration by apply.
type alertmanager struct {
	log      *slog.Logger
	external *url.URL
	handler  http.Handler
	stop     chan struct{} // ends maintenance
	done     sync.WaitGroup

	alerts    *mem.Alerts
	silences  *silence.Silences
	silencer  *silence.Silencer
	notified  *nflog.Log
	api       *api.API
	marker    marker.GroupMarker
	recorder  eventrecorder.Recorder
	pipelines *notify.PipelineBuilder
	metrics   *dispatch.DispatcherMetrics

	dispatcher atomic.Pointer[dispatch.Dispatcher]
	inhibitor  atomic.Pointer[inhibit.Inhibitor]
}

// openAlertmanager reads silences and the notification log from dir. base must outlive it.
func openAlertmanager(base context.Context, dir string, external *url.URL, reg prometheus.Registerer, log *slog.Logger) (*alertmanager, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	flags := featurecontrol.NoopFlags{}
	a := &alertmanager{log: log, external: external.JoinPath(alertmanagerPrefix), stop: make(chan struct{}), marker: marker.NewGroupMarker(), recorder: eventrecorder.NopRecorder()}
	var err error
	notifiedFile, silencedFile := filepath.Join(dir, "nflog"), filepath.Join(dir, "silences")
	if a.notified, err = nflog.New(nflog.Options{SnapshotFile: notifiedFile, Retention: alertRetention, Logger: log, Metrics: reg}); err != nil {
		return nil, fmt.Errorf("open notification log: %w", err)
	}
	if a.silences, err = silence.New(silence.Options{
		SnapshotFile: silencedFile, Retention: alertRetention, Logger: log, Metrics: reg, EventRecorder: a.recorder,
		// Silences are written by anybody who may write to this server: bounded.
		Limits: silence.Limits{MaxSilences: func() int { return 10_000 }, MaxSilenceSizeBytes: func() int { return 64 << 10 }},
	}); err != nil {
		return nil, fmt.Errorf("open silences: %w", err)
	}
	a.silencer = silence.NewSilencer(a.silences, log, a.recorder)
	if a.alerts, err = mem.NewAlerts(base, alertGCInterval, 0, a.silencer, log, a.recorder, reg, flags); err != nil {
		return nil, fmt.Errorf("make alert store: %w", err)
	}
	a.pipelines = notify.NewPipelineBuilder(reg, flags, a.recorder)
	a.metrics = dispatch.NewDispatcherMetrics(false, reg, flags)
	if a.api, err = api.New(api.Options{
		Alerts: a.alerts, Silences: a.silences, GroupMutedFunc: a.marker.Muted, Logger: log, Registry: reg,
		GroupFunc: func(ctx context.Context, routes func(*dispatch.Route) bool, alerts func(*alert.Alert, time.Time) bool) (dispatch.AlertGroups, map[model.Fingerprint][]string, error) {
			return a.dispatcher.Load().Groups(ctx, routes, alerts)
		},
		RequestDuration: promauto.With(reg).NewHistogramVec(prometheus.HistogramOpts{
			Name: "alertmanager_http_request_duration_seconds", Help: "Histogram of latencies for HTTP requests.",
		}, []string{"handler", "method", "code"}),
	}); err != nil {
		return nil, fmt.Errorf("make alertmanager API: %w", err)
	}
	a.handler = a.api.Register(route.New().WithPrefix(alertmanagerPrefix), alertmanagerPrefix)
	a.done.Go(func() { a.notified.Maintenance(maintenanceInterval, notifiedFile, a.stop, nil) })
	a.done.Go(func() { a.silences.Maintenance(maintenanceInterval, silencedFile, a.stop, nil) })
	return a, nil
}

// ServeHTTP answers API v2 below /alertmanager.
func (a *alertmanager) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// apply builds templates, receivers and routes; if one is wrong nothing has
// changed. Then it replaces the inhibitor and the dispatcher, in this order, so
// that no alert is sent that should be inhibited.
func (a *alertmanager) apply(cfg *amconfig.Config) error {
	tmpl, err := template.FromGlobs(cfg.Templates)
	if err != nil {
		return fmt.Errorf("templates: %w", err)
	}
	tmpl.ExternalURL = a.external
	routes := dispatch.NewRoute(cfg.Route, nil)
	used := map[string]bool{}
	routes.Walk(func(r *dispatch.Route) { used[r.RouteOpts.Receiver] = true })
	receivers := map[string][]notify.Integration{}
	for _, r := range cfg.Receivers {
		if !used[r.Name] {
			continue
		}
		if receivers[r.Name], err = receiver.BuildReceiverIntegrations(r, tmpl, a.log); err != nil {
			return fmt.Errorf("receiver %q: %w", r.Name, err)
		}
	}
	intervals := map[string][]timeinterval.TimeInterval{}
	for _, i := range cfg.MuteTimeIntervals {
		intervals[i.Name] = i.TimeIntervals
	}
	for _, i := range cfg.TimeIntervals {
		intervals[i.Name] = i.TimeIntervals
	}

	a.stopRouting()
	noWait := func() time.Duration { return 0 } // there are no other nodes
	inhibitor := inhibit.NewInhibitor(a.alerts, cfg.InhibitRules, a.log, a.recorder)
	pipeline := a.pipelines.New(receivers, noWait, inhibitor, a.silencer, timeinterval.NewIntervener(intervals), a.marker, a.notified, nil)
	a.api.Update(cfg, func(ctx context.Context, labels model.LabelSet) {
		a.inhibitor.Load().Mutes(ctx, labels)
		a.silencer.Mutes(ctx, labels)
	})
	timeout := func(d time.Duration) time.Duration { return max(d, notify.MinTimeout) }
	dispatcher := dispatch.NewDispatcher(a.alerts, routes, pipeline, a.marker, timeout, dispatchMaintenance, nil, a.log, a.recorder, a.metrics, tmpl)
	a.done.Go(inhibitor.Run)
	inhibitor.WaitForLoading()
	a.inhibitor.Store(inhibitor)
	a.done.Go(func() { dispatcher.Run(time.Now()) })
	dispatcher.WaitForLoading()
	a.dispatcher.Store(dispatcher)
	return nil
}

func (a *alertmanager) stopRouting() {
	if i := a.inhibitor.Load(); i != nil {
		i.Stop()
	}
	if d := a.dispatcher.Load(); d != nil {
		d.Stop()
	}
}

// close stops routing and writes silences and the notification log to disk.
func (a *alertmanager) close() {
	a.stopRouting()
	close(a.stop)
	a.done.Wait()
	a.alerts.Close()
}

// setDirectory makes the relative paths of a configuration start in dir, as
// Alertmanager does for a file. Its own function for that is not exported.
func setDirectory(cfg *amconfig.Config, dir string) {
	for i, t := range cfg.Templates {
		cfg.Templates[i] = commoncfg.JoinDir(dir, t)
	}
	if cfg.Global != nil {
		cfg.Global.HTTPConfig.SetDirectory(dir)
	}
	for _, r := range cfg.Receivers {
		fields := reflect.ValueOf(r)
		for _, list := range fields.Fields() {
			if list.Kind() == reflect.Slice {
				for j := range list.Len() {
					setHTTPDirectory(list.Index(j), dir)
				}
			}
		}
	}
}

// setHTTPDirectory calls SetDirectory of the HTTPConfig that one receiver configuration may have.
func setHTTPDirectory(receiver reflect.Value, dir string) {
	if receiver.Kind() != reflect.Pointer || receiver.IsNil() || receiver.Elem().Kind() != reflect.Struct {
		return
	}
	field := receiver.Elem().FieldByName("HTTPConfig")
	if !field.IsValid() {
		return
	}
	if c, ok := reflect.TypeAssert[*commoncfg.HTTPClientConfig](field); ok && c != nil {
		c.SetDirectory(dir)
	}
}
