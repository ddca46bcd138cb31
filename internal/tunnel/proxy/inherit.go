package proxy

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"

	"github.com/orielhq/oriel/internal/tunnel/socket"
)

// heirloom is what a proxy has of the one before it, from Inherit to Open. The
// rest of that one's work, which its Run leaves behind, comes with it.
type heirloom struct {
	before *Proxy       // nil: an heir that did not open gave our own socket back
	socket net.Listener // a second listener on its socket; nil if systemd holds that
}

// Inherit makes a proxy go on from another one: requests that are under way end
// in their own time, and there is always one of the two that listens. If they
// listen at the same place, connections that come meanwhile wait for the new
// one; else the old one serves until the new one does. Inherit is called
// between New and Open; the other proxy's Run then ends at once.
func (p *Proxy) Inherit(from any) {
	old, ok := from.(*Proxy)
	if !ok {
		return
	}
	l, ok := old.listener.(*listener)
	if !ok {
		return
	}
	h := heirloom{before: old}
	if !strings.HasPrefix(old.cfg.Listen, "systemd:") {
		var err error
		if h.socket, err = socket.Take(l.Listener); err != nil {
			p.log.Warn("reload: listens anew", "err", err)
			return
		}
	}
	p.from, old.heir = h, p
}

// handOver leaves to the heir what is still to be done when Run ends.
func (p *Proxy) handOver(rest func()) {
	if p.heir.cfg.Listen == p.cfg.Listen {
		_ = p.listener.Close() // the socket lives on
	}
	p.heir.rest = rest
}

// listen takes the socket of the proxy before or, if that listens elsewhere, one beside it.
func (p *Proxy) listen(ctx context.Context) (net.Listener, error) {
	before, taken := p.from.before, p.from.socket
	if taken != nil && (before == nil || before.cfg.Listen == p.cfg.Listen) {
		p.from.socket = nil
		return taken, nil
	}
	l, err := socket.Listen(ctx, p.cfg.Listen)
	if taken != nil && errors.Is(err, syscall.EADDRINUSE) { // by the proxy before, most likely: another way to write the same address, or a wider one
		p.from.socket = nil
		_, _ = before.listener.Close(), taken.Close()
		l, err = socket.Listen(ctx, p.cfg.Listen)
	}
	return l, err
}

// settle ends what Inherit began, once Open has succeeded.
func (p *Proxy) settle() {
	if p.from.socket != nil {
		_ = p.from.socket.Close()
	}
	p.from = heirloom{}
}

// disown undoes Inherit, after the other proxy's Run has ended: that one has its socket again, and may open and run again.
func (p *Proxy) disown() {
	if p.from.before != nil {
		p.from.before.from.socket, p.from.before.rest = p.from.socket, p.rest
		p.from, p.rest = heirloom{}, nil
	}
}

// comeBack makes a proxy that was to have an heir go on itself. The heir may not have been opened at all.
func (p *Proxy) comeBack() {
	if p.heir != nil && p.heir.from.before == p {
		p.heir.disown()
	}
	p.heir = nil
}
