package calc

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// match looks for a pattern in a series of texts (texts, pattern, matcher,
// threshold) and returns the places of what matches, counted from 1, or none.
func match(ctx context.Context, a Args) ([]float64, error) {
	series, pattern, name := a.Texts[0], a.Texts[1], first(a.Texts[2])
	least := number(a.Numbers[0], 0, 0)
	if !(least >= 0 && least <= 1) {
		return nil, fmt.Errorf("TS_MATCH: threshold %v: want 0 to 1", least)
	}
	if len(pattern) == 0 || len(pattern) > len(series) {
		return nil, nil
	}
	if err := square("TS_MATCH", len(series), len(pattern)); err != nil {
		return nil, err
	}
	whole := float64(len(pattern)) / float64(len(series)) // pattern to sequence
	switch name {
	case "SEQ":
		if slices.Equal(series, pattern) {
			return stretch(1, len(series)), nil
		}
	case "SUBLIST":
		for i := 0; i+len(pattern) <= len(series) && whole >= least; i++ {
			if slices.Equal(series[i:i+len(pattern)], pattern) {
				return stretch(i+1, i+len(pattern)), nil
			}
		}
	case "SUBSEQ_PS":
		if places := inOrder(series, pattern); whole >= least {
			return places, nil
		}
	case "SUBSEQ_PM", "SUBSEQ_MS":
		return spread(ctx, series, pattern, name, least)
	case "SUBSET_PS":
		if places := anyOrder(series, pattern); whole >= least {
			return places, nil
		}
	case "SUBSET_PM", "SUBSET_MS":
		return together(series, pattern, name, least), nil
	default:
		return nil, fmt.Errorf("TS_MATCH: unknown matcher %q", name)
	}
	return nil, nil
}

func stretch(from, to int) []float64 {
	out := make([]float64, 0, to-from+1)
	for i := from; i <= to; i++ {
		out = append(out, float64(i))
	}
	return out
}

// inOrder are the first places of the pattern's items, one behind the other.
func inOrder(series, pattern []string) []float64 {
	var out []float64
	for i, s := range series {
		if len(out) < len(pattern) && s == pattern[len(out)] {
			out = append(out, float64(i+1))
		}
	}
	if len(out) < len(pattern) {
		return nil
	}
	return out
}

// anyOrder are the first places of the pattern's items in any order, each as often as it is in the pattern.
func anyOrder(series, pattern []string) []float64 {
	wanted := map[string]int{}
	for _, p := range pattern {
		wanted[p]++
	}
	var out []float64
	for i, s := range series {
		if wanted[s] > 0 {
			wanted[s]--
			out = append(out, float64(i+1))
		}
	}
	if len(out) < len(pattern) {
		return nil
	}
	return out
}

// spread matches the pattern in its order against a stretch of the series: the
// shortest one for what the pattern must be of it (PM; it returns the pattern's
// places), the longest one for what it must be of the series (MS; all places).
func spread(ctx context.Context, series, pattern []string, name string, least float64) ([]float64, error) {
	if name == "SUBSEQ_MS" {
		first, last := slices.Index(series, pattern[0]), len(series)-1
		for last >= 0 && series[last] != pattern[len(pattern)-1] {
			last--
		}
		if first < 0 || last < first || inOrder(series[first:last+1], pattern) == nil || float64(last-first+1) < least*float64(len(series)) {
			return nil, nil
		}
		return stretch(first+1, last+1), nil
	}
	// starts[k] is the latest start of a match of the first k+1 items that ends at or before here.
	starts := make([]int, len(pattern))
	for k := range starts {
		starts[k] = -1
	}
	best, from, to := math.MaxInt, -1, -1
	for i, s := range series {
		if i%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		for k := len(pattern) - 1; k >= 0; k-- {
			if s != pattern[k] {
				continue
			}
			start := i
			if k > 0 {
				start = starts[k-1]
			}
			starts[k] = start
			if k == len(pattern)-1 && start >= 0 && i-start+1 < best {
				best, from, to = i-start+1, start, i
			}
		}
	}
	if from < 0 || float64(len(pattern)) < least*float64(best) {
		return nil, nil
	}
	return offset(inOrder(series[from:to+1], pattern), from), nil
}

// together is spread for the pattern's items in any order.
func together(series, pattern []string, name string, least float64) []float64 {
	wanted := map[string]int{}
	for _, p := range pattern {
		wanted[p]++
	}
	if name == "SUBSET_MS" {
		first, last := -1, -1
		for i, s := range series {
			if _, ok := wanted[s]; ok {
				if first < 0 {
					first = i
				}
				last = i
			}
		}
		if first < 0 || anyOrder(series, pattern) == nil || float64(last-first+1) < least*float64(len(series)) {
			return nil
		}
		return stretch(first+1, last+1)
	}
	// The shortest window with all items: both ends only go forward.
	missing, left := len(pattern), 0
	best, from, to := math.MaxInt, -1, -1
	for i, s := range series {
		n, ok := wanted[s]
		if !ok {
			continue
		}
		if n > 0 {
			missing--
		}
		wanted[s] = n - 1
		for missing == 0 {
			if i-left+1 < best {
				best, from, to = i-left+1, left, i
			}
			if n, ok := wanted[series[left]]; ok {
				if n == 0 {
					missing++
				}
				wanted[series[left]] = n + 1
			}
			left++
		}
	}
	if from < 0 || float64(len(pattern)) < least*float64(best) {
		return nil
	}
	return offset(anyOrder(series[from:to+1], pattern), from)
}

func offset(places []float64, by int) []float64 {
	for i := range places {
		places[i] += float64(by)
	}
	return places
}
