package provisioning

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Finding is something about an installation that is less safe than it could be.
type Finding struct {
	Where string // the setting, or the file
	Is    string // what it is now
	Want  string
	Why   string
}

// maxINI bounds what is read of a file with settings.
const maxINI = 1 << 20

// check is one setting and what it should be.
type check struct {
	section, key, standard string // standard is what Grafana takes without the key
	ok                     func(string) bool
	want, why              string
}

func is(values ...string) func(string) bool {
	return func(s string) bool {
		for _, v := range values {
			if strings.EqualFold(s, v) {
				return true
			}
		}
		return false
	}
}

func notWide(s string) bool { return s != "" && s != "0.0.0.0" && s != "::" && s != "[::]" }

// notPlain: an empty password is none of ours to judge, one in the file is readable for whoever reads the file.
func notPlain(s string) bool { return strings.HasPrefix(s, "$__") }

var checks = []check{
	{"server", "protocol", "http", is("https", "h2"), "https", "passwords and sessions travel in clear text"},
	{"server", "min_tls_version", "", is("TLS1.2", "TLS1.3"), "TLS1.2", "older versions of TLS are broken"},
	{"server", "http_addr", "", notWide, "the address of the VPN", "it listens on all interfaces"},
	{"server", "enforce_domain", "false", is("true"), "true", "a page of another site can reach it by DNS rebinding"},
	{"security", "admin_password", "admin", notPlain, "$__file{...}", "everybody knows admin, and whoever reads this file knows another one"},
	{"security", "secret_key", standardKey, notPlain, "$__file{...}", "it encrypts the passwords of data sources; the standard one is public"},
	{"security", "cookie_secure", "false", is("true"), "true", "the session's cookie goes over HTTP too"},
	{"security", "cookie_samesite", "lax", is("strict", "lax"), "strict, or lax with OAuth", "pages of other sites can send requests with the session"},
	{"security", "strict_transport_security", "false", is("true"), "true", "a browser may be led to HTTP"},
	{"security", "content_security_policy", "false", is("true"), "true", "injected scripts run"},
	{"security", "content_security_policy_template", "$NONCE", func(s string) bool { return strings.Contains(s, "$NONCE") && !strings.Contains(s, "script-src *") }, "Grafana's own, with $NONCE", "without a nonce Grafana's own scripts are either blocked, or every script runs"},
	{"security", "disable_gravatar", "false", is("true"), "true", "it asks a server outside for a picture of each user, by a hash of the e-mail address"},
	{"security", "allow_embedding", "false", is("false"), "false", "another site can lay it below its own page (clickjacking)"},
	{"security", "disable_brute_force_login_protection", "false", is("false"), "false", "passwords can be tried without end"},
	{"auth.anonymous", "enabled", "false", is("false"), "false", "everybody sees the dashboards without a login"},
	{"auth.basic", "enabled", "true", is("false"), "false", "passwords go along with every request, past the login form and SSO"},
	{"users", "allow_sign_up", "false", is("false"), "false", "everybody can make an account"},
	{"users", "auto_assign_org_role", "Viewer", is("Viewer", "None"), "Viewer", "whoever is new may change things"},
	{"snapshots", "external_enabled", "true", is("false"), "false", "one click publishes a dashboard's data on a server outside"},
	{"analytics", "reporting_enabled", "true", is("false"), "false", "it reports its usage outside"},
	{"metrics", "basic_auth_username", "", func(s string) bool { return s != "" }, "a user and a password", "/metrics tells everybody about users and data sources"},
}

// Audit reads the settings below a directory and explains what is unsafe.
func Audit(dir string) ([]Finding, error) {
	file := filepath.Join(dir, "grafana.ini")
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxINI {
		return nil, fmt.Errorf("%q is larger than %d bytes", file, maxINI)
	}
	settings := readINI(bufio.NewScanner(f))
	var found []Finding
	for _, c := range checks {
		value, ok := settings[c.section+"."+c.key]
		if !ok {
			value = c.standard
		}
		if c.section == "metrics" && strings.EqualFold(settings["metrics.enabled"], "false") {
			continue
		}
		if !c.ok(value) {
			shown := value
			if c.key == "admin_password" || c.key == "secret_key" {
				shown = "in the file" // a finding must not tell it
			}
			if !ok {
				shown += " (not set)"
			}
			found = append(found, Finding{"[" + c.section + "] " + c.key, strings.TrimSpace(shown), c.want, c.why})
		}
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		found = append(found, Finding{file, fmt.Sprintf("mode %04o", mode), "mode 0640", "everybody on the machine reads it"})
	}
	found = append(found, auditFiles(settings)...)
	return found, nil
}

// auditFiles looks at the files that settings name.
func auditFiles(settings map[string]string) []Finding {
	var found []Finding
	for key, value := range settings {
		name, ok := strings.CutPrefix(value, "$__file{")
		if !ok && key != "server.cert_key" {
			continue
		}
		name = strings.TrimSuffix(name, "}")
		if key == "server.cert_key" {
			name = value
		}
		info, err := os.Stat(name)
		switch {
		case err != nil:
			found = append(found, Finding{name, "cannot be read", "a file", "the setting " + key + " names it: Grafana will not start"})
		case info.Mode().Perm()&0o077 != 0 && info.Mode().Perm() != 0o640:
			found = append(found, Finding{name, fmt.Sprintf("mode %04o", info.Mode().Perm()), "mode 0600", "others on the machine read this secret"})
		case info.Mode()&fs.ModeType == 0 && info.Size() < 16 && key != "server.cert_key":
			found = append(found, Finding{name, fmt.Sprintf("%d bytes", info.Size()), "16 or more", "a short secret is guessed"})
		}
	}
	if name := settings["server.cert_file"]; name != "" {
		found = append(found, auditCertificate(name, time.Now())...)
	}
	return sortedFindings(found)
}

func auditCertificate(name string, now time.Time) []Finding {
	data, err := os.ReadFile(name)
	if err != nil {
		return []Finding{{name, "cannot be read", "a certificate", "Grafana will not start"}}
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return []Finding{{name, "no PEM", "a certificate", "Grafana will not start"}}
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return []Finding{{name, "no certificate", "a certificate", "Grafana will not start"}}
	case now.After(cert.NotAfter):
		return []Finding{{name, "ended " + cert.NotAfter.Format(time.DateOnly), "a valid one", "browsers refuse it"}}
	case now.Add(14 * 24 * time.Hour).After(cert.NotAfter):
		return []Finding{{name, "ends " + cert.NotAfter.Format(time.DateOnly), "a newer one", "it ends within two weeks"}}
	}
	return nil
}

// readINI reads settings as Grafana does: section and key, the last one counts.
func readINI(lines *bufio.Scanner) map[string]string {
	out := map[string]string{}
	section := ""
	lines.Buffer(make([]byte, 0, 4096), 64<<10)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || line[0] == ';' || line[0] == '#' {
			continue
		}
		if line[0] == '[' {
			section = string(bytes.Trim(line, "[] \t"))
			continue
		}
		key, value, ok := strings.Cut(string(line), "=")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		for _, mark := range []string{" ;", " #", "\t;", "\t#"} {
			value, _, _ = strings.Cut(value, mark)
		}
		out[section+"."+strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), "`\"")
	}
	return out
}
