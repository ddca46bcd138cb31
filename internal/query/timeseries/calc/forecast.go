package calc

import (
	"context"
	"fmt"
	"math"
)

const (
	maxFitted  = 50_000  // observations
	maxAhead   = 100_000 // forecast
	leastFit   = 10      // observations, of ARMA, ARIMA, BATS and AUTO
	boxCoxStep = 0.25
)

// forecast goes on with a series (values, model, what the model is given, how many).
func forecast(ctx context.Context, a Args) ([]float64, error) {
	n := whole(a.Numbers[2], 0)
	if n < 0 || n > maxAhead {
		return nil, fmt.Errorf("TS_FORECAST: %d observations: want 0 to %d", n, maxAhead)
	}
	m, err := fit(ctx, a.Numbers[0], first(a.Texts[0]), a.Numbers[1])
	if m == nil || err != nil {
		return nil, err
	}
	return m.ahead(n), nil
}

// fitted is what a model says of each observation from those before it.
func fitted(ctx context.Context, a Args) ([]float64, error) {
	m, err := fit(ctx, a.Numbers[0], first(a.Texts[0]), a.Numbers[1])
	if m == nil || err != nil {
		return nil, err
	}
	return m.fitted, nil
}

// fit fits a model by its name. A series that is too short has none.
func fit(ctx context.Context, y []float64, name string, params []float64) (*model, error) {
	if len(y) > maxFitted {
		return nil, fmt.Errorf("TS_FORECAST_%s: %d observations, at most %d: resample the series before", name, len(y), maxFitted)
	}
	if err := numeric(y); err != nil {
		return nil, fmt.Errorf("TS_FORECAST_%s: %w", name, err)
	}
	if name == "HWS" {
		season, least := whole(params, 0), max(2, whole(params, 1))
		if season < 2 || season > maxSeason {
			return nil, fmt.Errorf("TS_FORECAST_HWS: %d observations in a season: want 2 to %d", season, maxSeason)
		}
		if len(y) < least*season {
			return nil, nil
		}
		return fitHoltWinters(ctx, y, season, false)
	}
	if len(y) < max(leastFit, whole(params, 0)) {
		return nil, nil
	}
	switch name {
	case "ARMA":
		return fitARIMA(ctx, y, 0)
	case "ARIMA":
		return fitARIMA(ctx, y, 2)
	case "BATS":
		return fitBATS(ctx, y, number(params, 1, 0) != 0)
	case "AUTO":
		return fitAuto(ctx, y)
	}
	return nil, fmt.Errorf("TS_FORECAST_%s is not supported", name)
}

// fitLine is the line of least squares.
func fitLine(y []float64) *model {
	ticks := make([]float64, len(y))
	for i := range ticks {
		ticks[i] = float64(i)
	}
	from := line(ticks, y, 0)
	slope := line(ticks, y, 1) - from
	at := func(i int) float64 { return from + slope*float64(i) }
	sum, fitted := 0.0, make([]float64, len(y))
	for i, v := range y {
		fitted[i] = at(i)
		sum += (v - at(i)) * (v - at(i))
	}
	return &model{fitted, func(n int) []float64 {
		out := make([]float64, n)
		for h := range out {
			out[h] = at(len(y) + h)
		}
		return out
	}, akaike(sum, len(y), 2)}
}

// fitAuto tries the models on a series without its last fifth (Holt-Winters with
// the season that the series shows, if any), takes the one whose forecast of that
// fifth has the least sum of squares, and fits it to the whole series.
func fitAuto(ctx context.Context, y []float64) (*model, error) {
	type fitter func(y []float64) (*model, error)
	tries := []fitter{
		func(y []float64) (*model, error) { return fitLine(y), nil },
		func(y []float64) (*model, error) { return fitARIMA(ctx, y, 2) },
		func(y []float64) (*model, error) { return fitBATS(ctx, y, true) },
	}
	known := y[:len(y)-max(1, len(y)/5)]
	if season := seasonOf(known); season > 0 && len(known) >= 2*season {
		tries = append(tries, func(y []float64) (*model, error) { return fitHoltWinters(ctx, y, season, false) })
		if positive(y) {
			tries = append(tries, func(y []float64) (*model, error) { return fitHoltWinters(ctx, y, season, true) })
		}
	}
	least, best := math.Inf(1), tries[0]
	for _, try := range tries {
		m, err := try(known)
		if err != nil {
			return nil, err
		}
		sum := 0.0
		for i, v := range m.ahead(len(y) - len(known)) {
			d := y[len(known)+i] - v
			sum += d * d
		}
		if sum < least {
			least, best = sum, try
		}
	}
	return best(y)
}

