package pki

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Renewal keeps one certificate fresh.
type Renewal struct {
	CertFile, KeyFile string
	Sign              func(ctx context.Context, request []byte, old []*x509.Certificate) ([]*x509.Certificate, error)
	NewKey            bool     // make a new key each time
	Exec              []string // a program to run after each renewal
	Log               *slog.Logger
}

const (
	hookTime  = time.Minute
	retryTime = time.Minute
)

// Due is when a certificate should be renewed: at two thirds of its life, up to a twentieth of it earlier.
func Due(c *x509.Certificate) time.Time {
	life := c.NotAfter.Sub(c.NotBefore)
	jitter := time.Duration(rand.Int64N(int64(life)/20 + 1)) //nolint:gosec // spreads load, is no secret
	return c.NotAfter.Add(-life/3 - jitter)
}

// Once renews now, writes key and chain, and runs the hook.
func (r *Renewal) Once(ctx context.Context) (*x509.Certificate, error) {
	old, key, err := r.read()
	if err != nil {
		return nil, err
	}
	k, err := ParseKey(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.KeyFile, err)
	}
	if r.NewKey {
		if k, err = NewKey(""); err != nil {
			return nil, err
		}
		if key, err = EncodeKey(k); err != nil {
			return nil, err
		}
		if err := WriteFile(r.nextKey(), key); err != nil {
			return nil, err
		}
	}
	request, err := NewRequest(k, old[0].Subject.CommonName)
	if err != nil {
		return nil, err
	}
	chain, err := r.Sign(ctx, request, old)
	if err != nil {
		return nil, err
	}
	if _, err := tls.X509KeyPair(EncodeCertificates(chain...), key); err != nil {
		return nil, fmt.Errorf("renewed certificate does not fit its key: %w", err)
	}
	if err := WriteFile(r.CertFile, EncodeCertificates(chain...)); err != nil {
		return nil, err
	}
	if r.NewKey { // a reader between the two sees a pair that does not fit, and keeps what it has; who is killed here finds the key again
		if err := os.Rename(r.nextKey(), r.KeyFile); err != nil {
			return nil, err
		}
	}
	if len(r.Exec) > 0 {
		hook, cancel := context.WithTimeout(ctx, hookTime)
		defer cancel()
		cmd := exec.CommandContext(hook, r.Exec[0], r.Exec[1:]...) //nolint:gosec // the user's own program
		cmd.Env = append(os.Environ(), "ORIEL_CERT_FILE="+r.CertFile, "ORIEL_KEY_FILE="+r.KeyFile)
		if out, err := cmd.CombinedOutput(); err != nil {
			return chain[0], fmt.Errorf("run hook: %w: %q", err, out[:min(len(out), 200)])
		}
	}
	return chain[0], nil
}

// nextKey is where a new key waits until its certificate is there.
func (r *Renewal) nextKey() string { return r.KeyFile + ".next" }

// read returns certificate and key, which fit. A renewal that was killed between the two is brought to its end.
func (r *Renewal) read() ([]*x509.Certificate, []byte, error) {
	data, err := ReadFile(r.CertFile)
	if err != nil {
		return nil, nil, err
	}
	old, err := ParseCertificates(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", r.CertFile, err)
	}
	key, err := ReadFile(r.KeyFile)
	if err != nil {
		return nil, nil, err
	}
	_, unfit := tls.X509KeyPair(data, key)
	if unfit == nil {
		return old, key, nil
	}
	if next, err := ReadFile(r.nextKey()); err == nil {
		if _, err := tls.X509KeyPair(data, next); err == nil {
			return old, next, os.Rename(r.nextKey(), r.KeyFile)
		}
	}
	return nil, nil, fmt.Errorf("%s and %s: %w", r.CertFile, r.KeyFile, unfit)
}

// Run renews whenever it is due, until ctx is done. A renewal that fails is tried again each minute.
func (r *Renewal) Run(ctx context.Context) error {
	old, _, err := r.read()
	if err != nil {
		return err
	}
	next := Due(old[0])
	for {
		r.Log.Info("next renewal", "at", next.UTC().Format(time.RFC3339))
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		cert, err := r.Once(ctx)
		if err != nil {
			r.Log.Error("renew", "err", err)
		}
		if cert == nil {
			next = time.Now().Add(retryTime)
			continue
		}
		r.Log.Info("renewed", "not_after", cert.NotAfter.UTC().Format(time.RFC3339))
		next = Due(cert)
		// Certificates begin some minutes ago, for clocks that are slow. A short life counts from now, or it would be due at once, again and again.
		if time.Until(next) <= 0 {
			next = time.Now().Add(max(time.Until(cert.NotAfter)*2/3, time.Second))
		}
	}
}

// Remote returns a Sign that asks a Server at url, showing the old certificate.
func Remote(url, certFile, keyFile, caFile string) func(context.Context, []byte, []*x509.Certificate) ([]*x509.Certificate, error) {
	return func(ctx context.Context, request []byte, _ []*x509.Certificate) ([]*x509.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, err
		}
		ca, err := ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("%s holds no certificate", caFile)
		}
		tr := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, RootCAs: roots}, DisableKeepAlives: true}
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+"/renew", bytes.NewReader(request))
		if err != nil {
			return nil, err
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("renew: %s: %q", resp.Status, body[:min(len(body), 200)])
		}
		return ParseCertificates(body)
	}
}

// ServeHTTP answers POST /renew to who shows a good certificate of this
// authority, and /crl.pem and /bundle.pem to everybody.
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "GET /crl.pem", "GET /bundle.pem":
		text, err := ReadFile(a.path(strings.TrimPrefix(r.URL.Path, "/"), nil))
		if err != nil {
			http.Error(w, "not available", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(text)
	case "POST /renew":
		chain, err := a.renew(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		_, _ = w.Write(EncodeCertificates(chain...))
	default:
		http.NotFound(w, r)
	}
}

func (a *Authority) renew(w http.ResponseWriter, r *http.Request) ([]*x509.Certificate, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, errors.New("show the certificate to renew")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	return a.Renew(body, r.TLS.PeerCertificates)
}
