package prom

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/notifier"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/logging"
)

// Job is a scrape of one of our own collectors through memory.
type Job struct {
	Name     string        // becomes the job label
	Path     string        // on Config.Metrics
	Interval time.Duration // 0: Prometheus' global scrape_interval
}

// newScraper returns a scrape manager that reaches our own hosts through memory and all others as usual.
func newScraper(m *memory, app storage.AppendableV2, reg prometheus.Registerer, log *slog.Logger) (*scrape.Manager, error) {
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if internal(addr) {
			return m.dial(ctx, addr)
		}
		return dialer.DialContext(ctx, network, addr)
	}
	s, err := scrape.NewManager(&scrape.Options{
		HTTPClientOptions:        []config_util.HTTPClientOption{config_util.WithDialContextFunc(dial)},
		DiscoveryReloadOnStartup: true,
	}, log, logging.NewJSONFileLogger, nil, app, reg)
	if err != nil {
		return nil, fmt.Errorf("make scrape manager: %w", err)
	}
	return s, nil
}

// scrapeConfig is the job as Prometheus configures it. The instance label is
// this machine's name instead of the address, which means nothing outside.
func (j Job) scrapeConfig(instance string, global config.GlobalConfig) (*config.ScrapeConfig, error) {
	c := config.DefaultScrapeConfig
	c.JobName = j.Name
	c.MetricsPath = j.Path
	c.EnableCompression = false
	c.ScrapeProtocols = []config.ScrapeProtocol{config.PrometheusText0_0_4}
	if j.Interval > 0 {
		c.ScrapeInterval = model.Duration(j.Interval)
		c.ScrapeTimeout = min(model.Duration(j.Interval), model.Duration(10*time.Second))
	}
	c.ServiceDiscoveryConfigs = discovery.Configs{discovery.StaticConfig{&targetgroup.Group{
		Targets: []model.LabelSet{{
			model.AddressLabel:  hostMetrics + ":80",
			model.InstanceLabel: model.LabelValue(instance),
		}},
	}}}
	if err := c.Validate(global); err != nil {
		return nil, fmt.Errorf("job %q: %w", j.Name, err)
	}
	return &c, nil
}

// newNotifier returns a notifier that reaches the embedded Alertmanager through memory and others as usual.
func newNotifier(m *memory, reg prometheus.Registerer, log *slog.Logger) *notifier.Manager {
	inside := &http.Client{Transport: m.transport()}
	return notifier.NewManager(&notifier.Options{
		QueueCapacity: 10_000, DrainOnShutdown: true, Registerer: reg,
		Do: func(ctx context.Context, client *http.Client, req *http.Request) (*http.Response, error) {
			if internal(req.URL.Host) {
				client = inside
			}
			return client.Do(req.WithContext(ctx)) //nolint:gosec // where the operator's configuration says alerts go
		},
	}, model.UTF8Validation, log)
}

// ownAlertmanager is the embedded Alertmanager as Prometheus configures one.
func ownAlertmanager() *config.AlertmanagerConfig {
	c := config.DefaultAlertmanagerConfig
	c.PathPrefix = alertmanagerPrefix
	c.ServiceDiscoveryConfigs = discovery.Configs{discovery.StaticConfig{&targetgroup.Group{
		Targets: []model.LabelSet{{model.AddressLabel: hostAlertmanager + ":80"}},
	}}}
	return &c
}
