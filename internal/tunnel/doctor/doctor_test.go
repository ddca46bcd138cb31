package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/echo"
	"github.com/orielhq/oriel/internal/tunnel/probe"
)

// prometheus answers as a tenant proxy does.
func prometheus(build int, query string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/status/buildinfo":
			w.WriteHeader(build)
		case "/api/v1/query":
			fmt.Fprint(w, query)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}
}

// TestDoctorNamesPlantedFaults: each fault is planted alone, and named with the step and a fix that fits.
func TestDoctorNamesPlantedFaults(t *testing.T) {
	dir := t.TempDir()
	ca, other := proctest.NewAuthority(t, dir, "ours"), proctest.NewAuthority(t, dir, "other")
	hour := time.Hour
	server := ca.Leaf(t, "server", -hour, 48*hour)
	good := client(ca, "client")
	ca.Leaf(t, "client", -hour, 48*hour)
	ca.Leaf(t, "ended", -2*hour, -hour)
	ca.Leaf(t, "early", hour, 2*hour)
	ca.Leaf(t, "onlyserver", -hour, hour, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	other.Leaf(t, "stranger", -hour, hour)
	mutual := func(cert tls.Certificate) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool}
	}
	refusing := mutual(server)
	refusing.VerifyConnection = func(tls.ConnectionState) error { return fmt.Errorf("no rule") }
	patient := func(port string, s probe.Service, change ...func(*probe.Service)) Patient {
		for _, f := range change {
			f(&s)
		}
		return Patient{Host: "127.0.0.1", Port: port, Service: s}
	}
	proxy := func(port string) Patient {
		p := patient(port, good)
		p.Proxy = true
		return p
	}
	plain := func(config *tls.Config, manner echo.Manner) string { return serve(t, config, echo.Excrypt, manner) }
	closed := func() string {
		l := listen(t)
		defer l.Close()
		return portOf(l)
	}()
	broken := good
	broken.TLS.KeyFile = client(ca, "ended").TLS.KeyFile
	nokey := good
	nokey.TLS.CertFile = filepath.Join(dir, "nothing.crt")
	revoked := good
	revoked.CRLFile = ca.Revoke(t, "crl.pem", hour, server)
	nameless := good
	nameless.TLS.ServerName = "elsewhere.example.org"
	anonymous := good
	anonymous.TLS.CertFile, anonymous.TLS.KeyFile = "", ""
	stranger := client(other, "stranger")
	stranger.TLS.CAFile = ca.CAFile()
	const some, none = `{"status":"success","data":{"result":[{"value":[1,"42"]}]}}`, `{"status":"success","data":{"result":[]}}`

	for _, tt := range []struct {
		name       string
		p          Patient
		step, kind string
		fix        string // part of it
	}{
		{"certificate file is missing", patient("1", nokey), "files", "files", "not there"},
		{"key of another certificate", patient("1", broken), "files", "files", "do not belong together"},
		{"our certificate has ended", patient("1", client(ca, "ended")), "files", "client_cert_expired", "Renew"},
		{"our certificate is not yet valid", patient("1", client(ca, "early")), "files", "client_cert_not_yet_valid", "clock"},
		{"our certificate is a server's", patient("1", client(ca, "onlyserver")), "files", "client_cert_usage", "profile"},
		{"no such name", Patient{Host: "no-such-host.invalid", Port: "1", Service: good}, "resolve", "dns", ""},
		{"closed port", patient(closed, good), "connect", "refused", "Nobody listens on 127.0.0.1:" + closed},
		{"plaintext behind the port", patient(plaintext(t), good), "tls", "not_tls", "transport: tcp"},
		{"server's certificate has ended", patient(plain(mutual(ca.Leaf(t, "s2", -2*hour, -hour)), echo.Good), good), "tls", "cert_expired", "renew it at the gateway"},
		{"server's certificate is not yet valid", patient(plain(mutual(ca.Leaf(t, "s3", hour, 2*hour)), echo.Good), good), "tls", "cert_not_yet_valid", "clock"},
		{"server of another authority", patient(plain(mutual(other.Leaf(t, "s4", -hour, hour)), echo.Good), good), "tls", "cert_untrusted", `"CN=other"`},
		{"wrong name", patient(plain(mutual(server), echo.Good), nameless), "tls", "cert_name", "gateway.example.org"},
		{"server is revoked", patient(plain(mutual(server), echo.Good), revoked), "tls", "cert_revoked", server.Leaf.SerialNumber.Text(16)},
		{"no client certificate", patient(plain(mutual(server), echo.Good), anonymous), "acceptance", "client_cert_required", "cert_file"},
		{"client of an unknown authority", patient(plain(mutual(server), echo.Good), stranger), "acceptance", "client_cert_unknown_ca", `"CN=other"`},
		{"client that no rule allows", patient(plain(refusing, echo.Good), good), "acceptance", "client_cert_rejected", "allow"},
		{"gateway at its limit", patient(gateway(t, mutual(server), 'L'), good), "acceptance", "limit", "max_connections"},
		{"nothing behind the gateway", patient(gateway(t, mutual(server), 'T'), good), "acceptance", "target", "targets"},
		{"service is silent", patient(plain(mutual(server), echo.Silent), good), "echo", "echo_timeout", "says nothing"},
		{"service answers another text", patient(plain(mutual(server), echo.Wrong), good), "echo", "echo_mismatch", "something else"},
		{"service speaks another language", patient(plain(mutual(server), echo.Good), good, func(s *probe.Service) { s.API = "json" }), "echo", "echo_", "json"},
		{"proxy does not know us", proxy(web(t, mutual(server), prometheus(403, ""))), "proxy", "proxy_identity", "identity"},
		{"provider's Prometheus is down", proxy(web(t, mutual(server), prometheus(502, ""))), "proxy", "proxy_upstream", "upstream"},
		{"proxy has nothing to show", proxy(web(t, mutual(server), prometheus(200, none))), "proxy", "proxy_empty", "company_name"},
		{"guardian that is refused", Patient{Host: "127.0.0.1", Port: cutting(t), Service: probe.Service{Transport: "tcp", API: "none"}, Proxy: true}, "proxy", "proxy_closed", "/status"},
		{"guardian that is refused, with an echo", Patient{Host: "127.0.0.1", Port: cutting(t), Service: probe.Service{Transport: "tcp", API: "plain"}}, "echo", "echo_error", "/status"},
		{"no proxy there", proxy(plain(mutual(server), echo.Good)), "proxy", "proxy_", ""},
		{"good proxy", proxy(web(t, mutual(server), prometheus(200, some))), "", "", ""},
		{"good tunnel", patient(plain(mutual(server), echo.Good), good), "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			findings := Examine(ctx, tt.p)
			if len(findings) != len(steps) {
				t.Errorf("%d findings; want one for each of %v", len(findings), steps)
			}
			f, bad := First(findings)
			if f.Step != tt.step || !strings.HasPrefix(f.Type, tt.kind) || (tt.kind == "") == bad {
				t.Fatalf("step %q, type %q (%s); want %q, %q", f.Step, f.Type, f.Detail, tt.step, tt.kind)
			}
			if bad && (f.Fix == "" || !strings.Contains(f.Fix, tt.fix) || f.Detail == "") {
				t.Errorf("fix %q, detail %q; want %q in the fix", f.Fix, f.Detail, tt.fix)
			}
			for i, f := range findings {
				if f.Step != steps[i] {
					t.Errorf("finding %d is of step %q; want %q", i, f.Step, steps[i])
				}
			}
		})
	}
}

