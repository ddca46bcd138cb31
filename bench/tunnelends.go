package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Both ends of a tunnel share the cores with it, the same ones for each make:
// the less they take, the less of the ratio is theirs. So each is one loop
// around epoll, without goroutines, timers and memory for every connection.
// (Sending pages of a file with sendfile takes the sender no less, and costs
// the tunnel that reads them more than what a program has written.)

const (
	sinkRoom  = 4 << 20   // bytes thrown away at once
	sinkWakes = 256 << 10 // bytes that wake the sink, once much comes
)

// sink answers the first byte of a connection with itself, swallows the rest,
// and answers its end with another byte, until the listener is closed.
func sink(l *net.TCPListener) error {
	f, err := l.File()
	if err != nil {
		return err
	}
	r, err := newReady()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	listener := int(f.Fd())
	if err := errors.Join(unix.SetNonblock(listener, true), r.add(listener)); err != nil {
		return errors.Join(err, f.Close(), r.Close())
	}
	go func() {
		defer func() { _, _ = f.Close(), r.Close() }()
		s := &sinks{ready: r, heard: map[int]int{}, room: make([]byte, sinkRoom)}
		for {
			err := r.each(func(fd int) {
				if fd == listener {
					s.accept(fd)
				} else {
					s.read(fd)
				}
			})
			if err != nil {
				return
			}
		}
	}()
	return nil
}

type sinks struct {
	ready *ready
	heard map[int]int // bytes, by descriptor
	room  []byte      // nothing is written to it but the first byte
}

func (s *sinks) accept(listener int) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		if s.ready.add(fd) != nil {
			_ = unix.Close(fd)
			continue
		}
		s.heard[fd] = 0
	}
}

// read has the kernel throw away what is there.
func (s *sinks) read(fd int) {
	if s.heard[fd] == 0 {
		if n, err := unix.Read(fd, s.room[:1]); n == 1 && err == nil {
			_, _ = unix.Write(fd, s.room[:1])
			s.heard[fd] = 1
			return
		}
	}
	n, _, err := unix.Recvfrom(fd, s.room, unix.MSG_TRUNC)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
	case n > 0:
		if s.heard[fd] < sinkWakes && s.heard[fd]+n >= sinkWakes {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, sinkWakes)
		}
		s.heard[fd] += n
	default:
		_, _ = unix.Write(fd, s.room[:1]) // who is gone does not mind
		_ = unix.Close(fd)
		delete(s.heard, fd)
	}
}

// callMany connects times times, parallel at once, and each time sees one byte go through and come back.
func callMany(addr string, times, parallel int) error {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	r, err := newReady()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	one := make([]byte, 1)
	begun, ended, failed := 0, 0, 0
	begin := func() error {
		if begun++; begun > times {
			return nil
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		// On one machine the kernel connects without waiting.
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
			return errors.Join(os.NewSyscallError("connect", err), unix.Close(fd))
		}
		if _, err := unix.Write(fd, one); err != nil {
			return errors.Join(os.NewSyscallError("write", err), unix.Close(fd))
		}
		return r.add(fd)
	}
	for range parallel {
		err = errors.Join(err, begin())
	}
	for err == nil && ended < times {
		_ = r.SetDeadline(time.Now().Add(10 * time.Second))
		werr := r.each(func(fd int) {
			if n, rerr := unix.Read(fd, one); n != 1 || rerr != nil {
				failed++
			}
			ended++
			err = errors.Join(err, unix.Close(fd), begin())
		})
		err = errors.Join(err, werr)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d connections failed", failed, times)
	}
	return err
}

// ready is an epoll whose waiting Go's own poller does: a thread that waits in the kernel keeps the scheduler busy.
type ready struct {
	*os.File
	rc syscall.RawConn
}

func newReady() (*ready, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(ep, true); err != nil { // so that os.NewFile takes it for the poller
		return nil, errors.Join(err, unix.Close(ep))
	}
	r := &ready{File: os.NewFile(uintptr(ep), "epoll")}
	if r.rc, err = r.SyscallConn(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *ready) add(fd int) (err error) {
	cerr := r.rc.Control(func(ep uintptr) {
		err = unix.EpollCtl(int(ep), unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}) //nolint:gosec // descriptors
	})
	return errors.Join(cerr, os.NewSyscallError("epoll_ctl", err))
}

// each waits, and does what is to be done with each descriptor that is ready.
func (r *ready) each(do func(fd int)) error {
	var events [64]unix.EpollEvent
	n, err := 0, error(nil)
	rerr := r.rc.Read(func(ep uintptr) bool {
		n, err = unix.EpollWait(int(ep), events[:], 0)
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
	for _, e := range events[:max(n, 0)] {
		do(int(e.Fd))
	}
	return errors.Join(rerr, os.NewSyscallError("epoll_wait", err))
}
