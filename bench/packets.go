package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// packetsWanted is what the capture has at least, half of it for the second point of the line.
	packetsWanted = 1_200_000
)

// usage is what a program took from its start to its end.
type usage struct {
	cpu, wall time.Duration
	rss       float64 // MB at the most
	out       string
}

// measure runs a program to its end.
func measure(name string, args ...string) (usage, error) {
	cmd := exec.Command(name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return usage{}, fmt.Errorf("%s: %w: %s", filepath.Base(name), err, errs.String())
	}
	u := usage{wall: time.Since(begin), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), out: strings.TrimSpace(out.String())}
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.rss = float64(r.Maxrss) / 1024
	}
	return u, nil
}

// packets measures the reading of a large capture beside the least that a Go program does, and tshark.
func packets(t tools) error {
	dir := os.Getenv("ORIEL_CORPUS")
	if dir == "" {
		dir = "../../shared/data"
	}
	base, err := corpus(dir)
	if err != nil {
		fmt.Println("packets:", err)
		return nil
	}
	times := packetsWanted/len(base) + 1
	big, half := filepath.Join(t.dir, "big.pcap"), filepath.Join(t.dir, "half.pcap")
	n, err := multiply(big, base, times)
	if err != nil {
		return fmt.Errorf("packets: %w", err)
	}
	if _, err := multiply(half, base, times/2); err != nil {
		return fmt.Errorf("packets: %w", err)
	}
	info, err := os.Stat(big)
	if err != nil {
		return err
	}
	var kept, wire int
	for _, p := range base {
		kept, wire = kept+len(p.data), wire+int(p.wire)
	}
	fmt.Printf("A capture of %d packets, %d MB, a packet of %d B in the mean, %d B on the wire (%d packets of real captures, %d times with other addresses)\n",
		n, info.Size()>>20, kept/len(base), wire/len(base), len(base), times)
	fmt.Printf("%-52s %9s %9s %9s %9s\n", "", "CPU s", "of floor", "wall s", "RSS MB")
	self, err := os.Executable()
	if err != nil {
		return err
	}
	out := filepath.Join(t.dir, "records")
	runs := []struct {
		what string
		args []string
	}{
		{"floor: gopacket in place, flow table, 3 records, gzip", []string{self, floorArg, big}},
		{"oriel capture, metrics and records of sessions, ncap", []string{t.oriel, "capture", big, "-o", out, "--format", "ncap"}},
		{"  of half as many packets", []string{t.oriel, "capture", half, "-o", out, "--format", "ncap"}},
		{"oriel capture, the same as Parquet", []string{t.oriel, "capture", big, "-o", out}},
		{"oriel capture, records of every header too, ncap", []string{t.oriel, "capture", big, "-o", out, "--format", "ncap", "--kinds", "all"}},
		{"tshark -z conv,tcp", []string{"tshark", "-n", "-r", big, "-q", "-z", "conv,tcp"}},
	}
	floor := 0.0
	for i, r := range runs {
		if _, err := exec.LookPath(r.args[0]); err != nil {
			fmt.Printf("%-52s %9s\n", r.what, "missing")
			continue
		}
		if err := os.RemoveAll(out); err != nil {
			return err
		}
		u, err := measure(r.args[0], r.args[1:]...)
		if err != nil {
			return fmt.Errorf("packets: %w", err)
		}
		if i == 0 {
			floor = u.cpu.Seconds()
		}
		fmt.Printf("%-52s %9.2f %9.2f %9.2f %9.0f\n", r.what, u.cpu.Seconds(), u.cpu.Seconds()/floor, u.wall.Seconds(), u.rss)
	}
	return pageAfter(t, big, n)
}

// pageAfter measures the metrics page of an exporter that has read the capture.
func pageAfter(t tools, big string, n int) error {
	addrFile := filepath.Join(t.dir, "packets-addr")
	p, err := start(t.oriel, "export", "packets", "-r", big, "--web.listen-address", "127.0.0.1:0", "--web.addr-file", addrFile)
	if err != nil {
		return err
	}
	defer p.stop()
	url := "http://" + addr(addrFile) + "/metrics"
	if err := waitFor(url); err != nil {
		return err
	}
	read := []byte(fmt.Sprintf("\nnc_numpackets %g\n", float64(n)))
	for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(time.Second) {
		page, err := body(url)
		if err != nil {
			return err
		}
		if bytes.Contains(page, read) {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("packets: the exporter has not read %d packets in 10 minutes", n)
		}
	}
	var took []time.Duration
	size, before := 0, p.cpu()
	for range 21 {
		begin := time.Now()
		page, err := body(url)
		if err != nil {
			return err
		}
		took, size = append(took, time.Since(begin)), len(page)
	}
	slices.Sort(took)
	cpu := p.cpu() - before
	fmt.Printf("GET /metrics after %d packets: median %.1f ms, worst %.1f ms, %.1f ms CPU, %d bytes; exporter %.2f CPU s, %.0f MB at the most\n\n",
		n, float64(took[len(took)/2].Microseconds())/1000, float64(took[len(took)-1].Microseconds())/1000,
		float64(cpu.Microseconds())/1000/float64(len(took)), size, p.cpu().Seconds(), p.memory("VmHWM"))
	return nil
}

// body reads a page.
func body(url string) ([]byte, error) {
	resp, err := http.Get(url) //nolint:gosec,noctx // our own, on the loopback
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}
