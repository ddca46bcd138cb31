// Package proxy lets each company read its own series of one Prometheus, and
// nothing else: a proxy that knows its clients by their certificates, builds
// every request to Prometheus itself and refuses what it does not know.
package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/tunnel/trust"
)

// Config is the section tunnel_proxy.
type Config struct {
	Listen   string   `yaml:"listen"`       // host:port, unix:PATH or systemd:NAME
	Upstream string   `yaml:"upstream"`     // Prometheus' URL, with its path prefix if it has one; or embedded
	TLS      conf.TLS `yaml:"upstream_tls"` // how the upstream is met
	Label    string   `yaml:"label"`        // of the series, whose value is the company
	// Clients come with a certificate (CertFile and so on), or through a gateway
	// that tells their certificate in a PROXY protocol header.
	CertFile      string        `yaml:"cert_file"`
	KeyFile       string        `yaml:"key_file"`        // of cert_file
	CAFile        string        `yaml:"ca_file"`         // whose certificates clients must have
	CRLFile       string        `yaml:"crl_file"`        // certificates that are no longer good
	Reload        conf.Duration `yaml:"reload"`          // how often the files are looked at
	ProxyProtocol bool          `yaml:"proxy_protocol"`  // clients come through a gateway
	TrustedProxy  []string      `yaml:"trusted_proxies"` // addresses or networks that may send the header; loopback and UNIX always
	Companies     []Company     `yaml:"companies"`       // the tenants
	Hide          []string      `yaml:"hide"`            // labels that nobody is shown, such as instance
	Timestamps    bool          `yaml:"timestamps"`      // keep them on /federate: what has stopped is shown for five more minutes
	Metrics       []string      `yaml:"metrics"`         // selectors of what /metrics shows
	Audit         bool          `yaml:"audit"`           // a log line for each request
	Limits        Limits        `yaml:"limits"`          // what requests may cost
	Drain         conf.Duration `yaml:"drain"`           // how long requests may go on when the program stops
}

// Company is one tenant.
type Company struct {
	Name string `yaml:"name"` // the label's value
	// Allow says which certificates are this company's. Without any it is the
	// company that the gateway names.
	Allow         []trust.Identity `yaml:"allow"`
	MaxConcurrent int              `yaml:"max_concurrent"` // 0: limits.company_concurrent
	Rate          float64          `yaml:"rate"`           // requests per second; 0: limits.company_rate
}

// Limits bound what one request, one company and all together may cost.
type Limits struct {
	Connections       int           `yaml:"connections"`        // of all clients
	Concurrent        int           `yaml:"concurrent"`         // requests to Prometheus at once
	CompanyConcurrent int           `yaml:"company_concurrent"` // of one company
	CompanyRate       float64       `yaml:"company_rate"`       // requests per second; twice as many at once
	Wait              conf.Duration `yaml:"wait"`               // for one's turn among all companies
	Body              conf.ByteSize `yaml:"body"`               // of a request
	Response          conf.ByteSize `yaml:"response"`           // of the upstream
	Selectors         int           `yaml:"selectors"`          // match[] of one request
	Range             conf.Duration `yaml:"range"`              // between start and end, and of each selector in a query
	Points            int           `yaml:"points"`             // of a range query
	Timeout           conf.Duration `yaml:"timeout"`            // of a request
}

// Default is what a section starts from.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:9598", Upstream: "http://127.0.0.1:9090", Label: "company_name",
		Metrics: []string{`{__name__=~"vc_.*|ct_.*|oriel_tunnel_probe_.*"}`}, Audit: true, Reload: conf.Duration(time.Second), Drain: conf.Duration(20 * time.Second),
		Limits: Limits{
			Connections: 1024, Concurrent: 16, CompanyConcurrent: 4, CompanyRate: 50, Wait: conf.Duration(5 * time.Second),
			Body: 1 << 20, Response: 64 << 20, Selectors: 50, Range: conf.Duration(31 * 24 * time.Hour), Points: 11000,
			Timeout: conf.Duration(30 * time.Second),
		},
	}
}

// UnmarshalYAML starts from the defaults.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Config
	*c = Default()
	return unmarshal((*plain)(c))
}

const maxCompanies = 1000

