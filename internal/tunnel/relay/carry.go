package relay

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// carry copies one direction until it ends, then half-closes the other side.
func (t *tunnel) carry(c *conn, direction int) {
	src, dst := c.sides[direction], c.sides[1-direction]
	var err error
	if from, ok := src.(*tls.Conn); ok {
		err = t.decrypt(c, direction, dst, from)
	} else {
		err = t.encrypt(c, direction, dst, src)
	}
	waiting := err != nil && !t.gateway && !c.up.Load() // for the first byte from a foreign gateway
	_, unsent := errors.AsType[*sendError](err)
	w, ok := dst.(interface{ CloseWrite() error })
	switch {
	case ok && err == nil:
		_ = w.CloseWrite()
		for _, s := range c.sides {
			_ = s.SetDeadline(time.Now().Add(t.cfg.CloseTimeout.Std()))
		}
	case waiting && direction == 0 && unsent: // it has closed: the other direction reads why
		_ = dst.SetReadDeadline(time.Now().Add(time.Second))
	default:
		if waiting && direction == 0 {
			c.gone.Store(true)
		}
		if waiting && direction == 1 && !c.gone.Load() {
			// The first thing heard is a refusal: the check of our certificate came after our handshake.
			c.cut(t, reason("handshake", err), err)
		}
		c.abort()
	}
	if c.left.Add(-1) == 0 {
		t.leave(c)
		for _, s := range c.sides {
			_ = s.Close()
		}
		t.conns.Done()
	}
}

// abort ends a connection that one side ended in disorder. The other one must see that what it has is not whole: TLS by
// the missing last word, a plain socket by a reset. A foreign end may forget the last word in good faith: then it is the end.
func (c *conn) abort() {
	for _, s := range c.sides {
		if l, ok := s.(*net.TCPConn); ok && c.state.NegotiatedProtocol == alpn {
			_ = l.SetLinger(0)
		}
		_ = raw(s).Close()
	}
}

// carried counts what has arrived.
func (t *tunnel) carried(c *conn, direction, n int) {
	c.active.Store(time.Now().UnixNano())
	t.bytes[direction].Add(int64(n))
	if direction == 1 && !c.up.Swap(true) {
		t.total.Add(1)
	}
}

// encrypt copies from a plain socket until it has ended in good order.
func (t *tunnel) encrypt(c *conn, direction int, dst, src net.Conn) error {
	var in reader
	in.init(src, true)
	defer in.release()
	write := func() error {
		_, err := dst.Write(in.b[:in.n])
		return err
	}
	for {
		if err := in.fill(); err != nil {
			if errors.Is(err, io.EOF) && (direction == 0 || c.up.Load()) {
				return nil
			}
			return err
		}
		t.carried(c, direction, in.n)
		var err error
		if w, ok := under(dst); ok && in.n > recordSize {
			w.collect(true)
			err = errors.Join(write(), w.scatter())
		} else {
			err = write()
		}
		if err != nil {
			return &sendError{err}
		}
		in.release()
	}
}

// sendError is of a connection that the far side does not take bytes of any more.
type sendError struct{ error }

func (e *sendError) Unwrap() error { return e.error }

// decrypt copies from TLS until it has ended in good order. It waits with a few
// bytes' room, then takes all whole records that are here.
func (t *tunnel) decrypt(c *conn, direction int, dst net.Conn, src *tls.Conn) error {
	w, _ := under(src)
	defer w.release()
	var out writer
	out.init(dst)
	var first [64]byte
	for {
		n, err := src.Read(first[:])
		if n > 0 {
			b := plainOf(borrow(w.n > w.r)) // much, if more than one record is here
			n = copy(b, first[:n])
			w.hold = true
			for err == nil && n < len(b) {
				var more int
				more, err = src.Read(b[n:])
				n += more
			}
			w.hold = false
			t.carried(c, direction, n)
			_, werr := out.Write(b[:n])
			giveBack(b)
			if werr != nil {
				return werr
			}
		}
		switch {
		case err == nil, errors.Is(err, errLater):
		case errors.Is(err, io.EOF) && (direction == 0 || c.up.Load()):
			return nil
		case errors.Is(err, errTruncated) && c.state.NegotiatedProtocol != alpn && (direction == 0 || c.up.Load()):
			return nil // many programs end TLS without a word
		case errors.Is(err, errTruncated):
			return io.EOF
		default:
			return err
		}
	}
}

// under returns the wire of a TLS connection of ours.
func under(c net.Conn) (*wire, bool) {
	t, ok := c.(*tls.Conn)
	if !ok {
		return nil, false
	}
	w, ok := t.NetConn().(*wire)
	return w, ok
}