func positive(y []float64) bool {
	for _, v := range y {
		if v <= 0 {
			return false
		}
	}
	return true
}

// fitBATS: of the series or its Box-Cox transform, exponential smoothing with or
// without a trend (damped or not) and the season that it shows, and an ARMA
// process for what that leaves. The parts are estimated one after the other,
// not at once as De Livera's method does; which of them stay is Akaike's choice.
func fitBATS(ctx context.Context, y []float64, boxCox bool) (*model, error) {
	season := seasonOf(y)
	if len(y) < 2*season {
		season = 0
	}
	powers := []float64{1}
	if boxCox && positive(y) {
		powers = []float64{0, boxCoxStep, 2 * boxCoxStep, 3 * boxCoxStep, 1}
	}
	logs := 0.0
	if len(powers) > 1 {
		for _, v := range y {
			logs += math.Log(v)
		}
	}
	var best *model
	for _, power := range powers {
		z := make([]float64, len(y))
		for i, v := range y {
			z[i] = transform(v, power)
		}
		for _, s := range []int{season, 0} {
			for kind := range 3 {
				m, err := fitSmoothing(ctx, z, s, kind)
				if err != nil {
					return nil, err
				}
				// The criterion is of y, not of z: the transform's own slope counts.
				m.score -= 2 * (power - 1) * logs
				if best == nil || m.score < best.score {
					best = back(m, power)
				}
			}
			if s == 0 {
				break
			}
		}
	}
	return best, nil
}

// fitSmoothing: kind 0 has no trend, 1 one, 2 a damped one.
func fitSmoothing(ctx context.Context, z []float64, season, kind int) (*model, error) {
	s := &smoothing{season: season, trended: kind > 0}
	sum, err := s.fit(ctx, z, kind == 2)
	if err != nil {
		return nil, err
	}
	k := 2 + season + min(kind, 1)*2 + kind/2
	smooth := make([]float64, len(z))
	s.run(z, smooth)
	rest := make([]float64, len(z))
	for i := range z {
		rest[i] = z[i] - smooth[i]
	}
	best := &model{smooth, func(n int) []float64 { return s.ahead(len(z), n) }, akaike(sum, len(z), k)}
	for _, order := range [][2]int{{1, 0}, {0, 1}, {1, 1}} {
		m, sum, err := fitARMA(ctx, rest, order[0], order[1], 0, false)
		if err != nil {
			return nil, err
		}
		// What the process cannot say of the first observation stays unexpected.
		for _, v := range rest[:order[0]] {
			sum += v * v
		}
		score := akaike(sum, len(z), k+order[0]+order[1])
		if score >= best.score {
			continue
		}
		e := make([]float64, len(z))
		m.residuals(rest, e, 0)
		fitted := make([]float64, len(z))
		for i := range z {
			fitted[i] = z[i] - e[i]
			if i < order[0] {
				fitted[i] = smooth[i]
			}
		}
		best = &model{fitted, func(n int) []float64 {
			out := s.ahead(len(z), n)
			for i, v := range m.forecast(rest, e, n) {
				out[i] += v
			}
			return out
		}, score}
	}
	return best, nil
}

func transform(v, power float64) float64 {
	switch power {
	case 1:
		return v
	case 0:
		return math.Log(v)
	}
	return (math.Pow(v, power) - 1) / power
}

// back takes a model of transformed values back to the series' own.
func back(m *model, power float64) *model {
	if power == 1 {
		return m
	}
	invert := func(list []float64) []float64 {
		out := make([]float64, len(list))
		for i, v := range list {
			if power == 0 {
				out[i] = math.Exp(v)
			} else {
				out[i] = math.Pow(max(0, power*v+1), 1/power)
			}
		}
		return out
	}
	return &model{invert(m.fitted), func(n int) []float64 { return invert(m.ahead(n)) }, m.score}
}
