// Package pki is the certificate authority of the tunnels: a root and an
// issuing authority in a directory, certificates by profile, revocation lists,
// renewal and rotation. A private key is made where it is used and stays there.
package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Profile says what a certificate of a kind may be used for. Nothing of it is the requester's to choose.
type Profile struct {
	Name     string
	Usage    x509.ExtKeyUsage
	Lifetime time.Duration // at most; what is asked for may be shorter
	Names    bool          // may carry DNS names and addresses
	Company  bool          // must name a company
}

const day = 24 * time.Hour

// Profiles returns all profiles. Those renewed by a daemon live a day; servers, also renewed by hand, 90.
func Profiles() []Profile {
	return []Profile{
		{Name: "guardian", Usage: x509.ExtKeyUsageClientAuth, Lifetime: 90 * day, Company: true},
		{Name: "tunnel-server", Usage: x509.ExtKeyUsageServerAuth, Lifetime: 90 * day, Names: true},
		{Name: "prober", Usage: x509.ExtKeyUsageClientAuth, Lifetime: 90 * day},
		{Name: "proxy", Usage: x509.ExtKeyUsageServerAuth, Lifetime: 90 * day, Names: true},
	}
}

// DefaultLifetime is the life of a certificate unless told: a day for clients, which a daemon renews, 90 for servers.
func (p Profile) DefaultLifetime() time.Duration {
	if p.Usage == x509.ExtKeyUsageClientAuth {
		return day
	}
	return p.Lifetime
}

func profile(name string) (Profile, error) {
	var known []string
	for _, p := range Profiles() {
		if p.Name == name {
			return p, nil
		}
		known = append(known, p.Name)
	}
	return Profile{}, fmt.Errorf("profile %q: want one of %s", name, strings.Join(known, ", "))
}

// Order is what the one who signs decides about a certificate.
type Order struct {
	Profile  string
	Name     string // of the guardian, server, ...: the last part of its URI
	Company  string
	DNS      []string
	IPs      []net.IP
	Lifetime time.Duration // 0: the profile's default
}

var (
	nameForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	domainForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
)

const maxNames = 64

// check returns the profile of an order that can be signed.
func (o Order) check() (Profile, error) {
	p, err := profile(o.Profile)
	if err != nil {
		return p, err
	}
	switch {
	case !nameForm.MatchString(o.Name):
		return p, fmt.Errorf("name %q: want letters, digits, dot, dash and underscore, at most 63", o.Name)
	case o.Company != "" && !nameForm.MatchString(o.Company):
		return p, fmt.Errorf("company %q: want letters, digits, dot, dash and underscore, at most 63", o.Company)
	case p.Company && o.Company == "":
		return p, fmt.Errorf("profile %q needs a company", p.Name)
	case !p.Names && len(o.DNS)+len(o.IPs) > 0:
		return p, fmt.Errorf("profile %q has no DNS names or addresses", p.Name)
	case p.Names && len(o.DNS)+len(o.IPs) == 0:
		return p, fmt.Errorf("profile %q needs a DNS name or an address", p.Name)
	case len(o.DNS)+len(o.IPs) > maxNames:
		return p, fmt.Errorf("more than %d names", maxNames)
	case o.Lifetime < 0 || o.Lifetime > p.Lifetime:
		return p, fmt.Errorf("lifetime %s: profile %q allows at most %s", o.Lifetime, p.Name, p.Lifetime)
	}
	for _, name := range o.DNS {
		if len(name) > 253 || !domainForm.MatchString(strings.TrimPrefix(name, "*.")) {
			return p, fmt.Errorf("%q is not a DNS name", name)
		}
	}
	return p, nil
}

// uri is the identity: spiffe://DOMAIN/company/COMPANY/PROFILE/NAME.
func (o Order) uri(domain string) *url.URL {
	path := "/" + o.Profile + "/" + o.Name
	if o.Company != "" {
		path = "/company/" + o.Company + path
	}
	return &url.URL{Scheme: "spiffe", Host: domain, Path: path}
}

// orderOf reads back the order of a certificate that this authority signed.
func orderOf(cert *x509.Certificate) (Order, error) {
	if len(cert.URIs) != 1 {
		return Order{}, errors.New("certificate has not one URI")
	}
	parts := strings.Split(strings.TrimPrefix(cert.URIs[0].Path, "/"), "/")
	o := Order{DNS: slices.Clone(cert.DNSNames), IPs: slices.Clone(cert.IPAddresses), Lifetime: cert.NotAfter.Sub(cert.NotBefore) - backdate}
	if len(parts) == 4 && parts[0] == "company" {
		o.Company, parts = parts[1], parts[2:]
	}
	if len(parts) != 2 {
		return Order{}, fmt.Errorf("URI %q is not one of this authority", cert.URIs[0])
	}
	o.Profile, o.Name = parts[0], parts[1]
	_, err := o.check()
	return o, err
}
