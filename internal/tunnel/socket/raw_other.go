//go:build !linux

package socket

import (
	"errors"
	"syscall"
)

// Read and Write are read(2) and write(2) of a socket that does not block; errors are a syscall.Errno.
func Read(fd uintptr, b []byte) (int, error) { return syscall.Read(int(fd), b) }

// Write is documented at Read.
func Write(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }

// Quiet tells whether a socket is open and there is nothing to read.
func Quiet(fd uintptr) bool {
	_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
	return errors.Is(err, syscall.EAGAIN)
}
