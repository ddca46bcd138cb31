//go:build !linux

package proxy

import (
	"errors"
	"net"
	"os"
	"time"
)

// swift does nothing here.
func swift(c net.Conn) net.Conn { return c }

// quietSocket tells whether a socket is open and there is nothing to read.
func quietSocket(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.Read(make([]byte, 1))
	_ = c.SetReadDeadline(time.Time{})
	return errors.Is(err, os.ErrDeadlineExceeded)
}
