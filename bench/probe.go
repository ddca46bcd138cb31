package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// bareArg makes this program the loop to compare with.
	bareArg      = "bare-probe"
	probeCount   = 2000 // of each kind and round
	probeWorkers = 8
	probeRounds  = 3
	probeTargets = 300 // ours probes each of them once a second
)

// bareProbe does what a probe cannot do without: dial, handshake with both
// certificates verified, a line there and back. Go's own TLS, all parsed once.
func bareProbe(addr, dir string) error {
	pair, err := tls.LoadX509KeyPair(dir+"/p.crt", dir+"/p.key")
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(dir + "/ca/bundle.pem")
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: x509.NewCertPool(), ServerName: "localhost", MinVersion: tls.VersionTLS12}
	config.RootCAs.AppendCertsFromPEM(pem)
	one := func() error {
		c, err := tls.Dial("tcp", addr, config)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if _, err := io.WriteString(c, "0123456789abcdef0123456789abcdef\n"); err != nil {
			return err
		}
		_, err = bufio.NewReader(c).ReadString('\n')
		return err
	}
	return inParallel(probeCount, one)
}

func inParallel(n int64, f func() error) error {
	var wg sync.WaitGroup
	var left, failed atomic.Int64
	left.Store(n)
	for range probeWorkers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if f() != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if bad := failed.Load(); bad > 0 {
		return fmt.Errorf("%d of %d probes failed", bad, n)
	}
	return nil
}

// probes compares the CPU of a probe (mutual TLS and an echo) in a bare loop, in
// ours, and in blackbox_exporter.
func probes(t tools) error {
	dir := filepath.Join(t.dir, "probes")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, args := range []string{"init", "issue --profile tunnel-server --name s --dns localhost --out " + dir + "/s", "issue --profile prober --name p --company acme --out " + dir + "/p"} {
		if out, err := exec.Command(t.oriel, append([]string{"pki", "--dir", dir + "/ca"}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("pki %s: %s", args, out)
		}
	}
	addr, stop, err := echoServer(dir)
	if err != nil {
		return err
	}
	defer stop()
	var all []*prober
	scheduled, err := startOriel(t, dir, addr, probeTargets)
	if err != nil {
		return err
	}
	defer scheduled.stop()
	asked, err := startOriel(t, dir, addr, 1)
	if err != nil {
		return err
	}
	defer asked.stop()
	all = append(all,
		&prober{name: "bare loop", run: func() (time.Duration, int64, error) { return runBare(addr, dir) }},
		&prober{name: "oriel, scheduled", run: scheduled.watch},
		&prober{name: "oriel, /probe", run: func() (time.Duration, int64, error) { return asked.ask("target=0") }})
	if blackbox, err := exec.LookPath("prometheus-blackbox-exporter"); err == nil {
		b, err := startBlackbox(blackbox, dir)
		if err != nil {
			return err
		}
		defer b.stop()
		all = append(all, &prober{name: "blackbox_exporter, /probe", run: func() (time.Duration, int64, error) { return b.ask("module=echo&target=" + addr) }})
	} else {
		fmt.Println("probes: prometheus-blackbox-exporter is not installed")
	}
	for range probeRounds {
		for _, p := range all {
			cpu, n, err := p.run()
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			p.ms = append(p.ms, cpu.Seconds()*1e3/float64(n))
		}
	}
	fmt.Printf("%-26s %16s %16s\n", "probe: mutual TLS, echo", "CPU-ms/probe", "to bare loop")
	for _, p := range all {
		var ratios []float64 // of the same round
		for i, ms := range p.ms {
			ratios = append(ratios, ms/all[0].ms[i])
		}
		fmt.Printf("%-26s %16.2f %16.2f\n", p.name, median(slices.Clone(p.ms)), median(ratios)) // a median sorts
	}
	return nil
}

type prober struct {
	name string
	run  func() (cpu time.Duration, probes int64, err error)
	ms   []float64 // of each round
}

// echoServer sends lines back, to clients with a certificate.
func echoServer(dir string) (addr string, stop func(), err error) {
	pair, err := tls.LoadX509KeyPair(dir+"/s.crt", dir+"/s.key")
	if err != nil {
		return "", nil, err
	}
	pem, err := os.ReadFile(dir + "/ca/bundle.pem")
	if err != nil {
		return "", nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12})
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String(), func() { _ = l.Close() }, nil
}

