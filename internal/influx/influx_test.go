package influx

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/orielhq/oriel/internal/collector"
	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/proctest"
)

var quiet = slog.New(slog.DiscardHandler)

// config pushes every 100 ms, to the outputs.
func config(t testing.TB, outputs ...Output) Config {
	c := Default()
	c.Interval, c.BufferDir, c.Host, c.Outputs = conf.Duration(100*time.Millisecond), t.TempDir(), "h", outputs
	return c
}

// devices returns a source of one device with n peers, which grow at each reading.
func devices(n int) (func(context.Context) ([]Device, error), *atomic.Int64) {
	var reads atomic.Int64
	return func(context.Context) ([]Device, error) {
		at := uint64(reads.Add(1))
		d := Device{Name: "wg0", Type: "userspace", ListenPort: 51820, Peers: make([]Peer, n)}
		for i := range d.Peers {
			d.Peers[i] = Peer{PublicKey: proctest.PeerKey(i), ProtocolVersion: 1, ReceiveBytes: at, LastHandshake: time.Unix(1763700000, 0)}
		}
		return []Device{d}, nil
	}, &reads
}

func newTest(t testing.TB, cfg Config, from Sources, log *slog.Logger) *Pusher {
	t.Helper()
	p, err := New(cfg, from, log)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// start runs the pusher and returns what stops it.
func start(t testing.TB, p *Pusher) (stop func()) {
	t.Helper()
	if err := p.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return proctest.Run(t, p.Run)
}

func page(t testing.TB, p *Pusher) string {
	t.Helper()
	var b bytes.Buffer
	if err := collector.NewSet(quiet, map[string]collector.Collector{"influx": p}).WriteText(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// value returns a series' value from the page.
func value(t testing.TB, p *Pusher, series string) string {
	t.Helper()
	for l := range strings.Lines(page(t, p)) {
		if v, ok := strings.CutPrefix(l, series+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	t.Fatalf("no series %s on the page", series)
	return ""
}

func TestAllVersionsGetTheSamePoints(t *testing.T) {
	servers := []*server{newServer(t, 1), newServer(t, 2), newServer(t, 3)}
	var outputs []Output
	for _, s := range servers {
		outputs = append(outputs, s.output())
	}
	outputs[2].Gzip = false
	source, _ := devices(25)
	cfg := config(t, outputs...)
	cfg.BatchSize = 10
	p := newTest(t, cfg, Sources{Devices: source}, quiet)
	stop := start(t, p)
	for _, s := range servers {
		proctest.Eventually(t, 10*time.Second, func() (bool, string) {
			n, requests := s.count()
			return n >= 52, fmt.Sprintf("version %d: %d points, %d requests", s.version, n, requests)
		})
	}
	stop()
	for _, s := range servers {
		for key, fields := range s.points {
			if strings.HasPrefix(key, "wireguard_device,host=h,name=wg0,type=userspace ") {
				if fields["peers"] != int64(25) || fields["listen_port"] != int64(51820) || fields["firewall_mark"] != int64(0) {
					t.Errorf("%s: %v", key, fields)
				}
			} else if !strings.HasPrefix(key, "wireguard_peer,device=wg0,host=h,public_key=") || fields["protocol_version"] != int64(1) {
				t.Errorf("%s: %v", key, fields)
			}
		}
	}
}

func TestOutageLosesNothing(t *testing.T) {
	s := newServer(t, 2)
	s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		s.fail(w, http.StatusInternalServerError, "no")
		return true
	}
	source, reads := devices(3)
	cfg := config(t, s.output())
	p := newTest(t, cfg, Sources{Devices: source}, quiet)
	stop := start(t, p)
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { return reads.Load() >= 4, "reads" })
	stop()
	read := int(reads.Load()) // all of them were put: Run ends a gather that it began
	if n, _ := s.count(); n != 0 {
		t.Fatalf("%d points in spite of the outage", n)
	}
	// A new run, whose own readings do not come in time, sends what the first one left.
	cfg.Interval = conf.Duration(time.Hour)
	s.set(func() { s.answer = nil })
	p = newTest(t, cfg, Sources{Devices: source}, quiet)
	start(t, p)
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		n, _ := s.count()
		return n == 4*read, fmt.Sprintf("%d points; want %d", n, 4*read)
	})
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		v := value(t, p, `oriel_influx_written_lines_total{output="v2"}`)
		return v == fmt.Sprint(4*read), v + " lines written"
	})
	if v := value(t, p, `oriel_influx_buffer_lines{output="v2"}`); v != "0" {
		t.Errorf("%s lines are left in the buffer", v)
	}
}

