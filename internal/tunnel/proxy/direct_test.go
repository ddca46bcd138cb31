package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

// accept gives each connection to a new address to serve, which need not close it.
func accept(t *testing.T, serve func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// server answers each request on a connection with the next of the answers, then closes.
func server(t *testing.T, answers ...string) *url.URL {
	t.Helper()
	addr := accept(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for _, a := range answers {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			_, _ = io.WriteString(c, a)
		}
	})
	return &url.URL{Scheme: "http", Host: addr}
}

func TestDirect(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	ask := func(d *direct, u *url.URL) (string, error) {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, u.String(), strings.NewReader("a=b"))
		resp, err := d.ask(acme, r)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	u := server(t, good, good) // closes after the second: the third must come over a new connection
	d := newDirect(u, nil, 4)
	for i := range 7 {
		if got, err := ask(d, u); got != "ok" || err != nil {
			t.Fatalf("request %d: %q, %v", i, got, err)
		}
	}
	if n := d.kept; n != 1 {
		t.Errorf("%d connections kept; want 1", n)
	}
	d.CloseIdleConnections()
	for _, bad := range []string{"nonsense\r\n\r\n", "", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxHead) + "\r\n\r\n"} {
		u := server(t, bad)
		if got, err := ask(newDirect(u, nil, 4), u); err == nil {
			t.Errorf("%.30q: answered %q", bad, got)
		}
	}
	for _, cut := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok"} {
		u := server(t, cut)
		d := newDirect(u, nil, 4)
		if got, err := ask(d, u); err == nil || d.kept > 0 {
			t.Errorf("%q passes as whole: %q", cut, got)
		}
	}
}

func TestDirectGivesUpInTime(t *testing.T) {
	w := start(t, nil, func(c *Config) { c.Limits.Timeout = conf.Duration(time.Millisecond) })
	w.prom.mu.Lock()
	w.prom.hold = make(chan struct{})
	w.prom.mu.Unlock()
	defer close(w.prom.hold)
	began := time.Now() // the answer has a second more than the query
	if code, answer := w.raw(t, acme, "GET /api/v1/labels", ""); code != 503 || !strings.Contains(answer, `"errorType":"timeout"`) {
		t.Errorf("%d %s", code, answer)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Error(fmt.Sprint("took ", took))
	}
}
