package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/proxyproto"
)

const (
	proxySeries    = 8000
	proxyCompanies = 50
	proxyRounds    = 5
	proxyTime      = 1500 * time.Millisecond
)

// tenantProxies compares what one company asks of a Prometheus directly with the same through the tenant proxy: 8,000
// series of 50 companies, four clients, with and without gzip.
func tenantProxies(t tools) error {
	stock, err := exec.LookPath("prometheus")
	if err != nil {
		fmt.Println("tenant proxy: prometheus is not installed")
		return nil
	}
	dir := filepath.Join(t.dir, "tenantproxy")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	page := providerPage()
	exporter, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })}
	go func() { _ = srv.Serve(exporter) }()
	defer func() { _ = srv.Close() }()
	upstream, err := freePort()
	if err != nil {
		return err
	}
	listen, err := freePort()
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n- {job_name: p, static_configs: [{targets: ['%s']}]}\n", exporter.Addr())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	prom, err := start(stock, "--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", upstream, "--log.level", "error")
	if err != nil {
		return err
	}
	defer prom.stop()
	file := filepath.Join(dir, "oriel.yml")
	text = fmt.Sprintf("tunnel_proxy:\n  listen: '%s'\n  upstream: http://%s\n  proxy_protocol: true\n  audit: false\n  companies: [{name: company7}]\n  limits: {company_rate: 1000000, company_concurrent: 64, concurrent: 64}\n", listen, upstream)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	proxy, err := start(t.oriel, "tunnel", "proxy", "--config.file", file, "--web.listen-address", "127.0.0.1:0", "--log.level", "error")
	if err != nil {
		return err
	}
	defer proxy.stop()
	now := time.Now().Unix()
	asked := map[string]string{
		"instant":  "/api/v1/query?query=" + url.QueryEscape(`vc_ct_enabled_status{company_name="company7"}`),
		"range":    "/api/v1/query_range?" + fmt.Sprintf("start=%d&end=%d&step=5&query=", now, now+60) + url.QueryEscape(`vc_ct_enabled_status{company_name="company7"}`),
		"federate": "/federate?match[]=" + url.QueryEscape(`{__name__=~"vc_.*",company_name="company7"}`),
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		n, err := (&proxyClient{addr: listen, header: true}).bytes(asked["instant"])
		if err == nil && n > 10000 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the proxy shows nothing: %d bytes, %w", n, err)
		}
	}
	time.Sleep(10 * time.Second) // so that ranges have some points
	fmt.Printf("%-10s %-5s %10s %10s %7s %14s %14s %12s\n", "query", "gzip", "direct/s", "proxied/s", "ratio", "Prom ms direct", "Prom ms proxied", "proxy ms")
	for _, what := range []string{"instant", "range", "federate"} {
		for _, gzip := range []bool{false, true} {
			var direct, proxied, ratio, promDirect, promProxied, own []float64
			for range proxyRounds {
				before := prom.cpu()
				a, err := load(upstream, asked[what], gzip, false)
				if err != nil {
					return err
				}
				middle, ownBefore := prom.cpu(), proxy.cpu()
				b, err := load(listen, asked[what], gzip, true)
				if err != nil {
					return err
				}
				each := func(d time.Duration, rate float64) float64 { return d.Seconds() * 1e3 / (rate * proxyTime.Seconds()) }
				direct, proxied, ratio = append(direct, a), append(proxied, b), append(ratio, b/a)
				promDirect, promProxied = append(promDirect, each(middle-before, a)), append(promProxied, each(prom.cpu()-middle, b))
				own = append(own, each(proxy.cpu()-ownBefore, b))
			}
			fmt.Printf("%-10s %-5t %10.0f %10.0f %7.2f %14.2f %14.2f %12.2f\n", what, gzip, median(direct), median(proxied), median(ratio), median(promDirect), median(promProxied), median(own))
		}
	}
	return nil
}

// providerPage is what a provider's exporter shows.
func providerPage() string {
	var b strings.Builder
	for i := range proxySeries {
		fmt.Fprintf(&b, "vc_ct_enabled_status{tunnel_id=\"t%d\",company_name=\"company%d\",host=\"hsm%d.example\",port=\"1102\",api_type=\"Excrypt\",port_header=\"none\",guardian_host=\"g\"} 1\n", i, i%proxyCompanies, i)
	}
	return b.String()
}

// load is how many requests per second four clients get answered, each over one connection.
func load(addr, target string, gzip, header bool) (float64, error) {
	var wg sync.WaitGroup
	var n atomic.Int64
	errs := make([]error, 4)
	ctx, cancel := context.WithTimeout(context.Background(), proxyTime)
	defer cancel()
	for i := range errs {
		wg.Go(func() {
			c := &proxyClient{addr: addr, header: header, gzip: gzip}
			for ctx.Err() == nil {
				if _, errs[i] = c.bytes(target); errs[i] != nil {
					return
				}
				n.Add(1)
			}
			_ = c.conn.Close()
		})
	}
	wg.Wait()
	return float64(n.Load()) / proxyTime.Seconds(), errors.Join(errs...)
}

// proxyClient asks over one connection, which may begin with the header of a gateway.
type proxyClient struct {
	addr         string
	header, gzip bool
	conn         net.Conn
	r            *bufio.Reader
}

func (c *proxyClient) bytes(target string) (int64, error) {
	if c.conn == nil {
		var err error
		if c.conn, err = net.Dial("tcp", c.addr); err != nil {
			return 0, err
		}
		c.r = bufio.NewReaderSize(c.conn, 64<<10)
		if c.header {
			if _, err := c.conn.Write(proxyproto.Header{Company: "company7"}.Append(nil)); err != nil {
				return 0, err
			}
		}
	}
	encoding := ""
	if c.gzip {
		encoding = "Accept-Encoding: gzip\r\n"
	}
	if _, err := fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", target, encoding); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("%s: %s", target, resp.Status))
	}
	return n, err
}
