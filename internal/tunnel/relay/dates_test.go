package relay

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/trust"
)

// TestDatesAreHeldAtBothEnds: expired and not yet valid, of the client and of the server, by names of their own.
func TestDatesAreHeldAtBothEnds(t *testing.T) {
	l := newLab(t)
	ca := proctest.NewAuthority(t, l.dir, "root") // the one of pki would not sign this
	ca.Leaf(t, "good", -time.Hour, time.Hour)
	ca.Leaf(t, "expired", -2*time.Hour, -time.Hour)
	ca.Leaf(t, "early", time.Hour, 2*time.Hour)
	with := func(name, cert, target string) Tunnel {
		u := l.tunnel(name, cert, target)
		u.CAFile, u.CRLFile, u.ServerName = ca.CAFile(), "", "localhost"
		return u
	}
	gateway := with("gw", "good", echo(t))
	gateway.Allow = []Rule{{Identity: trust.Identity{O: "acme"}}}
	gw := start(t, nil, []Tunnel{gateway})
	for cert, reason := range map[string]string{"expired": "cert_expired", "early": "cert_not_yet_valid"} {
		pair, err := tls.LoadX509KeyPair(l.file(cert+".crt"), l.file(cert+".key"))
		if err != nil {
			t.Fatal(err)
		}
		// A client of any make: a guardian of ours would not even start with an expired certificate.
		c := tls.Client(dial(t, gw.Addr("gw")), &tls.Config{RootCAs: ca.Pool, ServerName: "localhost", Certificates: []tls.Certificate{pair}})
		if _, err := ask(c, "hello"); err == nil {
			t.Errorf("%s: let in", cert)
		}
		refused(t, gw, "gw", reason)

		far, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert})
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		go func() {
			for {
				c, err := far.Accept()
				if err != nil {
					return
				}
				go func() { _ = c.(*tls.Conn).Handshake(); c.Close() }()
			}
		}()
		gu := start(t, []Tunnel{with("gu", "good", far.Addr().String())}, nil)
		if _, err := once(t, gu.Addr("gu")); err == nil {
			t.Errorf("%s: taken for a gateway", cert)
		}
		refused(t, gu, "gu", reason)
	}
	if got, err := ask(dial(t, start(t, []Tunnel{with("gu", "good", gw.Addr("gw"))}, nil).Addr("gu")), "hello"); got != "hello" {
		t.Errorf("good: %q, %v", got, err)
	}
}

// TestHalfOpenAndSlowHandshakes: a connection that opens and goes silent, one byte at a time, and one that ends midway.
func TestHalfOpenAndSlowHandshakes(t *testing.T) {
	l := newLab(t)
	g := l.gateway(echo(t))
	g.Handshake = 300 * 1e6
	gw := start(t, nil, []Tunnel{g})
	slow := dial(t, gw.Addr("gw"))
	go func() {
		for _, b := range []byte{22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3} {
			if _, err := slow.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond) // what the test is about
		}
	}()
	half := dial(t, gw.Addr("gw"))
	_, _ = half.Write([]byte{22, 3, 1, 1, 0, 1})
	_ = half.(*net.TCPConn).CloseWrite()
	refused(t, gw, "gw", "closed")
	refused(t, gw, "gw", "handshake_timeout")
	if n, err := slow.Read(make([]byte, 1)); n > 0 && err == nil {
		t.Log("an alert") // and then the end
	}
	oversized := dial(t, gw.Addr("gw"))
	_, _ = oversized.Write(append([]byte{22, 3, 1, 0xff, 0xff}, make([]byte, 1<<16)...))
	refused(t, gw, "gw", "not_tls")
}
