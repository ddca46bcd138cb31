package e2e

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// TestFullDisk: records go to a file system of two megabytes of its own, which
// is filled up and emptied again. The exporter goes on, counts, and what is
// there in the end can be read to the end.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		proctest.Without(t, "a file system of one's own needs root")
	}
	unshare := proctest.External(t, "unshare")
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"json", []string{"--format", "json"}},
		{"json in many files", []string{"--format", "json", "--rotate-size", "65536"}},
		{"ncap", []string{"--format", "ncap"}},
		{"parquet", []string{"--format", "parquet"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fullDisk(t, unshare, tt.args)
		})
	}
}

func fullDisk(t *testing.T, unshare string, args []string) {
	dir := t.TempDir()
	disk, addr := filepath.Join(dir, "disk"), filepath.Join(dir, "addr")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	args = append([]string{
		"-m", "sh", "-c", `mount -t tmpfs -o size=2m,mode=755 none "$0" && exec "$@"`, disk,
		oriel, "export", "packets", "-r", "-", "-o", filepath.Join(disk, "out"), "--kinds", "dns", "--flush-interval", "200ms",
		"--web.listen-address", "127.0.0.1:0", "--web.addr-file", addr,
	}, args...)
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{name: unshare, cmd: exec.Command(unshare, args...), done: make(chan struct{})}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		_ = feed.Close()
		p.stop(t)
		if t.Failed() {
			t.Logf("oriel printed:\n%s", tail(p.log()))
		}
	})
	base := "http://" + waitFile(t, addr)
	metric := func(name string) float64 {
		_, page := get(t, base+"/metrics")
		m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(page)
		if m == nil {
			return 0
		}
		v, _ := strconv.ParseFloat(m[1], 64)
		return v
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		proctest.Eventually(t, 60*time.Second, func() (bool, string) { return ok(), what })
	}
	const taken, failed, lost = `oriel_packets_records_taken_total{kind="dns"}`, "oriel_packets_output_errors_total", `oriel_packets_records_lost_total{reason="output"}`
	// The directory stays when the program and its namespace are gone.
	there, err := os.Open(fmt.Sprintf("/proc/%d/root%s", p.cmd.Process.Pid, disk))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = there.Close() })
	view := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), there.Fd())

	q := questions{out: bufio.NewWriter(feed)}
	q.ask(t, 200)
	until("a first record on the disk", func() bool { return metric(taken) >= 200 && len(records(view)) > 0 })
	if metric(failed) > 0 {
		t.Fatal("writing failed while there was room")
	}

	ballast := filepath.Join(view, "ballast")
	full := os.WriteFile(ballast, make([]byte, 4<<20), 0o600)
	if full == nil {
		t.Fatal("four megabytes fit into two")
	}
	for range 10 { // into the gaps that a large write leaves
		f, err := os.OpenFile(ballast, os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write(make([]byte, 4096))
		_ = f.Close()
	}
	q.ask(t, 3000)
	until("failures to write", func() bool { return metric(failed) > 0 && metric(taken) >= 3200 })
	if code, _ := get(t, base+"/metrics"); code != 200 {
		t.Errorf("the page answers %d", code)
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	q.ask(t, 200)
	until("no more failures", func() bool {
		before, at := metric(failed), metric(taken)
		time.Sleep(time.Second) // several flushes
		return at >= 3400 && metric(failed) == before
	})
	kept := 3400 - int(metric(lost))
	_ = feed.Close()
	p.stop(t)
	if got := count(t, view); got != kept {
		t.Errorf("%d records can be read; want the %d that are not counted as lost", got, kept)
	}
}

// records are the files of records, with their size.
func records(dir string) map[string]int64 {
	files := map[string]int64{}
	_ = filepath.WalkDir(filepath.Join(dir, "out"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil && info.Size() > 0 {
				files[path] = info.Size()
			}
		}
		return nil
	})
	return files
}

// count reads all records; what cannot be read to its end is an error.
func count(t *testing.T, dir string) (n int) {
	t.Helper()
	parquet := false
	for name := range records(dir) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasSuffix(name, ".jsonl"):
			for line := range strings.Lines(string(b)) {
				if !json.Valid([]byte(line)) || !strings.HasSuffix(line, "\n") {
					t.Errorf("%s has half a line: %q", name, line)
				}
				n++
			}
		case strings.HasSuffix(name, ".ncap.gz"):
			z, err := gzip.NewReader(strings.NewReader(string(b)))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			r := bufio.NewReader(z)
			for i := 0; ; i++ {
				size, err := binary.ReadUvarint(r)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if _, err := io.CopyN(io.Discard, r, int64(size)); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if i > 0 { // the first is the header
					n++
				}
			}
		case strings.HasSuffix(name, ".parquet"):
			parquet = true
		}
	}
	if parquet {
		out := command(t, oriel, "sql", "--lake", filepath.Join(dir, "out"), "SELECT count(*) AS n FROM dns")
		n, _ = strconv.Atoi(regexp.MustCompile(`\d+`).FindString(out))
	}
	return n
}

// questions writes a capture of DNS questions and their answers as it goes.
type questions struct {
	out *bufio.Writer
	n   int
}

func (q *questions) ask(t *testing.T, times int) {
	t.Helper()
	le := binary.LittleEndian
	if q.n == 0 {
		_, _ = q.out.Write(append([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0}, 101, 0, 0, 0))
	}
	packet := func(answer bool) {
		name := fmt.Sprintf("%08x", uint32(q.n)*2654435761) // hardly compressible
		dns := []byte{byte(q.n >> 8), byte(q.n), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, byte(len(name))}
		if answer {
			dns[2], dns[3] = 0x81, 0x80
		}
		dns = append(append(dns, name...), 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'o', 'r', 'g', 0, 0, 1, 0, 1)
		src, dst, from, to := byte(1), byte(53), 1024+q.n%60000, 53
		if answer {
			src, dst, from, to = dst, src, to, from
		}
		size := 28 + len(dns)
		p := []byte{0x45, 0, byte(size >> 8), byte(size), 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, src, 192, 0, 2, dst}
		p = append(p, byte(from>>8), byte(from), byte(to>>8), byte(to), byte((size-20)>>8), byte(size-20), 0, 0)
		p = append(p, dns...)
		head := le.AppendUint32(nil, 1700000000+uint32(q.n/1000))
		head = le.AppendUint32(head, uint32(q.n%1000)*1000)
		head = le.AppendUint32(le.AppendUint32(head, uint32(len(p))), uint32(len(p)))
		_, _ = q.out.Write(append(head, p...))
	}
	for range times {
		packet(false)
		packet(true)
		q.n++
	}
	if err := q.out.Flush(); err != nil {
		t.Fatalf("the program reads no more: %v", err)
	}
}
