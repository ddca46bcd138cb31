// Package tunnels makes what the demo's TLS tunnels need: an authority with the
// certificates of two companies and of the provider, services behind the
// tunnels, and customers who use them. The tunnels themselves are Oriel's own,
// named in Sections as a user would name them.
package tunnels

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/echo"
	"github.com/orielhq/oriel/internal/tunnel/pki"
)

// The companies of the demo. Initech has a certificate of the same authority, but nobody lets it in.
var (
	companies = []string{"acme", "globex"}
	refused   = "initech"
)

// domain is the trust domain of the demo's authority.
const domain = "oriel.demo"

// One certificate has lived 85 of its 90 days, and nobody has renewed it.
const day, lived = 24 * time.Hour, 85 * 24 * time.Hour

// service is something behind a gateway.
type service struct {
	company, api string
	manner       echo.Manner
	delay        time.Duration
	listener     net.Listener
}

// Lab is the world around the tunnels.
type Lab struct {
	dir      string
	log      *slog.Logger
	services []*service
	ports    map[string]string // host:port by the name of a tunnel
}

// New makes the authority and its certificates in dir.
func New(dir string, log *slog.Logger) (*Lab, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	l := &Lab{dir: dir, log: log, ports: map[string]string{}, services: []*service{
		{company: "acme", api: "excrypt"},
		{company: "globex", api: "international", manner: echo.Slow, delay: 30 * time.Millisecond},
	}}
	ca, err := pki.Init(l.file("ca"), domain, "")
	if err != nil {
		return nil, err
	}
	here := []net.IP{net.IPv4(127, 0, 0, 1)}
	orders := map[string]pki.Order{
		"gateway":        {Profile: "tunnel-server", Name: "gateway", DNS: []string{"localhost"}, IPs: here},
		"gateway-ending": {Profile: "tunnel-server", Name: "gateway-ending", DNS: []string{"localhost"}, IPs: here, Lifetime: lived + 5*day},
		"prober":         {Profile: "prober", Name: "prober"},
	}
	for _, c := range append([]string{refused}, companies...) {
		orders[c] = pki.Order{Profile: "guardian", Name: "office", Company: c}
	}
	for name, o := range orders {
		signer := ca
		if name == "gateway-ending" {
			signer = ca.At(time.Now().Add(-lived))
		}
		chain, key, err := signer.Issue("", o)
		if err == nil {
			err = errors.Join(pki.WriteFile(l.file(name+".key"), key), pki.WriteFile(l.file(name+".crt"), pki.EncodeCertificates(chain...)))
		}
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", name, err)
		}
	}
	return l, nil
}

func (l *Lab) file(name string) string { return filepath.Join(l.dir, name) }

// Open starts the services, and finds ports for the tunnels.
func (l *Lab) Open(ctx context.Context) error {
	var lc net.ListenConfig
	names := []string{"metrics", "acme-hsm", "globex-hsm"}
	names = append(append(names, refused), companies...)
	for _, name := range names {
		p, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("find port: %w", err)
		}
		// Kept until all are found, so that they differ. Another program may take one meanwhile; then the demo says so and ends.
		defer func() { _ = p.Close() }()
		l.ports[name] = p.Addr().String()
	}
	for _, s := range l.services {
		var err error
		if s.listener, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			l.close()
			return fmt.Errorf("listen: %w", err)
		}
	}
	return nil
}

func (l *Lab) close() {
	for _, s := range l.services {
		if s.listener != nil {
			_ = s.listener.Close()
		}
	}
}

// Run answers for the services and uses the tunnels until ctx is done.
func (l *Lab) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, s := range l.services {
		codec, err := echo.New(echo.Format(s.api), echo.Options{})
		if err != nil {
			l.close()
			return err
		}
		wg.Go(func() {
			if err := (echo.Fake{Codec: codec, Manner: s.manner, Delay: s.delay}).Serve(ctx, s.listener); err != nil {
				l.log.Warn("serve", "service", s.company, "err", err)
			}
		})
	}
	for _, c := range append([]string{refused}, companies...) {
		wg.Go(func() { l.customer(ctx, c) })
	}
	<-ctx.Done()
	return nil
}

// Guardian returns where a company's guardian listens, host:port.
func (l *Lab) Guardian(company string) string { return l.ports[company] }

func (l *Lab) tls(cert string) map[string]any {
	return map[string]any{
		"cert_file": l.file(cert + ".crt"), "key_file": l.file(cert + ".key"), "ca_file": l.file("ca/bundle.pem"), "crl_file": l.file("ca/crl.pem"),
	}
}

func port(addr string) int {
	_, text, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(text)
	return n
}
