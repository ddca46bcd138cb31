package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/proxyproto"
)

// haproxy runs with a section of its configuration, which may name the certificates as DIR/NAME.pem.
func haproxy(t *testing.T, dir, section string) {
	t.Helper()
	program := proctest.External(t, "haproxy")
	for _, name := range []string{"s", "g", "o"} {
		crt, err := os.ReadFile(filepath.Join(dir, name+".crt"))
		if err != nil {
			t.Fatal(err)
		}
		key, err := os.ReadFile(filepath.Join(dir, name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name+".pem"), string(crt)+string(key))
	}
	file := write(t, filepath.Join(t.TempDir(), "haproxy.cfg"),
		"defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n"+strings.ReplaceAll(section, "DIR", dir)+"\n")
	spawn(t, program, "-db", "-f", file)
}

func TestHaproxyAsGuardian(t *testing.T) {
	t.Parallel()
	dir := pkiLab(t)
	gw, status := tunnels(t, dir, "gateway", "targets: ['"+echoServer(t)+"'], allow: [{o: acme}]")
	good, bad := freeAddr(t), freeAddr(t)
	for cert, addr := range map[string]string{"g": good, "o": bad} {
		haproxy(t, dir, fmt.Sprintf("listen l\n  bind %s\n  server s %s ssl crt DIR/%s.pem ca-file DIR/ca/bundle.pem verify required sni str(localhost) verifyhost localhost", addr, gw, cert))
	}
	proctest.Eventually(t, 20*time.Second, func() (bool, string) { err := roundTrip(good); return err == nil, fmt.Sprint(err, status()) })
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		err := roundTrip(bad)
		return err != nil && strings.Contains(status(), `"not_allowed"`), fmt.Sprint(err, status())
	})
}

func TestHaproxyAsGateway(t *testing.T) {
	t.Parallel()
	dir := pkiLab(t)
	far := freeAddr(t)
	haproxy(t, dir, fmt.Sprintf("listen l\n  bind %s ssl crt DIR/s.pem ca-file DIR/ca/bundle.pem verify required\n  server s %s", far, echoServer(t)))
	gu, status := tunnels(t, dir, "guardian", "server_name: localhost, targets: ['"+far+"']")
	proctest.Eventually(t, 20*time.Second, func() (bool, string) { err := roundTrip(gu); return err == nil, fmt.Sprint(err, status()) })
}

// TestProxyProtocolToHaproxy: haproxy reads the header that our gateway sends, and ours the one that haproxy sends.
func TestProxyProtocolToHaproxy(t *testing.T) {
	t.Parallel()
	dir := pkiLab(t)
	behind := freeAddr(t)
	haproxy(t, dir, fmt.Sprintf("listen l\n  bind %s accept-proxy\n  server s %s", behind, echoServer(t)))
	gw, _ := tunnels(t, dir, "gateway", "targets: ['"+behind+"'], proxy_protocol: {in: true, out: true}, allow: [{o: acme}]")
	front := freeAddr(t)
	haproxy(t, dir, fmt.Sprintf("listen l\n  bind %s\n  server s %s send-proxy-v2 ssl crt DIR/g.pem ca-file DIR/ca/bundle.pem verify required sni str(localhost)", front, gw))
	proctest.Eventually(t, 20*time.Second, func() (bool, string) { err := roundTrip(front); return err == nil, fmt.Sprint(err) })
}

// notified is a socket as systemd has one for notifications, and waits for words on it.
func notified(t *testing.T) (path string, expect func(word string)) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { notify.Close() })
	heard := make(chan string, 100)
	go func() {
		for b := make([]byte, 4096); ; {
			n, err := notify.Read(b)
			if err != nil {
				return
			}
			heard <- string(b[:n])
		}
	}()
	return path, func(word string) {
		t.Helper()
		for deadline := time.After(30 * time.Second); ; {
			select {
			case s := <-heard:
				if strings.Contains(s, word) {
					return
				}
			case <-deadline:
				t.Fatalf("systemd does not hear %s", word)
			}
		}
	}
}