var labelForm = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Validate checks what can be known without opening a file or a socket.
func (c Config) Validate() error {
	switch {
	case c.Listen == "":
		return conf.Field("listen", "is missing")
	case !labelForm.MatchString(c.Label) || strings.HasPrefix(c.Label, "__"):
		return conf.Field("label", "%q is not the name of a label", c.Label)
	case slices.Contains(c.Hide, c.Label) || slices.Contains(c.Hide, "__name__"):
		return conf.Field("hide", "the company's label and __name__ cannot be hidden")
	case c.ProxyProtocol == (c.CertFile != ""):
		return conf.Field("proxy_protocol", "clients are known by their certificate: say cert_file, key_file and ca_file, or proxy_protocol behind a gateway")
	case c.CertFile != "" && (c.KeyFile == "" || c.CAFile == ""):
		return conf.Field("cert_file", "certificate, key and CA belong together")
	case c.Reload.Std() < 100*time.Millisecond:
		return conf.Field("reload", "%s is less than 100ms", c.Reload)
	case len(c.Companies) == 0 || len(c.Companies) > maxCompanies:
		return conf.Field("companies", "want 1 to %d", maxCompanies)
	}
	u, err := url.Parse(c.Upstream)
	if c.Upstream != Embedded && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.RawPath != "") {
		return conf.Field("upstream", "want http://HOST:PORT or https://HOST:PORT, with a path if need be, and nothing else")
	}
	if err := c.TLS.Validate(); err != nil {
		return conf.Field("upstream_tls", "%w", err)
	}
	if _, err := c.trusted(); err != nil {
		return err
	}
	if c.ProxyProtocol && len(c.TrustedProxy) == 0 && !localOnly(c.Listen) {
		return conf.Field("trusted_proxies", "say who may tell certificates, or listen on loopback or a UNIX socket")
	}
	for i, s := range c.Metrics {
		if _, err := (Tenant{c.Label, "x"}).Selector(s); err != nil || s == "" {
			return conf.Field(fmt.Sprintf("metrics[%d]", i), "%q: %w", s, errors.Join(err))
		}
	}
	if err := c.validateCompanies(); err != nil {
		return err
	}
	return c.Limits.validate()
}

func (c Config) validateCompanies() error {
	seen := map[string]bool{}
	for i, o := range c.Companies {
		path := fmt.Sprintf("companies[%d].", i)
		switch {
		case o.Name == "" || len(o.Name) > 255:
			return conf.Field(path+"name", "want 1 to 255 bytes")
		case seen[o.Name]:
			return conf.Field(path+"name", "%q is there twice", o.Name)
		case len(o.Allow) == 0 && !c.ProxyProtocol:
			return conf.Field(path+"allow", "say which certificates are %q's", o.Name)
		case o.MaxConcurrent < 0 || o.Rate < 0:
			return conf.Field(path+"rate", "limits are positive")
		}
		seen[o.Name] = true
		for k, id := range o.Allow {
			if err := id.Validate(); err != nil {
				return conf.Field(fmt.Sprintf("%sallow[%d]", path, k), "%w", err)
			}
		}
	}
	return nil
}

func (l Limits) validate() error {
	if l.Connections < 1 || l.Concurrent < 1 || l.CompanyConcurrent < 1 || l.CompanyRate <= 0 || l.Body < 1 || l.Response < 1 ||
		l.Selectors < 1 || l.Range <= 0 || l.Points < 1 || l.Timeout <= 0 || l.Wait <= 0 {
		return conf.Field("limits", "want at least 1 of each: there is no unlimited")
	}
	return nil
}

// trusted are the networks that may send PROXY protocol headers.
func (c Config) trusted() ([]netip.Prefix, error) {
	list := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for i, text := range c.TrustedProxy {
		p, err := netip.ParsePrefix(text)
		if a, aerr := netip.ParseAddr(text); aerr == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, conf.Field(fmt.Sprintf("trusted_proxies[%d]", i), "%q: want an address or a network", text)
		}
		list = append(list, p)
	}
	return list, nil
}

func localOnly(listen string) bool {
	if strings.HasPrefix(listen, "unix:") || strings.HasPrefix(listen, "systemd:") {
		return true
	}
	host, _, err := net.SplitHostPort(listen)
	ip, aerr := netip.ParseAddr(host)
	return err == nil && (host == "localhost" || aerr == nil && ip.IsLoopback())
}

// Meta is what is known of a metric beside its samples.
type Meta struct{ Type, Help, Unit string }

// Catalog says what a metric is; known is false for one that it does not have.
type Catalog func(name string) (m Meta, known bool)

// Needs is what a proxy is given; all of it may be missing.
type Needs struct {
	Catalog  Catalog      // goes before what Prometheus knows of its metrics
	Embedded http.Handler // Prometheus' API of this program
}

// New makes a proxy; nothing listens yet.
func New(cfg Config, needs Needs, log *slog.Logger) (*Proxy, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	up, err := newUpstream(cfg, needs.Embedded)
	if err != nil {
		return nil, err
	}
	p := &Proxy{cfg: cfg, catalog: needs.Catalog, embedded: needs.Embedded != nil, log: log, up: up, turns: make(chan struct{}, cfg.Limits.Concurrent)}
	if p.catalog == nil {
		p.catalog = func(string) (Meta, bool) { return Meta{}, false }
	}
	if p.trustedProxies, err = cfg.trusted(); err != nil {
		return nil, err
	}
	p.rules = rules{hidden: cfg.Hide, maxRange: cfg.Limits.Range.Std()}
	for _, c := range cfg.Companies {
		p.companies = append(p.companies, newCompany(c, cfg))
	}
	return p, nil
}
