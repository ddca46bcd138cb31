// Package socket listens where a configuration says: on TCP, on a UNIX socket,
// or on a socket that systemd holds.
package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Listen listens on host:port, unix:PATH or systemd:NAME. A UNIX socket is the
// user's alone. A listener of systemd may be closed and asked for again, as a
// reload does: systemd's own descriptor stays.
func Listen(ctx context.Context, where string) (net.Listener, error) {
	if name, ok := strings.CutPrefix(where, "systemd:"); ok {
		return inherited(name)
	}
	path, ok := strings.CutPrefix(where, "unix:")
	if !ok {
		return (&net.ListenConfig{}).Listen(ctx, "tcp", where)
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Take returns a second listener on the socket of l, which may then be closed.
func Take(l net.Listener) (net.Listener, error) {
	holder, ok := l.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, fmt.Errorf("%T has no file", l)
	}
	f, err := holder.File()
	if err != nil {
		return nil, err
	}
	second, err := net.FileListener(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	keepsPath(l, second)
	return second, nil
}

// Return undoes Take, before second is closed.
func Return(first, second net.Listener) { keepsPath(second, first) }

// keepsPath moves the path of a UNIX socket from one listener to another: it goes with the last that listens on it.
func keepsPath(from, to net.Listener) {
	if u, ok := from.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	if u, ok := to.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(true)
	}
}

// removeStale removes a socket that nobody answers on: one of a process that was killed.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil //nolint:nilerr // Listen will say what is wrong
	}
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("%s is in use: %w", path, syscall.EADDRINUSE)
	}
	return os.Remove(path)
}

// firstFD is where systemd's descriptors begin (sd_listen_fds(3)).
const firstFD = 3

// inherited finds a socket by its FileDescriptorName= and listens on a copy of it.
func inherited(name string) (net.Listener, error) {
	pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID"))
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if pid == os.Getpid() {
		for i, given := range strings.Split(os.Getenv("LISTEN_FDNAMES"), ":") {
			if i >= n || given != name {
				continue
			}
			fd, err := unix.FcntlInt(uintptr(firstFD+i), unix.F_DUPFD_CLOEXEC, firstFD)
			if err != nil {
				return nil, fmt.Errorf("socket %q of systemd: %w", name, err)
			}
			f := os.NewFile(uintptr(fd), name)
			l, err := net.FileListener(f)
			return l, errors.Join(err, f.Close())
		}
	}
	return nil, fmt.Errorf("systemd gave no socket %q", name)
}
