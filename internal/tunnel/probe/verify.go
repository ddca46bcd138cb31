package probe

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"sync"
	"time"
)

// verified remembers chains that were found good, so that the next probe of the
// same server need not: the signatures in a chain are an eighth of a probe's
// work. It belongs to one state of the authorities. That the server has the key
// is proved in each handshake, and revocation is looked up each time.
type verified struct {
	mu    sync.Mutex // guards known
	known map[[sha256.Size]byte]verdict
}

// verdict holds from the time it was found until the first certificate of its chains ends.
type verdict struct {
	chains      [][]*x509.Certificate
	from, until time.Time
}

// maxVerified bounds what is remembered: as many chains as there may be targets.
const maxVerified = maxTargets

func keyOf(certs []*x509.Certificate, name string) (key [sha256.Size]byte) {
	h := sha256.New()
	part := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b)))) //nolint:gosec // a certificate is far below 4 GB
		h.Write(b)
	}
	part([]byte(name))
	for _, c := range certs {
		part(c.Raw)
	}
	h.Sum(key[:0])
	return key
}

// chains verifies what a server presents, as crypto/tls does. v may be nil: then nothing is remembered.
func (v *verified) chains(certs []*x509.Certificate, roots *x509.CertPool, name string) ([][]*x509.Certificate, error) {
	var key [sha256.Size]byte
	now := time.Now()
	if v != nil {
		key = keyOf(certs, name)
		v.mu.Lock()
		known, ok := v.known[key]
		v.mu.Unlock()
		if ok && !now.Before(known.from) && now.Before(known.until) {
			return known.chains, nil
		}
	}
	between := x509.NewCertPool()
	for _, cert := range certs[1:] {
		between.AddCert(cert)
	}
	chains, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: name, CurrentTime: now})
	if err != nil || v == nil {
		return chains, err
	}
	found := verdict{chains: chains, from: now, until: certs[0].NotAfter}
	for _, chain := range chains {
		for _, c := range chain {
			if c.NotAfter.Before(found.until) {
				found.until = c.NotAfter
			}
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil || len(v.known) >= maxVerified {
		v.known = map[[sha256.Size]byte]verdict{}
	}
	v.known[key] = found
	return chains, nil
}

// verify holds a chain to the rules that crypto/tls has for servers, and to the revocation lists.
func verify(certs []*x509.Certificate, c *tls.Config, t Target) ([][]*x509.Certificate, error) {
	chains, err := t.verified.chains(certs, c.RootCAs, c.ServerName)
	if err != nil || t.Lists == nil {
		return chains, err
	}
	for _, chain := range chains {
		revoked := false
		for i, cert := range chain[:len(chain)-1] {
			revoked = revoked || t.Lists.Revoked(cert, chain[i+1])
		}
		if !revoked {
			return chains, nil
		}
	}
	return nil, errRevoked
}
