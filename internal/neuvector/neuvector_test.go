package neuvector

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/conf"
	sim "github.com/orielhq/oriel/internal/demo/neuvector"
	"github.com/orielhq/oriel/internal/proctest"
)

func TestConfig(t *testing.T) {
	const good = "address: nv\nusername: u\npassword: p\n"
	for text, want := range map[string]string{
		good:                            "",
		"address: nv\napi_key: a:b\n":   "",
		good + "intervals: {hosts: 1h}": "",
		"username: u\npassword: p\n":    "address",
		"address: https://nv/\nusername: u\npassword: p\n": "address",
		"address: nv\n":                        "api_key",
		good + "api_key: a:b\n":                "api_key",
		"address: nv\napi_key: abc\n":          "api_key",
		"address: nv\npassword: p\n":           "username",
		good + "groups: [summary, nothing]\n":  "groups[1]",
		good + "intervals: {nothing: 1m}\n":    "intervals",
		good + "intervals: {hosts: 10ms}\n":    "intervals.hosts",
		good + "page_size: 0\n":                "page_size",
		good + "top_images: -1\n":              "top_images",
		good + "registries: ['[']\n":           "registries[0]",
		good + "families: [none]\n":            "families[0]",
		good + "concurrency: 1000\n":           "concurrency",
		good + "timeout: 0s\n":                 "timeout",
		good + "tls: {cert_file: a}\n":         "tls",
		good + "password_file: /run/secrets\n": "password_file",
	} {
		var c Config
		if err := yaml.Unmarshal([]byte(text), &c); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		err := c.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want+":") {
			t.Errorf("Validate(%q) = %v; want %q", text, err, want)
		}
	}
	var c Config
	if err := yaml.Unmarshal([]byte(good), &c); err != nil {
		t.Fatal(err)
	}
	if b, err := yaml.Marshal(c); err != nil || strings.Contains(string(b), "password: p\n") {
		t.Errorf("the password is shown: %v\n%s", err, b)
	}
}

func TestOfficialGroups(t *testing.T) {
	for text, want := range map[string][]string{
		"summary,log": {groupSummary, groupEvents}, "container_vulnerability image_vulnerability": {groupWorkloads, groupRegistries}, "hosts, host": {groupHosts}, "nv_fed": {groupFederation}, "x": nil,
	} {
		got, err := OfficialGroups(text)
		if diff := cmp.Diff(want, got); diff != "" || (err != nil) != (want == nil) {
			t.Errorf("OfficialGroups(%q) (-want +got):\n%s\n%v", text, diff, err)
		}
	}
}

// TestRealConnection: TLS 1.3 with the controller's own certificate, and a session that is not left behind.
func TestRealConnection(t *testing.T) {
	world := exampleWorld(t)
	c := simulate(t, sim.Config{Dir: t.TempDir()}, world)
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() { _ = c.Run(t.Context()) }()
	cfg := testConfig()
	cfg.Address = c.Addr()

	untrusting, err := New(cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := untrusting.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "ca_file") {
		t.Errorf("a certificate of nobody: %v; want an error that says ca_file", err)
	}
	cfg.TLS = conf.TLS{CAFile: c.CAFile()}
	col, err := New(cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	run := make(chan error, 1)
	stopped, stop := context.WithCancel(ctx)
	go func() { run <- col.Run(stopped) }()
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		got := pageOf(t, col)
		return strings.Count(got, "oriel_neuvector_group_success{") == len(Groups()) && !strings.Contains(got, `group_failure{`), grep(got, "group_failure")
	})
	if n := c.Sessions(); n != 1 {
		t.Errorf("%d sessions; want 1", n)
	}
	stop()
	if err := <-run; err != nil {
		t.Error(err)
	}
	if n := c.Sessions(); n != 0 {
		t.Errorf("%d sessions after the end; want 0", n)
	}
}

func TestClustersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := simulate(t, sim.Config{}, exampleWorld(t))
		joint(t, c)
		cfg := testConfig()
		cfg.MaxClusters = 2
		col := connect(t, cfg, c)
		labels := func() []string {
			names := map[string]bool{}
			for line := range strings.SplitSeq(pageOf(t, col), "\n") {
				if rest, ok := strings.CutPrefix(line, `oriel_neuvector_services{cluster="`); ok {
					name, _, _ := strings.Cut(rest, `"`)
					names[name] = true
				}
			}
			return slices.Sorted(maps.Keys(names))
		}
		during(t, col, 2*time.Minute, func() {
			if got := fmt.Sprint(labels()); got != "[127.0.0.1 edge1]" { // edge2 is away, edge3 is one too many
				t.Errorf("clusters %s", got)
			}
			if got := pageOf(t, col); !strings.Contains(got, `clusters_left_out{cluster="127.0.0.1"} 1`) {
				t.Error("nobody says that one was left out")
			}
			c.Update(func(w *sim.World) { w.Fed.JointClusters = w.Fed.JointClusters[2:] })
			time.Sleep(time.Minute)
			if got := fmt.Sprint(labels()); got != "[127.0.0.1 edge3]" {
				t.Errorf("clusters %s", got)
			}
		})
	})
}

// TestTopIsBounded: what has no series of its own is counted, and totals count all.
func TestTopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.TopImages, cfg.TopServices, cfg.TopConversations = 3, 2, 4
		c := simulate(t, sim.Config{}, sim.Size{Seed: 1, Hosts: 2, Services: 10, Workloads: 40, Registries: 2, Images: 50}.World(time.Now()))
		col := connect(t, cfg, c)
		if err := col.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := pageOf(t, col)
		for series, want := range map[string]int{
			"nv_image_vulnerabilityHigh{": 3, `oriel_neuvector_image_vulnerabilities{`: 9, "nv_container_vulnerabilityHigh{": 2, "oriel_neuvector_service_vulnerabilities{": 6,
			"nv_conversation_bytes{": 5, "oriel_neuvector_conversation_bytes{": 5,
		} {
			if n := strings.Count(got, "\n"+series); n != want {
				t.Errorf("%d series of %s; want %d", n, series, want)
			}
		}
		if want := `oriel_neuvector_folded_series{cluster="127.0.0.1",of="image"} 47`; !strings.Contains(got, want) {
			t.Errorf("page lacks %s:\n%s", want, grep(got, "folded"))
		}
		if len(col.Images()) != 50 || len(col.Workloads()) != 40+14 {
			t.Errorf("%d images, %d workloads; want 50 and 54", len(col.Images()), len(col.Workloads()))
		}
	})
}

// TestScrapeNeverWaits: the controller hangs, the page is there at once.
func TestScrapeNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		col := newCollector(testConfig(), wire{hang}, quiet)
		during(t, col, time.Minute, func() {
			start := time.Now()
			got := pageOf(t, col)
			if took := time.Since(start); took != 0 || !strings.Contains(got, `oriel_neuvector_up{cluster="127.0.0.1"} 0`) || !strings.Contains(got, `oriel_collector_success{collector="neuvector-"} 0`) && !strings.Contains(got, `success{collector="neuvector-127.0.0.1"} 0`) {
				t.Errorf("after %s:\n%s", took, got)
			}
		})
	})
}
