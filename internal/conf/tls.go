package conf

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// TLS is how a client of ours meets a server, with Prometheus' own keys
// (prometheus.io/docs, <tls_config>).
type TLS struct {
	CAFile             string `yaml:"ca_file"`              // whose certificates are trusted; the system's authorities unless told
	CertFile           string `yaml:"cert_file"`            // shown to the other side, with its chain
	KeyFile            string `yaml:"key_file"`             // of cert_file
	ServerName         string `yaml:"server_name"`          // that the other side's certificate must have, if it is not the host
	MinVersion         string `yaml:"min_version"`          // TLS12 or TLS13
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify"` // trust whoever answers
}

var tlsVersions = map[string]uint16{"": tls.VersionTLS12, "TLS12": tls.VersionTLS12, "TLS13": tls.VersionTLS13}

// Validate checks what can be known without opening a file.
func (t TLS) Validate() error {
	if (t.CertFile == "") != (t.KeyFile == "") {
		return fmt.Errorf("tls: cert_file and key_file belong together")
	}
	if _, ok := tlsVersions[t.MinVersion]; !ok {
		return fmt.Errorf("tls: min_version %q: want TLS12 or TLS13", t.MinVersion)
	}
	return nil
}

// Client reads the files and returns the settings of a client. The client
// certificate is read again at each handshake, so that a renewed one is used
// without a restart.
func (t TLS) Client() (*tls.Config, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	c := &tls.Config{
		MinVersion:         tlsVersions[t.MinVersion],
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify, //nolint:gosec // the user asked for it by name
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: %q holds no certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		load := func() (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
			if err != nil {
				return nil, fmt.Errorf("tls: %w", err)
			}
			return &cert, nil
		}
		if _, err := load(); err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return c, nil
}
