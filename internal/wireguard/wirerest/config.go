package wirerest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

// Where the traffic of each client comes from.
const (
	ClientsInterface = "interface" // read here
	ClientsAPI       = "api"       // from WireRest's /v1/peers
	ClientsOff       = "off"
)

const (
	maxFamilies = 64
	maxPaths    = 16
)

// Config is the section `wirerest` of the configuration file.
type Config struct {
	// URL of WireRest, like http://127.0.0.1:8081. Without one nothing is
	// relayed or probed, and only the interfaces' own figures are there.
	URL string `yaml:"url"`
	// Token is WireRest's, which makes its bearer an administrator. The file is
	// read for each request and should be readable for this program alone.
	Token     conf.Secret `yaml:"token"`
	TokenFile string      `yaml:"token_file"`
	TLS       conf.TLS    `yaml:"tls"` // how WireRest is met
	// Timeout of a request; keep it below the scrape's.
	Timeout conf.Duration `yaml:"timeout"`
	// MaxBytes of an answer.
	MaxBytes conf.ByteSize `yaml:"max_bytes"`
	// Families are the beginnings of the names that are relayed.
	Families []string `yaml:"families"`
	// MaxSeries of one metric that are relayed; further ones are dropped and counted.
	MaxSeries int `yaml:"max_series"`

	// Native computes WireRest's figures from the interfaces of the section wireguard.
	Native bool `yaml:"native"`
	// Interfaces that count, by name; all if empty.
	Interfaces []string `yaml:"interfaces"`
	// Clients is where the traffic of each client comes from: interface, api or
	// off. With api, Interfaces names the one interface that WireRest serves.
	Clients string `yaml:"clients"`
	// MaxClients is how many clients have series of their own; the rest share one.
	MaxClients int `yaml:"max_clients"`
	// ClientRetention is how long a client that was removed keeps its figures.
	ClientRetention conf.Duration `yaml:"client_retention"`

	// Interval of the probes, and of reading clients with api.
	Interval conf.Duration `yaml:"interval"`
	// ProbePaths are asked with GET; their answers are thrown away.
	ProbePaths []string `yaml:"probe_paths"`
}

// Default is what a section without keys means.
func Default() Config {
	return Config{
		Timeout:         conf.Duration(3 * time.Second),
		MaxBytes:        4 << 20,
		Families:        []string{"wirerest_", "http_server_requests_", "process_", "jvm_", "system_", "logback_"},
		MaxSeries:       1000,
		Native:          true,
		Clients:         ClientsInterface,
		MaxClients:      10_000,
		ClientRetention: conf.Duration(24 * time.Hour),
		Interval:        conf.Duration(30 * time.Second),
		ProbePaths:      []string{"/v1/service/stats"},
	}
}

// UnmarshalYAML starts from the defaults.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Config
	*c = Default()
	return unmarshal((*plain)(c))
}

var (
	familyPattern = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	pathPattern   = regexp.MustCompile(`^/[A-Za-z0-9/_.-]*$`)
)

// Validate names the first key that makes no sense.
func (c *Config) Validate() error {
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		switch {
		case err != nil: // its text would repeat a password in the URL
			return conf.Field("url", "not a URL")
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return conf.Field("url", "want http://HOST:PORT or https://HOST:PORT")
		case u.User != nil || u.RawQuery != "" || u.Fragment != "":
			return conf.Field("url", "no user, query or fragment here: the token has a key of its own")
		}
	}
	if c.Token != "" && c.TokenFile != "" {
		return conf.Field("token", "given both as a value and as a file")
	}
	if err := c.TLS.Validate(); err != nil {
		return conf.Field("tls", "%w", err)
	}
	switch {
	case c.Timeout.Std() <= 0:
		return conf.Field("timeout", "must be more than 0")
	case c.MaxBytes < 1024 || c.MaxBytes > 64<<20:
		return conf.Field("max_bytes", "%s is not between 1KiB and 64MiB", c.MaxBytes)
	case c.MaxSeries < 1:
		return conf.Field("max_series", "must be more than 0")
	case c.MaxClients < 1 || c.MaxClients > 1<<16:
		return conf.Field("max_clients", "%d is not between 1 and %d", c.MaxClients, 1<<16)
	case c.ClientRetention.Std() < 0:
		return conf.Field("client_retention", "must not be negative")
	case c.Interval.Std() < time.Second:
		return conf.Field("interval", "%s is less than 1s", c.Interval)
	case len(c.Families) > maxFamilies:
		return conf.Field("families", "%d of them: want at most %d", len(c.Families), maxFamilies)
	case len(c.ProbePaths) > maxPaths:
		return conf.Field("probe_paths", "%d of them: want at most %d", len(c.ProbePaths), maxPaths)
	}
	return c.validateLists()
}

func (c *Config) validateLists() error {
	for i, f := range c.Families {
		if !familyPattern.MatchString(f) {
			return conf.Field(fmt.Sprintf("families[%d]", i), "%q is not the beginning of a metric's name", f)
		}
	}
	seen := map[string]bool{}
	for i, p := range c.ProbePaths {
		if !pathPattern.MatchString(p) || len(p) > 128 || seen[p] {
			return conf.Field(fmt.Sprintf("probe_paths[%d]", i), "%q: want a path of its own like /v1/service/stats", p)
		}
		seen[p] = true
	}
	switch c.Clients {
	case ClientsInterface, ClientsOff:
	case ClientsAPI:
		if c.URL == "" {
			return conf.Field("clients", "api needs url")
		}
		if len(c.Interfaces) != 1 {
			return conf.Field("interfaces", "clients: api needs the name of the one interface that WireRest serves")
		}
	default:
		return conf.Field("clients", "%q: want %s, %s or %s", c.Clients, ClientsInterface, ClientsAPI, ClientsOff)
	}
	return nil
}

var errToken = errors.New("read token")

// authorize adds the token, which it returns.
func (c *Config) authorize(r *http.Request) (conf.Secret, error) {
	token, err := c.Token.Or(c.TokenFile)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errToken, err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	return token, nil
}

func (c *Config) address(path string) string { return strings.TrimSuffix(c.URL, "/") + path }

// application is the label by which WireRest's dashboard finds an interface.
func application(device string) string { return "WireRest-" + device }
