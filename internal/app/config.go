package app

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/console"
	"github.com/orielhq/oriel/internal/flow/netflow"
	"github.com/orielhq/oriel/internal/influx"
	"github.com/orielhq/oriel/internal/lake"
	"github.com/orielhq/oriel/internal/neuvector"
	"github.com/orielhq/oriel/internal/packet"
	"github.com/orielhq/oriel/internal/prom"
	"github.com/orielhq/oriel/internal/query"
	"github.com/orielhq/oriel/internal/tunnel/probe"
	"github.com/orielhq/oriel/internal/tunnel/proxy"
	"github.com/orielhq/oriel/internal/tunnel/relay"
	"github.com/orielhq/oriel/internal/wireguard"
	"github.com/orielhq/oriel/internal/wireguard/wirerest"
	"github.com/orielhq/oriel/rules"
)

const maxConfigFile = 16 << 20

// Config is the configuration file: a table of contents. What a section may
// say stands beside the code that obeys it.
type Config struct {
	// Instance is the label of everything collected here; the machine's name unless told.
	Instance string `yaml:"instance"`
	// CollectInterval is how often the engine asks our own collectors.
	CollectInterval conf.Duration `yaml:"collect_interval"`
	// BuiltinRules tells whether the alert rules that come with the program are loaded.
	BuiltinRules bool `yaml:"builtin_rules"`

	// Prometheus and Alertmanager have those programs' own keys: their text goes
	// to the engine as it is.
	Prometheus   any `yaml:"prometheus"`
	Alertmanager any `yaml:"alertmanager"`

	WireGuard *wireguard.Config `yaml:"wireguard"`
	NeuVector *neuvector.Config `yaml:"neuvector"`
	WireRest  *wirerest.Config  `yaml:"wirerest"`
	Influx    *influx.Config    `yaml:"influx"`
	Query     *query.Config     `yaml:"query"`
	Flows     *lake.Config      `yaml:"flows"`
	NetFlow   *netflow.Config   `yaml:"netflow"`
	Tunnels   *relay.Config     `yaml:"tunnels"`
	Probes    *probe.Config     `yaml:"probes"`
	Proxy     *proxy.Config     `yaml:"tunnel_proxy"`
	Packets   *packet.Config    `yaml:"packets"`
	Console   console.Config    `yaml:"console"`

	file     string
	source   []byte
	sections sections
	dataDir  string       // of serve's flags
	api      http.Handler // of serve's engine
}

// defaultPrometheus is in force when the file has no section prometheus.
const defaultPrometheus = "global: {scrape_interval: 15s, evaluation_interval: 15s}\n"

func defaultConfig() *Config {
	c := &Config{CollectInterval: conf.Duration(10 * time.Second), BuiltinRules: true, Console: console.Default()}
	if host, err := os.Hostname(); err == nil {
		c.Instance = host
	} else {
		c.Instance = "localhost"
	}
	return c
}

// loadConfig reads and checks a file. Without one, what this machine offers is watched.
func loadConfig(file, dataDir string) (c *Config, err error) {
	defer func() {
		if err == nil {
			c.dataDir = dataDir
		}
	}()
	if file == "" {
		c = defaultConfig()
		for _, spec := range c.specs() {
			if spec.always {
				spec.fill()
			}
		}
		return c, nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if info.Size() > maxConfigFile {
		return nil, fmt.Errorf("read configuration: %q is larger than %d bytes", file, maxConfigFile)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return parseConfig(file, data)
}

func parseConfig(file string, data []byte) (*Config, error) {
	c := defaultConfig()
	c.file, c.source = file, data
	if err := conf.Decode(file, data, c); err != nil {
		return nil, err
	}
	var err error
	if c.sections, err = findSections(data); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if c.CollectInterval.Std() < 100*time.Millisecond {
		return nil, fmt.Errorf("%s: collect_interval: %s is less than 100ms", file, c.CollectInterval)
	}
	if err := c.Console.Validate(); err != nil {
		return nil, conf.Locate(file, data, "console", err)
	}
	for _, spec := range c.specs() {
		if c.sections.present[spec.name] {
			spec.fill() // "wireguard:" and nothing below it
		}
		if err := spec.validate(); err != nil {
			return nil, conf.Locate(file, data, spec.name, err)
		}
	}
	return c, nil
}

// plan is what the engine has to do.
func (c *Config) plan(features []*feature, log *slog.Logger) (*prom.Plan, error) {
	s := prom.Settings{
		File: c.file, Source: c.source, Instance: c.Instance, Prometheus: c.sections.prometheus, Alertmanager: c.sections.alertmanager,
		QueryURL: c.sections.queryURL,
		Jobs:     []prom.Job{{Name: selfName, Path: metricsPath(selfName), Interval: c.CollectInterval.Std()}},
	}
	if len(s.Prometheus) == 0 {
		s.Prometheus = []byte(defaultPrometheus)
	}
	for _, f := range features {
		if f.collector != nil {
			s.Jobs = append(s.Jobs, prom.Job{Name: f.name, Path: metricsPath(f.name), Interval: c.CollectInterval.Std()})
		}
		if c.BuiltinRules {
			s.RuleNames = append(s.RuleNames, f.rules...)
		}
	}
	slices.Sort(s.RuleNames)
	s.RuleNames = slices.Compact(s.RuleNames) // guardians and probes share a file
	return prom.NewPlan(s, rules.Files, log)
}
