package relay

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/proctest"
)

// TestReloadTouchesOnlyWhatChanged: an unchanged tunnel keeps its listener and
// connections; a changed one listens anew at once, and its old connections drain.
func TestReloadTouchesOnlyWhatChanged(t *testing.T) {
	l := newLab(t)
	back := echo(t)
	gw := start(t, nil, []Tunnel{l.gateway(back)})
	config := func() Config {
		c := Default()
		c.Drain = conf.Duration(20 * time.Second)
		same, changing, going := l.tunnel("same", "g", gw.Addr("gw")), l.tunnel("changing", "g", gw.Addr("gw")), l.tunnel("going", "g", gw.Addr("gw"))
		c.Guardians = []Tunnel{same, changing, going}
		return c
	}
	build := func(c Config) *Relay {
		r, err := New(c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := build(config())
	if err := first.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopFirst := proctest.Run(t, first.Run)
	conns := map[string]net.Conn{}
	addrs := map[string]string{}
	for _, name := range []string{"same", "changing", "going"} {
		addrs[name] = first.Addr(name)
		conns[name] = dial(t, addrs[name])
		if got, err := ask(conns[name], "hello"); got != "hello" {
			t.Fatal(name, got, err)
		}
	}
	next := config()
	next.Guardians = next.Guardians[:2]
	next.Guardians[1].MaxConnections, next.Guardians[1].Listen = 7, addrs["changing"]
	second := build(next)
	second.Inherit(first)
	began := time.Now()
	stopFirst()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the old configuration took %s to let go", took)
	}
	if err := second.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopSecond := proctest.Run(t, second.Run)
	if a := second.Addr("same"); a != addrs["same"] {
		t.Errorf("an unchanged tunnel moved from %s to %s", addrs["same"], a)
	}
	for name, c := range conns {
		if got, err := ask(c, "again"); got != "again" {
			t.Errorf("a connection of %q did not outlive the reload: %q, %v", name, got, err)
		}
	}
	askNew := func(addr string) (string, error) {
		c := dial(t, addr)
		defer c.Close()
		return ask(c, "hello")
	}
	if got, err := askNew(addrs["changing"]); got != "hello" {
		t.Errorf("the changed tunnel: %q, %v", got, err)
	}
	if c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(t.Context(), "tcp", addrs["going"]); err == nil {
		if _, err := ask(c, "hello"); err == nil {
			t.Error("a tunnel that is gone carries")
		}
	}
	// A configuration that cannot open gives everything back.
	broken := config()
	broken.Guardians = append(broken.Guardians[:1], broken.Guardians[1])
	broken.Guardians[1].Listen = "127.0.0.1:1000000"
	third := build(broken)
	third.Inherit(second)
	stopSecond()
	if err := third.Open(t.Context()); err == nil {
		t.Fatal("opened")
	}
	if err := second.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	proctest.Run(t, second.Run)
	for _, name := range []string{"same", "changing"} {
		if got, err := askNew(addrs[name]); got != "hello" {
			t.Errorf("%s after a reload that failed: %q, %v", name, got, err)
		}
	}
	if got, err := ask(conns["same"], "still"); got != "still" {
		t.Errorf("a connection did not outlive a reload that failed: %q, %v", got, err)
	}
	for _, c := range conns {
		_ = c.Close()
	}
}

// TestBackEndDiesInMidStream: who reads sees that it is not whole, and the tunnel carries on.
func TestBackEndDiesInMidStream(t *testing.T) {
	l := newLab(t)
	back, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	go func() {
		for n := 0; ; n++ {
			c, err := back.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "part of it")
			_ = c.(*net.TCPConn).SetLinger(0) // a reset, as of a process that is killed
			_ = c.Close()
		}
	}()
	gw := start(t, nil, []Tunnel{l.gateway(back.Addr().String())})
	gu := start(t, []Tunnel{l.tunnel("gu", "g", gw.Addr("gw"))}, nil)
	for range 3 {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", gu.Addr("gu"))
		if errors.Is(err, syscall.ECONNRESET) {
			continue // the end came before the beginning was told
		} else if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c)
		_ = c.Close()
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			t.Errorf("hangs after %q", b)
		}
	}
	for _, r := range []*Relay{gw, gu} {
		proctest.Eventually(t, 10*time.Second, func() (bool, string) {
			s := r.Status()[0]
			return s.Connections == 0 && s.Pending == 0, fmt.Sprintf("%+v", s)
		})
	}
}

// TestFloodOfPendingConnections: hundreds that say nothing leave a known guardian its place again.
func TestFloodOfPendingConnections(t *testing.T) {
	l := newLab(t)
	g := l.gateway(echo(t))
	g.Handshake, g.MaxPending = conf.Duration(300*time.Millisecond), 20
	gw := start(t, nil, []Tunnel{g})
	for range 300 {
		c := dial(t, gw.Addr("gw"))
		_, _ = c.Write([]byte{22, 3, 1, 2, 0, 1}) // the head of a hello, and then nothing
	}
	refused(t, gw, "gw", "pending_limit")
	refused(t, gw, "gw", "handshake_timeout")
	gu := start(t, []Tunnel{l.tunnel("gu", "g", gw.Addr("gw"))}, nil)
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		got, err := ask(dial(t, gu.Addr("gu")), "hello")
		return got == "hello", fmt.Sprint(err)
	})
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		n := gw.tunnels[0].pending.Load()
		return n == 0, fmt.Sprint(n)
	})
}
