package pki

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Sign signs the public key of a request by an order: nothing else of the
// request is taken over. It returns the chain to present, without the root.
func (a *Authority) Sign(request []byte, o Order) ([]*x509.Certificate, error) {
	r, err := ParseRequest(request)
	if err != nil {
		return nil, err
	}
	return a.sign(r.PublicKey, o)
}

func (a *Authority) sign(public any, o Order) ([]*x509.Certificate, error) {
	p, err := o.check()
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	err = a.locked(func() error {
		x, err := a.read()
		if err != nil {
			return err
		}
		g := x.active()
		issuing, key, err := a.pair(g, "issuing")
		if err != nil {
			return err
		}
		if key == nil {
			return fmt.Errorf("%s is missing", a.path("issuing.key", g))
		}
		n, err := serial()
		if err != nil {
			return err
		}
		life := o.Lifetime
		if life == 0 {
			life = p.DefaultLifetime()
		}
		t := &x509.Certificate{
			SerialNumber: n, Subject: pkix.Name{CommonName: o.Name, OrganizationalUnit: []string{o.Profile}},
			NotBefore: a.now().Add(-backdate), NotAfter: a.now().Add(life),
			URIs: []*url.URL{o.uri(x.Domain)}, DNSNames: o.DNS, IPAddresses: o.IPs,
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{p.Usage}, BasicConstraintsValid: true,
		}
		if o.Company != "" {
			t.Subject.Organization = []string{o.Company}
		}
		if t.NotAfter.After(issuing.NotAfter) {
			return fmt.Errorf("the issuing authority ends at %s, before the certificate: rotate it", issuing.NotAfter.Format(time.RFC3339))
		}
		der, err := x509.CreateCertificate(rand.Reader, t, issuing, public, key)
		if err != nil {
			return err
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		x.Entries = append(x.Entries, &Entry{
			Serial: n.Text(16), Generation: g.ID, Profile: p.Name, URI: t.URIs[0].String(),
			NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, Pin: Pin(cert.RawSubjectPublicKeyInfo),
		})
		chain = []*x509.Certificate{cert, issuing}
		return a.save(x)
	})
	return chain, err
}

// Issue makes a key and signs it at once: for laboratories and tests.
func (a *Authority) Issue(keyType string, o Order) (chain []*x509.Certificate, key []byte, err error) {
	k, err := NewKey(keyType)
	if err != nil {
		return nil, nil, err
	}
	if key, err = EncodeKey(k); err != nil {
		return nil, nil, err
	}
	chain, err = a.sign(k.Public(), o)
	return chain, key, err
}

// Renew signs a request with the identity of a certificate that is still good.
func (a *Authority) Renew(request []byte, old []*x509.Certificate) ([]*x509.Certificate, error) {
	if len(old) == 0 {
		return nil, fmt.Errorf("no certificate to renew")
	}
	if err := a.Verify(old); err != nil {
		return nil, fmt.Errorf("renew: %w", err)
	}
	o, err := orderOf(old[0])
	if err != nil {
		return nil, fmt.Errorf("renew: %w", err)
	}
	return a.Sign(request, o)
}

// Verify checks a chain, leaf first, against the authority's roots and lists.
func (a *Authority) Verify(chain []*x509.Certificate) error {
	bundle, err := ReadFile(a.path("bundle.pem", nil))
	if err != nil {
		return err
	}
	roots, err := ParseCertificates(bundle)
	if err != nil {
		return err
	}
	text, err := ReadFile(a.path("crl.pem", nil))
	if err != nil {
		return err
	}
	lists, err := ParseLists(text)
	if err != nil {
		return err
	}
	return Verify(chain, roots, lists, a.now())
}

// Verify checks a chain, leaf first, against roots and lists, for either usage.
func Verify(chain, roots []*x509.Certificate, lists *Lists, now time.Time) error {
	opts := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, c := range roots {
		opts.Roots.AddCert(c)
	}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	found, err := chain[0].Verify(opts)
	if err != nil {
		return err
	}
	for _, path := range found {
		for i, c := range path[:len(path)-1] {
			if lists.Revoked(c, path[i+1]) {
				return fmt.Errorf("certificate %s is revoked", c.SerialNumber.Text(16))
			}
		}
	}
	return nil
}

// Revoke marks a certificate by serial (hex), URI or pin and publishes the lists. It returns how many it marked.
func (a *Authority) Revoke(which string) (marked int, err error) {
	hex := strings.ReplaceAll(which, ":", "") // as openssl writes it
	same := func(e *Entry) bool {
		return e.URI == which || strings.EqualFold(strings.TrimLeft(hex, "0"), e.Serial) || strings.EqualFold(e.Pin, hex)
	}
	err = a.locked(func() error {
		x, err := a.read()
		if err != nil {
			return err
		}
		known := false
		for _, e := range x.Entries {
			if !same(e) {
				continue
			}
			known = true
			if e.Revoked.IsZero() && a.now().Before(e.NotAfter) {
				e.Revoked = a.now()
				marked++
			}
		}
		if !known {
			return fmt.Errorf("no certificate %q", which)
		}
		return a.publish(x)
	})
	return marked, err
}

// PublishLists signs the revocation lists anew: before the old ones are out of date.
func (a *Authority) PublishLists() error {
	return a.locked(func() error {
		x, err := a.read()
		if err != nil {
			return err
		}
		return a.publish(x)
	})
}

// List returns what was signed and has not expired more than 30 days ago.
func (a *Authority) List() ([]Entry, error) {
	x, err := a.read()
	if err != nil {
		return nil, err
	}
	list := make([]Entry, 0, len(x.Entries))
	for _, e := range x.Entries {
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b Entry) int { return a.NotAfter.Compare(b.NotAfter) })
	return list, nil
}
