package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/orielhq/oriel/internal/tunnel/socket"
)

// swiftConn reads and writes a socket without telling Go's scheduler: in a proxy
// of small answers nearly each request follows a pause, and the monitor thread
// that it would wake costs a third of all.
type swiftConn struct {
	net.Conn
	raw         syscall.RawConn
	read, write swiftCall
}

// swiftCall is a system call that may have to wait for the socket.
type swiftCall struct {
	call func(fd uintptr, b []byte) (int, error)
	b    []byte
	n    int
	err  error
	try  func(uintptr) bool
}

// swift makes a connection swift, if it is one that can be.
func swift(c net.Conn) net.Conn {
	s, ok := c.(syscall.Conn)
	if !ok {
		return c
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return c
	}
	made := &swiftConn{Conn: c, raw: raw, read: swiftCall{call: socket.Read}, write: swiftCall{call: socket.Write}}
	made.read.try, made.write.try = made.read.once, made.write.once
	return made
}

// once calls the system; false if it is to be called again when the socket is ready.
func (c *swiftCall) once(fd uintptr) bool {
	for {
		c.n, c.err = c.call(fd, c.b)
		if !errors.Is(c.err, syscall.EINTR) {
			return !errors.Is(c.err, syscall.EAGAIN)
		}
	}
}

// Read reads what there is, or waits.
func (c *swiftConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.read.b = p
	err := c.raw.Read(c.read.try)
	c.read.b = nil
	switch {
	case err != nil:
		return 0, err
	case c.read.err != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", c.read.err)}
	case c.read.n == 0:
		return 0, io.EOF
	}
	return c.read.n, nil
}

// Write writes all of p, or what it can.
func (c *swiftConn) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		c.write.b = p[written:]
		err := c.raw.Write(c.write.try)
		c.write.b = nil
		if err != nil {
			return written, err
		}
		if c.write.err != nil {
			return written, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", c.write.err)}
		}
		written += c.write.n
	}
	return written, nil
}

// quietSocket tells whether a socket is open and there is nothing to read.
func quietSocket(c net.Conn) bool {
	s, ok := c.(*swiftConn)
	if !ok {
		return false
	}
	quiet := false
	err := s.raw.Control(func(fd uintptr) { quiet = socket.Quiet(fd) })
	return err == nil && quiet
}
