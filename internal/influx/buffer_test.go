package influx

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func open(t testing.TB, dir string, limit int64) *buffer {
	t.Helper()
	b, err := openBuffer(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b
}

func mustPut(t testing.TB, b *buffer, data string, lines int) (dropped int) {
	t.Helper()
	dropped, err := b.put([]byte(data), lines)
	if err != nil {
		t.Fatal(err)
	}
	return dropped
}

// contents takes everything out.
func contents(t testing.TB, b *buffer) []string {
	t.Helper()
	var all []string
	for _, e := range b.take(1 << 30) {
		data, err := b.read(e)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(data))
		b.done([]*entry{e})
	}
	return all
}

func TestBufferSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, 1<<20)
	mustPut(t, b, "one", 1)
	mustPut(t, b, "two", 2)
	mustPut(t, b, "three", 3)
	b.done(b.take(1))
	b.take(1) // on its way when the program ends
	b.close()
	for _, junk := range []string{".new-17", "x.lp.gz", "00000000000000000009-0.lp.gz", "00000000000000000009-+1.lp.gz"} {
		if err := os.WriteFile(filepath.Join(dir, junk), []byte("junk"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b = open(t, dir, 1<<20)
	if bytes, lines := b.size(); lines != 5 || bytes != 2*block {
		t.Errorf("size = %d bytes, %d lines; want %d, 5", bytes, lines, 2*block)
	}
	mustPut(t, b, "four", 4)
	if diff := cmp.Diff([]string{"two", "three", "four"}, contents(t, b)); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(dir, ".new-17")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an unfinished write is still there: %v", err)
	}
}

func TestBufferDropsOldestWhenFull(t *testing.T) {
	b := open(t, t.TempDir(), 3*block)
	for i, want := range []int{0, 0, 0, 10, 11} {
		if got := mustPut(t, b, strconv.Itoa(i), 10+i); got != want {
			t.Errorf("put %d dropped %d lines; want %d", i, got, want)
		}
	}
	sending := b.take(1)
	if got := mustPut(t, b, "5", 1); got != 13 {
		t.Errorf("dropped %d lines; want 13: the batch being sent stays", got)
	}
	b.release(sending)
	if diff := cmp.Diff([]string{"2", "4", "5"}, contents(t, b)); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
	if _, err := b.put(make([]byte, 3*block+1), 1); err == nil {
		t.Error("a batch larger than the buffer was taken")
	}
	files, _ := filepath.Glob(filepath.Join(b.dir, "*"))
	if len(files) != 1 {
		t.Errorf("files %q; want the lock alone", files)
	}
}

func TestBufferHasOneOwner(t *testing.T) {
	b := open(t, t.TempDir(), 1<<20)
	if _, err := openBuffer(b.dir, 1<<20); !errors.Is(err, errInUse) {
		t.Errorf("second open: %v; want %v", err, errInUse)
	}
}

func TestTakeMergesSmallBatches(t *testing.T) {
	b := open(t, t.TempDir(), 1<<20)
	for range 5 {
		mustPut(t, b, "x", 4)
	}
	for _, want := range []int{2, 2, 1} {
		got := b.take(9)
		if len(got) != want {
			t.Errorf("take(9) has %d batches; want %d", len(got), want)
		}
		b.done(got)
	}
	mustPut(t, b, "x", 40)
	if got := b.take(9); len(got) != 1 {
		t.Errorf("take(9) of a batch of 40 has %d; want it all the same", len(got))
	}
}

const victimEnv = "ORIEL_TEST_VICTIM"

// TestMain is the victim of TestKillLosesNothing when it is started as such:
// it puts batch after batch into its working directory and says so after each.
func TestMain(m *testing.M) {
	if os.Getenv(victimEnv) == "" {
		os.Exit(m.Run())
	}
	b, err := openBuffer(".", 64<<20)
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		if _, err := b.put(bytes.Repeat([]byte(strconv.Itoa(i)+"\n"), 1000), 1000); err != nil {
			fmt.Println("put:", err)
			os.Exit(1)
		}
		fmt.Println(i)
	}
}

// TestKillLosesNothing kills a process with SIGKILL while it writes, several
// times over the same directory: every batch that it had acknowledged is there, whole.
func TestKillLosesNothing(t *testing.T) {
	dir := t.TempDir()
	acknowledged := 0
	for range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), victimEnv+"=1")
		cmd.Dir = dir
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		seen := 0
		stop := 3 + rand.IntN(20)
		for s := bufio.NewScanner(out); s.Scan(); {
			if _, err := strconv.Atoi(s.Text()); err != nil {
				t.Errorf("victim: %s", s.Text())
				break
			}
			if seen++; seen == stop {
				_ = cmd.Process.Kill() // what it says until it is dead counts as well
			}
		}
		_ = cmd.Wait()
		acknowledged += seen
		if seen < stop {
			t.Fatalf("the victim ended by itself after %d batches", seen)
		}
	}
	b := open(t, dir, 64<<20)
	all := contents(t, b)
	// One more per kill may be there: written, and killed before it could say so.
	if len(all) < acknowledged || len(all) > acknowledged+5 {
		t.Errorf("%d batches; want %d to %d", len(all), acknowledged, acknowledged+5)
	}
	for _, batch := range all {
		first, _, _ := strings.Cut(batch, "\n")
		if batch != strings.Repeat(first+"\n", 1000) {
			t.Fatalf("a batch of %d bytes is torn: %.40q", len(batch), batch)
		}
	}
}
