package influx

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/influxdata/line-protocol/v2/lineprotocol"
)

func newReceiver(change func(*Config)) *Receiver {
	cfg := Config{Token: "t0k", Organization: "oriel", Bucket: "demo", MaxBody: 1000}
	if change != nil {
		change(&cfg)
	}
	return New(cfg, slog.New(slog.DiscardHandler))
}

func packed(s string) string {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	_, _ = io.WriteString(zw, s)
	_ = zw.Close()
	return b.String()
}

func TestAnswersOfTheWriteAPI(t *testing.T) {
	const path = "/api/v2/write?org=oriel&bucket=demo&precision=ns"
	tests := []struct {
		name, method, path, token, encoding, body string
		status                                    int
		code                                      string
	}{
		{"lines", "POST", path, "t0k", "", "m,a=b f=1i 5\nm f=2i 5\n", 204, ""},
		{"packed", "POST", path, "t0k", "gzip", packed("m f=1i 5\n"), 204, ""},
		{"no precision", "POST", "/api/v2/write?org=oriel&bucket=demo", "t0k", "", "m f=1i 5\n", 204, ""},
		{"no token", "POST", path, "", "", "m f=1i\n", 401, "unauthorized"},
		{"wrong token", "POST", path, "t0", "", "m f=1i\n", 401, "unauthorized"},
		{"other bucket", "POST", "/api/v2/write?org=oriel&bucket=x", "t0k", "", "m f=1i\n", 404, "not found"},
		{"other organization", "POST", "/api/v2/write?org=x&bucket=demo", "t0k", "", "m f=1i\n", 404, "not found"},
		{"precision", "POST", path + "x", "t0k", "", "m f=1i\n", 400, "invalid"},
		{"no field", "POST", path, "t0k", "", "m,a=b\n", 400, "invalid"},
		{"empty tag", "POST", path, "t0k", "", "m,a= f=1i\n", 400, "invalid"},
		{"unescaped =", "POST", path, "t0k", "", "m,a=AAA= f=1i\n", 400, "invalid"},
		{"a tag twice", "POST", path, "t0k", "", "m,a=1,a=2 f=1i\n", 400, "invalid"},
		{"not gzip", "POST", path, "t0k", "gzip", "m f=1i\n", 400, "invalid"},
		{"other encoding", "POST", path, "t0k", "zstd", "m f=1i\n", 400, "invalid"},
		{"too large", "POST", path, "t0k", "", strings.Repeat("m f=1i 5\n", 200), 413, "request too large"},
		{"too large inside", "POST", path, "t0k", "gzip", packed(strings.Repeat("m f=1i 5\n", 200)), 413, "request too large"},
		{"get", "GET", path, "t0k", "", "", 405, "method not allowed"},
		{"elsewhere", "GET", "/api/v2/x", "t0k", "", "", 404, "not found"},
		{"health", "GET", "/health", "", "", "", 200, ""},
		{"ping", "GET", "/ping", "", "", "", 204, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newReceiver(nil)
			req := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
			req.Header.Set("Authorization", "Token "+tt.token)
			if tt.encoding != "" {
				req.Header.Set("Content-Encoding", tt.encoding)
			}
			w := httptest.NewRecorder()
			r.ServeHTTP(w, req)
			var answer struct{ Code, Message string }
			_ = json.Unmarshal(w.Body.Bytes(), &answer)
			if w.Code != tt.status || answer.Code != tt.code || strings.Contains(w.Body.String(), "t0k") {
				t.Errorf("%d %s; want %d %s", w.Code, w.Body, tt.status, tt.code)
			}
			if tt.status >= 400 && r.Lines() != 0 {
				t.Errorf("%d lines were taken", r.Lines())
			}
		})
	}
}

func TestPointsAndTypes(t *testing.T) {
	r := newReceiver(nil)
	post := func(lines string) (int, string) {
		req := httptest.NewRequest(http.MethodPost, "/api/v2/write?org=oriel&bucket=demo&precision=s", strings.NewReader(lines))
		req.Header.Set("Authorization", "Bearer t0k")
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		return w.Code, w.Body.String()
	}
	if code, body := post(`wg,public_key=AAA\=,device=wg0 rx=5i,ep="a \"b\"" 1000` + "\n" + `wg,device=wg0,public_key=AAA\= tx=7i 1000` + "\n"); code != 204 {
		t.Fatalf("%d %s", code, body)
	}
	// Two lines of one series and time are one point.
	want := Point{Measurement: "wg", Tags: map[string]string{"public_key": "AAA=", "device": "wg0"}, Fields: map[string]any{"rx": int64(5), "tx": int64(7), "ep": `a "b"`}, Time: time.Unix(1000, 0).UTC()}
	got, ok := r.Point("wg,device=wg0,public_key=AAA=")
	got.Time = got.Time.UTC()
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("point (-want +got):\n%s", diff)
	}
	// The first write says what type a field has.
	code, body := post("wg,device=wg0 rx=1.5 1001\nwg,device=wg1 rx=9i 1001\n")
	if code != 422 || !strings.Contains(body, `already exists as type integer dropped=1`) {
		t.Errorf("conflict: %d %s", code, body)
	}
	if _, ok := r.Point("wg,device=wg1"); !ok || r.Lines() != 3 {
		t.Errorf("the good line of that batch is not there; %d lines", r.Lines())
	}
}

func TestBusyHours(t *testing.T) {
	r := newReceiver(func(c *Config) { c.BusyEvery, c.BusyFor = time.Minute, 10*time.Second })
	for after, want := range map[time.Duration]bool{0: false, 49 * time.Second: false, 50 * time.Second: true, 59 * time.Second: true, 61 * time.Second: false, 115 * time.Second: true} {
		if got := r.busy(r.began.Add(after)); got != want {
			t.Errorf("busy after %s = %t", after, got)
		}
	}
	r.began = time.Now().Add(-55 * time.Second)
	if err := r.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL()+"/api/v2/write?org=oriel&bucket=demo", strings.NewReader("m f=1\n"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Token t0k")
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "5" {
		t.Errorf("busy: %v, %v", resp, err)
	}
	_ = resp.Body.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// FuzzParse: what is taken can be written again and is the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"m,a=b f=1i,g=\"x\" 5\n", "wg,public_key=AAA\\= rx=1u\n", "m f=t\n# x\n", "m,a= f=1\n", "m\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		points, err := parse(body, lineprotocol.Nanosecond, time.Unix(0, 7))
		if err != nil {
			return
		}
		for _, p := range points {
			if p.Measurement == "" || len(p.Fields) == 0 || !strings.HasPrefix(p.series, p.Measurement) {
				t.Errorf("%q gives %+v", body, p)
			}
			for _, v := range p.Fields {
				if typeOf(v) == "string" {
					if _, ok := v.(string); !ok {
						t.Errorf("%q has a value of type %T", body, v)
					}
				}
			}
		}
	})
}
