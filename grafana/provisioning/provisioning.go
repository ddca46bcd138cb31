// Package provisioning writes what makes a Grafana show Oriel: data sources,
// dashboards, alert rules and the plug-in; and what hardens one: its settings,
// secrets, firewall rules and unit.
package provisioning

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/orielhq/oriel/grafana"
)

// Plugin is the id of the data source plug-in.
const Plugin = "oriel-sql-datasource"

// UIDs of the data sources.
const (
	UIDPrometheus   = "oriel-prometheus"
	UIDSQL          = "oriel-sql"
	UIDAlertmanager = "oriel-alertmanager"
)

// How alert rules come into Grafana.
const (
	AlertsDatasource = "datasource" // Oriel's own engine evaluates them, Grafana shows them
	AlertsGrafana    = "grafana"    // Grafana evaluates copies
	AlertsNone       = "none"
)

// Config says what to write.
type Config struct {
	Dir        string // where Grafana's provisioning, dashboards and plugins are
	SeenAs     string // where Grafana sees Dir; Dir itself if empty
	PluginsDir string // where the plug-in goes; Dir/plugins if empty
	PluginFrom string // the built plug-in, a directory; none if empty
	URL        string // of Oriel, as Grafana reaches it
	// BasicAuthUser and the file with the password, as Grafana sees it; none if empty.
	BasicAuthUser, PasswordFile string
	CAFile                      string // CA of Oriel's certificate, as Grafana sees it
	Alerts                      string // one of the constants
	// Notify lets Oriel's Alertmanager notify of alerts that Grafana evaluates.
	Notify bool
}

// Validate names the first thing that makes no sense.
func (c *Config) Validate() error {
	u, err := url.Parse(c.URL)
	switch {
	case c.Dir == "":
		return errors.New("no directory")
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("url %q: want http://HOST:PORT or https://HOST:PORT", c.URL)
	case u.User != nil:
		return errors.New("url: a password in it would be readable for everybody: use a file")
	case !slices.Contains([]string{AlertsDatasource, AlertsGrafana, AlertsNone}, c.Alerts):
		return fmt.Errorf("alerts %q: want datasource, grafana or none", c.Alerts)
	case c.Notify && c.Alerts != AlertsGrafana:
		return errors.New("notify: only alerts that Grafana evaluates need it; Oriel's own are there already")
	case strings.ContainsAny(c.PasswordFile+c.CAFile, "}$\n"):
		return errors.New("the name of a file with a secret has characters that $__file{} cannot have")
	case (c.BasicAuthUser == "") != (c.PasswordFile == ""):
		return errors.New("give both the user and the file with the password, or none")
	}
	return nil
}

// Files returns all files that make a Grafana show Oriel, sorted by path.
func (c *Config) Files() ([]File, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, err
	}
	var files []File
	add := func(name string, data []byte) {
		files = append(files, File{Path: filepath.Join(dir, filepath.FromSlash(name)), Data: data, Mode: 0o644})
	}
	sources, err := c.dataSources()
	if err != nil {
		return nil, err
	}
	add("provisioning/datasources/oriel.yaml", sources)
	provider, err := document(map[string]any{"apiVersion": 1, "providers": []any{map[string]any{
		"name": "Oriel", "orgId": 1, "folder": "Oriel", "folderUid": "oriel", "type": "file", "disableDeletion": true, "allowUiUpdates": false,
		"updateIntervalSeconds": 60, "options": map[string]any{"path": path.Join(filepath.ToSlash(cmp.Or(c.SeenAs, dir)), "dashboards", "oriel")},
	}}})
	if err != nil {
		return nil, err
	}
	add("provisioning/dashboards/oriel.yaml", provider)
	boards, err := fs.Glob(grafana.Dashboards, "dashboards/*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range boards {
		data, err := grafana.Dashboards.ReadFile(name)
		if err != nil {
			return nil, err
		}
		add("dashboards/oriel/"+path.Base(name), data)
	}
	// Grafana logs an error for each of its folders that is not there.
	nothing, err := document(map[string]any{"apiVersion": 1, "apps": []any{}})
	if err != nil {
		return nil, err
	}
	add("provisioning/plugins/oriel.yaml", nothing)
	alerts, err := managedAlerts(c.Alerts == AlertsGrafana)
	if err != nil {
		return nil, err
	}
	add("provisioning/alerting/oriel.yaml", alerts)
	plugin, err := c.plugin(dir)
	if err != nil {
		return nil, err
	}
	files = append(files, plugin...)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

const head = "# Written by `oriel grafana provision`; changes are overwritten.\n"

func document(v any) ([]byte, error) {
	b, err := yaml.MarshalWithOptions(v, yaml.UseLiteralStyleIfMultiline(true))
	return append([]byte(head), b...), err
}

// literally keeps Grafana from putting variables of its environment into a text.
func literally(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// dataSources is Prometheus, SQL and Alertmanager, all at Oriel.
func (c *Config) dataSources() ([]byte, error) {
	var list []any
	add := func(name, uid, kind, url string, jsonData map[string]any) {
		d := map[string]any{"name": name, "uid": uid, "type": kind, "orgId": 1, "access": "proxy", "url": url, "editable": false, "jsonData": jsonData}
		secure := map[string]any{}
		if c.BasicAuthUser != "" {
			d["basicAuth"], d["basicAuthUser"] = true, literally(c.BasicAuthUser)
			secure["basicAuthPassword"] = "$__file{" + c.PasswordFile + "}"
		}
		if c.CAFile != "" {
			jsonData["tlsAuthWithCACert"] = true
			secure["tlsCACert"] = "$__file{" + c.CAFile + "}"
		}
		if len(secure) > 0 {
			d["secureJsonData"] = secure
		}
		list = append(list, d)
	}
	base := literally(strings.TrimSuffix(c.URL, "/"))
	add("Oriel", UIDPrometheus, "prometheus", base, map[string]any{
		"httpMethod": "POST", "prometheusType": "Prometheus", "timeInterval": "10s", "manageAlerts": true, "alertmanagerUid": UIDAlertmanager,
	})
	add("Oriel SQL", UIDSQL, Plugin, base, map[string]any{"queryTimeout": 60, "maxRows": 100_000})
	add("Oriel Alertmanager", UIDAlertmanager, "alertmanager", base+"/alertmanager", map[string]any{"implementation": "prometheus", "handleGrafanaManagedAlerts": c.Notify})
	return document(map[string]any{"apiVersion": 1, "prune": false, "datasources": list})
}

// plugin is the built plug-in's files.
func (c *Config) plugin(dir string) ([]File, error) {
	if c.PluginFrom == "" {
		return nil, nil
	}
	if _, err := os.Stat(filepath.Join(c.PluginFrom, "plugin.json")); err != nil {
		return nil, fmt.Errorf("plug-in: %w", err)
	}
	to := cmp.Or(c.PluginsDir, filepath.Join(dir, "plugins"))
	to, err := filepath.Abs(to)
	if err != nil {
		return nil, err
	}
	var files []File
	err = filepath.WalkDir(c.PluginFrom, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(c.PluginFrom, name)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name) //nolint:gosec // the operator names the folder
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(filepath.Base(name), "gpx_") {
			mode = 0o755
		}
		files = append(files, File{Path: filepath.Join(to, Plugin, rel), Data: data, Mode: mode})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("plug-in: %w", err)
	}
	return files, nil
}
