package neuvector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/conf"
	sim "github.com/orielhq/oriel/internal/demo/neuvector"
)

const password = "correct-horse-battery"

var quiet = slog.New(slog.DiscardHandler)

// wire is a connection to a controller inside this process, so that tests can
// have a clock of their own. An answer comes as it is written.
type wire struct{ handler http.Handler }

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	pr, pw := io.Pipe()
	a := &answer{head: make(chan *http.Response, 1), header: http.Header{}, body: pw, reader: pr}
	inner := r.Clone(r.Context())
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	go func() {
		defer func() {
			err := io.EOF
			if recover() != nil {
				err = io.ErrUnexpectedEOF
				close(a.head)
			} else {
				a.WriteHeader(200)
			}
			_ = pw.CloseWithError(err)
		}()
		w.handler.ServeHTTP(a, inner)
	}()
	stop := context.AfterFunc(r.Context(), func() { _ = pw.CloseWithError(r.Context().Err()) })
	select {
	case resp, ok := <-a.head:
		if !ok {
			stop()
			return nil, errors.New("connection reset")
		}
		return resp, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

type answer struct {
	head   chan *http.Response
	header http.Header
	wrote  bool
	body   *io.PipeWriter
	reader *io.PipeReader
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if !a.wrote {
		a.wrote = true
		a.head <- &http.Response{StatusCode: status, Header: a.header, Body: a.reader, ProtoMajor: 1, ProtoMinor: 1}
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(200)
	return a.body.Write(b)
}

// testConfig is a configuration with all groups.
func testConfig() Config {
	cfg := Default()
	cfg.Address, cfg.Username, cfg.Password, cfg.Groups = "127.0.0.1:10443", "monitor", conf.Secret(password), Groups()
	return cfg
}

// connect returns a collector of a simulated controller.
func connect(t testing.TB, cfg Config, c *sim.Controller) *Collector {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return newCollector(cfg, wire{c}, quiet)
}

func simulate(t testing.TB, cfg sim.Config, w *sim.World) *sim.Controller {
	t.Helper()
	if cfg.Password == "" {
		cfg.Password = password
	}
	c, err := sim.New(cfg, w, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pageOf returns what a scrape shows, without times that differ each time.
func pageOf(t testing.TB, cs ...*Collector) string {
	t.Helper()
	var b bytes.Buffer
	all := map[string]collector.Collector{}
	for _, c := range cs {
		all["neuvector-"+c.cfg.Cluster] = c
	}
	set := collector.NewSet(quiet, all)
	if err := set.WriteText(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^(oriel_collector_duration_seconds\{.*\}|oriel_neuvector_group_duration_seconds\{.*\}) .*$`).ReplaceAllString(b.String(), "$1 0.1")
}

// example reads one of the simulator's examples into v.
func example(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("../demo/neuvector/testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// exampleWorld has the objects over which official.prom was made.
func exampleWorld(t testing.TB) *sim.World {
	t.Helper()
	w := &sim.World{Kubernetes: true, Stats: map[string]*sim.Stats{}, Images: map[string][]sim.Image{}}
	example(t, "summary", &struct{ Summary *sim.Summary }{&w.Summary})
	example(t, "conversations", &struct{ Conversations *[]sim.Conversation }{&w.Conversations})
	example(t, "admission_stats", &struct{ Stats *sim.AdmissionStats }{&w.Admission})
	example(t, "admission_state", &struct{ State **sim.AdmissionState }{&w.AdmissionState})
	example(t, "platforms", &struct{ Platforms *[]sim.Platform }{&w.Platforms})
	example(t, "federation_", &w.Fed)
	var pods struct{ Controllers []sim.ControllerPod }
	example(t, "controllers", &pods)
	var hosts struct{ Hosts []sim.Host }
	example(t, "hosts", &hosts)
	var enforcers struct{ Enforcers []sim.Enforcer }
	example(t, "enforcers", &enforcers)
	var stats struct{ Stats sim.Stats }
	example(t, "enforcer_stats", &stats)
	for i, node := range []string{"node1", "node2", "node3"} {
		e := enforcers.Enforcers[0]
		e.ID, e.DisplayName, e.HostName = fmt.Sprintf("enf%d", i+1), fmt.Sprintf("neuvector-enforcer-pod-%d", i+1), node
		if i < 2 {
			e.ConnectionState, e.DisconnectedAt = "connected", ""
			s := stats.Stats
			w.Stats[e.ID] = &s
		}
		w.Enforcers = append(w.Enforcers, e)
		if i == 2 {
			break
		}
		p, h := pods.Controllers[0], hosts.Hosts[0]
		p.ID, p.DisplayName, p.HostName, p.Leader = fmt.Sprintf("ctl%d", i+1), fmt.Sprintf("neuvector-controller-pod-%d", i+1), node, i == 0
		h.Name, h.ID = node, node+fmt.Sprintf(":H%d", i+1)
		w.Controllers, w.Hosts = append(w.Controllers, p), append(w.Hosts, h)
	}
	w.Stats["ctl1"] = &sim.Stats{Span1: sim.Metry{CPU: .05, Memory: 536870912}}
	w.Stats["ctl2"] = &sim.Stats{Span1: sim.Metry{CPU: .04, Memory: 436207616}}

	example(t, "summarys", &struct{ Summarys *[]sim.Registry }{&w.Registries})
	second := w.Registries[0]
	second.Name, second.Scanned, second.Failed = "reg2", 1, 0
	w.Registries = append(w.Registries, second)
	var images struct{ Images []sim.Image }
	example(t, "images", &images)
	w.Images["reg1"], w.Images["reg2"] = images.Images, images.Images[:1]

	var workloads struct{ Workloads []sim.Workload }
	example(t, "workloads", &workloads)
	for _, v := range []struct {
		id, service            string
		critical, high, medium int
		sidecar                bool
		status                 string
	}{
		{"a0", "web.demo", 5, 7, 11, false, "finished"},
		{"a1", "web.demo", 9, 70, 110, false, "finished"},
		{"b0", "db.demo", 6, 0, 0, false, "finished"},
		{"c0", "mesh.demo", 0, 3, 3, true, "finished"},
		{"d0", "api.demo", 0, 0, 0, false, "idle"},
		{"d1", "api.demo", 0, 2, 0, false, "finished"},
	} {
		one, s := workloads.Workloads[0], *workloads.Workloads[0].ScanSummary
		s.Critical, s.High, s.Medium, s.Status = &v.critical, v.high, v.medium, v.status
		one.ID, one.Name, one.DisplayName, one.Service, one.ServiceMeshSidecar, one.ScanSummary = v.id, "k8s_"+v.id, v.id, v.service, v.sidecar, &s
		w.Workloads = append(w.Workloads, one)
	}
	var threats struct{ Threats []sim.Threat }
	example(t, "threats", &threats)
	for i := range 7 {
		one := threats.Threats[0]
		one.ID, one.ReportedTimestamp = fmt.Sprintf("t%d", i), 1753171000-int64(i)
		w.Threats = append(w.Threats, one)
	}
	var incidents struct{ Incidents []sim.Incident }
	example(t, "incidents", &incidents)
	w.Incidents = incidents.Incidents[:2]
	example(t, "violations", &struct{ Violations *[]sim.Violation }{&w.Violations})
	w.Scanners = []sim.Scanner{{ID: "scanner1", CVEDBVersion: "4.012", CVEDBCreateTime: "2025-07-20T12:00:00Z", ScannedContainers: 30, ScannedHosts: 2, ScannedImages: 3}}
	w.ScanStatus = sim.ScanStatus{Scanned: 30, Scheduled: 2, Scanning: 1}
	w.Score = map[string]any{"security_scores": map[string]any{"security_risk_score": 42, "exposure_score": 7}}
	return w
}
