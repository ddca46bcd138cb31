package calc

import (
	"math/rand/v2"
	"testing"
)

// TestOrdersBeyondThree: what repeats after five observations takes five coefficients.
func TestOrdersBeyondThree(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	y := make([]float64, 1000)
	for i := range y {
		y[i] = r.NormFloat64()
		if i >= 5 {
			y[i] += 0.8 * y[i-5]
		}
	}
	m, _, err := autoARMA(t.Context(), y, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.phi) != 5 {
		t.Fatalf("%d and %d coefficients (%v, %v); want 5 of the first kind", len(m.phi), len(m.theta), m.phi, m.theta)
	}
	near(t, "of the fifth", m.phi[4:], []float64{0.8}, 0.06)
}
