package relay

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/pki"
	"github.com/orielhq/oriel/internal/tunnel/proxyproto"
	"github.com/orielhq/oriel/internal/tunnel/trust"
)

// lab is an authority with a guardian's and a gateway's certificates in files.
type lab struct {
	dir string
	ca  *pki.Authority
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{dir: t.TempDir()}
	var err error
	if l.ca, err = pki.Init(l.file("ca"), "oriel.test", ""); err != nil {
		t.Fatal(err)
	}
	l.issue(t, "g", pki.Order{Profile: "guardian", Name: "g1", Company: "acme"})
	l.issue(t, "s", pki.Order{Profile: "tunnel-server", Name: "s1", DNS: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	return l
}

func (l *lab) file(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) issue(t *testing.T, name string, o pki.Order) []*x509.Certificate {
	t.Helper()
	chain, key, err := l.ca.Issue("", o)
	if err != nil {
		t.Fatal(err)
	}
	if err := pki.WriteFile(l.file(name+".key"), key); err != nil {
		t.Fatal(err)
	}
	if err := pki.WriteFile(l.file(name+".crt"), pki.EncodeCertificates(chain...)); err != nil {
		t.Fatal(err)
	}
	return chain
}

func (l *lab) tunnel(name, cert, target string) Tunnel {
	t := DefaultTunnel()
	t.Name, t.Listen, t.Targets = name, "127.0.0.1:0", []string{target}
	t.CertFile, t.KeyFile = l.file(cert+".crt"), l.file(cert+".key")
	t.CAFile, t.CRLFile = l.file("ca/bundle.pem"), l.file("ca/crl.pem")
	return t
}

func (l *lab) gateway(target string) Tunnel {
	t := l.tunnel("gw", "s", target)
	t.Allow = []Rule{{Identity: trust.Identity{URI: "spiffe://oriel.test/company/acme/*"}, Company: "acme"}}
	return t
}

// start runs tunnels until the test ends.
func start(t *testing.T, guardians, gateways []Tunnel) *Relay {
	t.Helper()
	cfg := Default()
	cfg.Reload, cfg.Drain = conf.Duration(100*time.Millisecond), conf.Duration(100*time.Millisecond)
	cfg.Guardians, cfg.Gateways = guardians, gateways
	r, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	proctest.Run(t, r.Run)
	return r
}

// echo is a back-end that sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
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
			go func() {
				_, _ = io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// once connects and asks. A refusal can be so quick that connecting fails.
func once(t *testing.T, addr string) (string, error) {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return "", err
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return ask(c, "hello")
}

func ask(c net.Conn, text string) (string, error) {
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	b := make([]byte, len(text))
	n, err := io.ReadFull(c, b)
	return string(b[:n]), err
}

// refusals waits until a tunnel has counted a reason.
func refused(t *testing.T, r *Relay, name, reason string) {
	t.Helper()
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		for _, u := range r.tunnels {
			if u.cfg.Name == name {
				u.mu.Lock()
				defer u.mu.Unlock()
				last := fmt.Sprint(u.refused)
				for _, r := range u.recent {
					last += "; " + r.Detail
				}
				return u.refused[reason] > 0, last
			}
		}
		return false, "no tunnel " + name
	})
}

func TestBytesPassBothWaysAndEndsAreHalf(t *testing.T) {
	l := newLab(t)
	gw := start(t, nil, []Tunnel{l.gateway(echo(t))})
	gu := start(t, []Tunnel{l.tunnel("gu", "g", gw.Addr("gw"))}, nil)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			c := dial(t, gu.Addr("gu"))
			want := bytes.Repeat([]byte{byte(i)}, 300_000+i)
			go func() {
				_, _ = c.Write(want)
				_ = c.(*net.TCPConn).CloseWrite()
			}()
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes back of %d, %v", len(got), len(want), err)
			}
		})
	}
	wg.Wait()
	for _, r := range []*Relay{gw, gu} {
		proctest.Eventually(t, 10*time.Second, func() (bool, string) {
			s := r.Status()[0]
			return s.Connections == 0 && r.tunnels[0].total.Load() == 20, fmt.Sprintf("%+v", s)
		})
	}
}

