package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// freePort returns a port that was free a moment ago, for programs that cannot say which one they took.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// stockPrometheus runs Debian's Prometheus with a configuration and returns its URL.
func stockPrometheus(t *testing.T, addr, config string) string {
	t.Helper()
	dir := t.TempDir()
	spawn(t, proctest.External(t, "prometheus"), "--config.file", write(t, filepath.Join(dir, "prometheus.yml"), config),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", addr, "--web.enable-remote-write-receiver")
	base := "http://" + addr
	proctest.Eventually(t, 30*time.Second, func() (bool, string) {
		code, body := get(t, base+"/-/ready")
		return code == http.StatusOK, body
	})
	return base
}

func TestStockPrometheusBesideUs(t *testing.T) {
	addr := freePort(t)
	dir := t.TempDir()
	config := write(t, filepath.Join(dir, "oriel.yml"), fmt.Sprintf(`instance: box
collect_interval: 1s
wireguard: {interfaces: [nosuch]}
prometheus:
  global: {scrape_interval: 1s, external_labels: {site: here}}
  remote_write:
    - url: http://%s/api/v1/write
      queue_config: {batch_send_deadline: 1s}
      write_relabel_configs: [{source_labels: [job], regex: stock, action: keep}]
  scrape_configs:
    - job_name: stock
      static_configs: [{targets: ["%s"]}]
`, addr, addr))
	base, _ := serve(t, "serve", "--config.file", config)
	stock := stockPrometheus(t, addr, fmt.Sprintf(`global: {scrape_interval: 1s}
scrape_configs:
  - job_name: oriel
    static_configs: [{targets: ["%[1]s"]}]
  - job_name: federated
    metrics_path: /federate
    params: {"match[]": ['{__name__=~"oriel_.*"}']}
    honor_labels: true
    static_configs: [{targets: ["%[1]s"]}]
remote_write:
  - url: http://%[1]s/api/v1/write
    queue_config: {batch_send_deadline: 1s}
    write_relabel_configs:
      - {source_labels: [__name__, job], regex: up;oriel, action: keep}
      - {target_label: origin, replacement: stock}
remote_read:
  - url: http://%[1]s/api/v1/read
    read_recent: true
`, strings.TrimPrefix(base, "http://")))

	const wait = 40 * time.Second
	t.Run("it scrapes us", func(t *testing.T) {
		eventually(t, wait, stock, `up{job="oriel"}`, `"1"]`)
		eventually(t, wait, stock, `wireguard_scrape_success{job="oriel",device="nosuch"}`, `"0"]`)
	})
	t.Run("it federates from us", func(t *testing.T) {
		eventually(t, wait, stock, `oriel_build_info{job="oriel",instance="box",site="here"}`, hasData)
	})
	t.Run("it writes to us", func(t *testing.T) {
		eventually(t, wait, base, `up{origin="stock",job="oriel"}`, `"1"]`)
	})
	t.Run("we write to it", func(t *testing.T) {
		eventually(t, wait, stock, `up{job="stock",site="here"}`, `"1"]`)
	})
	t.Run("it reads from us", func(t *testing.T) {
		// Its own scrape of us has our address as instance.
		eventually(t, wait, stock, `go_goroutines{job="oriel",instance="box"}`, hasData)
	})
	t.Run("we scrape it", func(t *testing.T) {
		eventually(t, wait, base, `prometheus_build_info{job="stock"}`, hasData)
	})

	t.Run("promtool works against us", func(t *testing.T) {
		promtool := proctest.External(t, "promtool")
		if out := command(t, promtool, "query", "instant", base, `up{job="oriel"}`); !strings.Contains(out, `up{instance="box", job="oriel"} => 1`) {
			t.Errorf("query instant = %s", out)
		}
		command(t, promtool, "query", "range", base, "up")
		if out := command(t, promtool, "query", "labels", base, "job"); !strings.Contains(out, "stock") {
			t.Errorf("query labels = %s", out)
		}
		if out := command(t, promtool, "query", "series", "--match", "up", base); !strings.Contains(out, `job="oriel"`) {
			t.Errorf("query series = %s", out)
		}
		_, page := get(t, base+"/metrics/wireguard")
		check := exec.Command(promtool, "check", "metrics")
		check.Stdin = strings.NewReader(page)
		out, err := check.CombinedOutput()
		for line := range strings.Lines(string(out)) {
			// Names that are the peers' own stay as they are.
			if !strings.Contains(line, "wireguard_") {
				t.Errorf("check metrics: %s", line)
			}
		}
		if err != nil && len(out) == 0 {
			t.Errorf("check metrics: %v", err)
		}
		command(t, promtool, "check", "rules", "../rules/wireguard.yml")
		test := exec.Command(promtool, "test", "rules", "wireguard_test.yml")
		test.Dir = "../rules"
		if out, err := test.CombinedOutput(); err != nil {
			t.Errorf("test rules: %v\n%s", err, out)
		}
	})
	t.Run("oriel promql works against it", func(t *testing.T) {
		if out := command(t, oriel, "promql", "--url", stock, `up{job="oriel"}`); !strings.Contains(out, "VALUE") || !strings.Contains(out, `job="oriel"`) {
			t.Errorf("promql = %s", out)
		}
		if out := command(t, oriel, "promql", "--url", stock, "--range", "1m", "-o", "plot", `up{job="oriel"}`); !strings.Contains(out, "┤") {
			t.Errorf("promql plot = %s", out)
		}
		if out := command(t, oriel, "promql", "--url", base, "-o", "json", "1+1"); !strings.Contains(out, `"resultType": "scalar"`) {
			t.Errorf("promql json = %s", out)
		}
	})
}

func TestAmtool(t *testing.T) {
	amtool := proctest.External(t, "amtool")
	dir := t.TempDir()
	rules := write(t, filepath.Join(dir, "always.yml"), "groups: [{name: a, rules: [{alert: Always, expr: vector(1), labels: {severity: info}}]}]\n")
	config := write(t, filepath.Join(dir, "oriel.yml"), fmt.Sprintf("prometheus:\n  global: {evaluation_interval: 1s}\n  rule_files: [%s]\n", rules))
	base, _ := serve(t, "serve", "--config.file", config)
	am := "--alertmanager.url=" + base + "/alertmanager"
	proctest.Eventually(t, 40*time.Second, func() (bool, string) {
		out := command(t, amtool, am, "alert", "query")
		return strings.Contains(out, "Always"), out
	})
	printed := strings.Fields(command(t, amtool, am, "silence", "add", "alertname=Always", "--comment", "test", "--author", "me", "--duration", "1h"))
	id := printed[len(printed)-1] // a warning about versions may stand before it
	if out := command(t, amtool, am, "silence", "query"); !strings.Contains(out, id[:8]) {
		t.Errorf("silence query = %s; want %s", out, id)
	}
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		out := command(t, amtool, am, "alert", "query")
		return !strings.Contains(out, "Always"), out
	})
	command(t, amtool, am, "silence", "expire", id)
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		out := command(t, amtool, am, "alert", "query")
		return strings.Contains(out, "Always"), out
	})
	command(t, amtool, am, "alert", "add", "alertname=Mine", "severity=info")
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		out := command(t, amtool, am, "alert", "query", "alertname=Mine")
		return strings.Contains(out, "Mine"), out
	})
	command(t, amtool, am, "check-config", write(t, filepath.Join(dir, "am.yml"), "route: {receiver: a}\nreceivers: [{name: a}]\n"))
}
