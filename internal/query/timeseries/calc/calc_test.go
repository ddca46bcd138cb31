package calc

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Right answers are from numpy 2.4, scipy 1.17 and statsmodels 0.15, unless
// they can be worked out by hand.

// nile is the flow of the Nile at Aswan from 1871 on.
var nile = []float64{1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140, 1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969, 831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759, 781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890, 744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740}

// air are the passengers of international airlines of each month from 1949 to 1960, in thousands.
var air = []float64{112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118, 115, 126, 141, 135, 125, 149, 170, 170, 158, 133, 114, 140, 145, 150, 178, 163, 172, 178, 199, 199, 184, 162, 146, 166, 171, 180, 193, 181, 183, 218, 230, 242, 209, 191, 172, 194, 196, 196, 236, 235, 229, 243, 264, 272, 237, 211, 180, 201, 204, 188, 235, 227, 234, 264, 302, 293, 259, 229, 203, 229, 242, 233, 267, 269, 270, 315, 364, 347, 312, 274, 237, 278, 284, 277, 317, 313, 318, 374, 413, 405, 355, 306, 271, 306, 315, 301, 356, 348, 355, 422, 465, 467, 404, 347, 305, 336, 340, 318, 362, 348, 363, 435, 491, 505, 404, 359, 310, 337, 360, 342, 406, 396, 420, 472, 548, 559, 463, 407, 362, 405, 417, 391, 419, 461, 472, 535, 622, 606, 508, 461, 390, 432}

var (
	eleven = []float64{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5}
	leader = []float64{1, 3, 2, 5, 4, 7, 6, 9, 8, 12, 10, 11, 15, 13, 14, 18, 16, 20, 17, 19}
	second = []float64{2, 1, 4, 2, 6, 5, 8, 6, 10, 8, 13, 11, 12, 16, 13, 15, 19, 17, 21, 18}
)

// call calls a function by its name; an argument is []float64 or []string.
func call(t *testing.T, name string, args ...any) []float64 {
	t.Helper()
	got, err := try(t, name, args...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return got
}

func try(t *testing.T, name string, args ...any) ([]float64, error) {
	t.Helper()
	i := slices.IndexFunc(Functions(), func(f Function) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("no function %s", name)
	}
	var a Args
	kinds := ""
	for _, arg := range args {
		switch arg := arg.(type) {
		case []float64:
			a.Numbers = append(a.Numbers, arg)
			kinds += "n"
		case []string:
			a.Texts = append(a.Texts, arg)
			kinds += "s"
		}
	}
	if kinds != Functions()[i].Kinds {
		t.Fatalf("%s takes %s, not %s", name, Functions()[i].Kinds, kinds)
	}
	return Functions()[i].Call(t.Context(), a)
}

func near(t *testing.T, what string, got, want []float64, within float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s = %v; want %v", what, got, want)
		return
	}
	for i := range got {
		if d := math.Abs(got[i] - want[i]); !(d <= within*max(1, math.Abs(want[i]))) {
			t.Errorf("%s = %v; want %v", what, got, want)
			return
		}
	}
}

