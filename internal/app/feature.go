package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/orielhq/oriel/internal/collector"
)

// The optional verbs of a feature beside Collect. Open takes hold of what can
// fail (sockets, files) before Run works in the background; with it a reload
// knows that the new feature stands before the old one is forgotten. Run lets
// go of what Open took, also when Open succeeded and ctx is done already.
type (
	opener interface {
		Open(ctx context.Context) error
	}
	runner interface {
		Run(ctx context.Context) error
	}
	// heir takes over from the feature of the same name, before that one is
	// stopped, what is the same in both.
	heir interface {
		Inherit(from any)
	}
)

// feature is one section of the configuration, built.
type feature struct {
	name    string
	section any // the configuration it was built of
	made
	part      any
	collector collector.Collector // nil if it has no metrics
}

func newFeature(name string, section any, m made, part any) *feature {
	c, _ := part.(collector.Collector)
	return &feature{name: name, section: section, made: m, part: part, collector: c}
}

// running is the features at work.
type running struct {
	log    *slog.Logger
	failed chan error // the first error of a Run that nobody stopped

	mu    sync.Mutex // guards stops
	stops map[*feature]func()
}

func newRunning(log *slog.Logger) *running {
	return &running{log: log, failed: make(chan error, 1), stops: map[*feature]func(){}}
}

// start opens and runs a feature. base outlives the call.
func (r *running) start(base context.Context, f *feature) error {
	if o, ok := f.part.(opener); ok {
		if err := o.Open(base); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	ctx, cancel := context.WithCancel(base)
	done := make(chan struct{})
	go func() {
		defer close(done)
		job, ok := f.part.(runner)
		if !ok {
			return
		}
		if err := job.Run(ctx); err != nil && ctx.Err() == nil {
			select {
			case r.failed <- fmt.Errorf("%s: %w", f.name, err):
			default: // another one failed first
			}
		}
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stops[f] = func() { cancel(); <-done }
	return nil
}

// stop ends a feature and waits for it.
func (r *running) stop(f *feature) {
	r.mu.Lock()
	stop := r.stops[f]
	delete(r.stops, f)
	r.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// stopAll ends all features at once.
func (r *running) stopAll() {
	r.mu.Lock()
	stops := r.stops
	r.stops = map[*feature]func(){}
	r.mu.Unlock()
	var wg sync.WaitGroup
	for _, stop := range stops {
		wg.Go(stop)
	}
	wg.Wait()
}

// replace stops what is only in before and starts what is only in after. If
// one does not start, before is what runs again.
func (r *running) replace(base context.Context, before, after []*feature) error {
	old, fresh := without(before, after), without(after, before)
	for _, f := range old {
		for _, n := range fresh {
			if h, ok := n.part.(heir); ok && n.name == f.name {
				h.Inherit(f.part)
			}
		}
		r.stop(f)
	}
	for i, f := range fresh {
		err := r.start(base, f)
		if err == nil {
			continue
		}
		for _, started := range fresh[:i] {
			r.stop(started)
		}
		for _, f := range old {
			err = errors.Join(err, r.start(base, f))
		}
		return err
	}
	return nil
}

// without returns the features of list that are not in other.
func without(list, other []*feature) []*feature {
	in := map[*feature]bool{}
	for _, f := range other {
		in[f] = true
	}
	var rest []*feature
	for _, f := range list {
		if !in[f] {
			rest = append(rest, f)
		}
	}
	return rest
}
