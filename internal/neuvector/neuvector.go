// Package neuvector watches a NeuVector controller, and through it the clusters
// of its federation: it yields the metrics of the official exporter with their
// names, more of our own, and security events, workloads and images as rows.
package neuvector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/orielhq/oriel/internal/conf"
)

// The families of metrics, by whose names they carry.
const (
	FamilyOfficial = "official"
	FamilyOriel    = "oriel"
)

const (
	defaultPort    = "10443"
	maxConcurrency = 64
	maxPageSize    = 10000
	maxTop         = 100000
)

// Config is the section `neuvector` of the configuration file.
type Config struct {
	// Address of the controller's REST API, host or host:port (10443).
	Address string `yaml:"address"`
	// Cluster is the label of the controller's own cluster; the host of Address unless told.
	Cluster string `yaml:"cluster"`
	// Username and Password of an account; the role reader is enough.
	Username     string      `yaml:"username"`
	Password     conf.Secret `yaml:"password"`
	PasswordFile string      `yaml:"password_file"`
	// APIKey is "name:secret" of a key, instead of an account.
	APIKey     conf.Secret `yaml:"api_key"`
	APIKeyFile string      `yaml:"api_key_file"`
	// TLS is how the controller is met. Its own certificate is self-signed unless it was given another.
	TLS conf.TLS `yaml:"tls"`
	// Timeout of one request.
	Timeout conf.Duration `yaml:"timeout"`
	// Concurrency is how many requests may be under way; 0: 16 with an account, 1 with an API key,
	// as each request with a key holds a lock of the controller while it hashes.
	Concurrency int `yaml:"concurrency"`
	// PageSize is how many items one request asks for.
	PageSize int `yaml:"page_size"`
	// Groups of figures to collect; see Groups.
	Groups []string `yaml:"groups"`
	// Intervals say how often a group is refreshed, where it is not the default.
	Intervals map[string]conf.Duration `yaml:"intervals"`
	// EnforcerStats reads the CPU, memory and traffic of each enforcer.
	EnforcerStats bool `yaml:"enforcer_stats"`
	// Federation also collects from the clusters that this one manages.
	Federation bool `yaml:"federation"`
	// MaxClusters of a federation; more are left out and counted.
	MaxClusters int `yaml:"max_clusters"`
	// Registries to read images of, by name or pattern; all if empty.
	Registries []string `yaml:"registries"`
	// TopServices, TopImages and TopConversations are how many of each have series of their own, the worst first.
	TopServices      int `yaml:"top_services"`
	TopImages        int `yaml:"top_images"`
	TopConversations int `yaml:"top_conversations"`
	// CommandLabel puts command lines on nv_log_events, as the official exporter does. They may hold secrets.
	CommandLabel bool `yaml:"command_label"`
	// StateFile remembers across restarts which events were seen; without it the
	// events that the controller still has are recorded again after a restart.
	StateFile string `yaml:"state_file"`
	// Families of metrics to expose: official, oriel.
	Families []string `yaml:"families"`
}

// Default is what a section without keys means, but for the address and the credential.
func Default() Config {
	return Config{
		Timeout: conf.Duration(10 * time.Second), PageSize: 500, Groups: slices.Clone(usualGroups), EnforcerStats: true, Federation: true, MaxClusters: 32,
		TopServices: 500, TopImages: 500, TopConversations: 500, Families: []string{FamilyOfficial, FamilyOriel},
	}
}

// UnmarshalYAML starts from the defaults.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Config
	*c = Default()
	return unmarshal((*plain)(c))
}

