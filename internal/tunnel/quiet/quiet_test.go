package quiet

import (
	"fmt"
	"testing"
	"time"
)

func TestTheSameIsToldOnceAndCounted(t *testing.T) {
	var l Log
	now := time.Unix(1_000_000, 0)
	var told []int
	for range 2*int(Every/(3*time.Second)) + 1 {
		if n := l.count("not_allowed", "certificate 1", now); n > 0 {
			told = append(told, n)
		}
		now = now.Add(3 * time.Second)
	}
	if fmt.Sprint(told) != "[1 100 100]" {
		t.Errorf("an event every 3 s was told with counts %v; want [1 100 100]", told)
	}
	if n := l.count("not_allowed", "certificate 2", now); n != 1 {
		t.Errorf("another certificate was told %d times", n)
	}
}

// TestFloodIsBounded: details come from outside, and may all differ.
func TestFloodIsBounded(t *testing.T) {
	var l Log
	now := time.Unix(1_000_000, 0)
	lines, sum := 0, 0
	for i := range 100_000 {
		if n := l.count("other", fmt.Sprint(i), now); n > 0 {
			lines++
			sum += n
		}
	}
	if lines != maxMinute || sum != maxMinute || len(l.told) > maxKeys+1 {
		t.Errorf("%d lines of %d events, %d kept; want %d lines", lines, sum, len(l.told), maxMinute)
	}
	now = now.Add(2 * Every)
	if n := l.count("other", "after it", now); n == 0 {
		t.Error("after a flood nothing is told")
	}
	if n := l.count("idle", "", now); n != 1 {
		t.Errorf("another kind was told %d times", n)
	}
}
