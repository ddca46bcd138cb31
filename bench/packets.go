package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	fmt.Printf("A capture of %d packets, %d MB, mean %d B (%d packets of real captures, %d times with other addresses)\n",
		n, info.Size()>>20, info.Size()/int64(n), len(base), times)
	fmt.Printf("%-52s %9s %9s %9s\n", "", "CPU s", "wall s", "RSS MB")
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
	for _, r := range runs {
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
		fmt.Printf("%-52s %9.2f %9.2f %9.0f\n", r.what, u.cpu.Seconds(), u.wall.Seconds(), u.rss)
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
	for before := time.Duration(-1); before != p.cpu(); time.Sleep(500 * time.Millisecond) {
		before = p.cpu() // until it is idle: everything is read
	}
	begin := time.Now()
	size, err := fetch(url, false)
	if err != nil {
		return err
	}
	fmt.Printf("curl /metrics after %d packets: %.1f ms, %d bytes; exporter %.2f CPU s, %.0f MB at the most\n\n",
		n, float64(time.Since(begin).Microseconds())/1000, size, p.cpu().Seconds(), p.memory("VmHWM"))
	return nil
}
