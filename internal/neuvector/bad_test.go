package neuvector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orielhq/oriel/internal/conf"
	sim "github.com/orielhq/oriel/internal/demo/neuvector"
)

// paths of each group, and an object that its answer holds.
var pathsOf = map[string]string{
	groupSummary: "/v1/system/summary", groupAdmission: "/v1/admission/stats", groupControllers: "/v1/controller", groupEnforcers: "/v1/enforcer", groupHosts: "/v1/host",
	groupScanners: "/v1/scan/scanner", groupPlatform: "/v1/scan/platform", groupWorkloads: "/v1/workload", groupRegistries: "/v1/scan/registry", groupConversations: "/v1/conversation",
	groupEvents: "/v1/log/security", groupFederation: "/v1/fed/member", groupScore: "/v1/system/score/metrics",
}

// TestBadAnswerCostsOnlyItsGroup: whatever one path answers, all other groups
// are read, the scrape works, and the reason is counted.
func TestBadAnswerCostsOnlyItsGroup(t *testing.T) {
	faults := map[string]struct {
		fault  sim.Fault
		reason string
	}{
		"html":        {sim.Fault{Status: 200, Body: "<html><body>Sign in</body></html>"}, badNotJSON},
		"text":        {sim.Fault{Status: 200, Body: "maintenance"}, badNotJSON},
		"nothing":     {sim.Fault{Status: 200}, badNotJSON},
		"list":        {sim.Fault{Status: 200, Body: "[1,2,3]"}, badNotJSON},
		"truncated":   {sim.Fault{Truncate: 12}, badTruncated},
		"cut":         {sim.Fault{Status: 200, Body: `{"hosts":[{"name":`}, badTruncated},
		"reset":       {sim.Fault{Reset: true}, failConnection},
		"slow":        {sim.Fault{Delay: time.Hour}, failTimeout},
		"forbidden":   {sim.Fault{Status: 403, Body: `{"code":25}`}, failForbidden},
		"not found":   {sim.Fault{Status: 404, Body: `{"code":1}`}, failNotFound},
		"unsupported": {sim.Fault{Status: 412, Body: `{"code":30}`}, failUnsupported},
		"too many":    {sim.Fault{Status: 429}, failRate},
		"server":      {sim.Fault{Status: 500, Body: `{"code":24}`}, failServer},
		"redirect":    {sim.Fault{Status: 302}, failStatus},
	}
	for name, f := range faults {
		for group, path := range pathsOf {
			t.Run(name+"/"+group, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := simulate(t, sim.Config{}, exampleWorld(t))
					c.SetFault(path, f.fault)
					cfg := testConfig()
					cfg.Timeout = conf.Duration(5 * time.Second)
					col := connect(t, cfg, c)
					if err := col.Refresh(t.Context()); err == nil {
						t.Error("Refresh: no error")
					}
					got := pageOf(t, col)
					for _, g := range Groups() {
						want := fmt.Sprintf(`oriel_neuvector_group_success{cluster="127.0.0.1",group="%s"} %d`, g, int(truth(g != group)))
						if !strings.Contains(got, want+"\n") {
							t.Errorf("page lacks %s", want)
						}
					}
					want := fmt.Sprintf(`oriel_neuvector_group_failure{cluster="127.0.0.1",group="%s",reason="%s"} 1`, group, f.reason)
					if !strings.Contains(got, want+"\n") {
						t.Errorf("page lacks %s:\n%s", want, grep(got, "group_failure"))
					}
					// It is healed, and so are we.
					c.SetFault(path, sim.Fault{})
					if err := col.Refresh(t.Context()); err != nil && group != groupEnforcers && group != groupControllers {
						t.Errorf("Refresh after healing: %v", err)
					}
				})
			})
		}
	}
}

