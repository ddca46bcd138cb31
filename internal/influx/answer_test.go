package influx

import (
	"net/http"
	"testing"
	"time"
)

func TestClassifyIsTelegrafsTable(t *testing.T) {
	const lines = 10
	tests := []struct {
		name    string
		version int
		status  int
		header  string // Retry-After
		body    string
		attempt int
		verdict verdict
		result  string
		dropped int
		wait    time.Duration
	}{
		{"stored", 1, 204, "", "", 1, delivered, "delivered", 0, 0},
		{"stored with a body", 2, 200, "", "{}", 1, delivered, "delivered", 0, 0},
		{"conflict of types", 1, 400, "", `{"error":"partial write: field type conflict: input field \"x\" on measurement \"m\" is type float, already exists as type integer dropped=3"}`, 1, delivered, "partial", 3, 0},
		{"one line does not parse", 1, 400, "", `{"error":"unable to parse 'm x=': missing field value"}`, 1, delivered, "partial", 1, 0},
		{"no line was stored", 1, 400, "", `{"error":"partial write: points beyond retention policy dropped=10"}`, 1, rejected, "rejected", 0, 0},
		{"malformed", 2, 400, "", `{"code":"invalid","message":"unable to parse 'm x=': missing field value"}`, 1, rejected, "rejected", 0, 0},
		{"partial of version 2", 2, 422, "", `{"code":"unprocessable entity","message":"failure writing points to database: partial write: field type conflict dropped=2"}`, 1, delivered, "partial", 2, 0},
		{"unprocessable", 2, 422, "", `{"message":"no"}`, 1, rejected, "rejected", 0, 0},
		{"not acceptable", 2, 406, "", ``, 1, rejected, "rejected", 0, 0},
		{"any other 4xx", 2, 404, "", `{"message":"bucket \"x\" not found"}`, 1, rejected, "rejected", 0, 0},
		{"partial of version 3", 3, 400, "", `{"error":"partial write of line protocol occurred","data":[{"error_message":"x","line_number":2,"original_line":"y"}]}`, 1, delivered, "partial", 1, 0},
		{"all bad of version 3", 3, 400, "", `{"error":"parsing failed","data":[1,2,3,4,5,6,7,8,9,10]}`, 1, rejected, "rejected", 0, 0},
		{"no database", 1, 404, "", `{"error":"database not found: \"x\""}`, 1, create, "no_database", 0, time.Second / 40},
		{"too large", 2, 413, "", "", 1, split, "too_large", 0, 0},
		{"unauthorized", 2, 401, "", `{"message":"unauthorized access"}`, 1, keep, "unauthorized", 0, time.Second / 40},
		{"forbidden", 1, 403, "", ``, 2, keep, "unauthorized", 0, time.Second / 10},
		{"asked to wait", 2, 429, "30", ``, 1, keep, "overloaded", 0, 30 * time.Second},
		{"asked to wait for too long", 2, 429, "86400", ``, 1, keep, "overloaded", 0, 10 * time.Minute},
		{"asked to wait in odd words", 2, 503, "Fri, 31 Dec 1999 23:59:59 GMT", ``, 1, keep, "overloaded", 0, 10 * time.Second},
		{"asked to wait for NaN", 2, 503, "NaN", ``, 1, keep, "overloaded", 0, 10 * time.Second},
		{"asked to wait less than we would", 2, 503, "-1", ``, 20, keep, "overloaded", 0, 10 * time.Second},
		{"overloaded for long", 3, 503, "", ``, 1 << 40, keep, "overloaded", 0, time.Minute},
		{"gateway", 1, 502, "", `<html>`, 49, keep, "overloaded", 0, time.Minute},
		{"gateway timeout", 1, 504, "", ``, 10, keep, "overloaded", 0, 2500 * time.Millisecond},
		{"server error", 2, 500, "", `{"message":"internal"}`, 2, keep, "server_error", 0, time.Second / 10},
		{"redirect", 2, 302, "", ``, 2, keep, "redirected", 0, time.Second / 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			if tt.header != "" {
				h.Set("Retry-After", tt.header)
			}
			a := classify(tt.version, tt.status, h, []byte(tt.body), lines, tt.attempt)
			if a.verdict != tt.verdict || a.result != tt.result || a.dropped != tt.dropped || a.wait != tt.wait {
				t.Errorf("classify = verdict %d, %s, dropped %d, wait %s; want %d, %s, %d, %s",
					a.verdict, a.result, a.dropped, a.wait, tt.verdict, tt.result, tt.dropped, tt.wait)
			}
		})
	}
}

// FuzzClassify: no answer, however odd, makes us wait longer than ten minutes,
// drop more than the batch, or use a label of its own making.
func FuzzClassify(f *testing.F) {
	f.Add(1, 400, "1e400", []byte(`{"error":"dropped=99999999999999999999"}`), 3)
	f.Add(3, 400, "", []byte(`{"error":"partial","data":[{},{}]}`), 10)
	f.Add(2, 429, "-1e308", []byte("unable to parse unable to parse"), 1)
	known := map[string]bool{}
	for _, r := range results {
		known[r] = true
	}
	f.Fuzz(func(t *testing.T, version, status int, retryAfter string, body []byte, lines int) {
		lines = 1 + lines&0xffff
		a := classify(version, status, http.Header{"Retry-After": {retryAfter}}, body, lines, 1)
		if a.wait < 0 || a.wait > maxRetryAfter || a.dropped < 0 || a.dropped > lines || !known[a.result] {
			t.Errorf("classify = %+v", a)
		}
		if a.verdict == delivered && a.dropped == lines {
			t.Errorf("all lines dropped, and yet delivered: %+v", a)
		}
	})
}
