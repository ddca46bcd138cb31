package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// clients serves connections over HTTP/1. Each has one goroutine, that reads,
// asks and answers. net/http's server has a second one look during each request
// whether the client goes away: to wake it and to end it costs as much as all
// else of a small query. Here that begins when an answer takes long.
type clients struct {
	answer func(context.Context, *reply, *http.Request)
	log    *slog.Logger
	body   time.Duration // for reading a request
	write  time.Duration // for reading and answering it

	mu      sync.Mutex // guards what follows
	all     map[*clientConn]bool
	closing bool
	work    sync.WaitGroup
}

// serve takes connections until the listener is closed; ctx is what requests run under.
func (s *clients) serve(ctx context.Context, l net.Listener) error {
	const most = time.Second
	wait := 5 * time.Millisecond
	for {
		c, err := l.Accept()
		if err == nil {
			wait = 5 * time.Millisecond
			s.take(ctx, newClientConn(c))
			continue
		}
		if e, ok := errors.AsType[net.Error](err); !ok || !e.Temporary() { //nolint:staticcheck // such as too many open files: nothing else says so
			return err
		}
		s.log.Warn("accept", "err", err, "again_in", wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, most)
	}
}

func (s *clients) take(ctx context.Context, c *clientConn) {
	s.mu.Lock()
	if s.all == nil {
		s.all = map[*clientConn]bool{}
	}
	s.all[c] = true
	s.mu.Unlock()
	s.work.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				s.log.Error("a request ended in a fault", "fault", v, "stack", string(debug.Stack()))
			}
			_ = c.Close()
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.all, c)
		}()
		if err := c.shake(ctx); err != nil {
			s.log.Debug("handshake", "client", c.RemoteAddr(), "err", err)
			return
		}
		for c.await() && s.one(ctx, c) {
			c.set(isIdle)
		}
	})
}

// one answers a request, and tells whether another may follow.
func (s *clients) one(ctx context.Context, c *clientConn) bool {
	r, code := c.request(s.body, s.write)
	if code != 0 {
		text := http.StatusText(code)
		_, _ = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", code, text, len(text), text)
		c.linger()
	}
	if r == nil {
		return false
	}
	w := newReply(c, r)
	defer w.release()
	body := r.Body.(*requestBody)
	w.last = r.Close || !r.ProtoAtLeast(1, 1) || s.ends()
	s.answer(ctx, w, r)
	again := w.end()
	if w.err != nil {
		return false
	}
	if !body.drain() {
		c.linger()
		return false
	}
	return again && !s.ends()
}

func (s *clients) ends() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// conns are the connections there are.
func (s *clients) conns() []*clientConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.all))
}

// end waits for requests under way until ctx is done, and for those of clients that have just come.
func (s *clients) end(ctx context.Context, ask time.Duration) {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	for _, c := range s.conns() {
		c.closeIf(isIdle)
	}
	within(ask, s.work.Wait)
	for _, c := range s.conns() {
		c.closeIf(isNew)
		c.closeIf(isIdle)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.work.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	for _, c := range s.conns() {
		_ = c.Close()
	}
}
