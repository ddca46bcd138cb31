package relay

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
)

// Relay is all tunnels of a configuration.
type Relay struct {
	cfg Config
	log *slog.Logger

	mu       sync.Mutex // guards what follows
	tunnels  []*tunnel
	retired  []*tunnel // of a configuration before this one: their connections drain
	before   *Relay    // who tunnels go back to if Open fails
	borrowed []*tunnel // from before
}

// New makes the tunnels; nothing listens yet.
func New(cfg Config, log *slog.Logger) (*Relay, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &Relay{cfg: cfg, log: log}
	for _, t := range cfg.Guardians {
		r.tunnels = append(r.tunnels, newTunnel(t, false, log))
	}
	for _, t := range cfg.Gateways {
		r.tunnels = append(r.tunnels, newTunnel(t, true, log))
	}
	return r, nil
}

func (r *Relay) all() []*tunnel {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.tunnels)
}

// Inherit takes over what another relay carries: tunnels that are the same here
// go on as they are; the others listen no more, and their connections drain.
// It is called between New and Open; the other relay's Run then ends at once.
func (r *Relay) Inherit(from any) {
	old, ok := from.(*Relay)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old.mu.Lock()
	defer old.mu.Unlock()
	r.before, r.retired, old.retired = old, old.retired, nil
	for i, t := range old.tunnels {
		if !t.running || t.draining.Load() {
			continue
		}
		same := slices.IndexFunc(r.tunnels, func(n *tunnel) bool { return n.gateway == t.gateway && reflect.DeepEqual(n.cfg, t.cfg) })
		if same >= 0 && r.cfg.Reload == old.cfg.Reload {
			r.tunnels[same] = t
			r.borrowed = append(r.borrowed, t)
		} else {
			t.retire(r.cfg.Drain.Std())
			r.retired = append(r.retired, t)
		}
		old.tunnels[i] = newTunnel(t.cfg, t.gateway, old.log) // should it ever run again
	}
}

// giveBack undoes Inherit, as far as it can be.
func (r *Relay) giveBack() {
	old := r.before
	if old == nil {
		return
	}
	old.mu.Lock()
	defer old.mu.Unlock()
	for _, t := range r.borrowed {
		for i, n := range old.tunnels {
			if n.gateway == t.gateway && n.cfg.Name == t.cfg.Name {
				old.tunnels[i] = t
			}
		}
		for i, n := range r.tunnels {
			if n == t {
				r.tunnels[i] = newTunnel(t.cfg, t.gateway, r.log)
			}
		}
	}
	old.retired = append(old.retired, r.retired...)
	r.before, r.borrowed, r.retired = nil, nil, nil
}

// Open reads the certificates and listens.
func (r *Relay) Open(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, t := range r.tunnels {
		if t.running && !t.draining.Load() {
			continue
		}
		if t.running { // it has run before, and runs again
			t = newTunnel(t.cfg, t.gateway, r.log)
			r.tunnels[i] = t
		}
		if err := t.open(ctx); err != nil {
			for _, opened := range r.tunnels[:i] {
				if !opened.running {
					_ = opened.listener.Close()
				}
			}
			r.giveBack()
			return fmt.Errorf("tunnel %q: %w", t.cfg.Name, err)
		}
	}
	r.before, r.borrowed = nil, nil
	return nil
}

// Run carries until ctx is done, then takes no more and lets open connections
// end for the drain time. What another relay has inherited by then is its own.
func (r *Relay) Run(ctx context.Context) error {
	r.mu.Lock()
	for _, t := range r.tunnels {
		if !t.running {
			t.start(ctx, r.cfg.Reload.Std())
		}
	}
	r.mu.Unlock()
	<-ctx.Done()
	r.mu.Lock()
	ending := r.retired
	for _, t := range r.tunnels {
		if t.running {
			t.retire(r.cfg.Drain.Std())
			ending = append(ending, t)
		}
	}
	r.mu.Unlock()
	for _, t := range ending {
		<-t.ended
	}
	return nil
}
