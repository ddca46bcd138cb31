package app

import (
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// version is set at build time (-ldflags -X); otherwise it comes from the module.
var version string

// reloads tells how reading the configuration went, as every Prometheus program does.
type reloads struct {
	success prometheus.Gauge
	at      prometheus.Gauge
}

func newReloads() *reloads {
	return &reloads{
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "oriel_config_last_reload_successful", Help: "Whether the last reading of the configuration succeeded (1) or not (0).",
		}),
		at: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "oriel_config_last_reload_success_timestamp_seconds", Help: "When the configuration was last read with success.",
		}),
	}
}

func (r *reloads) succeeded() {
	r.success.Set(1)
	r.at.Set(float64(time.Now().Unix()))
}

func (r *reloads) failed() { r.success.Set(0) }

// Describe and Collect make it a prometheus.Collector.
func (r *reloads) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(r, ch) }

// Collect sends both gauges.
func (r *reloads) Collect(ch chan<- prometheus.Metric) {
	r.success.Collect(ch)
	r.at.Collect(ch)
}

// build is what the program knows of its own making.
type build struct{ version, revision, goVersion, engine string }

func thisBuild() build {
	b := build{version: version, revision: "unknown", goVersion: runtime.Version(), engine: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.version == "" {
		b.version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.revision = s.Value
		}
	}
	for _, d := range info.Deps {
		if d.Path == "github.com/prometheus/prometheus" {
			b.engine = d.Version
		}
	}
	return b
}

func buildInfo() prometheus.Collector {
	b := thisBuild()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "oriel_build_info", Help: "The version of this program.",
		ConstLabels: prometheus.Labels{"version": b.version, "revision": b.revision, "goversion": b.goVersion},
	})
	info.Set(1)
	return info
}