// cutting takes connections, reads once and closes, as a guardian does that its gateway refuses.
func cutting(t *testing.T) string {
	l := listen(t)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = c.Read(make([]byte, 4096))
				_ = c.Close()
			}()
		}
	}()
	return portOf(l)
}

// plaintext speaks first, as SMTP does.
func plaintext(t *testing.T) string {
	l := listen(t)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("220 mail.example.org ESMTP\r\n"))
			defer c.Close()
		}
	}()
	return portOf(l)
}

func TestFindingsHoldNoKey(t *testing.T) {
	dir := t.TempDir()
	ca := proctest.NewAuthority(t, dir, "ours")
	ca.Leaf(t, "client", -time.Hour, time.Hour)
	s := client(ca, "client")
	text, err := os.ReadFile(s.TLS.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Split(string(text), "\n")[1]
	write(t, s.TLS.KeyFile, []byte("-----BEGIN PRIVATE KEY-----\n"+secret+"\n")) // cut off
	if out := fmt.Sprintf("%+v", Examine(t.Context(), Patient{Host: "127.0.0.1", Port: "1", Service: s})); strings.Contains(out, secret[:20]) {
		t.Errorf("findings show the key: %s", out)
	}
}

// FuzzCount: an answer is a short number, or an error.
func FuzzCount(f *testing.F) {
	for _, seed := range []string{`{"status":"success","data":{"result":[{"value":[1,"42"]}]}}`, `{"status":"success","data":{"result":[]}}`, `[]`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if n, err := count(body); err == nil && len(n) > 20 || err != nil && n != "" {
			t.Errorf("count(%q) = %q, %v", body, n, err)
		}
	})
}
