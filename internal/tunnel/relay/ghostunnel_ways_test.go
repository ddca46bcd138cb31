package relay

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/proctest"
)

// The ways in which ghostunnel meets a peer, by its source (tls.go, certloader, proxy/proxy.go): suites AES and CHACHA for TLS 1.2,
// curves X25519 and P-256 before it left them to Go, tickets from servers since 2026, pins without authorities, and its own
// certificate shown whatever authorities the server names.
var ghostunnels = map[string]func(*tls.Config){
	"TLS 1.3":         func(*tls.Config) {},
	"TLS 1.2, AES":    func(c *tls.Config) { c.MaxVersion, c.CipherSuites = tls.VersionTLS12, ghostunnelsAES },
	"TLS 1.2, CHACHA": func(c *tls.Config) { c.MaxVersion, c.CipherSuites = tls.VersionTLS12, ghostunnelsChaCha },
	"older curves":    func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256} },
	"without tickets": func(c *tls.Config) { c.SessionTicketsDisabled = true },
	"pins":            func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAnyClientCert, nil },
}

var (
	ghostunnelsAES = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	}
	ghostunnelsChaCha = []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305}
)

// fuseOld joins two connections as ghostunnel did before 1.9: the first end closes everything.
func fuseOld(a, b net.Conn) {
	var wg sync.WaitGroup
	one := func(dst, src net.Conn) {
		_, _ = io.Copy(dst, src)
		_, _ = dst.Close(), src.Close()
	}
	wg.Go(func() { one(a, b) })
	wg.Go(func() { one(b, a) })
	wg.Wait()
}

// greeting is what the back-end says before it is asked: bytes that our gateway's word might be taken for, or swallow.
const greeting = "GLCTDX 220 ready\n"

// answerSize is more than fits in the buffers of a connection that nobody reads.
const answerSize = 3_000_001

// greeter greets, echoes a line, and for "end" sends a long answer and closes.
func greeter(t *testing.T) string {
	t.Helper()
	l := plain(t)
	accept(t, l, func(c net.Conn) {
		defer c.Close()
		_, _ = io.WriteString(c, greeting)
		for {
			line, err := readText(c, 5)
			if err != nil {
				return
			}
			if line == "end!\n" {
				_, _ = c.Write(bytes.Repeat([]byte{'a'}, answerSize))
				return
			}
			_, _ = io.WriteString(c, line)
		}
	})
	return l.Addr().String()
}

func readText(c io.Reader, n int) (string, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	return string(b), err
}

// exact talks to a greeter, and wants every byte of it and no other.
func exact(t *testing.T, c net.Conn, pause time.Duration) {
	t.Helper()
	if got, err := readText(c, len(greeting)); got != greeting {
		t.Errorf("greeted with %q, %v", got, err)
		return
	}
	for range 2 {
		time.Sleep(pause)
		_, _ = io.WriteString(c, "LINE\n")
		if got, err := readText(c, 5); got != "LINE\n" {
			t.Errorf("echoed %q, %v", got, err)
		}
	}
	_, _ = io.WriteString(c, "end!\n")
	got, err := io.ReadAll(c)
	if err != nil || len(got) != answerSize || strings.Trim(string(got), "a") != "" {
		t.Errorf("%d bytes of %d, %v", len(got), answerSize, err)
	}
}

// ghostunnelServer is ghostunnel at the provider's.
func (l *lab) ghostunnelServer(t *testing.T, back string, fuse func(a, b net.Conn), change func(*tls.Config)) string {
	t.Helper()
	cert, roots := l.pair(t, "s")
	cfg := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert, nil }, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, MinVersion: tls.VersionTLS12}
	change(cfg)
	far := tls.NewListener(plain(t), cfg)
	accept(t, far, func(c net.Conn) {
		if err := c.(*tls.Conn).Handshake(); err != nil {
			t.Errorf("ghostunnel server: %v", err)
			_ = c.Close()
			return
		}
		target, err := net.Dial("tcp", back)
		if err != nil {
			t.Error(err)
			return
		}
		fuse(c, target)
	})
	return far.Addr().String()
}

