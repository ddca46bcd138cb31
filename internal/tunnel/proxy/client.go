package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

const (
	// headerTimeout is how long a client may take for its handshake and for the head of a request.
	headerTimeout = 10 * time.Second
	// idleClient is how long a client's connection is kept between two requests.
	idleClient = 2 * time.Minute
	// maxRequestHead bounds the head of a request, with what is read ahead of its body.
	maxRequestHead = 256 << 10
	// maxDrain is how much of a body that nobody wants is read, so that the connection can go on.
	maxDrain = 256 << 10
	// lingerTime is how long a client may take to read the answer to what it has not sent wholly.
	lingerTime = 500 * time.Millisecond
	// lookTime is how long an answer may take before we look whether the client still waits for it.
	lookTime = 50 * time.Millisecond
)

// What a connection is at: it has not asked yet, it asks or is answered, or it may ask again.
const (
	isNew = iota
	isBusy
	isIdle
)

// clientConn is a client's connection at work.
type clientConn struct {
	net.Conn
	r    *bufio.Reader
	left int // bytes that may be read for a head; -1: it is read

	mu     sync.Mutex // guards what follows
	at     int
	shaken bool // the handshake is done
}

func newClientConn(c net.Conn) *clientConn {
	made := &clientConn{Conn: c, left: -1}
	made.r = bufio.NewReader(made)
	return made
}

var errHead = errors.New("the head of the request is too long")

// Read reads, but not a head without end.
func (c *clientConn) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, errHead
	}
	if c.left > 0 {
		p = p[:min(len(p), c.left)]
	}
	n, err := c.Conn.Read(p)
	if c.left > 0 {
		c.left -= n
	}
	return n, err
}

// shake is the handshake, if there is one.
func (c *clientConn) shake(ctx context.Context) error {
	t, ok := c.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, headerTimeout)
	defer cancel()
	err := t.HandshakeContext(ctx)
	if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok && plain.Conn != nil {
		_, _ = io.WriteString(plain.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nThis is TLS: ask with https.\n")
	}
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.shaken = true
	}
	return err
}

// secure is the TLS connection, once it has a certificate.
func (c *clientConn) secure() (*tls.Conn, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.Conn.(*tls.Conn)
	return t, ok && c.shaken
}

// set says what the connection is at.
func (c *clientConn) set(at int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// closeIf closes the connection if it is at that.
func (c *clientConn) closeIf(at int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == at {
		_ = c.Close()
	}
}

// await waits for a request to begin.
func (c *clientConn) await() bool {
	wait := idleClient
	if c.at == isNew {
		wait = headerTimeout
	}
	if c.r.Buffered() == 0 {
		_ = c.SetReadDeadline(time.Now().Add(wait))
	}
	for range 4 { // some end a body with a line that belongs to nothing
		b, err := c.r.Peek(1)
		if err != nil {
			return false
		}
		if b[0] != '\r' && b[0] != '\n' {
			break
		}
		_, _ = c.r.Discard(1)
	}
	c.set(isBusy)
	return true
}

// request reads the head of a request. code is for who sent none.
func (c *clientConn) request(body, answer time.Duration) (r *http.Request, code int) {
	now := time.Now()
	_ = c.SetReadDeadline(now.Add(headerTimeout))
	c.left = maxRequestHead
	r, err := http.ReadRequest(c.r)
	c.left = -1
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, 0
	}
	_ = c.SetWriteDeadline(now.Add(answer))
	switch {
	case errors.Is(err, errHead):
		return nil, http.StatusRequestHeaderFieldsTooLarge
	case err != nil || r.Host == "" && r.ProtoAtLeast(1, 1) || !validHeaders(r.Header):
		return nil, http.StatusBadRequest
	case r.ProtoMajor != 1:
		return nil, http.StatusHTTPVersionNotSupported
	}
	b := &requestBody{ReadCloser: r.Body, c: c, ended: r.Body == http.NoBody}
	switch expects := r.Header.Get("Expect"); {
	case expects == "" || b.ended:
	case !strings.EqualFold(expects, "100-continue"):
		return nil, http.StatusExpectationFailed
	default:
		b.waits = r.ProtoAtLeast(1, 1)
	}
	r.Body = b
	if !b.ended {
		_ = c.SetReadDeadline(now.Add(body))
	}
	return r, 0
}

// validHeaders tells whether names and values are what RFC 9110 lets them be, as net/http's server does.
func validHeaders(h http.Header) bool {
	for name, values := range h {
		if !httpguts.ValidHeaderFieldName(name) || slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
			return false
		}
	}
	return true
}

// requestBody knows whether it was read to its end.
type requestBody struct {
	io.ReadCloser
	c            *clientConn
	waits, ended bool // the client waits until we want it
}

// Read reads on.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.waits {
		b.waits = false
		if _, err := io.WriteString(b.c, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.ended = true
	}
	return n, err
}

// drain reads what is left, and tells whether the connection can go on.
func (b *requestBody) drain() bool {
	if !b.ended && !b.waits {
		_, _ = io.CopyN(io.Discard, b, maxDrain)
		_, _ = b.Read(make([]byte, 1)) // the end of exactly so much
	}
	return b.ended
}

// watch calls gone if the client goes away before stop is called. It begins to look after lookTime: most answers are there by then.
func (c *clientConn) watch(gone func()) (stop func()) {
	var mu sync.Mutex
	var stopped bool
	done := make(chan struct{})
	timer := time.AfterFunc(lookTime, func() {
		defer close(done)
		mu.Lock()
		if !stopped {
			_ = c.SetReadDeadline(time.Time{})
		}
		mu.Unlock()
		// A request that is sent ahead stays where it is.
		if _, err := c.r.Peek(1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			gone()
		}
	})
	return func() {
		if timer.Stop() {
			return
		}
		mu.Lock()
		stopped = true
		_ = c.SetReadDeadline(time.Unix(1, 0))
		mu.Unlock()
		<-done
	}
}

// linger waits until a client that was refused in the middle of its request has read why.
func (c *clientConn) linger() {
	_ = c.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, c.r, maxDrain)
}
