package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tunnelBulk  = 300 << 20
	tunnelIdle  = 500
	tunnelCalls = 1500
)

// tunnelPair is a guardian and a gateway of one make.
type tunnelPair struct {
	name  string
	addr  string // where the guardian listens
	procs []*process
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
	go sink(back)
	pairs := []*tunnelPair{{name: "oriel"}, {name: "stunnel"}}
	for _, p := range pairs {
		if err := p.start(t, stunnel, dir, back.Addr().String()); err != nil {
			return err
		}
		defer p.stop()
	}
	fmt.Printf("%-10s %12s %12s %12s %14s %14s\n", "tunnel", "bulk MB/s", "CPU-s/GB", "conn/s", "CPU-ms/conn", "kB/idle conn")
	for _, p := range pairs {
		before := p.cpu()
		start := time.Now()
		if err := p.bulk(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		bulk, bulkCPU := time.Since(start), p.cpu()-before
		before, start = p.cpu(), time.Now()
		if err := p.calls(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		calls, callCPU := time.Since(start), p.cpu()-before
		memory, err := p.idle()
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Printf("%-10s %12.0f %12.2f %12.0f %14.2f %14.0f\n", p.name, tunnelBulk/1e6/bulk.Seconds(), bulkCPU.Seconds()*1e9/tunnelBulk,
			tunnelCalls/calls.Seconds(), callCPU.Seconds()*1e3/tunnelCalls, memory)
	}
	return nil
}

// sink answers the first byte of a connection with itself, and swallows the rest.
func sink(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			one := make([]byte, 1)
			if _, err := io.ReadFull(c, one); err != nil {
				return
			}
			_, _ = c.Write(one)
			_, _ = io.Copy(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c})
			_, _ = c.Write(one)
		}()
	}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (p *tunnelPair) start(t tools, stunnel, dir, back string) error {
	far, err := freePort()
	if err != nil {
		return err
	}
	if p.addr, err = freePort(); err != nil {
		return err
	}
	var commands [][]string
	if p.name == "oriel" {
		tls := "cert_file: %[1]s/%[2]s.crt, key_file: %[1]s/%[2]s.key, ca_file: %[1]s/ca/bundle.pem, max_connections: 5000"
		text := fmt.Sprintf("tunnels:\n  guardians:\n  - {name: t, listen: '%s', targets: ['%s'], server_name: localhost, %s}\n  gateways:\n  - {name: t, listen: '%s', targets: ['%s'], allow: [{o: acme}], %s}\n",
			p.addr, far, fmt.Sprintf(tls, dir, "g"), far, back, fmt.Sprintf(tls, dir, "s"))
		file := filepath.Join(dir, "oriel.yml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		for _, role := range []string{"gateway", "guardian"} {
			commands = append(commands, []string{t.oriel, "tunnel", role, "--config.file", file, "--web.listen-address", "127.0.0.1:0"})
		}
	} else {
		for cert, extra := range map[string]string{"s": "accept = " + far + "\nconnect = " + back, "g": "client = yes\naccept = " + p.addr + "\nconnect = " + far} {
			file := filepath.Join(dir, cert+".conf")
			text := fmt.Sprintf("foreground = yes\npid =\n[t]\ncert = %[1]s/%[2]s.crt\nkey = %[1]s/%[2]s.key\nCAfile = %[1]s/ca/bundle.pem\nverifyChain = yes\n%[3]s\n", dir, cert, extra)
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

func (p *tunnelPair) bulk() error {
	c, err := p.call()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	block := make([]byte, 256<<10)
	for sent := 0; sent < tunnelBulk; sent += len(block) {
		if _, err := c.Write(block); err != nil {
			return err
		}
	}
	_ = c.(*net.TCPConn).CloseWrite()
	_, err = io.ReadFull(c, block[:1])
	return err
}

func (p *tunnelPair) calls() error {
	var wg sync.WaitGroup
	var left, failed atomic.Int64
	left.Store(tunnelCalls)
	for range 8 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				c, err := p.call()
				if err != nil {
					failed.Add(1)
					continue
				}
				_ = c.Close()
			}
		})
	}
	wg.Wait()
	if n := failed.Load(); n > 0 {
		return fmt.Errorf("%d of %d connections failed", n, tunnelCalls)
	}
	return nil
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
