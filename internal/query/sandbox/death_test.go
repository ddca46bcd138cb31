//go:build cgo

package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/query"
)

// stubborn is one that DuckDB cannot interrupt: a single call that takes hours.
const stubborn = "SELECT levenshtein(repeat('ab', 5000000), repeat('ba', 5000000 - max(n)::INTEGER)) FROM t"

// slow takes a second or so.
const slow = "SELECT count(*) FROM range(150000000) t(x) WHERE hash(x) % 7 = 1"

// TestStubbornQueryEnds at its time, with the engine, and a query beside it does not notice.
func TestStubbornQueryEnds(t *testing.T) {
	e, view := engine(t)
	before := e.pid(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		st := query.Statement{SQL: "SELECT count(*) FROM range(150000000) t(x) WHERE hash(x) % 7 = 1"}
		if rows, err := all(t.Context(), e, st); err != nil || len(rows) != 1 {
			t.Errorf("the query beside it: %v, %v", rows, err)
		}
	})
	for range 10 { // a busy machine may not have begun with it
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		began := time.Now()
		_, err := all(ctx, e, query.Statement{SQL: stubborn, Views: []query.View{view}})
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > 10*time.Second {
			t.Errorf("after %s: %v; want the end of its time", took, err)
		}
		cancel()
		if e.pid(t) != before {
			break
		}
	}
	wg.Wait()
	if e.pid(t) == before || e.deaths[causeTimeout] != 1 || e.deaths[causeCrash] != 0 {
		t.Errorf("ends %v; want one for lack of time", e.deaths)
	}
}

// TestCancelledQueryIsGivenBack: one that listens costs no engine.
func TestCancelledQueryIsGivenBack(t *testing.T) {
	e, _ := engine(t)
	before := e.pid(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := all(ctx, e, query.Statement{SQL: endless}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v; want the end of its time", err)
	}
	if took := time.Since(began); took > grace+time.Second {
		t.Errorf("it took %s", took)
	}
	if e.pid(t) != before {
		t.Error("the engine was killed for a query that ends when asked to")
	}
}

// TestReaderWhoLeavesEndsTheQuery in the midst of its rows, and the next one finds all in order.
func TestReaderWhoLeavesEndsTheQuery(t *testing.T) {
	e, _ := engine(t)
	before := e.pid(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := e.Query(ctx, query.Statement{SQL: "SELECT x, 'text ' || x FROM range(3000000) t(x)"})
	if err != nil {
		t.Fatal(err)
	}
	row := make([]any, 2)
	if err := r.Next(row); err != nil || row[0] != int64(0) {
		t.Fatal(row, err)
	}
	cancel()
	for err == nil {
		err = r.Next(row)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Next: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if rows, err := all(t.Context(), e, query.Statement{SQL: "SELECT 7"}); err != nil || rows[0][0] != int64(7) || e.pid(t) != before {
		t.Errorf("the next query: %v, %v", rows, err)
	}
}

// TestKilledEngine: a query whose rows had not come is asked again, one whose
// rows were coming says so, and one that is there at two deaths is given up.
func TestKilledEngine(t *testing.T) {
	e, _ := engine(t)
	kill := func() {
		before := e.pid(t)
		if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		proctest.Eventually(t, time.Minute, func() (bool, string) { return e.pid(t) != before, "waiting for another engine" })
	}
	reading, err := e.Query(t.Context(), query.Statement{SQL: "SELECT x, 'text ' || x FROM range(3000000) t(x)"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if rows, err := all(t.Context(), e, query.Statement{SQL: slow}); err != nil || len(rows) != 1 {
				t.Errorf("a query that had no rows yet: %v, %v", rows, err)
			}
		})
	}
	proctest.Eventually(t, time.Minute, func() (bool, string) { return threadsBusy(t, e.pid(t)), "waiting until they run" })
	kill()
	wg.Wait()
	row := make([]any, 2)
	for err == nil {
		err = reading.Next(row)
	}
	if !strings.Contains(err.Error(), "ask again") {
		t.Errorf("rows of a dead engine: %v", err)
	}
	if err := reading.Close(); err != nil {
		t.Error(err)
	}
	done := make(chan error, 1)
	go func() { _, err := all(t.Context(), e, query.Statement{SQL: endless}); done <- err }()
	for range 2 {
		proctest.Eventually(t, time.Minute, func() (bool, string) { return threadsBusy(t, e.pid(t)), "waiting: " + "the endless query runs" })
		kill()
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "twice: signal: killed") {
		t.Errorf("a query that was there at two deaths: %v", err)
	}
	if rows, err := all(t.Context(), e, query.Statement{SQL: "SELECT 7"}); err != nil || len(rows) != 1 {
		t.Errorf("the next query: %v, %v", rows, err)
	}
}

// threadsBusy tells whether a process has used much of a processor already.
func threadsBusy(t *testing.T, pid int) bool {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	var ticks int
	_, _ = fmt.Sscan(fields[11], &ticks)
	return ticks > 30
}

// TestEngineDiesWithItsProgram, also when it is busy and the program was killed.
func TestEngineDiesWithItsProgram(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), orphanEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	line, _ := bufio.NewReader(out).ReadString('\n')
	if _, err := fmt.Sscan(line, &pid); err != nil {
		t.Fatal(line, err)
	}
	proctest.Eventually(t, time.Minute, func() (bool, string) { return threadsBusy(t, pid), "waiting: " + "its engine is busy" })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	proctest.Eventually(t, time.Minute, func() (bool, string) { return !running(pid), "waiting: " + "the engine has ended" })
}

// running is false of a process that nobody has waited for, too.
func running(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}
