package query

import (
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

// Config is the section query.
type Config struct {
	// Source is the table that $__source means.
	Source string `yaml:"source"`
	// Timeout is how long one query may take.
	Timeout conf.Duration `yaml:"timeout"`
	// MaxRows is how many rows a result may have; more are left out, and the answer says so.
	MaxRows int `yaml:"max_rows"`
	// MaxResult is how large a result may grow in memory.
	MaxResult conf.ByteSize `yaml:"max_result"`
	// MaxQuery is how long the text of one query may be.
	MaxQuery conf.ByteSize `yaml:"max_query"`
	// Concurrency is how many queries run at once; others wait in the order in which they came.
	Concurrency int `yaml:"concurrency"`
	// MemoryLimit and Threads bound the engine, SpillLimit what it may write to disk for lack of memory.
	MemoryLimit conf.ByteSize `yaml:"memory_limit"`
	SpillLimit  conf.ByteSize `yaml:"spill_limit"`
	Threads     int           `yaml:"threads"` // 0: one for each processor
	// CacheSize and CacheAge bound the results that are kept. Size 0 keeps none.
	CacheSize conf.ByteSize `yaml:"cache_size"`
	CacheAge  conf.Duration `yaml:"cache_age"`
	// Detections over the flow logs run on a schedule.
	Detections Detections `yaml:"detections"`
}

// Default is the configuration without a section.
func Default() Config {
	return Config{
		Source: "flow_flat", Timeout: conf.Duration(time.Minute), MaxRows: 1_000_000, MaxResult: 256 << 20, MaxQuery: 1 << 20,
		Concurrency: 4, MemoryLimit: 1 << 30, SpillLimit: 8 << 30, CacheSize: 64 << 20, CacheAge: conf.Duration(time.Hour),
		Detections: Detections{Interval: conf.Duration(5 * time.Minute), Window: conf.Duration(time.Hour)},
	}
}

// UnmarshalYAML starts from the default.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Config
	p := plain(Default())
	if err := unmarshal(&p); err != nil {
		return err
	}
	*c = Config(p)
	return nil
}

// Validate reports the first value that makes no sense.
func (c *Config) Validate() error {
	for _, f := range []struct {
		name string
		bad  bool
		want string
	}{
		{"timeout", c.Timeout.Std() < time.Second || c.Timeout.Std() > 24*time.Hour, "want 1s to 24h"},
		{"max_rows", c.MaxRows < 1 || c.MaxRows > 100_000_000, "want 1 to 100000000"},
		{"max_result", c.MaxResult < 1<<20, "want at least 1MiB"},
		{"max_query", c.MaxQuery < 1<<10 || c.MaxQuery > 16<<20, "want 1KiB to 16MiB"},
		{"concurrency", c.Concurrency < 1 || c.Concurrency > 1000, "want 1 to 1000"},
		{"memory_limit", c.MemoryLimit < 64<<20, "want at least 64MiB"},
		{"spill_limit", c.SpillLimit < 0, "want 0 or more"},
		{"threads", c.Threads < 0 || c.Threads > 1024, "want 0 to 1024"},
		{"cache_size", c.CacheSize < 0, "want 0 or more"},
		{"detections.interval", c.Detections.Interval.Std() != 0 && c.Detections.Interval.Std() < time.Second, "want 0 or at least 1s"},
		{"detections.window", c.Detections.Window.Std() < time.Minute, "want at least 1m"},
		{"cache_age", c.CacheAge.Std() < 0, "want 0 or more"},
	} {
		if f.bad {
			return conf.Field(f.name, "%s", f.want)
		}
	}
	return nil
}
