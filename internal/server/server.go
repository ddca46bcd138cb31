// Package server is the HTTP listener of every command: TLS and authentication
// as all Prometheus exporters have them, safe defaults, and an end that waits
// for requests under way.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/exporter-toolkit/web"
)

const (
	headerTimeout   = 10 * time.Second
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 10 * time.Second
	maxHeaderBytes  = 64 << 10
)

// Config is where a server listens and how it is guarded.
type Config struct {
	// Addresses to listen on, "host:port" each. Port 0 takes a free one.
	Addresses []string
	// WebConfigFile is exporter-toolkit's file with TLS, client certificates and
	// basic authentication (github.com/prometheus/exporter-toolkit, docs/web-configuration.md).
	WebConfigFile string
	// Insecure allows a LoopbackOnly server to be open to other machines without authentication.
	Insecure bool
	// LoopbackOnly refuses other addresses unless clients must authenticate: the
	// server can be written to.
	LoopbackOnly bool
	// AddrFile, if named, gets the addresses bound, one a line, for tests and scripts that listen on port 0.
	AddrFile string
}

// Validate checks the addresses and the web configuration file.
func (c Config) Validate() error {
	if len(c.Addresses) == 0 {
		return errors.New("no listen address")
	}
	if err := web.Validate(c.WebConfigFile); err != nil {
		return fmt.Errorf("web config file %q: %w%s", c.WebConfigFile, err, keyPair(c.WebConfigFile, err))
	}
	guarded, err := authenticates(c.WebConfigFile)
	if err != nil {
		return fmt.Errorf("web config file %q: %w", c.WebConfigFile, err)
	}
	for _, addr := range c.Addresses {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return fmt.Errorf("listen address %q: %w", addr, err)
		}
		if c.LoopbackOnly && !c.Insecure && !guarded && !loopback(host) {
			return fmt.Errorf("listen address %q is reachable from other machines, and nobody would have to authenticate: "+
				"set --web.config.file with basic_auth_users or client certificates, or say --web.insecure", addr)
		}
	}
	return nil
}

// Server serves one handler on all its addresses.
type Server struct {
	cfg       Config
	log       *slog.Logger
	http      *http.Server
	listeners []net.Listener
}

// New returns a server that is not yet listening. Requests that change
// something and come from a page of another origin are refused.
func New(cfg Config, handler http.Handler, log *slog.Logger) *Server {
	return &Server{cfg: cfg, log: log, http: &http.Server{
		Handler:           http.NewCrossOriginProtection().Handler(handler),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // clients' TLS mistakes
	}}
}

// Open validates and binds all addresses, or none.
func (s *Server) Open(ctx context.Context) error {
	if err := s.cfg.Validate(); err != nil {
		return err
	}
	var lc net.ListenConfig
	for _, addr := range s.cfg.Addresses {
		l, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			s.closeListeners()
			return fmt.Errorf("listen: %w", err)
		}
		s.listeners = append(s.listeners, l)
	}
	if s.cfg.AddrFile == "" {
		return nil
	}
	if err := os.WriteFile(s.cfg.AddrFile, []byte(strings.Join(s.Addrs(), "\n")+"\n"), 0o600); err != nil {
		s.closeListeners()
		return fmt.Errorf("write address file: %w", err)
	}
	return nil
}

// Addrs returns the addresses that are bound, "host:port" each.
func (s *Server) Addrs() []string {
	addrs := make([]string, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.Addr().String()
	}
	return addrs
}

// Run serves until ctx is done, then lets requests under way end, for ten
// seconds at most. Open comes first.
func (s *Server) Run(ctx context.Context) error {
	no := false
	flags := &web.FlagConfig{WebListenAddresses: &s.cfg.Addresses, WebSystemdSocket: &no, WebConfigFile: &s.cfg.WebConfigFile}
	served := make(chan error, 1)
	go func() { served <- web.ServeMultiple(s.listeners, s.http, flags, s.quiet()) }()
	select {
	case err := <-served:
		s.closeListeners()
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	// Serve returns as soon as Shutdown is called; the requests are done when Shutdown returns.
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := s.http.Shutdown(deadline); err != nil {
		s.log.Warn("close requests that did not end", "err", err)
		_ = s.http.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// quiet is the toolkit's logger: its greetings are of no interest beside ours.
func (s *Server) quiet() *slog.Logger {
	if s.log.Enabled(context.Background(), slog.LevelDebug) {
		return s.log
	}
	return slog.New(slog.DiscardHandler)
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
	s.listeners = nil
}

// loopback tells whether a host is this machine only. A name counts only if it
// is "localhost"; the empty host is all interfaces.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// keyPair names the files of the certificate where the error is about them; the
// library's own text does not say which they are.
func keyPair(file string, err error) string {
	if !strings.Contains(err.Error(), "X509KeyPair") {
		return ""
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	var c struct {
		TLS struct {
			Cert string `yaml:"cert_file"`
			Key  string `yaml:"key_file"`
		} `yaml:"tls_server_config"`
	}
	if err := yaml.Unmarshal(data, &c); err != nil {
		return ""
	}
	return fmt.Sprintf(" (cert_file %q, key_file %q)", c.TLS.Cert, c.TLS.Key)
}

// authenticates tells whether a web configuration makes every client prove who it is.
func authenticates(file string) (bool, error) {
	if file == "" {
		return false, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	var c struct {
		Users map[string]string `yaml:"basic_auth_users"`
		TLS   struct {
			ClientAuth string `yaml:"client_auth_type"`
		} `yaml:"tls_server_config"`
	}
	if err := yaml.Unmarshal(data, &c); err != nil {
		return false, err
	}
	return len(c.Users) > 0 || c.TLS.ClientAuth == "RequireAndVerifyClientCert", nil
}
