package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// sockets are both ends of a connection.
func sockets(t *testing.T) (a, b net.Conn) {
	l := plain(t)
	a = dial(t, l.Addr().String())
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return a, b
}

// TestWireGathers: what is gathered goes in one piece when it is told to, or before who writes waits for an answer.
func TestWireGathers(t *testing.T) {
	a, b := sockets(t)
	w := newWire(a)
	write := func(text string) {
		t.Helper()
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	comes := func(want string) {
		t.Helper()
		got := make([]byte, 64)
		_ = b.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := b.Read(got); string(got[:n]) != want {
			t.Fatalf("%q came, %v; want %q", got[:n], err, want)
		}
	}
	w.collect(false)
	write("a ticket, ")
	_ = b.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := b.Read(make([]byte, 64)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes came before they were sent, %v", n, err)
	}
	write("a word")
	if err := w.scatter(); err != nil {
		t.Fatal(err)
	}
	comes("a ticket, a word")
	write("at once")
	comes("at once")
	w.early = true
	w.collect(false)
	write("a question")
	go func() {
		got := make([]byte, 64)
		if n, err := b.Read(got); string(got[:n]) != "a question" {
			t.Errorf("%q came, %v", got[:n], err)
		}
		_ = b.Close()
	}()
	if _, err := w.Read(make([]byte, 1)); !errors.Is(err, errTruncated) {
		t.Error(err)
	}
	if w.out != nil {
		t.Error("a block is kept")
	}
}

// TestBlocksGrow: a message is read into a small block, and only what does not fit there into a large one.
func TestBlocksGrow(t *testing.T) {
	for _, isPlain := range []bool{true, false} {
		a, b := sockets(t)
		var s reader
		s.init(a, isPlain)
		read := func(size int) (largest int) {
			t.Helper()
			block := make([]byte, size)
			go func() { _, _ = b.Write(block) }()
			for size > 0 {
				before := s.n - s.r
				if err := s.fill(); err != nil {
					t.Fatal(err)
				}
				size -= s.n - s.r - before
				largest = max(largest, cap(s.b))
				if isPlain {
					s.release()
				} else if s.r = s.n - 1; size == 0 { // the beginning of a record stays
					s.release()
				}
			}
			return largest
		}
		for range 3 {
			if n := read(10); n != smallSize {
				t.Errorf("plain %t: a block of %d bytes for a message", isPlain, n)
			}
			if n := read(4 << 20); n != blockSize {
				t.Errorf("plain %t: blocks of %d bytes for bulk", isPlain, n)
			}
			for range calm {
				read(1)
			}
		}
		if s.b != nil {
			t.Error("a block is kept")
		}
	}
}

// TestFullBothWays: a direction that cannot go on does not stop the other one, at either end.
func TestFullBothWays(t *testing.T) {
	l := newLab(t)
	gw := start(t, nil, []Tunnel{l.gateway(echo(t))})
	gu := start(t, []Tunnel{l.tunnel("gu", "g", gw.Addr("gw"))}, nil)
	c := dial(t, gu.Addr("gu")).(*net.TCPConn)
	sent := make(chan int)
	go func() { // until nothing goes any more: all buffers are full
		n, block := 0, make([]byte, 1<<20)
		for err := error(nil); err == nil; {
			var m int
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			m, err = c.Write(block)
			n += m
		}
		sent <- n
		_ = c.CloseWrite()
	}()
	want := <-sent
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if got, err := io.Copy(io.Discard, c); int(got) != want || err != nil {
		t.Errorf("%d bytes came back of %d, %v", got, want, err)
	}
}
