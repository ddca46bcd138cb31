package query

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestHalfWrittenResultsAreRemoved: those of a process that was killed, not those of one that still writes.
func TestHalfWrittenResultsAreRemoved(t *testing.T) {
	d := DirDestination{Path: filepath.Join(t.TempDir(), "results")}
	if err := d.Sweep(); err != nil {
		t.Fatalf("before there are any: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(d.Path, "day=1"), 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * time.Hour)
	for name, at := range map[string]time.Time{"a.parquet": old, writing + "1": time.Now(), writing + "2": old, "day=1/" + writing + "3": old, "day=1/b.csv": old} {
		path := filepath.Join(d.Path, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Sweep(); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, pattern := range []string{"*", "*/*"} {
		found, _ := filepath.Glob(filepath.Join(d.Path, pattern))
		for _, f := range found {
			name, _ := filepath.Rel(d.Path, f)
			left = append(left, name)
		}
	}
	slices.Sort(left)
	if diff := cmp.Diff([]string{writing + "1", "a.parquet", "day=1", "day=1/b.csv"}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}
