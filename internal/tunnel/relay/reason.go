package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/trust"
)

// reasons is the closed list of why a connection did not come to be, or was cut.
var reasons = []string{
	"cert_expired", "cert_name", "cert_not_yet_valid", "cert_revoked", "cert_untrusted",
	"client_cert_expired", "client_cert_rejected", "client_cert_required", "client_cert_unknown_ca",
	"closed", "company_limit", "connect_timeout", "dns", "drain", "handshake_timeout", "idle", "limit", "no_certificate", "not_allowed",
	"not_tls", "other", "pending_limit", "proxy", "proxy_header", "refused", "reset", "server_cert_rejected", "target", "tls_alert", "tls_version", "total", "unreachable",
}

// alerts are those of RFC 8446, 6.2, that say what the other side thinks of our certificate.
var alerts = map[uint64]string{
	42: "client_cert_rejected", 43: "client_cert_rejected", 44: "client_cert_rejected", 45: "client_cert_expired", 46: "client_cert_rejected",
	48: "client_cert_unknown_ca", 49: "client_cert_rejected", 70: "tls_version", 116: "client_cert_required",
}

// reason names an error of a step: "connect" or "handshake".
func reason(step string, err error) string {
	if r, ok := errors.AsType[*trust.Refusal](err); ok {
		switch r.Reason {
		case "revoked", "expired", "untrusted":
			return "cert_" + r.Reason
		}
		return r.Reason
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" {
		if v := reflect.ValueOf(e.Err); v.Kind() == reflect.Uint8 { // an alert: crypto/tls does not export its type
			if name, ok := alerts[v.Uint()]; ok {
				return name
			}
		}
		return "tls_alert"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "dns"
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return step + "_timeout"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "not_tls"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		if e.Cert != nil && time.Now().Before(e.Cert.NotBefore) {
			return "cert_not_yet_valid"
		}
		return "cert_expired"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "cert_name"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "cert_untrusted"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "unreachable"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, errTruncated):
		return "closed"
	case err.Error() == "tls: client didn't provide a certificate":
		return "no_certificate" // crypto/tls has no type for this and the next
	case strings.HasPrefix(err.Error(), "tls: client offered only unsupported versions"):
		return "tls_version"
	}
	return "other"
}

// ofClient names an error of a client's handshake, as a gateway sees it: what the client dislikes is our certificate.
func ofClient(err error) string {
	r := reason("handshake", err)
	if strings.HasPrefix(r, "client_cert_") {
		return "server_cert_rejected"
	}
	return r
}

// detail is the text of an error. Who sends a certificate alone, as openssl s_client does unless told otherwise, has most
// likely forgotten its chain; the error only says that the authority is not known.
func detail(err error) string {
	text := err.Error()
	e, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); ok && unknown && len(e.UnverifiedCertificates) == 1 {
		text += fmt.Sprintf("; it came without its issuer's, %q", e.UnverifiedCertificates[0].Issuer.CommonName)
	}
	return text[:min(len(text), 200)]
}

// codes are what a gateway says with the acceptance byte, and what a guardian understands.
var codes = map[byte]string{'L': "limit", 'C': "company_limit", 'T': "target", 'D': "drain"}

func code(reason string) byte {
	for c, name := range codes {
		if name == reason {
			return c
		}
	}
	return 'X'
}

func known(reason string) string {
	if slices.Contains(reasons, reason) {
		return reason
	}
	return "other"
}
