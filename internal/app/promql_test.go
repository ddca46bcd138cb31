package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Another test of the package may have the flag already.
func init() {
	if flag.Lookup("update") == nil {
		flag.Bool("update", false, "write golden files")
	}
}

// promqlGolden compares what was printed with a file.
func promqlGolden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "promql", name+".golden")
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// promqlAnswer reads an answer of the HTTP API.
func promqlAnswer(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "promql", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// promqlServer answers every query with the body and notes what was asked.
func promqlServer(t *testing.T, status int, body string) (address string, asked *url.Values) {
	t.Helper()
	asked = new(url.Values)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		r.Form.Set("path", r.URL.Path)
		*asked = r.Form
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, asked
}

// promqlRun runs the command and returns what it printed.
func promqlRun(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := promqlCommand()
	var out, errs bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SilenceErrors = true
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

func promqlPrinted(stdout, stderr string) string {
	return "-- stdout --\n" + stdout + "-- stderr --\n" + stderr
}

func TestPromqlPrintsInstantAnswers(t *testing.T) {
	for _, tt := range []struct {
		answer, golden string
		args           []string // without an expression: x
	}{
		{"vector", "vector", nil},
		{"vector", "vector_sorted", []string{"--limit=2", "sort_desc(x)"}},
		{"vector", "vector_limit", []string{"--limit", "1"}},
		{"vector", "vector_json", []string{"-o", "json", "--limit", "1"}},
		{"names", "names", []string{"--limit", "0"}},
		{"one", "one", nil},
		{"controls", "controls", nil},
		{"controls", "controls_json", []string{"-o", "json"}},
		{"rawcontrols", "rawcontrols", nil},
		{"rawcontrols", "rawcontrols_json", []string{"-o", "json"}},
		{"scalar", "scalar", nil},
		{"scalar", "scalar_json", []string{"--output=json"}},
		{"string", "string", nil},
		{"empty", "empty", nil},
		{"empty", "empty_json", []string{"-o", "json"}},
		{"histogram", "histogram", nil},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			answer := promqlAnswer(t, tt.answer)
			address, asked := promqlServer(t, http.StatusOK, answer)
			args := append([]string{"--url", address}, tt.args...)
			if !strings.Contains(strings.Join(args, " "), "(x)") {
				args = append(args, "x")
			}
			stdout, stderr, err := promqlRun(t, args...)
			if err != nil {
				t.Fatal(err)
			}
			promqlGolden(t, tt.golden, promqlPrinted(stdout, stderr))
			if got := asked.Get("path"); got != "/api/v1/query" || asked.Has("time") || asked.Get("timeout") != "30s" {
				t.Errorf("asked %v", *asked)
			}
			if strings.HasSuffix(tt.golden, "_json") && tt.answer != "rawcontrols" {
				var sent, printed any
				var envelope struct{ Data any }
				if err := errors.Join(json.Unmarshal([]byte(answer), &envelope), json.Unmarshal([]byte(stdout), &printed)); err != nil {
					t.Fatal(err)
				}
				if sent = envelope.Data; !cmp.Equal(sent, printed) {
					t.Errorf("data changed: %s", cmp.Diff(sent, printed))
				}
			}
			for _, r := range stdout + stderr {
				if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 {
					t.Errorf("control character %U in the output", r)
				}
			}
		})
	}
}

