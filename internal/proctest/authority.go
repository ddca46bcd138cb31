package proctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs what an honest one would not: what has ended, has not begun,
// or may be used for the wrong thing. What it makes are files of its directory.
type Authority struct {
	Cert *x509.Certificate
	Pool *x509.CertPool // it alone
	dir  string
	name string
	key  *ecdsa.PrivateKey
}

// NewAuthority makes a root of a name, and writes it to CAFile.
func NewAuthority(t testing.TB, dir, name string) *Authority {
	t.Helper()
	a := &Authority{dir: dir, name: name, Pool: x509.NewCertPool()}
	now := time.Now()
	a.Cert, a.key = a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		NotBefore: now.Add(-1000 * time.Hour), NotAfter: now.Add(1000 * time.Hour), SubjectKeyId: []byte(name),
	})
	a.Pool.AddCert(a.Cert)
	a.write(t, name+"-ca.pem", "CERTIFICATE", a.Cert.Raw)
	return a
}

// CAFile is the PEM file of the root.
func (a *Authority) CAFile() string { return a.file(a.name + "-ca.pem") }

func (a *Authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *Authority) sign(t testing.TB, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		t.Fatal(err)
	}
	issuer, issuerKey := a.Cert, a.key
	if issuer == nil {
		issuer, issuerKey = template, key
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

// Leaf signs a certificate, valid for the times from now, and writes NAME.crt
// and NAME.key. It is for both sides, for localhost, 127.0.0.1 and
// gateway.example.org, and of the company acme, unless change says otherwise.
func (a *Authority) Leaf(t testing.TB, name string, from, to time.Duration, change ...func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	now := time.Now()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name, Organization: []string{"acme"}}, NotBefore: now.Add(from), NotAfter: now.Add(to),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost", "gateway.example.org"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, f := range change {
		f(template)
	}
	cert, key := a.sign(t, template)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, name+".crt", "CERTIFICATE", cert.Raw)
	a.write(t, name+".key", "PRIVATE KEY", der)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// Revoke writes a revocation list to a file of this name, to be replaced after next, and returns its path.
func (a *Authority) Revoke(t testing.TB, name string, next time.Duration, certs ...tls.Certificate) string {
	t.Helper()
	now := time.Now()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(next)}
	for _, c := range certs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.Leaf.SerialNumber, RevocationTime: now})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, name, "X509 CRL", der)
	return a.file(name)
}

func (a *Authority) write(t testing.TB, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
