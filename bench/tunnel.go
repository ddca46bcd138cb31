package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	tunnelBulk   = 300 << 20
	tunnelRounds = 7
	tunnelIdle   = 500
	tunnelCalls  = 800
)

// tunnelPair is a guardian and a gateway of one make.
type tunnelPair struct {
	name    string
	program string // of ours
	addr    string // where the guardian listens
	procs   []*process

	figures []tunnelFigures // of each round
}

// tunnels compares our guardian and gateway with a pair of stunnels: bulk, new connections, idle memory.
func tunnels(t tools) error {
	stunnel, err := exec.LookPath("stunnel4")
	if err != nil {
		fmt.Println("tunnels: stunnel4 is not installed")
		return nil
	}
	dir := filepath.Join(t.dir, "tunnels")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, args := range []string{"init", "issue --profile tunnel-server --name s --dns localhost --out " + dir + "/s", "issue --name g --company acme --out " + dir + "/g"} {
		if out, err := exec.Command(t.oriel, append([]string{"pki", "--dir", dir + "/ca"}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("pki: %s", out)
		}
	}
	back, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = back.Close() }()
	if err := sink(back.(*net.TCPListener)); err != nil {
		return err
	}
	// One bundle of certificate and key, as haproxy wants it.
	for _, name := range []string{"s", "g"} {
		crt, err := os.ReadFile(filepath.Join(dir, name+".crt"))
		if err != nil {
			return err
		}
		key, err := os.ReadFile(filepath.Join(dir, name+".key"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".pem"), append(crt, key...), 0o600); err != nil {
			return err
		}
	}
	pairs := []*tunnelPair{{name: "stunnel"}, {name: "oriel"}, {name: "oriel-x25519"}}
	if before := os.Getenv("ORIEL_BENCH_BEFORE"); before != "" { // another build of ours
		pairs = append(pairs, &tunnelPair{name: "before", program: before}, &tunnelPair{name: "before-x25519", program: before})
	}
	if _, err := exec.LookPath("haproxy"); err == nil {
		pairs = append(pairs, &tunnelPair{name: "haproxy"})
	}
	pairs = append(pairs, &tunnelPair{name: "direct"}) // what the generator, the sink and the kernel can do without a tunnel
	for _, p := range pairs {
		if p.program == "" {
			p.program = t.oriel
		}
		if err := p.start(stunnel, dir, back.Addr().String()); err != nil {
			return err
		}
		defer p.stop()
	}
	load := []string{loads()}
	for range tunnelRounds { // in turn, seconds apart: the ratio of a round is what counts on a busy machine
		for _, p := range pairs {
			if err := p.round(); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		load = append(load, loads())
	}
	fmt.Println("load before and after each round:", strings.Join(load, " "))
	// Rates are of the machine as a whole, and it may have other work; CPU is the pair's own. "less" is how many times less of it than stunnel.
	fmt.Printf("%-13s %9s %6s %9s %5s %9s %6s %9s %5s %9s %6s %9s %5s\n", "tunnel", "MB/s", "ratio", "CPU-s/GB", "less",
		"MB/s x4", "ratio", "CPU-s/GB", "less", "conn/s", "ratio", "CPU-ms", "less")
	for _, p := range pairs {
		ratio := func(of func(tunnelFigures) float64) float64 {
			var list []float64
			for i, f := range p.figures {
				list = append(list, of(f)/of(pairs[0].figures[i]))
			}
			return median(list)
		}
		mid := func(of func(tunnelFigures) float64) float64 {
			var list []float64
			for _, f := range p.figures {
				list = append(list, of(f))
			}
			return median(list)
		}
		row := []any{p.name}
		for i := range 3 {
			rate, cpu := func(f tunnelFigures) float64 { return f.rate[i] }, func(f tunnelFigures) float64 { return f.cpu[i] }
			less := 0.0 // there is no pair in between
			if r := ratio(cpu); r > 0 {
				less = 1 / r
			}
			row = append(row, mid(rate), ratio(rate), mid(cpu), less)
		}
		fmt.Printf("%-13s %9.0f %6.2f %9.2f %5.2f %9.0f %6.2f %9.2f %5.2f %9.0f %6.2f %9.2f %5.2f\n", row...)
	}
	fmt.Println()
	for _, p := range pairs {
		if len(p.procs) == 0 {
			continue
		}
		memory, err := p.idle()
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Printf("%-13s %.0f kB for each of %d idle connections, both ends\n", p.name, memory, tunnelIdle)
	}
	return nil
}

// tunnelFigures are of one round: bulk over one connection, over four, and new connections.
type tunnelFigures struct{ rate, cpu [3]float64 }

func (p *tunnelPair) round() error {
	var f tunnelFigures
	measure := func(i int, units, gigabytes float64, work func() error) error {
		before, start := p.cpu(), time.Now()
		if err := work(); err != nil {
			return err
		}
		f.rate[i], f.cpu[i] = units/time.Since(start).Seconds(), (p.cpu()-before).Seconds()/gigabytes
		return nil
	}
	err := errors.Join(
		measure(0, tunnelBulk/1e6, tunnelBulk/1e9, func() error { return p.bulk(tunnelBulk) }),
		measure(1, tunnelBulk/1e6, tunnelBulk/1e9, func() error {
			var wg sync.WaitGroup
			errs := make([]error, 4)
			for i := range errs {
				wg.Go(func() { errs[i] = p.bulk(tunnelBulk / len(errs)) })
			}
			wg.Wait()
			return errors.Join(errs...)
		}),
		measure(2, tunnelCalls, tunnelCalls/1e3, func() error { return callMany(p.addr, tunnelCalls, 8) }),
	)
	p.figures = append(p.figures, f)
	return err
}

// loads is the load average of the last minute.
func loads() string {
	b, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(b), " ")
	return one
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (p *tunnelPair) start(stunnel, dir, back string) error {
	if p.name == "direct" {
		p.addr = back
		return nil
	}
	far, err := freePort()
	if err != nil {
		return err
	}
	if p.addr, err = freePort(); err != nil {
		return err
	}
	var commands [][]string
	switch p.name {
	case "oriel", "oriel-x25519", "before", "before-x25519":
		tls := "cert_file: %[1]s/%[2]s.crt, key_file: %[1]s/%[2]s.key, ca_file: %[1]s/ca/bundle.pem, max_connections: 5000, post_quantum: " + fmt.Sprint(!strings.HasSuffix(p.name, "x25519"))
		text := fmt.Sprintf("tunnels:\n  guardians:\n  - {name: t, listen: '%s', targets: ['%s'], server_name: localhost, %s}\n  gateways:\n  - {name: t, listen: '%s', targets: ['%s'], allow: [{o: acme}], %s}\n",
			p.addr, far, fmt.Sprintf(tls, dir, "g"), far, back, fmt.Sprintf(tls, dir, "s"))
		file := filepath.Join(dir, p.name+".yml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		for _, role := range []string{"gateway", "guardian"} {
			commands = append(commands, []string{p.program, "tunnel", role, "--config.file", file, "--web.listen-address", "127.0.0.1:0"})
		}
	case "haproxy":
		file := filepath.Join(dir, "haproxy.cfg")
		text := fmt.Sprintf("global\n  maxconn 5000\n  nbthread 2\ndefaults\n  mode tcp\n  timeout connect 10s\n  timeout client 10m\n  timeout server 10m\n"+
			"listen guardian\n  bind %[1]s\n  server s %[2]s ssl crt %[4]s/g.pem ca-file %[4]s/ca/bundle.pem verify required sni str(localhost) verifyhost localhost\n"+
			"listen gateway\n  bind %[2]s ssl crt %[4]s/s.pem ca-file %[4]s/ca/bundle.pem verify required\n  server b %[3]s\n", p.addr, far, back, dir)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		commands = append(commands, []string{"haproxy", "-db", "-f", file})
	default:
		for cert, extra := range map[string]string{"s": "accept = " + far + "\nconnect = " + back, "g": "client = yes\naccept = " + p.addr + "\nconnect = " + far} {
			file := filepath.Join(dir, cert+".conf")
			text := fmt.Sprintf("foreground = yes\npid =\ndebug = err\n[t]\ncert = %[1]s/%[2]s.crt\nkey = %[1]s/%[2]s.key\nCAfile = %[1]s/ca/bundle.pem\nverifyChain = yes\n%[3]s\n", dir, cert, extra)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				return err
			}
			commands = append(commands, []string{stunnel, file})
		}
	}
	for _, c := range commands {
		one, err := start(c[0], c[1:]...)
		if err != nil {
			return err
		}
		p.procs = append(p.procs, one)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := p.call()
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not come up: %w", p.name, err)
		}
	}
}

