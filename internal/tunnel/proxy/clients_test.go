package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/proxyproto"
)

// wire is a client's connection, written and read by hand.
type wire struct {
	net.Conn
	r *bufio.Reader
}

func (w *world) wire(t *testing.T, company string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", w.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = c.Write(proxyproto.Header{Company: company}.Append(nil))
	return &wire{c, bufio.NewReader(c)}
}

func (c *wire) send(format string, args ...any) { _, _ = fmt.Fprintf(c, format, args...) }

// answer reads one answer to a request of that method; code 0 is the end of the connection.
func (c *wire) answer(t *testing.T, method string) (code int, body string, h http.Header) {
	t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return 0, err.Error(), nil
	}
	defer resp.Body.Close()
	if resp.Close { // which is where it went
		resp.Header.Set("Connection", "close")
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return -resp.StatusCode, err.Error(), resp.Header
	}
	return resp.StatusCode, string(b), resp.Header
}

// ended tells whether nothing more comes.
func (c *wire) ended(t *testing.T) bool {
	t.Helper()
	b, err := c.r.Peek(1)
	if err == nil {
		t.Errorf("more comes: %q", b)
	}
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

const okHead = "Host: x\r\n"

func TestRequestsOfOneConnection(t *testing.T) {
	long := strings.Repeat("long ", 50_000)
	w := start(t, map[string]string{"/api/v1/labels": "labels", "/api/v1/label/a/values": long, "/api/v1/query": "query"}, nil)
	c := w.wire(t, acme)
	// All at once: answers come in order, each whole.
	c.send("GET /api/v1/labels HTTP/1.1\r\n" + okHead + "\r\n" +
		"POST /api/v1/query HTTP/1.1\r\n" + okHead + "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nquery=\r\n2\r\nup\r\n0\r\n\r\n" +
		"\r\nGET /api/v1/label/a/values HTTP/1.1\r\n" + okHead + "\r\n" +
		"HEAD /api/v1/labels HTTP/1.1\r\n" + okHead + "\r\n" +
		"GET /nowhere HTTP/1.1\r\n" + okHead + "\r\n" +
		"TRACE /api/v1/labels HTTP/1.1\r\n" + okHead + "\r\n" +
		"OPTIONS * HTTP/1.1\r\n" + okHead + "\r\n" +
		// What stands in a body that nobody reads is no request.
		"GET /api/v1/labels HTTP/1.1\r\n" + okHead + "Content-Length: 40\r\n\r\nGET /api/v1/query HTTP/1.1\r\nHost: x\r\n\r\n\r\n" +
		"DELETE /api/v1/labels HTTP/1.1\r\n" + okHead + "Content-Length: 5\r\n\r\nabcde" +
		"GET /api/v1/labels HTTP/1.1\r\n" + okHead + "Connection: close\r\n\r\n" +
		"GET /api/v1/labels HTTP/1.1\r\n" + okHead + "\r\n")
	for i, want := range []struct {
		method string
		code   int
		body   string
	}{
		{"GET", 200, "labels"},
		{"POST", 200, "query"},
		{"GET", 200, long},
		{"HEAD", 200, ""},
		{"GET", 404, ""},
		{"TRACE", 405, ""},
		{"OPTIONS", 400, ""},
		{"GET", 200, "labels"},
		{"DELETE", 405, ""},
		{"GET", 200, "labels"},
	} {
		code, body, _ := c.answer(t, want.method)
		if code != want.code || want.code == 200 && body != want.body {
			t.Fatalf("answer %d: %d %.80q; want %d %.20q", i, code, body, want.code, want.body)
		}
	}
	if !c.ended(t) {
		t.Error("the connection goes on behind Connection: close")
	}
}

func TestRequestsThatAreNone(t *testing.T) {
	w := start(t, map[string]string{"/api/v1/labels": "labels"}, nil)
	for text, want := range map[string]int{
		"nonsense\r\n\r\n":                                                                                  400,
		"GET /api/v1/labels HTTP/1.1\r\n\r\n":                                                               400, // for no host
		"GET /api/v1/labels HTTP/2.0\r\nHost: x\r\n\r\n":                                                    505,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                                                  400,
		"GET /api/v1/labels HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n":                                         400,
		"GET /api/v1/labels HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n":                                          400,
		"POST /api/v1/labels HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab":       400,
		"POST /api/v1/labels HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nab":                      400,
		"POST /api/v1/labels HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n":                             400,
		"POST /api/v1/labels HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: tea\r\n\r\n":               417,
		"GET /api/v1/labels HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", maxRequestHead+8192) + "\r\n": 431,
		"GET /api/v1/labels HTTP/1.0\r\n\r\n":                                                               200,
	} {
		c := w.wire(t, acme)
		c.send("%s", text)
		code, _, h := c.answer(t, "GET")
		if code != want || h.Get("Connection") != "close" || !c.ended(t) {
			t.Errorf("%.60q: %d, %v; want %d, and the end", text, code, h, want)
		}
	}
	// Both lengths: chunks count, and the connection ends behind them at the latest.
	c := w.wire(t, acme)
	c.send("POST /api/v1/labels HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/v1/labels HTTP/1.1\r\nHost: x\r\n\r\n")
	for range 2 {
		if code, body, _ := c.answer(t, "GET"); code != 200 && code != 400 && code != 0 {
			t.Errorf("two lengths: %d %q", code, body)
		}
	}
}

