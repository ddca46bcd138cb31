package proxy

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// swiftConn reads and writes a socket without telling Go's scheduler. A socket
// of net does not block, so there is nothing to tell; but the first system call
// after a pause wakes the runtime's monitor thread, which then looks around
// every few microseconds until all is quiet again. In a proxy of small answers
// nearly each request follows a pause, and that thread costs a third of all.
type swiftConn struct {
	net.Conn
	raw         syscall.RawConn
	read, write swiftCall
}

// swiftCall is a system call that may have to wait for the socket.
type swiftCall struct {
	number uintptr
	b      []byte
	n      int
	errno  syscall.Errno
	try    func(uintptr) bool
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
	made := &swiftConn{Conn: c, raw: raw, read: swiftCall{number: syscall.SYS_READ}, write: swiftCall{number: syscall.SYS_WRITE}}
	made.read.try, made.write.try = made.read.once, made.write.once
	return made
}

// once calls the system; false if it is to be called again when the socket is ready.
func (c *swiftCall) once(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(c.number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(c.b))), uintptr(len(c.b))) //nolint:gosec // c holds b until it is done
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		}
		if c.n, c.errno = int(n), errno; errno != 0 {
			c.n = 0
		}
		return true
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
	case c.read.errno != 0:
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", c.read.errno)}
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
		if c.write.errno != 0 {
			return written, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", c.write.errno)}
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
	err := s.raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b)), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0) //nolint:gosec // it is done with b when it returns
		quiet = errno == syscall.EAGAIN
	})
	return err == nil && quiet
}
