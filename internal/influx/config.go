package influx

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

const (
	maxOutputs   = 16
	maxTags      = 32
	maxBatchSize = 100_000
	minBuffer    = 64 << 10
	// maxInterval keeps a typing error of units from looking like silence.
	maxInterval = 24 * time.Hour
)

// Config is the section `influx` of the configuration file.
type Config struct {
	// Interval between two readings; they happen at multiples of it.
	Interval conf.Duration `yaml:"interval"`
	// WireGuard pushes the measurements wireguard_device and wireguard_peer.
	WireGuard bool `yaml:"wireguard"`
	// Metrics pushes everything that /metrics shows as well.
	Metrics bool `yaml:"metrics"`
	// MetricVersion is how: as Telegraf's input `prometheus` with that setting, 1 or 2.
	MetricVersion int `yaml:"metric_version"`
	// Host is the tag `host` of every line; the machine's name unless told.
	Host string `yaml:"host"`
	// OmitHost leaves that tag out.
	OmitHost bool `yaml:"omit_host"`
	// Tags for every line. A line's own tag of the same name wins.
	Tags map[string]string `yaml:"tags"`
	// BatchSize is how many lines go in one request at most.
	BatchSize int `yaml:"batch_size"`
	// BufferDir has a directory for each output.
	BufferDir string `yaml:"buffer_dir"`
	// BufferSize bounds what waits on disk for one output; when it is full the oldest lines go.
	BufferSize conf.ByteSize `yaml:"buffer_size"`
	// Outputs are the servers.
	Outputs []Output `yaml:"outputs"`
}

// Output is one InfluxDB server.
type Output struct {
	// Name of the output in metrics, logs and the buffer's directory.
	Name string `yaml:"name"`
	// Version of the server's API: 1, 2 or 3.
	Version int `yaml:"version"`
	// URL of the server without the path of the API.
	URL string `yaml:"url"`
	// Timeout of one request.
	Timeout conf.Duration `yaml:"timeout"`
	// Gzip compresses requests.
	Gzip bool     `yaml:"gzip"`
	TLS  conf.TLS `yaml:"tls"` // how the server is met

	// Database is where versions 1 and 3 write.
	Database string `yaml:"database"`
	// RetentionPolicy and Consistency of version 1; the server's own if empty.
	RetentionPolicy string `yaml:"retention_policy"`
	Consistency     string `yaml:"consistency"`
	// SkipDatabaseCreation lets a missing database of version 1 stay missing.
	SkipDatabaseCreation bool `yaml:"skip_database_creation"`
	// Username and Password of version 1.
	Username     string      `yaml:"username"`
	Password     conf.Secret `yaml:"password"`
	PasswordFile string      `yaml:"password_file"`

	// Organization and Bucket are where version 2 writes.
	Organization string `yaml:"organization"`
	Bucket       string `yaml:"bucket"`
	// Token of versions 2 and 3, read again for each request when it is a file.
	Token     conf.Secret `yaml:"token"`
	TokenFile string      `yaml:"token_file"`
	// NoSync lets version 3 acknowledge before the lines are durable.
	NoSync bool `yaml:"no_sync"`
}

// Default is what a section without keys means; it lacks outputs and is not valid without.
func Default() Config {
	return Config{
		Interval:      conf.Duration(10 * time.Second),
		WireGuard:     true,
		MetricVersion: 2,
		BatchSize:     1000,
		BufferDir:     "oriel-data/influx",
		BufferSize:    256 << 20,
	}
}

// UnmarshalYAML starts from the defaults.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Config
	*c = Default()
	return unmarshal((*plain)(c))
}

// DefaultOutput is what an output without keys means.
func DefaultOutput() Output {
	return Output{Version: 2, Timeout: conf.Duration(5 * time.Second), Gzip: true}
}

// UnmarshalYAML starts from the defaults.
func (o *Output) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Output
	*o = DefaultOutput()
	return unmarshal((*plain)(o))
}

// Validate names the first key that makes no sense.
func (c *Config) Validate() error {
	switch {
	case c.Interval.Std() < 100*time.Millisecond || c.Interval.Std() > maxInterval:
		return conf.Field("interval", "%s is not between 100ms and 1d", c.Interval)
	case !c.WireGuard && !c.Metrics:
		return conf.Field("wireguard", "false, and metrics too: nothing to push")
	case c.MetricVersion != 1 && c.MetricVersion != 2:
		return conf.Field("metric_version", "%d: want 1 or 2", c.MetricVersion)
	case c.OmitHost && c.Host != "":
		return conf.Field("host", "given, and omit_host is true")
	case len(c.Tags) > maxTags:
		return conf.Field("tags", "%d of them: want at most %d", len(c.Tags), maxTags)
	case c.BatchSize < 1 || c.BatchSize > maxBatchSize:
		return conf.Field("batch_size", "%d is not between 1 and %d", c.BatchSize, maxBatchSize)
	case c.BufferDir == "":
		return conf.Field("buffer_dir", "empty")
	case c.BufferSize < minBuffer:
		return conf.Field("buffer_size", "%s is less than %s", c.BufferSize, conf.ByteSize(minBuffer))
	case len(c.Outputs) == 0 || len(c.Outputs) > maxOutputs:
		return conf.Field("outputs", "%d of them: want 1 to %d", len(c.Outputs), maxOutputs)
	}
	for key, value := range c.Tags {
		if cleanText(key) != key || cleanText(value) != value || key == "" || value == "" {
			return conf.Field("tags", "%q: %q: InfluxDB cannot store empty texts, control characters or a backslash at the end", key, value)
		}
	}
	seen := map[string]bool{}
	for i := range c.Outputs {
		o := &c.Outputs[i]
		if err := o.validate(fmt.Sprintf("outputs[%d].", i)); err != nil {
			return err
		}
		if seen[o.Name] {
			return conf.Field(fmt.Sprintf("outputs[%d].name", i), "there are two of the name %q", o.Name)
		}
		seen[o.Name] = true
	}
	return nil
}

