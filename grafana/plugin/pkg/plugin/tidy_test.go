package plugin

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestMemoryIsGivenBackWhenItIsQuiet, once for all answers that came together.
func TestMemoryIsGivenBackWhenItIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var freed atomic.Int32
		y := &tidy{free: func() { freed.Add(1) }}
		at := func(want int32) {
			t.Helper()
			synctest.Wait()
			if got := freed.Load(); got != want {
				t.Errorf("freed %d times; want %d", got, want)
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
