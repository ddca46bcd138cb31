package relay

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/pki"
)

// alpn is what our two ends agree on: after the handshake the gateway sends one
// byte that says whether it carries the connection, or why not.
const alpn = "ct/1"

// trust is everything a handshake needs, of one state of the files. It is never
// changed: a reload makes a new one, with new ticket keys, so that no session
// outlives what was trusted when it began.
type trust struct {
	sum    [32]byte // of the files
	cert   tls.Certificate
	pool   *x509.CertPool
	lists  *pki.Lists
	rules  []Rule
	server *tls.Config
	client *tls.Config
}

// files reads the files of a tunnel, each bounded.
func (t *Tunnel) files() (texts [4][]byte, sum [32]byte, err error) {
	h := sha256.New()
	for i, name := range []string{t.CertFile, t.KeyFile, t.CAFile, t.CRLFile} {
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

// load makes the trust of the files as they are, wholly or not at all.
func (t *Tunnel) load(before *trust, gateway bool) (*trust, error) {
	texts, sum, err := t.files()
	if err != nil {
		return nil, err
	}
	if before != nil && before.sum == sum {
		return before, nil
	}
	n := &trust{sum: sum, rules: t.Allow, pool: x509.NewCertPool()}
	if n.cert, err = tls.X509KeyPair(texts[0], texts[1]); err != nil {
		return nil, fmt.Errorf("%s: %w", t.CertFile, err)
	}
	if time.Now().After(n.cert.Leaf.NotAfter) {
		return nil, fmt.Errorf("%s: expired at %s", t.CertFile, n.cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	roots, err := pki.ParseCertificates(texts[2])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.CAFile, err)
	}
	for _, c := range roots {
		n.pool.AddCert(c)
	}
	if t.CRLFile != "" {
		if n.lists, err = pki.ParseLists(texts[3]); err != nil {
			return nil, fmt.Errorf("%s: %w", t.CRLFile, err)
		}
		if before != nil && n.lists.Older(before.lists) {
			return nil, fmt.Errorf("%s: an older list than the one in force", t.CRLFile)
		}
	}
	minimum := uint16(tls.VersionTLS13)
	if t.MinVersion == "TLS12" {
		minimum = tls.VersionTLS12
	}
	base := tls.Config{MinVersion: minimum, Certificates: []tls.Certificate{n.cert}, VerifyConnection: n.verify}
	if gateway {
		base.ClientAuth, base.ClientCAs = tls.RequireAndVerifyClientCert, n.pool
		ours := base.Clone()
		ours.NextProtos = []string{alpn}
		n.server = base.Clone()
		if t.Confirm {
			// Tickets are sealed with the outer settings' keys. Who does not offer ct/1 is a foreign client, and gets none.
			n.server.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				if slices.Contains(hello.SupportedProtos, alpn) {
					return ours, nil
				}
				return nil, nil //nolint:nilnil // crypto/tls's way to say: as it is
			}
		}
		return n, nil
	}
	n.client = base.Clone()
	n.client.RootCAs, n.client.ClientSessionCache = n.pool, tls.NewLRUClientSessionCache(64)
	if t.Confirm {
		n.client.NextProtos = []string{alpn}
	}
	return n, nil
}

// refusal is why a certificate was not accepted, by a word of a closed list.
type refusal struct {
	reason string
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }

// verify holds what crypto/tls has not checked itself. It runs for resumed sessions too.
func (n *trust) verify(s tls.ConnectionState) error {
	_, err := n.identify(s)
	return err
}

// identify returns the rule that lets the other side through; for no rules, an empty one.
func (n *trust) identify(s tls.ConnectionState) (Rule, error) {
	if len(s.PeerCertificates) == 0 || len(s.VerifiedChains) == 0 {
		return Rule{}, &refusal{"no_certificate", errors.New("no certificate")}
	}
	leaf, now := s.PeerCertificates[0], time.Now()
	good := false
	for _, chain := range s.VerifiedChains {
		revoked := false
		for i, c := range chain {
			if now.After(c.NotAfter) {
				return Rule{}, &refusal{"expired", fmt.Errorf("certificate %s has expired", c.SerialNumber.Text(16))}
			}
			revoked = revoked || i+1 < len(chain) && n.lists.Revoked(c, chain[i+1])
		}
		good = good || !revoked
	}
	if !good {
		return Rule{}, &refusal{"revoked", fmt.Errorf("certificate %s is revoked", leaf.SerialNumber.Text(16))}
	}
	if len(n.rules) == 0 {
		return Rule{}, nil
	}
	for _, r := range n.rules {
		if r.matches(leaf) {
			return r, nil
		}
	}
	return Rule{}, &refusal{"not_allowed", fmt.Errorf("no rule allows certificate %s", leaf.SerialNumber.Text(16))}
}

// again checks an open connection against a newer trust.
func (n *trust) again(s tls.ConnectionState) error {
	leaf := s.PeerCertificates[0]
	opts := x509.VerifyOptions{Roots: n.pool, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	for _, c := range s.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	chains, err := leaf.Verify(opts)
	if err != nil {
		return &refusal{"untrusted", err}
	}
	s.VerifiedChains = chains
	return n.verify(s)
}

func (r Rule) matches(c *x509.Certificate) bool {
	var uris []string
	for _, u := range c.URIs {
		uris = append(uris, u.String())
	}
	return anyLike(r.URI, uris) && anyLike(r.DNS, c.DNSNames) && anyLike(r.O, c.Subject.Organization) &&
		anyLike(r.OU, c.Subject.OrganizationalUnit) && anyLike(r.CN, []string{c.Subject.CommonName}) &&
		(r.SPKI == "" || strings.EqualFold(r.SPKI, pki.Pin(c.RawSubjectPublicKeyInfo)))
}

// anyLike tells whether one of the values is what the pattern wants; an empty pattern wants nothing.
func anyLike(pattern string, values []string) bool {
	if pattern == "" {
		return true
	}
	start, open := strings.CutSuffix(pattern, "*")
	for _, v := range values {
		if v == pattern || open && strings.HasPrefix(v, start) {
			return true
		}
	}
	return false
}
