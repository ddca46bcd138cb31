package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

func newAuthority(t *testing.T) *Authority {
	t.Helper()
	a, err := Init(filepath.Join(t.TempDir(), "ca"), "oriel.test", "")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var (
	acme   = Order{Profile: "guardian", Name: "g1", Company: "acme"}
	server = Order{Profile: "tunnel-server", Name: "s1", DNS: []string{"gw.oriel.test"}}
)

func issue(t *testing.T, a *Authority, o Order) (chain []*x509.Certificate, key []byte) {
	t.Helper()
	chain, key, err := a.Issue("", o)
	if err != nil {
		t.Fatal(err)
	}
	return chain, key
}

func TestOrdersOutsideTheProfileAreRefused(t *testing.T) {
	a := newAuthority(t)
	for _, tt := range []struct {
		name, want string
		change     func(*Order)
	}{
		{"unknown profile", `profile "x"`, func(o *Order) { o.Profile = "x" }},
		{"no company", "needs a company", func(o *Order) { o.Company = "" }},
		{"company with slash", "company", func(o *Order) { o.Company = "a/../b" }},
		{"client with DNS name", "no DNS names", func(o *Order) { o.DNS = []string{"a.b"} }},
		{"too long", "at most", func(o *Order) { o.Lifetime = 100 * day }},
		{"empty name", "name", func(o *Order) { o.Name = "" }},
	} {
		o := acme
		tt.change(&o)
		if _, _, err := a.Issue("", o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Issue = %v; want an error with %q", tt.name, err, tt.want)
		}
	}
}

func TestRequestDecidesOnlyThePublicKey(t *testing.T) {
	a := newAuthority(t)
	key, err := NewKey("ed25519")
	if err != nil {
		t.Fatal(err)
	}
	req, err := NewRequest(key, "i am root")
	if err != nil {
		t.Fatal(err)
	}
	chain, err := a.Sign(req, acme)
	if err != nil {
		t.Fatal(err)
	}
	if c := chain[0]; c.Subject.CommonName != "g1" || c.URIs[0].String() != "spiffe://oriel.test/company/acme/guardian/g1" || c.IsCA {
		t.Errorf("signed %v %v; want only what the order says", c.Subject, c.URIs)
	}
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	a := newAuthority(t)
	seen := 0
	err := filepath.WalkDir(a.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		seen++
		info, err := d.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil || seen < 8 {
		t.Errorf("%d files, %v", seen, err)
	}
}

func TestRevocationAndRotation(t *testing.T) {
	a := newAuthority(t)
	old, _ := issue(t, a, acme)
	before, _ := ReadFile(a.path("crl.pem", nil))
	if n, err := a.Revoke(old[0].URIs[0].String()); n != 1 || err != nil {
		t.Fatalf("Revoke = %d, %v", n, err)
	}
	if err := a.Verify(old); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("Verify(revoked) = %v", err)
	}
	after, _ := ReadFile(a.path("crl.pem", nil))
	l1, _ := ParseLists(before)
	l2, _ := ParseLists(after)
	if l2.Older(l1) || !l1.Older(l2) {
		t.Error("lists do not count on")
	}
	live, _ := issue(t, a, acme)
	if err := a.RotateIssuing(""); err != nil {
		t.Fatal(err)
	}
	if err := a.RotateRoot(""); err != nil {
		t.Fatal(err)
	}
	if err := a.RotateRoot(""); err == nil {
		t.Error("two new roots at once")
	}
	second, _ := issue(t, a, acme)
	if err := a.Activate(); err != nil {
		t.Fatal(err)
	}
	third, _ := issue(t, a, acme)
	for _, c := range [][]*x509.Certificate{live, second, third} {
		if err := a.Verify(c); err != nil {
			t.Error(err)
		}
	}
	if went, stayed, err := a.Retire(false); went != 0 || stayed != 2 || err != nil {
		t.Errorf("Retire = %d, %d, %v; want 0 gone, 2 stayed", went, stayed, err)
	}
	if went, _, err := a.Retire(true); went != 2 || err != nil {
		t.Errorf("Retire(force) = %d, %v", went, err)
	}
	if err := a.Verify(live); err == nil {
		t.Error("a certificate of the old root is still good")
	}
	if err := a.Verify(third); err != nil {
		t.Error(err)
	}
}

func TestRenewOverMutualTLS(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	sc, sk := issue(t, a, Order{Profile: "tunnel-server", Name: "ca", DNS: []string{"localhost"}})
	pair, err := tls.X509KeyPair(EncodeCertificates(sc...), sk)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(a)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	srv.StartTLS()
	defer srv.Close()
	chain, key := issue(t, a, acme)
	r := &Renewal{
		CertFile: filepath.Join(dir, "c.pem"), KeyFile: filepath.Join(dir, "k.pem"), NewKey: true,
		Exec: []string{"sh", "-c", "echo ran > " + filepath.Join(dir, "hook")}, Log: slog.New(slog.DiscardHandler),
	}
	r.Sign = Remote(strings.Replace(srv.URL, "127.0.0.1", "localhost", 1), r.CertFile, r.KeyFile, a.path("bundle.pem", nil))
	_ = WriteFile(r.CertFile, EncodeCertificates(chain...))
	_ = WriteFile(r.KeyFile, key)
	fresh, err := r.Once(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if fresh.SerialNumber.Cmp(chain[0].SerialNumber) == 0 || fresh.URIs[0].String() != chain[0].URIs[0].String() {
		t.Error("renewed certificate is not a new one of the same identity")
	}
	if _, err := os.Stat(filepath.Join(dir, "hook")); err != nil {
		t.Error("the hook did not run")
	}
	if _, err := a.Revoke(fresh.SerialNumber.Text(16)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Once(t.Context()); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("renewal of a revoked certificate = %v", err)
	}
	now := time.Now()
	if due := Due(fresh); due.Before(now.Add(14*time.Hour)) || due.After(now.Add(17*time.Hour)) {
		t.Errorf("a day's certificate is due in %s", due.Sub(now))
	}
}

func TestOpenSSLAgrees(t *testing.T) {
	openssl := proctest.External(t, "openssl")
	a := newAuthority(t)
	dir := t.TempDir()
	run := func(args ...string) (string, error) {
		out, err := exec.Command(openssl, args...).CombinedOutput()
		return string(out), err
	}
	// A request made elsewhere is signed, and what is signed verifies elsewhere.
	csr, key := filepath.Join(dir, "r.csr"), filepath.Join(dir, "r.key")
	if out, err := run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", csr, "-subj", "/CN=x"); err != nil {
		t.Fatal(out)
	}
	text, _ := os.ReadFile(csr)
	chain, err := a.Sign(text, server)
	if err != nil {
		t.Fatal(err)
	}
	leaf, issuing := filepath.Join(dir, "l.pem"), filepath.Join(dir, "i.pem")
	_ = WriteFile(leaf, EncodeCertificates(chain[0]))
	_ = WriteFile(issuing, EncodeCertificates(chain[1]))
	verify := func() (string, error) {
		return run("verify", "-x509_strict", "-crl_check_all", "-CRLfile", a.path("crl.pem", nil), "-CAfile", a.path("bundle.pem", nil), "-untrusted", issuing, "-purpose", "sslserver", "-verify_hostname", "gw.oriel.test", leaf)
	}
	if out, err := verify(); err != nil {
		t.Errorf("openssl verify: %s", out)
	}
	text, _ = os.ReadFile(key)
	for _, legacy := range []bool{false, true} {
		p12, err := PKCS12(chain, text, "s3cret", legacy)
		if err != nil {
			t.Fatal(err)
		}
		store := filepath.Join(dir, "s.p12")
		_ = WriteFile(store, p12)
		args := []string{"pkcs12", "-in", store, "-passin", "pass:s3cret", "-nodes"}
		if legacy {
			args = append(args, "-legacy")
		}
		if out, err := run(args...); err != nil || strings.Count(out, "BEGIN CERTIFICATE") != 2 || !strings.Contains(out, "BEGIN PRIVATE KEY") {
			t.Errorf("openssl pkcs12 (legacy %v): %s", legacy, out)
		}
		if back, _, err := ParsePKCS12(p12, "s3cret"); err != nil || !back[0].Equal(chain[0]) {
			t.Errorf("ParsePKCS12: %v", err)
		}
	}
	if _, err := a.Revoke(chain[0].SerialNumber.Text(16)); err != nil {
		t.Fatal(err)
	}
	if out, err := verify(); err == nil || !strings.Contains(out, "certificate revoked") {
		t.Errorf("openssl verify of a revoked one: %s", out)
	}
}

func FuzzParse(f *testing.F) {
	a, err := Init(filepath.Join(f.TempDir(), "ca"), "oriel.test", "")
	if err != nil {
		f.Fatal(err)
	}
	chain, key, err := a.Issue("", acme)
	if err != nil {
		f.Fatal(err)
	}
	k, _ := ParseKey(key)
	req, _ := NewRequest(k, "x")
	crl, _ := ReadFile(a.path("crl.pem", nil))
	idx, _ := ReadFile(a.path("index.json", nil))
	for _, seed := range [][]byte{EncodeCertificates(chain...), key, req, crl, idx, nil} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if list, err := ParseCertificates(data); err == nil {
			again, err := ParseCertificates(EncodeCertificates(list...))
			if err != nil || len(again) != len(list) || !bytes.Equal(again[0].Raw, list[0].Raw) {
				t.Errorf("certificates written and read again: %d of %d, %v", len(again), len(list), err)
			}
			_, _ = orderOf(list[0])
			_ = Verify(list, list[len(list)-1:], nil, time.Now())
		}
		if k, err := ParseKey(data); err == nil {
			if text, err := EncodeKey(k); err == nil {
				if _, err := ParseKey(text); err != nil {
					t.Errorf("key written and read again: %v", err)
				}
			}
		}
		if r, err := ParseRequest(data); err == nil && goodKey(r.PublicKey) != nil {
			t.Error("a weak key passed")
		}
		if l, err := ParseLists(data); err == nil && (len(l.lists) == 0 || l.Older(l)) {
			t.Error("lists are none, or older than themselves")
		}
		if x, err := parseIndex(data); err == nil && x.active() == nil {
			t.Error("no active generation")
		}
	})
}