var outputName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

func (o *Output) validate(at string) error {
	bad := func(key, format string, args ...any) error { return conf.Field(at+key, format, args...) }
	if !outputName.MatchString(o.Name) {
		return bad("name", "%q: want letters, digits, - and _, at most 64", o.Name)
	}
	u, err := url.Parse(o.URL)
	switch {
	case err != nil: // its text would repeat a password in the URL
		return bad("url", "not a URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return bad("url", "want http://HOST:PORT or https://HOST:PORT")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return bad("url", "user, query and fragment have keys of their own")
	case o.Timeout.Std() <= 0:
		return bad("timeout", "must be more than 0")
	case o.Password != "" && o.PasswordFile != "":
		return bad("password", "given both as a value and as a file")
	case o.Token != "" && o.TokenFile != "":
		return bad("token", "given both as a value and as a file")
	}
	if err := o.TLS.Validate(); err != nil {
		return bad("tls", "%w", err)
	}
	// The path of a key that is not there would lead nowhere.
	return o.validateVersion(bad, func(format string, args ...any) error {
		return conf.Field(strings.TrimSuffix(at, "."), format, args...)
	})
}

// validateVersion refuses keys that the version has no use for: they would be ignored in silence.
func (o *Output) validateVersion(bad func(key, format string, args ...any) error, missing func(format string, args ...any) error) error {
	used := map[string]bool{
		"database": o.Database != "", "retention_policy": o.RetentionPolicy != "", "consistency": o.Consistency != "",
		"skip_database_creation": o.SkipDatabaseCreation, "username": o.Username != "", "password": o.Password != "",
		"password_file": o.PasswordFile != "", "organization": o.Organization != "", "bucket": o.Bucket != "",
		"token": o.Token != "", "token_file": o.TokenFile != "", "no_sync": o.NoSync,
	}
	var allowed, needed string
	switch o.Version {
	case 1:
		allowed, needed = "database retention_policy consistency skip_database_creation username password password_file", "database"
	case 2:
		allowed, needed = "organization bucket token token_file", "bucket"
	case 3:
		allowed, needed = "database token token_file no_sync", "database"
	default:
		return bad("version", "%d: want 1, 2 or 3", o.Version)
	}
	for _, key := range []string{
		"database", "retention_policy", "consistency", "skip_database_creation", "username", "password", "password_file",
		"organization", "bucket", "token", "token_file", "no_sync",
	} {
		if used[key] && !strings.Contains(" "+allowed+" ", " "+key+" ") {
			return bad(key, "not a key of version %d", o.Version)
		}
	}
	if !used[needed] {
		return missing("%s is missing: version %d needs it", needed, o.Version)
	}
	switch o.Consistency {
	case "", "any", "one", "quorum", "all":
	default:
		return bad("consistency", "%q: want any, one, quorum or all", o.Consistency)
	}
	return nil
}

// writeURL is where lines in nanoseconds go.
func (o *Output) writeURL() string {
	q := url.Values{}
	set := func(key, value string) {
		if value != "" {
			q.Set(key, value)
		}
	}
	path := "/write"
	switch o.Version {
	case 1:
		set("db", o.Database)
		set("rp", o.RetentionPolicy)
		set("consistency", o.Consistency)
		set("precision", "ns")
	case 2:
		path = "/api/v2/write"
		set("org", o.Organization)
		set("bucket", o.Bucket)
		set("precision", "ns")
	case 3:
		path = "/api/v3/write_lp"
		set("db", o.Database)
		set("precision", "nanosecond")
		set("accept_partial", "true")
		if o.NoSync {
			set("no_sync", "true")
		}
	}
	return strings.TrimSuffix(o.URL, "/") + path + "?" + q.Encode()
}

// authorize adds the credentials, reading those in files anew: they may have been renewed.
func (o *Output) authorize(r *http.Request) error {
	if o.Version == 1 {
		if o.Username == "" {
			return nil
		}
		password, err := o.Password.Or(o.PasswordFile)
		if err == nil {
			r.SetBasicAuth(o.Username, password.Reveal())
		}
		return err
	}
	token, err := o.Token.Or(o.TokenFile)
	if err != nil {
		return err
	}
	if token == "" {
		return nil
	}
	scheme := "Token "
	if o.Version == 3 {
		scheme = "Bearer "
	}
	r.Header.Set("Authorization", scheme+token.Reveal())
	return nil
}
