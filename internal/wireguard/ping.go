package wireguard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// errPingForbidden says that this process may open neither kind of socket.
var errPingForbidden = errors.New("no permission to send an echo")

const (
	echoGap    = 200 * time.Millisecond // between two echoes of a probe
	socketIdle = 2 * time.Minute        // a socket that is not used keeps its namespace from going
)

// pinger sends echoes by raw sockets, or by ping sockets where those are not
// allowed: one for each namespace and IP version, which all probes share.
type pinger struct {
	mu           sync.Mutex // guards what follows
	sockets      map[socketKey]*echoSocket
	unprivileged bool // raw sockets have been refused
	readers      sync.WaitGroup
}

// socketKey tells sockets apart. A namespace that came back under its old name is another one.
type socketKey struct {
	space    *space
	dev, ino uint64
	v6       bool
}

func newPinger() *pinger { return &pinger{sockets: map[socketKey]*echoSocket{}} }

// ping asks so many times and waits for what comes back. An error means that
// not even the first echo went out.
func (p *pinger) ping(ctx context.Context, t echoTarget, count int, timeout time.Duration) (echoes, error) {
	s, err := p.socket(t)
	if err != nil {
		if isForbidden(err) {
			err = fmt.Errorf("%w: %w", errPingForbidden, err)
		}
		return echoes{}, err
	}
	return s.ask(ctx, t, count, timeout)
}

// socket returns the one for the target's namespace and opens it at need.
func (p *pinger) socket(t echoTarget) (*echoSocket, error) {
	key := socketKey{space: t.space, v6: t.addr.Is6()}
	if t.space != nil {
		file, err := t.space.cfg.file()
		if err != nil {
			return nil, fmt.Errorf("namespace %q: %w", t.space.label, err)
		}
		info, err := os.Stat(file)
		if err != nil {
			return nil, fmt.Errorf("namespace %q: %w", t.space.label, err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			key.dev, key.ino = uint64(st.Dev), st.Ino //nolint:unconvert,nolintlint // an int32 on macOS
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.sockets[key]; s != nil && !s.broken() {
		return s, nil
	}
	var s *echoSocket
	err := t.space.do(func() error {
		var err error
		if !p.unprivileged {
			s, err = openEcho(key.v6, true)
		}
		if p.unprivileged || err != nil && isForbidden(err) {
			if s, err = openEcho(key.v6, false); err == nil {
				p.unprivileged = true
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open socket for echoes: %w", err)
	}
	p.sockets[key] = s
	p.readers.Go(s.read)
	return s, nil
}

// tidy closes sockets that nobody has used for a while.
func (p *pinger) tidy(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, s := range p.sockets {
		if s.broken() || s.unusedFor(now) > socketIdle {
			s.close()
			delete(p.sockets, key)
		}
	}
}

// close closes all sockets and waits for their readers.
func (p *pinger) close() {
	p.mu.Lock()
	for key, s := range p.sockets {
		s.close()
		delete(p.sockets, key)
	}
	p.mu.Unlock()
	p.readers.Wait()
}

// isUnreachable tells of an ICMP error that answered an earlier echo.
func isUnreachable(err error) bool {
	for _, e := range []error{syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ECONNREFUSED, syscall.EHOSTDOWN, syscall.EMSGSIZE, syscall.EPROTO, syscall.EACCES} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func isForbidden(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EPROTONOSUPPORT)
}
