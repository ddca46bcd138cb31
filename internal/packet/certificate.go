package packet

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/packet/tls"
)

const (
	maxKnownCertificates = 1024
	maxCertificate       = 32 << 10
	maxCertificateNames  = 64
)

// certificate is what is kept of one, so that a server's is parsed once and not
// with each connection.
type certificate struct {
	subject, issuer, serial, sha256 string
	notBefore, notAfter             time.Time
	keyType                         string
	keyBits                         int
	signature                       string
	names                           []string
	ca, selfSigned                  bool
	weakKey, weakSignature          bool
	leafSeen                        int64 // when a server last sent it as its own
}

// certificate parses one, or remembers it; nil: it cannot be read.
func (w *worker) certificate(der []byte) *certificate {
	if len(der) > maxCertificate {
		return nil
	}
	sum := sha256.Sum256(der)
	if c, ok := w.tls.known[sum]; ok {
		return c
	}
	var c *certificate
	if parsed, err := x509.ParseCertificate(der); err == nil {
		c = newCertificate(parsed)
		c.sha256 = hex.EncodeToString(sum[:])
	}
	if w.tls.known == nil || len(w.tls.known) >= maxKnownCertificates {
		w.tls.known = map[[32]byte]*certificate{}
	}
	w.tls.known[sum] = c
	return c
}

func newCertificate(p *x509.Certificate) *certificate {
	c := &certificate{
		subject: text(p.Subject.String()), issuer: text(p.Issuer.String()),
		notBefore: p.NotBefore, notAfter: p.NotAfter, keyType: p.PublicKeyAlgorithm.String(),
		signature: p.SignatureAlgorithm.String(), ca: p.IsCA,
		selfSigned: string(p.RawSubject) == string(p.RawIssuer),
	}
	if p.SerialNumber != nil {
		c.serial = text(p.SerialNumber.Text(16))
	}
	switch k := p.PublicKey.(type) {
	case *rsa.PublicKey:
		c.keyBits = k.N.BitLen()
		c.weakKey = c.keyBits < 2048
	case *ecdsa.PublicKey:
		c.keyBits = k.Curve.Params().BitSize
		c.weakKey = c.keyBits < 224
	case ed25519.PublicKey:
		c.keyBits = 256
	}
	switch p.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		c.weakSignature = true
	}
	for _, name := range p.DNSNames[:min(len(p.DNSNames), maxCertificateNames)] {
		c.names = append(c.names, text(strings.ToLower(name)))
	}
	for _, ip := range p.IPAddresses[:min(len(p.IPAddresses), maxCertificateNames)] {
		c.names = append(c.names, ip.String())
	}
	if len(c.names) == 0 && p.Subject.CommonName != "" { // as of old
		c.names = []string{text(strings.ToLower(p.Subject.CommonName))}
	}
	return c
}

// covers tells whether the certificate is for the name.
func (c *certificate) covers(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if ip := net.ParseIP(name); ip != nil {
		name = ip.String()
	}
	for _, n := range c.names {
		if n == name {
			return true
		}
		if under, ok := strings.CutPrefix(n, "*."); ok {
			if _, parent, ok := strings.Cut(name, "."); ok && parent == under {
				return true
			}
		}
	}
	return false
}

// certificates reads the server's chain and makes a record of each.
func (a *tlsAnalyzer) certificates(at int64, b []byte) {
	chain, err := tls.ParseCertificates(b)
	if err != nil {
		a.w.tls.bad++
	}
	a.record.Certificates = int32(len(chain))
	for i, der := range chain {
		c := a.w.certificate(der)
		if c == nil {
			a.w.tls.bad++
			continue
		}
		if i == 0 {
			a.leaf = c
			c.leafSeen = at
			a.w.tls.expiry(c, at)
		}
		r := &X509{
			Flow: a.c.flow(at), Position: int32(i), Subject: c.subject, Issuer: c.issuer, Serial: c.serial,
			NotBefore: c.notBefore, NotAfter: c.notAfter, KeyType: c.keyType, KeyBits: int32(c.keyBits),
			SignatureAlgorithm: c.signature, Names: join(c.names), CA: c.ca, SelfSigned: c.selfSigned, SHA256: c.sha256,
		}
		if a.client != nil {
			r.ServerName = text(a.client.SNI)
		}
		a.w.emit(r)
	}
}
