package provisioning

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"text/template"
)

// Secure says how a Grafana is hardened.
type Secure struct {
	Dir       string       // Grafana's configuration, /etc/grafana
	Address   netip.Addr   // the address to listen on, of the VPN
	Interface string       // the VPN's interface
	Allow     netip.Prefix // who may come in through it
	Port      int
	Domain    string // the name in the address people type
	CertFile  string // DIR/tls/tls.crt if empty
	KeyFile   string
	OAuth     *OAuth // nil: none
	LDAP      bool   // with the file DIR/ldap.toml
	MorePorts []int  // further ports that only the VPN may reach
	// RunAs is the system's user that Grafana runs as, who gets the secrets if
	// root writes them; "grafana", where there is one, if empty.
	RunAs string
}

// OAuth is a provider of identities.
type OAuth struct {
	ClientID, AuthURL, TokenURL, APIURL, AllowedDomains, AdminGroup string
}

// Validate names the first thing that makes no sense.
func (s *Secure) Validate() error {
	switch {
	case s.Dir == "":
		return errors.New("no directory")
	case !s.Address.IsValid() || s.Address.IsUnspecified():
		return errors.New("address: want the one address, of the VPN, that Grafana listens on")
	case s.Interface == "" || len(s.Interface) > 15 || strings.ContainsAny(s.Interface, "/\" \t\n{}"):
		return fmt.Errorf("interface %q is not the name of one", s.Interface)
	case !s.Allow.IsValid() || s.Allow.Addr().Is4() != s.Address.Is4():
		return errors.New("allow: want the network of the VPN, of the same family as the address")
	case s.Port < 1 || s.Port > 65535:
		return fmt.Errorf("port %d", s.Port)
	case strings.ContainsAny(s.RunAs, " :/\n"):
		return fmt.Errorf("user %q is not the name of one", s.RunAs)
	case s.Domain == "" || strings.ContainsAny(s.Domain, " \t\n/;#"):
		return fmt.Errorf("domain %q is not the name of a host", s.Domain)
	}
	for _, text := range []string{s.CertFile, s.KeyFile} {
		if strings.ContainsAny(text, "\n;#") {
			return fmt.Errorf("file %q", text)
		}
	}
	if s.OAuth == nil {
		return nil
	}
	for name, text := range map[string]string{"client id": s.OAuth.ClientID, "auth URL": s.OAuth.AuthURL, "token URL": s.OAuth.TokenURL} {
		if text == "" {
			return fmt.Errorf("oauth: no %s", name)
		}
	}
	for _, text := range []string{s.OAuth.ClientID, s.OAuth.AuthURL, s.OAuth.TokenURL, s.OAuth.APIURL, s.OAuth.AllowedDomains, s.OAuth.AdminGroup} {
		if strings.ContainsAny(text, "\n;#'`\"") {
			return fmt.Errorf("oauth: %q has characters that a setting cannot have", text)
		}
	}
	return nil
}

// Files returns the settings, secrets, firewall rules and unit. Secrets that
// are there already stay: a new secret_key would make all stored passwords unreadable.
func (s *Secure) Files() ([]File, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		return nil, err
	}
	c := *s
	c.Dir = dir
	if c.CertFile == "" {
		c.CertFile, c.KeyFile = filepath.Join(dir, "tls", "tls.crt"), filepath.Join(dir, "tls", "tls.key")
	}
	secret, settings, err := runAs(cmp.Or(s.RunAs, "grafana"), s.RunAs != "")
	if err != nil {
		return nil, err
	}
	var files []File
	for name, t := range map[string]*template.Template{
		"grafana.ini": grafanaINI, "nftables/oriel-grafana.nft": nftables, "systemd/grafana-server.service.d/oriel.conf": unit,
	} {
		var text strings.Builder
		if err := t.Execute(&text, &c); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		f := File{Path: filepath.Join(dir, filepath.FromSlash(name)), Data: []byte(text.String()), Mode: 0o644}
		if name == "grafana.ini" {
			f.Mode, f.Owner, f.Former = 0o640, settings, true
		}
		files = append(files, f)
	}
	key, err := formerKey(filepath.Join(dir, "grafana.ini"))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"admin", "secret_key", "metrics"} {
		if name == "secret_key" && key != "" {
			files = append(files, File{Path: filepath.Join(dir, "secrets", name), Data: []byte(key), Mode: 0o600, Keep: true, Owner: secret})
			continue
		}
		files = append(files, File{Path: filepath.Join(dir, "secrets", name), Data: []byte(rand.Text() + rand.Text()[:6]), Mode: 0o600, Keep: true, Owner: secret})
	}
	if c.LDAP {
		files = append(files, File{Path: filepath.Join(dir, "ldap.toml"), Data: []byte(ldapTOML), Mode: 0o640, Keep: true, Owner: settings})
	}
	return sorted(files), nil
}

// Ports that only the VPN may reach.
func (s *Secure) Ports() string {
	list := []string{fmt.Sprint(s.Port)}
	for _, p := range s.MorePorts {
		list = append(list, fmt.Sprint(p))
	}
	return strings.Join(list, ", ")
}

// Family is the name of the address family in nftables.
func (s *Secure) Family() string {
	if s.Allow.Addr().Is4() {
		return "ip"
	}
	return "ip6"
}

// Host is the address as it stands before a port.
func (s *Secure) Host() string { return s.Address.String() }
