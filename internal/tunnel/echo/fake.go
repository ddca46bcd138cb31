package echo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Manner is how a fake server answers.
type Manner int

// The manners.
const (
	Good      Manner = iota
	Slow             // after Fake.Delay
	Wrong            // well formed, with another text
	Silent           // never
	Oversized        // with an answer that has no end
)

// Fake is a service that answers echoes, for tests and the demo.
type Fake struct {
	Codec  Codec
	Manner Manner
	Delay  time.Duration // of Slow
}

// Serve answers all who connect until ctx is done, and closes l.
func (f Fake) Serve(ctx context.Context, l net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			if err == nil {
				_ = conn.Close()
			}
			return nil
		}
		if err != nil {
			return err
		}
		wg.Go(func() { f.handle(ctx, conn) })
	}
}

// handle answers on one connection until it ends or ctx is done.
func (f Fake) handle(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	in := &io.LimitedReader{R: conn}
	r := bufio.NewReader(in)
	for {
		in.N = maxFrame
		request, err := f.Codec.wire.readRequest(r)
		if err != nil {
			return
		}
		switch f.Manner {
		case Silent:
			continue
		case Slow:
			select {
			case <-time.After(f.Delay):
			case <-ctx.Done():
				return
			}
		case Oversized:
			piece := append(f.Codec.wire.flood(), bytes.Repeat([]byte("x"), 4096)...)
			for {
				if _, err := conn.Write(piece); err != nil {
					return
				}
				piece = piece[len(piece)-4096:]
			}
		case Good, Wrong:
		}
		answer, err := f.Codec.wire.answer(request, f.Manner == Wrong)
		if err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}
