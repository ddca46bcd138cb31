package calc

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
)

// maxNeighbours is how many observations a curve may be laid through.
const maxNeighbours = 1000

// curve gives a series (ticks in order, values) a value at each tick asked for:
// its own where it has one, otherwise that of a natural cubic spline through,
// or of the line nearest to, so many observations before and after; and where
// there are not so many, the filler. The fourth list is filler, before, after.
func curve(ctx context.Context, a Args) ([]float64, error) {
	ticks, values, asked := a.Numbers[0], a.Numbers[1], a.Numbers[2]
	before, after := whole(a.Numbers[3], 1), whole(a.Numbers[3], 2)
	if before < 1 || after < 1 || before+after > maxNeighbours {
		return nil, fmt.Errorf("interpolator: %d observations before and %d after: want at least 1, and at most %d together", before, after, maxNeighbours)
	}
	if err := square("interpolator", len(asked), before+after); err != nil {
		return nil, err
	}
	fill := number(a.Numbers[3], 0, math.NaN())
	shape := line
	if first(a.Texts[0]) == "spline" {
		shape = spline
	}
	n := min(len(ticks), len(values))
	out := make([]float64, len(asked))
	for i, t := range asked {
		if i%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		at := sort.SearchFloat64s(ticks[:n], t)
		switch {
		case at < n && ticks[at] == t:
			// Of several at one tick the last counts.
			for at+1 < n && ticks[at+1] == t {
				at++
			}
			out[i] = values[at]
		case at < before || n-at < after:
			out[i] = fill
		default:
			out[i] = shape(ticks[at-before:at+after], values[at-before:at+after], t)
		}
	}
	return out, nil
}

// line is the least squares line of the points at t.
func line(x, y []float64, t float64) float64 {
	mx, _ := moments(x)
	my, _ := moments(y)
	var sxy, sxx float64
	for i := range x {
		sxy += (x[i] - mx) * (y[i] - my)
		sxx += (x[i] - mx) * (x[i] - mx)
	}
	if sxx == 0 {
		return my
	}
	return my + sxy/sxx*(t-mx)
}

// spline is the natural cubic spline through the points, in the order of x, at t.
func spline(x, y []float64, t float64) float64 {
	// Of points at one place the last counts.
	xs, ys := make([]float64, 0, len(x)), make([]float64, 0, len(y))
	for i := range x {
		if k := len(xs); k > 0 && xs[k-1] == x[i] {
			ys[k-1] = y[i]
			continue
		}
		xs, ys = append(xs, x[i]), append(ys, y[i])
	}
	n := len(xs) - 1
	if n < 1 {
		return ys[0]
	}
	// Second derivatives m: a system of three diagonals, with none at both ends.
	m, c := make([]float64, n+1), make([]float64, n+1)
	for i := 1; i < n; i++ {
		h0, h1 := xs[i]-xs[i-1], xs[i+1]-xs[i]
		d := 6 * ((ys[i+1]-ys[i])/h1 - (ys[i]-ys[i-1])/h0)
		p := 2*(h0+h1) - h0*c[i-1]
		c[i] = h1 / p
		m[i] = (d - h0*m[i-1]) / p
	}
	for i := n - 1; i > 0; i-- {
		m[i] -= c[i] * m[i+1]
	}
	i, _ := slices.BinarySearch(xs, t)
	i = max(1, min(n, i))
	h := xs[i] - xs[i-1]
	l, r := xs[i]-t, t-xs[i-1]
	return (m[i-1]*l*l*l+m[i]*r*r*r)/(6*h) + (ys[i-1]/h-m[i-1]*h/6)*l + (ys[i]/h-m[i]*h/6)*r
}

// silences numbers the observations of a series (ticks in order) by the segment
// that they are in. A segment ends where the time to the next observation is
// longer than min(T*factor, threshold), T being the times between observations
// before it, smoothed by alpha. The second list is alpha, factor, threshold.
func silences(_ context.Context, a Args) ([]float64, error) {
	ticks := a.Numbers[0]
	alpha, factor, most := number(a.Numbers[1], 0, math.NaN()), number(a.Numbers[1], 1, math.NaN()), number(a.Numbers[1], 2, math.NaN())
	if !(alpha > 0 && alpha <= 1) || !(factor > 0) || !(most > 0) {
		return nil, fmt.Errorf("TS_SEGMENT_BY_SMOOTHED_SILENCE: alpha %v (want above 0, up to 1), factor %v and threshold %v (want above 0)", alpha, factor, most)
	}
	out := make([]float64, len(ticks))
	smooth, segment := math.NaN(), 0.0
	for i := 1; i < len(ticks); i++ {
		gap := ticks[i] - ticks[i-1]
		limit := most
		if !math.IsNaN(smooth) {
			limit = min(smooth*factor, most)
		}
		if gap > limit {
			segment++
		}
		out[i] = segment
		if math.IsNaN(smooth) {
			smooth = gap
		} else {
			smooth = alpha*gap + (1-alpha)*smooth
		}
	}
	return out, nil
}
