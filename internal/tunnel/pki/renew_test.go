package pki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// daemon runs a renewal of a certificate of a lifetime in a bubble of time, and returns how often it has asked.
func daemon(t *testing.T, lifetime time.Duration, during func(certificate func() *x509.Certificate, asked *atomic.Int64, broken *atomic.Bool)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, err := Init(filepath.Join(dir, "ca"), "oriel.test", "")
		if err != nil {
			t.Fatal(err)
		}
		o := acme
		o.Lifetime = lifetime
		chain, key := issue(t, a, o)
		var asked atomic.Int64
		var broken atomic.Bool
		r := &Renewal{
			CertFile: filepath.Join(dir, "c.pem"), KeyFile: filepath.Join(dir, "k.pem"), Log: slog.New(slog.DiscardHandler),
			Sign: func(_ context.Context, request []byte, old []*x509.Certificate) ([]*x509.Certificate, error) {
				if asked.Add(1); broken.Load() {
					return nil, errors.New("nobody answers")
				}
				return a.Renew(request, old)
			},
		}
		if err := errors.Join(WriteFile(r.CertFile, EncodeCertificates(chain...)), WriteFile(r.KeyFile, key)); err != nil {
			t.Fatal(err)
		}
		end := proctest.Run(t, r.Run)
		during(func() *x509.Certificate {
			text, err := ReadFile(r.CertFile)
			if err != nil {
				t.Fatal(err)
			}
			certs, err := ParseCertificates(text)
			if err != nil {
				t.Fatal(err)
			}
			return certs[0]
		}, &asked, &broken)
		end()
	})
}

// TestDaemonRenewsInTime: at two thirds of a day; when nobody answers, each minute, until somebody does.
func TestDaemonRenewsInTime(t *testing.T) {
	daemon(t, 24*time.Hour, func(certificate func() *x509.Certificate, asked *atomic.Int64, broken *atomic.Bool) {
		first := certificate()
		time.Sleep(14 * time.Hour)
		synctest.Wait()
		if asked.Load() != 0 {
			t.Errorf("asked %d times in 14 hours of 24", asked.Load())
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		second := certificate()
		if asked.Load() != 1 || second.SerialNumber.Cmp(first.SerialNumber) == 0 || second.URIs[0].String() != first.URIs[0].String() {
			t.Errorf("after 17 hours: asked %d times, certificate %s", asked.Load(), second.SerialNumber)
		}
		broken.Store(true)
		time.Sleep(17 * time.Hour)
		synctest.Wait()
		if asked.Load() < 60 || certificate().SerialNumber.Cmp(second.SerialNumber) != 0 {
			t.Errorf("nobody answers: asked %d times; want once a minute, and the old certificate", asked.Load())
		}
		broken.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if certificate().SerialNumber.Cmp(second.SerialNumber) == 0 {
			t.Error("somebody answers again, and the certificate is the old one")
		}
	})
}

// TestDaemonDoesNotHurry: a life of two minutes is renewed some times, not thousands of times.
func TestDaemonDoesNotHurry(t *testing.T) {
	daemon(t, 2*time.Minute, func(certificate func() *x509.Certificate, asked *atomic.Int64, _ *atomic.Bool) {
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if asked.Load() < 10 || asked.Load() > 30 || time.Until(certificate().NotAfter) <= 0 {
			t.Errorf("asked %d times in 20 minutes, ends in %s", asked.Load(), time.Until(certificate().NotAfter))
		}
	})
}

// TestRenewalThatWasKilled: the certificate is there and its key is not in its place: the next renewal goes on from there.
func TestRenewalThatWasKilled(t *testing.T) {
	dir := t.TempDir()
	a, err := Init(filepath.Join(dir, "ca"), "oriel.test", "")
	if err != nil {
		t.Fatal(err)
	}
	chain, key, err := a.Issue("", Order{Profile: "guardian", Name: "g", Company: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	_, old, err := a.Issue("", Order{Profile: "guardian", Name: "g", Company: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	r := Renewal{
		CertFile: filepath.Join(dir, "c.pem"), KeyFile: filepath.Join(dir, "k.pem"), NewKey: true, Log: slog.New(slog.DiscardHandler),
		Sign: func(_ context.Context, request []byte, old []*x509.Certificate) ([]*x509.Certificate, error) {
			return a.Renew(request, old)
		},
	}
	if err := errors.Join(WriteFile(r.CertFile, EncodeCertificates(chain...)), WriteFile(r.KeyFile, old), WriteFile(r.nextKey(), key)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(r.CertFile, r.KeyFile); err != nil {
		t.Errorf("after the renewal: %v", err)
	}
	if _, err := os.Stat(r.nextKey()); err == nil {
		t.Error("a key is left over")
	}
	if err := WriteFile(r.KeyFile, old); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Once(t.Context()); err == nil {
		t.Error("renewed with a key that is not the certificate's")
	}
}
