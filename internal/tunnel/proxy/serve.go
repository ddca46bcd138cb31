package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/quiet"
	"github.com/orielhq/oriel/internal/tunnel/trust"
)

// Proxy is a tenant proxy.
type Proxy struct {
	cfg            Config
	catalog        Catalog
	embedded       bool // there is a Prometheus in this program
	log            *slog.Logger
	up             *upstream
	rules          rules
	companies      []*company
	trustedProxies []netip.Prefix
	turns          chan struct{} // requests to Prometheus
	strangers      counts        // refusals of those whose company is not known
	state          atomic.Pointer[trust.State]
	reloadFailed   atomic.Bool
	listener       net.Listener
	meta           metaCache
	quiet          quiet.Log
	heir           *Proxy   // who goes on from here; set before ctx of Run is done
	from           heirloom // until Open
	rest           func()   // what the proxy before has still to do
}

// counts is a counter by reason.
type counts struct {
	mu sync.Mutex // guards n
	n  map[string]int64
}

func (c *counts) count(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int64{}
	}
	c.n[reason]++
}

func (c *counts) all() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}

func (p *Proxy) files() trust.Files {
	return trust.Files{Cert: p.cfg.CertFile, Key: p.cfg.KeyFile, CA: p.cfg.CAFile, CRL: p.cfg.CRLFile}
}

// Open reads the certificates and listens.
func (p *Proxy) Open(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			p.disown()
		}
	}()
	p.comeBack()
	if p.cfg.Upstream == Embedded && !p.embedded {
		return errors.New("upstream: there is no embedded Prometheus here; say its URL")
	}
	if !p.cfg.ProxyProtocol {
		s, err := p.files().Load(nil)
		if err != nil {
			return err
		}
		p.state.Store(s)
	}
	l, err := p.listen(ctx)
	if err != nil {
		return err
	}
	p.settle()
	p.listener = &listener{Listener: l, p: p, slots: make(chan struct{}, p.cfg.Limits.Connections)}
	return nil
}

// Addr is where the proxy listens, once opened.
func (p *Proxy) Addr() string {
	if p.listener == nil {
		return ""
	}
	return p.listener.Addr().String()
}

// Run serves until ctx is done, then lets requests end for the drain time. If
// another proxy has inherited this one, it is the one that waits for them.
func (p *Proxy) Run(ctx context.Context) error {
	timeout := p.cfg.Limits.Timeout.Std()
	all := &clients{answer: p.serve, log: p.log, body: headerTimeout + timeout, write: headerTimeout + 2*timeout}
	var work sync.WaitGroup
	socket, l := p.listener, p.listener
	// What is open goes on when ctx is done, and is watched as long.
	watched, stop := context.WithCancel(context.WithoutCancel(ctx))
	if !p.cfg.ProxyProtocol {
		l = tls.NewListener(l, p.serverTLS())
		work.Go(func() { p.watch(watched, all) })
	}
	if p.rest != nil {
		work.Go(p.rest)
		p.rest = nil
	}
	served := make(chan error, 1)
	go func() { served <- all.serve(watched, l) }()
	end := func() error {
		defer p.up.close()
		defer work.Wait()
		defer stop()
		deadline, cancel := context.WithTimeout(watched, p.cfg.Drain.Std())
		defer cancel()
		_ = socket.Close()
		err := <-served
		all.end(deadline, min(askTime, p.cfg.Drain.Std()))
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		return err
	}
	select {
	case err := <-served:
		served <- err
		return end()
	case <-ctx.Done():
	}
	if p.heir != nil {
		p.handOver(func() {
			if err := end(); err != nil {
				p.log.Warn("end of the proxy before the reload", "err", err)
			}
		})
		return nil
	}
	return end()
}

// askTime is how long who has connected may take to ask when the proxy ends.
const askTime = time.Second

// within waits for wait to return, but not longer than d.
func within(d time.Duration, wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait()
	}()
	select {
	case <-done:
	case <-time.After(d):
	}
}

// whose tells who sends requests on a connection.
func (p *Proxy) whose(c net.Conn) (client, error) {
	switch c := c.(type) {
	case *conn:
		return c.who, nil
	case *tls.Conn:
		under, state, leaf := c.NetConn().(*conn), p.state.Load(), c.ConnectionState().PeerCertificates[0]
		if under.checked == state && time.Now().Before(leaf.NotAfter) {
			return under.who, nil
		}
		if err := p.stillTrusted(c); err != nil {
			return client{}, err
		}
		under.checked, under.who = state, p.client(leaf, "")
		return under.who, nil
	}
	return client{}, nil
}