func TestPromqlAsksWhatTheFlagsSay(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 5e8, time.UTC)
	unix := func(s int64) time.Time { return time.Unix(s, 0) }
	for _, tt := range []struct {
		name       string
		f          promqlFlags
		start, end time.Time
		step       time.Duration
		at         time.Time
		err        string
	}{
		{name: "now"},
		{name: "unix time", f: promqlFlags{at: "1795244400.25"}, at: time.UnixMilli(1795244400250)},
		{name: "RFC 3339 time", f: promqlFlags{at: "2026-11-21T09:00:00+01:00"}, at: now.Truncate(time.Second)},
		{name: "range", f: promqlFlags{window: "1h"}, start: unix(1795244400), end: unix(1795248000), step: 14 * time.Second},
		{name: "short range", f: promqlFlags{window: "90"}, start: unix(1795247910), end: unix(1795248000), step: time.Second},
		{name: "range and step", f: promqlFlags{window: "1d", step: "2.5"}, start: unix(1795161600), end: unix(1795248000), step: 2500 * time.Millisecond},
		{name: "range up to an end", f: promqlFlags{window: "1m", end: "1000"}, start: unix(940), end: unix(1000), step: time.Second},
		{name: "range from a start", f: promqlFlags{window: "1m", start: "1000"}, start: unix(1000), end: unix(1060), step: time.Second},
		{name: "start", f: promqlFlags{start: "1795244400", step: "1m"}, start: unix(1795244400), end: unix(1795248000), step: time.Minute},
		{name: "one point", f: promqlFlags{start: "1000", end: "1000"}, start: unix(1000), end: unix(1000), step: time.Second},
		{name: "bad time", f: promqlFlags{at: "yesterday\n"}, err: `--time "yesterday\n": want a time as 2006-01-02T15:04:05Z or Unix seconds`},
		{name: "no time", f: promqlFlags{start: "NaN"}, err: `--start "NaN": want a time as 2006-01-02T15:04:05Z or Unix seconds`},
		{name: "bad range", f: promqlFlags{window: "1y2x"}, err: `--range "1y2x": want a duration as 30s, 1h30m or 7d`},
		{name: "zero step", f: promqlFlags{window: "1h", step: "0"}, err: `--step "0": want a duration as 30s, 1h30m or 7d`},
		{name: "NaN step", f: promqlFlags{window: "1h", step: "NaN"}, err: `--step "NaN": want a duration as 30s, 1h30m or 7d`},
		{name: "end alone", f: promqlFlags{end: "1000"}, err: "--end needs --range or --start"},
		{name: "step alone", f: promqlFlags{step: "1s"}, err: "--step needs --range or --start"},
		{name: "backwards", f: promqlFlags{start: "2000", end: "1000"}, err: `--start "2000" is after the end`},
		{name: "too much", f: promqlFlags{start: "1", end: "2", window: "3s"}, err: "--range, --start and --end together: two of them say it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, err := tt.f.query("up", now)
			if fmt.Sprint(err) != tt.err && (err != nil || tt.err != "") {
				t.Fatalf("error %v; want %q", err, tt.err)
			}
			if err != nil {
				return
			}
			if !q.at.Equal(tt.at) || !q.over.Start.Equal(tt.start) || !q.over.End.Equal(tt.end) || q.over.Step != tt.step {
				t.Errorf("query = %+v", q)
			}
		})
	}
	if _, err := (&promqlFlags{}).query(" ", now); err == nil {
		t.Error("an empty expression has no error")
	}
}