func TestRefusalsAreNamedAtBothEnds(t *testing.T) {
	l := newLab(t)
	back := echo(t)
	l.issue(t, "other", pki.Order{Profile: "guardian", Name: "g1", Company: "other"})
	l.issue(t, "short", pki.Order{Profile: "guardian", Name: "g2", Company: "acme", Lifetime: time.Nanosecond})
	foreign := newLab(t)
	notOurs := l.tunnel("gu", "g", "")
	notOurs.CertFile, notOurs.KeyFile = foreign.file("g.crt"), foreign.file("g.key")
	wrongCA := l.tunnel("gu", "g", "")
	wrongCA.CAFile, wrongCA.CRLFile = foreign.file("ca/bundle.pem"), ""
	wrongName := l.tunnel("gu", "g", "")
	wrongName.ServerName = "elsewhere"
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	gone := l.gateway(closed.Addr().String())
	for _, tt := range []struct {
		name             string
		gateway          Tunnel
		guardian         Tunnel
		atGuard, atGate  string
		confirm, version bool
	}{
		{"not allowed", l.gateway(back), l.tunnel("gu", "other", ""), "client_cert_rejected", "not_allowed", true, false},
		{"not allowed, foreign end", l.gateway(back), l.tunnel("gu", "other", ""), "client_cert_rejected", "not_allowed", false, false},
		{"unknown CA", l.gateway(back), notOurs, "client_cert_unknown_ca", "cert_untrusted", true, false},
		{"wrong CA of the gateway", l.gateway(back), wrongCA, "cert_untrusted", "server_cert_rejected", true, false},
		{"wrong name of the gateway", l.gateway(back), wrongName, "cert_name", "server_cert_rejected", true, false},
		{"target is down", gone, l.tunnel("gu", "g", ""), "target", "target", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.guardian.Confirm = tt.confirm
			gw := start(t, nil, []Tunnel{tt.gateway})
			tt.guardian.Targets = []string{gw.Addr("gw")}
			gu := start(t, []Tunnel{tt.guardian}, nil)
			// The reset may come before connect returns.
			if c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", gu.Addr("gu")); err == nil {
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				if got, err := ask(c, "hello"); err == nil {
					t.Errorf("answered %q", got)
				}
				_ = c.Close()
			}
			refused(t, gu, "gu", tt.atGuard)
			refused(t, gw, "gw", tt.atGate)
			if n := gu.tunnels[0].total.Load(); n != 0 {
				t.Errorf("%d connections count as accepted", n)
			}
		})
	}
}

func TestRevokedCertificateIsCutAtOnce(t *testing.T) {
	l := newLab(t)
	gw := start(t, nil, []Tunnel{l.gateway(echo(t))})
	gu := start(t, []Tunnel{l.tunnel("gu", "g", gw.Addr("gw"))}, nil)
	c := dial(t, gu.Addr("gu"))
	if got, err := ask(c, "hello"); got != "hello" || err != nil {
		t.Fatal(got, err)
	}
	if _, err := l.ca.Revoke("spiffe://oriel.test/company/acme/guardian/g1"); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes of a revoked connection", n)
	}
	refused(t, gw, "gw", "cert_revoked")
	if _, err := once(t, gu.Addr("gu")); err == nil {
		t.Error("a revoked certificate came in again, by resumption perhaps")
	}
	refused(t, gu, "gu", "client_cert_rejected")
}

