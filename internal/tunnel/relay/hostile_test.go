package relay

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// TestOversizedFrames: records, handshake messages and PROXY headers that say they are larger than may be end their own
// connection, with a reason, and hold no memory.
func TestOversizedFrames(t *testing.T) {
	l := newLab(t)
	g := l.gateway(echo(t))
	behind := l.gateway(echo(t))
	behind.Name, behind.ProxyProtocol.In = "behind", true
	gw := start(t, nil, []Tunnel{g, behind})
	junk := bytes.Repeat([]byte{'x'}, 100_000)
	record := func(kind byte, size int, begins ...byte) []byte {
		return append(append([]byte{kind, 3, 1, byte(size >> 8), byte(size)}, begins...), junk...)
	}
	for name, tt := range map[string]struct {
		tunnel, reason string
		sent           []byte
	}{
		"record of 65535 bytes":             {"gw", "not_tls", record(22, 65535)},
		"handshake message of 16 megabytes": {"gw", "other", record(22, 16384, 1, 0xff, 0xff, 0xff)},
		"PROXY header of 65535 bytes":       {"behind", "proxy_header", append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff"), junk...)},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, gw.Addr(tt.tunnel))
			_, _ = c.Write(tt.sent)
			_, _ = io.Copy(io.Discard, c) // until it is closed
			refused(t, gw, tt.tunnel, tt.reason)
		})
	}
	t.Run("record of 65535 bytes on an open connection", func(t *testing.T) {
		cert, roots := l.pair(t, "g")
		raw := dial(t, gw.Addr("gw"))
		c := tls.Client(raw, &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots, ServerName: "localhost"})
		if got, err := ask(c, "hello"); got != "hello" {
			t.Fatal(got, err)
		}
		_, _ = raw.Write(record(23, 65535))
		if _, err := io.Copy(io.Discard, raw); err == nil {
			t.Log("closed in good order") // an alert, and the end
		}
		proctest.Eventually(t, 10*time.Second, func() (bool, string) {
			s := gw.Status()[0]
			return s.Connections == 0, fmt.Sprintf("%+v", s)
		})
	})
	if got, err := once(t, start(t, []Tunnel{l.tunnel("gu", "g", gw.Addr("gw"))}, nil).Addr("gu")); got != "hello" {
		t.Errorf("a good one after them: %q, %v", got, err)
	}
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		n := gw.tunnels[0].pending.Load() + gw.tunnels[1].pending.Load()
		return n == 0, fmt.Sprint(n, " are pending")
	})
}

// TestDetail: a certificate that came without its chain is said to.
func TestDetail(t *testing.T) {
	leaf := &x509.Certificate{Issuer: pkix.Name{CommonName: "issuing\n1"}}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{leaf}, Err: x509.UnknownAuthorityError{Cert: leaf}}, `; it came without its issuer's, "issuing\n1"`},
		{&tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{leaf, leaf}, Err: x509.UnknownAuthorityError{Cert: leaf}}, "unknown authority"},
		{&tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{leaf}, Err: x509.CertificateInvalidError{Cert: leaf, Reason: x509.Expired}}, "is not yet valid: "},
		{errors.New(strings.Repeat("x", 500)), strings.Repeat("x", 200)},
	} {
		if got := detail(tt.err); !strings.HasSuffix(got, tt.want) || len(got) > 200 {
			t.Errorf("%q does not end with %q", got, tt.want)
		}
	}
}
