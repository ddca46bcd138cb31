package provisioning

import (
	"bufio"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/rules"
)

func config(t *testing.T) *Config {
	t.Helper()
	plugin := t.TempDir()
	for _, name := range []string{"plugin.json", "gpx_oriel_linux_amd64", "img/logo.svg"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(plugin, name)), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(plugin, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &Config{Dir: t.TempDir(), PluginFrom: plugin, URL: "https://oriel.example:9190", BasicAuthUser: "grafana", PasswordFile: "/run/secrets/oriel", CAFile: "/etc/ca.pem", Alerts: AlertsGrafana}
}

func mustFiles(t *testing.T, f func() ([]File, error)) []File {
	t.Helper()
	files, err := f()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestWritingTwiceChangesNothing(t *testing.T) {
	c := config(t)
	files := mustFiles(t, c.Files)
	if len(files) < 8 {
		t.Fatalf("%d files", len(files))
	}
	written, err := Write(files)
	if err != nil || len(written) != len(files) {
		t.Fatalf("%d of %d files written, %v", len(written), len(files), err)
	}
	if again, err := Write(mustFiles(t, c.Files)); err != nil || len(again) != 0 {
		t.Errorf("the second time: %v, %v", again, err)
	}
	exe := filepath.Join(c.Dir, "plugins", Plugin, "gpx_oriel_linux_amd64")
	if info, err := os.Stat(exe); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%s: %v, %v", exe, info, err)
	}
	// One changed, one gone, one not executable any more: each is said, and mended.
	sources := filepath.Join(c.Dir, "provisioning", "datasources", "oriel.yaml")
	provider := filepath.Join(c.Dir, "provisioning", "dashboards", "oriel.yaml")
	for _, err := range []error{os.WriteFile(sources, []byte("x"), 0o600), os.Remove(provider), os.Chmod(exe, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []Difference{{exe, "mode 0600 instead of 0755"}, {provider, "missing"}, {sources, "differs"}}
	got, err := Check(files)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("check: %v (-want +got):\n%s", err, diff)
	}
	if got, err = Write(files); err != nil || len(got) != 3 {
		t.Errorf("mended %v, %v", got, err)
	}
	if got, err = Check(files); err != nil || len(got) != 0 {
		t.Errorf("after that %v, %v", got, err)
	}
}

// Keys that Grafana 10.4 to 13 knows in provisioned data sources (pkg/services/provisioning/datasources).
var dataSourceKeys = strings.Fields("name type access orgId uid url user database basicAuth basicAuthUser withCredentials isDefault correlations jsonData secureJsonData version editable apiVersion")

func TestDataSources(t *testing.T) {
	text, err := config(t).dataSources()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		APIVersion  int              `yaml:"apiVersion"`
		Prune       bool             `yaml:"prune"`
		Datasources []map[string]any `yaml:"datasources"`
	}
	if err := yaml.UnmarshalWithOptions(text, &doc, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, d := range doc.Datasources {
		kinds = append(kinds, d["type"].(string))
		for key := range d {
			if !slices.Contains(dataSourceKeys, key) {
				t.Errorf("%v: Grafana does not know %q", d["name"], key)
			}
		}
		secure, ok := d["secureJsonData"].(map[string]any)
		if !ok || secure["basicAuthPassword"] != "$__file{/run/secrets/oriel}" || secure["tlsCACert"] != "$__file{/etc/ca.pem}" {
			t.Errorf("%v: secrets %v", d["name"], secure)
		}
	}
	if diff := cmp.Diff([]string{"prometheus", Plugin, "alertmanager"}, kinds); diff != "" || doc.APIVersion != 1 {
		t.Errorf("data sources (-want +got):\n%s", diff)
	}
	for _, bad := range []func(*Config){
		func(c *Config) { c.URL = "oriel:9190" }, func(c *Config) { c.URL = "http://u:p@h" }, func(c *Config) { c.Alerts = "x" },
		func(c *Config) { c.PasswordFile = "" }, func(c *Config) { c.Dir = "" }, func(c *Config) { c.PluginFrom = "/nosuch" },
	} {
		c := config(t)
		bad(c)
		if _, err := c.Files(); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestEveryAlertIsThere(t *testing.T) {
	text, err := managedAlerts(true)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Groups []struct {
			Name, Folder, Interval string
			Rules                  []struct {
				UID, Title, Condition string
				Annotations           map[string]string
				Data                  []map[string]any
			}
		}
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	got, uids := 0, map[string]bool{}
	for _, g := range doc.Groups {
		for _, r := range g.Rules {
			got++
			if len(r.UID) > 40 || uids[r.UID] || r.Condition != "B" || len(r.Data) != 2 {
				t.Errorf("%s: uid %q, condition %q, %d queries", r.Title, r.UID, r.Condition, len(r.Data))
			}
			uids[r.UID] = true
			for _, text := range r.Annotations {
				if strings.Contains(text, "$value ") || strings.Contains(text, "$value}") {
					t.Errorf("%s: Prometheus' $value is left in %q", r.Title, text)
				}
			}
		}
	}
	want := 0
	alert := regexp.MustCompile(`(?m)^\s*- alert:`)
	for _, name := range rules.Names() {
		b, err := rules.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(b), "\n") {
			if alert.MatchString(line) && !strings.HasPrefix(strings.TrimSpace(line), "#") {
				want++
			}
		}
	}
	if got != want || want < 20 {
		t.Errorf("%d alerts; the rules have %d", got, want)
	}
}

func secure(t *testing.T) *Secure {
	return &Secure{
		Dir: t.TempDir(), Address: netip.MustParseAddr("10.9.0.1"), Interface: "wg0", Allow: netip.MustParsePrefix("10.9.0.0/24"), Port: 3000,
		Domain: "grafana.vpn.example", MorePorts: []int{9190}, LDAP: true,
		OAuth: &OAuth{ClientID: "grafana", AuthURL: "https://idp/authorize", TokenURL: "https://idp/token", AdminGroup: "noc"},
	}
}

// TestWhatWeWriteIsFoundSafe also shows that the audit finds the files that are not there yet.
func TestWhatWeWriteIsFoundSafe(t *testing.T) {
	s := secure(t)
	if _, err := Write(mustFiles(t, s.Files)); err != nil {
		t.Fatal(err)
	}
	found, err := Audit(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		names = append(names, filepath.Base(f.Where)+" "+f.Is)
	}
	want := []string{"oauth cannot be read", "tls.crt cannot be read", "tls.key cannot be read"} // these the operator brings
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	secret := filepath.Join(s.Dir, "secrets", "secret_key")
	before, err := os.ReadFile(secret)
	if err != nil || len(before) < 24 {
		t.Fatalf("secret %q, %v", before, err)
	}
	if again, err := Write(mustFiles(t, s.Files)); err != nil || len(again) != 0 {
		t.Errorf("the second time: %v, %v", again, err)
	}
	if after, err := os.ReadFile(secret); err != nil || string(after) != string(before) {
		t.Errorf("the secret was replaced: %v", err)
	}
	err = filepath.WalkDir(filepath.Join(s.Dir, "secrets"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[d.IsDir()]; info.Mode().Perm() != want {
			t.Errorf("%s: mode %o", d.Name(), info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAuditOfTheStandardInstallation(t *testing.T) {
	dir := t.TempDir()
	ini := "[security]\nadmin_password = hunter2 ; mine\n[auth.anonymous]\nenabled = true\n"
	if err := os.WriteFile(filepath.Join(dir, "grafana.ini"), []byte(ini), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := Audit(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range found {
		all.WriteString(f.Where + "|" + f.Is + "|" + f.Want + "|" + f.Why + "\n")
	}
	for _, want := range []string{"[server] protocol|http (not set)|https|", "[security] admin_password|in the file|", "[security] secret_key|", "[auth.anonymous] enabled|true|false|", "[server] http_addr|(not set)|"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no finding %q in\n%s", want, all.String())
		}
	}
	if strings.Contains(all.String(), "hunter2") {
		t.Error("a finding tells the password")
	}
	if _, err := Audit(t.TempDir()); err == nil {
		t.Error("a folder without settings is audited")
	}
}

func TestSecureRefuses(t *testing.T) {
	for _, bad := range []func(*Secure){
		func(s *Secure) { s.Address = netip.MustParseAddr("0.0.0.0") }, func(s *Secure) { s.Interface = "wg0; drop" },
		func(s *Secure) { s.Allow = netip.MustParsePrefix("fd00::/8") }, func(s *Secure) { s.Port = 0 }, func(s *Secure) { s.Domain = "a b" },
		func(s *Secure) { s.OAuth.AdminGroup = "x') || 'Admin" }, func(s *Secure) { s.OAuth.TokenURL = "" }, func(s *Secure) { s.CertFile = "a\nb" },
	} {
		s := secure(t)
		bad(s)
		if _, err := s.Files(); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}

func TestFirewallRulesAreValid(t *testing.T) {
	if os.Geteuid() != 0 {
		proctest.Without(t, "nft checks rules as root only")
	}
	nft := proctest.External(t, "nft")
	for _, family := range []struct{ address, allow string }{{"10.9.0.1", "10.9.0.0/24"}, {"fd00::1", "fd00::/64"}} {
		s := secure(t)
		s.Address, s.Allow = netip.MustParseAddr(family.address), netip.MustParsePrefix(family.allow)
		if _, err := Write(mustFiles(t, s.Files)); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(s.Dir, "nftables", "oriel-grafana.nft")
		if out, err := exec.Command(nft, "-c", "-f", file).CombinedOutput(); err != nil {
			t.Errorf("nft: %v\n%s", err, out)
		}
	}
}

func FuzzReadINI(f *testing.F) {
	f.Add("[server]\nprotocol = https ; x\n")
	f.Add("[a\nb=\n=c\n;")
	f.Fuzz(func(t *testing.T, text string) {
		for key := range readINI(bufio.NewScanner(strings.NewReader(text))) {
			if !strings.Contains(key, ".") {
				t.Errorf("key %q has no section", key)
			}
		}
	})
}
