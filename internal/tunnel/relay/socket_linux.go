package relay

import (
	"syscall"
	"unsafe"
)

// readSocket and writeSocket are read(2) and write(2) of a socket that does not
// block. Go's own would tell the scheduler that they may take long: copying
// 128 KiB takes long enough for it to give the thread's work to another one,
// and that costs more than the copying.
func readSocket(fd uintptr, b []byte) (int, error) {
	return call(syscall.SYS_READ, fd, b)
}

func writeSocket(fd uintptr, b []byte) (int, error) {
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