func TestDistances(t *testing.T) {
	near(t, "DTW", call(t, "oriel_dtw", leader[:8], second[:6]), []float64{10}, 0)
	near(t, "DTW of one shape at two speeds", call(t, "oriel_dtw", []float64{1, 2, 3}, []float64{1, 1, 2, 2, 3, 3}), []float64{0}, 0)
	near(t, "DTW of nothing", call(t, "oriel_dtw", []float64{}, []float64{1}), nil, 0)
	for _, tt := range []struct {
		a, b string
		want float64
	}{
		{"kitten", "sitting", 3}, {"ca", "abc", 2}, {"abcd", "acbd", 1}, {"", "abc", 3}, {"abc", "", 3}, {"same", "same", 0}, {"a cat", "an abct", 3},
	} {
		near(t, "DL "+tt.a+" "+tt.b, call(t, "oriel_dl", strings.Split(tt.a, ""), strings.Split(tt.b, "")), []float64{tt.want}, 0)
	}
	near(t, "autocorrelation", call(t, "oriel_auto", eleven)[:5], []float64{1, -0.1607142857, -0.0178571429, 0.3035714286, -0.5}, 1e-9)
	near(t, "SBD of a shape shifted", call(t, "oriel_sbd", []float64{0, 3, 4}, []float64{3, 4, 0}), []float64{0}, 1e-12)
	near(t, "cross correlation", call(t, "oriel_cross", []float64{1, 2, 4}, []float64{1, 2, 4}), []float64{-0.4761904762, -0.0238095238, 1, -0.0238095238, -0.4761904762}, 1e-9)
	// Ticks 2 and 4 are in both.
	near(t, "Manhattan", call(t, "oriel_manhattan", []float64{1, 2, 4}, []float64{9, 1, 5}, []float64{2, 3, 4}, []float64{4, 9, 7}), []float64{5}, 0)
	near(t, "correlation", call(t, "oriel_correlation", []float64{1, 2, 3}, []float64{1, 2, 3}, []float64{1, 2, 3}, []float64{6, 4, 2}), []float64{-1}, 1e-12)
}

func TestFourier(t *testing.T) {
	near(t, "FFT of 11", call(t, "oriel_fft", eleven, []string{"forward"})[:8], []float64{44, 0, -7.6563535248, 3.9958387185, 2.8398327388, 4.55051246, -0.0275289792, -4.1471158601}, 1e-9)
	near(t, "inverse FFT of 8", call(t, "oriel_fft", eleven[:8], []string{"I"}), []float64{3.875, 0, -0.5151650429, -0.8990485194, 0.25, 0.375, 0.0151650429, -1.3990485194, -0.375, 0, 0.0151650429, 1.3990485194, 0.25, -0.375, -0.5151650429, 0.8990485194}, 1e-9)
	if _, err := try(t, "oriel_fft", eleven, []string{"sideways"}); err == nil {
		t.Error("FFT sideways is no error")
	}
	// There and back for every length: the property that any transform has.
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 70 {
		x := make([]complex128, n)
		for i := range x {
			x[i] = complex(r.NormFloat64(), r.NormFloat64())
		}
		back := fft(fft(slices.Clone(x), false), true)
		for i := range x {
			if d := x[i] - back[i]; math.Hypot(real(d), imag(d)) > 1e-12 {
				t.Fatalf("length %d: %v came back as %v", n, x, back)
			}
		}
	}
}

func TestGranger(t *testing.T) {
	for lags, want := range [][]float64{1: {977.9620185987, 8.917232919e-16, 0.9963439715}, 2: {146.0798227320, 1.23368882e-9, 0.9962261346}, 3: {50.0780544591, 2.4952585537e-6, 0.9959563783}} {
		if want == nil {
			continue
		}
		got := call(t, "oriel_granger", leader, second, []float64{float64(lags)})
		near(t, "F and R2", []float64{got[0], got[2]}, []float64{want[0], want[2]}, 1e-6)
		if math.Abs(got[1]/want[1]-1) > 1e-4 {
			t.Errorf("p with %d lags = %v; want %v", lags, got[1], want[1])
		}
	}
	if _, err := try(t, "oriel_granger", leader, second, []float64{0}); err == nil {
		t.Error("no lags are no error")
	}
	near(t, "too short", call(t, "oriel_granger", leader[:4], second[:4], []float64{2}), nil, 0)
}

func TestCurves(t *testing.T) {
	x, y := []float64{0, 10, 30, 40, 70}, []float64{1, 3, 2, 8, 5}
	near(t, "spline", call(t, "oriel_curve", x, y, []float64{20, 30, 33}, []float64{-1, 2, 2}, []string{"spline"})[1:], []float64{2, spline(x[1:], y[1:], 33)}, 1e-12)
	near(t, "spline through all", []float64{spline(x, y, 5), spline(x, y, 20), spline(x, y, 33), spline(x, y, 60)}, []float64{2.35325, 1.549, 3.530024, 8.8586666667}, 1e-9)
	// The line nearest to (0,1) (10,3) (30,2) (40,8), at 20; and too few on one side.
	near(t, "line", call(t, "oriel_curve", x, y, []float64{20, 5, 50}, []float64{-1, 2, 2}, []string{"line"}), []float64{3.5, -1, -1}, 1e-12)
	near(t, "two points", []float64{spline([]float64{0, 4}, []float64{0, 8}, 1)}, []float64{2}, 1e-12)
}

