package calc

import (
	"context"
	"math"
)

// smoothing is an exponential smoothing with level, trend and season.
type smoothing struct {
	season         int // observations; 0: none
	multiplied     bool
	trended        bool
	alpha, beta    float64
	gamma, phi     float64 // phi damps the trend: 1 is not at all
	level, trend   float64
	seasons        []float64 // of the next season
	level0, trend0 float64
	seasons0       []float64
}

// begin sets where the smoothing starts: level and seasons of the first
// season, the trend from the first to the second.
func (s *smoothing) begin(y []float64) {
	m := s.season
	if m == 0 {
		s.level0, s.trend0 = y[0], 0
		if s.trended {
			k := min(len(y), 10)
			s.trend0 = (y[k-1] - y[0]) / float64(k-1)
			s.level0 = y[0] - s.trend0
		}
		return
	}
	first, _ := moments(y[:m])
	second, _ := moments(y[m : 2*m])
	s.trend0 = 0
	if s.trended {
		s.trend0 = (second - first) / float64(m)
	}
	// The mean of a season is its level in its middle.
	middle := float64(m-1) / 2
	s.level0 = first - s.trend0*(middle+1)
	s.seasons0 = make([]float64, m)
	for i := range m {
		at := first + s.trend0*(float64(i)-middle)
		if s.multiplied {
			s.seasons0[i] = y[i] / at
		} else {
			s.seasons0[i] = y[i] - at
		}
	}
}

// run smooths y and returns the sum of squares of what was unexpected.
// What it expected goes into fitted, if that is there.
func (s *smoothing) run(y, fitted []float64) float64 {
	s.level, s.trend = s.level0, s.trend0
	s.seasons = append(s.seasons[:0], s.seasons0...)
	sum := 0.0
	for t, v := range y {
		base := s.level + s.phi*s.trend
		expected, bare := base, v
		at := 0
		if s.season > 0 {
			at = t % s.season
			if s.multiplied {
				expected = base * s.seasons[at]
				bare = v / s.seasons[at]
			} else {
				expected = base + s.seasons[at]
				bare = v - s.seasons[at]
			}
		}
		if fitted != nil {
			fitted[t] = expected
		}
		sum += (v - expected) * (v - expected)
		level := s.alpha*bare + (1-s.alpha)*base
		if s.trended {
			s.trend = s.beta*(level-s.level) + (1-s.beta)*s.phi*s.trend
		}
		s.level = level
		if s.season > 0 {
			if s.multiplied {
				s.seasons[at] = s.gamma*v/base + (1-s.gamma)*s.seasons[at]
			} else {
				s.seasons[at] = s.gamma*(v-base) + (1-s.gamma)*s.seasons[at]
			}
		}
	}
	return sum
}

// ahead goes on behind so many observations.
func (s *smoothing) ahead(seen, n int) []float64 {
	out := make([]float64, n)
	base, damp := s.level, s.phi
	for h := range out {
		base += damp * s.trend
		damp *= s.phi
		out[h] = base
		if s.season > 0 {
			if v := s.seasons[(seen+h)%s.season]; s.multiplied {
				out[h] *= v
			} else {
				out[h] += v
			}
		}
	}
	return out
}

// fit finds the factors with the least sum of squares, from several starts.
func (s *smoothing) fit(ctx context.Context, y []float64, damped bool) (sum float64, err error) {
	s.begin(y)
	s.phi = 1
	set := func(z []float64) {
		s.alpha = share(z[0])
		z = z[1:]
		if s.trended {
			s.beta = share(z[0])
			z = z[1:]
			if damped {
				s.phi = 0.8 + 0.2*share(z[0])
				z = z[1:]
			}
		}
		if s.season > 0 {
			s.gamma = share(z[0])
		}
	}
	free := 1
	if s.trended {
		free++
		if damped {
			free++
		}
	}
	if s.season > 0 {
		free++
	}
	sum = math.Inf(1)
	var best []float64
	for _, start := range []float64{-2, 0} {
		z := make([]float64, free)
		for i := range z {
			z[i] = start
		}
		z, got, err := minimise(ctx, func(z []float64) float64 { set(z); return s.run(y, nil) }, z, 1, 150*free)
		if err != nil {
			return 0, err
		}
		if got < sum {
			sum, best = got, z
		}
	}
	if best == nil {
		best = make([]float64, free)
	}
	set(best)
	return s.run(y, nil), nil
}

// fitHoltWinters is an exponential smoothing with trend and season, added or multiplied.
func fitHoltWinters(ctx context.Context, y []float64, season int, multiplied bool) (*model, error) {
	s := &smoothing{season: season, multiplied: multiplied, trended: true}
	sum, err := s.fit(ctx, y, false)
	if err != nil {
		return nil, err
	}
	fitted := make([]float64, len(y))
	s.run(y, fitted)
	return &model{fitted, func(n int) []float64 { return s.ahead(len(y), n) }, akaike(sum, len(y), 5+season)}, nil
}

// seasonOf finds how many observations a season has, by the highest peak of the
// autocorrelation of what a line leaves; 0 if there is none worth it.
func seasonOf(y []float64) int {
	n := len(y)
	if n < 8 {
		return 0
	}
	ticks := make([]float64, n)
	for i := range ticks {
		ticks[i] = float64(i)
	}
	from, to := line(ticks, y, 0), line(ticks, y, 1)
	rest := make([]float64, n)
	for i := range y {
		rest[i] = y[i] - from - (to-from)*float64(i)
	}
	if _, deviation := moments(rest); deviation <= 1e-9*(math.Abs(from)+math.Abs(to)+1e-300) {
		return 0
	}
	r := autocorrelation(rest)
	best, season := max(0.3, 2/math.Sqrt(float64(n))), 0
	for l := 2; l <= n/3 && l < maxSeason; l++ {
		// A lag of several seasons says less than the one season.
		if v := r[l] * float64(n) / float64(n-l); v > best+0.05 && r[l] > r[l-1] && r[l] >= r[l+1] {
			best, season = v, l
		}
	}
	return season
}

const maxSeason = 10_000
