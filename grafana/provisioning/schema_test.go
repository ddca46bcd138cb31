package provisioning

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/proctest"
)

// What Grafana's readers of provisioned files know, by their own names: another
// key would be a warning in its log, or an error at its start.
type (
	sourcesFile struct {
		APIVersion  int `yaml:"apiVersion"`
		Prune       bool
		DataSources []struct {
			Name, Type, UID, Access, URL, User, Database string
			OrgID                                        int `yaml:"orgId"`
			Version                                      int
			IsDefault                                    bool `yaml:"isDefault"`
			Editable                                     bool
			BasicAuth                                    bool              `yaml:"basicAuth"`
			BasicAuthUser                                string            `yaml:"basicAuthUser"`
			WithCredentials                              bool              `yaml:"withCredentials"`
			JSONData                                     map[string]any    `yaml:"jsonData"`
			SecureJSONData                               map[string]string `yaml:"secureJsonData"`
		} `yaml:"datasources"`
	}
	pluginsFile struct {
		APIVersion int `yaml:"apiVersion"`
		Apps       []any
	}
	providersFile struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Type, Folder    string
			FolderUID             string `yaml:"folderUid"`
			OrgID                 int    `yaml:"orgId"`
			DisableDeletion       bool   `yaml:"disableDeletion"`
			Editable              bool
			AllowUIUpdates        bool `yaml:"allowUiUpdates"`
			UpdateIntervalSeconds int  `yaml:"updateIntervalSeconds"`
			Options               map[string]any
		}
	}
	alertsFile struct {
		APIVersion int `yaml:"apiVersion"`
		Groups     []struct {
			OrgID                  int `yaml:"orgId"`
			Name, Folder, Interval string
			Rules                  []struct {
				UID, Title, Condition, For string
				NoDataState                string `yaml:"noDataState"`
				ExecErrState               string `yaml:"execErrState"`
				KeepFiringFor              string `yaml:"keepFiringFor"`
				Annotations, Labels        map[string]string
				Data                       []struct {
					RefID             string         `yaml:"refId"`
					QueryType         string         `yaml:"queryType"`
					RelativeTimeRange map[string]int `yaml:"relativeTimeRange"`
					DatasourceUID     string         `yaml:"datasourceUid"`
					Model             map[string]any
				}
			}
		}
	}
)

