package trust

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"strings"
	"testing"

	"github.com/orielhq/oriel/internal/tunnel/pki"
)

// TestIdentityMatches: each kind of rule alone, and all of one rule together.
func TestIdentityMatches(t *testing.T) {
	uri, _ := url.Parse("spiffe://example.org/company/acme/guardian/office")
	cert := &x509.Certificate{
		Subject: pkix.Name{CommonName: "office", Organization: []string{"acme", "second"}, OrganizationalUnit: []string{"guardian"}},
		URIs:    []*url.URL{uri}, DNSNames: []string{"office.acme.example"}, RawSubjectPublicKeyInfo: []byte("a key"),
	}
	pin := pki.Pin(cert.RawSubjectPublicKeyInfo)
	for name, tt := range map[string]struct {
		rule Identity
		want bool
	}{
		"uri":             {Identity{URI: "spiffe://example.org/company/acme/guardian/office"}, true},
		"uri pattern":     {Identity{URI: "spiffe://example.org/company/acme/*"}, true},
		"uri of another":  {Identity{URI: "spiffe://example.org/company/acme2/*"}, false},
		"uri, longer":     {Identity{URI: "spiffe://example.org/company/acme/guardian/office2"}, false},
		"everybody":       {Identity{URI: "*"}, true},
		"dns":             {Identity{DNS: "office.acme.example"}, true},
		"dns of another":  {Identity{DNS: "office.globex.example"}, false},
		"o":               {Identity{O: "acme"}, true},
		"o, second":       {Identity{O: "second"}, true},
		"o, by its start": {Identity{O: "ac"}, false},
		"ou":              {Identity{OU: "guardian"}, true},
		"ou of another":   {Identity{OU: "prober"}, false},
		"cn":              {Identity{CN: "off*"}, true},
		"cn of another":   {Identity{CN: "x"}, false},
		"pin":             {Identity{SPKI: strings.ToUpper(pin)}, true},
		"another pin":     {Identity{SPKI: strings.Repeat("0", 64)}, false},
		"all match":       {Identity{O: "acme", OU: "guardian", SPKI: pin}, true},
		"one does not":    {Identity{O: "acme", OU: "prober", SPKI: pin}, false},
	} {
		if err := tt.rule.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := tt.rule.Matches(cert); got != tt.want {
			t.Errorf("%s: %v; want %v", name, got, tt.want)
		}
	}
	if (Identity{URI: "spiffe://*"}).Matches(&x509.Certificate{}) {
		t.Error("a certificate without URI matches one")
	}
	for _, bad := range []Identity{{}, {SPKI: "sha256:xyz"}, {URI: "spiffe://x/company/*/*"}, {URI: "spiffe://x/**"}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is valid", bad)
		}
	}
}