// ghostunnelClient is ghostunnel at the customer's.
func (l *lab) ghostunnelClient(t *testing.T, gateway string, fuse func(a, b net.Conn), change func(*tls.Config)) string {
	t.Helper()
	cert, roots := l.pair(t, "g")
	cfg := &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }, RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
	change(cfg)
	front := plain(t)
	accept(t, front, func(c net.Conn) {
		far, err := tls.Dial("tcp", gateway, cfg)
		if err != nil {
			t.Errorf("ghostunnel client: %v", err)
			_ = c.Close()
			return
		}
		fuse(c, far)
	})
	return front.Addr().String()
}

// TestGhostunnelsBytes: with ghostunnel at either end, old or new, every byte arrives and no other: our word of acceptance
// is for our own, and what the back-end says first is not taken for it.
func TestGhostunnelsBytes(t *testing.T) {
	l := newLab(t)
	back := greeter(t)
	g := l.gateway(back)
	g.MinVersion = "TLS12"
	gw := start(t, nil, []Tunnel{g})
	for name, change := range ghostunnels {
		for end, fuse := range map[string]func(a, b net.Conn){"half-closed": fuse, "closed": fuseOld} {
			t.Run(name+", "+end, func(t *testing.T) {
				guardian := l.tunnel("gu", "g", l.ghostunnelServer(t, back, fuse, change))
				guardian.MinVersion = "TLS12"
				gu := start(t, []Tunnel{guardian}, nil)
				for range 2 { // the second may resume
					exact(t, dial(t, gu.Addr("gu")), 0)
				}
				if n := gu.tunnels[0].total.Load(); n != 2 {
					t.Errorf("%d connections count as accepted; want 2", n)
				}
				if s := gu.Status()[0]; len(s.Refusals) > 0 {
					t.Errorf("refused: %+v", s.Refusals[0])
				}
				exact(t, dial(t, l.ghostunnelClient(t, gw.Addr("gw"), fuse, change)), 0)
			})
		}
	}
}

// TestGhostunnelIdle: a connection that says nothing for longer than anything may take to come up or to close goes on.
func TestGhostunnelIdle(t *testing.T) {
	l := newLab(t)
	short := func(x Tunnel) Tunnel {
		x.ConnectTimeout, x.Handshake, x.CloseTimeout = conf.Duration(time.Second), conf.Duration(time.Second), conf.Duration(time.Second)
		return x
	}
	none := func(*tls.Config) {}
	back := greeter(t)
	gw := start(t, nil, []Tunnel{short(l.gateway(back))})
	gu := start(t, []Tunnel{short(l.tunnel("gu", "g", l.ghostunnelServer(t, back, fuse, none)))}, nil)
	var wg sync.WaitGroup
	for _, addr := range []string{gu.Addr("gu"), l.ghostunnelClient(t, gw.Addr("gw"), fuse, none)} {
		c := dial(t, addr)
		wg.Go(func() { exact(t, c, 1300*time.Millisecond) })
	}
	wg.Wait()
}

// TestGhostunnelsServer12: a server that has TLS 1.2 only is refused by a guardian that wants 1.3, with the reason.
func TestGhostunnelsServer12(t *testing.T) {
	l := newLab(t)
	cert, roots := l.pair(t, "s")
	far := tls.NewListener(plain(t), &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, MaxVersion: tls.VersionTLS12})
	accept(t, far, func(c net.Conn) {
		_ = c.(*tls.Conn).Handshake()
		_ = c.Close()
	})
	gu := start(t, []Tunnel{l.tunnel("gu", "g", far.Addr().String())}, nil)
	if c, err := net.Dial("tcp", gu.Addr("gu")); err == nil {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if n, _ := c.Read(make([]byte, 1)); n > 0 {
			t.Error("carried")
		}
		_ = c.Close()
	}
	refused(t, gu, "gu", "tls_version")
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { return gu.tunnels[0].total.Load() == 0, "counts as accepted" })
}