func runBare(addr, dir string) (time.Duration, int64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	cmd := exec.Command(self, bareArg, addr, dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return 0, 0, err
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), probeCount, nil
}

// exporter is a program that probes.
type exporter struct {
	*process
	url string
}

func startOriel(t tools, dir, addr string, targets int) (*exporter, error) {
	_, port, _ := net.SplitHostPort(addr)
	var text strings.Builder
	interval, timeout := "1s", "1s"
	if targets == 1 {
		interval, timeout = "1h", "10s" // it is asked
	}
	fmt.Fprintf(&text, "probes:\n  interval: %s\n  timeout: %s\n  anonymous_interval: 0\n  concurrency: %d\n  targets:\n", interval, timeout, probeWorkers)
	for i := range targets {
		fmt.Fprintf(&text, "  - {id: '%d', company: acme, host: localhost, port: %s, address: '%s', api: plain, confirm: false, tls: {ca_file: %[4]s/ca/bundle.pem, cert_file: %[4]s/p.crt, key_file: %[4]s/p.key, server_name: localhost}}\n", i, port, addr, dir)
	}
	name := filepath.Join(dir, fmt.Sprintf("oriel-%d.yml", targets))
	if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	listen, err := freePort()
	if err != nil {
		return nil, err
	}
	return startExporter(listen, t.oriel, "export", "tunnels", "--config.file", name, "--web.listen-address", listen)
}

func startBlackbox(program, dir string) (*exporter, error) {
	text := fmt.Sprintf("modules:\n  echo:\n    prober: tcp\n    timeout: 5s\n    tcp:\n      tls: true\n      tls_config: {ca_file: %[1]s/ca/bundle.pem, cert_file: %[1]s/p.crt, key_file: %[1]s/p.key, server_name: localhost}\n"+
		"      query_response: [{send: 0123456789abcdef0123456789abcdef}, {expect: 0123456789abcdef0123456789abcdef}]\n", dir)
	name := filepath.Join(dir, "blackbox.yml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return nil, err
	}
	listen, err := freePort()
	if err != nil {
		return nil, err
	}
	return startExporter(listen, program, "--config.file="+name, "--web.listen-address="+listen)
}

func startExporter(listen, program string, args ...string) (*exporter, error) {
	p, err := start(program, args...)
	if err != nil {
		return nil, err
	}
	return &exporter{p, "http://" + listen}, waitFor("http://" + listen + "/metrics")
}

// ask has the exporter probe on request, and checks that the probes succeed.
func (e *exporter) ask(query string) (time.Duration, int64, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: probeWorkers}}
	defer client.CloseIdleConnections()
	before := e.cpu()
	err := inParallel(probeCount, func() error {
		page, err := get(client, e.url+"/probe?"+query)
		if err == nil && !strings.Contains(page, "\nprobe_success 1\n") {
			err = fmt.Errorf("probe failed:\n%s", page)
		}
		return err
	})
	return e.cpu() - before, probeCount, err
}

// watch lets the exporter probe by itself for some seconds.
func (e *exporter) watch() (time.Duration, int64, error) {
	n, failed, err := e.done()
	if err != nil {
		return 0, 0, err
	}
	before := e.cpu()
	time.Sleep(8 * time.Second)
	cpu := e.cpu() - before
	m, stillFailed, err := e.done()
	if err == nil && (stillFailed > failed || m <= n) {
		err = fmt.Errorf("%d probes, %d of them failed", m-n, stillFailed-failed)
	}
	return cpu, m - n, err
}

// done is how many probes there were, and how many of them failed.
func (e *exporter) done() (n, failed int64, err error) {
	page, err := get(http.DefaultClient, e.url+"/metrics")
	for line := range strings.Lines(page) {
		i := strings.LastIndexByte(line, ' ')
		v, _ := strconv.ParseFloat(strings.TrimSpace(line[i+1:]), 64)
		switch {
		case strings.HasPrefix(line, "oriel_tunnel_probes_total{"):
			n += int64(v)
		case strings.HasPrefix(line, "oriel_tunnel_probe_failures_total{"):
			failed += int64(v)
		}
	}
	return n, failed, err
}

func get(client *http.Client, url string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}
