package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// What is read is bounded: a PEM file of the tunnels is some kilobytes.
const (
	maxFile = 16 << 20
	maxPEM  = 1000 // certificates or lists in a file
)

// WriteFile replaces a file wholly or not at all, readable by its owner only.
func WriteFile(name string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// ReadFile reads a file of at most 16 MiB.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("read %s: larger than %d bytes", name, maxFile)
	}
	return data, err
}

// NewKey makes a private key: p256 (also ""), p384, ed25519, rsa2048 or rsa3072.
func NewKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "", "p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case "rsa2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	}
	return nil, fmt.Errorf("key type %q: want p256, p384, ed25519, rsa2048 or rsa3072", kind)
}

// EncodeKey writes a private key as PKCS#8 in PEM.
func EncodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseKey reads the first private key in PEM: PKCS#8, SEC 1 or PKCS#1. An error never shows its text.
func ParseKey(data []byte) (crypto.Signer, error) {
	for range maxPEM {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		var key any
		var err error
		switch b.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(b.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("private key is encrypted")
		default:
			continue
		}
		if err != nil {
			return nil, errors.New("private key is not well formed")
		}
		if s, ok := key.(crypto.Signer); ok {
			return s, nil
		}
		return nil, errors.New("private key cannot sign")
	}
	return nil, errors.New("no private key in PEM")
}

// ParseCertificates reads all certificates in PEM, at least one; other blocks are passed over.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for len(list) < maxPEM {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			if len(list) == 0 {
				return nil, errors.New("no certificate in PEM")
			}
			return list, nil
		}
		if b.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(list)+1, err)
		}
		list = append(list, c)
	}
	return nil, fmt.Errorf("more than %d certificates", maxPEM-1)
}

// EncodeCertificates writes certificates in PEM.
func EncodeCertificates(list ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range list {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a Buffer takes all
	}
	return b.Bytes()
}

// ParseRequest reads a certificate request in PEM and checks that its maker has the private key.
func ParseRequest(data []byte) (*x509.CertificateRequest, error) {
	b, _ := pem.Decode(data)
	if b == nil || b.Type != "CERTIFICATE REQUEST" && b.Type != "NEW CERTIFICATE REQUEST" {
		return nil, errors.New("no certificate request in PEM")
	}
	r, err := x509.ParseCertificateRequest(b.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse certificate request: %w", err)
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("check certificate request: %w", err)
	}
	return r, goodKey(r.PublicKey)
}

// NewRequest makes a certificate request: the public key and a name to show.
func NewRequest(key crypto.Signer, name string) ([]byte, error) {
	t := &x509.CertificateRequest{}
	t.Subject.CommonName = name
	der, err := x509.CreateCertificateRequest(rand.Reader, t, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// goodKey refuses weak keys, and such that cost the other side too much.
func goodKey(public any) error {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return nil
		}
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n >= 2048 && n <= 4096 {
			return nil
		}
	}
	return errors.New("public key: want P-256, P-384, Ed25519 or RSA of 2048 to 4096 bits")
}

// SlowKey tells whether a handshake with such a key costs several times that of P-256.
func SlowKey(public any) bool {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return k.Curve != elliptic.P256()
	case *rsa.PublicKey:
		return k.N.BitLen() > 2048
	}
	return false
}

// Pin is the SHA-256 of a public key in hex: what an allow rule calls spki, and what people compare.
func Pin(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}