func TestUploadsThatEnd(t *testing.T) {
	w := start(t, map[string]string{"/api/v1/query": "query"}, nil)
	post := "POST /api/v1/query HTTP/1.1\r\n" + okHead + "Content-Type: application/x-www-form-urlencoded\r\n"
	c := w.wire(t, acme)
	c.send("%sContent-Length: 100\r\n\r\nquery=up", post)
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	if code, body, _ := c.answer(t, "POST"); code != 400 {
		t.Errorf("a body that is cut: %d %q", code, body)
	}
	c = w.wire(t, acme)
	c.send("%sTransfer-Encoding: chunked\r\n\r\nZZ\r\n", post)
	if code, body, _ := c.answer(t, "POST"); code != 400 || !c.ended(t) {
		t.Errorf("a chunk without a length: %d %q", code, body)
	}
	c = w.wire(t, acme)
	c.send("%sContent-Length: %d\r\n\r\nquery=%s", post, 4<<20, strings.Repeat("x", 2<<20))
	if code, body, _ := c.answer(t, "POST"); code != 413 {
		t.Errorf("a body that is too long: %d %q", code, body)
	}
	if asked := w.prom.last(); len(asked) > 0 {
		t.Errorf("prometheus was asked %q", asked)
	}
	// Held back until we want it, and never wanted.
	c = w.wire(t, acme)
	c.send("%sContent-Length: 8\r\nExpect: 100-continue\r\n\r\n", post)
	if line, _ := c.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Errorf("not asked for: %q", line)
	}
	_, _ = c.r.ReadString('\n')
	c.send("query=up")
	if code, body, _ := c.answer(t, "POST"); code != 200 || body != "query" {
		t.Errorf("asked for: %d %q", code, body)
	}
	c.send("DELETE /api/v1/labels HTTP/1.1\r\n" + okHead + "Content-Length: 8\r\nExpect: 100-continue\r\n\r\n")
	if code, _, h := c.answer(t, "DELETE"); code != 405 || h.Get("Connection") != "close" || !c.ended(t) {
		t.Errorf("not wanted: %d %v", code, h)
	}
}

// mirror is a Prometheus that answers with what it was asked, by answer.
func mirror(t *testing.T, answer func(c net.Conn, asked string)) string {
	t.Helper()
	return "http://" + accept(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_ = req.ParseForm()
			_, _ = io.Copy(io.Discard, req.Body)
			answer(c, req.Form.Encode())
		}
	})
}

