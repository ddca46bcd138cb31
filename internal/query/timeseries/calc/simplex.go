package calc

import (
	"context"
	"math"
	"sort"
)

// minimise looks for the least value of f from a start on, by Nelder's and
// Mead's simplex, in at most so many steps. f may return infinity.
func minimise(ctx context.Context, f func([]float64) float64, start []float64, step float64, most int) ([]float64, float64, error) {
	n := len(start)
	if n == 0 {
		return nil, f(nil), ctx.Err()
	}
	type point struct {
		x []float64
		y float64
	}
	at := func(x []float64) point {
		y := f(x)
		if math.IsNaN(y) {
			y = math.Inf(1)
		}
		return point{x, y}
	}
	points := make([]point, 0, n+1)
	points = append(points, at(append([]float64(nil), start...)))
	for i := range n {
		x := append([]float64(nil), start...)
		x[i] += step
		points = append(points, at(x))
	}
	for range most {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		sort.SliceStable(points, func(i, j int) bool { return points[i].y < points[j].y })
		best, worst := points[0], points[n]
		if math.Abs(worst.y-best.y) <= 1e-10*(math.Abs(best.y)+1e-300) {
			break
		}
		centre := make([]float64, n)
		for _, p := range points[:n] {
			for i, v := range p.x {
				centre[i] += v / float64(n)
			}
		}
		along := func(by float64) point {
			x := make([]float64, n)
			for i := range x {
				x[i] = centre[i] + by*(worst.x[i]-centre[i])
			}
			return at(x)
		}
		mirrored := along(-1)
		switch {
		case mirrored.y < best.y:
			if further := along(-2); further.y < mirrored.y {
				mirrored = further
			}
			points[n] = mirrored
		case mirrored.y < points[n-1].y:
			points[n] = mirrored
		default:
			nearer := along(0.5)
			if mirrored.y < worst.y {
				nearer = along(-0.5)
			}
			if nearer.y < min(worst.y, mirrored.y) {
				points[n] = nearer
				continue
			}
			for i := 1; i <= n; i++ {
				x := make([]float64, n)
				for j := range x {
					x[j] = best.x[j] + 0.5*(points[i].x[j]-best.x[j])
				}
				points[i] = at(x)
			}
		}
	}
	sort.SliceStable(points, func(i, j int) bool { return points[i].y < points[j].y })
	return points[0].x, points[0].y, nil
}

// share maps any number to one between 0 and 1.
func share(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
