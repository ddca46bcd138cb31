package neuvector

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Open listens, with a certificate made now that nobody else trusts.
func (c *Controller) Open(ctx context.Context) error {
	cert, pemBytes, err := selfSigned()
	if err != nil {
		return fmt.Errorf("demo neuvector: make certificate: %w", err)
	}
	if err := os.MkdirAll(c.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("demo neuvector: %w", err)
	}
	c.caFile = filepath.Join(c.cfg.Dir, "controller.pem")
	if err := os.WriteFile(c.caFile, pemBytes, 0o600); err != nil {
		return fmt.Errorf("demo neuvector: %w", err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", c.cfg.Address)
	if err != nil {
		return fmt.Errorf("demo neuvector: %w", err)
	}
	// As the real one since 5.6: TLS 1.3 only, and no HTTP/2.
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}
	if c.cfg.ClientCAs != nil {
		config.ClientCAs, config.ClientAuth = c.cfg.ClientCAs, tls.RequireAndVerifyClientCert
	}
	c.listener = tls.NewListener(l, config)
	return nil
}

// Addr is where it listens, once it is open.
func (c *Controller) Addr() string { return c.listener.Addr().String() }

// CAFile is the certificate to trust, once it is open.
func (c *Controller) CAFile() string { return c.caFile }

// Run serves and moves the data until ctx is done.
func (c *Controller) Run(ctx context.Context) error {
	srv := &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelDebug)}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(c.listener) }()
	tick := time.NewTicker(c.cfg.Step)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			c.step(now)
		case err := <-served:
			return fmt.Errorf("demo neuvector: %w", err)
		case <-ctx.Done():
			err := srv.Close()
			if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
				err = errors.Join(err, serr)
			}
			return err
		}
	}
}

// step moves this cluster and those it manages.
func (c *Controller) step(now time.Time) {
	c.mu.Lock()
	c.world.Step(now, c.cfg.Step)
	clear(c.bodies)
	joints := make([]*Controller, 0, len(c.joints))
	for _, j := range c.joints {
		joints = append(joints, j)
	}
	c.mu.Unlock()
	for _, j := range joints {
		j.step(now)
	}
}

// selfSigned makes a certificate for this machine that is its own CA.
func selfSigned() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "NeuVector demo"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
