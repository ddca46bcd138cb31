package collector

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

var (
	desc  = prometheus.NewDesc("x_value", "A value.", []string{"from"}, nil)
	quiet = slog.New(slog.DiscardHandler)
)

func value(from string, v float64) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, from)
}

func good(from string) Collector {
	return Func(func(_ context.Context, ch chan<- prometheus.Metric) error {
		ch <- value(from, 1)
		return nil
	})
}

// page returns the text of a set without the durations, which differ each time.
func page(t *testing.T, s *Set) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.WriteText(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	var keep []string
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "oriel_collector_duration_seconds{") {
			keep = append(keep, line)
		}
	}
	return strings.Join(keep, "")
}

func TestBadCollectorCostsOnlyItsOwnSeries(t *testing.T) {
	partly := func(after func(context.Context) error) Collector {
		return Func(func(ctx context.Context, ch chan<- prometheus.Metric) error {
			ch <- value("bad", 2)
			return after(ctx)
		})
	}
	tests := map[string]func(context.Context) error{
		"fails":       func(context.Context) error { return errors.New("no") },
		"panics":      func(context.Context) error { panic("oops") },
		"hangs":       func(ctx context.Context) error { <-ctx.Done(); return nil },
		"ignores ctx": func(context.Context) error { time.Sleep(time.Hour); return nil },
	}
	const want = `# HELP oriel_collector_duration_seconds How long the collector's last call took.
# TYPE oriel_collector_duration_seconds gauge
# HELP oriel_collector_success Whether the collector's last call succeeded (1) or not (0).
# TYPE oriel_collector_success gauge
oriel_collector_success{collector="bad"} 0
oriel_collector_success{collector="good"} 1
# HELP x_value A value.
# TYPE x_value gauge
x_value{from="bad"} 2
x_value{from="good"} 1
`
	for name, after := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := NewSet(quiet, map[string]Collector{"good": good("good"), "bad": partly(after)})
				start := time.Now()
				if diff := cmp.Diff(want, page(t, s)); diff != "" {
					t.Errorf("page (-want +got):\n%s", diff)
				}
				if took := time.Since(start); took > defaultTimeout {
					t.Errorf("gather took %s; want at most %s", took, defaultTimeout)
				}
				time.Sleep(2 * time.Hour) // the one that ignores ctx ends too
			})
		})
	}
}

func TestStuckCollectorDoesNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		stuck := make(chan struct{})
		s := NewSet(quiet, map[string]Collector{"stuck": Func(func(context.Context, chan<- prometheus.Metric) error {
			calls.Add(1)
			<-stuck
			return nil
		})})
		for range 3 * maxCalls {
			page(t, s)
		}
		if n := calls.Load(); n != maxCalls {
			t.Errorf("%d calls under way; want %d", n, maxCalls)
		}
		close(stuck)
		synctest.Wait()
		page(t, s)
		if calls.Load() != maxCalls+1 {
			t.Errorf("a collector that came back was not called again")
		}
	})
}

func TestInconsistentMetricIsDroppedAlone(t *testing.T) {
	other := prometheus.NewDesc("x_value", "Another help.", []string{"from"}, nil)
	s := NewSet(quiet, map[string]Collector{
		"a": good("a"),
		"b": Func(func(_ context.Context, ch chan<- prometheus.Metric) error {
			ch <- value("a", 7) // the same series again
			ch <- value("b", 2)
			ch <- prometheus.MustNewConstMetric(other, prometheus.GaugeValue, 3, "c")
			ch <- prometheus.NewInvalidMetric(desc, errors.New("invalid"))
			return nil
		}),
	})
	got := page(t, s)
	for _, want := range []string{`x_value{from="b"} 2`, `oriel_collector_success{collector="a"} 1`} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("page lacks %s:\n%s", want, got)
		}
	}
	if n := strings.Count(got, `x_value{from="a"}`); n != 1 {
		t.Errorf("series a appears %d times; want 1:\n%s", n, got)
	}
}

func wide(name string, n int) *Family {
	return &Family{Name: name, Help: "Many.\nTwo \\ lines.", Type: dto.MetricType_COUNTER, Series: func(yield func(Labels, float64) bool) {
		for i := range n {
			if !yield(FormatLabels("i", fmt.Sprint(i), "odd", "a\\b\"c\nd\xff"), float64(i)+0.5) {
				return
			}
		}
	}}
}

func send(ms ...prometheus.Metric) Collector {
	return Func(func(_ context.Context, ch chan<- prometheus.Metric) error {
		for _, m := range ms {
			ch <- m
		}
		return nil
	})
}

