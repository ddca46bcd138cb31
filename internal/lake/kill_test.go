package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
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
	l, err := New(slowDir{NewDir(dir + "/lake")}, Options{Grace: 50 * time.Millisecond}, discard)
	if err != nil {
		return err
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
			return nil
		}
	}
}

// slowDir takes its time to write, so that a kill comes between two writes more often than not.
type slowDir struct{ *Dir }

func (s slowDir) Put(ctx context.Context, key string, body io.Reader, size int64, ifAbsent bool) error {
	time.Sleep(40 * time.Millisecond)
	return s.Dir.Put(ctx, key, body, size, ifAbsent)
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
