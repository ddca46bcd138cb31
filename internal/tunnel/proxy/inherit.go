package proxy

import (
	"strings"

	"github.com/orielhq/oriel/internal/tunnel/socket"
)

// Inherit makes a proxy go on where another listens: no connection is refused
// between them, and requests that are under way end in their own time. It is
// called between New and Open; the other proxy's Run then ends at once.
func (p *Proxy) Inherit(from any) {
	old, ok := from.(*Proxy)
	if !ok || old.cfg.Listen != p.cfg.Listen {
		return
	}
	l, ok := old.listener.(*listener)
	if !ok {
		return
	}
	if strings.HasPrefix(p.cfg.Listen, "systemd:") { // it holds the socket, and gives it again
		old.heir = p
		return
	}
	taken, err := socket.Take(l.Listener)
	if err != nil {
		p.log.Warn("reload: listens anew", "err", err)
		return
	}
	p.taken, old.heir = taken, p
}

// disown undoes Inherit, after the other proxy's Run has ended: it may run again.
func (p *Proxy) disown() {
	if p.taken != nil {
		_ = p.taken.Close()
		p.taken = nil
	}
	if p.rest != nil {
		p.rest()
		p.rest = nil
	}
}
