// Package trust is what the ends of TLS tunnels believe: their own certificate,
// the authorities and revocation lists of the others, as of one state of the files.
package trust

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/pki"
)

// Files are where it comes from. Without CRL nothing is revoked.
type Files struct{ Cert, Key, CA, CRL string }

// State is everything a handshake needs, of one state of the files. It is never
// changed: a reload makes a new one.
type State struct {
	Cert  tls.Certificate
	Pool  *x509.CertPool
	Lists *pki.Lists
	sum   [32]byte // of the files
}

// read reads the files, each bounded.
func (f Files) read() (texts [4][]byte, sum [32]byte, err error) {
	h := sha256.New()
	for i, name := range []string{f.Cert, f.Key, f.CA, f.CRL} {
		if name == "" {
			continue
		}
		if texts[i], err = pki.ReadFile(name); err != nil {
			return texts, sum, err
		}
		one := sha256.Sum256(texts[i])
		h.Write(one[:])
	}
	return texts, [32]byte(h.Sum(nil)), nil
}

// Load makes the state of the files as they are, wholly or not at all. It
// returns before if nothing has changed.
func (f Files) Load(before *State) (*State, error) {
	texts, sum, err := f.read()
	if err != nil {
		return nil, err
	}
	if before != nil && before.sum == sum {
		return before, nil
	}
	n := &State{sum: sum, Pool: x509.NewCertPool()}
	if n.Cert, err = tls.X509KeyPair(texts[0], texts[1]); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Cert, err)
	}
	if time.Now().After(n.Cert.Leaf.NotAfter) {
		return nil, fmt.Errorf("%s: expired at %s", f.Cert, n.Cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	roots, err := pki.ParseCertificates(texts[2])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.CA, err)
	}
	for _, c := range roots {
		n.Pool.AddCert(c)
	}
	if f.CRL == "" {
		return n, nil
	}
	if n.Lists, err = pki.ParseLists(texts[3]); err != nil {
		return nil, fmt.Errorf("%s: %w", f.CRL, err)
	}
	if before != nil && n.Lists.Older(before.Lists) {
		return nil, fmt.Errorf("%s: an older list than the one in force", f.CRL)
	}
	return n, nil
}

// Refusal is why a certificate was not accepted, by a word of a closed list:
// no_certificate, expired, revoked, untrusted or not_allowed.
type Refusal struct {
	Reason string
	Err    error
}

func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Verify holds what crypto/tls has not checked itself: revocation, and expiry
// of resumed sessions. Its errors are a *Refusal.
func (s *State) Verify(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 || len(cs.VerifiedChains) == 0 {
		return &Refusal{"no_certificate", errors.New("no certificate")}
	}
	now := time.Now()
	for _, chain := range cs.VerifiedChains {
		revoked := false
		for i, c := range chain {
			if now.After(c.NotAfter) {
				return &Refusal{"expired", fmt.Errorf("certificate %s has expired", c.SerialNumber.Text(16))}
			}
			revoked = revoked || i+1 < len(chain) && s.Lists.Revoked(c, chain[i+1])
		}
		if !revoked {
			return nil
		}
	}
	return &Refusal{"revoked", fmt.Errorf("certificate %s is revoked", cs.PeerCertificates[0].SerialNumber.Text(16))}
}

// Chains verifies an open connection's certificate against this state, which may be newer than its handshake.
func (s *State) Chains(cs tls.ConnectionState) (tls.ConnectionState, error) {
	opts := x509.VerifyOptions{Roots: s.Pool, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	for _, c := range cs.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	chains, err := cs.PeerCertificates[0].Verify(opts)
	if err != nil {
		return cs, &Refusal{"untrusted", err}
	}
	cs.VerifiedChains = chains
	return cs, nil
}
