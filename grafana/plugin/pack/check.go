package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// described is plugin.json: all of Grafana's schema that we use, so that a key
// it does not know, or a misspelt one, is found.
type described struct {
	Schema       string          `json:"$schema"`
	ID           string          `json:"id"`
	Type         string          `json:"type"`
	Name         string          `json:"name"`
	Category     string          `json:"category"`
	Metrics      bool            `json:"metrics"`
	Logs         bool            `json:"logs"`
	Annotations  bool            `json:"annotations"`
	Alerting     bool            `json:"alerting"`
	Backend      bool            `json:"backend"`
	Streaming    bool            `json:"streaming"`
	Executable   string          `json:"executable"`
	QueryOptions map[string]bool `json:"queryOptions"`
	Info         struct {
		Version     string                        `json:"version"`
		Updated     string                        `json:"updated"`
		Description string                        `json:"description"`
		Keywords    []string                      `json:"keywords"`
		Author      struct{ Name string }         `json:"author"`
		Logos       struct{ Small, Large string } `json:"logos"`
		Links       []struct{ Name, URL string }  `json:"links"`
		Screenshots []struct{ Name, Path string } `json:"screenshots"`
	} `json:"info"`
	Includes     []struct{ Type, Name, Path string } `json:"includes"`
	Dependencies struct {
		Grafana string `json:"grafanaDependency"`
		Plugins []any  `json:"plugins"`
	} `json:"dependencies"`
}