func TestPromqlSendsRangeAndTakesURLFromEnvironment(t *testing.T) {
	address, asked := promqlServer(t, http.StatusOK, promqlAnswer(t, "matrix"))
	t.Setenv("ORIEL_URL", address+"/prefix/")
	if _, _, err := promqlRun(t, "--start", "1795244400", "--end=1795248000", "--timeout=5s", "rate(up[5m])"); err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"path": {"/prefix/api/v1/query_range"}, "query": {"rate(up[5m])"}, "start": {"1795244400"},
		"end": {"1795248000"}, "step": {"14"}, "timeout": {"5s"},
	}
	if diff := cmp.Diff(want, *asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestPromqlErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   string // $URL stands for the server
	}{
		{
			"parse error", 400, promqlAnswer(t, "parse_error"),
			"promql: invalid parameter \"query\": 2:9: parse error: unexpected \"]\" in label matching, expected string\n" +
				"  sum(up) +\n  ü\\x1b{job=]\n            ^",
		},
		{
			"execution", 422, promqlAnswer(t, "exec_error"),
			"promql: found duplicate series for the match group {device=\"wg0\"} on the right hand-side of the operation: many-to-many matching not allowed: matching labels must be unique on one side\n" +
				"  sum(up) +\n  ü\\x1b{job=]",
		},
		{"timeout", 503, promqlAnswer(t, "timeout_error"), "promql: query timed out in expression evaluation\n  sum(up) +\n  ü\\x1b{job=]"},
		{"not JSON", 200, "<!DOCTYPE html>\n<html>\x1b[2J", `promql: $URL does not answer as Prometheus does: "<!DOCTYPE html>\n<html>\x1b[2J" of type "application/json"`},
		{"empty JSON", 200, "{}", `promql: $URL does not answer as Prometheus does: "{}" of type "application/json"`},
		{
			"another JSON", 200, `{"status":"success","data":{"resultType":"riddle","result":[]}}`,
			`promql: $URL does not answer as Prometheus does: "{\"status\":\"success\",\"data\":{\"resultType\":\"riddle\",\"result\":[]}}" of type "application/json"`,
		},
		{"unauthorized", 401, "Unauthorized\n", `promql: $URL: client error: 401: "Unauthorized"`},
		{"TLS wanted", 400, "Client sent an HTTP request to an HTTPS server.\n", `promql: $URL: client error: 400: "Client sent an HTTP request to an HTTPS server."`},
		{"broken gateway", 502, "", `promql: $URL: server error: 502: nothing`},
		{"long page", 500, strings.Repeat("x", 1000), `promql: $URL: server error: 500: "` + strings.Repeat("x", 120) + `"...`},
		{"error with status 200", 200, `{"status":"error","errorType":"bad_data","error":"odd"}`, "promql: odd\n  sum(up) +\n  ü\\x1b{job=]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, _ := promqlServer(t, tt.status, tt.body)
			stdout, _, err := promqlRun(t, "--url", address, "sum(up) +\nü\x1b{job=]")
			if want := strings.ReplaceAll(tt.want, "$URL", address); fmt.Sprint(err) != want {
				t.Errorf("error:\n%v\nwant:\n%s", err, want)
			}
			if stdout != "" {
				t.Errorf("stdout %q", stdout)
			}
		})
	}
}

func TestPromqlWithoutServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	l.Close()
	_, _, err = promqlRun(t, "--url", address, "up")
	want := "no server at " + address + `: start one with "oriel serve", or name it with --url`
	if fmt.Sprint(err) != want {
		t.Errorf("error %v; want %s", err, want)
	}
}

func TestPromqlGivesUpOnSilentServer(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(release)
	_, _, err := promqlRun(t, "--url", srv.URL, "--timeout=50ms", "up")
	if want := "promql: no answer from " + srv.URL + " within 50ms"; fmt.Sprint(err) != want {
		t.Errorf("error %v; want %s", err, want)
	}
}

func TestPromqlReadsBoundedAnswer(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat(" ", 1<<16)); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	c, err := newPromqlClient(srv.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.max = 1 << 20
	_, _, err = c.ask(context.Background(), promqlQuery{expr: "up"}, time.Minute)
	if want := "promql: the answer of " + srv.URL + " is larger than 1048576 bytes: ask for fewer series or a longer step"; fmt.Sprint(err) != want {
		t.Errorf("error %v; want %s", err, want)
	}
}