// once pushes a single gather and waits for its end.
func once(t testing.TB, cfg Config, from Sources, log *slog.Logger) *Pusher {
	t.Helper()
	p := newTest(t, cfg, from, log)
	p.cfg.Interval = conf.Duration(time.Hour)
	if err := p.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.gather(t.Context(), time.Unix(1763700000, 0))
	proctest.Run(t, p.Run)
	return p
}

func drained(t testing.TB, p *Pusher) {
	t.Helper()
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		for _, o := range p.outputs {
			if _, lines := o.buffer.size(); lines > 0 {
				return false, fmt.Sprintf("output %s: %d lines wait", o.cfg.Name, lines)
			}
		}
		return true, ""
	})
}

func TestTooLargeIsSplit(t *testing.T) {
	s := newServer(t, 2)
	s.limit = 1000
	source, _ := devices(99)
	d, _ := source(t.Context())
	d[0].Peers[7].AllowedIPs = manyIPs(100)
	p := once(t, config(t, s.output()), Sources{Devices: func(context.Context) ([]Device, error) { return d, nil }}, quiet)
	drained(t, p)
	if n, _ := s.count(); n != 99 {
		t.Errorf("%d points; want 99, all but the one that is too large by itself", n)
	}
	if v := value(t, p, `oriel_influx_dropped_lines_total{output="v2",reason="too_large"}`); v != "1" {
		t.Errorf("%s lines dropped as too large; want 1", v)
	}
	if v := value(t, p, `oriel_influx_written_lines_total{output="v2"}`); v != "99" {
		t.Errorf("%s lines written; want 99", v)
	}
}

func TestPartialWriteCostsTheBadLines(t *testing.T) {
	for _, version := range []int{1, 3} {
		s := newServer(t, version)
		s.types["wireguard_device\x00peers"] = "float64" // somebody else wrote it so before
		source, _ := devices(9)
		p := once(t, config(t, s.output()), Sources{Devices: source}, quiet)
		drained(t, p)
		out := fmt.Sprintf(`{output="v%d"}`, version)
		if v := value(t, p, `oriel_influx_written_lines_total`+out); v != "9" {
			t.Errorf("version %d: %s lines written; want 9", version, v)
		}
		if v := value(t, p, fmt.Sprintf(`oriel_influx_dropped_lines_total{output="v%d",reason="rejected"}`, version)); v != "1" {
			t.Errorf("version %d: %s lines dropped; want 1", version, v)
		}
	}
}

func TestMissingDatabaseIsCreated(t *testing.T) {
	s := newServer(t, 1)
	s.missing = true
	source, _ := devices(1)
	p := once(t, config(t, s.output()), Sources{Devices: source}, quiet)
	drained(t, p)
	if n, _ := s.count(); n != 2 || s.created != `CREATE DATABASE "telegraf"` {
		t.Errorf("%d points, query %q; want 2 after the database was made", n, s.created)
	}

	s = newServer(t, 1)
	s.missing = true
	o := s.output()
	o.SkipDatabaseCreation = true
	p = once(t, config(t, o), Sources{Devices: source}, quiet)
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { _, n := s.count(); return n >= 2, "no second try" })
	if s.set(func() {}); s.created != "" {
		t.Errorf("query %q; want none", s.created)
	}
	if _, lines := p.outputs[0].buffer.size(); lines != 2 {
		t.Errorf("%d lines wait; want 2", lines)
	}
}

func TestWrongTokenKeepsLinesUntilItIsRight(t *testing.T) {
	s := newServer(t, 2)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := s.output()
	o.Token, o.TokenFile = "", file
	source, _ := devices(1)
	p := once(t, config(t, o), Sources{Devices: source}, quiet)
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { _, n := s.count(); return n >= 2, "no second try" })
	if err := os.WriteFile(file, []byte(testToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	drained(t, p)
	if n, _ := s.count(); n != 2 {
		t.Errorf("%d points; want 2", n)
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	s := newServer(t, 2)
	var first, second time.Time
	s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		if first.IsZero() {
			first = time.Now()
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}
		second = time.Now()
		return false
	}
	source, _ := devices(1)
	p := once(t, config(t, s.output()), Sources{Devices: source}, quiet)
	drained(t, p)
	s.set(func() {
		if wait := second.Sub(first); wait < 990*time.Millisecond {
			t.Errorf("the second try came after %s; want a second", wait)
		}
	})
}

func TestRedirectIsNotFollowed(t *testing.T) {
	other := newServer(t, 2)
	s := newServer(t, 2)
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		return true
	}
	source, _ := devices(1)
	once(t, config(t, s.output()), Sources{Devices: source}, quiet)
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { _, n := s.count(); return n >= 2, "no second try" })
	if _, n := other.count(); n != 0 {
		t.Errorf("%d requests went elsewhere, with the token", n)
	}
}

