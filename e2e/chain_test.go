package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// chain is a provider and two customers, each in a network of its own.
type chain struct {
	dir   string
	names map[string]string // of network namespaces, by role
}

// newChain joins three network namespaces by a bridge. It needs root, as CI has it.
func newChain(t *testing.T) *chain {
	t.Helper()
	ip := proctest.External(t, "ip")
	proctest.External(t, "curl")
	if os.Geteuid() != 0 {
		proctest.Without(t, "network namespaces need root")
	}
	c := &chain{dir: t.TempDir(), names: map[string]string{}}
	id := fmt.Sprintf("o%d", os.Getpid()%100000)
	c.names["bridge"] = id + "b"
	run := func(args ...string) {
		t.Helper()
		command(t, ip, args...)
	}
	run("netns", "add", c.names["bridge"])
	t.Cleanup(func() { _ = exec.Command(ip, "netns", "del", c.names["bridge"]).Run() })
	run("-n", c.names["bridge"], "link", "add", "name", "br0", "type", "bridge")
	run("-n", c.names["bridge"], "link", "set", "br0", "up")
	for i, role := range []string{"provider", "acme", "globex"} {
		ns := id + role[:1]
		c.names[role] = ns
		run("netns", "add", ns)
		t.Cleanup(func() {
			_ = exec.Command(ip, "netns", "del", ns).Run()
			_ = os.RemoveAll("/etc/netns/" + ns)
		})
		run("-n", ns, "link", "add", "eth0", "type", "veth", "peer", "name", "p"+role[:1], "netns", c.names["bridge"])
		run("-n", c.names["bridge"], "link", "set", "p"+role[:1], "master", "br0", "up")
		run("-n", ns, "addr", "add", fmt.Sprintf("10.213.7.%d/24", i+1), "dev", "eth0")
		run("-n", ns, "link", "set", "eth0", "up")
		run("-n", ns, "link", "set", "lo", "up")
		// `ip netns exec` puts these over /etc: the provider's name, and the customer's own files.
		etc := filepath.Join("/etc/netns", ns)
		if err := os.MkdirAll(filepath.Join(etc, "oriel"), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(etc, "hosts"), "127.0.0.1 localhost\n10.213.7.1 tunnels.provider.example\n")
	}
	if err := os.Mkdir("/etc/oriel", 0o755); err == nil { // where the customer's files are put over
		t.Cleanup(func() { _ = os.Remove("/etc/oriel") })
	}
	return c
}

// etc is a file below /etc/oriel of a role.
func (c *chain) etc(role, name string) string {
	return filepath.Join("/etc/netns", c.names[role], "oriel", name)
}

func (c *chain) spawn(t *testing.T, role string, args ...string) *process {
	t.Helper()
	return spawn(t, "ip", append([]string{"netns", "exec", c.names[role]}, args...)...)
}

func (c *chain) curl(role string, args ...string) string {
	out, err := exec.Command("ip", append([]string{"netns", "exec", c.names[role], "curl", "-sS", "-g", "--max-time", "10"}, args...)...).CombinedOutput()
	if err != nil {
		return "curl: " + err.Error() + ": " + string(out)
	}
	return string(out)
}

// ask asks a Prometheus, or what answers as one, in a role's network.
func (c *chain) ask(role, addr, expr string) string {
	return c.curl(role, "http://"+addr+"/api/v1/query?query="+url.QueryEscape(expr))
}

