package socket

import (
	"syscall"
	"unsafe"
)

// Read and Write are read(2) and write(2) of a socket that does not block, as
// Go's do not; errors are a syscall.Errno. Go's own calls would tell the
// scheduler that they may take long: copying 128 KiB takes long enough for it to
// give the thread's work to another one, and the first call after a pause wakes
// its monitor thread, which then looks around every few microseconds until all
// is quiet again.
func Read(fd uintptr, b []byte) (int, error) {
	return call(syscall.SYS_READ, fd, b)
}

// Write is documented at Read.
func Write(fd uintptr, b []byte) (int, error) {
	return call(syscall.SYS_WRITE, fd, b)
}

func call(number, fd uintptr, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, _, errno := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // as syscall.Read does it
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// Quiet tells whether a socket is open and there is nothing to read.
func Quiet(fd uintptr) bool {
	var b [1]byte
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b)), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0) //nolint:gosec // it is done with b when it returns
	return errno == syscall.EAGAIN
}
