package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
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

// TestSystemd: a tunnel on a socket of systemd tells it what it does, and a reload on SIGHUP leaves open connections alone.
func TestSystemd(t *testing.T) {
	t.Parallel()
	activate := proctest.External(t, "systemd-socket-activate")
	dir := pkiLab(t)
	gw, _ := tunnels(t, dir, "gateway", "targets: ['"+echoServer(t)+"'], allow: [{o: acme}]")
	said := filepath.Join(t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: said, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
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
	expect := func(word string) {
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
