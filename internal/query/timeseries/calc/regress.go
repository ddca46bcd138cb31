package calc

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// leastSquares returns the sum of squares of y that no mixture of the columns
// explains. A column that follows from others changes nothing.
func leastSquares(columns [][]float64, y []float64) float64 {
	q := make([][]float64, 0, len(columns))
	rest := append([]float64(nil), y...)
	for _, column := range columns {
		v := append([]float64(nil), column...)
		before := math.Sqrt(dot(v, v))
		for range 2 { // Gram and Schmidt, twice for what rounding leaves
			for _, u := range q {
				p := dot(u, v)
				for j := range v {
					v[j] -= p * u[j]
				}
			}
		}
		length := math.Sqrt(dot(v, v))
		if length <= 1e-10*before || length == 0 {
			continue
		}
		for j := range v {
			v[j] /= length
		}
		q = append(q, v)
		p := dot(v, rest)
		for j := range rest {
			rest[j] -= p * v[j]
		}
	}
	return dot(rest, rest)
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

const maxLags = 100

// granger tests whether the past of a helps to tell b, beside the past of b:
// the F statistic of leaving a out, its probability, and how much of b's
// variance both explain.
func granger(ctx context.Context, a, b []float64, lags int) ([]float64, error) {
	n := min(len(a), len(b)) - lags
	if lags < 1 || lags > maxLags {
		return nil, fmt.Errorf("TS_GRANGER: %d lags: want 1 to %d", lags, maxLags)
	}
	if n <= 2*lags+1 {
		return nil, nil
	}
	if err := square("TS_GRANGER", n, 4*lags*lags); err != nil {
		return nil, err
	}
	for _, list := range [][]float64{a, b} {
		if err := numeric(list); err != nil {
			return nil, fmt.Errorf("TS_GRANGER: %w", err)
		}
	}
	ones := make([]float64, n)
	for i := range ones {
		ones[i] = 1
	}
	own := [][]float64{ones}
	for l := 1; l <= lags; l++ {
		own = append(own, b[lags-l:lags-l+n])
	}
	both := slices.Clip(own)
	for l := 1; l <= lags; l++ {
		both = append(both, a[lags-l:lags-l+n])
	}
	y := b[lags : lags+n]
	restricted := leastSquares(own, y)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	free := leastSquares(both, y)
	mean, _ := moments(y)
	total := 0.0
	for _, v := range y {
		total += (v - mean) * (v - mean)
	}
	df := float64(n - 2*lags - 1)
	f := (restricted - free) / float64(lags) / (free / df)
	return []float64{f, fTail(f, float64(lags), df), 1 - free/total}, nil
}

// fTail is the probability that an F distributed value is greater than f.
func fTail(f, d1, d2 float64) float64 {
	if !(f > 0) {
		return 1
	}
	if math.IsInf(f, 1) {
		return 0
	}
	return betaPart(d2/(d2+d1*f), d2/2, d1/2)
}

// betaPart is the regularised incomplete beta function, by its continued fraction.
func betaPart(x, a, b float64) float64 {
	if x <= 0 || x >= 1 {
		return max(0, min(1, x))
	}
	if x > (a+1)/(a+b+2) {
		return 1 - betaPart(1-x, b, a)
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab-la-lb+a*math.Log(x)+b*math.Log1p(-x)) / a
	const tiny = 1e-300
	c, d, h := 1.0, 0.0, 1.0
	for i := range 400 {
		m := float64(i / 2)
		var term float64
		switch {
		case i == 0:
			term = 1
		case i%2 == 0:
			term = m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		default:
			term = -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		}
		if d = 1 + term*d; math.Abs(d) < tiny {
			d = tiny
		}
		d = 1 / d
		if c = 1 + term/c; math.Abs(c) < tiny {
			c = tiny
		}
		h *= c * d
		if i > 0 && math.Abs(1-c*d) < 1e-14 {
			break
		}
	}
	return front * (h - 1)
}