func whole(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// TestAnswersComeToWhoAsked: companies that ask at once, some of which go away, on a Prometheus whose answers are late, long, or twice.
func TestAnswersComeToWhoAsked(t *testing.T) {
	for _, what := range []string{"once", "twice", "twice, later", "too long"} {
		t.Run(what, func(t *testing.T) {
			var n sync.Map
			upstream := mirror(t, func(c net.Conn, asked string) {
				_, _ = io.WriteString(c, whole(asked+strings.Repeat(" ", len(asked)%7*9000)))
				count, _ := n.LoadOrStore(c, new(int))
				if *count.(*int)++; *count.(*int)%3 != 0 {
					return
				}
				switch what {
				case "twice":
					_, _ = io.WriteString(c, whole("of before "+asked))
				case "twice, later":
					time.Sleep(time.Millisecond)
					_, _ = io.WriteString(c, whole("of before "+asked))
				case "too long":
					_, _ = io.WriteString(c, "behind the end")
				}
			})
			w := start(t, nil, func(c *Config) {
				c.Upstream, c.Companies = upstream, nil
				c.Limits.CompanyConcurrent = 16
				for i := range 4 {
					c.Companies = append(c.Companies, Company{Name: fmt.Sprintf("firm%d", i)})
				}
			})
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					company := fmt.Sprintf("firm%d", i%4)
					c := w.wire(t, company)
					for k := range 60 {
						if k%9 == 8 { // goes away in the middle
							c.send("GET /api/v1/query?query=gone%d_%d HTTP/1.1\r\n%s\r\n", i, k, okHead)
							c.Close()
							c = w.wire(t, company)
						}
						c.send("GET /api/v1/query?query=m%d_%d HTTP/1.1\r\n%s\r\n", i, k, okHead)
						code, body, _ := c.answer(t, "GET")
						if strings.Contains(body, "company_name") && !strings.Contains(body, company) {
							t.Errorf("%s is told %q", company, body)
						}
						if (what == "once" || what == "too long" && code != 502) && (code != 200 || !strings.Contains(body, fmt.Sprintf("m%d_%d%%7B", i, k))) {
							t.Errorf("%s asked for m%d_%d: %d %q", company, i, k, code, body)
						}
						if code <= 0 {
							c = w.wire(t, company)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestAnswersThatAreNoneOrSplit(t *testing.T) {
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
	for name, test := range map[string]struct {
		answer string
		code   int
		body   string
	}{
		"hints before":        {hints + hints + whole("ok"), 200, "ok"},
		"hints for ever":      {strings.Repeat(hints, 50), 502, ""},
		"switches":            {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 502, ""},
		"no status":           {"HTTP/1.1 000 x\r\nContent-Length: 0\r\n\r\n", 502, ""},
		"strange status":      {"HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n", 502, ""},
		"elsewhere":           {"HTTP/1.1 302 x\r\nLocation: http://inner/\r\nContent-Length: 0\r\n\r\n", 502, ""},
		"two lengths":         {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", 502, ""},
		"headers of its own":  {"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nServer: inner\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
		"a head in a header":  {"HTTP/1.1 200 OK\r\nContent-Type: a\rSet-Cookie: x=y\r\nContent-Length: 2\r\n\r\nok", 502, ""},
		"cut, short":          {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\nok", 502, ""},
		"cut, in a chunk":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", 502, ""},
		"cut, long":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n" + strings.Repeat("x", 200_000), -200, ""},
		"cut, with a length":  {"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 200_000), -200, ""},
		"nothing to say":      {"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
		"without a length":    {"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end"},
		"an error of its own": {"HTTP/1.1 500 x\r\nContent-Length: 2\r\n\r\nno", 500, "no"},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, nil, func(c *Config) {
				c.Upstream = mirror(t, func(c net.Conn, _ string) { _, _ = io.WriteString(c, test.answer); _ = c.Close() })
			})
			c := w.wire(t, acme)
			c.send("GET /api/v1/labels HTTP/1.1\r\n" + okHead + "\r\n")
			code, body, h := c.answer(t, "GET")
			if code != test.code || test.body != "" && body != test.body {
				t.Fatalf("%d %q; want %d %q", code, body, test.code, test.body)
			}
			if h.Get("Set-Cookie") != "" || h.Get("Server") != "" || h.Get("Location") != "" || code == 502 && (h.Get("Content-Encoding") != "" || !strings.Contains(body, `"status":"error"`)) {
				t.Errorf("%v %q", h, body)
			}
			if code < 0 {
				if !c.ended(t) {
					t.Error("the connection goes on behind half an answer")
				}
				return
			}
			c.send("GET /nowhere HTTP/1.1\r\n" + okHead + "\r\n")
			if code, body, _ := c.answer(t, "GET"); code != 404 {
				t.Errorf("the next request: %d %q", code, body)
			}
		})
	}
}

// TestWhoGoesAwayIsNotAnsweredFor: Prometheus' work ends with who waits for it.
func TestWhoGoesAwayIsNotAnsweredFor(t *testing.T) {
	w := start(t, nil, nil)
	w.prom.mu.Lock()
	w.prom.hold = make(chan struct{})
	w.prom.mu.Unlock()
	defer close(w.prom.hold)
	c := w.wire(t, acme)
	c.send("GET /api/v1/labels HTTP/1.1\r\n" + okHead + "\r\n")
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { return len(w.turns) == 1, "requests under way" })
	c.Close()
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { return len(w.turns) == 0, "requests under way" })
}

// TestWhatIsSentAheadWaits: a request that comes while the one before it takes long is answered after it.
func TestWhatIsSentAheadWaits(t *testing.T) {
	w := start(t, map[string]string{"/api/v1/labels": "labels"}, nil)
	w.prom.mu.Lock()
	hold := make(chan struct{})
	w.prom.hold = hold
	w.prom.mu.Unlock()
	c := w.wire(t, acme)
	c.send("GET /api/v1/labels HTTP/1.1\r\n" + okHead + "\r\n")
	time.AfterFunc(3*lookTime, func() {
		c.send("GET /nowhere HTTP/1.1\r\n" + okHead + "\r\n")
		close(hold)
	})
	for _, want := range []int{200, 404} {
		if code, body, _ := c.answer(t, "GET"); code != want {
			t.Errorf("%d %q; want %d", code, body, want)
		}
	}
}
