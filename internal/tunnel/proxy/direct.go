package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// idleTime is how long a connection to Prometheus is kept unused.
const idleTime = 60 * time.Second

// direct is an HTTP/1.1 client for one server. Unlike http.Transport it needs
// no goroutines of a connection's own, whose wake-ups cost more than a small query.
type direct struct {
	address string
	tls     *tls.Config // nil: plain
	keep    int

	mu   sync.Mutex // guards idle
	idle []*directConn
}

// maxHead bounds the head of an answer, with what is read ahead of its body.
const maxHead = 128 << 10

type directConn struct {
	net.Conn
	r    *bufio.Reader
	used time.Time
	left int // bytes that may be read for a head; -1: it is read
}

// Read reads, but not a head without end.
func (c *directConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.left >= 0 {
		if c.left -= n; c.left < 0 {
			return n, errors.New("the head of prometheus' answer is too long")
		}
	}
	return n, err
}

func newDirect(u *url.URL, settings *tls.Config, keep int) *direct {
	d := &direct{address: u.Host, keep: keep}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
		d.tls = settings
		if d.tls.ServerName == "" {
			d.tls.ServerName = u.Hostname()
		}
	}
	if u.Port() == "" {
		d.address = net.JoinHostPort(u.Hostname(), port)
	}
	return d
}

// take returns the connection used last; fresh is true if it is a new one.
func (d *direct) take(ctx context.Context) (c *directConn, fresh bool, err error) {
	d.mu.Lock()
	for len(d.idle) > 0 {
		c := d.idle[len(d.idle)-1]
		d.idle = d.idle[:len(d.idle)-1]
		if time.Since(c.used) < idleTime {
			d.mu.Unlock()
			return c, false, nil
		}
		_ = c.Close()
	}
	d.mu.Unlock()
	plain, err := (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, true, err
	}
	if d.tls != nil {
		t := tls.Client(plain, d.tls)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, true, errors.Join(err, plain.Close())
		}
		plain = t
	}
	made := &directConn{Conn: plain}
	made.r = bufio.NewReaderSize(made, 32<<10)
	return made, true, nil
}

func (d *direct) put(c *directConn) {
	c.used = time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle) >= d.keep {
		_ = c.Close()
		return
	}
	d.idle = append(d.idle, c)
}

// CloseIdleConnections closes what nobody uses.
func (d *direct) CloseIdleConnections() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.idle {
		_ = c.Close()
	}
	d.idle = nil
}

// RoundTrip sends a request, whose body can be had again, and returns the answer.
func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	var text bytes.Buffer
	if err := r.Write(&text); err != nil {
		return nil, err
	}
	for {
		c, fresh, err := d.take(r.Context())
		if err != nil {
			return nil, err
		}
		resp, err := d.exchange(r, c, text.Bytes())
		if err == nil {
			return resp, nil
		}
		_ = c.Close()
		// A connection that was kept may have been closed by the server meanwhile: nothing has come back, and all that is asked may be asked twice.
		if fresh || r.Context().Err() != nil || !errors.Is(err, errNoAnswer) {
			return nil, errors.Join(r.Context().Err(), err)
		}
	}
}

// errNoAnswer is wrapped by errors of a connection that ended before an answer began.
var errNoAnswer = errors.New("no answer")

func (d *direct) exchange(r *http.Request, c *directConn, text []byte) (*http.Response, error) {
	ctx := r.Context()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	fail := func(err error) (*http.Response, error) {
		stop()
		return nil, err
	}
	c.left = maxHead
	if _, err := c.Write(text); err != nil {
		return fail(fmt.Errorf("%w: %w", errNoAnswer, err))
	}
	if _, err := c.r.Peek(1); err != nil {
		return fail(fmt.Errorf("%w: %w", errNoAnswer, err))
	}
	resp, err := http.ReadResponse(c.r, r)
	if err != nil {
		return fail(err)
	}
	c.left = -1
	resp.Body = &directBody{ReadCloser: resp.Body, d: d, c: c, stop: stop, keep: !resp.Close}
	return resp, nil
}

// directBody gives the connection back when it is read to its end.
type directBody struct {
	io.ReadCloser
	d     *direct
	c     *directConn
	stop  func() bool
	keep  bool
	ended bool
}

// Read reads on.
func (b *directBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.ended = true
	}
	return n, err
}

// Close keeps the connection if there is nothing left of the answer on it.
func (b *directBody) Close() error {
	if b.c == nil {
		return nil
	}
	c := b.c
	b.c = nil
	if intime := b.stop(); !b.ended || !b.keep || !intime || c.r.Buffered() > 0 {
		return c.Close()
	}
	b.d.put(c)
	return nil
}
