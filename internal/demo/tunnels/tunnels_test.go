package tunnels

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/pki"
)

// TestOneCertificateNearlyEnds: it is good still, and has less than the fifth of its life left for which the alert
// TunnelCertificateEnding waits. All others have more.
func TestOneCertificateNearlyEnds(t *testing.T) {
	l, err := New(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gateway-ending", "gateway", "prober", "acme", "globex", refused} {
		text, err := pki.ReadFile(l.file(name + ".crt"))
		if err != nil {
			t.Fatal(err)
		}
		chain, err := pki.ParseCertificates(text)
		if err != nil {
			t.Fatal(err)
		}
		c := chain[0]
		left := time.Until(c.NotAfter).Hours() / c.NotAfter.Sub(c.NotBefore).Hours()
		if ends := name == "gateway-ending"; left <= 0 || ends != (left < 0.2) {
			t.Errorf("%s: %.2f of its life is left, until %s", name, left, c.NotAfter)
		}
	}
	a, err := pki.Open(l.file("ca"))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(l.file("gateway-ending.crt"))
	chain, _ := pki.ParseCertificates(text)
	if err := a.Verify(chain); err != nil {
		t.Error(err)
	}
}

// TestCustomersAskAllTheTime: every question is asked, with times put in; only globex is careless.
func TestCustomersAskAllTheTime(t *testing.T) {
	var mu sync.Mutex // guards seen
	seen := map[string]url.Values{}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.URL.Path] = r.URL.Query()
	}))
	defer srv.Close()
	l := &Lab{log: slog.New(slog.DiscardHandler), ports: map[string]string{}}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(srv.URL, "http://"))
	}}}
	now := time.Unix(2_000_000_000, 0)
	for _, what := range append(append([]string{}, asked...), careless[2]) {
		l.ask(t.Context(), client, what, now, window)
	}
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		mu.Lock()
		defer mu.Unlock()
		return len(seen) == 9, "too few paths"
	})
	mu.Lock()
	defer mu.Unlock()
	if r := seen["/api/v1/query_range"]; r.Get("start") != "1999999100" || r.Get("end") != "2000000000" {
		t.Errorf("times of a range: %v", r)
	}
}
