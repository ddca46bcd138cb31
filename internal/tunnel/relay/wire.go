package relay

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/orielhq/oriel/internal/tunnel/socket"
)

var (
	// errLater ends a read that would have to wait. crypto/tls goes on after a temporary error.
	errLater error = later{}
	// errTruncated is the end of a connection without the word of TLS that it was meant.
	errTruncated = errors.New("closed without notice")
)

type later struct{}

func (later) Error() string   { return "no whole record is here yet" }
func (later) Timeout() bool   { return true }
func (later) Temporary() bool { return true }

// calm is how many short reads in a row end bulk: in its midst some are short.
const calm = 16

// reader reads into a block that it borrows when there is something to read.
type reader struct {
	net.Conn
	rc    syscall.RawConn // nil: not a socket of the system
	plain bool            // not TLS
	b     []byte          // nil when empty
	r, n  int             // what is unread of b
	busy  int             // more than a small block takes has come, and so many reads may bring less before one is taken again
	err   error           // of the last read
	ready func(fd uintptr) bool
}

func (s *reader) init(c net.Conn, plain bool) {
	s.Conn, s.plain = c, plain
	if sc, ok := c.(syscall.Conn); ok {
		s.rc, _ = sc.SyscallConn() // nil after an error
	}
	s.ready = s.try
}

// try reads once. It returns false if there is nothing to read yet.
func (s *reader) try(fd uintptr) bool {
	s.borrow()
	for {
		room := len(s.b) - s.n
		n, err := socket.Read(fd, s.b[s.n:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			if s.n == 0 {
				s.release()
			}
			return false
		case err != nil:
			s.err = &net.OpError{Op: "read", Net: "tcp", Err: err}
		case n == 0:
			s.err = io.EOF
		default:
			s.n += n
			if n == room || s.n > smallSize {
				s.busy = calm
			} else if s.busy > 0 {
				s.busy--
			}
		}
		return true
	}
}

// fill waits for something to read and reads it, behind what is unread.
func (s *reader) fill() error {
	if s.b != nil {
		from := s.b
		if s.busy > 0 && cap(from) < blockSize {
			s.b = nil
			s.borrow()
			defer giveBack(from)
		}
		s.n, s.r = copy(s.b, from[s.r:s.n]), 0
	}
	if s.rc == nil {
		s.borrow()
		n, err := s.Read(s.b[s.n:])
		s.n += n
		return err
	}
	s.err = nil
	if err := s.rc.Read(s.ready); err != nil {
		return err
	}
	return s.err
}

func (s *reader) borrow() {
	if s.b != nil {
		return
	}
	if s.b = borrow(s.busy > 0); s.plain {
		s.b = plainOf(s.b)
	}
}

func (s *reader) release() {
	giveBack(s.b)
	s.b, s.r, s.n = nil, 0, 0
}

// writer writes to a socket of the system. A writer is one goroutine's at a time.
type writer struct {
	net.Conn
	rc    syscall.RawConn // nil: not a socket of the system
	left  []byte          // to be written
	err   error
	ready func(fd uintptr) bool
}

func (s *writer) init(c net.Conn) {
	s.Conn = c
	if sc, ok := c.(syscall.Conn); ok {
		s.rc, _ = sc.SyscallConn() // nil after an error
	}
	s.ready = s.try
}

// try writes what it can. It returns false if there is no room for the rest yet.
func (s *writer) try(fd uintptr) bool {
	for len(s.left) > 0 {
		n, err := socket.Write(fd, s.left)
		s.left = s.left[n:]
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return false
		case err != nil:
			s.err = &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", err)}
			return true
		}
	}
	return true
}

// Write writes all of b.
func (s *writer) Write(b []byte) (int, error) {
	if s.rc == nil {
		return s.Conn.Write(b)
	}
	s.left, s.err = b, nil
	err := s.rc.Write(s.ready)
	if err == nil {
		err = s.err
	}
	n := len(b) - len(s.left)
	s.left = nil
	return n, err
}

// wire is the socket under TLS. It hands over one record at a time, so that it
// knows whether another whole one is here; and it gathers records that are
// written, to send them together.
type wire struct {
	reader
	left int  // bytes of the record begun that are not handed over
	hold bool // do not wait: errLater if no whole record is here

	early bool // one goroutine reads and writes: what is gathered is sent before a read that waits

	mu     sync.Mutex // guards what follows: TLS may answer while reading
	to     writer
	gather bool
	much   bool   // will be gathered
	out    []byte // nil when nothing is gathered
	filled int
}

func newWire(c net.Conn) *wire {
	w := &wire{}
	w.init(c, false)
	w.to.init(c)
	return w
}

// Read hands over what is here of one record.
func (w *wire) Read(p []byte) (int, error) {
	for {
		here := w.n - w.r
		if w.left == 0 && here >= headerSize {
			w.left = here // what is no record is for TLS to complain about
			h := w.b[w.r:]
			if size := int(binary.BigEndian.Uint16(h[3:])); h[0] >= 20 && h[0] <= 23 && size <= maxRecord {
				if w.left = headerSize + size; w.hold && here < w.left {
					w.left = 0
					return 0, errLater
				}
			}
		}
		if w.left > 0 && here > 0 {
			n := copy(p, w.b[w.r:w.r+min(here, w.left)])
			w.r, w.left = w.r+n, w.left-n
			if w.r == w.n {
				w.release()
			}
			return n, nil
		}
		if w.hold {
			return 0, errLater
		}
		if w.early { // the other end may wait for it
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
		switch err := w.fill(); {
		case errors.Is(err, io.EOF):
			w.release()
			return 0, errTruncated
		case err != nil:
			return 0, err
		}
	}
}

// Write sends, or gathers what is to be sent.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gather {
		if w.out == nil {
			w.out = borrow(w.much)
		}
		if len(p) <= len(w.out)-w.filled {
			w.filled += copy(w.out[w.filled:], p)
			return len(p), nil
		}
	}
	if err := w.flushLocked(); err != nil {
		return 0, err
	}
	return w.to.Write(p)
}

func (w *wire) flushLocked() error {
	if w.out == nil {
		return nil
	}
	var err error
	if w.filled > 0 {
		_, err = w.to.Write(w.out[:w.filled])
	}
	giveBack(w.out)
	w.out, w.filled = nil, 0
	return err
}

// flush sends what has been gathered.
func (w *wire) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flushLocked()
}

// collect gathers what is written from now on, until scatter.
func (w *wire) collect(much bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gather, w.much = true, much
}

// scatter sends what has been gathered, and from now on everything at once.
func (w *wire) scatter() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gather = false
	return w.flushLocked()
}
