package proxy

import (
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/orielhq/oriel/internal/proctest"
)

// places are the ways to write where a proxy listens that a reload may change to each other.
func places(t *testing.T) map[string][2]string {
	t.Helper()
	free := func() string {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	a := free()
	dir := t.TempDir()
	return map[string][2]string{
		"another port":         {free(), free()},
		"from TCP to UNIX":     {free(), "unix:" + filepath.Join(dir, "new.sock")},
		"from UNIX to TCP":     {"unix:" + filepath.Join(dir, "old.sock"), free()},
		"the same, other text": {a, strings.Replace(a, "127.0.0.1", "localhost", 1)},
	}
}

func (p *Proxy) answers(t *testing.T, when string) {
	t.Helper()
	if answer, err := askOnce(p.listener.Addr(), "acme"); !strings.Contains(answer, " 200 ") {
		t.Errorf("%s: %q, %v", when, answer, err)
	}
}

// TestReloadMovesWithoutGap: when listen changes, the old place answers until the new one does, also if the new one cannot be had.
func TestReloadMovesWithoutGap(t *testing.T) {
	for name, place := range places(t) {
		t.Run(name, func(t *testing.T) {
			prom := newPrometheus(t, nil)
			make1 := func(where string) *Proxy {
				cfg := config(prom.URL)
				cfg.Listen, cfg.Drain, cfg.Companies = where, 5e9, []Company{{Name: "acme"}}
				p, err := New(cfg, Needs{}, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			old := make1(place[0])
			if err := old.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			end := proctest.Run(t, old.Run)
			old.answers(t, "at first")

			// A new place that cannot be had, and an heir that is not even opened.
			broken, unopened := make1("unix:"+filepath.Join(t.TempDir(), "no", "such", "directory")), make1(place[1])
			broken.Inherit(old)
			end()
			old.answers(t, "after its end, with an heir to come")
			if err := broken.Open(t.Context()); err == nil {
				t.Fatal("opened in a directory that is not there")
			}
			old.answers(t, "after an heir that failed")
			if err := old.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			end = proctest.Run(t, old.Run)
			unopened.Inherit(old)
			end()
			if err := old.Open(t.Context()); err != nil {
				t.Fatalf("after an heir that was never opened: %v", err)
			}
			end = proctest.Run(t, old.Run)
			old.answers(t, "after two heirs")

			moved := make1(place[1])
			moved.Inherit(old)
			end()
			if name != "the same, other text" {
				old.answers(t, "while the new place is not open")
			}
			if err := moved.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			if c, err := net.Dial(moved.listener.Addr().Network(), moved.listener.Addr().String()); err != nil {
				t.Errorf("opened, and nobody listens: %v", err)
			} else {
				_ = c.Close()
			}
			proctest.Run(t, moved.Run)
			moved.answers(t, "the new place")
			if name != "the same, other text" {
				before := old.listener.Addr()
				proctest.Eventually(t, endsWithin, func() (bool, string) {
					c, err := net.Dial(before.Network(), before.String())
					if err != nil {
						return true, ""
					}
					_ = c.Close()
					return false, "the old place still listens"
				})
			}
		})
	}
}

// endsWithin is how soon the old place must be given up.
const endsWithin = 10e9
