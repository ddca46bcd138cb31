package app

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapFloor lets the heap grow to so many bytes before garbage is looked for, and
// beyond them by so many percent of what is in use. For commands whose memory is
// bounded and that do little else than allocate: else a heap that grows from
// nothing is gone through dozens of times on its way.
func heapFloor(floor int64, percent int) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetGCPercent(growth(int64(live[0].Value.Uint64()), floor, percent)) //nolint:gosec // bytes in memory
	// After each collection this is dead and the next one is set.
	runtime.AddCleanup(new([64]byte), func(floor int64) { heapFloor(floor, percent) }, floor)
}

// mostGrowth is the percentage by which a heap may grow at most: the next
// percentage is set some time after a collection, and until then the heap grows
// by the one before.
const mostGrowth = 60

// growth is the percentage by which a heap may grow that has live bytes in use.
func growth(live, floor int64, percent int) int {
	live = max(live, 1<<20)
	return max(min(int((floor-live)*100/live), max(mostGrowth, percent)), percent)
}
