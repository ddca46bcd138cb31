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
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// idleTime is how long a connection to Prometheus is kept unused.
const idleTime = 60 * time.Second

// direct is an HTTP/1.1 client for one server. Unlike http.Transport it needs
// no goroutines of a connection's own, whose wake-ups cost more than a small
// query. A connection serves one company all its life: whatever goes wrong on
// it, an answer cannot come to another one.
type direct struct {
	address string
	tls     *tls.Config // nil: plain
	keep    int

	mu   sync.Mutex // guards what follows
	idle map[string][]*directConn
	kept int // of all companies
}

// maxEarly bounds what may come before an answer.
const maxEarly = 5

// maxHead bounds the head of an answer, with what is read ahead of its body.
const maxHead = 128 << 10

type directConn struct {
	net.Conn
	plain   net.Conn // below TLS
	company string
	r       *bufio.Reader
	used    time.Time
	left    int // bytes that may be read for a head; -1: it is read
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

// silent tells whether a kept connection is as it should be: open, and nothing
// has come on it that nobody asked for and the next one would take for an answer.
func (c *directConn) silent() bool {
	if !quietSocket(c.plain) {
		return false
	}
	if c.Conn == c.plain {
		return true
	}
	// What TLS has read ahead, and nothing else: the time is over.
	_ = c.SetReadDeadline(time.Unix(1, 0))
	_, err := c.r.Peek(1)
	_ = c.SetReadDeadline(time.Time{})
	return errors.Is(err, os.ErrDeadlineExceeded)
}

func newDirect(u *url.URL, settings *tls.Config, keep int) *direct {
	d := &direct{address: u.Host, keep: keep, idle: map[string][]*directConn{}}
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

// pop returns the company's connection used last.
func (d *direct) pop(company string) *directConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.idle[company]
	if len(list) == 0 {
		return nil
	}
	d.idle[company] = list[:len(list)-1]
	d.kept--
	return list[len(list)-1]
}

// take returns the company's connection used last; fresh is true if it is a new one.
func (d *direct) take(ctx context.Context, company string) (c *directConn, fresh bool, err error) {
	for c := d.pop(company); c != nil; c = d.pop(company) {
		if time.Since(c.used) < idleTime && c.silent() {
			return c, false, nil
		}
		_ = c.Close()
	}
	plain, err := (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, true, err
	}
	plain = swift(plain)
	under := plain
	if d.tls != nil {
		t := tls.Client(plain, d.tls)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, true, errors.Join(err, plain.Close())
		}
		plain = t
	}
	made := &directConn{Conn: plain, plain: under, company: company}
	made.r = bufio.NewReaderSize(made, 32<<10)
	return made, true, nil
}

func (d *direct) put(c *directConn) {
	c.used = time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept >= d.keep {
		d.closeIdle(idleTime)
	}
	if d.kept >= d.keep {
		_ = c.Close()
		return
	}
	d.idle[c.company] = append(d.idle[c.company], c)
	d.kept++
}

// closeIdle closes what was not used for so long; the caller has the lock.
func (d *direct) closeIdle(long time.Duration) {
	for company, list := range d.idle {
		list = slices.DeleteFunc(list, func(c *directConn) bool {
			old := time.Since(c.used) >= long
			if old {
				_ = c.Close()
				d.kept--
			}
			return old
		})
		if d.idle[company] = list; len(list) == 0 {
			delete(d.idle, company)
		}
	}
}

// CloseIdleConnections closes what nobody uses.
func (d *direct) CloseIdleConnections() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closeIdle(0)
}

// ask sends a company's request and returns the answer.
func (d *direct) ask(company string, r *http.Request) (*http.Response, error) {
	text, err := asText(r)
	if err != nil {
		return nil, err
	}
	for {
		c, fresh, err := d.take(r.Context(), company)
		if err != nil {
			return nil, err
		}
		resp, err := d.exchange(r, c, text)
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

// asText is the request as it is sent: what http.Request.Write makes of it, with fewer steps.
func asText(r *http.Request) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, 512+len(r.URL.RawQuery)+int(r.ContentLength)))
	b.WriteString(r.Method)
	b.WriteByte(' ')
	b.WriteString(r.URL.RequestURI())
	b.WriteString(" HTTP/1.1\r\nHost: ")
	b.WriteString(r.URL.Host)
	b.WriteString("\r\n")
	if r.Body != nil {
		b.WriteString("Content-Length: ")
		b.Write(strconv.AppendInt(b.AvailableBuffer(), r.ContentLength, 10))
		b.WriteString("\r\n")
	}
	_ = r.Header.Write(b)
	b.WriteString("\r\n")
	if r.Body == nil {
		return b.Bytes(), nil
	}
	n, err := b.ReadFrom(r.Body)
	if err == nil && n != r.ContentLength {
		err = fmt.Errorf("a body of %d bytes: want %d", n, r.ContentLength)
	}
	return b.Bytes(), err
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
	for n := 0; err == nil && resp.StatusCode/100 == 1 && n < maxEarly; n++ { // hints; the answer is still to come
		resp, err = http.ReadResponse(c.r, r)
	}
	if err == nil && (resp.StatusCode < 200 || resp.StatusCode > 599) {
		err = fmt.Errorf("prometheus answers with status %d", resp.StatusCode)
	}
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