func grep(text, part string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestFieldsOfAnyTypeCostOnlyThemselves replaces each value of each example by
// other things, one at a time: the answer is read all the same.
func TestFieldsOfAnyTypeCostOnlyThemselves(t *testing.T) {
	files := map[string]string{
		"summary": groupSummary, "admission_stats": groupAdmission, "controllers": groupControllers, "enforcers": groupEnforcers, "hosts": groupHosts, "platforms": groupPlatform,
		"workloads": groupWorkloads, "summarys": groupRegistries, "conversations": groupConversations, "federation_master": groupFederation,
	}
	for file, group := range files {
		t.Run(file, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var doc any
				example(t, file, &doc)
				c := simulate(t, sim.Config{}, exampleWorld(t))
				col := connect(t, testConfig(), c)
				n := 0
				mutate(doc, func() {
					body, err := json.Marshal(doc)
					if err != nil {
						t.Fatal(err)
					}
					c.SetFault(pathsOf[group], sim.Fault{Status: 200, Body: string(body)})
					_ = col.local.refresh(t.Context(), group)
					pageOf(t, col) // what it is shown as must be a page
					n++
				})
				if n < 30 {
					t.Errorf("%d variants; the test shows little", n)
				}
				if _, err := json.Marshal(col.Workloads()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// mutate replaces each value inside of v in turn and calls try.
func mutate(v any, try func()) {
	others := []any{nil, "text", 1e300, []any{"x"}, map[string]any{"k": 1.0}}
	switch v := v.(type) {
	case map[string]any:
		for k, old := range v {
			for _, o := range others {
				v[k] = o
				try()
			}
			delete(v, k)
			try()
			v[k] = old
			mutate(old, try)
		}
	case []any:
		for i, old := range v {
			for _, o := range others {
				v[i] = o
				try()
			}
			v[i] = old
			mutate(old, try)
		}
	}
}

// TestNullListsAreEmpty: Go's nil lists print null.
func TestNullListsAreEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := simulate(t, sim.Config{}, &sim.World{Kubernetes: true, Score: map[string]any{}})
		col := connect(t, testConfig(), c)
		if err := col.Refresh(t.Context()); err != nil {
			t.Errorf("Refresh: %v", err)
		}
		if got := grep(pageOf(t, col), "unreadable"); got != "" {
			t.Errorf("page has %s", got)
		}
	})
}

func TestEndlessBodyIsBounded(t *testing.T) {
	for body, want := range map[string]string{" ": badTooLarge, "1": badTooLarge, `{"hosts":[` + strings.Repeat(`{"name":"x"},`, 50): badTooLarge} {
		c := simulate(t, sim.Config{}, exampleWorld(t))
		cfg := testConfig()
		cfg.Groups = []string{groupHosts}
		col := connect(t, cfg, c)
		col.client.maxBody = 1 << 20
		c.SetFault("/v1/host", sim.Fault{Endless: strings.Repeat(body, 100)})
		if err := col.Refresh(t.Context()); err == nil {
			t.Error("Refresh: no error")
		}
		if got := pageOf(t, col); !strings.Contains(got, `group="hosts",reason="`+want+`"} 1`) {
			t.Errorf("%.20q: page lacks reason %s:\n%s", body, want, grep(got, "neuvector_group_failure"))
		}
	}
}

// TestHalfARegistry: the third page fails. At first what was read is shown;
// later the last whole reading.
func TestHalfARegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := simulate(t, sim.Config{}, sim.Size{Seed: 1, Hosts: 1, Services: 1, Workloads: 1, Registries: 1, Images: 100}.World(time.Now()))
		cfg := testConfig()
		cfg.PageSize, cfg.Groups = 30, []string{groupRegistries}
		col := connect(t, cfg, c)
		broken := sim.Fault{Status: 502, Query: "start=60"}
		c.SetFault("/v1/scan/registry/registry1/images", broken)
		for i, want := range []int{60, 100, 100} {
			_ = col.Refresh(t.Context())
			if got := len(col.Images()); got != want {
				t.Errorf("step %d: %d images; want %d", i, got, want)
			}
			got := pageOf(t, col)
			if want := fmt.Sprintf(`oriel_neuvector_registry_read_success{cluster="127.0.0.1",registry="registry1"} %d`, i%2); !strings.Contains(got, want) {
				t.Errorf("step %d: page lacks %s", i, want)
			}
			if i == 0 {
				c.SetFault("/v1/scan/registry/registry1/images", sim.Fault{})
			} else {
				c.SetFault("/v1/scan/registry/registry1/images", broken)
			}
		}
	})
}

func TestListThatDoesNotPageEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := simulate(t, sim.Config{}, exampleWorld(t))
		cfg := testConfig()
		cfg.PageSize, cfg.Groups = 2, []string{groupHosts}
		c.SetFault("/v1/host", sim.Fault{Status: 200, Body: `{"hosts":[{"name":"a"},{"name":"b"}]}`}) // always two
		col := connect(t, cfg, c)
		if err := col.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		if n := c.Calls()["/v1/host"]; n > 1+pageWindow {
			t.Errorf("%d requests", n)
		}
	})
}

func TestClockOfAnotherZone(t *testing.T) {
	for text, want := range map[string]int64{
		"2025-07-20T12:00:00Z": 1753012800, "2025-07-20T08:00:00-04:00": 1753012800, "2025-07-20T12:00:00.123456Z": 1753012800,
		"2025-07-20T12:00:00": 1753012800, "2025-07-20 12:00:00": 1753012800, "yesterday": 0, "": 0, "0001-01-01T00:00:00Z": 0,
	} {
		got, ok := parseTime(text)
		if ok != (want != 0) || ok && got.Unix() != want {
			t.Errorf("parseTime(%q) = %v, %v; want %d", text, got, ok, want)
		}
	}
}

