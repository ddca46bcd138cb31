package provisioning

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

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

// TestProvisionedFilesHaveGrafanasKeys reads the files as Grafana does, but strictly.
func TestProvisionedFilesHaveGrafanasKeys(t *testing.T) {
	c := Config{Dir: t.TempDir(), URL: "https://oriel:9190", BasicAuthUser: "grafana", PasswordFile: "/run/p", CAFile: "/run/ca", Alerts: AlertsGrafana}
	var sources sourcesFile
	var providers providersFile
	var alerts alertsFile
	for _, f := range mustFiles(t, c.Files) {
		to := map[string]any{"datasources": &sources, "dashboards": &providers, "alerting": &alerts}[filepath.Base(filepath.Dir(f.Path))]
		if to == nil || filepath.Ext(f.Path) != ".yaml" {
			continue
		}
		if err := yaml.UnmarshalWithOptions(f.Data, to, yaml.Strict()); err != nil {
			t.Errorf("%s: %v", f.Path, err)
		}
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
	for _, g := range alerts.Groups {
		every, err := time.ParseDuration(g.Interval)
		if err != nil || every%(10*time.Second) != 0 || every == 0 {
			t.Errorf("group %s: interval %q; want a multiple of Grafana's 10 s", g.Name, g.Interval)
		}
		for _, r := range g.Rules {
			// Grafana has one rule of a title in a folder.
			if titles[r.Title] || r.Title == "" {
				t.Errorf("group %s: title %q twice", g.Name, r.Title)
			}
			titles[r.Title] = true
			if r.NoDataState != "OK" || r.ExecErrState != "Error" {
				t.Errorf("%s: states %q, %q", r.Title, r.NoDataState, r.ExecErrState)
			}
			for key, text := range r.Labels {
				if strings.Contains(text, "$") { // Grafana would look for a variable of the environment
					t.Errorf("%s: label %s is %q", r.Title, key, text)
				}
			}
			for _, q := range r.Data {
				if !uids[q.DatasourceUID] || q.Model["refId"] != q.RefID {
					t.Errorf("%s: query %s of %q", r.Title, q.RefID, q.DatasourceUID)
				}
			}
		}
	}
}

// TestUnitIsValid lets systemd read the drop-in beside a unit like Grafana's.
func TestUnitIsValid(t *testing.T) {
	analyze := proctest.External(t, "systemd-analyze")
	s := secure(t)
	if _, err := Write(mustFiles(t, s.Files)); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(s.Dir, "systemd")
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
