package influx

import (
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

func TestConfigNamesTheWrongKey(t *testing.T) {
	good := func() Config {
		c := Default()
		o := DefaultOutput()
		o.Name, o.URL, o.Bucket = "a", "http://127.0.0.1:8086", "b"
		c.Outputs = []Output{o}
		return c
	}
	c := good()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Config){
		"interval: ":                      func(c *Config) { c.Interval = 1 },
		"wireguard: ":                     func(c *Config) { c.WireGuard = false },
		"metric_version: 3":               func(c *Config) { c.MetricVersion = 3 },
		"tags: ":                          func(c *Config) { c.Tags = map[string]string{"a": `b\`} },
		"batch_size: 0":                   func(c *Config) { c.BatchSize = 0 },
		"buffer_size: ":                   func(c *Config) { c.BufferSize = 1 },
		"outputs: 0":                      func(c *Config) { c.Outputs = nil },
		"outputs[1].name: there":          func(c *Config) { c.Outputs = append(c.Outputs, c.Outputs[0]) },
		"outputs[0].name: \"../x\"":       func(c *Config) { c.Outputs[0].Name = "../x" },
		"outputs[0].url: want":            func(c *Config) { c.Outputs[0].URL = "influx.example" },
		"outputs[0].url: user":            func(c *Config) { c.Outputs[0].URL = "http://u:p@h" },
		"outputs[0].version: 4":           func(c *Config) { c.Outputs[0].Version = 4 },
		"outputs[0].database: not":        func(c *Config) { c.Outputs[0].Database = "x" },
		"outputs[0]: bucket is missing":   func(c *Config) { c.Outputs[0].Bucket = "" },
		"outputs[0]: database is missing": func(c *Config) { c.Outputs[0].Bucket, c.Outputs[0].Version = "", 1 },
		"outputs[0].token: given":         func(c *Config) { c.Outputs[0].Token, c.Outputs[0].TokenFile = "a", "b" },
		"outputs[0].timeout: ":            func(c *Config) { c.Outputs[0].Timeout = 0 },
		"outputs[0].consistency: ": func(c *Config) {
			c.Outputs[0].Version, c.Outputs[0].Bucket, c.Outputs[0].Database, c.Outputs[0].Consistency = 1, "", "d", "x"
		},
	} {
		c := good()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Validate() = %v; want %s...", err, want)
		}
	}
	if _, err := New(good(), Sources{}, quiet); err == nil {
		t.Error("New without any source succeeded")
	}
}

func TestConfigFromYAML(t *testing.T) {
	var c struct {
		Influx *Config `yaml:"influx"`
	}
	err := conf.Decode("x", []byte("influx:\n  buffer_size: 1MB\n  outputs:\n  - {name: a, version: 1, url: 'http://h:8086', database: d}\n"), &c)
	if err != nil {
		t.Fatal(err)
	}
	if o := c.Influx.Outputs[0]; !o.Gzip || o.Timeout.Std() != 5*time.Second || c.Influx.BatchSize != 1000 || c.Influx.Validate() != nil {
		t.Errorf("config %+v; want the defaults kept", c.Influx)
	}
}
