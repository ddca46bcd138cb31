package influx

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strings"
	"sync"
	"testing"
)

// server is InfluxDB's write API of one version, strict: what a real server
// would refuse or only some versions take makes the test fail or the line be refused.
type server struct {
	*httptest.Server
	t       testing.TB
	version int

	mu       sync.Mutex
	points   map[string]map[string]any // series and time -> fields
	types    map[string]string         // measurement and field -> type
	requests int
	largest  int
	limit    int                                               // bytes of an unpacked body; 0: no limit
	answer   func(w http.ResponseWriter, r *http.Request) bool // true: has answered
	missing  bool                                              // the database of version 1
	created  string
}

const testToken = "t0p-secret-token"

func newServer(t testing.TB, version int) *server {
	s := &server{t: t, version: version, points: map[string]map[string]any{}, types: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// output is the configuration of an output to this server.
func (s *server) output() Output {
	o := DefaultOutput()
	o.Name, o.URL, o.Version = fmt.Sprintf("v%d", s.version), s.URL, s.version
	switch s.version {
	case 1:
		o.Database, o.Username, o.Password = "telegraf", "oriel", testToken
	case 2:
		o.Organization, o.Bucket, o.Token = "org", "bucket", testToken
	case 3:
		o.Database, o.Token = "telegraf", testToken
	}
	return o
}

func (s *server) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *server) count() (points, requests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.points), s.requests
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version == 1 && r.URL.Path == "/query" {
		s.created = r.FormValue("q")
		s.missing = false
		_, _ = io.WriteString(w, `{"results":[{"statement_id":0}]}`)
		return
	}
	s.requests++
	if s.answer != nil && s.answer(w, r) {
		return
	}
	want := map[int]struct {
		path, auth string
		query      url.Values
	}{
		1: {"/write", "Basic b3JpZWw6dDBwLXNlY3JldC10b2tlbg==", url.Values{"db": {"telegraf"}, "precision": {"ns"}}},
		2: {"/api/v2/write", "Token " + testToken, url.Values{"org": {"org"}, "bucket": {"bucket"}, "precision": {"ns"}}},
		3: {"/api/v3/write_lp", "Bearer " + testToken, url.Values{"db": {"telegraf"}, "precision": {"nanosecond"}, "accept_partial": {"true"}}},
	}[s.version]
	if r.Method != http.MethodPost || r.URL.Path != want.path || r.URL.Query().Encode() != want.query.Encode() {
		s.t.Errorf("version %d: %s %s; want POST %s?%s", s.version, r.Method, r.URL, want.path, want.query.Encode())
	}
	if got := r.Header.Get("Authorization"); got != want.auth {
		s.fail(w, http.StatusUnauthorized, "unauthorized access")
		return
	}
	s.write(w, r)
}

func (s *server) write(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		var zr *gzip.Reader
		if zr, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(zr)
		}
	}
	if err != nil {
		s.t.Errorf("body: %v", err)
		s.fail(w, http.StatusBadRequest, "body")
		return
	}
	s.largest = max(s.largest, len(body))
	if s.limit > 0 && len(body) > s.limit {
		s.fail(w, http.StatusRequestEntityTooLarge, "too large")
		return
	}
	if s.missing {
		s.fail(w, http.StatusNotFound, `database not found: "telegraf"`)
		return
	}
	lines, err := tryDecode(body)
	if err != nil || len(lines) == 0 {
		s.t.Errorf("lines: %v in\n%s", err, body)
		s.fail(w, http.StatusBadRequest, "unable to parse")
		return
	}
	var bad []int
	for i, l := range lines {
		if !s.store(l) {
			bad = append(bad, i+1)
		}
	}
	if len(bad) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.refuse(w, bad)
}

// store keeps a point unless a field of it has another type than before.
func (s *server) store(l line) bool {
	for k, v := range l.fields {
		name := l.measurement + "\x00" + k
		if t := fmt.Sprintf("%T", v); s.types[name] == "" {
			s.types[name] = t
		} else if s.types[name] != t {
			return false
		}
	}
	keys := make([]string, 0, len(l.tags))
	for k, v := range l.tags {
		keys = append(keys, k+"="+v)
	}
	sort.Strings(keys)
	key := fmt.Sprintf("%s,%s %d", l.measurement, strings.Join(keys, ","), l.at)
	if s.points[key] == nil {
		s.points[key] = map[string]any{}
	}
	maps.Copy(s.points[key], l.fields)
	return true
}

func (s *server) refuse(w http.ResponseWriter, bad []int) {
	if s.version != 3 {
		s.fail(w, http.StatusBadRequest, fmt.Sprintf("partial write: field type conflict: input field \"x\" on measurement \"y\" is type float, already exists as type integer dropped=%d", len(bad)))
		return
	}
	var data []map[string]any
	for _, n := range bad {
		data = append(data, map[string]any{"error_message": "invalid column type", "line_number": n, "original_line": "..."})
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": "partial write of line protocol occurred", "data": data})
}

func (s *server) fail(w http.ResponseWriter, status int, text string) {
	key := "error"
	if s.version == 2 {
		key = "message"
	}
	if s.version == 1 {
		w.Header().Set("X-Influxdb-Error", text)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{key: text})
}
