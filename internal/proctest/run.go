package proctest

import (
	"context"
	"sync"
	"testing"
	"time"
)

// endWithin is how long a part may take to end, beyond what a busy machine explains.
const endWithin = 30 * time.Second

// Run runs a part of the program (its Run) until end is called or the test
// ends. It must then return soon, and without an error.
func Run(t testing.TB, run func(context.Context) error) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(endWithin):
			t.Errorf("Run has not ended %s after it was told to", endWithin)
		}
	})
	t.Cleanup(end)
	return end
}