// companies returns the companies of all series that an answer has.
func companies(answer string) string {
	var got struct {
		Data struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		return answer
	}
	seen := map[string]bool{}
	list := []string{}
	for _, r := range got.Data.Result {
		if name := r.Metric["company_name"]; !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	return strings.Join(list, ",")
}

// guide returns the blocks of the customer's guide, by the word behind "yaml".
func guide(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/guides/tunnels-customer.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)```yaml (\\S+)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks[m[1]] = m[2]
	}
	return blocks
}

const everything = `{__name__=~"vc_.*|ct_.*"}`

// TestChain: customer's Prometheus <- guardian <- gateway <- tenant proxy <- provider's Prometheus, for two companies.
// The customers' files are those of docs/guides/tunnels-customer.md, as they stand there.
func TestChain(t *testing.T) {
	prometheus := proctest.External(t, "prometheus")
	c := newChain(t)
	blocks := guide(t)
	pki := func(args ...string) {
		t.Helper()
		command(t, oriel, append([]string{"pki", "--dir", c.dir + "/ca"}, args...)...)
	}
	pki("init", "--domain", "oriel.test")
	pki("issue", "--profile", "tunnel-server", "--name", "s", "--dns", "tunnels.provider.example", "--out", c.dir+"/s")
	pki("issue", "--profile", "prober", "--name", "p", "--out", c.dir+"/p")
	for _, company := range []string{"acme", "globex"} {
		pki("issue", "--name", "office", "--company", company, "--out", c.dir+"/"+company)
		for from, to := range map[string]string{company + ".crt": "guardian.crt", company + ".key": "guardian.key", "ca/bundle.pem": "bundle.pem", "ca/crl.pem": "crl.pem"} {
			b, err := os.ReadFile(filepath.Join(c.dir, from))
			if err != nil {
				t.Fatal(err)
			}
			write(t, c.etc(company, to), string(b))
		}
	}
	exporters := c.provider(t, prometheus)

	for _, company := range []string{"acme", "globex"} {
		write(t, c.etc(company, "oriel.yml"), blocks["guardian"])
		c.spawn(t, company, oriel, "tunnel", "guardian", "--config.file", "/etc/oriel/oriel.yml")
		file := write(t, filepath.Join(c.dir, company+"-prometheus.yml"), blocks["prometheus"])
		c.spawn(t, company, prometheus, "--config.file", file, "--storage.tsdb.path", filepath.Join(c.dir, company+"-data"))
	}
	const customer, guardian = "127.0.0.1:9090", "127.0.0.1:9091"
	for _, company := range []string{"acme", "globex"} {
		proctest.Eventually(t, 60*time.Second, func() (bool, string) {
			got := c.ask(company, customer, everything)
			return companies(got) == company, got
		})
		t.Run(company+" sees nothing else", func(t *testing.T) { c.isolated(t, company, guardian) })
	}

	t.Run("remote read", func(t *testing.T) {
		file := write(t, filepath.Join(c.dir, "read.yml"), blocks["remote-read"])
		c.spawn(t, "globex", prometheus, "--config.file", file, "--storage.tsdb.path", filepath.Join(c.dir, "read-data"), "--web.listen-address", "127.0.0.1:9092")
		proctest.Eventually(t, 30*time.Second, func() (bool, string) {
			got := c.ask("globex", "127.0.0.1:9092", everything)
			return companies(got) == "globex", got
		})
	})
	t.Run("without a guardian", func(t *testing.T) {
		file := write(t, filepath.Join(c.dir, "direct.yml"), "global: {scrape_interval: 1s}\n"+blocks["direct"])
		c.spawn(t, "acme", prometheus, "--config.file", file, "--storage.tsdb.path", filepath.Join(c.dir, "direct-data"), "--web.listen-address", "127.0.0.1:9092")
		proctest.Eventually(t, 30*time.Second, func() (bool, string) {
			got := c.ask("acme", "127.0.0.1:9092", everything)
			return companies(got) == "acme", got
		})
		got := c.curl("acme", "http://127.0.0.1:9092/api/v1/metadata?metric=vc_probe_success")
		if !strings.Contains(got, `"type":"gauge"`) {
			t.Errorf("the /metrics view has no types: %s", got)
		}
	})

	t.Run("a stopped tunnel disappears within one scrape", func(t *testing.T) {
		const second = `vc_ct_enabled_status{tunnel_id="acme-2"}`
		if got := companies(c.ask("acme", customer, second)); got != "acme" {
			t.Fatalf("before: %q", got)
		}
		exporters["acme-2"].stop(t)
		proctest.Eventually(t, 20*time.Second, func() (bool, string) {
			got := c.ask("provider", "127.0.0.1:9090/prom", second)
			return companies(got) == "", got
		})
		began := time.Now()
		proctest.Eventually(t, 20*time.Second, func() (bool, string) {
			got := c.ask("acme", customer, second)
			return companies(got) == "", got
		})
		if took := time.Since(began); took > 17*time.Second {
			t.Errorf("it took %s; the scrape interval is 15s", took)
		}
		if got := companies(c.ask("acme", customer, `vc_ct_enabled_status{tunnel_id="acme-1"}`)); got != "acme" {
			t.Errorf("the other tunnel is gone too: %q", got)
		}
	})

	t.Run("a revoked certificate is cut at once", func(t *testing.T) {
		open := c.spawn(t, "acme", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9091; cat <&3")
		pki("revoke", "spiffe://oriel.test/company/acme/guardian/office")
		began := time.Now()
		proctest.Eventually(t, 10*time.Second, func() (bool, string) {
			got := c.curl("acme", "http://"+guardian+"/api/v1/status/buildinfo")
			return strings.HasPrefix(got, "curl: "), got
		})
		select {
		case <-open.done:
		case <-time.After(5 * time.Second):
			t.Error("an open connection goes on")
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
		proctest.Eventually(t, 10*time.Second, func() (bool, string) {
			_ = c.curl("acme", "http://"+guardian+"/api/v1/status/buildinfo") // the one that failed may have been cut, not refused
			got := c.curl("acme", "http://127.0.0.1:9597/status")
			return strings.Contains(got, "client_cert_rejected"), got
		})
		proctest.Eventually(t, 20*time.Second, func() (bool, string) {
			got := c.ask("acme", customer, everything)
			return companies(got) == "", got
		})
		if got := companies(c.ask("globex", guardian, everything)); got != "globex" {
			t.Errorf("the other company: %q", got)
		}
	})
}

// provider starts exporters, Prometheus, tenant proxy and gateway, and returns the exporters by tunnel.
func (c *chain) provider(t *testing.T, prometheus string) map[string]*process {
	t.Helper()
	tls := func(cert string) string {
		return fmt.Sprintf("cert_file: %[1]s/%[2]s.crt, key_file: %[1]s/%[2]s.key, ca_file: %[1]s/ca/bundle.pem", c.dir, cert)
	}
	exporters := map[string]*process{}
	targets := []string{}
	for i, tunnel := range []string{"acme-1", "acme-2", "globex-1"} {
		company, _, _ := strings.Cut(tunnel, "-")
		addr := fmt.Sprintf("127.0.0.1:%d", 9601+i)
		file := write(t, filepath.Join(c.dir, tunnel+".yml"), fmt.Sprintf(
			"probes:\n  interval: 1s\n  timeout: 900ms\n  targets:\n  - {id: %s, company: %s, host: tunnels.provider.example, port: 8443, api: none, guardian_host: inner, tls: {%s}}\n",
			tunnel, company, tls("p")))
		exporters[tunnel] = c.spawn(t, "provider", oriel, "export", "tunnels", "--config.file", file, "--web.listen-address", addr)
		targets = append(targets, "'"+addr+"'")
	}
	file := write(t, filepath.Join(c.dir, "prometheus.yml"), fmt.Sprintf(`global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%s]
