package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/orielhq/oriel/internal/server"
)

func TestOtherHostNamesAreRefused(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	flags := serveFlags{externalURL: "https://oriel.example:8443"}
	guarded := serveFlags{web: server.Config{WebConfigFile: "web.yml"}}
	tests := []struct {
		flags serveFlags
		host  string
		code  int
	}{
		{flags, "127.0.0.1:9190", 200},
		{flags, "localhost:9190", 200},
		{flags, "LOCALHOST", 200},
		{flags, "[::1]:9190", 200},
		{flags, "10.0.0.7", 200},
		{flags, "Oriel.example:9190", 200},
		{flags, "evil.example:9190", 421},
		{flags, "localhost.evil.example", 421},
		{flags, "127.0.0.1.evil.example", 421},
		{guarded, "anything.example", 200},
	}
	for _, tt := range tests {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Host = tt.host
		w := httptest.NewRecorder()
		ownHosts(tt.flags, ok).ServeHTTP(w, r)
		if w.Code != tt.code {
			t.Errorf("Host %q = %d; want %d", tt.host, w.Code, tt.code)
		}
	}
}

// TestSettingsHaveNoSecrets reads a configuration with a secret in each kind of place.
func TestSettingsHaveNoSecrets(t *testing.T) {
	cfg, err := parseConfig("oriel.yml", []byte(`
neuvector: {address: "nv.example:10443", username: monitor, password: hunter2, tls: {insecure_skip_verify: true}}
influx:
  outputs: [{url: "http://db.example:8086", name: a, version: 1, database: d, username: u, password: hunter4}]
`))
	if err != nil {
		t.Fatal(err)
	}
	a := &application{config: cfg}
	for _, s := range cfg.specs() {
		if v := s.value(); v != nil {
			a.features = append(a.features, &feature{name: s.name, section: v})
		}
	}
	c := a.newConsole()
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/console/config", nil))
	if text := w.Body.String(); w.Code != 200 || strings.Contains(text, "hunter") || !strings.Contains(text, "nv.example") {
		t.Errorf("%d: %s", w.Code, text)
	}
}
