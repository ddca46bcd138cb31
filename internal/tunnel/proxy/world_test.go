package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/proxyproto"
)

// fakeProm answers with canned pages and keeps what it was asked.
type fakeProm struct {
	*httptest.Server
	mu    sync.Mutex // guards what follows
	asked []string   // path and parameters
	pages map[string]string
	code  int           // of every answer; 0: 200
	hold  chan struct{} // answers wait for it, if there is one
}

func newPrometheus(t *testing.T, pages map[string]string) *fakeProm {
	t.Helper()
	f := &fakeProm{pages: pages}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		f.mu.Lock()
		f.asked = append(f.asked, r.Method+" "+r.URL.EscapedPath()+" "+r.Form.Encode())
		hold, code := f.hold, max(f.code, http.StatusOK)
		page, ok := f.pages[strings.TrimPrefix(r.URL.Path, "/prom")]
		f.mu.Unlock()
		for _, h := range []string{"Cookie", "X-Scope-Orgid", "Authorization", "X-Tenant"} {
			if v := r.Header.Get(h); v != "" {
				t.Errorf("header %s travels: %q", h, v)
			}
		}
		if hold != nil {
			<-hold
		}
		if !ok {
			page = `{"status":"success","data":[]}`
		}
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(code)
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, page)
			_ = z.Close()
			return
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, page)
	}))
	t.Cleanup(f.Close)
	return f
}

// last returns what was asked since the last call.
func (f *fakeProm) last() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.asked
	f.asked = nil
	return asked
}

// world is a proxy behind a gateway's header, with its log.
type world struct {
	*Proxy
	prom *fakeProm
	log  *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func config(upstream string) Config {
	c := Default()
	c.Listen, c.Upstream, c.ProxyProtocol = "127.0.0.1:0", upstream, true
	c.Companies = []Company{{Name: `acme "1"`}, {Name: "other"}}
	c.Drain = conf.Duration(100 * time.Millisecond)
	c.Limits.CompanyRate = 10000
	return c
}

func start(t *testing.T, pages map[string]string, change func(*Config)) *world {
	t.Helper()
	f := newPrometheus(t, pages)
	cfg := config(f.URL + "/prom/")
	if change != nil {
		change(&cfg)
	}
	w := &world{prom: f, log: &lockedBuffer{}}
	var err error
	catalog := func(name string) (Meta, bool) {
		return Meta{Type: "gauge", Help: `With a \ and` + "\na line."}, name == "vc_ct_enabled_status"
	}
	if w.Proxy, err = New(cfg, Needs{Catalog: catalog}, slog.New(slog.NewTextHandler(w.log, nil))); err != nil {
		t.Fatal(err)
	}
	if err := w.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	proctest.Run(t, w.Run)
	return w
}

// as is a client whose connections a gateway passes on with this header.
func (w *world) as(h proxyproto.Header) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.Addr())
		if err == nil {
			_, err = c.Write(h.Append(nil))
		}
		return c, err
	}}}
}

// raw sends a request line as it is, which net/http would tidy, and returns the answer.
func (w *world) raw(t *testing.T, company, head, body string) (int, string) {
	t.Helper()
	c, err := net.Dial("tcp", w.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = c.Write(proxyproto.Header{Company: company}.Append(nil))
	_, _ = fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: a=b\r\nX-Scope-OrgID: other\r\nAuthorization: Bearer x\r\n", head)
	if body != "" {
		_, _ = fmt.Fprintf(c, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n", len(body))
	}
	_, _ = io.WriteString(c, "\r\n"+body)
	answer, _ := io.ReadAll(c)
	code := 0
	_, _ = fmt.Sscanf(string(answer), "HTTP/1.1 %d", &code)
	return code, string(answer)
}