// TestSlowEnforcerIsLeftAlone: it is connected and does not answer.
func TestSlowEnforcerIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := simulate(t, sim.Config{}, exampleWorld(t))
		c.SetFault("/v1/enforcer/enf1/stats", sim.Fault{Status: 500, Body: `{"code":24}`, Delay: 8 * time.Second})
		cfg := testConfig()
		cfg.Groups = []string{groupEnforcers}
		col := connect(t, cfg, c)
		during(t, col, 4*time.Minute, nil)
		if n := c.Calls()["/v1/enforcer/enf1/stats"]; n != 1 {
			t.Errorf("asked %d times; want once in five minutes", n)
		}
		got := pageOf(t, col)
		for _, want := range []string{
			`oriel_neuvector_enforcer_stats_success{cluster="127.0.0.1",enforcer="neuvector-enforcer-pod-1",host="node1"} 0`,
			`oriel_neuvector_enforcer_stats_success{cluster="127.0.0.1",enforcer="neuvector-enforcer-pod-2",host="node2"} 1`,
		} {
			if !strings.Contains(got, want) {
				t.Errorf("page lacks %s", want)
			}
		}
	})
}

func TestVersionsBefore56HaveNoSeriesCritical(t *testing.T) {
	for version, want := range map[string]bool{"5.3": false, "5.4": false, "5.6": true} {
		synctest.Test(t, func(t *testing.T) {
			size := sim.DemoSize()
			size.Version = version
			cfg := testConfig()
			col := connect(t, cfg, simulate(t, sim.Config{Version: version}, size.World(time.Now())))
			for range 2 { // the version is known from the first summary on
				if err := col.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			got := pageOf(t, col)
			if has := strings.Contains(got, `severity="critical"} `) && strings.Contains(got, "Critical{"); has != want {
				t.Errorf("%s: series critical %v; want %v\n%s", version, has, want, grep(got, "Critical{"))
			}
		})
	}
}

// TestRoleThatMayNotSeeNeuVectorItself: empty lists and zeros are no error.
func TestRoleThatMayNotSeeNeuVectorItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		col := connect(t, testConfig(), simulate(t, sim.Config{Role: "custom"}, exampleWorld(t)))
		if err := col.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		if got := pageOf(t, col); !strings.Contains(got, `oriel_neuvector_services{cluster="127.0.0.1"} 12`) {
			t.Error("page lacks the services")
		}
	})
}

func FuzzAnswers(f *testing.F) {
	for _, name := range []string{"summary", "conversations", "enforcers", "hosts", "workloads", "summarys", "images", "threats", "incidents", "violations", "federation_master"} {
		var raw json.RawMessage
		example(f, name, &raw)
		f.Add([]byte(raw))
		f.Add([]byte(raw[:len(raw)/2]))
	}
	f.Add([]byte(`<html>`))
	f.Add([]byte(`{"hosts":null}`))
	f.Add([]byte(`{"threats":[{"reported_timestamp":1e9,"file_name":{}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		seen := 0
		each := map[string]reader{"controllers": itemReader(func(string) {}, func(*pod) {})}
		for _, key := range []string{"threats", "hosts", "workloads", "conversations"} {
			each[key] = rawReader(func(raw json.RawMessage) {
				seen++
				if !json.Valid(raw) {
					t.Errorf("element %q is not JSON", raw)
				}
				e, ok := parseEvent("c", classThreat, raw, func(string) {})
				if again, ok2 := parseEvent("c", classThreat, raw, func(string) {}); ok != ok2 || e != again {
					t.Errorf("the same entry is two: %+v, %+v", e, again)
				}
				if ok && (e.ID == "" || e.Time.IsZero() || len(e.Message) > maxText || len(e.CommandLine) > maxText+8) {
					t.Errorf("event %+v", e)
				}
				byPort := map[flow]float64{}
				addConversation(raw, byPort, map[flow]float64{}, func(string) {})
				for k, v := range byPort {
					if !(v > 0) {
						t.Errorf("%v has %v bytes", k, v)
					}
				}
			})
		}
		err := walk(bytes.NewReader(b), each, func(string) {})
		if seen > len(b) {
			t.Errorf("%d elements in %d bytes", seen, len(b))
		}
		if err == nil && !json.Valid(b) {
			dec := json.NewDecoder(bytes.NewReader(b))
			var first json.RawMessage
			if dec.Decode(&first) != nil {
				t.Errorf("walk(%q): no error for what is no JSON", b)
			}
		}
		if when, ok := expiry(string(b)); ok && when.Unix() <= 0 {
			t.Errorf("expiry(%q) = %v", b, when)
		}
	})
}
