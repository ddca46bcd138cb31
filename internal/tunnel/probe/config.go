package probe

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/tunnel/echo"
)

// Config is the section probes.
type Config struct {
	Interval          conf.Duration `yaml:"interval"`           // between two probes of a tunnel
	Timeout           conf.Duration `yaml:"timeout"`            // of all steps of a probe together
	AnonymousInterval conf.Duration `yaml:"anonymous_interval"` // between two connections without certificate; 0: none
	Concurrency       int           `yaml:"concurrency"`        // probes at once
	// Families are the metrics shown: vc, ct and oriel.
	Families []string `yaml:"families"`
	// Status are the pages /status of guardians and gateways that run
	// elsewhere; those of this program need not be named.
	Status  []string          `yaml:"status"`
	Targets []TargetConfig    `yaml:"targets"` // the tunnels that are probed
	Modules map[string]Module `yaml:"modules"` // of /probe, beside those that are always there
	// Allow are further targets of /probe: host:port, with *.domain or CIDR for
	// the host and a range or * for the port. Those of targets are allowed anyway.
	Allow []string `yaml:"allow"`
}

// TargetConfig is a tunnel to be probed. Its texts become labels.
type TargetConfig struct {
	ID      string `yaml:"id"`      // tunnel_id
	Name    string `yaml:"name"`    // tunnel_name; the id when empty
	Company string `yaml:"company"` // company_name
	Region  string `yaml:"region"`  // region
	Host    string `yaml:"host"`    // as published
	Port    int    `yaml:"port"`    // as published
	// Address is where the probe really goes, host:port; Host and Port when empty.
	Address      string `yaml:"address"`
	GuardianHost string `yaml:"guardian_host"` // where its guardian runs, for the metrics
	Service      `yaml:",inline"`

	// Tunnel is the name of the guardian or gateway whose state this is; the name when empty.
	Tunnel string `yaml:"tunnel"`
	// MaxConnections counts when no guardian or gateway tells its own limit.
	MaxConnections int  `yaml:"max_connections"`
	Enabled        bool `yaml:"enabled"` // false: shown, but not probed
	// Anonymous is whether clients without certificate are meant to be let in.
	Anonymous bool `yaml:"anonymous"`
}

// Service is how a probe speaks: over which transport, and what.
type Service struct {
	Transport   string `yaml:"transport"`    // tls or tcp
	API         string `yaml:"api"`          // none, international, excrypt, json, json_raw or plain
	Header      string `yaml:"header"`       // International's message header
	Command     string `yaml:"command"`      // International's: B2, or NC
	ASCIILength bool   `yaml:"ascii_length"` // International with the length as four digits
	Path        string `yaml:"path"`         // of JSON's request
	Confirm     bool   `yaml:"confirm"`      // wait for the acceptance byte of our own gateway
	CRLFile     string `yaml:"crl_file"`     // certificates that are no longer good
	TLS         TLS    `yaml:"tls"`          // what is trusted and shown
}

// TLS is what a probe trusts and shows. It takes any version that the server
// has, to be able to report it.
type TLS struct {
	CAFile             string `yaml:"ca_file"`              // whose certificates are trusted; the system's authorities unless told
	CertFile           string `yaml:"cert_file"`            // shown to the tunnel
	KeyFile            string `yaml:"key_file"`             // of cert_file
	ServerName         string `yaml:"server_name"`          // that the tunnel's certificate must have, if it is not the host
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify"` // take any certificate, and report it
}

// Default is what a section starts from.
func Default() Config {
	return Config{
		Interval: conf.Duration(30 * time.Second), Timeout: conf.Duration(10 * time.Second), AnonymousInterval: conf.Duration(10 * time.Minute),
		Concurrency: 32, Families: []string{"vc", "ct", "oriel"},
	}
}

// DefaultService is what a target or a module starts from.
func DefaultService() Service { return Service{Transport: "tls", API: apiNone, Confirm: true} }

// UnmarshalYAML starts from the defaults.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Config
	*c = Default()
	return unmarshal((*plain)(c))
}

// UnmarshalYAML starts from the defaults.
func (t *TargetConfig) UnmarshalYAML(unmarshal func(any) error) error {
	type plain TargetConfig
	*t = TargetConfig{Enabled: true, Service: DefaultService()}
	return unmarshal((*plain)(t))
}

// Bounds of what a file may ask for.
const (
	maxTargets = 20000
	maxModules = 100
	maxAllow   = 1000
	maxLabel   = 128 // bytes of a label's value
)

var hostForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,253}$`)

// Validate checks what can be known without opening a file or a socket.
func (c Config) Validate() error {
	switch {
	case c.Interval.Std() < time.Second:
		return conf.Field("interval", "%s is less than 1s", c.Interval)
	case c.Timeout.Std() < 10*time.Millisecond || c.Timeout > c.Interval:
		return conf.Field("timeout", "%s: want 10ms to the interval, %s", c.Timeout, c.Interval)
	case c.AnonymousInterval < 0:
		return conf.Field("anonymous_interval", "is below 0")
	case c.Concurrency < 1 || c.Concurrency > 1000:
		return conf.Field("concurrency", "want 1 to 1000")
	case len(c.Targets) > maxTargets:
		return conf.Field("targets", "more than %d", maxTargets)
	case len(c.Modules) > maxModules:
		return conf.Field("modules", "more than %d", maxModules)
	case len(c.Allow) > maxAllow:
		return conf.Field("allow", "more than %d", maxAllow)
	}
	for i, f := range c.Families {
		if !slices.Contains(Default().Families, f) {
			return conf.Field(fmt.Sprintf("families[%d]", i), "%q: want vc, ct or oriel", f)
		}
	}
	for i, s := range c.Status {
		u, err := url.Parse(s)
		if err == nil && u.User != nil {
			return fmt.Errorf("status[%d]: a URL with user and password", i) // without the field: its line would be shown
		}
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return conf.Field(fmt.Sprintf("status[%d]", i), "want a URL like http://127.0.0.1:9597/status")
		}
	}
	ids, where := map[string]int{}, map[string]int{}
	for i, t := range c.Targets {
		path := fmt.Sprintf("targets[%d].", i)
		if err := t.validate(path); err != nil {
			return err
		}
		if first, twice := ids[t.ID]; twice {
			return conf.Field(path+"id", "%q is that of targets[%d] too", t.ID, first)
		}
		// The seed's usage metrics do not have the id.
		key := strings.Join([]string{t.Company, t.Host, t.Region, t.name()}, "\x00")
		if first, twice := where[key]; twice {
			return conf.Field(path+"name", "company, host, region and name are those of targets[%d] too", first)
		}
		ids[t.ID], where[key] = i, i
	}
	for i, a := range c.Allow {
		if _, err := parseAllow(a); err != nil {
			return conf.Field(fmt.Sprintf("allow[%d]", i), "%w", err)
		}
	}
	for name, m := range c.Modules {
		if err := m.validate("modules." + name + "."); err != nil {
			return err
		}
	}
	return nil
}

func (t TargetConfig) validate(path string) error {
	bad := func(key, format string, args ...any) error { return conf.Field(path+key, format, args...) }
	for key, text := range map[string]string{
		"id": t.ID, "name": t.name(), "company": t.Company, "region": t.Region, "guardian_host": t.GuardianHost, "tunnel": t.Tunnel,
	} {
		if len(text) > maxLabel || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '�' }) {
			return bad(key, "%q: want at most %d bytes of printable text", text, maxLabel)
		}
	}
	switch {
	case t.ID == "":
		return bad("id", "is missing")
	case t.Company == "":
		return bad("company", "is missing: customers see their own company's tunnels only")
	case !hostForm.MatchString(t.Host):
		return bad("host", "%q: want a host name or address", t.Host)
	case t.Port < 1 || t.Port > 65535:
		return bad("port", "want 1 to 65535")
	case t.MaxConnections < 0:
		return bad("max_connections", "is below 0")
	}
	if t.Address != "" {
		host, port, err := net.SplitHostPort(t.Address)
		if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 1 || n > 65535 || !hostForm.MatchString(host) {
			return bad("address", "%q: want host:port", t.Address)
		}
	}
	return t.Service.validate(path)
}

// Validate checks what can be known without opening a file or a socket.
func (s Service) Validate() error { return s.validate("") }

func (s Service) validate(path string) error {
	switch {
	case s.Transport != "tls" && s.Transport != "tcp":
		return conf.Field(path+"transport", "%q: want tls or tcp", s.Transport)
	case (s.TLS.CertFile == "") != (s.TLS.KeyFile == ""):
		return conf.Field(path+"tls", "cert_file and key_file belong together")
	case s.Transport == "tcp" && (s.TLS != TLS{} || s.CRLFile != ""):
		return conf.Field(path+"tls", "means nothing over tcp")
	}
	if _, err := s.codec("localhost"); err != nil {
		return conf.Field(path+"api", "%w", err)
	}
	return nil
}

// Target reads the service's files and returns what Probe and Dial take, and the
// certificate that is shown; nil without.
func (s Service) Target(host, port string) (Target, *x509.Certificate, error) {
	if err := s.validate(""); err != nil {
		return Target{}, nil, err
	}
	t := Target{Host: host, Port: port, Confirm: s.Confirm}
	var err error
	if t.Echo, err = s.codec(host); err != nil || s.Transport == "tcp" {
		return t, nil, err
	}
	made, _, err := s.files().load()
	if err != nil {
		return t, nil, err
	}
	t.TLS, t.Lists = made.config, made.lists
	return t, made.leaf, nil
}

// codec returns how the service is spoken to; nil if it is not.
func (s Service) codec(host string) (*echo.Codec, error) {
	if s.API == apiNone {
		return nil, nil //nolint:nilnil // there is nothing to say
	}
	c, err := echo.New(echo.Format(s.API), echo.Options{Header: s.Header, Command: s.Command, ASCIILength: s.ASCIILength, Host: host, Path: s.Path})
	if err != nil {
		return nil, err
	}
	return &c, nil
}

func (t TargetConfig) name() string {
	if t.Name == "" {
		return t.ID
	}
	return t.Name
}

// tunnel is the name of the guardian or gateway in its own section.
func (t TargetConfig) tunnel() string {
	if t.Tunnel == "" {
		return t.name()
	}
	return t.Tunnel
}

// Where returns the host and port that the probe dials.
func (t TargetConfig) Where() (host, port string) {
	if t.Address != "" {
		host, port, _ = net.SplitHostPort(t.Address) // validated
		return host, port
	}
	return t.Host, strconv.Itoa(t.Port)
}
