package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// killEnv makes the test's program import and compact instead of testing, until it is killed.
const killEnv = "ORIEL_LAKE_KILL_TEST"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killEnv); dir != "" {
		if err := worker(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func worker(dir string) error {
	ctx := context.Background()
	var store Store = slowDir{NewDir(dir + "/lake")}
	if point := os.Getenv(killEnv + "_POINT"); point != "" {
		store = &Dir{root: dir + "/lake", at: dieAt(point)}
	} else if os.Getenv(killEnv+"_TRACE") != "" {
		store = &Dir{root: dir + "/lake", at: func(point, key string) { fmt.Println(point + " " + kindOf(key)) }}
	}
	l, err := New(store, Options{Grace: killGrace}, discard)
	if err != nil {
		return err
	}
	if os.Getenv(killEnv+"_CARE") != "" { // upkeep comes first in this life, of what the last one left
		time.Sleep(2 * killGrace) // past the grace period: what it covers may go
		if err := care(ctx, l); err != nil {
			return err
		}
	}
	for {
		sum, err := l.Import(ctx, Source{Name: "in", Store: NewDir(dir + "/in")}, nil)
		if err != nil {
			return err
		}
		c, err := l.Compact(ctx, FlowTable, t0.AddDate(1, 0, 0), nil)
		if err != nil {
			return err
		}
		if sum.Rows == 0 && c.Before == 0 && os.Getenv(killEnv+"_END") != "" {
			time.Sleep(2 * killGrace)
			return care(ctx, l)
		}
	}
}

const killGrace = 20 * time.Millisecond

// care is what upkeep does; nothing is old enough to be forgotten.
func care(ctx context.Context, l *Lake) error {
	if _, err := l.Expire(ctx, FlowTable, t0.AddDate(-1, 0, 0)); err != nil {
		return err
	}
	_, err := l.Compact(ctx, FlowTable, t0.AddDate(1, 0, 0), nil)
	return err
}

// kindOf is what an object of the lake is, whatever its name.
func kindOf(key string) string {
	if _, _, ok := parseKey(key); ok {
		return "rows"
	}
	dir, name, _ := strings.Cut(key, "/")
	if dir == "_txn" {
		return strings.TrimLeft(path.Ext(name), ".")
	}
	return strings.TrimPrefix(dir, "_")
}

// dieAt kills the process when it comes to a point for the n-th time: "written commit 2".
func dieAt(text string) func(point, key string) {
	var point, kind string
	var n int
	if _, err := fmt.Sscan(text, &point, &kind, &n); err != nil {
		panic(err)
	}
	var left atomic.Int64
	left.Store(int64(n))
	return func(p, key string) {
		if p == point && kindOf(key) == kind && left.Add(-1) == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // it comes at once
		}
	}
}

// slowDir takes its time to write, so that a kill comes between two writes more often than not.
type slowDir struct{ *Dir }

func (s slowDir) Put(ctx context.Context, key string, body io.Reader, size int64, ifAbsent bool) error {
	time.Sleep(40 * time.Millisecond)
	return s.Dir.Put(ctx, key, body, size, ifAbsent)
}

// life runs the worker to its end or its death.
func life(t *testing.T, dir string, env ...string) (out string, killed bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), killEnv+"="+dir, killEnv+"_END=1"), env...)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.Exited()) {
		t.Fatalf("%q: %v\n%s", env, err, text.String())
	}
	return text.String(), err != nil
}

// copyTree copies a directory with its files' times, which are their ETags.
func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(from, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, file)
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o750)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, rel), data, 0o600); err != nil {
			return err
		}
		return os.Chtimes(filepath.Join(to, rel), info.ModTime(), info.ModTime())
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// TestKillAtEveryWrite kills a process at each point at which it has written
// something, or is about to: once it wrote only the first of its kind, once some
// later one. Whatever the next process does first, no row is lost or doubled.
func TestKillAtEveryWrite(t *testing.T) {
	// What there is: a lake with a few small files, and objects that it does not know.
	prepare := func(t *testing.T) (dir string, written int64) {
		dir = t.TempDir()
		c := traffic(300)
		c.Duration = 2 * time.Hour
		for i, cut := range []bool{false, true} {
			c.Seed = uint64(i)
			written += generate(t, fmt.Sprintf("%s/in/%d", dir, i), "ibm", c).Records
			if !cut {
				life(t, dir)
			}
		}
		return dir, written
	}
	whole, written := prepare(t)
	dir := copyTree(t, whole)
	out, killed := life(t, dir, killEnv+"_TRACE=1")
	if killed {
		t.Fatal("the trace was killed")
	}
	points := map[string]int{}
	for line := range strings.Lines(out) {
		points[strings.TrimSpace(line)]++
	}
	for _, want := range []string{
		"put open", "written open", "placed open", "written rows", "placed rows", "placed commit", "delete open", "deleted open",
		"placed replace", "delete rows", "deleted rows", "delete replace", "placed ledger", "delete commit", "deleted commit",
	} {
		if points[want] == 0 {
			t.Errorf("the process never came to %q: %v", want, points)
		}
	}
	reader := func(dir string) *Lake {
		l, err := New(NewDir(dir+"/lake"), Options{}, discard)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	unique(t, all(t, reader(dir)), written, true)
	for point, times := range points {
		for _, n := range slices.Compact([]int{1, times}) {
			t.Run(fmt.Sprint(point, " ", n), func(t *testing.T) {
				t.Parallel()
				dir := copyTree(t, whole)
				if _, killed := life(t, dir, fmt.Sprintf("%s_POINT=%s %d", killEnv, point, n)); !killed {
					t.Log("this time it did not come so often to it")
					return
				}
				unique(t, all(t, reader(dir)), written, false)
				care := killEnv + "_CARE="
				if n%2 == 1 {
					care += "1"
				}
				if _, killed := life(t, dir, care); killed {
					t.Fatal("the second life was killed")
				}
				unique(t, all(t, reader(dir)), written, true)
				left, err := New(NewDir(dir+"/lake"), Options{}, discard)
				if err != nil {
					t.Fatal(err)
				}
				for o, err := range left.store.List(context.Background(), txnPrefix, "") {
					if err != nil || strings.HasSuffix(o.Key, txnOpen) {
						t.Errorf("%q is left, %v", o.Key, err)
					}
				}
			})
		}
	}
}

// TestKillAtAnyTime: whenever a process that imports and compacts is killed,
// the next one finds a lake without a row lost or doubled.
func TestKillAtAnyTime(t *testing.T) {
	const kills = 25
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := traffic(400)
	c.Duration = 20 * time.Minute
	var written, objects int64
	reader, err := New(NewDir(dir+"/lake"), Options{}, discard)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range kills {
		// New objects before each life, of which some are late.
		c.Start, c.Seed = t0.Truncate(time.Hour).Add(time.Duration(i%7)*17*time.Minute), uint64(i)
		s := generate(t, fmt.Sprintf("%s/in/%d", dir, i), "ibm", c)
		written += s.Records
		objects += s.Objects
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), killEnv+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(50+rnd.IntN(500)) * time.Millisecond) // a moment to be killed at, not to wait for something
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
			t.Fatalf("the process ended by itself: %v", err)
		}
		unique(t, all(t, reader), written, false)
	}
	last := exec.Command(self)
	last.Env = append(os.Environ(), killEnv+"="+dir, killEnv+"_END=1")
	if out, err := last.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	unique(t, all(t, reader), written, true)
}