func TestFamilyReadsBackAsWritten(t *testing.T) {
	for _, kind := range []dto.MetricType{dto.MetricType_COUNTER, dto.MetricType_GAUGE, dto.MetricType_UNTYPED} {
		t.Run(kind.String(), func(t *testing.T) {
			f := wide("wide_total", 3)
			f.Type = kind
			s := NewSet(quiet, map[string]Collector{"w": send(f)})
			var b bytes.Buffer
			if err := s.WriteText(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
			parser := expfmt.NewTextParser(model.LegacyValidation)
			mfs, err := parser.TextToMetricFamilies(&b)
			if err != nil {
				t.Fatal(err)
			}
			gathered, err := s.Gather()
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, mf := range gathered {
				if mf.GetName() != "wide_total" {
					continue
				}
				found = true
				if got, want := mf.String(), mfs["wide_total"].String(); got != want || mf.GetType() != kind {
					t.Errorf("Gather and the page differ:\n%s\n%s", got, want)
				}
				if n := len(mf.Metric); n != 3 {
					t.Fatalf("%d series; want 3", n)
				}
				if got, want := mf.Metric[1].Label[1].GetValue(), "a\\b\"c\nd\uFFFD"; got != want {
					t.Errorf("label = %q; want %q", got, want)
				}
			}
			if !found {
				t.Error("the family is not gathered")
			}
		})
	}
}

func TestFamiliesOfTwoCollectorsShareOneHeader(t *testing.T) {
	gauge := wide("x_value", 1)
	gauge.Type = dto.MetricType_GAUGE
	s := NewSet(quiet, map[string]Collector{"a": good("a"), "b": send(gauge), "c": send(wide("w", 1)), "d": send(wide("w", 1))})
	got := page(t, s)
	if n := strings.Count(got, "# TYPE x_value"); n != 1 {
		t.Errorf("x_value has %d headers; want 1:\n%s", n, got)
	}
	if n := strings.Count(got, "# TYPE w "); n != 1 {
		t.Errorf("w has %d headers; want 1:\n%s", n, got)
	}
}

func TestAppendSeries(t *testing.T) {
	for v, want := range map[float64]string{
		0: "m 0\n", 1.5: "m 1.5\n", 1763700000: "m 1763700000\n", -3: "m -3\n",
		math.Inf(1): "m +Inf\n", math.Inf(-1): "m -Inf\n", 1e300: "m 1e+300\n",
	} {
		if got := string(appendSeries(nil, "m", "", v)); got != want {
			t.Errorf("appendSeries(%v) = %q; want %q", v, got, want)
		}
	}
	if got := string(appendSeries(nil, "m", `a="b"`, math.NaN())); got != "m{a=\"b\"} NaN\n" {
		t.Errorf("appendSeries(NaN) = %q", got)
	}
}

func TestSeriesIsWrittenWithoutAllocation(t *testing.T) {
	b := make([]byte, 0, 256)
	labels := FormatLabels("device", "wg0")
	if n := testing.AllocsPerRun(100, func() { b = appendSeries(b[:0], "m", labels, 1.25) }); n != 0 {
		t.Errorf("%v allocations a series; want 0", n)
	}
}

func FuzzLabels(f *testing.F) {
	f.Add("plain")
	f.Add("quote\" back\\slash\nnewline")
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, v string) {
		pairs, err := FormatLabels("a", v, "b", v).pairs()
		if err != nil {
			t.Fatal(err)
		}
		want := strings.ToValidUTF8(v, "\uFFFD")
		if len(pairs) != 2 || pairs[0].GetValue() != want || pairs[1].GetValue() != want {
			t.Errorf("FormatLabels(%q) reads back as %v", v, pairs)
		}
		line := append(appendSeries(nil, "m", FormatLabels("a", v), 1), '\n')
		p := expfmt.NewTextParser(model.LegacyValidation)
		if _, err := p.TextToMetricFamilies(bytes.NewReader(line)); err != nil {
			t.Errorf("line %q: %v", line, err)
		}
	})
}

func TestServeHTTP(t *testing.T) {
	s := NewSet(quiet, map[string]Collector{"a": good("a")})
	get := func(remote string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.RemoteAddr = remote
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	near := get("127.0.0.1:4")
	if ct := near.Header().Get("Content-Type"); !strings.Contains(ct, "version=0.0.4") {
		t.Errorf("content type = %q; want version=0.0.4", ct)
	}
	if near.Header().Get("Content-Encoding") != "" {
		t.Error("compressed for a client on this machine")
	}
	far := get("192.0.2.7:4")
	gz, err := gzip.NewReader(far.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(gz)
	if err != nil || !strings.Contains(string(text), `x_value{from="a"} 1`) {
		t.Errorf("compressed page = %q, %v", text, err)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/metrics", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST = %d; want 405", w.Code)
	}
}

func TestScrapersTimeoutIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet(quiet, map[string]Collector{"slow": Func(func(ctx context.Context, _ chan<- prometheus.Metric) error {
			<-ctx.Done()
			return ctx.Err()
		})})
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "2")
		start := time.Now()
		s.ServeHTTP(httptest.NewRecorder(), r)
		if took := time.Since(start); took != 1800*time.Millisecond {
			t.Errorf("answered after %s; want 1.8s", took)
		}
	})
}

func TestOnly(t *testing.T) {
	s := NewSet(quiet, map[string]Collector{"a": good("a"), "b": good("b")})
	one, ok := s.Only("b")
	if !ok || strings.Contains(page(t, one), `from="a"`) || !strings.Contains(page(t, one), `from="b"`) {
		t.Errorf("Only(b) = %v, %v", one.Names(), ok)
	}
	if _, ok := s.Only("c"); ok {
		t.Error("Only(c) found something")
	}
}

func BenchmarkWrite100kSeries(b *testing.B) {
	s := NewSet(quiet, map[string]Collector{"w": send(&Family{Name: "wide_total", Help: "Many.", Type: dto.MetricType_COUNTER, Series: func(yield func(Labels, float64) bool) {
		for i := range 100_000 {
			if !yield(`device="wg0",public_key="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`, float64(i)) {
				return
			}
		}
	}})})
	b.ReportAllocs()
	for b.Loop() {
		if err := s.WriteText(b.Context(), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
