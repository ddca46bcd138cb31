package calc

import (
	"context"
	"math"
)

// model is one that has been fitted to a series.
type model struct {
	fitted []float64 // what it says of each observation from those before it; NaN where it cannot
	ahead  func(n int) []float64
	score  float64 // Akaike's criterion, corrected for short series
}

// arma is an autoregressive moving average around a mean.
type arma struct {
	mean       float64
	phi, theta []float64
}

// partial turns any numbers into coefficients of a stationary process, by way
// of partial autocorrelations (Durbin and Levinson).
func partial(z []float64) []float64 {
	phi := make([]float64, 0, len(z))
	for _, v := range z {
		r := math.Tanh(v)
		next := make([]float64, len(phi)+1)
		for i, p := range phi {
			next[i] = p - r*phi[len(phi)-1-i]
		}
		next[len(phi)] = r
		phi = next
	}
	return phi
}

// residuals runs the process over y, with nothing unexpected before its start,
// into e, and returns the sum of squares from the observation skip on.
func (m *arma) residuals(y, e []float64, skip int) float64 {
	sum := 0.0
	for t := range y {
		if t < len(m.phi) {
			e[t] = 0
			continue
		}
		v := y[t] - m.mean
		for i, p := range m.phi {
			v -= p * (y[t-1-i] - m.mean)
		}
		for i, q := range m.theta {
			if t-1-i >= 0 {
				v -= q * e[t-1-i]
			}
		}
		e[t] = v
		if t >= skip {
			sum += v * v
		}
	}
	return sum
}

// fitARMA finds the coefficients with the least conditional sum of squares.
// The sum begins at the observation skip, so that orders can be compared.
func fitARMA(ctx context.Context, y []float64, p, q, skip int, centred bool) (arma, float64, error) {
	mean := 0.0
	scale := 1.0
	if centred {
		mean, scale = moments(y)
	} else {
		scale = math.Sqrt(dot(y, y) / float64(len(y)))
	}
	if scale == 0 {
		return arma{mean: mean, phi: make([]float64, p), theta: make([]float64, q)}, 0, nil
	}
	e := make([]float64, len(y))
	var m arma
	set := func(z []float64) {
		m.phi = partial(z[:p])
		m.theta = partial(z[p : p+q])
		for i := range m.theta {
			m.theta[i] = -m.theta[i]
		}
		m.mean = 0
		if centred {
			m.mean = mean + z[p+q]*scale
		}
	}
	free := p + q
	if centred {
		free++
	}
	z, sum, err := minimise(ctx, func(z []float64) float64 {
		set(z)
		return m.residuals(y, e, skip)
	}, make([]float64, free), 0.3, 200*max(1, free))
	if err != nil {
		return arma{}, 0, err
	}
	set(z)
	return m, sum, nil
}

// forecast goes on behind y, whose residuals are e.
func (m *arma) forecast(y, e []float64, n int) []float64 {
	all := append([]float64(nil), y...)
	for h := range n {
		v := m.mean
		for i, p := range m.phi {
			v += p * (all[len(all)-1-i] - m.mean)
		}
		for i, q := range m.theta {
			// Only what has been observed was unexpected.
			if at := len(y) + h - 1 - i; at < len(y) && at >= 0 {
				v += q * e[at]
			}
		}
		all = append(all, v)
	}
	return all[len(y):]
}

// Orders are tried up to maxOrder coefficients of each kind, and all of at most
// firstOrder together.
const maxOrder, firstOrder = 5, 3

// akaike is the criterion from a sum of squares over n observations with k coefficients.
func akaike(sum float64, n, k int) float64 {
	free := float64(n - k - 2)
	if free <= 0 {
		return math.Inf(1)
	}
	return float64(n)*math.Log(max(sum, 1e-300)/float64(n)) + 2*float64(k+1)*float64(n)/free
}

