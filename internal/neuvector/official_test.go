package neuvector

import (
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	sim "github.com/orielhq/oriel/internal/demo/neuvector"
	"github.com/orielhq/oriel/internal/proctest"
)

// samples reads a page into values by series. Labels without a value are as if not there, as Prometheus has it.
func samples(t *testing.T, page []byte, prefix string) map[string]float64 {
	t.Helper()
	p, err := textparse.New(page, "text/plain; version=0.0.4", labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for {
		e, err := p.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if e != textparse.EntrySeries {
			continue
		}
		var ls labels.Labels
		p.Labels(&ls)
		if _, _, v := p.Series(); strings.HasPrefix(ls.Get(model.MetricNameLabel), prefix) {
			all[ls.WithoutEmpty().String()] = v
		}
	}
}

// joint makes a controller the primary of three clusters.
func joint(t testing.TB, c *sim.Controller) {
	for _, j := range [][3]string{{"j1", "edge1", "synced"}, {"j2", "edge2", "disconnected"}, {"j3", "edge3", ""}} {
		size := sim.DemoSize()
		size.Seed, size.Hosts, size.Workloads, size.Images = 5, 1, 3, 2
		size.Threats, size.Incidents, size.Violations = 1, 0, 1
		c.Join(j[0], j[1], j[2], simulate(t, sim.Config{}, size.World(time.Now())))
	}
}

// TestOfficialSeries: what the official exporter shows, we show with the same
// name, labels and value; where it is wrong, this test says how we differ.
func TestOfficialSeries(t *testing.T) {
	b, err := os.ReadFile("testdata/official.prom")
	if err != nil {
		t.Fatal(err)
	}
	want := samples(t, b, "nv_")
	differ := func(series string, v float64) {
		var ls labels.Labels
		p, _ := textparse.New([]byte(series+" 0\n"), "text/plain; version=0.0.4", labels.NewSymbolTable(), textparse.ParserOptions{})
		if _, err := p.Next(); err != nil {
			t.Fatal(err)
		}
		p.Labels(&ls)
		key := ls.WithoutEmpty().String()
		if _, ok := want[key]; ok && v < 0 {
			delete(want, key)
			return
		}
		want[key] = v
	}
	const target = `target="127.0.0.1"`
	// 1. Each entry of a conversation counts once, by port or by application, and none is left out.
	differ(`nv_conversation_bytes{from="w1",port="tcp/8080",to="w2",`+target+`}`, 300)
	differ(`nv_conversation_bytes{from="w1",port="tcp/9090",to="w2",`+target+`}`, 200)
	differ(`nv_conversation_bytes{from="w1",port="HTTP",to="w2",`+target+`}`, 1000)
	differ(`nv_conversation_bytes{from="w1",port="SSL",to="external",`+target+`}`, 7000)
	// 2. A service counts by its worst container, not by the first by name.
	differ(`nv_container_vulnerabilityHigh{service="web.demo",`+target+`}`, 70)
	differ(`nv_container_vulnerabilityMedium{service="web.demo",`+target+`}`, 110)
	// 3. A service with nothing but critical vulnerabilities is there, and what is critical has series.
	differ(`nv_container_vulnerabilityHigh{service="db.demo",`+target+`}`, 0)
	differ(`nv_container_vulnerabilityMedium{service="db.demo",`+target+`}`, 0)
	for series, v := range map[string]float64{
		`nv_container_vulnerabilityCritical{service="web.demo",`: 9, `nv_container_vulnerabilityCritical{service="db.demo",`: 6,
		`nv_container_vulnerabilityCritical{service="api.demo",`: 0, `nv_platform_vulnerabilityCritical{name="Kubernetes",`: 1,
		`nv_image_vulnerabilityCritical{imageid="sha256:111",name="team/app:1.0",`: 4, `nv_image_vulnerabilityCritical{imageid="sha256:222",name="team/db:2.0",`: 0,
	} {
		differ(series+target+`}`, v)
	}
	// 4. tons of a threat is the server's namespace, not its name again.
	for k, v := range maps.Clone(want) {
		if strings.Contains(k, `log="threat"`) {
			delete(want, k)
			want[strings.Replace(k, `tons="server-pod"`, `tons="prod"`, 1)] = v
		}
	}
	// 5. Figures of enforcers are on.
	for _, n := range []string{"1", "2"} {
		differ(`nv_enforcer_cpu{display="neuvector-enforcer-pod-`+n+`",host="node`+n+`",id="enf`+n+`",`+target+`}`, .021)
		differ(`nv_enforcer_memory{display="neuvector-enforcer-pod-`+n+`",host="node`+n+`",id="enf`+n+`",`+target+`}`, 134217728)
	}

	cfg := testConfig()
	cfg.CommandLabel = true
	c := connect(t, cfg, simulate(t, sim.Config{}, exampleWorld(t)))
	if err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, samples(t, []byte(pageOf(t, c)), "nv_")); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

// TestAllOfficialNames: the 28 names are there, those of a federation included.
func TestAllOfficialNames(t *testing.T) {
	world := exampleWorld(t)
	primary := simulate(t, sim.Config{}, world)
	joint(t, primary)
	worker := simulate(t, sim.Config{}, exampleWorld(t))
	worker.Update(func(w *sim.World) {
		w.Fed = sim.Membership{FedRole: "joint", MasterCluster: &sim.MasterCluster{Name: "primary", Status: "connected"}}
	})
	names := map[string]bool{}
	for _, c := range []*sim.Controller{primary, worker} {
		col := connect(t, testConfig(), c)
		_ = col.Refresh(t.Context()) // a cluster that is away makes it fail
		got := pageOf(t, col)
		for _, want := range []string{
			`nv_fed_master{master="primary",status="synced",worker="edge1"} 1`, `nv_fed_master{master="primary",status="disconnected",worker="edge2"} 0`,
			`nv_fed_master{master="primary",status="",worker="edge3"} 0`,
		} {
			if c == primary && !strings.Contains(got, want+"\n") {
				t.Errorf("page lacks %s", want)
			}
		}
		if want := `nv_fed_worker{master="primary",status="joint"} 1`; c == worker && !strings.Contains(got, want+"\n") {
			t.Errorf("page lacks %s", want)
		}
		for series := range samples(t, []byte(got), "nv_") {
			name := series[strings.Index(series, `__name__="`)+len(`__name__="`):]
			name, _, _ = strings.Cut(name, `"`)
			if !strings.HasSuffix(name, "Critical") {
				names[name] = true
			}
		}
	}
	if len(names) != 28 {
		t.Errorf("%d names; want 28: %s", len(names), slices.Sorted(maps.Keys(names)))
	}
}

func TestGoldenPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a fixed clock: 2000-01-01
		c := simulate(t, sim.Config{PasswordDays: 30}, exampleWorld(t))
		joint(t, c)
		c.SetFault("/v1/fed/cluster/j3/v1/host", sim.Fault{Status: 200, Body: `{"hosts":"none"}`}) // so that something cannot be read
		cfg := testConfig()
		cfg.TopImages = 3 // two are folded
		col := connect(t, cfg, c)
		_ = col.Refresh(t.Context()) // edge2 is away

		cfg.Cluster, cfg.Password, cfg.APIKey, cfg.Groups = "keyed", "", "name:secret", []string{groupScanners}
		keyed := connect(t, cfg, simulate(t, sim.Config{APIKey: "name:secret"}, exampleWorld(t)))
		if err := keyed.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := pageOf(t, col, keyed)
		proctest.Golden(t, "testdata/metrics.prom", []byte(got))
		var peers []string
		for line := range strings.Lines(got) {
			if rest, ok := strings.CutPrefix(line, "# TYPE nv_"); ok {
				peers = append(peers, "nv_"+strings.Fields(rest)[0])
			}
		}
		proctest.Lint(t, []byte(got), peers...)
	})
}
