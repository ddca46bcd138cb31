package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// described is plugin.json, as far as what lies beside it must agree with it.
type described struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Name       string `json:"name"`
	Backend    bool   `json:"backend"`
	Executable string `json:"executable"`
	Info       struct {
		Version string `json:"version"`
		Updated string `json:"updated"`
		Logos   struct{ Small, Large string }
		Shots   []struct{ Path string } `json:"screenshots"`
		Author  struct{ Name string }
		Text    string `json:"description"`
	} `json:"info"`
	Includes     []struct{ Type, Name, Path string } `json:"includes"`
	Dependencies struct {
		Grafana string `json:"grafanaDependency"`
	} `json:"dependencies"`
}

var (
	semver = regexp.MustCompile(`^\d+\.\d+\.\d+$`)
	day    = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
)

// check says all that Grafana, or its validator, would refuse in a built plug-in.
func check(folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, "plugin.json")) //nolint:gosec // make names it
	if err != nil {
		return err
	}
	var d described
	if err := json.Unmarshal(text, &d); err != nil {
		return fmt.Errorf("plugin.json: %w", err)
	}
	var wrong []error
	no := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if d.ID != filepath.Base(folder) {
		no("id %q: the folder is %q", d.ID, filepath.Base(folder))
	}
	if d.Type != "datasource" || d.Name == "" || d.Info.Author.Name == "" || d.Info.Text == "" {
		no("plugin.json: type, name, author or description is missing")
	}
	if !semver.MatchString(d.Info.Version) || !day.MatchString(d.Info.Updated) {
		no("plugin.json: version %q of %q", d.Info.Version, d.Info.Updated)
	}
	if d.Dependencies.Grafana == "" {
		no("plugin.json: no grafanaDependency")
	}
	need := []string{"module.js", "module.js.map", "README.md", "CHANGELOG.md", "LICENSE", d.Info.Logos.Small, d.Info.Logos.Large}
	for _, s := range d.Info.Shots {
		need = append(need, s.Path)
	}
	for _, i := range d.Includes {
		need = append(need, i.Path)
	}
	for _, name := range need {
		if info, err := os.Stat(filepath.Join(folder, name)); name == "" || err != nil || info.IsDir() || info.Size() == 0 { //nolint:gosec // make names the folder
			no("%q is missing or empty", name)
		}
	}
	if log, err := os.ReadFile(filepath.Join(folder, "CHANGELOG.md")); err == nil && !strings.Contains(string(log), "## "+d.Info.Version) { //nolint:gosec // make names it
		no("CHANGELOG.md says nothing of %s", d.Info.Version)
	}
	if found, _ := filepath.Glob(filepath.Join(folder, d.Executable+"_*_*")); d.Backend && len(found) == 0 { // the pattern is valid
		no("no executable %s_OS_ARCH", d.Executable)
	}
	err = filepath.WalkDir(folder, func(name string, e fs.DirEntry, err error) error { //nolint:gosec // make names the folder
		switch {
		case err != nil:
			return err
		case e.Type()&^fs.ModeDir != 0:
			no("%q is neither a file nor a folder", name)
		case e.Name() == "MANIFEST.txt":
			no("%q: a signature of other files", name)
		case e.Name() == "plugin.json" && filepath.Dir(name) != filepath.Clean(folder):
			no("%q: a plug-in in the plug-in", name)
		}
		return nil
	})
	return errors.Join(append(wrong, err)...)
}
