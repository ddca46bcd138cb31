// Package probe walks one connection through a TLS tunnel as a client would,
// step by step (resolve, connect, tls, echo), and tells how long each step took
// and why one failed, with a word of a closed list.
package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/echo"
)

// acceptWait is how long the read after the handshake waits for a refusal of
// the client certificate: TLS 1.3 tells it only then (measured: 0 to 14 ms).
const acceptWait = 200 * time.Millisecond

// The steps, in order; also the values of the label phase, but for acceptance and anonymous.
const (
	StepResolve    = "resolve"
	StepConnect    = "connect"
	StepTLS        = "tls"
	StepAcceptance = "acceptance"
	StepEcho       = "echo"
)

// Target is where a probe goes and what it says there.
type Target struct {
	Host, Port string
	// TLS is what the client trusts and shows. Its ServerName is Host when empty.
	TLS *tls.Config
	// Echo is nil when the service behind the tunnel is not spoken to.
	Echo *echo.Codec
	// Anonymous makes a second connection, without certificate.
	Anonymous bool
}

// Result is what a probe saw. Durations are those of steps that succeeded; a
// step that did not is not in the map.
type Result struct {
	Address   netip.AddrPort // dialled; not valid if the name was not resolved
	Phases    map[string]time.Duration
	Version   uint16              // of TLS; 0 without handshake
	Chain     []*x509.Certificate // as presented, also when it is not trusted
	Untrusted error               // why the chain is refused by the client's own rules; nil if it is not
	Anonymous *bool               // whether the server takes clients without certificate; nil if not known
	Step      string              // the step that failed; empty on success
	Err       error               // why, for people; never for a label
	ErrorType string              // why, of the closed list
}

// NotAfter is when the first of the presented certificates ends, roots left
// out; the zero time without a chain.
func (r *Result) NotAfter() time.Time {
	var first time.Time
	for _, c := range r.Chain {
		root := c.IsCA && c.CheckSignatureFrom(c) == nil
		if !root && (first.IsZero() || c.NotAfter.Before(first)) {
			first = c.NotAfter
		}
	}
	return first
}

func (r *Result) fail(step string, err error) *Result {
	r.Step, r.Err, r.ErrorType = step, err, errorType(step, err)
	return r
}

// Probe walks the steps until one fails or ctx is done.
func Probe(ctx context.Context, t Target) *Result {
	r := &Result{Phases: map[string]time.Duration{}}
	start := time.Now()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.Host)
	if err == nil && len(addresses) == 0 {
		err = &net.DNSError{Err: "no address", Name: t.Host, IsNotFound: true}
	}
	if err != nil {
		return r.fail(StepResolve, err)
	}
	r.Phases[StepResolve] = time.Since(start)
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", t.Port)
	if err != nil {
		return r.fail(StepResolve, err)
	}
	r.Address = netip.AddrPortFrom(addresses[0].Unmap(), uint16(port)) //nolint:gosec // LookupPort gives 0 to 65535

	start = time.Now()
	conn, err := dial(ctx, r.Address)
	if err != nil {
		return r.fail(StepConnect, err)
	}
	defer func() { _ = conn.Close() }()
	r.Phases[StepConnect] = time.Since(start)

	start = time.Now()
	c := tls.Client(conn, r.clientConfig(t))
	if err := c.HandshakeContext(ctx); err != nil {
		return r.fail(StepTLS, err)
	}
	r.Phases[StepTLS] = time.Since(start)
	if r.Untrusted != nil {
		// No word is sent to a server that is not the one meant.
		return r.fail(StepTLS, r.Untrusted)
	}
	if t.Echo == nil {
		if err := accepted(c); err != nil {
			return r.fail(StepAcceptance, err)
		}
	} else {
		timing, err := t.Echo.Do(ctx, c)
		if timing.Processing > 0 {
			r.Phases["processing"] = timing.Processing
		}
		if err != nil {
			if isAlert(err) {
				return r.fail(StepAcceptance, err)
			}
			return r.fail(StepEcho, err)
		}
		r.Phases["transfer"] = timing.Transfer
	}
	if t.Anonymous {
		r.Anonymous = anonymous(ctx, r.Address, t)
	}
	return r
}

func dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return (&net.Dialer{KeepAlive: -1}).DialContext(ctx, "tcp", to.String())
}

// clientConfig is t's with our own verification in place of the library's, so
// that a certificate that is refused is seen all the same.
func (r *Result) clientConfig(t Target) *tls.Config {
	c := t.TLS.Clone()
	c.MinVersion = tls.VersionTLS10 // to be able to report it
	if c.ServerName == "" {
		c.ServerName = t.Host
	}
	skip := c.InsecureSkipVerify
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(s tls.ConnectionState) error {
		r.Version, r.Chain = s.Version, s.PeerCertificates
		if skip || len(s.PeerCertificates) == 0 {
			return nil
		}
		between := x509.NewCertPool()
		for _, cert := range s.PeerCertificates[1:] {
			between.AddCert(cert)
		}
		_, r.Untrusted = s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: c.RootCAs, Intermediates: between, DNSName: c.ServerName})
		return nil
	}
	return c
}

// accepted waits a moment for a refusal. Bytes or silence are no refusal.
func accepted(c *tls.Conn) error {
	_ = c.SetReadDeadline(time.Now().Add(acceptWait))
	_, err := c.Read(make([]byte, 1))
	if timeout, ok := errors.AsType[net.Error](err); err == nil || ok && timeout.Timeout() {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the server closed after the handshake: %w", err)
	}
	return err
}

// anonymous connects without certificate. A server that does not ask for one
// takes all; one that asks is believed to mind only if it refuses.
func anonymous(ctx context.Context, to netip.AddrPort, t Target) *bool {
	conn, err := dial(ctx, to)
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	asked := false
	var seen Result
	config := seen.clientConfig(t)
	config.Certificates = nil
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		return &tls.Certificate{}, nil
	}
	c := tls.Client(conn, config)
	err = c.HandshakeContext(ctx)
	yes, no := true, false
	switch {
	case err == nil && !asked:
		return &yes
	case err == nil && t.Echo != nil:
		_, err = t.Echo.Do(ctx, c)
	case err == nil:
		err = accepted(c)
	}
	switch {
	case err == nil:
		return &yes
	case isAlert(err):
		return &no
	}
	return nil // it failed for another reason: not known
}
