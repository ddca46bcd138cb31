package neuvector

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/conf"
	sim "github.com/orielhq/oriel/internal/demo/neuvector"
)

// eventsOnly is a configuration that does nothing but follow the events.
func eventsOnly() Config {
	cfg := testConfig()
	cfg.Groups, cfg.PageSize = []string{groupEvents}, 50
	return cfg
}

// counted returns the sum of the counters of a class.
func counted(c *Collector, class string) int {
	c.local.tail.mu.Lock()
	defer c.local.tail.mu.Unlock()
	n := 0
	for k, v := range c.local.tail.counts {
		if k.class == class {
			n += v
		}
	}
	return n
}

// TestNoEventIsLostAndNoneComesTwice: events come at any time, with stamps of
// clocks that are wrong, while readings fail, recording fails and the collector restarts.
func TestNoEventIsLostAndNoneComesTwice(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.json")
	for seed := range uint64(1) {
		synctest.Test(t, func(t *testing.T) {
			rnd, luck := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
			file := state + fmt.Sprint(seed)
			size := sim.DemoSize()
			size.Restless = false
			c := simulate(t, sim.Config{}, size.World(time.Now()))
			var want []string
			c.Update(func(w *sim.World) {
				for _, v := range w.Threats {
					want = append(want, v.ID)
				}
				for _, v := range w.Incidents {
					want = append(want, v.ID)
				}
				for _, v := range w.Violations {
					want = append(want, v.ID)
				}
			})
			first := len(want)
			var got []string
			failures := 0
			cfg := eventsOnly()
			cfg.StateFile = file
			total := 0
			for run := range 4 {
				col := connect(t, cfg, c)
				col.Record = func(events []Event) error {
					if len(got) > 0 && luck.IntN(6) == 0 { // not the first reading, which shows where the counters begin
						failures++
						return errors.New("disk full")
					}
					for _, e := range events {
						got = append(got, e.ID)
					}
					return nil
				}
				during(t, col, 0, func() {
					for i := range 150 {
						time.Sleep(time.Duration(rnd.IntN(10000)) * time.Millisecond)
						n := rnd.IntN(4)
						c.Update(func(w *sim.World) {
							for j := range n {
								v := w.Violations[0]
								v.ID = fmt.Sprintf("new-%d-%d-%d", run, i, j)
								v.ReportedTimestamp = time.Now().Unix() - int64(rnd.IntN(100))
								if rnd.IntN(10) == 0 { // an enforcer whose clock is a day off
									v.ReportedTimestamp += int64(rnd.IntN(3)-1) * 86400
								}
								w.Violations = append(w.Violations, v)
								want = append(want, v.ID)
							}
						})
						switch rnd.IntN(20) {
						case 0:
							c.SetFault("/v1/log", sim.Fault{Status: 500})
						case 1:
							c.SetFault("/v1/log", sim.Fault{Truncate: 2000})
						case 2:
							c.SetFault("/v1/log", sim.Fault{Status: 200, Body: "<html>"})
						default:
							c.SetFault("/v1/log", sim.Fault{})
						}
					}
					c.SetFault("/v1/log", sim.Fault{})
					time.Sleep(25 * time.Minute) // a reading of all, and time to record what could not be
				})
				for _, class := range classes {
					total += counted(col, class)
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("seed %d: events (-want +got):\n%s", seed, diff)
			}
			if failures == 0 {
				t.Error("nothing failed; the test shows nothing")
			}
			// The first reading of all shows where the counters begin.
			if total != len(want)-first {
				t.Errorf("seed %d: %d counted; want %d", seed, total, len(want)-first)
			}
		})
	}
}

func TestForgottenEventsAreNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		size := sim.DemoSize()
		size.Restless = false
		c := simulate(t, sim.Config{}, size.World(time.Now()))
		cfg := eventsOnly()
		cfg.PageSize, cfg.Intervals = 1000, map[string]conf.Duration{groupEvents: conf.Duration(2 * time.Minute)}
		col := connect(t, cfg, c)
		flood := func(n int) {
			c.Update(func(w *sim.World) {
				v := w.Violations[len(w.Violations)-1]
				for i := range n {
					v.ID, v.ReportedTimestamp = fmt.Sprintf("%d-%d", time.Now().Unix(), i), time.Now().Unix()
					w.Violations = append(w.Violations, v)
				}
				w.Violations = w.Violations[max(0, len(w.Violations)-ringSize):]
			})
		}
		gaps := func() int {
			col.local.tail.mu.Lock()
			defer col.local.tail.mu.Unlock()
			return col.local.tail.gaps
		}
		during(t, col, 4*time.Minute, func() {
			flood(600)
			time.Sleep(4 * time.Minute)
			if n := gaps(); n != 0 {
				t.Errorf("%d gaps after 600 events; want none", n)
			}
			flood(ringSize)
			time.Sleep(4 * time.Minute)
			if n := gaps(); n != 1 {
				t.Errorf("%d gaps; want 1", n)
			}
			time.Sleep(12 * time.Minute)
			synctest.Wait()
			if n := len(col.local.tail.seen[classViolation]); n > ringSize {
				t.Errorf("%d ids are held; want %d at most", n, ringSize)
			}
			if n := counted(col, classViolation); n != 600+ringSize {
				t.Errorf("%d counted; want %d", n, 600+ringSize)
			}
		})
	})
}

func TestEventsWithoutIDAreKnownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := simulate(t, sim.Config{}, exampleWorld(t))
		c.Update(func(w *sim.World) {
			for i := range w.Threats {
				w.Threats[i].ID = ""
			}
		})
		col := connect(t, eventsOnly(), c)
		var got int
		col.Record = func(e []Event) error { got += len(e); return nil }
		during(t, col, time.Hour, nil)
		if got != 7+2+1 {
			t.Errorf("%d events; want 10", got)
		}
	})
}

func TestEventRows(t *testing.T) {
	c := simulate(t, sim.Config{}, exampleWorld(t))
	var incidents struct{ Incidents []sim.Incident }
	example(t, "incidents", &incidents)
	c.Update(func(w *sim.World) { w.Incidents = incidents.Incidents })
	col := connect(t, eventsOnly(), c)
	got := map[string]Event{}
	col.Record = func(events []Event) error {
		for _, e := range events {
			got[e.ID] = e
		}
		return nil
	}
	if err := col.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := Event{
		Time: time.Unix(1753171300, 0).UTC(), Cluster: "127.0.0.1", Class: "incident", ID: "i9", Name: "Container.FileAccess.Violation", Severity: "Warning", Action: "Alert",
		Host: "node1", Enforcer: "neuvector-enforcer-pod-1", ClientID: "w1", ClientName: "client-pod", FilePath: "/etc/passwd", FileNames: "/etc/passwd,/etc/shadow",
		Message: "File changed", clusterName: "cluster.local",
	}
	if got["i9"] != want {
		t.Errorf("row = %+v; want %+v", got["i9"], want)
	}
	if e := got["t0"]; e.ServerNamespace != "prod" || e.ServerPort != 53 || e.Protocol != 17 || e.ClientService != "client.demo" || e.Severity != "High" || e.Application != "DNS" {
		t.Errorf("row = %+v", e)
	}
	if e := got["v0"]; e.Action != "violate" || e.FQDN != "evil.example" || e.Count != 2 || e.Application != "SSL" || e.ServerIP != "1.2.3.4" {
		t.Errorf("row = %+v", e)
	}
	page := pageOf(t, col)
	if !strings.Contains(page, `filename="/etc/passwd,/etc/shadow"`) {
		t.Errorf("page lacks the names of files:\n%s", page)
	}
	if strings.Contains(page, "nc -l") {
		t.Error("the command line is a label though nobody asked for it")
	}
}

func TestStateFileThatIsBrokenIsNoEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none", "state.json") // cannot be written
	synctest.Test(t, func(t *testing.T) {
		cfg := eventsOnly()
		cfg.StateFile, cfg.Intervals = file, map[string]conf.Duration{groupEvents: conf.Duration(time.Minute)}
		col := connect(t, cfg, simulate(t, sim.Config{}, exampleWorld(t)))
		during(t, col, 2*time.Minute, nil)
		if n := len(slices.Collect(maps.Keys(col.local.tail.latest))); n != 3 {
			t.Errorf("%d classes; want 3", n)
		}
	})
}
