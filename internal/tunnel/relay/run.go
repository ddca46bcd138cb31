package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/orielhq/oriel/internal/tunnel/socket"
)

// Relay is all tunnels of a configuration.
type Relay struct {
	cfg Config
	log *slog.Logger

	mu       sync.Mutex // guards what follows
	tunnels  []*tunnel
	retired  []*tunnel // of a configuration before this one: their connections drain
	heir     *Relay    // who has inherited; it may not have been opened
	before   *Relay    // who tunnels go back to if Open fails
	borrowed []*tunnel // from before
	leaving  []*tunnel // from before, and not in this configuration: they listen until Open has succeeded
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
// go on as they are; the others do so until Open has succeeded, and then their
// connections drain. It is called between New and Open; the other relay's Run
// then ends at once.
func (r *Relay) Inherit(from any) {
	old, ok := from.(*Relay)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old.mu.Lock()
	defer old.mu.Unlock()
	r.before, old.heir = old, r
	r.retired, old.retired = old.retired, nil
	for i, t := range old.tunnels {
		if !t.running || t.draining.Load() {
			continue
		}
		same := slices.IndexFunc(r.tunnels, func(n *tunnel) bool { return n.gateway == t.gateway && reflect.DeepEqual(n.cfg, t.cfg) })
		if same >= 0 && r.cfg.Reload == old.cfg.Reload {
			r.tunnels[same] = t
			r.borrowed = append(r.borrowed, t)
		} else {
			r.leaving = append(r.leaving, t)
		}
		old.tunnels[i] = newTunnel(t.cfg, t.gateway, old.log) // should it ever run again
	}
}

// comeBack takes tunnels back from an heir that was never opened.
func (r *Relay) comeBack() {
	r.mu.Lock()
	heir := r.heir
	r.heir = nil
	r.mu.Unlock()
	if heir == nil {
		return
	}
	heir.mu.Lock()
	defer heir.mu.Unlock()
	if heir.before == r {
		heir.giveBack()
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
	for _, t := range append(r.borrowed, r.leaving...) {
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
	r.before, r.borrowed, r.leaving, r.retired = nil, nil, nil, nil
}

// retire lets leaving tunnels go that are named by which.
func (r *Relay) retire(which func(*tunnel) bool) {
	r.leaving = slices.DeleteFunc(r.leaving, func(t *tunnel) bool {
		if !which(t) {
			return false
		}
		t.retire(r.cfg.Drain.Std())
		r.retired = append(r.retired, t)
		return true
	})
}

// listen has a tunnel listen where it is to. Who listens there for a tunnel that
// leaves shares its socket: connections are refused at no time.
func (r *Relay) listen(ctx context.Context, t *tunnel) (net.Listener, error) {
	for _, old := range r.leaving {
		if old.cfg.Listen == t.cfg.Listen && !strings.HasPrefix(t.cfg.Listen, "systemd:") {
			t.sharing = old
			return socket.Take(old.listener)
		}
	}
	l, err := socket.Listen(ctx, t.cfg.Listen)
	if errors.Is(err, syscall.EADDRINUSE) && len(r.leaving) > 0 { // by one of them that says it in another way, most likely
		r.retire(func(old *tunnel) bool { return last(old.listener.Addr().String()) == last(t.cfg.Listen) })
		l, err = socket.Listen(ctx, t.cfg.Listen)
	}
	return l, err
}

// last is an address' port, or the name of a socket's file.
func last(address string) string { return address[strings.LastIndexAny(address, ":/")+1:] }

// Open reads the certificates and listens.
func (r *Relay) Open(ctx context.Context) error {
	r.comeBack()
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
		if err := t.open(ctx, r.listen); err != nil {
			for _, opened := range r.tunnels[:i] {
				if !opened.running {
					opened.close()
				}
			}
			r.giveBack()
			return fmt.Errorf("tunnel %q: %w", t.cfg.Name, err)
		}
	}
	r.retire(func(*tunnel) bool { return true })
	r.before, r.borrowed = nil, nil
	return nil
}

// Run carries until ctx is done, then takes no more and lets open connections
// end for the drain time. What another relay has inherited by then is its own.
func (r *Relay) Run(ctx context.Context) error {
	r.mu.Lock()
	for _, t := range r.tunnels {
		if !t.running && t.listener != nil { // else an heir has taken the tunnel that was here, before we came to run
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
