package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

const (
	peers   = 10_000
	scrapes = 20
	// wgctrl, and so mdlayher's exporter, can look nowhere else.
	socketDir = "/var/run/wireguard"
)

// exporters measures a scrape of a device with 10,000 peers of two allowed IPs
// each. The device is a canned answer of this process, so its time is not counted.
func exporters(t tools) error {
	if err := os.MkdirAll(socketDir, 0o700); err != nil {
		return fmt.Errorf("exporters: %w", err)
	}
	socket := filepath.Join(socketDir, fmt.Sprintf("bench%d.sock", os.Getpid()))
	l, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("exporters: %w", err)
	}
	defer func() { _ = l.Close() }()
	go answer(l)

	fmt.Printf("A scrape of %d WireGuard peers with two allowed IPs each (mean of %d)\n", peers, scrapes)
	fmt.Printf("%-34s %9s %9s %9s %9s %9s\n", "", "CPU ms", "wall ms", "page MB", "RSS MB", "anon MB")
	name := strings.TrimSuffix(filepath.Base(socket), ".sock")
	addrFile := filepath.Join(t.dir, "addr")
	p, err := start(t.oriel, "export", "wireguard", "-l", "127.0.0.1", "-p", "0", "-i", name, "--web.addr-file", addrFile)
	if err != nil {
		return err
	}
	err = scrape("oriel", p, "http://"+addr(addrFile)+"/metrics")
	p.stop()
	if err != nil {
		return err
	}
	free, err := freeAddress()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if p, err = start(self, usualArg, free); err != nil {
		return err
	}
	defer p.stop()
	err = scrape("the usual way", p, "http://"+free+"/metrics")
	fmt.Println("The usual way: wgctrl and client_golang, mdlayher's six families; that exporter itself is not in the module mirror.")
	fmt.Println("Oriel's page has 2.3 times the series: it carries MindFlavor's and its own families too.")
	fmt.Println()
	return err
}

func scrape(name string, p *process, url string) error {
	if err := waitFor(url); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, gzip := range []bool{false, true} {
		before, wall, size := p.cpu(), time.Duration(0), int64(0)
		for range scrapes {
			time.Sleep(1100 * time.Millisecond) // longer than oriel's cache: each scrape reads the device
			begin := time.Now()
			var err error
			if size, err = fetch(url, gzip); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			wall += time.Since(begin)
		}
		shown := name
		if gzip {
			shown += ", gzip asked for"
		}
		fmt.Printf("%-34s %9.1f %9.1f %9.2f %9.1f %9.1f\n", shown, ms(p.cpu()-before)/scrapes, ms(wall)/scrapes, float64(size)/1e6, p.memory("VmRSS"), p.memory("RssAnon"))
	}
	return nil
}

// answer is the device.
func answer(l net.Listener) {
	var canned strings.Builder
	proctest.Peers(peers)(&canned)
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			for r := bufio.NewReader(c); ; {
				if line, err := r.ReadString('\n'); err != nil {
					return
				} else if line == "\n" {
					_, _ = io.WriteString(c, canned.String())
				}
			}
		}()
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func addr(file string) string {
	for {
		b, err := os.ReadFile(file)
		if line, _, ok := strings.Cut(string(b), "\n"); ok && err == nil {
			_ = os.Remove(file)
			return line
		}
		time.Sleep(time.Millisecond)
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}