var uidOf = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,40}$`)

// TestProvisionedDashboardsFindTheirData: each query is of a data source that a
// variable of the dashboard chooses, or of a provisioned one.
func TestProvisionedDashboardsFindTheirData(t *testing.T) {
	c := Config{Dir: t.TempDir(), URL: "https://oriel:9190", Alerts: AlertsNone}
	titles, uids := map[string]bool{}, map[string]bool{}
	for _, f := range mustFiles(t, c.Files) {
		if filepath.Ext(f.Path) != ".json" {
			continue
		}
		name := filepath.Base(f.Path)
		var board map[string]any
		if err := json.Unmarshal(f.Data, &board); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		uid, _ := board["uid"].(string)
		title, _ := board["title"].(string)
		schema, _ := board["schemaVersion"].(float64)
		// 42 is of Grafana 12.2; an older one migrates down to nothing, and takes what it knows.
		if !uidOf.MatchString(uid) || uids[uid] || titles[title] || board["id"] != nil || schema < 36 || schema > 42 || board["__inputs"] != nil {
			t.Errorf("%s: uid %q, title %q, schema %v, id %v", name, uid, title, schema, board["id"])
		}
		uids[uid], titles[title] = true, true
		known := map[string]bool{UIDPrometheus: true, UIDSQL: true, UIDAlertmanager: true, "-- Grafana --": true, "grafana": true, "-- Mixed --": true, "-- Dashboard --": true}
		templating, _ := board["templating"].(map[string]any)
		list, _ := templating["list"].([]any)
		for _, v := range list {
			if v, _ := v.(map[string]any); v["type"] == "datasource" {
				variable, _ := v["name"].(string)
				known["${"+variable+"}"], known["$"+variable] = true, true
				if q := v["query"]; q != "prometheus" && q != Plugin {
					t.Errorf("%s: variable %s chooses among %v", name, variable, q)
				}
			}
		}
		var walk func(v any)
		walk = func(v any) {
			switch v := v.(type) {
			case []any:
				for _, e := range v {
					walk(e)
				}
			case map[string]any:
				if d, ok := v["datasource"]; ok {
					ref, _ := d.(map[string]any)
					if uid, _ := ref["uid"].(string); !known[uid] || ref["type"] == nil {
						t.Errorf("%s: data source %v", name, d)
					}
				}
				for _, e := range v {
					walk(e)
				}
			}
		}
		walk(board)
	}
	if len(uids) < 10 {
		t.Errorf("%d dashboards", len(uids))
	}
}

// TestProvisionedFilesHaveGrafanasKeys reads the files as Grafana does, but strictly.
func TestProvisionedFilesHaveGrafanasKeys(t *testing.T) {
	c := Config{Dir: t.TempDir(), URL: "https://oriel:9190", BasicAuthUser: "grafana", PasswordFile: "/run/p", CAFile: "/run/ca", Alerts: AlertsGrafana}
	var sources sourcesFile
	var providers providersFile
	var alerts alertsFile
	var plugins pluginsFile
	seen := map[string]int{}
	for _, f := range mustFiles(t, c.Files) {
		to := map[string]any{"datasources": &sources, "dashboards": &providers, "alerting": &alerts, "plugins": &plugins}[filepath.Base(filepath.Dir(f.Path))]
		if to == nil || filepath.Ext(f.Path) != ".yaml" {
			continue
		}
		if err := yaml.UnmarshalWithOptions(f.Data, to, yaml.Strict()); err != nil {
			t.Errorf("%s: %v", f.Path, err)
		}
		seen[filepath.Base(filepath.Dir(f.Path))]++
	}
	// Grafana looks into each of these, and complains of what is not there.
	if diff := cmp.Diff(map[string]int{"datasources": 1, "dashboards": 1, "alerting": 1, "plugins": 1}, seen); diff != "" || sources.APIVersion*providers.APIVersion*alerts.APIVersion*plugins.APIVersion != 1 || plugins.Apps == nil {
		t.Errorf("folders (-want +got):\n%s", diff)
	}
	if len(sources.DataSources) != 3 || len(providers.Providers) != 1 || len(alerts.Groups) < 5 {
		t.Fatalf("%d data sources, %d providers, %d groups", len(sources.DataSources), len(providers.Providers), len(alerts.Groups))
	}
	uids := map[string]bool{"__expr__": true}
	for _, s := range sources.DataSources {
		if uids[s.UID] || s.Access != "proxy" || len(s.UID) > 40 {
			t.Errorf("%s: uid %q, access %q", s.Name, s.UID, s.Access)
		}
		uids[s.UID] = true
	}
	titles := map[string]bool{}
	group := map[string]bool{}
	for _, g := range alerts.Groups {
		if group[g.Name] || g.Folder == "" || strings.Contains(g.Folder+g.Name, "/") || g.OrgID != 1 {
			t.Errorf("group %q in folder %q of organisation %d", g.Name, g.Folder, g.OrgID)
		}
		group[g.Name] = true
		every, err := time.ParseDuration(g.Interval)
		if err != nil || every%(10*time.Second) != 0 || every == 0 {
			t.Errorf("group %s: interval %q; want a multiple of Grafana's 10 s", g.Name, g.Interval)
		}
		for _, r := range g.Rules {
			// Grafana has one rule of a title in a folder.
			if titles[r.Title] || r.Title == "" || len(r.Title) > 190 || !uidOf.MatchString(r.UID) {
				t.Errorf("group %s: title %q twice", g.Name, r.Title)
			}
			titles[r.Title] = true
			if r.NoDataState != "OK" || r.ExecErrState != "Error" {
				t.Errorf("%s: states %q, %q", r.Title, r.NoDataState, r.ExecErrState)
			}
			for _, text := range []string{r.For, r.KeepFiringFor} {
				if _, err := time.ParseDuration(text); text != "" && err != nil {
					t.Errorf("%s: duration %q", r.Title, text)
				}
			}
			for key, text := range r.Annotations {
				// Grafana takes $labels as it is; ${labels} and $$labels it changes, in some versions.
				if strings.Contains(text, "${") || strings.Contains(text, "$$") || strings.Contains(text, "$__") {
					t.Errorf("%s: annotation %s is %q", r.Title, key, text)
				}
			}
			refs := map[string]bool{}
			for key, text := range r.Labels {
				if strings.Contains(text, "$") { // Grafana would look for a variable of the environment
					t.Errorf("%s: label %s is %q", r.Title, key, text)
				}
			}
			for _, q := range r.Data {
				if !uids[q.DatasourceUID] || q.Model["refId"] != q.RefID {
					t.Errorf("%s: query %s of %q", r.Title, q.RefID, q.DatasourceUID)
				}
				if refs[q.RefID] || q.DatasourceUID != "__expr__" && q.RelativeTimeRange["from"] <= q.RelativeTimeRange["to"] {
					t.Errorf("%s: query %s from %v", r.Title, q.RefID, q.RelativeTimeRange)
				}
				refs[q.RefID] = true
				if text, ok := q.Model["expression"].(string); ok {
					for _, m := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(text, -1) {
						if !refs[m[1]] {
							t.Errorf("%s: the expression reads %s, which is not before it", r.Title, m[0])
						}
					}
				}
			}
			if !refs[r.Condition] {
				t.Errorf("%s: the condition %q is no query", r.Title, r.Condition)
			}
		}
	}
}

// TestUnitIsValid lets systemd read the drop-in beside a unit like Grafana's.
func TestUnitIsValid(t *testing.T) {
	analyze := proctest.External(t, "systemd-analyze")
	for _, port := range []int{3000, 443} {
		verifyUnit(t, analyze, port)
	}
}

func verifyUnit(t *testing.T, analyze string, port int) {
	t.Helper()
	s := secure(t)
	s.Port = port
	if _, err := Write(mustFiles(t, s.Files)); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(s.Dir, "systemd")
	if text, err := os.ReadFile(filepath.Join(dir, "grafana-server.service.d", "oriel.conf")); err != nil || strings.Contains(string(text), "CAP_NET_BIND_SERVICE") != (port < 1024) {
		t.Errorf("port %d: %s, %v", port, text, err)
	}
	service := filepath.Join(dir, "grafana-server.service")
	for file, text := range map[string]string{
		service: "[Unit]\nDescription=Grafana\n[Service]\nType=simple\nExecStart=/bin/true\n",
		filepath.Join(dir, "wg-quick@wg0.service"): "[Unit]\nDescription=VPN\n[Service]\nType=oneshot\nExecStart=/bin/true\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := exec.Command(analyze, "verify", "--man=no", service)
	verify.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
	out, err := verify.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "oriel.conf") || strings.Contains(line, "grafana-server") {
			t.Errorf("systemd: %s", strings.TrimSpace(line))
		}
	}
	if err != nil && t.Failed() {
		t.Error(err)
	}
}
