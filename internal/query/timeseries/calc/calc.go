// Package calc has what the time-series dialect asks for and SQL cannot say:
// distances, transforms, tests, interpolation by curves, matching of patterns
// and forecasts. Every function takes and gives lists, so that an engine can
// offer all of them in one way.
package calc

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// MaxObservations is how long a list may be.
const MaxObservations = 1 << 20

// maxSteps bounds functions whose work grows with the square of their input.
const maxSteps = 1 << 30

// Args are the arguments of a call, those of one kind in their order.
type Args struct {
	Numbers [][]float64 // NULL is NaN
	Texts   [][]string
}

// Function is one function of numbers and texts.
type Function struct {
	Name string
	// Kinds has a letter for each argument: n for a list of numbers, s for one of texts.
	Kinds string
	Call  func(ctx context.Context, a Args) ([]float64, error)
}

// Functions are all that the dialect uses.
func Functions() []Function {
	return []Function{
		{"oriel_dtw", "nn", two(dtw)},
		{"oriel_dl", "ss", damerau},
		{"oriel_sbd", "nn", two(func(_ context.Context, a, b []float64) ([]float64, error) { return one(sbd(a, b)), nil })},
		{"oriel_cross", "nn", two(func(_ context.Context, a, b []float64) ([]float64, error) { return cross(a, b), nil })},
		{"oriel_auto", "n", func(_ context.Context, a Args) ([]float64, error) { return autocorrelation(a.Numbers[0]), nil }},
		{"oriel_correlation", "nnnn", paired(correlation)},
		{"oriel_manhattan", "nnnn", paired(manhattan)},
		{"oriel_granger", "nnn", func(ctx context.Context, a Args) ([]float64, error) {
			return granger(ctx, a.Numbers[0], a.Numbers[1], whole(a.Numbers[2], 0))
		}},
		{"oriel_fft", "ns", fftOf},
		{"oriel_curve", "nnnns", curve},
		{"oriel_silences", "nn", silences},
		{"oriel_match", "sssn", match},
		{"oriel_forecast", "nsnn", forecast},
		{"oriel_fitted", "nsn", fitted},
	}
}

func one(x float64) []float64 { return []float64{x} }

func two(f func(ctx context.Context, a, b []float64) ([]float64, error)) func(context.Context, Args) ([]float64, error) {
	return func(ctx context.Context, a Args) ([]float64, error) { return f(ctx, a.Numbers[0], a.Numbers[1]) }
}

// whole is the i-th number as a whole one, zero if there is none.
func whole(list []float64, i int) int {
	if i >= len(list) || math.IsNaN(list[i]) {
		return 0
	}
	return int(max(math.MinInt32, min(math.MaxInt32, list[i])))
}

// number is the i-th number, or what to take instead.
func number(list []float64, i int, otherwise float64) float64 {
	if i >= len(list) || math.IsNaN(list[i]) {
		return otherwise
	}
	return list[i]
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// square says whether work in the size of n times m is too much.
func square(what string, n, m int) error {
	if n > 0 && m > maxSteps/n {
		return fmt.Errorf("%s: %d and %d observations are too many: make the series shorter", what, n, m)
	}
	return nil
}

var errEmptyValues = errors.New("the series has empty values: use TS_FILLNA or TS_DROPNA before")

// numeric sees that all are numbers.
func numeric(list []float64) error {
	for _, x := range list {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return errEmptyValues
		}
	}
	return nil
}
