package plugin

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

const (
	largeAnswer = 4 << 20          // bytes after which it is worth while to give memory back
	quiet       = 10 * time.Second // after the last of them
)

// tidy gives memory back to the system some time after large answers. Go alone
// would keep it as long as nothing else is asked: a plug-in that has once
// answered a million rows would stay ten times as large as one that has not.
type tidy struct {
	free  func()
	mu    sync.Mutex
	timer *time.Timer // guarded by mu
}

// after is told of each answer. Answers that follow one another soon are one.
func (t *tidy) after(size int) {
	if size < largeAnswer {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer == nil {
		t.timer = time.AfterFunc(quiet, t.free)
		return
	}
	t.timer.Reset(quiet)
}

// freeMemory collects twice: pools keep what they have for one collection more.
func freeMemory() {
	runtime.GC()
	debug.FreeOSMemory()
}