// TestSystemd: a tunnel on a socket of systemd tells it what it does, and a reload on SIGHUP leaves open connections alone.
func TestSystemd(t *testing.T) {
	t.Parallel()
	activate := proctest.External(t, "systemd-socket-activate")
	dir := pkiLab(t)
	gw, _ := tunnels(t, dir, "gateway", "targets: ['"+echoServer(t)+"'], allow: [{o: acme}]")
	said, expect := notified(t)
	config := func(limit int) {
		t.Helper()
		write(t, filepath.Join(dir, "sd.yml"), fmt.Sprintf(`tunnels:
  guardians:
  - {name: held, listen: 'systemd:held', targets: ['%[1]s'], server_name: localhost, cert_file: %[2]s/g.crt, key_file: %[2]s/g.key, ca_file: %[2]s/ca/bundle.pem}
  - {name: changing, listen: 'systemd:changing', max_connections: %[3]d, targets: ['%[1]s'], server_name: localhost, cert_file: %[2]s/g.crt, key_file: %[2]s/g.key, ca_file: %[2]s/ca/bundle.pem}
`, gw, dir, limit))
	}
	config(10)
	held, changing := freeAddr(t), freeAddr(t)
	p := spawn(t, activate, "-l", held, "-l", changing, "--fdname=held:changing", "-E", "NOTIFY_SOCKET="+said,
		oriel, "tunnel", "guardian", "--config.file", filepath.Join(dir, "sd.yml"), "--web.listen-address", "127.0.0.1:0")
	proctest.Eventually(t, 20*time.Second, func() (bool, string) { err := roundTrip(held); return err == nil, fmt.Sprint(err, p.log()) })
	expect("READY=1")
	open := map[string]net.Conn{}
	for name, addr := range map[string]string{"held": held, "changing": changing} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open[name] = c
	}
	say := func(c net.Conn) error {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write([]byte("hello")); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 5))
		return err
	}
	for name, c := range open {
		if err := say(c); err != nil {
			t.Fatal(name, err)
		}
	}
	config(5)
	// systemd-socket-activate has become the program itself.
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	expect("RELOADING=1")
	expect("READY=1")
	for name, c := range open {
		if err := say(c); err != nil {
			t.Errorf("a connection of %q did not outlive the reload: %v", name, err)
		}
	}
	for _, addr := range []string{held, changing} {
		if err := roundTrip(addr); err != nil {
			t.Errorf("after the reload: %v", err)
		}
	}
	write(t, filepath.Join(dir, "sd.yml"), "tunnels: {guardians: [{nonsense: 1}]}")
	_ = p.cmd.Process.Signal(syscall.SIGHUP)
	expect("RELOADING=1")
	expect("READY=1")
	if err := roundTrip(held); err != nil || !strings.Contains(p.log(), "what was in force stays") {
		t.Errorf("after a broken reload: %v\n%s", err, p.log())
	}
	for _, c := range open {
		_ = c.Close()
	}
	p.stop(t)
	expect("STOPPING=1")
}

