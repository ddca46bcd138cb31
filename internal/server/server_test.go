package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

var quiet = slog.New(slog.DiscardHandler)

// start runs a server on a free port and returns its URL and a function that stops it and gives Run's answer.
func start(t *testing.T, cfg Config, h http.Handler) (string, func() error) {
	t.Helper()
	cfg.Addresses = []string{"127.0.0.1:0"}
	s := New(cfg, h, quiet)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			t.Fatal("Run did not return")
			return nil
		}
	}
	t.Cleanup(cancel)
	return "http://" + s.Addrs()[0], stop
}

func TestRequestUnderWayEndsBeforeRunReturns(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	url, stop := start(t, Config{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "whole")
	}))
	body := make(chan string, 1)
	go func() {
		resp, err := http.Get(url)
		if err != nil {
			body <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		body <- string(b)
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	// The listener closes first; the request is still open then.
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			break
		}
		_ = c.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("Run returned %v with a request under way", err)
	default:
	}
	close(release)
	if got := <-body; got != "whole" {
		t.Errorf("body = %q; want the whole answer", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestOpenRefusesToBeReachableWithoutAuthentication(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	users := file("users.yml", "basic_auth_users:\n  ops: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi\n")
	empty := file("empty.yml", "")
	tests := []struct {
		name, addr string
		cfg        Config
		ok         bool
	}{
		{"loopback", "127.0.0.1:0", Config{}, true},
		{"loopback 6", "[::1]:0", Config{}, true},
		{"localhost", "localhost:0", Config{}, true},
		{"all", ":0", Config{}, false},
		{"all 4", "0.0.0.0:0", Config{}, false},
		{"other", "192.0.2.1:0", Config{}, false},
		{"name", "example.org:0", Config{}, false},
		{"all, file without users", ":0", Config{WebConfigFile: empty}, false},
		{"all, users", ":0", Config{WebConfigFile: users}, true},
		{"all, insecure", ":0", Config{Insecure: true}, true},
		{"no port", "127.0.0.1", Config{}, false},
		{"missing file", "127.0.0.1:0", Config{WebConfigFile: dir + "/none"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Addresses, tt.cfg.LoopbackOnly = []string{tt.addr}, true
			if err := tt.cfg.Validate(); (err == nil) != tt.ok {
				t.Errorf("Validate(%q) = %v; want ok %v", tt.addr, err, tt.ok)
			}
		})
	}
	exporter := Config{Addresses: []string{":0"}}
	if err := exporter.Validate(); err != nil {
		t.Errorf("an exporter may listen everywhere: %v", err)
	}
}

func TestClientsMustAuthenticate(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("hunter2"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(file, []byte("basic_auth_users: {ops: '"+string(hash)+"'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url, stop := start(t, Config{WebConfigFile: file}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for password, want := range map[string]int{"": http.StatusUnauthorized, "wrong": http.StatusUnauthorized, "hunter2": http.StatusOK} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if password != "" {
			r.SetBasicAuth("ops", password)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("password %q: %d; want %d", password, resp.StatusCode, want)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestWriteFromAnotherOriginIsRefused(t *testing.T) {
	url, stop := start(t, Config{}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	post := func(origin string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/-/reload", nil)
		if err != nil {
			t.Fatal(err)
		}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if got := post("https://evil.example"); got != http.StatusForbidden {
		t.Errorf("from another origin: %d; want 403", got)
	}
	if got := post(""); got != http.StatusOK {
		t.Errorf("from curl: %d; want 200", got)
	}
	if got := post(url); got != http.StatusOK {
		t.Errorf("from our own page: %d; want 200", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAddrFileAndFailedBind(t *testing.T) {
	file := filepath.Join(t.TempDir(), "addr")
	s := New(Config{Addresses: []string{"127.0.0.1:0"}, AddrFile: file}, http.NotFoundHandler(), quiet)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.closeListeners()
	b, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(b)) != s.Addrs()[0] {
		t.Errorf("address file = %q, %v; want %q", b, err, s.Addrs()[0])
	}
	taken := New(Config{Addresses: []string{"127.0.0.1:0", s.Addrs()[0]}}, http.NotFoundHandler(), quiet)
	if err := taken.Open(t.Context()); err == nil || len(taken.listeners) != 0 {
		t.Errorf("Open of a taken address = %v, %d listeners left", err, len(taken.listeners))
	}
}
