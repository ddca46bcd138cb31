package relay

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/pki"
)

// These tests speak as ghostunnel is documented to (docs/getting-started/flags.md and docs/networking of its repository):
// crypto/tls on either end, TLS 1.2 or 1.3, no session cache, no ALPN unless ACME is on, rules held in the handshake's
// verification, half-closed ends, and --close-timeout 1s.

// pair loads a certificate and the authority's roots.
func (l *lab) pair(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(l.file(name+".crt"), l.file(name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	text, err := pki.ReadFile(l.file("ca/bundle.pem"))
	if err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatal("no roots", err)
	}
	return cert, roots
}

// fuse joins two connections as ghostunnel does: an end is passed on, and a second later everything is closed.
func fuse(a, b net.Conn) {
	var wg sync.WaitGroup
	one := func(dst, src net.Conn) {
		_, _ = io.Copy(struct{ io.Writer }{dst}, struct{ io.Reader }{src})
		if c, ok := dst.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite()
		}
		_ = dst.SetReadDeadline(time.Now().Add(time.Second))
	}
	wg.Go(func() { one(a, b) })
	wg.Go(func() { one(b, a) })
	wg.Wait()
	_, _ = a.Close(), b.Close()
}

// accept hands each connection of a listener to f.
func accept(t *testing.T, l net.Listener, f func(net.Conn)) {
	t.Helper()
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f(c)
		}
	}()
}

func plain(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// whole sends much, ends, and wants all of it back and the end.
func whole(t *testing.T, addr string) error {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return err // a refusal can be as quick as that
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	want := make([]byte, 700_001)
	go func() {
		_, _ = c.Write(want)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err == nil && len(got) != len(want) {
		err = errors.New("not all came back")
	}
	return err
}

// TestGatewayForGhostunnelClient: ghostunnel client --listen --target GATEWAY --cert --key --cacert.
func TestGatewayForGhostunnelClient(t *testing.T) {
	l := newLab(t)
	g := l.gateway(echo(t))
	g.MinVersion = "TLS12"
	gw := start(t, nil, []Tunnel{g})
	cert, roots := l.pair(t, "g")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		front := plain(t)
		accept(t, front, func(c net.Conn) {
			far, err := tls.Dial("tcp", gw.Addr("gw"), &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots, ServerName: "localhost", MaxVersion: version})
			if err != nil {
				t.Error(err)
				_ = c.Close()
				return
			}
			fuse(c, far)
		})
		for range 3 {
			if err := whole(t, front.Addr().String()); err != nil {
				t.Errorf("%s: %v", tls.VersionName(version), err)
			}
		}
	}
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { return gw.tunnels[0].total.Load() == 6, "not 6 connections" })
}

// TestGuardianForGhostunnelServer: ghostunnel server --listen --target --allow-ou guardian. It lets our guardian in, refuses another one
// after the handshake, which is named; with --auto-acme-cert it dislikes our ALPN, which confirm: false leaves out.
func TestGuardianForGhostunnelServer(t *testing.T) {
	l := newLab(t)
	cert, roots := l.pair(t, "s")
	server := func(ou string, protocols ...string) string {
		far := tls.NewListener(plain(t), &tls.Config{
			Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, MinVersion: tls.VersionTLS12, NextProtos: protocols,
			VerifyPeerCertificate: func(_ [][]byte, chains [][]*x509.Certificate) error {
				if chains[0][0].Subject.OrganizationalUnit[0] != ou {
					return errors.New("unauthorized: invalid principal, or principal not allowed")
				}
				return nil
			},
		})
		back := echo(t)
		accept(t, far, func(c net.Conn) {
			if c.(*tls.Conn).Handshake() != nil {
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
	guardian := l.tunnel("gu", "g", server("guardian"))
	gu := start(t, []Tunnel{guardian}, nil)
	for range 3 {
		if err := whole(t, gu.Addr("gu")); err != nil {
			t.Error(err)
		}
	}
	if n := gu.tunnels[0].total.Load(); n != 3 {
		t.Errorf("%d connections count as accepted; want 3", n)
	}
	guardian.Targets = []string{server("someoneelse")}
	gu = start(t, []Tunnel{guardian}, nil)
	if err := whole(t, gu.Addr("gu")); err == nil {
		t.Error("let in by one who refuses")
	}
	refused(t, gu, "gu", "client_cert_rejected")
	guardian.Targets = []string{server("guardian", "acme-tls/1")}
	gu = start(t, []Tunnel{guardian}, nil)
	if err := whole(t, gu.Addr("gu")); err == nil {
		t.Error("a server with other protocols takes ours")
	}
	refused(t, gu, "gu", "tls_alert")
	guardian.Confirm = false
	gu = start(t, []Tunnel{guardian}, nil)
	if err := whole(t, gu.Addr("gu")); err != nil {
		t.Errorf("confirm: false: %v", err)
	}
}
