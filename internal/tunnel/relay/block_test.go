package relay

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// TestBlocksAreBounded: when all large blocks are lent the next are small, and bulk goes through those as well.
func TestBlocksAreBounded(t *testing.T) {
	l := newLab(t)
	gw := start(t, nil, []Tunnel{l.gateway(echo(t))})
	gu := start(t, []Tunnel{l.tunnel("gu", "g", gw.Addr("gw"))}, nil)
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { return lent.Load() == 0, "blocks of other tests are lent" })
	var all [][]byte
	for range maxLent {
		all = append(all, borrow(true))
	}
	if n := len(borrow(true)); n != smallSize {
		t.Errorf("a block of %d bytes beyond %d large ones", n, maxLent)
	}
	c := dial(t, gu.Addr("gu"))
	want := make([]byte, 1<<20)
	for i := range want {
		want[i] = byte(i * 7 / 3)
	}
	go func() {
		_, _ = c.Write(want)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back of %d, %v", len(got), len(want), err)
	}
	for _, b := range all {
		giveBack(plainOf(b))
	}
	proctest.Eventually(t, 10*time.Second, func() (bool, string) { return lent.Load() == 0, "blocks are lent and nothing is carried" })
}

// TestBlocksComeBack: what is refused, in the handshake or after it, or cut, keeps no block.
func TestBlocksComeBack(t *testing.T) {
	l := newLab(t)
	back := plain(t)
	accept(t, back, func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() }) // takes nothing
	gw := start(t, nil, []Tunnel{l.gateway(back.Addr().String())})
	gu := start(t, []Tunnel{l.tunnel("gu", "g", gw.Addr("gw"))}, nil)
	junk := bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 1000)
	for range 20 {
		c := dial(t, gw.Addr("gw"))
		_, _ = c.Write(junk)
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
		c = dial(t, gu.Addr("gu"))
		_ = c.SetDeadline(time.Now().Add(50 * time.Millisecond))
		for err := error(nil); err == nil; _, err = c.Write(junk) {
		}
		_ = c.Close()
	}
	proctest.Eventually(t, 20*time.Second, func() (bool, string) {
		for _, r := range []*Relay{gw, gu} {
			r.tunnels[0].closeAll("drain") // those too that have come up since
		}
		n := lent.Load()
		return n == 0, fmt.Sprint(n, " blocks are lent")
	})
}
