package provisioning

import (
	"bufio"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/orielhq/oriel/internal/proctest"
)

// TestSecretsBelongToGrafana: what root writes with mode 0600 Grafana could not read.
func TestSecretsBelongToGrafana(t *testing.T) {
	if os.Geteuid() != 0 {
		proctest.Without(t, "only root gives files away")
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	s := secure(t)
	s.RunAs = u.Username
	if _, err := Write(mustFiles(t, s.Files)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"secrets": u.Uid + ":" + u.Gid, "secrets/admin": u.Uid + ":" + u.Gid, "secrets/secret_key": u.Uid + ":" + u.Gid,
		"grafana.ini": "0:" + u.Gid, "ldap.toml": "0:" + u.Gid, "nftables": "0:0", "nftables/oriel-grafana.nft": "0:0",
	} {
		info, err := os.Stat(filepath.Join(s.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		uid, gid := ownerOf(info)
		if got := strconv.Itoa(uid) + ":" + strconv.Itoa(gid); got != want {
			t.Errorf("%s belongs to %s; want %s", name, got, want)
		}
	}
	if again, err := Write(mustFiles(t, s.Files)); err != nil || len(again) != 0 {
		t.Errorf("the second time: %v, %v", again, err)
	}
	secret := filepath.Join(s.Dir, "secrets", "secret_key")
	before, err := os.ReadFile(secret)
	if err == nil {
		err = os.Chown(secret, 0, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := Check(mustFiles(t, s.Files))
	if err != nil || len(got) != 1 || got[0].Path != secret || !strings.Contains(got[0].What, "owner 0:0 instead of nobody") {
		t.Errorf("check: %v, %v", got, err)
	}
	if _, err := Write(mustFiles(t, s.Files)); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(secret); err != nil || string(after) != string(before) {
		t.Errorf("the secret was replaced: %v", err)
	}
	if got, err := Check(mustFiles(t, s.Files)); err != nil || len(got) != 0 {
		t.Errorf("after that: %v, %v", got, err)
	}
	s.RunAs = "no-such-user"
	if _, err := s.Files(); err == nil {
		t.Error("an unknown user is taken")
	}
}

// TestFormerSettingsAreKept, once: the second time they are ours.
func TestFormerSettingsAreKept(t *testing.T) {
	s := secure(t)
	ini := filepath.Join(s.Dir, "grafana.ini")
	if err := os.WriteFile(ini, []byte("[smtp]\nenabled = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Write(mustFiles(t, s.Files)); err != nil {
			t.Fatal(err)
		}
		s.Port++ // so that it is written again
	}
	was, err := os.ReadFile(ini + former)
	if err != nil || string(was) != "[smtp]\nenabled = true\n" {
		t.Errorf("former settings %q, %v", was, err)
	}
	if now, err := os.ReadFile(ini); err != nil || !strings.Contains(string(now), "http_port = 3001") {
		t.Errorf("settings %s, %v", now, err)
	}
}

// TestAKeyOfOnesOwnMoves: with another one Grafana could not read what it has stored.
func TestAKeyOfOnesOwnMoves(t *testing.T) {
	for line, want := range map[string]string{
		"secret_key = my-own-and-long-enough-key": "my-own-and-long-enough-key",
		"secret_key = " + standardKey:             "", // everybody knows it: a new one
		"secret_key = $__file{/elsewhere}":        "",
		"":                                        "",
	} {
		s := secure(t)
		if err := os.WriteFile(filepath.Join(s.Dir, "grafana.ini"), []byte("[security]\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := Write(mustFiles(t, s.Files)); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(filepath.Join(s.Dir, "secrets", "secret_key"))
		if err != nil || want != "" && string(got) != want || want == "" && (len(got) < 24 || strings.Contains(line, string(got))) {
			t.Errorf("%q: secret_key %q, %v", line, got, err)
		}
		ini, err := os.ReadFile(filepath.Join(s.Dir, "grafana.ini"))
		if err != nil || want != "" && strings.Contains(string(ini), want) {
			t.Errorf("%q: the key stands in the settings: %v", line, err)
		}
	}
}

// TestDollarsStayDollars: Grafana puts variables of its environment into provisioned texts.
func TestDollarsStayDollars(t *testing.T) {
	c := config(t)
	c.URL, c.BasicAuthUser = "https://oriel:9190/$HOME", "pay$USER"
	text, err := c.dataSources()
	if err != nil {
		t.Fatal(err)
	}
	var doc sourcesFile
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for _, d := range doc.DataSources {
		if d.BasicAuthUser != "pay$$USER" || !strings.HasPrefix(d.URL, "https://oriel:9190/$$HOME") {
			t.Errorf("%s: %q at %q", d.Name, d.BasicAuthUser, d.URL)
		}
	}
	c.PasswordFile = "/run/a}b"
	if _, err := c.Files(); err == nil {
		t.Error("a file's name ends Grafana's expression")
	}
}

// TestWhoNotifiesOfGrafanasAlerts is Grafana, unless Oriel's Alertmanager is to.
func TestWhoNotifiesOfGrafanasAlerts(t *testing.T) {
	for _, notify := range []bool{false, true} {
		c := config(t)
		c.Notify = notify
		text, err := c.dataSources()
		if err != nil {
			t.Fatal(err)
		}
		var doc sourcesFile
		if err := yaml.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		if got := doc.DataSources[2].JSONData["handleGrafanaManagedAlerts"]; got != notify {
			t.Errorf("notify %v: handleGrafanaManagedAlerts %v", notify, got)
		}
	}
	c := config(t)
	c.Notify, c.Alerts = true, AlertsDatasource
	if err := c.Validate(); err == nil {
		t.Error("alerts of Oriel itself would come twice")
	}
}

// TestWithoutGrafanasAlertsTheFileIsEmpty: whoever lets Oriel evaluate has no copies in
// Grafana, and its folders are there all the same.
func TestWithoutGrafanasAlertsTheFileIsEmpty(t *testing.T) {
	for _, alerts := range []string{AlertsDatasource, AlertsNone} {
		c := config(t)
		c.Alerts = alerts
		found := false
		for _, f := range mustFiles(t, c.Files) {
			if !strings.HasSuffix(f.Path, "provisioning/alerting/oriel.yaml") {
				continue
			}
			found = true
			var doc alertsFile
			if err := yaml.UnmarshalWithOptions(f.Data, &doc, yaml.Strict()); err != nil || len(doc.Groups) != 0 || doc.APIVersion != 1 {
				t.Errorf("%s: %+v, %v", alerts, doc, err)
			}
		}
		if !found {
			t.Errorf("%s: no file", alerts)
		}
	}
}

// TestAudited: a template of one's own may take away what the policy is for.
func TestAudited(t *testing.T) {
	for template, want := range map[string]bool{
		"": false, // Grafana's own
		"content_security_policy_template = \"\"\"script-src 'self' 'strict-dynamic' $NONCE;object-src 'none'\"\"\"": false,
		"content_security_policy_template = \"\"\"script-src 'self' 'unsafe-inline';\"\"\"":                          true,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "grafana.ini"), []byte("[security]\ncontent_security_policy = true\n"+template+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := Audit(dir)
		if err != nil {
			t.Fatal(err)
		}
		got := false
		for _, f := range found {
			got = got || strings.Contains(f.Where, "policy_template")
			if f.Why == "" || f.Want == "" {
				t.Errorf("%+v is not explained", f)
			}
		}
		if got != want {
			t.Errorf("%q: finding %v; want %v", template, got, want)
		}
	}
}

// Keys of Grafana's conf/defaults.ini that 10.4 and 13 both have. Grafana says nothing about others: they just do nothing.
var settingKeys = map[string]string{
	"server":             "protocol min_tls_version http_addr http_port domain enforce_domain root_url cert_file cert_key certs_watch_interval",
	"security":           "admin_user admin_password secret_key cookie_secure cookie_samesite strict_transport_security content_security_policy disable_gravatar allow_embedding disable_brute_force_login_protection",
	"auth":               "login_cookie_name disable_login_form login_maximum_inactive_lifetime_duration login_maximum_lifetime_duration",
	"auth.anonymous":     "enabled",
	"auth.basic":         "enabled",
	"auth.ldap":          "enabled config_file",
	"auth.generic_oauth": "enabled client_id client_secret scopes auth_url token_url api_url use_pkce role_attribute_path role_attribute_strict allowed_domains",
	"users":              "allow_sign_up auto_assign_org_role",
	"snapshots":          "external_enabled",
	"analytics":          "reporting_enabled check_for_updates",
	"metrics":            "enabled basic_auth_username basic_auth_password",
	"plugins":            "allow_loading_unsigned_plugins",
}

func TestSettingsHaveGrafanasKeys(t *testing.T) {
	for _, ldap := range []bool{false, true} {
		s := secure(t)
		s.LDAP, s.OAuth.APIURL, s.OAuth.AllowedDomains = ldap, "https://idp/userinfo", "example.org"
		for _, f := range mustFiles(t, s.Files) {
			if filepath.Base(f.Path) != "grafana.ini" {
				continue
			}
			settings := readINI(bufio.NewScanner(strings.NewReader(string(f.Data))))
			for name, value := range settings {
				section, key := name[:strings.LastIndex(name, ".")], name[strings.LastIndex(name, ".")+1:]
				if !slices.Contains(strings.Fields(settingKeys[section]), key) || value == "" {
					t.Errorf("[%s] %s = %q", section, key, value)
				}
			}
			// Who is in the LDAP comes in by the form.
			if got := settings["auth.disable_login_form"]; got != map[bool]string{true: "false", false: "true"}[ldap] {
				t.Errorf("LDAP %v: disable_login_form = %s", ldap, got)
			}
			// A redirect from the identity provider needs the cookie.
			if settings["security.cookie_samesite"] != "lax" || len(settings) < 40 {
				t.Errorf("cookie_samesite = %s, %d settings", settings["security.cookie_samesite"], len(settings))
			}
			// The name promises what browsers check: secure, no domain, the path /.
			if strings.HasPrefix(settings["auth.login_cookie_name"], "__Host-") && (settings["security.cookie_secure"] != "true" || strings.Count(settings["server.root_url"], "/") != 3) {
				t.Errorf("cookie %s at %s", settings["auth.login_cookie_name"], settings["server.root_url"])
			}
		}
	}
}