func TestReloadKeepsLastGoodFiles(t *testing.T) {
	l := newLab(t)
	gw := start(t, nil, []Tunnel{l.gateway(echo(t))})
	gu := start(t, []Tunnel{l.tunnel("gu", "g", gw.Addr("gw"))}, nil)
	for _, broken := range []string{"s.crt", "s.key", "ca/crl.pem"} {
		good, _ := pki.ReadFile(l.file(broken))
		if err := pki.WriteFile(l.file(broken), []byte("-----BEGIN nothing")); err != nil {
			t.Fatal(err)
		}
		proctest.Eventually(t, 10*time.Second, func() (bool, string) { s := gw.Status()[0].ReloadError; return s != "", s })
		if got, err := ask(dial(t, gu.Addr("gu")), "hello"); got != "hello" {
			t.Errorf("broken %s: %q, %v", broken, got, err)
		}
		_ = pki.WriteFile(l.file(broken), good)
		proctest.Eventually(t, 10*time.Second, func() (bool, string) { s := gw.Status()[0].ReloadError; return s == "", s })
	}
	fresh := l.issue(t, "s", pki.Order{Profile: "tunnel-server", Name: "s2", DNS: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Lifetime: time.Hour})
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		s := gw.Status()[0]
		return s.CertExpires.Equal(fresh[0].NotAfter), s.CertExpires.String()
	})
	if got, err := ask(dial(t, gu.Addr("gu")), "hello"); got != "hello" {
		t.Errorf("after a reload: %q, %v", got, err)
	}
}

func TestHostileHandshakesAreBounded(t *testing.T) {
	l := newLab(t)
	g := l.gateway(echo(t))
	g.Handshake, g.MaxPending, g.MaxPerCompany = conf.Duration(300*time.Millisecond), 3, 1
	gw := start(t, nil, []Tunnel{g})
	c := dial(t, gw.Addr("gw"))
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
	refused(t, gw, "gw", "not_tls")
	for range 10 {
		dial(t, gw.Addr("gw")) // says nothing
	}
	refused(t, gw, "gw", "pending_limit")
	refused(t, gw, "gw", "handshake_timeout")
	roots := x509.NewCertPool()
	pem, _ := pki.ReadFile(l.file("ca/bundle.pem"))
	roots.AppendCertsFromPEM(pem)
	anonymous := tls.Client(dial(t, gw.Addr("gw")), &tls.Config{RootCAs: roots, ServerName: "localhost"})
	if err := anonymous.Handshake(); err == nil { // TLS 1.3: the refusal comes with the first read
		if _, err = anonymous.Read(make([]byte, 1)); err == nil {
			t.Error("let in without a certificate")
		}
	}
	refused(t, gw, "gw", "no_certificate")
	gu := start(t, []Tunnel{l.tunnel("gu", "g", gw.Addr("gw"))}, nil)
	if got, err := ask(dial(t, gu.Addr("gu")), "hello"); got != "hello" {
		t.Fatal(got, err)
	}
	if _, err := once(t, gu.Addr("gu")); err == nil {
		t.Error("a company has more than its limit")
	}
	refused(t, gu, "gu", "company_limit")
	refused(t, gw, "gw", "company_limit")
}

