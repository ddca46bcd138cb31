// Command bench measures Oriel beside the programs it stands in for, in the
// same run on the same machine, and prints a table. CPU time is the kernel's
// count for the process, so that a busy machine does not change it much.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == usualArg {
		if err := usual(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 4 && os.Args[1] == bareArg {
		if err := bareProbe(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 3 && os.Args[1] == floorArg {
		if err := floor(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 4 && os.Args[1] == duckArg {
		if err := duckImport(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// tools are the programs measured.
type tools struct{ dir, oriel, prometheus string }

// measurements are all there are. Names on the command line choose some.
var measurements = []struct {
	name string
	run  func(tools) error
}{
	{"exporters", exporters},
	{"idle", idle},
	{"engines", engines},
	{"tunnels", tunnels},
	{"probes", probes},
	{"tenantproxy", tenantProxies},
	{"neuvector", neuvectors},
	{"generator", generator},
	{"imports", imports},
	{"panels", panels},
	{"packets", packets},
}

func run() error {
	dir, err := os.MkdirTemp("", "oriel-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	t := tools{dir: dir, oriel: filepath.Join(dir, "oriel"), prometheus: filepath.Join(dir, "prometheus")}
	chosen := func(name string) bool { return len(os.Args) == 1 || slices.Contains(os.Args[1:], name) }
	for _, b := range [][]string{
		{"-C", "..", "build", "-o", t.oriel, "./cmd/oriel"},
		// Of the service discoveries only those that Oriel has too: they cost memory, not time.
		{"build", "-tags", "remove_all_sd,enable_file_sd,enable_http_sd", "-o", t.prometheus, "github.com/prometheus/prometheus/cmd/prometheus"},
	} {
		if b[0] == "build" && !chosen("engines") {
			continue
		}
		fmt.Fprintln(os.Stderr, "go", strings.Join(b, " "))
		cmd := exec.Command("go", b...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("go %s: %w", b[0], err)
		}
	}
	// As installed: the linker writes a file whose pages come to memory 2 MB at a
	// time, and to no program that is installed does that happen.
	for _, program := range []string{t.oriel, t.prometheus} {
		if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
			continue // not built: nobody asks for it
		}
		if err := install(program); err != nil {
			return err
		}
	}
	fmt.Printf("%d cores, %s\n\n", runtime.NumCPU(), runtime.Version())
	var errs []error
	for _, m := range measurements {
		if chosen(m.name) {
			errs = append(errs, m.run(t))
		}
	}
	return errors.Join(errs...)
}

// install copies a program over itself.
func install(program string) error {
	built := program + "-built"
	if err := os.Rename(program, built); err != nil {
		return err
	}
	in, err := os.Open(built)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	// Not io.Copy between files: the kernel may share their pages.
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 64<<10))
	return errors.Join(err, in.Close(), out.Close(), os.Remove(built))
}

// process is a program being measured.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func start(name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Stderr = io.Discard
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	return p, nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// family are the process and those it has started, as the SQL engine's.
func (p *process) family() []int {
	pids := []int{p.cmd.Process.Pid}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[0]))
	for _, l := range lists {
		b, _ := os.ReadFile(l) // a thread may have ended
		for _, word := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// cpu is the processor time used so far, of all threads and of the SQL engine's
// process, in user and kernel mode.
func (p *process) cpu() (sum time.Duration) {
	for _, pid := range p.family() {
		// The clock of another process (clock_getcpuclockid): /proc counts in steps of 10 ms.
		var ts unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err == nil { //nolint:gosec // as the kernel packs it
			sum += time.Duration(ts.Nano())
		}
	}
	return sum
}

// queued is how long threads have been ready to run and others had the processor.
func (p *process) queued() (sum time.Duration) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	for _, t := range tasks {
		var ran, waited int64
		if b, err := os.ReadFile(t); err == nil {
			_, _ = fmt.Sscan(string(b), &ran, &waited)
			sum += time.Duration(waited)
		}
	}
	return sum
}

// memory returns a line of /proc/PID/status in MB, of both processes: VmRSS, VmHWM or
// RssAnon. Pages of the program's file that both have count twice.
func (p *process) memory(what string) (sum float64) {
	for _, pid := range p.family() {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // it may have ended
		for line := range strings.Lines(string(b)) {
			if value, ok := strings.CutPrefix(line, what+":"); ok {
				var kb float64
				_, _ = fmt.Sscan(value, &kb)
				sum += kb / 1024
			}
		}
	}
	return sum
}

// fetch reads a page and returns its size. With no transparent gzip: what the client asks for is what it gets.
func fetch(url string, gzip bool) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	if gzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	resp, err := (&http.Transport{DisableCompression: true}).RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	n, err := io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("%s: %s", url, resp.Status))
	}
	return n, err
}

// waitFor asks until there is an answer.
func waitFor(url string) error {
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if _, err = fetch(url, false); err == nil {
			return nil
		}
	}
	return err
}
