package relay

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/pki"
	"github.com/orielhq/oriel/internal/tunnel/trust"
)

// signer signs with any dates, which the authority of pki would not.
type signer struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	return &signer{key, cert}
}

// sign makes a pair of files.
func (s *signer) sign(t *testing.T, file string, from, to time.Time) {
	t.Helper()
	key, err := pki.NewKey("")
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "g1", Organization: []string{"acme"}}, NotBefore: from, NotAfter: to,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, s.cert, key.Public(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	pem, err := pki.EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{file + ".key": pem, file + ".crt": pki.EncodeCertificates(cert)} {
		if err := pki.WriteFile(name, b); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDatesAreHeldAtBothEnds: expired and not yet valid, of the client and of the server, by names of their own.
func TestDatesAreHeldAtBothEnds(t *testing.T) {
	l, s := newLab(t), newSigner(t)
	if err := pki.WriteFile(l.file("root.pem"), pki.EncodeCertificates(s.cert)); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	dates := map[string][2]time.Time{
		"good": {now.Add(-time.Hour), now.Add(time.Hour)}, "expired": {now.Add(-2 * time.Hour), now.Add(-time.Hour)}, "early": {now.Add(time.Hour), now.Add(2 * time.Hour)},
	}
	for name, d := range dates {
		s.sign(t, l.file(name), d[0], d[1])
	}
	with := func(name, cert, target string) Tunnel {
		u := l.tunnel(name, cert, target)
		u.CAFile, u.CRLFile, u.ServerName = l.file("root.pem"), "", "localhost"
		return u
	}
	gateway := with("gw", "good", echo(t))
	gateway.Allow = []Rule{{Identity: trust.Identity{O: "acme"}}}
	gw := start(t, nil, []Tunnel{gateway})
	roots := x509.NewCertPool()
	roots.AddCert(s.cert)
	for cert, reason := range map[string]string{"expired": "cert_expired", "early": "cert_not_yet_valid"} {
		pair, err := tls.LoadX509KeyPair(l.file(cert+".crt"), l.file(cert+".key"))
		if err != nil {
			t.Fatal(err)
		}
		// A client of any make: a guardian of ours would not even start with an expired certificate.
		c := tls.Client(dial(t, gw.Addr("gw")), &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{pair}})
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
		if _, err := ask(dial(t, gu.Addr("gu")), "hello"); err == nil {
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
