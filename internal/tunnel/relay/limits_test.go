package relay

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/proctest"
)

// TestTotalTimeEndsBusyConnections: it ends one that is never idle.
func TestTotalTimeEndsBusyConnections(t *testing.T) {
	l := newLab(t)
	g := l.gateway(echo(t))
	g.TotalTimeout, g.IdleTimeout = conf.Duration(300*time.Millisecond), conf.Duration(time.Hour)
	gw := start(t, nil, []Tunnel{g})
	gu := start(t, []Tunnel{l.tunnel("gu", "g", gw.Addr("gw"))}, nil)
	c := dial(t, gu.Addr("gu"))
	times := 0
	for ; ; times++ {
		if _, err := ask(c, "hello"); err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				t.Error("a busy connection goes on for ever")
			}
			break
		}
	}
	if times == 0 {
		t.Error("it was cut before it had begun")
	}
	refused(t, gw, "gw", "total")
}

func TestTunnelsLimit(t *testing.T) {
	l := newLab(t)
	g := l.gateway(echo(t))
	g.MaxConnections = 1
	gw := start(t, nil, []Tunnel{g})
	gu := start(t, []Tunnel{l.tunnel("gu", "g", gw.Addr("gw"))}, nil)
	first := dial(t, gu.Addr("gu"))
	if got, err := ask(first, "hello"); got != "hello" {
		t.Fatal(got, err)
	}
	if _, err := once(t, gu.Addr("gu")); err == nil {
		t.Error("a tunnel has more than its limit")
	}
	refused(t, gw, "gw", "limit")
	refused(t, gu, "gu", "limit") // the gateway says why
	_ = first.Close()
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		got, err := ask(dial(t, gu.Addr("gu")), "hello")
		return got == "hello", errors.Join(err, errors.New("its place is not free again")).Error()
	})
}

// deaf is an address where connections do not come about: a socket whose queue is full.
func deaf(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}
	for range 10 {
		c, err := (&net.Dialer{Timeout: 200 * time.Millisecond}).DialContext(t.Context(), "tcp", addr.String())
		if err != nil {
			return addr.String()
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	proctest.Without(t, "a queue of connections that fills")
	return ""
}

// TestConnectTimeEnds: a gateway that does not answer costs the connect time, and the next target is tried.
func TestConnectTimeEnds(t *testing.T) {
	l := newLab(t)
	gw := start(t, nil, []Tunnel{l.gateway(echo(t))})
	u := l.tunnel("gu", "g", deaf(t))
	u.ConnectTimeout = conf.Duration(300 * time.Millisecond)
	u.Targets = append(u.Targets, gw.Addr("gw"))
	gu := start(t, []Tunnel{u}, nil)
	if got, err := ask(dial(t, gu.Addr("gu")), "hello"); got != "hello" {
		t.Errorf("fail-over: %q, %v", got, err)
	}
	refused(t, gu, "gu", "connect_timeout")
}

// TestDrain: who is connected goes on for the drain time, nobody new comes in, and then it is over.
func TestDrain(t *testing.T) {
	l := newLab(t)
	gw := start(t, nil, []Tunnel{l.gateway(echo(t))})
	cfg := Default()
	cfg.Drain, cfg.Guardians = conf.Duration(2*time.Second), []Tunnel{l.tunnel("gu", "g", gw.Addr("gw"))}
	r, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	end := proctest.Run(t, r.Run)
	addr := r.Addr("gu")
	short, long := dial(t, addr), dial(t, addr)
	for _, c := range []net.Conn{short, long} {
		if got, err := ask(c, "hello"); got != "hello" {
			t.Fatal(got, err)
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		end()
	}()
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { return r.Status()[0].Status == "inactive", "still active" })
	if got, err := ask(short, "once more"); got != "once more" {
		t.Errorf("while draining: %q, %v", got, err)
	}
	_ = short.Close()
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return true, ""
		}
		_ = c.Close()
		return false, "somebody new comes in"
	})
	if n, err := long.Read(make([]byte, 1)); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("after the drain time: %d bytes, %v", n, err)
	}
	<-ended
	refused(t, r, "gu", "drain")
}

// TestCutBeforeItIsCarried: a connection has its place while its target is dialled, and may be cut in that time.
func TestCutBeforeItIsCarried(t *testing.T) {
	l := newLab(t)
	held := plain(t)
	defer held.Close()
	gw := start(t, nil, []Tunnel{l.gateway(held.Addr().String())})
	c := &conn{}
	if why := gw.tunnels[0].take(c, Rule{}); why != "" {
		t.Fatal(why)
	}
	gw.tunnels[0].closeAll("drain")
	refused(t, gw, "gw", "drain")
	if err := c.join(nil, nil); err == nil {
		t.Error("carried after it was cut")
	}
	gw.tunnels[0].leave(c)
}
