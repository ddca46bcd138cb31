package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/proxyproto"
)

// conn is a connection that is carried, from its authorisation on.
type conn struct {
	company string
	state   tls.ConnectionState
	began   time.Time
	active  atomic.Int64 // Unix nanoseconds of the last byte
	up      atomic.Bool  // the other end has accepted it
	gone    atomic.Bool  // who asked for it went before the other end said anything
	once    sync.Once
	left    atomic.Int32 // directions that have not ended

	mu    sync.Mutex  // guards what follows until it is carried
	sides [2]net.Conn // who has asked, and the other
	over  bool        // cut, perhaps before it had its sides
}

// join gives a connection its sides, unless it has been cut meanwhile: it has its place before the far side is there.
func (c *conn) join(in, out net.Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return errors.New("cut before it was carried")
	}
	c.sides = [2]net.Conn{in, out}
	return nil
}

// cut ends a connection for a reason.
func (c *conn) cut(t *tunnel, reason string, err error) {
	c.once.Do(func() {
		t.refuse(reason, err)
		c.close()
	})
}

func (c *conn) close() {
	c.mu.Lock()
	sides := c.sides
	c.over = true
	c.mu.Unlock()
	for _, s := range sides {
		if s == nil {
			continue // bring sees that it is over
		}
		if l, ok := raw(s).(interface{ SetLinger(int) error }); ok {
			_ = l.SetLinger(0) // cut means now: nothing that is still queued is sent
		}
		_ = raw(s).Close()
	}
}

// raw is the socket under TLS. Closing a tls.Conn would wait for its writer.
func raw(c net.Conn) net.Conn {
	if w, ok := under(c); ok {
		return w.Conn
	}
	return c
}

// handle brings one connection up and leaves it to its two directions. Its own stack, large from the handshake, ends here.
func (t *tunnel) handle(ctx context.Context, in net.Conn) {
	c, err := t.bring(ctx, in)
	t.pending.Add(-1)
	if err != nil {
		_ = in.Close()
		t.conns.Done()
		return
	}
	c.left.Store(2)
	go t.carry(c, 0)
	go t.carry(c, 1)
}

// bring does what is needed before a byte is carried. What goes wrong is refused and counted here.
func (t *tunnel) bring(ctx context.Context, in net.Conn) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.ConnectTimeout.Std()+t.cfg.Handshake.Std())
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = in.Close() })
	defer stop()
	from := addrPort(in.RemoteAddr())
	to := addrPort(in.LocalAddr())
	if t.cfg.ProxyProtocol.In {
		_ = in.SetDeadline(time.Now().Add(t.cfg.Handshake.Std()))
		said, err := proxyproto.Read(in)
		if err != nil {
			t.refuse("proxy_header", err)
			return nil, err
		}
		_ = in.SetDeadline(time.Time{})
		if said.From.IsValid() {
			from = said.From
		}
	}
	c := &conn{began: time.Now()}
	c.active.Store(c.began.UnixNano())
	var header []byte
	tr := t.trust.Load()
	var err error
	if t.gateway {
		err = t.bringIn(ctx, c, tr, in)
		if t.cfg.ProxyProtocol.Out {
			header = proxyproto.Of(from, to, c.state, c.company).Append(nil)
		}
	} else {
		c.company = t.cfg.Company
		err = t.bringOut(ctx, c, tr, in)
		if t.cfg.ProxyProtocol.Out {
			header = proxyproto.Header{From: from, To: to}.Append(nil)
		}
	}
	if err == nil && header != nil {
		_, err = c.sides[1].Write(header)
	}
	if err == nil && !stop() {
		err = ctx.Err()
	}
	if err == nil && t.trust.Load() != tr { // reloaded meanwhile, and the reload may not have seen this one
		if err = t.trust.Load().again(c.state); err != nil {
			t.refuse(reason("", err), err)
		}
	}
	if err != nil {
		t.leave(c)
		if c.sides[1] != nil {
			_ = c.sides[1].Close()
			release(c.sides[0])
			release(c.sides[1])
		}
		return nil, err
	}
	return c, nil
}

// release gives back what a connection that nobody will read has still borrowed.
func release(c net.Conn) {
	if w, ok := under(c); ok {
		w.release()
	}
}

