package proxy

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/proxyproto"
)

// askOnce asks over a connection of its own.
func askOnce(addr net.Addr, company string) (string, error) {
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = c.Write(proxyproto.Header{Company: company}.Append(nil))
	_, _ = io.WriteString(c, "GET /api/v1/labels HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	b, err := io.ReadAll(c)
	return string(b), err
}

// TestReloadRefusesNobody: the next proxy takes over the socket; a request of the one before ends in its own time, and delays nothing.
func TestReloadRefusesNobody(t *testing.T) {
	for _, where := range []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "proxy.sock")} {
		t.Run(strings.Split(where, ":")[0], func(t *testing.T) {
			prom := newPrometheus(t, nil)
			holding := func(hold chan struct{}) chan struct{} {
				prom.mu.Lock()
				defer prom.mu.Unlock()
				prom.hold = hold
				return hold
			}
			hold := holding(make(chan struct{}))
			log := slog.New(slog.DiscardHandler)
			make1 := func(companies ...string) *Proxy {
				cfg := config(prom.URL)
				cfg.Listen, cfg.Drain, cfg.Companies = where, 20e9, nil
				for _, name := range companies {
					cfg.Companies = append(cfg.Companies, Company{Name: name})
				}
				p, err := New(cfg, Needs{}, log)
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			first := make1("acme")
			if err := first.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			addr := first.listener.Addr()
			endFirst := proctest.Run(t, first.Run)
			slow := make(chan string, 1)
			go func() {
				answer, err := askOnce(addr, "acme")
				slow <- fmt.Sprint(answer, err)
			}()
			proctest.Eventually(t, 10*time.Second, func() (bool, string) { return first.companies[0].now.Load() == 1, "not asked" })

			// One that cannot open leaves everything as it was.
			broken := make1("globex")
			broken.cfg.Upstream = Embedded // which New was not given
			broken.Inherit(first)
			endFirst()
			close(hold)
			if err := broken.Open(t.Context()); err == nil {
				t.Fatal("a proxy without Prometheus opens")
			}
			if answer := <-slow; !strings.Contains(answer, " 200 ") {
				t.Errorf("a request that was under way: %s", answer)
			}
			holding(nil)
			if err := first.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			addr = first.listener.Addr()
			endFirst = proctest.Run(t, first.Run)
			if answer, err := askOnce(addr, "acme"); !strings.Contains(answer, " 200 ") {
				t.Errorf("after a reload that failed: %q, %v", answer, err)
			}

			hold = holding(make(chan struct{}))
			go func() {
				answer, err := askOnce(addr, "acme")
				slow <- fmt.Sprint(answer, err)
			}()
			proctest.Eventually(t, 10*time.Second, func() (bool, string) {
				n := first.companies[0].now.Load()
				return n == 1, fmt.Sprint(n, " requests")
			})
			holding(nil)
			second := make1("acme", "globex")
			second.Inherit(first)
			began := time.Now()
			endFirst()
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the proxy before holds the reload up for %s", took)
			}
			early := make(chan string, 1) // comes between the two
			go func() {
				answer, err := askOnce(addr, "globex")
				early <- fmt.Sprint(answer, err)
			}()
			if err := second.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			endSecond := proctest.Run(t, second.Run)
			if answer := <-early; !strings.Contains(answer, " 200 ") {
				t.Errorf("between two proxies: %s", answer)
			}
			close(hold)
			if answer := <-slow; !strings.Contains(answer, " 200 ") {
				t.Errorf("a request that was under way: %s", answer)
			}
			endSecond()
		})
	}
}
