package neuvector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

func newTest(t *testing.T, cfg Config, w *World) *Controller {
	t.Helper()
	c, err := New(cfg, w, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ask(t *testing.T, c *Controller, path, token string) (int, []byte) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("X-Auth-Token", token)
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

func tryLogin(c *Controller, password string) (int, TokenData, int) {
	r := httptest.NewRequest(http.MethodPost, "/v1/auth", strings.NewReader(`{"password":{"username":"monitor","password":"`+password+`"}}`))
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	var data TokenData
	var failed struct{ Code int }
	_ = json.Unmarshal(w.Body.Bytes(), &data)
	_ = json.Unmarshal(w.Body.Bytes(), &failed)
	return w.Code, data, failed.Code
}

func login(t *testing.T, c *Controller, password string) string {
	t.Helper()
	status, data, _ := tryLogin(c, password)
	if status != 200 || data.Token == nil {
		t.Fatalf("login: status %d", status)
	}
	return data.Token.Token
}

func TestFiveWrongLoginsLockForAnHourAndEachAttemptBeginsItAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTest(t, Config{Password: "right"}, DemoSize().World(time.Now()))
		for range 4 {
			if status, _, code := tryLogin(c, "wrong"); status != 401 || code != 3 {
				t.Fatalf("wrong login: status %d, code %d; want 401, 3", status, code)
			}
		}
		if c.Locked() {
			t.Fatal("locked after four")
		}
		tryLogin(c, "wrong")
		time.Sleep(59 * time.Minute)
		if status, _, code := tryLogin(c, "right"); status != 401 || code != 47 || !c.Locked() {
			t.Errorf("right login while blocked: status %d, code %d; want 401, 47", status, code)
		}
		time.Sleep(59 * time.Minute)
		if _, _, code := tryLogin(c, "right"); code != 47 {
			t.Errorf("code %d; want 47: the attempt began the hour anew", code)
		}
		time.Sleep(61 * time.Minute)
		login(t, c, "right")
	})
}

func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, version := range []string{"5.3", "5.6"} {
			c := newTest(t, Config{Password: "right", Version: version}, DemoSize().World(time.Now()))
			token := login(t, c, "right")
			want := map[string]int{"5.3": 408, "5.6": 401}[version]
			for range 80 { // used all the time, it ends after six hours
				time.Sleep(4 * time.Minute)
				ask(t, c, "/v1/system/summary", token)
			}
			if status, _ := ask(t, c, "/v1/system/summary", token); status != 200 {
				t.Errorf("%s: status %d before six hours; want 200", version, status)
			}
			time.Sleep(4 * time.Minute)
			for range 10 {
				time.Sleep(4 * time.Minute)
				ask(t, c, "/v1/system/summary", token)
			}
			if status, _ := ask(t, c, "/v1/system/summary", token); status != want {
				t.Errorf("%s: status %d after six hours; want %d", version, status, want)
			}
			for range maxSessions {
				login(t, c, "right")
			}
			if status, _, code := tryLogin(c, "right"); status != 401 || code != 3 {
				t.Errorf("%s: session %d: status %d, code %d; want 401, 3", version, maxSessions+1, status, code)
			}
			time.Sleep(6 * time.Minute)
			if n := c.Sessions(); n != 0 {
				t.Errorf("%s: %d sessions left unused; want 0", version, n)
			}
		}
	})
}

func TestOddities(t *testing.T) {
	c := newTest(t, Config{Password: "right"}, DemoSize().World(time.Now()))
	token := login(t, c, "right")
	for path, want := range map[string]int{
		"/v1/scan/platform/": 301, "/v1/nothing": 404, "/v1/enforcer/none/stats": 500, "/v1/controller/none/stats": 404, "/v1/scan/registry/none/images": 404,
		"/v1/fed/cluster/none/v1/host": 400,
	} {
		if status, _ := ask(t, c, path, token); status != want {
			t.Errorf("%s: status %d; want %d", path, status, want)
		}
	}
	c.Update(func(w *World) { w.Enforcers, w.Kubernetes = nil, false })
	if _, body := ask(t, c, "/v1/enforcer", token); string(body) != `{"enforcers":null}` {
		t.Errorf("no enforcers: %s; want null", body)
	}
	if status, _ := ask(t, c, "/v1/admission/stats", token); status != 412 {
		t.Errorf("admission outside Kubernetes: status %d; want 412", status)
	}
	for path, want := range map[string]int{"/v1/host": 405, "/v1/nothing": 404} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, path, http.NoBody)
		r.Header.Set("X-Auth-Token", token)
		c.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("PUT %s: status %d; want %d", path, w.Code, want)
		}
	}
	if status, _ := ask(t, c, "/v1/host", "stolen"); status != 401 {
		t.Errorf("unknown token: status %d; want 401", status)
	}
}

func TestPagesAndFilters(t *testing.T) {
	now := time.Now()
	c := newTest(t, Config{Password: "right"}, Size{Seed: 3, Hosts: 3, Services: 4, Workloads: 30, Registries: 1, Images: 7, Violations: 50}.World(now))
	token := login(t, c, "right")
	count := func(path, key string) int {
		_, body := ask(t, c, path, token)
		var v map[string][]json.RawMessage
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatal(err)
		}
		return len(v[key])
	}
	for _, tt := range []struct {
		path, key string
		want      int
	}{
		{"/v1/workload?brief=true&start=38&limit=10", "workloads", 2}, // 30 containers, 10 pods
		{"/v1/scan/registry/registry1/images?start=5&limit=5", "images", 2},
		{"/v1/log/violation?start=0&limit=20", "violations", 20},
		{"/v1/log/security?f_since=99999999999", "violations", 0},
	} {
		if got := count(tt.path, tt.key); got != tt.want {
			t.Errorf("%s: %d; want %d", tt.path, got, tt.want)
		}
	}
	for range 2 * ringSize {
		c.Update(func(w *World) { w.addViolation(now) })
	}
	if got := count("/v1/log/violation", "violations"); got != ringSize {
		t.Errorf("%d entries; want %d", got, ringSize)
	}
}

func TestVersionsTellCriticalApart(t *testing.T) {
	for version, want := range map[string]string{"5.3": "none", "5.4": "zero", "5.6": "some"} {
		size := DemoSize()
		size.Version = version
		got := "none"
		for _, v := range size.World(time.Now()).Images["registry1"] {
			if v.Critical != nil && got == "none" {
				got = "zero"
			}
			if v.Critical != nil && *v.Critical > 0 {
				got = "some"
			}
		}
		if got != want {
			t.Errorf("%s: %s critical; want %s", version, got, want)
		}
	}
}

func TestListensWithTLS13Only(t *testing.T) {
	c := newTest(t, Config{Password: "right", Dir: t.TempDir(), Step: 10 * time.Millisecond}, DemoSize().World(time.Now()))
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	pem, err := os.ReadFile(c.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	get := func(maxVersion uint16) (*http.Response, error) {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MaxVersion: maxVersion}, ForceAttemptHTTP2: true}
		defer tr.CloseIdleConnections()
		return (&http.Client{Transport: tr}).Get("https://" + c.Addr() + "/v1/eula")
	}
	resp, err := get(tls.VersionTLS13)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.ProtoMajor != 1 || !strings.Contains(string(b), "accepted") {
		t.Errorf("status %d, HTTP/%d, %s", resp.StatusCode, resp.ProtoMajor, b)
	}
	if resp, err := get(tls.VersionTLS12); err == nil {
		resp.Body.Close()
		t.Error("TLS 1.2 was let in")
	}
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
}