func TestCorruptBatchCostsItself(t *testing.T) {
	s := newServer(t, 2)
	source, _ := devices(19)
	cfg := config(t, s.output())
	cfg.BatchSize = 10
	p := newTest(t, cfg, Sources{Devices: source}, quiet)
	if err := p.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.gather(t.Context(), time.Unix(1763700000, 0))
	p.outputs[0].close()
	files, _ := filepath.Glob(filepath.Join(cfg.BufferDir, "v2", "*.gz"))
	if len(files) != 2 {
		t.Fatalf("files %q; want two", files)
	}
	data, _ := os.ReadFile(files[0])
	data[len(data)/2] ^= 0xff
	if err := os.WriteFile(files[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Interval = conf.Duration(time.Hour)
	p = newTest(t, cfg, Sources{Devices: source}, quiet)
	start(t, p)
	drained(t, p)
	if n, _ := s.count(); n != 10 {
		t.Errorf("%d points; want the 10 of the other batch", n)
	}
	if v := value(t, p, `oriel_influx_dropped_lines_total{output="v2",reason="corrupt"}`); v != "10" {
		t.Errorf("%s lines counted as corrupt; want 10", v)
	}
}

func TestFullBufferDropsOldestAndCounts(t *testing.T) {
	s := newServer(t, 2)
	s.answer = func(w http.ResponseWriter, _ *http.Request) bool { s.fail(w, 500, "no"); return true }
	source, _ := devices(1)
	cfg := config(t, s.output())
	cfg.BufferSize = minBuffer // 16 files
	p := newTest(t, cfg, Sources{Devices: source}, quiet)
	if err := p.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer p.outputs[0].close()
	for i := range 20 {
		p.gather(t.Context(), time.Unix(int64(i), 0))
	}
	if v := value(t, p, `oriel_influx_dropped_lines_total{output="v2",reason="buffer_full"}`); v != "8" {
		t.Errorf("%s lines dropped; want 8", v)
	}
	if v := value(t, p, `oriel_influx_buffer_lines{output="v2"}`); v != "32" {
		t.Errorf("%s lines wait; want 32", v)
	}
}

// TestSecretsStayInside: neither the log, at its most talkative, nor the metrics nor an error has a secret.
func TestSecretsStayInside(t *testing.T) {
	var log syncBuffer
	talkative := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := newServer(t, 1)
	s.answer = func(w http.ResponseWriter, _ *http.Request) bool { s.fail(w, 403, "no"); return true }
	o := s.output()
	gone := newServer(t, 2)
	o2 := gone.output()
	gone.Close()
	source, _ := devices(1)
	cfg := config(t, o, o2)
	p := once(t, cfg, Sources{Devices: source}, talkative)
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		return strings.Contains(log.String(), "output=v1") && strings.Contains(log.String(), "output=v2"), log.String()
	})
	shown := log.String() + page(t, p) + fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg.Outputs)
	if strings.Contains(shown, testToken) {
		t.Errorf("a secret is shown:\n%s", shown)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestMetricsPage(t *testing.T) {
	s := newServer(t, 2)
	source, _ := devices(3)
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "x", Help: "X."}, func() float64 { return 1 }))
	cfg := config(t, s.output())
	cfg.Metrics = true
	p := once(t, cfg, Sources{Devices: source, Metrics: reg}, quiet)
	drained(t, p)
	if n, _ := s.count(); n != 5 {
		t.Errorf("%d points; want 5", n)
	}
	got := page(t, p)
	proctest.Lint(t, []byte(got))
	for _, blur := range []string{
		`oriel_influx_request_duration_seconds_\w+\{.*\}`, `oriel_influx_last_success_timestamp_seconds\{.*\}`,
		`oriel_influx_sent_bytes_total\{.*\}`, `oriel_collector_duration_seconds\{.*\}`,
	} {
		got = regexp.MustCompile(`(?m)^(`+blur+`) .*$`).ReplaceAllString(got, "$1 1")
	}
	proctest.Golden(t, "testdata/metrics.prom", []byte(got))
}

// BenchmarkPush is a reading of 10,000 peers until the server has it all. The
// server only reads: its time is not ours, though it is in the figure.
func BenchmarkPush(b *testing.B) {
	s := newServer(b, 2)
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	source, _ := devices(10_000)
	d, _ := source(b.Context())
	for i := range d[0].Peers {
		d[0].Peers[i].AllowedIPs = manyIPs(2)
	}
	cfg := config(b, s.output())
	p := once(b, cfg, Sources{Devices: func(context.Context) ([]Device, error) { return d, nil }}, quiet)
	drained(b, p)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		before := cpu(b)
		p.gather(b.Context(), time.Unix(int64(i), 0))
		drained(b, p)
		b.ReportMetric((cpu(b)-before).Seconds()*1000, "cpu-ms/push")
	}
}
