package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	demoneuvector "github.com/orielhq/oriel/internal/demo/neuvector"
	"github.com/orielhq/oriel/internal/neuvector"
	"github.com/orielhq/oriel/internal/proctest"
)

// neuvectorConfig is what flags and environment come to.
func neuvectorConfig(t *testing.T, env map[string]string, args ...string) (neuvector.Config, string, error) {
	t.Helper()
	var f neuvectorFlags
	cmd := f.cobra()
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	c, err := f.config(cmd, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	return c, f.port, err
}

func TestNeuVectorFlagsAndEnvironment(t *testing.T) {
	official := map[string]string{"CTRL_API_SERVICE": "ctl.neuvector:10443", "CTRL_USERNAME": "monitor", "CTRL_PASSWORD": "a password", "EXPORTER_PORT": "8070"}
	all := slices.DeleteFunc(neuvector.Groups(), func(g string) bool { return g == "score" })
	with := func(more ...string) map[string]string {
		env := maps.Clone(official)
		for i := 0; i < len(more); i += 2 {
			env[more[i]] = more[i+1]
		}
		return env
	}
	type want struct {
		Address, User, Password, Key, Port string
		Groups                             []string
		Stats, Insecure                    bool
	}
	usual := want{"ctl.neuvector:10443", "monitor", "a password", "", "8070", all, true, false}
	change := func(f func(*want)) want { w := usual; f(&w); return w }
	for _, tt := range []struct {
		name string
		env  map[string]string
		args []string
		want want
	}{
		{"environment", official, nil, usual},
		{"flags come first", official, []string{"-s", "other:1", "-e", "9000", "-u", "admin", "-p", "x"}, want{"other:1", "admin", "x", "", "9000", all, true, false}},
		{"stats off", with("ENFORCER_STATS", "0"), nil, change(func(w *want) { w.Stats = false })},
		{"stats by any word", with("ENFORCER_STATS", "please"), nil, usual},
		{"api key", with("CTRL_APIKEY", "name:secret"), nil, change(func(w *want) { w.User, w.Password, w.Key = "", "", "name:secret" })},
		{"metrics", with("EXPORTER_METRICS", "summary,enforcer"), nil, change(func(w *want) { w.Groups = []string{"summary", "enforcers"} })},
		{"insecure", with("CTRL_TLS_INSECURE", "1"), nil, change(func(w *want) { w.Insecure = true })},
		{"groups", official, []string{"--groups", "events,score"}, change(func(w *want) { w.Groups = []string{"events", "score"} })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, port, err := neuvectorConfig(t, tt.env, tt.args...)
			if err != nil {
				t.Fatal(err)
			}
			got := want{c.Address, c.Username, c.Password.Reveal(), c.APIKey.Reveal(), port, c.Groups, c.EnforcerStats, c.TLS.InsecureSkipVerify}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for text, env := range map[string]map[string]string{
		"no controller":    {},
		"is not a port":    with("EXPORTER_PORT", "http"),
		"EXPORTER_METRICS": with("EXPORTER_METRICS", "nosuch"),
		"name:secret":      with("CTRL_APIKEY", "nosecret"),
	} {
		if _, _, err := neuvectorConfig(t, env); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v: error %v; want one with %q", env, err, text)
		}
	}
}

// TestNeuVectorExporterShowsItsCertificate runs the command against a
// controller that lets nobody in without one.
func TestNeuVectorExporterShowsItsCertificate(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, pool := clientCertificate(t, dir)
	quiet := slog.New(slog.DiscardHandler)
	sim, err := demoneuvector.New(demoneuvector.Config{Dir: dir, Password: "a password", ClientCAs: pool}, demoneuvector.DemoSize().World(time.Now()), quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 3)
	defer func() {
		cancel()
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}()
	go func() { done <- sim.Run(ctx) }()
	t.Setenv("CTRL_PASSWORD", "a password")
	export := func(name string, args ...string) (addr string) {
		addr = filepath.Join(dir, name)
		go func() {
			Main(ctx, append([]string{
				"export", "neuvector", "-s", sim.Addr(), "-u", "monitor", "--tls.ca-file", sim.CAFile(),
				"--web.listen-address", "127.0.0.1:0", "--web.addr-file", addr,
			}, args...), io.Discard, io.Discard)
			done <- nil
		}()
		return addr
	}
	with, without := export("with", "--tls.cert-file", certFile, "--tls.key-file", keyFile), export("without")
	page := func(addrFile string) string {
		addr, err := os.ReadFile(addrFile)
		if err != nil {
			return err.Error()
		}
		resp, err := http.Get("http://" + strings.TrimSpace(string(addr)) + "/metrics")
		if err != nil {
			return err.Error()
		}
		defer func() { _ = resp.Body.Close() }()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	proctest.Eventually(t, time.Minute, func() (bool, string) {
		got := page(with)
		return strings.Contains(got, "\nnv_summary_pods{") && strings.Contains(got, `oriel_collector_success{collector="neuvector"} 1`), got
	})
	proctest.Eventually(t, time.Minute, func() (bool, string) {
		got := page(without)
		return strings.Contains(got, `oriel_collector_success{collector="neuvector"} 0`) && !strings.Contains(got, "\nnv_summary_pods{"), got
	})
}

// clientCertificate makes a certificate that is its own CA.
func clientCertificate(t *testing.T, dir string) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "oriel"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	return certFile, keyFile, pool
}
