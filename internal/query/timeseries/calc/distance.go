package calc

import (
	"context"
	"math"
)

// dtw is the dynamic time warping distance with absolute differences.
func dtw(ctx context.Context, a, b []float64) ([]float64, error) {
	if len(a) == 0 || len(b) == 0 {
		return nil, nil
	}
	if err := square("TS_DTW", len(a), len(b)); err != nil {
		return nil, err
	}
	row := make([]float64, len(b)+1)
	for j := range row {
		row[j] = math.Inf(1)
	}
	row[0] = 0
	for _, x := range a {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		diagonal := row[0]
		row[0] = math.Inf(1)
		for j, y := range b {
			up := row[j+1]
			row[j+1] = math.Abs(x-y) + min(diagonal, up, row[j])
			diagonal = up
		}
	}
	return one(row[len(b)]), nil
}

// damerau is the Damerau-Levenshtein distance: insertions, deletions, changes,
// and two neighbours changing places, also with something put between them.
func damerau(ctx context.Context, args Args) ([]float64, error) {
	a, b := args.Texts[0], args.Texts[1]
	if err := square("TS_DL", len(a)+2, len(b)+2); err != nil {
		return nil, err
	}
	if len(a)*len(b) > 1<<24 { // all rows are held
		return nil, square("TS_DL", maxSteps, 2)
	}
	wide, most := len(b)+2, int32(len(a)+len(b)) //nolint:gosec // bounded above
	d := make([]int32, (len(a)+2)*wide)
	d[0] = most
	for i := range len(a) + 1 {
		d[(i+1)*wide], d[(i+1)*wide+1] = most, int32(i)
	}
	for j := range len(b) + 1 {
		d[j+1], d[wide+j+1] = most, int32(j)
	}
	last := map[string]int{} // the row where a text of a was last
	for i := 1; i <= len(a); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		column := 0 // the column where a[i-1] was last in b
		for j := 1; j <= len(b); j++ {
			k, l, change := last[b[j-1]], column, int32(1)
			if a[i-1] == b[j-1] {
				change, column = 0, j
			}
			swapped := d[k*wide+l] + int32(i-k-1) + 1 + int32(j-l-1) //nolint:gosec // bounded above
			d[(i+1)*wide+j+1] = min(d[i*wide+j]+change, d[(i+1)*wide+j]+1, d[i*wide+j+1]+1, swapped)
		}
		last[a[i-1]] = i
	}
	return one(float64(d[(len(a)+1)*wide+len(b)+1])), nil
}

// moments are the mean and the standard deviation of all.
func moments(a []float64) (mean, deviation float64) {
	for _, x := range a {
		mean += x
	}
	mean /= float64(len(a))
	for _, x := range a {
		deviation += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(deviation / float64(len(a)))
}

// products are the sums of products of a and b for each shift of b against a,
// from -(len(a)-1) to len(b)-1.
func products(a, b []float64) []float64 {
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	n := 1
	for n < len(a)+len(b)-1 {
		n *= 2
	}
	x, y := make([]complex128, n), make([]complex128, n)
	for i, v := range a {
		x[len(a)-1-i] = complex(v, 0)
	}
	for i, v := range b {
		y[i] = complex(v, 0)
	}
	powerOfTwo(x, false)
	powerOfTwo(y, false)
	for i := range x {
		x[i] *= y[i]
	}
	powerOfTwo(x, true)
	out := make([]float64, len(a)+len(b)-1)
	for i := range out {
		out[i] = real(x[i])
	}
	return out
}

func shifted(a []float64, by float64) []float64 {
	out := make([]float64, len(a))
	for i, x := range a {
		out[i] = x - by
	}
	return out
}

// cross is the cross correlation by position.
func cross(a, b []float64) []float64 {
	ma, sa := moments(a)
	mb, sb := moments(b)
	out := products(shifted(a, ma), shifted(b, mb))
	for i := range out {
		out[i] /= float64(len(a)) * sa * sb
	}
	return out
}

// autocorrelation is the correlation with itself for each lag from nothing on.
func autocorrelation(a []float64) []float64 {
	if len(a) == 0 {
		return nil
	}
	return cross(a, a)[len(a)-1:]
}

// sbd is the shape-based distance of k-Shape.
func sbd(a, b []float64) float64 {
	most, length := math.Inf(-1), 0.0
	var la, lb float64
	for _, x := range a {
		la += x * x
	}
	for _, x := range b {
		lb += x * x
	}
	length = math.Sqrt(la * lb)
	for _, p := range products(a, b) {
		most = max(most, p/length)
	}
	return 1 - most
}

// paired calls f with the values of two series (ticks, values, ticks, values;
// both ordered by their ticks) at the ticks that both have.
func paired(f func(a, b []float64) float64) func(context.Context, Args) ([]float64, error) {
	return func(_ context.Context, args Args) ([]float64, error) {
		ta, va, tb, vb := args.Numbers[0], args.Numbers[1], args.Numbers[2], args.Numbers[3]
		var a, b []float64
		for i, j := 0, 0; i < min(len(ta), len(va)) && j < min(len(tb), len(vb)); {
			switch {
			case ta[i] < tb[j]:
				i++
			case ta[i] > tb[j]:
				j++
			default:
				a, b = append(a, va[i]), append(b, vb[j])
				i, j = i+1, j+1
			}
		}
		if len(a) == 0 {
			return nil, nil
		}
		return one(f(a, b)), nil
	}
}

func correlation(a, b []float64) float64 {
	ma, sa := moments(a)
	mb, sb := moments(b)
	sum := 0.0
	for i := range a {
		sum += (a[i] - ma) * (b[i] - mb)
	}
	return sum / float64(len(a)) / sa / sb
}

func manhattan(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += math.Abs(a[i] - b[i])
	}
	return sum
}
