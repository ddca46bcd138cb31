package main

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

const goodModule = `define(["react","rxjs"],function(...libs){});` + "\n//# sourceMappingURL=module.js.map\n"

// built is a plug-in as make builds it, with little in it.
func built(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "oriel-sql-datasource")
	source, err := os.ReadFile("../src/plugin.json")
	if err != nil {
		t.Fatal(err)
	}
	described := strings.NewReplacer("%VERSION%", "0.1.0", "%TODAY%", "2026-11-21").Replace(string(source))
	for name, text := range map[string]string{
		"plugin.json": described, "module.js": goodModule, "CHANGELOG.md": "# Changes\n\n## 0.1.0\n",
		"module.js.map": `{"version":3,"sources":["../src/module.ts"],"sourcesContent":["x"]}`,
	} {
		put(t, folder, name, []byte(text))
	}
	for name, from := range map[string]string{
		"README.md": "../README.md", "LICENSE": "../../../LICENSE", "img/logo.svg": "../src/img/logo.svg", "img/builder.png": "../src/img/builder.png", "img/code.png": "../src/img/code.png",
		"dashboards/flow-logs.json": "../../dashboards/flow-logs.json", "dashboards/packet-records.json": "../../dashboards/packet-records.json", "dashboards/top-talkers.json": "../../dashboards/top-talkers.json",
	} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		put(t, folder, name, data)
	}
	for _, p := range platforms {
		put(t, folder, "gpx_oriel_"+p, []byte("x"))
	}
	return folder
}

func put(t *testing.T, folder, name string, data []byte) {
	t.Helper()
	file := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// asNamed is what Go would say of an executable that is what its name says.
func asNamed(name string) (*debug.BuildInfo, error) {
	if _, err := os.Stat(name); err != nil {
		return nil, err
	}
	parts := strings.Split(strings.TrimSuffix(filepath.Base(name), ".exe"), "_")
	return &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "GOOS", Value: parts[2]}, {Key: "GOARCH", Value: parts[3]}, {Key: "CGO_ENABLED", Value: "0"}, ldflags}}, nil
}

var ldflags = debug.BuildSetting{Key: "-ldflags", Value: `-X 'buildInfoJSON={"pluginID":"oriel-sql-datasource","version":"0.1.0"}'`}

