package trust

import (
	"crypto/x509"
	"errors"
	"regexp"
	"strings"

	"github.com/orielhq/oriel/internal/tunnel/pki"
)

// Identity is what a certificate must say: all that is named here must match.
// Patterns may end in "*".
type Identity struct {
	URI  string `yaml:"uri"`  // of the alternative names
	DNS  string `yaml:"dns"`  // of the alternative names
	O    string `yaml:"o"`    // of the subject
	OU   string `yaml:"ou"`   // of the subject
	CN   string `yaml:"cn"`   // of the subject
	SPKI string `yaml:"spki"` // SHA-256 of the public key, hex
}

var pinForm = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

// Validate refuses an identity that would match everybody or nobody by mistake.
func (i Identity) Validate() error {
	if i.URI+i.DNS+i.O+i.OU+i.CN+i.SPKI == "" {
		return errors.New("names nothing to match")
	}
	if i.SPKI != "" && !pinForm.MatchString(i.SPKI) {
		return errors.New("spki: want 64 hex digits")
	}
	if strings.Contains(strings.TrimSuffix(i.URI, "*"), "*") {
		return errors.New("uri: a \"*\" may stand at the end only")
	}
	return nil
}

// Matches tells whether a certificate, verified before, is of this identity.
func (i Identity) Matches(c *x509.Certificate) bool {
	var uris []string
	for _, u := range c.URIs {
		uris = append(uris, u.String())
	}
	return anyLike(i.URI, uris) && anyLike(i.DNS, c.DNSNames) && anyLike(i.O, c.Subject.Organization) &&
		anyLike(i.OU, c.Subject.OrganizationalUnit) && anyLike(i.CN, []string{c.Subject.CommonName}) &&
		(i.SPKI == "" || strings.EqualFold(i.SPKI, pki.Pin(c.RawSubjectPublicKeyInfo)))
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