// TestSystemdProxy: the tenant proxy on a socket of systemd. A reload takes a new company in while a request of another is under
// way, which ends well; a broken one changes nothing.
func TestSystemdProxy(t *testing.T) {
	t.Parallel()
	activate := proctest.External(t, "systemd-socket-activate")
	asked, answer := make(chan struct{}, 10), make(chan struct{})
	prom := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.FormValue("query"), "slow") {
			asked <- struct{}{}
			<-answer
		}
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
	}))
	defer prom.Close()
	said, expect := notified(t)
	file := filepath.Join(t.TempDir(), "proxy.yml")
	config := func(companies string) {
		t.Helper()
		write(t, file, fmt.Sprintf("tunnel_proxy: {listen: 'systemd:proxy', upstream: '%s', proxy_protocol: true, companies: [%s]}\n", prom.URL, companies))
	}
	config("{name: acme}")
	addr := freeAddr(t)
	p := spawn(t, activate, "-l", addr, "--fdname=proxy", "-E", "NOTIFY_SOCKET="+said, oriel, "tunnel", "proxy", "--config.file", file, "--web.listen-address", "127.0.0.1:0")
	ask := func(company, query string) string {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = c.Write(proxyproto.Header{Company: company}.Append(nil))
		_, _ = fmt.Fprintf(c, "GET /api/v1/query?query=%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", query)
		b, err := io.ReadAll(c)
		return strings.TrimSpace(fmt.Sprint(strings.SplitN(string(b), "\r\n", 2)[0], " ", err))
	}
	const good, forbidden = "HTTP/1.1 200 OK <nil>", "HTTP/1.1 403 Forbidden <nil>"
	proctest.Eventually(t, 20*time.Second, func() (bool, string) { got := ask("acme", "up"); return got == good, got + p.log() }) // this starts it
	expect("READY=1")
	if got := ask("globex", "up"); got != forbidden {
		t.Errorf("a company that is not there yet: %s", got)
	}
	slow := make(chan string, 1)
	go func() { slow <- ask("acme", "slow") }()
	<-asked
	config("{name: acme}, {name: globex}")
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	expect("RELOADING=1")
	expect("READY=1")
	if got := ask("globex", "up"); got != good {
		t.Errorf("a company of the new configuration: %s\n%s", got, p.log())
	}
	close(answer)
	if got := <-slow; got != good {
		t.Errorf("the request under way: %s", got)
	}
	config("{name: ''}")
	_ = p.cmd.Process.Signal(syscall.SIGHUP)
	expect("RELOADING=1")
	expect("READY=1")
	if got := ask("globex", "up"); got != good || !strings.Contains(p.log(), "what was in force stays") {
		t.Errorf("after a broken reload: %s\n%s", got, p.log())
	}
	p.stop(t)
	expect("STOPPING=1")
}

// TestServeReloadsOnlyChangedTunnels: the same inside of serve.
func TestServeReloadsOnlyChangedTunnels(t *testing.T) {
	t.Parallel()
	dir := pkiLab(t)
	back := echoServer(t)
	gw, _ := tunnels(t, dir, "gateway", "targets: ['"+back+"'], allow: [{o: acme}]")
	addr := freeAddr(t)
	file := filepath.Join(dir, "serve.yml")
	config := func(more string) {
		write(t, file, fmt.Sprintf("tunnels:\n  guardians:\n  - {name: held, listen: '%s', targets: ['%s'], server_name: localhost, cert_file: %[3]s/g.crt, key_file: %[3]s/g.key, ca_file: %[3]s/ca/bundle.pem}\n%s",
			addr, gw, dir, more))
	}
	config("")
	base, p := serve(t, "serve", "--config.file", file)
	proctest.Eventually(t, 20*time.Second, func() (bool, string) { err := roundTrip(addr); return err == nil, fmt.Sprint(err) })
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	config(fmt.Sprintf("  - {name: new, listen: '127.0.0.1:0', targets: ['%s'], server_name: localhost, cert_file: %[2]s/g.crt, key_file: %[2]s/g.key, ca_file: %[2]s/ca/bundle.pem}\n", gw, dir))
	if out, err := exec.Command("curl", "-sS", "-X", "POST", base+"/-/reload").CombinedOutput(); err != nil || !strings.Contains(string(out), "Reloaded") {
		t.Fatalf("%s %v\n%s", out, err, p.log())
	}
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = c.Write([]byte("hello"))
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Errorf("a connection of an unchanged tunnel did not outlive the reload: %v", err)
	}
	if _, page := get(t, base+"/metrics/tunnels"); !strings.Contains(page, `oriel_tunnel_connections_total{role="guardian",tunnel="held"} 2`) || !strings.Contains(page, `tunnel="new"`) {
		t.Errorf("metrics after the reload:\n%s", page)
	}
}
