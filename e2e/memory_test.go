package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// TestExporterOfManyPeersStaysSmall: what one library more touches in its
// start-up, or one text more for each peer, shows here. `make bench` has the
// figure; the limit leaves room for other kernels.
func TestExporterOfManyPeersStaysSmall(t *testing.T) {
	const limit = 45 // MB
	dir := t.TempDir()
	proctest.NewUAPI(t, dir, "wg0", proctest.Peers(10_000))
	program := installed(t, dir)
	addr := filepath.Join(dir, "addr")
	p := spawn(t, program, "export", "wireguard", "--wireguard.socket-dir", dir, "--web.listen-address", "127.0.0.1:0", "--web.addr-file", addr)
	target := "http://" + waitFile(t, addr) + "/metrics"
	resident := func() int {
		m := regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`).FindStringSubmatch(read(t, fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)))
		if m == nil {
			t.Fatal("no VmRSS")
		}
		kb, _ := strconv.Atoi(m[1])
		return kb / 1024
	}
	// Pages of the program that only the start needed are let go after ten seconds.
	end, last := time.Now().Add(15*time.Second), 0
	proctest.Eventually(t, time.Minute, func() (bool, string) {
		if code, _ := get(t, target); code != http.StatusOK {
			return false, fmt.Sprint(code)
		}
		time.Sleep(1100 * time.Millisecond) // longer than the cache: each scrape reads the device
		last = resident()
		return time.Now().After(end), ""
	})
	t.Logf("%d MB", last)
	if last > limit {
		t.Errorf("%d MB after a dozen scrapes; want at most %d", last, limit)
	}
}

// installed copies the program as a package manager does, in small pieces: what
// the linker has written at once lies in the page cache in pieces of 2 MB, and
// comes to memory in such.
func installed(t *testing.T, dir string) string {
	t.Helper()
	in, err := os.Open(oriel)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	program := filepath.Join(dir, "oriel")
	out, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 64<<10))
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
	return program
}
