package probe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/pki"
)

// TestKnownChains: a chain found good is not verified again, and still not believed under another name, by other
// authorities, after its end, before it was seen, or once it is revoked.
func TestKnownChains(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ours, others := proctest.NewAuthority(t, dir, "ours"), proctest.NewAuthority(t, dir, "others")
		pair := ours.Leaf(t, "server", -time.Hour, 48*time.Hour)
		certs := []*x509.Certificate{pair.Leaf}
		var v verified
		first, err := v.chains(certs, ours.Pool, "localhost")
		if err != nil {
			t.Fatal(err)
		}
		// The same bytes, parsed anew; authorities that do not know it show that nothing is verified.
		again, err := x509.ParseCertificate(pair.Leaf.Raw)
		if err != nil {
			t.Fatal(err)
		}
		second, err := v.chains([]*x509.Certificate{again}, others.Pool, "localhost")
		if err != nil || &first[0][0] != &second[0][0] {
			t.Errorf("a known chain is verified again: %v", err)
		}
		if _, err := new(verified).chains(certs, others.Pool, "localhost"); err == nil {
			t.Error("what one state knows another one believes")
		}
		if _, err := v.chains(certs, ours.Pool, "another.example.org"); !isA[x509.HostnameError](err) {
			t.Errorf("under another name: %v", err)
		}
		config := &tls.Config{RootCAs: ours.Pool, ServerName: "localhost"}
		text, err := os.ReadFile(ours.Revoke(t, "crl.pem", 72*time.Hour, pair))
		if err != nil {
			t.Fatal(err)
		}
		lists, err := pki.ParseLists(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verify(certs, config, Target{verified: &v}); err != nil {
			t.Errorf("not revoked: %v", err)
		}
		if _, err := verify(certs, config, Target{verified: &v, Lists: lists}); !errors.Is(err, errRevoked) {
			t.Errorf("revoked: %v", err)
		}
		time.Sleep(49 * time.Hour)
		if _, err := v.chains(certs, ours.Pool, "localhost"); !isA[x509.CertificateInvalidError](err) {
			t.Errorf("after its end: %v", err)
		}
		early := ours.Leaf(t, "early", time.Hour, 48*time.Hour)
		if _, err := v.chains([]*x509.Certificate{early.Leaf}, ours.Pool, "localhost"); err == nil {
			t.Error("not yet valid, and believed")
		}
		time.Sleep(2 * time.Hour)
		if _, err := v.chains([]*x509.Certificate{early.Leaf}, ours.Pool, "localhost"); err != nil {
			t.Errorf("a refusal is remembered: %v", err)
		}
	})
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// TestKnownChainsAreBounded: servers that come with ever new chains do not fill the memory.
func TestKnownChainsAreBounded(t *testing.T) {
	v := verified{known: map[[32]byte]verdict{}}
	for i := range maxVerified {
		v.known[[32]byte{byte(i), byte(i >> 8), byte(i >> 16)}] = verdict{}
	}
	ca := proctest.NewAuthority(t, t.TempDir(), "ours")
	if _, err := v.chains([]*x509.Certificate{ca.Leaf(t, "s", -time.Hour, time.Hour).Leaf}, ca.Pool, "localhost"); err != nil {
		t.Fatal(err)
	}
	if n := len(v.known); n != 1 {
		t.Errorf("%d chains are remembered", n)
	}
}