func TestSmoothedSilence(t *testing.T) {
	// Gaps 1 1 5 5 5: the third is longer than twice what was usual; then 0.5*5+0.5*1 = 3 is usual.
	near(t, "segments", call(t, "oriel_silences", []float64{0, 1, 2, 7, 12, 17}, []float64{0.5, 2, 100}), []float64{0, 0, 0, 1, 1, 1}, 0)
	near(t, "threshold", call(t, "oriel_silences", []float64{0, 1, 2, 7, 12, 17}, []float64{0.5, 2, 4}), []float64{0, 0, 0, 1, 2, 3}, 0)
	if _, err := try(t, "oriel_silences", eleven, []float64{0, 1, 1}); err == nil {
		t.Error("alpha 0 is no error")
	}
}

func TestMatchers(t *testing.T) {
	words := func(s string) []string { return strings.Split(s, "") }
	for _, tt := range []struct {
		matcher         string
		series, pattern string
		least           float64
		want            []float64
	}{
		{"SEQ", "abc", "abc", 1, []float64{1, 2, 3}},
		{"SEQ", "abcd", "abc", 1, nil},
		{"SUBLIST", "xabc", "abc", 0.75, []float64{2, 3, 4}},
		{"SUBLIST", "xabc", "abc", 0.8, nil},
		{"SUBLIST", "abxc", "abc", 0.1, nil},
		{"SUBSEQ_PS", "abxc", "abc", 0.75, []float64{1, 2, 4}},
		{"SUBSEQ_PS", "cxba", "abc", 0.1, nil},
		{"SUBSEQ_PM", "axxbaxb", "ab", 0.6, []float64{5, 7}}, // 2 of 3, not 2 of 4
		{"SUBSEQ_PM", "axxbaxb", "ab", 0.7, nil},
		{"SUBSEQ_MS", "xaxxbx", "ab", 0.6, []float64{2, 3, 4, 5}}, // 4 of 6
		{"SUBSEQ_MS", "xaxxbx", "ab", 0.7, nil},
		{"SUBSET_PS", "cxba", "abc", 0.75, []float64{1, 3, 4}},
		{"SUBSET_PS", "cxbb", "abb", 0.1, nil},
		{"SUBSET_PM", "bxxabxa", "ab", 1, []float64{4, 5}},
		{"SUBSET_PM", "bxxaxxb", "ab", 0.6, nil},
		{"SUBSET_MS", "xbxax", "ab", 0.6, []float64{2, 3, 4}},
		{"SUBSET_MS", "xbxax", "ab", 0.7, nil},
	} {
		near(t, tt.matcher+" "+tt.pattern+" in "+tt.series, call(t, "oriel_match", words(tt.series), words(tt.pattern), []string{tt.matcher}, []float64{tt.least}), tt.want, 0)
	}
	if _, err := try(t, "oriel_match", words("a"), words("a"), []string{"NONE"}, []float64{0}); err == nil {
		t.Error("an unknown matcher is no error")
	}
}

