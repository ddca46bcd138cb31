package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/echo"
	"github.com/orielhq/oriel/internal/tunnel/pki"
	"github.com/orielhq/oriel/internal/tunnel/probe"
)

// authority signs what a test needs, into files of its directory.
type authority struct {
	dir  string
	name string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{dir: dir, name: name, pool: x509.NewCertPool()}
	a.cert, a.key = sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour), SubjectKeyId: []byte(name),
	}, nil)
	a.pool.AddCert(a.cert)
	write(t, a.ca(), pki.EncodeCertificates(a.cert))
	return a
}

func (a *authority) ca() string { return filepath.Join(a.dir, a.name+"-ca.pem") }

func sign(t *testing.T, template *x509.Certificate, parent *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	issuer, issuerKey := template, key
	if parent != nil {
		issuer, issuerKey = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// leaf writes NAME.crt and NAME.key, valid for the times from now; without usages it is for both sides.
func (a *authority) leaf(t *testing.T, name string, from, to time.Duration, usages ...x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	if usages == nil {
		usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	cert, key := sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"gateway.example.org"},
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to), ExtKeyUsage: usages,
	}, a)
	text, err := pki.EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(a.dir, name+".crt"), pki.EncodeCertificates(cert))
	write(t, filepath.Join(a.dir, name+".key"), text)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// revoke writes a revocation list.
func (a *authority) revoke(t *testing.T, name string, next time.Duration, certs ...tls.Certificate) string {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(next)}
	for _, c := range certs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.Leaf.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(a.dir, name)
	write(t, file, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	return file
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// serve answers echoes behind TLS; behind nothing if config is nil.
func serve(t *testing.T, config *tls.Config, format echo.Format, manner echo.Manner) string {
	t.Helper()
	l := listen(t)
	port := portOf(l)
	if config != nil {
		l = tls.NewListener(l, config)
	}
	codec, err := echo.New(format, echo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = echo.Fake{Codec: codec, Manner: manner}.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return port
}

// web answers HTTP behind TLS.
func web(t *testing.T, config *tls.Config, h http.HandlerFunc) string {
	t.Helper()
	l := listen(t)
	srv := &http.Server{Handler: h}
	go func() { _ = srv.Serve(tls.NewListener(l, config)) }()
	t.Cleanup(func() { _ = srv.Close() })
	return portOf(l)
}

// gateway says one word of its own, as our gateways do, and closes.
func gateway(t *testing.T, config *tls.Config, word byte) string {
	t.Helper()
	config = config.Clone()
	config.NextProtos = []string{"ct/1"}
	l := tls.NewListener(listen(t), config)
	t.Cleanup(func() { _ = l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte{word})
			_ = c.Close()
		}
	}()
	return port
}

// client is how the prober is set up, with the certificate name.
func (a *authority) client(name string) probe.Service {
	s := probe.DefaultService()
	s.API = "excrypt"
	s.TLS = probe.TLS{CAFile: a.ca(), CertFile: filepath.Join(a.dir, name+".crt"), KeyFile: filepath.Join(a.dir, name+".key")}
	return s
}
