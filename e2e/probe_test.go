package e2e

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// mine are a guardian's flags for probes of the lab.
func mine(dir, cert string) []string {
	return []string{"--ca-file", dir + "/ca/bundle.pem", "--crl-file", dir + "/ca/crl.pem", "--cert-file", dir + "/" + cert + ".crt", "--key-file", dir + "/" + cert + ".key", "--server-name", "localhost"}
}

// walk runs `oriel tunnel probe` or `oriel tunnel doctor`.
func walk(what, addr string, args ...string) (string, error) {
	cmd := exec.Command(oriel, append([]string{"tunnel", what, addr, "--timeout", "5s"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// holdsToProbe: the server takes our client with an echo, and tells others why not, at the step where it does.
func holdsToProbe(t *testing.T, dir, addr string) {
	t.Helper()
	good := append(mine(dir, "g"), "--format", "plain")
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		out, err := walk("probe", addr, append(good, "--anonymous")...)
		return err == nil && strings.Contains(out, "anonymous    false") && strings.Contains(out, "transfer") && strings.Contains(out, "version      1.3"), out
	})
	if out, err := walk("doctor", addr, good...); err != nil || strings.Contains(out, "wrong:") {
		t.Errorf("doctor of a good tunnel: %v\n%s", err, out)
	}
	stranger := pkiLab(t)
	foreign := append(mine(dir, "g"), "--cert-file", stranger+"/g.crt", "--key-file", stranger+"/g.key", "--format", "plain")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{append(mine(stranger, "g"), "--crl-file", ""), "cert_untrusted"},
		{[]string{"--ca-file", dir + "/ca/bundle.pem", "--server-name", "localhost"}, "client_cert_required"},
		{foreign, "client_cert_unknown_ca"},
		{append(good, "--server-name", "elsewhere.example.org"), "cert_name"},
	} {
		out, err := walk("doctor", addr, tt.args...)
		if err == nil || !strings.Contains(out, tt.want) || !strings.Contains(out, "fix:") {
			t.Errorf("doctor: %v; want %s\n%s", err, tt.want, out)
		}
	}
	block, _ := pem.Decode(mustRead(t, dir+"/s.crt"))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(oriel, "pki", "--dir", dir+"/ca", "revoke", cert.SerialNumber.Text(16)).CombinedOutput(); err != nil {
		t.Fatalf("revoke: %s", out)
	}
	if out, err := walk("doctor", addr, good...); err == nil || !strings.Contains(out, "cert_revoked") {
		t.Errorf("doctor of a revoked server: %v\n%s", err, out)
	}
}

func TestProbeOfStunnel(t *testing.T) {
	t.Parallel()
	dir, addr := pkiLab(t), freeAddr(t)
	stunnel(t, dir, "s", "accept = "+addr+"\nconnect = "+echoServer(t)+"\nverifyChain = yes")
	holdsToProbe(t, dir, addr)
}

func TestProbeOfHAProxy(t *testing.T) {
	t.Parallel()
	haproxy := proctest.External(t, "haproxy")
	dir, addr := pkiLab(t), freeAddr(t)
	var both []byte
	for _, name := range []string{"/s.crt", "/s.key"} {
		text, err := os.ReadFile(dir + name)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, text...)
	}
	config := fmt.Sprintf("defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\nfrontend f\n bind %s ssl crt %s/both.pem ca-file %s/ca/bundle.pem verify required\n default_backend b\nbackend b\n server e %s\n",
		addr, dir, dir, echoServer(t))
	for name, text := range map[string][]byte{"both.pem": both, "haproxy.cfg": []byte(config)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spawn(t, haproxy, "-f", dir+"/haproxy.cfg")
	holdsToProbe(t, dir, addr)
}

func TestProbeOfOurGateway(t *testing.T) {
	t.Parallel()
	dir := pkiLab(t)
	gw, _ := tunnels(t, dir, "gateway", "targets: ['"+echoServer(t)+"'], allow: [{o: acme}]")
	holdsToProbe(t, dir, gw)
	if out, err := walk("doctor", gw, append(mine(dir, "o"), "--crl-file", "")...); err == nil || !strings.Contains(out, "client_cert_rejected") {
		t.Errorf("doctor with a certificate that no rule allows: %v\n%s", err, out)
	}
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestProbeReportsOldVersions: what nobody should speak any more is seen all the same.
func TestProbeReportsOldVersions(t *testing.T) {
	t.Parallel()
	openssl := proctest.External(t, "openssl")
	dir := pkiLab(t)
	for flag, version := range map[string]string{"-tls1": "1.0", "-tls1_1": "1.1", "-tls1_2": "1.2", "-tls1_3": "1.3"} {
		addr := freeAddr(t)
		spawn(t, openssl, "s_server", "-accept", addr, "-cert", dir+"/s.crt", "-cert_chain", dir+"/s.crt", "-key", dir+"/s.key", "-rev", "-quiet", "-cipher", "DEFAULT@SECLEVEL=0", flag)
		proctest.Eventually(t, 20*time.Second, func() (bool, string) {
			out, err := walk("probe", addr, append(mine(dir, "g"), "--anonymous")...)
			return err == nil && strings.Contains(out, "version      "+version+"\n") && strings.Contains(out, "anonymous    true"), flag + " " + out
		})
	}
}

// TestProbeAnswersAsBlackbox: both programs say the same of the same server, name by name.
func TestProbeAnswersAsBlackbox(t *testing.T) {
	t.Parallel()
	blackbox := proctest.External(t, "prometheus-blackbox-exporter")
	dir, addr := pkiLab(t), freeAddr(t)
	stunnel(t, dir, "s", "accept = "+addr+"\nconnect = "+echoServer(t)+"\nverifyChain = yes")
	files := fmt.Sprintf("{ca_file: %[1]s/ca/bundle.pem, cert_file: %[1]s/g.crt, key_file: %[1]s/g.key, server_name: localhost}", dir)
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	bb, us := freeAddr(t), freeAddr(t)
	spawn(t, blackbox, "--web.listen-address="+bb, "--config.file="+write("bb.yml", "modules:\n  m: {prober: tcp, timeout: 5s, tcp: {tls: true, tls_config: "+files+", query_response: [{send: hello}, {expect: hello}]}}\n"))
	spawn(t, oriel, "export", "tunnels", "--web.listen-address", us, "--config.file", write("us.yml", "probes:\n  allow: ['127.0.0.1:*']\n  modules:\n    m: {timeout: 5s, api: plain, tls: "+files+"}\n"))
	ask := func(at, target string) string {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/probe?module=m&target="+target, nil)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	for _, at := range []string{bb, us} {
		proctest.Eventually(t, 20*time.Second, func() (bool, string) {
			page := ask(at, addr)
			return strings.Contains(page, "\nprobe_success 1\n"), page
		})
	}
	closed := freeAddr(t)
	series := regexp.MustCompile(`(?m)^(probe_\w+)(\{.*\})? (\S+)$`)
	times := regexp.MustCompile(`_seconds$`)
	for _, target := range []string{addr, closed} {
		theirs, ours := ask(bb, target), ask(us, target)
		values := map[string]string{}
		for _, m := range series.FindAllStringSubmatch(ours, -1) {
			values[m[1]] = m[3]
		}
		for _, m := range series.FindAllStringSubmatch(theirs, -1) {
			got, ok := values[m[1]]
			if !ok && target == addr {
				t.Errorf("%s: ours lacks %s", target, m[0])
			}
			if ok && got != m[3] && (!times.MatchString(m[1]) || strings.Contains(m[1], "expiry")) {
				t.Errorf("%s: %s is %s with us; want %s", target, m[1], got, m[3])
			}
		}
	}
}

// TestProbeThroughBothEnds: an echo through a guardian and a gateway, and the state that they tell.
func TestProbeThroughBothEnds(t *testing.T) {
	t.Parallel()
	dir := pkiLab(t)
	gw, _ := tunnels(t, dir, "gateway", "targets: ['"+echoServer(t)+"'], allow: [{o: acme}]")
	gu, _ := tunnels(t, dir, "guardian", "targets: ['"+gw+"'], server_name: localhost")
	_, port, _ := net.SplitHostPort(gu)
	config := filepath.Join(dir, "probes.yml")
	text := fmt.Sprintf("probes:\n  interval: 1s\n  timeout: 1s\n  status: ['http://%s/status']\n  targets:\n  - {id: '1', name: t, company: acme, host: 127.0.0.1, port: %s, transport: tcp, api: plain}\n",
		strings.TrimSpace(string(mustRead(t, dir+"/gateway.addr"))), port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	us := freeAddr(t)
	spawn(t, oriel, "export", "tunnels", "--web.listen-address", us, "--config.file", config)
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+us+"/metrics", nil)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return false, err.Error()
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		page := string(b)
		ok := true
		for _, want := range []string{
			`oriel_tunnel_probe_success{company_name="acme",tunnel_id="1"} 1`, `vc_ct_max_connections{tunnel_id="1",company_name="acme",host="127.0.0.1",port="` + port + `",api_type="None",port_header="none",guardian_host=""} 1024`,
			`ct_instance_accepting_connections{company_name="acme",host="127.0.0.1",region="",tunnel_name="t"} 1`,
		} {
			ok = ok && strings.Contains(page, want+"\n")
		}
		return ok, page
	})
}