var (
	pluginID   = regexp.MustCompile(`^[0-9a-z]+-([0-9a-z]+-)?datasource$`)
	semver     = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$`)
	day        = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	fromOn     = regexp.MustCompile(`^>=\d+\.\d+\.\d+-0$`) // without -0 Grafana before a release, as its cloud runs it, is left out
	categories = []string{"tsdb", "logging", "cloud", "tracing", "profiling", "sql", "enterprise", "iot", "other"}
	options    = []string{"maxDataPoints", "minInterval", "cacheTimeout"}
	platforms  = []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64", "windows_amd64.exe", "windows_arm64.exe"}
	leftovers  = []string{"MANIFEST.txt", "standalone.txt", "pid.txt", "node_modules", ".DS_Store", "go_plugin_build_manifest"}
)

// complaints is all that is wrong.
type complaints []error

func (c *complaints) add(format string, args ...any) { *c = append(*c, fmt.Errorf(format, args...)) }

// check says all that Grafana, or its validator, would refuse in a built plug-in.
// info reads what Go has written into an executable.
func check(folder string, info func(name string) (*debug.BuildInfo, error)) error {
	text, err := os.ReadFile(filepath.Join(folder, "plugin.json")) //nolint:gosec // make names it
	if err != nil {
		return err
	}
	var d described
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&d); err != nil {
		return fmt.Errorf("plugin.json: %w", err)
	}
	var wrong complaints
	checkDescription(&wrong, &d, filepath.Base(folder))
	checkExecutables(&wrong, &d, folder, info)
	need := []string{"module.js", "module.js.map", "README.md", "CHANGELOG.md", "LICENSE", d.Info.Logos.Small, d.Info.Logos.Large}
	for _, s := range d.Info.Screenshots {
		need = append(need, s.Path)
	}
	for _, i := range d.Includes {
		need = append(need, i.Path)
	}
	slices.Sort(need)
	for _, name := range slices.Compact(need) {
		data, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(name))) //nolint:gosec // make names the folder
		switch {
		case name == "" || err != nil || len(data) == 0:
			wrong.add("%q is missing or empty", name)
		case !filepath.IsLocal(name) || strings.HasPrefix(name, "."):
			wrong.add("%q: want a path below the plug-in", name)
		default:
			checkContent(&wrong, &d, name, data)
		}
	}
	err = filepath.WalkDir(folder, func(name string, e fs.DirEntry, err error) error { //nolint:gosec // make names the folder
		switch {
		case err != nil:
			return err
		case e.Type()&^fs.ModeDir != 0:
			wrong.add("%q is neither a file nor a folder", name)
		case slices.Contains(leftovers, e.Name()):
			wrong.add("%q: a signature, or a leftover, that does not belong there", name)
		case e.Name() == "plugin.json" && filepath.Dir(name) != filepath.Clean(folder):
			wrong.add("%q: a plug-in in the plug-in", name)
		}
		return nil
	})
	return errors.Join(append(wrong, err)...)
}

func checkDescription(wrong *complaints, d *described, folder string) {
	if d.ID != folder || !pluginID.MatchString(d.ID) {
		wrong.add("id %q: the folder is %q", d.ID, folder)
	}
	if d.Type != "datasource" || d.Name == "" || d.Info.Author.Name == "" || d.Info.Description == "" || len(d.Info.Keywords) == 0 {
		wrong.add("plugin.json: type, name, author, description or keywords are missing")
	}
	if !semver.MatchString(d.Info.Version) || !day.MatchString(d.Info.Updated) {
		wrong.add("plugin.json: version %q of %q", d.Info.Version, d.Info.Updated)
	}
	if !fromOn.MatchString(d.Dependencies.Grafana) || d.Dependencies.Plugins == nil || len(d.Dependencies.Plugins) > 0 {
		wrong.add("plugin.json: grafanaDependency %q, plugins %v", d.Dependencies.Grafana, d.Dependencies.Plugins)
	}
	if !slices.Contains(categories, d.Category) {
		wrong.add("plugin.json: category %q", d.Category)
	}
	for name := range d.QueryOptions {
		if !slices.Contains(options, name) {
			wrong.add("plugin.json: query option %q", name)
		}
	}
	if d.Alerting && !d.Backend || d.Backend != (d.Executable != "") {
		wrong.add("plugin.json: alerting wants a back-end, and that an executable")
	}
	if len(d.Info.Screenshots) == 0 {
		wrong.add("plugin.json: no screenshots")
	}
	for _, l := range d.Info.Links {
		if u, err := url.Parse(l.URL); err != nil || u.Scheme != "https" || u.Host == "" || l.Name == "" {
			wrong.add("plugin.json: link %q to %q", l.Name, l.URL)
		}
	}
	for _, i := range d.Includes {
		if i.Type != "dashboard" || i.Name == "" {
			wrong.add("plugin.json: includes %q %q", i.Type, i.Name)
		}
	}
}

// checkExecutables: there is one for each platform, it is for that platform, and it needs no C library.
func checkExecutables(wrong *complaints, d *described, folder string, info func(string) (*debug.BuildInfo, error)) {
	if !d.Backend {
		return
	}
	for _, platform := range platforms {
		name := d.Executable + "_" + platform
		built, err := info(filepath.Join(folder, name))
		if err != nil {
			wrong.add("executable %s: %w", name, err)
			continue
		}
		set := map[string]string{}
		for _, s := range built.Settings {
			set[s.Key] = s.Value
		}
		if got := set["GOOS"] + "_" + set["GOARCH"]; got != strings.TrimSuffix(platform, ".exe") {
			wrong.add("executable %s is for %s", name, got)
		}
		if set["CGO_ENABLED"] != "0" {
			wrong.add("executable %s needs a C library", name)
		}
		if want := `{"pluginID":"` + d.ID + `","version":"` + d.Info.Version + `"}`; !strings.Contains(strings.ReplaceAll(set["-ldflags"], `\"`, `"`), want) {
			wrong.add("executable %s was not built as %s", name, want)
		}
	}
	for _, name := range []string{"*.exe~", "*.test", d.Executable} {
		if found, _ := filepath.Glob(filepath.Join(folder, name)); len(found) > 0 { // the pattern is valid
			wrong.add("%q is no executable that Grafana starts", found)
		}
	}
}
