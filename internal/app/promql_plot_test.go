package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
)

// promqlMatrix answers a range query of an hour from 1795244400 with functions of the minute.
func promqlMatrix(t *testing.T, series map[string]func(minute int) float64) string {
	t.Helper()
	var m model.Matrix
	for name, f := range series {
		s := &model.SampleStream{Metric: model.Metric{"__name__": "rate", "job": "wireguard", "name": model.LabelValue(name)}}
		for i := range 61 {
			if v := f(i); !math.IsNaN(v) { // Prometheus leaves out what is not there
				s.Values = append(s.Values, model.SamplePair{Timestamp: model.Time((1795244400 + 60*i) * 1000), Value: model.SampleValue(v)})
			}
		}
		m = append(m, s)
	}
	b, err := json.Marshal(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": m}})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPromqlDrawsRanges(t *testing.T) {
	sine := func(mean, swing float64) func(int) float64 {
		return func(i int) float64 { return mean + swing*math.Sin(float64(i)/8) }
	}
	constant := func(v float64) func(int) float64 { return func(int) float64 { return v } }
	many := map[string]func(int) float64{}
	for i := range 11 {
		many[fmt.Sprintf("peer %02d", i)] = sine(float64(i), 3)
	}
	for _, tt := range []struct {
		name   string
		series map[string]func(int) float64
		color  bool
		width  int
		output string // default plot
	}{
		{name: "one", series: map[string]func(int) float64{"Ana's laptop": sine(1000, 900)}, width: 80},
		{name: "two", series: map[string]func(int) float64{"a": sine(2e6, 1.4e6), "b\x1b[2J": sine(1e6, 2e5)}, width: 100},
		{name: "two_colored", series: map[string]func(int) float64{"a": sine(2, 1), "b": sine(1, .5)}, color: true, width: 60},
		{name: "many", series: many, width: 90},
		{name: "narrow", series: map[string]func(int) float64{"a": sine(5, 4)}, width: 12},
		{name: "constant", series: map[string]func(int) float64{"a": constant(42)}, width: 60},
		{name: "zero", series: map[string]func(int) float64{"a": constant(0)}, width: 60},
		{name: "gaps", width: 80, series: map[string]func(int) float64{"a": func(i int) float64 {
			if i/10%2 == 1 && i != 35 {
				return math.NaN()
			}
			return float64(i)
		}}},
		{name: "single", width: 60, series: map[string]func(int) float64{"a": func(i int) float64 {
			if i != 30 {
				return math.NaN()
			}
			return 7
		}}},
		{name: "infinite", width: 60, series: map[string]func(int) float64{"a": func(i int) float64 {
			return map[int]float64{0: math.Inf(1), 1: math.Inf(-1), 2: math.MaxFloat64, 3: -math.MaxFloat64}[i]
		}, "b": constant(math.Inf(1))}},
		{name: "timestamps", width: 80, series: map[string]func(int) float64{"a": func(i int) float64 { return float64(1795244400 + i/10*125) }}},
		{name: "small", width: 80, series: map[string]func(int) float64{"a": sine(2e-7, 1e-7)}},
		{name: "table", width: 80, output: "table", series: map[string]func(int) float64{"a": sine(5, 4), "b": constant(1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, _ := promqlServer(t, http.StatusOK, promqlMatrix(t, tt.series))
			f := promqlFlags{url: address, start: "1795244400", end: "1795248000", step: "1m", timeout: time.Minute, limit: 5, output: tt.output}
			var stdout, stderr bytes.Buffer
			screen := promqlScreen{terminal: true, color: tt.color, width: tt.width, zone: time.UTC}
			if err := f.run(t.Context(), "rate", &stdout, &stderr, screen); err != nil {
				t.Fatal(err)
			}
			promqlGolden(t, "plot_"+tt.name, promqlPrinted(stdout.String(), stderr.String()))
			if !tt.color && strings.Contains(stdout.String(), "\x1b") {
				t.Error("escape sequences without colour")
			}
			for line := range strings.Lines(stdout.String()) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); tt.width >= 60 && strings.ContainsAny(line, "┤┼└") && !tt.color && n > tt.width {
					t.Errorf("%d columns; the terminal has %d: %s", n, tt.width, line)
				}
			}
		})
	}
}

func TestPromqlDrawsWhatIsThere(t *testing.T) {
	for _, tt := range []struct{ answer, start, end, stderr string }{
		{"emptymatrix", "1795244400", "1795248000", "promql: no data\n"},
		{"matrix", "1795244400", "1795244400", ""}, // a range of one point
		{"matrix", "1000", "2000", ""},             // points elsewhere than asked
	} {
		address, _ := promqlServer(t, http.StatusOK, promqlAnswer(t, tt.answer))
		f := promqlFlags{url: address, start: tt.start, end: tt.end, timeout: time.Minute, output: "plot"}
		var stdout, stderr bytes.Buffer
		if err := f.run(t.Context(), "up", &stdout, &stderr, promqlScreen{width: 60, zone: time.UTC}); err != nil {
			t.Errorf("%s: %v", tt.answer, err)
		}
		if stderr.String() != tt.stderr {
			t.Errorf("%s: stderr %q; want %q", tt.answer, stderr.String(), tt.stderr)
		}
	}
}

func TestPromqlTabulatesRanges(t *testing.T) {
	address, _ := promqlServer(t, http.StatusOK, promqlAnswer(t, "matrix"))
	f := promqlFlags{url: address, window: "1h", timeout: time.Minute}
	var stdout, stderr bytes.Buffer
	if err := f.run(t.Context(), "up", &stdout, &stderr, promqlScreen{zone: time.UTC}); err != nil {
		t.Fatal(err)
	}
	promqlGolden(t, "matrix", promqlPrinted(stdout.String(), stderr.String()))
}

func TestPromqlAxisTellsRowsApart(t *testing.T) {
	for _, tt := range []struct {
		low, high, v float64
		want         string
	}{
		{0, 1500, 1500, "1.5k"},
		{0, 1500, 900, "900"},
		{0, 1500, 0, "0"},
		{0, 3.4e6, 3.4e6, "3.4M"},
		{-2, 2, -0.0001, "0"},
		{42, 42, 42, "42"},
		{1795244400, 1795244550, 1795244400, "1.79524440G"},
		{0, 2e-6, 1e-6, "1e-06"},
		{0, 1e30, 1e30, "1e+30"},
	} {
		if got := promqlAxis(tt.low, tt.high, 15)(tt.v); got != tt.want {
			t.Errorf("axis from %g to %g: %g is written %s; want %s", tt.low, tt.high, tt.v, got, tt.want)
		}
	}
}
