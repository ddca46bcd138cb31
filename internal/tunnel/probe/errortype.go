package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"slices"
	"syscall"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/echo"
)

// errorTypes is the closed list of why a probe failed, each with what it means.
var errorTypes = []struct{ name, means string }{
	{"files", "our own certificate, key, CA or revocation list cannot be used"},
	{"dns", "the name has no address; the discovery code says more"},
	{"refused", "nobody listens on the port"},
	{"unreachable", "there is no way to the address"},
	{"reset", "the connection was cut"},
	{"closed", "the other side closed without a word"},
	{"connect_timeout", "no connection came about in time"},
	{"handshake_timeout", "the handshake was not done in time"},
	{"not_tls", "the answer to the handshake is not TLS"},
	{"tls_version", "both sides have no version of TLS in common"},
	{"tls_alert", "the handshake failed for another reason"},
	{"cert_expired", "the server's certificate has ended"},
	{"cert_not_yet_valid", "the server's certificate does not hold yet"},
	{"cert_untrusted", "the server's certificate is of an authority that we do not trust"},
	{"cert_name", "the server's certificate is for another name"},
	{"cert_revoked", "the server's certificate is on a revocation list"},
	{"client_cert_required", "the server wants a certificate and got none"},
	{"client_cert_expired", "the server says that our certificate has ended"},
	{"client_cert_unknown_ca", "the server does not know our certificate's authority"},
	{"client_cert_rejected", "the server refuses our certificate"},
	{"limit", "the gateway has as many connections as it may"},
	{"target", "the gateway does not reach what stands behind it"},
	{"drain", "the gateway is stopping"},
	{"echo_timeout", "the service did not answer in time"},
	{"echo_mismatch", "the service answered something else"},
	{"echo_protocol", "the answer is not of the protocol"},
	{"echo_error", "the service answered with an error, or closed"},
}

// ErrorTypes returns the closed list, and what each word means.
func ErrorTypes() (names, meanings []string) {
	for _, t := range errorTypes {
		names, meanings = append(names, t.name), append(meanings, t.means)
	}
	return names, meanings
}

// errorIndex is the place of a type in the list; -1 if it is not there.
func errorIndex(name string) int {
	return slices.IndexFunc(errorTypes, func(t struct{ name, means string }) bool { return t.name == name })
}

// discoveryCodes is the closed list of why no address was found, and the one sentence for each.
var discoveryCodes = []struct{ code, means string }{
	{"NXDOMAIN", "The name does not exist."},
	{"SERVFAIL", "The name server failed."},
	{"DNS_TIMEOUT", "The name server did not answer in time."},
	{"NO_ADDRESS", "The name has no address."},
}

func discoveryText(code string) string {
	for _, c := range discoveryCodes {
		if c.code == code {
			return c.means
		}
	}
	return ""
}

var errNoAddress = &net.DNSError{Err: "no address"}

func discoveryCode(err error) string {
	dns, ok := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, errNoAddress):
		return "NO_ADDRESS"
	case isTimeout(err):
		return "DNS_TIMEOUT"
	case ok && dns.IsNotFound:
		return "NXDOMAIN"
	case ok:
		return "SERVFAIL"
	}
	return "NO_ADDRESS" // no such port, or an address that is none
}

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

// noProtocol tells whether a server refused all the protocols that it was offered (RFC 7301, 3.2).
func noProtocol(err error) bool {
	code, ok := remoteAlert(err)
	return ok && code == 120
}

// alerts are those of RFC 8446, 6.2, that say what the server thinks of us.
var alerts = map[uint8]string{
	42: "client_cert_rejected", 43: "client_cert_rejected", 44: "client_cert_rejected", 45: "client_cert_expired", 46: "client_cert_rejected",
	48: "client_cert_unknown_ca", 49: "client_cert_rejected", 70: "tls_version", 116: "client_cert_required",
}

// errorType names why a step failed, with a word of the closed list.
func errorType(step string, err error) string {
	if gateway, ok := errors.AsType[*gatewayError](err); ok {
		if errorIndex(gateway.word) >= 0 && gateway.word != "refused" {
			return gateway.word
		}
		return "client_cert_rejected"
	}
	if code, ok := remoteAlert(err); ok {
		if name, known := alerts[code]; known {
			return name
		}
		return "tls_alert"
	}
	if step == StepFiles {
		return "files"
	}
	if step == StepEcho {
		return echo.Kind(err)
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok || step == StepResolve {
		return "dns"
	}
	if name := certificateType(err); name != "" {
		return name
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "not_tls"
	}
	switch {
	case isTimeout(err) && step == StepConnect:
		return "connect_timeout"
	case isTimeout(err):
		return "handshake_timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case step == StepConnect:
		return "unreachable"
	}
	return "tls_alert" // our own side refused what it was offered
}

// certificateType names what is wrong with a server's certificate.
func certificateType(err error) string {
	if errors.Is(err, errRevoked) {
		return "cert_revoked"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "cert_name"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "cert_untrusted"
	}
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case !ok:
		return ""
	case invalid.Reason != x509.Expired:
		return "cert_untrusted"
	case invalid.Cert != nil && time.Now().Before(invalid.Cert.NotBefore):
		return "cert_not_yet_valid"
	}
	return "cert_expired"
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || ok && timeout.Timeout()
}
