package provisioning

import (
	"os"
	"os/user"
	"path/filepath"
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
