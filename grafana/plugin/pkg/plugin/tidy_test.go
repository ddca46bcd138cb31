package plugin

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestMemoryIsGivenBackWhenItIsQuiet, once for all answers that came together.
func TestMemoryIsGivenBackWhenItIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		freed := 0
		y := &tidy{free: func() { freed++ }}
		at := func(want int) {
			t.Helper()
			synctest.Wait()
			if freed != want {
				t.Errorf("freed %d times; want %d", freed, want)
			}
		}
		y.after(largeAnswer - 1)
		time.Sleep(2 * quiet)
		at(0)
		for range 5 {
			y.after(largeAnswer)
			time.Sleep(quiet / 2)
		}
		at(0)
		time.Sleep(quiet)
		at(1)
		y.after(largeAnswer)
		time.Sleep(2 * quiet)
		at(2)
	})
}