func (p *tunnelPair) stop() {
	for _, one := range p.procs {
		one.stop()
	}
}

func (p *tunnelPair) cpu() (total time.Duration) {
	for _, one := range p.procs {
		total += one.cpu()
	}
	return total
}

func (p *tunnelPair) memory() (mb float64) {
	for _, one := range p.procs {
		mb += one.memory("RssAnon")
	}
	return mb
}

// call connects and sees one byte go through and come back.
func (p *tunnelPair) call() (net.Conn, error) {
	c, err := net.DialTimeout("tcp", p.addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	one := []byte{1}
	_, werr := c.Write(one)
	_, rerr := io.ReadFull(c, one)
	if err := errors.Join(werr, rerr); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func (p *tunnelPair) bulk(size int) error {
	c, err := p.call()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	block := make([]byte, 256<<10)
	for sent := 0; sent < size; sent += len(block) {
		if _, err := c.Write(block); err != nil {
			return err
		}
	}
	_ = c.(*net.TCPConn).CloseWrite()
	_, err = io.ReadFull(c, block[:1])
	return err
}

// idle is the memory per connection, in kB, both ends together.
func (p *tunnelPair) idle() (float64, error) {
	before := p.memory()
	for range tunnelIdle {
		c, err := p.call()
		if err != nil {
			return 0, err
		}
		defer func() { _ = c.Close() }()
	}
	time.Sleep(5 * time.Second) // let the collector work
	return (p.memory() - before) * 1024 / tunnelIdle, nil
}
