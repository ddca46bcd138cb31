package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// pkiLab makes an authority, a gateway's and two guardians' certificates in a directory.
func pkiLab(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, args := range []string{
		"init --domain oriel.test",
		"issue --profile tunnel-server --name s --dns localhost --out " + dir + "/s",
		"issue --name g --company acme --out " + dir + "/g",
		"issue --name o --company other --out " + dir + "/o",
	} {
		if out, err := exec.Command(oriel, append([]string{"pki", "--dir", dir + "/ca"}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
			t.Fatalf("pki %s: %s", args, out)
		}
	}
	return dir
}

// tunnels runs one role and returns where it listens and what its metrics say.
func tunnels(t *testing.T, dir, role, config string) (addr string, status func() string) {
	t.Helper()
	files := "cert_file: %[1]s/%[2]s.crt, key_file: %[1]s/%[2]s.key, ca_file: %[1]s/ca/bundle.pem, crl_file: %[1]s/ca/crl.pem"
	cert := map[string]string{"guardian": "g", "gateway": "s"}[role]
	name := filepath.Join(dir, role+".yml")
	text := fmt.Sprintf("tunnels:\n  %ss:\n  - {name: t, listen: '127.0.0.1:0', %s, %s}\n", role, config, fmt.Sprintf(files, dir, cert))
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	addrFile := filepath.Join(dir, role+".addr")
	spawn(t, oriel, "tunnel", role, "--config.file", name, "--web.listen-address", "127.0.0.1:0", "--web.addr-file", addrFile)
	status = func() string {
		text, err := os.ReadFile(addrFile)
		if err != nil {
			return ""
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+strings.TrimSpace(string(text))+"/status", nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		s := status()
		_, after, ok := strings.Cut(s, `"address":"`)
		addr, _, _ = strings.Cut(after, `"`)
		return ok && strings.Contains(s, `"active"`), s
	})
	return addr, status
}

// echoServer sends back what it gets.
func echoServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	return l.Addr().String()
}

// roundTrip sends a megabyte and compares what comes back.
func roundTrip(addr string) error {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() { _, _ = c.Write(want) }()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("%d bytes came back: %w", n, err)
	}
	if sha256.Sum256(got) != sha256.Sum256(want) {
		return fmt.Errorf("other bytes came back")
	}
	return nil
}

// freeAddr is for programs that cannot say which port they took.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func stunnel(t *testing.T, dir, cert, extra string) *process {
	t.Helper()
	program := proctest.External(t, "stunnel4")
	file := filepath.Join(dir, "stunnel-"+cert+".conf")
	text := fmt.Sprintf("foreground = yes\npid =\n[t]\ncert = %[1]s/%[2]s.crt\nkey = %[1]s/%[2]s.key\nCAfile = %[1]s/ca/bundle.pem\n%[3]s\n", dir, cert, extra)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return spawn(t, program, file)
}

func TestStunnelAsGuardian(t *testing.T) {
	t.Parallel()
	dir := pkiLab(t)
	gw, status := tunnels(t, dir, "gateway", "targets: ['"+echoServer(t)+"'], allow: [{o: acme}]")
	good, bad := freeAddr(t), freeAddr(t)
	stunnel(t, dir, "g", "client = yes\naccept = "+good+"\nconnect = "+gw+"\nverifyChain = yes\ncheckHost = localhost")
	stunnel(t, dir, "o", "client = yes\naccept = "+bad+"\nconnect = "+gw+"\nverifyChain = yes")
	proctest.Eventually(t, 20*time.Second, func() (bool, string) { err := roundTrip(good); return err == nil, fmt.Sprint(err) })
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		err := roundTrip(bad)
		return err != nil && strings.Contains(status(), `"not_allowed"`), fmt.Sprint(err, status())
	})
}

func TestStunnelAsGateway(t *testing.T) {
	t.Parallel()
	dir := pkiLab(t)
	far := freeAddr(t)
	stunnel(t, dir, "s", "accept = "+far+"\nconnect = "+echoServer(t)+"\nverifyChain = yes")
	gu, status := tunnels(t, dir, "guardian", "server_name: localhost, targets: ['"+far+"']")
	proctest.Eventually(t, 20*time.Second, func() (bool, string) { err := roundTrip(gu); return err == nil, fmt.Sprint(err, status()) })
}

// TestForeignGatewayThatRefuses: with TLS 1.3 the handshake succeeds, and the refusal comes later. It is named all the same.
func TestForeignGatewayThatRefuses(t *testing.T) {
	t.Parallel()
	openssl := proctest.External(t, "openssl")
	dir, other := pkiLab(t), pkiLab(t)
	far := freeAddr(t)
	spawn(t, openssl, "s_server", "-accept", far, "-cert", dir+"/s.crt", "-cert_chain", dir+"/s.crt", "-key", dir+"/s.key", "-CAfile", other+"/ca/bundle.pem",
		"-Verify", "2", "-verify_return_error", "-quiet", "-rev")
	gu, status := tunnels(t, dir, "guardian", "server_name: localhost, targets: ['"+far+"']")
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		err := roundTrip(gu)
		return err != nil && strings.Contains(status(), `"client_cert_`), fmt.Sprint(err, status())
	})
	if s := status(); !strings.Contains(s, `"connections":0`) {
		t.Errorf("a refused connection counts: %s", s)
	}
}

func TestOpenSSLClient(t *testing.T) {
	t.Parallel()
	openssl := proctest.External(t, "openssl")
	dir := pkiLab(t)
	gw, status := tunnels(t, dir, "gateway", "targets: ['"+echoServer(t)+"'], allow: [{uri: 'spiffe://oriel.test/company/acme/*'}]")
	client := func(args ...string) (string, error) {
		cmd := exec.Command(openssl, append([]string{"s_client", "-connect", gw, "-CAfile", dir + "/ca/bundle.pem", "-verify_return_error", "-verify_hostname", "localhost", "-quiet", "-no_ign_eof"}, args...)...)
		in, out := strings.NewReader("hello\n"), &bytes.Buffer{}
		cmd.Stdin, cmd.Stdout = in, out
		err := cmd.Run()
		return out.String(), err
	}
	mine := []string{"-cert", dir + "/g.crt", "-cert_chain", dir + "/g.crt", "-key", dir + "/g.key"}
	_, _ = client(mine...)
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { s := status(); return !strings.Contains(s, `"refusals"`), s })
	_, _ = client()
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { s := status(); return strings.Contains(s, `"no_certificate"`), s })
	_, _ = client(append([]string{"-tls1_2"}, mine...)...)
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { s := status(); return strings.Contains(s, `"tls_version"`), s })
}
