package pki

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/orielhq/oriel/internal/conf"
)

// PKCS12 makes a key store of a key and its chain. Legacy is for readers of before 2020, such as Java 8 and OpenSSL 1.0.
func PKCS12(chain []*x509.Certificate, key []byte, password conf.Secret, legacy bool) ([]byte, error) {
	k, err := ParseKey(key)
	if err != nil {
		return nil, err
	}
	if _, err := tls.X509KeyPair(EncodeCertificates(chain...), key); err != nil {
		return nil, fmt.Errorf("key and certificate: %w", err)
	}
	enc := pkcs12.Modern
	if legacy {
		enc = pkcs12.LegacyDES
	}
	return enc.Encode(k, chain[0], chain[1:], password.Reveal())
}

// ParsePKCS12 reads a key store: the chain, leaf first, and the key in PEM.
func ParsePKCS12(data []byte, password conf.Secret) ([]*x509.Certificate, []byte, error) {
	if len(data) > 1<<20 {
		return nil, nil, fmt.Errorf("key store is larger than %d bytes", 1<<20)
	}
	key, leaf, rest, err := pkcs12.DecodeChain(data, password.Reveal())
	if err != nil {
		return nil, nil, fmt.Errorf("read key store: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, errors.New("read key store: its key cannot sign")
	}
	text, err := EncodeKey(signer)
	return append([]*x509.Certificate{leaf}, rest...), text, err
}
