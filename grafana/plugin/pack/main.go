// Command pack makes a zip of a built plug-in, with executables marked as such,
// if it is as Grafana wants it.
package main

import (
	"archive/zip"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack FOLDER ZIP")
		os.Exit(2) //nolint:forbidigo // it is a command
	}
	if err := pack(os.Args[1], os.Args[2], buildinfo.ReadFile); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1) //nolint:forbidigo // it is a command
	}
}

func pack(folder, to string, info func(string) (*debug.BuildInfo, error)) (err error) {
	if err := check(folder, info); err != nil {
		return err
	}
	at, err := updated(folder)
	if err != nil {
		return err
	}
	out, err := os.Create(to) //nolint:gosec // make names both
	if err != nil {
		return err
	}
	z := zip.NewWriter(out)
	defer func() { err = errors.Join(err, z.Close(), out.Close()) }()
	return filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error { //nolint:gosec // make names both
		if err != nil || d.IsDir() {
			return err
		}
		inside, err := filepath.Rel(filepath.Dir(folder), name)
		if err != nil {
			return err
		}
		h := &zip.FileHeader{Name: filepath.ToSlash(inside), Method: zip.Deflate, Modified: at}
		h.SetMode(0o644)
		if strings.HasPrefix(d.Name(), "gpx_") {
			h.SetMode(0o755)
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		f, err := os.Open(name) //nolint:gosec // make names both
		if err != nil {
			return err
		}
		_, err = io.Copy(w, f)
		return errors.Join(err, f.Close())
	})
}

// updated is the day that plugin.json names, for all files: the same source makes the same zip.
func updated(folder string) (time.Time, error) {
	text, err := os.ReadFile(filepath.Join(folder, "plugin.json")) //nolint:gosec // make names it
	if err != nil {
		return time.Time{}, err
	}
	var d struct {
		Info struct{ Updated string }
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.DateOnly, d.Info.Updated)
}
