package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// maxRevoked bounds the revocation lists of a file together.
const maxRevoked = 1 << 20

// Lists are revocation lists, each by its issuer's subject.
type Lists struct {
	lists []list
}

type list struct {
	crl     *x509.RevocationList
	revoked map[string]bool
}

// ParseLists reads revocation lists in PEM, or one in DER. That they are
// signed by their issuer is checked when they are asked: only then is the issuer known.
func ParseLists(data []byte) (*Lists, error) {
	l, total := &Lists{}, 0
	add := func(der []byte) error {
		crl, err := x509.ParseRevocationList(der)
		if err != nil {
			return fmt.Errorf("revocation list %d: %w", len(l.lists)+1, err)
		}
		if total += len(crl.RevokedCertificateEntries); total > maxRevoked || len(l.lists) >= maxPEM {
			return errors.New("revocation lists are too long")
		}
		revoked := make(map[string]bool, len(crl.RevokedCertificateEntries))
		for _, e := range crl.RevokedCertificateEntries {
			revoked[string(e.SerialNumber.Bytes())] = true
		}
		l.lists = append(l.lists, list{crl, revoked})
		return nil
	}
	if !bytes.Contains(data, []byte("-----BEGIN")) {
		return l, add(data)
	}
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		if b.Type == "X509 CRL" {
			if err := add(b.Bytes); err != nil {
				return nil, err
			}
		}
	}
	if len(l.lists) == 0 {
		return nil, errors.New("no revocation list in PEM")
	}
	return l, nil
}

// CheckSigned returns an error if a list is not signed by one of the authorities given.
func (l *Lists) CheckSigned(authorities []*x509.Certificate) error {
	if l == nil {
		return nil
	}
next:
	for _, one := range l.lists {
		for _, a := range authorities {
			if bytes.Equal(a.RawSubject, one.crl.RawIssuer) && one.crl.CheckSignatureFrom(a) == nil {
				continue next
			}
		}
		return fmt.Errorf("revocation list of %q is signed by no known authority", one.crl.Issuer.String())
	}
	return nil
}

// Revoked tells whether a certificate is on a list of its issuer.
func (l *Lists) Revoked(cert, issuer *x509.Certificate) bool {
	if l == nil {
		return false
	}
	for _, one := range l.lists {
		if one.revoked[string(cert.SerialNumber.Bytes())] && bytes.Equal(one.crl.RawIssuer, cert.RawIssuer) && one.crl.CheckSignatureFrom(issuer) == nil {
			return true
		}
	}
	return false
}

// NextUpdate is when the first of the lists is out of date; zero if none says.
func (l *Lists) NextUpdate() (first time.Time) {
	if l == nil {
		return first
	}
	for _, one := range l.lists {
		if t := one.crl.NextUpdate; !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// Older tells whether a list of this file goes back behind one of before: a replayed list would bring revoked certificates back.
func (l *Lists) Older(before *Lists) bool {
	if l == nil || before == nil {
		return false
	}
	for _, now := range l.lists {
		for _, was := range before.lists {
			if bytes.Equal(now.crl.RawIssuer, was.crl.RawIssuer) && bytes.Equal(now.crl.AuthorityKeyId, was.crl.AuthorityKeyId) && number(now).Cmp(number(was)) < 0 {
				return true
			}
		}
	}
	return false
}

func number(l list) *big.Int {
	if l.crl.Number == nil {
		return new(big.Int)
	}
	return l.crl.Number
}
