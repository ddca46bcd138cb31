package calc

import (
	"math/rand/v2"
	"testing"
	"time"
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

// TestLongestSeriesIsFitted: the longest series that is taken is done in a time that a query may take.
func TestLongestSeriesIsFitted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	r := rand.New(rand.NewPCG(7, 8))
	y := make([]float64, maxFitted)
	for i := 1; i < len(y); i++ {
		y[i] = 0.5*y[i-1] + r.NormFloat64()
	}
	began := time.Now()
	if _, _, err := autoARMA(t.Context(), y, true); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d observations in %v", len(y), time.Since(began))
}
