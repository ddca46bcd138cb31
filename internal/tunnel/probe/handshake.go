package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// acceptWait is how long the read after the handshake waits for a refusal of
// the client certificate: TLS 1.3 tells it only then (measured: 0 to 14 ms).
const acceptWait = 200 * time.Millisecond

// alpn is what our own two ends agree on (see the relay): after the handshake
// the gateway sends one byte that says whether it carries the connection.
const alpn = "ct/1"

var errRevoked = errors.New("the server's certificate is revoked")

// clientConfig is t's with our own verification in place of the library's, so
// that a certificate that is refused is seen all the same.
func (r *Result) clientConfig(t Target) *tls.Config {
	c := t.TLS.Clone()
	c.MinVersion = tls.VersionTLS10 // to be able to report it
	if c.ServerName == "" {
		c.ServerName = t.Host
	}
	if t.Confirm {
		c.NextProtos = append([]string{alpn}, c.NextProtos...)
		if t.Echo != nil && t.Echo.HTTP() {
			c.NextProtos = append(c.NextProtos, "http/1.1") // web servers refuse those who offer nothing they know
		}
	}
	skip := c.InsecureSkipVerify
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(s tls.ConnectionState) error {
		r.Version, r.Cipher, r.Chain = s.Version, s.CipherSuite, s.PeerCertificates
		if !skip && len(s.PeerCertificates) > 0 {
			r.Verified, r.Untrusted = verify(s.PeerCertificates, c, t)
		}
		return nil
	}
	return c
}

// shake is HandshakeContext without its goroutine, whose wake-ups cost a twentieth of a probe.
func shake(ctx context.Context, c *tls.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	err := c.HandshakeContext(context.WithoutCancel(ctx))
	if !stop() && err == nil {
		err = context.Cause(ctx) // too late: the connection has its deadline
	}
	return err
}

// accepted finds out whether the server took the client's certificate. One of
// our own gateways says so. Otherwise the echo's answer tells it; if there is no
// echo, a moment without a refusal does.
func (r *Result) accepted(ctx context.Context, t Target, c *tls.Conn) error {
	if c.ConnectionState().NegotiatedProtocol != alpn {
		if t.Echo != nil {
			return nil
		}
		return silent(c)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var word [1]byte
	if _, err := io.ReadFull(c, word[:]); err != nil {
		return fmt.Errorf("wait for the gateway's word: %w", err)
	}
	switch word[0] {
	case 'G':
		r.Confirmed = true
		return nil
	case 'L', 'C':
		return &gatewayError{"limit"}
	case 'T':
		return &gatewayError{"target"}
	case 'D':
		return &gatewayError{"drain"}
	}
	return &gatewayError{"refused"}
}

// silent waits a moment for a refusal. Bytes or silence are no refusal.
func silent(c *tls.Conn) error {
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

// lateAlert looks for a refusal behind an echo that failed: a server that
// refuses may have closed before the request was sent, and then sending fails
// while the reason still waits to be read.
func lateAlert(conn net.Conn, err error) error {
	if isAlert(err) {
		return err
	}
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "write" || op.Timeout() {
		return nil
	}
	_ = conn.SetReadDeadline(time.Now().Add(acceptWait))
	if _, rerr := conn.Read(make([]byte, 1)); isAlert(rerr) {
		return rerr
	}
	return nil
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
	seen.Phases = map[string]time.Duration{}
	config := seen.clientConfig(t)
	config.Certificates = nil
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		return &tls.Certificate{}, nil
	}
	c := tls.Client(conn, config)
	err = shake(ctx, c)
	yes, no := true, false
	switch {
	case err == nil && !asked:
		return &yes
	case err == nil && seen.Untrusted != nil:
		return nil
	case err == nil:
		if err = seen.accepted(ctx, t, c); err == nil && !seen.Confirmed {
			seen.echo(ctx, t, c)
			err = seen.Err
		}
	}
	switch {
	case err == nil:
		return &yes
	case isAlert(err):
		return &no
	}
	return nil // it failed for another reason: not known
}
