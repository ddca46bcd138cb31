package lake

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/flow"
)

const (
	maxSources = 100
	minPoll    = time.Second
)

// Config is the section `flows` of the configuration file: where the lake is,
// how long rows stay, and which flow logs it imports by itself.
type Config struct {
	// Dir or Bucket is where the lake is.
	Dir    string    `yaml:"dir"`
	Bucket *S3Config `yaml:"bucket"`
	// CacheDir and CacheSize bound the local copies of a bucket's files.
	CacheDir  string        `yaml:"cache_dir"`
	CacheSize conf.ByteSize `yaml:"cache_size"`
	// Retention is how long rows are kept after they happened; 0 keeps them for ever.
	Retention conf.Duration `yaml:"retention"`
	// CompactInterval is how often small files are put together; 0 leaves that to `oriel flows compact`.
	CompactInterval conf.Duration `yaml:"compact_interval"`
	// CompactAge is how old an hour must be: late rows make small files again.
	CompactAge conf.Duration `yaml:"compact_age"`
	// Sources are watched for new objects.
	Sources []SourceConfig `yaml:"sources"`
}

// SourceConfig is one place where a cloud leaves its flow logs.
type SourceConfig struct {
	// Name is the label of the source's metrics, and what the lake remembers it by:
	// another name, and all is imported again.
	Name string `yaml:"name"`
	// Dir or Bucket is where the objects are; Prefix is what their keys begin with.
	Dir    string    `yaml:"dir"`
	Bucket *S3Config `yaml:"bucket"`
	Prefix string    `yaml:"prefix"`
	// Format is ibm, aws, aws_parquet, gcp or azure; empty finds it out from each object.
	Format string `yaml:"format"`
	// Interval is how often new objects are looked for.
	Interval conf.Duration `yaml:"interval"`
	// LookbackDays is how many days before the newest object are listed each time; once a day all are.
	LookbackDays int `yaml:"lookback_days"`
}

// Default is what a section without keys means.
func Default() Config {
	return Config{
		Dir:             filepath.Join("oriel-data", "lake"),
		CacheDir:        filepath.Join("oriel-data", "lake-cache"),
		CacheSize:       10 << 30,
		CompactInterval: conf.Duration(10 * time.Minute),
		CompactAge:      conf.Duration(2 * time.Hour),
	}
}

// UnmarshalYAML starts from the defaults.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Config
	*c = Default()
	return unmarshal((*plain)(c))
}

// UnmarshalYAML starts from the defaults.
func (c *SourceConfig) UnmarshalYAML(unmarshal func(any) error) error {
	type plain SourceConfig
	*c = SourceConfig{Interval: conf.Duration(time.Minute), LookbackDays: 2}
	return unmarshal((*plain)(c))
}

// Validate names the first key that makes no sense.
func (c *Config) Validate() error {
	switch {
	case c.Bucket == nil && c.Dir == "":
		return conf.Field("dir", "empty, and there is no bucket")
	case c.Bucket != nil && c.CacheDir == "":
		return conf.Field("cache_dir", "empty; a bucket needs one")
	case c.Bucket != nil && c.CacheSize < 1<<20:
		return conf.Field("cache_size", "%s is less than 1MiB", c.CacheSize)
	case c.Retention < 0 || c.Retention > 0 && c.Retention.Std() < time.Hour:
		return conf.Field("retention", "%s is less than an hour", c.Retention)
	case c.CompactInterval > 0 && c.CompactInterval.Std() < minPoll:
		return conf.Field("compact_interval", "%s is less than %s", c.CompactInterval, minPoll)
	case len(c.Sources) > maxSources:
		return conf.Field("sources", "more than %d", maxSources)
	}
	if c.Bucket != nil {
		if err := c.Bucket.Validate(); err != nil {
			return within("bucket", err)
		}
	}
	names := map[string]bool{}
	for i := range c.Sources {
		s := &c.Sources[i]
		if err := s.Validate(); err != nil {
			return within(fmt.Sprintf("sources[%d]", i), err)
		}
		if names[s.Name] {
			return conf.Field(fmt.Sprintf("sources[%d].name", i), "%q is there twice", s.Name)
		}
		names[s.Name] = true
	}
	return nil
}

// Validate names the first key that makes no sense.
func (c *SourceConfig) Validate() error {
	formats := []string{"", flow.FormatIBM, flow.FormatAWS, flow.FormatAWSParquet, flow.FormatGCP, flow.FormatAzure}
	switch {
	case c.Name == "" || len(c.Name) > 100:
		return conf.Field("name", "%q is empty or longer than 100 bytes", c.Name)
	case (c.Dir == "") == (c.Bucket == nil):
		return conf.Field("dir", "want either dir or bucket")
	case !slices.Contains(formats, c.Format):
		return conf.Field("format", "%q: want one of%s", c.Format, strings.Join(formats, " "))
	case c.Interval.Std() < minPoll:
		return conf.Field("interval", "%s is less than %s", c.Interval, minPoll)
	case c.LookbackDays < 0 || c.LookbackDays > 10_000:
		return conf.Field("lookback_days", "%d is not between 0 and 10000", c.LookbackDays)
	}
	if c.Bucket != nil {
		if err := c.Bucket.Validate(); err != nil {
			return within("bucket", err)
		}
	}
	return nil
}

// within puts the path of a section before a field's.
func within(path string, err error) error {
	if f, ok := err.(*conf.FieldError); ok { //nolint:errorlint // Validate returns no other, and the path is to change
		return &conf.FieldError{Path: path + "." + f.Path, Err: f.Err}
	}
	return &conf.FieldError{Path: path, Err: err}
}

// Open returns the lake that the section describes. It touches nothing yet.
func (c *Config) Open(log *slog.Logger) (*Lake, error) {
	if c.Bucket == nil {
		return New(NewDir(c.Dir), Options{}, log)
	}
	store, err := NewS3(*c.Bucket)
	if err != nil {
		return nil, err
	}
	return New(store, Options{CacheDir: c.CacheDir, CacheBytes: int64(c.CacheSize)}, log)
}

// Store returns where the source's objects are.
func (c *SourceConfig) Store() (Store, error) {
	if c.Bucket == nil {
		return NewDir(c.Dir), nil
	}
	return NewS3(*c.Bucket)
}