func TestHoltWinters(t *testing.T) {
	// statsmodels with the same start and fixed factors: the recursion itself.
	for _, tt := range []struct {
		multiplied     bool
		sum            float64
		next           []float64
		best, bestNext float64
	}{
		{false, 37801.32695529757, []float64{460.4091038746, 443.9313110369, 492.9534554851}, 22010.3623, 453.2769},
		{true, 18448.63010551531, []float64{448.7492981155, 424.4148362007, 482.3223285424}, 16465.4007, 446.6594},
	} {
		s := &smoothing{season: 12, multiplied: tt.multiplied, trended: true, alpha: 0.3, beta: 0.1, gamma: 0.4, phi: 1}
		s.begin(air)
		near(t, "sum of squares", []float64{s.run(air, nil)}, []float64{tt.sum}, 1e-9)
		near(t, "ahead", s.ahead(len(air), 3), tt.next, 1e-9)
		// With factors of its own it finds as good ones as statsmodels does.
		sum, err := s.fit(t.Context(), air, false)
		if err != nil || sum > tt.best*1.001 {
			t.Errorf("fit = %v, %v; statsmodels has %v", sum, err, tt.best)
		}
		near(t, "fitted", s.ahead(len(air), 1), []float64{tt.bestNext}, 0.02)
	}
	// What goes on for ever goes on: a line with a season of four.
	y := make([]float64, 40)
	for i := range y {
		y[i] = 100 + 2*float64(i) + []float64{5, -1, -7, 3}[i%4]
	}
	near(t, "exact", call(t, "oriel_forecast", y, []string{"HWS"}, []float64{4, 2}, []float64{5}), []float64{185, 181, 177, 189, 193}, 1e-6)
	near(t, "too short", call(t, "oriel_forecast", y[:11], []string{"HWS"}, []float64{4, 3}, []float64{5}), nil, 0)
}