scrape_configs:
- {job_name: tunnels, static_configs: [{targets: [%s]}]}
`, write(t, filepath.Join(c.dir, "rules.yml"), `groups:
- name: g
  rules:
  - {alert: Seen, expr: 'max by (company_name) (vc_ct_enabled_status) == 1'}
  - {record: "acme:up", expr: 'max(vc_ct_enabled_status)', labels: {company_name: acme}}
`), strings.Join(targets, ",")))
	// Below a path, where a proxy that forwards its clients' paths leaks.
	c.spawn(t, "provider", prometheus, "--config.file", file, "--storage.tsdb.path", filepath.Join(c.dir, "data"), "--web.external-url", "http://x/prom", "--web.route-prefix", "/prom")
	config := write(t, filepath.Join(c.dir, "oriel.yml"), fmt.Sprintf(`tunnels:
  gateways:
  - name: metrics
    listen: 10.213.7.1:8443
    targets: ['unix:%[1]s/proxy.sock']
    proxy_protocol: {out: true}
    allow: [{uri: 'spiffe://oriel.test/company/acme/*', company: acme}, {uri: 'spiffe://oriel.test/company/globex/*', company: globex}, {uri: 'spiffe://oriel.test/prober/*', company: provider}]
    %[2]s
    crl_file: %[1]s/ca/crl.pem
