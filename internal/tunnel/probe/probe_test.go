package probe

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/echo"
)

// serve answers plain echoes over TLS and returns the port.
func serve(t testing.TB, config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if config != nil {
		l = tls.NewListener(l, config)
	}
	codec, err := echo.New(echo.Plain, echo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = echo.Fake{Codec: codec}.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return port
}

func TestProbeTellsWhyItFailed(t *testing.T) {
	ca, other := proctest.NewAuthority(t, t.TempDir(), "ours"), proctest.NewAuthority(t, t.TempDir(), "other")
	good := ca.Leaf(t, "leaf", -time.Hour, 48*time.Hour)
	mutual := func(max uint16, cert tls.Certificate) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool, MinVersion: tls.VersionTLS10, MaxVersion: max}
	}
	codec, err := echo.New(echo.Plain, echo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	with := func(certs ...tls.Certificate) *tls.Config { return &tls.Config{RootCAs: ca.Pool, Certificates: certs} }
	for _, tt := range []struct {
		name      string
		server    *tls.Config
		client    *tls.Config
		step, why string
		version   uint16
	}{
		{"good 1.3", mutual(tls.VersionTLS13, good), with(good), "", "", tls.VersionTLS13},
		{"good 1.2", mutual(tls.VersionTLS12, good), with(good), "", "", tls.VersionTLS12},
		{"good 1.1", mutual(tls.VersionTLS11, good), with(good), "", "", tls.VersionTLS11},
		{"no certificate 1.3", mutual(tls.VersionTLS13, good), with(), StepAcceptance, "client_cert_required", tls.VersionTLS13},
		{"expired client", mutual(tls.VersionTLS13, good), with(ca.Leaf(t, "leaf", -2*time.Hour, -time.Hour)), StepAcceptance, "client_cert_expired", tls.VersionTLS13},
		{"expired server", mutual(tls.VersionTLS13, ca.Leaf(t, "leaf", -2*time.Hour, -time.Hour)), with(good), StepTLS, "cert_expired", tls.VersionTLS13},
		{"server not yet valid", mutual(tls.VersionTLS13, ca.Leaf(t, "leaf", time.Hour, 2*time.Hour)), with(good), StepTLS, "cert_not_yet_valid", tls.VersionTLS13},
		{"server of another authority", mutual(tls.VersionTLS13, other.Leaf(t, "leaf", -time.Hour, time.Hour)), with(good), StepTLS, "cert_untrusted", tls.VersionTLS13},
		{"wrong name", mutual(tls.VersionTLS13, good), &tls.Config{RootCAs: ca.Pool, ServerName: "other.example", Certificates: []tls.Certificate{good}}, StepTLS, "cert_name", tls.VersionTLS13},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			r := Probe(ctx, Target{Host: "127.0.0.1", Port: serve(t, tt.server), TLS: tt.client, Echo: &codec, Anonymous: true})
			if r.Step != tt.step || r.ErrorType != tt.why || r.Version != tt.version {
				t.Fatalf("step %q, type %q, version %x (%v); want %q, %q, %x", r.Step, r.ErrorType, r.Version, r.Err, tt.step, tt.why, tt.version)
			}
			if r.NotAfter().IsZero() {
				t.Error("no expiry, though a certificate was presented")
			}
			if tt.step == "" {
				if r.Anonymous == nil || *r.Anonymous {
					t.Error("the server demands a certificate, yet counts as anonymous or as not known")
				}
				if len(r.Phases) != 5 {
					t.Errorf("phases = %v; want all five", r.Phases)
				}
			}
		})
	}
}

func TestProbeSeesAnonymousServer(t *testing.T) {
	ca := proctest.NewAuthority(t, t.TempDir(), "ours")
	cert := ca.Leaf(t, "leaf", -time.Hour, time.Hour)
	codec, _ := echo.New(echo.Plain, echo.Options{})
	for _, auth := range []tls.ClientAuthType{tls.NoClientCert, tls.RequestClientCert} {
		port := serve(t, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: auth})
		r := Probe(t.Context(), Target{Host: "127.0.0.1", Port: port, TLS: &tls.Config{RootCAs: ca.Pool}, Echo: &codec, Anonymous: true})
		if r.Err != nil || r.Anonymous == nil || !*r.Anonymous {
			t.Errorf("%v: anonymous %v, %v; want true", auth, r.Anonymous, r.Err)
		}
	}
}

func TestProbeOfClosedAndPlainPorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, closed, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	r := Probe(t.Context(), Target{Host: "127.0.0.1", Port: closed, TLS: &tls.Config{}})
	if r.ErrorType != "refused" || len(r.Phases) != 1 {
		t.Errorf("closed port: type %q, phases %v; want refused and resolve only", r.ErrorType, r.Phases)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	r = Probe(ctx, Target{Host: "127.0.0.1", Port: serve(t, nil), TLS: &tls.Config{}})
	if r.Step != StepTLS || r.ErrorType != "not_tls" && r.ErrorType != "handshake_timeout" {
		t.Errorf("plain port: step %q, type %q (%v); want tls and not_tls or handshake_timeout", r.Step, r.ErrorType, r.Err)
	}
}