// Validate names the first key that makes no sense.
func (c *Config) Validate() error {
	if _, _, err := c.endpoint(); err != nil {
		return conf.Field("address", "%w", err)
	}
	key, password := c.APIKey != "" || c.APIKeyFile != "", c.Password != "" || c.PasswordFile != ""
	switch {
	case key == password:
		return conf.Field("api_key", "want either username and password or api_key")
	case password && c.Username == "":
		return conf.Field("username", "empty")
	case c.Password != "" && c.PasswordFile != "":
		return conf.Field("password_file", "password is given too")
	case c.APIKey != "" && c.APIKeyFile != "":
		return conf.Field("api_key_file", "api_key is given too")
	case c.APIKey != "" && strings.Count(c.APIKey.Reveal(), ":") != 1:
		return conf.Field("api_key", "want name:secret")
	case c.Timeout.Std() <= 0:
		return conf.Field("timeout", "must be more than 0")
	case c.Concurrency < 0 || c.Concurrency > maxConcurrency:
		return conf.Field("concurrency", "%d is not between 0 and %d", c.Concurrency, maxConcurrency)
	case c.PageSize < 1 || c.PageSize > maxPageSize:
		return conf.Field("page_size", "%d is not between 1 and %d", c.PageSize, maxPageSize)
	case c.MaxClusters < 0 || c.MaxClusters > 1000:
		return conf.Field("max_clusters", "%d is not between 0 and 1000", c.MaxClusters)
	}
	if err := c.TLS.Validate(); err != nil {
		return conf.Field("tls", "%w", err)
	}
	for key, n := range map[string]int{"top_services": c.TopServices, "top_images": c.TopImages, "top_conversations": c.TopConversations} {
		if n < 0 || n > maxTop {
			return conf.Field(key, "%d is not between 0 and %d", n, maxTop)
		}
	}
	for i, g := range c.Groups {
		if _, ok := intervals[g]; !ok {
			return conf.Field(index("groups", i), "%q: want some of %s", g, strings.Join(Groups(), ", "))
		}
	}
	for g, d := range c.Intervals {
		if _, ok := intervals[g]; !ok {
			return conf.Field("intervals", "no group is named %q", g)
		}
		if d.Std() < time.Second {
			return conf.Field("intervals."+g, "%s is less than 1s", d)
		}
	}
	for i, pattern := range c.Registries {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return conf.Field(index("registries", i), "%q is not a name or pattern", pattern)
		}
	}
	for i, f := range c.Families {
		if f != FamilyOfficial && f != FamilyOriel {
			return conf.Field(index("families", i), "%q: want %s or %s", f, FamilyOfficial, FamilyOriel)
		}
	}
	return nil
}

// endpoint is the host and the host with port of Address.
func (c *Config) endpoint() (host, address string, err error) {
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil {
		host, port = strings.Trim(c.Address, "[]"), defaultPort
	}
	if _, perr := strconv.ParseUint(port, 10, 16); perr != nil || host == "" || strings.ContainsAny(host, "/@?# ") {
		return "", "", fmt.Errorf("%q is not host or host:port", c.Address)
	}
	return host, net.JoinHostPort(host, port), nil
}

// index is the path of an element of a list.
func index(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

// Collector refreshes the figures in Run and yields the last ones in Collect.
type Collector struct {
	// Record takes the events that are new, in the order of their time. An error
	// keeps them new: they are offered again. It is set before Run, or nil.
	Record func([]Event) error

	cfg    Config
	log    *slog.Logger
	client *client
	local  *cluster

	mu       sync.Mutex // guards what follows
	clusters []*cluster // the local one first
	leftOut  int        // clusters beyond MaxClusters
	saved    map[string]map[string]map[string]int64

	stateMu sync.Mutex // one writer of the state file at a time; guards what follows
	written int        // events taken when the state was written
}

// New returns a collector that has asked for nothing yet. cfg must be valid.
func New(cfg Config, log *slog.Logger) (*Collector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	transport, err := newTransport(cfg)
	if err != nil {
		return nil, err
	}
	return newCollector(cfg, transport, log), nil
}

func newCollector(cfg Config, transport http.RoundTripper, log *slog.Logger) *Collector {
	host, address, _ := cfg.endpoint() // it is valid
	if cfg.Cluster == "" {
		cfg.Cluster = host
	}
	c := &Collector{cfg: cfg, log: log, client: newClient(cfg, address, transport, log)}
	c.local = newCluster(c, cfg.Cluster, host, "/v1")
	c.clusters = []*cluster{c.local}
	return c
}

// all returns the clusters known by now.
func (c *Collector) all() []*cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.clusters)
}

// Collect sends the last figures of all clusters. It never waits for the
// controller, and fails while that cannot be reached or refuses the credential.
func (c *Collector) Collect(_ context.Context, ch chan<- prometheus.Metric) error {
	p := newPage()
	for _, cl := range c.all() {
		cl.collect(p)
	}
	c.client.collect(p, c.cfg.Cluster)
	c.mu.Lock()
	p.set(&clustersLeftOut, float64(c.leftOut), "cluster", c.cfg.Cluster)
	c.mu.Unlock()
	for _, f := range p.families(c.cfg.Families) {
		ch <- f
	}
	if err := c.client.trouble(); err != nil {
		return err
	}
	if c.local.never() {
		return errors.New("nothing has been read yet")
	}
	return nil
}
