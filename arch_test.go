// Package oriel has no code: it holds the tests of the project's shape.
package oriel

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/orielhq/oriel/"

// vocabulary is what every feature may import.
var vocabulary = []string{"internal/collector", "internal/conf", "internal/flow"}

// shared are packages under internal that are no feature: app wires, demo plays all parts.
var shared = []string{"internal/app", "internal/server", "internal/proctest", "internal/demo"}

// heavy says in which folders a library may be imported, and why nowhere else.
var heavy = []struct {
	library string
	folders []string
	why     string
}{
	{"github.com/prometheus/prometheus", []string{"internal/prom"}, "its Go interface changes with each release"},
	{"github.com/prometheus/alertmanager", []string{"internal/prom"}, "its Go interface changes with each release"},
	{"github.com/duckdb/", []string{"internal/query/duckdb"}, "it needs C"},
	{"github.com/gopacket/", []string{"internal/packet", "internal/demo"}, "decoding belongs to packets"},
	{"golang.zx2c4.com/wireguard/wgctrl", []string{"internal/wireguard"}, "secret keys pass through it"},
	{"golang.zx2c4.com/wireguard/device", []string{"internal/demo/wireguard"}, "only the demo runs devices"},
	{"github.com/grafana/grafana-plugin-sdk-go", []string{"grafana/plugin"}, "the server knows nothing of Grafana's processes"},
	{"github.com/spf13/cobra", []string{"internal/app"}, "commands are wired in one place"},
	{"testing", []string{"internal/proctest"}, "test code stays out of the program"},
}

// queryLanguage is what the tenant proxy may import of Prometheus: tenants are kept
// apart in the parsed query, and only Prometheus' own parser reads it as Prometheus does.
var queryLanguage = []string{"github.com/prometheus/prometheus/promql/parser", "github.com/prometheus/prometheus/model/labels"}

type pkg struct {
	ImportPath   string
	Dir          string
	Imports      []string
	TestImports  []string
	XTestImports []string
	GoFiles      []string
}

func (p pkg) path() string { return strings.TrimPrefix(p.ImportPath, module) }

// packages lists the module's packages.
func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Imports,TestImports,XTestImports,GoFiles", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func within(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

func anyWithin(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return within(path, f) })
}

// TestFeaturesMeetOnlyInApp holds the rules of docs/design/frame.md.
func TestFeaturesMeetOnlyInApp(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			to, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			from := p.path()
			switch {
			case within(to, "internal/app"):
				if !within(from, "cmd") {
					t.Errorf("%s imports %s: only cmd knows app", from, to)
				}
			case within(to, "internal/proctest"):
				t.Errorf("%s imports %s: it is for tests", from, to)
			case slices.Contains(vocabulary, from):
				if !slices.Contains(vocabulary, to) {
					t.Errorf("%s imports %s: every feature imports it, so it imports none", from, to)
				}
			case !strings.HasPrefix(from, "internal/"), anyWithin(from, shared):
			case !within(to, feature(from)) && !slices.Contains(vocabulary, to):
				t.Errorf("%s imports %s: a feature imports no other feature", from, to)
			}
		}
	}
}

// feature is the folder right under internal that a package belongs to.
func feature(path string) string {
	parts := strings.SplitN(path, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

func TestHeavyLibrariesStayInTheirFolder(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			if slices.Contains(queryLanguage, imported) && within(p.path(), "internal/tunnel/proxy") {
				continue
			}
			for _, h := range heavy {
				if within(imported, strings.TrimSuffix(h.library, "/")) && !anyWithin(p.path(), h.folders) {
					t.Errorf("%s imports %s, which belongs to %v: %s", p.path(), imported, h.folders, h.why)
				}
			}
		}
	}
}

func TestEveryPackageHasOnePackageComment(t *testing.T) {
	for _, p := range packages(t) {
		found := 0
		for _, file := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "package ") {
					break
				}
				if strings.HasPrefix(line, "// Package ") || strings.HasPrefix(line, "// Command ") {
					found++
				}
			}
		}
		if found != 1 && len(p.GoFiles) > 0 {
			t.Errorf("%s has %d package comments; want 1", p.ImportPath, found)
		}
	}
}

// TestSkipsFailInCI: a test that is skipped where it should run guards nothing.
func TestSkipsFailInCI(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != "."):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go") || path == "arch_test.go":
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		lines := strings.Split(string(b), "\n")
		for i, line := range lines {
			before := strings.Join(lines[max(0, i-4):i], "\n")
			if (strings.Contains(line, ".Skip(") || strings.Contains(line, ".Skipf(")) && !strings.Contains(before, "testing.Short()") && !strings.Contains(before, `"CI"`) {
				t.Errorf("%s:%d: use proctest.External or proctest.Without, which fail in CI", path, i+1)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreShort(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "node_modules", "testdata", "bin", ".tools", "dist"}, d.Name()) {
			return filepath.SkipDir
		}
		if ext := filepath.Ext(path); ext != ".go" && ext != ".ts" && ext != ".tsx" {
			return nil
		}
		text, err := os.ReadFile(path)
		if n := strings.Count(string(text), "\n"); err == nil && n > 500 && !strings.HasSuffix(path, "_gen.go") {
			t.Errorf("%s has %d lines: split it by noun at 500", path, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