// autoARMA takes the orders with the least criterion: of all with few coefficients
// the best, and from there, coefficient by coefficient, what is better still
// (Hyndman and Khandakar). A series has at most a third as many of a kind as it is long.
func autoARMA(ctx context.Context, y []float64, means ...bool) (best arma, score float64, err error) {
	most := min(maxOrder, len(y)/3)
	type orders struct {
		p, q    int
		centred bool
	}
	score = math.Inf(1)
	var at orders
	tried := map[orders]bool{}
	try := func(o orders) error {
		if o.p < 0 || o.q < 0 || o.p > most || o.q > most || tried[o] {
			return nil
		}
		tried[o] = true
		k := o.p + o.q
		if o.centred {
			k++
		}
		m, sum, err := fitARMA(ctx, y, o.p, o.q, most, o.centred)
		if err != nil {
			return err
		}
		if s := akaike(sum, len(y)-most, k); s < score-1e-9 {
			best, score, at = m, s, o
		}
		return nil
	}
	for _, centred := range means {
		for p := range firstOrder + 1 {
			for q := range firstOrder + 1 - p {
				if err := try(orders{p, q, centred}); err != nil {
					return arma{}, 0, err
				}
			}
		}
	}
	for _, o := range []orders{{most, 0, means[0]}, {0, most, means[0]}, {2, 2, means[0]}} { // what no small step leads to
		if err := try(o); err != nil {
			return arma{}, 0, err
		}
	}
	for before := score + 1; score < before; {
		before = score
		from := at
		for _, step := range [][2]int{{1, 0}, {0, 1}, {1, 1}, {-1, 0}, {0, -1}, {-1, -1}, {1, -1}, {-1, 1}} {
			for _, centred := range means {
				if err := try(orders{from.p + step[0], from.q + step[1], centred}); err != nil {
					return arma{}, 0, err
				}
			}
		}
	}
	return best, score, nil
}

// kpss is the statistic of Kwiatkowski, Phillips, Schmidt and Shin against a
// level: above 0.463 it is not likely that the series stays around one.
func kpss(y []float64) float64 {
	n := len(y)
	mean, _ := moments(y)
	e := shifted(y, mean)
	sum, total := 0.0, 0.0
	for _, v := range e {
		sum += v
		total += sum * sum
	}
	variance := dot(e, e) / float64(n)
	lags := int(4 * math.Pow(float64(n)/100, 0.25))
	for l := 1; l <= lags && l < n; l++ {
		variance += 2 * (1 - float64(l)/float64(lags+1)) * dot(e[l:], e[:n-l]) / float64(n)
	}
	if variance <= 0 {
		return 0
	}
	return total / float64(n) / float64(n) / variance
}

func difference(y []float64) []float64 {
	out := make([]float64, len(y)-1)
	for i := range out {
		out[i] = y[i+1] - y[i]
	}
	return out
}

// fitARIMA differences the series until it stays around a level, at most twice,
// if it may, and fits an ARMA process to what is left.
func fitARIMA(ctx context.Context, y []float64, differences int) (*model, error) {
	levels := [][]float64{y}
	for len(levels) <= differences && kpss(levels[len(levels)-1]) > 0.463 {
		levels = append(levels, difference(levels[len(levels)-1]))
	}
	last := levels[len(levels)-1]
	d := len(levels) - 1
	// A mean of differences is a drift, one of differences' differences makes no sense.
	means := [][]bool{{true}, {false, true}, {false}}[d]
	m, score, err := autoARMA(ctx, last, means...)
	if err != nil {
		return nil, err
	}
	e := make([]float64, len(last))
	m.residuals(last, e, 0)
	out := make([]float64, len(y))
	for i := range y {
		out[i] = math.NaN()
		if j := i - d; j >= len(m.phi) {
			out[i] = y[i] - e[j]
		}
	}
	return &model{out, func(n int) []float64 {
		f := m.forecast(last, e, n)
		for l := d - 1; l >= 0; l-- {
			sum := levels[l][len(levels[l])-1]
			for i := range f {
				sum += f[i]
				f[i] = sum
			}
		}
		return f
	}, score}, nil
}
