package relay

import (
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/proctest"
)

// TestReloadRefusesNobody: a tunnel that changes, or moves, is there all the time; also if the reload fails, or goes no
// further than Inherit.
func TestReloadRefusesNobody(t *testing.T) {
	l := newLab(t)
	gw := start(t, nil, []Tunnel{l.gateway(echo(t))})
	free := func() string {
		p := plain(t)
		defer p.Close()
		return p.Addr().String()
	}
	port, path := free(), "unix:"+filepath.Join(t.TempDir(), "gu.sock")
	for _, tt := range []struct{ name, before, after string }{
		{"changes, TCP", port, port},
		{"changes, UNIX", path, path},
		{"moves", free(), free()},
		{"moves to UNIX", free(), path},
		{"the same, other text", port, strings.Replace(port, "127.0.0.1", "localhost", 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			build := func(listen string, most int, more ...Tunnel) *Relay {
				g := l.tunnel("gu", "g", gw.Addr("gw"))
				g.Listen, g.MaxConnections = listen, most
				c := Default()
				c.Drain, c.Guardians = conf.Duration(1e8), append([]Tunnel{g}, more...)
				r, err := New(c, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			carries := func(listen, when string) {
				t.Helper()
				network, address := "tcp", listen
				if p, ok := strings.CutPrefix(listen, "unix:"); ok {
					network, address = "unix", p
				}
				c, err := net.Dial(network, address)
				if err != nil {
					t.Errorf("%s: %v", when, err)
					return
				}
				defer c.Close()
				if got, err := ask(c, "hello"); got != "hello" {
					t.Errorf("%s: %q, %v", when, got, err)
				}
			}
			old := build(tt.before, 5)
			if err := old.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			end := proctest.Run(t, old.Run)
			carries(tt.before, "at first")
			broken := build(tt.before, 6, l.tunnel("gu2", "no such certificate", "localhost:1"))
			broken.Inherit(old)
			end()
			carries(tt.before, "before a reload that fails")
			if err := broken.Open(t.Context()); err == nil {
				t.Fatal("opened without a certificate")
			}
			carries(tt.before, "after a reload that failed")
			if err := old.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			end = proctest.Run(t, old.Run)
			carries(tt.before, "once more")
			build(tt.after, 6).Inherit(old) // and no more: another part of the program has failed
			end()
			if err := old.Open(t.Context()); err != nil {
				t.Fatalf("after an heir that was never opened: %v", err)
			}
			end = proctest.Run(t, old.Run)
			carries(tt.before, "after two reloads that failed")

			next := build(tt.after, 7)
			next.Inherit(old)
			end()
			carries(tt.before, "until the new one is open")
			if err := next.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			soon := make(chan struct{})
			go func() { // waits in the backlog
				defer close(soon)
				carries(tt.after, "from Open on")
			}()
			end = proctest.Run(t, next.Run)
			<-soon
			carries(tt.after, "after the reload")
			if n := next.Status()[0].Max; n != 7 {
				t.Errorf("the limit is %d", n)
			}
			end()
		})
	}
}

// TestLateRun: who comes to run only when an heir has taken its tunnels starts nothing in their place.
func TestLateRun(t *testing.T) {
	l := newLab(t)
	gw := start(t, nil, []Tunnel{l.gateway(echo(t))})
	build := func(before *Relay) *Relay {
		c := Default()
		c.Guardians = []Tunnel{l.tunnel("gu", "g", gw.Addr("gw"))}
		r, err := New(c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if before != nil {
			r.Inherit(before)
		}
		if err := r.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := build(nil)
	end := proctest.Run(t, first.Run)
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		first.mu.Lock()
		defer first.mu.Unlock()
		return first.tunnels[0].running, "the first does not run"
	})
	second := build(first)
	third := build(second)
	end()
	proctest.Run(t, second.Run)()
	proctest.Run(t, third.Run)
	c := dial(t, third.Addr("gu"))
	if got, err := ask(c, "hello"); got != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}
