// Package proctest helps tests: golden files, other programs, fake daemons.
package proctest

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

var update = flag.Bool("update", false, "rewrite golden files")

// Golden compares got with the file, or writes the file when the test runs with -update.
func Golden(t testing.TB, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (run the test with -update to write it)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// Lint reports what promlint finds in a page of metrics, except for the
// metrics named: names that are a peer's own stay as they are.
func Lint(t testing.TB, page []byte, except ...string) {
	t.Helper()
	problems, err := promlint.New(bytes.NewReader(page)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{}
	for _, name := range except {
		allowed[name] = true
	}
	for _, p := range problems {
		if !allowed[p.Metric] {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// External returns the path of another program. Where it is not installed the
// test is skipped, but in CI (CI=true) it fails: there a test must not
// silently stop running.
func External(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	Without(t, program+" is not installed")
	return ""
}

// Without ends a test that lacks something of this machine: it is skipped, but
// in CI (CI=true) it fails.
func Without(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// Eventually asks until ok says yes, for at most the time given; last tells what was seen instead.
func Eventually(t testing.TB, within time.Duration, ok func() (yes bool, last string)) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		yes, last := ok()
		if yes {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s; last: %s", within, last)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
