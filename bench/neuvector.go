package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/conf"
	simulated "github.com/orielhq/oriel/internal/demo/neuvector"
	"github.com/orielhq/oriel/internal/neuvector"
)

// neuvectors compares a full refresh with the same calls made one after
// another, as the official exporter makes them, against a simulated controller
// that takes 20 ms per call.
func neuvectors(t tools) (err error) {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	dir := filepath.Join(t.dir, "neuvector")
	const password = "a password"
	size := simulated.Size{
		Seed: 1, Hosts: 50, Unreachable: 2, Services: 500, Workloads: 3750, Registries: 4, Images: 10_000,
		Threats: 100, Incidents: 100, Violations: 100, Scanners: 2,
	}
	world := size.World(time.Now())
	controller, err := simulated.New(simulated.Config{Dir: dir, Password: password, Latency: 20 * time.Millisecond}, world, quiet)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := controller.Open(ctx); err != nil {
		cancel()
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- controller.Run(ctx) }()
	defer func() { cancel(); err = errors.Join(err, <-ended) }()

	took := map[int]time.Duration{}
	for _, concurrency := range []int{1, 0} {
		cfg := neuvector.Default()
		cfg.Address, cfg.Username, cfg.Password, cfg.Groups = controller.Addr(), "monitor", conf.Secret(password), neuvector.Groups()
		cfg.TLS.CAFile, cfg.Concurrency = controller.CAFile(), concurrency
		c, err := neuvector.New(cfg, quiet)
		if err != nil {
			return err
		}
		start := time.Now()
		if err := c.Refresh(ctx); err != nil {
			return err
		}
		took[concurrency] = time.Since(start)
		if n, m := len(c.Images()), len(c.Workloads()); n != 10_000 || m < 5000 {
			return fmt.Errorf("refresh: %d images and %d workloads", n, m)
		}
	}
	page, rss, err := neuvectorPage(t, controller, password)
	if err != nil {
		return err
	}
	fmt.Printf("neuvector: 10,000 images, 5,000 workloads, 50 enforcers (2 away), 20 ms a call\n")
	fmt.Printf("  calls one after another %8.2f s\n  oriel                   %8.2f s   1/%.1f (1/5 asked)\n", took[1].Seconds(), took[0].Seconds(), took[1].Seconds()/took[0].Seconds())
	fmt.Printf("  /metrics of oriel export neuvector %.0f ms, of %d bytes; %.0f MB resident\n\n", page.took.Seconds()*1000, page.bytes, rss)
	return nil
}

type fetched struct {
	took  time.Duration
	bytes int64
}

// neuvectorPage runs the exporter until it has read all, and fetches its page.
func neuvectorPage(t tools, controller *simulated.Controller, password string) (f fetched, rss float64, err error) {
	secret, addr := filepath.Join(t.dir, "neuvector.password"), filepath.Join(t.dir, "neuvector.addr")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return f, 0, err
	}
	p, err := start(t.oriel, "export", "neuvector", "--server", controller.Addr(), "--username", "monitor", "--password-file", secret,
		"--tls.ca-file", controller.CAFile(), "--web.listen-address", "127.0.0.1:0", "--web.addr-file", addr)
	if err != nil {
		return f, 0, err
	}
	defer p.stop()
	base, err := address(addr)
	if err != nil {
		return f, 0, err
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		start := time.Now()
		n, err := fetch(base+"/metrics", false)
		f = fetched{time.Since(start), n}
		if err == nil && n > 500_000 {
			break // 500 images and services have series of their own
		}
		if time.Now().After(deadline) {
			return f, 0, errors.Join(fmt.Errorf("a page of %d bytes after a minute", n), err)
		}
	}
	start := time.Now()
	f.bytes, err = fetch(base+"/metrics", false)
	f.took = time.Since(start)
	return f, p.memory("VmRSS"), err
}

// address waits for the file in which a program writes where it listens.
func address(file string) (string, error) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(file); err == nil && len(b) > 0 {
			return "http://" + strings.TrimSpace(string(b)), nil
		}
	}
	return "", fmt.Errorf("%s: nobody listens", file)
}
