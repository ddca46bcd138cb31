package lake

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestHoursAreRememberedAndNeverStale: also what changed within one tick of the clock is seen.
func TestHoursAreRememberedAndNeverStale(t *testing.T) {
	d := NewDir(t.TempDir())
	d.final = true
	const dir = "flows/date=2026-08-20/hour=01/"
	put := func(name string) {
		t.Helper()
		file := d.Path(dir + name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	changed := func(at time.Time) {
		t.Helper()
		if err := os.Chtimes(d.Path(dir), at, at); err != nil {
			t.Fatal(err)
		}
	}
	list := func() (names []string) {
		t.Helper()
		for o, err := range d.List(t.Context(), "flows/", "") {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, filepath.Base(o.Key))
		}
		return names
	}
	want := func(names ...string) {
		t.Helper()
		if got := list(); !slices.Equal(got, names) {
			t.Fatalf("listed %q; want %q", got, names)
		}
	}
	now := time.Now()
	put("a.parquet")
	changed(now)
	want("a.parquet")
	put("b.parquet")
	changed(now) // as if in the same tick
	want("a.parquet", "b.parquet")

	old := now.Add(-time.Hour)
	changed(old)
	want("a.parquet", "b.parquet")
	put("c.parquet")
	changed(old) // no file system does that: so it must come from memory
	want("a.parquet", "b.parquet")
	changed(old.Add(time.Nanosecond))
	want("a.parquet", "b.parquet", "c.parquet")

	put(tempPrefix + "d")
	if err := os.Remove(d.Path(dir + "a.parquet")); err != nil {
		t.Fatal(err)
	}
	want("b.parquet", "c.parquet")
	if err := os.Symlink(d.Path(dir+"b.parquet"), d.Path(dir+"e.parquet")); err != nil {
		t.Fatal(err)
	}
	changed(old)
	want("b.parquet", "c.parquet", "e.parquet")
	if n := len(d.hours.dirs); n != 1 || d.hours.dirs[dir].modified.Equal(old) {
		t.Errorf("an hour with a link is remembered")
	}
	if err := os.RemoveAll(d.Path(dir)); err != nil {
		t.Fatal(err)
	}
	want()
}