func TestPack(t *testing.T) {
	folder := built(t) // elsewhere: the zip's names begin with the id all the same
	t.Chdir(t.TempDir())
	if err := pack(folder, "out.zip", asNamed); err != nil {
		t.Fatal(err)
	}
	z, err := zip.OpenReader("out.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	seen := 0
	for _, f := range z.File {
		want := os.FileMode(0o644)
		if strings.Contains(f.Name, "/gpx_") {
			want = 0o755
		}
		if f.Modified.Format("2006-01-02") != "2026-11-21" {
			t.Errorf("%s is of %v", f.Name, f.Modified)
		}
		if !strings.HasPrefix(f.Name, "oriel-sql-datasource/") || f.Mode() != want {
			t.Errorf("%s has mode %v; want %v below the id", f.Name, f.Mode(), want)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r); err != nil || len(text) == 0 {
			t.Errorf("%s: %d bytes, %v", f.Name, len(text), err)
		}
		seen++
	}
	if seen != 12+len(platforms) {
		t.Errorf("%d files", seen)
	}
}

func TestCheck(t *testing.T) {
	remove := func(name string) func(string) error {
		return func(f string) error { return os.Remove(filepath.Join(f, name)) }
	}
	write := func(name, text string) func(string) error {
		return func(f string) error { return os.WriteFile(filepath.Join(f, name), []byte(text), 0o600) }
	}
	described := func(old, new string) func(string) error {
		return func(f string) error {
			file := filepath.Join(f, "plugin.json")
			text, err := os.ReadFile(file)
			if err != nil || !strings.Contains(string(text), old) {
				return fmt.Errorf("plugin.json has no %q: %w", old, err)
			}
			return os.WriteFile(file, []byte(strings.ReplaceAll(string(text), old, new)), 0o600)
		}
	}
	for _, tt := range []struct {
		want  string
		spoil func(folder string) error
	}{
		{`"README.md" is missing`, remove("README.md")},
		{"dashboards/top", remove("dashboards/top-talkers.json")},
		{`"img/logo.svg" is missing or empty`, write("img/logo.svg", "")},
		{"says nothing", write("CHANGELOG.md", "## 0.0.9")},
		{"executable gpx_oriel_darwin_arm64", remove("gpx_oriel_darwin_arm64")},
		{"a signature, or a leftover", write("MANIFEST.txt", "x")},
		{"a signature, or a leftover", write("standalone.txt", "x")},
		{"in the plug-in", write("img/plugin.json", "{}")},
		{"neither a file", func(f string) error { return os.Symlink("README.md", filepath.Join(f, "link")) }},
		{`version "%VERSION%"`, described("0.1.0", "%VERSION%")},
		{"unknown field", described(`"alerting"`, `"alertin"`)},
		{"unknown field", described(`"maxDataPoints": true, "minInterval": true }`, `"maxDataPoints": true }, "skipDataQuery": true`)},
		{"query option", described(`"minInterval"`, `"minimalInterval"`)},
		{"the folder is", described("oriel-sql-datasource", "oriel-sql-source")},
		{"keywords are missing", described(`["sql", "flow logs", "network", "security", "parquet", "wireguard"]`, "[]")},
		{`grafanaDependency "10.4"`, described(">=10.4.0-0", "10.4")},
		{`category "database"`, described(`"category": "sql"`, `"category": "database"`)},
		{"alerting wants a back-end", described(`"backend": true`, `"backend": false`)},
		{"link", described(`"links": []`, `"links": [{"name": "x", "url": "http://x"}]`)},
		{"want a path below", described("img/code.png", "./img/code.png")},
		{"AMD module", write("module.js", "(function(){})();\n//# sourceMappingURL=module.js.map")},
		{"does not name its map", write("module.js", `define(["react"],function(){});`)},
		{"QueryCtrl", write("module.js", strings.Replace(goodModule, "{}", "{QueryCtrl}", 1))},
		{"is a library of Grafana's", write("module.js", goodModule+strings.Repeat(" ", maxModule))},
		{"2 sources, 1 texts", write("module.js.map", `{"version":3,"sources":["a","b"],"sourcesContent":["x"]}`)},
		{"node_modules", write("module.js.map", `{"version":3,"sources":["../node_modules/a.js"],"sourcesContent":["x"]}`)},
		{"has HTML", write("README.md", "<b>x</b>"+strings.Repeat("word ", 200))},
		{"says little", write("README.md", "# Title")},
		{"not Apache's", write("LICENSE", "MIT License")},
		{`element "script"`, write("img/logo.svg", `<svg xmlns="http://www.w3.org/2000/svg"><script>x</script></svg>`)},
		{`attribute "onload"`, write("img/logo.svg", `<svg xmlns="http://www.w3.org/2000/svg" onload="x"/>`)},
		{"code.png: 1 bytes", write("img/code.png", "x")},
		{"no dashboard to import", write("dashboards/flow-logs.json", `{"title":"x"}`)},
	} {
		folder := built(t)
		if err := check(folder, asNamed); err != nil {
			t.Fatalf("before: %v", err)
		}
		if err := tt.spoil(folder); err != nil {
			t.Fatal(err)
		}
		if err := check(folder, asNamed); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v; want %q", err, tt.want)
		}
	}
}

// TestExecutablesAreWhatTheirNamesSay, and free of C.
func TestExecutablesAreWhatTheirNamesSay(t *testing.T) {
	folder := built(t)
	for want, info := range map[string]*debug.BuildInfo{
		"is for linux_amd64": {Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "GOARCH", Value: "amd64"}, {Key: "CGO_ENABLED", Value: "0"}}},
		"was not built as":   {Settings: []debug.BuildSetting{{Key: "-ldflags", Value: strings.Replace(ldflags.Value, "0.1.0", "0.0.9", 1)}}},
		"needs a C library":  {Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "GOARCH", Value: "amd64"}, {Key: "CGO_ENABLED", Value: "1"}}},
	} {
		if err := check(folder, func(string) (*debug.BuildInfo, error) { return info, nil }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want %q", err, want)
		}
	}
	if err := check(folder, func(string) (*debug.BuildInfo, error) { return nil, fs.ErrInvalid }); err == nil {
		t.Error("what is no executable is taken")
	}
}
