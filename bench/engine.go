package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

const (
	targets      = 4
	targetSeries = 5_000
	engineTime   = 60 * time.Second
)

// idle measures a server that has nothing to do.
func idle(t tools) error {
	fmt.Println("oriel serve, nothing configured")
	for _, wait := range []time.Duration{0, 30 * time.Second} {
		addrFile := filepath.Join(t.dir, "addr")
		begin := time.Now()
		p, err := start(t.oriel, "serve", "--web.listen-address", "127.0.0.1:0", "--web.addr-file", addrFile, "--data.dir", filepath.Join(t.dir, "idle"))
		if err != nil {
			return err
		}
		if err = waitFor("http://" + addr(addrFile) + "/-/ready"); err == nil {
			ready := time.Since(begin)
			time.Sleep(wait)
			fmt.Printf("%-34s ready after %.2f s, RSS %.0f MB, of that anonymous %.0f MB\n", fmt.Sprintf("after %s more", wait), ready.Seconds(), p.memory("VmRSS"), p.memory("RssAnon"))
		}
		p.stop()
		if err != nil {
			return err
		}
	}
	fmt.Println()
	return nil
}

// engines lets the embedded engine and a stock Prometheus scrape the same
// targets at the same time, and evaluate the same rule.
func engines(t tools) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var count atomic.Int64
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { page(w, count.Add(1)) }), ReadHeaderTimeout: time.Second}
	go func() { _ = srv.Serve(l) }()
	defer func() { _ = srv.Close() }()

	var list []string
	for i := range targets {
		list = append(list, fmt.Sprintf(`{targets: [%q], labels: {n: "%d"}}`, l.Addr(), i))
	}
	rules := filepath.Join(t.dir, "rules.yml")
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%s]\nscrape_configs: [{job_name: bench, static_configs: [%s]}]\n", rules, strings.Join(list, ", "))
	prometheusFile, orielFile := filepath.Join(t.dir, "prometheus.yml"), filepath.Join(t.dir, "oriel.yml")
	for file, text := range map[string]string{
		rules:          "groups: [{name: a, rules: [{record: 'bench:sum', expr: 'sum by (n) (rate(bench_total[30s]))'}]}]\n",
		prometheusFile: config,
		orielFile:      "prometheus:\n  " + strings.ReplaceAll(strings.TrimSpace(config), "\n", "\n  ") + "\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
	}
	free, err := freeAddress()
	if err != nil {
		return err
	}
	addrFile := filepath.Join(t.dir, "addr")
	oriel, err := start(t.oriel, "serve", "--config.file", orielFile, "--web.listen-address", "127.0.0.1:0", "--web.addr-file", addrFile, "--data.dir", filepath.Join(t.dir, "oriel-data"))
	if err != nil {
		return err
	}
	defer oriel.stop()
	stock, err := start(t.prometheus, "--config.file", prometheusFile, "--web.listen-address", free, "--storage.tsdb.path", filepath.Join(t.dir, "prometheus-data"))
	if err != nil {
		return err
	}
	defer stock.stop()
	if err := waitFor("http://" + addr(addrFile) + "/-/ready"); err != nil {
		return err
	}
	if err := waitFor("http://" + free + "/-/ready"); err != nil {
		return err
	}
	time.Sleep(15 * time.Second) // until both scrape all targets and have the series in memory
	beforeOriel, beforeStock := oriel.cpu(), stock.cpu()
	time.Sleep(engineTime)
	usedOriel, usedStock := oriel.cpu()-beforeOriel, stock.cpu()-beforeStock
	fmt.Printf("The engine: %d targets of %d series each second, one rule, for %s\n", targets, targetSeries, engineTime)
	fmt.Printf("%-34s CPU %6.2f s, RSS %4.0f MB\n", "oriel serve", usedOriel.Seconds(), oriel.memory("VmRSS"))
	fmt.Printf("%-34s CPU %6.2f s, RSS %4.0f MB\n", "prometheus of the same release", usedStock.Seconds(), stock.memory("VmRSS"))
	fmt.Printf("%-34s %.2f\n", "ratio", usedOriel.Seconds()/usedStock.Seconds())
	return nil
}

// page is a target with counters that move.
func page(w http.ResponseWriter, tick int64) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	b := []byte("# TYPE bench_total counter\n")
	for i := range targetSeries {
		b = fmt.Appendf(b, "bench_total{series=\"%d\",kind=\"%d\"} %d\n", i, i%7, tick*int64(i%13))
	}
	_, _ = w.Write(b)
}