tunnel_proxy:
  listen: unix:%[1]s/proxy.sock
  upstream: http://127.0.0.1:9090/prom
  proxy_protocol: true
  companies: [{name: acme}, {name: globex}]
`, c.dir, strings.ReplaceAll(tls("s"), ", ", "\n    ")))
	c.spawn(t, "provider", oriel, "tunnel", "proxy", "--config.file", config)
	c.spawn(t, "provider", oriel, "tunnel", "gateway", "--config.file", config)
	return exporters
}

// isolated asks in every way for what is another company's.
func (c *chain) isolated(t *testing.T, company, guardian string) {
	t.Helper()
	other := map[string]string{"acme": "globex", "globex": "acme"}[company]
	base := "http://" + guardian
	for _, path := range []string{
		"/api/v1/query?query=" + url.QueryEscape(everything), "/api/v1/query?query=count%20by%20(company_name)%20(up)&company_name=" + other,
		"/api/v1/series?match[]=" + url.QueryEscape(everything), "/api/v1/label/company_name/values", "/api/v1/labels", "/api/v1/rules", "/api/v1/alerts",
		"/api/v1/metadata", "/federate?match[]=" + url.QueryEscape(everything), "/metrics", "/api/v1/status/buildinfo",
		"/api/v1/query_range?query=" + url.QueryEscape(everything) + fmt.Sprintf("&start=%d&end=%d&step=5", time.Now().Unix()-60, time.Now().Unix()),
	} {
		got := c.curl(company, "--path-as-is", base+path)
		if strings.Contains(got, other) || strings.HasPrefix(got, "curl: ") || strings.Contains(got, `"status":"error"`) {
			t.Errorf("%s: %.2000s", path, got)
		}
	}
	for path, want := range map[string]string{
		"/api/v1/label/company_name/values":            `["` + company + `"]`,
		"/api/v1/alerts":                               `"alertname":"Seen","company_name":"` + company + `"`,
		"/api/v1/metadata?metric=vc_ct_enabled_status": `"type":"gauge"`,
	} {
		if got := c.curl(company, base+path); !strings.Contains(got, want) {
			t.Errorf("%s = %.1000s; want %s", path, got, want)
		}
	}
	if got := c.curl(company, base+"/api/v1/rules"); strings.Contains(got, "acme:up") != (company == "acme") {
		t.Errorf("rules: %s", got)
	}
	for _, path := range []string{
		"/api/v1/query?query=" + url.QueryEscape(`vc_ct_enabled_status{company_name="`+other+`"}`), "/prom/api/v1/rules", "/api/v1/../../prom/api/v1/rules",
		"/api/v1/label/..%2f..%2frules/values", "/api/v1/%2e%2e/v1/alerts", "/api/v1/targets", "/api/v1/status/config", "/api/v1/admin/tsdb/snapshot",
	} {
		if got := c.curl(company, "--path-as-is", base+path); !strings.Contains(got, `"status":"error"`) {
			t.Errorf("%s is answered: %.1000s", path, got)
		}
	}
}
