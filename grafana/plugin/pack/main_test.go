package main

import (
	"archive/zip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// built is a plug-in as make builds it, without contents.
func built(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "oriel-sql-datasource")
	source, err := os.ReadFile("../src/plugin.json")
	if err != nil {
		t.Fatal(err)
	}
	described := strings.NewReplacer("%VERSION%", "0.1.0", "%TODAY%", "2026-11-21").Replace(string(source))
	for name, text := range map[string]string{
		"plugin.json": described, "module.js": "x", "module.js.map": "x", "README.md": "x", "CHANGELOG.md": "# Changes\n\n## 0.1.0\n", "LICENSE": "x", "img/logo.svg": "x",
		"img/builder.png": "x", "img/code.png": "x",
		"dashboards/flow-logs.json": "{}", "dashboards/packet-records.json": "{}", "dashboards/top-talkers.json": "{}",
		"gpx_oriel_linux_amd64": "x", "gpx_oriel_windows_amd64.exe": "x",
	} {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestPack(t *testing.T) {
	folder := built(t) // elsewhere: the zip's names begin with the id all the same
	t.Chdir(t.TempDir())
	if err := pack(folder, "out.zip"); err != nil {
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
	if seen < 12 {
		t.Errorf("%d files", seen)
	}
}

func TestCheck(t *testing.T) {
	for want, spoil := range map[string]func(folder string) error{
		"README.md":      func(f string) error { return os.Remove(filepath.Join(f, "README.md")) },
		"dashboards/top": func(f string) error { return os.Remove(filepath.Join(f, "dashboards/top-talkers.json")) },
		"logo.svg":       func(f string) error { return os.Truncate(filepath.Join(f, "img/logo.svg"), 0) },
		"says nothing":   func(f string) error { return os.WriteFile(filepath.Join(f, "CHANGELOG.md"), []byte("## 0.0.9"), 0o600) },
		"no executable":  func(f string) error { return os.Remove(filepath.Join(f, "gpx_oriel_linux_amd64")) },
		"signature":      func(f string) error { return os.WriteFile(filepath.Join(f, "MANIFEST.txt"), []byte("x"), 0o600) },
		"in the plug-in": func(f string) error { return os.WriteFile(filepath.Join(f, "img/plugin.json"), []byte("{}"), 0o600) },
		"neither a file": func(f string) error { return os.Symlink("README.md", filepath.Join(f, "link")) },
		`version "%VERSION%"`: func(f string) error {
			source, err := os.ReadFile("../src/plugin.json")
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(f, "plugin.json"), source, 0o600)
		},
	} {
		folder := built(t)
		if err := check(folder); err != nil {
			t.Fatalf("before: %v", err)
		}
		if want == "no executable" {
			if err := os.Remove(filepath.Join(folder, "gpx_oriel_windows_amd64.exe")); err != nil {
				t.Fatal(err)
			}
		}
		if err := spoil(folder); err != nil {
			t.Fatal(err)
		}
		if err := check(folder); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want %q", err, want)
		}
	}
}
