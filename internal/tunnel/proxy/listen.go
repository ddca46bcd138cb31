package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/proxyproto"
	"github.com/orielhq/oriel/internal/tunnel/trust"
)

// listener takes no more connections than allowed, and wraps each so that its PROXY header is read by who serves it.
type listener struct {
	net.Listener
	p     *Proxy
	slots chan struct{}
}

// Accept returns the next connection. What is too much is taken and closed at once, and counted.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &conn{Conn: swift(c), p: l.p, leave: sync.OnceFunc(func() { <-l.slots })}, nil
		default:
			l.p.strangers.count("connections")
			_ = c.Close()
		}
	}
}

// conn is a client's connection.
type conn struct {
	net.Conn
	p     *Proxy
	leave func()
	once  sync.Once
	err   error
	who   client // of the PROXY header or the certificate

	checked *trust.State // the state that who was found under; of the goroutine that serves
}

// Read reads the PROXY header first, if one is to come.
func (c *conn) Read(b []byte) (int, error) {
	if c.p.cfg.ProxyProtocol {
		c.once.Do(func() { c.who, c.err = c.p.header(c.Conn) })
		if c.err != nil {
			return 0, c.err
		}
	}
	return c.Conn.Read(b)
}

// Close closes the connection and gives its place free.
func (c *conn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// header reads who a gateway says the client is.
func (p *Proxy) header(c net.Conn) (client, error) {
	who, err := p.readHeader(c)
	if err != nil {
		p.strangers.count("proxy_header")
	}
	return who, err
}

func (p *Proxy) readHeader(c net.Conn) (client, error) {
	if !p.trusts(c.RemoteAddr()) {
		return client{}, errors.New("PROXY protocol: not from who may send it")
	}
	// There is a deadline for the first request's head, which this is part of.
	h, err := proxyproto.Read(c)
	if err != nil {
		return client{}, err
	}
	var cert *x509.Certificate
	if len(h.Cert) > 0 {
		if cert, err = x509.ParseCertificate(h.Cert); err != nil {
			return client{}, fmt.Errorf("PROXY protocol: certificate: %w", err)
		}
		if time.Now().After(cert.NotAfter) {
			return client{}, errors.New("PROXY protocol: certificate has expired")
		}
	}
	return p.client(cert, h.Company), nil
}

func (p *Proxy) trusts(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return true // a UNIX socket: its file's permissions say who
	}
	addr, _ := netip.AddrFromSlice(t.IP)
	for _, n := range p.trustedProxies {
		if n.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

// serverTLS asks clients for a certificate of the state in force.
func (p *Proxy) serverTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			s := p.state.Load()
			// No tickets: who was trusted once is looked at again.
			return &tls.Config{
				MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{s.Cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: s.Pool,
				VerifyConnection: s.Verify, SessionTicketsDisabled: true, NextProtos: []string{"http/1.1", "http/1.0"},
			}, nil
		},
	}
}

// watch takes over changed files, and cuts the connections that they end.
func (p *Proxy) watch(ctx context.Context, all *clients) {
	tick := time.NewTicker(p.cfg.Reload.Std())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		before := p.state.Load()
		s, err := p.files().Load(before)
		if failed := err != nil; p.reloadFailed.Swap(failed) != failed && failed {
			p.log.Error("reload: the last good files stay in force", "err", err)
		}
		if err != nil {
			continue
		}
		p.state.Store(s)
		for _, c := range all.conns() {
			if t, ok := c.secure(); ok && p.stillTrusted(t) != nil {
				p.strangers.count("revoked")
				_ = t.NetConn().Close()
			}
		}
	}
}

// stillTrusted checks an open connection, its certificate's end included.
func (p *Proxy) stillTrusted(c *tls.Conn) error {
	s := p.state.Load()
	cs, err := s.Chains(c.ConnectionState())
	if err != nil {
		return err
	}
	return s.Verify(cs)
}
