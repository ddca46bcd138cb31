package lake

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/demo/flows"
	"github.com/orielhq/oriel/internal/proctest"
)

func TestWatcherImportsWhatAppears(t *testing.T) {
	dir, in := t.TempDir(), t.TempDir()
	cfg := Default()
	cfg.Dir = dir
	cfg.Sources = []SourceConfig{{Name: "ibm", Dir: in, Interval: conf.Duration(time.Second), LookbackDays: 2}}
	l, err := cfg.Open(discard)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWatcher(cfg, l, discard)
	if err != nil {
		t.Fatal(err)
	}
	w.sources[0].interval = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() { // before the directories go, also when the test fails
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	var want int64
	for i, vendor := range []string{"ibm", "aws"} {
		c := traffic(200)
		c.Seed = uint64(i)
		// Whole objects appear, as in a bucket.
		s, err := flows.Write(c, vendor, func(key string) (io.WriteCloser, error) { return &upload{t: t, s: NewDir(in), key: key}, nil })
		if err != nil {
			t.Fatal(err)
		}
		want += s.Records
		proctest.Eventually(t, 20*time.Second, func() (bool, string) {
			n := int64(len(all(t, l)))
			return n == want, fmt.Sprint(n)
		})
	}
	put(t, NewDir(in), "2026/08/20/broken.gz", "no flow log")
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		page := scrape(w)
		return strings.Contains(page, `oriel_flows_bad_objects_total{source="ibm"} 1`) && strings.Contains(page, "oriel_lake_upkeep_success 1"), page
	})
	page := regexp.MustCompile(`(?m)^(\w+_seconds(?:{.*})?) .*`).ReplaceAllString(scrape(w), "$1 0")
	page = regexp.MustCompile(`(?m)^(oriel_flows_imported_bytes_total{.*}|oriel_lake_compacted_files_total) .*`).ReplaceAllString(page, "$1 1")
	proctest.Golden(t, "testdata/metrics.prom", []byte(page))
	proctest.Lint(t, []byte(page))
}

func scrape(c collector.Collector) string {
	rec := httptest.NewRecorder()
	collector.NewSet(discard, map[string]collector.Collector{"flows": c}).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	return rec.Body.String()
}

func TestWatcherReportsASourceThatIsGone(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(in, nil, 0o600); err != nil { // a file where a directory should be
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Dir = t.TempDir()
	cfg.Sources = []SourceConfig{{Name: "x", Dir: in, Interval: conf.Duration(time.Hour)}}
	l, err := cfg.Open(discard)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWatcher(cfg, l, discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() { // before the directories go, also when the test fails
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		page := scrape(w)
		return strings.Contains(page, `oriel_flows_import_success{source="x"} 0`), page
	})
}

func TestConfig(t *testing.T) {
	const text = `
bucket: {url: "s3://lake/prod", endpoint: "https://s3.eu-de.cloud-object-storage.appdomain.cloud", iam_api_key: hunter2}
retention: 30d
sources:
- name: vpc
  bucket: {url: "s3://logs", access_key: a, secret_key: hunter2}
  prefix: ibm_vpc_flowlogs_v1/
- {name: here, dir: /var/log/flows, format: azure, interval: 30s}
`
	var c Config
	if err := yaml.UnmarshalWithOptions([]byte(text), &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.Sources[0].Interval.Std() != time.Minute || c.Sources[1].Interval.Std() != 30*time.Second || c.CacheSize != 10<<30 {
		t.Errorf("config = %+v", c)
	}
	shown, err := yaml.Marshal(c)
	if err != nil || strings.Contains(string(shown), "hunter2") {
		t.Errorf("%s, %v: the secret is shown", shown, err)
	}
	for want, change := range map[string]func(c *Config){
		"dir: ":                   func(c *Config) { c.Bucket, c.Dir = nil, "" },
		"bucket.url: ":            func(c *Config) { c.Bucket.URL = "x" },
		"retention: ":             func(c *Config) { c.Retention = 1 },
		"sources[1].name: ":       func(c *Config) { c.Sources[1].Name = "vpc" },
		"sources[0].dir: ":        func(c *Config) { c.Sources[0].Dir = "x" },
		"sources[1].format: ":     func(c *Config) { c.Sources[1].Format = "x" },
		"sources[0].bucket.url: ": func(c *Config) { c.Sources[0].Bucket.URL = "x" },
		"cache_size: ":            func(c *Config) { c.CacheSize = 1 },
	} {
		var c Config
		if err := yaml.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Validate = %v; want %q", err, want)
		}
	}
}
