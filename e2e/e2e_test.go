// Package e2e tests the program as its users run it: beside real WireGuard
// devices, a stock Prometheus, promtool and amtool.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// oriel is the program under test, built once.
var oriel string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "oriel-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	oriel = filepath.Join(dir, "oriel")
	build := exec.Command("go", "build", "-o", oriel, "./cmd/oriel")
	build.Dir = ".."
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build oriel:", err)
		return 1
	}
	return m.Run()
}

// process is a program that runs until the test ends.
type process struct {
	name string
	cmd  *exec.Cmd
	mu   sync.Mutex // guards out
	out  bytes.Buffer
	done chan struct{}
}

// Write keeps what the program prints.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// spawn starts a program and sees to its end.
func spawn(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{name: name, cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(name), tail(p.log()))
		}
	})
	return p
}

// stop ends the program, kindly at first.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		t.Errorf("%s did not stop", p.name)
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

// serve runs `oriel serve` or `demo` on a free port and returns its URL.
func serve(t *testing.T, command string, args ...string) (string, *process) {
	t.Helper()
	dir := t.TempDir()
	addr := filepath.Join(dir, "addr")
	args = append([]string{command, "--web.listen-address", "127.0.0.1:0", "--web.addr-file", addr}, args...)
	if command == "serve" {
		args = append(args, "--data.dir", filepath.Join(dir, "data"))
	}
	p := spawn(t, oriel, args...)
	base := "http://" + waitFile(t, addr)
	proctest.Eventually(t, 30*time.Second, func() (bool, string) {
		code, body := get(t, base+"/-/ready")
		return code == http.StatusOK, body
	})
	return base, p
}

// waitFile returns the first line of a file once it is there.
func waitFile(t *testing.T, file string) (line string) {
	t.Helper()
	proctest.Eventually(t, 30*time.Second, func() (bool, string) {
		b, err := os.ReadFile(file)
		var ok bool
		line, _, ok = strings.Cut(string(b), "\n")
		return ok, fmt.Sprint(err)
	})
	return line
}

// get returns status and body, 0 and the error if there is no answer.
func get(t *testing.T, target string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

// query returns the answer of an instant query.
func query(t *testing.T, base, expr string) string {
	t.Helper()
	_, body := get(t, base+"/api/v1/query?query="+url.QueryEscape(expr))
	return body
}

// eventually waits for text in the answer of an instant query.
func eventually(t *testing.T, within time.Duration, base, expr, want string) string {
	t.Helper()
	var last string
	proctest.Eventually(t, within, func() (bool, string) {
		last = query(t, base, expr)
		return strings.Contains(last, want), expr + ": " + last
	})
	return last
}

// hasData is part of every answer with at least one series.
const hasData = `"result":[{`

// command runs a program to its end and returns what it printed.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