// bringIn is a gateway's way: handshake, authorisation, place, target, and the byte that says so.
func (t *tunnel) bringIn(ctx context.Context, c *conn, tr *trusted, in net.Conn) (err error) {
	w := newWire(in)
	w.early = true
	w.collect(false) // the ticket, which nobody waits for, goes with the word: one packet, and the guardian wakes up once
	outer := tls.Server(w, tr.server)
	defer func() {
		w.early = false
		if serr := w.scatter(); err == nil {
			err = serr
		}
		if err != nil {
			w.release()
		}
	}()
	hs, cancel := context.WithTimeout(ctx, t.cfg.Handshake.Std())
	defer cancel()
	if err := outer.HandshakeContext(hs); err != nil {
		t.refuse(ofClient(err), err)
		return err
	}
	c.state = outer.ConnectionState()
	rule, err := tr.identify(c.state)
	if err != nil {
		t.refuse(ofClient(err), err)
		return err
	}
	if c.company = rule.Company; c.company == "" && len(c.state.PeerCertificates[0].Subject.Organization) > 0 {
		c.company = c.state.PeerCertificates[0].Subject.Organization[0]
	}
	ours := c.state.NegotiatedProtocol == alpn
	if !ours { // it may wait for the end of the handshake
		if err := w.scatter(); err != nil {
			return err
		}
	}
	say := func(b byte) error {
		if !ours {
			return nil
		}
		_ = outer.SetWriteDeadline(time.Now().Add(t.cfg.Handshake.Std()))
		_, err := outer.Write([]byte{b})
		err = errors.Join(err, w.scatter())
		_ = outer.SetWriteDeadline(time.Time{})
		return err
	}
	if why := t.take(c, rule); why != "" {
		t.refuse(why, nil)
		_ = say(code(why))
		_ = outer.Close()
		return errors.New(why)
	}
	inner, err := t.target(ctx)
	if err != nil {
		t.refuse("target", err)
		_ = say(code("target"))
		_ = outer.Close()
		return err
	}
	if err := c.join(outer, inner); err != nil {
		_, _ = inner.Close(), outer.Close()
		return err
	}
	c.up.Store(true)
	t.total.Add(1)
	return say('G')
}

// target dials what stands behind a gateway: the first that answers.
func (t *tunnel) target(ctx context.Context) (net.Conn, error) {
	var errs []error
	for _, target := range t.cfg.Targets {
		c, err := t.cfg.dial(ctx, target)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// bringOut is a guardian's way: place, then the first gateway that takes the connection.
func (t *tunnel) bringOut(ctx context.Context, c *conn, tr *trusted, in net.Conn) error {
	var last error
	for _, target := range t.cfg.Targets {
		out, why, err := t.reach(ctx, tr, target)
		if err != nil {
			t.refuse(why, err)
			last = err
			continue
		}
		c.state = out.ConnectionState()
		if full := t.take(c, Rule{}); full != "" {
			_ = out.Close()
			release(out)
			t.refuse(full, nil)
			return errors.New(full)
		}
		if err := c.join(in, out); err != nil {
			_ = out.Close()
			release(out)
			return err
		}
		// TLS 1.2 ends its handshake after the server has seen our certificate, and ct/1 says so; else the first byte must.
		if c.state.Version == tls.VersionTLS12 || c.state.NegotiatedProtocol == alpn {
			c.up.Store(true)
			t.total.Add(1)
		}
		return nil
	}
	return last
}

// reach connects to one gateway and waits for its word, if it is one of ours.
func (t *tunnel) reach(ctx context.Context, tr *trusted, target string) (conn *tls.Conn, why string, err error) {
	plain, err := t.cfg.dial(ctx, target)
	if err != nil {
		return nil, reason("connect", err), err
	}
	cfg := tr.client
	if name := t.serverName(target); name != cfg.ServerName {
		cfg = &tls.Config{
			MinVersion: cfg.MinVersion, Certificates: cfg.Certificates, VerifyConnection: cfg.VerifyConnection, RootCAs: cfg.RootCAs,
			ClientSessionCache: cfg.ClientSessionCache, NextProtos: cfg.NextProtos, ServerName: name,
			CurvePreferences: cfg.CurvePreferences, DynamicRecordSizingDisabled: cfg.DynamicRecordSizingDisabled,
		}
	}
	out := tls.Client(newWire(plain), cfg)
	defer func() {
		if err != nil {
			_ = plain.Close()
			release(out)
		}
	}()
	hs, cancel := context.WithTimeout(ctx, t.cfg.Handshake.Std())
	defer cancel()
	if err := out.HandshakeContext(hs); err != nil {
		return nil, reason("handshake", err), err
	}
	if out.ConnectionState().NegotiatedProtocol != alpn {
		return out, "", nil
	}
	var word [1]byte
	// The gateway connects to its target before it answers.
	_ = out.SetReadDeadline(time.Now().Add(t.cfg.Handshake.Std() + t.cfg.ConnectTimeout.Std()))
	_, err = io.ReadFull(out, word[:])
	_ = out.SetReadDeadline(time.Time{})
	if err != nil {
		return nil, reason("handshake", err), err
	}
	if word[0] != 'G' {
		name := codes[word[0]]
		if name == "" {
			name = "other"
		}
		return nil, name, errors.New("the gateway refuses: " + name)
	}
	return out, "", nil
}

func (t *tunnel) serverName(target string) string {
	if t.cfg.ServerName != "" || strings.HasPrefix(target, "unix:") {
		return t.cfg.ServerName
	}
	host, _, _ := net.SplitHostPort(target) // Validate has seen to it
	return host
}
