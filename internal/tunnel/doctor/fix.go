package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/probe"
)

// filesFix is what mends files that cannot be used.
func filesFix(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "The file is not there: put it in place, or correct its name in the configuration."
	case errors.Is(err, fs.ErrPermission):
		return "This user may not read the file: run as the user that owns it, or change its owner. Keys stay at mode 0600."
	case strings.Contains(err.Error(), "private key does not match"):
		return "Certificate and key do not belong together: one of them was replaced alone. Put both back, or renew (`oriel pki renew`)."
	case strings.Contains(err.Error(), "encrypted"):
		return "The key has a passphrase, and nobody is there to type it: store it without, at mode 0600."
	}
	return "The file is not what it should be (PEM: certificates leaf first, key in PKCS#8): write it anew."
}

// fix is what mends the failure of a probe.
func fix(p Patient, r *probe.Result, leaf *x509.Certificate) string {
	switch r.ErrorType {
	case "dns":
		return dnsFix(p, r)
	case "refused":
		return fmt.Sprintf("Nobody listens on %s: start the gateway, or correct the port.", r.Address)
	case "unreachable":
		return fmt.Sprintf("There is no route to %s: look at the routes and the interface of this machine.", r.Address.Addr())
	case "connect_timeout":
		return fmt.Sprintf("Packets to %s are swallowed: open the port in the firewall, or correct the address.", r.Address)
	case "handshake_timeout":
		return "The port is open, but nobody shakes hands: the process hangs, or the port belongs to a service that waits for the client to speak in clear."
	case "not_tls":
		return "A service without TLS is behind the port: point to the gateway's port, or set `transport: tcp` if it is a guardian's."
	case "reset", "closed":
		return "The other side cut the connection without a word: its log says why. A gateway that gets the PROXY protocol (`proxy_protocol: {in: true}`) does so with those who do not send it."
	case "tls_version", "tls_alert":
		return "Both sides have no version, cipher or protocol in common: update the server, or set `confirm: false` if it is not ours and dislikes ALPN."
	}
	if text := certificateFix(p, r); text != "" {
		return text
	}
	if text := clientFix(leaf, r.ErrorType); text != "" {
		return text
	}
	return serviceFix(p, r.ErrorType)
}

func dnsFix(p Patient, r *probe.Result) string {
	switch r.Discovery {
	case "NXDOMAIN":
		return fmt.Sprintf("There is no name %q: correct it, or add it to the zone or to /etc/hosts.", p.Host)
	case "SERVFAIL", "DNS_TIMEOUT":
		return "The name server does not answer: look at /etc/resolv.conf, and whether port 53 is open."
	}
	return fmt.Sprintf("%q has no address: add an A or AAAA record, or correct host and port.", p.Host)
}

// certificateFix is about the server's certificate.
func certificateFix(p Patient, r *probe.Result) string {
	if len(r.Chain) == 0 {
		return ""
	}
	leaf := r.Chain[0]
	switch r.ErrorType {
	case "cert_expired":
		return fmt.Sprintf("The server's certificate ended %s, %s ago: renew it at the gateway (`oriel pki renew`); new files are taken without a restart.",
			stamp(r.NotAfter()), rough(time.Since(r.NotAfter())))
	case "cert_not_yet_valid":
		return fmt.Sprintf("The server's certificate holds from %s on: set the clock of this machine or of the authority right.", stamp(leaf.NotBefore))
	case "cert_name":
		name := p.TLS.ServerName
		if name == "" {
			name = p.Host
		}
		return fmt.Sprintf("The certificate is for %s, not for %q: set tls.server_name, or issue one with that name.", names(leaf), name)
	case "cert_untrusted":
		return fmt.Sprintf("The certificate is of %q, which %s does not hold: put that authority's certificate into tls.ca_file, or have the server send its intermediate certificate. Somebody may also sit in between.",
			leaf.Issuer.String(), trustText(p))
	case "cert_revoked":
		return fmt.Sprintf("Certificate %s is on the revocation list: issue a new one for the gateway, with a new key.", leaf.SerialNumber.Text(16))
	}
	return ""
}

func names(c *x509.Certificate) string {
	list := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	for _, u := range c.URIs {
		list = append(list, u.String())
	}
	if len(list) == 0 {
		return fmt.Sprintf("nobody by name (subject %q)", c.Subject.String())
	}
	return strings.Join(list[:min(len(list), 10)], ", ")
}

// clientFix is about our own certificate, in the server's words.
func clientFix(leaf *x509.Certificate, kind string) string {
	switch kind {
	case "client_cert_required":
		return "The server wants a certificate: give tls.cert_file and tls.key_file (`oriel pki issue --profile prober`)."
	case "client_cert_expired":
		return "The server says that our certificate has ended, by its clock: renew ours, and set its clock right."
	case "client_cert_unknown_ca":
		return fmt.Sprintf("The server does not know %q, who signed our certificate: add it to the server's CA file, or take a certificate of an authority that it knows.", issuer(leaf))
	case "client_cert_rejected":
		return fmt.Sprintf("The server knows the authority, but refuses this certificate (serial %s): add a rule to `allow`, or issue a new one if it was revoked; /status at the gateway says which.", serial(leaf))
	case "limit":
		return "The gateway is full: raise max_connections or max_per_company, or close what is not needed."
	case "target":
		return "The gateway took us, but does not reach what stands behind it: start that service, or correct `targets` there."
	case "drain":
		return "The gateway is being stopped: wait until it is back."
	}
	return ""
}

func issuer(c *x509.Certificate) string {
	if c == nil {
		return "nobody"
	}
	return c.Issuer.String()
}

func serial(c *x509.Certificate) string {
	if c == nil {
		return "none"
	}
	return c.SerialNumber.Text(16)
}

// cut tells whether the other side ended the connection.
func cut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// cutFix is what mends a connection that is taken and then cut.
func cutFix(p Patient) string {
	if p.Transport == "tcp" {
		return "The guardian took the connection, and its gateway refused it: the guardian's /status and log say why (client_cert_...: its certificate is not let in)."
	}
	return "The service behind the gateway closed the connection: its log says why. Does it expect the PROXY protocol (`proxy_protocol: {out: true}` at the gateway)?"
}

// serviceFix is about what stands behind the tunnel.
func serviceFix(p Patient, kind string) string {
	switch kind {
	case "echo_timeout":
		return fmt.Sprintf("The tunnel is good, but the service says nothing to %s: it hangs, or it speaks another language; see `api`, `header` and `ascii_length`.", p.API)
	case "echo_mismatch":
		return "The service answers something else than it was asked: another service stands there, or answers are mixed up between clients."
	case "echo_protocol":
		return fmt.Sprintf("What stands behind the tunnel does not speak %s: correct `api`, or the gateway's `targets`.", p.API)
	case "echo_error":
		if p.Transport == "tcp" {
			return cutFix(p)
		}
		return fmt.Sprintf("The service answered with an error, or closed: its log says why. Is the command allowed there, and does it speak %s at all?", p.API)
	}
	return "See docs/guides/tunnels-probes.md."
}