func TestPromqlUsesHTTPConfigFile(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ops" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		io.WriteString(w, promqlAnswer(t, "scalar"))
	}))
	defer srv.Close()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "http.yml"), filepath.Join(dir, "bad.yml")
	err := errors.Join(
		os.WriteFile(filepath.Join(dir, "password"), []byte("secret\n"), 0o600),
		os.WriteFile(good, []byte("basic_auth: {username: ops, password_file: password}\n"), 0o600),
		os.WriteFile(bad, []byte("basic_oath: {}\n"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	stdout, _, err := promqlRun(t, "--url", srv.URL, "--http.config.file", good, "x")
	if err != nil || stdout != "0.1\n" {
		t.Errorf("with the file: %q, %v", stdout, err)
	}
	for file, want := range map[string]string{
		bad:                            "field basic_oath not found",
		filepath.Join(dir, "none.yml"): `none.yml": no such file or directory`,
	} {
		if _, _, err := promqlRun(t, "--url", srv.URL, "--http.config.file", file, "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v; want %q in it", file, err, want)
		}
	}
}

func TestPromqlRefusesWrongCommandLines(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{}, "promql: want one expression, got 0 arguments: put it in quotes"},
		{[]string{"rate(x", "[5m])"}, "promql: want one expression, got 2 arguments: put it in quotes"},
		{[]string{"x", "-o", "yaml"}, `promql: --output "yaml": want table, json or plot`},
		{[]string{"x", "-o", "plot"}, "promql: a plot needs a time range: add --range 1h"},
		{[]string{"x", "--limit", "-1"}, "promql: --limit -1: want 0 or more"},
		{[]string{"x", "--timeout", "0s"}, "promql: --timeout 0s: want more than 0s"},
		{[]string{"x", "--url", "localhost:9190"}, "promql: --url: want an address as http://127.0.0.1:9190"},
		{[]string{"x", "--url", "http://u:hunter2@[::"}, "promql: --url: want an address as http://127.0.0.1:9190"},
		{[]string{"x", "--url", "http://u:p@h", "--http.config.file", "f"}, "promql: a user in --url and --http.config.file together: give one of them"},
	} {
		if _, _, err := promqlRun(t, tt.args...); fmt.Sprint(err) != tt.want {
			t.Errorf("%q: error %v; want %s", tt.args, err, tt.want)
		}
	}
	if _, _, err := promqlRun(t, "x", "--time", "1", "--range", "1h"); err == nil || !strings.Contains(err.Error(), "time") {
		t.Errorf("--time with --range: %v", err)
	}
}

func TestPromqlNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1795245987: "1795245987", 1795245987.123: "1795245987.123", 0.1: "0.1", -2.5: "-2.5",
		1e-6: "0.000001", 1.5e-7: "1.5e-07", 1e20: "100000000000000000000", 1e21: "1e+21",
	} {
		if got := promqlNumber(v); got != want {
			t.Errorf("promqlNumber(%g) = %s; want %s", v, got, want)
		}
	}
}

func FuzzPromqlAnswer(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "promql", "*.json"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, null := range []string{
		`"vector","result":[null]`, `"matrix","result":[null]`, `"matrix","result":null`, `"scalar","result":null`, `"string","result":null`,
		`"matrix","result":[{"metric":null,"values":[null],"histograms":[null]}]`, `"vector","result":[{"histogram":[1,{"buckets":[null]}]}]`,
		`"vector","result":[{"histogram":[1,null]}]`, `"matrix","result":[{"histograms":[[1,null]]}]`,
	} {
		f.Add([]byte(`{"status":"success","data":{"resultType":` + null + `}}`))
	}
	q := promqlQuery{expr: "x", ranged: true}
	q.over.Start, q.over.End, q.over.Step = time.Unix(1795244400, 0), time.Unix(1795248000, 0), 14*time.Second
	f.Fuzz(func(t *testing.T, body []byte) {
		c := &promqlClient{max: promqlMaxAnswer, url: "http://x"}
		c.http = &http.Client{Transport: promqlCanned(body)}
		base, err := newPromqlClient(promqlURL, "")
		if err != nil {
			t.Fatal(err)
		}
		c.Client = base.Client
		v, _, err := c.ask(t.Context(), q, time.Minute)
		if err != nil {
			return
		}
		var out bytes.Buffer
		_ = promqlTable(&out, io.Discard, v, false, 100, time.UTC)
		_ = promqlPlot(&out, io.Discard, v, q, promqlScreen{width: 80, zone: time.UTC})
		for _, r := range out.String() {
			if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 {
				t.Errorf("control character %U in the output", r)
			}
		}
		out.Reset()
		if err := c.writeData(&out); err == nil && !json.Valid(out.Bytes()) {
			t.Errorf("not JSON: %q", out.String())
		}
	})
}

// promqlCanned answers every request with itself.
type promqlCanned []byte

func (c promqlCanned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(c))}, nil
}