func TestIdleConnectionsEnd(t *testing.T) {
	l := newLab(t)
	g := l.gateway(echo(t))
	g.IdleTimeout = conf.Duration(200 * time.Millisecond)
	gw := start(t, nil, []Tunnel{g})
	dead := l.tunnel("gu", "g", "127.0.0.1:1")
	dead.Targets = append(dead.Targets, gw.Addr("gw")) // fail-over
	gu := start(t, []Tunnel{dead}, nil)
	c := dial(t, gu.Addr("gu"))
	if got, err := ask(c, "hello"); got != "hello" {
		t.Fatal(got, err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("an idle connection goes on")
	}
	refused(t, gw, "gw", "idle")
	refused(t, gu, "gu", "refused")
}

func TestProxyProtocolAndProxies(t *testing.T) {
	l := newLab(t)
	back, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	g := l.gateway(back.Addr().String())
	g.ProxyProtocol.Out = true
	gw := start(t, nil, []Tunnel{g})
	for _, kind := range []string{"http", "socks5"} {
		u := l.tunnel("gu", "g", gw.Addr("gw"))
		u.Proxy, u.ProxyUser, u.ProxyPassword = kind+"://"+fakeProxy(t, kind, "u", "s3cret"), "u", "s3cret"
		gu := start(t, []Tunnel{u}, nil)
		c := dial(t, gu.Addr("gu"))
		_, _ = io.WriteString(c, "x")
		b, err := back.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if h, err := proxyproto.Read(b); err != nil || !h.From.Addr().IsLoopback() || h.Company != "acme" || len(h.Cert) == 0 {
			t.Errorf("%s: header %+v, %v", kind, h, err)
		}
		one := make([]byte, 1)
		if _, err := io.ReadFull(b, one); err != nil || one[0] != 'x' {
			t.Errorf("%s: after the header %q, %v", kind, one, err)
		}
		_ = b.Close()
		u.ProxyPassword, u.Name = "wr0ng", "bad"
		bad := start(t, []Tunnel{u}, nil)
		_, _ = ask(dial(t, bad.Addr("bad")), "x")
		refused(t, bad, "bad", "proxy")
		if text := fmt.Sprintf("%+v %+v", *bad.Status()[0].Refusals[0], bad.cfg); strings.Contains(text, "wr0ng") {
			t.Errorf("the password is shown: %s", text)
		}
	}
}

// fakeProxy is a proxy that wants a user and a password.
func fakeProxy(t *testing.T, kind, user, password string) string {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	serve := func(c net.Conn) {
		defer c.Close()
		r := bufio.NewReader(c)
		var target string
		if kind == "http" {
			var head strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				head.WriteString(line)
				if line == "\r\n" {
					break
				}
			}
			if !strings.Contains(head.String(), "Basic dTpzM2NyZXQ=") {
				_, _ = io.WriteString(c, "HTTP/1.1 407 No\r\n\r\n")
				return
			}
			target = strings.Fields(head.String())[1]
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		} else {
			b := make([]byte, 600)
			_, _ = io.ReadFull(r, b[:3])
			_, _ = c.Write([]byte{5, 2})
			_, _ = io.ReadFull(r, b[:2+len(user)])
			n, _ := r.ReadByte()
			_, _ = io.ReadFull(r, b[:n])
			if string(b[:n]) != password {
				_, _ = c.Write([]byte{1, 1})
				return
			}
			_, _ = c.Write([]byte{1, 0})
			_, _ = io.ReadFull(r, b[:5])
			host := make([]byte, b[4])
			_, _ = io.ReadFull(r, host)
			_, _ = io.ReadFull(r, b[:2])
			target = net.JoinHostPort(string(host), fmt.Sprint(int(b[0])<<8|int(b[1])))
			_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		}
		out, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		defer out.Close()
		go func() { _, _ = io.Copy(out, r) }()
		_, _ = io.Copy(c, out)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return l.Addr().String()
}

func TestMetrics(t *testing.T) {
	l := newLab(t)
	cfg := Default()
	cfg.Guardians, cfg.Gateways = []Tunnel{l.tunnel("gu", "g", "127.0.0.1:1")}, []Tunnel{l.gateway("127.0.0.1:1")}
	r, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range r.tunnels {
		files, err := one.cfg.load(nil, one.gateway)
		if err != nil {
			t.Fatal(err)
		}
		one.trust.Store(files)
	}
	r.tunnels[1].refuse("not_allowed", nil)
	r.tunnels[1].refuse("made up", nil)
	set := collector.NewSet(slog.New(slog.DiscardHandler), map[string]collector.Collector{"tunnels": r})
	w := httptest.NewRecorder()
	set.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var page bytes.Buffer
	for line := range strings.Lines(w.Body.String()) {
		if !strings.Contains(line, "oriel_collector_") {
			page.WriteString(line)
		}
	}
	proctest.Golden(t, "testdata/metrics.prom", regexp.MustCompile(`(_timestamp_seconds\{.*\}) \S+`).ReplaceAll(page.Bytes(), []byte("$1 1763700000")))
	proctest.Lint(t, page.Bytes())
}

func FuzzWire(f *testing.F) {
	f.Add([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		if readSOCKS5(r) == nil && len(data)-r.Len() > 262 {
			t.Error("read more than an answer")
		}
		r = bytes.NewReader(data)
		if readConnect(t.Context(), r) == nil && !bytes.HasSuffix(data[:len(data)-r.Len()], []byte("\r\n\r\n")) {
			t.Error("read past the header")
		}
	})
}
