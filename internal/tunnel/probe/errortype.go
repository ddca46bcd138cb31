package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"reflect"
	"syscall"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/echo"
)

// remoteAlert returns the alert that the other side sent. On TCP it is an
// unexported type of crypto/tls, known only by the operation's name.
func remoteAlert(err error) (uint8, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return 0, false
	}
	if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
		return uint8(v.Uint()), true //nolint:gosec // of kind uint8
	}
	return 0, false
}

func isAlert(err error) bool {
	_, ok := remoteAlert(err)
	return ok
}

var alerts = map[uint8]string{
	42: "client_cert_rejected", 45: "client_cert_expired", 48: "client_cert_unknown_ca", 49: "client_cert_rejected",
	70: "tls_version", 116: "client_cert_required",
}

// errorType names why a step failed, with a word of a closed list.
func errorType(step string, err error) string {
	if code, ok := remoteAlert(err); ok {
		if name, known := alerts[code]; known {
			return name
		}
		return "tls_alert"
	}
	if step == StepEcho {
		return echo.Kind(err)
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok || step == StepResolve {
		return "dns"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		if invalid.Cert != nil && time.Now().Before(invalid.Cert.NotBefore) {
			return "cert_not_yet_valid"
		}
		return "cert_expired"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "cert_name"
	}
	if step == StepTLS && isTimeout(err) {
		return "handshake_timeout"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "not_tls"
	}
	switch {
	case isTimeout(err):
		return "connect_timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case step == StepConnect:
		return "unreachable"
	}
	var untrusted x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	if errors.As(err, &untrusted) || errors.As(err, &invalid) {
		return "cert_untrusted"
	}
	return "tls_alert" // our own side refused what it was offered
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout()
}
