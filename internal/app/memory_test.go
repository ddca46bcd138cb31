package app

import "testing"

func TestHeapGrowsToItsFloorAndThenByPercent(t *testing.T) {
	for _, tt := range []struct {
		name        string
		live, floor int64
		want        int
	}{
		{"nothing in use", 0, 72 << 20, 60},
		{"a little", 8 << 20, 72 << 20, 60},
		{"near the floor", 50 << 20, 72 << 20, 44},
		{"above it", 100 << 20, 72 << 20, 30},
		{"no floor", 8 << 20, 0, 30},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := growth(tt.live, tt.floor, 30); got != tt.want {
				t.Errorf("growth(%d, %d) = %d; want %d", tt.live, tt.floor, got, tt.want)
			}
		})
	}
}