func TestARMA(t *testing.T) {
	// statsmodels estimates by exact likelihood, we by conditional squares: near, but not equal.
	for _, tt := range []struct {
		p, q             int
		mean, phi, theta float64
		next             []float64
	}{
		{1, 0, 919.35, 0.506, 0, []float64{828.55, 873.38, 896.08}},
		{1, 1, 919.35, 0.861, -0.518, []float64{799.97, 816.56, 830.85}},
	} {
		m, _, err := fitARMA(t.Context(), nile, tt.p, tt.q, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		e := make([]float64, len(nile))
		m.residuals(nile, e, 0)
		got := []float64{m.mean, m.phi[0]}
		want := []float64{tt.mean, tt.phi}
		if tt.q > 0 {
			got, want = append(got, m.theta[0]), append(want, tt.theta)
		}
		near(t, "coefficients", got, want, 0.1)
		// By what we estimate by, ours are at least as good as those of statsmodels.
		theirs := arma{mean: tt.mean, phi: []float64{tt.phi}}
		if tt.q > 0 {
			theirs.theta = []float64{tt.theta}
		}
		if other := theirs.residuals(nile, make([]float64, len(nile)), 0); dot(e, e) > other {
			t.Errorf("(%d, %d): sum of squares %v; that of statsmodels' coefficients is %v", tt.p, tt.q, dot(e, e), other)
		}
		near(t, "ahead", m.forecast(nile, e, 3), tt.next, 0.02)
	}
	near(t, "KPSS", []float64{kpss(nile), kpss(difference(nile))}, []float64{0.96543490775, 0.02326752955}, 1e-9)
	// The Nile is differenced once; (0,1,1) of statsmodels says 798.5, (1,1,1) 816, 836, 841.
	got := call(t, "oriel_forecast", nile, []string{"ARIMA"}, []float64{10}, []float64{3})
	near(t, "ARIMA", got, []float64{816.3, 835.75, 840.7}, 0.04)
	// A process that made 4,000 observations is found again.
	r := rand.New(rand.NewPCG(3, 4))
	y, e := make([]float64, 4000), 0.0
	for i := 1; i < len(y); i++ {
		before := e
		e = r.NormFloat64()
		y[i] = 0.7*y[i-1] + e + 0.4*before
	}
	m, _, err := fitARMA(t.Context(), y, 1, 1, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "known process", []float64{m.phi[0], m.theta[0]}, []float64{0.7, 0.4}, 0.05)
}

// TestForecastsOfPassengers holds the models against the year that they have not seen.
func TestForecastsOfPassengers(t *testing.T) {
	known, year := air[:132], air[132:]
	off := func(model string, params ...float64) float64 {
		sum := 0.0
		for i, v := range call(t, "oriel_forecast", known, []string{model}, params, []float64{12}) {
			sum += math.Abs(v-year[i]) / year[i] / 12
		}
		return sum
	}
	if got := seasonOf(air); got != 12 {
		t.Errorf("the season is %d months", got)
	}
	if got := seasonOf(nile); got != 0 {
		t.Errorf("the Nile has a season of %d years", got)
	}
	// statsmodels' additive Holt-Winters is off by 3 to 4 % here, a model without seasons by 15.
	for model, most := range map[string]float64{"HWS": 0.05, "BATS": 0.06, "AUTO": 0.06} {
		params := []float64{10}
		if model == "HWS" {
			params = []float64{12, 2}
		}
		if model == "BATS" {
			params = []float64{10, 1}
		}
		if got := off(model, params...); got > most {
			t.Errorf("%s is off by %.1f %%", model, 100*got)
		} else {
			t.Logf("%s is off by %.1f %%", model, 100*got)
		}
	}
	fitted := call(t, "oriel_fitted", known, []string{"AUTO"}, []float64{10})
	if len(fitted) != len(known) {
		t.Errorf("%d fitted values of %d", len(fitted), len(known))
	}
}

func TestBadSeries(t *testing.T) {
	holes := append(slices.Clone(air), math.NaN())
	long := make([]float64, maxFitted+1)
	for name, args := range map[string][]any{
		"holes": {holes, []string{"ARIMA"}, []float64{}, []float64{1}}, "too long": {long, []string{"ARIMA"}, []float64{}, []float64{1}},
		"too far": {air, []string{"ARIMA"}, []float64{}, []float64{1e9}}, "no model": {air, []string{"X"}, []float64{}, []float64{1}},
		"season": {air, []string{"HWS"}, []float64{1e6, 2}, []float64{1}},
	} {
		if got, err := try(t, "oriel_forecast", args...); err == nil {
			t.Errorf("%s: no error but %v", name, got)
		}
	}
	// The same value for ever is no trouble, neither is what is very short.
	for _, model := range []string{"ARMA", "ARIMA", "BATS", "AUTO"} {
		near(t, model+" of nothing new", call(t, "oriel_forecast", slices.Repeat([]float64{7}, 30), []string{model}, []float64{10, 1}, []float64{2}), []float64{7, 7}, 1e-6)
		near(t, model+" of too little", call(t, "oriel_forecast", []float64{1, 2, 3}, []string{model}, []float64{2}, []float64{2}), nil, 0)
	}
	if _, err := dtw(t.Context(), make([]float64, 1<<16), make([]float64, 1<<16)); err == nil {
		t.Error("DTW of 65,536 by 65,536 is no error")
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := fitAuto(stopped, air); err == nil {
		t.Error("a query that has ended goes on")
	}
	if _, err := dtw(stopped, air, air); err == nil {
		t.Error("a query that has ended goes on")
	}
}

// FuzzFunctions: no input is too odd, and what comes back is bounded.
func FuzzFunctions(f *testing.F) {
	f.Add([]byte{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7}, 2.0, "AUTO")
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, -1.0, "SUBSEQ_PM")
	f.Add([]byte{255, 0, 255, 0, 255, 0, 255, 0, 255, 0}, math.Inf(1), "spline")
	f.Fuzz(func(t *testing.T, bytes []byte, x float64, word string) {
		if len(bytes) > 40 {
			return
		}
		var numbers []float64
		var texts []string
		for _, b := range bytes {
			v := float64(b)
			if b == 200 {
				v = math.NaN()
			}
			numbers, texts = append(numbers, v), append(texts, string(rune('a'+b%4)))
		}
		for _, fn := range Functions() {
			var a Args
			for _, k := range fn.Kinds {
				if k == 'n' {
					a.Numbers = append(a.Numbers, numbers)
				} else {
					a.Texts = append(a.Texts, texts)
				}
			}
			if n := len(a.Numbers); n > 1 {
				a.Numbers[n-1] = []float64{x, x, x}
			}
			if n := len(a.Texts); n > 0 {
				a.Texts[n-1] = []string{word}
			}
			got, err := fn.Call(t.Context(), a)
			if err == nil && len(got) > max(4*len(bytes)+4, maxAhead) {
				t.Errorf("%s makes %d numbers", fn.Name, len(got))
			}
		}
	})
}
